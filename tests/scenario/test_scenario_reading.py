"""What is wrong with a scenario is told all at once; what a config's folders hold is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from capacity import config, pipeline, scenario, strict_yaml
from capacity.errors import ConfigError
from tests.scenario import kit

GROWN = "name: {}\ngrowth: [{{multiplier: 2}}]\n"


@pytest.fixture
def settings(tmp_path: Path) -> config.Config:
    return kit.settings_in(tmp_path)


def faults(text: str, settings: config.Config) -> list[tuple[str, int, str]]:
    found = scenario.check(strict_yaml.loads(text), settings)
    assert (found.scenario is None) == bool(found.faults)
    return [(f.part, f.line, f.text) for f in found.faults]


def test_faults_of_all_parts_come_at_once(settings: config.Config) -> None:
    text = """\
name: x
growth:
- {services: [webb], multiplier: 2}
- {multiplier: 2, from: 2026-12-01, reached: 2026-11-01}
launches: [{service: web, region: mars, from: 2026-11-01, add: 0}]
efficiency: [{services: [nobody], factor: 0.9}]
failure: {region: mars}
policy: {tiers: [{name: critical, service_level: 1}]}
commitments: {buy: false, terms: [1]}
"""
    told = faults(text, settings)
    assert {part for part, _, _ in told} == {"growth", "launches", "efficiency", "failure", "policy", "commitments"}
    assert ("growth", 4, "growth.1: reached: found 2026-11-01; allowed: 2026-12-01 (from) or later") in told
    assert any(line == 5 and text.startswith("launches.0.add: found 0; allowed: ") for _, line, text in told)
    assert ("efficiency", 6, "efficiency.0.services: no service 'nobody'; known: api, thumbs, web") in told
    assert ("failure", 7, "failure.region: no region 'mars'; known: eu-west-1, us-east-1") in told
    assert any("so terms would say nothing" in text for _, _, text in told)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("growth: [{services: [], multiplier: 2}]", "growth.0.services"),
        ("growth: [{regions: [mars], multiplier: 2}]", "no region 'mars'"),
        ("growth: [{multiplier: inf}]", "finite"),
        ("events: [{name: e, start: 2026-11-01T00:00:00Z, end: 2026-11-02T00:00:00Z, services: [web], target: inf}]",
         "must be a finite number"),
        ("policy: {tiers: [{name: critical}, {name: critical}]}", "tier 'critical' is given twice"),
        ("events: [{name: e, start: 2026-11-01T00:00:00Z, end: 2026-11-02T00:00:00Z, services: [web], multiplier: 2}, "
         "{name: e, start: 2026-11-01T00:00:00Z, end: 2026-11-02T00:00:00Z, services: [web], multiplier: 2}]",
         "event 'e' is given twice"),
        ("commitments: {terms: [2]}", "commitments.terms.0"),
        ("note: " + "x" * 4001, "note"),
        ("[1]", "a mapping of keys is allowed"),
    ],
)  # fmt: skip
def test_a_fault_says_what_is_allowed(settings: config.Config, text: str, says: str) -> None:
    whole = text if text.startswith("[") else f"name: x\n{text}\n"
    assert any(says in told for _, _, told in faults(whole, settings))


def test_a_part_that_holds_alone_and_not_with_the_config_is_told(tmp_path: Path) -> None:
    settings = kit.settings_in(tmp_path, "optimize: {commitments: {terms: [1], max_break_even_months: {1: 6}}}\n")
    told = faults("name: x\ncommitments: {terms: [3]}\n", settings)
    assert [(part, line) for part, line, _ in told] == [("commitments", 2)]
    assert "no months for the term of 3 year(s)" in told[0][2]
    assert not faults("name: x\ncommitments: {terms: [3], max_break_even_months: {3: 12}}\n", settings)


@given(kit.scenarios)
def test_what_holds_can_be_laid_over_the_config(made: scenario.Scenario) -> None:
    settings = config.Config.model_validate(strict_yaml.loads(kit.CONFIG).data)
    found = scenario.check(strict_yaml.loads(scenario.to_yaml(made)), settings)
    assert found.scenario == made, found.faults
    assert scenario.overlay_config(settings, made).services


# --- where they are ----------------------------------------------------------------------------------------


def test_without_a_folder_new_ones_go_beside_the_config(settings: config.Config, tmp_path: Path) -> None:
    assert scenario.home(settings) == tmp_path / "company.scenarios"
    assert scenario.paths(settings) == ()
    scenario.home(settings).mkdir()
    (scenario.home(settings) / "b.yaml").write_text(GROWN.format("b"))
    (scenario.home(settings) / "a.yml").write_text(GROWN.format("a"))
    (scenario.home(settings) / ".c.yaml").write_text(GROWN.format("c"))
    (scenario.home(settings) / "d.yaml.0123456789.bak").write_text(GROWN.format("d"))
    assert [s.name for s in scenario.load_named(settings, ["b", "a"])] == ["b", "a"]
    assert [s.name for s in pipeline.all_scenarios(settings)] == ["a", "b"]


def test_a_folder_that_the_config_names_is_read_and_written(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(GROWN.format("one"))
    settings = kit.settings_in(tmp_path, "scenarios: [one.yaml, what-if/]\n")
    assert [s.name for s in scenario.load_all(settings)] == ["one"]
    kept = scenario.save(scenario.Scenario(name="two"), settings)
    assert kept.path == tmp_path / "what-if" / "two.yaml"
    assert [s.name for s in scenario.load_all(settings)] == ["one", "two"]


def test_a_file_that_is_named_and_lies_in_the_folder_counts_once(tmp_path: Path) -> None:
    settings = kit.settings_in(tmp_path, "scenarios: [what-if/one.yaml, what-if/]\n")
    (tmp_path / "what-if").mkdir()
    (tmp_path / "what-if" / "one.yaml").write_text(GROWN.format("one"))
    assert [s.name for s in scenario.load_all(settings)] == ["one"]


def test_a_broken_file_stops_only_those_who_ask_for_it(settings: config.Config) -> None:
    home = scenario.home(settings)
    home.mkdir()
    (home / "good.yaml").write_text(GROWN.format("good"))
    (home / "bad.yaml").write_text("name: bad\ngrwoth: []\n")
    assert [s.name for s in scenario.load_named(settings, ["good"])] == ["good"]
    with pytest.raises(ConfigError, match=r"no scenario 'bad'; known: good\n.*bad.yaml:2: grwoth: unknown key"):
        scenario.load_named(settings, ["bad"])
    with pytest.raises(ConfigError, match=r"bad.yaml:2: grwoth"):
        scenario.load_all(settings)


def test_one_name_in_two_files_is_a_fault(settings: config.Config) -> None:
    home = scenario.home(settings)
    home.mkdir()
    for file in ("a", "b"):
        (home / f"{file}.yaml").write_text(GROWN.format("same"))
    with pytest.raises(ConfigError, match=r"b.yaml:1: name: 'same' is the name in .*a.yaml too"):
        scenario.load_all(settings)


def test_the_demo_has_scenarios_of_its_own_to_edit(tmp_path: Path) -> None:
    made = pipeline.demo_config(tmp_path / "out")
    first = scenario.load_all(made)
    assert [s.name for s in first] == ["growth-plus-40", "graviton"]
    assert {p.parent for p in scenario.paths(made)} == {scenario.home(made)}
    read = scenario.stored(scenario.paths(made)[0], made)
    mine = scenario.save(read.scenario.model_copy(update={"note": "mine"}), made, read)
    again = pipeline.demo_config(tmp_path / "out")
    assert scenario.stored(mine.path, again).scenario.note == "mine"
