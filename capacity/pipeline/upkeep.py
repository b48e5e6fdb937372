"""The store looked after: what it holds, small files joined, and what no version of the last 400 days needs removed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from capacity import store
from capacity.config import Config
from capacity.pipeline.commands import open_store
from capacity.pipeline.progress import Progress, silent
from capacity.store import Compaction, TableState, Vacuum


@dataclass(frozen=True)
class StoreDescription:
    """The store's tables, and what was done to them; ``dry_run`` where it was only said what would be done."""

    root: str
    tables: tuple[TableState, ...]
    compacted: tuple[Compaction, ...] = ()
    vacuumed: tuple[Vacuum, ...] = ()
    dry_run: bool = False


def describe_store(config: Config, now: datetime, as_of: datetime | None = None) -> StoreDescription:
    """Tables of the store with versions, rows, files, sizes and newest time stamp, at ``as_of`` where it is given."""
    known = open_store(config)
    return StoreDescription(known.root, store.describe(known, now, as_of))


def look_after_store(
    config: Config,
    now: datetime,
    *,
    compact: bool = False,
    vacuum: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> StoreDescription:
    """Compact and vacuum, in this order, and describe the store afterwards.

    Raises
    ------
    DataError
        Other writers were first again and again, or the store cannot be written.
    """
    known = open_store(config)
    joined = store.compact(known, progress, dry_run) if compact else ()
    removed = store.vacuum(known, now, progress, dry_run) if vacuum else ()
    return StoreDescription(known.root, store.describe(known, now), joined, removed, dry_run)
