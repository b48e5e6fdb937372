"""Solve the instance mix, and tell honestly how the search ended."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import MixProblem, MixSolution, SolveStatus
from capacity.errors import CapacityError, InfeasiblePlanError, NoPlanInTimeError, PlanCheckError
from capacity.optimize._billing import Bill, Usage, bill, grid_shape, running_usage, usage_rows
from capacity.optimize._fleet import Fleet, fleet_of, running_by_type, vertical_count
from capacity.optimize._highs import Search, search_cbc, search_highs
from capacity.optimize._strengthen import Strengthened, strengthen
from capacity.optimize._trim import trim
from capacity.optimize.check import check
from capacity.optimize.explain import binding, explain_infeasible, nothing_may_serve
from capacity.optimize.model import MixModel, build_model

Counts = npt.NDArray[np.int64]

# Share of the time limit that strengthening may use; the search needs the rest to improve on its start.
_STRENGTHEN_SHARE = 0.5

# Floating point in sums of money: a bound above the cost by more than this share is a fault.
_MONEY_TOLERANCE = 1e-6

PROVISIONED_COLUMNS = (
    "unit", "service", "region", "month", "instance_type", "per_zone", "instances", "vcpu", "usd_per_hour",
)  # fmt: skip
RUNNING_COLUMNS = (
    "unit", "service", "region", "month", "block", "instance_type", "per_zone", "instances", "hours", "usd",
)  # fmt: skip


def solve(
    problem: MixProblem,
    time_limit_seconds: float = 30.0,
    gap_frac: float = 0.002,
    solver: Literal["highs", "cbc"] = "highs",
    seed: int = 1,
) -> MixSolution:
    """The cheapest verified plan that was found, and a proven bound on how much cheaper any plan could be.

    Parameters
    ----------
    problem
        The whole fleet's problem. Its order does not matter; the same problem gives the same plan.
    time_limit_seconds
        Wall time for the search, from the call. HiGHS looks at the clock between steps and may pass it a little.
    gap_frac
        The search ends when (objective - bound) / |objective| is at most this; only then is the status "optimal".
    solver
        "highs", or "cbc", for which the bound is that of our own strengthened relaxation (CBC hands over none).
    seed
        Of the solver's tie-breaking.

    Returns
    -------
    MixSolution
        Frames in USD and instances; ``status.objective`` is the spend of the horizon plus the switching penalty.

    Raises
    ------
    InfeasiblePlanError
        With a minimal set of requirements that cannot hold together.
    NoPlanInTimeError
        The limit ended the search before any plan was found; whether one exists is then unknown.
    PlanCheckError
        The plan failed the independent checker; it is not shown.
    """
    began = time.perf_counter()
    fleet = fleet_of(problem)
    if conflicts := nothing_may_serve(fleet):
        raise InfeasiblePlanError("no plan exists: what is asked cannot be met by any instance type", conflicts)
    model = build_model(fleet)
    stronger = strengthen(model, began + _STRENGTHEN_SHARE * time_limit_seconds, seed)
    search = _search(model, stronger, began + time_limit_seconds, gap_frac, solver, seed)
    if search.outcome == "infeasible":
        _raise_infeasible(problem)
    if search.columns is None:
        raise _no_plan(search, time_limit_seconds)
    try:
        bound = max(search.bound, stronger.bound)
        return _solution(fleet, _counts(model, search.columns), search, bound, gap_frac, solver, began)
    except PlanCheckError:
        if search.outcome == "nothing":  # only the start was at hand, and it breaks a requirement
            raise _no_plan(search, time_limit_seconds) from None
        raise


def price_running(problem: MixProblem) -> pd.DataFrame:
    """What the running fleet costs a month under the same commitments and rates, with the columns of ``spend``.

    It is taken as running in every hour of every month, so against an autoscaled plan it also shows what following
    the load saves. No solver is involved.

    Raises
    ------
    MissingDataError
        A type that runs has no price among its unit's candidates.
    """
    fleet = fleet_of(problem)
    return bill(fleet, running_usage(fleet)).spend


# --- search ------------------------------------------------------------------------------------------------


def _search(
    model: MixModel, stronger: Strengthened, deadline: float, gap_frac: float, solver: str, seed: int
) -> Search:
    if not model.lp.variables():
        return Search("found", "nothing to decide", model.constant_usd, np.zeros(0))
    seconds = max(deadline - time.perf_counter(), 0.01)
    if solver == "cbc":
        return search_cbc(model.lp, seconds, gap_frac, seed)
    return search_highs(model.lp, stronger.start, seconds, gap_frac, seed)


def _no_plan(search: Search, time_limit_seconds: float) -> NoPlanInTimeError:
    return NoPlanInTimeError(
        f"no plan was found within {time_limit_seconds:g} s ({search.termination}); whether one exists is not known. "
        "Give optimize: time_limit_seconds more, or loosen gap_frac"
    )


def _raise_infeasible(problem: MixProblem) -> None:
    conflicts = explain_infeasible(problem)
    if not conflicts:
        raise CapacityError("the solver found no plan, yet no requirement conflicts: a fault of the model")
    raise InfeasiblePlanError("no plan exists: these requirements cannot hold together", conflicts)


# --- from values to a verified solution --------------------------------------------------------------------


def _counts(model: MixModel, values: npt.NDArray[np.float64]) -> tuple[Counts, Counts]:
    """(rows, months) provisioned and (rows, months, blocks) running per zone; rows as in ``usage_rows``."""
    whole = {v: round(float(x)) for v, x in zip(model.lp.variables(), values, strict=True)}
    fleet = model.fleet
    offsets = np.cumsum([0, *(len(r.candidates) for r in fleet.requirements)])
    running = np.zeros((int(offsets[-1]), *grid_shape(fleet)), dtype=np.int64)
    provisioned = np.zeros(running.shape[:2], dtype=np.int64)
    for (s, i, t, b), variable in model.running.items():
        running[offsets[s] + i, t, b] = whole[variable]
    trim(fleet, running)
    for (s, i, t), variable in model.provisioned.items():
        row = offsets[s] + i
        pinned = {m for m, _ in fleet.requirements[s].pinned or {}}
        # Where it is not pinned, n is what runs in some block: the solver may leave it larger at no cost.
        kept = fleet.problem.months[t] in pinned
        provisioned[row, t] = whole[variable] if kept else running[row, t].max()
    return provisioned, running


def _solution(
    fleet: Fleet,
    counts: tuple[Counts, Counts],
    search: Search,
    bound: float,
    gap_frac: float,
    solver: str,
    began: float,
) -> MixSolution:
    provisioned, running = counts
    owners, candidates = usage_rows(fleet)
    zones = np.array([r.zones for r in owners], dtype=float).reshape(-1, 1, 1)
    billed = bill(fleet, Usage(owners, candidates, running * zones))
    frames = (_provisioned_frame(fleet, provisioned), _running_frame(fleet, running), billed.use, billed.spend)
    checks = check(fleet.problem, *frames)
    penalty = _penalty_usd(fleet, running)
    status = _status(billed.total_usd + penalty, bound, search, gap_frac, solver, began)
    solution = MixSolution(status, *frames, checks, notes=_notes(fleet, penalty, billed))
    return MixSolution(status, *frames, checks, binding(fleet.problem, solution), solution.notes)


def _status(objective: float, bound: float, search: Search, gap_frac: float, solver: str, began: float) -> SolveStatus:
    slack = _MONEY_TOLERANCE * max(abs(objective), 1.0)
    if bound > objective + slack:
        raise PlanCheckError(f"the proven bound {bound:.6f} USD is above the plan's cost {objective:.6f} USD")
    bound = min(bound, objective)
    if not math.isfinite(bound):
        bound, gap = -math.inf, math.inf
    else:
        gap = (objective - bound) / abs(objective) if objective else 0.0
    # The solver's own gap leaves out what rounding adds; a gap at the target to 1e-9 is at the target.
    status: Literal["optimal", "feasible"] = "optimal" if gap <= gap_frac + 1e-9 else "feasible"
    return SolveStatus(status, search.termination, objective, bound, gap, time.perf_counter() - began, solver)


def _penalty_usd(fleet: Fleet, running: Counts) -> float:
    """The switching penalty of a plan, as :func:`define_switching_penalty` states it."""
    share, row, total = fleet.problem.switching_penalty_frac, 0, 0.0
    for s, r in enumerate(fleet.requirements):
        runs = running_by_type(r)
        for c in r.candidates:
            here = runs.get(c.instance_type, 0) if c.allowed else 0
            for t, blocks in enumerate(fleet.blocks[s]):
                left = np.maximum(here - r.zones * running[row, t, : len(blocks)], 0)
                total += share * c.usd_per_hour * sum(float(x) * b.hours for x, b in zip(left, blocks, strict=True))
            row += 1
    return total


def _provisioned_frame(fleet: Fleet, provisioned: Counts) -> pd.DataFrame:
    owners, candidates = usage_rows(fleet)
    rows = []
    for row, t in np.argwhere(provisioned > 0):
        r, c, count = owners[row], candidates[row], int(provisioned[row, t])
        total = count * r.zones
        where = (str(r.unit), r.unit.service, r.unit.region, fleet.problem.months[t])
        rows.append((*where, c.instance_type, count, total, total * c.vcpu, total * c.usd_per_hour))
    return _typed(rows, PROVISIONED_COLUMNS, floats=("usd_per_hour",), wholes=("per_zone", "instances", "vcpu"))


def _running_frame(fleet: Fleet, running: Counts) -> pd.DataFrame:
    owners, candidates = usage_rows(fleet)
    rows = []
    position = {r.unit: s for s, r in enumerate(fleet.requirements)}
    for row, t, b in np.argwhere(running > 0):
        r, c, count = owners[row], candidates[row], int(running[row, t, b])
        block, total = fleet.blocks[position[r.unit]][t][b], count * r.zones
        where = (str(r.unit), r.unit.service, r.unit.region, block.month, block.block)
        rows.append((*where, c.instance_type, count, total, block.hours, total * c.usd_per_hour * block.hours))
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
            f"the objective holds a switching penalty of {penalty:,.2f} USD that is not spend: an instance that runs "
            f"today and no longer runs counts {fleet.problem.switching_penalty_frac:.1%} of its price"
        )
    if fleet.problem.quotas:
        out.append("quotas are held against this plan's own instances; other users of the account are not modelled")
    for r in fleet.requirements:
        barred = sorted(
            c.instance_type for c in r.candidates if not c.allowed and running_by_type(r).get(c.instance_type)
        )
        if barred:
            out.append(f"{r.unit} runs {', '.join(barred)} against its policy: priced, not planned")
        if r.vertical:
            out.append(f"{r.unit} keeps {vertical_count(r)} per zone; only its type is chosen")
    return tuple(out)
