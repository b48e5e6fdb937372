"""Which figures of a plan become metrics, under which names and labels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import chain

import pandas as pd

from capacity.domain import Interval
from capacity.plan import Plan, UnitPlan
from capacity.report.handover._base import rows, seconds
from capacity.report.handover._groups import groups
from capacity.report.handover.openmetrics import Family

# Quantiles of the forecast's daily peak that are handed over, by the label p.
BANDS = {"q05": "0.05", "q50": "0.5", "q99": "0.99"}
_EPOCH = date(1970, 1, 1)


def families(plan: Plan, band_days: int) -> Iterator[Family]:
    """All families, those without a sample too."""
    made = (_of_plan, _of_units, _of_limits, _of_months, _of_counts, _of_events, _of_money, _of_bill)
    return chain(*(of(plan) for of in made), (_bands(plan, band_days),))


def _at(unit: UnitPlan) -> dict[str, str]:
    return {"service": unit.service, "region": unit.region}


def _of_plan(plan: Plan) -> Iterator[Family]:
    as_of = Family("capacity_plan_as_of_timestamp_seconds", "The plan knows nothing later than this.", "seconds")
    as_of.add(seconds(plan.as_of), {"company": plan.company, "scenario": plan.scenario})
    broken = Family("capacity_plan_violations", "Policies that the recommended plan violates.")
    broken.add(len(plan.violations), {})
    gap = Family(
        "capacity_solver_gap_ratio", "Cost of the plan above the proven bound, as a share of the cost.", "ratio"
    )
    pruned = Family("capacity_prune_loss_ratio", "What leaving out instance types may have cost.", "ratio")
    if plan.mix is not None:
        gap.add(plan.mix.gap_frac, {})
        pruned.add(plan.mix.prune_loss_frac, {})
    last = Family("capacity_source_last_point_timestamp_seconds", "Newest good point of a source.", "seconds")
    for f in plan.freshness:
        if f.last_point is not None:
            last.add(seconds(f.last_point), {"source": f.source, "frame": f.frame})
    yield from (as_of, broken, gap, pruned, last)


def _of_units(plan: Plan) -> Iterator[Family]:
    safe = Family("capacity_safe_demand", "Demand that the running fleet serves within the SLO with zones lost.")
    whole = Family("capacity_safe_all_zones_demand", "Demand that the running fleet serves with all zones up.")
    now = Family("capacity_headroom_now_ratio", "1 - recent peak / safe demand of the running fleet.", "ratio")
    least = Family("capacity_headroom_lowest_ratio", "The smallest headroom of the running fleet ahead.", "ratio")
    policy = Family("capacity_headroom_policy_ratio", "The headroom that the tier asks for.", "ratio")
    recent = Family("capacity_peak_recent_demand", "The largest peak of late.")
    ahead = Family("capacity_peak_horizon_demand", "Quantile p of the largest peak of the horizon.")
    covered = Family(
        "capacity_coverage_lowest_ratio", "Share of futures that the plan holds, at its worst month.", "ratio"
    )
    level = Family("capacity_service_level_ratio", "Share of futures that the tier asks for.", "ratio")
    unit_cost = Family("capacity_cost_per_thousand", "Cost of 1,000 units of demand in the newest closed month.")
    for u in plan.units:
        at = _at(u)
        for p, value in _three(u.safe_now, "low", "mid", "high"):
            safe.add(value, {**at, "estimate": p})
        for p, value in _three(u.peak_horizon, "0.1", "0.5", "0.9"):
            ahead.add(value, {**at, "p": p})
        for family, figure_ in (
            (now, u.headroom_now_frac), (least, u.headroom_min_frac), (policy, u.headroom_policy_frac),
            (recent, u.peak_recent), (covered, u.coverage_min_frac), (level, u.service_level),
        ):  # fmt: skip
            family.add(figure_, at)
        unit_cost.add(u.usd_per_1000, {**at, "currency": plan.currency})
    for row in rows(plan.frame("headroom_months")):
        if row.month == "now":
            whole.add(row.safe_running, {"service": row.service, "region": row.region})
    yield from (safe, whole, now, least, policy, recent, ahead, covered, level, unit_cost)


def _three(of: Interval | None, *names: str) -> list[tuple[str, float]]:
    return [] if of is None else list(zip(names, (of.low, of.mid, of.high), strict=True))


def _of_limits(plan: Plan) -> Iterator[Family]:
    limit = Family("capacity_limit", "What a limit allows, in the unit of its metric.")
    within = Family("capacity_saturation_probability_ratio", "P(the limit is passed within the horizon).", "ratio")
    dates = Family(
        "capacity_saturation_timestamp_seconds", "First day by which the limit is passed with P p.", "seconds"
    )
    order = Family("capacity_order_by_timestamp_seconds", "Last day to decide the remedy of a limit.", "seconds")
    for u in plan.units:
        for x in u.limits:
            at = {**_at(u), "limit": x.name}
            limit.add(x.limit, {**at, "unit": x.unit_of_measure})
            within.add(x.within_horizon, at)
            for p, day in (("0.1", x.p10), ("0.5", x.p50), ("0.9", x.p90)):
                dates.add(None if day is None else seconds(day), {**at, "p": p})
            order.add(None if x.order_by is None else seconds(x.order_by), at)
    yield from (limit, within, dates, order)


def _of_months(plan: Plan) -> Iterator[Family]:
    room = Family("capacity_headroom_month_ratio", "Headroom at a month's peak, of what runs or is planned.", "ratio")
    for row in rows(plan.frame("headroom_months")):
        if row.month != "now":
            at = {"service": row.service, "region": row.region, "month": row.month}
            room.add(row.headroom_running_frac, {**at, "fleet": "running"})
            room.add(row.headroom_planned_frac, {**at, "fleet": "recommended"})
    yield room


def _of_counts(plan: Plan) -> Iterator[Family]:
    running = Family("capacity_running_instances", "Instances that run.")
    planned = Family("capacity_recommended_instances", "Instances that the plan recommends.")
    fewest = Family("capacity_recommended_least_instances", "The fewest of them that any load block of the month runs.")
    cost = Family("capacity_fleet_cost", "Cost of the fleet over the plan's months.")
    for u in plan.units:
        for line in u.running:
            running.add(line.instances, {**_at(u), "instance_type": line.instance_type})
        if u.kind != "usage_priced":
            cost.add(u.running_usd, {**_at(u), "fleet": "running", "currency": plan.currency})
            cost.add(u.recommended_usd, {**_at(u), "fleet": "recommended", "currency": plan.currency})
    for g in groups(plan):
        at = {**_at(g.unit), "month": g.month, "purchase": g.purchase, "instance_type": g.instance_type}
        planned.add(g.sizes.most, at)
        fewest.add(g.sizes.least, at)
    yield from (running, planned, fewest, cost)


def _of_events(plan: Plan) -> Iterator[Family]:
    start = Family("capacity_event_start_timestamp_seconds", "When the event begins.", "seconds")
    go = Family("capacity_event_go", "1 where the running fleet holds the event, 0 where it does not.")
    holds = Family("capacity_event_holds_probability_ratio", "P(the running fleet holds the event).", "ratio")
    peak = Family("capacity_event_peak_demand", "Quantile p of the event's peak.")
    due = Family("capacity_event_remedy_by_timestamp_seconds", "The earliest day of what must be decided.", "seconds")
    for event in plan.events:
        start.add(seconds(event.start), {"event": event.name})
        for v in event.verdicts:
            at = {"service": v.unit.service, "region": v.unit.region, "event": event.name}
            go.add(bool(v.go), at)
            holds.add(v.probability_holds, at)
            peak.add(v.demand_p50, {**at, "p": "0.5"})
            peak.add(v.demand_p95, {**at, "p": "0.95"})
            if not v.go and v.remedies:
                due.add(seconds(min(r.by for r in v.remedies)), at)
    yield from (start, go, holds, peak, due)


def _of_money(plan: Plan) -> Iterator[Family]:
    spend = Family("capacity_spend_forecast", "Quantile p of the spend of a coming month.")
    budget = Family("capacity_budget", "Budget of a coming month.")
    over = Family("capacity_over_budget_probability_ratio", "P(a month's spend is above its budget).", "ratio")
    total = Family("capacity_plan_month_cost", "What a month of the plan costs in all.")
    for s in plan.spend:
        at = {"month": s.month, "currency": s.currency}
        for p, value in (("0.1", s.q10), ("0.5", s.q50), ("0.9", s.q90)):
            spend.add(value, {**at, "p": p})
        budget.add(s.budget, at)
        over.add(s.over_budget, at)
    for row in rows(plan.frame("plan_total")):
        if row.part == "total":
            total.add(row.amount, {"month": row.month, "currency": plan.currency})
    yield from (spend, budget, over, total)


def _of_bill(plan: Plan) -> Iterator[Family]:
    cost = Family(
        "capacity_bill_cost", "Effective cost of a closed month: direct, shared and unallocated are its whole."
    )
    ties = Family("capacity_bill_ties", "1 where the modelled fleet agrees with the bill, 0 where it does not.")
    apart = Family("capacity_bill_difference_ratio", "How far the modelled fleet is from the bill.", "ratio")
    for c in plan.costs:
        for kind, amount in (("direct", c.direct), ("shared", c.shared), ("unallocated", c.unallocated)):
            cost.add(amount, {"month": c.month, "currency": c.currency, "kind": kind})
    for t in plan.tie_outs:
        at = {"month": t.month, "currency": t.currency}
        ties.add(bool(t.ties), at)
        apart.add(t.difference_frac, at)
    yield from (cost, ties, apart)


def _bands(plan: Plan, days: int) -> Family:
    """Daily peaks of the days from the plan's on; the label day counts days since 1970, as PromQL can from time()."""
    out = Family("capacity_forecast_peak_demand", "Quantile p of the peak of a local day; day counts from 1970-01-01.")
    frame = plan.frame("forecast")
    if not len(frame):
        return out
    ts = pd.to_datetime(frame["ts"])
    day = (ts.dt.tz_localize(None) if ts.dt.tz is not None else ts).dt.date
    first, last = plan.as_of.date(), plan.as_of.date() + timedelta(days=days)
    frame = frame.assign(day=day)[(frame["target"] == "peak") & (day >= first) & (day < last)]
    demand = {(u.service, u.region): u.demand_metric for u in plan.units}
    for row in rows(frame):
        if demand.get((row.service, row.region)) == row.metric:
            at = {
                "service": row.service,
                "region": row.region,
                "day": str((row.day - _EPOCH).days),
                "date": str(row.day),
            }
            for column, p in BANDS.items():
                out.add(getattr(row, column), {**at, "p": p})
    return out
