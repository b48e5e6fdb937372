"""Scenarios: overlays that are validated, applied, compared, never stacked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity import config, scenario
from capacity.domain import Unit
from capacity.errors import ConfigError
from capacity.plan import Plan
from tests.factory import make_plan
from tests.test_config import GOOD

DAYS = pd.date_range("2026-11-01", periods=10, freq="D")


@pytest.fixture
def settings(tmp_path: Path) -> config.Config:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD + "scenarios: [s.yaml]\n", encoding="utf-8")
    return config.load(path)


def load(settings: config.Config, text: str) -> scenario.Scenario:
    path = settings.resolve("s.yaml")
    path.write_text(text, encoding="utf-8")
    return scenario.load(path, settings)


def test_growth_is_a_ramp_and_leaves_others_alone(settings: config.Config) -> None:
    found = load(
        settings, "name: g\ngrowth: [{services: [checkout], multiplier: 1.5, from: 2026-11-03, reached: 2026-11-07}]\n"
    )
    factor = scenario.demand_factor(found, Unit("checkout", "us-east-1"), DAYS)
    assert factor[:3].tolist() == [1.0, 1.0, 1.0]
    assert factor[4] == pytest.approx(1.25)
    assert factor[6:].tolist() == [1.5] * 4
    assert (np.diff(factor) >= 0).all()
    assert (scenario.demand_factor(found, Unit("payments", "us-east-1"), DAYS) == 1).all()


def test_growth_without_dates_is_everywhere_at_once(settings: config.Config) -> None:
    found = load(settings, "name: g\ngrowth: [{multiplier: 1.4}]\n")
    assert (scenario.demand_factor(found, Unit("payments", "us-east-1"), DAYS) == 1.4).all()


def test_launch_adds_from_its_day_on(settings: config.Config) -> None:
    found = load(settings, "name: l\nlaunches: [{service: checkout, region: us-east-1, from: 2026-11-05, add: 120}]\n")
    added = scenario.demand_added(found, Unit("checkout", "us-east-1"), DAYS)
    assert added.tolist() == [0.0] * 4 + [120.0] * 6


def test_policy_and_zone_failure_overlay_the_tier_only(settings: config.Config) -> None:
    found = load(settings, "name: p\npolicy: {tiers: [{name: critical, service_level: 0.995}]}\nfailure: {zones: 2}\n")
    changed = scenario.overlay_config(settings, found)
    assert changed.tier("critical").service_level == 0.995
    assert changed.tier("critical").zones_survived == 2
    assert changed.tier("critical").min_headroom_frac == settings.tier("critical").min_headroom_frac
    assert settings.tier("critical").service_level == 0.99
    assert changed.path == settings.path


def test_events_merge_by_name_and_migrations_reach_named_services(settings: config.Config) -> None:
    text = """\
name: e
events:
  - {name: sale, start: 2026-11-27T00:00:00Z, end: 2026-11-28T00:00:00Z, services: [checkout], multiplier: 4}
  - {name: other, start: 2026-12-27T00:00:00Z, end: 2026-12-28T00:00:00Z, services: [payments], multiplier: 2}
migration: [{services: [checkout], architectures: [arm64]}]
"""
    changed = scenario.overlay_config(settings, load(settings, text))
    assert {e.name: e.multiplier for e in changed.events} == {"sale": 4.0, "other": 2.0}
    assert changed.service("checkout").candidates.architectures == ["arm64"]
    assert len(changed.service("payments").candidates.architectures) == 2


def test_touched_services_include_what_they_call(settings: config.Config) -> None:
    grown = load(settings, "name: g\ngrowth: [{services: [checkout], multiplier: 1.5}]\n")
    assert scenario.touches(grown, settings) == {"checkout", "payments"}
    moved = load(settings, "name: m\nmigration: [{services: [checkout], architectures: [arm64]}]\n")
    assert scenario.touches(moved, settings) == {"checkout"}
    assert scenario.touches(scenario.base(), settings) == frozenset()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "name: x\ngrowth:\n  - services: [chekout]\n    multiplier: 2\n",
            ":3: growth.0.services: no service 'chekout'",
        ),
        ("name: x\nfailure: {region: mars}\n", ":2: failure.region: no region 'mars'"),
        ("name: x\npolicy: {tiers: [{name: gold}]}\n", ":2: policy.tiers.0.name: no tier 'gold'"),
        ("name: base\n", ":1: name: 'base' is the config itself"),
        ("name: x\nfailure: {}\n", "give exactly one of region and zones"),
        ("name: x\ngrwoth: []\n", "grwoth: unknown key; did you mean 'growth'?"),
    ],
)
def test_faults_name_file_line_and_key(settings: config.Config, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(settings, text)
    assert f"{settings.resolve('s.yaml')}{says}" in str(error.value) or says in str(error.value)


def test_named_scenarios_come_from_the_config(settings: config.Config) -> None:
    load(settings, "name: g\ngrowth: [{multiplier: 1.4}]\n")
    assert [s.name for s in scenario.load_named(settings, ["g"])] == ["g"]
    with pytest.raises(ConfigError, match="no scenario 'h'; known: g"):
        scenario.load_named(settings, ["h"])


def test_a_comparison_holds_each_plan_against_the_first() -> None:
    base, other = make_plan(6, 1), make_plan(6, 2, scenario="other")
    rows = scenario.compare([base, other])
    assert [r.scenario for r in rows] == ["base", "other"]
    assert base.mix is not None
    assert other.mix is not None
    assert rows[1].delta_usd == pytest.approx(other.mix.recommended_usd - base.mix.recommended_usd)
    assert rows[0].delta_usd == 0
    assert "than base over the horizon" in rows[1].sentence


def _tells(plan: Plan, *rows: tuple[str, str, float]) -> Plan:
    frame = pd.DataFrame(
        [{"level": "service", "name": n, "month": m, "currency": "USD", "q50": x, "per": 1000.0, "unit": "request"}
         for n, m, x in rows]
    )  # fmt: skip
    return replace(plan, frames={**plan.frames, "unit_cost_forecast": frame})


def test_unit_costs_are_of_the_last_month_that_all_plans_tell() -> None:
    base = _tells(make_plan(2, 1), ("a", "2026-10", 1.0), ("a", "2026-11", 2.0), ("b", "2026-10", 3.0))
    other = _tells(make_plan(2, 2, scenario="other"), ("a", "2026-10", 0.5))
    month, rows = scenario.unit_costs([base, other])
    assert month == "2026-10"
    assert [(r.service, r.per, r.unit, r.costs) for r in rows] == [
        ("a", 1000.0, "request", (1.0, 0.5)),
        ("b", 1000.0, "request", (3.0, None)),
    ]
    assert scenario.unit_costs([base, _tells(other, ("a", "2027-01", 1.0))]) == ("", ())
