"""Seeded conflicts of many kinds: each named right and minimal, and relaxed by no more than it takes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from capacity.domain import MixProblem, UnitRequirement
from capacity.errors import InfeasiblePlanError
from capacity.optimize import solve
from capacity.optimize._fleet import fleet_of
from capacity.optimize._highs import search_highs
from capacity.optimize.explain import Change, Weights, explain_infeasible, smallest_relaxation
from capacity.optimize.model import build_model
from tests.optimize.conflict_makers import KINDS, inside, large_fleet, seeded
from tests.optimize.makers import candidate, problem, quota, unit

SEEDS = (1, 2)
CASES = [(kind, seed) for kind in KINDS for seed in SEEDS]
# What only the caller can mend: no policy is in the way.
MENDED_BY_TYPES = {"no_candidate", "further_that_no_type_holds"}
STEPS = {"maximum", "minimum", "zones_survived", "least_types", "quota", "vertical"}


def _plan_exists(p: MixProblem) -> bool:
    """A verified plan, by the whole model (every block, with its money) and by the search."""
    model = build_model(fleet_of(p))
    if search_highs(model.lp, {}, 10.0, 0.01, 1).outcome != "found":
        return False
    return all(c.worst_slack >= -1e-6 for c in solve(p, 10.0).checks)


def test_there_are_more_than_twenty_kinds() -> None:
    assert len(KINDS) >= 20


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_every_requirement_is_named_and_no_other(kind: str, seed: int) -> None:
    conflict = seeded(kind, seed)
    with pytest.raises(InfeasiblePlanError) as error:
        solve(conflict.problem)
    named = error.value.conflicts
    assert len(named) == len(conflict.parts), named
    for piece, _ in conflict.parts:
        assert sum(piece in line for line in named) >= 1, (piece, named)


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_without_any_one_of_them_a_plan_exists(kind: str, seed: int) -> None:
    conflict = seeded(kind, seed)
    for piece, remove in conflict.parts:
        assert _plan_exists(remove(conflict.problem)), piece


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_the_relaxed_problem_has_a_verified_plan(kind: str, seed: int) -> None:
    conflict = seeded(kind, seed)
    relaxed = smallest_relaxation(conflict.problem)
    if kind in MENDED_BY_TYPES:
        assert not relaxed.possible
        assert any("allow more instance types" in line for line in relaxed.words)
        return
    assert relaxed.possible, relaxed.words
    assert relaxed.changes
    assert {c.kind for c in relaxed.changes} <= conflict.relaxes, relaxed.words
    assert relaxed.points == pytest.approx(sum(c.points for c in relaxed.changes))
    assert relaxed.least_points <= relaxed.points + 1e-6
    assert all(change.words in relaxed.words for change in relaxed.changes)
    assert _plan_exists(relaxed.problem)


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_one_step_less_of_a_change_is_not_enough(kind: str, seed: int) -> None:
    relaxed = smallest_relaxation(seeded(kind, seed).problem)
    for change in relaxed.changes:
        if change.kind in STEPS:
            assert explain_infeasible(_one_step_back(relaxed.problem, change)), change


def _one_step_back(p: MixProblem, change: Change) -> MixProblem:
    if change.kind == "quota":
        step = 1.0
        quotas = (replace(q, limit=q.limit - step) if q.code in change.where else q for q in p.quotas)
        return replace(p, quotas=tuple(quotas))
    fields: dict[str, Callable[[UnitRequirement], dict[str, Any]]] = {
        "maximum": lambda r: {"max_per_zone": r.max_per_zone - 1},
        "minimum": lambda r: {"min_per_zone": r.min_per_zone + 1},
        "zones_survived": lambda r: {"zones_survived": r.zones_survived + 1},
        "least_types": lambda r: {"least_types": r.least_types + 1},
        "vertical": lambda r: {"running": {k: n - 1 for k, n in r.running.items()}},
    }
    back = fields[change.kind]
    return replace(
        p, requirements=tuple(replace(r, **back(r)) if str(r.unit) == change.where else r for r in p.requirements)
    )


@pytest.mark.parametrize("kind", ["maximum_and_zone_loss", "quota_in_one_month", "two_quotas_together"])
def test_a_conflict_is_found_among_many_units(kind: str) -> None:
    conflict = seeded(kind, 3)
    fleet = large_fleet(60, 4, 6)
    named = explain_infeasible(inside(conflict, fleet))
    assert set(named) == set(explain_infeasible(conflict.problem))
    relaxed = smallest_relaxation(inside(conflict, fleet))
    assert relaxed.possible
    assert relaxed.points == pytest.approx(smallest_relaxation(conflict.problem).points)


def test_a_problem_with_a_plan_needs_no_relaxation() -> None:
    p = problem(unit("a", [90]), unit("b", [40], autoscaled=False), quotas=[quota(60.0)])
    relaxed = smallest_relaxation(p)
    assert (relaxed.possible, relaxed.changes, relaxed.points) == (True, (), 0.0)


def test_two_conflicts_of_different_units_are_both_relaxed() -> None:
    p = problem(unit("a", [600], most=3, survived=0), unit("b", [10], least=4, most=3))
    relaxed = smallest_relaxation(p)
    assert relaxed.possible
    assert {c.where for c in relaxed.changes} == {"a/us-east-1", "b/us-east-1"}


def test_only_what_may_change_is_changed() -> None:
    p = seeded("maximum_and_zone_loss", 1).problem
    assert {c.kind for c in smallest_relaxation(p, may_change=["zones_survived"]).changes} == {"zones_survived"}
    assert {c.kind for c in smallest_relaxation(p, may_change=["demand"]).changes} == {"demand"}
    refused = smallest_relaxation(p, may_change=["quota"])
    assert not refused.possible
    assert refused.words == ("nothing that may be changed makes a plan possible",)


def test_headroom_gives_way_where_it_is_known() -> None:
    p = problem(unit("a", [630], most=10, survived=0))  # ten of 20.0 a zone hold 600, at a headroom of 20 %
    relaxed = smallest_relaxation(p, headroom_frac={p.requirements[0].unit: 0.2}, may_change=["headroom"])
    # 600 x (1 - h) / .8 must hold 630: h = .16, four points less.
    assert [(c.kind, c.before, round(c.after, 9)) for c in relaxed.changes] == [("headroom", 0.2, 0.16)]
    assert solve(relaxed.problem).status.status == "optimal"


def test_less_demand_is_served_to_what_just_fits() -> None:
    p = problem(unit("a", [610, 30], most=10, survived=0))
    relaxed = smallest_relaxation(p, may_change=["demand"])
    assert relaxed.changes[0].after == pytest.approx(600.0, rel=1e-4)
    assert solve(relaxed.problem).status.status == "optimal"


@pytest.mark.parametrize("seed", range(8))
def test_no_smaller_relaxation_exists(seed: int) -> None:
    """Every combination of whole steps that counts fewer points leaves the problem without a plan."""
    rng = np.random.default_rng(seed)
    small, large = float(rng.uniform(8, 12)), float(rng.uniform(16, 24))
    kinds = [candidate("m5.large", 0.1, small, 2, small * 1.2), candidate("m5.xlarge", 0.19, large, 4, large * 1.4)]
    least = int(rng.integers(1, 8))
    r = unit("a", [float(rng.uniform(100, 400))], kinds, least=least, most=int(rng.integers(2, 6)))
    p = problem(r, quotas=[quota(float(rng.integers(10, 60)))])
    relaxed = smallest_relaxation(p, may_change=["quota", "maximum", "minimum", "zones_survived"])
    assert relaxed.possible
    w, cheaper = Weights(), 0
    limit = p.quotas[0].limit
    for more, fewer, zones in itertools.product(range(12), range(least + 1), (0, 1)):
        points = w.maximum * 100 * more / r.max_per_zone + w.minimum * 100 * fewer / least + w.zones_survived * zones
        vcpu = math.ceil((relaxed.points - points) * limit / 100 / w.quota - 1e-6) - 1
        if vcpu < 0:
            continue
        changed = replace(r, max_per_zone=r.max_per_zone + more, min_per_zone=least - fewer, zones_survived=1 - zones)
        tried = replace(p, requirements=(changed,), quotas=(replace(p.quotas[0], limit=limit + vcpu),))
        assert explain_infeasible(tried), (more, fewer, zones, vcpu, relaxed.words)
        cheaper += 1
    assert cheaper > 0 or relaxed.points == 0
