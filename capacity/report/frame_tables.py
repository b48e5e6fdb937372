"""A frame as a table: what its columns are called, and how their values are told, by their names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from capacity.charts import visible
from capacity.report._table import Column, Kind, Table

# Headings of columns whose own name does not say it to a reader.
HEADS: Mapping[str, str] = {
    "ts": "time", "q10": "P10", "q50": "P50", "q90": "P90", "p_over": "chance over budget", "sku": "SKU",
    "usd_per_1000": "cost per 1,000", "provider_service": "provider's service", "charge": "kind of charge",
    "kwh": "energy, kWh", "kg_co2e": "carbon, kg CO2e", "aws_mean": "AWS's forecast", "aws_low": "AWS's low",
    "aws_high": "AWS's high", "ours_hourly": "ours an hour", "aws_hourly": "AWS's an hour",
}  # fmt: skip
# Kinds that the name alone does not give away.
KINDS: Mapping[str, Kind] = {
    "month": "month", "from_period": "text", "to_period": "text", "period": "text", "rate": "exact",
    "usd_per_1000": "per", "per_1000": "per", "average_per_1000": "per", "marginal_per_1000": "per",
    "marginal_low": "per", "marginal_high": "per", "usd_per_1000_covered_hours": "per", "p_over": "percent1",
    "probability": "percent1", "words": "long", "reason": "long", "reasons": "long", "evidence": "long",
    "basis": "long", "flags": "long", "suggested_rule": "long", "what": "long", "assumption": "long",
}  # fmt: skip
# Money as a model says it: whole units are all that it knows.
_MODEL_MONEY = ("q10", "q50", "q90", "amount", "projected", "run_rate", "actual", "expected", "low", "high", "extra")
_MONEY_ENDS = ("_usd", "_saving", "_cost", "_mean", "_low", "_high", "_hourly")


def frame_table(name: str, frame: pd.DataFrame, note: str = "") -> Table:
    """``frame`` as a table called ``name``: a heading in words, money in cents, shares in percent."""
    columns = tuple(Column(heading(str(c)), kind_of(str(c), frame[c])) for c in frame.columns)
    rows = [
        tuple(_value(value, column.kind) for value, column in zip(row, columns, strict=True))
        for row in frame.itertuples(index=False, name=None)
    ]
    return Table(name, columns, rows, note=note)


def heading(column: str) -> str:
    """What a reader calls the column: effective_cost as "Effective cost"; FOCUS names stay as they are."""
    if column in HEADS:
        text = HEADS[column]
        return text[:1].upper() + text[1:]
    if column[:1].isupper():
        return column
    said = column.removesuffix("_frac").removesuffix("_usd").replace("_", " ")
    return said[:1].upper() + said[1:]


def kind_of(column: str, values: pd.Series) -> Kind:
    """How values of this column are told."""
    if column in KINDS:
        return KINDS[column]
    if column.endswith("_frac"):
        return "percent1"
    known = values.dropna()
    first = known.iloc[0] if len(known) else None
    if isinstance(first, Decimal):
        return "cents"
    if isinstance(first, bool) or pd.api.types.is_bool_dtype(values):
        return "status"
    if isinstance(first, date | datetime | pd.Timestamp):
        return "date"
    if pd.api.types.is_float_dtype(values) and (column in _MODEL_MONEY or column.endswith(_MONEY_ENDS)):
        return "money"
    if pd.api.types.is_numeric_dtype(values):
        return "number"
    return "text"


def _value(value: Any, kind: Kind) -> Any:
    """A cell without numpy's and pandas' own kinds of nothing."""
    if isinstance(value, list | tuple | np.ndarray):
        return "; ".join(visible(str(x)) for x in value)
    if value is None or bool(pd.isna(value)):
        return None
    if kind == "status":
        return "yes" if value else "no"
    if kind == "date":
        return pd.Timestamp(value).to_pydatetime().replace(tzinfo=None)
    if kind in ("text", "long", "month"):
        return str(value)
    return value.item() if hasattr(value, "item") else value
