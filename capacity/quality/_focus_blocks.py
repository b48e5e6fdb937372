"""Batches of a bill as blocks of a good size, with the FOCUS columns alone, in types that DuckDB reads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import CorruptDataError

# Rows and bytes that are judged at once: enough that planning the query (a tenth of a second) does not count, and few
# enough that a bill of any length takes the same memory.
_ROWS = 65_536
_BYTES = 48 * 2**20
# What DuckDB may hold before it goes to a temporary folder; only the groups of distinct values grow with the bill.
_MEMORY_LIMIT = "768MB"


def blocks(batches: Iterable[pa.RecordBatch | pa.Table], where: str) -> Iterator[pa.Table]:
    """The rows of ``batches`` in their order, small batches put together and large ones cut.

    Raises
    ------
    CorruptDataError
        A batch has other columns than the first.
    """
    held: list[pa.Table] = []
    names: list[str] | None = None
    for batch in batches:
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        names = names or table.schema.names
        if table.schema.names != names:
            odd = sorted(set(names) ^ set(table.schema.names))
            raise CorruptDataError(
                f"{where or 'bill'}: columns change between rows ({', '.join(odd[:3]) or 'their order'}); "
                "judge files with other columns apart"
            )
        for piece in _cut(table):
            if held and (held[0].schema != piece.schema or _full([*held, piece])):
                yield pa.concat_tables(held)
                held = []
            held.append(piece)
    if held:
        yield pa.concat_tables(held)


def _full(tables: list[pa.Table]) -> bool:
    rows, size = sum(t.num_rows for t in tables), sum(t.nbytes for t in tables)
    return bool(rows > _ROWS or size > _BYTES)


def _cut(table: pa.Table) -> list[pa.Table]:
    """Pieces of at most so many rows and about so many bytes; one empty piece of an empty table."""
    rows = _ROWS if table.nbytes <= _BYTES else max(1, min(_ROWS, table.num_rows * _BYTES // table.nbytes))
    return [table.slice(start, rows) for start in range(0, max(1, table.num_rows), rows)]


def prepared(block: pa.Table, found: Mapping[str, str], first_row: int, where: str) -> pa.Table:
    """The FOCUS columns of ``block`` under their own names, and ``__row`` from ``first_row``.

    Raises
    ------
    CorruptDataError
        A column of text is not UTF-8.
    """
    arrays = {column: _plain(block[name], f"{where or 'bill'}: column {name}") for column, name in found.items()}
    arrays["__row"] = pa.array(np.arange(first_row, first_row + block.num_rows))
    return pa.table(arrays)


def _plain(column: pa.ChunkedArray, place: str) -> pa.ChunkedArray:
    """``column`` in a type that DuckDB reads; its text checked, since DuckDB trusts it."""
    kind = column.type
    if pa.types.is_float16(kind) or pa.types.is_decimal256(kind):
        return pc.cast(column, pa.float64(), safe=False)
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise CorruptDataError(f"{place}: not sound ({str(error).splitlines()[0]}); write the file anew") from None
    return column


class Database:
    """An in-memory DuckDB with a temporary folder of its own, gone at the end."""

    def __enter__(self) -> Any:
        import duckdb

        self._folder = tempfile.TemporaryDirectory(prefix="capacity-focus-")
        self._connection = duckdb.connect(
            config={
                "memory_limit": _MEMORY_LIMIT,
                "temp_directory": self._folder.name,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        self._connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._folder.cleanup()
