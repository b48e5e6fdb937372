"""What to do before an event, by lead time, each with the last day to decide it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pandas as pd

from capacity.config import EventConfig, LeadTimes
from capacity.domain import PreScale, Remedy, Unit
from capacity.saturation._event_inputs import EventInputs
from capacity.words import number, quantity

if TYPE_CHECKING:
    from capacity.saturation._event_words import Judged


def remedies(
    event: EventConfig, unit: Unit, inputs: EventInputs, judged: Judged, lead: LeadTimes, as_of: date
) -> tuple[Remedy, ...]:
    """Of a unit that is NO-GO, the quickest first; those whose day is past say so."""
    # Days are counted back from the local day on which what was decided must be there.
    ready = _ready_at(event, inputs).astimezone(ZoneInfo(inputs.service.time_zone)).date()

    def by(days: int) -> date:
        return ready - timedelta(days=days)

    found = [] if judged.capacity_holds else _for_capacity(event, unit, inputs, judged, lead)
    found += [
        Remedy(f"{x.name}: {x.remedy} (at least {quantity(x.p95, x.unit)})", ready, x.lead_time_days, "limit", x.p95)
        for x in judged.limits
        if not x.holds
    ]
    dated = [replace(r, by=by(r.lead_time_days)) for r in sorted(found, key=lambda r: r.lead_time_days)]
    return tuple(_overdue(r, as_of) for r in dated)


def prescale(event: EventConfig, inputs: EventInputs, judged: Judged) -> PreScale | None:
    """What to run before the ramp; None where it needs nothing that does not run, or nothing helps."""
    added = judged.need.before
    if inputs.now is None or inputs.service.kind != "fleet" or not added:
        return None
    at, until = _ready_at(event, inputs), _down_at(event)
    usd = None
    if inputs.usd_per_instance_hour is not None:
        usd = added * (until - at) / pd.Timedelta(hours=1) * inputs.usd_per_instance_hour
    now = inputs.now.instances
    safe = inputs.capacity_with(added).mid
    return PreScale(now, now + added, at.to_pydatetime(), until.to_pydatetime(), usd, safe)


def _for_capacity(event: EventConfig, unit: Unit, inputs: EventInputs, judged: Judged, lead: LeadTimes) -> list[Remedy]:
    some_day = event.start.date()  # dated by the caller
    if inputs.service.kind == "vertical":
        return [Remedy(_larger_type(judged), some_day, lead.migration, "type")]
    if inputs.now is None:
        return []
    short = judged.need.short
    if short is None:
        lost = inputs.tier.zones_survived
        words = f"run it in more than {lost} zone(s), on a type that keeps the SLO: more of the same does not help"
        return [Remedy(words, some_day, lead.migration, "zones")]
    target = inputs.now.instances + short
    out = []
    planned = prescale(event, inputs, judged)
    if planned is not None:
        words, amount = _prescale_words(planned, inputs), float(planned.instances_to)
        out.append(Remedy(words, some_day, lead.scale_out, "prescale", amount, planned.usd))
    if target > inputs.group_maximum:
        words = f"raise the group's maximum from {inputs.group_maximum} to at least {target}"
        out.append(Remedy(words, some_day, lead.scale_out, "group_maximum", float(target)))
    if planned is not None and planned.usd is not None:
        added = planned.instances_to - planned.instances_from
        words = (
            f"to be sure of the {added} instances, reserve them for that time: {number(planned.usd)} USD, "
            "paid whether they run or not and nothing on top where they do"
        )
        out.append(Remedy(words, some_day, lead.commitment, "reservation", float(added), planned.usd))
    quota = judged.room.quota
    if judged.quota_short and quota is not None:
        wanted = math.ceil(quota.used + judged.room.need + judged.room.others)
        words = f"request quota {quota.code} of {wanted} vCPU (now {quota.limit:.0f}) for account {quota.account_id}"
        words += f" in {unit.region}"
        out.append(Remedy(words, some_day, lead.quota, "quota", float(wanted), None, quota.code, quota.account_id))
    return out


def _larger_type(judged: Judged) -> str:
    pairs = [(judged.need.p95, judged.usable), (judged.need.region_p95, judged.region)]
    factor = max(need / have if have > 0 else math.inf for need, have in pairs if need > 0)
    size = f"at least {factor:.2f} times as large" if math.isfinite(factor) else "that keeps the SLO"
    return f"move to an instance type {size}"


def _prescale_words(planned: PreScale, inputs: EventInputs) -> str:
    at, until = _moment(planned.at, inputs), _moment(planned.until, inputs)
    added = planned.instances_to - planned.instances_from
    text = f"pre-scale by {added} to {planned.instances_to} instances at {at}, back down at {until}"
    return text if planned.usd is None else f"{text}, about {number(planned.usd)} USD"


def _moment(moment: object, inputs: EventInputs) -> str:
    """A moment in UTC, and by the clocks of the service's own zone where that is another one."""
    at = pd.Timestamp(moment)  # type: ignore[arg-type]
    words = f"{at:%Y-%m-%d %H:%M} UTC"
    if inputs.service.time_zone == "UTC":
        return words
    local = at.tz_convert(ZoneInfo(inputs.service.time_zone))
    return f"{words} ({local:%d %b %H:%M} local)"


def _ready_at(event: EventConfig, inputs: EventInputs) -> pd.Timestamp:
    """The full hour by which what is added must be asked for: the ramp begins, less the time to scale out."""
    lead = pd.Timedelta(minutes=event.ramp_minutes + inputs.scale_out_minutes)
    return (pd.Timestamp(event.start).tz_convert("UTC") - lead).floor("h")


def _down_at(event: EventConfig) -> pd.Timestamp:
    return (pd.Timestamp(event.end).tz_convert("UTC") + pd.Timedelta(minutes=event.ramp_minutes)).ceil("h")


def _overdue(remedy: Remedy, as_of: date) -> Remedy:
    late = (as_of - remedy.by).days
    return replace(remedy, action=f"{remedy.action} (overdue by {late} day(s))", overdue=True) if late > 0 else remedy
