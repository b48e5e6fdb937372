"""Another name for a scenario, or none, on the page: asked first, told after, refused where another changed it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from capacity import config, scenario
from capacity.ui import launch
from tests.scenario import kit


def script() -> None:
    from capacity.ui._shell import show

    show("scenarios")


@pytest.fixture
def settings(tmp_path: Path) -> config.Config:
    made = kit.settings_in(tmp_path)
    scenario.save(scenario.Scenario.model_validate({"name": "more", "author": "Bea"}), made)
    return made


@pytest.fixture
def page(settings: config.Config, plans: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(launch.PLANS, str(plans("normal")))
    monkeypatch.setenv(launch.CONFIG, str(settings.path))
    return AppTest.from_function(script, default_timeout=60).run()


def names(settings: config.Config) -> list[str]:
    return [s.name for s in scenario.load_all(settings)]


def said(page: AppTest) -> str:
    assert not page.exception
    return "\n".join(str(x.value) for kind in (page.text, page.success, page.error, page.caption) for x in kind)


def test_a_scenario_gets_another_name(page: AppTest, settings: config.Config) -> None:
    page.button(key="edit_rename").click().run()
    assert names(settings) == ["more"]
    page.text_input(key="edit_new_name").input("much more")
    page.button(key="edit_confirm").click().run()
    assert names(settings) == ["much more"]
    assert "company\\.scenarios/much\\-more\\.yaml" in said(page)
    assert page.selectbox(key="edit_choice").options == ["much more"]
    assert not [b for b in page.button if b.key == "edit_confirm"]


def test_a_scenario_is_deleted_once_it_is_confirmed(page: AppTest, settings: config.Config) -> None:
    page.button(key="edit_delete").click().run()
    assert "Delete 'more', last changed by Bea" in said(page)
    page.button(key="edit_cancel").click().run()
    assert names(settings) == ["more"]
    assert "Delete 'more'" not in said(page)
    page.button(key="edit_delete").click().run()
    page.button(key="edit_confirm").click().run()
    assert names(settings) == []
    assert len(list(scenario.home(settings).glob("more.yaml.*.bak"))) == 1
    assert "is deleted" in said(page)


@pytest.mark.parametrize("what", ["rename", "delete"])
def test_what_another_changed_meanwhile_stays(page: AppTest, settings: config.Config, what: str) -> None:
    page.button(key=f"edit_{what}").click().run()
    (path,) = scenario.paths(settings)
    read = scenario.stored(path, settings)
    scenario.save(read.scenario.model_copy(update={"author": "Cyd"}), settings, read)
    if what == "rename":
        page.text_input(key="edit_new_name").input("mine")
    page.button(key="edit_confirm").click().run()
    assert "was written by somebody else since it was read" in said(page)
    assert [(s.name, s.author) for s in scenario.load_all(settings)] == [("more", "Cyd")]


@pytest.mark.parametrize("name", ["", "base"])
def test_a_name_that_does_not_hold_is_told(page: AppTest, settings: config.Config, name: str) -> None:
    page.button(key="edit_rename").click().run()
    page.text_input(key="edit_new_name").input(name)
    page.button(key="edit_confirm").click().run()
    assert "Not renamed" in said(page)
    assert names(settings) == ["more"]
