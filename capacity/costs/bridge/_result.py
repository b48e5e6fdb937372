"""What a bridge is: rows of nine states, and the terms between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from math import isfinite
from operator import add
from typing import NamedTuple, TypeVar

import pandas as pd

from capacity.costs._money import to_decimal
from capacity.errors import CapacityError, UsageError

TERMS: tuple[str, ...] = (
    "volume", "efficiency", "mix", "list_rate", "negotiated_rate", "commitment_rate", "new_and_ended", "one_off",
)  # fmt: skip
LINE_KEY: tuple[str, ...] = ("currency", "kind", "name", "provider_service", "pricing_unit", "charge", "sku")
AMOUNTS: tuple[str, ...] = ("start", *TERMS, "end")


class Group(NamedTuple):
    """Where quantities may be added."""

    currency: str
    kind: str
    name: str
    provider_service: str
    pricing_unit: str
    charge: str


# The cost in whole 1e-12 at the start and after each term: nine of them.
States = tuple[int, ...]
Row = tuple[Group, str, States]


@dataclass(frozen=True)
class Bridge:
    """The way from one period's EffectiveCost to another's.

    Attributes
    ----------
    months
        (from, to), as they were named: 2026-08, 2026-Q3, 2026, 2026-01..2026-03.
    without_driver
        Services whose driver units are not known in both periods: all of their change in quantity is in volume.
    days
        Days of the two periods.
    renamed
        (old, new) names of provider services that the provider renamed; they stand under the new one.
    notes
        What else a reader must know, in sentences.
    """

    months: tuple[str, str]
    without_driver: tuple[str, ...]
    _rows: tuple[Row, ...]
    days: tuple[int, int] = (0, 0)
    renamed: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def lines(self) -> pd.DataFrame:
        """The drill-down: one row a SKU.

        currency, kind (service, pool, unallocated), name, provider_service, pricing_unit, charge (usage, purchase,
        unused, commitment, fee, tax, credit, adjustment, refund, one_off), sku, then start, the eight terms of
        :data:`TERMS`, end; Decimals, and start + terms = end in each row.
        """
        return self.by(*LINE_KEY)

    def by(self, *columns: str) -> pd.DataFrame:
        """The SKUs added up, exactly, by some of :data:`LINE_KEY` (currency always among them).

        Raises
        ------
        UsageError
            A column is none of the key.
        """
        keys = list(dict.fromkeys(["currency", *columns]))
        if unknown := set(keys) - set(LINE_KEY):
            raise UsageError(f"bridge: no column {', '.join(sorted(unknown))}; known: {', '.join(LINE_KEY)}")
        rows = [
            (*key, *map(to_decimal, (s[0], *(b - a for a, b in pairwise(s)), s[-1])))
            for key, s in sorted(self._summed(keys).items())
        ]
        return pd.DataFrame(rows, columns=[*keys, *AMOUNTS])

    def _summed(self, keys: list[str]) -> _Sums:
        if "sku" in keys:
            at = [LINE_KEY.index(k) for k in keys]
            full = ((*group, sku) for group, sku, _ in self._rows)
            return _added(((tuple([f[i] for i in at]), row[2]) for f, row in zip(full, self._rows, strict=True)))
        at = [Group._fields.index(k) for k in keys]
        return _added((tuple([group[i] for i in at]), states) for group, states in self._groups.items())

    @cached_property
    def _groups(self) -> Mapping[Group, States]:
        return _added((group, states) for group, _, states in self._rows)

    def by_service(self) -> pd.DataFrame:
        """currency, kind, name, start, the eight terms, end."""
        return self.by("kind", "name")

    def total(self) -> pd.DataFrame:
        """currency, start, the eight terms, end: the whole bill of the two periods."""
        return self.by()


_Sums = dict[tuple[str, ...], States]
_Key = TypeVar("_Key", bound=tuple[str, ...])


def _added(rows: Iterable[tuple[_Key, States]]) -> dict[_Key, States]:
    """The states of rows of one key together."""
    totals: dict[_Key, States] = {}
    for key, states in rows:
        total = totals.get(key)
        totals[key] = states if total is None else tuple(map(add, total, states))
    return totals


def check_ends(rows: Iterable[Row], bills: tuple[int, int]) -> None:
    """The ends of all rows are the two bills: nothing was lost on the way."""
    mine = [0, 0]
    for _, _, states in rows:
        mine[0] += states[0]
        mine[1] += states[-1]
    for bill, found in zip(bills, mine, strict=True):
        if bill != found:
            raise CapacityError(f"the bridge lost {to_decimal(bill - found)} of the bill: please report this")


def ratio_of(before: Mapping[str, float], after: Mapping[str, float], name: str) -> tuple[int, int] | None:
    """U1 / U0 of a service as a fraction of whole numbers; None where its driver is not known in both periods."""
    u0, u1 = before.get(name), after.get(name)
    if u0 is None or u1 is None or not u0 > 0 or not u1 >= 0 or not (isfinite(u0) and isfinite(u1)):
        return None
    (n0, d0), (n1, d1) = (Decimal(repr(float(u))).as_integer_ratio() for u in (u0, u1))
    return n1 * d0, d1 * n0
