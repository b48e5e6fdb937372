"""The words of the event check: reasons with their numbers, and the verdict that is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from capacity.config import EventConfig, LeadTimes
from capacity.domain import EventVerdict, Floats, Quota, Unit
from capacity.saturation import _event_remedies as remedies
from capacity.saturation._event_inputs import EventInputs
from capacity.saturation._event_ramp import Ahead
from capacity.saturation._event_size import plausibility
from capacity.saturation.capacity import EXTRAPOLATION_LIMIT
from capacity.words import number, plural, quantity, times


@dataclass(frozen=True)
class QuotaRoom:
    """vCPU that the quota leaves this unit (infinite where no quota is known), what it and the others need."""

    quota: Quota | None
    vcpu: float
    need: float
    others: float


@dataclass(frozen=True, eq=False)
class LimitHeld:
    """A limit that no instance moves, against what the event makes of its metric.

    ``own`` is a limit of the service itself; a third party's may be shared.
    """

    name: str
    limit: float
    unit: str
    remedy: str
    lead_time_days: int
    p95: float
    holds_by_path: npt.NDArray[np.bool_]
    source: str = ""
    own: bool = False

    @property
    def holds(self) -> bool:
        return self.p95 <= self.limit


@dataclass(frozen=True, eq=False)
class Need:
    """What the event asks of a unit: (P,) demand at the ramp's start, before new instances serve, with a lost region.

    ``short`` is instances to add in all, ``before`` those of them to have before the ramp; None where no number is
    enough.
    """

    start: Floats
    early: Floats
    region: Floats | None
    start_p95: float
    early_p95: float
    p95: float
    region_p95: float
    short: int | None
    before: int | None


@dataclass(frozen=True, eq=False)
class Judged:
    """The figures behind a verdict. ``most_added`` is what group and quota allow, ``come`` what of it comes in time."""

    need: Need
    demand_p50: float
    baseline_p50: float
    baseline_p95: float
    safe_now: float
    safe_at_maximum: float
    now: float
    usable: float
    region: float
    scales: bool
    most_added: int
    come: int
    room: QuotaRoom
    limits: tuple[LimitHeld, ...]
    ahead: Ahead
    probability: float

    @property
    def full_holds(self) -> bool:
        return self.need.p95 <= self.usable

    @property
    def ramp_holds(self) -> bool:
        return not self.scales or self.need.early_p95 <= self.now

    @property
    def region_holds(self) -> bool:
        return self.need.region_p95 <= self.region

    @property
    def capacity_holds(self) -> bool:
        return self.full_holds and self.ramp_holds and self.region_holds

    @property
    def go(self) -> bool:
        return self.capacity_holds and all(x.holds for x in self.limits)

    @property
    def quota_short(self) -> bool:
        return self.room.quota is not None and self.room.need > self.room.vcpu


def verdict(
    event: EventConfig, unit: Unit, inputs: EventInputs, judged: Judged, callers: tuple[str, ...],
    told: Sequence[str], lead_times: LeadTimes, as_of: date,
) -> EventVerdict:  # fmt: skip
    """The verdict with its reasons and remedies; ``told`` is how its size came about."""
    ratio = judged.demand_p50 / judged.baseline_p50 if judged.baseline_p50 > 0 else 1.0
    found = () if judged.go else remedies.remedies(event, unit, inputs, judged, lead_times, as_of)
    return EventVerdict(
        event.name, unit, judged.go, judged.demand_p50, judged.need.p95, judged.safe_now, judged.safe_at_maximum,
        judged.probability, ratio, callers, (*_reasons(event, inputs, judged, told),), found,
        before_p50=judged.baseline_p50, before_p95=judged.baseline_p95,
        prescale=None if judged.capacity_holds else remedies.prescale(event, inputs, judged),
        scale_out_minutes=inputs.scale_out_minutes if judged.scales else None,
        ahead=judged.ahead.most, ahead_minutes=judged.ahead.minutes,
    )  # fmt: skip


def not_judged(event: EventConfig, unit: Unit, p50: float, p95: float, callers: tuple[str, ...]) -> EventVerdict:
    """NO-GO for want of knowledge: the demand shown is the increment alone."""
    reason = (
        f"cannot be judged: the event adds {number(p95)} (P95) to {unit}, of which no demand or fleet is known; "
        "ingest its usage and fleet"
    )
    return EventVerdict(event.name, unit, False, p50, p95, 0.0, 0.0, 0.0, 1.0, callers, (reason,), ())


def _reasons(event: EventConfig, inputs: EventInputs, judged: Judged, told: Sequence[str]) -> list[str]:
    out: list[tuple[bool, str]] = []  # (whether it holds, the words): what fails comes first
    if inputs.now is not None:
        out.append((judged.full_holds, _capacity_reason(inputs, judged)))
        if inputs.autoscales:
            out.append((judged.ramp_holds, _ramp_reason(event, inputs, judged)))
        if inputs.autoscales and judged.scales:
            out.append((judged.full_holds, _autoscaling_reason(inputs, judged)))
        if judged.need.region is not None:
            out.append((judged.region_holds, _region_reason(judged)))
    if judged.quota_short:
        out.append((judged.capacity_holds, _quota_reason(judged.room)))
    if judged.room.quota is None and judged.room.need > 0:
        unknown = f"the vCPU quota {inputs.quota_code} of account {inputs.account_id} is not known and not checked"
        out.append((True, unknown))
    out += [(x.holds, _limit_reason(x)) for x in judged.limits]
    found = [text for _, text in sorted(out, key=lambda o: o[0])]
    found += [*told, *plausibility(event, inputs, judged.demand_p50)]
    found += [*_cautions(inputs, judged), *_learned_reason(event, inputs)]
    return found or ["nothing limits it: usage-priced, without hard limits"]


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
    state = f"{inputs.now.instances + judged.come} instances, {lost} zone(s) lost"
    demand, usable = number(judged.need.p95), number(judged.usable)
    if judged.full_holds:
        return f"P95 demand {demand} is within safe capacity {usable} ({state})"
    if judged.usable <= 0:
        return f"P95 demand {demand}, but nothing is safe ({state})"
    over = judged.need.p95 / judged.usable - 1
    return f"P95 demand {demand} exceeds safe capacity {usable} by {max(over, 0.001):.1%} ({state})"


def _ramp_reason(event: EventConfig, inputs: EventInputs, judged: Judged) -> str:
    """The ramp against the time that a new instance takes, with what is missing and for how long."""
    lag, minutes = inputs.scale_out_minutes, event.ramp_minutes
    missing = (
        f"; P95 demand runs up to {number(judged.ahead.most)} ahead of it, for {number(judged.ahead.minutes)} min"
        if judged.ahead.most > 0
        else ""
    )
    if not judged.scales:
        return (
            f"autoscaling is not counted: a ramp of {minutes} min is no longer than {lag:.0f} min to scale out{missing}"
        )
    rise = max(judged.need.p95 - judged.need.start_p95, 0.0) / minutes
    reached = f"the ramp adds {number(rise)} a minute: {number(judged.need.early_p95)} after {lag:.0f} min to scale out"
    if judged.ramp_holds and not missing:
        return f"{reached}, within the {number(judged.now)} that runs"
    if judged.ramp_holds:
        rate = inputs.scale_out_per_minute
        how = f", then {rate:g} instances come a minute" if rate is not None else ""
        return f"{reached}, within the {number(judged.now)} that runs{how}{missing}"
    return f"{reached}, more than the {number(judged.now)} that runs{missing}"


def _autoscaling_reason(inputs: EventInputs, judged: Judged) -> str:
    short = judged.need.short
    needed = "no number of instances is enough" if short is None else f"{short} more needed"
    in_time = "" if judged.come == judged.most_added else f", of which {judged.come} come within the ramp"
    return f"autoscaling may add {judged.most_added} instance(s) up to {inputs.group_maximum}{in_time}; {needed}"


def _region_reason(judged: Judged) -> str:
    word = "is within" if judged.region_holds else "exceeds"
    return (
        f"with another region's traffic after its loss P95 {number(judged.need.region_p95)} {word} the "
        f"{number(judged.region)} that all zones serve then"
    )


def _quota_reason(room: QuotaRoom) -> str:
    assert room.quota is not None  # noqa: S101 - the caller looked
    return (
        f"quota {room.quota.code} ({room.quota.limit:.0f} vCPU, {room.quota.used:.0f} used) leaves "
        f"{max(room.vcpu, 0):.0f} after {room.others:.0f} for others in the event; {room.need:.0f} needed"
    )


def _limit_reason(limit: LimitHeld) -> str:
    word = "is within" if limit.holds else "exceeds"
    source = f" ({limit.source})" if limit.source else ""
    whose = "" if limit.own else "third party "
    return (
        f"{whose}{limit.name}: P95 {quantity(limit.p95, limit.unit)} {word} the limit "
        f"{quantity(limit.limit, limit.unit)}{source}"
    )


def _cautions(inputs: EventInputs, judged: Judged) -> list[str]:
    if inputs.now is None:
        return []
    seen = inputs.now.cost.highest_demand_seen
    out = [f"caution: {flag}" for flag in inputs.now.flags if "extrapolates" not in flag]
    if seen > 0 and judged.need.p95 > EXTRAPOLATION_LIMIT * seen:
        out.append(f"caution: P95 demand is {judged.need.p95 / seen:.1f} times {_highest(inputs, seen)}")
    return out


def _highest(inputs: EventInputs, seen: float) -> str:
    """The highest load that capacity is known from: days of earlier events may have been higher, but teach no cost."""
    past = inputs.past_peak
    if past is None or past.demand <= seen:
        return "the highest load ever seen"
    return (
        f"the highest load that its capacity is known from; earlier events ({number(past.demand)}) are left out of it"
    )
