"""From sources into the store: each source on its own, each bill period whole, every sum shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from capacity.errors import UsageError
from capacity.sources import Batch, BillFile, BillReader, ContinuingSource, ResumableSource, Source
from capacity.store import _arrived, _bills, _differences, _fidelity, _findings, _spool
from capacity.store._bills import ERRORS, Outcome, Replacing
from capacity.store._reports import IngestReport, SourceReport
from capacity.store._store import Store

Progress = Callable[[str], None]
# Rows of a bill that a source hands over whole, spooled at a time.
_BLOCK_ROWS = 131_072


def ingest(sources: Sequence[Source], store: Store, now: datetime, progress: Progress | None = None) -> IngestReport:
    """Read every source and merge it into ``store``; safe to repeat.

    A source that fails does not stop the others. What it handed over before is written where rows stand on their own
    (usage, fleet, ...). Bills are streamed file by file; a billing period is replaced only where all of its files came
    and every sum of its rows is the sum in its files. Files that the store has already taken, as they are, are not
    read again.

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
    outcome = Outcome()
    try:
        if isinstance(source, BillReader):
            _ingest_bills(source, source.name, store, now, outcome, say)
        else:
            with ExitStack() as stack:
                _Frames(source, store, outcome, say, stack).run(now)
    except ERRORS as error:  # what no step of it expected: the next source is read all the same
        outcome.fail(error)
    return SourceReport(
        source.name,
        source.info.kind,
        tuple(outcome.writes),
        tuple(outcome.files),
        tuple(outcome.notes),
        tuple(_told(source, failure) for failure in outcome.failures),
    )


def _told(source: Source, failure: str) -> str:
    return failure if f"'{source.name}'" in failure else f"source '{source.name}': {failure}"


# --- bills, streamed -------------------------------------------------------------------------------------------


def _ingest_bills(reader: BillReader, name: str, store: Store, now: datetime, outcome: Outcome, say: Progress) -> None:
    files, failure = _listed(reader, now)
    with _spool.workshop(store.place) as shop, _fidelity.Calculator() as calculator:
        if reader.corrections == "replace":
            where, spool = store.place / "cost", shop.spool()
            reading = str(getattr(reader, "reading", ""))
            _replace(Replacing(name, where, spool, calculator, outcome, say, reading), files, failure)
        elif failure is not None:
            outcome.fail(failure)
            outcome.fail(f"source '{name}': no difference was applied, because not all files could be listed")
        else:
            run = _differences.Applying(name, store.place / "cost", reader.corrections, shop, calculator, outcome, say)
            run.apply(files)
    if reader.check_focus:
        _findings.judge(name, files, store, outcome, say, listed_whole=failure is None)


def _listed(reader: BillReader, now: datetime) -> tuple[list[BillFile], Exception | None]:
    files: list[BillFile] = []
    try:
        for file in reader.bills(now):
            files.append(file)  # noqa: PERF402 (what came before a failure counts)
    except ERRORS as error:
        return files, error
    return files, None


def _replace(run: Replacing, files: Sequence[BillFile], failure: Exception | None) -> None:
    """Of what could not be listed whole, only deliveries that say they are complete are read."""
    if failure is not None:
        run.lack(failure)
    sound = [f for f in files if failure is None or f.complete]
    run.all_blocked = failure is not None and not sound
    try:
        _bills.replace_periods(run, sound)
    except ERRORS as error:
        run.outcome.fail(error)
        return
    run.finish()


# --- frames ----------------------------------------------------------------------------------------------------


class _Handed:
    """A bill that came as one batch, as a file."""

    digest = ""  # nothing tells that it is the same next time, so it is read again

    def __init__(self, batch: Batch) -> None:
        self.label = batch.file
        self.complete = batch.complete
        self._batch = batch

    def blocks(self) -> Iterator[pa.Table]:
        table = self._batch.table
        for start in range(0, table.num_rows, _BLOCK_ROWS):
            yield table.slice(start, _BLOCK_ROWS)

    def raw(self, columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        yield from self._batch.table.to_batches()

    def notes(self) -> tuple[str, ...]:
        return self._batch.notes


@dataclass
class _Frames:
    """One source that hands over batches: bills go to a spool at once, other frames wait for a write each."""

    source: Source
    store: Store
    outcome: Outcome
    say: Progress
    stack: ExitStack
    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    bills: Replacing | None = None

    def run(self, now: datetime) -> None:
        try:
            for batch in _batches(self.source, self.store, now):
                self._take(batch)
        except ERRORS as error:
            self._fail(error)
        if self.bills is not None:
            self.bills.finish()
        for frame, parts in self.tables.items():
            self._write(frame, parts, now)

    def _fail(self, error: Exception) -> None:
        """Billing periods that were handed over whole are sound, whatever else of the source failed."""
        if self.bills is None:
            self.outcome.fail(error)
        elif all(t.file.complete for t in self.bills.taken.values()):
            self.bills.lack(error)
        else:
            self.outcome.fail(error)
            self.bills.all_blocked = True

    def _take(self, batch: Batch) -> None:
        if batch.frame == "cost":
            self.bills = self.bills or self._open()
            self.bills.read(_Handed(batch))
            return
        self.tables.setdefault(batch.frame, []).append(batch.table)
        self.outcome.files.append(batch.file)
        self.outcome.notes += [f"{batch.file}: {note}" for note in batch.notes]
        self.say(f"{self.source.name}: {batch.file}: {batch.table.num_rows:,} rows")

    def _open(self) -> Replacing:
        shop = self.stack.enter_context(_spool.workshop(self.store.place))
        calculator = self.stack.enter_context(_fidelity.Calculator())
        where = self.store.place / "cost"
        return Replacing(self.source.name, where, shop.spool(), calculator, self.outcome, self.say)

    def _write(self, frame: str, parts: list[pa.Table], now: datetime) -> None:
        """One write a frame, so that rows of two files meet."""
        handed, added = pa.concat_tables(parts), list[pa.Table]()
        try:
            report = self.store.write(frame, handed, added.append)
            if frame == _arrived.FRAME:
                new = added[0] if added else None
                self.outcome.notes += _arrived.tell(handed, new, report.version, self.store, now)
        except ERRORS as error:
            self.outcome.fail(error)
            return
        self.outcome.writes.append(report)
        self.say(f"{self.source.name}: {frame}: {report.rows_added + report.rows_changed:,} rows new or changed")


def _batches(source: Source, store: Store, now: datetime) -> Iterator[Batch]:
    if isinstance(source, ContinuingSource):
        return source.proceed(lambda frame, filters: store.read(frame, filters=filters), now)
    if isinstance(source, ResumableSource):
        return source.resume(store.last_points(source.name), now)
    since = store.last_point("usage", source.name) if "usage" in source.info.frames else None
    return source.batches(since, now)
