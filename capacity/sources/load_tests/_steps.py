"""From requests to steps: seconds are counted first, and a step is a stretch of seconds with constant users.

Nothing is kept of a request but its second and the bucket of its latency, so that memory grows with the length of a
run and not with its load. Buckets are 1 % wide: a percentile is known to half a percent.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pandas as pd

from capacity.config import LoadTestConfig
from capacity.sources.load_tests._files import refuse

STEP_COLUMNS = (
    "file", "started_at", "concurrency", "throughput", "error_frac", "p50_ms", "p95_ms", "p99_ms", "seconds",
    "requests",
)  # fmt: skip

_BUCKET = math.log(1.01)
# Below a microsecond a latency is none.
_LEAST_MS = 1e-3
# A step is steady where no third of it has so many times the requests of another, told from so many requests on.
_STEADY, _COUNTED = 1.25, 100
# Two days of seconds: a run of this length is no load test, and a file with wild time stamps is refused early.
_MOST_SECONDS = 200_000


@dataclass
class Second:
    """What happened in one second of a run."""

    users: float | None = None
    failed: int = 0
    total_ms: float = 0.0
    latency: Counter[int] = field(default_factory=Counter)


class Run:
    """A run by the second (Unix time), filled request by request in any order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seconds: dict[int, Second] = {}

    def at(self, ts: float, line: int) -> Second:
        second = self.seconds.get(int(ts))
        if second is None:
            if len(self.seconds) >= _MOST_SECONDS:
                refuse(self._path, line, f"more than {_MOST_SECONDS:,} different seconds", "give one run a file")
            second = self.seconds[int(ts)] = Second()
        return second

    def request(self, ts: float, latency_ms: float, failed: bool, line: int) -> None:
        """A request that ended at ``ts``."""
        second = self.at(ts, line)
        second.latency[_bucket(latency_ms)] += 1
        second.total_ms += latency_ms
        second.failed += failed

    def users(self, ts: float, users: float, line: int) -> None:
        """So many users at ``ts``: the most of a second count."""
        second = self.at(ts, line)
        second.users = users if second.users is None else max(second.users, users)


def steps(run: Run, path: Path, config: LoadTestConfig) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The steady steps of a run and what was left out, in words.

    Users are constant within a step; its first ``settle_seconds`` and its last second (which may be cut) are left out,
    and it must have ``least_seconds`` after that. With ``step_seconds`` the run is cut at these instead, and the
    concurrency is what was in flight: throughput times mean latency (Little's law).
    """
    if not run.seconds:
        return pd.DataFrame(columns=list(STEP_COLUMNS)), ()
    stretches = _by_time(run, config) if config.step_seconds else _by_users(run)
    rows, left_out, unsteady = [], 0, list[str]()
    for users, first, last in stretches:
        begin = first + config.settle_seconds
        if last - begin < config.least_seconds:
            left_out += last + 1 - first
            continue
        rows.append(_row(run, path, users, begin, last))
        unsteady += _unsteady(run, path, users, begin, last)
    notes = (f"{path.name}: {left_out} s of ramps and of steps too short were left out",) if left_out else ()
    return pd.DataFrame(rows, columns=list(STEP_COLUMNS)), (*notes, *unsteady)


def _unsteady(run: Run, path: Path, users: float | None, first: int, end: int) -> list[str]:
    """A note where the load moved within a step: k6 sets up all users of an arrival rate at once, whatever the rate."""
    cuts = [first + (end - first) * n // 3 for n in range(4)]
    counts = [
        sum(sum(s.latency.values()) for at in range(a, b) if (s := run.seconds.get(at)) is not None)
        for a, b in pairwise(cuts)
    ]
    rates = [n / max(b - a, 1) for n, (a, b) in zip(counts, pairwise(cuts), strict=True)]
    if min(counts) < _COUNTED or max(rates) <= _STEADY * min(rates):
        return []
    of = "" if users is None else f" of {users:g} users"
    mend = "a shorter step_seconds" if users is None else "step_seconds, if the load is a rate of arrivals"
    where = pd.Timestamp(first, unit="s", tz="UTC").strftime("%H:%M:%S")
    return [
        f"{path.name}: within the step{of} from {where} requests go from {rates[0]:,.4g} to {rates[2]:,.4g}/s "
        f"(most {max(rates):,.4g}): no steady load; give {mend}"
    ]


def _by_time(run: Run, config: LoadTestConfig) -> list[tuple[float | None, int, int]]:
    length, (first, end) = int(config.step_seconds or 0), _span(run)
    return [(None, at, min(at + length, end)) for at in range(first, end, length)]


def _by_users(run: Run) -> list[tuple[float | None, int, int]]:
    """(users, first second, last second, itself left out): a second that tells no users has those of the one before."""
    first, end = _span(run)
    out: list[tuple[float | None, int, int]] = []
    current: float | None = None
    began = first
    for at in range(first, end):
        second = run.seconds.get(at)
        users = current if second is None or second.users is None else second.users
        if users != current:
            out.append((current, began, at - 1))
            current, began = users, at
    out.append((current, began, end - 1))
    return [(users, a, b) for users, a, b in out if users]


def _span(run: Run) -> tuple[int, int]:
    first, last = min(run.seconds), max(run.seconds)
    if last - first > _MOST_SECONDS:
        refuse(run._path, 0, f"spans {(last - first) / 86_400:,.0f} days", "give one run a file, with true time stamps")
    return first, last + 1


def _row(run: Run, path: Path, users: float | None, first: int, end: int) -> tuple[object, ...]:
    latency: Counter[int] = Counter()
    failed, total = 0, 0.0
    for at in range(first, end):
        if (second := run.seconds.get(at)) is not None:
            latency.update(second.latency)
            failed += second.failed
            total += second.total_ms
    count, length = sum(latency.values()), end - first
    in_flight = total / 1000.0 / length
    return (
        path.name, pd.Timestamp(first, unit="s", tz="UTC"), in_flight if users is None else float(users),
        max(count - failed, 0) / length, min(failed / count, 1.0) if count else 1.0,
        *(quantile(latency, q) for q in (0.5, 0.95, 0.99)), float(length), count,
    )  # fmt: skip


def _bucket(latency_ms: float) -> int:
    return round(math.log(max(latency_ms, _LEAST_MS)) / _BUCKET)


def quantile(latency: Counter[int], q: float) -> float:
    """The ``q``-quantile in ms of counts by bucket; NaN where there is none."""
    count = sum(latency.values())
    if count == 0:
        return math.nan
    wanted, seen = max(math.ceil(q * count), 1), 0
    for bucket in sorted(latency):
        seen += latency[bucket]
        if seen >= wanted:
            return math.exp(bucket * _BUCKET)
    return math.nan
