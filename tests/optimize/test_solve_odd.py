"""Odd fleets that once were solved wrongly, or not at all."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module

import pytest

from capacity.domain import Candidate, CapacityReservation, LoadBlock, MixProblem, Quota, Unit, UnitRequirement
from capacity.errors import InfeasiblePlanError, UsageError
from capacity.optimize import smallest_relaxation, solve, solve_few_types
from capacity.optimize.solve import Memory

SINCE = datetime(2025, 1, 1, tzinfo=UTC)


def kind(name: str, usd: float, safe: float, vcpu: int = 1) -> Candidate:
    return Candidate(name, name.split(".")[0], "x86_64", vcpu, "Q", usd, safe, safe)


def unit(blocks: tuple[LoadBlock, ...], *candidates: Candidate, zones: int = 1) -> UnitRequirement:
    return UnitRequirement(Unit("u", "us"), "1", zones, 0, True, 0, 20, blocks, candidates)


def test_a_start_is_not_taken_for_the_optimum() -> None:
    """HiGHS hands back the start's values where presolve alone solves the model."""
    blocks = (LoadBlock("2026-01", "b0", 223.2, 22.0), LoadBlock("2026-03", "b0", 223.2, 34.0))
    r = replace(
        unit(blocks, kind("r5.x0", 0.2, 9.0), kind("r5.x1", 0.3, 14.0), zones=3),
        zones_survived=1,
        pinned={("2026-01", "r5.x0"): 5, ("2026-01", "r5.x1"): 3},
    )
    status = solve(MixProblem(("2026-01", "2026-03"), (744.0, 744.0), (r,), switching_penalty_frac=0.0), 5, 1e-4).status
    assert status.status == "optimal"
    assert status.objective == pytest.approx(468.72)


def test_reservations_beyond_their_quota_are_a_conflict_of_their_own() -> None:
    r = unit((), kind("c5.x3", 0.5, 17.0, vcpu=4))
    held = CapacityReservation("cr0", "1", "us", "", "c5.x3", 5, SINCE)
    p = MixProblem(("2026-07",), (744.0,), (r,), quotas=(Quota("1", "us", "Q", "n", 5.0, 0.0),), reservations=(held,))
    with pytest.raises(InfeasiblePlanError) as error:
        solve(p)
    assert any("reservation cr0" in c and "20 vCPU" in c for c in error.value.conflicts)
    assert any("quota Q" in c and "5 vCPU" in c for c in error.value.conflicts)
    assert smallest_relaxation(p).words


def test_few_types_keep_what_prices_a_reservation() -> None:
    r = unit(
        (LoadBlock("2026-01", "b", 744.0, 20.0),),
        kind("m5.a", 0.1, 10.0),
        kind("c5.b", 0.9, 10.0),
        kind("r5.c", 0.9, 10.0),
    )
    held = CapacityReservation("cr", "1", "us", "", "c5.b", 1, SINCE)
    found = solve_few_types(MixProblem(("2026-01",), (744.0,), (r,), reservations=(held,)), 1)
    # The reserved instance is paid for, and of one type alone the cheapest serves: two m5.a.
    assert float(found.spend["total_usd"].sum()) == pytest.approx(744 * (0.9 + 2 * 0.1))


@pytest.mark.parametrize("spot", [False, True])
def test_a_type_that_holds_nothing_breaks_no_bound_where_several_types_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, spot: bool
) -> None:
    """It may run as one among them: what columns find is what the whole model does."""
    idle = kind("m7g.x2", 0.05, 0.0)
    idle = replace(idle, spot_usd_per_hour=0.04, spot_quota_code="S") if spot else idle
    second = kind("c5.x2", 0.5, 30.0)
    r = replace(
        unit((LoadBlock("2026-06", "b1", 216.0, 57.0),), kind("c5.x1", 0.3, 18.0), second, idle),
        spot_max_frac=1.0,
        least_types=2,
    )
    asked = MixProblem(("2026-06",), (720.0,), (r,))
    whole = solve(asked, 5, 1e-4)
    assert "m7g.x2" in set(whole.running["instance_type"])
    monkeypatch.setattr(import_module("capacity.optimize._find"), "DIRECT_PAIRS", -1)
    found = solve(asked, 5, 1e-4, warm=Memory())
    assert found.status.bound <= found.status.objective + 1e-9
    assert found.status.objective == pytest.approx(whole.status.objective)
    assert found.status.bound <= whole.status.objective * (1 + 1e-9)
    assert not any("left out" in note for note in found.notes)


def test_a_gap_is_never_called_optimal() -> None:
    blocks = tuple(LoadBlock("2026-01", f"b{i}", 74.4, 100.0 + 37.7 * i) for i in range(10))
    types = [kind(f"c5.x{i}", 0.1 * 1.9**i, 7.0 * 2**i) for i in range(6)]
    status = solve(MixProblem(("2026-01",), (744.0,), (unit(blocks, *types, zones=3),)), 5, 0.0).status
    assert (status.status == "optimal") == (status.gap <= 1e-9)
    if status.status != "optimal":
        assert status.termination != "optimal"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"month_hours": (math.nan,)}, "hours nan"),
        ({"months": ("2026-13",)}, "2026-13"),
        ({"quotas": (Quota("1", "us", "Q", "n", math.nan, 0.0),)}, "limit nan"),
    ],
)
def test_figures_that_cannot_be_meant_are_refused(change: dict[str, object], said: str) -> None:
    p = MixProblem(("2026-01",), (744.0,), (unit((), kind("m5.a", 0.1, 10.0)),))
    with pytest.raises(UsageError, match=said):
        solve(replace(p, **change))  # type: ignore[arg-type]


def test_units_that_read_alike_are_refused() -> None:
    one = unit((LoadBlock("2026-01", "b", 744.0, 20.0),), kind("m5.a", 0.1, 10.0))
    pair = (replace(one, unit=Unit("u/us", "x")), replace(one, unit=Unit("u", "us/x")))
    with pytest.raises(UsageError, match="given twice"):
        solve(MixProblem(("2026-01",), (744.0,), pair))
