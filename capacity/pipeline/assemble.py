"""From the stages' results to one Plan: what each unit is told, the frames beside it, and what violates a policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pandas as pd

import capacity
from capacity import words
from capacity.domain import QUANTILES, Interval, Provenance, SeriesForecast, Unit
from capacity.pipeline import findings
from capacity.pipeline.base import own_error
from capacity.pipeline.demand import UnitData
from capacity.pipeline.explain import words_of
from capacity.pipeline.frames import frames
from capacity.pipeline.mix import UnitNeed, planned_safe, pool_lines, weekly_headroom
from capacity.pipeline.money import Money, cost_months
from capacity.pipeline.outlook import by_type
from capacity.pipeline.parts import Parts
from capacity.pipeline.rates import days_of, used_types
from capacity.pipeline.stakes import at_stake
from capacity.plan import MixLine, MixSummary, Plan, UnitPlan

# Realised coverage may be this far below the tier's promise before it counts as broken: the error of 1,000 paths.
COVERAGE_TOLERANCE = 0.02
HEADROOM_TOLERANCE = 1e-6


def assemble(parts: Parts) -> Plan:
    """The plan of ``parts``, with its findings and frames."""
    inputs, config = parts.inputs, parts.inputs.config
    days = [f.peak.index for f in parts.known.values()]
    units = tuple(_unit_plan(parts, unit) for unit in parts.units)
    plan = Plan(
        company=config.company,
        currency=config.currency,
        as_of=inputs.as_of,
        scenario=parts.change.name,
        description=parts.change.description,
        horizon_start=min(i[0] for i in days).date(),
        horizon_end=max(i[-1] for i in days).date(),
        provenance=_provenance(parts),
        units=units,
        mix=_mix_summary(parts),
        costs=cost_months(parts.money),
        spend=parts.spend,
        spend_note=parts.spend_note,
        tie_outs=parts.ties,
        events=parts.events,
        findings=(),
        violations=violations(parts, units),
        freshness=inputs.freshness,
        frames=frames(parts),
        calendar=config.calendar,
    )
    plan = replace(plan, frames={**plan.frames, "at_stake": at_stake(plan)})
    return replace(plan, findings=findings.findings(plan, parts.problems))


def _provenance(parts: Parts) -> Provenance:
    inputs = parts.inputs
    return Provenance(
        config_digest=inputs.config.digest(),
        scenario=parts.change.name,
        store_versions=dict(sorted(inputs.versions.items())),
        catalogue_version=inputs.catalogue_version,
        as_of=inputs.as_of,
        seed=parts.seed,
        package_version=capacity.__version__,
        reproducible=parts.mix is None or "time" not in parts.mix.solution.status.termination,
        sources=tuple(f"{f.frame}: {f.source}" for f in inputs.freshness),
    )


# --- units -------------------------------------------------------------------------------------------------


def _unit_plan(parts: Parts, unit: Unit) -> UnitPlan:
    data, future, need = parts.data_of(unit), parts.future_of(unit), parts.needs.get(unit)
    peak, tier = future.peak, data.tier
    headroom = weekly_headroom(data, future, need.safe.normal.mid)["headroom_frac"] if need else None
    running_usd, recommended_usd = _unit_money(parts, unit)
    return UnitPlan(
        service=unit.service,
        region=unit.region,
        tier=tier.name,
        team=data.service.team,
        kind=data.service.kind,
        account_id=data.account_id,
        demand_metric=data.service.demand_metric,
        demand_unit=data.unit_of_measure,
        last_point=data.last_point,
        forecast_model=peak.model,
        forecast_reason=peak.reason,
        relative_mae=own_error(peak),
        flags=(*_flags(data, peak, need), *parts.load_tests.flags_of(unit.service)),
        peak_recent=data.peak_recent,
        peak_horizon=Interval(*(float(peak.peak[QUANTILES.index(q)]) for q in (0.1, 0.5, 0.9))),
        safe_now=need.safe.binding if need else None,
        zones_lost=tier.zones_survived,
        utilisation_frac=need.safe.utilisation_frac if need else None,
        cost_basis=_basis(need),
        service_level=tier.service_level,
        headroom_now_frac=_headroom_now(data, need),
        headroom_min_frac=float(headroom.min()) if headroom is not None and len(headroom) else None,
        headroom_policy_frac=tier.min_headroom_frac,
        limits=parts.outlooks[unit].limits,
        running=_lines(by_type(data.running), need),
        recommended=_recommended(parts, unit, need),
        running_usd=running_usd,
        recommended_usd=recommended_usd,
        coverage_min_frac=_coverage_min(parts, unit),
        why=_why(parts, unit, need),
        usd_per_1000=_latest_unit_cost(parts.money, unit.service),
        burst=data.burst,
        words=words_of(parts.explained, unit),
    )


def _flags(data: UnitData, peak: SeriesForecast, need: UnitNeed | None) -> tuple[str, ...]:
    safe = need.safe.flags if need else ()
    return tuple(dict.fromkeys([*data.flags, *peak.flags, *safe, *_fewer_zones(data, need)]))


def _fewer_zones(data: UnitData, need: UnitNeed | None) -> tuple[str, ...]:
    """A tier may promise to survive more zones than a service could lose: it is planned for what is possible."""
    asked, zones = data.tier.zones_survived, data.service.zones
    if need is None or asked < zones:
        return ()
    return (
        f"tier {data.tier.name} survives the loss of {asked} zone(s), the service has {zones}: planned for "
        f"{zones - 1 or 'none'} lost; give it more zones, or a tier that asks for fewer",
    )


def _basis(need: UnitNeed | None) -> str:
    if need is None:
        return "no instances: usage-priced, or nothing ties demand to vCPU"
    per = need.cost.per_demand
    origin = {
        "load_test": "from load tests",
        "fleet_history": "from the fleet's history, not load-tested",
        "demand_is_resource": "demand is vCPU itself",
        "config": "from the config",
    }[need.cost.basis]
    return f"{per.mid:.4g} vCPU per unit of demand ({per.low:.4g} to {per.high:.4g}, {per.confidence:.0%}), {origin}"


def _headroom_now(data: UnitData, need: UnitNeed | None) -> float | None:
    """Buffer between the recent peak and what the fleet serves with all zones up; losing one is a limit of its own."""
    if need is None or need.safe.normal.mid <= 0:
        return None
    return 1.0 - data.peak_recent / need.safe.normal.mid


def _lines(counts: Mapping[str, int], need: UnitNeed | None) -> tuple[MixLine, ...]:
    rates = {c.instance_type: c.usd_per_hour for c in need.requirement.candidates} if need else {}
    return tuple(MixLine(t, n, rates.get(t, 0.0)) for t, n in sorted(counts.items()))


def _recommended(parts: Parts, unit: Unit, need: UnitNeed | None) -> dict[str, tuple[MixLine, ...]]:
    if parts.mix is None or need is None:
        return {}
    rows = _of(parts.mix.solution.provisioned, unit)
    rows = rows[rows["instances"] > 0]
    return {
        str(month): _lines(dict(zip(part["instance_type"], part["instances"].astype(int), strict=True)), need)
        for month, part in rows.groupby("month", sort=True)
    }


def _of(frame: pd.DataFrame, unit: Unit) -> pd.DataFrame:
    return frame[(frame["service"] == unit.service) & (frame["region"] == unit.region)]


def _unit_money(parts: Parts, unit: Unit) -> tuple[float, float]:
    """Money over the plan's months: the running fleet's and the recommended one's; a usage-priced bill is both."""
    if parts.data_of(unit).service.kind == "usage_priced":
        rows = parts.spend_by_service[parts.spend_by_service["service"] == unit.service]
        both = float(rows["q50"].sum()) / len(parts.data_of(unit).service.regions)
        return both, both
    if parts.mix is None:
        return 0.0, 0.0
    running = float(_of(parts.mix.running_spend, unit)["total_usd"].sum())
    return running, float(_of(parts.mix.solution.spend, unit)["total_usd"].sum())


def _coverage_min(parts: Parts, unit: Unit) -> float | None:
    """The least that the plan realised in any month when it was operated."""
    rows = _of(parts.judged.coverage, unit)
    return float(rows["coverage_frac"].min()) if len(rows) else None


def _why(parts: Parts, unit: Unit, need: UnitNeed | None) -> str:
    """Why this mix, in prices: an hour of a unit of safe demand on what was chosen, on what runs, on the next best."""
    planned = _recommended(parts, unit, need)
    if not planned or need is None:
        return "no instances to choose"
    usd, how = _prices_of_choice(parts, unit, need)
    price = {name: 1000.0 * usd[name] / safe for name, safe in need.safe_of.items() if safe > 0}
    chosen = [x.instance_type for x in planned[max(planned)] if x.instance_type in price]
    if not chosen:
        return "nothing is needed"

    def said(amount: float) -> str:
        return words.price(amount, parts.inputs.config.currency)

    best = min(chosen, key=lambda name: price[name])
    text = (
        f"{best} costs {said(price[best])} an hour for 1,000 {parts.data_of(unit).unit_of_measure} of safe demand{how}"
    )
    running = [t for t in by_type(parts.data_of(unit).running) if t in price and t not in chosen]
    if running:
        cheapest = min(running, key=lambda name: price[name])
        text += f", the running {cheapest} {said(price[cheapest])}"
    others = sorted((price[n], n) for n in price if n not in chosen and n not in running)
    if not others:
        return text
    next_price, name = others[0]
    if next_price < price[best]:
        return f"{text}; {name} at {said(next_price)} is cheaper a unit, but not in whole instances for this load"
    return f"{text}; next best {name} at {said(next_price)}"


def _prices_of_choice(parts: Parts, unit: Unit, need: UnitNeed) -> tuple[dict[str, float], str]:
    """$/h by type that the mix was chosen by, and how they are called where they are not those on demand."""
    seen_as = parts.purchases.seen_as
    if seen_as is None:
        return {c.instance_type: c.usd_per_hour for c in need.requirement.candidates}, ""
    asked = next(r for r in seen_as.problem.requirements if r.unit == unit)
    return {c.instance_type: c.usd_per_hour for c in asked.candidates}, ", with commitments to buy"


def _latest_unit_cost(money: Money, service: str) -> Decimal | None:
    rows = money.unit_cost[(money.unit_cost["service"] == service) & (money.unit_cost["month"] == money.newest)]
    values = [v for v in rows["usd_per_1000"] if isinstance(v, Decimal)]
    return values[0] if values else None


# --- the whole ---------------------------------------------------------------------------------------------


def _mix_summary(parts: Parts) -> MixSummary | None:
    mix = parts.mix
    if mix is None:
        return None
    solution, status = mix.solution, mix.solution.status
    days = days_of(parts.inputs.prices, used_types(mix))
    return MixSummary(
        status=status.status,
        termination=status.termination,
        solver=status.solver,
        objective=status.objective,
        bound=status.bound,
        gap_frac=status.gap,
        prune_loss_frac=max((n.prune_loss_frac for n in mix.needs.values()), default=0.0),
        running_usd=float(mix.running_spend["total_usd"].sum()),
        recommended_usd=float(solution.spend["total_usd"].sum()),
        months=mix.problem.months,
        binding=solution.binding,
        checks=tuple(
            f"{c.name}: {c.rows} rows, worst slack {max(c.worst_slack, 0.0) + 0.0:.6g}" for c in solution.checks
        ),
        notes=(
            *pool_lines(parts.inputs.config, solution.spend, solution.provisioned),
            *solution.notes,
            *parts.purchases.notes,
        ),
        rates_from=days[0] if days else None,
        rates_to=days[1] if days else None,
    )


def violations(parts: Parts, units: tuple[UnitPlan, ...]) -> tuple[str, ...]:
    """Where the recommended plan breaks a tier's promise: coverage below P, or headroom below the policy."""
    out = []
    for unit in units:
        need = parts.needs.get(unit.unit)
        if unit.coverage_min_frac is not None and unit.coverage_min_frac < unit.service_level - COVERAGE_TOLERANCE:
            out.append(f"{unit.unit}: coverage {unit.coverage_min_frac:.1%}, promised {unit.service_level:.1%}")
        short = _headroom_short(parts, unit, need) if need else None
        if short is not None:
            out.append(f"{unit.unit}: headroom {short:.1%} in the plan, policy {unit.headroom_policy_frac:.1%}")
    return tuple(out)


def _headroom_short(parts: Parts, unit: UnitPlan, need: UnitNeed) -> float | None:
    """The plan's smallest headroom over its blocks, where it is below the policy."""
    if parts.mix is None:
        return None
    served = planned_safe(need, parts.mix.solution)
    fractions = [
        1.0 - b.demand / served[b.month, b.block] for b in need.blocks if served.get((b.month, b.block), 0) > 0
    ]
    least = min(fractions, default=0.0)
    return least if least < unit.headroom_policy_frac - HEADROOM_TOLERANCE else None
