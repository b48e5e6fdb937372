"""Black Friday of the demo company as one run checked it, kept in golden/demo_event.json: golden files do not move with
the forecast.

Kept anew with: capacity check -c CONFIG --event black-friday-2026 --json > tests/report/golden/demo_event.json
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path

from pydantic import TypeAdapter

from capacity.plan import EventSummary, Plan
from capacity.report import Checked
from tests.report.test_workbook import Book

GOLDEN = Path(__file__).with_name("golden")
KEPT = GOLDEN / "demo_event.json"
AS_OF = datetime(2026, 10, 5, 12, tzinfo=UTC)


@lru_cache
def load() -> Checked:
    """The check that was kept."""
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    event = TypeAdapter(EventSummary).validate_python(kept["event"])
    return Checked("Tidewater Outfitters", AS_OF, event)


def of_plan(plan: Plan) -> Checked:
    """The plan's first event as the command checks it."""
    return Checked(plan.company, plan.as_of, plan.events[0], {u.unit: u.demand_unit for u in plan.units})


class _Reader(HTMLParser):
    """What a reader sees of a report without its pictures: a line a heading, paragraph, item and row."""

    _LINES = frozenset({"h1", "h2", "p", "li", "tr", "figcaption", "dt", "nav", "footer"})
    _HIDDEN = frozenset({"style", "svg", "title"})

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = [""]
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in self._HIDDEN
        if tag in ("td", "th"):
            self.lines[-1] += "| "
        elif tag in self._LINES:
            self.lines.append("#" * int(tag[1]) + " " if tag in ("h1", "h2") else "")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in self._HIDDEN
        if tag in ("td", "th", "dt"):
            self.lines[-1] += " "

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.lines[-1] += data.strip("\n")


def words(html: str) -> str:
    """A report as lines of text, without its pictures."""
    reader = _Reader()
    reader.feed(html)
    lines = (line.strip() for line in reader.lines)
    return "\n".join(line for line in lines if line.strip("# ")) + "\n"


def cells(book: Book) -> str:
    """A workbook as text: a heading a sheet, a line a row."""
    out = []
    for name, rows in book.sheets.items():
        out.append(f"# {name}")
        out += [
            " | ".join("" if c is None else f"{c:.10g}" if isinstance(c, float) else c for c in row) for row in rows
        ]
    return "\n".join(out) + "\n"
