"""When each unit's limits are passed, what mends it, and by when to order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from capacity import forecast, saturation
from capacity.config import LeadTimes
from capacity.domain import Saturation, SeriesForecast, Unit
from capacity.pipeline.base import Base
from capacity.pipeline.demand import UnitData
from capacity.pipeline.futures import Future
from capacity.pipeline.mix import Mix, UnitNeed
from capacity.plan import LimitOutlook

FLEET_LIMIT = "safe capacity"


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
        curve = _curve(data.unit, FLEET_LIMIT, need.safe.binding.mid, future.peak)
        remedy, lead = fleet_remedy(data, curve, mix, leads)
        found.append(
            (_outlook(curve, "fleet", data.service.demand_metric, data.unit_of_measure, remedy, lead, today), curve)
        )
    for hard in service.hard_limits:
        level = base.limits.get((data.unit, hard.metric))
        if level is not None:
            curve = _curve(data.unit, hard.metric, hard.limit, level)
            found.append(
                (_outlook(curve, "hard", hard.metric, hard.unit, hard.remedy, hard.lead_time_days, today), curve)
            )
    return Outlook(tuple(x for x, _ in found), tuple(c for _, c in found))


def _curve(unit: Unit, name: str, limit: float, peak: SeriesForecast) -> Saturation:
    """First passage by the calibrated distribution of the maximum, not by the paths' alone."""
    return saturation.from_probability(unit, name, limit, forecast.crossing(peak, limit), peak.index)


def _outlook(
    curve: Saturation, kind: Literal["fleet", "hard"], metric: str, measure: str, remedy: str, lead: int, today: date
) -> LimitOutlook:
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


def fleet_remedy(data: UnitData, curve: Saturation, mix: Mix | None, leads: LeadTimes) -> tuple[str, int]:
    """What the plan does about the fleet's limit, in words, and the longest lead time it needs."""
    month = f"{curve.p10:%Y-%m}" if curve.p10 else None
    planned = _planned(mix, data.unit, month)
    if not planned:
        return "scale out", leads.scale_out
    running = by_type(data.running)
    lead = leads.scale_out if set(planned) <= set(running) else leads.migration
    return f"run {_in_words(planned)} instead of {_in_words(running)}", lead


def _planned(mix: Mix | None, unit: Unit, month: str | None) -> dict[str, int]:
    if mix is None:
        return {}
    rows = mix.solution.provisioned
    rows = rows[(rows["service"] == unit.service) & (rows["region"] == unit.region) & (rows["instances"] > 0)]
    if rows.empty:
        return {}
    at = month if month in set(rows["month"]) else rows["month"].max()
    rows = rows[rows["month"] == at]
    return {str(t): int(n) for t, n in zip(rows["instance_type"], rows["instances"], strict=True)}


def by_type(running: Mapping[tuple[str, str], int]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for (name, _), count in sorted(running.items()):
        totals[name] = totals.get(name, 0) + count
    return {name: count for name, count in totals.items() if count > 0}


def _in_words(counts: Mapping[str, int]) -> str:
    return " + ".join(f"{n} × {t}" for t, n in sorted(counts.items())) or "nothing"
