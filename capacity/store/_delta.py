"""Delta tables as the store uses them: open, read, commit, try again.

Nothing is partitioned. Files are written in the order of the key, so a file's minimum and maximum tell readers which
to skip (a month of usage, a billing period), and every column stands in the files themselves, where any Parquet reader
sees it. Optimistic concurrency: a commit is made against the version that was read. Appends and merges carry an
application transaction a source, which delta-rs refuses when another commit of the same source came first; predicate
overwrites conflict with what their predicate covers. What is refused is read and worked out again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import CorruptDataError, DataError, MissingDataError
from capacity.schemas import TABLES
from capacity.store._log import RETENTION_DAYS
from capacity.store._place import Place, local_path

T = TypeVar("T")

# Neither the log nor a file that a newer version dropped may go before.
_RETENTION = f"interval {RETENTION_DAYS} days"
# A checkpoint every hundred commits is delta-rs's own default; it is written down since reading old versions needs it.
_CONFIGURATION = {
    "delta.checkpointInterval": "100",
    "delta.deletedFileRetentionDuration": _RETENTION,
    "delta.logRetentionDuration": _RETENTION,
}
# A writer that loses each race waits 12 s in all before it gives up.
_ATTEMPTS = 12
_FIRST_WAIT_SECONDS = 0.02
_LONGEST_WAIT_SECONDS = 2.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class ConflictError(Exception):
    """Another writer was first; read again and try again."""


def exists(where: Place) -> bool:
    """Whether there is a table.

    Raises
    ------
    DataError
        The bucket or folder cannot be reached.
    """
    from deltalake import DeltaTable

    try:
        return bool(DeltaTable.is_deltatable(where.uri, where.storage_options))
    except OSError as error:
        raise DataError(_unreachable(where, error)) from None


def open_table(where: Place, version: int | None = None) -> Any:
    """The table at ``version`` (newest where None), or None where there is no table.

    Raises
    ------
    MissingDataError
        That version does not exist (any more).
    DataError
        The bucket or folder cannot be reached.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    if not exists(where):
        return None
    try:
        return DeltaTable(where.uri, version=version, storage_options=where.storage_options)
    except TableNotFoundError:
        if version is None:
            return None
        raise MissingDataError(
            f"{where}: no version {version} any more; versions are kept for {RETENTION_DAYS} days"
        ) from None
    except DeltaError as error:
        if version is None:
            raise CorruptDataError(f"{where}: not a readable table ({error}); restore the folder") from None
        raise MissingDataError(
            f"{where}: no version {version}; versions are kept for {RETENTION_DAYS} days: {_first_line(error)}"
        ) from None
    except OSError as error:
        raise DataError(_unreachable(where, error)) from None


def _unreachable(where: Place, error: Exception) -> str:
    mend = "check the folder and its rights" if where.is_local else "check bucket, region, endpoint and credentials"
    return f"{where}: cannot be reached ({_first_line(error)}); {mend}"


def read(
    table: Any,
    name: str,
    columns: Sequence[str] | None = None,
    filters: pc.Expression | None = None,
    *,
    coded: bool = False,
) -> pa.Table:
    """Rows of an open table in the canonical schema (``columns`` of it).

    ``coded``: text as codes of its distinct values, as it lies in Parquet: half the memory of a large bill.
    """
    wanted = list(TABLES[name].columns) if columns is None else list(columns)
    schema = pa.schema([TABLES[name].schema.field(c) for c in wanted])
    texts = [f.name for f in schema if f.type == pa.string()] if coded else []
    if texts:
        word = pa.dictionary(pa.int32(), pa.string())
        schema = pa.schema([f.with_type(word) if f.name in texts else f for f in schema])
    try:
        found = _dataset(table, texts).to_table(columns=wanted, filter=filters)
    except (OSError, pa.ArrowInvalid) as error:
        raise _unreadable(table, error) from None
    found = found.cast(schema) if found.schema != schema else found
    return _with_one_dictionary(found, texts) if texts else found


def _with_one_dictionary(table: pa.Table, coded: Sequence[str]) -> pa.Table:
    """Every coded column with the same dictionary in all of its chunks."""
    for name in coded:
        column = table.column(name)
        # A chunk of nothing but nulls has a null among its values, which Arrow does not unify: written out and coded
        # again, a null is no value.
        if any(chunk.dictionary.null_count for chunk in column.chunks):
            column = column.cast(pa.string()).dictionary_encode()
        one = column.unify_dictionaries()
        table = table.set_column(table.schema.get_field_index(name), name, one)
    return table


def _unreadable(table: Any, error: Exception) -> CorruptDataError:
    return CorruptDataError(
        f"{table.table_uri}: a file of version {table.version()} cannot be read ({_first_line(error)}); "
        "restore the folder from a copy, or read an earlier version"
    )


def batches(table: Any, name: str, filters: Any) -> Iterator[pa.RecordBatch]:
    """The same rows as ``read`` gives, a batch at a time, in their stored order."""
    yield from _dataset(table).to_batches(columns=list(TABLES[name].columns), filter=filters)


def _dataset(table: Any, coded: Sequence[str] = ()) -> Any:
    """The table's files for Arrow, which reads a local folder by itself; text of ``coded`` columns as codes.

    Through delta-rs's own file system its threads would call into Python, which at the end of a process can abort it.
    """
    from pyarrow import fs
    from pyarrow.dataset import ParquetReadOptions

    folder = local_path(table.table_uri)
    options: dict[str, Any] = {"parquet_read_options": ParquetReadOptions(dictionary_columns=list(coded))}
    if folder is not None:
        options["filesystem"] = fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem())
    return table.to_pyarrow_dataset(**options)


def create(where: Place, table: pa.Table) -> None:
    """The first version of a table; a table that came into being meanwhile is a conflict."""
    from deltalake import CommitProperties, write_deltalake
    from deltalake.exceptions import DeltaError

    try:
        if where.is_local:
            Path(where.uri).mkdir(parents=True, exist_ok=True)
        write_deltalake(
            where.uri,
            _whole(table),
            mode="error",
            configuration=_CONFIGURATION,
            storage_options=where.storage_options,
            writer_properties=_writer(),
            # delta-rs would otherwise commit the loser of a race as version 1, beside the winner's rows.
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except (DeltaError, OSError) as error:
        if exists(where):
            raise ConflictError(str(error)) from None
        raise DataError(_unwritable(where, error)) from None


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


def with_retries(attempt: Callable[[], T], what: object) -> T:
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
    except (DeltaError, OSError) as error:
        raise DataError(_unwritable(table.table_uri, error)) from None


def _unwritable(where: object, error: Exception) -> str:
    return (
        f"{where}: cannot be written ({_first_line(error)}); nothing was changed; check the folder, its rights and the "
        "free space"
    )


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
    """What went wrong in one line: the libraries below colour and nest their messages."""
    text = " ".join(_COLOUR.sub("", str(error)).replace("↳", "").split())
    return text[:300] or type(error).__name__
