"""Facts of a period: what a bill says of each SKU, by how it was bought."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from capacity.costs._columns import Coded, encode, group_rows
from capacity.costs._money import sums_by_group, to_units
from capacity.costs.attribution import Attribution
from capacity.costs.bridge._result import Group

_GROUP = ("BillingCurrency", "kind", "name", "ServiceName", "PricingUnit")
_SUMS = ("PricingQuantity", "ListCost", "ContractedCost", "EffectiveCost")
# How a quantity was bought. A correction waits until it is known whether something was used that it mends: on-demand
# usage, or usage that was covered or spot.
_OWN_PRICE, _OTHERWISE = "own price", "otherwise"
_MEND_OWN, _MEND_OTHERWISE = "mend own price", "mend otherwise"
# What is no more than an amount, and the term that all of its change stands in.
AMOUNT_TERM: Mapping[str, str] = {
    "unused": "commitment_rate", "commitment": "commitment_rate", "fee": "one_off", "tax": "one_off",
    "credit": "one_off", "adjustment": "one_off", "refund": "one_off", "one_off": "one_off",
}  # fmt: skip
# Amounts that come every month: more months bring more of them.
MONTHLY = frozenset({"unused", "commitment", "fee", "tax"})


# Plain tuples of numbers: two years of a large bill are half a million of them, and these the garbage collector leaves
# alone. Sums in whole 1e-12: list and contracted cost (None where a row does not know them), quantity, effective cost.
Fact = tuple[int | None, int | None, int, int]
LISTED: Final = 0
PAID: Final = 1
# One SKU in one period: at its own price, under a commitment or on the spot market, and quantity and effective cost of
# both. Made by thing().
Thing = tuple[Fact | None, Fact | None, int, int]
PLAIN: Final = 0
OTHER: Final = 1
# The same place in a fact and in a thing.
Q: Final = 2
E: Final = 3


def thing(plain: Fact | None, other: Fact | None) -> Thing:
    """A thing of its two parts."""
    if other is None:
        return (plain, None, plain[Q], plain[E]) if plain else (None, None, 0, 0)
    if plain is None:
        return None, other, other[Q], other[E]
    return plain, other, plain[Q] + other[Q], plain[E] + other[E]


def plus(one: Fact | None, more: Fact | None) -> Fact | None:
    """The sum of two facts, either of which may be absent; what one does not know, the sum does not."""
    return more if one is None else one if more is None else _sum(one, more)


def _sum(one: Fact, more: Fact) -> Fact:
    listed = None if one[LISTED] is None or more[LISTED] is None else one[LISTED] + more[LISTED]
    paid = None if one[PAID] is None or more[PAID] is None else one[PAID] + more[PAID]
    return listed, paid, one[Q] + more[Q], one[E] + more[E]


def both(one: Thing, more: Thing) -> Thing:
    """Two things as one."""
    return thing(plus(one[PLAIN], more[PLAIN]), plus(one[OTHER], more[OTHER]))


@dataclass(slots=True)
class Raw:
    """One group in one period, by SKU.

    Attributes
    ----------
    things, mends
        What the SKUs cost, and corrections of them.
    effective
        All of it.
    odd
        Some quantity is not above zero, or there is a correction: see :meth:`settled`.
    """

    things: dict[str, Thing] = field(default_factory=dict)
    mends: dict[str, Thing] = field(default_factory=dict)
    effective: int = 0
    odd: bool = False

    def add(self, sku: str, one: Thing) -> None:
        known = self.things.get(sku)
        self.things[sku] = one if known is None else both(known, one)
        self.effective += one[E]
        self.odd = self.odd or one[Q] <= 0

    def mend(self, sku: str, one: Thing) -> None:
        known = self.mends.get(sku)
        self.mends[sku] = one if known is None else both(known, one)
        self.effective += one[E]
        self.odd = True

    def amounts(self) -> dict[str, int]:
        """EffectiveCost by SKU."""
        out = {sku: one[E] for sku, one in self.things.items()}
        for sku, mend in self.mends.items():
            out[sku] = out.get(sku, 0) + mend[E]
        return out

    def settled(self) -> tuple[dict[str, Thing], dict[str, int]]:
        """(SKUs with what mends them, what comes back for what was not used: all of it one-off).

        A correction mends what its SKU used in the way that it was bought: see :func:`_mended`. A negative quantity
        that is left is a refund.
        """
        if not self.odd:
            return dict(self.things), {}
        things: dict[str, Thing] = {}
        back: dict[str, int] = {}
        for sku, used in self.things.items():
            one, mend = used, self.mends.get(sku)
            if mend is not None:
                one, left = _mended(used, mend)
                if left:
                    back[sku] = left
            if one[Q] < 0:
                back[sku] = back.get(sku, 0) + one[E]
            elif one[Q] > 0 or one[E]:
                things[sku] = one
        back |= {sku: mend[E] for sku, mend in self.mends.items() if sku not in self.things}
        return things, back


def _mended(used: Thing, mend: Thing) -> tuple[Thing, int]:
    """(A SKU with what mends it, the money of corrections that mend nothing).

    On-demand usage is mended apart from what is covered or spot: hours taken from the one at the other's price would
    look like a new price of both. What is all taken back is not used; the money that is then left is no usage either.
    A correction of more than was used that way, or of all that the SKU used, mends nothing.
    """
    if used[Q] <= 0:
        return used, mend[E]
    parts: list[Fact | None] = []
    left = 0
    for one, fix in ((used[PLAIN], mend[PLAIN]), (used[OTHER], mend[OTHER])):
        whole = plus(one, fix)
        if fix is None or whole is None or (whole[Q] > 0 and (one is None or one[Q] > 0)):
            parts.append(whole)
        elif one is not None and one[Q] > 0 and whole[Q] == 0:
            parts.append(None)
            left += whole[E]
        else:
            parts.append(one)
            left += fix[E]
    out = thing(*parts)
    return (out, left) if out[Q] > 0 else (used, mend[E])


Facts = dict[Group, Raw]


def months_facts(
    attribution: Attribution, months: Iterable[str], names: Mapping[str, str]
) -> Iterator[tuple[str, Facts]]:
    """(month, its facts), in order; a month is made when it is asked for, so that two years need not be held.

    Parameters
    ----------
    names
        A provider service's old name -> its new one.
    """
    wanted = sorted(set(months))
    pieces = attribution.pieces
    pieces = pieces.filter(pc.is_in(pieces.column("month"), pa.array(wanted, pa.string())))
    if not pieces.num_rows:
        return
    charge, part = _charge(pieces), _part(pieces)
    pieces = pieces.append_column("charge", charge).append_column(
        "part", pc.if_else(pc.is_in(charge, pa.array(["usage", "purchase"])), part, _OWN_PRICE)
    )
    pieces = pieces.sort_by("month")  # rows of a month stand together, and so do its groups by first appearance
    keys = {c: encode(pieces.column(c)) for c in ("month", *_GROUP, "charge", "part", "SkuId")}
    rows = group_rows([(c.codes, c.cardinality) for c in keys.values()], pieces.num_rows)
    sums = sums_by_group(pieces, rows.group, rows.count, _SUMS)
    unknown = [_nulls(pieces, f"{c}_nulls", rows.group, rows.count) for c in ("ListCost", "ContractedCost")]
    groups = _groups(keys, rows.first_row, names)
    text = [keys[c].take(rows.first_row).to_pylist() for c in ("part", "SkuId")]
    columns = [*text, groups, *(to_units(sums[c]) for c in _SUMS), *unknown]
    of_month = keys["month"].codes[rows.first_row]
    edges = [0, *(np.flatnonzero(np.diff(of_month)) + 1).tolist(), rows.count]
    for first, last in pairwise(edges):
        yield keys["month"].distinct[int(of_month[first]) - 1].as_py(), _facts([c[first:last] for c in columns])


def _facts(columns: Sequence[Sequence[Any]]) -> Facts:
    """Facts of one month from its part, SkuId, group, four sums and the two counts of what is not known."""
    out: Facts = {}
    for how, sku, group, q, li, co, e, no_l, no_c in zip(*columns, strict=True):
        raw = out.get(group)
        if raw is None:
            raw = out[group] = Raw()
        fact = (None if no_l else li, None if no_c else co, q, e)
        one = (fact, None, q, e) if how in (_OWN_PRICE, _MEND_OWN) else (None, fact, q, e)
        if how in (_OWN_PRICE, _OTHERWISE):
            raw.add(sku or "", one)
        else:
            raw.mend(sku or "", one)
    return out


def _nulls(pieces: pa.Table, column: str, group: npt.NDArray[np.int64], count: int) -> list[float]:
    found: list[float] = np.bincount(group, weights=pieces.column(column).to_numpy(), minlength=count).tolist()
    return found


def _groups(keys: Mapping[str, Coded], at: npt.NDArray[np.int64], names: Mapping[str, str]) -> list[Group]:
    """The group of each row; rows of one group share one object."""
    columns = [keys[c] for c in (*_GROUP, "charge")]
    found = group_rows([(c.codes[at], c.cardinality) for c in columns], len(at))
    text = [[v or "" for v in c.take(at[found.first_row]).to_pylist()] for c in columns]
    text[3] = [names.get(v, v) for v in text[3]]
    distinct = [Group(*row) for row in zip(*text, strict=True)]
    return [distinct[g] for g in found.group.tolist()]


def together(parts: Sequence[Facts]) -> Facts:
    """Facts of several months as those of one period."""
    if len(parts) == 1:
        return parts[0]
    out: Facts = {}
    for facts in parts:
        for group, raw in facts.items():
            into = out.setdefault(group, Raw())
            for sku, one in raw.things.items():
                into.add(sku, one)
            for sku, mend in raw.mends.items():
                into.mend(sku, mend)
    return out


# --- what a charge is --------------------------------------------------------------------------------------


def _is(column: pa.ChunkedArray, *values: str) -> pa.ChunkedArray:
    """Whether a text is one of ``values``, whatever its case; a null is none."""
    return pc.fill_null(pc.is_in(pc.utf8_lower(column), pa.array(values)), False)


def _charge(pieces: pa.Table) -> pa.ChunkedArray:
    """usage, purchase, or one of :data:`AMOUNT_TERM`, for each piece."""
    category, frequency = pieces.column("ChargeCategory"), pieces.column("ChargeFrequency")
    purchase, once = _is(category, "purchase"), _is(frequency, "one-time")
    nothing = pc.equal(pieces.column("PricingQuantity"), 0)
    names = pieces.column("ServiceName")
    support = pc.fill_null(pc.match_substring_regex(names, r"(?i)\bsupport\b"), False)
    fee = pc.or_(support, pc.and_(nothing, _is(frequency, "recurring", "one-time")))
    # A refund without a quantity says nothing about a rate; one with a quantity mends its SKU.
    refund = pc.and_(_is(pieces.column("ChargeClass"), "correction"), nothing)
    kinds = (
        ("tax", _is(category, "tax")),
        ("credit", _is(category, "credit")),
        ("adjustment", _is(category, "adjustment")),
        ("one_off", pc.and_(purchase, once)),
        ("refund", refund),
        ("unused", _is(pieces.column("CommitmentDiscountStatus"), "unused")),
        ("commitment", pc.and_(purchase, _is(pieces.column("PricingCategory"), "committed"))),
        ("fee", fee),
        ("purchase", purchase),
    )
    found = pa.chunked_array([pa.array(["usage"] * pieces.num_rows, pa.string())])
    for name, mask in reversed(kinds):
        found = pc.if_else(mask, name, found)
    return found


def _part(pieces: pa.Table) -> pa.ChunkedArray:
    """How a piece's quantity was bought; corrections with marks of their own."""
    used = _is(pieces.column("CommitmentDiscountStatus"), "used")
    other = pc.or_(used, _is(pieces.column("PricingCategory"), "committed", "dynamic"))
    mend = _is(pieces.column("ChargeClass"), "correction")
    mended = pc.if_else(other, _MEND_OTHERWISE, _MEND_OWN)
    return pc.if_else(mend, mended, pc.if_else(other, _OTHERWISE, _OWN_PRICE))


# --- renamed provider services -----------------------------------------------------------------------------


def renamed_services(*attributions: Attribution) -> dict[str, str]:
    """Old name -> new name of provider services that were renamed.

    One name ends in a month before another begins, in everything that the bills hold, and both have a SKU in common:
    SKUs are the provider's own numbers, so it is the same service. A name that changes within a month is not seen.
    """
    span: dict[str, tuple[str, str]] = {}
    names_of: dict[str, set[str]] = {}
    for attribution in {id(a): a for a in attributions}.values():
        found = attribution.pieces.group_by(["ServiceName", "SkuId"]).aggregate([("month", "min"), ("month", "max")])
        columns = (found.column(c).to_pylist() for c in ("ServiceName", "SkuId", "month_min", "month_max"))
        for name, sku, first, last in zip(*columns, strict=True):
            if not name:
                continue
            known = span.get(name, (first, last))
            span[name] = (min(known[0], first), max(known[1], last))
            if sku:
                names_of.setdefault(sku, set()).add(name)
    out: dict[str, str] = {}
    for names in (n for _, n in sorted(names_of.items()) if len(n) > 1):
        for old in sorted(names):
            later = [n for n in names if span[old][1] < span[n][0]]
            if later:
                out.setdefault(old, min(later, key=lambda n: (span[n][0], n)))
    for old in out:
        while out[old] in out:
            out[old] = out[out[old]]
    return out
