"""Two daily targets of a service, and the shapes of its days.

Demand is forecast as the mean and the peak of each local day, each in its own right; hours come back from the day's
mean and peak through the shapes of recent days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import Floats
from capacity.errors import MissingDataError, UsageError

HOURS = 24
# A day with fewer of its hours than this says too little about its mean and its peak.
LEAST_HOURS_FRAC = 0.75
# Recent days of the same weekday that are enough to draw from; else all weekdays lend theirs.
LEAST_DAYS_OF_WEEKDAY = 3


@dataclass(frozen=True)
class DailyTargets:
    """Daily series on zone-less local dates: ``mean`` over the day's hours, and ``peak``, the largest hour times the
    burst factor. Every date from the first to the last is there; NaN where too little of the day is known.
    """

    mean: pd.Series
    peak: pd.Series


@dataclass(frozen=True)
class DayShapes:
    """Shapes of recent days, free of level: (hour - mean) / (largest hour - mean), so that mean 0 and maximum 1.

    Attributes
    ----------
    bank
        (N, 24) float32.
    by_weekday
        Seven index arrays into ``bank``, Monday first; each holds at least one.
    """

    bank: npt.NDArray[np.float32]
    by_weekday: tuple[npt.NDArray[np.intp], ...]


def daily_targets(
    mean_hourly: pd.Series, peak_hourly: pd.Series | None, time_zone: str, burst_factor: float = 1.0
) -> DailyTargets:
    """Daily mean and peak from hours.

    Parameters
    ----------
    mean_hourly
        Mean demand of each hour; index in UTC with a zone, hours in any order, several values of an hour averaged.
    peak_hourly
        Largest demand inside each hour where it is measured; the mean's largest hour where None or unknown.
    time_zone
        IANA zone whose days count; days of 23 and 25 hours are judged by their own length.
    burst_factor
        Peak inside an hour over the hour's value, at least 1.

    Raises
    ------
    UsageError
        An index without a zone, or a burst factor below 1.
    MissingDataError
        No value at all.
    """
    if burst_factor < 1.0 or not np.isfinite(burst_factor):
        raise UsageError(f"burst factor is {burst_factor}; a peak is never below the mean, so it must be at least 1")
    mean = _local_hours(mean_hourly, time_zone, "mean_hourly")
    if mean.empty:
        raise MissingDataError("no hourly value to make daily targets from; check the metric's name and its dates")
    top = mean
    if peak_hourly is not None:
        measured = _local_hours(peak_hourly, time_zone, "peak_hourly")
        top = pd.concat([mean, measured], axis=1).max(axis=1)
    days = _days(mean.index, top.index)
    lengths = _day_hours(days, time_zone)
    return DailyTargets(
        mean=_by_day(mean, days, lengths, "mean").rename("mean"),
        peak=(_by_day(top, days, lengths, "max") * burst_factor).rename("peak"),
    )


def day_shapes(hourly: pd.Series, time_zone: str, weeks: int = 8) -> DayShapes:
    """Shapes of the last ``weeks`` weeks' days by weekday.

    Weekdays with fewer than three known days borrow from all others; where no day is whole, one shape stands in: the
    median by hour of day of what is known, or a single peak at noon where even that is flat.
    """
    values = _local_hours(hourly, time_zone, "hourly")
    if values.empty:
        raise MissingDataError("no hourly value to take the shape of a day from; check the metric's name and its dates")
    table = _day_table(values)
    table = table[table.index > table.index[-1] - pd.Timedelta(weeks=weeks)]
    whole = table.dropna()
    shapes, keep = _normalised(whole.to_numpy(dtype=float))
    if not len(shapes):
        return DayShapes(_stand_in(table), tuple(np.array([0], dtype=np.intp) for _ in range(7)))
    weekday = cast(pd.DatetimeIndex, whole.index).dayofweek.to_numpy()[keep]
    everything = np.arange(len(shapes), dtype=np.intp)
    own = [everything[weekday == d] for d in range(7)]
    return DayShapes(shapes, tuple(o if len(o) >= LEAST_DAYS_OF_WEEKDAY else everything for o in own))


def _local_hours(series: pd.Series, time_zone: str, name: str) -> pd.Series:
    """Finite hourly means on local stamps that keep their zone, sorted."""
    if not len(series):
        return pd.Series(dtype=float, index=pd.DatetimeIndex([], tz=time_zone))
    if not isinstance(series.index, pd.DatetimeIndex) or series.index.tz is None:
        raise UsageError(f"{name}: its time stamps carry no zone; localise them (UTC) so that local days can be told")
    values = pd.Series(series.to_numpy(dtype=float), index=series.index.tz_convert("UTC").floor("h"))
    hours: pd.Series = values[np.isfinite(values.to_numpy())].groupby(level=0).mean()
    return hours.set_axis(cast(pd.DatetimeIndex, hours.index).tz_convert(time_zone))


def _dates(index: pd.Index) -> pd.DatetimeIndex:
    return cast(pd.DatetimeIndex, index).tz_localize(None).normalize()


def _days(*indices: pd.Index) -> pd.DatetimeIndex:
    known = [_dates(i) for i in indices if len(i)]
    return pd.date_range(min(d[0] for d in known), max(d[-1] for d in known), freq="D")


def _day_hours(days: pd.DatetimeIndex, time_zone: str) -> Floats:
    """Hours of each local day: 23 or 25 where clocks change."""
    edges = pd.date_range(days[0], periods=len(days) + 1, freq="D")
    # Where a zone changes its clocks at midnight, the day begins at the first moment that exists.
    midnights = edges.tz_localize(time_zone, ambiguous=np.ones(len(edges), dtype=bool), nonexistent="shift_forward")
    moments = midnights.tz_convert("UTC").tz_localize(None).to_numpy()
    return np.diff(moments) / np.timedelta64(1, "h")


def _by_day(values: pd.Series, days: pd.DatetimeIndex, lengths: Floats, how: str) -> pd.Series:
    groups = values.groupby(_dates(values.index))
    counts = groups.count().reindex(days, fill_value=0).to_numpy(dtype=float)
    out = groups.agg(how).reindex(days).astype(float)
    return out.where(counts >= LEAST_HOURS_FRAC * lengths)


def _day_table(values: pd.Series) -> pd.DataFrame:
    """Dates × 24 hours; an hour that a clock change doubles is averaged, one that it skips takes its neighbour's."""
    index = cast(pd.DatetimeIndex, values.index)
    frame = pd.DataFrame({"day": _dates(index), "hour": index.hour, "value": values.to_numpy()})
    table = frame.pivot_table(index="day", columns="hour", values="value", aggfunc="mean").reindex(columns=range(HOURS))
    few = table.notna().sum(axis=1) >= HOURS - 1
    return table.where(~few, table.ffill(axis=1).bfill(axis=1))


def _normalised(days: Floats) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """Shapes of the days that are not flat, and which days these are."""
    if not len(days):
        return np.empty((0, HOURS), dtype=np.float32), np.empty(0, dtype=np.intp)
    centred = days - days.mean(axis=1, keepdims=True)
    height = centred.max(axis=1)
    keep = np.flatnonzero(height > 1e-9 * np.abs(days).max(axis=1))
    return (centred[keep] / height[keep, None]).astype(np.float32), keep.astype(np.intp)


def _stand_in(table: pd.DataFrame) -> npt.NDArray[np.float32]:
    typical = table.median(axis=0)
    if typical.notna().any():
        shape, _ = _normalised(typical.fillna(typical.median()).to_numpy(dtype=float)[None, :])
        if len(shape):
            return shape
    noon = np.full((1, HOURS), -1.0 / (HOURS - 1), dtype=np.float32)
    noon[0, HOURS // 2] = 1.0
    return noon
