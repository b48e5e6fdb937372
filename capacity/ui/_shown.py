"""The report's tables on a page: numbers and days a reader can sort by, all else in the report's own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from capacity.report import Column, Table, say
from capacity.ui import _format as fmt
from capacity.ui import _kept
from capacity.ui import _widgets as ui

# Kinds that a reader sorts by number, and the digits that count; all else is shown in the report's own words.
_DIGITS = {"money": 2, "cents": 2, "ratio": 4, "number": 4, "percent": 2, "percent1": 3}


def frame_of(table: Table) -> pd.DataFrame:
    """A report's table as a frame: numbers and days stay what they are, the rest is words without markdown."""
    shown = table.for_reader("page")
    rows = [[_cell(v, c) for v, c in zip(row, shown.columns, strict=True)] for row in shown.rows]
    return pd.DataFrame(rows, columns=[c.head for c in shown.columns])


def _cell(value: Any, column: Column) -> Any:
    if column.kind in _DIGITS:
        return None if value is None or pd.isna(value) else round(float(value), _DIGITS[column.kind])
    if column.kind == "date":
        return value if value is not None and not pd.isna(value) else None
    return fmt.visible(say(value, column.kind, "" if column.none == "–" else column.none))


def columns(table: Table, widths: Mapping[str, int], currency: str = "") -> dict[str, Any]:
    """Column formats by kind: dates short, factors with two digits, widths where they are given.

    Headings lose ``currency``: narrow columns cut it off, so the page says it once beside the table.
    """
    out: dict[str, Any] = {}
    for column in table.for_reader("page").columns:
        label = column.head.replace(f", {currency}", "") if currency else column.head
        width = widths.get(label)
        match column.kind:
            case "date":
                out[column.head] = st.column_config.DateColumn(format="DD MMM YYYY", width=width or 88)
            case "ratio":
                out[column.head] = st.column_config.NumberColumn(format="%.2f", width=width or 72)
            case "money":
                out[column.head] = st.column_config.NumberColumn(label, format="%,.0f", width=width or 95)
            case "cents":
                out[column.head] = st.column_config.NumberColumn(label, format="%,.2f", width=width or 95)
            case "percent" | "percent1":
                out[column.head] = st.column_config.NumberColumn(format="percent", width=width or 72)
            case "number":
                out[column.head] = st.column_config.NumberColumn(label, format="localized", width=width)
            case _ if width:
                out[column.head] = st.column_config.TextColumn(width=width)
    return out


def table(
    shown: Table,
    alt: str,
    nothing: str,
    widths: Mapping[str, int],
    most_rows: int = 8,
    lines: int = 1,
    instead: Mapping[str, Any] | None = None,
    currency: str = "",
) -> None:
    """``shown`` as :func:`capacity.ui._widgets.table` draws it; ``instead`` replaces single column formats."""
    ui.table(
        _kept.result(frame_of, shown),
        alt,
        {**columns(shown, widths, currency), **(instead or {})},
        nothing,
        most_rows,
        lines,
    )
