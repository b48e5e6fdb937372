"""Small files made into larger ones, so that a table that grows by an ingest a day stays quick to open and to read.

Files are joined only within one source and one month of the table's time, and the rows of the result are in the order
of the key: a reader that asks for a month of a source still skips all other files. Nothing is deleted; earlier versions
read the files that they always read.

delta-rs 1.6.6 lets two rewrites of the same files both commit, its own ``optimize`` included, which doubles rows. So a
rewrite here is committed only onto the very version that it read, and begins again where any other commit came first.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import DataError
from capacity.schemas import COST_PERIOD_KEY, TABLES, UTC, Table
from capacity.store import _delta, _diff
from capacity.store._place import Place, files

# Smaller files are joined; a reader of one row group needs no more, and a file a day of 100 series is some 100 kB.
SMALL_BYTES = 32 * 2**20
# A result is not made larger: what a rewrite holds in memory is bounded (a row of usage is some 150 bytes in Arrow).
TARGET_BYTES = 128 * 2**20
TARGET_ROWS = 2_000_000
# Of each column in a file's statistics: longer text is left out, since it would stand in the log twice a file.
_LONGEST_TEXT = 200
_ROW_GROUP_ROWS = 262_144


@dataclass(frozen=True)
class Compaction:
    """What was joined in one table (or would be): ``rows`` and ``bytes`` rewritten; ``version`` is the newest after."""

    table: str
    files_before: int
    files_after: int
    rows: int
    bytes: int
    version: int


@dataclass(frozen=True)
class DataFile:
    """One file of a version, with what the log says of it. ``first`` and ``last`` bound each column with statistics."""

    path: str
    bytes: int
    rows: int
    first: Mapping[str, Any]
    last: Mapping[str, Any]


def data_files(table: Any) -> list[DataFile]:
    """The files of an open table, in the order in which they are read."""
    out = []
    for row in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        first = {k[4:]: v for k, v in row.items() if k.startswith("min.") and v is not None}
        last = {k[4:]: v for k, v in row.items() if k.startswith("max.") and v is not None}
        out.append(DataFile(row["path"], row["size_bytes"], row.get("num_records") or 0, first, last))
    return out


def compact(where: Place, name: str, step: Callable[[int, int], None], dry_run: bool = False) -> Compaction | None:
    """Join the small files of table ``name`` at ``where``; None where there is no table.

    ``step`` gets (rewrites done, rewrites in all).

    Raises
    ------
    DataError
        Other writers were first, again and again.
    """
    found = _delta.open_table(where)
    if found is None:
        return None
    before = data_files(found)
    todo = list(bins(TABLES[name], before))
    if dry_run:
        return _would(name, before, todo, found.version())
    rows = size = 0
    for i, one in enumerate(todo):
        step(i, len(todo))
        made = _rewrite(where, name, [f.path for f in one])
        rows, size = rows + made[0], size + made[1]
    step(len(todo), len(todo))
    after = _delta.open_table(where)
    return Compaction(name, len(before), len(after.file_uris()), rows, size, after.version())


def _would(name: str, before: Sequence[DataFile], todo: Sequence[Sequence[DataFile]], version: int) -> Compaction:
    joined = [f for one in todo for f in one]
    after = len(before) - len(joined) + len(todo)
    return Compaction(name, len(before), after, sum(f.rows for f in joined), sum(f.bytes for f in joined), version)


def bins(table: Table, known: Sequence[DataFile]) -> Iterator[list[DataFile]]:
    """Files to be joined with each other: small ones of one source and month, up to the target size."""
    groups: dict[tuple[object, ...], list[DataFile]] = {}
    for file in known:
        if file.bytes < SMALL_BYTES and file.rows < TARGET_ROWS // 2:
            groups.setdefault(_group(table, file), []).append(file)
    for key in sorted(groups, key=repr):
        yield from (b for b in _filled(groups[key]) if len(b) > 1)


def _group(table: Table, file: DataFile) -> tuple[object, ...]:
    """(source, month), each None where the file holds several or the table has none."""
    source = file.first.get("source")
    at = _time(table)
    begin, end = (bounds.get(at) if at else None for bounds in (file.first, file.last))
    month = (begin.year, begin.month) if begin and end and (begin.year, begin.month) == (end.year, end.month) else None
    return (source if source == file.last.get("source") else None, month)


def _time(table: Table) -> str | None:
    if table.name == "cost":
        return "BillingPeriodStart"
    return next((k for k in table.key if table.schema.field(k).type == UTC), None)


def _filled(files_of_group: Sequence[DataFile]) -> Iterator[list[DataFile]]:
    current: list[DataFile] = []
    for file in files_of_group:
        size, rows = sum(f.bytes for f in current), sum(f.rows for f in current)
        if current and (size + file.bytes > TARGET_BYTES or rows + file.rows > TARGET_ROWS):
            yield current
            current = []
        current.append(file)
    if current:
        yield current


def _rewrite(where: Place, name: str, paths: Sequence[str]) -> tuple[int, int]:
    """One commit that puts one file in the place of ``paths``; (rows, bytes) of it, nothing where one is gone.

    The rows are written once. Data files never change, so after another commit only the commit is tried again.
    """
    system = files(where)
    rows = _rows(system, TABLES[name], paths)
    made = f"part-00000-{uuid.uuid4()}-c000.zstd.parquet"
    done = False
    try:
        size = _write(where, system, made, rows)
        done = _delta.with_retries(lambda: _swap(where, name, made, size, rows, paths), where)
    finally:
        if not done:
            with suppress(OSError):  # it may never have come to be; a leftover goes with a vacuum
                system.delete_file(made)
    return (rows.num_rows, size) if done else (0, 0)


def _swap(where: Place, name: str, made: str, size: int, rows: pa.Table, paths: Sequence[str]) -> bool:
    """Commit ``made`` in the place of ``paths``; False where another writer dropped one of them meanwhile."""
    table = _delta.open_table(where)
    live = {f.path: f for f in data_files(table)}
    if not set(paths) <= set(live):
        return False
    _commit(table, TABLES[name], made, size, rows, [live[p] for p in paths])
    return True


def _rows(system: Any, table: Table, paths: Sequence[str]) -> pa.Table:
    """All rows of some files: by the key, or as they stand where there is none."""
    import pyarrow.dataset as ds

    rows = ds.dataset(list(paths), format="parquet", filesystem=system, schema=table.schema).to_table()
    return _diff.in_key_order(table, rows)


def _write(where: Place, system: Any, path: str, rows: pa.Table) -> int:
    import pyarrow.parquet as pq

    try:
        with system.open_output_stream(path) as stream:
            pq.write_table(rows, stream, compression="zstd", compression_level=1, row_group_size=_ROW_GROUP_ROWS)
            size = stream.tell()
    except OSError as error:
        raise DataError(_delta._unwritable(where, error)) from None
    return int(size)


def _commit(table: Any, known: Table, path: str, size: int, rows: pa.Table, old: Sequence[DataFile]) -> None:
    from deltalake import CommitProperties
    from deltalake.transaction import AddAction, RemoveAction

    now = int(time.time() * 1000)
    actions = [AddAction(path, size, {}, now, False, statistics(known, rows))]
    actions += [RemoveAction(f.path, False, now, f.bytes, {}) for f in old]
    properties = CommitProperties(max_commit_retries=0, custom_metadata={"capacity": "compact"})
    _delta._commit(
        table,
        lambda: table.create_write_transaction(actions, "append", table.schema(), commit_properties=properties),
    )


def statistics(table: Table, rows: pa.Table) -> str:
    """What lets readers skip a file: number of rows, and the bounds of the key and the billing columns, as JSON."""
    low: dict[str, object] = {}
    high: dict[str, object] = {}
    nulls: dict[str, int] = {}
    for name in table.key or (*COST_PERIOD_KEY, "ChargePeriodStart", "ChargePeriodEnd"):
        bounds = pc.min_max(rows[name])
        first, last = _plain(bounds["min"]), _plain(bounds["max"])
        if first is None or len(str(first)) > _LONGEST_TEXT or len(str(last)) > _LONGEST_TEXT:
            continue
        low[name], high[name], nulls[name] = first, last, rows[name].null_count
    return json.dumps({"numRecords": rows.num_rows, "minValues": low, "maxValues": high, "nullCount": nulls})


def _plain(value: pa.Scalar) -> object:
    if value.type == UTC:
        found = value.as_py()
        return None if found is None else found.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.as_py()
