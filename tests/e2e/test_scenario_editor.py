"""The scenario editor in a real browser: a scenario made by keyboard and mouse, saved, planned and compared.

Pictures are taken where CAPACITY_PICTURES names a folder.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capacity import config, scenario
from tests import company
from tests.e2e.conftest import FULL, Reader, nameless
from tests.e2e.test_accessibility import grave_findings
from tests.factory import make_plan, write_plan_dir

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install .[dev]")
pytestmark = pytest.mark.e2e

_HEAD_PX, _ROW_PX = 31, 31
_TIMES_PX = 650  # into the column Times, from the table's left edge
_FIELD = "#portal input"  # of the cell that is being edited
_TRIES = 4


@pytest.fixture
def reader(reader: Callable[..., Reader]) -> Callable[..., Reader]:
    """One that waits longer: a cell of the editor is drawn by itself, and on a busy machine late."""

    def new(scheme: str = "light", width: int = 1280) -> Reader:
        one = reader(scheme, width)
        one.page.set_default_timeout(60_000)
        return one

    return new


@pytest.fixture
def ingested(tmp_path: Path) -> Path:
    """The small company's config, its store filled."""
    made = company.write(tmp_path)
    command = [sys.executable, "-m", "capacity", "ingest", "-c", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made


def cell(one: Reader, part: str, row: int, column: str) -> str:
    """What the table tells assistive technologies of a cell; empty where there is no such row."""
    found = one.page.evaluate(
        """([part, row, column]) => {
          const frames = [...document.querySelectorAll('[data-testid=stDataFrame]')];
          const table = frames.find(f => f.offsetParent && f.innerHTML.includes(part + ' of the scenario'))
            .querySelector('table');
          const heads = [...table.querySelectorAll('th')].map(h => h.innerText);
          const cells = table.querySelectorAll('tbody tr')[row]?.querySelectorAll('td');
          return cells ? cells[heads.indexOf(column)]?.innerText ?? '' : '';
        }""",
        [part, row, column],
    )
    return str(found)


def until(act: Callable[[], object], sign: Any) -> None:
    """Do ``act``, again where its sign does not come: a busy machine may draw under the pointer."""
    for _ in range(_TRIES):
        act()
        try:
            sign.wait_for(state="attached", timeout=10_000)
        except playwright.TimeoutError:
            continue
        return
    raise AssertionError(f"nothing came of it: {sign}")


def write_growth(one: Reader, times: str, service: str) -> None:
    """A row of the table Growth: a number by a click and keys, a service from the keyboard alone."""
    page = one.page
    grid = page.locator("[data-testid=stDataFrame]").first
    grid.hover()
    grid.scroll_into_view_if_needed()
    page.get_by_role("button", name="Add row: Growth").click()
    grid.locator("td[data-testid=glide-cell-3-0]").wait_for(state="attached")
    one.settle()

    def click() -> None:
        box = grid.bounding_box()
        page.mouse.click(box["x"] + _TIMES_PX, box["y"] + _HEAD_PX + _ROW_PX / 2)

    until(click, grid.locator("td[data-testid=glide-cell-3-0][aria-selected=true]"))
    # The field opens with the first key; a person's Enter never comes before it.
    until(lambda: page.keyboard.type(times), page.locator(_FIELD))
    page.keyboard.press("Enter")
    one.settle()
    assert cell(one, "Growth", 0, "Times") == times
    for key, at in (("ArrowUp", "3-0"), ("ArrowLeft", "2-0"), ("ArrowLeft", "1-0")):
        page.keyboard.press(key)
        grid.locator(f"td[data-testid=glide-cell-{at}][aria-selected=true]").wait_for(state="attached")
    until(lambda: page.keyboard.press("Enter"), page.locator(_FIELD))
    page.keyboard.type(service)
    page.get_by_role("option", name=service, exact=True).wait_for()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    one.settle()
    assert service in cell(one, "Growth", 0, "Services")


def assert_sound(one: Reader) -> None:
    """Nothing was raised in the server or the page, nobody outside was asked, nothing is wider than the window."""
    assert not one.page.query_selector_all("[data-testid=stException]")
    assert not one.faults
    assert one.outside() == []
    wide = one.page.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]'); return m.scrollWidth - m.clientWidth; }"
    )
    assert wide <= 1


@pytest.mark.timeout(480)  # two plans of a small company, seconds on an idle machine
def test_a_scenario_is_made_saved_planned_and_compared(
    serve: Callable[..., str], reader: Callable[..., Reader], ingested: Path, tmp_path: Path, pictures: Path
) -> None:
    plans = tmp_path / "plans"
    write_plan_dir(plans, make_plan())
    one = reader()
    page = one.page
    one.open(f"{serve(plans, ingested)}/scenarios")
    page.get_by_role("button", name="New", exact=True).click()
    one.settle()
    page.get_by_label("Name", exact=True).fill("Web doubles")
    page.get_by_label("Author: who writes this").fill("Ada")
    page.get_by_label("Description: what if, in one sentence").fill("twice the visitors")
    page.get_by_label("Note", exact=True).fill("asked for in the meeting")
    page.keyboard.press("Tab")
    one.settle()
    write_growth(one, "2", "web")
    text = one.settle()
    assert "growth:" in text
    assert "fault" not in text
    one.picture(pictures / "scenario-editor.png")
    page.get_by_role("button", name="Save and plan").click()
    page.get_by_text("Planning: ").first.wait_for(timeout=120_000)
    page.get_by_text("The plan is ready").wait_for(timeout=240_000)
    text = one.settle()
    assert_sound(one)

    settings = config.load(ingested)
    made = scenario.load_named(settings, ["Web doubles"])[0]
    assert (made.author, made.note, made.growth[0].multiplier, made.growth[0].services) == (
        "Ada", "asked for in the meeting", 2.0, ["web"]
    )  # fmt: skip
    assert "compare=Web+doubles" in page.url
    assert "more than base over the horizon" in text
    assert "From base to Web doubles spend rose by" in text
    one.picture(pictures / "scenario-compared.png")


def test_two_people_who_edit_the_same_scenario_lose_nothing(
    serve: Callable[..., str], reader: Callable[..., Reader], tmp_path: Path, pictures: Path
) -> None:
    settings = config.load(company.write(tmp_path))
    write_plan_dir(tmp_path / "plans", make_plan())
    address = f"{serve(tmp_path / 'plans', settings.path)}/scenarios"
    first, second = reader("dark"), reader("light", 1920)
    for one, name in ((first, "Ada"), (second, "Bea")):
        one.open(address)
        one.page.get_by_role("button", name="Edit", exact=True).click()
        one.settle()
        one.page.get_by_label("Author: who writes this").fill(name)
        one.page.get_by_label("Description: what if, in one sentence").fill(f"what {name} thinks")
        one.page.keyboard.press("Tab")
        one.settle()
    second.page.get_by_role("button", name="Save", exact=True).click()
    second.page.get_by_text("Saved more in").wait_for(timeout=60_000)
    first.page.get_by_role("button", name="Save", exact=True).click()
    first.page.get_by_text("Bea changed this scenario since you opened it").wait_for(timeout=60_000)
    text = first.settle()
    assert "what Ada thinks" in text
    assert "what Bea thinks" in text
    first.picture(pictures / "scenario-clash-dark.png")
    first.page.get_by_role("button", name="Keep mine under another name").click()
    first.settle()
    first.page.get_by_label("Name", exact=True).fill("more of Ada")
    first.page.get_by_role("button", name="Save", exact=True).click()
    first.page.get_by_text("Saved more of Ada in").wait_for(timeout=60_000)
    assert_sound(first)
    assert_sound(second)
    said = {s.name: s.description for s in scenario.load_all(settings)}
    assert (said["more"], said["more of Ada"]) == ("what Bea thinks", "what Ada thinks")


@pytest.mark.skipif(not FULL, reason="axe looks at the opened editor in every run; every part of it: make test-full")
def test_every_field_of_the_editor_has_a_name(
    serve: Callable[..., str], reader: Callable[..., Reader], tmp_path: Path, pictures: Path
) -> None:
    """In every part, with names of 80 characters."""
    long = "a-service-whose-name-goes-on-and-on-until-it-has-eighty-characters-and-not-one-m"
    text = company.CONFIG.replace("name: thumbs", f"name: {long}")
    settings = config.load(company.write(tmp_path, config=text))
    write_plan_dir(tmp_path / "plans", make_plan())
    one = reader("dark")
    one.open(f"{serve(tmp_path / 'plans', settings.path)}/scenarios")
    one.page.get_by_role("button", name="New", exact=True).click()
    one.settle()
    for part in ("Events", "Launches", "Efficiency", "Prices", "Policy", "Migration", "Loss", "Commitments"):
        one.page.get_by_role("tab", name=part).click()
        if part == "Loss":
            one.page.get_by_text("A region", exact=True).click()
        if part == "Commitments":
            one.page.get_by_text("Other rules", exact=True).click()
        one.settle()
        assert nameless(one) == [], part
        assert grave_findings(one) == [], part
        assert_sound(one)
        one.page.screenshot(path=str(pictures / f"scenario-part-{part.lower()}.png"))
