"""Rows into and out of Delta tables as a stream, with marks that stand and fall with the data.

A mark is one of Delta's application transactions: a name and a number that are part of the commit which carries the
data. Checkpoints keep them, so they outlive the log, and two commits of the same mark conflict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import DataError
from capacity.schemas import TABLES
from capacity.store import _delta
from capacity.store._place import Place

# A row group is held in memory until it is full: 5,000,000 rows of a bill took 1.1 GB so, and 2.2 with delta-rs's
# default of 1,048,576 rows; files and times were the same.
_GROUP_ROWS = 262_144
# Rows a batch of a scan: with its read-ahead some 100 MB of a bill.
_SCAN_ROWS = 32_768


def scan(
    table: Any, name: str, columns: Sequence[str] | None = None, filters: pc.Expression | None = None
) -> Iterator[pa.RecordBatch]:
    """Rows of an open table in the canonical schema, a batch at a time, in no order, in bounded memory.

    Raises
    ------
    DataError
        A file of that version cannot be read (any more).
    """
    wanted = list(TABLES[name].columns) if columns is None else list(columns)
    schema = pa.schema([TABLES[name].schema.field(c) for c in wanted])
    try:
        found = _delta._dataset(table).scanner(
            columns=wanted, filter=filters, batch_size=_SCAN_ROWS, batch_readahead=4, fragment_readahead=1
        )
        for batch in found.to_batches():
            if batch.num_rows:
                yield batch.cast(schema)
    except (OSError, pa.ArrowInvalid) as error:
        raise _delta._unreadable(table, error) from None


def mark(table: Any, name: str) -> int | None:
    """The number last recorded under ``name``; None where there is none."""
    found = table.transaction_version(name)
    return None if found is None else int(found)


def create(where: Place, name: str, rows: Iterator[pa.RecordBatch], marks: Mapping[str, int]) -> None:
    """The first version of a table; a table that came into being meanwhile is a conflict."""
    from deltalake import write_deltalake
    from deltalake.exceptions import DeltaError

    try:
        if where.is_local:
            Path(where.uri).mkdir(parents=True, exist_ok=True)
        write_deltalake(
            where.uri,
            pa.RecordBatchReader.from_batches(TABLES[name].schema, rows),
            mode="error",
            configuration=_delta._CONFIGURATION,
            storage_options=where.storage_options,
            writer_properties=_writer(),
            # delta-rs would otherwise commit the loser of a race as version 1, beside the winner's rows.
            commit_properties=_properties(marks, max_commit_retries=0),
        )
    except (DeltaError, OSError) as error:
        if _delta.exists(where):
            raise _delta.ConflictError(str(error)) from None
        raise DataError(_delta._unwritable(where, error)) from None


def overwrite(table: Any, name: str, rows: Iterator[pa.RecordBatch], predicate: str, marks: Mapping[str, int]) -> None:
    """Put a stream of rows (perhaps none) in the place of all rows that ``predicate`` covers."""
    from deltalake import write_deltalake

    stream = pa.RecordBatchReader.from_batches(TABLES[name].schema, rows)
    _delta._commit(
        table,
        lambda: write_deltalake(
            table,
            stream,
            mode="overwrite",
            predicate=predicate,
            writer_properties=_writer(),
            commit_properties=_properties(marks),
        ),
    )


def _properties(marks: Mapping[str, int], **other: Any) -> Any:
    from deltalake import CommitProperties, Transaction

    return CommitProperties(app_transactions=[Transaction(k, v) for k, v in sorted(marks.items())], **other)


def _writer() -> Any:
    from deltalake import WriterProperties

    return WriterProperties(compression="ZSTD", compression_level=1, max_row_group_size=_GROUP_ROWS)
