"""The peak-event check over the base forecast: the same answer for the command, the plan and the page."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from capacity import saturation
from capacity.config import EventConfig, zone
from capacity.domain import Floats, Paths, SeriesForecast, Unit
from capacity.pipeline.base import Base
from capacity.pipeline.demand import UnitData
from capacity.pipeline.futures import Future, without
from capacity.pipeline.inputs import Inputs, on_demand
from capacity.pipeline.mix import resource_needs
from capacity.pipeline.rates import days_of
from capacity.plan import EventSummary
from capacity.saturation import CallGraph, EventInputs, HardLimitInputs, PastPeak

# The deviate of a learned multiplier's 80 % interval.
Z80 = 1.2816


def coming(inputs: Inputs, known: Mapping[Unit, Future]) -> tuple[EventConfig, ...]:
    """Events that begin after ``as_of`` and lie within the horizon, the next one first."""
    end = min(f.peak.index[-1] for f in known.values()) + pd.Timedelta(days=1)
    ahead = [
        e
        for e in inputs.config.events
        if pd.Timestamp(e.start) >= pd.Timestamp(inputs.as_of) and pd.Timestamp(e.end).tz_localize(None) <= end
    ]
    return tuple(sorted(ahead, key=lambda e: (e.start, e.name)))


def check(
    event: EventConfig, inputs: Inputs, data: Mapping[Unit, UnitData], known: Mapping[Unit, Future], base: Base
) -> EventSummary:
    """GO or NO-GO of every unit that ``event`` reaches, for the fleet as it runs."""
    units = {
        unit: _event_inputs(event, inputs, data[unit], future, base)
        for unit, future in known.items()
        if data[unit].cost is not None or data[unit].service.kind == "usage_priced"
    }
    graph = CallGraph.from_services(inputs.config.services)
    verdicts = saturation.check_event(event, units, graph, inputs.config.lead_times, inputs.quotas, inputs.as_of.date())
    running = {(u.region, name) for u in units for name, _ in data[u].running}
    rates = days_of(inputs.prices, running)
    return EventSummary(
        event.name,
        event.start,
        event.end,
        verdicts,
        flows=saturation.event_flows(event, units, graph),
        ramp_minutes=event.ramp_minutes,
        rates_as_of=rates[1] if rates else None,
    )


def _event_inputs(event: EventConfig, inputs: Inputs, data: UnitData, future: Future, base: Base) -> EventInputs:
    service = data.service
    tz = service.time_zone
    found = saturation.event_inputs(
        data.unit,
        _in_window(without(future.peak, event.name), future.peak.index, event, tz),
        data.running,
        data.group_maximum,
        inputs.types,
        service,
        data.tier,
        data.cost,
        data.account_id,
        hard_limits=[
            HardLimitInputs(hard, _in_window(without(level, event.name), level.index, event, tz))
            for hard in service.hard_limits
            if (level := base.limits.get((data.unit, hard.metric))) is not None
        ],
        usd_per_instance_hour=_hourly_rate(inputs, data),
        needs=resource_needs(inputs, data)[0],
        past_peak=past_peak(event, data.peak),
    )
    return _with_learned(found, event, future.peak, tz, inputs.config.seed)


def _hourly_rate(inputs: Inputs, data: UnitData) -> float | None:
    """On-demand rate of the average running instance; None where the rate of any of its types is not known."""
    rates = on_demand(inputs.prices, data.unit.region)
    running = {key: n for key, n in data.running.items() if n > 0}
    if not running or any(name not in rates for name, _ in running):
        return None
    return sum(n * rates[name] for (name, _), n in running.items()) / sum(running.values())


def past_peak(event: EventConfig, peaks: pd.Series) -> PastPeak | None:
    """The largest daily peak of the newest past occurrence that ``peaks`` (local days) holds a day of."""
    for first, last in sorted(event.past, reverse=True):
        seen = peaks.loc[pd.Timestamp(first) : pd.Timestamp(last)].dropna()
        if len(seen):
            return PastPeak(pd.Timestamp(seen.idxmax()).date(), float(seen.max()))
    return None


def _with_learned(
    found: EventInputs, event: EventConfig, known: SeriesForecast, time_zone: str, seed: int
) -> EventInputs:
    """With the multiplier that the unit's own past occurrences teach, on each path one drawn from its interval.

    Of one event all units draw alike: a large crowd is large for everybody.
    """
    learned = next(
        (x for x in known.learned if x.name == event.name and x.source == "learned" and x.end >= known.index[0]), None
    )
    if not event.is_learned or learned is None or not learned.occurrences:
        return replace(found, learned=learned if event.is_learned else None)
    with_event = _in_window(known.paths, known.index, event, time_zone)
    ratio = np.divide(with_event, found.baseline, out=np.ones_like(with_event), where=found.baseline > 0)
    draws = np.random.default_rng([seed, zlib.crc32(event.name.encode())]).standard_normal(len(ratio))
    sd = math.log(learned.high / learned.low) / (2 * Z80) if learned.low > 0 else 0.0
    return replace(found, learned=learned, multiplier=ratio * np.exp(sd * draws))


def local_days_of(event: EventConfig, time_zone: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last local day that the event touches."""
    tz = zone(time_zone)
    first = pd.Timestamp(event.start).tz_convert(tz).tz_localize(None).normalize()
    last = (pd.Timestamp(event.end) - pd.Timedelta(microseconds=1)).tz_convert(tz).tz_localize(None).normalize()
    return first, last


def _in_window(paths: Paths, days: pd.DatetimeIndex, event: EventConfig, time_zone: str) -> Floats:
    """(P,) largest daily peak of the local days that the event touches."""
    first, last = local_days_of(event, time_zone)
    inside = np.asarray((days >= first) & (days <= last))
    return np.asarray(paths[:, inside].max(axis=1), dtype=float)
