"""Purchases against brute force over grids, against a whole linear programme, and against the newsvendor's quantile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.optimize import known_demand_level
from capacity.optimize.purchases import PurchaseProblem, recommend
from capacity.optimize.purchases._bill import bill_paths, tail_mean, weighed
from capacity.optimize.purchases._lines import setting_of
from capacity.optimize.purchases._recourse import SecondStage
from tests.optimize.purchase_makers import YEAR, group, least_cost_of_grid, offer, question

FEW = st.lists(st.integers(0, 12), min_size=24, max_size=24)


def _steady(levels: Any) -> np.ndarray[Any, Any]:
    """(paths, 12) from a level a path."""
    return np.repeat(np.asarray(levels, dtype=float)[:, None], 12, axis=1)


@given(FEW, st.floats(0.05, 0.95), st.integers(0, 9))
def test_one_product_and_known_usage_is_the_quantile(usage: list[int], rate: float, seed: int) -> None:
    values = np.array(usage[:12], dtype=float) + np.random.default_rng(seed).random(12)
    hours = np.random.default_rng(seed + 100).uniform(600, 744, 12)
    plan = recommend(question([group(values[None])], [offer("sp", rate=rate)], hours=list(hours)))
    # $1 of commitment covers 1 / rate of on demand.
    best = min(
        float((rate * x + np.maximum(values - x, 0)) @ hours) for x in [0.0, *values]
    )  # on a grid that holds the optimum: the cost turns only at values
    assert plan.status.objective == pytest.approx(best, rel=1e-6)
    bought = sum(r.hourly_usd for r in plan.recommendations) / rate
    level = known_demand_level(values, rate, hours)
    at_level = float((rate * level + np.maximum(values - level, 0)) @ hours)
    assert best == pytest.approx(at_level, rel=1e-9)
    flat = abs((values <= level + 1e-9) @ hours / hours.sum() - (1 - rate)) < 1e-6
    assert flat or bought == pytest.approx(level, abs=1e-6 * max(level, 1.0))


@given(FEW, st.sampled_from([0.3, 0.5, 0.7, 0.9]))
def test_one_product_over_paths_equals_trying_every_size(usage: list[int], rate: float) -> None:
    problem = question([group(np.array(usage, dtype=float).reshape(2, 12) + 0.5)], [offer("sp", rate=rate)])
    # The cost turns only where the commitment covers a usage whole.
    sizes = sorted({0.0, *(rate * (x + 0.5) for x in usage)})
    plan = recommend(problem)
    assert plan.status.objective == pytest.approx(least_cost_of_grid(problem, [sizes], [0]), rel=1e-6)
    assert plan.status.status == "optimal"
    assert plan.status.gap <= 1e-6


@given(st.lists(st.integers(0, 5), min_size=16, max_size=16), st.sampled_from([0.4, 0.6, 0.8]))
def test_two_products_equal_trying_every_pair(usage: list[int], wide: float) -> None:
    flat = np.array(usage, dtype=float).reshape(2, 2, 4)
    lots = np.repeat(flat, 3, axis=2)
    groups = [group(lots[0]), group(lots[1], "c5.large")]
    offers = [offer("wide", rate=wide), offer("narrow", "ec2_instance_sp", wide - 0.15, scope="m5")]
    problem = question(groups, offers)
    # With whole usage both sizes can be whole on-demand dollars in an optimum (the matrix of nested scopes is
    # totally unimodular).
    sizes = [[wide * x for x in range(11)], [(wide - 0.15) * x for x in range(6)]]
    plan = recommend(problem)
    assert plan.status.objective == pytest.approx(least_cost_of_grid(problem, sizes, [1, 0]), rel=1e-6)


def _whole_programme(problem: PurchaseProblem, risk: float) -> float:
    """Purchases at the start and every use of every lot in one linear programme; its least (1 - w) mean + w CVaR."""
    import pulp

    lp, hours, paths = pulp.LpProblem("whole"), problem.hours, problem.groups[0].usd.shape[0]
    q = [lp.add_variable(f"q{i}", 0) for i in range(len(problem.offers))]
    cost = []
    for p in range(paths):
        on_demand = []
        for k, h in enumerate(hours):
            use = {
                (i, g): lp.add_variable(f"x{p}_{k}_{i}_{g}", 0)
                for i, o in enumerate(problem.offers)
                for g, u in enumerate(problem.groups)
                if o.product == "compute_sp" or o.scope == u.family
            }
            for i, o in enumerate(problem.offers):
                lp += (
                    pulp.lpSum(o.rate[problem.groups[g].instance_type] * x for (j, g), x in use.items() if j == i)
                    <= q[i]
                )
            for g, u in enumerate(problem.groups):
                covered = pulp.lpSum(x for (_, f), x in use.items() if f == g)
                lp += covered <= float(u.usd[p, k])
                on_demand.append(h * (float(u.usd[p, k]) - covered))
        cost.append(pulp.lpSum(on_demand) + sum(hours) * pulp.lpSum(q))
    eta = lp.add_variable("eta")
    excess = [lp.add_variable(f"e{p}", 0) for p in range(paths)]
    for p in range(paths):
        lp += excess[p] >= cost[p] - eta
    lp.setObjective(
        (1 - risk) * pulp.lpSum(cost) * (1 / paths) + risk * (eta + pulp.lpSum(excess) * (1 / (0.1 * paths)))
    )
    lp.solve(pulp.HiGHS(msg=False))
    return float(pulp.value(lp.objective))


@pytest.mark.parametrize("risk", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_equals_the_whole_programme_with_and_without_risk(risk: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = [group(_steady(rng.gamma(4, 3, 12)), t) for t in ("m5.large", "c5.large", "m7g.large")]
    offers = [offer("wide", rate=0.7), offer("m5", "ec2_instance_sp", 0.6, scope="m5")]
    problem = question(groups, offers, policy={"risk_weight": risk})
    plan = recommend(problem)
    assert plan.status.objective == pytest.approx(_whole_programme(problem, risk), rel=1e-6)
    assert plan.status.status == "optimal"
    expected = (1 - risk) * plan.cost.mean + risk * plan.cvar90
    assert plan.status.objective == pytest.approx(expected, rel=1e-9)


# Each case builds a programme of thousands of rows through PuLP.
@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_bound_never_exceeds_the_whole_programme_where_rates_differ_by_type(seed: int) -> None:
    rng = np.random.default_rng(seed)
    types = ("m5.large", "c5.large", "m7g.large")
    groups = [group(_steady(rng.gamma(4, 3, 3)), t) for t in types]
    offers = [
        offer(name, product, {t: float(rng.uniform(0.4, 0.9)) for t in types}, scope=scope)
        for name, product, scope in (
            ("wide", "compute_sp", ""),
            ("too", "compute_sp", ""),
            ("m5", "ec2_instance_sp", "m5"),
        )
    ]
    problem = question(groups, offers)
    plan, exact = recommend(problem), _whole_programme(problem, 0.0)
    assert plan.status.bound <= exact * (1 + 1e-6)
    # The provider's order of applying them may cost more than an order of our own; it never costs less.
    assert exact * (1 - 1e-6) <= plan.status.objective <= plan.cost_without.mean * (1 + 1e-9)
    assert (plan.status.status == "optimal") == (plan.status.gap <= 1e-6)


@given(st.integers(0, 10_000), st.floats(0, 40))
def test_cuts_are_below_what_stays_on_demand_everywhere_and_tight_where_made(seed: int, elsewhere: float) -> None:
    rng = np.random.default_rng(seed)
    groups = [group(rng.gamma(4, 3, (3, 12)), t) for t in ("m5.large", "c5.large", "m7g.large")]
    offers = [offer("wide", rate=0.7), offer("m5", "ec2_instance_sp", 0.6, scope="m5"),
              offer("ri", "standard_ri", 0.55, scope="c5.large")]  # fmt: skip
    setting = setting_of(question(groups, offers))
    here = rng.uniform(0, 20, len(setting.columns))
    units = setting.units(here)
    cuts = SecondStage(setting).cuts(units)

    def lower(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(cuts.constant - (cuts.unit * x[:, None, :]).sum(axis=0))

    billed = bill_paths(setting, here).open_usd.sum(axis=2)
    assert lower(units) == pytest.approx(billed, abs=1e-7)
    other = np.full(len(here), elsewhere)
    assert (lower(setting.units(other)) <= bill_paths(setting, other).open_usd.sum(axis=2) + 1e-7).all()


@given(st.lists(st.integers(0, 9), min_size=12, max_size=12), st.sampled_from([0.4, 0.6, 0.8]))
def test_reserved_instances_come_whole(counts: list[int], rate: float) -> None:
    usd = 0.1 * np.array(counts, dtype=float)
    plan = recommend(question([group(usd[None])], [offer("ri", "standard_ri", rate, scope="m5.large")]))
    costs = [float((rate * 0.1 * n + np.maximum(usd - 0.1 * n, 0)).sum() * 730) for n in range(10)]
    assert plan.status.objective == pytest.approx(min(costs), rel=1e-6, abs=1e-9)
    for r in plan.recommendations:
        assert r.count >= 1
        assert r.hourly_usd == pytest.approx(r.count * rate * 0.1)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.floats(0, 1))
def test_tail_mean_is_the_least_of_its_definition(values: list[float], weight: float) -> None:
    cost = np.array(values)
    by_definition = min(float(eta + np.maximum(cost - eta, 0).mean() / 0.1) for eta in cost)
    assert tail_mean(cost) == pytest.approx(by_definition, rel=1e-9, abs=1e-6)
    assert cost.mean() - 1e-6 <= weighed(cost, weight) <= cost.max() + 1e-6


def test_a_locked_scope_loses_where_a_flexible_one_saves() -> None:
    # The fleet moves from m5 to m7g in April: its whole usage never changes.
    before = np.repeat([[10.0] * 3 + [0.0] * 9], 3, axis=0)
    groups = [group(before), group(10.0 - before, "m7g.large")]
    locked, flexible = offer("locked", "ec2_instance_sp", 0.6, scope="m5"), offer("flexible", rate=0.7)
    alone = recommend(question(groups, [locked]))
    assert alone.recommendations == ()
    setting = setting_of(question(groups, [locked]))
    loss = bill_paths(setting, np.array([6.0])).cost - alone.cost_without.mean
    assert (loss > 0).all()
    both = recommend(question(groups, [locked, flexible]))
    assert [r.offer for r in both.recommendations] == ["flexible"]
    assert both.cost.mean == pytest.approx(0.7 * both.cost_without.mean)


def test_ladder_follows_growth_and_is_no_dearer() -> None:
    usage = np.linspace(10, 30, 12)[None] * np.array([[0.9], [1.0], [1.1]])
    now = recommend(question([group(usage)], [offer("sp")]))
    ladder = recommend(question([group(usage)], [offer("sp")], policy={"ladder": True}))
    assert {r.buy_month for r in now.recommendations} == {YEAR[0]}
    assert len({r.buy_month for r in ladder.recommendations}) > 3
    some = recommend(question([group(usage)], [offer("sp")], policy={"ladder": True, "buy_months": (YEAR[2], YEAR[6])}))
    assert {r.buy_month for r in some.recommendations} == {YEAR[2], YEAR[6]}


def test_identical_input_gives_an_identical_plan() -> None:
    rng = np.random.default_rng(3)
    groups = [group(rng.gamma(4, 3, (20, 12)), t) for t in ("m5.large", "c5.large")]
    offers = [offer("wide"), offer("m5", "ec2_instance_sp", 0.6, scope="m5"), offer("wide too")]
    problem = question(groups, offers, policy={"ladder": True})
    assert recommend(problem).recommendations == recommend(problem).recommendations
