"""What one more unit of a requirement costs or saves a year, by solving again with it moved by one unit.

The difference of two optima lies in [bound_new - objective_old, objective_new - bound_old]: both solves prove a bound,
so the price is told as "between". A move by which less is asked can only save, and one by which more is asked can only
cost; that narrows the interval where the direction is known. Linear duals only rank what is tried.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from capacity.domain import MixProblem, MixSolution, SolveStatus, Unit
from capacity.errors import InfeasiblePlanError, NoPlanInTimeError
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize.solve import solve
from capacity.optimize.why._enclosed import enclosed
from capacity.optimize.why._pieces import WAY_WORDS, Piece, Way, coupled, piece_of
from capacity.optimize.why._plan import per_year
from capacity.optimize.why.moves import Moved, moves, rank, touched
from capacity.words import listed, usd

# A part of a fleet is solved to this gap: it is small, and its gap is the width of the price.
_PIECE_GAP_FRAC = 1e-6
# Share of the time limit that ranking may use.
_RANK_SHARE = 0.2
# Until when, of it, moves of single services are told between what arithmetic proves.
_ENCLOSED_UNTIL = 0.6
# Cells of the knapsacks that prove it: of all, then finer ones of what is not told closely yet.
_CELLS = (256, 1024)
# An interval as narrow as this share of its middle is not worth solving again.
_CLOSE_FRAC = 0.01
# Moves of single services that come before those of the whole fleet.
_QUICK_FIRST = 5
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


@dataclass(frozen=True)
class Prices:
    """Prices, the dearest by the duals first, and what the time did not suffice for, by name."""

    tried: tuple[Price, ...]
    not_tried: tuple[str, ...]


def prices(
    problem: MixProblem,
    solution: MixSolution,
    moved: Sequence[Moved] = (),
    *,
    headroom_frac: Mapping[Unit, float] | None = None,
    kinds: Collection[str] | None = None,
    most: int | None = None,
    time_limit_seconds: float = 60.0,
    seconds_each: float = 10.0,
    gap_frac: float = 0.002,
    solver: Literal["highs", "cbc"] = "highs",
    seed: int = 1,
) -> Prices:
    """What each binding requirement is worth.

    Parameters
    ----------
    problem, solution
        A plan of :func:`capacity.optimize.solve`, and its problem.
    moved
        Moves beyond those that follow from the problem: another service level, a millisecond of SLO. Tried first.
    headroom_frac
        By unit, the headroom that its candidates' ``safe`` already leaves; without it headroom is not moved.
    kinds
        Only moves of these kinds (:class:`capacity.optimize.why.Moved`); all where absent.
    most
        Solve so many again, those that the duals rank highest; all where absent. Others are told by arithmetic where
        that proves anything, between wider bounds; the rest is named among what was not tried.
    time_limit_seconds, seconds_each
        Wall time of all solves together and of each. What no time was left for is named.
    gap_frac
        Of solves of the whole fleet. Parts of it are solved to the optimum.

    Returns
    -------
    Prices
        In USD a year: the horizon's USD times 8,760 over its hours.
    """
    began = time.perf_counter()
    at = _at_limit(problem, solution)
    own = [m for m in moves(problem, headroom_frac) if m.kind not in at or m.name.split(": ")[0] in at[m.kind]]
    wanted = [m for m in (*moved, *own) if kinds is None or m.kind in kinds]
    ranked = rank(problem, wanted, _RANK_SHARE * time_limit_seconds) if len(wanted) > 1 else wanted
    ranked = _quick_ones_first(ranked)
    work = _Work(problem, solution, began + time_limit_seconds, seconds_each, gap_frac, solver, seed)
    known = work.enclosed(ranked, Deadline(time.perf_counter, began + _ENCLOSED_UNTIL * time_limit_seconds))
    told: dict[int, list[Price]] = {k: [price] for k, price in known.items()}
    # What nothing is known of comes first, then what is told least closely for its rank.
    order = sorted(range(len(ranked)), key=lambda k: (k in known, k))
    for k in [k for k in order if k not in known or not _is_close(known[k])][:most]:
        if work.left() <= 0:
            break
        told[k] = [_both(work.price(ranked[k]), known.get(k))]
    for k, move in enumerate(ranked):
        if move.then is not None and k in told and _changes_nothing(told[k][0]) and work.left() > 0:
            told[k].append(work.price(move.then))
    left = tuple(f"{m.name}: {m.unit}" for k, m in enumerate(ranked) if k not in told)
    return Prices(tuple(price for k in range(len(ranked)) for price in told.get(k, ())), left)


def _quick_ones_first(ranked: Sequence[Moved]) -> list[Moved]:
    """The dearest few of single services before those of the whole fleet: each of these takes as long as ten others."""
    whole = [m for m in ranked if m.name.endswith(" policy")]
    single = [m for m in ranked if m not in whole]
    return [*single[:_QUICK_FIRST], *whole, *single[_QUICK_FIRST:]]


def _at_limit(problem: MixProblem, solution: MixSolution) -> dict[str, set[str]]:
    """Units that the plan has at their largest or smallest count; loads and states always decide something."""
    most = solution.provisioned.groupby(["unit", "month"])["per_zone"].sum().groupby("unit").max().to_dict()
    least = solution.running.groupby(["unit", "month", "block"])["per_zone"].sum().groupby("unit").min().to_dict()
    names = {str(r.unit): r for r in problem.requirements}
    return {
        "maximum": {name for name, r in names.items() if most.get(name, 0) >= r.max_per_zone},
        "minimum": {name for name, r in names.items() if name in least and least[name] <= r.min_per_zone},
    }


def _is_close(price: Price) -> bool:
    low, high = price.low_usd_per_year, price.high_usd_per_year
    return high - low <= max(2 * _NOTHING_USD, _CLOSE_FRAC * min(abs(low), abs(high)))


def _both(solved: Price, known: Price | None) -> Price:
    """What was solved again, or where that ended early what was known before: the narrower one."""
    if known is None or solved.outcome == "impossible":
        return solved
    widths = [p.high_usd_per_year - p.low_usd_per_year for p in (solved, known)]
    return solved if solved.outcome == "solved" and widths[0] <= widths[1] else known


def _changes_nothing(price: Price) -> bool:
    return price.outcome == "solved" and price.low_usd_per_year <= 0.0 and price.high_usd_per_year > -_NOTHING_USD


@dataclass
class _Work:
    """Solves pieces, and remembers what a piece costs before any move."""

    problem: MixProblem
    solution: MixSolution
    deadline: float
    seconds_each: float
    gap_frac: float
    solver: Literal["highs", "cbc"]
    seed: int
    pieces: dict[frozenset[Unit], Piece] = field(default_factory=dict)
    before: dict[tuple[Way, frozenset[Unit]], SolveStatus] = field(default_factory=dict)
    groups: Mapping[Unit, int] = field(default_factory=dict)

    def _piece(self, units: frozenset[Unit]) -> Piece:
        if units not in self.pieces:
            self.groups = self.groups or coupled(self.problem)
            self.pieces[units] = piece_of(self.problem, self.solution, units, self.groups)
        return self.pieces[units]

    def enclosed(self, moved: Sequence[Moved], deadline: Deadline) -> dict[int, Price]:
        """By position: moves of single services between what arithmetic proves of their cost, as far as time goes."""
        out: dict[int, Price] = {}
        try:
            by_piece = self._of_single_units(moved, deadline)
            for cells in _CELLS:
                for piece, own in by_piece:
                    some = [k for k in own if k not in out or not _is_close(out[k])]
                    if some and (cells == _CELLS[0] or any(k in out for k in some)):
                        out |= self._enclosed(piece, {k: moved[k] for k in some}, cells, deadline)
        except TimeIsUp:
            pass
        return out

    def _of_single_units(self, moved: Sequence[Moved], deadline: Deadline) -> list[tuple[Piece, list[int]]]:
        out: dict[frozenset[Unit], tuple[Piece, list[int]]] = {}
        for k, move in enumerate(moved):
            deadline.check()
            piece = self._piece(touched(self.problem, move.problem))
            if piece.way != "whole" and len(piece.units) == 1:
                out.setdefault(piece.units, (piece, []))[1].append(k)
        return [*out.values()]

    def _enclosed(self, piece: Piece, moved: Mapping[int, Moved], cells: int, deadline: Deadline) -> dict[int, Price]:
        began = time.perf_counter()
        asked = [piece.of(self.problem), *(piece.of(move.problem) for move in moved.values())]
        old, *found = enclosed(asked, cells, deadline)
        seconds = (time.perf_counter() - began) / len(moved)
        return {
            k: self._priced(move, piece, "solved", (new[0] - old[1], new[1] - old[0]), seconds)
            for (k, move), new in zip(moved.items(), found, strict=True)
            if old is not None and new is not None
        }

    def left(self) -> float:
        return self.deadline - time.perf_counter()

    def price(self, move: Moved) -> Price:
        began = time.perf_counter()
        piece = self._piece(touched(self.problem, move.problem))
        outcome, low, high = self._difference(piece, move.problem)
        if outcome == "impossible" and piece.exact is not None:
            piece = piece.exact
            outcome, low, high = self._difference(piece, move.problem)
        return self._priced(move, piece, outcome, (low, high), time.perf_counter() - began)

    def _priced(
        self, move: Moved, piece: Piece, outcome: Outcome, usd_between: tuple[float, float], seconds: float
    ) -> Price:
        low, high = _directed(*usd_between, move.direction)
        year = per_year(self.problem)
        words = _words(move, low * year, high * year, piece.way, outcome)
        return Price(move.name, move.unit, move.kind, low * year, high * year, piece.way, outcome, seconds, words)

    def _difference(self, piece: Piece, moved: MixProblem) -> tuple[Outcome, float, float]:
        try:
            old, new = self._before(piece), self._solve(piece, moved)
        except InfeasiblePlanError:
            return "impossible", math.inf, math.inf
        except NoPlanInTimeError:
            return "no_plan_in_time", -math.inf, math.inf
        return "solved", new.bound - old.objective, new.objective - old.bound

    def _before(self, piece: Piece) -> SolveStatus:
        if piece.way == "whole" and not piece.small:
            return self.solution.status
        key = (piece.way, piece.units)
        if key not in self.before:
            self.before[key] = self._solve(piece, self.problem)
        return self.before[key]

    def _solve(self, piece: Piece, problem: MixProblem) -> SolveStatus:
        seconds = max(min(self.seconds_each, self.left()), 0.1)
        gap = self.gap_frac if piece.way == "whole" and not piece.small else _PIECE_GAP_FRAC
        return solve(piece.of(problem), seconds, gap, self.solver, self.seed).status


def _directed(low: float, high: float, direction: int) -> tuple[float, float]:
    if direction < 0:
        return min(low, 0.0), min(high, 0.0)
    if direction > 0:
        return max(low, 0.0), max(high, 0.0)
    return low, high


def _words(move: Moved, low: float, high: float, way: Way, outcome: str) -> str:
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
    if low >= 0:
        return f"costs between {usd(low)} and {usd(high)} a year"
    if high <= 0:
        return f"saves between {usd(-high)} and {usd(-low)} a year"
    return f"changes the cost by between {usd(low)} and {usd(high)} a year"


def not_tried_words(found: Prices) -> str:
    """One sentence on what the time did not suffice for; empty where all was tried."""
    if not found.not_tried:
        return ""
    shown = list(found.not_tried[:5]) + ([f"{len(found.not_tried) - 5} more"] if len(found.not_tried) > 5 else [])
    return f"not tried: {listed(shown)}"
