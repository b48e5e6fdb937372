"""The shape of an event in time: nothing, a linear ramp up, full, a linear ramp down, nothing."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from capacity.config import EventConfig
from capacity.domain import Floats, Paths
from capacity.errors import UsageError

Within = Literal["mean", "peak"]

_HOUR = pd.Timedelta(hours=1)


def event_weight(hours: pd.DatetimeIndex, event: EventConfig, within: Within = "mean") -> Floats:
    """How much of the event is on in each hour, in [0, 1].

    Parameters
    ----------
    hours
        (H,) starts of hours, with a time zone.
    event
        Full from ``start`` (inclusive) to ``end`` (exclusive); ramps of ``ramp_minutes`` before and after.
    within
        The mean over the hour (demand is an hourly mean), or its highest moment.

    Raises
    ------
    UsageError
        ``hours`` without a time zone: an event is a moment, not a wall-clock reading.
    """
    if hours.tz is None:
        raise UsageError(f"event '{event.name}': hours without a time zone; localize them to UTC first")
    return _weight(hours, hours + _HOUR, event, within)


def event_factor(hours: pd.DatetimeIndex, event: EventConfig, within: Within = "mean") -> Floats:
    """(H,) multipliers of demand by hour: 1 + (multiplier - 1) × :func:`event_weight`.

    Raises
    ------
    UsageError
        The event has an absolute target (see :func:`apply_event`), or ``hours`` has no time zone.
    """
    return 1.0 + (_multiplier(event) - 1.0) * event_weight(hours, event, within)


def event_day_weight(days: pd.DatetimeIndex, event: EventConfig, time_zone: str, within: Within = "peak") -> Floats:
    """How much of the event is on in each local day, in [0, 1]: the largest hour's share, or the day's mean.

    Parameters
    ----------
    days
        (H,) local days without zone, as a daily forecast has them; days of 23 and 25 hours are as long as they are.
    event
        The event.
    time_zone
        IANA zone of the days.
    within
        "peak" for the daily peak: as if the event met the day's largest hour. "mean" for the daily mean: all hours
        of the day count alike.
    """
    if days.tz is not None:
        raise UsageError(f"event '{event.name}': days with a time zone; give local days without one")
    starts, ends = _midnights(days, time_zone), _midnights(days + pd.Timedelta(days=1), time_zone)
    if within == "mean":
        return _weight(starts, ends, event, "mean")
    hourly = pd.date_range(starts[0], ends[-1], freq="h", inclusive="left") if len(days) else starts
    weight = event_weight(hourly, event)
    first, last = hourly.searchsorted(starts), hourly.searchsorted(ends)
    return np.array([weight[a:b].max() for a, b in zip(first, last, strict=True)], dtype=float)


def event_day_factor(days: pd.DatetimeIndex, event: EventConfig, time_zone: str, within: Within = "peak") -> Floats:
    """(H,) multipliers of a daily peak (or mean): 1 + (multiplier - 1) × :func:`event_day_weight`."""
    return 1.0 + (_multiplier(event) - 1.0) * event_day_weight(days, event, time_zone, within)


def apply_event(paths: Paths, weight: Floats, event: EventConfig) -> Paths:
    """Demand with the event: d × (1 + (multiplier - 1) w), or d + (target - d) w for an absolute target.

    Parameters
    ----------
    paths
        (P, H) demand without the event; not changed.
    weight
        (H,) from :func:`event_weight` or :func:`event_day_weight`.
    event
        Multiplier or target.

    Returns
    -------
    numpy.ndarray
        (P, H) float32.
    """
    if paths.shape[1:] != weight.shape:
        raise UsageError(f"event '{event.name}': paths {paths.shape} and weights {weight.shape} do not fit")
    if event.target is not None:
        out = paths + (event.target - paths) * weight
    else:
        out = paths * (1.0 + (_multiplier(event) - 1.0) * weight)
    return out.astype(np.float32)


def _multiplier(event: EventConfig) -> float:
    if event.multiplier is None and event.business is not None:
        raise UsageError(
            f"event '{event.name}': a business figure is for the check; a scenario needs a multiplier or a target"
        )
    if event.multiplier is None:
        raise UsageError(f"event '{event.name}' has an absolute target, no multiplier; use apply_event")
    return event.multiplier


def _midnights(days: pd.DatetimeIndex, time_zone: str) -> pd.DatetimeIndex:
    """Starts of local days in UTC; where midnight does not exist the day starts when the clock does."""
    local = days.normalize().tz_localize(time_zone, ambiguous=np.ones(len(days), bool), nonexistent="shift_forward")
    return local.tz_convert("UTC")


def _weight(starts: pd.DatetimeIndex, ends: pd.DatetimeIndex, event: EventConfig, within: Within) -> Floats:
    origin, end = pd.Timestamp(event.start), pd.Timestamp(event.end)
    full = (end - origin) / _HOUR
    a = np.asarray((starts - origin) / _HOUR, dtype=float)
    b = np.asarray((ends - origin) / _HOUR, dtype=float)
    ramp = event.ramp_minutes / 60.0
    if within == "mean":
        mean: Floats = (_area(b, full, ramp) - _area(a, full, ramp)) / (b - a)
        return mean
    return _highest(a, b, full, ramp)


def _area(t: Floats, full: float, ramp: float) -> Floats:
    """Integral of the weight from long before to ``t`` (hours after the start): ramp, plateau, ramp."""
    plateau = np.clip(t, 0.0, full)
    if ramp == 0:
        return plateau
    up = np.square(np.clip(t + ramp, 0.0, ramp)) / (2 * ramp)
    down = ramp / 2 - np.square(np.clip(full + ramp - t, 0.0, ramp)) / (2 * ramp)
    return up + plateau + down


def _highest(a: Floats, b: Floats, full: float, ramp: float) -> Floats:
    """Largest weight over [a, b): the shape rises, stays, falls, so it is at the point nearest to the plateau."""
    distance = np.maximum(np.maximum(-b, a - full), 0.0)
    inside = (b > 0) & (a < full)
    if ramp == 0:
        return inside.astype(float)
    return np.where(inside, 1.0, np.clip(1.0 - distance / ramp, 0.0, 1.0))
