"""Why EffectiveCost moved between two months: eight terms in a fixed order, exact, with no residual.

Inside a service and a (provider service, pricing unit), where quantities may be added, the cost of SKU k is

    U x (Q/U) x s_k x l_k x c_k x e_k

with U driver units, Q the group's PricingQuantity, s the SKU's share of it, l = List / quantity, c = Contracted /
List, e = Effective / Contracted. One factor after the other moves from the old month to the new one; each state is
rounded once to 1e-12, and a term is the difference of two states. So the terms add up to the change by construction.

    volume            U                with the old quantity a unit
    efficiency        Q / U            at the old mix
    mix               s                at the old prices
    list_rate         l
    negotiated_rate   c
    commitment_rate   e, and what commitments cost unused
    new_and_ended     groups that only one of the two months has
    one_off           credits, tax, adjustments, one-time purchases, refunds without a quantity
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from capacity.costs._money import EXACT, to_decimal, to_units
from capacity.costs.attribution import Attribution
from capacity.errors import CapacityError, MissingDataError, UsageError

TERMS: tuple[str, ...] = (
    "volume", "efficiency", "mix", "list_rate", "negotiated_rate", "commitment_rate", "new_and_ended", "one_off",
)  # fmt: skip
LINE_KEY: tuple[str, ...] = ("currency", "kind", "name", "provider_service", "pricing_unit", "charge", "sku")
_AMOUNTS = ("start", *TERMS, "end")


@dataclass(frozen=True)
class Bridge:
    """The way from one month's EffectiveCost to another's.

    Attributes
    ----------
    months
        (from, to), YYYY-MM.
    without_driver
        Services whose driver units are not known in both months: all of their change in quantity is in volume.
    """

    months: tuple[str, str]
    without_driver: tuple[str, ...]
    _rows: tuple[_Row, ...]

    @cached_property
    def lines(self) -> pd.DataFrame:
        """The drill-down: one row a SKU.

        currency, kind (service, pool, unallocated), name, provider_service, pricing_unit, sku, charge (usage,
        purchase, unused, one_off), then start, the eight terms of :data:`TERMS`, end; Decimals, and start + terms =
        end in each row.
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
        at = [LINE_KEY.index(k) for k in keys]
        totals: dict[tuple[str, ...], list[int]] = {}
        for group, sku, states in self._rows:
            full = (*group, sku)
            key = tuple([full[i] for i in at])
            total = totals.get(key)
            totals[key] = states if total is None else [a + b for a, b in zip(total, states, strict=True)]
        rows = [
            (*key, *map(to_decimal, (s[0], *(b - a for a, b in pairwise(s)), s[-1])))
            for key, s in sorted(totals.items())
        ]
        return pd.DataFrame(rows, columns=[*keys, *_AMOUNTS])

    def by_service(self) -> pd.DataFrame:
        """currency, kind, name, start, the eight terms, end."""
        return self.by("kind", "name")

    def total(self) -> pd.DataFrame:
        """currency, start, the eight terms, end: the whole bill of the two months."""
        return self.by()


def bridge(
    before: Attribution,
    after: Attribution,
    months: tuple[str, str],
    units_before: Mapping[str, float],
    units_after: Mapping[str, float],
) -> Bridge:
    """Explain the change of EffectiveCost from ``months[0]`` in ``before`` to ``months[1]`` in ``after``.

    Shared pools and what is unallocated stand beside the services, so that the whole bill is explained; they have no
    driver. Rules of the terms:

    - A SKU that only one month has, in a (provider service, pricing unit) that both have, is a change of mix: the
      work moved. A new SKU is priced at its own list price with the group's old contracted and effective ratios.
    - A (provider service, pricing unit) that only one month has is new or ended.
    - Charges without a quantity (a support fee) have no volume, efficiency or mix: their change is one of rate.
    - Where List or Contracted cost is not known, or zero beside a real cost, the next known column stands for it.

    Parameters
    ----------
    before, after
        Attributions that hold the two months (the same one may serve as both).
    units_before, units_after
        service -> driver units counted in the month. A service without units (or with none before) has its change
        of quantity in volume, and is named in ``without_driver``.

    Raises
    ------
    MissingDataError
        One of the two months has no charge.
    """
    for attribution, month in ((before, months[0]), (after, months[1])):
        if month not in attribution.months:
            raise MissingDataError(f"no charge in {month}; months with charges: {', '.join(attribution.months)}")
    old, new = _facts(before, months[0]), _facts(after, months[1])
    rows: list[_Row] = []
    without_driver: set[str] = set()
    with localcontext(EXACT):
        for group in sorted({*old, *new}):
            scale = _driver_scale(group, units_before, units_after)
            if scale is None and group.kind == "service" and group.charge == "usage":
                without_driver.add(group.name)
            rows += _group_rows(group, old.get(group, {}), new.get(group, {}), scale)
    _check(rows, old, new)
    return Bridge(months, tuple(sorted(without_driver)), tuple(rows))


# --- facts of one month ------------------------------------------------------------------------------------


class _Group(NamedTuple):
    """Where quantities may be added."""

    currency: str
    kind: str
    name: str
    provider_service: str
    pricing_unit: str
    charge: str


class _Fact(NamedTuple):
    """Sums of one SKU in one month, in whole 1e-12; list and contracted are None where a row does not know them."""

    quantity: Decimal
    listed: Decimal | None
    contracted: Decimal | None
    effective: Decimal


_Facts = Mapping[str, _Fact]  # by SKU
_Row = tuple[_Group, str, list[int]]  # group, SKU, states at the start and after each term
_SUMS = ("PricingQuantity", "ListCost", "ContractedCost", "EffectiveCost")


def _facts(attribution: Attribution, month: str) -> dict[_Group, dict[str, _Fact]]:
    pieces = attribution.pieces.filter(pc.equal(attribution.pieces.column("month"), month))
    keys = ("BillingCurrency", "kind", "name", "ServiceName", "PricingUnit", "charge", "SkuId")
    work = pieces.append_column("charge", _charge(pieces)).group_by(list(keys)).aggregate(
        [(c, "sum") for c in (*_SUMS, "ListCost_nulls", "ContractedCost_nulls")]
    )  # fmt: skip
    names = zip(*(pc.fill_null(work.column(k), "").to_pylist() for k in keys), strict=True)
    quantity, listed, contracted, effective = (map(Decimal, to_units(work.column(f"{c}_sum"))) for c in _SUMS)
    unknown = (work.column(f"{c}_nulls_sum").to_pylist() for c in ("ListCost", "ContractedCost"))
    out: dict[_Group, dict[str, _Fact]] = {}
    for name, q, li, co, e, no_l, no_c in zip(names, quantity, listed, contracted, effective, *unknown, strict=True):
        fact = _Fact(q, None if no_l else li, None if no_c else co, e)
        out.setdefault(_Group(*name[:6]), {})[name[6]] = fact
    return out


def _charge(pieces: pa.Table) -> pa.ChunkedArray:
    """usage, purchase, unused (commitment) or one_off, for each piece."""
    category, frequency = pieces.column("ChargeCategory"), pc.utf8_lower(pieces.column("ChargeFrequency"))
    purchase = pc.equal(category, "Purchase")
    one_off = pc.is_in(category, pa.array(["Credit", "Tax", "Adjustment"]))
    one_off = pc.or_(one_off, pc.and_(purchase, pc.fill_null(pc.equal(frequency, "one-time"), False)))
    correction = pc.fill_null(pc.equal(pieces.column("ChargeClass"), "Correction"), False)
    # A refund without a quantity says nothing about a rate; one with a quantity mends its SKU.
    one_off = pc.or_(one_off, pc.and_(correction, pc.equal(pieces.column("PricingQuantity"), 0)))
    unused = pc.fill_null(pc.equal(pieces.column("CommitmentDiscountStatus"), "Unused"), False)
    return pc.if_else(one_off, "one_off", pc.if_else(unused, "unused", pc.if_else(purchase, "purchase", "usage")))


def _driver_scale(group: _Group, before: Mapping[str, float], after: Mapping[str, float]) -> Decimal | None:
    """U1 / U0; None where there is no driver. Purchases and unused commitments follow no driver."""
    if group.kind != "service" or group.charge != "usage":
        return None
    u0, u1 = before.get(group.name), after.get(group.name)
    if u0 is None or u1 is None or not u0 > 0 or not u1 >= 0:
        return None
    return Decimal(repr(float(u1))) / Decimal(repr(float(u0)))


# --- terms -------------------------------------------------------------------------------------------------

_NEW_AND_ENDED, _ONE_OFF, _COMMITMENT = (TERMS.index(t) for t in ("new_and_ended", "one_off", "commitment_rate"))


def _group_rows(group: _Group, old: _Facts, new: _Facts, scale: Decimal | None) -> list[_Row]:
    skus = sorted({*old, *new})
    if group.charge in ("one_off", "unused"):
        term = _ONE_OFF if group.charge == "one_off" else _COMMITMENT
        return [(group, k, _in_one_term(old.get(k), new.get(k), term)) for k in skus]
    lumps = {k for k in skus if any(k in side and side[k].quantity <= 0 for side in (old, new))}
    old_q, new_q = ({k: f for k, f in side.items() if k not in lumps} for side in (old, new))
    rows = [(group, k, _lump_states(old.get(k), new.get(k))) for k in sorted(lumps)]
    if old_q and new_q:
        whole = _sum(old_q.values())
        growth = sum(f.quantity for f in new_q.values()) / whole.quantity
        move = _Move(growth, growth if scale is None else scale, whole)
        return rows + [(group, k, move.states(old_q.get(k), new_q.get(k))) for k in sorted({*old_q, *new_q})]
    measured = sorted({*old_q, *new_q})
    return rows + [(group, k, _in_one_term(old.get(k), new.get(k), _NEW_AND_ENDED)) for k in measured]


def _states(*states: Decimal) -> list[int]:
    """States rounded once, to whole 1e-12."""
    return [int(s.to_integral_value()) for s in states]


def _in_one_term(old: _Fact | None, new: _Fact | None, term: int) -> list[int]:
    start, end = (f.effective if f else Decimal(0) for f in (old, new))
    return _states(*[start] * (term + 1), *[end] * (len(TERMS) - term))


def _lump_states(old: _Fact | None, new: _Fact | None) -> list[int]:
    """A charge without a quantity: its price is its cost."""
    if old is None or new is None:
        return _in_one_term(old, new, _NEW_AND_ENDED)
    one = Decimal(1)
    rate = _Rates.of(old._replace(quantity=one), new._replace(quantity=one))
    start = old.effective
    return _states(start, start, start, start, *rate.after_prices(), *[new.effective] * 3)


@dataclass(frozen=True)
class _Move:
    """A group of SKUs that both months have: growth of its quantity and of its driver, and its old sums."""

    growth: Decimal
    scale: Decimal
    old_whole: _Fact

    def states(self, old: _Fact | None, new: _Fact | None) -> list[int]:
        """Start, and the state after each term, of one SKU."""
        zero = Decimal(0)
        if new is None:
            gone = old.effective if old else zero
            return _states(gone, gone * self.scale, gone * self.growth, *[zero] * 6)
        if old is None:
            rate = _Rates.of(self.old_whole, new)
            listed, negotiated = rate.after_prices()
            # Priced at its own list price, a new SKU brings no change of list rate.
            return _states(zero, zero, zero, listed, listed, negotiated, *[new.effective] * 3)
        rate = _Rates.of(old, new)
        start = old.effective
        mixed = new.quantity / old.quantity * rate.old_price
        return _states(
            start, start * self.scale, start * self.growth, mixed, *rate.after_prices(), *[new.effective] * 3
        )


@dataclass(frozen=True)
class _Rates:
    """Ratios of one SKU (or of its group) in the two months; a ratio over zero is taken from the other month."""

    old_list: Decimal
    new_list: Decimal
    negotiated: tuple[Decimal, Decimal]  # contracted / list, old and new
    commitment: Decimal  # effective / contracted, old

    @classmethod
    def of(cls, old: _Fact, new: _Fact) -> _Rates:
        (l0, c0, e0), (l1, c1, e1) = _known_costs(old, new)
        return cls(l0, l1, (_ratio(c0, l0, c1, l1), _ratio(c1, l1, c0, l0)), _ratio(e0, c0, e1, c1))

    @property
    def old_price(self) -> Decimal:
        """The old cost, as the product of its factors."""
        return self.old_list * self.negotiated[0] * self.commitment

    def after_prices(self) -> tuple[Decimal, Decimal]:
        """The states after list_rate and after negotiated_rate."""
        at_old, at_new = (self.new_list * n * self.commitment for n in self.negotiated)
        return at_old, at_new


def _ratio(top: Decimal, bottom: Decimal, other_top: Decimal, other_bottom: Decimal) -> Decimal:
    if bottom:
        return top / bottom
    return other_top / other_bottom if other_bottom else Decimal(1)


def _known_costs(*facts: _Fact) -> list[tuple[Decimal, Decimal, Decimal]]:
    """(list, contracted, effective) of each month; a column that any of them lacks is replaced in all of them."""
    list_known = all(_is_known(f.listed, f.effective) for f in facts)
    contracted_known = all(_is_known(f.contracted, f.effective) for f in facts)
    out = []
    for f in facts:
        listed, contracted = f.listed or Decimal(0), f.contracted or Decimal(0)
        if not contracted_known:
            contracted = listed if list_known else f.effective
        out.append((listed if list_known else contracted, contracted, f.effective))
    return out


def _is_known(cost: Decimal | None, effective: Decimal) -> bool:
    """Bills write zero for "not known" too: a zero beside a real cost is no price."""
    return cost is not None and (cost != 0 or effective == 0)


def _sum(facts: Iterable[_Fact]) -> _Fact:
    quantity, listed, contracted, effective = Decimal(0), Decimal(0), Decimal(0), Decimal(0)
    no_list = no_contracted = False
    for f in facts:
        quantity, effective = quantity + f.quantity, effective + f.effective
        no_list, listed = no_list or f.listed is None, listed + (f.listed or 0)
        no_contracted, contracted = no_contracted or f.contracted is None, contracted + (f.contracted or 0)
    return _Fact(quantity, None if no_list else listed, None if no_contracted else contracted, effective)


# --- result ------------------------------------------------------------------------------------------------


def _check(rows: Iterable[_Row], *sides: Mapping[_Group, _Facts]) -> None:
    """The ends of all rows are the two months' costs: nothing was lost on the way."""
    for at, side in zip((0, -1), sides, strict=True):
        bill = sum(int(f.effective) for facts in side.values() for f in facts.values())
        mine = sum(states[at] for _, _, states in rows)
        if bill != mine:
            raise CapacityError(f"the bridge lost {to_decimal(bill - mine)} of the bill: please report this")
