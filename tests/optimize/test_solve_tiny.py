"""Loads of any size: what is all but nothing asks for one instance, and nothing for none."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capacity.domain import LoadBlock, MixProblem, MixSolution, UnitRequirement
from capacity.errors import InfeasiblePlanError
from capacity.optimize import _find, solve, solve_few_types
from tests.optimize.makers import ARM, LARGE, SMALL, candidate, commitment, problem, unit

MAGNITUDES = st.builds(
    lambda mantissa, exponent: mantissa * 10.0**exponent, st.floats(1.0, 9.99), st.integers(-300, 14)
)


@pytest.fixture(params=["directly", "by columns"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "by columns":
        monkeypatch.setattr(_find, "DIRECT_PAIRS", 0)
    return str(request.param)


def _per_zone(found: MixSolution) -> int:
    return int(found.provisioned["per_zone"].sum())


@settings(max_examples=60, deadline=None)
@given(MAGNITUDES, st.sampled_from([10.0, 1e13]))
@example(1e-45, 10.0)
@example(5e-324, 10.0)
@example(1e15, 1e13)
def test_a_load_of_any_size_takes_the_instances_that_hold_it(demand: float, safe: float) -> None:
    """One type, three zones of which two hold as much as all three do: a zone runs demand / (3 safe), rounded up."""
    asked = problem(unit("a", [demand], (candidate("m5.large", 0.1, safe),), least=0))
    exact = demand / (3 * safe)
    fewest, most = math.ceil(exact * (1 - 1e-6)), math.ceil(exact * (1 + 1e-6))
    if fewest > 50:
        with pytest.raises(InfeasiblePlanError):
            solve(asked)
        return
    found = solve(asked, gap_frac=0.0)
    assert found.status.status == "optimal"
    assert max(fewest, 1) <= _per_zone(found) <= max(most, 1)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("demand", [5e-324, 1e-300, 1e-45, 1e-15, 1e-12, 1e-9, 1e-3])
def test_beside_other_loads_and_needs_the_tiny_one_is_as_one_that_an_instance_holds(demand: float, few: bool) -> None:
    for tiny, small in zip(_odd(demand), _odd(1.0), strict=True):
        one, other = (
            solve_few_types(p, 2, gap_frac=0.0) if few else solve(p, gap_frac=0.0)
            for p in (problem(tiny), problem(small))
        )
        assert one.status.objective == pytest.approx(other.status.objective)
        assert one.status.status == other.status.status
        assert one.running.equals(other.running)


def _odd(demand: float) -> tuple[UnitRequirement, ...]:
    """The load as a second block of its own, as a further need, from a lost region, and where spot may serve some."""
    kinds = (SMALL, LARGE, ARM)
    memory = tuple(replace(c, further={"memory": (8.0, 8.0)}) for c in kinds)
    spot = tuple(replace(c, spot_usd_per_hour=0.4 * c.usd_per_hour, spot_buffer_frac=0.1) for c in kinds)
    whole = LoadBlock("2026-01", "b1", 744.0, 100.0)
    return (
        unit("a", [100.0, demand], least=0),
        unit("a", [demand, 100.0], least=0, autoscaled=False),
        replace(unit("a", [100.0], memory), blocks=(replace(whole, further={"memory": demand}),)),
        replace(unit("a", [100.0]), blocks=(replace(whole, region_loss_demand=demand),)),
        replace(unit("a", [100.0, demand], spot, least=0), spot_max_frac=0.5),
    )


def test_no_load_still_takes_nothing() -> None:
    found = solve(problem(unit("a", [0.0], least=0)), gap_frac=0.0)
    assert (len(found.provisioned), found.status.objective) == (0, 0.0)


def test_what_no_type_holds_is_a_conflict_however_little_it_is() -> None:
    def asked(need: float) -> MixProblem:
        block = LoadBlock("2026-01", "b1", 744.0, 100.0, further={"disk": need})
        return problem(replace(unit("a", [100.0]), blocks=(block,)))

    for need in (1e-45, 1.0):
        with pytest.raises(InfeasiblePlanError, match="disk"):
            solve(asked(need))


@settings(max_examples=60, deadline=None)
@given(MAGNITUDES.filter(lambda usd: usd < 1e-9), st.sampled_from(["compute_sp", "ec2_instance_sp"]), st.booleans())
@example(1e-121, "compute_sp", False)
@example(5e-324, "ec2_instance_sp", True)
@example(9.9e-11, "compute_sp", True)
@example(1e-10, "compute_sp", False)
def test_a_savings_plan_of_all_but_nothing_changes_nothing(usd: float, product: str, by_columns: bool) -> None:
    """Beside one of 0.1 $/h; a month's dollars of it are less than the checker's tolerance."""
    scope = "m5" if product == "ec2_instance_sp" else ""
    held = (commitment("held", "compute_sp", hourly=0.1), commitment("tiny", product, scope, hourly=usd))
    asked = problem(unit("a", [100.0, 40.0], least=0), commitments=held, rates={"held": 0.7, "tiny": 0.5})
    without = replace(asked, commitments=held[:1])
    with pytest.MonkeyPatch.context() as patch:
        if by_columns:
            patch.setattr(_find, "DIRECT_PAIRS", 0)
        one, other = solve(asked, gap_frac=0.0), solve(without, gap_frac=0.0)
    assert one.status.status == other.status.status == "optimal"
    assert one.status.objective == pytest.approx(other.status.objective, abs=2e-6)
    assert one.status.bound <= one.status.objective + 1e-6
    assert one.running.equals(other.running)
    assert set(one.commitment_use["id"]) <= {"held", "tiny"}


def test_an_instance_that_is_reserved_for_all_but_nothing_is_still_covered() -> None:
    held = commitment("ri", "standard_ri", "m5.large", hourly=1e-121, count=6)
    free = replace(SMALL, usd_per_hour=0.1)
    asked = problem(unit("a", [40.0], (free,), least=0), commitments=(held,))
    found = solve(asked, gap_frac=0.0)
    assert found.status.objective < solve(replace(asked, commitments=()), gap_frac=0.0).status.objective - 1.0
