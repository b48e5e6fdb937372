"""Reports on paper: A4 across, the first sheet for a director, nothing cut, no host asked."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from capacity import config, pipeline
from capacity.domain import Unit
from capacity.pipeline import CostReport
from capacity.report import Checked, render_html, write_review
from capacity.report._first_sheet import Sheet, fitting, items, least
from capacity.report._summary import Card
from capacity.report._table import Column, Table
from capacity.report.check_after import render_after
from capacity.report.check_page import render_check
from capacity.report.review_page import render_review
from capacity.report.since import since
from tests import company
from tests.factory import HOSTILE, known_plan
from tests.factory_known import knowing
from tests.factory_planned import planned
from tests.report.frozen_event import load
from tests.report.test_check_report import after, ugly
from tests.report.test_workbook import Book

pytestmark = pytest.mark.e2e

# A4 across less the margins of 12 mm that the style sheet sets, at 96 pixels an inch.
WIDE, HIGH = 1031, 703
# A PDF says its size in points, 72 an inch.
A4_POINTS = (842, 595)
TALLEST = "e => Math.max(0, ...[...document.querySelectorAll(e)].map(x => x.getBoundingClientRect().bottom))"
WIDEST = "() => Math.max(...[...document.querySelectorAll('body *')].map(x => x.getBoundingClientRect().right))"


@dataclass(frozen=True)
class Printed:
    """What a browser says of a report that it prints."""

    asked: tuple[str, ...]
    pdf: bytes
    widths: tuple[int, int]
    right: float
    summary: float
    cards: float
    first_table: float
    shown: str

    @property
    def pages(self) -> int:
        return len(re.findall(rb"/Type\s*/Page\b", self.pdf))


def printed(chromium: Any, path: Path) -> Printed:
    asked: list[str] = []
    tab = chromium.new_page(viewport={"width": WIDE, "height": HIGH})
    tab.on("request", lambda request: asked.append(request.url))
    tab.emulate_media(media="print")
    tab.goto(path.as_uri())
    root = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    found = Printed(
        asked=tuple(asked), pdf=tab.pdf(prefer_css_page_size=True), widths=tuple(tab.evaluate(root)),
        right=tab.evaluate(WIDEST), summary=tab.evaluate(TALLEST, "#summary"), cards=tab.evaluate(TALLEST, ".card"),
        first_table=tab.evaluate(TALLEST, "#summary table"), shown=tab.inner_text("#summary"),
    )  # fmt: skip
    tab.close()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("printed")


@pytest.fixture(scope="module")
def quarterly(chromium: Any, folder: Path) -> Printed:
    """A plan with all that a plan may say, held against the plan of a quarter before."""
    plan = knowing(planned(known_plan()))
    before = replace(planned(known_plan(seed=2)), as_of=plan.as_of - timedelta(days=91))
    path = folder / "report.html"
    path.write_text(render_html(plan, (), (), since(before, plan)), encoding="utf-8")
    return printed(chromium, path)


@pytest.fixture(scope="module")
def reviewed(folder: Path) -> CostReport:
    """The review of the small company's newest month."""
    settings = config.load(company.write(folder))
    stored = pipeline.open_store(settings)
    pipeline.require_complete(pipeline.ingest(settings, stored, company.AS_OF.to_pydatetime()))
    return pipeline.cost_to_serve(settings, stored, as_of=company.AS_OF.to_pydatetime())


@pytest.fixture(scope="module")
def review(chromium: Any, folder: Path, reviewed: CostReport) -> Printed:
    path = folder / "review.html"
    path.write_text(render_review(reviewed), encoding="utf-8")
    return printed(chromium, path)


# Columns of a review whose text is somebody's, and not one of our own words.
NAMED = ("service", "name", "sku", "id", "words", "what", "ServiceName", "SubAccountId", "suggested_rule", "rule",
         "pool", "to", "target", "journey", "flags")  # fmt: skip


def hostile_review(found: CostReport) -> CostReport:
    """``found`` with hostile text wherever a name, a rule or a remark may stand."""
    frames = {}
    for key, frame in found.frames.items():
        columns = [c for c in NAMED if c in frame.columns]
        names = [HOSTILE[i % len(HOSTILE)] for i in range(len(frame))]
        frames[key] = frame.astype(dict.fromkeys(columns, object)).assign(**dict.fromkeys(columns, names))
    return replace(found, company=HOSTILE[1], frames=frames, sentences=tuple(HOSTILE), bridge_words=tuple(HOSTILE))


def test_a_hostile_review_asks_no_host_and_runs_nothing(chromium: Any, reviewed: CostReport, tmp_path: Path) -> None:
    found = hostile_review(reviewed)
    page, book, *_ = write_review(found, tmp_path)
    assert HOSTILE[0] in html.unescape(page.read_text(encoding="utf-8"))
    shown = printed(chromium, page)
    assert [url for url in shown.asked if not url.startswith(("file:", "data:"))] == []
    assert shown.summary <= HIGH
    assert shown.right <= WIDE + 1
    tab, told = chromium.new_page(), []
    tab.on("dialog", lambda dialog: (told.append(dialog.message), dialog.dismiss()))
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.goto(page.as_uri())
    assert told == []
    assert tab.locator("script, img, iframe, a[href^=http]").count() == 0
    tab.close()
    for name, data in Book(book).files.items():
        if name.startswith("xl/worksheets/"):
            assert b"<f>" not in data
            assert b"<hyperlink" not in data


@pytest.fixture(scope="module")
def check(chromium: Any, folder: Path) -> Printed:
    """Black Friday of the demo company."""
    path = folder / "check.html"
    path.write_text(render_check(load()), encoding="utf-8")
    return printed(chromium, path)


def crowd(long: bool) -> Checked:
    """Three hundred services, none of which holds; of ordinary names or of eighty characters."""
    refused = load().refused
    names = [f"{'a-very-long-service-name-' * 3}{i:05d}" if long else f"service-{i:03d}" for i in range(300)]
    verdicts = tuple(replace(refused[i % len(refused)], unit=Unit(n, "us-east-1")) for i, n in enumerate(names))
    entering = tuple(replace(v, propagated_from=()) for v in verdicts)
    return replace(load(), event=replace(load().event, verdicts=entering, flows=()))


@pytest.mark.parametrize("kind", ["many", "long", "hostile", "none", "go", "after", "many after"])
def test_the_first_sheet_of_any_check_is_one_sheet(chromium: Any, folder: Path, kind: str) -> None:
    checked = load()
    if kind.startswith(("many", "long")):
        checked = crowd(long=kind != "many")
    elif kind == "hostile":
        checked = ugly()
    elif kind in ("none", "go"):
        verdicts = checked.holding if kind == "go" else ()
        checked = replace(checked, event=replace(checked.event, verdicts=verdicts, flows=()))
    path = folder / "any.html"
    text = render_after(after(checked)) if kind.endswith("after") else render_check(checked)
    path.write_text(text, encoding="utf-8")
    found = printed(chromium, path)
    assert 0 < found.cards <= found.summary <= HIGH
    assert found.right <= WIDE + 1
    assert found.pages < 15
    assert [url for url in found.asked if not url.startswith(("file:", "data:"))] == []


@pytest.fixture(params=["quarterly", "review", "check"])
def either(request: pytest.FixtureRequest) -> Printed:
    found: Printed = request.getfixturevalue(request.param)
    return found


def test_the_paper_is_a4_across(either: Printed) -> None:
    boxes = {
        tuple(round(float(x)) for x in box.split()) for box in re.findall(rb"/MediaBox\s*\[([^\]]+)\]", either.pdf)
    }
    assert len(boxes) == 1
    ((left, bottom, right, top),) = boxes
    assert (right - left, top - bottom) == pytest.approx(A4_POINTS, abs=1)


def test_there_are_no_more_sheets_than_somebody_leafs_through(
    quarterly: Printed, review: Printed, check: Printed
) -> None:
    assert 2 <= review.pages < 15
    assert 2 <= check.pages < 10
    assert 5 <= quarterly.pages < 30


def test_the_first_sheet_holds_what_a_director_reads(either: Printed) -> None:
    assert 0 < either.cards < either.summary
    assert either.first_table < HIGH
    assert either.summary <= HIGH


def test_the_first_sheet_of_a_plan_says_what_became_of_the_last_one(quarterly: Printed) -> None:
    for words in ("Decisions", "Since the last plan", "Read with care", "Plan of 6 Jul 2026", "Event black-friday"):
        assert words in quarterly.shown


def test_nothing_is_wider_than_the_paper(either: Printed) -> None:
    scrolled, shown = either.widths
    assert scrolled <= shown == WIDE
    assert either.right <= WIDE + 1


def test_printing_asks_no_host(either: Printed) -> None:
    assert either.asked
    assert [url for url in either.asked if not url.startswith(("file:", "data:"))] == []


# --- what fits, as it is reckoned ------------------------------------------------------------------------------

CARDS = [Card("Pass a limit within the horizon", "3 of 19", "Chance 1 in 10 or more. " * 3, "bad")] * 4


def some(rows: int, note: str = "") -> Table:
    return Table("Decisions", (Column("By", "date"), Column("Decision", "long")), [(None, "x" * 270)] * rows, note=note)


def test_decisions_give_way_only_as_far_as_they_must() -> None:
    sheet = Sheet(CARDS, ["Buy 3 commitments."])
    tables = [some(n) for n in range(12, 0, -1)]
    little, much = sheet.fewest(tables, least(["short"])), sheet.fewest(tables, items(["long " * 60] * 3))
    assert len(little.rows) > len(much.rows) >= 4
    assert sheet.room(little) >= least(["short"])
    assert least(["a", "b", "c"]) == least(["a", "b"]) > least(["a"])
    assert sheet.room(some(4)) > sheet.room(some(5)) > sheet.room(some(5, "a note"))


def test_what_does_not_fit_a_list_is_counted() -> None:
    lines = [f"caveat {i} " + "with some words " * 8 for i in range(9)]
    assert fitting(lines, items(lines), "Plan") == lines
    short = fitting(lines, 150, "Plan")
    assert items(short) <= 150
    assert short[-1] == f"{len(lines) - len(short) + 1} more in report.xlsx, sheet Plan."
    assert fitting(lines[:1], 0, "Plan") == lines[:1]
