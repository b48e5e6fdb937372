"""From sources into the store: each source on its own, each bill period whole, every sum shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import pyarrow as pa

from capacity.errors import CapacityError, DataError, UsageError
from capacity.sources import Batch, ResumableSource, Source
from capacity.store import _bill
from capacity.store._reports import IngestReport, SourceReport, WriteReport
from capacity.store._store import Store

Progress = Callable[[str], None]


def ingest(sources: Sequence[Source], store: Store, now: datetime, progress: Progress | None = None) -> IngestReport:
    """Read every source and merge it into ``store``; safe to repeat.

    A source that fails does not stop the others. What it handed over before is written where rows stand on their own
    (usage, fleet, ...); a bill is written only if all of its files came, since a part would replace whole periods.

    Parameters
    ----------
    now
        The moment up to which is read, with zone.
    progress
        Gets one line a step.
    """
    if now.tzinfo is None:
        raise UsageError(f"now {now} has no zone; write it as 2026-01-31T00:00:00Z")
    say = progress or (lambda _: None)
    reports = tuple(_ingest_one(source, store, now, say) for source in sources)
    return IngestReport(reports, store.versions())


def _ingest_one(source: Source, store: Store, now: datetime, say: Progress) -> SourceReport:
    say(f"{source.name}: reading")
    batches: list[Batch] = []
    writes: list[WriteReport] = []
    failures: list[str] = []
    try:
        for batch in _batches(source, store, now):
            batches.append(batch)
            say(f"{source.name}: {batch.file}: {batch.table.num_rows:,} rows")
    except (CapacityError, OSError, pa.ArrowException) as error:
        failures.append(_told(source, error))
    for frame in dict.fromkeys(b.frame for b in batches):
        if frame == "cost" and failures:
            failures.append(f"source '{source.name}': no bill was replaced, because not all of it could be read")
            continue
        tables = [b.table for b in batches if b.frame == frame]
        try:
            for report in _write(store, frame, tables):
                writes.append(report)
                say(f"{source.name}: {frame}: {report.rows_added + report.rows_changed:,} rows new or changed")
        except (CapacityError, OSError, pa.ArrowException) as error:
            failures.append(_told(source, error))
    notes = tuple(f"{b.file}: {n}" for b in batches for n in b.notes)
    files = tuple(b.file for b in batches)
    return SourceReport(source.name, source.info.kind, tuple(writes), files, notes, tuple(failures))


def _batches(source: Source, store: Store, now: datetime) -> Iterator[Batch]:
    if isinstance(source, ResumableSource):
        return source.resume(store.last_points(source.name), now)
    since = store.last_point("usage", source.name) if "usage" in source.info.frames else None
    return source.batches(since, now)


def _write(store: Store, frame: str, tables: list[pa.Table]) -> Iterator[WriteReport]:
    """One write a frame, so that rows of two files meet; one a billing period, so that one at fault stands alone."""
    if frame != "cost":
        yield store.write(frame, pa.concat_tables(tables))
        return
    failed: list[str] = []
    for period in _bill.by_period(tables):
        try:
            yield store.replace_bill(period)
        except CapacityError as error:
            failed.append(str(error))
    if failed:
        raise DataError("\n".join(failed))


def _told(source: Source, error: Exception) -> str:
    text = str(error)
    return text if source.name in text else f"source '{source.name}': {text}"
