"""Scenarios are solved from what their base left behind, and give the plan that they give alone."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace

import pytest

from capacity import config, pipeline, plan, scenario
from capacity.optimize import Memory, _find
from capacity.pipeline import planning
from capacity.pipeline.mix import Mix, as_the_base
from capacity.pipeline.planning import Ground
from capacity.pipeline.progress import silent
from capacity.plan import Plan
from capacity.scenario import Growth, Scenario
from tests import company
from tests.pipeline.mix_kit import needs_of

NOTHING = Scenario(name="nothing", growth=[Growth(multiplier=1.0)])


@pytest.fixture(scope="module")
def by_columns() -> Iterator[None]:
    """Even the small company's fleet is solved as a large one is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_find, "DIRECT_PAIRS", 0)
        yield


@pytest.fixture(scope="module")
def ground(small: config.Config, by_columns: None) -> Ground:
    return planning.prepare(small, pipeline.open_store(small), as_of=company.AS_OF.to_pydatetime(), with_money=False)


def _planned(ground: Ground, change: Scenario, base: Mix | None) -> tuple[Plan, Mix]:
    found, mix = planning._plan(ground, change, base, silent)
    assert mix is not None
    return found, mix


@pytest.fixture(scope="module")
def base(ground: Ground) -> tuple[Plan, Mix]:
    return _planned(ground, scenario.base(), None)


def test_a_scenario_starts_from_the_base_and_leaves_it_as_it_is(ground: Ground, base: tuple[Plan, Mix]) -> None:
    """So planned after others it is what it is planned alone, byte for byte."""
    kept = base[1].memory
    assert kept.duals
    assert kept.columns
    before = pickle.dumps(kept)
    more, arm = pipeline.all_scenarios(ground.inputs.config)
    alone, own = _planned(ground, arm, base[1])
    _planned(ground, more, base[1])
    after, again = _planned(ground, arm, base[1])
    assert plan.to_json(alone) == plan.to_json(after)
    assert own.solution.running.equals(again.solution.running)
    assert pickle.dumps(kept) == before
    assert set(kept.columns) <= set(own.memory.columns)


def test_from_the_base_or_from_nothing_the_plan_is_proven_alike(ground: Ground, base: tuple[Plan, Mix]) -> None:
    gap = ground.inputs.config.optimize.gap_frac
    for change in pipeline.all_scenarios(ground.inputs.config):
        warm = _planned(ground, change, base[1])[1].solution.status
        cold = _planned(ground, change, replace(base[1], memory=Memory()))[1].solution.status
        assert warm.bound <= cold.objective * (1 + 1e-9)
        assert cold.bound <= warm.objective * (1 + 1e-9)
        assert warm.gap <= max(cold.gap, gap) + gap


def test_a_scenario_that_changes_nothing_has_the_mix_of_its_base(ground: Ground, base: tuple[Plan, Mix]) -> None:
    found, mix = _planned(ground, NOTHING, base[1])
    assert mix.solution is base[1].solution
    for name in ("mix", "running", "spend_plan"):
        assert found.frame(name).equals(base[0].frame(name))


def test_another_problem_is_not_taken_for_the_base(ground: Ground, base: tuple[Plan, Mix]) -> None:
    (more, _) = pipeline.all_scenarios(ground.inputs.config)
    needs = needs_of(ground, more)
    assert as_the_base(ground.inputs, needs, base[1]) is None
    assert as_the_base(ground.inputs, {}, base[1]) is None


def test_what_is_left_alone_is_handed_over_with_its_own_types(ground: Ground, base: tuple[Plan, Mix]) -> None:
    """And with those that run, for their price: no other may run, and proving that takes time."""
    (_, arm) = pipeline.all_scenarios(ground.inputs.config)
    _, mix = _planned(ground, arm, base[1])
    (kept,) = (r for r in mix.problem.requirements if r.pinned is not None)
    assert kept.unit.service == "web"
    own = base[1].solution.provisioned
    counted = set(own.loc[own["service"] == "web", "instance_type"])
    assert {c.instance_type for c in kept.candidates if c.allowed} == counted
    assert {c.instance_type for c in kept.candidates} == counted | {name for name, _ in kept.running}
    after = mix.solution.provisioned
    assert set(after.loc[after["service"] == "web", "instance_type"]) == counted
