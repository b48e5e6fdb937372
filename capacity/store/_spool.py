"""Rows on their way into the store: kept in temporary Parquet files, one a billing period, never whole in memory."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import CorruptDataError, DataError
from capacity.schemas import COST
from capacity.store._place import Place

_PREFIX = ".spool-"
# What a process that was killed left behind goes with the next ingest after this long; no ingest takes two days.
_STALE_SECONDS = 2 * 86_400
# Blocks that wait for the disk while the next is read: memory against waiting.
_WAITING = 2
# Rows a batch on the way out: small, since delta-rs holds some of them.
_BATCH_ROWS = 16_384
# A century of months. A file with more billing periods is no bill, and each is an open file.
_MOST_PERIODS = 1_200


class Workshop:
    """A temporary folder and one thread that writes; see :func:`workshop`."""

    def __init__(self, folder: Path, thread: ThreadPoolExecutor) -> None:
        self.folder = folder
        self._thread = thread
        self._spools: list[Spool] = []

    def spool(self) -> Spool:
        out = Spool(self.folder / f"{len(self._spools):06d}", self._thread)
        self._spools.append(out)
        return out

    def subfolder(self) -> Path:
        """A new folder that goes with the workshop."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def close(self) -> None:
        for spool in self._spools:
            spool.abandon()


@contextmanager
def workshop(store: Place) -> Iterator[Workshop]:
    """A folder for spools: in the store's own where that is local, else where the system keeps temporary files.

    It is removed whatever happens; what a killed process left there goes two days later.

    Raises
    ------
    DataError
        Nothing can be written there.
    """
    folder = _folder(Path(store.uri) if store.is_local else None)
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="spool") as thread:
            shop = Workshop(folder, thread)
            try:
                yield shop
            finally:
                shop.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(parent: Path | None) -> Path:
    try:
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
            _sweep(parent)
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    except OSError as error:
        where = parent or "the folder for temporary files"
        reason = error.strerror or error
        raise DataError(f"{where}: no folder that can be written to ({reason}); name another as store:") from None


def _sweep(parent: Path) -> None:
    for old in parent.glob(f"{_PREFIX}*"):
        try:
            if time.time() - old.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        except OSError:
            continue  # another ingest swept it


class Spool:
    """Canonical cost rows by billing period: added block by block, read again as often as needed."""

    def __init__(self, folder: Path, thread: ThreadPoolExecutor) -> None:
        self._folder = folder
        self._thread = thread
        self._writers: dict[datetime, Any] = {}
        self._waiting: deque[Future[None]] = deque()
        self._open = True

    @property
    def periods(self) -> tuple[datetime, ...]:
        """The billing periods that came, oldest first."""
        return tuple(sorted(self._writers))

    def add(self, block: pa.Table) -> None:
        """Keep the rows of ``block``; the disk is written to while the caller goes on.

        Raises
        ------
        CorruptDataError
            More billing periods than a bill can have.
        OSError
            The disk is full.
        """
        for start, part in by_period(block):
            writer = self._writers.get(start) or self._begin(start)
            self._waiting.append(self._thread.submit(writer.write_table, part))
            while len(self._waiting) > _WAITING:
                self._waiting.popleft().result()

    def _begin(self, start: datetime) -> Any:
        import pyarrow.parquet as pq

        if len(self._writers) == _MOST_PERIODS:
            raise CorruptDataError(f"more than {_MOST_PERIODS} different BillingPeriodStart; is this a bill?")
        self._folder.mkdir(exist_ok=True)
        writer = pq.ParquetWriter(self._path(start), COST.schema, compression="lz4", write_statistics=False)
        self._writers[start] = writer
        return writer

    def _path(self, start: datetime) -> Path:
        return self._folder / f"{start:%Y%m%dT%H%M%S%f}.parquet"

    def paths(self) -> dict[datetime, Path]:
        """The file of each period, closed and whole."""
        self._finish()
        return {start: self._path(start) for start in self.periods}

    def batches(self, period: datetime, accounts: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one period (of some accounts), in the order in which they came."""
        self._finish()
        yield from read(self._path(period), accounts)

    def _finish(self) -> None:
        while self._waiting:
            self._waiting.popleft().result()
        if self._open:
            self._open = False
            for writer in self._writers.values():
                writer.close()
            # What converting took is given back before delta-rs takes memory of its own.
            pa.default_memory_pool().release_unused()

    def abandon(self) -> None:
        """Close what is open, whatever state it is in."""
        for future in self._waiting:
            future.cancel()
            if not future.cancelled():
                future.exception()
        self._waiting.clear()
        if self._open:
            self._open = False
            for writer in self._writers.values():
                # What cannot be closed (the disk is full) goes with its folder; it must not hide why it is abandoned.
                with suppress(OSError, pa.ArrowException):
                    writer.close()


def read(path: Path, accounts: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Canonical cost rows of a Parquet file of this machine."""
    import pyarrow.parquet as pq

    wanted = None if accounts is None else pa.array(sorted(accounts), pa.string())
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            if wanted is not None:
                batch = batch.filter(pc.is_in(batch.column("BillingAccountId"), value_set=wanted))
            if batch.num_rows:
                yield pa.RecordBatch.from_arrays(
                    [batch.column(n).cast(t) for n, t in zip(COST.schema.names, COST.schema.types, strict=True)],
                    schema=COST.schema,
                )


def by_period(block: pa.Table) -> Iterator[tuple[datetime, pa.Table]]:
    """The rows of ``block`` by billing period, oldest first; where there is one only, nothing is copied."""
    starts = block["BillingPeriodStart"].unique()
    for start in sorted(starts, key=lambda s: s.as_py()):
        one = block if len(starts) == 1 else block.filter(pc.equal(block["BillingPeriodStart"], start))
        yield start.as_py(), one


def write(path: Path, batches: Iterator[pa.RecordBatch]) -> None:
    """Canonical cost rows into one Parquet file of this machine."""
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, COST.schema, compression="lz4", write_statistics=False) as writer:
        for batch in batches:
            writer.write_batch(batch)
