"""Planning by columns: never below what is proven, never past what is asked, close to the truth."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from capacity.domain import Candidate, CapacityReservation, LoadBlock, MixProblem, MixSolution, Offer
from capacity.optimize import solve
from capacity.optimize._fleet import fleet_of
from capacity.optimize._highs import search_highs
from capacity.optimize._result import Proof, solution_of
from capacity.optimize.columns.memory import Memory
from capacity.optimize.columns.plan import ByColumns, plan_by_columns
from tests.optimize.makers import HOURS, MONTHS, cheapest_by_trying, number_of_tries, problem, quota
from tests.optimize.test_solve import big_problem, small_problems


def by_columns(p: MixProblem, memory: Memory | None = None, gap_frac: float = 0.002) -> ByColumns:
    now = time.perf_counter()
    return plan_by_columns(
        fleet_of(p), memory or Memory(), now + 20, gap_frac, lambda lp, start, s, g: search_highs(lp, start, s, g, 1), 1
    )


def verified(p: MixProblem, found: ByColumns) -> MixSolution:
    """Raises where a requirement is broken, or where the bound is above the cost."""
    assert found.plan is not None
    return solution_of(fleet_of(p), found.plan, Proof(found.bound, "", 0.0, "highs", time.perf_counter()))


@settings(max_examples=120)
@given(small_problems())
def test_encloses_what_trying_everything_finds(p: MixProblem) -> None:
    assume(number_of_tries(p) <= 4000)
    best = cheapest_by_trying(p)
    found = by_columns(p, gap_frac=0.0)
    if best is None:
        assert found.plan is None
        return
    assert found.bound <= best * (1 + 1e-6) + 1e-6
    if found.plan is not None:
        assert verified(p, found).status.objective >= best * (1 - 1e-6) - 1e-6


@st.composite
def problems_of_all_families(draw: st.DrawFn) -> MixProblem:
    """One to three units with spot, variety, memory, a lost region, quotas, offers and reservations, two months."""
    base = draw(small_problems())
    requirements = []
    for r in base.requirements:
        memory = draw(st.booleans())
        offered = tuple(_with_terms(draw, c, memory) for c in r.candidates)
        blocks = tuple(
            LoadBlock(
                b.month, b.block, b.hours, b.demand,
                {"memory": b.demand * draw(st.sampled_from([0.3, 1.0, 2.0]))} if memory else {},
                draw(st.sampled_from([0.0, 0.0, b.demand * 1.5])),
            )
            for b in r.blocks
        )  # fmt: skip
        spot = draw(st.sampled_from([0.0, 0.5]))
        requirements.append(
            replace(
                r, candidates=offered, blocks=blocks, max_per_zone=r.max_per_zone + 12, spot_max_frac=spot,
                spot_least_types=draw(st.integers(1, 2)), least_types=draw(st.integers(1, 2)),
            )
        )  # fmt: skip
    kinds = sorted({c.instance_type for r in requirements for c in r.candidates})
    offers = []
    if draw(st.booleans()):
        offers.append(Offer("csp1", "compute_sp", 1, "no_upfront", "", "", "", dict.fromkeys(kinds, 0.72)))
    if draw(st.booleans()):
        offers.append(Offer("ri1", "standard_ri", 1, "no_upfront", kinds[0], "us-east-1", "", {kinds[0]: 0.6}))
    held = ()
    if draw(st.booleans()):
        held = (CapacityReservation("cr", "1111", "us-east-1", "", kinds[0], 2, datetime(2025, 1, 1, tzinfo=UTC)),)
    quotas = [quota(float(draw(st.integers(30, 300))))] if draw(st.booleans()) else []
    if draw(st.booleans()):
        quotas.append(quota(float(draw(st.integers(0, 20))), code="L-SPOT"))
    return replace(
        base, requirements=tuple(requirements), offers=tuple(offers), reservations=held, quotas=tuple(quotas)
    )


def _with_terms(draw: st.DrawFn, c: Candidate, memory: bool) -> Candidate:
    spot = c.usd_per_hour * 0.35 if draw(st.booleans()) else None
    held = c.safe * draw(st.sampled_from([0.5, 1.0, 1.6]))
    return replace(
        c, spot_usd_per_hour=spot, spot_buffer_frac=0.1, spot_quota_code="L-SPOT",
        further={"memory": (held, held * 1.1)} if memory else {},
    )  # fmt: skip


@settings(max_examples=120)
@given(problems_of_all_families())
def test_all_families_are_kept_and_the_bound_is_below_the_whole_model(p: MixProblem) -> None:
    prices = {c.instance_type: c for r in p.requirements for c in r.candidates}
    same = tuple(
        replace(r, candidates=tuple(prices[c.instance_type] if not r.blocks[0].further else c for c in r.candidates))
        for r in p.requirements
    )
    p = replace(p, requirements=same)
    found = by_columns(p, gap_frac=0.0)
    try:
        exact = solve(p, gap_frac=0.0).status
    except Exception as error:
        assert type(error).__name__ == "InfeasiblePlanError"  # noqa: PT017
        assert found.plan is None
        return
    assert found.bound <= exact.objective * (1 + 1e-6) + 1e-6
    if found.plan is not None:
        assert verified(p, found).status.objective >= exact.bound * (1 - 1e-6) - 1e-6


@pytest.mark.parametrize("tight", [False, True])
def test_a_fleet_is_planned_close_to_its_bound_and_the_bound_is_below_the_cost_in_every_round(tight: bool) -> None:
    p = big_problem(20, months=1)
    if tight:  # 588 vCPU are the fewest that will do
        p = replace(p, quotas=(quota(620.0),))
    found = by_columns(p)
    status = verified(p, found).status
    assert found.rounds
    assert all(bound <= value * (1 + 1e-9) for value, bound in found.rounds)
    assert status.bound <= status.objective
    assert status.gap <= (0.05 if tight else 0.02)


def test_a_warm_start_takes_columns_over_and_plans_as_well() -> None:
    p = big_problem(20, months=1)
    memory = Memory()
    cold = verified(p, by_columns(p, memory)).status
    assert memory.columns
    first = p.requirements[0]
    grown = replace(first, blocks=tuple(replace(b, demand=1.2 * b.demand) for b in first.blocks))
    changed = replace(p, requirements=(grown, *p.requirements[1:]))
    kept = len(memory.columns)
    warm = verified(changed, by_columns(changed, memory)).status
    assert len(memory.columns) == kept + 1
    again = verified(changed, by_columns(changed)).status
    assert warm.objective == pytest.approx(again.objective, rel=0.01)
    assert warm.bound <= again.objective
    assert cold.objective < warm.objective


def test_bundles_of_a_tight_quota_are_left_to_the_next_solve_of_what_did_not_change() -> None:
    p = replace(big_problem(20, months=1), quotas=(quota(620.0),))
    memory = Memory()
    cold = verified(p, by_columns(p, memory)).status
    left = dict(memory.bundles)
    assert left
    assert all(own for own in left.values())
    first = p.requirements[0]
    grown = replace(first, blocks=tuple(replace(b, demand=1.1 * b.demand) for b in first.blocks))
    changed = replace(p, requirements=(grown, *p.requirements[1:]), quotas=(quota(630.0),))
    copied = memory.copy()
    warm, anew = (verified(changed, by_columns(changed, m)).status for m in (memory, Memory()))
    assert warm.objective == pytest.approx(anew.objective, rel=0.01)
    assert warm.bound <= anew.objective
    assert len(memory.bundles) == len(left) + 1
    # What another solve adds does not come into a copy; the same solve from it is as good as the first.
    assert copied.bundles == left
    again = verified(p, by_columns(p, copied)).status
    assert again.objective <= cold.objective * 1.002
    assert again.bound <= cold.objective


def test_the_same_fleet_gives_the_same_plan_in_any_order() -> None:
    p = big_problem(12, months=1)
    rng = np.random.default_rng(5)
    mixed = replace(p, requirements=tuple(p.requirements[int(i)] for i in rng.permutation(len(p.requirements))))
    one, other = by_columns(p), by_columns(mixed)
    assert one.plan is not None
    assert other.plan is not None
    assert (one.plan.running == other.plan.running).all()
    assert one.bound == other.bound


def test_what_no_quota_allows_is_no_plan() -> None:
    p = big_problem(6, months=1)
    assert by_columns(replace(p, quotas=(quota(3.0),))).plan is None


def test_nothing_to_do_costs_nothing() -> None:
    p = problem(months=MONTHS, hours=HOURS)
    found = by_columns(p)
    assert found.plan is not None
    assert found.bound == 0.0
