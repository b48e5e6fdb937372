"""What every row of a bill must have, and the message where it does not."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import CorruptDataError
from capacity.schemas import COST_REQUIRED
from capacity.sources._tabular import TabularFile


def refuse_nulls(arrays: Mapping[str, pa.Array], file: TabularFile, first_row: int) -> None:
    """Raise for the first row without a value that every row needs."""
    for name in COST_REQUIRED:
        if arrays[name].null_count:
            row = pc.index(pc.is_null(arrays[name]), True).as_py()
            raise corrupt(file, name, first_row + row, None, "a value in every row")


def refuse_odd_period(arrays: Mapping[str, pa.Array], file: TabularFile, first_row: int) -> None:
    """Raise for the first row whose billing period does not end after it begins."""
    odd = pc.less_equal(arrays["BillingPeriodEnd"], arrays["BillingPeriodStart"])
    if pc.any(odd).as_py():
        row = pc.index(odd, True).as_py()
        value = arrays["BillingPeriodEnd"][row].as_py().isoformat()
        raise corrupt(file, "BillingPeriodEnd", first_row + row, value, "an end after BillingPeriodStart")


def corrupt(file: TabularFile, column: str, row: int, value: object, allowed: str) -> CorruptDataError:
    """The error that names file, line, column, what was found and what is allowed."""
    found = "no value" if value is None else f"'{str(value)[:80]}'"
    return CorruptDataError(f"{file.called}: {file.place(row)}: column {column}: found {found}; allowed: {allowed}")
