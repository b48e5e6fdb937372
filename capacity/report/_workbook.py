"""A plan as a workbook: a sheet a table, numbers as numbers, and no cell that computes or links."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from capacity.decisions import Decision
from capacity.plan import Plan
from capacity.report import _summary, _tables, came, decided, known, planned
from capacity.report._document import scenario_table, solver_lines
from capacity.report._table import TEXTS, Column, Table, missing
from capacity.report.calendar import order_dates
from capacity.report.since import Since

# Significant digits that a double keeps exactly.
EXACT_DIGITS = 15
# Excel's own limit of a cell's text.
MOST_TEXT = 32_000
MOST_ROWS = 1_048_000
# A text that starts so is read as a formula by a program that opens the sheet as CSV.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_WIDTHS = {"text": 28, "long": 60}
_FORMATS = {
    "money": "#,##0.00", "cents": "#,##0.00", "exact": "#,##0.00##########", "per": "0.00000###", "percent": "0.0%",
    "percent1": "0.0%", "ratio": "0.00", "number": "#,##0.###", "quantity": "#,##0.###", "date": "yyyy-mm-dd",
    "text": "@", "long": "@", "status": "@", "month": "@",
}  # fmt: skip


def tables(
    plan: Plan, comparison: Sequence[Plan], taken: Sequence[Decision] = (), before: Since | None = None
) -> list[Table]:
    """Every table of the workbook, whole, in the order of its sheets."""
    found = [
        _about(plan), _tables.findings(plan), decided.table(taken), order_dates(plan),
        *(before.sheets if before else ()),
        _tables.saturation(plan), _tables.headroom(plan), _tables.mix(plan),
        _tables.mix_months(plan), _tables.spend_months(plan), *planned.sheets(plan), _tables.events(plan),
        _tables.cost_months(plan), *_tables.cost_services(plan),
        _tables.unallocated(plan), _tables.unit_cost(plan), _tables.spend(plan), _tables.tie_outs(plan),
        _tables.forecasts(plan), _tables.excuses(plan), _tables.freshness(plan), _tables.quality(plan),
        *known.sheets(plan), _tables.provenance(plan),
    ]  # fmt: skip
    found += [t for t in (came.sheet(plan),) if t.rows]
    found += [scenario_table([plan, *comparison])] if comparison else []
    return [table.for_reader("sheet") for table in found]


def _about(plan: Plan) -> Table:
    rows = [
        ("Company", plan.company), ("As of", f"{plan.as_of:%Y-%m-%d %H:%M} UTC"), ("Scenario", plan.scenario),
        ("Description", plan.description), ("Horizon", f"{plan.horizon_start} to {plan.horizon_end}"),
        ("Currency", plan.currency), ("Spend forecast", plan.spend_note),
        *((card.label, f"{card.value}. {card.note}") for card in _summary.cards(plan)),
        *(("Caveat", line) for line in _summary.caveats(plan)), *(("Mix", line) for line in solver_lines(plan)),
    ]  # fmt: skip
    return Table("Plan", (Column("What"), Column("Value", "long")), rows)


def write_workbook(
    plan: Plan,
    path: Path,
    comparison: Sequence[Plan] = (),
    taken: Sequence[Decision] = (),
    before: Since | None = None,
) -> None:
    """Write the workbook of ``plan`` to ``path``; the same plan gives the same bytes."""
    write_tables(path, "Capacity plan", plan.as_of, tables(plan, comparison, taken, before))


def write_tables(path: Path, title: str, created: datetime, sheets: Sequence[Table]) -> None:
    """Write a workbook of ``sheets``: headings and first column stay in sight, columns can be filtered.

    ``created`` is the moment of what is written, not of the writing: the same tables give the same bytes.
    """
    import xlsxwriter

    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "in_memory": True}
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties({"title": title, "created": created.replace(tzinfo=None)})
        for table in sheets:
            _Sheet(book, table).write()


class _Sheet:
    """One table on its sheet; a quantity takes two columns, its number and its unit."""

    def __init__(self, book: Any, table: Table) -> None:
        self.table = table
        self.sheet = book.add_worksheet(table.name[:31])
        self.formats = {kind: book.add_format({"num_format": text}) for kind, text in _FORMATS.items()}
        self.head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        self.bold = {
            kind: book.add_format({"num_format": text, "bold": True, "top": 1}) for kind, text in _FORMATS.items()
        }

    def write(self) -> None:
        self._heads()
        rows = self.table.rows[:MOST_ROWS]
        for y, row in enumerate(rows, start=1):
            self._row(y, row, self.formats)
        if self.table.total is not None:
            self._row(len(rows) + 1, self.table.total, self.bold)
        self.sheet.freeze_panes(1, 1)
        if rows:
            self.sheet.autofilter(0, 0, len(rows), self._width() - 1)

    def _width(self) -> int:
        return sum(2 if c.kind == "quantity" else 1 for c in self.table.columns)

    def _heads(self) -> None:
        x = 0
        for column in self.table.columns:
            heads = [column.head, f"{column.head}, unit"] if column.kind == "quantity" else [column.head or "State"]
            for head in heads:
                self.sheet.write_string(0, x, head, self.head)
                self.sheet.set_column(x, x, _WIDTHS.get(column.kind, 16))
                x += 1

    def _row(self, y: int, row: Sequence[Any], formats: dict[str, Any]) -> None:
        x = 0
        for value, column in zip(row, self.table.columns, strict=True):
            if column.kind == "quantity":
                number, unit = value if value is not None else (None, None)
                self._cell(y, x, number, "number", formats)
                self._cell(y, x + 1, unit, "text", formats)
                x += 2
            else:
                self._cell(y, x, value, column.kind, formats)
                x += 1

    def _cell(self, y: int, x: int, value: Any, kind: str, formats: dict[str, Any]) -> None:
        if missing(value):
            self.sheet.write_blank(y, x, None, formats[kind])
        elif kind in TEXTS or kind == "month":
            self.sheet.write_string(y, x, cell_text(str(value)), formats["text"])
        elif kind == "date":
            self.sheet.write_datetime(y, x, value, formats[kind])
        elif kind == "exact" and isinstance(value, Decimal) and not fits_a_double(value):
            self.sheet.write_string(y, x, f"{value:f}", formats["text"])
        elif value == "":
            self.sheet.write_blank(y, x, None, formats[kind])
        else:
            self.sheet.write_number(y, x, float(value), formats[kind])


def cell_text(text: str) -> str:
    """``text`` for a cell; an apostrophe before what another program could take for a formula."""
    cut = text[:MOST_TEXT]
    return f"'{cut}" if cut.startswith(_FORMULA_STARTS) else cut


def fits_a_double(value: Decimal) -> bool:
    """Has ``value`` so few digits that a double, which Excel keeps, tells it exactly?"""
    return len(value.normalize().as_tuple().digits) <= EXACT_DIGITS
