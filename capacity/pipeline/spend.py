"""The spend forecast: each service's daily cost, by itself or by what drives it, whichever was nearer in the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from capacity import forecast
from capacity.domain import Floats, PastMedians, SeriesForecast, Unit
from capacity.pipeline.demand import UnitData
from capacity.pipeline.inputs import DAY, HOUR, Inputs
from capacity.pipeline.progress import Progress

# Past origins of demand lie a third of its horizon apart; spend is tried at the same dates, so that both knew as much.
ORIGINS_PER_HORIZON = 3
_RATES: Mapping[str, int] = {"_per_second": 1, "_per_minute": 60, "_per_hour": HOUR, "_per_day": DAY}


def forecast_spend(
    inputs: Inputs,
    units: Mapping[Unit, UnitData],
    spend: Mapping[str, pd.Series],
    means: Mapping[Unit, SeriesForecast],
    common: dict[str, Any],
    progress: Progress,
) -> dict[str, SeriesForecast]:
    """Daily spend up to the same day as demand: a bill ends earlier than usage, so its horizon is longer.

    A service whose units have a demand forecast (``means``) is also forecast as fixed + rate × demand, all its regions
    added; the better one at past origins is given. What belongs to no service has no driver and is forecast by itself.
    """
    usable = {f"spend|{service}": values for service, values in spend.items() if values.notna().sum() >= 2}
    if not usable:
        return {}
    days_ahead = inputs.config.forecast.horizon_days
    end = pd.Timestamp(inputs.as_of).tz_localize(None).normalize() + timedelta(days=days_ahead)
    last = min(values.index[-1] for values in usable.values())
    plain = forecast.forecast_batch(
        usable,
        horizon=max(1, (end - last).days),
        past_step=max(1, round(days_ahead / ORIGINS_PER_HORIZON)),
        progress=lambda done, total, _: progress("forecast spend", done, total),
        **common,
    )
    cases = {key: case for key, one in plain.items() if (case := _case(inputs, key, one, usable[key], units, means))}
    driven = forecast.drive(cases, seed=int(common["seed"]))
    return plain | {key: found.forecast for key, found in driven.items()}


def _case(
    inputs: Inputs,
    key: str,
    plain: SeriesForecast,
    spend: pd.Series,
    units: Mapping[Unit, UnitData],
    means: Mapping[Unit, SeriesForecast],
) -> forecast.DriverCase | None:
    """Spend and demand of one service; None where it is none, or its demand is unknown."""
    service = key.removeprefix("spend|")
    mine = [u for u in sorted(units) if u.service == service and u in means and units[u].mean.notna().any()]
    if not mine or not spend.notna().any():
        return None
    demand = added([means[u] for u in mine])
    if demand is None:
        return None
    metric = units[mine[0]].service.demand_metric
    return forecast.DriverCase(
        spend=spend,
        plain=plain,
        units=together([units[u].mean for u in mine]),
        demand=demand,
        per_day=DAY / rate_seconds(metric),
        unit_name=unit_name(metric),
        currency=inputs.config.currency,
    )


def rate_seconds(metric: str) -> int:
    """Seconds that a rate is counted over: requests_per_second 1, rides_per_hour 3600; an hour for all else."""
    return next((n for suffix, n in _RATES.items() if metric.endswith(suffix)), HOUR)


def unit_name(metric: str) -> str:
    """What demand comes in: requests for requests_per_second; an hour of any other metric."""
    for suffix in _RATES:
        if metric.endswith(suffix):
            return metric.removesuffix(suffix).replace("_", " ")
    return f"{metric.replace('_', ' ')} hours"


def together(means: Sequence[pd.Series]) -> pd.Series:
    """Demand of all regions by day; missing where one of them is not known."""
    return means[0] if len(means) == 1 else pd.concat(means, axis=1, join="inner").sum(axis=1, skipna=False)


def added(forecasts: Sequence[SeriesForecast]) -> SeriesForecast | None:
    """The sum of several forecasts over the days they share, future by future; None where they share none.

    Only paths, their median and the medians of past origins are of the sum: nothing else is looked at here.
    """
    if len(forecasts) == 1:
        return forecasts[0]
    start = max(f.index[0] for f in forecasts)
    end = min(f.index[-1] for f in forecasts)
    if end < start:
        return None
    cut = [f.index.slice_indexer(start, end) for f in forecasts]
    paths = forecasts[0].paths[:, cut[0]].astype(np.float32)
    for one, at in zip(forecasts[1:], cut[1:], strict=True):
        paths = paths + one.paths[:, at]
    index = forecasts[0].index[cut[0]]
    # The median of the sum, at all of the stored quantiles: a driver looks at the median and at paths.
    quantiles = np.repeat(np.median(paths, axis=0)[None].astype(float), len(forecasts[0].quantiles), axis=0)
    origin = start - pd.Timedelta(days=1)
    return replace(
        forecasts[0], origin=origin, index=index, paths=paths, quantiles=quantiles, past=_past_sum(forecasts)
    )


def _past_sum(forecasts: Sequence[SeriesForecast]) -> PastMedians:
    """Medians added at the origins of the forecast that ends first, each from what the others said last by then."""
    first = min(forecasts, key=lambda f: f.origin)
    if any(f.past is None for f in forecasts) or first.past is None:
        return PastMedians((), np.zeros((0, len(first.index)), np.float32))
    rows = []
    for origin, own in zip(first.past.origins, first.past.medians, strict=True):
        days = pd.date_range(origin, periods=len(own) + 1, freq="D")[1:]
        rows.append(sum((_said(f, origin, days) for f in forecasts), np.zeros(len(own))))
    table = np.array(rows, np.float32).reshape(len(rows), len(first.index))
    return PastMedians(first.past.origins, table)


def _said(one: SeriesForecast, origin: pd.Timestamp, days: pd.DatetimeIndex) -> Floats:
    """Median of ``days`` as said at ``origin`` or last before it, at most a past step earlier; NaN where it is not."""
    if one.past is None:
        return np.full(len(days), np.nan)
    stale = pd.Timedelta(days=len(one.index) // (2 * ORIGINS_PER_HORIZON))
    for at, medians in zip(one.past.origins, one.past.medians, strict=True):
        if at <= origin and origin - at <= stale:
            known = pd.Series(medians.astype(float), pd.date_range(at, periods=len(medians) + 1, freq="D")[1:])
            return known.reindex(days).to_numpy(float)
    return np.full(len(days), np.nan)
