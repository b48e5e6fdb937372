"""The price of headroom: what the plan costs at P50, P90, P95 and P99."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from capacity.domain import LoadBlock, MixProblem, MixSolution, Unit
from capacity.errors import InfeasiblePlanError, NoPlanInTimeError, UsageError

CURVE_LEVELS: tuple[float, ...] = (0.5, 0.9, 0.95, 0.99)
COLUMNS = (
    "service_level", "cost_usd", "bound_usd", "gap_frac", "on_demand_usd", "spot_usd", "committed_usd",
    "coverage_least_frac", "plan_of_level", "status",
)  # fmt: skip
_NAN = float("nan")


@dataclass(frozen=True)
class _Solved:
    """One level: its plan, or why there is none. ``at_hand``: given, and shown as it is."""

    level: float
    solution: MixSolution | None
    words: str
    bound: float = -float("inf")
    at_hand: bool = False

    @property
    def cost(self) -> float:
        return float(self.solution.spend["total_usd"].sum()) if self.solution is not None else float("inf")


def cost_curve(
    problem_at: Callable[[float], MixProblem],
    solve: Callable[[MixProblem], MixSolution],
    levels: Sequence[float] = CURVE_LEVELS,
    *,
    known: Mapping[float, MixSolution] | None = None,
    types_of: MixSolution | None = None,
    coverage_at: Callable[[float, MixSolution], float] | None = None,
) -> pd.DataFrame:
    """What the plan costs at each service level; proven from below, and never falling but after a plan at hand.

    Each level is solved whole, with all that couples units (commitments, quotas), by ``solve``: give it a looser gap
    than the plan's own, of 1 % (P50 to P90 is 18 % of the demo's cost, P90 to P99 10 %), and the plan as ``types_of``:
    with each unit's planned types alone a level takes about a second instead of six (18 units, 7 months x 4 blocks, CPU
    time), and the curve is the price of headroom in this plan rather than of another choice of types. Two facts, each
    proven, make loose solves one curve:

    * what serves a level serves every lower one, so a level costs at most what the cheapest plan of a higher one does;
    * what cannot be had for less at a level cannot at a higher one, so bounds are carried upwards.

    A plan at hand stands at its level with what it costs. Where it gives up money to stay near what runs, a higher
    level may cost less than it does; lower ones then cost less too.

    Parameters
    ----------
    problem_at
        The problem with the demands of every unit at this service level (:func:`with_blocks`). Demands must not fall
        in the level.
    solve
        From problem to verified plan, such as a partial of :func:`capacity.optimize.solve`.
    levels
        Rising, in (0, 1].
    known
        Plans at hand, by level (the plan itself, where all tiers promise the same): not solved again, and told as they
        are.
    types_of
        A plan whose types each unit keeps. Bounds are then against mixes of these, and ``status`` says so. Where one
        level has no plan with them, all levels are solved with all types.
    coverage_at
        The least coverage that a plan realises over all units and months at a level; NaN where absent.

    Returns
    -------
    Columns of :data:`COLUMNS`. ``cost_usd`` is the spend of the horizon and ``bound_usd`` is proven: no plan of the
    level spends less. Money is all that counts here: levels are solved without the switching penalty, which is none.
    ``gap_frac`` is (cost - bound) / cost. ``plan_of_level`` is the level whose plan it is. Where no plan exists or none
    was found, money is NaN and ``status`` says why; a level above one that is infeasible is so too, and is not tried.

    Raises
    ------
    UsageError
        Levels that do not rise, or lie outside (0, 1].
    """
    _require_rising(levels)
    if types_of is not None:
        few = _solve_all(lambda level: with_types_of(problem_at(level), types_of), solve, levels, known or {})
        if all(at.solution is not None for at in few):
            return _frame([replace(at, words=f"{at.words}, with the plan's types") for at in few], coverage_at)
    return _frame(_solve_all(problem_at, solve, levels, known or {}), coverage_at)


def with_blocks(problem: MixProblem, blocks: Mapping[Unit, Sequence[LoadBlock]]) -> MixProblem:
    """``problem`` with the load blocks of ``blocks``; units that it does not name keep theirs."""
    return replace(
        problem,
        requirements=tuple(replace(r, blocks=tuple(blocks.get(r.unit, r.blocks))) for r in problem.requirements),
    )


def with_types_of(problem: MixProblem, plan: MixSolution) -> MixProblem:
    """``problem`` with each unit's candidates narrowed to the types that ``plan`` provisions for it in any month.

    What runs today stays known, so that it can be priced, and what is reserved stays to be used; a unit that the plan
    does not name keeps all.
    """
    reserved = {held.instance_type for held in problem.reservations}
    planned = plan.provisioned.groupby("unit")["instance_type"].agg(set).to_dict()
    requirements = []
    for r in problem.requirements:
        kept = reserved | planned.get(str(r.unit), {c.instance_type for c in r.candidates})
        runs = {name for name, _ in r.running}
        candidates = tuple(
            c if c.instance_type in kept else replace(c, allowed=False)
            for c in r.candidates
            if c.instance_type in kept or c.instance_type in runs
        )
        requirements.append(replace(r, candidates=candidates))
    return replace(problem, requirements=tuple(requirements))


def _require_rising(levels: Sequence[float]) -> None:
    if not levels or list(levels) != sorted(set(levels)) or levels[0] <= 0.0 or levels[-1] > 1.0:
        raise UsageError(f"service levels are {list(levels)}; give them rising, above 0 and at most 1")


def _solve_all(
    problem_at: Callable[[float], MixProblem],
    solve: Callable[[MixProblem], MixSolution],
    levels: Sequence[float],
    known: Mapping[float, MixSolution],
) -> list[_Solved]:
    out: list[_Solved] = []
    impossible = ""
    for level in levels:
        if level in known:
            plan = known[level]
            bound = plan.status.bound - _most_penalty(problem_at(level))
            out.append(_Solved(level, plan, f"{plan.status.status}: the plan itself", bound, at_hand=True))
        elif impossible:
            out.append(_Solved(level, None, impossible))
        else:
            out.append(_one(level, problem_at, solve))
            impossible = out[-1].words if out[-1].words.startswith("infeasible") else ""
    return out


def _one(
    level: float, problem_at: Callable[[float], MixProblem], solve: Callable[[MixProblem], MixSolution]
) -> _Solved:
    try:
        solution = solve(replace(problem_at(level), switching_penalty_frac=0.0))
    except InfeasiblePlanError as error:
        return _Solved(level, None, f"infeasible: {error}")
    except NoPlanInTimeError as error:
        return _Solved(level, None, f"no plan in time: {error}")
    return _Solved(level, solution, solution.status.status, solution.status.bound)


def _most_penalty(problem: MixProblem) -> float:
    """The switching penalty of leaving all that runs: a bound on spend and penalty, less this, is one on spend."""
    total = 0.0
    for r in problem.requirements:
        # Also of types that were left to narrow the problem to a plan's: that plan's bound holds their penalty.
        usd = {c.instance_type: c.usd_per_hour for c in r.candidates}
        total += sum(n * usd.get(name, 0.0) for (name, _), n in r.running.items()) * sum(b.hours for b in r.blocks)
    return problem.switching_penalty_frac * total


def _frame(solved: list[_Solved], coverage_at: Callable[[float, MixSolution], float] | None) -> pd.DataFrame:
    bound = -float("inf")
    rows = []
    for k, at in enumerate(solved):
        if at.solution is not None:
            bound = max(bound, at.bound)
        used = at if at.at_hand else min(solved[k:], key=lambda s: s.cost)  # the first of equals: its own plan
        if used.solution is None:
            rows.append((at.level, _NAN, bound if bound > 0 else _NAN, *[_NAN] * 6, at.words))
            continue
        spend = used.solution.spend
        parts = [float(spend[c].sum()) if c in spend else 0.0 for c in ("on_demand_usd", "spot_usd", "committed_usd")]
        # What a higher level's plan costs bounds nothing from below: only a bound of this level or a lower one does.
        gap = (used.cost - bound) / used.cost if used.cost else 0.0
        covered = coverage_at(at.level, used.solution) if coverage_at is not None else _NAN
        said = "is cheaper" if at.solution is not None else "serves it too"
        status = at.words if used is at else f"{at.words}; the plan of {used.level:g} {said}"
        rows.append((at.level, used.cost, bound, gap, *parts, covered, used.level, status))
    return pd.DataFrame(rows, columns=list(COLUMNS))
