"""Totals of a service, a team, a company: joint paths added future by future, never quantiles.

Row i of every member is the same future, so rows may be added. Before they are, each member's paths are stretched so
that their totals over the horizon have the member's calibrated total for a distribution, each path keeping its rank.
Groups are added from the leaves up, and a parent's paths are the sum of its children's: the levels agree by
construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

import numpy as np
import pandas as pd

from capacity.domain import QUANTILES, Floats, Paths, SeriesForecast
from capacity.errors import UsageError
from capacity.fiscal import CALENDAR, Calendar, Kind

PERIODS: tuple[Kind, ...] = ("month", "quarter")
Combine = Literal["sum", "mean"]


@dataclass(frozen=True)
class Total:
    """What a group's members come to together.

    Attributes
    ----------
    level, name, path
        "team", "edge", and the way down to it from the top: ("ACME", "edge").
    members
        Keys of its series, sorted.
    index, quantiles
        The steps that all members have, and (8, H) quantiles of their sum in each.
    periods
        Months (2026-10) and quarters (2026-Q4, FY2027-Q3) that all members cover -> (8,) quantiles of the sum over
        their steps (or of the mean step, if so asked), what is known of them already included.
    horizon
        (8,) quantiles of the sum (or mean step) over ``index``.
    samples
        Period -> (P,) the futures behind ``periods``; kept where asked.
    paths
        (P, H) float32 futures; kept where asked.
    """

    level: str
    name: str
    path: tuple[str, ...]
    unit: str
    members: tuple[str, ...]
    index: pd.DatetimeIndex
    quantiles: Floats
    periods: Mapping[str, Floats]
    horizon: Floats
    samples: Mapping[str, Floats] = field(default_factory=dict)
    paths: Paths | None = None


def with_calibrated_totals(forecast: SeriesForecast) -> SeriesForecast:
    """``forecast`` with paths whose sums over the horizon are distributed as its calibrated total.

    Each path is multiplied by one factor (a series that has been below zero is moved by one amount instead), so it
    keeps its shape and its rank, and never falls below zero. Quantiles, peak and total are as they were.
    """
    paths = forecast.paths.astype(float)
    sums = paths.sum(axis=1)
    wanted = _mapped(sums, forecast.total)
    if bool((paths >= 0).all()):
        positive, wanted = sums > 0, np.maximum(wanted, 0.0)
        paths *= np.divide(wanted, sums, out=np.ones_like(sums), where=positive)[:, None]
        paths += np.where(positive, 0.0, wanted / paths.shape[1])[:, None]
    else:
        paths += ((wanted - sums) / paths.shape[1])[:, None]
    return replace(forecast, paths=paths.astype(np.float32))


def _mapped(sums: Floats, total: Floats) -> Floats:
    """(P,) values with the quantiles ``total`` (8,), in the order of ``sums`` (P,).

    Straight in the normal score between the known quantiles; beyond them the sums' own tails, stretched alike.
    """
    from scipy.special import ndtri

    order = np.argsort(sums, kind="stable")
    ordered, levels = sums[order], (np.arange(len(sums)) + 0.5) / len(sums)
    own = np.quantile(ordered, QUANTILES)
    mapped = np.interp(ndtri(levels), ndtri(np.array(QUANTILES)), total)
    for end, beyond in ((0, levels < QUANTILES[0]), (-1, levels > QUANTILES[-1])):
        if own[end] > 0 and total[end] > 0:
            mapped[beyond] = ordered[beyond] * (total[end] / own[end])
        else:
            mapped[beyond] = ordered[beyond] + (total[end] - own[end])
    out = np.empty_like(sums)
    out[order] = np.maximum.accumulate(mapped)
    return out


def aggregate(
    forecasts: Mapping[str, SeriesForecast],
    groups: Mapping[str, tuple[str, ...]],
    *,
    levels: Sequence[str] = ("company", "team", "service"),
    units: Mapping[str, str] | None = None,
    known: Mapping[str, Mapping[str, float]] | None = None,
    combine: Combine = "sum",
    calibrated: bool = False,
    keep: Sequence[str] = (),
    calendar: Calendar = CALENDAR,
) -> tuple[Total, ...]:
    """Add the members of each group, level by level.

    Parameters
    ----------
    forecasts
        Key -> forecast; all of one call, so that their paths share their futures. Read one at a time, in the order of
        the groups: a mapping that loads them from disk never holds more than one.
    groups
        Key -> the names from the top level down to its own group: ("ACME", "edge", "gateway"). Several keys may share
        a lowest group (a service in several regions). Keys without an entry are left out.
    levels
        Names of the levels, the top one first; as many as each path has.
    units
        Key -> unit of measure. Within every group they must agree. Absent: all are alike.
    known
        Key -> month (2026-10) -> what is known of it before the series' horizon: the month to date.
    combine
        "sum" for amounts (money), "mean" for rates (requests/s): periods and horizon then are of the mean step.
        Members are added either way.
    calibrated
        Whether paths have gone through :func:`with_calibrated_totals` already.
    keep
        Levels whose ``paths`` and ``samples`` are kept.
    calendar
        Whose quarters ``periods`` has.

    Returns
    -------
    tuple
        Totals sorted by path, parents before their children. The same for any order of the members, to the last bit.

    Raises
    ------
    UsageError
        Units or step lengths of a group disagree, a path has another number of names than there are levels, numbers
        of paths differ, or members of a group have no common step.
    """
    members = sorted((groups[key], key) for key in forecasts if key in groups)
    _check(members, levels, units or {})
    build = _Build(forecasts, tuple(levels), units or {}, known or {}, combine, calibrated, frozenset(keep), calendar)
    out: list[Total] = []
    for name, part in _by_name(members, 0):
        build.group((name,), part, out.append)
    return tuple(sorted(out, key=lambda t: t.path))


Member = tuple[tuple[str, ...], str]


def _by_name(members: Sequence[Member], depth: int) -> Iterator[tuple[str, list[Member]]]:
    for name, part in groupby(members, key=lambda m: m[0][depth]):
        yield name, list(part)


def _check(members: Sequence[Member], levels: Sequence[str], units: Mapping[str, str]) -> None:
    for path, key in members:
        if len(path) != len(levels):
            raise UsageError(f"group of {key!r}: {len(path)} names {path}; one a level is wanted: {', '.join(levels)}")
    for depth in range(len(levels)):
        for path, part in groupby(members, key=lambda m: m[0][: depth + 1]):
            found: dict[str, str] = {}
            for _, key in part:
                found.setdefault(units.get(key, ""), key)
            if len(found) > 1:
                said = ", ".join(f"{key} in {unit or '(none)'}" for unit, key in sorted(found.items()))
                raise UsageError(
                    f"{levels[depth]} {path[-1]!r}: its members are measured differently ({said}) and cannot be added; "
                    "add services that are measured alike, or add their spend"
                )


@dataclass
class _Sum:
    """Members added so far: paths on the steps that all have, and the sum of each period that all cover."""

    index: pd.DatetimeIndex
    paths: Floats
    periods: dict[str, Floats]
    steps: dict[str, int]

    def add(self, other: _Sum, where: str) -> None:
        if len(other.paths) != len(self.paths):
            found = f"{len(self.paths)} and {len(other.paths)} paths"
            raise UsageError(f"{where}: {found}; forecasts of one call are wanted")
        common = self.index.intersection(other.index)
        if not len(common):
            ends = f"{self.index[0]:%Y-%m-%d} and {other.index[0]:%Y-%m-%d}"
            raise UsageError(
                f"{where}: its members have no step in common (they begin {ends}); leave out series that ended long ago"
            )
        self.paths = _on(self, common) + _on(other, common)
        self.index = common
        self.periods = {p: self.periods[p] + other.periods[p] for p in self.periods if p in other.periods}
        self.steps = {p: n for p, n in self.steps.items() if p in self.periods}


def _on(total: _Sum, common: pd.DatetimeIndex) -> Floats:
    if len(common) == len(total.index):
        return total.paths
    first = int(total.index.get_indexer(common[:1])[0])
    return total.paths[:, first : first + len(common)]


@dataclass(frozen=True)
class _Build:
    """Everything that one call of :func:`aggregate` was given."""

    forecasts: Mapping[str, SeriesForecast]
    levels: tuple[str, ...]
    units: Mapping[str, str]
    known: Mapping[str, Mapping[str, float]]
    combine: Combine
    calibrated: bool
    keep: frozenset[str]
    calendar: Calendar = CALENDAR

    def group(self, path: tuple[str, ...], members: Sequence[Member], emit: Callable[[Total], None]) -> _Sum:
        """The sum of one group; it and all below it are emitted. At most one sum a level is held."""
        if len(path) == len(self.levels):
            parts = (self._member(key) for _, key in members)
        else:
            parts = (self.group((*path, name), part, emit) for name, part in _by_name(members, len(path)))
        total = next(parts)
        for part in parts:
            total.add(part, f"{self.levels[len(path) - 1]} {path[-1]!r}")
        emit(self._total(path, tuple(sorted(key for _, key in members)), total))
        return total

    def _member(self, key: str) -> _Sum:
        one = self.forecasts[key]
        paths = (one if self.calibrated else with_calibrated_totals(one)).paths.astype(float)
        done = self.known.get(key, {})
        months = _periods(one.index, paths, done, self.calendar)
        return _Sum(one.index, paths, {p: v for p, (v, _) in months.items()}, {p: n for p, (_, n) in months.items()})

    def _total(self, path: tuple[str, ...], members: tuple[str, ...], total: _Sum) -> Total:
        level = self.levels[len(path) - 1]
        mean = self.combine == "mean"
        samples = {p: v / total.steps[p] if mean else v for p, v in sorted(total.periods.items())}
        whole = total.paths.mean(axis=1) if mean else total.paths.sum(axis=1)
        return Total(
            level=level,
            name=path[-1],
            path=path,
            unit=self.units.get(members[0], ""),
            members=members,
            index=total.index,
            quantiles=np.quantile(total.paths, QUANTILES, axis=0),
            periods={p: np.quantile(v, QUANTILES) for p, v in samples.items()},
            horizon=np.quantile(whole, QUANTILES),
            samples=samples if level in self.keep else {},
            paths=total.paths.astype(np.float32) if level in self.keep else None,
        )


def _periods(
    index: pd.DatetimeIndex, paths: Floats, known: Mapping[str, float], calendar: Calendar = CALENDAR
) -> dict[str, tuple[Floats, int]]:
    """Whole months and quarters -> (P,) sum over their steps, and how many steps they have."""
    out: dict[str, tuple[Floats, int]] = {}
    step = index[1] - index[0] if len(index) > 1 else pd.Timedelta(days=1)
    for kind in PERIODS:
        periods = index.to_period(calendar.frequency(kind))
        for period in periods.unique():
            inside = np.asarray(periods == period)
            steps = round((period.end_time + pd.Timedelta(1) - period.start_time) / step)
            done = _known_of(period, index[inside][0], known)
            if done is None or index[inside][-1] + step <= period.end_time:
                continue
            out[calendar.of(kind, f"{period.start_time:%Y-%m}")] = paths[:, inside].sum(axis=1) + done, steps
    return out


def _known_of(period: pd.Period, first: pd.Timestamp, known: Mapping[str, float]) -> float | None:
    """What is known of ``period`` before ``first``; None where a month that is over, or part of one, is not."""
    months = pd.period_range(period.start_time, first, freq="M")
    wanted = [str(m) for m in months if m.start_time < first]
    return sum(known[m] for m in wanted) if all(m in known for m in wanted) else None
