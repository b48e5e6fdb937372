"""Types that hold nothing of some need: one among several, found by columns as by the whole model."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.domain import LoadBlock, MixProblem, MixSolution
from capacity.errors import InfeasiblePlanError
from capacity.optimize import _find, solve, solve_few_types
from tests.optimize.makers import SMALL, candidate, problem, unit

# One has no disk, one serves nothing: neither may serve alone.
DISK = replace(SMALL, further={"disk": (10.0, 10.0)})
BARE = replace(candidate("b1.large", 0.05, 10.0), further={})
STORE = replace(candidate("d1.large", 0.03, 0.0), further={"disk": (20.0, 20.0)})


def _asked(least_types: int, least: int, demand: float, disk: float, *, autoscaled: bool = True) -> MixProblem:
    blocks = tuple(
        LoadBlock("2026-01", f"b{k}", 372.0, demand * share, further={"disk": disk})
        for k, share in ((1, 1.0), (2, 0.4))
    )
    r = replace(unit("a", [demand], (DISK, BARE, STORE), least=least, autoscaled=autoscaled), blocks=blocks)
    return problem(replace(r, least_types=least_types))


def _by_columns(asked: MixProblem, few: bool = False) -> MixSolution:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_find, "DIRECT_PAIRS", -1)
        return solve_few_types(asked, 2, gap_frac=0.0) if few else solve(asked, gap_frac=0.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(0, 5), st.floats(1, 400), st.floats(0, 200), st.booleans())
def test_by_columns_as_by_the_whole_model(
    least_types: int, least: int, demand: float, disk: float, autoscaled: bool
) -> None:
    asked = _asked(least_types, least, demand, disk, autoscaled=autoscaled)
    try:
        whole = solve(asked, gap_frac=0.0)
    except InfeasiblePlanError:
        with pytest.raises(InfeasiblePlanError):
            _by_columns(asked)
        return
    found = _by_columns(asked)
    assert found.status.bound <= whole.status.objective * (1 + 1e-6)
    assert whole.status.bound <= found.status.objective * (1 + 1e-6)
    assert min(check.worst_slack for check in found.checks) >= -1e-6


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize(("least_types", "least"), [(2, 1), (1, 4), (2, 4)])
def test_the_cheap_one_without_disk_makes_up_the_number(least_types: int, least: int, few: bool) -> None:
    asked = _asked(least_types, least, 60.0, 25.0)
    asked = replace(asked, requirements=(replace(asked.requirements[0], candidates=(DISK, BARE)),))
    whole, found = solve(asked, gap_frac=0.0), _by_columns(asked, few)
    assert found.status.objective == pytest.approx(whole.status.objective)
    assert found.status.status == "optimal"
    assert "b1.large" in set(found.provisioned["instance_type"])
    assert not any("left out" in note for note in found.notes)
