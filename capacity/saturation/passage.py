"""When demand first passes a limit, how much headroom is left until then, and by when to decide."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

import numpy as np
import pandas as pd

from capacity.domain import Floats, OrderBy, Paths, Saturation, Unit
from capacity.errors import UsageError

# Headroom is 1 - peak/safe; below this floor (peak 11 times what is safe, or nothing safe at all) it says no more.
HEADROOM_FLOOR = -10.0
# 9 of 10 paths is .9 although 9/10 as a sum of float steps may come out a hair below.
_ROUNDING = 1e-9


def first_passage(
    unit: Unit, limit_name: str, limit: float | Floats, peak_paths: Paths, index: pd.DatetimeIndex
) -> Saturation:
    """P(limit passed at or before each day), from joint sample paths, and its P10, P50 and P90 dates.

    Parameters
    ----------
    unit, limit_name
        Whose limit, and its name: "safe capacity", or the metric of a hard limit (then the paths are that metric's).
    limit
        One number, or (H,) one a day (the fleet or the limit may change); in the unit of the paths.
    peak_paths
        (P, H) sample paths of the daily peak.
    index
        (H,) start of each day.

    Returns
    -------
    Saturation
        ``probability`` (H,) never falls. The P-date is the first day by which at least P of the paths have passed, or
        None: not within the horizon. Where the limit varies, ``limit`` holds its smallest value.

    Raises
    ------
    UsageError
        Shapes that do not fit, no path, or a value that is not a number.
    """
    _check(peak_paths, index, "first_passage")
    limits = np.asarray(limit, dtype=float)
    if limits.ndim and limits.shape != (len(index),):
        raise UsageError(f"first_passage: {limits.shape} limits for {len(index)} days; give one, or one a day")
    if np.isnan(limits).any():
        raise UsageError(f"first_passage: the limit '{limit_name}' of {unit} is not a number")
    passed = np.maximum.accumulate(peak_paths > limits, axis=1)
    smallest = float(limits.min()) if limits.size else 0.0
    return from_probability(unit, limit_name, smallest, passed.mean(axis=0, dtype=float), index)


def from_probability(
    unit: Unit, limit_name: str, limit: float, probability: Floats, index: pd.DatetimeIndex
) -> Saturation:
    """The dates of a first passage whose P(passed at or before each day) is known, e.g. calibrated elsewhere.

    Parameters
    ----------
    unit, limit_name, limit
        Whose limit, its name, and its value.
    probability
        (H,) in [0, 1]; made never to fall, since what has been passed stays passed.
    index
        (H,) start of each day.

    Raises
    ------
    UsageError
        Shapes that do not fit, or a probability outside [0, 1].
    """
    if probability.shape != (len(index),):
        raise UsageError(f"first passage of {unit}: {probability.shape} probabilities for {len(index)} days")
    if not ((probability >= -_ROUNDING) & (probability <= 1 + _ROUNDING)).all():
        raise UsageError(f"first passage of {unit}: a probability of '{limit_name}' is outside 0 to 1")
    never_falling: Floats = np.maximum.accumulate(np.clip(probability, 0.0, 1.0))
    p10, p50, p90 = (_first_day(never_falling, p, index) for p in (0.1, 0.5, 0.9))
    return Saturation(unit, limit_name, float(limit), p10, p50, p90, never_falling, index)


def headroom(
    peak_paths: Paths,
    safe: float | Floats,
    service_level: float,
    index: pd.DatetimeIndex,
    by: Literal["week", "month"] = "week",
) -> pd.DataFrame:
    """Headroom by week (Monday to Sunday) or calendar month: 1 - (P-quantile of the period's peak) / safe.

    Parameters
    ----------
    peak_paths
        (P, H) sample paths of the daily peak.
    safe
        Safe capacity, one number or (H,) one a day (the smallest of the period is used).
    service_level
        P of the tier, inside (0, 1).
    index
        (H,) start of each day.
    by
        Period.

    Returns
    -------
    pandas.DataFrame
        ``week_start`` or ``month_start`` (time stamps without zone), ``days`` (the first and last period may be
        partial), ``peak_quantile``, ``safe``, ``headroom_frac`` (not below :data:`HEADROOM_FLOOR`). The quantile is
        the smallest value that at least P of the paths keep, so that headroom >= 0 means: P of the futures fit.

    Raises
    ------
    UsageError
        Shapes that do not fit, no path, a value that is not a number, or a level outside (0, 1).
    """
    _check(peak_paths, index, "headroom")
    if not 0 < service_level < 1:
        raise UsageError(f"headroom: service level {service_level}; give a share inside (0, 1), e.g. 0.95")
    safe_by_day = np.broadcast_to(np.asarray(safe, dtype=float), (len(index),))
    days = index.tz_localize(None).normalize()
    starts = (
        days - pd.to_timedelta(days.weekday, unit="D")
        if by == "week"
        else days - pd.to_timedelta(days.day - 1, unit="D")
    )
    rows = []
    for start in starts.unique():
        inside = np.asarray(starts == start)
        peak = _level(peak_paths[:, inside].max(axis=1), service_level)
        least = float(safe_by_day[inside].min())
        rows.append((start, int(inside.sum()), peak, least, _headroom(peak, least)))
    return pd.DataFrame(rows, columns=[f"{by}_start", "days", "peak_quantile", "safe", "headroom_frac"])


def order_by(saturation: Saturation, remedies: Sequence[tuple[str, int]], as_of: date) -> tuple[OrderBy, ...]:
    """The last day to decide each remedy: the P10 date less its lead time; the most urgent first.

    Parameters
    ----------
    saturation
        When the limit is passed. Without a P10 date within the horizon nothing needs ordering.
    remedies
        (what to do, lead time in days).
    as_of
        Today: an earlier order-by date is overdue.
    """
    if saturation.p10 is None:
        return ()
    needed = saturation.p10
    found = [
        OrderBy(saturation.unit, remedy, lead, needed, needed - timedelta(days=lead),
                needed - timedelta(days=lead) < as_of)
        for remedy, lead in remedies
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda o: (o.order_by, o.remedy)))


def _first_day(probability: Floats, level: float, index: pd.DatetimeIndex) -> date | None:
    reached = np.flatnonzero(probability >= level - _ROUNDING)
    return index[int(reached[0])].date() if len(reached) else None


def _level(values: Paths, level: float) -> float:
    """The smallest value that at least ``level`` of ``values`` do not pass."""
    return float(np.quantile(values, level, method="inverted_cdf"))


def _headroom(peak: float, safe: float) -> float:
    if safe <= 0:
        return 0.0 if peak <= 0 else HEADROOM_FLOOR
    return max(HEADROOM_FLOOR, 1.0 - peak / safe)


def _check(paths: Paths, index: pd.DatetimeIndex, where: str) -> None:
    if paths.ndim != 2 or paths.shape[1] != len(index) or paths.shape[0] == 0:
        raise UsageError(f"{where}: paths have shape {paths.shape}; give (paths, {len(index)} days), at least one path")
    if np.isnan(paths).any():
        raise UsageError(f"{where}: a path holds a value that is not a number")
