"""After a peak event: what was said of it before, against what came, as a page and as a sheet."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import capacity
from capacity.charts import visible
from capacity.report import came
from capacity.report._cells import known, text, true
from capacity.report._page import Page, render
from capacity.report._sections import Section
from capacity.report._summary import Card
from capacity.report._table import Table, moment, percent
from capacity.report.check_tables import Checked
from capacity.words import day, plural

BOOK = "check.xlsx"
MOST_FIRST = 14


def render_after(checked: Checked) -> str:
    """The review of an event as one HTML document that asks no host for anything."""
    rows = _rows(checked)
    event = checked.event
    return render(
        Page(
            title=f"Peak event, afterwards: {visible(event.name)}, {day(event.start.date())}",
            kind="Peak event, afterwards",
            name=visible(checked.company),
            facts=after_facts(checked),
            cards=list(after_cards(checked)),
            first=_otherwise(rows),
            first_title="What came otherwise than said",
            first_none="Every peak stayed within the P95 that was said before, and within safe capacity.",
            sections=_sections(checked, rows),
            footer=f"capacity {capacity.__version__} · as of {moment(checked.as_of)} · times are UTC, days are each "
            "service's own",
        )
    )


def after_sheets(checked: Checked) -> list[Table]:
    """The workbook's table behind its first one."""
    return [came.table("What came", _rows(checked))]


def after_facts(checked: Checked) -> list[tuple[str, str]]:
    """What the review is of, and of when what was said is."""
    event, rows = checked.event, _rows(checked)
    said = sorted({f"{text(r['basis'])} of {day(r['origin'].date())}" for r in rows})
    return [
        ("Event", visible(event.name)), ("When", f"{moment(event.start)} to {moment(event.end)}"),
        ("As of", moment(checked.as_of)), ("Said before", "; ".join(said)),
    ]  # fmt: skip


def after_cards(checked: Checked) -> Iterator[Card]:
    """How many peaks came as said, how many held, and by how much the middle one was off."""
    rows = _rows(checked)
    within, judged = sum(bool(r["within_p95"]) for r in rows), [r for r in rows if true(r["held"]) is not None]
    held = sum(bool(r["held"]) for r in judged)
    refused = sum(not r["said_go"] for r in rows)
    yield Card("Peaks within the P95 said", f"{within} of {len(rows)}", "As many as 19 of 20 should be.",
               "good" if within >= 0.9 * len(rows) else "bad")  # fmt: skip
    if judged:
        beyond = len(judged) - held
        note = f"{plural(beyond, 'peak')} went beyond the safe capacity of what ran." if beyond else "Zones lost."
        yield Card("Within safe capacity", f"{held} of {len(judged)}", note, "bad" if beyond else "good")
    errors = sorted(e for r in rows if (e := known(r["error_frac"])) is not None)
    if errors:
        middle = errors[len(errors) // 2]
        yield Card("Middle error", percent(middle), "Peak over the P50 said before, less one.")
    said = f"NO-GO for {refused}" if refused else "GO"
    yield Card("Said before", said, f"Of {plural(len(rows), 'service')}.")


def _rows(checked: Checked) -> list[dict[Hashable, Any]]:
    return came.ordered(checked.review) if checked.review is not None else []


def _otherwise(rows: list[dict[Hashable, Any]]) -> Table:
    """As many as the first sheet holds."""
    found = came.table("Otherwise than said", [r for r in rows if came.is_otherwise(r)])
    return found.first(MOST_FIRST, BOOK).for_reader("page")


def _sections(checked: Checked, rows: list[dict[Hashable, Any]]) -> list[Section]:
    pictures = [] if checked.review is None else [came.picture(checked.review)]
    table = came.table("What came", rows).first(came.MOST_ROWS, BOOK)
    return [Section("came", "Said before, and what came", came.LEAD, [table], pictures)]
