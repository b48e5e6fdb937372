"""The price of headroom in points: what the plan costs where every service keeps more or less of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from capacity.domain import MixProblem, MixSolution, Unit
from capacity.optimize.explain._knobs import with_headroom
from capacity.optimize.service_level.curve import _frame, _solve_all, with_types_of

MOVED: tuple[float, ...] = (-0.1, -0.05, 0.0, 0.05, 0.1, 0.2)
COLUMNS = ("moved_frac", "cost_usd", "bound_usd", "status")
# What an instance serves cannot all be kept free.
_MOST = 0.95


def headroom_curve(
    problem: MixProblem,
    plan: MixSolution,
    solve: Callable[[MixProblem], MixSolution],
    headroom_frac: Mapping[Unit, float],
    moved: Sequence[float] = MOVED,
) -> pd.DataFrame:
    """What the plan costs with the headroom of all services moved by so many points; never falling.

    As :func:`capacity.optimize.service_level.cost_curve`, over headroom: each point is solved whole with the plan's
    own types, ``plan`` itself stands at 0. A service keeps at least none of it and at most 95 %.

    Parameters
    ----------
    headroom_frac
        What the candidates' ``safe`` already leaves, by unit; units that it does not name stay as they are.
    moved
        Points as fractions, rising; 0 is the plan.

    Returns
    -------
    Columns of :data:`COLUMNS`; money is NaN where no plan exists, and ``status`` says why.
    """

    def problem_at(points: float) -> MixProblem:
        requirements = tuple(
            with_headroom(r, headroom_frac[r.unit], min(_MOST, max(0.0, headroom_frac[r.unit] + points)))
            if r.unit in headroom_frac
            else r
            for r in problem.requirements
        )
        return with_types_of(replace(problem, requirements=requirements), plan)

    solved = _solve_all(problem_at, solve, moved, {0.0: plan})
    found = _frame(solved, None).rename(columns={"service_level": "moved_frac"})
    return found[list(COLUMNS)]
