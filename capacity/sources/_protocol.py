"""What a source is, what it hands over, and the registry that makes one from its config."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import pyarrow as pa

from capacity.config import AwsAccess, AwsSource, BillSource, CurSource, SourceConfig
from capacity.errors import UsageError

Resolve = Callable[[str], Path]
# A usage series of one source: (service, metric, stat, period_seconds).
SeriesKey = tuple[str, str, str, int]
# Rows that the store holds: of a frame, where all of (column, operator, value) hold.
Stored = Callable[[str, Sequence[tuple[str, str, Any]]], pa.Table]


@dataclass(frozen=True)
class SourceInfo:
    """What a kind of source reads, needs and costs; ``capacity sources`` shows it.

    Attributes
    ----------
    kind
        The word in the config.
    reads
        What is read, from where.
    frames
        The canonical frames it yields.
    permissions
        IAM actions it calls; empty where no cloud is asked.
    price
        What reading costs.
    limits
        What the other side or this reader does not go beyond.
    calls
        The operations it calls, each with what a call costs where it costs anything.
    """

    kind: str
    reads: str
    frames: tuple[str, ...]
    permissions: tuple[str, ...]
    price: str
    limits: str
    calls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Batch:
    """Rows of one frame from one file or one round of calls.

    Attributes
    ----------
    frame
        Name of a table of :data:`capacity.schemas.TABLES`.
    table
        Exactly that table's Arrow schema.
    file
        Where the rows come from, as a reader would name it.
    notes
        What was tolerated, dropped or changed on the way in; one sentence each.
    complete
        Of a cost batch: whether it holds its billing periods whole, so that they may be replaced even where another
        part of the source failed.
    """

    frame: str
    table: pa.Table
    file: str
    notes: tuple[str, ...] = ()
    complete: bool = False


class BillFile(Protocol):
    """One billing file, read as a stream.

    Attributes
    ----------
    label
        What stands in the cost table's column ``file``.
    digest
        Tells contents apart: files with equal digests hold equal rows (SHA-256 of the bytes, or what an object store
        guarantees in its place). How the content is read (``defaults`` of the config, say) is no part of it: a reader
        tells that in an attribute ``reading`` of its own, any text.
    complete
        Whether it belongs to a delivery that says it holds its billing periods whole. What the same source had for
        such a period and does not come again is then gone; in a plain folder it stays, and that is noted.
    """

    @property
    def label(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def complete(self) -> bool: ...

    def blocks(self) -> Iterator[pa.Table]:
        """Rows in the canonical cost schema, at most some 131,072 at a time, in the order of the file.

        Raises
        ------
        CorruptDataError
            Names file, line, column and value. Nothing of the file may then be kept.
        """
        ...

    def raw(self, columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The file's own columns, before anything is converted: what the FOCUS rules and the check of the sums look at.

        Parameters
        ----------
        columns
            Only those whose name is among these, where case and all but letters and digits do not count (so that
            ``lineItem/UnblendedCost`` and ``line_item_unblended_cost`` are one); all where None. The store asks for
            the four cost columns and what they are summed by, so that a Parquet file is not read whole twice.
        """
        ...

    def notes(self) -> tuple[str, ...]:
        """What was tolerated or changed on the way; complete once ``blocks`` is at its end."""
        ...


@runtime_checkable
class BillReader(Protocol):
    """A source of bills that can be streamed, file by file.

    Attributes
    ----------
    corrections
        ``replace``: the files of a period are the period. ``ledger``: a new file holds differences to what came
        before. ``delta``: a new file holds negations of rows that came before, and their corrected rows.
    check_focus
        Whether the FOCUS rules are to be run over each new file.
    """

    corrections: str
    check_focus: bool

    def bills(self, now: datetime) -> Iterator[BillFile]:
        """The files, in the order in which they were delivered."""
        ...


class Source(Protocol):
    """Something that can be read again and again with the same result."""

    name: str
    info: ClassVar[SourceInfo]

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """Rows from ``since`` (None: all there is) up to ``now``.

        Every batch handed over is sound on its own. Parts that failed are raised as one
        :class:`~capacity.errors.DataError` after the last batch.
        """
        ...


@runtime_checkable
class ResumableSource(Protocol):
    """A source that can go on from the last point of each of its series."""

    def series(self) -> tuple[SeriesKey, ...]:
        """The usage series it yields."""
        ...

    def resume(self, last: Mapping[SeriesKey, datetime], now: datetime) -> Iterator[Batch]:
        """As ``batches``, each series from its own last point; a series not in ``last`` from its beginning."""
        ...


@runtime_checkable
class ContinuingSource(Protocol):
    """A source that looks at the rows of the store first, and tells only what they do not say."""

    def proceed(self, stored: Stored, now: datetime) -> Iterator[Batch]:
        """As ``batches``, on top of what is ``stored``."""
        ...


@dataclass(frozen=True)
class Context:
    """What a source needs beside its own config.

    Attributes
    ----------
    resolve
        Makes a path of the config absolute.
    aws
        The config's ways into AWS.
    """

    resolve: Resolve
    aws: tuple[AwsAccess, ...] = ()

    def access(self, source: AwsSource | BillSource | CurSource) -> AwsAccess:
        """The way into AWS that ``source`` names, or the only one there is.

        Raises
        ------
        UsageError
            There is none, or several and the source does not say which.
        """
        if source.aws is None and len(self.aws) == 1:
            return self.aws[0]
        found = [a for a in self.aws if a.name == source.aws]
        if found:
            return found[0]
        known = ", ".join(a.name for a in self.aws) or "none"
        raise UsageError(f"source '{source.name}': name its way into AWS with 'aws'; entries under 'aws': {known}")


@dataclass(frozen=True)
class _Entry:
    info: SourceInfo
    make: Callable[[Any, Context], Source]


_REGISTRY: dict[str, _Entry] = {}


def register(info: SourceInfo, make: Callable[[Any, Context], Source]) -> None:
    """Make ``info.kind`` known: ``make`` gets its config and its context."""
    if info.kind in _REGISTRY:
        raise UsageError(f"source kind '{info.kind}' is registered twice; give one of them another name")
    _REGISTRY[info.kind] = _Entry(info, make)


def build(config: SourceConfig, context: Context) -> Source:
    """The source that ``config`` describes; nothing is read or called yet."""
    if config.kind not in _REGISTRY:
        raise UsageError(f"no source of kind '{config.kind}'; known: {', '.join(sorted(_REGISTRY))}")
    return _REGISTRY[config.kind].make(config, context)


def infos() -> tuple[SourceInfo, ...]:
    """All kinds of source, by name."""
    return tuple(_REGISTRY[k].info for k in sorted(_REGISTRY))
