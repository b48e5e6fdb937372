"""What differs between the plans that scenarios give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from capacity.plan import Plan
from capacity.plan_rows import saving_together
from capacity.words import money


@dataclass(frozen=True)
class ScenarioRow:
    """One scenario in a comparison. Money over the plan's horizon; deltas against the first plan.

    ``purchases`` are the commitments that its plan would buy, ``purchases_save_usd`` what they save over their terms
    on average over the futures; None where nothing was looked for.
    """

    scenario: str
    description: str
    recommended_usd: float
    delta_usd: float
    delta_frac: float
    saturating_units: int
    first_p10: date | None
    min_headroom_frac: float | None
    min_coverage_frac: float | None
    no_go: int
    violations: int
    sentence: str
    purchases: int | None = None
    purchases_save_usd: float | None = None


def compare(plans: Mapping[str, Plan] | Sequence[Plan]) -> tuple[ScenarioRow, ...]:
    """Plans side by side; the first one is what the others are held against."""
    ordered = list(plans.values()) if isinstance(plans, Mapping) else list(plans)
    return tuple(_row(plan, ordered[0]) for plan in ordered)


def _row(plan: Plan, reference: Plan) -> ScenarioRow:
    money, was = _money(plan), _money(reference)
    dates = [x.p10 for u in plan.units for x in u.limits if x.p10]
    headrooms = [u.headroom_min_frac for u in plan.units if u.headroom_min_frac is not None]
    coverages = [u.coverage_min_frac for u in plan.units if u.coverage_min_frac is not None]
    return ScenarioRow(
        scenario=plan.scenario,
        description=plan.description,
        recommended_usd=money,
        delta_usd=money - was,
        delta_frac=(money - was) / was if was else 0.0,
        saturating_units=sum(any(x.p50 for x in u.limits) for u in plan.units),
        first_p10=min(dates, default=None),
        min_headroom_frac=min(headrooms, default=None),
        min_coverage_frac=min(coverages, default=None),
        no_go=sum(not v.go for e in plan.events for v in e.verdicts),
        violations=len(plan.violations),
        sentence=_sentence(plan, reference),
        purchases=len(plan.frame("purchases")) if _looked_for_purchases(plan) else None,
        purchases_save_usd=_purchases_save(plan),
    )


def _looked_for_purchases(plan: Plan) -> bool:
    return bool(len(plan.frame("purchases")) or len(plan.frame("purchase_refusals")))


def _purchases_save(plan: Plan) -> float | None:
    """What its commitments save over their terms; None where none were looked for."""
    return saving_together(plan)[0] if _looked_for_purchases(plan) else None


@dataclass(frozen=True)
class UnitCostRow:
    """What one unit of a service's demand costs in a month to come, in the middle of its futures, by plan.

    ``per`` units cost ``costs[i]`` in plan i; None where that plan does not tell.
    """

    service: str
    per: float
    unit: str
    costs: tuple[float | None, ...]


def unit_costs(plans: Sequence[Plan]) -> tuple[str, tuple[UnitCostRow, ...]]:
    """The last month that all plans tell unit costs of, and the rows; "" and none where there is no such month."""
    told = [_unit_costs(plan) for plan in plans]
    months = set.intersection(*({m for _, m in one} for one in told)) if told else set()
    if not months:
        return "", ()
    month = max(months)
    keys = sorted({key for one in told for key, m in one if m == month})
    return month, tuple(UnitCostRow(*key, tuple(one.get((key, month)) for one in told)) for key in keys)


def _unit_costs(plan: Plan) -> dict[tuple[tuple[str, float, str], str], float]:
    """((service, per, unit), month) -> the middle of its futures."""
    frame = plan.frame("unit_cost_forecast")
    frame = frame[(frame["level"] == "service") & (frame["currency"] == plan.currency)]
    return {
        ((str(r["name"]), float(r["per"]), str(r["unit"])), str(r["month"])): float(r["q50"])
        for r in frame.to_dict("records")
        if r["q50"] is not None and math.isfinite(float(r["q50"]))
    }


def _money(plan: Plan) -> float:
    return plan.mix.recommended_usd if plan.mix else 0.0


def _sentence(plan: Plan, reference: Plan) -> str:
    if plan.scenario == reference.scenario:
        return "the plan that the others are held against"
    delta = _money(plan) - _money(reference)
    moved = _moved_units(plan, reference)
    amount = f"{money(abs(delta), plan.currency)} {'more' if delta >= 0 else 'less'} than"
    text = f"costs {amount if abs(delta) >= 0.5 else 'the same as'} {reference.scenario} over the horizon"
    if moved:
        text += f"; most of it in {', '.join(moved)}"
    sooner = _sooner(plan, reference)
    return text + (f"; sooner full: {', '.join(sooner)}" if sooner else "") + _bought(plan, reference)


def _bought(plan: Plan, reference: Plan) -> str:
    """What the commitments save beside the reference's; nothing where one of them was not asked."""
    saves, was = _purchases_save(plan), _purchases_save(reference)
    if saves is None or was is None or abs(saves - was) < 1:
        return ""
    amount = money(abs(saves - was), plan.currency)
    if saves > was:
        return f"; its commitments save {amount} more over their terms"
    what = "its commitments save" if len(plan.frame("purchases")) else "buys no commitments, which gives up"
    return f"; {what} {amount}{' less over their terms' if len(plan.frame('purchases')) else ' of savings'}"


def _moved_units(plan: Plan, reference: Plan) -> list[str]:
    was = {u.unit: u.recommended_usd for u in reference.units}
    moves = {u.unit: u.recommended_usd - was.get(u.unit, 0.0) for u in plan.units}
    largest = sorted(moves, key=lambda unit: (-abs(moves[unit]), unit))[:3]
    return [
        f"{unit} ({'+' if moves[unit] >= 0 else '−'}{money(abs(moves[unit]), plan.currency)})"
        for unit in largest
        if abs(moves[unit]) >= 1
    ]


def _sooner(plan: Plan, reference: Plan) -> list[str]:
    was = {(u.unit, x.name): x.p50 for u in reference.units for x in u.limits}
    out = []
    for u in plan.units:
        for x in u.limits:
            before = was.get((u.unit, x.name))
            if x.p50 is not None and (before is None or x.p50 < before):
                out.append(f"{u.unit} by {x.p50:%d %b %Y}")
    return out[:3]
