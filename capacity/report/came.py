"""Peak events that are over: what was said of each before, against what came; for the check and the plan's report."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from capacity import charts
from capacity.charts import visible
from capacity.plan import Plan
from capacity.report import _pictures
from capacity.report._cells import Row, known, records, text, true, where
from capacity.report._sections import Section
from capacity.report._table import Column, Table, sentence
from capacity.words import day

# Rows of a table on paper; the workbook has all of them. The latest events are on the page.
MOST_ROWS = 40
MOST_PLAN_ROWS = 12
MOST_EVENTS = 2
LEAD = (
    "Error is the peak over the P50 said before, less one. Held: the peak stayed within the safe capacity (the "
    "tier's zones lost) of what ran; services without instances have none."
)
_YES: Mapping[bool | None, str] = {True: "yes", False: "no"}


def ordered(frame: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """What went beyond safe capacity first, then the largest errors."""
    return sorted(
        records(frame), key=lambda r: (true(r["held"]) is not False, -abs(known(r["error_frac"]) or 0.0), where(r))
    )


def is_otherwise(r: Row) -> bool:
    """Was the peak above its P95, or beyond safe capacity?"""
    return not r["within_p95"] or true(r["held"]) is False


def table(name: str, rows: list[dict[Hashable, Any]]) -> Table:
    """``rows`` of plan frame ``event_review``, in their order."""
    cells = [
        (text(r["event"]), where(r), "GO" if r["said_go"] else "NO-GO", known(r["p50"]), known(r["p95"]),
         known(r["actual"]), known(r["error_frac"]), known(r["multiplier"]), known(r["multiplier_realised"]),
         known(r["safe"]), _YES.get(true(r["held"])), known(r["probability_holds"]), sentence(text(r["words"])))
        for r in rows
    ]  # fmt: skip
    columns = (
        Column("Event", only="sheet"), Column("Service · region"), Column("Said", "status"),
        Column("P50 said", "number"), Column("P95 said", "number"), Column("Peak", "number"),
        Column("Error", "percent1"), Column("Times normal, expected", "ratio"), Column("Times normal, came", "ratio"),
        Column("Safe", "number"), Column("Held", "status"), Column("P(holds) said", "percent1"),
        Column("In words", "long", only="sheet"),
    )  # fmt: skip
    return Table(name, columns, cells)


def picture(frame: pd.DataFrame) -> _pictures.Picture:
    """One event's peaks beside what was said of them."""
    caption = (
        "The bar is P50 to P95 as said before, the point what came, as a share of the P50; the tick is safe capacity. "
        "The largest errors first."
    )
    return _pictures.picture(charts.event_after(frame), caption)


def sheet(plan: Plan) -> Table:
    """Every event that is over and of which a forecast was stored before."""
    return table("What came", ordered(plan.frame("event_review")))


def section(plan: Plan) -> Section:
    """The latest of them, each with its peaks."""
    frame = plan.frame("event_review")
    tables, lines = [], []
    for name in frame["event"].drop_duplicates().tolist()[:MOST_EVENTS]:
        mine = frame[frame["event"] == name]
        first, within = records(mine)[0], int(mine["within_p95"].sum())
        lines.append(
            f"{visible(name)} of {day(first['start'].date())}: {within} of {len(mine)} peaks were within the P95 said "
            f"before ({text(first['basis'])} of {day(first['origin'].date())})."
        )
        tables.append(table(visible(name), ordered(mine)).first(MOST_PLAN_ROWS))
    return Section("events-over", "Peak events that are over", LEAD if tables else "", tables, (), lines)
