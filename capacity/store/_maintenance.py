"""What the store holds, and what may go: table by table, by the log and the folder.

A data file is kept as long as a version of the last 400 days names it. Two kinds may go: files that were dropped by a
commit longer ago (*expired*), and files that no commit ever named (*leftovers* of a writer that was ended before its
commit). Leftovers younger than a day stay, since a writer may be about to commit them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from capacity.errors import DataError
from capacity.schemas import TABLES
from capacity.store import _compact, _delta, _log, _versions
from capacity.store._compact import Compaction
from capacity.store._log import RETENTION_DAYS
from capacity.store._place import Place, files
from capacity.store._store import Store

# (table and step, done, in all)
Progress = Callable[[str, int, int], None]
# No write takes a day: bills of 5,000,000 rows come in within minutes.
LEFTOVER_HOURS = 24
# How the object store of delta-rs names a local file until it is whole ("x.json#1"), and older releases of it.
_STAGED = re.compile(r"#\d+$|\.tmp$")


@dataclass(frozen=True)
class TableState:
    """One table of the store.

    ``versions`` counts those that can be read, from ``oldest_version`` (committed at ``oldest_at``). ``bytes`` and
    ``files`` are those of ``version``; ``bytes_in_all`` counts every data file in the folder, ``bytes_to_go`` those
    that a vacuum would remove. ``newest`` is the latest time stamp of the data.
    """

    name: str
    version: int
    committed_at: datetime
    versions: int
    oldest_version: int
    oldest_at: datetime | None
    rows: int
    files: int
    bytes: int
    files_in_all: int
    bytes_in_all: int
    bytes_to_go: int
    newest: datetime | None
    retention_days: int = RETENTION_DAYS


@dataclass(frozen=True)
class Vacuum:
    """Data files of one table that were removed, or would be where ``dry_run``; paths within the table's folder."""

    table: str
    expired: tuple[str, ...]
    leftovers: tuple[str, ...]
    bytes: int
    dry_run: bool


@dataclass(frozen=True)
class _Stored:
    path: str
    bytes: int
    changed_at: datetime | None


def describe(store: Store, now: datetime, as_of: datetime | None = None) -> tuple[TableState, ...]:
    """Every table of ``store`` at its newest version, or at that of ``as_of``; no data file is read."""
    return tuple(_state(store.place / name, name, version, now) for name, version in store.versions(as_of).items())


def _state(where: Place, name: str, version: int, now: datetime) -> TableState:
    known, system = _log.listing(where), files(where)
    data = _compact.data_files(_delta.open_table(where, version))
    stored, mentioned = list(_stored(where)), _log.mentions(where)
    gone = [f for f, _ in _removable(stored, mentioned, now)]
    oldest = _oldest(known, mentioned, {f.path for f in stored})
    return TableState(
        name=name,
        version=version,
        committed_at=_log.committed_at(system, version),
        versions=version - oldest + 1,
        oldest_version=oldest,
        oldest_at=_log.committed_at(system, oldest) if oldest in known.commits else None,
        rows=sum(f.rows for f in data),
        files=len(data),
        bytes=sum(f.bytes for f in data),
        files_in_all=len(stored),
        bytes_in_all=sum(f.bytes for f in stored),
        bytes_to_go=sum(f.bytes for f in gone),
        newest=_newest_point(name, data),
    )


def _oldest(known: _log.Listing, mentioned: dict[str, _log.Mention], present: set[str]) -> int:
    """The first version whose log and files are all there."""
    lost = (m.version for path, m in mentioned.items() if not m.in_use and m.version and path not in present)
    return max((known.oldest or 0, *lost))


def _newest_point(name: str, data: list[_compact.DataFile]) -> datetime | None:
    column = "ChargePeriodEnd" if name == "cost" else "ts"
    found = [f.last[column] for f in data if column in f.last]
    newest: datetime | None = max(found, default=None)
    return newest


def compact(store: Store, progress: Progress, dry_run: bool = False) -> tuple[Compaction, ...]:
    """Join (or only count) the small files of every table; reads and other writers go on meanwhile.

    Raises
    ------
    DataError
        Other writers were first, again and again, or the folder cannot be written.
    """
    out = []
    for name in TABLES:
        done = _compact.compact(store.place / name, name, partial(progress, f"compact {name}"), dry_run)
        if done is not None:
            out.append(done)
    return tuple(out)


def vacuum(store: Store, now: datetime, progress: Progress, dry_run: bool = True) -> tuple[Vacuum, ...]:
    """Remove (or only name) the data files that no version of the last 400 days needs, and old leftovers."""
    out = []
    for i, name in enumerate(TABLES):
        progress(f"vacuum {name}", i, len(TABLES))
        where = store.place / name
        found = list(_removable(list(_stored(where)), _log.mentions(where), now))
        if not dry_run:
            _remove(where, [f.path for f, _ in found])
        if found or _versions.newest(where) is not None:
            expired = tuple(f.path for f, is_expired in found if is_expired)
            left = tuple(f.path for f, is_expired in found if not is_expired)
            out.append(Vacuum(name, expired, left, sum(f.bytes for f, _ in found), dry_run))
    return tuple(out)


def _removable(
    stored: list[_Stored], mentioned: dict[str, _log.Mention], now: datetime
) -> Iterator[tuple[_Stored, bool]]:
    """(file, whether it is expired and not a leftover)."""
    oldest_needed_ms = (now - timedelta(days=RETENTION_DAYS)).timestamp() * 1000
    youngest_leftover = now - timedelta(hours=LEFTOVER_HOURS)
    for file in stored:
        word = mentioned.get(file.path)
        if word is None:
            if file.changed_at is not None and file.changed_at < youngest_leftover:
                yield file, False
        elif not word.in_use and word.removed_ms < oldest_needed_ms:
            yield file, True


def _stored(where: Place) -> Iterator[_Stored]:
    """All that lies in a table's folder, but its log; of that only what a killed writer had not yet renamed."""
    from pyarrow.fs import FileSelector, FileType

    selector = FileSelector("", recursive=True, allow_not_found=True)
    for info in files(where).get_file_info(selector):
        if info.type == FileType.File and (not info.path.startswith(f"{_log.LOG}/") or _STAGED.search(info.path)):
            yield _Stored(info.path, info.size, _utc(info.mtime))


def _utc(moment: Any) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _remove(where: Place, paths: list[str]) -> None:
    system = files(where)
    try:
        for path in paths:
            system.delete_file(path)
    except OSError as error:
        raise DataError(_delta._unwritable(where, error)) from None
