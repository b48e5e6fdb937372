"""On-demand usage by path and group, from the solved mix and the paths of every unit's demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from capacity.domain import Candidate, Floats, MixProblem, MixSolution, Unit, UnitRequirement
from capacity.errors import MissingDataError, UsageError
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize.purchases.types import PurchaseProblem, UsageGroup

# Paths of a decision, of the 1,000 or so of a forecast: the design's two-stage programme was measured with as many.
PATHS = 200


def evenly(paths: int, wanted: int = PATHS) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Positions of ``wanted`` of ``paths`` paths, evenly spaced; all where there are no more."""
    return np.arange(paths) if paths <= wanted else (np.arange(wanted) * paths) // wanted


def usage_groups(
    problem: MixProblem,
    solution: MixSolution,
    demand: Mapping[Unit, Floats],
    *,
    paths: int = PATHS,
    whole_instances: bool = False,
) -> PurchaseProblem:
    """Usage at on-demand price by account, region, family and type, with the mix problem's commitments and offers.

    A static unit runs what is planned in every path. An autoscaled one runs the share d / planned demand of what is
    planned in a block, d being the path's *mean* demand of the block's hours (what is planned stands for its busiest
    hour): never more than is planned, never less than its minimum. Fractions of instances stand for the hours in which
    one of them runs; with ``whole_instances`` every type is rounded up to whole ones in every zone. What runs as spot
    is left out: no commitment covers it.

    Parameters
    ----------
    demand
        (P, B) by unit: mean demand in the hours of each of the requirement's ``blocks``, in their order; row p of all
        units is one future. Static units need none.
    paths
        How many of the P are used, evenly spaced.

    Returns
    -------
    PurchaseProblem
        Lots are the months' levels (blocks of the same hours, where all units have the same); the policy is the
        default, to be replaced.

    Raises
    ------
    MissingDataError
        An autoscaled unit without paths.
    UsageError
        Paths of another shape.
    """
    fleet = fleet_of(problem)
    chosen = evenly(_path_count(fleet, demand), paths)
    lot_month = np.array([t for t, names in enumerate(fleet.level_names) for _ in names])
    usage: dict[tuple[str, str, str, str], Floats] = {}
    price: dict[tuple[str, str, str, str], float] = {}
    per_zone = solution.running.groupby(["service", "region", "month", "block"])["per_zone"].sum()
    for unit, rows in _on_demand(solution):
        requirement = fleet.requirements[fleet.position(unit)]
        by_name = {c.instance_type: c for c in requirement.candidates}
        for row in rows.itertuples():
            candidate = by_name[str(row.instance_type)]
            key = (requirement.account_id, unit.region, candidate.family, candidate.instance_type)
            planned = float(per_zone[unit.service, unit.region, row.month, row.block])
            least = min(1.0, requirement.min_per_zone / planned) if planned > 0 else 0.0
            counts = _counts(problem, requirement, row, demand.get(unit), chosen, whole_instances, least)
            lots = _spread(fleet, unit, str(row.month), str(row.block), counts, lot_month)
            usage[key] = usage.get(key, 0.0) + lots * candidate.usd_per_hour
            _one_price(price, key, candidate)
    groups = tuple(UsageGroup(*key, usd_per_hour=price[key], usd=usage[key]) for key in sorted(usage))
    hours = _hours(fleet, lot_month)
    return PurchaseProblem(
        problem.months, tuple(int(t) for t in lot_month), hours, groups, problem.offers, problem.commitments,
        problem.committed_rate,
    )  # fmt: skip


def _on_demand(solution: MixSolution) -> list[tuple[Unit, pd.DataFrame]]:
    rows = solution.running[solution.running["purchase"] == "on_demand"]
    return [(Unit(str(s), str(r)), part) for (s, r), part in rows.groupby(["service", "region"], sort=True)]


def _path_count(fleet: Fleet, demand: Mapping[Unit, Floats]) -> int:
    missing = [str(r.unit) for r in fleet.requirements if r.autoscaled and r.unit not in demand]
    if missing:
        raise MissingDataError(
            f"no demand paths for {', '.join(missing[:10])}: usage cannot be told from the plan alone"
        )
    counts = {np.shape(d)[0] for d in demand.values()}
    if len(counts) > 1:
        raise UsageError(f"units have {sorted(counts)} demand paths: joint paths are as many for all")
    return counts.pop() if counts else 1


def _counts(
    problem: MixProblem,
    requirement: UnitRequirement,
    row: Any,
    demand: Floats | None,
    chosen: np.ndarray[Any, np.dtype[np.int64]],
    whole_instances: bool,
    least: float,
) -> Floats:
    """(P,) instances of one row of the plan, at least the share ``least`` of what is planned."""
    planned = float(row.instances)
    if not requirement.autoscaled or demand is None:
        return np.full(len(chosen), planned)
    own = next(r for r in problem.requirements if r.unit == requirement.unit)
    if np.shape(demand)[1] != len(own.blocks):
        raise UsageError(f"{own.unit}: demand paths of {np.shape(demand)[1]} blocks where it has {len(own.blocks)}")
    b = next(i for i, k in enumerate(own.blocks) if (k.month, k.block) == (row.month, row.block))
    target = own.blocks[b].demand
    share = np.ones(len(chosen)) if target <= 0 else np.clip(np.asarray(demand, float)[chosen, b] / target, 0.0, 1.0)
    share = np.maximum(share, least)
    if not whole_instances:
        return np.asarray(planned * share, dtype=float)
    return np.ceil(float(row.per_zone) * share - 1e-9) * own.zones


def _spread(fleet: Fleet, unit: Unit, month: str, block: str, counts: Floats, lot_month: Any) -> Floats:
    """(P, K) what a count in one block of a unit is in the lots."""
    s, t = fleet.position(unit), fleet.problem.months.index(month)
    b = next(i for i, k in enumerate(fleet.blocks[s][t]) if k.block == block)
    out = np.zeros((len(counts), len(lot_month)))
    out[:, lot_month == t] = counts[:, None] * fleet.presence[s][t][b][None, :]
    return out


def _hours(fleet: Fleet, lot_month: Any) -> tuple[float, ...]:
    total = np.zeros(len(lot_month))
    first = [int(np.flatnonzero(lot_month == t)[0]) for t in range(len(fleet.problem.months))]
    for lot in fleet.lots:
        total[first[lot.month] + lot.level] += lot.hours
    return tuple(float(h) for h in total)


def _one_price(price: dict[tuple[str, str, str, str], float], key: tuple[str, str, str, str], c: Candidate) -> None:
    if price.setdefault(key, c.usd_per_hour) != c.usd_per_hour:
        raise UsageError(f"{key[3]} in {key[1]} has two on-demand prices: {price[key]:g} and {c.usd_per_hour:g}")
