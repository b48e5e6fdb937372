"""The base forecast: every target of every unit, once per data and config, kept beside the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from capacity import forecast
from capacity.domain import SeriesForecast, Unit
from capacity.pipeline import kept
from capacity.pipeline.demand import UnitData
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.masks import Span, whole_days
from capacity.pipeline.progress import Progress, silent
from capacity.pipeline.spend import forecast_spend

# Folder, within that of kept forecasts, of what was said at past origins.
ORIGINS = "origins"


@dataclass(frozen=True)
class Base:
    """Base forecasts: paths that every scenario transforms and none refits."""

    mean: Mapping[Unit, SeriesForecast]
    peak: Mapping[Unit, SeriesForecast]
    limits: Mapping[tuple[Unit, str], SeriesForecast]
    spend: Mapping[str, SeriesForecast]


def forecast_base(
    inputs: Inputs,
    units: Mapping[Unit, UnitData],
    spend: Mapping[str, pd.Series],
    *,
    seed: int,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Base:
    """Forecast daily mean and peak of each unit, each hard limit's metric, and each service's daily spend.

    ``cache`` is a folder; a forecast made of the same data, config, seed and version is read back from there.
    """
    settings = inputs.config.forecast
    demand, masks = demand_histories(units)
    dates = demand_dates(units)
    common: dict[str, Any] = {
        "freq": "D",
        "n_paths": settings.paths,
        "seed": seed,
        "past_origins": settings.past_origins,
        "anchored": True,  # a day more asks the members about that day only
        "max_history": settings.history_days,
    }
    where: dict[str, Any] = {
        "workers": worker_count(settings.workers),
        "scheduler": settings.scheduler,
        "memory": cache / ORIGINS if cache is not None else None,
    }
    digest = _digest(demand, masks, dates, spend, settings.horizon_days, common)
    known = kept.read(cache, digest)
    if known is None:
        with kept.Keeper(cache, digest) as keeper:
            stream = forecast.forecast_stream(
                demand,
                horizon=settings.horizon_days,
                masks=masks,
                lower_bounds=dates.lower_bounds,
                occasions=dates.occasions,
                progress=lambda done, total, _: progress("forecast demand", done, total),
                **common,
                **where,
            )
            known = {one.key: keeper.add(_with_peaks(one)) for one in stream}
            means = {unit: known[_key(unit, "mean")] for unit in units if _key(unit, "mean") in known}
            found = forecast_spend(inputs, units, spend, means, common | where, progress)
            known |= {key: keeper.add(forecast.with_calibrated_totals(found.pop(key))) for key in list(found)}
    progress("forecast demand", 1, 1)
    return _sorted_out(known, units, spend)


def _with_peaks(one: SeriesForecast) -> SeriesForecast:
    """Days' peaks and hard limits are bought for their largest value: their paths carry the calibrated one."""
    return one if one.key.endswith("|mean") else forecast.with_calibrated_peaks(one)


def own_error(found: SeriesForecast) -> float | None:
    """Past error of the forecast as it is used, over the seasonal naive forecast's."""
    used = [s.relative_mae for s in found.scores if found.model == s.member or found.model.startswith(f"{s.member} ")]
    return used[0] if used else None


def worker_count(asked: int | None) -> int:
    """Processes to use: as asked, else one a core that this process and its container may use."""
    from joblib import cpu_count

    return asked if asked is not None else int(cpu_count())


@dataclass(frozen=True)
class Dates:
    """What is known of the dates of demand series, by their key."""

    occasions: Mapping[str, tuple[forecast.Occasion, ...]]
    lower_bounds: Mapping[str, tuple[Span, ...]]


def demand_histories(units: Mapping[Unit, UnitData]) -> tuple[dict[str, pd.Series], dict[str, tuple[Span, ...]]]:
    """Series by key, and the whole days of outages. Events are no masks: see :func:`demand_dates`."""
    histories: dict[str, pd.Series] = {}
    masks: dict[str, tuple[Span, ...]] = {}
    for unit, data in units.items():
        histories[_key(unit, "mean")] = data.mean
        histories[_key(unit, "peak")] = data.peak
        for metric, values in data.limits.items():
            if values.notna().any():
                histories[_key(unit, f"limit:{metric}")] = values
        masks |= dict.fromkeys(_demand_keys(unit, data), whole_days(data.outages))
    return histories, masks


def demand_dates(units: Mapping[Unit, UnitData]) -> Dates:
    """Events, holidays and lower bounds of the demand's series; a hard limit's own metric has none."""
    keys = {key: data for unit, data in units.items() for key in _demand_keys(unit, data)}
    return Dates({k: d.occasions for k, d in keys.items()}, {k: d.lower_bounds for k, d in keys.items()})


def _demand_keys(unit: Unit, data: UnitData) -> list[str]:
    """Keys of the series that are the unit's demand: a hard limit may be on the demand itself."""
    own = [f"limit:{metric}" for metric in data.limits if metric == data.service.demand_metric]
    return [_key(unit, target) for target in ("mean", "peak", *own)]


def _sorted_out(
    known: Mapping[str, SeriesForecast], units: Mapping[Unit, UnitData], spend: Mapping[str, pd.Series]
) -> Base:
    return Base(
        mean={u: known[_key(u, "mean")] for u in units},
        peak={u: known[_key(u, "peak")] for u in units},
        limits={
            (u, metric): known[_key(u, f"limit:{metric}")]
            for u, data in units.items()
            for metric in data.limits
            if _key(u, f"limit:{metric}") in known
        },
        spend={s: known[f"spend|{s}"] for s in spend if f"spend|{s}" in known},
    )


def _key(unit: Unit, target: str) -> str:
    return f"{unit}|{target}"


# --- digest ------------------------------------------------------------------------------------------------


def _digest(
    demand: Mapping[str, pd.Series],
    masks: Mapping[str, tuple[Span, ...]],
    dates: Dates,
    spend: Mapping[str, pd.Series],
    horizon: int,
    common: Mapping[str, object],
) -> str:
    """SHA-256 over the very numbers that are forecast, so that no stale forecast can be taken for a fresh one."""
    settings = {**common, "horizon": horizon, "code": forecast.code_digest()}
    h = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, values in sorted({**demand, **{f"spend|{k}": v for k, v in spend.items()}}.items()):
        h.update(name.encode() + repr(masks.get(name, ())).encode())
        h.update(repr((dates.occasions.get(name, ()), dates.lower_bounds.get(name, ()))).encode())
        h.update(values.index.to_numpy("datetime64[s]").tobytes() + values.to_numpy(float).tobytes())
    return h.hexdigest()
