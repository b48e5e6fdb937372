"""How much to commit to for a coming term, from the history of demand alone.

A commitment of level L costs ``rate`` of on demand in every hour, used or not; demand above it is paid at 1. The
expected cost of a term is least where P(demand of an hour of the term > L) = rate: L is the (1 - rate) quantile of the
term's hourly demand, over its hours and over what is not known of it (the newsvendor's rule).

What is not known is made of three parts: the level of the last weeks carried on along a damped trend, a spread around
it that grows with the root of time, and the shape of the hours within a week as it was lately.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from capacity.domain import Floats
from capacity.errors import MissingDataError, UsageError

_HOURS_A_WEEK = 168
_DAYS_A_YEAR = 365.0

# The trend is read from a year where there is one, twice: from the level (the median of all slopes between weeks) and
# from how it moved (the median change between four weeks and the next four). The smaller of the two counts, none where
# they disagree on the direction: a step, a launch or a season is a slope of the level but not of the changes. It is
# carried on for a third of the span it was seen over. Measured on simulated demand, one-year terms at .50 of on
# demand, mean regret against hindsight: after a launch 44 % by the level's slope alone, 16 % by both (the 30-day rule
# 17 %); where demand grows steadily 3.1 % and 4.2 % (7.9 %).
_TREND_WEEKS = 52
_LEAST_TREND_WEEKS = 8
_DAMPING_FRAC = 1 / 3
_MONTH_WEEKS = 4
_LEAST_CHANGES = 3

# The level that the trend starts from, and the weeks whose hours give the shape.
_LEVEL_WEEKS = 4
_SHAPE_WEEKS = 12

# How far a level may drift in a year, as a standard deviation of its logarithm, before anything is known of a series;
# it counts as much as six changes of its own. Between .1 and .3 the regret on real demand moves by .1 %.
_DRIFT_A_YEAR = 0.2
_DRIFT_CHANGES = 6
_MOST_DRIFT_A_YEAR = 1.0
# Standard deviation of a normal variable over its median absolute deviation.
_MAD_TO_SD = 1.4826

# Equal-probability points of the drift and of the shape: more of them move the level by less than .1 %.
_DRIFT_POINTS = 15
_SHAPE_POINTS = 200


def known_demand_level(demand: Floats, rate: float, hours: Floats | None = None) -> float:
    """The level that serves ``demand`` at least cost when it is known: its (1 - rate) quantile.

    Parameters
    ----------
    demand
        (H,) demand of each hour, or of each part of ``hours`` hours.
    rate
        Committed price over on-demand price, in (0, 1).
    hours
        (H,) weights; equal where absent.

    Returns
    -------
    float
        The smallest level of least cost, always one of the values of ``demand``.

    >>> known_demand_level(np.array([1.0, 2.0, 3.0, 4.0]), rate=0.6)
    2.0
    """
    _check_rate(rate)
    weights = np.ones(len(demand)) if hours is None else np.asarray(hours, dtype=float)
    order = np.argsort(demand, kind="stable")
    below = np.cumsum(weights[order]) / weights.sum()
    # The slope of the cost in L is rate - P(demand > L): it turns at the first value with P(demand <= L) >= 1 - rate.
    position = int(np.searchsorted(below, 1.0 - rate - 1e-12))
    return float(np.asarray(demand, dtype=float)[order][min(position, len(order) - 1)])


def commitment_level(demand: pd.Series, rate: float, term_days: int) -> float:
    """The level to commit to for ``term_days`` from the end of ``demand``, in the unit of ``demand``.

    Deterministic, and a function of the history alone. With less than eight weeks no trend is read; with less than a
    week the history itself is taken as what comes.

    Parameters
    ----------
    demand
        Hourly, indexed by time (gaps allowed; another frequency is averaged to hours). Not negative.
    rate
        Committed price as a share of on demand, in (0, 1): .72 for a discount of 28 %.
    term_days
        Length of the commitment, at least 1.

    Raises
    ------
    UsageError
        A rate or term out of range, or negative demand.
    MissingDataError
        No demand at all.
    """
    _check_rate(rate)
    return known_demand_level(_futures(demand, term_days).ravel(), rate)


@dataclass(frozen=True)
class CommitmentOutlook:
    """A level, and what is expected of it over its term. Shares are of 1.

    Attributes
    ----------
    utilisation_frac, coverage_frac
        Expected share of the commitment that is used, and of the demand that it covers.
    saving_p10_frac, saving_p50_frac, saving_p90_frac
        Saved of on demand where demand comes as in its P10, P50 and P90.
    break_even_day
        The day of the term from which demand may end without a loss, at the P50 of demand: what the commitment covered
        until then is worth the price of the whole term. None where it is never.
    """

    level: float
    utilisation_frac: float
    coverage_frac: float
    saving_p10_frac: float
    saving_p50_frac: float
    saving_p90_frac: float
    break_even_day: int | None


def commitment_outlook(demand: pd.Series, rate: float, term_days: int) -> CommitmentOutlook:
    """:func:`commitment_level` and what is expected of it. Parameters and errors are the same.

    Futures are ordered by level: one that is high in a week is as high in all weeks, so that P10 and P90 lie a little
    farther apart than they would on paths that cross.
    """
    _check_rate(rate)
    futures = _futures(demand, term_days)
    level = known_demand_level(futures.ravel(), rate)
    used = np.minimum(futures, level).mean(axis=(0, 2))
    whole = futures.mean(axis=(0, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        saving = np.where(whole > 0, 1 - (rate * level + whole - used) / whole, 0.0)
    # Futures are in order of their level.
    low, middle, high = (float(np.interp(q * (len(saving) - 1), range(len(saving)), saving)) for q in (0.1, 0.5, 0.9))
    return CommitmentOutlook(
        level=level,
        utilisation_frac=float(used.mean() / level) if level > 0 else 0.0,
        coverage_frac=float(used.mean() / whole.mean()) if whole.mean() > 0 else 0.0,
        saving_p10_frac=low,
        saving_p50_frac=middle,
        saving_p90_frac=high,
        break_even_day=_break_even_day(futures, level, rate, term_days),
    )


def _break_even_day(futures: Floats, level: float, rate: float, term_days: int) -> int | None:
    if level <= 0:
        return None
    by_week = np.minimum(futures[:, futures.shape[1] // 2], level).mean(axis=-1)
    by_day = np.repeat(by_week, math.ceil(term_days / len(by_week)))[:term_days]
    # Rounding must not turn a last day into never.
    reached = np.flatnonzero(np.cumsum(by_day) >= rate * level * term_days * (1 - 1e-9))
    return int(reached[0]) + 1 if len(reached) else None


def _futures(demand: pd.Series, term_days: int) -> Floats:
    """(weeks of the term, levels from low to high, hours) equally likely demand."""
    if term_days < 1:
        raise UsageError(f"term of {term_days} days: at least 1")
    hourly = _hourly(demand)
    weeks = hourly[len(hourly) % _HOURS_A_WEEK :].reshape(-1, _HOURS_A_WEEK)
    if not len(weeks) or not np.isfinite(weeks[-1]).any():
        return hourly[np.isfinite(hourly)].reshape(1, 1, -1)
    start = float(np.nanmedian(weeks[-_LEVEL_WEEKS:]))
    if start <= 0:
        lately = hourly[-_SHAPE_WEEKS * _HOURS_A_WEEK :]
        return lately[np.isfinite(lately)].reshape(1, 1, -1)
    levels = _log_levels(weeks[-_TREND_WEEKS:])
    slope = _slope(levels)
    ahead = np.arange(0.0, term_days, 7.0) + 3.5
    growth = _growth(slope, levels, ahead)
    spread = _drift(_drift_a_year(levels, slope), ahead)
    future: Floats = (start * np.exp(growth)[:, None] * np.exp(spread))[:, :, None] * _shape(weeks)
    return future


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise UsageError(f"rate {rate}: the committed price as a share of on demand must be between 0 and 1")


def _hourly(demand: pd.Series) -> Floats:
    if not isinstance(demand.index, pd.DatetimeIndex):
        raise UsageError("demand needs an index of time stamps")
    known = demand.dropna()
    if known.empty:
        raise MissingDataError("no demand to base a commitment on: the series has no value")
    if (known < 0).any():
        raise UsageError(f"demand is negative at {known.index[known < 0][0]}: a commitment covers what runs")
    return known.sort_index().resample("h").mean().to_numpy(dtype=float)


def _log_levels(weeks: Floats) -> Floats:
    """(weeks,) logarithm of each week's median; NaN where it is unknown or nothing ran."""
    return np.array([math.log(x) if x > 0 else math.nan for x in (_median(w) for w in weeks)])


def _slope(levels: Floats) -> float:
    """Growth of the log level a day, on which the level (Theil-Sen) and its changes agree."""
    known = np.flatnonzero(np.isfinite(levels))
    changes = _changes(levels)
    if len(known) < _LEAST_TREND_WEEKS or len(changes) < _LEAST_CHANGES:
        return 0.0
    earlier, later = np.triu_indices(len(known), 1)
    of_level = float(
        np.median((levels[known[later]] - levels[known[earlier]]) / (7.0 * (known[later] - known[earlier])))
    )
    of_changes = float(np.median(changes)) / (7.0 * _MONTH_WEEKS)
    return min(of_level, of_changes, key=abs) if of_level * of_changes > 0 else 0.0


def _changes(levels: Floats) -> Floats:
    """Changes of the log level between four weeks and the next four, the latest last."""
    count = len(levels) // _MONTH_WEEKS
    months = levels[len(levels) - count * _MONTH_WEEKS :].reshape(count, _MONTH_WEEKS)
    middles = np.array([_median(m) for m in months])
    changes = np.diff(middles)
    out: Floats = changes[np.isfinite(changes)]
    return out


def _growth(slope: float, levels: Floats, ahead_days: Floats) -> Floats:
    """Logarithm of growth at ``ahead_days``: a damped trend (Gardner and McKenzie 1985, in continuous time)."""
    known = np.flatnonzero(np.isfinite(levels))
    if slope == 0 or not len(known):
        return np.zeros_like(ahead_days)
    constant = 7.0 * (known[-1] - known[0] + 1) * _DAMPING_FRAC
    # The level is that of the middle of its weeks, so the trend runs from there.
    since = ahead_days + 7.0 * min(_LEVEL_WEEKS, len(levels)) / 2
    growth: Floats = slope * constant * (1.0 - np.exp(-since / constant))
    return growth


def _drift_a_year(levels: Floats, slope: float) -> float:
    """What is usual, and how the series' own level moved about its trend, each weighed by what is known of it."""
    changes = _changes(levels) - slope * 7.0 * _MONTH_WEEKS
    if len(changes) < _LEAST_CHANGES:
        return _DRIFT_A_YEAR
    a_month = _MAD_TO_SD * float(np.median(np.abs(changes)))
    own = min(a_month * math.sqrt(52 / _MONTH_WEEKS), _MOST_DRIFT_A_YEAR)
    weight = len(changes) / (len(changes) + _DRIFT_CHANGES)
    return math.sqrt(weight * own**2 + (1 - weight) * _DRIFT_A_YEAR**2)


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan


def _drift(a_year: float, ahead_days: Floats) -> Floats:
    """(weeks, points) equally likely deviations of the log level."""
    from scipy.special import ndtri

    normal = ndtri((np.arange(_DRIFT_POINTS) + 0.5) / _DRIFT_POINTS)
    spread: Floats = a_year * np.sqrt(ahead_days / _DAYS_A_YEAR)[:, None] * normal
    return spread


def _shape(weeks: Floats) -> Floats:
    """Equally likely ratios of an hour to its week's median, lately."""
    ratios = [w[np.isfinite(w)] / _median(w) for w in weeks[-_SHAPE_WEEKS:] if _median(w) > 0]
    shape: Floats = np.quantile(np.concatenate(ratios), (np.arange(_SHAPE_POINTS) + 0.5) / _SHAPE_POINTS)
    return shape
