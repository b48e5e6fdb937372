"""A limit ends every long loop, whenever it passes; what is there by then is verified and told honestly.

No test waits: the clock counts how often it is asked, and jumps past the limit at a chosen look.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from capacity.domain import MixProblem, MixSolution
from capacity.errors import InfeasiblePlanError, NoPlanInTimeError, PlanCheckError, UsageError
from capacity.optimize import Memory, explain_infeasible, smallest_relaxation, solve, solve_few_types
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize._cover import Lanes, cheapest_counts, lower_bounds
from capacity.optimize._find import Asked, find
from capacity.optimize._fleet import fleet_of
from capacity.optimize._least import least_usd, short_quota
from capacity.optimize._quick import quick_plan
from capacity.optimize._result import Proof, solution_of
from capacity.optimize.check import check
from tests.optimize.makers import SMALL, candidate, problem, quota, unit
from tests.optimize.test_solve import big_problem

LIMIT = 5.0
SPOT = "L-34B43A08"
# What may still be asked of the clock once the limit has passed: a few questions, not one a turn of a loop.
FEW = 60


class Counting:
    """A clock that stands still until its look ``jump``, and is then far past every limit."""

    def __init__(self, jump: float) -> None:
        self.jump, self.looks = jump, 0

    def __call__(self) -> float:
        self.looks += 1
        return 0.0 if self.looks < self.jump else 1e6


def _few(p: MixProblem, **limits: Any) -> MixSolution:
    return solve_few_types(p, 2, **limits)


def _columns(p: MixProblem, **limits: Any) -> MixSolution:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("capacity.optimize._find"), "DIRECT_PAIRS", 0)
        return solve(p, **limits)


WAYS: dict[str, Callable[..., MixSolution]] = {"direct": solve, "columns": _columns, "few types": _few}


def _small(tight: bool) -> MixProblem:
    p = big_problem(8, months=1)
    return replace(p, quotas=(replace(p.quotas[0], limit=0.72 * p.quotas[0].limit),)) if tight else p


@pytest.mark.parametrize(
    ("way", "tight"), [("direct", False), ("columns", False), ("columns", True), ("few types", True)]
)
def test_every_loop_stops_at_the_limit_whenever_it_passes(way: str, tight: bool) -> None:
    p = _small(tight)
    through = Counting(math.inf)
    done = WAYS[way](p, time_limit_seconds=LIMIT, gap_frac=0.01, clock=through)
    assert done.status.bound <= done.status.objective
    for jump in sorted({int(x) for x in np.geomspace(2, through.looks, 6)}):
        clock = Counting(jump)
        found = WAYS[way](p, time_limit_seconds=LIMIT, gap_frac=0.01, clock=clock)
        assert clock.looks - jump < FEW, jump
        status = found.status
        assert status.bound <= status.objective
        assert status.gap == pytest.approx((status.objective - status.bound) / status.objective)
        assert status.bound <= done.status.objective * (1 + 1e-9)
        if jump < 4:
            assert (status.status, status.termination) == ("feasible", "time limit reached")
        assert check(p, found.provisioned, found.running, found.commitment_use, found.spend, found.purchases)


def test_looking_for_a_conflict_stops_too_and_says_so() -> None:
    """Ten units that need more than the quota: by arithmetic that is proven at once, which ones is not."""
    p = problem(*(unit(f"s{k}", [95.0 + k, 40.0]) for k in range(10)), quotas=[quota(12.0)])
    through = Counting(math.inf)
    with pytest.raises(InfeasiblePlanError) as whole:
        solve(p, time_limit_seconds=LIMIT, clock=through)
    assert "quota" in whole.value.conflicts[0]
    for jump in (3, through.looks // 3, through.looks - 1):
        clock = Counting(jump)
        with pytest.raises(InfeasiblePlanError) as error:
            solve(p, time_limit_seconds=LIMIT, clock=clock)
        assert clock.looks - jump < FEW
        assert error.value.conflicts
        if error.value.conflicts != whole.value.conflicts:
            assert any("time" in line for line in error.value.conflicts)
    assert explain_infeasible(p, Deadline(Counting(1), 1.0)) == ()
    relaxed = smallest_relaxation(p, time_limit_seconds=1.0, clock=Counting(2))
    assert not relaxed.possible
    assert "was not found within 1 s" in relaxed.words[0]
    assert not any("points" in line for line in smallest_relaxation(p).words)


def test_knapsacks_stop_between_cells() -> None:
    lanes = Lanes(np.full((3, 2), [1 / 997, 1 / 101]), np.array([0, 0, 0]))
    price = np.array([[1.0, 9.7]] * 3)
    for run in (lower_bounds, cheapest_counts):
        with pytest.raises(TimeIsUp):
            run(lanes, price, Deadline(Counting(3), 1.0))


@pytest.mark.parametrize("value", [math.nan, -0.1, math.inf])
def test_a_gap_or_a_limit_that_is_no_number_is_refused(value: float) -> None:
    p = problem(unit("a", [60]))
    for way in (solve, _few):
        with pytest.raises(UsageError, match="gap_frac"):
            way(p, gap_frac=value)
        with pytest.raises(UsageError, match="time_limit_seconds"):
            way(p, time_limit_seconds=value)


def test_cbc_too_says_that_there_is_no_plan() -> None:
    p = problem(unit("a", [60, 20]), unit("b", [70, 30]), quotas=[quota(9.0)])
    with pytest.raises(InfeasiblePlanError):
        solve(p, solver="cbc")
    # Not by arithmetic alone: whole instances of one class need more than divisible ones would.
    lumps = [candidate("m5.8xlarge", 1.5, 160.0, 32), candidate("m5.4xlarge", 0.8, 80.0, 16)]
    p = problem(*(unit(f"s{k}", [10.0], lumps) for k in range(2)), quotas=[quota(90.0)])
    assert short_quota(fleet_of(p)) is None
    with pytest.raises(InfeasiblePlanError):
        solve(p, solver="cbc")


# --- by arithmetic -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tight", [False, True])
@pytest.mark.parametrize("change", [{}, {"vertical": True}, {"autoscaled": False, "zones_survived": 0}])
def test_a_plan_by_arithmetic_holds_and_its_bound_is_one(change: dict[str, Any], tight: bool) -> None:
    p = _small(tight)
    few = tuple(replace(r, **change) if k % 3 == 0 and not change.get("vertical") else r for k, r in
                enumerate(p.requirements))  # fmt: skip
    p = replace(p, requirements=few)
    fleet, best = fleet_of(p), solve(p, gap_frac=0.002)
    plan, least = quick_plan(fleet), float(least_usd(fleet).sum())
    assert least <= best.status.objective
    assert short_quota(fleet) is None
    assert plan is not None
    found = solution_of(fleet, plan, Proof(least, "", 0.0, "highs", 0.0))  # the checker lets it pass
    assert found.status.objective >= best.status.bound * (1 - 1e-9)


def test_a_plan_by_arithmetic_takes_two_types_where_one_does_not_meet_the_quota() -> None:
    # 75 are needed a zone: 2 of the large are 24 vCPU, 5 of the small 20, one of each 16.
    sizes = [candidate("m5.3xlarge", 0.6, 60.0, 12), candidate("m5.xlarge", 0.2, 15.0, 4)]
    p = problem(unit("a", [225.0], sizes), quotas=[quota(3 * 16.0)])
    assert quick_plan(fleet_of(p), 1) is None
    plan = quick_plan(fleet_of(p))
    assert plan is not None
    assert plan.provisioned[:, 0].tolist() == [1, 1]
    short = replace(p, quotas=(quota(3 * 15.0),))
    assert quick_plan(fleet_of(short)) is None
    with pytest.raises((InfeasiblePlanError, NoPlanInTimeError)):
        solve(short, time_limit_seconds=1e-3)


@pytest.mark.parametrize("spot_frac", [0.0, 0.4])
def test_a_choice_that_breaks_quotas_is_made_to_fit(spot_frac: float) -> None:
    p = _small(True)
    spot = tuple(
        replace(
            r, spot_max_frac=spot_frac,
            candidates=tuple(
                replace(c, spot_usd_per_hour=0.4 * c.usd_per_hour, spot_quota_code=SPOT) for c in r.candidates
            ),
        )
        for r in p.requirements
    )  # fmt: skip
    p = replace(p, requirements=spot, quotas=(*p.quotas, quota(60.0 if spot_frac else math.inf, code=SPOT)))
    asked = Asked(Deadline.never(), 60.0, 0.002, "highs", 0)
    free = next(find(replace(p, quotas=()), asked, Memory())).plan
    with pytest.raises(PlanCheckError):
        solution_of(fleet_of(p), free, Proof(0.0, "", 0.0, "highs", 0.0))
    fleet = fleet_of(p)
    usd = []
    for plan in (quick_plan(fleet, rough=free), quick_plan(fleet)):
        assert plan is not None
        usd.append(solution_of(fleet, plan, Proof(0.0, "", 0.0, "highs", 0.0)).status.objective)
    assert usd[0] < usd[1]


# --- types that hold nothing -------------------------------------------------------------------------------


def test_a_type_that_holds_nothing_may_fill_a_smallest_count() -> None:
    """Four a zone are asked for, one of them serves: the others may be of the cheapest type there is."""
    idle = candidate("t3.nano", 0.005, 0.0)
    p = problem(unit("a", [25.0], [SMALL, idle], least=4))
    found = solve(p, gap_frac=0.0)
    kinds = found.provisioned.set_index("instance_type")["per_zone"].to_dict()
    assert kinds == {"m5.large": 1, "t3.nano": 3}
    assert found.status.status == "optimal"
    by_columns = _columns(p, gap_frac=0.0)
    assert by_columns.status.bound <= by_columns.status.objective
    assert by_columns.status.objective == pytest.approx(found.status.objective)
