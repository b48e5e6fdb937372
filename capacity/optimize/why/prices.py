"""What one more unit of a requirement costs or saves a year, by solving again with it moved by one unit.

The difference of two optima lies in [bound_new - objective_old, objective_new - bound_old]: both solves prove a bound,
so the price is told as "between". A move by which less is asked can only save, and one by which more is asked can only
cost; that narrows the interval where the direction is known.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from capacity.domain import MixProblem, MixSolution, Unit
from capacity.optimize._clock import Deadline
from capacity.optimize.why._plan import per_year, planned_usd
from capacity.optimize.why._price import Price, changes_nothing, is_close, narrower
from capacity.optimize.why._pricing import Pricing
from capacity.optimize.why.moves import Moved, moves
from capacity.words import listed

# Until when, of the time limit, moves of single services are told between what arithmetic proves.
_ENCLOSED_UNTIL = 0.6
# What is asked about by name, and what concerns all services, comes before all else.
_FIRST = {"given": 0, "service_level": 1, "objective": 2, "headroom_policy": 3, "zones_policy": 4, "quota": 5}


@dataclass(frozen=True)
class Prices:
    """Prices, those of the whole fleet and then the largest first; what the time did not suffice for, by name."""

    tried: tuple[Price, ...]
    not_tried: tuple[str, ...]


def prices(
    problem: MixProblem,
    solution: MixSolution,
    moved: Sequence[Moved] = (),
    *,
    headroom_frac: Mapping[Unit, float] | None = None,
    kinds: Collection[str] | None = None,
    most: int | None = None,
    time_limit_seconds: float = 60.0,
    seconds_each: float = 10.0,
    gap_frac: float = 0.002,
    solver: Literal["highs", "cbc"] = "highs",
    seed: int = 1,
) -> Prices:
    """What each binding requirement is worth.

    Parameters
    ----------
    problem, solution
        A plan of :func:`capacity.optimize.solve`, and its problem.
    moved
        Moves beyond those that follow from the problem: another service level, a millisecond of SLO. Tried first.
    headroom_frac
        By unit, the headroom that its candidates' ``safe`` already leaves; without it headroom is not moved.
    kinds
        Only moves of these kinds (:class:`capacity.optimize.why.Moved`); all where absent.
    most
        Solve so many again, of the dearest services first; all where absent. Others are told by arithmetic where that
        proves anything, between wider bounds; the rest is named among what was not tried.
    time_limit_seconds, seconds_each
        Wall time of all solves together and of each. What no time was left for is named.
    gap_frac
        Of solves of the whole fleet. Parts of it are solved to the optimum.

    Returns
    -------
    Prices
        In USD a year: the horizon's USD times 8,760 over its hours.
    """
    began = time.perf_counter()
    at = _at_limit(problem, solution)
    own = [m for m in moves(problem, headroom_frac) if m.kind not in at or m.name.split(": ")[0] in at[m.kind]]
    spend = {str(unit): float(x) for unit, x in solution.spend.groupby("unit")["total_usd"].sum().items()}
    wanted = sorted(
        (m for m in (*moved, *own) if kinds is None or m.kind in kinds), key=lambda m: _turn(m, None, spend)
    )
    work = Pricing(problem, solution, began + time_limit_seconds, seconds_each, gap_frac, solver, seed)
    known = work.enclosed(wanted, Deadline(time.perf_counter, began + _ENCLOSED_UNTIL * time_limit_seconds))
    told: dict[int, list[Price]] = {k: [price] for k, price in known.items()}
    year_usd = planned_usd(problem, solution) * per_year(problem)
    open_ones = [k for k in range(len(wanted)) if k not in known or not is_close(known[k], year_usd)]
    for k in work.by_solving(sorted(open_ones, key=lambda k: _turn(wanted[k], known.get(k), spend)), wanted, most):
        if work.left() <= 0:
            break
        if (found := work.price(wanted[k])) is not None:
            told[k] = [narrower(found, known.get(k))]
    for k, move in enumerate(wanted):
        if move.then is not None and k in told and changes_nothing(told[k][0]) and work.left() > 0:
            further = work.price(move.then)
            told[k] += [] if further is None else [further]
    left = [m for k, m in enumerate(wanted) if k not in told]
    shown = [price for own in sorted(told.values(), key=_place) for price in own]
    return Prices(tuple(shown), tuple(f"{m.name}: {m.unit}" for m in left))


def _turn(move: Moved, known: Price | None, spend: Mapping[str, float]) -> tuple[bool, int, float, str, str]:
    """When a move is solved: by name, then the fleet's, then what nothing is known of, the dearest services first."""
    width = known.high_usd_per_year - known.low_usd_per_year if known is not None else 0.0
    dear = width if known is not None else spend.get(move.name.split(": ")[0], 0.0)
    return known is not None, _FIRST.get(move.kind, len(_FIRST)), -dear, move.name, move.unit


def _place(own: Sequence[Price]) -> tuple[int, bool, float, str, str]:
    """Where a move, and a larger step of it, is told: by name, then the fleet's, then the largest first."""
    ends = [abs(x) for price in own for x in (price.low_usd_per_year, price.high_usd_per_year) if math.isfinite(x)]
    first = own[0]
    possible = any(price.outcome == "solved" for price in own)
    return _FIRST.get(first.kind, len(_FIRST)), not possible, -round(max(ends, default=0.0), 2), first.name, first.unit


def _at_limit(problem: MixProblem, solution: MixSolution) -> dict[str, set[str]]:
    """Units that the plan has at their largest or smallest count; loads and states always decide something."""
    most = solution.provisioned.groupby(["unit", "month"])["per_zone"].sum().groupby("unit").max().to_dict()
    least = solution.running.groupby(["unit", "month", "block"])["per_zone"].sum().groupby("unit").min().to_dict()
    names = {str(r.unit): r for r in problem.requirements}
    return {
        "maximum": {name for name, r in names.items() if most.get(name, 0) >= r.max_per_zone},
        "minimum": {name for name, r in names.items() if name in least and least[name] <= r.min_per_zone},
    }


def not_tried_words(found: Prices) -> str:
    """One sentence on what the time did not suffice for; empty where all was tried."""
    if not found.not_tried:
        return ""
    shown = list(found.not_tried[:5]) + ([f"{len(found.not_tried) - 5} more"] if len(found.not_tried) > 5 else [])
    return f"not tried: {listed(shown)}"
