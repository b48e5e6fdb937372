"""What arithmetic proves of a service's cost holds the optimum, and makes a price of every move that it knows."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.domain import MixProblem
from capacity.optimize import solve, why
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize.why._enclosed import enclosed
from tests.optimize.makers import ARM, LARGE, SMALL, candidate, commitment, problem, quota, unit

KINDS = (SMALL, LARGE, ARM, candidate("c5.2xlarge", 0.34, 43.0, 8))
NEVER = Deadline.never()


@settings(max_examples=40)
@given(
    st.lists(st.floats(1.0, 250.0), min_size=1, max_size=3), st.integers(0, 2), st.booleans(), st.booleans(),
    st.integers(0, 3), st.integers(0, 9), st.sampled_from([0.0, 0.02]),
)  # fmt: skip
def test_the_optimum_lies_between(
    demands: list[float], survived: int, vertical: bool, autoscaled: bool, least: int, runs: int, penalty: float
) -> None:
    r = unit(
        "a", demands, KINDS, survived=survived, vertical=vertical, autoscaled=autoscaled, least=least,
        running={("m5.large", "a"): runs} if runs else {},
    )  # fmt: skip
    p = problem(r, penalty=penalty)
    (found,) = enclosed([p], NEVER)
    if found is not None:
        status = solve(p, gap_frac=1e-6).status
        assert found[0] <= status.objective * (1 + 1e-9)
        assert found[1] >= status.bound * (1 - 1e-9)
        assert found[1] <= found[0] * 1.35 + 1e-6


def test_a_quota_that_the_cheapest_covers_break_is_left_to_the_solver() -> None:
    p = problem(unit("a", [90], KINDS))
    roomy, tight = (enclosed([replace(p, quotas=(quota(limit),))], NEVER)[0] for limit in (1000.0, 5.0))
    assert roomy is not None
    assert tight is None


def test_what_commitments_could_serve_is_not_told() -> None:
    p = problem(unit("a", [90], KINDS), commitments=[commitment("csp", "compute_sp")], rates={"csp": 0.7})
    assert enclosed([p], NEVER) == [None]


def test_a_deadline_ends_it() -> None:
    with pytest.raises(TimeIsUp):
        enclosed([problem(unit("a", [90], KINDS))], Deadline(time.perf_counter, time.perf_counter() - 1.0))


def _many() -> MixProblem:
    units = [unit(f"u{k:02d}", [30.0 + 7 * k, 11.0 + 5 * k], KINDS, least=1) for k in range(12)]
    owned = [commitment("sp", "compute_sp", hourly=0.2)]
    return problem(*units, quotas=[quota(1000.0)], commitments=owned, rates={"sp": 0.7})


def test_every_move_of_a_service_is_priced_though_few_are_solved_again() -> None:
    p = _many()
    solution = solve(p, 20.0, gap_frac=1e-6)
    moves = {(m.name, m.unit): m for m in why.moves(p) if ": " in m.name and m.kind in ("zones_more", "zones_less")}
    found = why.prices(p, solution, kinds=["zones_more", "zones_less"], most=1)
    assert found.not_tried == ()
    assert {(x.name, x.unit) for x in found.tried} == set(moves)
    assert {x.way for x in found.tried} == {"kept"}
    for price in found.tried[:4]:
        moved = solve(moves[price.name, price.unit].problem, 20.0, gap_frac=1e-6).status
        true = (moved.objective - solution.status.objective) * 8760.0 / p.month_hours[0]
        # The whole fleet was solved to 1e-6 of its cost.
        assert price.low_usd_per_year - 5.0 <= true <= price.high_usd_per_year + 5.0
