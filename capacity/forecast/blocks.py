"""Hours of the future from daily mean and peak, and the load blocks that are cut from them.

A block is a fixed set of (weekday, hour) classes within a calendar month: known in advance, so that scheduled scaling
can follow it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity import words
from capacity.domain import Floats, LoadBlock, Paths, SeriesForecast
from capacity.errors import UsageError
from capacity.forecast._paths import ranks
from capacity.forecast.targets import HOURS, DayShapes

Ints = npt.NDArray[np.intp]
CLASSES = 7 * HOURS
# Correlation of the forecast errors of a service's daily mean and peak: peaks move with the mean, but not in lockstep.
# Measured on ten real hourly series reduced to daily mean and maximum: median .87, quartiles .84 and .90.
MEAN_PEAK_CORRELATION = 0.85
# Classes are grouped by what they need in all but a tenth of the futures; the demand of a block is set afterwards.
GROUPING_LEVEL = 0.9


def hourly_paths(mean: SeriesForecast, peak: SeriesForecast, shapes: DayShapes, seed: int) -> Paths:
    """(P, D, 24) float32 hours: each path's day has that path's daily mean and peak.

    Rows are the futures of ``mean``. The peaks of a day keep their own distribution and are matched to the means by
    rank with a correlation of .85. A peak below its mean is raised to it, one above 24 means is lowered to that (all
    of the day in one hour). Hours are mean + (peak - mean) x shape; where that would fall below zero, the hours
    beside the peak are scaled so that the day's mean stays.

    Raises
    ------
    UsageError
        The two forecasts differ in their dates or number of paths.
    """
    if not mean.index.equals(peak.index) or mean.paths.shape != peak.paths.shape:
        raise UsageError(
            f"mean and peak of {mean.key!r} differ in dates or paths ({mean.paths.shape} and {peak.paths.shape}); "
            "forecast both in one call"
        )
    means = mean.paths
    peaks = _matched(means, peak.paths)
    peaks = np.clip(peaks, means, np.where(means > 0, means * HOURS, np.abs(means)))
    rng = np.random.default_rng(seed)
    chosen = np.stack([rng.choice(shapes.by_weekday[d], size=len(means)) for d in mean.index.dayofweek], axis=1)
    shape = shapes.bank[chosen]
    hours = means[:, :, None] + (peaks - means)[:, :, None] * shape
    if bool((means < 0).any()):
        return np.asarray(hours, dtype=np.float32)
    return _without_negatives(hours, means, peaks)


def cut_blocks(
    hours: Paths, days: pd.DatetimeIndex, n_blocks: int, service_level: float, *, static: bool = False,
    groups: Ints | None = None,
) -> tuple[LoadBlock, ...]:  # fmt: skip
    """Load blocks of every calendar month in ``days``.

    The hours of a month are grouped into ``n_blocks`` by level (named b1, the highest, downwards). Their demands keep
    ``service_level`` of the paths, jointly over all blocks of the month, and no more: a demand lowered to the block's
    next smaller largest hour of any path would keep fewer.

    Which paths are let go: those that stand highest in their worst block, so that all blocks are cut at one common
    level. Where a unit cannot follow the load (``static``), those with the largest hour of the month, as nothing but
    that hour costs. Letting go of the paths that cost most instead would lower sum(hours x demand) by 1.2 % at .95,
    and the coverage of futures that were not cut from by as much (18 units, 7 months, 500 paths against 500 others:
    .943 against .951), so nothing is won.

    Parameters
    ----------
    hours
        (P, D, 24).
    days
        (D,) zone-less local dates; a month that is there in part is cut from the days that are there.
    n_blocks
        Blocks a month; fewer where fewer (weekday, hour) classes occur.
    service_level
        In (0, 1].
    static
        The unit runs the same instances in all hours of a month.
    groups
        What :func:`block_of` gives, where it is known already.

    Returns
    -------
    In the order of months, then b1, b2, ...; ``hours`` of the blocks of a month add up to 24 x its days.
    """
    return cut_at_levels(hours, days, n_blocks, (service_level,), static=static, groups=groups)[service_level]


def cut_at_levels(
    hours: Paths, days: pd.DatetimeIndex, n_blocks: int, service_levels: Sequence[float], *, static: bool = False,
    groups: Ints | None = None,
) -> dict[float, tuple[LoadBlock, ...]]:  # fmt: skip
    """The blocks of :func:`cut_blocks` at each of several service levels; the hours are looked at once.

    Their hours and names are the same at all levels, and demands never fall in the level: where many paths share their
    largest hours, a demand is raised to that of a lower level.
    """
    _check(hours, days, n_blocks)
    for level in service_levels:
        if not 0.0 < level <= 1.0:
            raise UsageError(f"service level is {level}; it must be above 0 and at most 1")
    out: dict[float, tuple[LoadBlock, ...]] = dict.fromkeys(service_levels, ())
    for month in _months_by_class(hours, days):
        labels = month.labels(n_blocks) if groups is None else month.labels_in(groups)
        tops, counts = month.block_maxima(labels), month.hours_of(labels)
        least: Floats = np.full(len(counts), -np.inf)
        for level in sorted(out):
            least = np.maximum(_joint_demand(tops, level, static=static), least)
            demands = enumerate(zip(counts, least, strict=True))
            out[level] += tuple(LoadBlock(month.name, f"b{b + 1}", float(n), float(d)) for b, (n, d) in demands)
    return out


def block_of(hours: Paths, days: pd.DatetimeIndex, n_blocks: int) -> Ints:
    """(D, 24) index of the block (0 is b1) that every hour belongs to; the same for the same paths and days."""
    _check(hours, days, n_blocks)
    out = np.zeros((len(days), HOURS), dtype=np.intp)
    for month in _months_by_class(hours, days):
        out[month.at] = month.labels(n_blocks)[month.day_class]
    return out


def plan_coverage(
    hours: Paths, days: pd.DatetimeIndex, blocks: Sequence[LoadBlock], served: Mapping[tuple[str, str], float]
) -> dict[str, float]:
    """Month -> share of paths with no hour above what is served in that hour's block.

    ``blocks`` are those that were cut from ``hours`` and ``days``; ``served`` maps (month, block) to the demand that
    the plan serves. A block that ``served`` does not name is served nothing.
    """
    _check(hours, days, 1)
    names: dict[str, list[str]] = {}
    for block in blocks:
        names.setdefault(block.month, []).append(block.block)
    out: dict[str, float] = {}
    for month in _months_by_class(hours, days):
        if month.name not in names:
            continue
        tops = month.block_maxima(month.labels(len(names[month.name])))
        limits = np.array([served.get((month.name, name), 0.0) for name in names[month.name]])
        # Demands are float64 of float32 paths; a hair of tolerance keeps a demand served exactly from being short.
        out[month.name] = float((tops <= limits * (1.0 + 1e-6)).all(axis=1).mean())
    return out


def _check(hours: Paths, days: pd.DatetimeIndex, n_blocks: int) -> None:
    if hours.ndim != 3 or hours.shape[1:] != (len(days), HOURS):
        raise UsageError(f"hours have shape {hours.shape}; (paths, {len(days)} days, {HOURS}) is needed")
    if n_blocks < 1:
        raise UsageError(f"{n_blocks} blocks; at least 1 is needed")


@dataclass(frozen=True)
class _Month:
    """A month by its (weekday, hour) classes: W weekdays are there, ``day_class`` (days,) says which one each day is.

    ``tops`` (P, W, 24) is the largest of each class, of which the largest of a block is made: a fifth of the hours.
    """

    name: str
    at: Ints
    day_class: Ints
    tops: Paths

    def labels(self, n_blocks: int) -> Ints:
        """(W, 24) block of each class, 0 the highest."""
        need = np.quantile(self.tops, GROUPING_LEVEL, axis=0).astype(float)
        counts = np.repeat(np.bincount(self.day_class), HOURS).astype(float)
        return _partition(need.ravel(), counts, n_blocks).reshape(need.shape)

    def labels_in(self, groups: Ints) -> Ints:
        """(W, 24) the same from the (D, 24) block of every hour: all days of a class have those of its first."""
        first = np.unique(self.day_class, return_index=True)[1]
        out: Ints = groups[self.at[first]]
        return out

    def block_maxima(self, labels: Ints) -> Paths:
        """(P, B) largest hour of each block."""
        flat, blocks = self.tops.reshape(len(self.tops), -1), labels.ravel()
        return np.stack([flat[:, blocks == b].max(axis=1) for b in range(int(blocks.max()) + 1)], axis=1)

    def hours_of(self, labels: Ints) -> Floats:
        """(B,) hours in each block."""
        return np.bincount(labels[self.day_class].ravel(), minlength=int(labels.max()) + 1).astype(float)


def _months_by_class(hours: Paths, days: pd.DatetimeIndex) -> Iterator[_Month]:
    """The calendar months of ``days``, in their order."""
    names = words.month_names(days)
    for name in dict.fromkeys(names.tolist()):
        at = np.flatnonzero(names == name)
        present, day_class = np.unique(days[at].dayofweek.to_numpy(), return_inverse=True)
        tops = np.stack([_largest_of(hours, at[day_class == k]) for k in range(len(present))], axis=1)
        yield _Month(str(name), at, day_class, tops)


def _largest_of(hours: Paths, at: Ints) -> Paths:
    """(P, 24) largest of each hour over the days ``at``."""
    out = hours[:, at[0]].copy()
    for day in at[1:].tolist():
        np.maximum(out, hours[:, day], out=out)
    return out


def _matched(means: Paths, peaks: Paths) -> Paths:
    """Peaks (P, D) reordered within each day so that their ranks go with those of the means."""
    from scipy.special import ndtri

    # The score of each rank, looked up: there are as many ranks as paths, whatever the days.
    scores = ndtri((np.arange(len(means)) + 0.5) / len(means))
    own, theirs = (scores[ranks(x).astype(np.intp)] for x in (peaks, means))
    r = MEAN_PEAK_CORRELATION
    order = ranks(r * theirs + np.sqrt(1.0 - r * r) * own).astype(np.intp)
    return np.asarray(np.take_along_axis(np.sort(peaks, axis=0), order, axis=0), dtype=np.float32)


def _without_negatives(hours: Paths, means: Paths, peaks: Paths) -> Paths:
    """Lift hours below zero to zero and scale those beside the peak so that mean and peak stay."""
    bad = (hours < 0).any(axis=2)
    if bad.any():
        rows = np.maximum(hours[bad].astype(float), 0.0)
        top = rows.argmax(axis=1)
        line = np.arange(len(rows))
        rows[line, top] = 0.0
        left = HOURS * means[bad].astype(float) - peaks[bad]
        others = rows.sum(axis=1)
        rows *= np.where(others > 0, np.maximum(left, 0.0) / np.where(others > 0, others, 1.0), 0.0)[:, None]
        rows[line, top] = peaks[bad]
        hours[bad] = rows
    return np.asarray(hours, dtype=np.float32)


def _joint_demand(tops: Paths, service_level: float, *, static: bool) -> Floats:
    """(B,) demands that ``service_level`` of the rows stay within in every block, none of which can be lower.

    The rows that stay are an order statistic, so no search is needed: within rank k in all blocks are exactly the rows
    whose largest rank over blocks is at most k.
    """
    needed = int(np.ceil(service_level * len(tops) - 1e-9))
    worst = tops.max(axis=1) if static else _ranks(tops).max(axis=1)
    kept = tops[np.argsort(worst, kind="stable")[:needed]]
    return _trimmed(tops, kept.max(axis=0), needed).astype(float)


def _ranks(tops: Paths) -> Ints:
    """(P, B) how many rows are below each, block by block."""
    ordered = np.sort(tops, axis=0)
    return np.stack([np.searchsorted(o, t, side="left") for o, t in zip(ordered.T, tops.T, strict=True)], axis=1)


def _trimmed(tops: Paths, limits: Paths, needed: int) -> Paths:
    """Lower one block at a time while at least ``needed`` rows stay within all: equal rows may have come along."""
    inside = tops[(tops <= limits).all(axis=1)]
    while True:
        limits = inside.max(axis=0)
        at_limit = inside == limits
        spare = np.flatnonzero(len(inside) - at_limit.sum(axis=0) >= needed)
        if not len(spare):
            return limits
        inside = inside[~at_limit[:, spare[0]]]


def _partition(need: Floats, counts: Floats, n_blocks: int) -> Ints:
    """Group classes by level so that sum of hours x (block's need) is least: exact, by dynamic programming.

    ``need`` and ``counts`` are (C,); the answer (C,) is 0 for the group of the highest needs.
    """
    order = np.argsort(-need, kind="stable")
    level, mass = need[order], np.r_[0.0, np.cumsum(counts[order])]
    c, groups = len(need), min(n_blocks, len(need))
    # cost[i, j]: one block of the sorted classes i..j-1, at the need of the highest, i.
    cost = np.where(
        np.arange(c)[:, None] < np.arange(c + 1), level[:, None] * (mass[None, :] - mass[:-1, None]), np.inf
    )
    best = np.full(c + 1, np.inf)
    best[0] = 0.0
    cuts = []
    for _ in range(groups):
        through = best[:c, None] + cost
        cuts.append(through.argmin(axis=0))
        best = through.min(axis=0)
    labels = np.empty(c, dtype=np.intp)
    end = c
    for b in range(groups - 1, -1, -1):
        start = int(cuts[b][end])
        labels[order[start:end]] = b
        end = start
    return labels
