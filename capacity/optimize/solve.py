"""Solve the instance mix, and tell honestly how the search ended."""

from __future__ import annotations

import math
import time
from typing import Literal

import pandas as pd

from capacity.domain import MixProblem, MixSolution
from capacity.errors import UsageError
from capacity.optimize._billing import bill, running_usage
from capacity.optimize._clock import Clock, Deadline
from capacity.optimize._find import Asked, find, first_verified
from capacity.optimize._fleet import fleet_of
from capacity.optimize.columns.memory import Memory

__all__ = ["Memory", "price_running", "solve"]


def solve(
    problem: MixProblem,
    time_limit_seconds: float = 30.0,
    gap_frac: float = 0.002,
    solver: Literal["highs", "cbc"] = "highs",
    seed: int = 1,
    warm: Memory | None = None,
    clock: Clock = time.perf_counter,
) -> MixSolution:
    """The cheapest verified plan that was found, and a proven bound on how much cheaper any plan could be.

    Small fleets are solved as one model, large ones by columns (``columns``).

    Parameters
    ----------
    problem
        The whole fleet's problem. Its order does not matter; the same problem gives the same plan.
    time_limit_seconds
        Wall time for the search, from the call. All that searches minds it, and MIPs run in a process that is ended
        where it overruns; what was found is then rounded, made to fit the quotas, or made by arithmetic, and verified.
        Large fleets are searched by all processors that this process may use (at most four); the plan is the same.
    gap_frac
        The search ends when (objective - bound) / |objective| is at most this; only then is the status "optimal".
    solver
        "highs", or "cbc", for which the bound is that of our own strengthened relaxation (CBC hands over none).
    seed
        Of the solver's tie-breaking.
    warm
        What earlier solves left behind, read and written: a scenario starts from the columns and prices of its base.
    clock
        Seconds, never going back.

    Returns
    -------
    MixSolution
        Frames in USD and instances; ``status.objective`` is the spend of the horizon plus the switching penalty.

    Raises
    ------
    UsageError
        A limit or a gap that is no number of at least 0; a problem whose figures cannot be meant.
    InfeasiblePlanError
        With a minimal set of requirements that cannot hold together.
    NoPlanInTimeError
        The limit ended the search before any plan was found; whether one exists is then unknown.
    PlanCheckError
        The plan failed the independent checker; it is not shown.
    """
    refuse_limits(time_limit_seconds, gap_frac)
    deadline = Deadline.after(time_limit_seconds, clock)
    asked = Asked(deadline, time_limit_seconds, gap_frac, solver, seed)
    return first_verified(find(problem, asked, Memory() if warm is None else warm), asked)[1]


def refuse_limits(time_limit_seconds: float, gap_frac: float) -> None:
    """Raise a UsageError where either is no finite number of at least 0 (a limit: above 0)."""
    if not 0 < time_limit_seconds < math.inf:
        raise UsageError(f"time_limit_seconds {time_limit_seconds}: a finite number of seconds above 0")
    if not 0 <= gap_frac < math.inf:
        raise UsageError(f"gap_frac {gap_frac}: a share of cost of 0 or more, such as 0.002")


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
