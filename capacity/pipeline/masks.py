"""Spans of the past that are not base demand: earlier occurrences of named events, and outages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd

from capacity.config import Config, EventConfig, zone
from capacity.domain import Unit
from capacity.saturation import CallGraph

Span = tuple[pd.Timestamp, pd.Timestamp]


def units(config: Config) -> tuple[Unit, ...]:
    """Every (service, region) of the config, sorted."""
    return tuple(sorted(Unit(s.name, r) for s in config.services for r in s.regions))


def past_masks(config: Config) -> dict[Unit, tuple[Span, ...]]:
    """Local spans of each unit that are not base demand: past occurrences of named events, and outages.

    An event reaches all that its services call, so its past is masked there too.
    """
    graph = CallGraph.from_services(config.services)
    out: dict[Unit, list[Span]] = {unit: [] for unit in units(config)}
    for event in config.events:
        reached = set(event.services) | {c for s in event.services for c in _all_callees(graph, s)}
        for unit in out:
            if unit.service in reached and (event.regions is None or unit.region in event.regions):
                out[unit] += _past_days(event)
    for outage in config.outages:
        for unit in out:
            named = outage.services is None or unit.service in outage.services
            if named and (outage.regions is None or unit.region in outage.regions):
                tz = zone(config.service(unit.service).time_zone)
                out[unit].append((_local(outage.start, tz), _local(outage.end, tz)))
    return {unit: tuple(spans) for unit, spans in out.items()}


def _all_callees(graph: CallGraph, service: str) -> set[str]:
    """What ``service`` calls, however far."""
    found = set(graph.calls[service])
    return found.union(*(_all_callees(graph, callee) for callee in found))


def _past_days(event: EventConfig) -> list[Span]:
    return [(pd.Timestamp(first), pd.Timestamp(last) + pd.Timedelta(days=1)) for first, last in event.past]


def _local(moment: datetime, tz: object) -> pd.Timestamp:
    return pd.Timestamp(moment).tz_convert(tz).tz_localize(None)  # type: ignore[arg-type]


def wall_clock(values: pd.Series, time_zone: str) -> pd.DatetimeIndex:
    """Local time stamps without zone."""
    return pd.DatetimeIndex(values.index).tz_convert(zone(time_zone)).tz_localize(None)


def unmasked(hourly: pd.Series, masks: Sequence[Span], time_zone: str) -> pd.Series:
    local = wall_clock(hourly, time_zone)
    keep = pd.Series(True, index=hourly.index)
    for start, end in masks:
        keep &= ~((local >= start) & (local < end))
    return hourly[keep]
