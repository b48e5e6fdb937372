"""The FinOps review as files: a workbook with a sheet a table, a CSV a table, and the allocated rows in FOCUS form."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from capacity.report._table import Table
from capacity.report._workbook import cell_text, write_tables
from capacity.report.frame_tables import frame_table

if TYPE_CHECKING:
    import pyarrow as pa

# Frame -> its sheet, in the order in which a review goes through them.
SHEETS: Mapping[str, str] = {
    "invoice_ties": "Invoices",
    "cost": "Cost by service",
    "cost_converted": "In one currency",
    "unit_cost": "Unit cost",
    "unit_cost_groups": "Unit cost by group",
    "journey_costs": "Journeys",
    "unit_cost_forecast": "Unit cost ahead",
    "bridge": "Bridge",
    "budget_outlook": "Budget",
    "spend_backtest": "Forecast accuracy",
    "spend_apart": "Beside running spend",
    "commitment_review": "Commitments",
    "commitment_expiry": "Commitments ending",
    "commitment_comparison": "Commitments to buy",
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
    known = [(sheet, frames[name]) for name, sheet in SHEETS.items() if name in frames]
    return [frame_table(sheet, frame) for sheet, frame in known if len(frame)]


def write_review(
    folder: Path,
    frames: Mapping[str, pd.DataFrame],
    allocated: pa.Table,
    *,
    about: Sequence[tuple[str, str]],
    created: datetime,
) -> list[Path]:
    """Write review.xlsx, csv/<frame>.csv and the allocated rows as allocated.csv and allocated.parquet.

    Parameters
    ----------
    frames
        By the names of :data:`SHEETS`; others are left out.
    allocated
        The bill's rows by service in FOCUS columns (:func:`capacity.costs.allocated_rows`).
    about
        What and of when the review is: the first sheet.
    created
        The moment of the review: the same review gives the same workbook.

    Notes
    -----
    In sheets and CSV files a text that a spreadsheet would run as a formula begins with an apostrophe; numbers stay
    numbers (-3 is minus three). allocated.parquet has every text as it is. A sheet's numbers have 15 digits, as the
    program that opens it reckons; the CSV files have all of them.
    """
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    first = frame_table("Review", pd.DataFrame(about, columns=["what", "value"]))
    book = folder / "review.xlsx"
    partial = folder / "review.xlsx.partial"
    write_tables(partial, "FinOps review", created, [first, *review_tables(frames)])
    partial.replace(book)
    written = [book]
    tables = folder / "csv"
    tables.mkdir(exist_ok=True)
    filled = [n for n in SHEETS if n in frames and len(frames[n])]
    written += [write_csv(tables / f"{name}.csv", frames[name]) for name in filled]
    written.append(write_csv(folder / "allocated.csv", allocated))
    pq.write_table(allocated, folder / "allocated.parquet")
    return [*written, folder / "allocated.parquet"]


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
    return value.isoformat() if hasattr(value, "isoformat") else value
