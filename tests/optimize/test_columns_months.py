"""Whole months under tight quotas: bounds below the truth, steps that only better, RIs counted in whole instances."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from capacity.domain import Candidate, Floats, MixProblem
from capacity.errors import InfeasiblePlanError
from capacity.optimize import solve
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize._highs import search_highs
from capacity.optimize._result import Proof, solution_of
from capacity.optimize.columns._coupling import coupling_of, lane_prices
from capacity.optimize.columns._lanes import Counts, Lanes, lanes_of
from capacity.optimize.columns._month import Floor, Prices, solve_month
from capacity.optimize.columns._nearby import best_inside, improved, month_of
from capacity.optimize.columns.memory import Memory
from capacity.optimize.columns.plan import ByColumns, plan_by_columns
from tests.optimize.makers import candidate, problem, quota, unit
from tests.optimize.test_solve import commitment

TYPES = (
    candidate("a1.large", 0.10, 10.0, 2),
    candidate("a1.xlarge", 0.19, 21.0, 4),
    candidate("b1.large", 0.08, 7.0, 2),
    candidate("c1.2xlarge", 0.33, 44.0, 6),
)


def by_columns(p: MixProblem, gap_frac: float = 0.0) -> ByColumns:
    ends = time.perf_counter() + 20
    return plan_by_columns(
        fleet_of(p), Memory(), ends, gap_frac, lambda lp, start, s, g: search_highs(lp, start, s, g, 1), 1
    )


def fewest_vcpu(offered: tuple[Candidate, ...], demand: float, zones: int) -> float:
    """vCPU of the one type that holds a demand with the fewest."""
    return min(zones * c.vcpu * np.ceil(max(demand / (zones * c.safe), 0.0)) for c in offered)


@st.composite
def tight_problems(draw: st.DrawFn) -> MixProblem:
    """Two to four units that follow their load, and a quota of one to 1.8 times the fewest vCPU that serve them."""
    blocks = draw(st.integers(2, 3))
    units, need = [], 0.0
    for s in range(draw(st.integers(2, 4))):
        offered = tuple(draw(st.lists(st.sampled_from(TYPES), min_size=2, max_size=4, unique_by=lambda c: c.vcpu)))
        zones = draw(st.sampled_from([2, 3]))
        demands = [draw(st.integers(5, 150)) for _ in range(blocks)]
        runs = {(offered[0].instance_type, "a"): draw(st.integers(0, 4))}
        autoscaled = draw(st.integers(0, 3)) > 0
        units.append(
            unit(
                f"s{s}", demands, offered, zones=zones, survived=0, autoscaled=autoscaled, running=runs,
                least=draw(st.integers(0, 1)), shares=[1 / blocks] * blocks,
            )
        )  # fmt: skip
        need += fewest_vcpu(offered, max(demands), zones)
    owned, rates = [], {}
    if draw(st.booleans()):
        owned.append(commitment("ri", "standard_ri", "a1.large", hourly=0.2, count=draw(st.integers(1, 8))))
    if draw(st.booleans()):
        owned.append(commitment("csp", "compute_sp", hourly=draw(st.integers(5, 60)) / 100))
        rates["csp"] = 0.7
    limit = float(np.floor(need * draw(st.sampled_from([1.0, 1.1, 1.3, 1.8]))))
    penalty = draw(st.sampled_from([0.0, 0.02]))
    return problem(*units, commitments=owned, rates=rates, quotas=[quota(limit)], penalty=penalty)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(tight_problems())
def test_under_tight_quotas_the_bound_is_below_the_optimum_and_the_plan_above_it(p: MixProblem) -> None:
    found = by_columns(p)
    try:
        exact = solve(p, gap_frac=0.0).status
    except InfeasiblePlanError:
        assert found.plan is None
        return
    assert found.bound <= exact.objective * (1 + 1e-6) + 1e-6
    if found.plan is not None:
        proof = Proof(found.bound, "", 0.0, "highs", time.perf_counter())
        status = solution_of(fleet_of(p), found.plan, proof).status  # verified: raises where a quota is broken
        assert status.objective >= exact.bound * (1 - 1e-6) - 1e-6


# --- one month ---------------------------------------------------------------------------------------------


@st.composite
def months(draw: st.DrawFn) -> tuple[Fleet, Lanes, Floats]:
    """A unit's month of two or three lanes, and what an instance that is provisioned costs, by type."""
    blocks = draw(st.integers(2, 3))
    offered = tuple(draw(st.lists(st.sampled_from(TYPES), min_size=2, max_size=3, unique=True)))
    p = problem(
        unit(
            "s", [draw(st.integers(1, 120)) for _ in range(blocks)], offered, zones=draw(st.sampled_from([2, 3])),
            survived=draw(st.integers(0, 1)), least=draw(st.integers(0, 2)), shares=[1 / blocks] * blocks,
            running={(offered[0].instance_type, "a"): draw(st.integers(0, 5))},
        ),
        penalty=draw(st.sampled_from([0.0, 0.02])),
    )  # fmt: skip
    if draw(st.booleans()):
        p = replace(p, requirements=tuple(replace(r, least_types=2) for r in p.requirements))
    fleet = fleet_of(p)
    u = lanes_of(fleet, 0, [0])
    assert u is not None
    return fleet, u, np.array([draw(st.floats(0.0, 400.0)) for _ in offered])


def cost_of(u: Lanes, prices: Prices, running: Counts) -> float:
    own = float((running * prices.usd.T).sum() + u.leave_cost(running).sum())
    return own + float(prices.each_usd @ running.max(axis=0))


def cheapest_of_all(u: Lanes, prices: Prices) -> float:
    """By trying every provisioned fleet, and in each lane every part of it."""
    most = [int(m) for m in np.ceil(u.need.max(axis=1)[:, None] / u.weight * (1 - 1e-9)).max(axis=0)]
    most = [max(m, int(np.ceil(r / u.requirement.zones)), 2) for m, r in zip(most, u.runs, strict=True)]
    counts = np.array([*itertools.product(*(range(m + 1) for m in most))])
    lanes = []
    for k in range(len(u.hours)):
        whole = np.zeros((len(u.hours), len(u.types)), dtype=np.int64)
        cost = np.full(len(counts), np.inf)
        for c, count in enumerate(counts):
            whole[k] = count
            if u.allows(whole, np.zeros_like(whole))[k]:
                left = np.maximum(u.runs - u.requirement.zones * count, 0)
                cost[c] = count @ prices.usd[:, k] + left @ u.leave_usd[:, k]
        lanes.append(cost)
    inside = (counts[None, :, :] <= counts[:, None, :]).all(axis=2)
    least = sum(np.where(inside, cost[None, :], np.inf).min(axis=1) for cost in lanes)
    return float((least + counts @ prices.each_usd).min())


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(months())
def test_a_month_is_proven_to_the_cent_and_steps_only_better_it(drawn: tuple[Fleet, Lanes, Floats]) -> None:
    _, u, each = drawn
    lanes = np.arange(len(u.hours))
    prices = Prices(u.usd[:, None] * u.hours, np.full((len(u.types), len(lanes)), np.inf), each, np.zeros(len(each)))
    sizes = np.prod([np.ceil((u.need.max(axis=1) / u.weight[:, i]).max()) + 3 for i in range(len(u.types))])
    assume(sizes <= 600)
    truth = cheapest_of_all(u, prices)
    found = solve_month(u, lanes, prices, 0.0, None, 20.0, (1e-6, 0.0))
    assert found is not None
    bound, running, _ = found
    assert bound == pytest.approx(truth, rel=1e-6)
    assert cost_of(u, prices, running) == pytest.approx(truth, rel=1e-6)
    # From any fleet that does, steps end at one that does for no more, and never below the truth.
    fleet = np.ceil(u.need.max(axis=1)[:, None] / u.weight).max(axis=0).astype(np.int64) + 1
    m = month_of(u, lanes, prices.usd, each, np.zeros((len(lanes), len(u.types)), dtype=np.int64), 0.0)
    inside = best_inside(m, fleet)
    assert inside is not None
    better = improved(m, fleet, inside[0])
    usd, chosen, n = better or (*inside, fleet)
    assert truth * (1 - 1e-9) <= usd <= inside[0]
    assert u.allows(chosen, np.zeros_like(chosen)).all()
    assert (chosen <= n).all()


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(months(), st.floats(0.0, 1.0))
def test_a_month_that_stands_on_what_lanes_cost_apart_is_proven_as_far(
    drawn: tuple[Fleet, Lanes, Floats], share: float
) -> None:
    _, u, each = drawn
    lanes = np.arange(len(u.hours))
    none = np.full((len(u.types), len(lanes)), np.inf)
    prices = Prices(u.usd[:, None] * u.hours, none, each, np.zeros(len(each)))
    # What is provisioned is charged to the lanes in any split.
    split = np.array([share, 1 - share, *(0.0 for _ in lanes[2:])])
    charged = Prices(prices.usd + each[:, None] * split[None, :], none, np.zeros(len(each)), np.zeros(len(each)))
    apart = []
    for k in lanes:
        alone = solve_month(
            u, lanes[k : k + 1], Prices(charged.usd[:, [k]], none[:, [k]], np.zeros(len(each)), np.zeros(len(each))),
            0.0, None, 20.0, (1e-6, 0.0),
        )  # fmt: skip
        assert alone is not None
        apart.append(alone[0])
    plain = solve_month(u, lanes, prices, 0.0, None, 20.0, (1e-6, 0.0))
    floored = solve_month(u, lanes, prices, 0.0, None, 20.0, (1e-6, 0.0), Floor(charged.usd, none, np.array(apart)))
    assert plain is not None
    assert floored is not None
    assert floored[0] == pytest.approx(plain[0], rel=1e-6, abs=1e-5)
    assert sum(apart) <= plain[0] * (1 + 1e-6) + 1e-5


# --- RIs ---------------------------------------------------------------------------------------------------


def test_ris_that_no_multiple_of_the_zones_uses_whole_leave_no_gap() -> None:
    """8 RIs in three zones: two services use 6, a third would use 3 and pay for one. A part of it was proven once."""
    big = candidate("a1.12xlarge", 6.0, 100.0, 48)
    small = candidate("b1.large", 0.5, 10.0, 2)
    units = [unit(f"s{s}", [90.0 + s], (big, small), autoscaled=False, survived=0) for s in range(6)]
    p = problem(*units, commitments=[commitment("ri", "standard_ri", "a1.12xlarge", hourly=16.0, count=8)])
    found = by_columns(p)
    exact = solve(p, gap_frac=0.0).status
    assert found.plan is not None
    assert found.bound <= exact.objective * (1 + 1e-9)
    assert found.bound >= exact.objective * (1 - 1e-6)


def test_ris_are_counted_whole_only_where_lanes_run_always_or_never() -> None:
    together = problem(
        unit("s1", [50.0, 20.0]), unit("s2", [40.0, 30.0]),
        commitments=[commitment("ri", "standard_ri", "m5.large", hourly=0.2, count=4)],
    )  # fmt: skip
    other = unit("s2", [40.0, 30.0], shares=[0.3, 0.7])
    between = replace(together, requirements=(together.requirements[0], other))
    for p, wanted in ((together, 2), (between, 1)):
        fleet = fleet_of(p)
        units = [u for s in range(2) if (u := lanes_of(fleet, s, [0])) is not None]
        coupling = coupling_of(fleet, units, [0])
        rows = [r for r, name in enumerate(coupling.names) if name[0] == "whole"]
        assert len(rows) <= wanted
        assert (len(rows) == 2) == (p is together)
        duals = np.zeros(len(coupling.upper))
        plain = lane_prices(coupling, units[0], duals)[0]
        duals[rows] = -0.01
        lower = lane_prices(coupling, units[0], duals)[0]
        assert ((lower < plain).any()) == bool(rows)


def test_what_is_left_of_types_that_cannot_pay_is_no_proof_of_more() -> None:
    """A bound stood above the optimum: a lane's least cost held the penalty of a type that the MIP did not know."""
    a, b = candidate("a1.large", 0.1, 10.0, 2), candidate("a1.xlarge", 0.19, 21.0, 4)
    c = candidate("c1.2xlarge", 0.33, 44.0, 6)
    first = unit("s0", [5.0, 5.0, 131.0], (a, b, c), zones=2, survived=0, autoscaled=False, least=0)
    runs = {("a1.xlarge", "a"): 1}
    second = unit("s1", [5.0, 5.0, 133.0], (b, a, c), survived=0, autoscaled=False, least=0, running=runs)
    third = unit("s2", [5.0, 31.0, 94.0], (a, b, c), survived=0, least=0)
    p = problem(first, second, third, quotas=[quota(72.0)], penalty=0.02)
    exact = solve(p, gap_frac=0.0).status
    found = by_columns(p)
    assert exact.objective * 0.97 < found.bound <= exact.objective * (1 + 1e-9)
