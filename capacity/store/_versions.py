"""Which version of each table stood at a moment.

A commit's time is what its writer's clock said (milliseconds). Commits of one table come one after another, so their
times rise, and the version of a moment is found by halving: eleven small reads in a history of 2,000 commits. Writers
on several machines need synchronised clocks (NTP): where two commits of a table are closer than their clocks differ, a
moment between them may name either.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from capacity.errors import MissingDataError, UsageError
from capacity.store import _log
from capacity.store._log import RETENTION_DAYS
from capacity.store._place import Place, files

# Collecting the versions of all tables takes some milliseconds; writers that commit in all of this many are not met.
_ATTEMPTS = 20


def newest(where: Place) -> int | None:
    """The newest version; None where there is no table."""
    return _log.listing(where).newest


def at(where: Place, as_of: datetime) -> int | None:
    """The newest version committed at or before ``as_of``; None where the table did not exist then.

    Raises
    ------
    MissingDataError
        The log no longer goes back that far.
    """
    commits, system = _log.listing(where).commits, files(where)
    low, high = 0, len(commits)
    while low < high:
        middle = (low + high) // 2
        if _log.committed_at(system, commits[middle]) <= as_of:
            low = middle + 1
        else:
            high = middle
    if low:
        return commits[low - 1]
    if commits and commits[0] > 0:
        began = _log.committed_at(system, commits[0])
        raise MissingDataError(
            f"{where}: the versions before {began:%Y-%m-%dT%H:%M:%SZ} are gone, so none is known as of {as_of}; "
            f"they are kept for {RETENTION_DAYS} days"
        )
    return None


def settled(collect: Callable[[], dict[str, int]], otherwise: Callable[[], dict[str, int]]) -> dict[str, int]:
    """Versions that stood at one moment together: collected until two collections in a row agree.

    Versions only rise, so nothing was committed between two that agree. Where writers never pause, ``otherwise``.
    """
    before = collect()
    for _ in range(_ATTEMPTS):
        found = collect()
        if found == before:
            return found
        before = found
    return otherwise()


def expired(where: Place, version: int, now: datetime | None = None) -> bool:
    """Whether ``version`` was replaced by its successor longer ago than versions are kept."""
    commits = _log.listing(where).commits
    if version + 1 not in commits:
        return bool(commits) and version < commits[0]
    replaced = _log.committed_at(files(where), version + 1)
    return replaced < (now or datetime.now(UTC)) - timedelta(days=RETENTION_DAYS)


def checked(as_of: datetime) -> datetime:
    """``as_of`` in UTC.

    Raises
    ------
    UsageError
        It has no zone.
    """
    if as_of.tzinfo is None:
        raise UsageError(f"as_of {as_of} has no zone; write it as 2026-01-31T00:00:00Z")
    return as_of.astimezone(UTC)
