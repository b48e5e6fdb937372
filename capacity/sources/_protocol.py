"""What a source is, what it hands over, and the registry that makes one from its config."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import pyarrow as pa

from capacity.config import SourceConfig
from capacity.errors import UsageError

Resolve = Callable[[str], Path]
# A usage series of one source: (service, metric, stat, period_seconds).
SeriesKey = tuple[str, str, str, int]


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
    """

    kind: str
    reads: str
    frames: tuple[str, ...]
    permissions: tuple[str, ...]
    price: str
    limits: str


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
    """

    frame: str
    table: pa.Table
    file: str
    notes: tuple[str, ...] = ()


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


@dataclass(frozen=True)
class _Entry:
    info: SourceInfo
    make: Callable[[Any, Resolve], Source]


_REGISTRY: dict[str, _Entry] = {}


def register(info: SourceInfo, make: Callable[[Any, Resolve], Source]) -> None:
    """Make ``info.kind`` known: ``make`` gets its config and the function that resolves paths of the config."""
    if info.kind in _REGISTRY:
        raise UsageError(f"source kind '{info.kind}' is registered twice; give one of them another name")
    _REGISTRY[info.kind] = _Entry(info, make)


def build(config: SourceConfig, resolve: Resolve) -> Source:
    """The source that ``config`` describes; nothing is read or called yet."""
    if config.kind not in _REGISTRY:
        raise UsageError(f"no source of kind '{config.kind}'; known: {', '.join(sorted(_REGISTRY))}")
    return _REGISTRY[config.kind].make(config, resolve)


def infos() -> tuple[SourceInfo, ...]:
    """All kinds of source, by name."""
    return tuple(_REGISTRY[k].info for k in sorted(_REGISTRY))
