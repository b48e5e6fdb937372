"""At most two types a service: what the rule costs is told, and what cannot be is freed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import Candidate, LoadBlock, MixProblem, Quota, Unit, UnitRequirement
from capacity.optimize import solve, solve_few_types
from capacity.optimize.few_types import _cover, cheapest_types, narrowed

STANDARD = "L-1216C47A"


def candidate(name: str, vcpu: int, usd: float, code: str = STANDARD) -> Candidate:
    return Candidate(name, name.split(".")[0], "x86_64", vcpu, code, usd, 10.0 * vcpu, 12.0 * vcpu)


LADDER = tuple(candidate(f"m5.{2**i}x", 2**i, 0.05 * 2**i) for i in range(6))


def requirement(demand: float, name: str = "a", *, candidates: tuple[Candidate, ...] = LADDER) -> UnitRequirement:
    blocks = tuple(LoadBlock("2026-01", f"b{i}", 248.0, demand * f) for i, f in ((1, 1.0), (2, 0.7), (3, 0.4)))
    return UnitRequirement(Unit(name, "r"), "1", 3, 1, True, 1, 400, blocks, candidates, {("m5.1x", "z"): 3})


def problem(*requirements: UnitRequirement, limit: float = 1e6) -> MixProblem:
    return MixProblem(("2026-01",), (744.0,), requirements, quotas=(Quota("1", "r", STANDARD, "", limit, 0.0),))


@given(st.floats(50, 20_000))
def test_no_unit_mixes_more_types_than_allowed_and_the_bound_is_of_all_mixes(demand: float) -> None:
    whole = problem(requirement(demand), requirement(demand / 3, "b"))
    found = solve_few_types(whole, 2)
    used = found.provisioned[found.provisioned["instances"] > 0]
    assert used.groupby("unit")["instance_type"].nunique().max() <= 2
    free = solve(whole)
    assert found.status.bound <= free.status.objective * (1 + 1e-9)
    assert found.status.bound <= found.status.objective * (1 + 1e-9)
    spend = float(found.spend["total_usd"].sum())
    assert found.status.objective == pytest.approx(spend)
    assert found.status.gap == pytest.approx((found.status.objective - found.status.bound) / found.status.objective)
    if found.status.gap > 0.002:
        assert found.status.status == "feasible"


@given(st.floats(1, 60), st.integers(0, 5), st.integers(0, 5))
def test_the_cover_of_two_types_is_the_cheapest_by_trying_all(need: float, i: int, j: int) -> None:
    # Two resources: the second type holds little of the second one.
    weight, price = np.array([[3.0 + i, 7.0 + 2 * j], [2.0, 1.0 + j]]), np.array([1.0, 1.9])
    needs = np.array([[need], [need / 3]])
    cost, count = _cover(needs, weight, price, 1)
    tried = [
        (n * price[0] + m * price[1], n + m)
        for n in range(int(need / 2) + 2)
        for m in range(int(need) + 2)
        if (n * weight[:, 0] + m * weight[:, 1] >= needs[:, 0] - 1e-9).all() and n + m >= 1
    ]
    assert cost[0] == pytest.approx(min(c for c, _ in tried))
    assert (pytest.approx(cost[0]), count[0]) in tried


def test_of_equal_price_the_larger_and_fewer_instances_are_taken() -> None:
    (chosen, *_) = cheapest_types(requirement(60_000.0), LADDER, 1)
    assert chosen.vcpu >= 8


def test_pinned_and_vertical_units_keep_their_types() -> None:
    pinned = replace(requirement(900.0), pinned={("2026-01", "m5.1x"): 30})
    vertical = replace(requirement(20.0, "db"), vertical=True)
    again = narrowed(problem(pinned, vertical), 1)
    assert again.requirements == (pinned, vertical)


def test_a_quota_that_few_types_break_frees_only_the_unit_it_names() -> None:
    """The standard family alone is beyond its quota; another family's quota is not limited."""
    other = candidate("x2.1x", 8, 2.0, "L-OTHER")
    tight = requirement(2000.0, candidates=(*LADDER, other))
    calm = replace(requirement(200.0, "calm"), account_id="2")
    found = solve_few_types(problem(tight, calm, limit=100.0), 2)
    used = found.provisioned[found.provisioned["instances"] > 0]
    assert "x2.1x" in set(used[used["service"] == "a"]["instance_type"])
    assert used[used["service"] == "calm"]["instance_type"].nunique() <= 2
    assert any("more types for a/r" in n for n in found.notes)
