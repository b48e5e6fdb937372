"""At most two types a service: what the rule costs is told, and what cannot be is freed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import Candidate, Commitment, LoadBlock, MixProblem, MixSolution, Quota, Unit, UnitRequirement
from capacity.optimize import Memory, solve, solve_few_types
from capacity.optimize._types_of_unit import _Costs, _covers, cheapest_types
from capacity.optimize.few_types import narrowed

STANDARD = "L-1216C47A"


def candidate(name: str, vcpu: int, usd: float, code: str = STANDARD) -> Candidate:
    return Candidate(name, name.split(".")[0], "x86_64", vcpu, code, usd, 10.0 * vcpu, 12.0 * vcpu)


LADDER = tuple(candidate(f"m5.{2**i}x", 2**i, 0.05 * 2**i) for i in range(6))


def requirement(demand: float, name: str = "a", *, candidates: tuple[Candidate, ...] = LADDER) -> UnitRequirement:
    blocks = tuple(LoadBlock("2026-01", f"b{i}", 248.0, demand * f) for i, f in ((1, 1.0), (2, 0.7), (3, 0.4)))
    return UnitRequirement(Unit(name, "r"), "1", 3, 1, True, 1, 400, blocks, candidates, {("m5.1x", "z"): 3})


def problem(*requirements: UnitRequirement, limit: float = 1e6) -> MixProblem:
    return MixProblem(("2026-01",), (744.0,), requirements, quotas=(Quota("1", "r", STANDARD, "", limit, 0.0),))


def _left_usd(p: MixProblem, found: MixSolution) -> float:
    """The switching penalty by hand: three m5.1x run today, at .05 USD an hour each."""
    kept = found.running[found.running["instance_type"] == "m5.1x"].set_index(["unit", "block"])["instances"]
    return sum(
        p.switching_penalty_frac * 0.05 * b.hours * max(3 - int(kept.get((str(r.unit), b.block), 0)), 0)
        for r in p.requirements
        for b in r.blocks
    )


@given(st.floats(50, 20_000))
def test_no_unit_mixes_more_types_than_allowed_and_the_bound_is_of_all_mixes(demand: float) -> None:
    whole = problem(requirement(demand), requirement(demand / 3, "b"))
    found = solve_few_types(whole, 2)
    used = found.provisioned[found.provisioned["instances"] > 0]
    assert used.groupby("unit")["instance_type"].nunique().max() <= 2
    free = solve(whole)
    assert found.status.bound <= free.status.objective * (1 + 1e-9)
    assert found.status.bound <= found.status.objective * (1 + 1e-9)
    assert found.status.objective == pytest.approx(float(found.spend["total_usd"].sum()) + _left_usd(whole, found))
    assert found.status.gap == pytest.approx((found.status.objective - found.status.bound) / found.status.objective)
    if found.status.gap > 0.002:
        assert found.status.status == "feasible"


@given(st.floats(1, 60), st.integers(0, 5), st.integers(0, 5))
def test_the_cover_of_two_types_is_the_cheapest_by_trying_all(need: float, i: int, j: int) -> None:
    # Two resources: the second type holds little of the second one.
    weight, price = np.array([[3.0 + i, 7.0 + 2 * j], [2.0, 1.0 + j]]), np.array([1.0, 1.9])
    needs = np.array([[need], [need / 3]])
    paid = np.zeros((1, 1))
    costs = _Costs(np.ones(1), price, np.zeros(2, dtype=np.int64), paid, np.zeros((2, 1)))
    (cost,), (count,) = _covers(needs, weight, costs, 0, np.array([1]), 1)
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


def test_what_a_commitment_covers_is_free_to_a_choice_of_types() -> None:
    """A dearer family that is paid already is chosen, as far as it is paid; without the commitment it is not."""
    dear = tuple(candidate(f"c5.{2**i}x", 2**i, 0.08 * 2**i) for i in range(3))
    r = replace(requirement(900.0, candidates=(*LADDER, *dear)), running={})
    assert {c.family for c in cheapest_types(r, r.candidates, 2)} == {"m5"}
    blocks = {("c5", b.month, b.block): 3.0 for b in r.blocks}
    assert "c5" in {c.family for c in cheapest_types(r, r.candidates, 2, committed=blocks)}
    instances = {("c5.4x", b.month, b.block): 9.0 for b in r.blocks}
    assert "c5.4x" in {c.instance_type for c in cheapest_types(r, r.candidates, 2, committed=instances)}


def test_few_types_use_the_commitments_that_are_owned() -> None:
    """Services whose own cheapest family is another one: half of the fleet's cost is committed to a dearer family."""
    since, until = datetime(2025, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
    dear = tuple(candidate(f"c5.{2**i}x", 2**i, 0.06 * 2**i) for i in range(4))
    units = [replace(requirement(700.0 + 130 * k, f"s{k}", candidates=(*LADDER, *dear)), running={}) for k in range(6)]
    owned = Commitment("esp", "", "ec2_instance_sp", "c5", "r", 6.0, 0, since, until)
    p = replace(problem(*units), commitments=(owned,), committed_rate={"esp": 0.6})
    found, free = solve_few_types(p, 2, gap_frac=0.01), solve(replace(p, switching_penalty_frac=0.0), gap_frac=0.01)
    used = found.commitment_use
    assert float(used["unused_usd"].sum()) < 0.1 * float(used["paid_usd"].sum())
    assert found.status.objective < 1.05 * free.status.objective


def test_an_equal_choice_that_runs_today_is_kept() -> None:
    r = replace(requirement(900.0), running={("m5.2x", "z"): 30})
    assert "m5.2x" in {c.instance_type for c in cheapest_types(r, LADDER, 2, 0.02)}
    (alone,) = cheapest_types(replace(r, running={("m5.4x", "z"): 3}), LADDER, 1, 0.05)
    assert alone.instance_type == "m5.4x"


def test_a_memory_holds_choices_of_units_that_did_not_change() -> None:
    p, memory = problem(requirement(900.0), requirement(300.0, "b")), Memory()
    first = solve_few_types(p, 2, warm=memory)
    known = dict(memory.narrowed)
    again = solve_few_types(p, 2, warm=memory.copy())
    assert again.status.objective == pytest.approx(first.status.objective)
    moved = replace(p, requirements=(p.requirements[0], requirement(320.0, "b")))
    solve_few_types(moved, 2, warm=memory)
    same, other = (memory.narrowed[r.unit] is known[r.unit] for r in moved.requirements)
    assert same
    assert not other
