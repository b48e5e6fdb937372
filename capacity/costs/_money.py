"""Exact money: decimal128(38, 12) in Arrow, whole numbers of 1e-12 in Python, and sums by group in between.

Python's own Decimal rounds to 28 digits unless told otherwise, so no amount is added as a Decimal here: sums run
in Arrow (128 bits) or over Python integers (no limit), and a Decimal is only ever made from a finished figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Context, Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import CorruptDataError
from capacity.schemas import MONEY

SCALE = 12  # decimal places of schemas.MONEY
ONE = 10**SCALE
# decimal128 holds 38 digits; 60 leave room for a product and a quotient before the one rounding.
EXACT = Context(prec=60)
# A row beyond this is not money; below it, 1e8 rows add up without leaving 38 digits.
LARGEST_AMOUNT = Decimal(10) ** 18


def to_units(column: pa.Array | pa.ChunkedArray) -> list[int]:
    """Amounts as whole numbers of 1e-12; a null counts as zero."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    array = pc.fill_null(array.cast(MONEY), pa.scalar(Decimal(0), MONEY))
    if len(array) == 0:
        return []
    halves = np.frombuffer(array.buffers()[1], dtype="<i8").reshape(-1, 2)[array.offset : array.offset + len(array)]
    low, high = halves[:, 0].astype("<u8").tolist(), halves[:, 1].tolist()
    return [(h << 64) + lo for h, lo in zip(high, low, strict=True)]


def from_units(values: Iterable[int]) -> pa.Array:
    """Whole numbers of 1e-12 as an Arrow column of money."""
    data = [v.to_bytes(16, "little", signed=True) for v in values]
    return pa.Array.from_buffers(MONEY, len(data), [None, pa.py_buffer(b"".join(data))])


def to_decimal(units: int) -> Decimal:
    """A whole number of 1e-12 as a Decimal with 12 places."""
    return Decimal(units).scaleb(-SCALE, context=EXACT)


def to_decimals(column: pa.Array | pa.ChunkedArray) -> list[Decimal]:
    """An Arrow column of money as Decimals; a null counts as zero."""
    return [to_decimal(u) for u in to_units(column)]


def quantize(value: Decimal) -> int:
    """``value`` rounded half to even to whole numbers of 1e-12."""
    return int(EXACT.to_integral_value(EXACT.scaleb(value, SCALE)))


def check_magnitude(table: pa.Table, columns: Sequence[str]) -> None:
    """Refuse amounts that no invoice has, before a sum could leave 128 bits."""
    for name in columns:
        span = pc.min_max(table.column(name)).as_py()
        worst = max((abs(v) for v in span.values() if v is not None), default=Decimal(0))
        if worst > LARGEST_AMOUNT:
            raise CorruptDataError(
                f"cost: column {name} holds {worst}, more than {LARGEST_AMOUNT}; "
                "mend the source of this bill: an amount that large is a misread number"
            )


def sums_by_group(
    table: pa.Table, group: npt.NDArray[np.int64], groups: int, columns: Sequence[str]
) -> Mapping[str, pa.Array]:
    """Exact sums, null counts and row counts of ``columns`` by group.

    Parameters
    ----------
    table
        Rows with money or quantity columns.
    group
        (rows,) group of each row, 0 to ``groups`` - 1, each group taken at least once.

    Returns
    -------
    mapping
        ``name`` -> (groups,) sums, nulls as zero; ``name_nulls`` -> (groups,) counts; ``rows`` -> (groups,) counts.
    """
    work = pa.table({"group": pa.array(group), **{c: table.column(c) for c in columns}})
    wanted = [(c, how) for c in columns for how in ("sum", "count")]
    done = work.group_by("group").aggregate([*wanted, ("group", "count")])
    done = done.take(np.argsort(done.column("group").to_numpy(), kind="stable"))  # threads return groups in any order
    if done.num_rows != groups:
        raise ValueError(f"{groups} groups expected, {done.num_rows} found")
    rows = done.column("group_count").combine_chunks()
    out: dict[str, pa.Array] = {"rows": rows}
    for c in columns:
        total = done.column(f"{c}_sum").combine_chunks().cast(MONEY)
        out[c] = pc.fill_null(total, pa.scalar(Decimal(0), MONEY))
        out[f"{c}_nulls"] = pc.subtract(rows, done.column(f"{c}_count").combine_chunks())
    return out
