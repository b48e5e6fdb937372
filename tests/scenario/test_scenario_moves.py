"""Another name for a scenario, or none: nothing is lost, nothing of somebody else's is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from capacity import config, scenario, strict_yaml
from capacity.errors import ChangedError, ConfigError, UsageError
from tests.scenario import kit


@pytest.fixture
def settings(tmp_path: Path) -> config.Config:
    return kit.settings_in(tmp_path)


def said(name: str, **more: Any) -> scenario.Scenario:
    return scenario.Scenario.model_validate({"name": name, "growth": [{"multiplier": 1.5}], **more})


def files(folder: Path, ending: str) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.glob(f"*{ending}")}


def test_a_new_name_is_a_new_file_and_the_old_one_is_kept(settings: config.Config) -> None:
    read = scenario.save(said("old", author="Ada"), settings)
    made = scenario.rename(read, "New name", settings)
    folder = read.path.parent
    assert made.scenario == read.scenario.model_copy(update={"name": "New name"})
    assert set(files(folder, ".yaml")) == {"new-name.yaml"}
    assert list(files(folder, ".bak").values()) == [read.text]
    assert scenario.load_named(settings, ["New name"]) == (made.scenario,)
    with pytest.raises(ConfigError, match="no scenario 'old'"):
        scenario.load_named(settings, ["old"])


def test_a_name_that_is_only_written_otherwise_stays_in_its_file(settings: config.Config) -> None:
    read = scenario.save(said("peak"), settings)
    made = scenario.rename(read, "Peak", settings)
    assert (made.path, made.scenario.name) == (read.path, "Peak")


@pytest.mark.parametrize("name", ["other", "Other!"])
def test_a_taken_name_is_refused(settings: config.Config, name: str) -> None:
    read, other = scenario.save(said("old"), settings), scenario.save(said("other"), settings)
    with pytest.raises(ChangedError, match="is the scenario 'other' already"):
        scenario.rename(read, name, settings)
    assert files(read.path.parent, ".yaml") == {"old.yaml": read.text, "other.yaml": other.text}
    assert not files(read.path.parent, ".partial")


@pytest.mark.parametrize("name", ["", "base", "x" * 500])
def test_a_name_that_does_not_hold_is_refused(settings: config.Config, name: str) -> None:
    read = scenario.save(said("old"), settings)
    with pytest.raises(ConfigError):
        scenario.rename(read, name, settings)
    assert files(read.path.parent, ".yaml") == {"old.yaml": read.text}


def test_what_is_deleted_stays_beside_it(settings: config.Config) -> None:
    read = scenario.save(said("old"), settings)
    kept = scenario.delete(read, settings)
    assert kept.read_text() == read.text
    assert not read.path.exists()
    assert scenario.load_all(settings) == ()
    kept.rename(read.path)
    assert scenario.load_all(settings) == (read.scenario,)


def test_what_another_changed_meanwhile_is_left_alone(settings: config.Config) -> None:
    read = scenario.save(said("old"), settings)
    theirs = scenario.save(said("old", author="Bea"), settings, read)
    for change in (lambda: scenario.delete(read, settings), lambda: scenario.rename(read, "new", settings)):
        with pytest.raises(ChangedError, match="was written by somebody else"):
            change()
    assert files(read.path.parent, ".yaml") == {"old.yaml": theirs.text}


def test_a_file_that_the_config_names_keeps_its_place_and_is_not_deleted(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(scenario.to_yaml(said("old")))
    company = tmp_path / "company.yaml"
    company.write_text(kit.CONFIG + "scenarios: [mine.yaml]\n")
    settings = config.load(company)
    read = scenario.stored(path, settings)
    with pytest.raises(UsageError, match="the config names this file itself"):
        scenario.delete(read, settings)
    made = scenario.rename(read, "new", settings)
    assert made.path == read.path
    assert scenario.load_all(settings) == (made.scenario,)


def test_a_price_of_a_family_that_no_type_is_of_is_refused_with_those_near_it(settings: config.Config) -> None:
    text = "name: n\nprices:\n  - {families: [m6g, m6gg], multiplier: 0.9}\n"
    found = scenario.check(strict_yaml.loads(text), settings)
    (fault,) = found.faults
    assert (fault.part, fault.line) == ("prices", 3)
    assert fault.text.startswith("prices.0.families: no instance type is of family 'm6gg'; near it: m6g")
    assert scenario.check(strict_yaml.loads(text.replace(", m6gg", "")), settings).scenario is not None
