"""What covered usage would have cost on demand, where the bill's own columns say so and where they do not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from capacity.costs._money import EXACT, quantize, to_decimal
from capacity.costs.commitment_review._rows import Line, rate

# (region, instance type) -> price of an hour
Prices = Mapping[tuple[str, str], Decimal]
_TYPE = re.compile(r":(?:db\.|cache\.)?([a-z][\w-]*\.\w+)$")
_HOURS = re.compile(r"(?i)^h(ou)?rs?$")


@dataclass(frozen=True)
class Value:
    """What a line would have cost on demand: at negotiated and at list price. ``basis`` says how that is known."""

    contracted: int
    listed: int
    basis: str


@dataclass
class OnDemand:
    """Values lines at on demand: by their own columns, else by the same SKU elsewhere in the bill, else by a price
    list, else not at all.

    Attributes
    ----------
    prices
        On-demand prices in ``currency``, for what no row of the bill tells.
    """

    prices: Prices
    currency: str
    _rates: dict[tuple[str, str, str, str], dict[str, tuple[int, int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, lines: Sequence[Line], prices: Prices, currency: str) -> OnDemand:
        out = cls(prices, currency)
        sums: dict[tuple[str, str, str, str], dict[str, list[int]]] = {}
        for line in lines:
            if (
                line.contracted is None
                or not _is_told(line)
                or line.quantity <= 0
                or not line.sku
                or not (line.is_used or line.is_open)
            ):
                continue
            at = sums.setdefault(_key(line), {}).setdefault(line.month, [0, 0, 0])
            at[0] += line.contracted
            at[1] += line.listed or line.contracted
            at[2] += line.quantity
        out._rates = {
            key: {month: (rate(c, q), rate(li, q)) for month, (c, li, q) in by_month.items()}
            for key, by_month in sums.items()
        }
        return out

    def value(self, line: Line) -> Value | None:
        """None where nobody knows; a price is never guessed."""
        if line.contracted is not None and _is_told(line):
            return Value(line.contracted, line.listed or line.contracted, "bill")
        if line.is_open:  # nothing covers it: what it costs is what it costs on demand
            return Value(line.effective, line.listed if line.listed is not None else line.effective, "bill")
        found = self._rates.get(_key(line)) if line.sku else None
        if found and line.quantity > 0:
            near = min(found, key=lambda m: (abs(_number(m) - _number(line.month)), m))
            contracted, listed = found[near]
            return Value(_times(contracted, line.quantity), _times(listed, line.quantity), "sku")
        if line.listed:
            return Value(line.listed, line.listed, "list")
        return self._by_price(line)

    def _by_price(self, line: Line) -> Value | None:
        named = _TYPE.search(line.meter)
        if named is None or not _HOURS.match(line.unit) or line.currency != self.currency or line.quantity <= 0:
            return None
        price = self.prices.get((line.region, named.group(1)))
        if price is None:
            return None
        usd = quantize(EXACT.multiply(price, to_decimal(line.quantity)))
        return Value(usd, usd, "prices")


def _is_told(line: Line) -> bool:
    """Whether ContractedCost is what it would have cost: some exports write 0 there for what a commitment covers.

    Usage that nothing was paid for and that has no list cost either may well be free: such a 0 is a price.
    """
    worth_something = (line.listed or 0) > 0 or line.effective > 0
    return line.contracted is not None and not (line.is_used and line.contracted == 0 and worth_something)


def _key(line: Line) -> tuple[str, str, str, str]:
    return line.sku, line.region, line.currency, line.unit


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:])


def _times(price: int, quantity: int) -> int:
    return quantize(EXACT.multiply(to_decimal(price), to_decimal(quantity)))


def words(bases: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """What is said of rows whose on-demand cost is not in their own columns: (basis, rows) of each line."""
    rows: dict[str, int] = {}
    for basis, count in bases:
        rows[basis] = rows.get(basis, 0) + count
    says = {
        "sku": "on-demand cost of {} row(s) taken from the same SKU elsewhere in the bill",
        "list": "on-demand cost of {} row(s) is at list price: no contracted cost",
        "prices": "on-demand cost of {} row(s) taken from the price list",
    }
    return tuple(text.format(rows[basis]) for basis, text in says.items() if basis in rows)
