"""From whole counts to a verified solution: billed, framed, checked, and told honestly."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import MixSolution, SolveStatus, UnitRequirement
from capacity.errors import PlanCheckError
from capacity.optimize._billing import Bill, Usage, bill, usage_rows
from capacity.optimize._clock import Clock
from capacity.optimize._fleet import Fleet, running_by_type, vertical_count
from capacity.optimize.check import TOLERANCE, check, check_objective
from capacity.optimize.explain import binding

Counts = npt.NDArray[np.int64]

# How the note on the penalty begins.
PENALTY_NOTE = "the objective holds a switching penalty"

# Floating point in sums of money: a bound above the cost by more than this share is a fault.
_MONEY_TOLERANCE = 1e-6

PROVISIONED_COLUMNS = (
    "unit", "service", "region", "month", "purchase", "instance_type", "per_zone", "instances", "vcpu", "usd_per_hour",
)  # fmt: skip
RUNNING_COLUMNS = (
    "unit", "service", "region", "month", "block", "purchase", "instance_type", "per_zone", "instances", "hours", "usd",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """Whole counts per zone, rows as in ``usage_rows``: ``running`` and ``spot`` (rows, months, blocks),
    ``provisioned`` on demand (rows, months). ``bought``: (offer, month) -> $/h, or instances of an RI.
    """

    running: Counts
    spot: Counts
    provisioned: Counts
    bought: Mapping[tuple[int, int], float]


@dataclass(frozen=True)
class Proof:
    """What is known of how good a plan is, and how its search ended. ``notes`` join the solution's."""

    bound: float
    termination: str
    gap_frac: float
    solver: str
    began: float
    notes: tuple[str, ...] = ()
    clock: Clock = time.perf_counter


def solution_of(fleet: Fleet, plan: Plan, proof: Proof) -> MixSolution:
    """Bill, frame and verify ``plan``.

    Raises
    ------
    PlanCheckError
        It breaks a requirement, or costs less than was proven to be possible.
    """
    owners, candidates = usage_rows(fleet)
    zones = np.array([r.zones for r in owners], dtype=float).reshape(-1, 1, 1)
    spot = plan.spot * zones if plan.spot.any() else None
    billed = bill(fleet, Usage(owners, candidates, plan.running * zones, spot), plan.bought)
    frames = (_provisioned_frame(fleet, plan), _running_frame(fleet, plan), billed.use, billed.spend)
    checks = check(fleet.problem, *frames, billed.purchases)
    penalty = penalty_usd(fleet, plan.running)
    status = _status(billed.total_usd + penalty, proof)
    checks += (check_objective(fleet.problem, frames[1], billed.spend, status.objective, TOLERANCE),)
    notes = (*_notes(fleet, penalty, billed), *proof.notes)
    solution = MixSolution(status, *frames, checks, notes=notes, purchases=billed.purchases)
    return replace(solution, binding=binding(fleet.problem, solution))


def _status(objective: float, proof: Proof) -> SolveStatus:
    slack, bound = _MONEY_TOLERANCE * max(abs(objective), 1.0), proof.bound
    if bound > objective + slack:
        raise PlanCheckError(f"the proven bound {bound:.6f} USD is above the plan's cost {objective:.6f} USD")
    bound = min(bound, objective)
    if not math.isfinite(bound):
        bound, gap = -math.inf, math.inf
    else:
        gap = (objective - bound) / abs(objective) if objective else 0.0
    # The solver's own gap leaves out what rounding adds; a gap at the target to 1e-9 is at the target.
    status: Literal["optimal", "feasible"] = "optimal" if gap <= proof.gap_frac + 1e-9 else "feasible"
    runtime = proof.clock() - proof.began
    # "optimal" is a word of the last search, over what it was given to choose from: of the plan it holds only here.
    ended = proof.termination if status == "optimal" or proof.termination != "optimal" else "ended with a gap"
    return SolveStatus(status, ended, float(objective), float(bound), float(gap), runtime, proof.solver)


def penalty_usd(fleet: Fleet, running: Counts) -> float:
    """The switching penalty of a plan, as ``define_switching_penalty`` states it."""
    share, row, total = fleet.problem.switching_penalty_frac, 0, 0.0
    for s, r in enumerate(fleet.requirements):
        runs = running_by_type(r)
        for c in r.candidates:
            here = runs.get(c.instance_type, 0) if c.allowed else 0
            for t, blocks in enumerate(fleet.blocks[s]) if here else ():
                left = np.maximum(here - r.zones * running[row, t, : len(blocks)], 0)
                total += share * c.usd_per_hour * sum(float(x) * b.hours for x, b in zip(left, blocks, strict=True))
            row += 1
    return total


def _provisioned_frame(fleet: Fleet, plan: Plan) -> pd.DataFrame:
    owners, candidates = usage_rows(fleet)
    rows = []
    for purchase, counts in (("on_demand", plan.provisioned), ("spot", plan.spot.max(axis=2, initial=0))):
        for row, t in np.argwhere(counts > 0):
            r, c, count = owners[row], candidates[row], int(counts[row, t])
            total = count * r.zones
            price = c.usd_per_hour if purchase == "on_demand" else c.spot_usd_per_hour or 0.0
            where = (str(r.unit), r.unit.service, r.unit.region, fleet.problem.months[t], purchase)
            rows.append((*where, c.instance_type, count, total, total * c.vcpu, total * price))
    return _typed(rows, PROVISIONED_COLUMNS, floats=("usd_per_hour",), wholes=("per_zone", "instances", "vcpu"))


def _running_frame(fleet: Fleet, plan: Plan) -> pd.DataFrame:
    owners, candidates = usage_rows(fleet)
    rows = []
    position = {r.unit: s for s, r in enumerate(fleet.requirements)}
    for purchase, counts in (("on_demand", plan.running), ("spot", plan.spot)):
        for row, t, b in np.argwhere(counts > 0):
            r, c, count = owners[row], candidates[row], int(counts[row, t, b])
            block, total = fleet.blocks[position[r.unit]][t][b], count * r.zones
            price = c.usd_per_hour if purchase == "on_demand" else c.spot_usd_per_hour or 0.0
            where = (str(r.unit), r.unit.service, r.unit.region, block.month, block.block, purchase)
            rows.append((*where, c.instance_type, count, total, block.hours, total * price * block.hours))
    return _typed(rows, RUNNING_COLUMNS, floats=("hours", "usd"), wholes=("per_zone", "instances"))


def _typed(
    rows: list[tuple[Any, ...]], columns: tuple[str, ...], floats: tuple[str, ...], wholes: tuple[str, ...]
) -> pd.DataFrame:
    kinds: Mapping[str, Any] = {**dict.fromkeys(floats, float), **dict.fromkeys(wholes, "int64")}
    return pd.DataFrame(rows, columns=list(columns)).astype(kinds)


def _notes(fleet: Fleet, penalty: float, billed: Bill) -> tuple[str, ...]:
    out = []
    if fleet.problem.switching_penalty_frac > 0:
        out.append(
            f"{PENALTY_NOTE} of {penalty:,.2f} USD that is not spend: an instance that runs "
            f"today and no longer runs counts {fleet.problem.switching_penalty_frac:.1%} of its price"
        )
    if fleet.problem.quotas:
        out.append("quotas are held against this plan's own instances; other users of the account are not modelled")
    out += against_policy(fleet.requirements)
    out += [f"{r.unit} keeps {vertical_count(r)} per zone; only its type is chosen" for r in fleet.requirements
            if r.vertical]  # fmt: skip
    return tuple(out)


AGAINST_POLICY = "against its policy: priced, not planned"


def against_policy(requirements: Sequence[UnitRequirement]) -> list[str]:
    """What runs of types that may not be planned, a note a unit."""
    out = []
    for r in requirements:
        runs = running_by_type(r)
        barred = sorted(c.instance_type for c in r.candidates if not c.allowed and runs.get(c.instance_type))
        if barred:
            out.append(f"{r.unit} runs {', '.join(barred)} {AGAINST_POLICY}")
    return out
