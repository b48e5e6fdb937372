"""Pinned months: what they run is the cheapest part of what is provisioned, by trying every part."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from capacity.domain import MixProblem
from capacity.optimize import solve
from capacity.optimize._fleet import fleet_of
from capacity.optimize._quick import quick_plan
from capacity.optimize.columns import _given
from capacity.optimize.columns._given import given_lanes
from capacity.optimize.columns._lanes import Lanes, lanes_of
from tests.optimize.makers import ARM, LARGE, MONTHS, SMALL, problem, unit

TYPES = (SMALL, LARGE, ARM)


@st.composite
def pinned_units(draw: st.DrawFn) -> MixProblem:
    demands = draw(st.lists(st.floats(1.0, 120.0), min_size=1, max_size=3))
    counts = {(MONTHS[0], c.instance_type): draw(st.integers(0, 4)) for c in TYPES}
    runs = {(c.instance_type, zone): draw(st.integers(0, 3)) for c in TYPES for zone in "abc"}
    r = unit(
        "a", demands, TYPES, autoscaled=draw(st.booleans()), pinned=counts, running=runs, least=draw(st.integers(1, 3))
    )  # fmt: skip
    return replace(problem(r), switching_penalty_frac=draw(st.sampled_from([0.0, 0.3])))


def _unit(p: MixProblem) -> Lanes:
    u = lanes_of(fleet_of(p), 0, [0])
    assert u is not None
    return u


def _least_by_trying(u: Lanes, lane: int) -> float:
    """inf where no part holds the load."""
    follows = u.requirement.autoscaled
    parts = itertools.product(*(range(m + 1) if follows else [int(m)] for m in u.most[:, lane]))
    best = np.inf
    for part in parts:
        counts = np.zeros((len(u.hours), len(u.types)), dtype=np.int64)
        counts[lane] = part
        if u.allows(counts, np.zeros_like(counts))[lane]:
            best = min(best, float(counts[lane] @ u.usd) * u.hours[lane] + float(u.leave_cost(counts)[lane]))
    return best


@settings(max_examples=80)
@given(pinned_units())
def test_the_cheapest_part_is_that_of_trying_them_all(p: MixProblem) -> None:
    u = _unit(p)
    found = given_lanes(u, u.usd[:, None] * u.hours[None, :])
    least = {int(k): usd for k, usd in zip(found.lanes, found.usd, strict=True)}
    for lane in range(len(u.hours)):
        assert least.get(lane, np.inf) == pytest.approx(_least_by_trying(u, lane))
    counts = np.zeros((len(u.hours), len(u.types)), dtype=np.int64)
    counts[found.lanes] = found.running
    assert u.allows(counts, np.zeros_like(counts))[found.lanes].all()


def test_only_the_lanes_that_are_asked_for_and_none_of_too_many_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    r = unit("a", [60, 30, 10], TYPES, pinned={(MONTHS[0], c.instance_type): 4 for c in TYPES})
    u = _unit(problem(r))
    usd = u.usd[:, None] * u.hours[None, :]
    assert given_lanes(u, usd, np.array([1])).lanes.tolist() == [1]
    monkeypatch.setattr(_given, "_MOST_CHOICES", 10)
    assert not len(given_lanes(u, usd).lanes)


@settings(max_examples=25)
@given(pinned_units())
def test_a_plan_by_arithmetic_runs_pinned_units_by_their_load(p: MixProblem) -> None:
    u = _unit(p)
    least = sum(_least_by_trying(u, k) for k in range(len(u.hours)))
    assume(np.isfinite(least))
    plan = quick_plan(fleet_of(p))
    assert plan is not None
    running = np.array([[plan.running[u.types, 0, b[0]]] for b in u.blocks]).reshape(len(u.blocks), -1)
    cost = (running @ u.usd * u.hours).sum() + u.leave_cost(running).sum()
    assert cost == pytest.approx(least)


def test_units_that_follow_their_load_cost_less_pinned_than_all_of_it_always() -> None:
    """As a scenario sees services that it does not touch."""
    r = unit("a", [60, 6], TYPES, pinned={(MONTHS[0], "m5.large"): 4})
    found = solve(problem(r))
    assert found.status.termination == "optimal"
    all_of_it = 4 * 3 * SMALL.usd_per_hour * 744.0
    assert float(found.spend["total_usd"].sum()) < 0.7 * all_of_it
