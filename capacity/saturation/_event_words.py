"""The words of the event check: reasons with their numbers, and remedies with their dates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.config import EventConfig, HardLimitConfig, LeadTimes
from capacity.domain import EventVerdict, Quota, Remedy, Unit
from capacity.saturation.capacity import EXTRAPOLATION_LIMIT
from capacity.words import number, plural, quantity, times

if TYPE_CHECKING:
    from capacity.saturation.events import EventInputs


@dataclass(frozen=True)
class QuotaRoom:
    """vCPU that the quota leaves this unit (infinite where no quota is known), what it and the others need."""

    quota: Quota | None
    vcpu: float
    need: float
    others: float


@dataclass(frozen=True, eq=False)
class LimitHeld:
    """A hard limit against its metric with the event."""

    config: HardLimitConfig
    p95: float
    holds_by_path: npt.NDArray[np.bool_]

    @property
    def holds(self) -> bool:
        return self.p95 <= self.config.limit


@dataclass(frozen=True, eq=False)
class Judged:
    """The figures behind a verdict."""

    demand_p50: float
    demand_p95: float
    baseline_p50: float
    safe_now: float
    safe_at_maximum: float
    usable: float
    scales: bool
    most_added: int
    short: int | None
    room: QuotaRoom
    limits: tuple[LimitHeld, ...]
    probability: float

    @property
    def capacity_holds(self) -> bool:
        return self.demand_p95 <= self.usable

    @property
    def go(self) -> bool:
        return self.capacity_holds and all(x.holds for x in self.limits)

    @property
    def quota_short(self) -> bool:
        return self.room.quota is not None and self.room.need > self.room.vcpu


def verdict(
    event: EventConfig, unit: Unit, inputs: EventInputs, judged: Judged, callers: tuple[str, ...],
    lead_times: LeadTimes, as_of: date,
) -> EventVerdict:  # fmt: skip
    """The verdict with its reasons and remedies."""
    ratio = judged.demand_p50 / judged.baseline_p50 if judged.baseline_p50 > 0 else 1.0
    return EventVerdict(
        event.name, unit, judged.go, judged.demand_p50, judged.demand_p95, judged.safe_now, judged.safe_at_maximum,
        judged.probability, ratio, callers, _reasons(event, inputs, judged),
        () if judged.go else _remedies(event, inputs, judged, lead_times, as_of),
    )  # fmt: skip


def not_judged(event: EventConfig, unit: Unit, p50: float, p95: float, callers: tuple[str, ...]) -> EventVerdict:
    """NO-GO for want of knowledge: the demand shown is the increment alone."""
    reason = (
        f"cannot be judged: the event adds {number(p95)} (P95) to {unit}, of which no demand or fleet is known; "
        "ingest its usage and fleet"
    )
    return EventVerdict(event.name, unit, False, p50, p95, 0.0, 0.0, 0.0, 1.0, callers, (reason,), ())


def _reasons(event: EventConfig, inputs: EventInputs, judged: Judged) -> tuple[str, ...]:
    out = [] if inputs.now is None else [_capacity_reason(inputs, judged)]
    if inputs.service.autoscaled and inputs.now is not None:
        out.append(_autoscaling_reason(event, inputs, judged))
    out += [_quota_reason(judged.room)] if judged.quota_short else []
    if judged.room.quota is None and judged.room.need > 0:
        out.append(f"the vCPU quota {inputs.quota_code} of account {inputs.account_id} is not known and not checked")
    broken = [_limit_reason(x) for x in judged.limits if not x.holds]
    out = [*broken, *out] if judged.capacity_holds else [*out, *broken]  # what fails comes first
    out += [_limit_reason(x) for x in judged.limits if x.holds]
    out += _cautions(inputs, judged)
    out += _learned_reason(event, inputs)
    return tuple(out) or ("nothing limits it: usage-priced, without hard limits",)


def _learned_reason(event: EventConfig, inputs: EventInputs) -> list[str]:
    """Where the multiplier comes from, of an event that gives none."""
    if not event.is_learned:
        return []
    found = inputs.learned
    if found is None or not found.occurrences:
        if inputs.service.name in event.services:
            return [
                "caution: no earlier occurrence was seen in its history, so no effect is assumed; give a multiplier"
            ]
        return []
    seen = plural(found.occurrences, "earlier occurrence")
    return [
        f"multiplier {times(found.multiplier)} learned from {seen} (80 %: {times(found.low)} to {times(found.high)})"
    ]


def _capacity_reason(inputs: EventInputs, judged: Judged) -> str:
    assert inputs.now is not None  # noqa: S101 - the caller looked
    lost = inputs.tier.zones_survived
    state = f"{inputs.now.instances + (judged.most_added if judged.scales else 0)} instances, {lost} zone(s) lost"
    demand, usable = number(judged.demand_p95), number(judged.usable)
    if judged.capacity_holds:
        return f"P95 demand {demand} is within safe capacity {usable} ({state})"
    if judged.usable <= 0:
        return f"P95 demand {demand}, but nothing is safe ({state})"
    over = judged.demand_p95 / judged.usable - 1
    return f"P95 demand {demand} exceeds safe capacity {usable} by {max(over, 0.001):.1%} ({state})"


def _autoscaling_reason(event: EventConfig, inputs: EventInputs, judged: Judged) -> str:
    if not judged.scales:
        return (
            f"autoscaling is not counted: a ramp of {event.ramp_minutes} min is shorter than "
            f"{inputs.scale_out_minutes:.0f} min to scale out"
        )
    needed = "no number of instances is enough" if judged.short is None else f"{judged.short} more needed"
    return f"autoscaling may add {judged.most_added} instance(s) up to {inputs.group_maximum}; {needed}"


def _quota_reason(room: QuotaRoom) -> str:
    assert room.quota is not None  # noqa: S101 - the caller looked
    return (
        f"quota {room.quota.code} ({room.quota.limit:.0f} vCPU, {room.quota.used:.0f} used) leaves "
        f"{max(room.vcpu, 0):.0f} after {room.others:.0f} for others in the event; {room.need:.0f} needed"
    )


def _limit_reason(limit: LimitHeld) -> str:
    word = "is within" if limit.holds else "exceeds"
    c = limit.config
    return f"{c.metric}: P95 {quantity(limit.p95, c.unit)} {word} the limit {quantity(c.limit, c.unit)}"


def _cautions(inputs: EventInputs, judged: Judged) -> list[str]:
    if inputs.now is None:
        return []
    seen = inputs.now.cost.highest_demand_seen
    out = [f"caution: {flag}" for flag in inputs.now.flags if "extrapolates" not in flag]
    if seen > 0 and judged.demand_p95 > EXTRAPOLATION_LIMIT * seen:
        out.append(f"caution: P95 demand is {judged.demand_p95 / seen:.1f} times the highest load ever seen")
    return out


def _remedies(
    event: EventConfig, inputs: EventInputs, judged: Judged, lead: LeadTimes, as_of: date
) -> tuple[Remedy, ...]:
    found: list[tuple[str, int]] = [] if judged.capacity_holds else _for_capacity(event, inputs, judged, lead)
    found += [
        (f"{x.config.metric}: {x.config.remedy} (at least {quantity(x.p95, x.config.unit)})", x.config.lead_time_days)
        for x in judged.limits
        if not x.holds
    ]
    ready = _ready_at(event, inputs).astimezone(ZoneInfo(inputs.service.time_zone)).date()
    return tuple(_dated(action, ready, days, as_of) for action, days in sorted(found, key=lambda f: f[1]))


def _for_capacity(event: EventConfig, inputs: EventInputs, judged: Judged, lead: LeadTimes) -> list[tuple[str, int]]:
    if inputs.service.kind == "vertical":
        factor = judged.demand_p95 / judged.usable if judged.usable > 0 else math.inf
        size = f"at least {factor:.2f} times as large" if math.isfinite(factor) else "that keeps the SLO"
        return [(f"move to an instance type {size}", lead.migration)]
    if inputs.now is None:
        return []
    if judged.short is None:
        lost = inputs.tier.zones_survived
        return [(f"run it in more than {lost} zone(s), on a type that keeps the SLO: more of the same does not help",
                 lead.migration)]  # fmt: skip
    target = inputs.now.instances + judged.short
    out = [] if judged.scales else [(_prescale(event, inputs, target), lead.scale_out)]
    if target > inputs.group_maximum:
        out.append((f"raise the group's maximum from {inputs.group_maximum} to at least {target}", lead.scale_out))
    quota = judged.room.quota
    if judged.quota_short and quota is not None:
        wanted = math.ceil(quota.used + judged.room.need + judged.room.others)
        out.append((f"request quota {quota.code} of {wanted} vCPU (now {quota.limit:.0f})", lead.quota))
    return out


def _prescale(event: EventConfig, inputs: EventInputs, target: int) -> str:
    assert inputs.now is not None  # noqa: S101 - the caller looked
    up, down = _ready_at(event, inputs), _down_at(event)
    added = target - inputs.now.instances
    text = (
        f"pre-scale by {added} to {target} instances at {up:%Y-%m-%d %H:%M} UTC, back down at {down:%Y-%m-%d %H:%M} UTC"
    )
    if inputs.usd_per_instance_hour is None:
        return text
    usd = added * (down - up) / pd.Timedelta(hours=1) * inputs.usd_per_instance_hour
    return f"{text}, about {number(usd)} USD on demand"


def _ready_at(event: EventConfig, inputs: EventInputs) -> pd.Timestamp:
    """The full hour by which what is added must be asked for: the ramp begins, less the time to scale out."""
    lead = pd.Timedelta(minutes=event.ramp_minutes + inputs.scale_out_minutes)
    return (pd.Timestamp(event.start).tz_convert("UTC") - lead).floor("h")


def _down_at(event: EventConfig) -> pd.Timestamp:
    return (pd.Timestamp(event.end).tz_convert("UTC") + pd.Timedelta(minutes=event.ramp_minutes)).ceil("h")


def _dated(action: str, ready: date, days: int, as_of: date) -> Remedy:
    by = ready - timedelta(days=days)
    late = (as_of - by).days
    return Remedy(f"{action} (overdue by {late} day(s))" if late > 0 else action, by, days)
