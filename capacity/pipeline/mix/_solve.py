"""The problem of a whole fleet, its solution, and what of it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from capacity import forecast, optimize, saturation, words
from capacity.config import Config, OptimizeConfig
from capacity.domain import CapacityReservation, MixProblem, MixSolution, Offer, Unit, UnitRequirement
from capacity.errors import InfeasiblePlanError, PlanError
from capacity.optimize import Memory
from capacity.pipeline.demand import UnitData
from capacity.pipeline.futures import Future
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.mix._fleet import tier_of
from capacity.pipeline.mix._need import UnitNeed
from capacity.pipeline.progress import Progress, silent

SPOT = "spot"


@dataclass(frozen=True)
class Mix:
    """The solved fleet, the running one priced alike, and what each unit needed."""

    needs: Mapping[Unit, UnitNeed]
    problem: MixProblem
    solution: MixSolution
    running_spend: pd.DataFrame
    memory: Memory = field(default_factory=Memory)
    # As it was asked for with purchases in mind, where it is another than the cheapest on demand.
    asked_as: MixProblem | None = None


def solve_mix(
    inputs: Inputs,
    needs: Mapping[Unit, UnitNeed],
    *,
    seed: int,
    pinned: Mapping[Unit, Mapping[tuple[str, str], int]] | None = None,
    offered: Sequence[Offer] = (),
    progress: Progress = silent,
    warm: Memory | None = None,
) -> Mix | None:
    """The cheapest verified mix for all ``needs``, or None where no unit runs instances.

    ``pinned`` keeps the mix of units that a scenario does not touch; ``offered`` may be bought. ``warm`` is what the
    base's solve left behind (``Mix.memory``): a scenario starts from it and leaves it as it is.

    Raises
    ------
    InfeasiblePlanError, NoPlanInTimeError
        See :mod:`capacity.errors`.
    """
    if not needs:
        return None
    settings = inputs.config.optimize
    problem, notes = _problem(inputs, needs, pinned or {}, offered)
    progress("solve the mix", 0, 1)
    try:
        memory = Memory() if warm is None else warm.copy()
        solution = _solved(problem, settings, seed, memory)
    except InfeasiblePlanError as error:
        raise _with_relaxation(error, inputs.config, problem, seed) from None
    progress("solve the mix", 1, 1)
    return Mix(
        needs=needs,
        problem=problem,
        solution=replace(solution, notes=(*solution.notes, *notes)) if notes else solution,
        running_spend=optimize.price_running(_as_it_ran(problem, needs)),
        memory=memory,
    )


def as_the_base(inputs: Inputs, needs: Mapping[Unit, UnitNeed], base: Mix) -> Mix | None:
    """The mix of ``base`` for ``needs`` that make the same problem of it; None where they make another."""
    if not needs:
        return None
    problem, _ = _problem(inputs, needs, {}, base.problem.offers)
    return replace(base, needs=needs) if problem == base.problem else None


def solve_again(problem: MixProblem, settings: OptimizeConfig, seed: int, warm: Memory, seconds: float) -> MixSolution:
    """Another problem of the same fleet within ``seconds``, by the same rules; ``warm`` is read and left as it is.

    Raises
    ------
    InfeasiblePlanError, NoPlanInTimeError
        See :mod:`capacity.errors`.
    """
    limit = min(seconds, settings.time_limit_seconds)
    return _solved(problem, settings.model_copy(update={"time_limit_seconds": limit}), seed, warm.copy())


def _solved(problem: MixProblem, settings: OptimizeConfig, seed: int, memory: Memory) -> MixSolution:
    limits = (settings.time_limit_seconds, settings.gap_frac, settings.solver, seed, memory)
    if settings.most_types is None:
        return optimize.solve(problem, *limits)
    return optimize.solve_few_types(problem, settings.most_types, *limits)


def _with_relaxation(error: InfeasiblePlanError, config: Config, problem: MixProblem, seed: int) -> InfeasiblePlanError:
    """The same, with the smallest change that makes a plan possible, and what that plan costs."""
    headroom = {r.unit: tier_of(config, r.unit).min_headroom_frac for r in problem.requirements}
    found = optimize.smallest_relaxation(
        problem, headroom_frac=headroom, time_limit_seconds=config.optimize.time_limit_seconds
    )
    lines = [*found.words]
    if found.possible:
        try:
            relaxed = _solved(found.problem, config.optimize, seed, Memory())
        except PlanError as unsolved:
            lines.append(f"a plan with that change was not found: {unsolved}".splitlines()[0])
        else:
            spend = words.money(float(relaxed.spend["total_usd"].sum()), config.currency)
            lines.append(f"with that change a verified plan costs {spend} over the horizon")
    return InfeasiblePlanError(error.message, error.conflicts, lines)


def _problem(
    inputs: Inputs,
    needs: Mapping[Unit, UnitNeed],
    pinned: Mapping[Unit, Mapping[tuple[str, str], int]],
    offered: Sequence[Offer],
) -> tuple[MixProblem, tuple[str, ...]]:
    """The problem, and a note on reservations that are in nobody's reach."""
    months = _month_hours(needs)
    held, notes = _reservations(inputs, needs)
    reserved = frozenset(r.instance_type for r in held)
    problem = MixProblem(
        months=tuple(months),
        month_hours=tuple(months.values()),
        requirements=tuple(
            _pinned(need, pinned[unit], reserved) if unit in pinned else need.requirement
            for unit, need in sorted(needs.items())
        ),
        commitments=inputs.commitments,
        committed_rate=inputs.committed_rate,
        quotas=inputs.quotas,
        switching_penalty_frac=inputs.config.optimize.switching_penalty_frac,
        offers=tuple(offered),
        reservations=held,
    )
    return problem, notes


def _pinned(need: UnitNeed, kept: Mapping[tuple[str, str], int], reserved: frozenset[str]) -> UnitRequirement:
    """The unit with its counts given, and of its types those that have a count, or that price something else.

    No other may run, and a bound that is proven over hundreds of types that may not takes most of the time. A month
    without a count is free: then all stay.
    """
    r = need.requirement
    if {b.month for b in r.blocks} - {month for month, _ in kept}:
        return replace(r, pinned=kept)
    priced = {name for name, _ in (*r.running, *need.running_average)} | reserved
    counted = {name for _, name in kept}
    candidates = tuple(
        c if c.instance_type in counted else replace(c, allowed=False)
        for c in r.candidates
        if c.instance_type in counted | priced
    )
    return replace(r, candidates=candidates, pinned=kept)


def _reservations(
    inputs: Inputs, needs: Mapping[Unit, UnitNeed]
) -> tuple[tuple[CapacityReservation, ...], tuple[str, ...]]:
    """Those that some unit of their account and region has a price for; what the others cost is not in the plan."""
    priced = {
        (n.requirement.account_id, n.requirement.unit.region, c.instance_type)
        for n in needs.values()
        for c in n.requirement.candidates
    }
    held = [r for r in inputs.reservations if (r.account_id, r.region, r.instance_type) in priced]
    left = [r.id for r in inputs.reservations if r not in held]
    notes = (
        ("that no planned service can use", left),
        ("of another system or tenancy than Linux on shared hosts, or of an unknown type,", inputs.reservations_apart),
    )
    return tuple(held), tuple(
        f"capacity reservations {which} are not in the plan, nor in what it counts of quotas: {_named(ids)}"
        for which, ids in notes
        if ids
    )


def _named(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")


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
    """Demand that the plan serves in each (month, block), all zones up; of spot only what is relied on."""
    r = solution.running
    rows = r[(r["service"] == need.requirement.unit.service) & (r["region"] == need.requirement.unit.region)]
    relied = np.where(_is_spot(rows), rows["instance_type"].map(need.spot_relied).fillna(1.0), 1.0)
    served = rows["instances"].to_numpy(float) * rows["instance_type"].map(need.safe_of).to_numpy(float) * relied
    totals: dict[tuple[str, str], float] = {}
    for month, block, demand in zip(rows["month"].astype(str), rows["block"].astype(str), served, strict=True):
        totals[month, block] = totals.get((month, block), -need.reserve) + float(demand)
    return totals


def _is_spot(rows: pd.DataFrame) -> pd.Series:
    return rows["purchase"] == SPOT


def coverage_frame(needs: Mapping[Unit, UnitNeed], solution: MixSolution) -> pd.DataFrame:
    """Share of paths with no hour above what is served, by unit and month, against the tier's promise."""
    rows = []
    for unit, need in sorted(needs.items()):
        found = forecast.plan_coverage(need.hours, need.days, need.blocks, planned_safe(need, solution))
        rows += [(unit.service, unit.region, month, share) for month, share in sorted(found.items())]
    return pd.DataFrame(rows, columns=["service", "region", "month", "coverage_frac"])


def pins(mix: Mix, untouched: frozenset[str]) -> dict[Unit, dict[tuple[str, str], int]]:
    """Counts per zone of the units of ``untouched`` services, to be kept by another scenario.

    A pin is on demand, so units that run spot in the plan are not pinned: they are solved again.
    """
    provisioned = mix.solution.provisioned
    spot = provisioned[_is_spot(provisioned) & (provisioned["per_zone"] > 0)]
    with_spot = set(zip(spot["service"], spot["region"], strict=True))
    rows = provisioned[~_is_spot(provisioned)].to_dict("records")
    out: dict[Unit, dict[tuple[str, str], int]] = {}
    for row in rows:
        if row["service"] in untouched and (row["service"], row["region"]) not in with_spot:
            unit = Unit(str(row["service"]), str(row["region"]))
            out.setdefault(unit, {})[str(row["month"]), str(row["instance_type"])] = int(row["per_zone"])
    return out


def weekly_headroom(data: UnitData, future: Future, safe: float) -> pd.DataFrame:
    """Headroom of the running fleet by week, at the tier's service level."""
    frame = saturation.headroom(future.peak.paths, safe, data.tier.service_level, future.peak.index)
    return frame.assign(service=data.unit.service, region=data.unit.region, policy_frac=data.tier.min_headroom_frac)
