"""The FinOps review as files: a workbook with a sheet a table, a CSV a table, and the allocated rows in FOCUS form."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from capacity.errors import UsageError
from capacity.report._table import Column, Table
from capacity.report._workbook import cell_text, write_tables
from capacity.report.frame_tables import frame_table
from capacity.report.review_first import cards, decisions
from capacity.report.review_page import render_review
from capacity.report.review_sums import services, teams

if TYPE_CHECKING:
    import pyarrow as pa

    from capacity.pipeline import CostReport

# Frame -> its sheet, in the order in which a review goes through them.
SHEETS: Mapping[str, str] = {
    "invoice_ties": "Invoices",
    "cost": "Cost by month",
    "cost_converted": "In one currency",
    "unit_cost": "Unit cost",
    "unit_cost_groups": "Unit cost by group",
    "journey_costs": "Journeys",
    "unit_cost_forecast": "Unit cost ahead",
    "bridge": "Bridge",
    "budget_closed": "Closed against budget",
    "budget_outlook": "Budget",
    "spend_backtest": "Forecast accuracy",
    "spend_apart": "Beside running spend",
    "commitment_review": "Commitments",
    "commitment_expiry": "Commitments ending",
    "commitment_comparison": "Commitments to buy",
    "purchases": "Purchases of the plan",
    "waste": "Waste",
    "spend_anomalies": "Spend anomalies",
    "rule_hits": "Rules",
    "unallocated": "Unallocated",
    "pool_steps": "Shared pools",
    "private_discounts": "Private discounts",
    "tie_services": "Fleet against bill",
    "carbon": "Carbon",
    "review_notes": "Notes",
}


def review_tables(frames: Mapping[str, pd.DataFrame]) -> list[Table]:
    """A table a frame that has rows, in the order of the review."""
    known = [(name, sheet, frames[name]) for name, sheet in SHEETS.items() if name in frames]
    return [frame_table(sheet, frame, of=name) for name, sheet, frame in known if len(frame)]


def write_review(found: CostReport, folder: Path) -> list[Path]:
    """Write review.html, review.xlsx, csv/<frame>.csv and the allocated rows as allocated.csv and allocated.parquet.

    Returns
    -------
    list of Path
        What was written. Each file is complete or not there; the same review gives the same files.

    Notes
    -----
    In sheets and CSV files a text that a spreadsheet would run as a formula begins with an apostrophe; numbers stay
    numbers (-3 is minus three). allocated.parquet has every text as it is. A sheet's numbers have 15 digits, as the
    program that opens it reckons; the CSV files have all of them.
    """
    import pyarrow.parquet as pq

    try:
        (folder / "csv").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out: {folder} cannot be written to ({error.strerror}); choose another folder") from None
    page, book, allocated = folder / "review.html", folder / "review.xlsx", found.allocated()
    _complete(page, lambda p: p.write_text(render_review(found), encoding="utf-8"))
    first = Table("Review", (Column("What"), Column("Value", "long")), about(found))
    sheets = [first, decisions(found), services(found), teams(found), *review_tables(found.frames)]
    _complete(book, lambda p: write_tables(p, "FinOps review", found.as_of, sheets))
    filled = [n for n in SHEETS if n in found.frames and len(found.frames[n])]
    written = [page, book, *(write_csv(folder / "csv" / f"{name}.csv", found.frames[name]) for name in filled)]
    written.append(write_csv(folder / "allocated.csv", allocated))
    _complete(folder / "allocated.parquet", lambda p: pq.write_table(allocated, p))
    return [*written, folder / "allocated.parquet"]


def about(found: CostReport) -> list[tuple[str, str]]:
    """What the review is of, and what it says in sentences."""
    facts = [
        ("Company", found.company),
        ("Month", found.month),
        ("As of", f"{found.as_of:%Y-%m-%d %H:%M} UTC"),
        ("Bridge", f"{found.periods[0]} to {found.periods[1]}" if found.periods else "nothing to compare with"),
        ("Plan", f"made as of {found.plan_as_of:%Y-%m-%d}" if found.plan_as_of else "none given: nothing looks ahead"),
    ]
    figures = [(c.label, f"{c.value}. {c.note}") for c in cards(found) if c is not None]
    return facts + figures + [("In words", text) for text in found.sentences]


def _complete(path: Path, write: Callable[[Path], object]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    write(partial)
    partial.replace(path)


def write_csv(path: Path, frame: pd.DataFrame | pa.Table) -> Path:
    """Write ``frame`` as CSV (UTF-8, with a heading): decimals in full, times in ISO form, nothing as nothing."""
    names = [str(c) for c in (frame.columns if isinstance(frame, pd.DataFrame) else frame.column_names)]
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(names)
        for row in _rows(frame):
            writer.writerow([_csv_cell(value) for value in row])
    partial.replace(path)
    return path


def _rows(frame: pd.DataFrame | pa.Table) -> Any:
    if isinstance(frame, pd.DataFrame):
        yield from frame.itertuples(index=False, name=None)
        return
    for batch in frame.to_batches(max_chunksize=50_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _csv_cell(value: Any) -> Any:
    if isinstance(value, str):
        return cell_text(value)
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict | list | tuple):
        return cell_text(str(value))
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # as FOCUS writes moments
    return value.isoformat() if hasattr(value, "isoformat") else value
