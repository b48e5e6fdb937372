"""From the facts of two periods to the rows of their bridge, group by group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from capacity.costs.bridge._facts import AMOUNT_TERM, MONTHLY, E, Fact, Facts, Q, Raw, Thing
from capacity.costs.bridge._moves import ONE, Fraction, Move, in_one_term, losers_of, money_states
from capacity.costs.bridge._result import Group, Row, check_ends, ratio_of
from capacity.costs.bridge._skus import Sku, joined, region_of, resource_of

Things = dict[str, Thing]
_NOTHING = Raw()
_NO_LOSERS: Fact = (0, 0, 1, 0)


@dataclass(frozen=True)
class Between:
    """What is known of two periods beside their bills.

    Attributes
    ----------
    units_before, units_after
        service -> driver units.
    months
        Number of months, new over old: what comes every month grows with it.
    skus
        What is known of SKUs.
    """

    units_before: Mapping[str, float]
    units_after: Mapping[str, float]
    months: Fraction
    skus: Mapping[str, Sku]


@dataclass
class Found:
    """What is found of two periods.

    Attributes
    ----------
    rows
        All rows; their ends are the two bills, to the last 1e-12.
    without
        Services without a driver.
    untold
        Currency -> (start, end) of charges without quantities that moved, in whole 1e-12.
    """

    rows: list[Row] = field(default_factory=list)
    without: tuple[str, ...] = ()
    untold: dict[str, tuple[int, int]] = field(default_factory=dict)


def bridge_rows(old: Facts, new: Facts, between: Between) -> Found:
    """All that two bills tell of why spend moved between them."""
    out = Found()
    without: set[str] = set()
    scales: dict[str, Fraction | None] = {}
    for group in sorted({*old, *new}):
        scale = None
        if group.kind == "service" and group.charge == "usage":
            if group.name not in scales:
                scales[group.name] = ratio_of(between.units_before, between.units_after, group.name)
            scale = scales[group.name]
            if scale is None:
                without.add(group.name)
        out.rows += _group_rows(group, old.get(group, _NOTHING), new.get(group, _NOTHING), scale, between, out.untold)
    bills = [sum(raw.effective for raw in side.values()) for side in (old, new)]
    check_ends(out.rows, (bills[0], bills[1]))
    out.without = tuple(sorted(without))
    return out


def _group_rows(
    group: Group, old: Raw, new: Raw, scale: Fraction | None, between: Between, untold: dict[str, tuple[int, int]]
) -> Iterator[Row]:
    if group.charge in AMOUNT_TERM:
        months = between.months if group.charge in MONTHLY else ONE
        start, end = old.amounts(), new.amounts()
        for sku in sorted({**start, **end}):
            states = in_one_term(start.get(sku, 0), end.get(sku, 0), AMOUNT_TERM[group.charge], months)
            yield group, sku, states
        return
    (before, back_before), (after, back_after) = old.settled(), new.settled()
    if old.odd or new.odd:
        for sku in sorted({**back_before, **back_after}):
            yield group, sku, in_one_term(back_before.get(sku, 0), back_after.get(sku, 0), "one_off")
        for sku in sorted({k for side in (before, after) for k, t in side.items() if not t[Q]}):
            one, other = before.pop(sku, None), after.pop(sku, None)
            states = money_states(one[E] if one else 0, other[E] if other else 0, scale)
            if states[0] and states[-1] and any(s != states[0] for s in states):
                known = untold.get(group.currency, (0, 0))
                untold[group.currency] = (known[0] + states[0], known[1] + states[-1])
            yield group, sku, states
    yield from compared(group, before, after, scale, between.skus)


def compared(group: Group, old: Things, new: Things, scale: Fraction | None, skus: Mapping[str, Sku]) -> Iterator[Row]:
    """Rows of SKUs with quantities; ``scale`` None is a group without a driver. ``old`` and ``new`` are used up."""
    if not skus:
        yield from _pool_rows(group, old, new, None, scale)
        return
    old, new = joined(old, new, skus)
    yield from _regions(group, old, new, skus)
    for part_old, part_new, weights in _pools(old, new, skus):
        yield from _pool_rows(group, part_old, part_new, weights, scale)


def _regions(group: Group, old: Things, new: Things, skus: Mapping[str, Sku]) -> Iterator[Row]:
    """A region that only one period has is new or ended, and taken out; what is left is one pool."""
    if not old or not new:
        return
    here, there = ({region_of(k, skus) for k in side} - {""} for side in (old, new))
    for side, only in ((old, here - there), (new, there - here)):
        for sku in [k for k in side if region_of(k, skus) in only]:
            amount = side.pop(sku)[E]
            yield group, sku, in_one_term(*((amount, 0) if side is old else (0, amount)), "new_and_ended")


def _pools(old: Things, new: Things, skus: Mapping[str, Sku]) -> Iterator[tuple[Things, Things, dict[str, int] | None]]:
    """SKUs that may be added: by their resource where it is known of all, or of a part that both periods have."""
    known = {k: r for k in {**old, **new} if (r := resource_of(k, skus)) is not None}
    # Millionths: a resource may be a half.
    weights = {k: w for k, r in known.items() if (w := int(Decimal(repr(r)).scaleb(6).to_integral_value())) > 0}
    sides = [({k: t for k, t in s.items() if k in weights}, {k: t for k, t in s.items() if k not in weights})
             for s in (old, new)]  # fmt: skip
    (with_old, without_old), (with_new, without_new) = sides
    if with_old and with_new and bool(without_old) == bool(without_new):
        yield with_old, with_new, weights
        yield without_old, without_new, None
    else:
        yield old, new, None


def _pool_rows(
    group: Group, old: Things, new: Things, weights: dict[str, int] | None, scale: Fraction | None
) -> Iterator[Row]:
    """SKUs that are compared with each other; ``weights`` None adds their quantities as they are."""
    if not old or not new:
        for sku, one in sorted({**old, **new}.items()):
            yield group, sku, in_one_term(*((one[E], 0) if old else (0, one[E])), "new_and_ended")
        return
    if weights is None:
        now, then = sum([t[Q] for t in new.values()]), sum([t[Q] for t in old.values()])
    else:
        now, then = (sum([t[Q] * weights[k] for k, t in side.items()]) for side in (new, old))
    growth = (now, then)
    losers = losers_of(old, new, growth, weights) if new.keys() - old.keys() else _NO_LOSERS
    move = Move(growth if scale is None else scale, growth, losers)
    for sku in sorted(old.keys() | new.keys()):
        yield group, sku, move.states(old.get(sku), new.get(sku))
