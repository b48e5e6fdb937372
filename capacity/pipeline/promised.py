"""What last quarter's plan promised, and what came."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from capacity.config import Config
from capacity.domain import Unit
from capacity.pipeline import masks
from capacity.pipeline.base import Base
from capacity.pipeline.demand import UnitData
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.promises import COMPANY, SCENARIO, SPEND, billed, local_days
from capacity.plan import FRAMES
from capacity.schemas import FORECAST
from capacity.store import Store

# A promise is last quarter's: of the plan nearest to a quarter before, but at least four weeks and at most half a year.
QUARTER_DAYS, LEAST_DAYS, MOST_DAYS = 91, 28, 182
# Of a month's or horizon's days, how many must be known (not masked, not missing) for its mean or peak to be judged.
LEAST_KNOWN_FRAC = 0.9
_DAY = pd.Timedelta(days=1)
_SERIES = ["service", "region", "metric", "target"]


def promise(
    from_store: Store, inputs: Inputs, data: Mapping[Unit, UnitData], base: Base, spend: Mapping[str, pd.Series]
) -> pd.DataFrame:
    """What the stored forecast nearest to a quarter ago promised, and what came; the columns of plan frame ``promise``.

    Each series is held to a forecast whose origin is at least four weeks before the series' own last day, so that a
    run never sees what it stores itself. ``month`` is YYYY-MM, or first/last day of the horizon for the largest peak
    (target horizon_peak). ``covered`` is whether the actual lay between P10 and P90; None where it may still change.
    """
    now = pd.Timestamp(inputs.as_of)
    wanted = ["month_mean", "month_peak", "month_total", "horizon_peak"]
    recent = pc.field("origin_ts") >= now - pd.Timedelta(days=2 * MOST_DAYS)
    rows = stored_days(from_store, inputs.config, base_before(inputs.as_of) & recent & pc.field("target").isin(wanted))
    came = _series(inputs, data, spend)
    ends = _ends(base, came)
    out = []
    for (service, region, metric), part in rows.groupby(["service", "region", "metric"], sort=True):
        unit = Unit(str(service), str(region))
        end = ends.get((unit, str(metric)))
        origin = None if end is None else last_quarter(part["origin_ts"], end)
        for row in part[part["origin_ts"] == origin].sort_values(["target", "ts"]).to_dict("records"):
            target = "peak" if row["target"] == "horizon_peak" else str(row["target"]).removeprefix("month_")
            held = _held(row, came.get((unit, str(metric), target)))
            if held is not None:
                out.append(held)
    frame = pd.DataFrame(out, columns=list(FRAMES["promise"]))
    return frame.astype({"covered": "boolean", "error_frac": float, "actual": float})


def _ends(base: Base, came: Mapping[tuple[Unit, str, str], pd.Series]) -> dict[tuple[Unit, str], pd.Timestamp]:
    """Last day that each series' own forecast of this run knows."""
    out: dict[tuple[Unit, str], pd.Timestamp] = {}
    for unit, metric, target in came:
        if unit.service == COMPANY and base.spend:
            out[unit, metric] = min(f.origin for f in base.spend.values())
        elif metric == SPEND and unit.service in base.spend:
            out[unit, metric] = base.spend[unit.service].origin
        elif target == "mean" and unit in base.mean:
            out[unit, metric] = min(base.mean[unit].origin, base.peak[unit].origin)
        elif (unit, metric) in base.limits:
            out[unit, metric] = base.limits[unit, metric].origin
    return out


def last_quarter(origins: pd.Series, end: pd.Timestamp) -> pd.Timestamp | None:
    """Of ``origins`` the one nearest to a quarter before ``end``, if any is neither too near nor too far."""
    ages = {origin: (end - origin).days for origin in sorted(origins.unique())}
    fit = [o for o, age in ages.items() if LEAST_DAYS <= age <= MOST_DAYS]
    return min(fit, key=lambda o: abs(ages[o] - QUARTER_DAYS), default=None)


def _held(row: Mapping[Any, Any], values: pd.Series | None) -> tuple[Any, ...] | None:
    """One promise against its days; None where they are not all over, or too few of them are known."""
    whole = row["target"] == "horizon_peak"
    start = row["origin_ts"] + _DAY if whole else max(row["ts"], row["origin_ts"] + _DAY)
    end = row["ts"] if whole else row["ts"] + pd.offsets.MonthEnd(0)
    if row["target"] == "month_total":
        actual, known = month_spend(values, row["ts"]), True
    else:
        actual, known = _seen(values, start, end, largest=row["target"] != "month_mean", partly=whole)
    if actual is None:
        return None
    inside = row["q10"] <= actual <= row["q90"]
    judged = known or actual > row["q90"]
    month = f"{start:%Y-%m-%d}/{end:%Y-%m-%d}" if whole else f"{row['ts']:%Y-%m}"
    error = (actual - row["q50"]) / row["q50"] if known and row["q50"] else None
    return (row["service"], row["region"], row["metric"], str(row["target"]).removeprefix("month_"), row["origin_ts"],
            month, row["q10"], row["q50"], row["q90"], actual, bool(inside) if judged else None, error)  # fmt: skip


def _seen(
    values: pd.Series | None, start: pd.Timestamp, end: pd.Timestamp, *, largest: bool, partly: bool
) -> tuple[float | None, bool]:
    """(mean or largest value of the days, whether they are all over)."""
    if values is None or values.empty:
        return None, False
    over = bool(values.index[-1] >= end)
    found = values[(values.index >= start) & (values.index <= end)]
    days = (min(end, values.index[-1]) - start).days + 1
    if (not over and not partly) or days < 1 or len(found) < LEAST_KNOWN_FRAC * days:
        return None, over
    return float(found.max() if largest else found.mean()), over


# --- what is stored ------------------------------------------------------------------------------------------


def base_before(as_of: datetime) -> Any:
    """The filter of what was stored of the base forecast by ``as_of``."""
    moment = pd.Timestamp(as_of).tz_convert("UTC")
    return (pc.field("origin_ts") <= moment) & (pc.field("scenario") == SCENARIO)


def stored_days(from_store: Store, config: Config, where: Any) -> pd.DataFrame:
    """Stored rows of the base forecast that hold ``where``; origin_ts and ts as local days without zone."""
    columns = [c for c in FORECAST.columns if c not in ("scenario", "model")]
    kept = from_store.read("forecast", columns=columns, filters=where & (pc.field("scenario") == SCENARIO))
    rows: pd.DataFrame = kept.to_pandas()
    zones = {s.name: s.time_zone for s in config.services}
    zone = rows["service"].map(zones).where(rows["metric"] != SPEND, "UTC").fillna("UTC")
    out: pd.DataFrame = rows.copy()
    for column in ("origin_ts", "ts"):
        days = pd.Series(pd.NaT, index=rows.index, dtype="datetime64[ns]")
        for name, part in rows[column].groupby(zone):
            days[part.index] = local_days(pd.DatetimeIndex(part), str(name))
        out[column] = days
    return out


# --- what came ---------------------------------------------------------------------------------------------


def actual_days(inputs: Inputs, data: Mapping[Unit, UnitData], spend: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Complete days of every series: service, region, metric, target, ts, value.

    Days of outages, of throttling and of past events are left out: the base forecast is of demand without them.
    """
    parts = [
        pd.DataFrame({"ts": values.index, "value": values.to_numpy(float)}).assign(
            service=unit.service, region=unit.region, metric=metric, target=target
        )
        for (unit, metric, target), values in _series(inputs, data, spend).items()
    ]
    columns = [*_SERIES, "ts", "value"]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns) if parts else pd.DataFrame(columns=columns)


def _series(
    inputs: Inputs, data: Mapping[Unit, UnitData], spend: Mapping[str, pd.Series]
) -> dict[tuple[Unit, str, str], pd.Series]:
    throttled = masks.throttled(inputs.config)
    out: dict[tuple[Unit, str, str], pd.Series] = {}
    for unit, known in data.items():
        metric = known.service.demand_metric
        gone = masks.whole_days([*known.masks, *throttled.get(unit, ())])
        out[unit, metric, "mean"] = _without(known.mean, gone)
        out[unit, metric, "peak"] = _without(known.peak, gone)
        out |= {(unit, m, "peak"): _without(v, gone) for m, v in known.limits.items() if m != metric and len(v)}
    out |= {(Unit(name, ""), SPEND, "total"): values for name, values in spend.items()}
    if spend:
        out[Unit(COMPANY, ""), SPEND, "total"] = billed(spend, spend)
    return out


def _without(values: pd.Series, spans: tuple[masks.Span, ...]) -> pd.Series:
    out = values.dropna()
    for start, end in spans:
        out = out[(out.index < start) | (out.index > end)]
    return out


def month_spend(values: pd.Series | None, month: pd.Timestamp) -> float | None:
    """Spend of a whole month; None while days of it are missing."""
    end = month + pd.offsets.MonthEnd(0)
    if values is None or values.index[-1] < end:
        return None
    found = values[(values.index >= month) & (values.index <= end)]
    return float(found.sum())
