"""What is known of a unit's dates: outages, hours that were throttled, events and holidays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pandas as pd

from capacity.config import Config, EventConfig, OutageConfig, country_of, zone
from capacity.domain import Unit
from capacity.forecast import Occasion, holiday_occasions
from capacity.saturation import CallGraph

Span = tuple[pd.Timestamp, pd.Timestamp]

_DAY = timedelta(days=1)
_MOMENT = pd.Timedelta(microseconds=1)


def units(config: Config) -> tuple[Unit, ...]:
    """Every (service, region) of the config, sorted."""
    return tuple(sorted(Unit(s.name, r) for s in config.services for r in s.regions))


def past_masks(config: Config, as_of: datetime | None = None) -> dict[Unit, tuple[Span, ...]]:
    """Local spans of each unit that are not base demand: past occurrences of named events, and outages.

    An event reaches all that its services call, so its past is masked there too. One that is over at ``as_of`` is an
    occurrence itself, whether ``past`` lists its dates or not.
    """
    events, down = reaching(config), outages(config)
    return {
        unit: (
            *(
                (first, last + _DAY)
                for event in events[unit]
                for first, last in _occurrences(event, config, unit, as_of)
            ),
            *down[unit],
        )
        for unit in units(config)
    }


def _occurrences(event: EventConfig, config: Config, unit: Unit, as_of: datetime | None) -> list[Span]:
    """First and last local day of each past occurrence; its own dates once they are over.

    Unless a ``past`` has them, be it that of next year's event, which may have another name.
    """
    found = _listed(event)
    if as_of is not None and event.end <= as_of:
        first, last = _own_days(event, config, unit)
        told = [span for other in config.events for span in _listed(other)]
        found += [] if any(a <= last and first <= b for a, b in told) else [(first, last)]
    return sorted(found)


def _listed(event: EventConfig) -> list[Span]:
    return [(pd.Timestamp(first), pd.Timestamp(last)) for first, last in event.past]


def _own_days(event: EventConfig, config: Config, unit: Unit) -> Span:
    """First and last local day that the event itself touches."""
    tz = zone(config.service(unit.service).time_zone)
    return _local(event.start, tz).normalize(), (_local(event.end, tz) - _MOMENT).normalize()


def reaching(config: Config) -> dict[Unit, tuple[EventConfig, ...]]:
    """The events that reach each unit: where they enter, and all that is called from there."""
    graph = CallGraph.from_services(config.services)
    reached = {e.name: set(e.services) | {c for s in e.services for c in _all_callees(graph, s)} for e in config.events}
    return {
        unit: tuple(
            e for e in config.events
            if unit.service in reached[e.name] and (e.regions is None or unit.region in e.regions)
        )
        for unit in units(config)
    }  # fmt: skip


def outages(config: Config) -> dict[Unit, tuple[Span, ...]]:
    """Local spans in which each unit was down."""
    return _windows(config, "outage")


def throttled(config: Config) -> dict[Unit, tuple[Span, ...]]:
    """Local spans in which each unit served less than was asked of it."""
    return _windows(config, "throttled")


def _windows(config: Config, kind: str) -> dict[Unit, tuple[Span, ...]]:
    named = [o for o in config.outages if o.kind == kind]
    return {unit: tuple(_local_span(config, unit, o) for o in named if _meant(o, unit)) for unit in units(config)}


def _meant(outage: OutageConfig, unit: Unit) -> bool:
    here = outage.regions is None or unit.region in outage.regions
    return here and (outage.services is None or unit.service in outage.services)


def _local_span(config: Config, unit: Unit, outage: OutageConfig) -> Span:
    tz = zone(config.service(unit.service).time_zone)
    return _local(outage.start, tz), _local(outage.end, tz)


def daily_occasions(
    config: Config, unit: Unit, first: pd.Timestamp, last: pd.Timestamp, as_of: datetime | None = None
) -> tuple[Occasion, ...]:
    """Events that reach ``unit`` and the holidays it may feel, on local days from ``first`` to ``last``.

    An event without multiplier and target has its coming date among its spans: what its past did is put there. One with
    either is applied by the check or the scenario, so only its past is told: never both. Once it is over (at ``as_of``)
    its own dates are past too.
    """
    service = config.service(unit.service)
    out = []
    for event in reaching(config)[unit]:
        spans = _occurrences(event, config, unit, as_of)
        own = _own_days(event, config, unit)
        if event.is_learned and own not in spans:
            spans.append(own)
        if spans:
            # A daily grid knows the day before and the day after, whatever the minutes.
            out.append(Occasion(event.name, "event", tuple(sorted(spans)), ramp_steps=1))
    codes = service.country_holidays if service.country_holidays is not None else config.country_holidays
    if codes:
        out += holiday_occasions([country_of(code) for code in codes], first.date(), last.date(), "D")
    return tuple(out)


def _all_callees(graph: CallGraph, service: str) -> set[str]:
    """What ``service`` calls, however far."""
    found = set(graph.calls[service])
    return found.union(*(_all_callees(graph, callee) for callee in found))


def _local(moment: datetime, tz: object) -> pd.Timestamp:
    return pd.Timestamp(moment).tz_convert(tz).tz_localize(None)  # type: ignore[arg-type]


def whole_days(spans: Sequence[Span]) -> tuple[Span, ...]:
    """First and last day of each span (its end exclusive): a day that is partly not demand is left out whole."""
    return tuple((start.normalize(), (end - _MOMENT).normalize()) for start, end in spans)


def wall_clock(values: pd.Series, time_zone: str) -> pd.DatetimeIndex:
    """Local time stamps without zone."""
    return pd.DatetimeIndex(values.index).tz_convert(zone(time_zone)).tz_localize(None)


def unmasked(hourly: pd.Series, masks: Sequence[Span], time_zone: str) -> pd.Series:
    local = wall_clock(hourly, time_zone)
    keep = pd.Series(True, index=hourly.index)
    for start, end in masks:
        keep &= ~((local >= start) & (local < end))
    return hourly[keep]
