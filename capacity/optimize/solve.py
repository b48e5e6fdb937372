"""Solve the instance mix, and tell honestly how the search ended."""

from __future__ import annotations

import time
from typing import Literal

import pandas as pd

from capacity.domain import MixProblem, MixSolution
from capacity.errors import CapacityError, InfeasiblePlanError, NoPlanInTimeError, PlanCheckError
from capacity.optimize._billing import bill, running_usage
from capacity.optimize._direct import Direct, plan_directly
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize._highs import search_highs
from capacity.optimize._result import Proof, solution_of
from capacity.optimize.columns.plan import plan_by_columns
from capacity.optimize.columns.rounds import Memory
from capacity.optimize.explain import explain_infeasible, nothing_may_serve

__all__ = ["Memory", "price_running", "solve"]

# Pairs of a load and a type up to which the whole model is solved as one: it is exact there, and as quick.
DIRECT_PAIRS = 4000


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
    if solver == "highs" and _pairs(fleet) > DIRECT_PAIRS:
        found = _by_columns(fleet, began, time_limit_seconds, gap_frac, seed, Memory() if warm is None else warm)
        if found is not None:
            return found
        notes = ("no choice of columns met the quotas: the whole model was searched instead",)
    left = max(began + time_limit_seconds - time.perf_counter(), 0.01)
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

    found = plan_by_columns(fleet, memory, began + seconds, gap_frac, search, seed)  # type: ignore[arg-type]
    if found.plan is None:
        return None
    return solution_of(fleet, found.plan, Proof(found.bound, found.termination, gap_frac, "highs", began, found.notes))


def _verified(fleet: Fleet, direct: Direct, proof: Proof, seconds: float) -> MixSolution:
    if direct.plan is None:
        raise _no_plan(direct.termination, seconds)
    try:
        return solution_of(fleet, direct.plan, proof)
    except PlanCheckError:
        if direct.outcome == "nothing":  # only the start was at hand, and it breaks a requirement
            raise _no_plan(direct.termination, seconds) from None
        raise


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
