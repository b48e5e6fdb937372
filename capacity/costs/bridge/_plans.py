"""Bridges that a plan is an end of: between two plans, and from a plan to the bill that came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import localcontext

from capacity.costs._money import EXACT
from capacity.costs.attribution import Attribution
from capacity.costs.bridge._facts import (
    AMOUNT_TERM,
    OTHER,
    PAID,
    PLAIN,
    E,
    Facts,
    Q,
    Thing,
    both,
    months_facts,
    thing,
    together,
)
from capacity.costs.bridge._groups import compared
from capacity.costs.bridge._moves import in_one_term, money_states
from capacity.costs.bridge._period import Period
from capacity.costs.bridge._plan_facts import (
    APART,
    Frames,
    PlanFacts,
    plan_facts,
    plan_months,
    refuse_part_months,
)
from capacity.costs.bridge._result import Bridge, Group, Row, check_ends, ratio_of
from capacity.costs.bridge._skus import Sku
from capacity.costs.tie_services import NOBODY
from capacity.errors import MissingDataError
from capacity.words import listed

NOT_TOLD = "(not told apart by the plan)"
_SHARED = "shared"
# Charges of a bill, as a plan's parts name them. Fees are running spend there.
_APART_OF = {"tax": "tax", "credit": "credit", "adjustment": "refund", "refund": "refund", "one_off": "one_off"}


def scenario_bridge(
    before: Frames, after: Frames, currency: str, labels: tuple[str, str] = ("before", "after")
) -> Bridge:
    """Explain the difference of two plans' totals over the months that both have.

    volume is demand (× hours), efficiency the vCPU-hours a unit of it, mix the types, list_rate the rates (a private
    discount is in them), commitment_rate what commitments make of them, new_and_ended what only one plan has,
    one_off tax, credits and the like. Of what a plan tells money alone, all of the change is in volume, as
    :data:`NOT_TOLD`.

    Parameters
    ----------
    before, after
        Frames of :data:`capacity.plan.FRAMES`: plan_total, running, mix, blocks; spend_plan where there is no total.
    currency
        Of both.
    labels
        What the two are called.

    Returns
    -------
    Bridge
        name is the service, provider_service the part and its region, sku the instance type. Money is quantised to
        1e-12 once; start and end are the plans' totals exactly.

    Raises
    ------
    MissingDataError
        The plans have no month in common.
    """
    there = (plan_months(before), plan_months(after))
    months = sorted(set(there[0]) & set(there[1]))
    if not months:
        raise MissingDataError(
            f"{labels[0]} and {labels[1]} have no month in common: "
            f"{', '.join(there[0]) or 'none'} and {', '.join(there[1]) or 'none'}"
        )
    old, new = plan_facts(before, months), plan_facts(after, months)
    known = old.skus | new.skus
    with localcontext(EXACT):
        rows = [
            *_unit_rows(old, new, currency, known),
            *_money_rows(old.beside, new.beside, currency),
            *_apart_rows(old, new, currency),
        ]
        check_ends(rows, (old.total, new.total))
    notes = []
    if there[0] != there[1]:
        notes.append(f"Compared are the months that both plans have: {months[0]} to {months[-1]}.")
    if any(sku == NOT_TOLD and s[0] != s[-1] for _, sku, s in rows):
        notes.append("Of what a plan tells money alone, all of the change stands in volume.")
    return Bridge(labels, (), tuple(rows), _days(months), (), tuple(notes))


def plan_actual(
    plan: Frames,
    attribution: Attribution,
    period: str | Period,
    units: tuple[Mapping[str, float], Mapping[str, float]],
    currency: str,
    skus: Mapping[str, Sku] | None = None,
) -> Bridge:
    """Explain the difference between what a plan said of a period and the bill of it.

    volume is demand that came otherwise than planned, at the planned cost a unit; of instances, efficiency, mix,
    rates and what commitments made of them follow. A plan's rates have the private discount in them, so list_rate
    holds both. What is billed beside instances the plan tells as money alone: what demand does not explain of it is
    in efficiency (the cost a unit), as :data:`NOT_TOLD`.

    Parameters
    ----------
    plan
        Frames of an earlier plan: plan_total, running, mix, blocks; or spend_forecast and spend_apart.
    attribution
        The bill. Only charges in ``currency`` are compared; others are named in ``notes``.
    units
        (planned, counted) service -> driver units of the period.
    skus
        As for :func:`bridge`; without it the bill's instances are not told from what is beside them.

    Raises
    ------
    MissingDataError
        The plan or the bill does not cover all months of the period.
    """
    over = Period.of(period)
    over.check(attribution.months)
    refuse_part_months(plan, over.months)
    planned = plan_facts(plan, over.months)
    facts = together([found for _, found in months_facts(attribution, over.months, {})])
    others = sorted({g.currency for g in facts} - {currency})
    facts = {g: raw for g, raw in facts.items() if g.currency == currency}
    came = _billed(facts, planned, skus or {})
    old = _by_service(planned)
    known = dict(skus or {}) | old.skus
    with localcontext(EXACT):
        rows, without = _service_rows(old, came, units, currency, known)
        rows += _apart_rows(old, came, currency)
        check_ends(rows, (planned.total, sum(raw.effective for raw in facts.values())))
    notes = ["The plan's rates have the private discount in them: list rate holds both."] if old.things else []
    if others:
        notes.append(f"Charges in {listed(others)} are not compared: the plan is in {currency}.")
    return Bridge((f"plan of {over.label}", f"bill of {over.label}"), without, tuple(rows), (over.days,) * 2, (),
                  tuple(notes))  # fmt: skip


# --- what came, in a plan's words --------------------------------------------------------------------------


def _by_service(planned: PlanFacts) -> PlanFacts:
    """Regions of a service together: a bill's services have none. What no service owns is one part."""
    out = PlanFacts(apart=planned.apart, unused=planned.unused, skus=planned.skus)
    for (service, _), types in planned.things.items():
        into = out.things.setdefault((service, ""), {})
        for name, one in types.items():
            into[name] = both(into[name], one) if name in into else one
    for (service, _), amount in planned.beside.items():
        key = ("" if service == NOBODY else service, "")
        out.beside[key] = out.beside.get(key, 0) + amount
    return out


def _billed(facts: Facts, planned: PlanFacts, skus: Mapping[str, Sku]) -> PlanFacts:
    """The bill as the plan divides its money."""
    fleets = {service for service, _ in planned.things}
    out = PlanFacts()
    for group, raw in facts.items():
        owner = group.name if group.kind == "service" else ""
        if group.charge in AMOUNT_TERM and group.charge != "fee":
            into = out.apart if group.charge in _APART_OF else out.unused
            key = _APART_OF.get(group.charge, "commitments unused")
            into[key] = into.get(key, 0) + raw.effective
            continue
        things, back = raw.settled()
        if back:
            out.apart["refund"] = out.apart.get("refund", 0) + sum(back.values())
        beside = raw.effective - sum(back.values())
        if owner in fleets and group.charge == "usage":
            for sku, one in things.items():
                kind = skus[sku].instance_type if sku in skus else ""
                if kind and one[Q] > 0:
                    types = out.things.setdefault((owner, ""), {})
                    types[kind] = both(types[kind], one) if kind in types else one
                    beside -= one[E]
        if beside:
            out.beside[owner, ""] = out.beside.get((owner, ""), 0) + beside
    return out


def _service_rows(
    old: PlanFacts,
    new: PlanFacts,
    units: tuple[Mapping[str, float], Mapping[str, float]],
    currency: str,
    skus: Mapping[str, Sku],
) -> tuple[list[Row], tuple[str, ...]]:
    rows: list[Row] = []
    without: set[str] = set()
    by_type = {s.instance_type: Sku(s.instance_type, s.resource) for s in skus.values() if s.instance_type}
    for service in sorted({s for s, _ in (*old.things, *new.things, *old.beside, *new.beside)}):
        scale = ratio_of(*units, service)
        if scale is None and service:
            without.add(service)
        key = (service, "")
        if key in old.things or key in new.things:
            group = Group(currency, "service", service, "instances", "Hours", "usage")
            rows += compared(group, dict(old.things.get(key, {})), _paid_only(new.things.get(key, {})), scale,
                             by_type)  # fmt: skip
        kind, name, part = ("service", service, "beside instances") if service else (_SHARED, NOBODY, "running spend")
        group = Group(currency, kind, name, part if key in old.things else "running spend", "", "usage")
        start, end = old.beside.get(key, 0), new.beside.get(key, 0)
        if start or end:
            rows.append((group, NOT_TOLD, money_states(start, end, scale)))
    return rows, tuple(sorted(without))


def _paid_only(types: dict[str, Thing]) -> dict[str, Thing]:
    """A bill's instances at their contracted cost: a plan's rates are such."""
    out = {}
    for name, one in types.items():
        plain = one[PLAIN]
        paid = (plain[PAID], plain[PAID], plain[Q], plain[E]) if plain else None
        out[name] = thing(paid, one[OTHER])
    return out


# --- rows of two plans -------------------------------------------------------------------------------------


def _unit_rows(old: PlanFacts, new: PlanFacts, currency: str, skus: Mapping[str, Sku]) -> Iterator[Row]:
    for unit in sorted({*old.things, *new.things}):
        service, region = unit
        group = Group(currency, "service", service, f"instances, {region}", "Hours", "usage")
        demand = [{service: side.demand[unit]} if unit in side.demand else {} for side in (old, new)]
        scale = ratio_of(demand[0], demand[1], service)
        yield from compared(group, dict(old.things.get(unit, {})), dict(new.things.get(unit, {})), scale, skus)


def _money_rows(old: Mapping[tuple[str, str], int], new: Mapping[tuple[str, str], int], currency: str) -> Iterator[Row]:
    for service, part in sorted({*old, *new}):
        start, end = old.get((service, part), 0), new.get((service, part), 0)
        kind = "service" if service else _SHARED
        group = Group(currency, kind, service or part, part, "", "usage")
        yield group, NOT_TOLD, in_one_term(start, end, "volume" if start and end else "new_and_ended")


def _apart_rows(old: PlanFacts, new: PlanFacts, currency: str) -> Iterator[Row]:
    for part in APART:
        start, end = old.apart.get(part, 0), new.apart.get(part, 0)
        if start or end:
            yield Group(currency, _SHARED, part, part, "", part), "", in_one_term(start, end, "one_off")
    for part in sorted({*old.unused, *new.unused}):
        ends = (old.unused.get(part, 0), new.unused.get(part, 0))
        group = Group(currency, _SHARED, "commitments", part, "", "unused")
        yield group, "", in_one_term(*ends, "commitment_rate")


def _days(months: Iterable[str]) -> tuple[int, int]:
    days = Period("", tuple(months)).days
    return days, days
