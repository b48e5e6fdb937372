"""What a policy engine reads (Conftest, OPA): verdicts and figures, each absent where the plan does not know it."""

from __future__ import annotations

from typing import Any

from capacity.domain import EventVerdict
from capacity.plan import LimitOutlook, Plan, SpendMonth, UnitPlan
from capacity.report.handover._base import Options, Rendered, dump, known, utc

SCHEMA = "capacity.gate/1"


def render(plan: Plan, options: Options) -> Rendered:
    """gate.json; its schema stands at ``schemas/gate.schema.json``."""
    events = [_event(e.name, utc(e.start), utc(e.end), e.verdicts) for e in plan.events]
    document = {
        "schema": SCHEMA,
        "company": plan.company,
        "scenario": plan.scenario,
        "plan_as_of": utc(plan.as_of),
        "currency": plan.currency,
        "reproducible": plan.provenance.reproducible,
        "go": not plan.violations and all(e["go"] for e in events),
        "violations": list(plan.violations),
        "services": [_service(u) for u in plan.units],
        "events": events,
        "bill": _bill(plan),
        "spend": [_spend_month(s) for s in plan.spend],
        "sources": [
            known(source=f.source, frame=f.frame, stale=f.stale, age_days=f.age_days,
                  last_point=None if f.last_point is None else utc(f.last_point))
            for f in plan.freshness
        ],
    }  # fmt: skip
    if plan.mix is not None:
        m = plan.mix
        document["mix"] = known(
            status=m.status, gap_frac=m.gap_frac, prune_loss_frac=m.prune_loss_frac, running_cost=m.running_usd,
            recommended_cost=m.recommended_usd, saving=m.saving_usd,
        )  # fmt: skip
    return Rendered({"gate.json": dump(document)})


def _service(unit: UnitPlan) -> dict[str, Any]:
    now, least, policy = unit.headroom_now_frac, unit.headroom_min_frac, unit.headroom_policy_frac
    return known(
        service=unit.service, region=unit.region, account_id=unit.account_id, tier=unit.tier, team=unit.team,
        kind=unit.kind, headroom_now_frac=now, headroom_lowest_frac=least, headroom_policy_frac=policy,
        keeps_policy_now=None if now is None or now != now else now >= policy,
        keeps_policy_ahead=None if least is None or least != least else least >= policy,
        coverage_lowest_frac=unit.coverage_min_frac, service_level_frac=unit.service_level,
        limits=[_limit(x) for x in unit.limits],
    )  # fmt: skip


def _limit(x: LimitOutlook) -> dict[str, Any]:
    return known(
        name=x.name, kind=x.kind, metric=x.metric, limit=x.limit, unit=x.unit_of_measure,
        p_within_horizon=x.within_horizon, p10=x.p10 and str(x.p10), p50=x.p50 and str(x.p50), p90=x.p90 and str(x.p90),
        order_by=x.order_by and str(x.order_by), overdue=x.overdue,
    )  # fmt: skip


def _event(name: str, start: str, end: str, verdicts: tuple[EventVerdict, ...]) -> dict[str, Any]:
    units = [
        known(
            service=v.unit.service, region=v.unit.region, go=bool(v.go), p_holds=v.probability_holds,
            demand_p50=v.demand_p50, demand_p95=v.demand_p95, safe_now=v.safe_now,
            safe_at_group_maximum=v.safe_at_group_maximum,
            decide_by=str(min(r.by for r in v.remedies)) if v.remedies else None,
        )
        for v in verdicts
    ]  # fmt: skip
    return {"name": name, "start": start, "end": end, "go": all(u["go"] for u in units), "services": units}


def _bill(plan: Plan) -> dict[str, Any]:
    months = [
        known(month=t.month, currency=t.currency, ties=bool(t.ties), difference_frac=t.difference_frac)
        for t in plan.tie_outs
    ]
    # With no month to compare, whether it ties is not known.
    return {"months": months, **({"ties": all(m["ties"] for m in months)} if months else {})}


def _spend_month(s: SpendMonth) -> dict[str, Any]:
    return known(
        month=s.month, currency=s.currency, q10=s.q10, q50=s.q50, q90=s.q90,
        budget=None if s.budget is None else float(s.budget), p_over_budget=s.over_budget,
    )  # fmt: skip
