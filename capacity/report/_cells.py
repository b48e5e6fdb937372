"""Cells of a plan's frames as numbers, words and answers, whatever the frame holds where there is nothing."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from decimal import Decimal
from typing import Any

import pandas as pd

from capacity.charts import unit_label, visible

Row = Mapping[Hashable, Any]


def records(rows: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return rows.to_dict("records")


def known(value: Any) -> float | None:
    """A number of a frame, or None where it is none, missing or infinite."""
    if value is None or bool(pd.isna(value)):
        return None
    return None if math.isinf(float(value)) else float(value)


def text(value: Any) -> str:
    """A cell of words; "" where there is none. Lists of words are joined."""
    if isinstance(value, list | tuple) or hasattr(value, "tolist"):
        return "; ".join(visible(str(x)) for x in value)
    return "" if value is None or bool(pd.isna(value)) else visible(str(value))


def true(value: Any) -> bool | None:
    """A cell that holds or does not; None where it is unknown."""
    return None if value is None or bool(pd.isna(value)) else bool(value)


def amount(value: Any) -> Any:
    """A cell of money as it is; None where there is none."""
    return None if value is None or bool(pd.isna(value)) else value


def decimal(value: Any) -> Decimal:
    """A cell of money; a float (of a frame that lost its decimals) by its shortest text."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def where(r: Row) -> str:
    """The unit of a row, a service alone where no region is named, "" where it is of the whole fleet."""
    service, region = text(r["service"]), text(r.get("region"))
    return unit_label(service, region) if region else service
