"""After a peak event: what was said of it before, against what came, as a page and as a sheet."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import capacity
from capacity import charts
from capacity.charts import visible
from capacity.report import _pictures
from capacity.report._cells import known, records, text, true, where
from capacity.report._page import Page, render
from capacity.report._sections import Section
from capacity.report._summary import Card
from capacity.report._table import Column, Table, moment, percent, sentence
from capacity.report.check_tables import Checked
from capacity.words import day, plural

BOOK = "check.xlsx"
MOST_ROWS = 40
MOST_FIRST = 14
Row = Mapping[Hashable, Any]
_YES: Mapping[bool | None, str] = {True: "yes", False: "no"}


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
            first=_otherwise(checked, rows),
            first_title="What came otherwise than said",
            first_none="Every peak stayed within the P95 that was said before, and within safe capacity.",
            sections=_sections(checked, rows),
            footer=f"capacity {capacity.__version__} · as of {moment(checked.as_of)} · times are UTC, days are each "
            "service's own",
        )
    )


def after_sheets(checked: Checked) -> list[Table]:
    """The workbook's table behind its first one."""
    return [_table("What came", checked, _rows(checked))]


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
    """What went beyond safe capacity first, then the largest errors."""
    found = records(checked.review) if checked.review is not None else []
    return sorted(found, key=lambda r: (true(r["held"]) is not False, -abs(known(r["error_frac"]) or 0.0), where(r)))


def _otherwise(checked: Checked, rows: list[dict[Hashable, Any]]) -> Table:
    """As many as the first sheet holds."""
    found = _table("Otherwise than said", checked, [r for r in rows if _is_otherwise(r)])
    return found.first(MOST_FIRST, BOOK).for_reader("page")


def _is_otherwise(r: Row) -> bool:
    return not r["within_p95"] or true(r["held"]) is False


def _table(name: str, checked: Checked, rows: list[dict[Hashable, Any]]) -> Table:
    cells = [
        (where(r), "GO" if r["said_go"] else "NO-GO", known(r["p50"]), known(r["p95"]), known(r["actual"]),
         known(r["error_frac"]), known(r["multiplier"]), known(r["multiplier_realised"]), known(r["safe"]),
         _YES.get(true(r["held"])), known(r["probability_holds"]), sentence(text(r["words"])))
        for r in rows
    ]  # fmt: skip
    columns = (
        Column("Service · region"), Column("Said", "status"), Column("P50 said", "number"),
        Column("P95 said", "number"), Column("Peak", "number"), Column("Error", "percent1"),
        Column("Times normal, expected", "ratio"),
        Column("Times normal, came", "ratio"), Column("Safe", "number"), Column("Held", "status"),
        Column("P(holds) said", "percent1"), Column("In words", "long", only="sheet"),
    )  # fmt: skip
    return Table(name, columns, cells)


def _sections(checked: Checked, rows: list[dict[Hashable, Any]]) -> list[Section]:
    lead = (
        "Error is the peak over the P50 said before, less one. Held: the peak stayed within the safe capacity (the "
        "tier's zones lost) of what ran; services without instances have none."
    )
    chart = charts.event_after(checked.review) if checked.review is not None else None
    caption = (
        "The bar is P50 to P95 as said before, the point what came, as a share of the P50; the tick is safe capacity. "
        "The largest errors first."
    )
    pictures = [] if chart is None else [_pictures.picture(chart, caption)]
    table = _table("What came", checked, rows).first(MOST_ROWS, BOOK)
    return [Section("came", "Said before, and what came", lead, [table], pictures)]
