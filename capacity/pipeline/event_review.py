"""After an event: what was said of it before, against what came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from capacity import saturation
from capacity.config import Config, EventConfig
from capacity.domain import QUANTILE_COLUMNS, QUANTILES, EventVerdict, SeriesForecast, Unit
from capacity.pipeline import events
from capacity.pipeline.base import Base
from capacity.pipeline.demand import UnitData
from capacity.pipeline.futures import Future
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.promised import MOST_DAYS, base_before, stored_days
from capacity.plan import FRAMES, EventSummary
from capacity.store import Store
from capacity.words import number, percent, times

# Points that a stored forecast's quantiles are turned into.
_POINTS = 401
_STORED, _AGAIN = "stored plan", "made again"


@dataclass(frozen=True)
class Before:
    """What was said before an event: the check, of which day, and whether from a stored plan or made again."""

    summary: EventSummary
    basis: str
    origin: pd.Timestamp


def over(inputs: Inputs) -> tuple[EventConfig, ...]:
    """Events of the config that are over at ``as_of``, the latest first."""
    past = [e for e in inputs.config.events if pd.Timestamp(e.end) <= pd.Timestamp(inputs.as_of)]
    return tuple(sorted(past, key=lambda e: e.start, reverse=True))


def made_again(summary: EventSummary, origin: pd.Timestamp) -> Before:
    """A check that was made with nothing later than ``origin``."""
    return Before(summary, _AGAIN, origin)


def before_it(config: Config, event: EventConfig) -> Config:
    """``config`` without what it says of ``event`` as a past occurrence, of itself or of next year's event.

    Else the forecast of the day before would have its effect in already, and its size would be put on top.
    """
    day = pd.Timedelta(days=1)
    first, last = ((pd.Timestamp(t).tz_convert("UTC").tz_localize(None)) for t in (event.start, event.end))

    def apart(e: EventConfig) -> EventConfig:
        past = [(a, b) for a, b in e.past if pd.Timestamp(b) + day < first or pd.Timestamp(a) - day > last]
        return e.model_copy(update={"past": past})

    return config.model_copy(update={"events": [apart(e) for e in config.events]})


def from_stored(event: EventConfig, from_store: Store, inputs: Inputs, data: Mapping[Unit, UnitData]) -> Before | None:
    """The check on the last forecast that was stored before the event; None where none was.

    The fleet is what ran then; the cost of a unit of demand is what is known now. All units are at the same quantile
    of their own forecast at once, which is on the safe side for what several callers ask of one.
    """
    days = [events.local_days_of(event, d.service.time_zone) for d in data.values()]
    start = pd.Timestamp(event.start).tz_convert("UTC")
    wide = pd.Timedelta(days=2)
    first, last = (x.tz_localize("UTC") for x in (min(a for a, _ in days) - wide, max(b for _, b in days) + wide))
    where = (
        base_before(start.to_pydatetime())
        & (pc.field("origin_ts") >= start - pd.Timedelta(days=MOST_DAYS))
        & (pc.field("target") == "peak")
        & (pc.field("ts") >= first)
        & (pc.field("ts") <= last)
    )
    rows = stored_days(from_store, inputs.config, where)
    known: dict[Unit, Future] = {}
    limits: dict[tuple[Unit, str], SeriesForecast] = {}
    origins: list[pd.Timestamp] = []
    for unit, found in data.items():
        begins, ends = events.local_days_of(event, found.service.time_zone)
        mine = rows[(rows["service"] == unit.service) & (rows["region"] == unit.region) & (rows["origin_ts"] < begins)]
        for metric, part in mine.groupby("metric", sort=True):
            part = part[part["origin_ts"] == part["origin_ts"].max()].sort_values("ts")
            if not set(pd.date_range(begins, ends)) <= set(part["ts"]):
                continue
            series = _series(f"{unit}|{metric}", part)
            if metric == found.service.demand_metric:
                known[unit] = Future(series, series)
                origins.append(series.origin)
            limits[unit, str(metric)] = series
    if not known:
        return None
    then = {unit: _as_of(data[unit], start) for unit in known}
    summary = events.check(event, inputs, then, known, Base({}, {}, limits, {}))
    return Before(summary, _STORED, min(origins))


def _series(key: str, rows: pd.DataFrame) -> SeriesForecast:
    """Stored quantiles as a forecast: every path is at one quantile throughout."""
    quantiles = rows[list(QUANTILE_COLUMNS)].to_numpy(float).T
    levels = (np.arange(_POINTS) + 0.5) / _POINTS
    paths = np.array([np.interp(levels, QUANTILES, column) for column in quantiles.T]).T.astype(np.float32)
    index = pd.DatetimeIndex(rows["ts"])
    nothing = np.zeros(len(QUANTILES))
    return SeriesForecast(
        key, "D", pd.Timestamp(rows["origin_ts"].iloc[0]), index, quantiles, paths, nothing, nothing, "stored", "", ()
    )


def _as_of(data: UnitData, moment: pd.Timestamp) -> UnitData:
    """With the fleet that ran in the week before ``moment``."""
    if data.fleet.empty or data.fleet["ts"].min() > moment:
        return data
    maximum = saturation.group_maximum(data.fleet, moment)
    return replace(data, running=saturation.running_most(data.fleet, moment), group_maximum=maximum)


# --- against what came ---------------------------------------------------------------------------------------


def review(event: EventConfig, before: Before, inputs: Inputs, data: Mapping[Unit, UnitData]) -> pd.DataFrame:
    """A row a unit of which days of the event are known; the columns of plan frame ``event_review``.

    ``actual`` is the largest daily peak of the event's local days, ``error_frac`` is it over the P50 that was said less
    one. ``multiplier_realised`` is over the demand without the event as forecast then; null where the event was learned
    and the stored forecast has it in. ``held``: the peak stayed within the safe capacity (with the tier's zones lost)
    of what ran most in the event; null for services without instances.
    """
    rows = [
        _row(event, verdict, before, inputs, data[verdict.unit], peak)
        for verdict in before.summary.verdicts
        if verdict.unit in data and (peak := _actual(event, data[verdict.unit])) is not None
    ]
    frame = pd.DataFrame(rows, columns=list(FRAMES["event_review"]))
    types: dict[str, Any] = {"held": "boolean", "within_p95": bool, "said_go": bool}
    numbers = ("p50", "p95", "actual", "error_frac", "multiplier", "multiplier_realised", "safe", "probability_holds")
    return frame.astype(types | dict.fromkeys(numbers, float))


def _actual(event: EventConfig, data: UnitData) -> float | None:
    first, last = events.local_days_of(event, data.service.time_zone)
    seen = data.peak.loc[first:last].dropna()
    return float(seen.max()) if len(seen) == (last - first).days + 1 else None


def _row(
    event: EventConfig, verdict: EventVerdict, before: Before, inputs: Inputs, data: UnitData, actual: float
) -> dict[str, Any]:
    safe = _safe_then(event, inputs, data)
    mixed_in = before.basis == _STORED and event.is_learned
    unknown = mixed_in or verdict.before_p50 <= 0
    row = {
        "event": event.name, "service": verdict.unit.service, "region": verdict.unit.region,
        "start": pd.Timestamp(event.start).tz_convert("UTC"), "end": pd.Timestamp(event.end).tz_convert("UTC"),
        "basis": before.basis, "origin": before.origin, "p50": verdict.demand_p50, "p95": verdict.demand_p95,
        "actual": actual, "error_frac": actual / verdict.demand_p50 - 1.0 if verdict.demand_p50 > 0 else None,
        "within_p95": actual <= verdict.demand_p95, "multiplier": None if mixed_in else verdict.multiplier,
        "multiplier_realised": None if unknown else actual / verdict.before_p50, "safe": safe,
        "held": None if safe is None else actual <= safe, "said_go": verdict.go,
        "probability_holds": verdict.probability_holds,
    }  # fmt: skip
    return row | {"words": _words(row)}


def _safe_then(event: EventConfig, inputs: Inputs, data: UnitData) -> float | None:
    if data.cost is None or data.service.kind == "usage_priced" or data.fleet.empty:
        return None
    end = pd.Timestamp(event.end).tz_convert("UTC")
    if data.fleet["ts"].min() > end:
        return None
    days = max(1, (event.end - event.start).days + 1)
    running = saturation.running_most(data.fleet, end, days)
    return saturation.safe_capacity(data.unit, running, inputs.types, data.service, data.tier, data.cost).binding.mid


def _words(row: Mapping[str, Any]) -> str:
    error = row["error_frac"]
    side = "above" if error is not None and error >= 0 else "below"
    side = "" if error is None else f", {percent(abs(error))} {side} the P50 said before"
    out = f"peak {number(row['actual'])}{side}"
    out += "" if row["within_p95"] else f", and above its P95 of {number(row['p95'])}"
    if row["multiplier_realised"] is not None:
        out += f"; {times(row['multiplier_realised'])} normal, {times(row['multiplier'])} was expected"
    if row["held"] is not None:
        word = "within" if row["held"] else "beyond"
        out += f"; {word} the safe capacity of what ran ({number(row['safe'])})"
    return out


def reviews(from_store: Store, inputs: Inputs, data: Mapping[Unit, UnitData]) -> pd.DataFrame:
    """Plan frame ``event_review``: every event of the config that is over and of which a forecast was stored before.

    Nothing is forecast here; an event without a stored forecast has no rows.
    """
    return _together(
        review(event, before, inputs, data)
        for event in over(inputs)
        if (before := from_stored(event, from_store, inputs, data)) is not None
    )


def _together(parts: Iterator[pd.DataFrame]) -> pd.DataFrame:
    found = [p for p in parts if len(p)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(FRAMES["event_review"]))


def is_over(config: Config, name: str, as_of: Any) -> bool:
    """Whether the config's event ``name`` has ended at ``as_of``."""
    return any(e.name == name and pd.Timestamp(e.end) <= pd.Timestamp(as_of) for e in config.events)
