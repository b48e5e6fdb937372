"""Which hours of a CloudWatch series are asked for at which period, cut into calls. Pure: whole seconds since 1970.

The rule that everything else rests on: an hour of a series is asked for at one period only, and only once it is over.
What is stored of an hour is then whole, and a later ingest goes on at an hour's border. Hours that are read again for
late points are asked for at the period at which they are stored, never at another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

HOUR = 3600
DAY = 86_400
# Limits of one GetMetricData call: queries, and points (Amazon CloudWatch API reference, GetMetricData).
MAX_QUERIES = 500
MAX_POINTS = 100_800
# How long CloudWatch keeps points of a period (same source): periods that are whole hours, whole five minutes, others.
RETENTION_DAYS: Mapping[int, int] = {3600: 455, 300: 63, 60: 15}
# Series that are read one after the other by one thread: this many calls' worth of the longest stretch. Small enough
# that threads share the work, large enough that shorter stretches still fill their calls.
_CALLS_A_PART = 8


@dataclass(frozen=True)
class Rule:
    """How a series is to be read.

    Attributes
    ----------
    period_seconds
        One period for everything, or None: by the age of the data.
    finest_seconds
        No finer than this; also the interval at which the metric is published.
    days
        How far back at the first time.
    overlap_hours
        How many stored hours are read again.
    """

    period_seconds: int | None = None
    finest_seconds: int = 60
    days: int = 455
    overlap_hours: int = 3

    @property
    def fixed(self) -> int | None:
        return None if self.period_seconds is None else max(self.period_seconds, self.finest_seconds)

    @property
    def block(self) -> int:
        """The seconds that are read whole or not at all: an hour, or a longer period."""
        return max(HOUR, self.fixed or 0)


@dataclass(frozen=True, order=True)
class Stretch:
    """A span of time, end exclusive, asked for at one period."""

    start: int
    end: int
    period: int

    @property
    def steps(self) -> int:
        return (self.end - self.start) // self.period


def retention_days(period: int) -> int:
    """For how many days CloudWatch keeps points of ``period``."""
    return next(days for unit, days in RETENTION_DAYS.items() if period % unit == 0)


def oldest(period: int, now: int) -> int:
    """Start of the first hour that is safely still kept at ``period``; one hour is left for the ingest to run in."""
    return _up(now - retention_days(period) * DAY, HOUR) + HOUR


def stretches(
    rule: Rule, last: Mapping[int, int], now: int, since: int | None = None
) -> tuple[tuple[Stretch, ...], int | None]:
    """What is to be asked of a series now, in order of time and without a gap.

    Parameters
    ----------
    last
        Period -> its newest stored point; empty where the series is new.
    since
        Where to begin a series that is new, in place of ``rule.days`` ago.

    Returns
    -------
    The stretches, and the time before which wanted points are no longer kept (None: nothing is lost).
    """
    end = now // rule.block * rule.block
    if not last:
        first = end - rule.days * DAY if since is None else since - rule.overlap_hours * HOUR
        return _by_age(rule, first // rule.block * rule.block, end, now)
    newest = max(last, key=lambda period: (_covered(last, period), -period))
    covered = _covered(last, newest)
    # A rule of more than an hour goes on at the border of its period; the hours up to it are read as hours.
    border = _up(covered, rule.block)
    between, lost_between = _by_age(Rule(finest_seconds=min(newest, HOUR)), covered, min(border, end), now)
    fresh, lost = _by_age(rule, border, end, now)
    again = _again(rule, last, newest, min(covered, end), now)
    return _joined([*again, *between, *fresh]), lost if lost is not None else lost_between


def _again(rule: Rule, last: Mapping[int, int], newest: int, end: int, now: int) -> list[Stretch]:
    """The overlap, at the newest stored period.

    Hours before it that are stored at another period are left alone, and so are those that are no longer kept.
    """
    block = max(HOUR, newest)
    others = max((_covered(last, p) for p in last if p != newest), default=0)
    start = _up(max(_covered(last, newest) - rule.overlap_hours * HOUR, others, oldest(newest, now)), block)
    stop = end // block * block
    return [Stretch(start, stop, newest)] if start < stop else []


def _covered(last: Mapping[int, int], period: int) -> int:
    """End of the hour of the last point: stored hours were asked for whole."""
    return _up(last[period] + period, max(HOUR, period))


def _by_age(rule: Rule, first: int, end: int, now: int) -> tuple[tuple[Stretch, ...], int | None]:
    """New hours, coarser as they are older."""
    periods = [rule.fixed] if rule.fixed else [p for p in RETENTION_DAYS if p >= rule.finest_seconds]
    edges = [_up(oldest(p, now), max(rule.block, p)) for p in periods]
    start = max(first, edges[0])
    out = []
    for period, stop in zip(periods, [*edges[1:], end], strict=True):
        if start < min(stop, end):
            out.append(Stretch(start, min(stop, end), period))
            start = min(stop, end)
    return tuple(out), (edges[0] if first < min(edges[0], end) else None)


def _joined(parts: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """Neighbours of one period as one."""
    out: list[Stretch] = []
    for part in parts:
        if out and out[-1].period == part.period and out[-1].end == part.start:
            out[-1] = Stretch(out[-1].start, part.end, part.period)
        else:
            out.append(part)
    return tuple(out)


def queries_a_call(stretch: Stretch) -> int:
    """How many metrics fit into one call over the whole stretch.

    A call costs by its metrics, however long it reaches: few metrics over a long time cost least.
    """
    return max(1, min(MAX_QUERIES, MAX_POINTS // max(1, stretch.steps)))


def parts(wanted: Sequence[tuple[int, tuple[Stretch, ...]]]) -> list[tuple[tuple[Stretch, ...], tuple[int, ...]]]:
    """Series that are read together: those with equal stretches, some hundred queries at most.

    Parameters
    ----------
    wanted
        Of each series, how many queries it takes and its stretches.

    Returns
    -------
    Stretches, and the positions of their series in ``wanted``.
    """
    groups: dict[tuple[Stretch, ...], list[int]] = {}
    for i, (_, spans) in enumerate(wanted):
        if spans:
            groups.setdefault(spans, []).append(i)
    out = []
    for spans, members in groups.items():
        most = min(MAX_QUERIES, _CALLS_A_PART * min(queries_a_call(s) for s in spans))
        part: list[int] = []
        for i in members:
            if part and sum(wanted[j][0] for j in part) + wanted[i][0] > most:
                out.append((spans, tuple(part)))
                part = []
            part.append(i)
        out.append((spans, tuple(part)))
    return out


def _up(at: int, step: int) -> int:
    return -(-at // step) * step
