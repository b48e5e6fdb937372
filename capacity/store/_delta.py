"""Delta tables as the store uses them: open, read, commit, try again.

Nothing is partitioned. Files are written in the order of the key, so a file's minimum and maximum tell readers which
to skip (a month of usage, a billing period), and every column stands in the files themselves, where any Parquet reader
sees it. Optimistic concurrency: a commit is made against the version that was read. Appends and merges carry an
application transaction a source, which delta-rs refuses when another commit of the same source came first; predicate
overwrites conflict with what their predicate covers. What is refused is read and worked out again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import CorruptDataError, DataError, MissingDataError
from capacity.schemas import TABLES

T = TypeVar("T")

# As-of is promised for 400 days: neither the log nor a file that a newer version dropped may go before.
_RETENTION = "interval 400 days"
_CONFIGURATION = {"delta.logRetentionDuration": _RETENTION, "delta.deletedFileRetentionDuration": _RETENTION}
# A writer that loses each race waits 12 s in all before it gives up.
_ATTEMPTS = 12
_FIRST_WAIT_SECONDS = 0.02
_LONGEST_WAIT_SECONDS = 2.0


class ConflictError(Exception):
    """Another writer was first; read again and try again."""


def exists(path: str) -> bool:
    from deltalake import DeltaTable

    return bool(DeltaTable.is_deltatable(path))


def open_table(path: str, version: int | None = None) -> Any:
    """The table at ``version`` (newest where None), or None where there is no table.

    Raises
    ------
    MissingDataError
        That version does not exist (any more).
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(path, version=version) if exists(path) else None
    except TableNotFoundError:
        return None
    except DeltaError as error:
        if version is None:
            raise CorruptDataError(f"{path}: not a readable table ({error}); restore the folder") from None
        raise MissingDataError(
            f"{path}: no version {version}; versions are kept for 400 days: {_first_line(error)}"
        ) from None


def read(table: Any, name: str, columns: Sequence[str] | None = None, filters: pc.Expression | None = None) -> pa.Table:
    """Rows of an open table in the canonical schema (``columns`` of it)."""
    wanted = list(TABLES[name].columns) if columns is None else list(columns)
    schema = pa.schema([TABLES[name].schema.field(c) for c in wanted])
    try:
        found = _dataset(table).to_table(columns=wanted, filter=filters)
    except (OSError, pa.ArrowInvalid) as error:
        raise CorruptDataError(
            f"{table.table_uri}: a file of version {table.version()} cannot be read ({_first_line(error)}); "
            "restore the folder from a copy, or read an earlier version"
        ) from None
    return found.cast(schema) if found.schema != schema else found


def batches(table: Any, name: str, filters: Any) -> Iterator[pa.RecordBatch]:
    """The same rows as ``read`` gives, a batch at a time, in their stored order."""
    yield from _dataset(table).to_batches(columns=list(TABLES[name].columns), filter=filters)


def _dataset(table: Any) -> Any:
    """The table's files for Arrow, which reads a local folder by itself.

    Through delta-rs's own file system its threads would call into Python, which at the end of a process can abort it.
    """
    from pyarrow import fs

    uri = urlsplit(table.table_uri)
    if uri.scheme not in ("", "file"):
        return table.to_pyarrow_dataset()
    folder = url2pathname(uri.path) if uri.scheme else table.table_uri
    return table.to_pyarrow_dataset(filesystem=fs.SubTreeFileSystem(folder, fs.LocalFileSystem()))


def create(path: str, table: pa.Table) -> None:
    """The first version of a table; a table that came into being meanwhile is a conflict."""
    from deltalake import CommitProperties, write_deltalake
    from deltalake.exceptions import DeltaError

    if "://" not in path:
        Path(path).mkdir(parents=True, exist_ok=True)
    try:
        write_deltalake(
            path,
            _whole(table),
            mode="error",
            configuration=_CONFIGURATION,
            writer_properties=_writer(),
            # delta-rs would otherwise commit the loser of a race as version 1, beside the winner's rows.
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except DeltaError as error:
        if exists(path):
            raise ConflictError(str(error)) from None
        raise DataError(f"{path}: cannot be written ({_first_line(error)}); check the folder and its rights") from None


def append(table: Any, rows: pa.Table, owners: Iterable[str]) -> None:
    """Add ``rows``; conflicts with any commit of the same ``owners`` since ``table`` was opened."""
    from deltalake import write_deltalake

    _commit(
        table,
        lambda: write_deltalake(
            table, _whole(rows), mode="append", commit_properties=_properties(owners), writer_properties=_writer()
        ),
    )


def merge(table: Any, rows: pa.Table, key: Sequence[str], owners: Iterable[str]) -> None:
    """Replace the rows that share ``key``, add the others."""
    on = " AND ".join(f'old."{k}" = new."{k}"' for k in key)

    def run() -> None:
        merger = table.merge(
            rows,
            on,
            source_alias="new",
            target_alias="old",
            commit_properties=_properties(owners),
            writer_properties=_writer(),
        )
        merger.when_matched_update_all().when_not_matched_insert_all().execute()

    _commit(table, run)


def replace(table: Any, rows: pa.Table, predicate: str) -> None:
    """Put ``rows`` in the place of all rows that ``predicate`` covers."""
    from deltalake import write_deltalake

    _commit(
        table,
        lambda: write_deltalake(
            table, _whole(rows), mode="overwrite", predicate=predicate, writer_properties=_writer()
        ),
    )


def undo(table: Any, before: pa.Table, predicate: str) -> None:
    """Put ``before`` back in the place of what ``predicate`` covers; other rows and writers are not touched."""
    if before.num_rows:
        replace(table, before, predicate)
    else:
        _commit(table, lambda: table.delete(predicate))


def with_retries(attempt: Callable[[], T], what: str) -> T:
    """``attempt`` until it is the first writer.

    Raises
    ------
    DataError
        It lost every race.
    """
    wait = _FIRST_WAIT_SECONDS
    for _ in range(_ATTEMPTS):
        try:
            return attempt()
        except ConflictError:
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
    raise DataError(f"{what}: other writers were first {_ATTEMPTS} times; run the ingest again when they are done")


def sql_text(value: str) -> str:
    """``value`` as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def _commit(table: Any, run: Callable[[], object]) -> None:
    from deltalake.exceptions import CommitFailedError, DeltaError

    try:
        run()
    except CommitFailedError as error:
        raise ConflictError(str(error)) from None
    except DeltaError as error:
        raise DataError(
            f"{table.table_uri}: cannot be written ({_first_line(error)}); check the folder and its rights"
        ) from None


def _whole(rows: pa.Table) -> pa.Table:
    """One chunk a column: delta-rs writes the chunks of a table in any order, and a bill is compared in its own."""
    return rows.combine_chunks()


def _properties(owners: Iterable[str]) -> Any:
    from deltalake import CommitProperties, Transaction

    return CommitProperties(app_transactions=[Transaction(f"capacity:{o}", 0) for o in sorted(set(owners))])


def _writer() -> Any:
    from deltalake import WriterProperties

    return WriterProperties(compression="ZSTD", compression_level=1)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
