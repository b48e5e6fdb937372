"""The base forecast: every target of every unit, once per data and config, kept beside the store."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import capacity
from capacity import forecast
from capacity.domain import MemberScore, SeriesForecast, Unit
from capacity.pipeline.demand import UnitData
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.masks import Span
from capacity.pipeline.progress import Progress, silent

# Older forecasts in the cache are dropped: each is a few tens of megabytes.
KEPT = 6


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
    workers = worker_count(settings.workers)
    demand, masks = demand_histories(units)
    common: dict[str, Any] = {
        "freq": "D",
        "n_paths": settings.paths,
        "seed": seed,
        "past_origins": settings.past_origins,
        "workers": workers,
        "max_history": settings.history_days,
    }
    digest = _digest(demand, masks, spend, settings.horizon_days, common)
    known = _read(cache, digest)
    if known is None:
        known = forecast.forecast_batch(
            demand,
            horizon=settings.horizon_days,
            masks=masks,
            progress=lambda done, total, _: progress("forecast demand", done, total),
            **common,
        )
        known |= _forecast_spend(inputs, spend, common, progress)
        _write(cache, digest, known)
    progress("forecast demand", 1, 1)
    return _sorted_out(known, units, spend)


def own_error(found: SeriesForecast) -> float | None:
    """Past error of the forecast as it is used, over the seasonal naive forecast's."""
    used = [s.relative_mae for s in found.scores if found.model == s.member or found.model.startswith(f"{s.member} ")]
    return used[0] if used else None


def worker_count(asked: int | None) -> int:
    """Processes to use: as asked, else one a core that this process may use."""
    if asked is not None:
        return asked
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def demand_histories(units: Mapping[Unit, UnitData]) -> tuple[dict[str, pd.Series], dict[str, tuple[Span, ...]]]:
    histories: dict[str, pd.Series] = {}
    masks: dict[str, tuple[Span, ...]] = {}
    for unit, data in units.items():
        histories[_key(unit, "mean")] = data.mean
        histories[_key(unit, "peak")] = data.peak
        for metric, values in data.limits.items():
            if values.notna().any():
                histories[_key(unit, f"limit:{metric}")] = values
        masks |= dict.fromkeys((_key(unit, "mean"), _key(unit, "peak")), _whole_days(data.masks))
    return histories, masks


def _whole_days(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """First and last day of each span: a day that is partly not demand is left out whole."""
    moment = pd.Timedelta(microseconds=1)
    return tuple((start.normalize(), (end - moment).normalize()) for start, end in spans)


def _forecast_spend(
    inputs: Inputs, spend: Mapping[str, pd.Series], common: dict[str, Any], progress: Progress
) -> dict[str, SeriesForecast]:
    """Daily spend up to the same day as demand: a bill ends earlier than usage, so its horizon is longer."""
    usable = {f"spend|{service}": values for service, values in spend.items() if values.notna().sum() >= 2}
    if not usable:
        return {}
    end = pd.Timestamp(inputs.as_of).tz_localize(None).normalize() + timedelta(days=inputs.config.forecast.horizon_days)
    last = min(values.index[-1] for values in usable.values())
    return forecast.forecast_batch(
        usable,
        horizon=max(1, (end - last).days),
        progress=lambda done, total, _: progress("forecast spend", done, total),
        **common,
    )


def _sorted_out(
    known: Mapping[str, SeriesForecast], units: Mapping[Unit, UnitData], spend: Mapping[str, pd.Series]
) -> Base:
    return Base(
        mean={u: known[_key(u, "mean")] for u in units},
        peak={u: forecast.with_calibrated_peaks(known[_key(u, "peak")]) for u in units},
        limits={
            (u, metric): forecast.with_calibrated_peaks(known[_key(u, f"limit:{metric}")])
            for u, data in units.items()
            for metric in data.limits
            if _key(u, f"limit:{metric}") in known
        },
        spend={s: known[f"spend|{s}"] for s in spend if f"spend|{s}" in known},
    )


def _key(unit: Unit, target: str) -> str:
    return f"{unit}|{target}"


# --- cache -------------------------------------------------------------------------------------------------


def _digest(
    demand: Mapping[str, pd.Series],
    masks: Mapping[str, tuple[Span, ...]],
    spend: Mapping[str, pd.Series],
    horizon: int,
    common: Mapping[str, object],
) -> str:
    """SHA-256 over the very numbers that are forecast, so that no stale forecast can be taken for a fresh one."""
    settings = {k: v for k, v in common.items() if k != "workers"} | {
        "horizon": horizon,
        "version": capacity.__version__,
    }
    h = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, values in sorted({**demand, **{f"spend|{k}": v for k, v in spend.items()}}.items()):
        h.update(name.encode() + repr(masks.get(name, ())).encode())
        h.update(values.index.to_numpy("datetime64[s]").tobytes() + values.to_numpy(float).tobytes())
    return h.hexdigest()


def _read(cache: Path | None, digest: str) -> dict[str, SeriesForecast] | None:
    path = cache / f"{digest}.npz" if cache else None
    if path is None or not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            return {item["key"]: _from_arrays(item, arrays, i) for i, item in enumerate(about)}
    except (OSError, ValueError, KeyError):
        return None  # a torn file is as good as none: forecast again


def _from_arrays(item: dict[str, Any], arrays: Mapping[str, Any], i: int) -> SeriesForecast:
    return SeriesForecast(
        key=item["key"],
        freq="D",
        origin=pd.Timestamp(item["origin"]),
        index=pd.DatetimeIndex(arrays[f"{i}.index"]),
        quantiles=arrays[f"{i}.quantiles"],
        paths=arrays[f"{i}.paths"],
        peak=arrays[f"{i}.peak"],
        total=arrays[f"{i}.total"],
        model=item["model"],
        reason=item["reason"],
        scores=tuple(MemberScore(**s) for s in item["scores"]),
        flags=tuple(item["flags"]),
    )


def _write(cache: Path | None, digest: str, known: Mapping[str, SeriesForecast]) -> None:
    if cache is None:
        return
    try:
        _write_to(cache, digest, known)
    except OSError:
        return  # a folder that takes nothing is no cache; the forecasts are there


def _write_to(cache: Path, digest: str, known: Mapping[str, SeriesForecast]) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    about: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    for i, f in enumerate(known.values()):
        about.append({"key": f.key, "origin": str(f.origin), "model": f.model, "reason": f.reason,
                      "scores": [vars(s) for s in f.scores], "flags": list(f.flags)})  # fmt: skip
        arrays |= {f"{i}.index": f.index.to_numpy("datetime64[ns]"), f"{i}.quantiles": f.quantiles,
                   f"{i}.paths": f.paths, f"{i}.peak": f.peak, f"{i}.total": f.total}  # fmt: skip
    partial = cache / f"{digest}.{os.getpid()}.partial.npz"
    np.savez(partial, about=np.array(json.dumps(about)), **arrays)
    partial.replace(cache / f"{digest}.npz")
    for old in sorted(cache.glob("*.npz"), key=lambda p: p.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)
