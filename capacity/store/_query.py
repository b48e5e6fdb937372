"""Sums over a bill that is too large to load: DuckDB over the files of one version, in decimal throughout."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from capacity.errors import CorruptDataError, UsageError
from capacity.schemas import COST_MONEY, COST_TEXT, MONEY, TEXT
from capacity.store import _delta
from capacity.store._compact import data_files
from capacity.store._place import local_path
from capacity.store._store import Store

_KEYS = (*COST_TEXT, "source", "file")
_MICROSECONDS_A_DAY = 86_400_000_000
# DuckDB reads these in a file's name as a pattern.
_GLOB = frozenset("*?[]{}")


def daily_cost(
    store: Store,
    version: int | None = None,
    by: Sequence[str] = ("ServiceName",),
    start: datetime | None = None,
    end: datetime | None = None,
    column: str = "EffectiveCost",
) -> pa.Table:
    """What a bill says a day costs, by key; the sums are exact.

    Parameters
    ----------
    version
        Of the cost table; the newest where None.
    by
        Text columns of the cost table. BillingCurrency always joins them: amounts of two currencies are never added.
    start, end
        Charges that begin at or after ``start`` and before ``end``, with zone.
    column
        One of the four cost columns. List and contracted cost count both a commitment's purchase and what it covers,
        as FOCUS has them.

    Returns
    -------
    pyarrow.Table
        day (date32, the UTC day in which the charge period begins), the keys, BillingCurrency, and ``column`` as
        decimal128(38, 12), ordered by day and keys. A charge of several days counts on its first. Without rows where
        there is no bill; null where no charge of the group has an amount.

    Raises
    ------
    UsageError
        A column that is not there, or a moment without zone.
    MissingDataError
        That version does not exist (any more).
    CorruptDataError
        A file that cannot be read, or a sum beyond 38 digits.
    """
    keys = _keys(by, column)
    span = {"low": _microseconds(start), "high": _microseconds(end)}
    schema = pa.schema([("day", pa.date32()), *((k, TEXT) for k in keys), (column, MONEY)])
    found = _delta.open_table(store.place / "cost", version)
    if found is None or not found.file_uris():
        return schema.empty_table()
    return _run(found, keys, column, span).cast(schema)


def _keys(by: Sequence[str], column: str) -> list[str]:
    if column not in COST_MONEY:
        raise UsageError(f"no cost column '{column}'; known: {', '.join(COST_MONEY)}")
    unknown = [k for k in by if k not in _KEYS]
    if unknown:
        raise UsageError(f"cost cannot be grouped by {', '.join(unknown)}; known: {', '.join(_KEYS)}")
    return list(dict.fromkeys((*by, "BillingCurrency")))


def _microseconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise UsageError(f"{moment} has no zone; write it as 2026-01-31T00:00:00Z")
    return round(moment.astimezone(UTC).timestamp() * 1_000_000)


def _run(table: Any, keys: Sequence[str], column: str, span: dict[str, int | None]) -> pa.Table:
    """Names in the statement are columns of the schema; paths and bounds are parameters."""
    import duckdb

    folder = local_path(table.table_uri)
    paths = [] if folder is None else [str(folder / f.path) for f in data_files(table)]
    local = bool(paths) and not any(_GLOB & set(p) for p in paths)
    names = ", ".join(f'"{k}"' for k in keys)
    # Days as whole numbers: dates with a zone would need an extension of DuckDB.
    statement = f"""
        SELECT DATE '1970-01-01' + CAST(micros // {_MICROSECONDS_A_DAY} AS INTEGER) AS day, {names},
               sum("{column}") AS "{column}"
        FROM (SELECT epoch_us("ChargePeriodStart") AS micros, * FROM {"read_parquet($files)" if local else "bill"})
        WHERE ($low IS NULL OR micros >= $low) AND ($high IS NULL OR micros < $high)
        GROUP BY ALL ORDER BY ALL
    """  # noqa: S608
    with duckdb.connect() as connection:
        if not local:
            connection.register("bill", _delta._dataset(table))
        try:
            return connection.sql(statement, params={**span, **({"files": paths} if local else {})}).to_arrow_table()
        except duckdb.Error as error:
            raise CorruptDataError(f"{table.table_uri}: cannot be summed ({error}); restore the folder") from None
