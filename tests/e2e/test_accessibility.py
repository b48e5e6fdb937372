"""Every page by axe in light and dark, and by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import FULL, Reader, assert_sound

pytestmark = pytest.mark.e2e

# The first and the one with the most kinds of input; all in make test-full.
PAGES = (
    ("", "service", "mix", "scenarios", "cost", "budget", "commitments", "waste", "event", "decisions", "trust")
    if FULL
    else ("", "decisions")
)
GRAVE = ("serious", "critical")
MOST_TABS = 400

# What of the main part a hand can use: visible, not switched off. In a group of radio buttons or tabs, and in a table,
# Tab comes to the one that is chosen, and arrow keys lead to the others; the arrow beside a field that opens its list
# is the mouse's way to what the arrow keys do in the field.
CONTROLS = """() => [...document.querySelectorAll('[data-testid=stMain] :is(button, input, textarea, select, a[href], '
  + 'canvas[tabindex], [role=combobox], [role=radio], [role=tab], [role=slider])')]
  .filter(e => e.checkVisibility({opacityProperty: true, visibilityProperty: true}) && !e.disabled
    && e.getBoundingClientRect().width > 1 && e.type !== 'hidden'
    && !(e.tabIndex < 0 && e.closest('[role=radiogroup], [role=tablist], [role=grid], canvas, '
      + '[data-testid=stSelectbox], [data-testid=stMultiSelect]')))"""
# The label of an input that is switched off is pale, as it is itself: WCAG 1.4.3 leaves both out. axe knows that of
# labels that name their input by `for` alone, and Streamlit's name it by aria-labelledby.
SWITCHED_OFF = """target => {
  const e = document.querySelector(target).closest('[data-testid=stElementContainer]');
  return Boolean(e && e.querySelector(':is(input, button, textarea, select):disabled'));
}"""
NAME = "e => (e.getAttribute('aria-label') || e.innerText || e.value || e.tagName).trim().slice(0, 80)"
STEP = """() => {
  const e = document.activeElement, last = window.lastReached;
  if (!e || !document.querySelector('[data-testid=stMain]').contains(e)) return 'outside';
  const backwards = last && last !== e && last.isConnected
    && !(last.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING);
  e.dataset.reached = 'yes';
  window.lastReached = e;
  return backwards ? 'backwards' : 'forwards';
}"""


def grave_findings(one: Reader) -> list[str]:
    """What axe calls serious or critical on the page as it is."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install .[dev]").Axe()
    found = axe.run(one.page).response["violations"]
    return [
        f"{v['id']} ({v['impact']}): {node['html'][:200]}: {node['failureSummary'][:300]}"
        for v in found
        if v["impact"] in GRAVE
        for node in v["nodes"]
        if not (v["id"] == "color-contrast" and one.page.evaluate(SWITCHED_OFF, node["target"][0]))
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(reader: Callable[..., Reader], address: str, scheme: str) -> None:
    one = reader(scheme)
    for page in PAGES:
        one.open(f"{address}/{page}")
        assert grave_findings(one) == [], page
    assert one.outside() == []  # axe is in the package, and asks nobody


@pytest.mark.parametrize("page", PAGES)
def test_tab_reaches_every_control_in_the_page_s_order(reader: Callable[..., Reader], address: str, page: str) -> None:
    one = reader()
    one.open(f"{address}/{page}")
    names = one.page.evaluate(f"() => ({CONTROLS})().map({NAME})")
    assert len(names) > 2
    assert "backwards" not in walk(one)
    if missed_by_tab(one):
        # A table that was drawn anew on the way (its column widths came late) is a new canvas, which nobody marked.
        assert "backwards" not in walk(one)
    assert missed_by_tab(one) == []


def missed_by_tab(one: Reader) -> list[str]:
    missed: list[str] = one.page.evaluate(f"() => ({CONTROLS})().filter(e => !e.dataset.reached).map({NAME})")
    return missed


def walk(one: Reader) -> list[str]:
    """Tab through the main part from its start to its end; the direction of each step."""
    one.page.get_by_role("link", name="Skip to main content").press("Enter")
    steps: list[str] = []
    while len(steps) < MOST_TABS:
        one.page.keyboard.press("Tab")
        steps.append(str(one.page.evaluate(STEP)))
        if steps[-1] == "outside":
            return steps
    raise AssertionError(f"Tab is still in the main part after {MOST_TABS} steps")


def test_a_list_opens_chooses_and_closes_by_keyboard(reader: Callable[..., Reader], address: str) -> None:
    one = reader()
    assert "of 15" in one.open(address)
    tab_to(one, "Region")
    keys = one.page.keyboard
    keys.press("ArrowDown")
    one.page.get_by_role("option", name="eu-west-1").wait_for()
    keys.press("Escape")
    one.page.get_by_role("option", name="eu-west-1").wait_for(state="detached")
    keys.type("eu-w")
    keys.press("Enter")
    one.page.get_by_text("of 3", exact=False).first.wait_for()
    keys.press("Escape")
    assert "region=eu-west-1" in one.page.url
    assert_sound(one)


def test_a_form_is_filled_and_sent_by_keyboard(reader: Callable[..., Reader], address: str) -> None:
    """Without a reason a decision is refused in words, so nothing is written."""
    one = reader()
    one.open(f"{address}/decisions")
    tab_to(one, "Who decides")
    one.page.keyboard.type("Ada")
    tab_to(one, "Record")
    one.page.keyboard.press("Enter")
    one.page.get_by_text("Not recorded").wait_for()
    assert "reason" in one.settle()
    assert_sound(one)


def tab_to(one: Reader, name: str) -> None:
    """Press Tab until the control ``name`` has the focus."""
    focus: Any = ""
    for _ in range(MOST_TABS):
        one.page.keyboard.press("Tab")
        focus = one.page.evaluate(f"() => ({NAME})(document.activeElement)")
        if str(focus).split("\n")[-1].startswith(name):
            return
    raise AssertionError(f"Tab never comes to {name}; last at {focus}")
