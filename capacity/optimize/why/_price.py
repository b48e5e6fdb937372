"""The price of one move: between what it changes the cost a year, how that is known, and its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from capacity.optimize.why._pieces import WAY_WORDS, Way
from capacity.optimize.why.moves import Moved
from capacity.words import usd

# An interval as narrow as this share of its middle, or of what the fleet costs a year, is not worth solving again.
_CLOSE_FRAC, _CLOSE_OF_FLEET_FRAC = 0.01, 5e-5
# Below this a year nothing has changed, USD: floating point of two sums of money.
_NOTHING_USD = 0.5

Outcome = Literal["solved", "impossible", "no_plan_in_time"]


@dataclass(frozen=True)
class Price:
    """The price of one move.

    Attributes
    ----------
    low_usd_per_year, high_usd_per_year
        The change of the cost a year lies between these; negative is a saving. inf where no plan exists any more,
        and where the time did not suffice to know.
    way
        What was solved again: see :mod:`capacity.optimize.why._pieces`.
    outcome
        ``solved``; ``impossible``: no plan meets the moved requirement; ``no_plan_in_time``.
    """

    name: str
    unit: str
    kind: str
    low_usd_per_year: float
    high_usd_per_year: float
    way: Way
    outcome: Outcome
    runtime_seconds: float
    words: str


def is_close(price: Price, fleet_usd_per_year: float) -> bool:
    """Whether the interval of a price (USD a year) is narrow enough to be told."""
    low, high = price.low_usd_per_year, price.high_usd_per_year
    return high - low <= max(
        2 * _NOTHING_USD, _CLOSE_OF_FLEET_FRAC * fleet_usd_per_year, _CLOSE_FRAC * min(abs(low), abs(high))
    )


def narrower(solved: Price, known: Price | None) -> Price:
    """What was solved again, or where that ended early what was known before."""
    if known is None or solved.outcome == "impossible":
        return solved
    widths = [p.high_usd_per_year - p.low_usd_per_year for p in (solved, known)]
    return solved if solved.outcome == "solved" and widths[0] <= widths[1] else known


def changes_nothing(price: Price) -> bool:
    """Where more of it never matters, a larger step needs not be tried."""
    nothing = price.low_usd_per_year <= 0.0 and price.high_usd_per_year > -_NOTHING_USD
    return price.outcome == "solved" and price.way != "unreached" and nothing


def directed(low: float, high: float, direction: int) -> tuple[float, float]:
    """(low, high) USD a year, cut to what is known of the sign: never above 0 (-1), never below (1), either (0)."""
    if direction < 0:
        return min(low, 0.0), min(high, 0.0)
    if direction > 0:
        return max(low, 0.0), max(high, 0.0)
    return low, high


def words_of(move: Moved, low: float, high: float, way: Way, outcome: str) -> str:
    """A price in a sentence: what is moved, by how much the cost changes a year, and how that is known."""
    head = f"{move.name}; {move.unit}"
    if outcome == "impossible":
        return f"{head}: no plan exists ({WAY_WORDS[way]})"
    if outcome == "no_plan_in_time":
        return f"{head}: not known, no plan was found in time"
    return f"{head} {_amount(low, high)} ({WAY_WORDS[way]})"


def _amount(low: float, high: float) -> str:
    if max(abs(low), abs(high)) < _NOTHING_USD:
        return "changes nothing"
    if high - low < max(2 * _NOTHING_USD, 1e-4 * max(abs(low), abs(high))):
        middle = (low + high) / 2
        return f"{'costs' if middle > 0 else 'saves'} {usd(abs(middle))} a year"
    if low >= 0 and low < _NOTHING_USD:
        return f"costs at most {usd(high)} a year"
    if high <= 0 and high > -_NOTHING_USD:
        return f"saves at most {usd(-low)} a year"
    if low >= 0:
        return f"costs between {usd(low)} and {usd(high)} a year"
    if high <= 0:
        return f"saves between {usd(-high)} and {usd(-low)} a year"
    return f"changes the cost by between {usd(low)} and {usd(high)} a year"
