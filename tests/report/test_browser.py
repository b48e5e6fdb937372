"""The report in a real browser: no host is asked, no script runs, nothing is cut, both themes are readable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from capacity.charts._svg import NARROWED
from capacity.report import render_html, write_check
from capacity.report.check_page import render_check
from tests.factory import HOSTILE, known_plan
from tests.factory_planned import planned
from tests.report.frozen_event import load
from tests.report.test_check_report import after, ugly

pytestmark = pytest.mark.e2e

# Contrast of every text against the page's ground, of those that do not lie on a mark of their own.
LEAST_CONTRAST = """() => {
  const parse = c => c.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const linear = x => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4;
  const light = c => { const v = parse(c).map(x => linear(x / 255));
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
  const ground = light(getComputedStyle(document.body).backgroundColor);
  const ratio = c => { const l = light(c); return (Math.max(l, ground) + .05) / (Math.min(l, ground) + .05); };
  const found = [];
  for (const e of document.querySelectorAll('h1, h2, p, li, td, th, dt, dd, figcaption, footer, nav a'))
    found.push([ratio(getComputedStyle(e).color), e.textContent.trim().slice(0, 40)]);
  for (const e of document.querySelectorAll('section:not(#headroom) svg text'))
    found.push([ratio(getComputedStyle(e).fill), e.textContent]);
  return found.sort((a, b) => a[0] - b[0])[0];
}"""


@pytest.fixture(scope="module")
def whole() -> str:
    """A report with all that a plan may say, the optimizer's answers among it."""
    return render_html(planned(known_plan()))


def test_a_hostile_report_asks_no_host_and_runs_nothing(chromium: Any, ugly_report: tuple[Path, Path]) -> None:
    asked: list[str] = []
    dialogs: list[str] = []
    errors: list[str] = []
    page = chromium.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(ugly_report[0].as_uri())
    page.wait_for_load_state("networkidle")
    outside = [url for url in asked if not url.startswith(("file:", "data:"))]
    assert (outside, dialogs, errors) == ([], [], [])
    assert page.locator("script, img, iframe").count() == 0
    assert page.locator("svg").count() > 5
    page.close()


@pytest.mark.parametrize("over", [False, True])
def test_a_hostile_check_asks_no_host_and_runs_nothing(chromium: Any, tmp_path: Path, over: bool) -> None:
    path, _ = write_check(after(ugly()) if over else ugly(), tmp_path)
    seen: list[str] = []
    tab = chromium.new_page()
    tab.on("request", lambda request: seen.append(request.url))
    tab.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
    tab.on("console", lambda message: seen.append(message.text))
    tab.on("pageerror", lambda error: seen.append(str(error)))
    tab.goto(path.as_uri())
    tab.wait_for_load_state("networkidle")
    assert path.as_uri() in seen
    assert [x for x in seen if not x.startswith(("file:", "data:"))] == []
    assert tab.locator("script, img, iframe, a[href^=http]").count() == 0
    assert HOSTILE[0][:20] in tab.inner_text("body")
    tab.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_check_is_readable_in_both_themes_and_never_scrolls_sideways(chromium: Any, theme: str) -> None:
    tab = chromium.new_page(color_scheme=theme, viewport={"width": 390, "height": 900})
    tab.set_content(render_check(load()))
    # Figures on the lines between services have the ground's colour as a rim.
    ratio, words = tab.evaluate(LEAST_CONTRAST.replace(":not(#headroom)", ":not(#headroom):not(#calls)"))
    assert ratio >= 4.5, words
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_is_readable_in_both_themes(chromium: Any, whole: str, theme: str) -> None:
    tab = chromium.new_page(color_scheme=theme)
    tab.set_content(whole)
    ratio, words = tab.evaluate(LEAST_CONTRAST)
    assert ratio >= 4.5, words
    tab.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_itself_never_scrolls_sideways(chromium: Any, ugly_report: tuple[Path, Path], width: int) -> None:
    tab = chromium.new_page(viewport={"width": width, "height": 900})
    tab.goto(ugly_report[0].as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.close()


def test_on_paper_no_table_or_chart_is_wider_than_the_page(chromium: Any, whole: str) -> None:
    tab = chromium.new_page(viewport={"width": 1031, "height": 700})  # A4 landscape less 12 mm margins, 96 px an inch
    tab.emulate_media(media="print")
    tab.set_content(whole)
    right = "[...document.querySelectorAll('table, svg')].map(e => e.getBoundingClientRect().right)"
    assert max(tab.evaluate(right)) <= 1032
    summary = tab.evaluate("document.querySelector('#summary').getBoundingClientRect().bottom")
    assert summary <= 703, "what a director reads is on the first sheet"
    assert tab.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    tab.close()


def test_no_text_of_a_hostile_picture_is_cut(chromium: Any, ugly_report: tuple[Path, Path]) -> None:
    tab = chromium.new_page(viewport={"width": 1280, "height": 900})
    tab.goto(ugly_report[0].as_uri())
    cut = tab.evaluate(
        "() => [...document.querySelectorAll('figure .scroll')].flatMap(s => { const b = s.getBoundingClientRect();"
        " return [...s.querySelectorAll('text')].filter(t => { const r = t.getBoundingClientRect();"
        " return r.left < b.left || r.right > b.right + 1; }).map(t => t.textContent); })"
    )
    assert tab.locator("figure .scroll text").count() > 100
    assert cut == []
    tab.close()


def test_no_text_of_a_picture_is_drawn_outside_it(chromium: Any, whole: str) -> None:
    """Texts are measured in the font that the SVG writer brings, and drawn in what the browser's machine has."""
    tab = chromium.new_page(viewport={"width": 1280, "height": 900})
    tab.set_content(whole)
    cut = tab.evaluate(
        "() => [...document.querySelectorAll('figure svg')].flatMap(s => { const b = s.getBoundingClientRect();"
        " return [...s.querySelectorAll('text')].filter(t => { const r = t.getBoundingClientRect();"
        " return r.left < b.left - 1 || r.right > b.right + 1; }).map(t => t.textContent); })"
    )
    assert tab.locator("figure svg text").count() > 100
    assert f'font-family: "{NARROWED}"' in whole
    assert cut == []
    tab.close()


def test_a_report_of_three_hundred_services_stays_of_readable_length(chromium: Any) -> None:
    tab = chromium.new_page(viewport={"width": 1280, "height": 900})
    tab.set_content(render_html(planned(known_plan(services=300))))
    assert tab.evaluate("document.documentElement.scrollHeight") < 30_000
    assert "more limits to decide on" in tab.inner_text("#summary")
    tab.close()
