"""The objective that is told is what is spent and the switching penalty, worked out from the frames."""

from __future__ import annotations

import pandas as pd

from capacity.domain import CheckedRequirement, MixProblem, UnitRequirement
from capacity.errors import PlanCheckError
from capacity.optimize.check._plan import ON_DEMAND, near

NAME = "the objective is spend and switching penalty"


def check_objective(
    problem: MixProblem, running: pd.DataFrame, spend: pd.DataFrame, objective: float, tolerance: float
) -> CheckedRequirement:
    """Verify ``objective`` (USD of the horizon) on the frames of a plan; slack is relative to it.

    Raises
    ------
    PlanCheckError
        It is another amount.
    """
    wanted = float(spend["total_usd"].sum()) + switching_usd(problem, running)
    slack, text = near(objective, wanted, NAME)
    if not slack >= -tolerance:
        raise PlanCheckError(f"the plan breaks its own requirements:\n  - {text} (slack {slack:.3g})")
    return CheckedRequirement(NAME, slack, 1)


def switching_usd(problem: MixProblem, running: pd.DataFrame) -> float:
    """The penalty in USD: a share of the price of every instance-hour that runs today and not in the plan."""
    if problem.switching_penalty_frac <= 0:
        return 0.0
    own = running if "purchase" not in running else running[running["purchase"] == ON_DEMAND]
    rows = own[["unit", "month", "block", "instance_type", "instances"]].itertuples(index=False, name=None)
    kept = {(str(unit), str(month), str(block), str(kind)): int(n) for unit, month, block, kind, n in rows}
    return problem.switching_penalty_frac * sum(_left_usd(r, kept) for r in problem.requirements if r.running)


def _left_usd(r: UnitRequirement, kept: dict[tuple[str, str, str, str], int]) -> float:
    price = {c.instance_type: c.usd_per_hour for c in r.candidates if c.allowed}
    today = {kind: sum(n for (name, _), n in r.running.items() if name == kind) for kind, _ in r.running}
    out = 0.0
    for kind in sorted(today.keys() & price.keys()):
        for b in r.blocks:
            left = today[kind] - kept.get((str(r.unit), b.month, b.block, kind), 0)
            out += max(left, 0) * price[kind] * b.hours
    return out
