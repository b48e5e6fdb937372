"""When each unit's limits are passed, what mends it, and by when to order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from capacity import forecast, saturation
from capacity.config import LeadTimes
from capacity.domain import SafeCapacity, Saturation, SeriesForecast, Unit
from capacity.pipeline.base import Base
from capacity.pipeline.demand import UnitData
from capacity.pipeline.futures import Future
from capacity.pipeline.mix import Mix, UnitNeed
from capacity.plan import LimitOutlook


@dataclass(frozen=True)
class Outlook:
    """Limits of one unit with their dates, and the curves behind them."""

    limits: tuple[LimitOutlook, ...]
    curves: tuple[Saturation, ...]


def outlook(
    data: UnitData, future: Future, need: UnitNeed | None, base: Base, mix: Mix | None, leads: LeadTimes, today: date
) -> Outlook:
    """The fleet's limit, where the unit has a fleet, and every hard limit whose metric is known."""
    found: list[tuple[LimitOutlook, Saturation]] = []
    service = data.service
    if need is not None:
        curve = _curve(data.unit, fleet_limit_name(need.safe), need.safe.binding.mid, base.peak[data.unit], future)
        remedy, lead = fleet_remedy(data, need, future, mix, leads)
        found.append(
            (
                limit_outlook(curve, "fleet", data.service.demand_metric, data.unit_of_measure, remedy, lead, today),
                curve,
            )
        )
    for hard in service.hard_limits:
        level = base.limits.get((data.unit, hard.metric))
        if level is not None:
            demand = hard.metric == service.demand_metric
            curve = _curve(data.unit, hard.metric, hard.limit, level, future if demand else None)
            found.append(
                (limit_outlook(curve, "hard", hard.metric, hard.unit, hard.remedy, hard.lead_time_days, today), curve)
            )
    return Outlook(tuple(x for x, _ in found), tuple(c for _, c in found))


def fleet_limit_name(safe: SafeCapacity) -> str:
    """Which of the two states binds: all zones up, or the tier's zones lost."""
    if safe.binding is safe.normal:
        return "safe capacity"
    return f"safe capacity, {safe.zones_lost} zone{'s' if safe.zones_lost > 1 else ''} lost"


def _curve(unit: Unit, name: str, limit: float, known: SeriesForecast, future: Future | None) -> Saturation:
    """First passage by the calibrated distribution of the maximum, not by the paths' alone.

    A scenario's paths are judged by the base's calibration: it transforms demand, not what is known of the errors.
    """
    paths = None if future is None else future.peak.paths
    return saturation.from_probability(unit, name, limit, forecast.crossing(known, limit, paths), known.index)


def limit_outlook(
    curve: Saturation, kind: Literal["fleet", "hard"], metric: str, measure: str, remedy: str, lead: int, today: date
) -> LimitOutlook:
    """A curve's limit with its dates, and the last day to order its remedy."""
    orders = saturation.order_by(curve, [(remedy, lead)], today)
    return LimitOutlook(
        name=curve.limit_name,
        kind=kind,
        metric=metric,
        unit_of_measure=measure,
        limit=curve.limit,
        p10=curve.p10,
        p50=curve.p50,
        p90=curve.p90,
        within_horizon=curve.within_horizon,
        remedy=remedy,
        lead_time_days=lead,
        order_by=orders[0].order_by if orders else None,
        overdue=orders[0].overdue if orders else False,
    )


def fleet_remedy(data: UnitData, need: UnitNeed, future: Future, mix: Mix | None, leads: LeadTimes) -> tuple[str, int]:
    """What keeps the fleet ahead of its demand, in words, and the lead time it needs.

    More of what runs is the quick way; the recommended mix is named beside it, with the time a move takes.
    """
    running = by_type(data.running)
    peak = _level(future, data.tier.service_level)
    added = instances_to_add(running, need.safe, peak, data.tier.min_headroom_frac)
    text = f"add {_in_words(added)}" if added else _without_more(need.safe)
    lead = leads.scale_out
    if data.group_maximum is not None and sum(running.values()) + sum(added.values()) > data.group_maximum:
        text += f" (group maximum {data.group_maximum} to be raised)"
    planned = _planned(mix, data.unit)
    if planned and set(planned) != set(running):
        text += f", or move to {_in_words(planned)} ({leads.migration} days)"
    return text, lead


def _without_more(safe: SafeCapacity) -> str:
    """Of a fleet to which nothing is added: it is enough, or more of it by demand alone has no number."""
    if safe.binding.mid > 0:
        return "keep the count"
    short = next((flag for flag in safe.flags if "holds" in flag), "what runs serves nothing")
    return f"raise what it is short of first ({short})"


def instances_to_add(
    running: Mapping[str, int], safe: SafeCapacity, peak: float, headroom_frac: float
) -> dict[str, int]:
    """More of the running types, in proportion: enough for ``peak`` with the headroom kept, and with zones lost.

    Rounded up by type, so on the safe side. Empty where what runs is enough, or serves nothing to extend.
    """
    if safe.normal.mid <= 0 or safe.zone_loss.mid <= 0:
        return {}
    times = max(peak / (1.0 - headroom_frac) / safe.normal.mid, peak / safe.zone_loss.mid)
    return {name: math.ceil(count * (times - 1.0)) for name, count in running.items()} if times > 1.0 else {}


def _level(future: Future, service_level: float) -> float:
    """The largest daily peak of the horizon, at the tier's service level."""
    return float(np.quantile(future.peak.paths.max(axis=1), service_level))


def _planned(mix: Mix | None, unit: Unit) -> dict[str, int]:
    """Instances by type in the plan's last month."""
    if mix is None:
        return {}
    rows = mix.solution.provisioned
    rows = rows[(rows["service"] == unit.service) & (rows["region"] == unit.region) & (rows["instances"] > 0)]
    if rows.empty:
        return {}
    rows = rows[rows["month"] == rows["month"].max()]
    return {str(t): int(n) for t, n in zip(rows["instance_type"], rows["instances"], strict=True)}


def by_type(running: Mapping[tuple[str, str], int]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for (name, _), count in sorted(running.items()):
        totals[name] = totals.get(name, 0) + count
    return {name: count for name, count in totals.items() if count > 0}


def _in_words(counts: Mapping[str, int]) -> str:
    return " + ".join(f"{n} × {t}" for t, n in sorted(counts.items())) or "nothing"
