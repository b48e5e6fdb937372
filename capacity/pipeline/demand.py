"""From usage and fleet to what is forecast: each unit's daily mean and peak, and what its demand costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from capacity import forecast, saturation
from capacity.config import ServiceConfig, TierConfig
from capacity.domain import Interval, ResourceCost, Unit
from capacity.errors import MissingDataError
from capacity.pipeline import resources
from capacity.pipeline.bounds import lower_bounds
from capacity.pipeline.bursts import HourPeaks, daily_only, hour_peaks
from capacity.pipeline.fleet import average_running
from capacity.pipeline.inputs import DAY, Inputs
from capacity.pipeline.masks import (
    Span,
    daily_occasions,
    outages,
    past_masks,
    throttled,
    units,
    unmasked,
    wall_clock,
)

# A history shorter than this gives no regression worth the name; the mean ratio is used and flagged.
RECENT_DAYS = 28


@dataclass(frozen=True)
class UnitData:
    """What is known of one unit before any forecast.

    ``mean`` and ``peak`` are daily, on local days without zone. ``limits`` holds the daily maximum of the metric
    of each hard limit. ``masks`` are local spans that are not base demand (past events, outages); ``outages`` those of
    them that teach nothing, ``occasions`` events and holidays, whose effects are learned, ``lower_bounds`` days (both
    ends inclusive) on which demand was at least what was seen. ``running`` is what
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
    # How far peaks inside the hour stand above hourly means; None where nobody knows.
    burst: Interval | None = None
    outages: tuple[Span, ...] = ()
    occasions: tuple[forecast.Occasion, ...] = ()
    lower_bounds: tuple[Span, ...] = ()

    @property
    def last_point(self) -> datetime:
        return self.hourly.index[-1].to_pydatetime()  # type: ignore[no-any-return]

    @property
    def peak_recent(self) -> float:
        """Largest daily peak of the last four weeks."""
        return float(self.peak.dropna().iloc[-RECENT_DAYS:].max())


def gather(inputs: Inputs) -> tuple[dict[Unit, UnitData], tuple[str, ...]]:
    """Units with usable demand, and a sentence for each unit that has none.

    Raises
    ------
    MissingDataError
        No unit of the config has any usage.
    """
    found: dict[Unit, UnitData] = {}
    problems: list[str] = []
    masks = past_masks(inputs.config, inputs.as_of)
    down, slow = outages(inputs.config), throttled(inputs.config)
    for unit in units(inputs.config):
        service = inputs.config.service(unit.service)
        hourly = resources.demand_of(inputs, unit, service, service.demand_stat)
        if hourly.notna().sum() < 2:
            problems.append(
                f"{unit}: no usage of {service.demand_metric} ({service.demand_stat}); left out of the plan"
            )
            continue
        data = _gather_unit(inputs, unit, service, hourly, masks.get(unit, ()))
        found[unit] = _with_dates(inputs, data, down[unit], slow[unit])
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
    peaks = None if service.peak_stat == "avg" else resources.demand_of(inputs, unit, service, service.peak_stat)
    inside = hour_peaks(inputs, unit, service, hourly, peaks, masks) if period < DAY else daily_only(service)
    targets, flags = _targets(hourly, inside, service, period)
    fleet = inputs.fleet_of(unit)
    moment = pd.Timestamp(inputs.as_of)
    running = saturation.running_most(fleet, moment) if len(fleet) else {}
    local_hours = unmasked(hourly, masks, service.time_zone)
    cost, cost_flags = resources.cost_of(inputs, unit, service, local_hours)
    return UnitData(
        unit=unit,
        service=service,
        tier=inputs.config.tier(service.tier),
        account_id=service.account_id or (str(fleet["account_id"].iloc[-1]) if len(fleet) else ""),
        unit_of_measure=unit_of_measure(service.demand_metric),
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
        burst=inside.burst,
    )  # fmt: skip


def _with_dates(inputs: Inputs, data: UnitData, down: tuple[Span, ...], slow: tuple[Span, ...]) -> UnitData:
    """With the dates that its forecast knows of: outages, bounds, events and holidays."""
    days = pd.DatetimeIndex(data.mean.index)
    bounds, flags = lower_bounds(inputs, data.unit, data.service, days, slow)
    ahead = pd.Timedelta(days=inputs.config.forecast.horizon_days + 1)
    known = daily_occasions(inputs.config, data.unit, days[0], days[-1] + ahead, inputs.as_of) if len(days) else ()
    return replace(data, outages=down, lower_bounds=bounds, occasions=known, flags=(*data.flags, *flags))


def _targets(
    hourly: pd.Series, inside: HourPeaks, service: ServiceConfig, period: int
) -> tuple[forecast.DailyTargets, tuple[str, ...]]:
    if period < DAY:
        targets = forecast.daily_targets(hourly, inside.hours, service.time_zone, inside.factor)
        return _whole_days(targets, hourly, service), inside.flags
    days = hourly.copy()
    days.index = pd.DatetimeIndex(days.index).tz_localize(None).normalize()
    return forecast.DailyTargets(mean=days, peak=days * inside.factor), inside.flags


def _whole_days(targets: forecast.DailyTargets, hourly: pd.Series, service: ServiceConfig) -> forecast.DailyTargets:
    """Without a last day that is not over yet: its peak may still come."""
    end = wall_clock(hourly, service.time_zone)[-1] + pd.Timedelta(hours=1)
    last = end.normalize()
    return forecast.DailyTargets(targets.mean[targets.mean.index < last], targets.peak[targets.peak.index < last])


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
    local.index = wall_clock(values, service.time_zone).normalize()
    return local.groupby(level=0).max()


def unit_of_measure(metric: str) -> str:
    """Of a metric with a fixed name; another's own name says it."""
    from capacity.schemas import METRIC_UNITS

    return METRIC_UNITS.get(metric, metric)
