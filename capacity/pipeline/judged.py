"""The plan judged from outside the optimizer: what it realises when it is operated, its headroom, what more would cost.

Everything is taken from the plan's own frames and the paths that it was made for, by the simulator of
:mod:`capacity.optimize.service_level`, which shares no expression with the model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd

from capacity import forecast, optimize
from capacity.config import Config
from capacity.domain import LoadBlock, MixProblem, MixSolution, Unit
from capacity.errors import PlanError
from capacity.optimize.purchases import as_asked, as_before
from capacity.optimize.service_level import (
    CURVE_LEVELS,
    FurtherNeed,
    Operation,
    cost_curve,
    headroom_by_month,
    headroom_curve,
    simulate,
    with_blocks,
)
from capacity.pipeline.demand import UnitData
from capacity.pipeline.mix import Mix, UnitNeed, coverage_frame
from capacity.pipeline.progress import Progress, silent
from capacity.plan import FRAMES

# A point of the curve is solved to this gap: the steps between its levels are ten times as large.
_CURVE_GAP_FRAC = 0.01

Solve = Callable[[MixProblem], MixSolution]


@dataclass(frozen=True)
class Judged:
    """Frames ``coverage``, ``headroom_months``, ``cost_curve``, ``headroom_curve`` of the plan, in their columns."""

    coverage: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(FRAMES["coverage"])))
    headroom_months: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(FRAMES["headroom_months"])))
    cost_curve: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(FRAMES["cost_curve"])))
    headroom_curve: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(FRAMES["headroom_curve"])))


def judge(
    mix: Mix | None, data: Mapping[Unit, UnitData], config: Config, seed: int, tell: Progress = silent,
    *, around: bool = False,
) -> Judged:  # fmt: skip
    """Operate the plan on every path, measure its headroom and price other service levels.

    ``around``: price other amounts of headroom too, unless ``optimize: why_seconds`` is 0.
    """
    if mix is None:
        return Judged()
    operated = {u: operation(n, data[u], config) for u, n in sorted(mix.needs.items()) if u in data}
    coverage, headroom = [], []
    frames = (mix.solution.running, mix.solution.provisioned)
    for number, (unit, one) in enumerate(operated.items()):
        tell("operate the plan", number, len(operated))
        need = mix.needs[unit]
        coverage.append(simulate(one, need.hours, *frames))
        headroom.append(headroom_by_month(one, need.hours, need.safe, *frames, data[unit].peak_recent))
    tell("operate the plan", len(operated), len(operated))
    months = _stacked(headroom, "headroom_months").rename(columns={"peak_q": "peak"})
    solve = _as_the_plan(mix, _solver(config, seed), config.optimize.gap_frac)
    judged = Judged(
        coverage=_coverage(coverage, mix, config, operated),
        headroom_months=months,
        cost_curve=_curve(mix, {one.service_level for one in operated.values()}, config, solve),
    )
    if not around or config.optimize.why_seconds <= 0:
        return judged
    tell("what headroom costs", 0, 1)
    room = {u: data[u].tier.min_headroom_frac for u in mix.needs if u in data}
    return replace(judged, headroom_curve=headroom_curve(mix.problem, mix.solution, solve, room))


def operation(need: UnitNeed, data: UnitData, config: Config) -> Operation:
    """The unit as its operator sees it."""
    r, count = need.requirement, config.optimize.load_blocks
    names = np.char.add("b", (need.block_of(count) + 1).astype(str))
    return Operation(
        unit=r.unit,
        service_level=data.tier.service_level,
        days=need.days,
        block_names=names,
        zones=r.zones,
        zones_survived=r.zones_survived,
        autoscaled=r.autoscaled and not r.vertical,
        safe=need.safe_of,
        zone_loss={c.instance_type: c.zone_loss for c in r.candidates},
        headroom_frac=data.tier.min_headroom_frac,
        reserve=need.reserve,
        spot_buffer_frac={t: 1.0 - x for t, x in need.spot_relied.items()},
        min_per_zone=optimize.vertical_count(r) if r.vertical else r.min_per_zone,
        least_types=r.least_types,
        further=tuple(
            FurtherNeed(
                k.resource, k.fixed, k.per_demand, {c.instance_type: c.further[k.resource] for c in r.candidates}
            )
            for k in need.resources
            if not k.folds
        ),
    )


def _coverage(found: list[pd.DataFrame], mix: Mix, config: Config, operated: Collection[Unit]) -> pd.DataFrame:
    """Realised coverage; of node pools of which nothing more is known, what the joint paths of vCPU say."""
    simulated = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    if len(simulated):
        simulated = simulated.rename(columns={"service_level": "required_frac"})
    pools = {p.name: config.tier(p.tier).service_level for p in config.pools}
    left = {u: n for u, n in mix.needs.items() if u.service in pools and u not in operated}
    pooled = coverage_frame(left, mix.solution)
    if len(pooled):
        pooled = pooled.assign(required_frac=pooled["service"].map(pools))
        simulated = pd.concat([simulated, pooled], ignore_index=True)
    return simulated if len(simulated) else pd.DataFrame(columns=list(FRAMES["coverage"]))


def _stacked(found: list[pd.DataFrame], name: str) -> pd.DataFrame:
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(FRAMES[name]))


def _solver(config: Config, seed: int) -> Solve:
    settings = config.optimize
    return partial(
        optimize.solve,
        time_limit_seconds=settings.time_limit_seconds,
        gap_frac=max(_CURVE_GAP_FRAC, settings.gap_frac),
        solver=settings.solver,
        seed=seed,
    )


def _as_the_plan(mix: Mix, solve: Solve, gap_frac: float) -> Solve:
    """``solve`` by the prices that the plan was chosen by, where purchases are in these, and billed as the plan is.

    Else a level would be of types that are cheapest on demand, and cost less than the plan for another reason than its
    level. The bound is of the fleet's own prices.
    """
    by = mix.asked_as
    if by is None:
        return solve

    def solve_both(problem: MixProblem) -> MixSolution:
        first = solve(problem)
        try:
            return as_asked(problem, solve(as_before(problem, mix.problem, by)), first, gap_frac)
        except PlanError:
            return first

    return solve_both


def _curve(mix: Mix, promised: Collection[float], config: Config, solve: Solve) -> pd.DataFrame:
    """The price of headroom. Where all tiers promise the same, the plan itself is the point at that level."""
    own = dict.fromkeys(promised, mix.solution) if len(promised) == 1 else {}
    levels = tuple(sorted({*CURVE_LEVELS, *own}))
    problem_at = partial(_at_level, mix, config.optimize.load_blocks, levels, {})
    return cost_curve(problem_at, solve, levels, known=own, types_of=mix.solution)


def _at_level(
    mix: Mix,
    load_blocks: int,
    levels: Sequence[float],
    cut: dict[Unit, dict[float, tuple[LoadBlock, ...]]],
    level: float,
) -> MixProblem:
    """The mix's problem with every unit's blocks cut at ``level``; pools and pinned units keep theirs."""
    blocks: dict[Unit, tuple[LoadBlock, ...]] = {}
    for unit, need in mix.needs.items():
        if not _is_cut_by_demand(need):
            continue
        if unit not in cut:
            static = not need.requirement.autoscaled or need.requirement.vertical
            cut[unit] = forecast.cut_at_levels(
                need.hours, need.days, load_blocks, levels, static=static, groups=need.groups
            )
        further = [k for k in need.resources if not k.folds]
        lost = {(b.month, b.block): b.region_loss_demand for b in need.requirement.blocks}
        blocks[unit] = tuple(
            replace(
                b,
                demand=b.demand + need.reserve,
                further={k.resource: k.needed(b.demand) for k in further},
                region_loss_demand=lost.get((b.month, b.block), 0.0),
            )
            for b in cut[unit][level]
        )
    free = tuple(mix.needs[r.unit].requirement for r in mix.problem.requirements)
    return with_blocks(replace(mix.problem, requirements=free), blocks)


def _is_cut_by_demand(need: UnitNeed) -> bool:
    """Whether the unit's blocks follow from its own demand alone: a pool's are cut jointly with memory and pods."""
    held = {k.resource for k in need.resources if not k.folds}
    return all(set(b.further) <= held for b in need.requirement.blocks)
