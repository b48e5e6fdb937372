"""Spend as fixed + rate × units: a robust line whose recent weeks weigh more, on one level of prices.

Spend that is known for a month only comes spread evenly over its days. Such a run of equal days is one point, the mean
of its spend against the mean of its units: taken as days, it would flatten the rate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import Floats

Ints = npt.NDArray[np.int64]

# Fewer days than eight weeks show neither a rate nor a past origin.
LEAST_DAYS = 56
# Fewer points (days, or runs of equal days) do not tell a line from chance.
LEAST_POINTS = 8
# A point that is this old weighs half: prices, discounts and code change within a year, the seasons of demand that
# show the rate take months.
HALF_LIFE_DAYS = 120.0
# Huber's constant: 95 % as efficient as least squares on normal errors.
HUBER = 1.345
ROUNDS = 8
# Rounds end when the line moves by less than this share of the typical day.
SETTLED = 1e-4
# Days of equal spend in a row that are one amount spread over them: metered spend hardly repeats to nine digits.
RUN_DAYS = 5
EQUAL_FRAC = 1e-9
# A run's units are known where at least this share of its days is.
RUN_KNOWN_FRAC = 0.8
# A lasting change of price: at least three weeks on both sides, 4 %, and five times what chance would do.
SHIFT_DAYS = 21
SHIFT_LEAST = 0.04
SHIFT_SURE = 5.0
SHIFTS_MOST = 3
# Its day is looked for within four weeks of where it was first seen.
SEARCH_DAYS = 28
# What the newest weeks cost beyond the line: half the weight is in the last two, and it fades over a quarter.
LEVEL_HALF_LIFE_DAYS = 14.0
LEVEL_FADE_DAYS = 90.0
LEVEL_SHRINK_DAYS = 7.0
# Weekdays: seen over eight weeks at most, and shrunk as if four more had shown nothing.
WEEKDAY_DAYS = 56
WEEKDAY_SHRINK = 4.0
# Units whose middle 90 % lie within this share of their median show no rate.
CONSTANT_FRAC = 0.05
# Under this share of explained variance the line is a guess.
LEAST_R_SQUARED = 0.3
# Amounts below this share of the typical day are nothing; a logarithm needs something.
NOTHING_FRAC = 1e-6


@dataclass(frozen=True)
class Points:
    """What the line is fitted to, in order of time; spend over its median, units over theirs.

    ``days`` is how many days a point stands for, ``age`` how many lie between its middle and the end, ``cluster``
    numbers weeks (a run of equal days is one of its own).
    """

    x: Floats
    y: Floats
    days: Floats
    age: Floats
    cluster: Ints
    single: npt.NDArray[np.bool_]
    weekday: Ints
    y_unit: float
    x_unit: float


@dataclass(frozen=True)
class Line:
    """spend = (fixed + rate × units) × weekday × level, the level fading with lead time.

    ``fixed`` is money a day and ``rate`` money a unit, at today's prices. ``log_level`` is what the newest weeks cost
    beyond the line. ``weekly_sd`` is the size of a week's log error inside the fit. ``shifts`` are changes of price
    that were seen: day of the history (0 the first) and ratio.
    """

    fixed: float
    rate: float
    log_level: float
    weekday: Floats
    r_squared: float
    weekly_sd: float
    recent_units: float
    shifts: tuple[tuple[int, float], ...]
    sums: Floats  # (clusters, 5) weighted sums 1, x, xx, y, xy, in the points' units
    units_of: tuple[float, float]

    def at(self, units: Floats, days: pd.DatetimeIndex, lead: Floats) -> Floats:
        """(..., H) expected spend on ``days`` (H,) that lie ``lead`` (H,) days ahead, for ``units`` (..., H)."""
        fade = 0.5 ** (lead / LEVEL_FADE_DAYS)
        factor = self.weekday[days.dayofweek.to_numpy()] * np.exp(self.log_level * fade)
        return np.asarray((self.fixed + self.rate * units) * factor, dtype=float)


def points_of(spend: Floats, units: Floats, first_weekday: int) -> Points:
    """Points of two histories on one grid of days (n,), NaN where unknown."""
    n = len(spend)
    starts, lengths = runs(spend)
    single = lengths == 1
    group = np.repeat(np.arange(len(starts)), lengths)
    known = np.isfinite(units)
    count = np.bincount(group, known, len(starts))
    x = np.bincount(group, np.where(known, units, 0.0), len(starts)) / np.maximum(count, 1.0)
    y = spend[starts]
    kept = np.isfinite(y) & (count >= RUN_KNOWN_FRAC * lengths)
    middle = starts + (lengths - 1) / 2.0
    weeks = np.where(single, (n - 1 - starts) // 7, n + starts)
    _, cluster = np.unique(weeks[kept], return_inverse=True)
    y_unit = _unit(y[kept])
    x_unit = _unit(x[kept])
    return Points(
        x=x[kept] / x_unit, y=y[kept] / y_unit, days=lengths[kept].astype(float), age=(n - 1 - middle)[kept],
        cluster=cluster.astype(np.int64), single=single[kept], weekday=((first_weekday + starts) % 7)[kept],
        y_unit=y_unit, x_unit=x_unit,
    )  # fmt: skip


def runs(spend: Floats) -> tuple[Ints, Ints]:
    """Starts and lengths of what are single days, and of what is one amount spread over at least five days."""
    if not len(spend):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    near = np.abs(np.diff(spend)) <= EQUAL_FRAC * np.abs(spend[1:])
    breaks = np.flatnonzero(~near) + 1
    firsts = np.concatenate([[0], breaks])
    sizes = np.diff(np.concatenate([firsts, [len(spend)]]))
    out: list[tuple[int, int]] = []
    for start, size in zip(firsts.tolist(), sizes.tolist(), strict=True):
        out += [(start, size)] if size >= RUN_DAYS else [(start + i, 1) for i in range(size)]
    table = np.array(out, np.int64)
    return table[:, 0], table[:, 1]


def _unit(values: Floats) -> float:
    sizes = np.abs(values[values != 0])
    return float(np.median(sizes)) if len(sizes) else 1.0


def fit(spend: Floats, units: Floats, first_weekday: int) -> Line | str:
    """The line of two histories (n,) on one grid of days, or why there is none."""
    both = np.isfinite(spend) & np.isfinite(units)
    if int(both.sum()) < LEAST_DAYS:
        return f"{int(both.sum())} days of both spend and units, {LEAST_DAYS} are needed"
    points = points_of(spend, units, first_weekday)
    reason = _why_no_line(points)
    if reason is not None:
        return reason
    shifts: list[tuple[int, float]] = []
    weights = points.days * 0.5 ** (points.age / HALF_LIFE_DAYS)
    while True:
        f, r, w = _robust(points, weights)
        found = _shift(points, f + r * points.x) if len(shifts) < SHIFTS_MOST else None
        if found is None:
            break
        # The first line was bent by the change itself: with the one after it the day and the size are found anew.
        f, r, _ = _robust(_rebased(points, *found), weights)
        at, log_ratio = _nearer(points, f + r * points.x, *found)
        first_day = len(spend) - 1 - float(points.age[at]) - (float(points.days[at]) - 1.0) / 2.0
        shifts.append((round(first_day), float(np.exp(log_ratio))))
        points = _rebased(points, at, log_ratio)
    return _line(points, f, r, w, weights, tuple(sorted(shifts)))


def _why_no_line(points: Points) -> str | None:
    if len(points.y) < LEAST_POINTS:
        return f"spend changes on {len(points.y)} occasions only, {LEAST_POINTS} are needed"
    low, middle, high = np.quantile(points.x, [0.05, 0.5, 0.95])
    if high - low <= CONSTANT_FRAC * abs(middle) or middle <= 0:
        return "units hardly vary"
    return None


def _line(
    points: Points, f: float, r: float, w: Floats, weights: Floats, shifts: tuple[tuple[int, float], ...]
) -> Line | str:
    expected = f + r * points.x
    r_squared = _explained(points.y, expected, w)
    if r <= 0:
        return "spend does not rise with units"
    if r_squared < LEAST_R_SQUARED:
        return f"units explain {max(r_squared, 0.0):.0%} of the spend's variance, {LEAST_R_SQUARED:.0%} are needed"
    logs = _logs(points.y, expected)
    weekday = _weekdays(points, logs)
    logs = logs - np.where(points.single, np.log(weekday)[points.weekday], 0.0)
    recent = points.days * 0.5 ** (points.age / LEVEL_HALF_LIFE_DAYS)
    level = float((recent * logs).sum() / (recent.sum() + LEVEL_SHRINK_DAYS))
    return Line(
        fixed=f * points.y_unit, rate=r * points.y_unit / points.x_unit, log_level=level, weekday=weekday,
        r_squared=r_squared, weekly_sd=_weekly_sd(points, logs, weights),
        recent_units=float((recent * points.x).sum() / recent.sum()) * points.x_unit,
        shifts=shifts, sums=_sums(points, w), units_of=(points.y_unit, points.x_unit),
    )  # fmt: skip


def _robust(points: Points, weights: Floats) -> tuple[float, float, Floats]:
    """Fixed, rate (both at least 0) and final weights by iterated least squares under Huber's loss."""
    w = weights
    f, r = solve(_one(points, w))
    for _ in range(ROUNDS):
        gaps = np.abs(points.y - f - r * points.x)
        size = 1.4826 * weighted_median(gaps, weights)
        if size <= 0:
            break
        w = weights * np.minimum(1.0, HUBER * size / np.maximum(gaps, 1e-300))
        before = (f, r)
        f, r = solve(_one(points, w))
        if abs(f - before[0]) + abs(r - before[1]) < SETTLED:
            break
    return f, r, w


def _one(points: Points, w: Floats) -> Floats:
    x, y = points.x, points.y
    return np.array([w.sum(), (w * x).sum(), (w * x * x).sum(), (w * y).sum(), (w * x * y).sum()])


def solve(sums: Floats) -> tuple[float, float]:
    """Fixed and rate, neither below 0, from weighted sums 1, x, xx, y, xy."""
    f, r = solve_many(sums[None])
    return float(f[0]), float(r[0])


def solve_many(sums: Floats) -> tuple[Floats, Floats]:
    """As :func:`solve`, for (B, 5) sums at once."""
    one, x, xx, y, xy = sums.T
    spread = one * xx - x * x
    told = spread > 1e-9 * one * np.maximum(xx, 1e-300)
    rate = np.where(told, (one * xy - x * y) / np.where(told, spread, 1.0), 0.0)
    fixed = (y - rate * x) / one
    through = xy / np.maximum(xx, 1e-300)
    rate = np.where(fixed < 0, through, rate)
    fixed = np.where(fixed < 0, 0.0, fixed)
    level = np.maximum(y / one, 0.0)
    return np.where(rate > 0, fixed, level), np.maximum(rate, 0.0)


def weighted_median(values: Floats, weights: Floats) -> float:
    """The value that half of the weight lies below."""
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weights[order])
    return float(values[order][int(np.searchsorted(mass, mass[-1] / 2.0))])


def _explained(y: Floats, expected: Floats, w: Floats) -> float:
    centre = float((w * y).sum() / w.sum())
    total = float((w * (y - centre) ** 2).sum())
    return 1.0 - float((w * (y - expected) ** 2).sum()) / total if total > 0 else 0.0


def _logs(y: Floats, expected: Floats) -> Floats:
    """Log of spend over what was expected; nothing, or less, counts as very little (and is clipped: it is no trend)."""
    ratio = np.maximum(y, NOTHING_FRAC) / np.maximum(expected, NOTHING_FRAC)
    return np.clip(np.log(ratio), -1.0, 1.0)


def _weekdays(points: Points, logs: Floats) -> Floats:
    """(7,) factors, Monday first, from single days of the last eight weeks; 1 where too few are known."""
    used = points.single & (points.age < WEEKDAY_DAYS)
    count = np.bincount(points.weekday[used], minlength=7)
    if count.min() < 3:
        return np.ones(7)
    total = np.bincount(points.weekday[used], logs[used], 7)
    mean = total / count - total.sum() / count.sum()
    return np.asarray(np.exp(mean * count / (count + WEEKDAY_SHRINK)), dtype=float)


def _weekly_sd(points: Points, logs: Floats, weights: Floats) -> float:
    """Size of a week's mean log error, robustly, the recent weeks weighing more."""
    mass = np.bincount(points.cluster, points.days)
    means = np.bincount(points.cluster, points.days * logs) / mass
    recent = np.bincount(points.cluster, weights) / mass
    return 1.4826 * weighted_median(np.abs(means), recent)


def _sums(points: Points, w: Floats) -> Floats:
    x, y = points.x, points.y
    count = int(points.cluster.max()) + 1
    parts = (w, w * x, w * x * x, w * y, w * x * y)
    return np.stack([np.bincount(points.cluster, p, count) for p in parts], axis=1)


def _shift(points: Points, expected: Floats) -> tuple[int, float] | None:
    """Point at which the price changed for good, and the log of the change; None where none is sure.

    Medians before and after are compared at the ends of weeks; the split that leaves the least absolute error wins.
    """
    logs = _logs(points.y, expected)
    best: tuple[float, int, float] | None = None
    for at in _splits(points):
        before, after = _middles(logs, points.days, at)
        left = np.abs(logs - np.where(np.arange(len(logs)) < at, before, after))
        cost = float((points.days * left).sum())
        if best is None or cost < best[0]:
            best = (cost, at, after - before)
    if best is None:
        return None
    cost, at, change = best
    size = 1.25 * cost / float(points.days.sum())
    weeks = min(float(points.days[:at].sum()), float(points.days[at:].sum())) / 7.0
    return (at, change) if abs(change) >= max(SHIFT_LEAST, SHIFT_SURE * size / np.sqrt(weeks)) else None


def _rebased(points: Points, at: int, log_ratio: float) -> Points:
    """The same points at the prices from ``at`` on."""
    return replace(points, y=points.y * np.where(np.arange(len(points.y)) < at, np.exp(log_ratio), 1.0))


def _nearer(points: Points, expected: Floats, at: int, log_ratio: float) -> tuple[int, float]:
    """The split within four weeks of ``at`` that leaves the least absolute error, and its change."""
    logs = _logs(points.y, expected)
    order = np.arange(len(logs))
    passed = np.concatenate([[0.0], np.cumsum(points.days)[:-1]])
    about = np.flatnonzero(np.abs(passed - passed[at]) <= SEARCH_DAYS)
    around = np.abs(passed - passed[at]) <= 2 * SEARCH_DAYS
    costs = [
        float((points.days * np.abs(logs + np.where(order < split, log_ratio, 0.0)))[around].sum()) for split in about
    ]
    best = int(about[int(np.argmin(costs))])
    if not 0 < best < len(logs):
        return at, log_ratio
    before, after = _middles(logs, points.days, best)
    return best, after - before


def _splits(points: Points) -> list[int]:
    before = np.concatenate([[0.0], np.cumsum(points.days)[:-1]])
    after = float(points.days.sum()) - before
    weekly = np.concatenate([[True], np.diff(points.cluster) != 0])
    # Every second week will do: the day itself is looked for afterwards.
    found = np.flatnonzero((before >= SHIFT_DAYS) & (after >= SHIFT_DAYS) & weekly)[::2]
    return [int(i) for i in found]


def _middles(logs: Floats, days: Floats, at: int) -> tuple[float, float]:
    # Near the split: what was a year before says nothing of the change, and may hide or feign one.
    near = slice(max(0, at - 8 * 7), at + 8 * 7)
    cut = at - (near.start or 0)
    values, mass = logs[near], days[near]
    return weighted_median(values[:cut], mass[:cut]), weighted_median(values[cut:], mass[cut:])
