"""The log of a Delta table, read directly: which versions there are, when each was committed, what files they name.

The log is plain JSON, one file a commit, and a Parquet checkpoint now and then (Delta transaction log protocol). Asking
for one commit's time reads one small file; delta-rs's own history reads them all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from capacity.errors import CorruptDataError
from capacity.store._place import Place, files

LOG = "_delta_log"
# As-of is promised for 400 days: a year and the month after it, so that a year can be compared with the one before.
RETENTION_DAYS = 400
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(\..*)?\.parquet")


@dataclass(frozen=True)
class Mention:
    """The last word of the log on a data file: in use, or dropped at ``removed_ms`` (Unix milliseconds) by ``version``.

    ``version`` is None where only a checkpoint tells of the drop, whose own commit is gone.
    """

    in_use: bool
    removed_ms: int = 0
    version: int | None = None


@dataclass(frozen=True)
class Listing:
    """Versions in the log folder, each ascending."""

    commits: tuple[int, ...]
    checkpoints: tuple[int, ...]

    @property
    def newest(self) -> int | None:
        return max((*self.commits[-1:], *self.checkpoints[-1:]), default=None)

    @property
    def oldest(self) -> int | None:
        """The first version that can still be put together: from the first commit, else from a checkpoint."""
        if self.commits[:1] == (0,):
            return 0
        return next(iter(self.checkpoints), None)


def listing(where: Place) -> Listing:
    """What the log folder of a table holds; empty where there is none."""
    names = _names(where)
    commits = sorted(int(m[1]) for n in names if (m := _COMMIT.fullmatch(n)))
    checkpoints = sorted({int(m[1]) for n in names if (m := _CHECKPOINT.fullmatch(n))})
    return Listing(tuple(commits), tuple(checkpoints))


def _names(where: Place) -> list[str]:
    if where.is_local:
        folder = Path(where.uri, LOG)
        return [p.name for p in folder.iterdir()] if folder.is_dir() else []
    from pyarrow.fs import FileSelector

    found = files(where).get_file_info(FileSelector(LOG, allow_not_found=True))
    return [i.base_name for i in found]


def commit_file(version: int) -> str:
    return f"{LOG}/{version:020d}.json"


def committed_at(system: Any, version: int) -> datetime:
    """When ``version`` was committed, by the writer's clock.

    Raises
    ------
    CorruptDataError
        The commit says no time.
    """
    for action in actions(system, version):
        stamp = action.get("commitInfo", {}).get("timestamp")
        if stamp is not None:
            return datetime.fromtimestamp(stamp / 1000, UTC)
    raise CorruptDataError(f"{commit_file(version)}: a commit without a time; restore the folder from a copy")


def actions(system: Any, version: int) -> Iterator[dict[str, Any]]:
    """The actions of one commit, in order."""
    with system.open_input_stream(commit_file(version)) as stream:
        for line in stream.read().splitlines():
            if line.strip():
                yield json.loads(line)


def mentions(where: Place) -> dict[str, Mention]:
    """The last word on every data file that the log (its commits, and its oldest checkpoint) names, by path."""
    known, system = listing(where), files(where)
    out: dict[str, Mention] = {}
    first = known.commits[0] if known.commits else 0
    for checkpoint in [c for c in known.checkpoints if c >= first - 1][:1] if first else []:
        out |= _of_checkpoint(where, system, checkpoint)
    for version in known.commits:
        for action in actions(system, version):
            _note(out, action, version)
    return out


def _note(out: dict[str, Mention], action: dict[str, Any], version: int) -> None:
    if "add" in action:
        out[unquote(action["add"]["path"])] = Mention(True)
    elif "remove" in action:
        gone = action["remove"]
        out[unquote(gone["path"])] = Mention(False, int(gone.get("deletionTimestamp") or 0), version)


def _of_checkpoint(where: Place, system: Any, version: int) -> dict[str, Mention]:
    import pyarrow.parquet as pq

    out: dict[str, Mention] = {}
    for name in _names(where):
        found = _CHECKPOINT.fullmatch(name)
        if found is None or int(found[1]) != version:
            continue
        with system.open_input_file(f"{LOG}/{name}") as stream:
            # Whole structs: of nested columns with one name pyarrow 26 keeps one.
            table = pq.read_table(stream, columns=["add", "remove"])
        for row in _rows(table.to_pylist()):
            _note_row(out, row)
    return out


def _rows(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (r for r in rows if r.get("add") or r.get("remove"))


def _note_row(out: dict[str, Mention], row: dict[str, Any]) -> None:
    if (row.get("add") or {}).get("path"):
        out[unquote(row["add"]["path"])] = Mention(True)
    elif (row.get("remove") or {}).get("path"):
        out[unquote(row["remove"]["path"])] = Mention(False, int(row["remove"].get("deletionTimestamp") or 0))
