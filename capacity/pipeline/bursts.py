"""Peaks inside the hour: stated in the config, or from stored points of 60 s and 300 s, or not known."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capacity import forecast
from capacity.config import Config, ServiceConfig
from capacity.domain import Interval, Unit
from capacity.forecast import Burst
from capacity.pipeline.masks import Span, unmasked
from capacity.words import day

if TYPE_CHECKING:
    from capacity.pipeline.inputs import Inputs, SeriesKey

HOUR = 3600
# Statistics whose fine points say how demand moves inside an hour; a maximum already is its largest.
_READ = ("avg", "sum")
NOT_SEEN = "hourly means only: a peak inside the hour is not seen; ingest points of 60 s or 300 s, or set burst_factor"


@dataclass(frozen=True)
class HourPeaks:
    """What is known of the peaks inside a unit's hours.

    ``hours`` is the largest demand of each hour (UTC), None where nothing says more than the mean; the daily peak is
    its largest times ``factor``. ``burst`` is how far peaks stand above hourly means; None where nobody knows.
    """

    hours: pd.Series | None
    factor: float
    burst: Interval | None
    flags: tuple[str, ...] = ()


# --- from usage --------------------------------------------------------------------------------------------


def insides(usage: pd.DataFrame, config: Config) -> dict[SeriesKey, pd.DataFrame]:
    """Rows of :func:`capacity.forecast.inside_hours` of every demand metric (or the utilisation it is made of)."""
    fine = usage[usage["period_seconds"] < HOUR]
    if fine.empty:
        return {}
    wanted = {(s.name, metric, s.demand_stat) for s in config.services if s.demand_stat in _READ for metric in _of(s)}
    out: dict[SeriesKey, pd.DataFrame] = {}
    for names, rows in fine.groupby(["service", "region", "metric", "stat"], sort=True, observed=True):
        service, region, metric, stat = (str(n) for n in names)
        if (service, metric, stat) not in wanted:
            continue
        same = usage[(usage["service"] == service) & (usage["region"] == region) & (usage["metric"] == metric)
                     & (usage["stat"] == stat)]  # fmt: skip
        known = [_inside(rows, int(period), same, metric, stat) for period in sorted(rows["period_seconds"].unique())
                 if HOUR % int(period) == 0]  # fmt: skip
        if known:
            out[service, region, metric, stat] = pd.concat(known, ignore_index=True)
    return out


def _of(service: ServiceConfig) -> tuple[str, ...]:
    made_of = (service.utilisation_metric,) if service.demand_metric == "busy_vcpu" else ()
    return (service.demand_metric, *(m for m in made_of if m))


def _inside(rows: pd.DataFrame, period: int, everything: pd.DataFrame, metric: str, stat: str) -> pd.DataFrame:
    """Points of one period, added over sources and accounts at moments where all of the hour's parts are known."""
    points = rows[rows["period_seconds"] == period]
    moments = points.groupby("ts")["value"].agg(["mean" if metric.endswith("_percent") else "sum", "size"])
    parts = everything[["source", "account_id"]].astype(str).agg("/".join, axis=1) if _several(everything) else None
    if parts is not None:
        due = parts.groupby(everything["ts"].dt.floor("h")).nunique()
        whole = moments["size"].to_numpy() >= due.reindex(moments.index.floor("h")).to_numpy()  # type: ignore[attr-defined]
        moments = moments[whole]
    return forecast.inside_hours(moments.iloc[:, 0], period, "sum" if stat == "sum" else "avg")


def _several(rows: pd.DataFrame) -> bool:
    first = rows.iloc[0]
    return bool((rows["source"] != first["source"]).any() or (rows["account_id"] != first["account_id"]).any())


# --- for one unit ------------------------------------------------------------------------------------------


def hour_peaks(
    inputs: Inputs,
    unit: Unit,
    service: ServiceConfig,
    hourly: pd.Series,
    peaks: pd.Series | None,
    masks: Sequence[Span] = (),
) -> HourPeaks:
    """The peaks inside the hours of ``hourly``; ``peaks`` are recorded ones (the service's peak_stat), if any.

    A burst_factor in the config wins over all that is learned. Spans of ``masks`` teach no factor.
    """
    recorded = peaks if peaks is not None and peaks.notna().any() else None
    rng = np.random.default_rng([inputs.config.seed, zlib.crc32(str(unit).encode())])
    inside, as_ratio = (_recorded(hourly, recorded), False) if recorded is not None else _stored(inputs, unit, service)
    burst = None if inside is None else _learned(inside, masks, service.time_zone, rng)
    if service.burst_factor is not None:
        return _stated(service.burst_factor, recorded, burst)
    if burst is None or inside is None:
        return HourPeaks(recorded, 1.0, None, () if recorded is not None else (NOT_SEEN,))
    hours = forecast.hour_peaks(hourly, inside, burst, as_ratio=as_ratio)
    return HourPeaks(hours, 1.0, burst.factor, _told(burst, inside, hourly))


def daily_only(service: ServiceConfig) -> HourPeaks:
    """Where only daily points are known: the config's factor or none."""
    factor = service.burst_factor
    flag = "daily points only: the peak inside the day is not seen; set burst_factor"
    return HourPeaks(None, factor or 1.0, Interval(factor, factor, factor, 1.0) if factor else None, (flag,))


def _stored(inputs: Inputs, unit: Unit, service: ServiceConfig) -> tuple[pd.DataFrame | None, bool]:
    """What is stored of the inside of the unit's hours; True where it is of utilisation and only ratios count."""
    for metric in _of(service):
        inside = inputs.inside.get((unit.service, unit.region, metric, service.demand_stat))
        if inside is not None:
            return inside, metric != service.demand_metric
    return None, False


def _recorded(hourly: pd.Series, peaks: pd.Series) -> pd.DataFrame:
    """Recorded hourly peaks in the shape of points of an hour, beside the hours' means."""
    both = pd.concat([hourly.rename("mean"), peaks.rename("largest")], axis=1, join="inner").dropna()
    both["largest"] = both[["mean", "largest"]].max(axis=1)
    return both.rename_axis("hour").reset_index().assign(period_seconds=HOUR, known_frac=1.0)


def _learned(inside: pd.DataFrame, masks: Sequence[Span], time_zone: str, rng: np.random.Generator) -> Burst | None:
    hours = pd.Series(np.arange(len(inside)), index=pd.DatetimeIndex(inside["hour"]))
    return forecast.burst_factor(inside.iloc[unmasked(hours, masks, time_zone).to_numpy()], time_zone, rng)


def _stated(factor: float, recorded: pd.Series | None, burst: Burst | None) -> HourPeaks:
    """The config's factor, on recorded peaks too; with a word where what is stored says otherwise."""
    flags: tuple[str, ...] = ()
    known = burst is not None and recorded is None
    if burst is not None and known and not burst.factor.low <= factor <= burst.factor.high:
        flags = (f"burst_factor {factor:g} is set; stored points say {_span(burst)}",)
    elif factor == 1.0 and recorded is None:
        flags = ("burst_factor 1 is set: a peak inside the hour is not seen",)
    return HourPeaks(recorded, factor, Interval(factor, factor, factor, 1.0), flags)


def _told(burst: Burst, inside: pd.DataFrame, hourly: pd.Series) -> tuple[str, ...]:
    """Where the peaks come from, in words; nothing where every hour's peak is recorded."""
    first = pd.Timestamp(inside["hour"].min())
    if burst.resolution_seconds == HOUR:
        missing = int((~hourly.index.isin(inside["hour"])).sum())
        return (f"{missing:,} hours without a recorded peak: {_span(burst)}",) if missing else ()
    before = f"; measured from {day(first.date())}, the factor before" if hourly.index[0] < first else ""
    return (f"burst inside the hour: {_span(burst)}{before}; every hour is provisioned for its busiest moment",)


def _span(burst: Burst) -> str:
    """The busiest 60 s of a day is 1.38 times its busiest hour's mean (1.25 to 1.52 over 14 days)."""
    f, m = burst.factor, burst.median
    what = "peak" if burst.resolution_seconds == HOUR else f"{burst.resolution_seconds} s"
    lifted = f", {burst.lifted_days} of them from coarser points" if burst.lifted_days else ""
    return (
        f"the busiest {what} of a day is {f.mid:.2f} times its busiest hour's mean "
        f"({f.low:.2f} to {f.high:.2f} on 8 days of 10; median {m.low:.2f} to {m.high:.2f}; {burst.days} days{lifted})"
    )
