"""From usage and fleet to what is forecast: each unit's daily mean and peak, and what its demand costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from capacity import forecast, saturation
from capacity.config import Config, EventConfig, ServiceConfig, TierConfig, zone
from capacity.domain import ResourceCost, Unit
from capacity.errors import MissingDataError
from capacity.pipeline.fleet import average_running
from capacity.pipeline.inputs import DAY, Inputs
from capacity.saturation import CallGraph

# A history shorter than this gives no regression worth the name; the mean ratio is used and flagged.
RECENT_DAYS = 28

Span = tuple[pd.Timestamp, pd.Timestamp]


@dataclass(frozen=True)
class UnitData:
    """What is known of one unit before any forecast.

    ``mean`` and ``peak`` are daily, on local days without zone. ``limits`` holds the daily maximum of the metric
    of each hard limit. ``masks`` are local spans that are not base demand (past events, outages). ``running`` is what
    ran at the busiest moment of the last week, ``running_average`` what ran on average over the last four.
    """

    unit: Unit
    service: ServiceConfig
    tier: TierConfig
    account_id: str
    unit_of_measure: str
    hourly: pd.Series
    mean: pd.Series
    peak: pd.Series
    shapes: forecast.DayShapes
    limits: Mapping[str, pd.Series]
    cost: ResourceCost | None
    fleet: pd.DataFrame
    running: Mapping[tuple[str, str], int]
    running_average: Mapping[tuple[str, str], int]
    group_maximum: int | None
    masks: tuple[Span, ...]
    flags: tuple[str, ...]

    @property
    def last_point(self) -> datetime:
        return self.hourly.index[-1].to_pydatetime()  # type: ignore[no-any-return]

    @property
    def peak_recent(self) -> float:
        """Largest daily peak of the last four weeks."""
        return float(self.peak.dropna().iloc[-RECENT_DAYS:].max())


def units(config: Config) -> tuple[Unit, ...]:
    """Every (service, region) of the config, sorted."""
    return tuple(sorted(Unit(s.name, r) for s in config.services for r in s.regions))


def gather(inputs: Inputs) -> tuple[dict[Unit, UnitData], tuple[str, ...]]:
    """Units with usable demand, and a sentence for each unit that has none.

    Raises
    ------
    MissingDataError
        No unit of the config has any usage.
    """
    found: dict[Unit, UnitData] = {}
    problems: list[str] = []
    masks = past_masks(inputs.config)
    for unit in units(inputs.config):
        service = inputs.config.service(unit.service)
        hourly = inputs.usage_of(unit, service.demand_metric, service.demand_stat)
        if hourly.notna().sum() < 2:
            problems.append(
                f"{unit}: no usage of {service.demand_metric} ({service.demand_stat}); left out of the plan"
            )
            continue
        found[unit] = _gather_unit(inputs, unit, service, hourly, masks.get(unit, ()))
    if not found:
        raise MissingDataError(
            f"{inputs.config.path}: none of the config's services has usage in the store; "
            "do the names in the usage data agree with the config's?"
        )
    return found, tuple(problems)


def _gather_unit(
    inputs: Inputs, unit: Unit, service: ServiceConfig, hourly: pd.Series, masks: tuple[Span, ...]
) -> UnitData:
    period = inputs.period_of(unit, service.demand_metric, service.demand_stat)
    peaks = inputs.usage_of(unit, service.demand_metric, service.peak_stat) if service.peak_stat != "avg" else None
    targets, flags = _targets(hourly, peaks, service, period)
    fleet = inputs.fleet_of(unit)
    moment = pd.Timestamp(inputs.as_of)
    running = saturation.running_most(fleet, moment) if len(fleet) else {}
    cost, cost_flags = _cost(inputs, unit, service, hourly, fleet, masks)
    local_hours = _unmasked(hourly, masks, service.time_zone)
    return UnitData(
        unit=unit,
        service=service,
        tier=inputs.config.tier(service.tier),
        account_id=service.account_id or (str(fleet["account_id"].iloc[-1]) if len(fleet) else ""),
        unit_of_measure=_unit_of_measure(service.demand_metric),
        hourly=hourly,
        mean=targets.mean,
        peak=targets.peak,
        shapes=forecast.day_shapes(local_hours, service.time_zone),
        limits={h.metric: _limit_history(inputs, unit, h.metric, service, targets)
                for h in service.hard_limits if h.regions is None or unit.region in h.regions},
        cost=cost,
        fleet=fleet,
        running=running,
        running_average=average_running(fleet, inputs.as_of) if len(fleet) else {},
        group_maximum=saturation.group_maximum(fleet, moment) if len(fleet) else None,
        masks=masks,
        flags=(*flags, *cost_flags),
    )  # fmt: skip


def _targets(
    hourly: pd.Series, peaks: pd.Series | None, service: ServiceConfig, period: int
) -> tuple[forecast.DailyTargets, tuple[str, ...]]:
    if period < DAY:
        known = peaks if peaks is not None and len(peaks) else None
        targets = forecast.daily_targets(hourly, known, service.time_zone, service.burst_factor)
        if service.burst_factor == 1.0 and known is None:
            return targets, ("hourly means only: a peak inside the hour is not seen; set burst_factor",)
        return targets, ()
    days = hourly.copy()
    days.index = days.index.tz_localize(None).normalize()
    return (
        forecast.DailyTargets(mean=days, peak=days * service.burst_factor),
        ("daily points only: the peak inside the day is not seen; set burst_factor",),
    )


def _cost(
    inputs: Inputs, unit: Unit, service: ServiceConfig, hourly: pd.Series, fleet: pd.DataFrame, masks: Sequence[Span]
) -> tuple[ResourceCost | None, tuple[str, ...]]:
    """What one unit of demand costs in vCPU, from the fleet's history; None where nothing ties the two."""
    highest = float(hourly.max())
    if service.kind == "usage_priced":
        return None, ()
    if service.demand_metric == "busy_vcpu":
        return saturation.demand_is_resource(highest), ()
    if fleet.empty:
        return None, ("no fleet history: no safe capacity",)
    busy = _busy_vcpu(inputs, unit, service, fleet)
    if busy is None:
        return None, (f"no {service.utilisation_metric or 'busy_vcpu'}: no safe capacity",)
    clean = _unmasked(hourly, masks, service.time_zone)
    return saturation.regress_cost(clean, busy), ()


def _busy_vcpu(inputs: Inputs, unit: Unit, service: ServiceConfig, fleet: pd.DataFrame) -> pd.Series | None:
    direct = inputs.usage_of(unit, "busy_vcpu")
    if len(direct):
        return direct
    if service.utilisation_metric is None:
        return None
    percent = inputs.usage_of(unit, service.utilisation_metric)
    return saturation.busy_vcpu(percent, fleet, inputs.types) if len(percent) else None


def _limit_history(
    inputs: Inputs, unit: Unit, metric: str, service: ServiceConfig, targets: forecast.DailyTargets
) -> pd.Series:
    """Daily maximum of a hard limit's metric; where that is the demand itself, its peak with the burst inside."""
    return targets.peak if metric == service.demand_metric else _daily_max(inputs, unit, metric, service)


def _daily_max(inputs: Inputs, unit: Unit, metric: str, service: ServiceConfig) -> pd.Series:
    stat = "max" if len(inputs.usage_of(unit, metric, "max")) else "avg"
    values = inputs.usage_of(unit, metric, stat)
    if values.empty:
        return values
    local = values.copy()
    local.index = local.index.tz_convert(zone(service.time_zone)).tz_localize(None).normalize()
    return local.groupby(level=0).max()


def _unit_of_measure(metric: str) -> str:
    from capacity.schemas import METRIC_UNITS

    return METRIC_UNITS.get(metric, metric)


# --- masks -------------------------------------------------------------------------------------------------


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


def _unmasked(hourly: pd.Series, masks: Sequence[Span], time_zone: str) -> pd.Series:
    local = hourly.index.tz_convert(zone(time_zone)).tz_localize(None)
    keep = pd.Series(True, index=hourly.index)
    for start, end in masks:
        keep &= ~((local >= start) & (local < end))
    return hourly[keep]
