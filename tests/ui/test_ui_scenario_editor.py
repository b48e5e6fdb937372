"""The scenario editor: what is in its fields is the YAML that `capacity plan` takes, and nobody's change is lost."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume, given
from streamlit.testing.v1 import AppTest

from capacity import config, scenario, strict_yaml
from capacity.ui import _edit_rows as edit
from capacity.ui import jobs, launch
from tests.scenario import kit

Plans = Callable[[str], Path]
SALE = {"name": "sale", "start": "2027-03-06T14:00:00Z", "end": "2027-03-07T05:00:00Z", "services": ["web"],
        "multiplier": 1.8, "past": [["2026-03-07", "2026-03-08"]]}  # fmt: skip


# --- tables ------------------------------------------------------------------------------------------------


def through_tables(plain: dict[str, Any]) -> dict[str, Any]:
    """What comes out of the editor where nobody touches a cell."""
    head = {key: plain.get(key, "") for key in ("name", "description", "author", "note")}
    tables = {part.key: edit.rows(part, edit.frame(part, plain)) for part in edit.PARTS}
    return edit.draft(head, tables, {key: plain.get(key) for key in ("failure", "commitments")})


@given(kit.scenarios)
def test_opening_a_scenario_changes_nothing_in_it(made: scenario.Scenario) -> None:
    assume(all(m.model_dump(exclude_none=True) for m in made.migration))  # an entry that says nothing is left out
    plain = strict_yaml.loads(scenario.to_yaml(made)).data
    assert scenario.Scenario.model_validate(through_tables(plain)) == made


def test_past_days_of_an_event_are_kept() -> None:
    made = scenario.Scenario.model_validate({"name": "x", "events": [SALE]})
    assert scenario.Scenario.model_validate(through_tables(strict_yaml.loads(scenario.to_yaml(made)).data)) == made


def test_every_key_of_the_models_has_a_column() -> None:
    """A key without one would be lost when a scenario is edited."""
    models = {"growth": scenario.Growth, "launches": scenario.Launch, "efficiency": scenario.Efficiency,
              "prices": scenario.PriceChange, "migration": scenario.Migration, "policy": scenario.TierOverlay,
              "events": config.EventConfig}  # fmt: skip
    only_one = {"product": "on_demand"}
    for part in edit.PARTS:
        keys = {field.alias or name for name, field in models[part.key].model_fields.items()}
        keys -= {"business"} if part.key == "events" else set()  # refused in a scenario
        assert {c.key for c in part.columns} - {edit.NONE_DENIED} == keys - set(only_one), part.key
    assert scenario.PriceChange(multiplier=2).product == only_one["product"]
    parts = {"failure", "commitments", *(p.key for p in edit.PARTS)}
    assert parts | {"name", "description", "author", "note"} == set(scenario.Scenario.model_fields)


@pytest.mark.parametrize(
    ("part", "cells", "said"),
    [
        ("growth", {"services": [], "multiplier": 1.5, "from": None}, {"multiplier": 1.5}),
        ("growth", {"services": ["web"], "multiplier": 2.0, "from": "2026-11-01"},
         {"services": ["web"], "multiplier": 2, "from": "2026-11-01"}),
        ("growth", {"services": None, "multiplier": float("nan")}, None),
        ("migration", {"none_denied": True}, {"deny_families": []}),
        ("migration", {"none_denied": False, "deny_families": ["m5"]}, {"deny_families": ["m5"]}),
        ("events", {"name": "a", "past": "2025-11-28 to 2025-12-01; 2024-11-29"},
         {"name": "a", "past": [["2025-11-28", "2025-12-01"], ["2024-11-29", "2024-11-29"]]}),
        ("events", {"start": pd.Timestamp("2026-11-01 10:00")}, {"start": "2026-11-01T10:00:00Z"}),
        ("policy", {"name": "critical", "zones_survived": 2.0}, {"name": "critical", "zones_survived": 2}),
    ],
)  # fmt: skip
def test_cells_become_keys(part: str, cells: dict[str, Any], said: dict[str, Any] | None) -> None:
    found = edit.rows(next(p for p in edit.PARTS if p.key == part), pd.DataFrame([cells]))
    assert found == ([said] if said else [])


# --- the page ----------------------------------------------------------------------------------------------


def script() -> None:
    from capacity.ui._shell import show

    show("scenarios")


@pytest.fixture
def settings(tmp_path: Path) -> config.Config:
    made = kit.settings_in(tmp_path)
    scenario.save(
        scenario.Scenario.model_validate({"name": "more", "author": "Bea", "growth": [{"multiplier": 1.5}]}), made
    )
    return made


@pytest.fixture
def page(settings: config.Config, plans: Plans, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(launch.PLANS, str(plans("normal")))
    monkeypatch.setenv(launch.CONFIG, str(settings.path))
    return AppTest.from_function(script, default_timeout=60).run()


def words(app: AppTest) -> str:
    kinds = (app.caption, app.text, app.info, app.warning, app.error, app.success, app.code)
    said = [str(item.value) for items in kinds for item in items]
    return "\n".join(said + [str(getattr(i.proto, "title", "")) for k in (app.warning, app.error) for i in k])


def opened(app: AppTest, button: str) -> AppTest:
    app.button(key=button).click().run()
    assert not app.exception
    return app


def key(app: AppTest, name: str) -> str:
    return str(app.session_state["edit_opened"].key(name))


def write(app: AppTest, part: str, *added: dict[str, Any], edited: dict[int, dict[str, Any]] | None = None) -> None:
    state = {"edited_rows": edited or {}, "added_rows": list(added), "deleted_rows": []}
    app.session_state[key(app, part)] = state


def yaml_shown(app: AppTest) -> str:
    return next(str(c.value) for c in app.code if str(c.value).startswith("name: "))


def begun(page: AppTest, name: str, author: str = "Ada") -> AppTest:
    app = opened(page, "edit_new")
    app.text_input(key=key(app, "name")).input(name)
    app.text_input(key=key(app, "author")).input(author)
    return app


def test_a_new_scenario_is_written_as_the_plan_reads_it(page: AppTest, settings: config.Config) -> None:
    app = begun(page, "Spring sale")
    app.text_input(key=key(app, "description")).input("a sale in spring: 80 % more")
    app.text_area(key=key(app, "note")).input("asked for by *marketing*\n# no comment")
    write(app, "growth", {"services": ["web"], "multiplier": 1.4, "from": "2026-11-01"})
    write(app, "events", {"name": "sale", "start": "2027-03-06T14:00:00", "end": "2027-03-07T05:00:00",
                          "services": ["web"], "multiplier": 1.8})  # fmt: skip
    write(app, "policy", {"name": "critical", "service_level": 0.995})
    app.run()
    assert not app.exception
    shown = yaml_shown(app)
    app.button(key="edit_save").click().run()
    assert not app.exception
    path = settings.path.parent / "company.scenarios" / "spring-sale.yaml"
    assert path.read_text().rstrip() == shown
    assert "Saved Spring sale in company.scenarios/spring-sale.yaml" in words(app).replace("\\", "")
    found = scenario.load_named(settings, ["Spring sale"])[0]
    assert (found.author, found.note) == ("Ada", "asked for by *marketing*\n# no comment")
    assert found.growth[0].services == ["web"]
    assert str(found.growth[0].from_) == "2026-11-01"
    assert found.events[0].start.isoformat() == "2027-03-06T14:00:00+00:00"
    assert found.policy is not None
    assert found.policy.tiers[0].service_level == 0.995


def test_faults_of_all_parts_are_told_at_once_and_nothing_is_saved(page: AppTest, settings: config.Config) -> None:
    app = begun(page, "wrong")
    write(app, "growth", {"multiplier": 0})
    write(app, "policy", {"name": "critical", "service_level": 1.5})
    write(app, "events", {"name": "e"})
    app.run()
    said = words(app)
    assert "growth.0.multiplier: found 0; allowed: input should be greater than 0" in said
    assert "Policy, line" in said
    assert "policy.tiers.0.service_level: found 1.5; allowed: input should be less than 1" in said
    assert "events.0.start: missing; this key is required" in said
    app.button(key="edit_plan").click().run()
    assert "Not saved" in words(app)
    assert [s.name for s in scenario.load_all(settings)] == ["more"]


def test_no_author_is_no_save(page: AppTest, settings: config.Config) -> None:
    app = begun(page, "anonymous", author="")
    app.button(key="edit_save").click().run()
    assert "author: missing" in words(app)
    assert len(scenario.load_all(settings)) == 1


def test_an_edit_begins_with_what_is_there_and_keeps_the_version_before(page: AppTest, settings: config.Config) -> None:
    app = opened(page, "edit_open")
    assert "Last changed by Bea" in words(app)
    write(app, "growth", edited={0: {"multiplier": 1.7}})
    app.text_input(key=key(app, "author")).input("Ada").run()
    app.button(key="edit_save").click().run()
    found = scenario.load_named(settings, ["more"])[0]
    assert (found.growth[0].multiplier, found.author) == (1.7, "Ada")
    kept = list(scenario.home(settings).glob("more.yaml.*.bak"))
    assert len(kept) == 1
    assert "author: Bea" in kept[0].read_text()


def test_a_copy_has_a_name_of_its_own(page: AppTest, settings: config.Config) -> None:
    app = opened(page, "edit_copy")
    app.text_input(key=key(app, "author")).input("Ada").run()
    app.button(key="edit_save").click().run()
    assert [s.name for s in scenario.load_all(settings)] == ["more-copy", "more"]


def another_saves(settings: config.Config, author: str) -> str:
    path = scenario.home(settings) / "more.yaml"
    read = scenario.stored(path, settings)
    made = read.scenario.model_copy(update={"author": author, "description": "theirs"})
    return scenario.save(made, settings, read).text


def test_another_s_change_is_shown_and_not_written_over(page: AppTest, settings: config.Config) -> None:
    app = opened(page, "edit_open")
    app.text_input(key=key(app, "author")).input("Ada").run()
    theirs = another_saves(settings, "Cyd")
    app.button(key="edit_save").click().run()
    assert "Cyd changed this scenario since you opened it" in words(app)
    diff = next(str(c.value) for c in app.code if str(c.value).startswith("--- the file"))
    assert "-description: theirs" in diff
    assert "+author: Ada" in diff
    assert app.button(key="edit_save").disabled
    assert (scenario.home(settings) / "more.yaml").read_text() == theirs


def test_mine_can_be_kept_under_another_name(page: AppTest, settings: config.Config) -> None:
    app = opened(page, "edit_open")
    write(app, "growth", edited={0: {"multiplier": 1.9}})
    app.text_input(key=key(app, "author")).input("Ada").run()
    theirs = another_saves(settings, "Cyd")
    app.run()
    app.button(key="edit_keep").click().run()
    app.button(key="edit_save").click().run()
    assert "is the scenario 'more' already" in words(app)
    app.text_input(key=key(app, "name")).input("mine").run()
    app.button(key="edit_save").click().run()
    assert scenario.load_named(settings, ["mine"])[0].growth[0].multiplier == 1.9
    assert (scenario.home(settings) / "more.yaml").read_text() == theirs


def test_theirs_can_be_read_again(page: AppTest, settings: config.Config) -> None:
    app = opened(page, "edit_open")
    another_saves(settings, "Cyd")
    app.run()
    app.button(key="edit_reload").click().run()
    assert "Last changed by Cyd" in words(app)
    assert app.text_input(key=key(app, "description")).value == "theirs"


def test_comments_are_said_to_be_lost_before_a_save(settings: config.Config, page: AppTest) -> None:
    path = scenario.home(settings) / "more.yaml"
    path.write_text("# by hand\n" + path.read_text())
    app = opened(page, "edit_open")
    assert "The file has 1 comment, which a save does not keep" in words(app).replace("\\", "")


def test_a_folder_that_cannot_be_written_is_said(page: AppTest, settings: config.Config) -> None:
    app = begun(page, "nowhere")
    home = scenario.home(settings)
    for file in home.iterdir():
        file.unlink()
    home.rmdir()
    home.write_text("a file in the folder's place")
    app.button(key="edit_save").click().run()
    assert not app.exception
    assert "cannot be kept there" in words(app)


@pytest.mark.parametrize(
    ("kind", "written"), [("Buy none", {"buy": False}), ("Other rules", {}), ("As configured", None)]
)
def test_commitments_are_a_choice_of_three(page: AppTest, kind: str, written: dict[str, Any] | None) -> None:
    app = begun(page, "buys")
    app.radio(key=key(app, "commitments_kind")).set_value(kind).run()
    assert strict_yaml.loads(yaml_shown(app)).data.get("commitments") == written


def test_rules_of_purchases_are_written_and_validated(page: AppTest) -> None:
    app = begun(page, "buys")
    app.radio(key=key(app, "commitments_kind")).set_value("Other rules").run()
    app.multiselect(key=key(app, "commitments_terms")).set_value([1])
    app.number_input(key=key(app, "commitments_months_1")).set_value(6.0)
    app.number_input(key=key(app, "commitments_risk_weight")).set_value(2.0).run()
    assert strict_yaml.loads(yaml_shown(app)).data["commitments"] == {
        "terms": [1], "max_break_even_months": {"1": 6}, "risk_weight": 2
    }  # fmt: skip
    assert "commitments.risk_weight: found 2; allowed: input should be less than or equal to 1" in words(app)


def test_a_loss_is_a_region_or_zones(page: AppTest) -> None:
    app = begun(page, "loss")
    app.radio(key=key(app, "failure_kind")).set_value("A region").run()
    assert strict_yaml.loads(yaml_shown(app)).data["failure"] == {"region": "eu-west-1"}
    app.radio(key=key(app, "failure_kind")).set_value("Zones").run()
    assert strict_yaml.loads(yaml_shown(app)).data["failure"] == {"zones": 1}


def test_hostile_text_is_text(page: AppTest, settings: config.Config) -> None:
    evil = "![](http://evil.example/x) </script> *b*"
    app = begun(page, evil, author=evil)
    app.button(key="edit_save").click().run()
    assert not app.exception
    for item in (*app.success, *app.warning, *app.error, *app.caption, *app.markdown):
        assert "![](" not in str(item.value)
    assert evil in [s.name for s in scenario.load_all(settings)]


def test_closing_writes_nothing(page: AppTest, settings: config.Config) -> None:
    app = begun(page, "never")
    app.button(key="edit_close").click().run()
    assert not app.exception
    assert len(scenario.load_all(settings)) == 1
    assert app.button(key="edit_new")


def test_the_first_scenario_can_be_made_before_the_first_plan(
    settings: config.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(launch.PLANS, str(tmp_path / "plans"))
    monkeypatch.setenv(launch.CONFIG, str(settings.path))
    app = begun(AppTest.from_function(script, default_timeout=60).run(), "early")
    app.button(key="edit_save").click().run()
    assert not app.exception
    assert {s.name for s in scenario.load_all(settings)} == {"early", "more"}


def test_a_plan_that_cannot_start_leaves_the_scenario_saved(
    page: AppTest, settings: config.Config, plans: Plans
) -> None:
    """Another's plan is being made: the scenario is kept, and the page says why it was not planned."""
    from capacity.ui import _data

    app = begun(page, "kept").run()
    busy = _data.runner(plans("normal"))
    wait = [sys.executable, "-c", "import time; time.sleep(60)"]
    busy._build = lambda *_: wait
    try:
        busy.start(settings.path, plans("normal"), ["more"])
        app.button(key="edit_plan").click().run()
        assert not app.exception
        assert "kept" in [s.name for s in scenario.load_all(settings)]
        busy.cancel()
        app.run()
        assert "The scenario is saved, and its plan was not started" in words(app)
        assert "a plan is already being made" in words(app)
    finally:
        busy.close()
        busy._build = jobs.plan_command
