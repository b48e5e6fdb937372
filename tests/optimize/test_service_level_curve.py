"""The price of headroom over service levels: never falling, proven from below, with plans that serve."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import ARM, LARGE, SMALL, candidate, problem, quota, unit

from capacity.domain import LoadBlock, MixProblem, MixSolution, Unit
from capacity.errors import InfeasiblePlanError, NoPlanInTimeError, UsageError
from capacity.optimize import solve
from capacity.optimize.service_level import CURVE_LEVELS, cost_curve, headroom_curve, with_blocks, with_types_of

PEAKS = np.random.default_rng(3).lognormal(6, 0.4, 400)


def problem_at(level: float) -> MixProblem:
    need = float(np.quantile(PEAKS, level))
    return problem(unit("web", [need, 0.4 * need]), unit("api", [0.3 * need, 0.1 * need], autoscaled=False))


def test_each_level_costs_what_its_plan_does() -> None:
    found = cost_curve(problem_at, partial(solve, gap_frac=0.0))
    assert found["service_level"].tolist() == list(CURVE_LEVELS) == [0.5, 0.9, 0.95, 0.99]
    for row in found.itertuples():
        plan = solve(problem_at(row.service_level), gap_frac=0.0)
        assert row.cost_usd == pytest.approx(plan.spend["total_usd"].sum())
        assert row.bound_usd == pytest.approx(plan.status.bound, rel=1e-6)
        assert row.on_demand_usd + row.spot_usd + row.committed_usd == pytest.approx(row.cost_usd)
        assert (row.plan_of_level, row.status) == (row.service_level, "optimal")
    assert found["cost_usd"].is_monotonic_increasing
    assert found["cost_usd"].iloc[-1] > 1.5 * found["cost_usd"].iloc[0]


def _penalised(level: float) -> MixProblem:
    plain = problem_at(level)
    web = replace(plain.requirements[0], running={("m5.xlarge", zone): 20 for zone in "abc"})
    return replace(plain, requirements=(web, plain.requirements[1]), switching_penalty_frac=0.1)


def test_the_switching_penalty_is_no_money_and_no_part_of_the_curve() -> None:
    found = cost_curve(_penalised, partial(solve, gap_frac=0.0))
    free = cost_curve(problem_at, partial(solve, gap_frac=0.0))
    assert found["cost_usd"].tolist() == pytest.approx(free["cost_usd"].tolist())
    assert found["bound_usd"].tolist() == pytest.approx(free["bound_usd"].tolist())
    # A plan at hand was made with it: what its bound says of money alone is less.
    plan = solve(_penalised(0.5), gap_frac=0.0)
    assert plan.status.objective > plan.spend["total_usd"].sum() + 1
    known = cost_curve(_penalised, partial(solve, gap_frac=0.0), known={0.5: plan})
    assert known["bound_usd"].iloc[0] <= free["cost_usd"].iloc[0]
    assert (known["bound_usd"] <= known["cost_usd"] * (1 + 1e-9)).all()
    assert known["cost_usd"].iloc[0] == pytest.approx(plan.spend["total_usd"].sum())


@cache
def _best(level: float) -> MixSolution:
    return solve(problem_at(level), gap_frac=0.0)


def _poor(problem: MixProblem, factors: dict[float, float]) -> MixSolution:
    """A plan for more than is asked, under the bound of what is asked: as a loose gap leaves it."""
    asked = problem.requirements[0].blocks[0].demand
    level = min(factors, key=lambda level: abs(np.quantile(PEAKS, level) - asked))
    factor, best = factors[level], _best(level)
    more = {r.unit: tuple(replace(b, demand=factor * b.demand) for b in r.blocks) for r in problem.requirements}
    plan = solve(with_blocks(problem, more), gap_frac=0.0)
    return replace(plan, status=replace(plan.status, bound=best.status.bound / factor, status="feasible"))


@settings(max_examples=15)
@given(st.lists(st.floats(1.0, 2.5), min_size=4, max_size=4))
def test_loose_solves_make_a_curve_that_never_falls(factors: list[float]) -> None:
    by_level = dict(zip(CURVE_LEVELS, factors, strict=True))
    found = cost_curve(problem_at, lambda p: _poor(p, by_level))
    assert found["cost_usd"].is_monotonic_increasing
    assert found["bound_usd"].is_monotonic_increasing
    best = [_best(level).status.objective for level in CURVE_LEVELS]
    assert (found["bound_usd"] <= np.array(best) * (1 + 1e-9)).all()
    assert (found["cost_usd"] >= np.array(best) * (1 - 1e-9)).all()
    assert (found["plan_of_level"] >= found["service_level"]).all()
    used_others = found["plan_of_level"] > found["service_level"]
    assert found["status"].str.contains("is cheaper").tolist() == used_others.tolist()


def test_a_level_beyond_the_quota_says_so_and_the_next_is_not_tried() -> None:
    tried = []

    def limited(level: float) -> MixProblem:
        tried.append(level)
        return replace(problem_at(level), quotas=(quota(150.0),))

    found = cost_curve(limited, solve, (0.1, 0.5, 0.95, 0.99)).set_index("service_level")
    assert tried == [0.1, 0.5, 0.95]
    with pytest.raises(InfeasiblePlanError):
        solve(limited(0.99))
    assert found["cost_usd"].notna().tolist() == [True, True, False, False]
    assert found["status"].str.startswith("infeasible").tolist() == [False, False, True, True]
    assert found.loc[0.99, "bound_usd"] == found.loc[0.5, "bound_usd"]


def test_where_no_plan_came_in_time_that_of_a_higher_level_serves() -> None:
    def late(p: MixProblem) -> MixSolution:
        if p == problem_at(0.9):
            raise NoPlanInTimeError("0.1 s were not enough")
        return solve(p)

    found = cost_curve(problem_at, late).set_index("service_level")
    assert found.loc[0.9, "cost_usd"] == found.loc[0.95, "cost_usd"]
    assert found.loc[0.9, "plan_of_level"] == 0.95
    assert found.loc[0.9, "status"].startswith("no plan in time")


def test_a_plan_at_hand_is_not_solved_again_and_coverage_stands_beside() -> None:
    plan = solve(problem_at(0.95))
    asked = []

    def counted(p: MixProblem) -> MixSolution:
        asked.append(p)
        return solve(p)

    found = cost_curve(problem_at, counted, known={0.95: plan}, coverage_at=lambda level, s: level + 0.001)
    assert len(asked) == 3
    assert found["cost_usd"].iloc[2] == plan.spend["total_usd"].sum()
    assert found["coverage_least_frac"].tolist() == pytest.approx([0.501, 0.901, 0.951, 0.991])


def _used(plan: MixSolution) -> dict[str, set[str]]:
    return plan.provisioned.groupby("unit")["instance_type"].agg(set).to_dict()


def test_with_the_plans_types_no_other_is_chosen_and_it_costs_no_less() -> None:
    plan = solve(problem_at(0.9), gap_frac=0.0)
    asked: list[MixProblem] = []

    def noted(p: MixProblem) -> MixSolution:
        asked.append(p)
        return solve(p, gap_frac=0.0)

    few = cost_curve(problem_at, noted, types_of=plan)
    free = cost_curve(problem_at, partial(solve, gap_frac=0.0))
    for p in asked:
        for r in p.requirements:
            assert {c.instance_type for c in r.candidates if c.allowed} <= _used(plan)[str(r.unit)]
    assert few["status"].str.endswith("with the plan's types").all()
    assert (few["cost_usd"] >= free["cost_usd"] - 1e-6).all()
    assert few["cost_usd"].iloc[1] == pytest.approx(free["cost_usd"].iloc[1])
    assert few["cost_usd"].is_monotonic_increasing


def test_types_that_cannot_serve_a_level_give_way_to_all() -> None:
    """The plan's only type is too small for the highest level within the largest count."""

    def narrow(level: float) -> MixProblem:
        need = float(np.quantile(PEAKS, level))
        return problem(unit("web", [need], (SMALL, LARGE), most=math.ceil(np.quantile(PEAKS, 0.99) / 60) + 1))

    small = solve(problem(unit("web", [10.0], (SMALL,))))
    assert _used(small) == {"web/us-east-1": {"m5.large"}}
    found = cost_curve(narrow, partial(solve, gap_frac=0.0), types_of=small)
    assert found["cost_usd"].notna().all()
    assert set(found["status"]) == {"optimal"}


def test_what_runs_stays_priced_beside_the_plans_types() -> None:
    before = problem(unit("web", [40.0], (SMALL, LARGE, ARM), running={("m5.xlarge", "a"): 2}))
    plan = solve(problem(unit("web", [40.0], (ARM,))))
    after = with_types_of(before, plan).requirements[0]
    assert {c.instance_type: c.allowed for c in after.candidates} == {"m5.xlarge": False, "m7g.large": True}


def test_blocks_are_put_in_by_unit() -> None:
    before = problem_at(0.5)
    blocks = (LoadBlock("2026-01", "b1", 744.0, 12.0),)
    after = with_blocks(before, {Unit("web", "us-east-1"): blocks})
    assert after.requirements[0].blocks == blocks
    assert after.requirements[1] == before.requirements[1]


@pytest.mark.parametrize("levels", [(), (0.9, 0.5), (0.5, 0.5), (0.0, 0.5), (0.5, 1.1)])
def test_levels_must_rise(levels: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="rising"):
        cost_curve(problem_at, solve, levels)


def test_headroom_moved_costs_what_a_plan_with_that_headroom_does() -> None:
    asked = problem_at(0.9)
    plan = solve(asked, gap_frac=0.0)
    # What is given here leaves 20 % of what an instance serves.
    room = {r.unit: 0.2 for r in asked.requirements}
    found = headroom_curve(asked, plan, partial(solve, gap_frac=0.0), room, (-0.2, 0.0, 0.2))
    assert found["moved_frac"].tolist() == [-0.2, 0.0, 0.2]
    assert found["cost_usd"].iloc[1] == pytest.approx(plan.spend["total_usd"].sum())
    assert found["cost_usd"].is_monotonic_increasing
    assert (found["bound_usd"] <= found["cost_usd"] * (1 + 1e-9)).all()
    for moved, cost in ((-0.2, found["cost_usd"].iloc[0]), (0.2, found["cost_usd"].iloc[2])):
        factor = (1 - 0.2 - moved) / (1 - 0.2)
        requirements = tuple(
            replace(r, candidates=tuple(replace(c, safe=c.safe * factor) for c in r.candidates))
            for r in asked.requirements
        )
        alone = solve(with_types_of(replace(asked, requirements=requirements), plan), gap_frac=0.0)
        assert cost == pytest.approx(alone.spend["total_usd"].sum())


def test_headroom_that_no_fleet_can_keep_has_no_cost() -> None:
    asked = problem_at(0.9)
    plan = solve(asked, gap_frac=0.0)
    room = {r.unit: 0.0 for r in asked.requirements}
    few = replace(asked, requirements=tuple(replace(r, max_per_zone=6) for r in asked.requirements))
    found = headroom_curve(few, plan, partial(solve, gap_frac=0.0), room, (0.0, 0.9))
    assert found["status"].iloc[1].startswith("infeasible")
    assert found["cost_usd"].isna().tolist() == [False, True]


def test_a_plan_at_hand_stands_at_its_level_though_a_higher_one_is_cheaper() -> None:
    """It keeps what runs and gives up money for that: the curve tells what it costs, and what others would."""
    dear = _best(0.99)
    spend = dear.spend.assign(total_usd=dear.spend["total_usd"] * 1.5)
    plan = replace(_best(0.9), spend=spend)
    found = cost_curve(problem_at, partial(solve, gap_frac=0.0), known={0.9: plan}).set_index("service_level")
    assert found.loc[0.9, "cost_usd"] == spend["total_usd"].sum()
    assert found.loc[0.9, "plan_of_level"] == 0.9
    assert found.loc[0.9, "status"].endswith("the plan itself")
    assert found.loc[0.95, "cost_usd"] < found.loc[0.9, "cost_usd"]
    assert found.loc[0.5, "cost_usd"] == pytest.approx(_best(0.5).status.objective)


def test_the_bound_of_a_plan_at_hand_leaves_out_the_penalty_of_types_that_it_left() -> None:
    """Its types alone are asked for at the other levels; what runs is dear and none of them."""
    dear = candidate("x1.large", 0.30, 10.0)

    def asked(level: float) -> MixProblem:
        plain = _penalised(level)
        web = plain.requirements[0]
        web = replace(web, candidates=(*web.candidates, dear), running={("x1.large", zone): 20 for zone in "abc"})
        return replace(plain, requirements=(web, plain.requirements[1]), switching_penalty_frac=0.02)

    plan = solve(asked(0.9), gap_frac=0.0)
    assert "x1.large" not in _used(plan)["web/us-east-1"]
    spend = float(plan.spend["total_usd"].sum())
    assert plan.status.bound > spend + 1
    found = cost_curve(asked, partial(solve, gap_frac=0.0), known={0.9: plan}, types_of=plan)
    assert found["cost_usd"].iloc[1] == spend
    assert (found["bound_usd"] <= found["cost_usd"] * (1 + 1e-9)).all()
