"""The burst factor: how far the largest point inside an hour stands above hourly means, from points of 60 s and 300 s.

What a plan buys for is the busiest moment of a day, and an hourly mean does not show it. The factor is told for the
day: its largest point over its largest hour's mean. A day's largest hour is what is known of days without fine points,
so this ratio, and no other, turns it into a peak. Points of 300 s see less of a burst than points of 60 s; where the
finer ones are known, both are read off them, and their ratio lifts the days that have only the coarser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np
import pandas as pd

from capacity.domain import Floats, Interval
from capacity.errors import UsageError
from capacity.forecast.targets import LEAST_HOURS_FRAC

HOUR_SECONDS = 3600
# The resolution that finer points are also read at, so that they can be compared with CloudWatch's longer memory.
COARSE_SECONDS = 300
# An hour with fewer of its points than this may have missed its largest.
LEAST_POINTS_FRAC = 0.75
# An hour with less of its day's mean than this has no ratio worth the name: three requests after two are a "burst".
LEAST_HOUR_FRAC = 0.05
# A day whose largest hour is below this share of the usual one is an outage or a holiday of the data, no day's shape.
LEAST_DAY_FRAC = 0.1
# Days that a factor needs: a median of fewer is one day's luck.
LEAST_DAYS = 3
# Bootstrap samples of the days, and the confidence of the median that they give.
RESAMPLES, MEDIAN_CONFIDENCE = 1000, 0.95


@dataclass(frozen=True)
class Burst:
    """The factor of one demand metric.

    Attributes
    ----------
    factor
        Median over days, from the 10 % to the 90 % day: how much bursts differ.
    median
        The same median with its 95 % bootstrap interval: how well it is known.
    resolution_seconds
        Points of this length are what "largest" means; a shorter burst is not seen.
    days
        Days it is made of; ``lifted_days`` of them had only coarser points.
    lifts
        What raises a factor of coarser points to ``resolution_seconds``, by their seconds: the median ratio of the two
        on days where both are known.
    """

    factor: Interval
    median: Interval
    resolution_seconds: int
    days: int
    lifted_days: int = 0
    lifts: Mapping[int, float] = field(default_factory=dict)


def inside_hours(points: pd.Series, period_seconds: int, how: Literal["avg", "sum"] = "avg") -> pd.DataFrame:
    """What points say of the inside of each hour.

    Parameters
    ----------
    points
        Demand of each period, index in UTC with a zone, in any order; several values of a period are averaged. A "sum"
        counts what came in the period and is read at its hourly rate; a rate ("avg") as it is.
    period_seconds
        Length of a period: a divisor of the hour.

    Returns
    -------
    Columns hour (UTC), period_seconds, mean, largest, known_frac (share of the hour's points that are there), a row an
    hour with any point. Points finer than 300 s are told a second time as the means of 300 s that they make up.

    Raises
    ------
    UsageError
        The index has no zone, or the hour is no multiple of the period.
    """
    if not isinstance(points.index, pd.DatetimeIndex) or points.index.tz is None:
        raise UsageError("points inside hours: their time stamps carry no zone; localise them to UTC")
    if not 0 < period_seconds < HOUR_SECONDS or HOUR_SECONDS % period_seconds:
        raise UsageError(f"points of {period_seconds} s do not divide an hour; give 60, 300, 900, ...")
    known = pd.Series(points.to_numpy(float), index=points.index.tz_convert("UTC").floor(f"{period_seconds}s"))
    known = known[np.isfinite(known.to_numpy())].groupby(level=0).mean()
    rate = known * (HOUR_SECONDS / period_seconds if how == "sum" else 1.0)
    told = [_by_hour(rate, period_seconds)]
    if period_seconds < COARSE_SECONDS and COARSE_SECONDS % period_seconds == 0:
        told.append(_by_hour(_coarser(rate, period_seconds), COARSE_SECONDS))
    return pd.concat(told, ignore_index=True)


def hour_ratios(inside: pd.DataFrame) -> pd.DataFrame:
    """Rows of well-known hours (see :data:`LEAST_POINTS_FRAC`) with their ``ratio``, largest point over mean.

    The ratio is NaN in hours that are all but empty (see :data:`LEAST_HOUR_FRAC`). Of an hour that is told twice at one
    resolution the better-known row counts.
    """
    ordered = inside.sort_values(["period_seconds", "hour", "known_frac"], kind="stable")
    good = ordered[ordered["known_frac"] >= LEAST_POINTS_FRAC].drop_duplicates(["period_seconds", "hour"], keep="last")
    day_mean = good.groupby([good["period_seconds"], good["hour"].dt.floor("D")])["mean"].transform("mean")
    busy = (good["mean"] > 0) & (good["mean"] >= LEAST_HOUR_FRAC * day_mean)
    return good.assign(ratio=(good["largest"] / good["mean"]).where(busy)).reset_index(drop=True)


def day_ratios(inside: pd.DataFrame, time_zone: str) -> pd.DataFrame:
    """Factor of each local day by resolution: columns day (zone-less), period_seconds, ratio.

    Days with fewer than three quarters of their hours well known, and days of an outage, are left out.
    """
    good = hour_ratios(inside)
    if good.empty:
        return pd.DataFrame({"day": pd.DatetimeIndex([]), "period_seconds": np.empty(0, int), "ratio": np.empty(0)})
    day = good["hour"].dt.tz_convert(time_zone).dt.tz_localize(None).dt.normalize()
    by_day = good.groupby([good["period_seconds"], day.rename("day")])
    table = by_day.agg(largest=("largest", "max"), mean=("mean", "max"), hours=("mean", "size")).reset_index()
    usual = table.groupby("period_seconds")["mean"].transform("median")
    whole = table["hours"] >= LEAST_HOURS_FRAC * _lengths(table["day"], time_zone)
    kept = table[whole & (table["mean"] > 0) & (table["mean"] >= LEAST_DAY_FRAC * usual)]
    ratio = np.maximum(kept["largest"] / kept["mean"], 1.0)
    return kept[["day", "period_seconds"]].assign(ratio=ratio).reset_index(drop=True)


def burst_factor(inside: pd.DataFrame, time_zone: str, rng: np.random.Generator) -> Burst | None:
    """The factor that the points of ``inside`` (of :func:`inside_hours`, any periods stacked) give.

    Told at the finest resolution that at least three days are known at; None where no resolution has as many.
    """
    told = day_ratios(inside, time_zone)
    periods = (int(p) for p in told["period_seconds"].unique())
    ratios = {p: told[told["period_seconds"] == p].set_index("day")["ratio"] for p in periods}
    enough = sorted(p for p, r in ratios.items() if len(r) >= LEAST_DAYS)
    if not enough:
        return None
    days, lifts, lifted = ratios[enough[0]], {enough[0]: 1.0}, 0
    for coarse in enough[1:]:
        lift = _lift(ratios[enough[0]], ratios[coarse])
        if lift is not None:
            lifts[coarse] = lift
            fresh = ratios[coarse][~ratios[coarse].index.isin(days.index)] * lift
            days, lifted = pd.concat([days, fresh]) if len(fresh) else days, lifted + len(fresh)
    values = days.sort_index().to_numpy(dtype=float)
    low, mid, high = (float(q) for q in np.quantile(values, (0.1, 0.5, 0.9)))
    return Burst(Interval(low, mid, high, 0.8), _median(values, rng), enough[0], len(values), lifted, lifts)


def hour_peaks(hourly: pd.Series, inside: pd.DataFrame, burst: Burst, *, as_ratio: bool = False) -> pd.Series:
    """Largest demand of each hour: measured where its points are known, its mean times the factor elsewhere.

    Parameters
    ----------
    hourly
        Mean demand of each hour, UTC.
    inside
        Rows of :func:`inside_hours`. Of an hour the finest points count; coarser ones are lifted.
    as_ratio
        The points are of something that demand is proportional to within an hour (utilisation): their ratio to the
        hour's mean counts, not their size.
    """
    good = hour_ratios(inside)
    known = pd.Series(np.nan, index=hourly.index)
    for period, lift in sorted(burst.lifts.items()):
        rows = good[good["period_seconds"] == period].set_index("hour")
        found = rows["ratio"].reindex(hourly.index) * hourly if as_ratio else rows["largest"].reindex(hourly.index)
        known = known.where(known.notna(), found * lift)
    peaks = known.where(known.notna(), hourly * burst.factor.mid)
    return peaks.where(peaks >= hourly, hourly)


# --- parts -------------------------------------------------------------------------------------------------


def _by_hour(rate: pd.Series, period: int) -> pd.DataFrame:
    hours = rate.groupby(cast(pd.DatetimeIndex, rate.index).floor("h"))
    table = hours.agg(["mean", "max", "size"])
    return pd.DataFrame(
        {
            "hour": table.index,
            "period_seconds": period,
            "mean": table["mean"].to_numpy(float),
            "largest": table["max"].to_numpy(float),
            "known_frac": table["size"].to_numpy(float) * period / HOUR_SECONDS,
        }
    )


def _coarser(rate: pd.Series, period: int) -> pd.Series:
    """Means of 300 s of which at least three quarters of the points are known."""
    parts = rate.groupby(cast(pd.DatetimeIndex, rate.index).floor(f"{COARSE_SECONDS}s")).agg(["mean", "size"])
    return parts["mean"][parts["size"] * period >= LEAST_POINTS_FRAC * COARSE_SECONDS]


def _lengths(days: pd.Series, time_zone: str) -> Floats:
    """Hours of each local day: 23 or 25 where clocks change."""
    edges = (days, days + pd.Timedelta(days=1))
    ambiguous = np.ones(len(days), dtype=bool)
    start, end = (
        pd.DatetimeIndex(e).tz_localize(time_zone, ambiguous=ambiguous, nonexistent="shift_forward").tz_convert("UTC")
        for e in edges
    )
    return np.asarray((end - start) / pd.Timedelta(hours=1), dtype=float)


def _lift(finest: pd.Series, coarse: pd.Series) -> float | None:
    """How much more the finest points see of a day than the coarse ones; None where too few days know both."""
    both = finest.index.intersection(coarse.index)
    if len(both) < LEAST_DAYS:
        return None
    return max(float(np.median(finest[both].to_numpy() / coarse[both].to_numpy())), 1.0)


def _median(values: Floats, rng: np.random.Generator) -> Interval:
    samples = np.median(rng.choice(values, size=(RESAMPLES, len(values))), axis=1)
    tail = (1.0 - MEDIAN_CONFIDENCE) / 2.0
    low, high = np.quantile(samples, (tail, 1.0 - tail))
    return Interval(float(low), float(np.median(values)), float(high), MEDIAN_CONFIDENCE)
