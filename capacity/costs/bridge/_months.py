"""The bridge between two periods of a bill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import localcontext
from itertools import pairwise

from capacity.costs._money import EXACT
from capacity.costs.attribution import Attribution
from capacity.costs.bridge._facts import Facts, months_facts, renamed_services, together
from capacity.costs.bridge._groups import Between, bridge_rows
from capacity.costs.bridge._period import Period
from capacity.costs.bridge._result import Bridge
from capacity.costs.bridge._skus import Sku
from capacity.costs.bridge._words import untold_words


def bridge(
    before: Attribution,
    after: Attribution,
    months: tuple[str | Period, str | Period],
    units_before: Mapping[str, float],
    units_after: Mapping[str, float],
    skus: Mapping[str, Sku] | None = None,
) -> Bridge:
    """Explain the change of EffectiveCost from period ``months[0]`` in ``before`` to ``months[1]`` in ``after``.

    Shared pools and what is unallocated stand beside the services, so that the whole bill is explained; they have no
    driver. Rules of the terms:

    - A SKU that only one period has, in a (provider service, pricing unit) that both have, is a change of mix: the
      work moved. A new SKU is priced at its own list price with the contracted and effective ratios of the SKUs that
      lost work. A (provider service, pricing unit), or a region of it, that only one period has is new or ended.
    - Usage at its own price and usage that a commitment covers, or that is bought as spot, are told apart: a new list
      price or private discount moves the first, and the second only as far as its own rate really moved. What is
      covered, at what rate, spot, and what commitments cost unused are commitment_rate.
    - Where List or Contracted cost is not known, or zero beside a real cost, the next known column stands for it.
    - Usage without a quantity moves with demand in volume, and the rest of it, the cost a unit of demand, is in
      efficiency; without a driver all of it is in volume. ``notes`` name the money: prices cannot be told from use.
    - A correction with a quantity mends what its SKU used on demand, or what was covered or spot, as its row says; one
      of what was not used that way is one_off.
    - Amounts without a price (fees and support, tax, credits, adjustments, one-time purchases, refunds) are one_off.
    - Totals are compared, never days: a longer period has more volume. Where the numbers of months differ, what comes
      every month without a quantity (fees, tax, unused commitments) grows with them in volume.

    Parameters
    ----------
    before, after
        Attributions that hold the two periods (the same one may serve as both).
    months
        Each a :class:`Period` or its text: 2026-08, 2026-Q3, 2026, 2026-01..2026-03. Months are those of the charge:
        a late correction belongs to the month that it corrects.
    units_before, units_after
        service -> driver units counted in the period. A service without units (or with none before) has its change
        of quantity in volume, and is named in ``without_driver``.
    skus
        What is known of SKUs (:func:`skus_of`): resource (then efficiency is the resource a unit, such as
        vCPU-hours, and mix the price of it), instance type and region. Without it quantities are PricingQuantity.

    Raises
    ------
    UsageError
        A period is no such text.
    MissingDataError
        A month of the periods has no charge.
    """
    periods = (Period.of(months[0]), Period.of(months[1]))
    for attribution, period in zip((before, after), periods, strict=True):
        period.check(attribution.months)
    names = renamed_services(before, after)
    old, new = (
        together([facts for _, facts in months_facts(a, p.months, names)])
        for a, p in zip((before, after), periods, strict=True)
    )
    return _between((old, new), periods, (units_before, units_after), skus or {}, names)


def month_bridges(
    attribution: Attribution,
    months: Sequence[str],
    units: Mapping[str, Mapping[str, float]],
    skus: Mapping[str, Sku] | None = None,
) -> tuple[Bridge, ...]:
    """The bridges between each two neighbours of ``months``; the bill is read once.

    Parameters
    ----------
    units
        Month -> service -> driver units.

    Raises
    ------
    MissingDataError
        A month has no charge.
    """
    known = attribution.months
    for month in months:
        Period.of(month).check(known)
    names = renamed_services(attribution)
    found = dict.fromkeys(months)
    if len(found) == len(months) and list(found) == sorted(found):
        # In order each month is read once, and let go when the next one is done.
        each = months_facts(attribution, months, names)
    else:
        facts = dict(months_facts(attribution, months, names))
        each = ((m, facts[m]) for m in months)
    out = []
    for (a, old), (b, new) in pairwise(each):
        periods, counted = (Period(a, (a,)), Period(b, (b,))), (units.get(a, {}), units.get(b, {}))
        out.append(_between((old, new), periods, counted, skus or {}, names))
    return tuple(out)


def _between(
    facts: tuple[Facts, Facts],
    periods: tuple[Period, Period],
    units: tuple[Mapping[str, float], Mapping[str, float]],
    skus: Mapping[str, Sku],
    names: Mapping[str, str],
) -> Bridge:
    ratio = (len(periods[1].months), len(periods[0].months))
    with localcontext(EXACT):
        found = bridge_rows(*facts, Between(*units, ratio, skus))
    there = {g.provider_service for side in facts for g in side}
    return Bridge(
        months=(periods[0].label, periods[1].label),
        without_driver=found.without,
        _rows=tuple(found.rows),
        days=(periods[0].days, periods[1].days),
        renamed=tuple((a, b) for a, b in sorted(names.items()) if b in there),
        notes=untold_words(found.untold),
    )
