"""Solve the instance mix, and tell honestly how the search ended."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal, NoReturn

import pandas as pd

from capacity.domain import Candidate, MixProblem, MixSolution, UnitRequirement
from capacity.errors import CapacityError, InfeasiblePlanError, NoPlanInTimeError, PlanCheckError
from capacity.optimize._billing import bill, running_usage
from capacity.optimize._direct import Direct, plan_directly
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize._highs import search_highs
from capacity.optimize._result import Proof, solution_of
from capacity.optimize.columns.memory import Memory
from capacity.optimize.columns.plan import plan_by_columns
from capacity.optimize.explain import explain_infeasible, nothing_may_serve

__all__ = ["Memory", "price_running", "solve"]

# Pairs of a load and a type up to which the whole model is solved as one: it is exact there, and as quick.
DIRECT_PAIRS = 6000

# Beyond this many even building the whole model takes longer than most limits (10 s at 80,000), and its search ends
# at gaps of tens of per cent.
HOPELESS_PAIRS = 20_000


def solve(
    problem: MixProblem,
    time_limit_seconds: float = 30.0,
    gap_frac: float = 0.002,
    solver: Literal["highs", "cbc"] = "highs",
    seed: int = 1,
    warm: Memory | None = None,
) -> MixSolution:
    """The cheapest verified plan that was found, and a proven bound on how much cheaper any plan could be.

    Small fleets are solved as one model, large ones by columns (``columns``).

    Parameters
    ----------
    problem
        The whole fleet's problem. Its order does not matter; the same problem gives the same plan.
    time_limit_seconds
        Wall time for the search, from the call. The search runs in a process that is ended where it overruns.
    gap_frac
        The search ends when (objective - bound) / |objective| is at most this; only then is the status "optimal".
    solver
        "highs", or "cbc", for which the bound is that of our own strengthened relaxation (CBC hands over none).
    seed
        Of the solver's tie-breaking.
    warm
        What earlier solves left behind, read and written: a scenario starts from the columns and prices of its base.

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
    notes: tuple[str, ...] = ()
    deadline = began + time_limit_seconds
    if solver == "highs" and _pairs(fleet) > DIRECT_PAIRS:
        found = _by_columns(fleet, began, time_limit_seconds, gap_frac, seed, Memory() if warm is None else warm)
        if found is not None:
            return found
        if _pairs(fleet) > HOPELESS_PAIRS or time.perf_counter() >= deadline:
            _refused(problem, time_limit_seconds)
        notes = ("no choice of columns met the quotas: the whole model was searched instead",)
    left = max(deadline - time.perf_counter(), 0.01)
    direct = plan_directly(fleet, time.perf_counter(), left, gap_frac, solver, seed)
    if direct.outcome == "infeasible":
        _raise_infeasible(problem)
    return _verified(
        fleet, direct, Proof(direct.bound, direct.termination, gap_frac, solver, began, notes), time_limit_seconds
    )


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


def _pairs(fleet: Fleet) -> int:
    """Loads times types: how large the model is."""
    return sum(
        sum(c.allowed for c in r.candidates) * (len(r.blocks) if r.autoscaled else len({b.month for b in r.blocks}))
        for r in fleet.requirements
    )


def _by_columns(
    fleet: Fleet, began: float, seconds: float, gap_frac: float, seed: int, memory: Memory
) -> MixSolution | None:
    """None where no choice of columns keeps the quotas: whether there is a plan is for the whole model to say."""

    def search(lp: object, start: object, left: float, gap: float) -> object:
        return search_highs(lp, start, left, gap, seed)  # type: ignore[arg-type]

    asked, notes = _without_idle_types(fleet)
    found = plan_by_columns(asked, memory, began + seconds, gap_frac, search, seed)  # type: ignore[arg-type]
    if found.plan is None:
        return None
    proof = Proof(found.bound, found.termination, gap_frac, "highs", began, (*notes, *found.notes))
    try:
        return solution_of(asked, found.plan, proof)
    except PlanCheckError:
        # A rule that columns do not know (a pin against the unit's own limits): the whole model does.
        return None


def _without_idle_types(fleet: Fleet) -> tuple[Fleet, tuple[str, ...]]:
    """Without types that hold nothing of some need, where several types are asked for.

    As one type among several such a type may still run; the covers that bounds are made of do not know it.
    """
    changed, out = [], []
    for r in fleet.requirements:
        needed = {name for b in r.blocks for name in b.further}
        idle = {c.instance_type for c in r.candidates if c.allowed and _is_idle(r, c, needed)}
        if r.least_types > 1 and idle:
            changed.append(f"{r.unit}: {', '.join(sorted(idle))}")
            kept = tuple(replace(c, allowed=c.allowed and c.instance_type not in idle) for c in r.candidates)
            out.append(replace(r, candidates=kept))
        else:
            out.append(r)
    if not changed:
        return fleet, ()
    note = f"types that hold nothing of what is needed are left out ({'; '.join(changed)})"
    return fleet_of(replace(fleet.problem, requirements=tuple(out))), (note,)


def _is_idle(r: UnitRequirement, c: Candidate, needed: set[str]) -> bool:
    pairs = [(c.safe, c.zone_loss), *(c.further.get(name, (0.0, 0.0)) for name in needed)]
    return any(up <= 0 or (r.zones_survived > 0 and lost <= 0) for up, lost in pairs)


def _verified(fleet: Fleet, direct: Direct, proof: Proof, seconds: float) -> MixSolution:
    if direct.plan is None:
        raise _no_plan(direct.termination, seconds)
    try:
        return solution_of(fleet, direct.plan, proof)
    except PlanCheckError:
        if direct.outcome == "nothing":  # only the start was at hand, and it breaks a requirement
            raise _no_plan(direct.termination, seconds) from None
        raise


def _refused(problem: MixProblem, seconds: float) -> NoReturn:
    """Name the conflict where there is one; else no plan was found, which proves nothing."""
    if conflicts := explain_infeasible(problem):
        raise InfeasiblePlanError("no plan exists: these requirements cannot hold together", conflicts)
    raise _no_plan("no choice of columns meets the quotas", seconds)


def _no_plan(termination: str, seconds: float) -> NoPlanInTimeError:
    return NoPlanInTimeError(
        f"no plan was found within {seconds:g} s ({termination}); whether one exists is not known. "
        "Give optimize: time_limit_seconds more, or loosen gap_frac"
    )


def _raise_infeasible(problem: MixProblem) -> None:
    conflicts = explain_infeasible(problem)
    if not conflicts:
        raise CapacityError("the solver found no plan, yet no requirement conflicts: a fault of the model")
    raise InfeasiblePlanError("no plan exists: these requirements cannot hold together", conflicts)
