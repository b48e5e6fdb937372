"""What one unit more costs: daily cost on daily driver units, without what prices and fleets did meanwhile.

Cost is taken for a slow trend plus a rate a unit. The trend bends every four weeks, so that prices and fleets that
move over months are not taken for a rate. What is left keeps its sign for days; all is therefore taken as differences
from the day before, by as much of it as carries over (J. M. Prais and C. B. Winsten, "Trend estimators and serial
correlation", Cowles Commission discussion paper 383, 1954), and fitted with Huber's weights, so that single days and
steps of the price do not decide (P. J. Huber and E. M. Ronchetti, *Robust Statistics*, 2nd ed., 2009, chapter 7).
The interval lets days of one week err together (K.-Y. Liang and S. L. Zeger, "Longitudinal data analysis using
generalized linear models", *Biometrika* 73, 1986), and is as wide as few weeks make it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats, Interval
from capacity.errors import UsageError

CONFIDENCE = 0.8
# Fewer days show neither a trend nor a rate beside it.
LEAST_DAYS = 56
# The trend bends this often; what moves faster is told from it by the units.
TREND_DAYS = 28
WEEK = 7
# Units whose days lie within this share of their typical size, about their trend, show no rate.
LEAST_MOVE_FRAC = 0.005
# Largest over smallest eigenvalue of the drivers' correlations from which on they are not told apart: two drivers that
# correlate by .95.
APART_MOST = 39.0
# Of the variance of a driver: enough to share evenly what only their sum shows, 1 % off where it is clear.
RIDGE = 0.02
_HUBER = 1.345
_MAD_TO_SIGMA = 1.4826
_ROUNDS = 30
_SETTLED = 1e-6
# A day's remainder carries over by at most this share: beyond it all is differences anyway.
_MOST_CARRIED = 0.95
# Standard normal at 90 %.
_Z = 1.2815515655446004
_TINY = 1e-9
_Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Slope:
    """What one unit more costs.

    Attributes
    ----------
    per_unit
        Money a unit, with its 80 % interval.
    basis
        "days": daily cost on daily units, about their trends; "months": monthly cost on monthly units.
    points
        How many of them.
    weeks
        (G,) part of each calendar week in the error, in money a unit: errors of services in the same week are added
        before they are squared. Empty where the slope is from months.
    told_apart
        False where several drivers move so alike that only their sum is known.
    """

    per_unit: Interval
    basis: Literal["days", "months"]
    points: int
    weeks: Floats = field(default_factory=lambda: np.zeros(0))
    told_apart: bool = True


def day_slopes(cost: Floats, units: Floats) -> tuple[Slope, ...] | str:
    """Slope of daily cost on each of one or several drivers, the others held; or why there is none, in words.

    Parameters
    ----------
    cost
        (D,) money a day on a grid of days without gaps, NaN where a day is not known. Series that are to be combined
        with :func:`combined` are on one grid.
    units
        (D, K) driver units a day, NaN where unknown. (D,) is one driver.

    Notes
    -----
    Only what moves with the units within weeks is seen: a fleet that follows demand after months is part of the trend.

    Raises
    ------
    UsageError
        The two have different days.
    """
    drivers = units[:, None] if units.ndim == 1 else units
    if len(drivers) != len(cost):
        raise UsageError(f"{len(cost)} days of cost and {len(drivers)} of driver units; the same days are wanted")
    known = np.isfinite(cost) & np.isfinite(drivers).all(axis=1)
    if int(known.sum()) < LEAST_DAYS:
        return f"cost and units are known for {int(known.sum())} days by the day, {LEAST_DAYS} are needed"
    y_unit = float(np.median(np.abs(cost[known])))
    x_unit = np.median(np.abs(drivers[known]), axis=0)
    if y_unit <= 0 or (x_unit <= 0).any():
        return "most days have no cost or no units"
    y, x = np.where(known, cost, 0.0) / y_unit, np.where(known[:, None], drivers, 0.0) / x_unit
    trend = _trend(known)
    if (_about(x[known], trend[known]).std(axis=0) < LEAST_MOVE_FRAC).any():
        return "units hardly move about their trend"
    table = np.hstack([x, trend])
    first, _ = _huber(table[known], y[known], 0.0, x.shape[1])
    carried = _carried(y - table @ first, known)
    table, y, used = _differenced(table, y, known, carried)
    alike = _condition(_about(table[used][:, : x.shape[1]], table[used][:, x.shape[1] :])) > APART_MOST
    found, weight = _huber(table[used], y[used], RIDGE if alike else 0.0, x.shape[1])
    weeks = _by_week(table, y - table @ found, used, weight)[:, : x.shape[1]]
    scale = y_unit / x_unit
    return tuple(
        Slope(_interval(found[k] * scale[k], weeks[:, k] * scale[k]), "days", int(known.sum()), weeks[:, k] * scale[k],
              not alike)
        for k in range(x.shape[1])
    )  # fmt: skip


def combined(parts: Sequence[tuple[float, Slope]]) -> Slope:
    """Sum of weight x slope, at least one.

    Errors of slopes from days are added week by week, so that what services share in a week is not taken for chance;
    those of slopes from months are taken to be independent. The sum is from months where any of it is.

    Raises
    ------
    UsageError
        Two slopes from days are of different calendars.
    """
    days = [(w, s) for w, s in parts if s.basis == "days"]
    months = [(w, s) for w, s in parts if s.basis == "months"]
    if len({len(s.weeks) for _, s in days}) > 1:
        raise UsageError("slopes over calendars of different length; fit them together to add them")
    mid = float(sum(w * s.per_unit.mid for w, s in parts))
    weeks = np.sum([w * s.weeks for w, s in days], axis=0) if days else np.zeros(0)
    apart = float(sum((w * (s.per_unit.high - s.per_unit.low) / 2.0) ** 2 for w, s in months))
    half = float(np.sqrt(apart + _Z**2 * float(np.sum(weeks**2))))
    return Slope(
        Interval(mid - half, mid, mid + half, CONFIDENCE),
        "months" if months else "days",
        min(s.points for _, s in (months or days)),
        np.zeros(0) if months else weeks,
        all(s.told_apart for _, s in parts),
    )


def _interval(mid: float, weeks: Floats) -> Interval:
    half = _Z * float(np.sqrt(np.sum(weeks**2)))
    return Interval(float(mid) - half, float(mid), float(mid) + half, CONFIDENCE)


# --- the fit -----------------------------------------------------------------------------------------------


def _trend(known: _Bools) -> Floats:
    """(D, J) hat functions: together any line that bends every four weeks between the first and last known day."""
    at = np.flatnonzero(known)
    knots = np.linspace(at[0], at[-1], max(2, round((at[-1] - at[0]) / TREND_DAYS) + 1))
    days = np.clip(np.arange(len(known)), at[0], at[-1])
    hats = np.stack([np.interp(days, knots, row) for row in np.eye(len(knots))], axis=1)
    # A knot without a known day beside it says nothing.
    return np.asarray(hats[:, np.abs(hats[known]).sum(axis=0) > _TINY], dtype=float)


def _about(x: Floats, trend: Floats) -> Floats:
    """``x`` without its own trend."""
    return np.asarray(x - trend @ np.linalg.lstsq(trend, x, rcond=None)[0], dtype=float)


def _huber(table: Floats, y: Floats, ridge: float, drivers: int) -> tuple[Floats, Floats]:
    """(p,) coefficients and (n,) derivatives of the score: 1 inside Huber's bounds, 0 outside."""
    weight = np.ones(len(y))
    penalty = np.zeros(table.shape[1])
    inside = _about(table[:, :drivers], table[:, drivers:])
    penalty[:drivers] = ridge * np.square(inside).sum(axis=0)
    found = np.zeros(table.shape[1])
    floor = _TINY * max(float(np.median(np.abs(y))), _TINY)
    scaled = np.zeros(len(y))
    for _ in range(_ROUNDS):
        weighted = table * weight[:, None]
        before, found = found, np.linalg.pinv(weighted.T @ table + np.diag(penalty), hermitian=True) @ (weighted.T @ y)
        left = y - table @ found
        scaled = np.abs(left) / max(_MAD_TO_SIGMA * float(np.median(np.abs(left))), floor)
        weight = np.minimum(1.0, _HUBER / np.maximum(scaled, _TINY))
        if np.abs(found - before).max() <= _SETTLED:
            break
    return found, (scaled <= _HUBER).astype(float)


def _carried(left: Floats, known: _Bools) -> float:
    """Share of a day's remainder that is there on the next day, large ones counted as three sizes."""
    size = _MAD_TO_SIGMA * float(np.median(np.abs(left[known])))
    if size <= _TINY:
        return 0.0
    r = np.clip(left / size, -3.0, 3.0)
    pairs = known[1:] & known[:-1]
    square = float(np.mean(np.square(r[known])))
    return float(np.clip(np.mean(r[1:][pairs] * r[:-1][pairs]) / square, 0.0, _MOST_CARRIED)) if pairs.any() else 0.0


def _differenced(table: Floats, y: Floats, known: _Bools, carried: float) -> tuple[Floats, Floats, _Bools]:
    """Each day less what carries over from the day before; the first day after a gap as large as the others' noise."""
    after = np.concatenate([[False], known[1:] & known[:-1]])
    alone = np.sqrt(1.0 - carried**2)
    both = np.hstack([table, y[:, None]])
    moved = np.where(after[:, None], both - carried * np.vstack([both[:1], both[:-1]]), alone * both)
    return moved[:, :-1], moved[:, -1], known


def _condition(x: Floats) -> float:
    """Largest over smallest eigenvalue of the correlations; infinite where one driver is the others' sum."""
    if x.shape[1] == 1:
        return 1.0
    values = np.linalg.eigvalsh(np.corrcoef(x, rowvar=False))
    return float(values[-1] / values[0]) if values[0] > _TINY else float("inf")


def _by_week(table: Floats, left: Floats, used: _Bools, derivative: Floats) -> Floats:
    """(G, p) part of each week of the grid in the error of the coefficients, widened for few weeks.

    Liang and Zeger's sum over weeks, with the usual (G/(G-1)) (n-1)/(n-p), and Student's t over the normal.
    """
    from scipy.stats import t

    rows, r = table[used], left[used]
    size = max(_MAD_TO_SIGMA * float(np.median(np.abs(r))), _TINY**2)
    score = np.clip(r, -_HUBER * size, _HUBER * size)
    inverse = np.linalg.pinv(rows.T @ (rows * derivative[:, None]), hermitian=True)
    week = np.flatnonzero(used) // WEEK
    count, p, n = len(np.unique(week)), table.shape[1], len(rows)
    widened = np.sqrt(count / max(count - 1.0, 1.0) * (n - 1.0) / max(n - p, 1.0))
    widened *= float(t.ppf(0.9, max(count - 2.0, 1.0))) / _Z
    sums = np.zeros((-(-len(used) // WEEK), p))
    np.add.at(sums, week, rows * score[:, None])
    return np.asarray(sums @ inverse * widened, dtype=float)
