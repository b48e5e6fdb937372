"""Usage paths from a solved mix: what is planned, scaled by what each path asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import Floats, Unit
from capacity.errors import MissingDataError, UsageError
from capacity.optimize import solve
from capacity.optimize.purchases import PurchaseProblem, evenly, recommend, usage_groups
from tests.optimize.makers import LARGE, MONTHS, REGION, SMALL, problem, unit
from tests.optimize.purchase_makers import offer

AUTO = unit("web", [40.0, 90.0], [SMALL, LARGE], months=MONTHS, least=0)
STATIC = unit("db", [30.0, 30.0], [SMALL], months=MONTHS, autoscaled=False)
WEB = Unit("web", REGION)
PROBLEM = problem(AUTO, STATIC, months=MONTHS)
SOLUTION = solve(PROBLEM)


def _paths(*shares: float) -> Floats:
    """(P, 4) demand of web's blocks, as a share of what is planned."""
    return np.array([[s * b.demand for b in AUTO.blocks] for s in shares])


def _total(found: PurchaseProblem) -> Floats:
    return np.asarray(np.sum([g.usd for g in found.groups], axis=0))


def _planned() -> Floats:
    """(4,) on-demand value an hour of the plan, by month and block."""
    rows = SOLUTION.running.assign(an_hour=SOLUTION.running["usd"] / SOLUTION.running["hours"])
    return np.asarray(rows.groupby(["month", "block"])["an_hour"].sum())


def test_the_whole_demand_is_the_whole_plan() -> None:
    found = usage_groups(PROBLEM, SOLUTION, {WEB: _paths(1.0, 1.5)})
    assert found.months == MONTHS
    assert found.lot_month == (0, 0, 1, 1)
    assert sum(found.hours) == pytest.approx(sum(PROBLEM.month_hours))
    # Never above what is provisioned, whatever the path asks.
    assert _total(found) == pytest.approx(np.tile(_planned(), (2, 1)))


@given(st.floats(0, 1))
def test_an_autoscaled_unit_follows_the_path_and_a_static_one_does_not(share: float) -> None:
    found = usage_groups(PROBLEM, SOLUTION, {WEB: _paths(share)})
    rows = SOLUTION.running
    static = rows[rows["service"] == "db"].groupby(["month", "block"])[["usd", "hours"]].sum()
    fixed = (static["usd"] / static["hours"]).to_numpy()
    assert _total(found)[0] == pytest.approx(fixed + share * (_planned() - fixed))
    whole = usage_groups(PROBLEM, SOLUTION, {WEB: _paths(share)}, whole_instances=True)
    assert (_total(whole) >= _total(found) - 1e-9).all()
    for g in whole.groups:
        counts = g.usd / g.usd_per_hour
        assert counts == pytest.approx(np.round(counts))


def test_never_fewer_than_the_minimum() -> None:
    auto = replace(AUTO, min_per_zone=2)
    stated = problem(auto, months=MONTHS)
    found = usage_groups(stated, solve(stated), {WEB: _paths(0.0)})
    least = 2 * auto.zones * SMALL.usd_per_hour
    assert _total(found).min() >= least - 1e-9


def test_paths_are_taken_evenly() -> None:
    assert evenly(1000, 200).tolist() == list(range(0, 1000, 5))
    assert evenly(3, 200).tolist() == [0, 1, 2]
    shares = np.linspace(0, 1, 10)
    found = usage_groups(PROBLEM, SOLUTION, {WEB: _paths(*shares)}, paths=5)
    whole = usage_groups(PROBLEM, SOLUTION, {WEB: _paths(*shares)})
    assert _total(found) == pytest.approx(_total(whole)[::2])


def test_spot_is_left_out() -> None:
    spot = SOLUTION.running.assign(purchase=np.where(SOLUTION.running["service"] == "web", "spot", "on_demand"))
    found = usage_groups(PROBLEM, replace(SOLUTION, running=spot), {WEB: _paths(1.0)})
    assert [g.instance_type for g in found.groups] == [SMALL.instance_type]
    assert np.ptp(_total(found)) == pytest.approx(0.0)


def test_it_goes_on_to_a_decision() -> None:
    types = tuple(c.instance_type for c in (SMALL, LARGE))
    stated = replace(PROBLEM, offers=(offer("sp", rate=0.6, types=types),))
    plan = recommend(usage_groups(stated, SOLUTION, {WEB: _paths(*np.linspace(0.3, 1.0, 30))}))
    assert [r.offer for r in plan.recommendations] == ["sp"]
    assert plan.status.status == "optimal"


def test_paths_that_are_missing_or_of_another_shape_are_named() -> None:
    with pytest.raises(MissingDataError, match=f"no demand paths for web/{REGION}"):
        usage_groups(PROBLEM, SOLUTION, {})
    with pytest.raises(UsageError, match="of 3 blocks where it has 4"):
        usage_groups(PROBLEM, SOLUTION, {WEB: np.ones((2, 3))})
