"""From futures to a verified instance mix: safe capacity, load blocks, candidates, the problem, its solution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd

from capacity import forecast, optimize, saturation, scenario
from capacity.domain import (
    Candidate,
    Excuse,
    Interval,
    LoadBlock,
    MixProblem,
    MixSolution,
    Paths,
    ResourceCost,
    SafeCapacity,
    Unit,
    UnitRequirement,
)
from capacity.errors import MissingDataError
from capacity.pipeline.demand import UnitData
from capacity.pipeline.futures import Future
from capacity.pipeline.inputs import Inputs, on_demand
from capacity.pipeline.progress import Progress, silent
from capacity.scenario import Scenario


@dataclass(frozen=True)
class UnitNeed:
    """What one unit needs, and what it runs: the optimizer's view of it and what is told beside it."""

    requirement: UnitRequirement
    blocks: tuple[LoadBlock, ...]  # the demand itself, without what is reserved for the fixed part
    excuses: tuple[Excuse, ...]
    safe: SafeCapacity
    cost: ResourceCost
    safe_of: Mapping[str, float]
    running_average: Mapping[tuple[str, str], int]
    hours: Paths
    days: pd.DatetimeIndex
    reserve: float
    prune_loss_frac: float


@dataclass(frozen=True)
class Mix:
    """The solved fleet, the running one priced alike, and what each unit needed."""

    needs: Mapping[Unit, UnitNeed]
    problem: MixProblem
    solution: MixSolution
    running_spend: pd.DataFrame
    coverage: pd.DataFrame


def scaled_cost(cost: ResourceCost, factor: float) -> ResourceCost:
    """The resource cost of demand under an efficiency scenario."""
    if factor == 1.0:
        return cost
    per = cost.per_demand
    scaled = Interval(per.low * factor, per.mid * factor, per.high * factor, per.confidence)
    return replace(cost, per_demand=scaled, fixed=cost.fixed * factor)


def _require_rates(inputs: Inputs, unit: Unit) -> None:
    if not on_demand(inputs.prices, unit.region):
        raise MissingDataError(
            f"{inputs.config.path}: no on-demand rate in {inputs.config.currency} is known for {unit.region}, where "
            f"{unit.service} runs; ingest rates (kind: aws_prices, or files with frame: prices), or mend 'currency'"
        )


def unit_need(
    inputs: Inputs, data: UnitData, future: Future, change: Scenario, seed: int, discount_frac: float = 0.0
) -> UnitNeed | None:
    """What ``data``'s unit needs of a fleet; None where it runs no instances or nothing ties demand to vCPU.

    ``discount_frac`` is the private discount that the bill shows (Contracted over List): plans are priced at what is
    paid, not at the list.
    """
    if data.cost is None or data.service.kind == "usage_priced" or not data.running:
        return None
    service, tier, unit = data.service, data.tier, data.unit
    _require_rates(inputs, unit)
    cost = scaled_cost(data.cost, scenario.efficiency_factor(change, unit))
    hours = forecast.hourly_paths(future.mean, future.peak, data.shapes, seed)
    days = future.peak.index
    blocks = forecast.cut_blocks(hours, days, inputs.config.optimize.load_blocks, tier.service_level)
    prices = {
        name: rate * (1.0 - discount_frac) * scenario.price_factor(change, name.split(".")[0])
        for name, rate in on_demand(inputs.prices, unit.region).items()
    }
    scale = saturation.reference_scale(data.running, inputs.types, service)
    per_instance = partial(saturation.per_instance, service=service, tier=tier, cost=cost, measured_scale=scale)
    reserve = saturation.reserved_demand(cost)
    candidates, excuses = optimize.build_candidates(
        unit, service, inputs.types, prices, per_instance, {name for name, _ in data.running}
    )
    requirement = UnitRequirement(
        unit=unit,
        account_id=data.account_id,
        zones=service.zones,
        zones_survived=min(tier.zones_survived, service.zones - 1),
        autoscaled=service.autoscaled,
        min_per_zone=service.min_instances_per_zone,
        max_per_zone=service.max_instances_per_zone,
        blocks=tuple(replace(b, demand=b.demand + reserve) for b in blocks),
        candidates=_with_headroom(candidates, tier.min_headroom_frac),
        running=data.running,
        vertical=service.kind == "vertical",
    )
    return UnitNeed(
        requirement=requirement,
        blocks=blocks,
        excuses=excuses,
        safe=saturation.safe_capacity(unit, data.running, inputs.types, service, tier, cost),
        cost=cost,
        safe_of={c.instance_type: c.safe for c in candidates},
        running_average=data.running_average,
        hours=hours,
        days=days,
        reserve=reserve,
        prune_loss_frac=optimize.prune_loss(unit, service, inputs.types, prices, per_instance, candidates),
    )


def _with_headroom(candidates: tuple[Candidate, ...], headroom_frac: float) -> tuple[Candidate, ...]:
    """The tier's headroom is kept by counting only that share of each instance's safe capacity."""
    return tuple(replace(c, safe=c.safe * (1.0 - headroom_frac)) for c in candidates)


def solve_mix(
    inputs: Inputs,
    needs: Mapping[Unit, UnitNeed],
    *,
    seed: int,
    pinned: Mapping[Unit, Mapping[tuple[str, str], int]] | None = None,
    progress: Progress = silent,
) -> Mix | None:
    """The cheapest verified mix for all ``needs``, or None where no unit runs instances.

    ``pinned`` keeps the mix of units that a scenario does not touch.

    Raises
    ------
    InfeasiblePlanError, NoPlanInTimeError
        See :mod:`capacity.errors`.
    """
    if not needs:
        return None
    settings = inputs.config.optimize
    months = _month_hours(needs)
    problem = MixProblem(
        months=tuple(months),
        month_hours=tuple(months.values()),
        requirements=tuple(
            replace(need.requirement, pinned=(pinned or {}).get(unit)) for unit, need in sorted(needs.items())
        ),
        commitments=inputs.commitments,
        committed_rate=inputs.committed_rate,
        quotas=inputs.quotas,
        switching_penalty_frac=settings.switching_penalty_frac,
    )
    progress("solve the mix", 0, 1)
    limits = (settings.time_limit_seconds, settings.gap_frac, settings.solver, seed)
    if settings.most_types is None:
        solution = optimize.solve(problem, *limits)
    else:
        solution = optimize.solve_few_types(problem, settings.most_types, *limits)
    progress("solve the mix", 1, 1)
    return Mix(
        needs=needs,
        problem=problem,
        solution=solution,
        running_spend=optimize.price_running(_as_it_ran(problem, needs)),
        coverage=coverage_frame(needs, solution),
    )


def _as_it_ran(problem: MixProblem, needs: Mapping[Unit, UnitNeed]) -> MixProblem:
    """The fleet with the counts it ran on average: what an autoscaled service costs today, not what its peak would."""
    return replace(
        problem,
        requirements=tuple(replace(r, running=needs[r.unit].running_average) for r in problem.requirements),
    )


def _month_hours(needs: Mapping[Unit, UnitNeed]) -> dict[str, float]:
    """Hours of each month that the plan covers: the longest of the units' horizons, they may start a day apart."""
    hours: dict[str, dict[Unit, float]] = {}
    for unit, need in needs.items():
        for block in need.blocks:
            hours.setdefault(block.month, {}).setdefault(unit, 0.0)
            hours[block.month][unit] += block.hours
    return {month: max(by_unit.values()) for month, by_unit in sorted(hours.items())}


def planned_safe(need: UnitNeed, solution: MixSolution) -> dict[tuple[str, str], float]:
    """Demand that the plan serves in each (month, block), all zones up."""
    r = solution.running
    rows = r[(r["service"] == need.requirement.unit.service) & (r["region"] == need.requirement.unit.region)]
    served = rows["instances"].to_numpy(float) * rows["instance_type"].map(need.safe_of).to_numpy(float)
    totals: dict[tuple[str, str], float] = {}
    for month, block, demand in zip(rows["month"].astype(str), rows["block"].astype(str), served, strict=True):
        totals[month, block] = totals.get((month, block), -need.reserve) + float(demand)
    return totals


def coverage_frame(needs: Mapping[Unit, UnitNeed], solution: MixSolution) -> pd.DataFrame:
    """Share of paths with no hour above what is served, by unit and month, against the tier's promise."""
    rows = []
    for unit, need in sorted(needs.items()):
        found = forecast.plan_coverage(need.hours, need.days, need.blocks, planned_safe(need, solution))
        rows += [(unit.service, unit.region, month, share) for month, share in sorted(found.items())]
    return pd.DataFrame(rows, columns=["service", "region", "month", "coverage_frac"])


def pins(mix: Mix, untouched: frozenset[str]) -> dict[Unit, dict[tuple[str, str], int]]:
    """Counts per zone of the units of ``untouched`` services, to be kept by another scenario."""
    out: dict[Unit, dict[tuple[str, str], int]] = {}
    for row in mix.solution.provisioned.to_dict("records"):
        if row["service"] in untouched:
            unit = Unit(str(row["service"]), str(row["region"]))
            out.setdefault(unit, {})[str(row["month"]), str(row["instance_type"])] = int(row["per_zone"])
    return out


def weekly_headroom(data: UnitData, future: Future, safe: float) -> pd.DataFrame:
    """Headroom of the running fleet by week, at the tier's service level."""
    frame = saturation.headroom(future.peak.paths, safe, data.tier.service_level, future.peak.index)
    return frame.assign(service=data.unit.service, region=data.unit.region, policy_frac=data.tier.min_headroom_frac)
