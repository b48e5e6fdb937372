"""The peak check as files: one page for the meeting, one workbook with a sheet a table."""

from __future__ import annotations

from pathlib import Path

from capacity.errors import UsageError
from capacity.report._table import Column, Table
from capacity.report._workbook import write_tables
from capacity.report.check_after import after_cards, after_facts, after_sheets, render_after
from capacity.report.check_page import cards, cautions, facts, render_check, sizes
from capacity.report.check_tables import Checked, sheets


def write_check(checked: Checked, folder: Path) -> tuple[Path, Path]:
    """Write check.html and check.xlsx into ``folder``; returns their paths. The same check gives the same files.

    Of an event that is over they hold what was said before against what came.

    Raises
    ------
    UsageError
        ``folder`` cannot be written to.
    """
    page, book = folder / "check.html", folder / "check.xlsx"
    over = checked.review is not None
    text = render_after(checked) if over else render_check(checked)
    behind = after_sheets(checked) if over else sheets(checked)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "check.html.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(page)
        partial = folder / "check.xlsx.partial"
        write_tables(partial, "Peak event", checked.as_of, [about(checked), *behind])
        partial.replace(book)
    except OSError as error:
        raise UsageError(f"--out: {folder} cannot be written to ({error.strerror}); choose another folder") from None
    return page, book


def about(checked: Checked) -> Table:
    """What the check is of, and what stands on the page's first sheet, in sentences."""
    over = checked.review is not None
    figures = after_cards(checked) if over else cards(checked)
    told = after_facts(checked) if over else facts(checked)
    rows = [("Company", checked.company), *told, *((c.label, f"{c.value}. {c.note}") for c in figures)]
    if not over:
        rows += [("Size", text) for text in sizes(checked)] + [("Caveat", text) for text in cautions(checked)]
    return Table("Check", (Column("What"), Column("Value", "long")), rows)
