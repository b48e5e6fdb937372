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
    "aws_high": "AWS's high", "ours_hourly": "ours an hour", "aws_hourly": "AWS's an hour", "words": "in words",
    "aws_words": "AWS's forecast in words", "extra": "beyond expected", "one_off": "one-off",
    "direct": "billed direct", "shared": "billed shared", "unallocated": "billed unallocated",
    "usd_per_1000_covered_hours": "cost per 1,000, covered hours", "trend_frac_per_month": "trend a month",
    "monthly_usd": "a month", "in_plan_usd": "of it in the plan", "held_usd": "held, no waste", "hourly_usd": "an hour",
    "saving_mean": "mean saving", "discount_frac": "discount, share", "per_1000": "per 1,000",
    "average_per_1000": "average per 1,000", "marginal_per_1000": "marginal per 1,000",
    "long_run_per_1000": "long run per 1,000", "covers_frac": "share covered", "monthly_more": "more a month",
    "monthly_on_demand": "on demand a month", "uncovered": "on demand",
}  # fmt: skip
# Kinds that the name alone does not give away.
KINDS: Mapping[str, Kind] = {
    "month": "month", "from_period": "text", "to_period": "text", "period": "text", "rate": "exact",
    "usd_per_1000": "per", "per_1000": "per", "average_per_1000": "per", "marginal_per_1000": "per",
    "marginal_low": "per", "marginal_high": "per", "long_run_per_1000": "per", "long_run_low": "per",
    "long_run_high": "per", "trend_frac_per_month": "percent1", "trend_low": "percent1", "trend_high": "percent1",
    "usd_per_1000_covered_hours": "per", "p_over": "percent1",
    "probability": "percent1", "words": "long", "reason": "long", "reasons": "long", "evidence": "long",
    "basis": "long", "flags": "long", "suggested_rule": "long", "what": "long", "assumption": "long",
}  # fmt: skip
# Money as a model says it: whole units are all that it knows.
_MODEL_MONEY = ("q10", "q50", "q90", "amount", "projected", "run_rate", "actual", "expected", "low", "high", "extra")
# Money of 1,000 units: a request costs a millionth.
_OF_UNITS = frozenset({"unit_cost_forecast"})
_QUANTILES = frozenset({"q10", "q50", "q90"})
# Names of ours that a reader gets as words.
_NAMED = frozenset({"kind", "term", "product", "charge", "method", "payment", "to_kind"})
_PRODUCTS: Mapping[str, str] = {
    "compute_sp": "Compute Savings Plan", "ec2_instance_sp": "EC2 Instance Savings Plan", "standard_ri": "Standard RI",
    "ec2_ri": "EC2 Reserved Instances", "sagemaker_sp": "SageMaker Savings Plan",
}  # fmt: skip
_MONEY_ENDS = ("_usd", "_saving", "_cost", "_mean", "_low", "_high", "_hourly")


def frame_table(name: str, frame: pd.DataFrame, note: str = "", of: str = "") -> Table:
    """``frame`` (called ``of`` in a plan) as table ``name``: headings in words, money in cents, shares in percent."""
    names = [str(c) for c in frame.columns]
    columns = tuple(
        Column(heading(c), "per" if of in _OF_UNITS and c in _QUANTILES else kind_of(c, frame[c])) for c in names
    )
    rows = [
        tuple(_value(v, column.kind, c in _NAMED) for v, column, c in zip(row, columns, names, strict=True))
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


def _value(value: Any, kind: Kind, is_name: bool = False) -> Any:
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
        return _PRODUCTS.get(str(value), str(value).replace("_", " ")) if is_name else str(value)
    return value.item() if hasattr(value, "item") else value
