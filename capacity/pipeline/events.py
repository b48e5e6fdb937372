"""The peak-event check over the base forecast: the same answer for the command, the plan and the page."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from capacity import saturation
from capacity.config import EventConfig, zone
from capacity.domain import Floats, Paths, Unit
from capacity.pipeline.base import Base
from capacity.pipeline.demand import UnitData
from capacity.pipeline.futures import Future
from capacity.pipeline.inputs import Inputs, on_demand
from capacity.plan import EventSummary
from capacity.saturation import CallGraph, EventInputs, HardLimitInputs


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
    verdicts = saturation.check_event(
        event,
        units,
        CallGraph.from_services(inputs.config.services),
        inputs.config.lead_times,
        inputs.quotas,
        inputs.as_of.date(),
    )
    return EventSummary(event.name, event.start, event.end, verdicts)


def _event_inputs(event: EventConfig, inputs: Inputs, data: UnitData, future: Future, base: Base) -> EventInputs:
    service = data.service
    rates = on_demand(inputs.prices, data.unit.region)
    dearest = [rates[name] for name, _ in data.running if name in rates]
    return saturation.event_inputs(
        data.unit,
        _in_window(future.peak.paths, future.peak.index, event, service.time_zone),
        data.running,
        data.group_maximum,
        inputs.types,
        service,
        data.tier,
        data.cost,
        data.account_id,
        hard_limits=[
            HardLimitInputs(hard, _in_window(level.paths, level.index, event, service.time_zone))
            for hard in service.hard_limits
            if (level := base.limits.get((data.unit, hard.metric))) is not None
        ],
        usd_per_instance_hour=float(np.mean(dearest)) if dearest else None,
    )


def _in_window(paths: Paths, days: pd.DatetimeIndex, event: EventConfig, time_zone: str) -> Floats:
    """(P,) largest daily peak of the local days that the event touches."""
    tz = zone(time_zone)
    first = pd.Timestamp(event.start).tz_convert(tz).tz_localize(None).normalize()
    last = (pd.Timestamp(event.end) - pd.Timedelta(microseconds=1)).tz_convert(tz).tz_localize(None).normalize()
    inside = np.asarray((days >= first) & (days <= last))
    return np.asarray(paths[:, inside].max(axis=1), dtype=float)
