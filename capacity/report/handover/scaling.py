"""EC2 Auto Scaling: inputs of PutScheduledUpdateGroupAction and SetDesiredCapacity.

StartTime is in UTC; TimeZone belongs to recurring actions alone, and none of these recurs. A start in the past is an
error at AWS, so months that have begun are left to ``set_desired_capacity.json``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from capacity.domain import EventVerdict
from capacity.errors import UsageError
from capacity.plan import EventSummary, Plan, UnitPlan
from capacity.report.handover._base import Options, Rendered, dump, month_of, utc
from capacity.report.handover._groups import NOTHING, Group, Sizes, groups
from capacity.report.handover._names import aws_name, check_template, dns_label, group_name

# What grows for a month grows so long before it begins, what shrinks shrinks so long after: where one type gives way to
# another, the new one serves before the old one goes.
OVERLAP = timedelta(hours=1)
# From the action to instances that serve, where the check does not say: a boot and a warm-up, generously.
SCALE_OUT = timedelta(minutes=30)

Calls = list[dict[str, Any]]


@dataclass(frozen=True)
class EventSizes:
    """Instances of the unit that run now, those to have for the event, and from when until when."""

    instances_from: int
    instances_to: int
    at: datetime
    until: datetime


@dataclass(frozen=True)
class _Call:
    account_id: str
    region: str
    group: str
    at: datetime
    why: str
    fleet: str
    input: Mapping[str, Any]


def render(plan: Plan, options: Options) -> Rendered:
    """scheduled_actions.json and set_desired_capacity.json, by account and region.

    Raises
    ------
    UsageError
        The template gives one name to groups of two types of a month.
    """
    check_template(options.group_name)
    named = _named(plan, options)
    events = list(_events(plan, options, named))
    calls = [*(_held_up(c, events) for c in _months(plan, named)), *events]
    calls.sort(key=lambda c: (c.account_id, c.region, c.group, c.at, c.why))
    now = list(_now(plan, options, named))
    head = {"schema": "capacity.scaling/1", "plan_as_of": utc(plan.as_of), "scenario": plan.scenario}
    files = {
        "scheduled_actions.json": dump(
            {**head, "operation": "PutScheduledUpdateGroupAction", "accounts": _tree(calls)}
        ),
        "set_desired_capacity.json": dump({**head, "operation": "SetDesiredCapacity", "accounts": _tree(now)}),
    }
    return Rendered(files, _left_out(plan))


def _left_out(plan: Plan) -> tuple[str, ...]:
    notes = [
        f"{u.unit}: its count is fixed (a database): no scaling action" for u in plan.units if u.kind == "vertical"
    ]
    fleets = {u.unit for u in plan.units if u.kind == "fleet"}
    for event in plan.events:
        for v in event.verdicts:
            wanted = [r.amount for r in v.remedies if r.kind == "group_maximum" and r.amount is not None]
            if wanted:
                notes.append(f"{v.unit}, {event.name}: raise the group's maximum to {max(wanted):,.0f} first")
            elif not v.go and v.prescale is None and v.unit in fleets:
                notes.append(f"{v.unit}, {event.name}: NO-GO, and no size within the group's maximum holds it")
    return tuple(notes)


def _tree(calls: list[_Call]) -> dict[str, dict[str, Calls]]:
    out: dict[str, dict[str, Calls]] = {}
    for c in calls:
        found = out.setdefault(c.account_id, {}).setdefault(c.region, [])
        found.append({"why": c.why, "fleet": c.fleet, "input": dict(c.input)})
    return out


# --- months --------------------------------------------------------------------------------------------------

# A group's name in its account and region, with the sizes of each month that has any.
Named = dict[tuple[str, str, str], dict[str, Group]]


def _named(plan: Plan, options: Options) -> Named:
    out: Named = {}
    for g in groups(plan):
        if g.unit.kind != "fleet":
            continue
        name = group_name(options.group_name, g.places)
        months = out.setdefault((g.unit.account_id, g.unit.region, name), {})
        if g.month in months:
            other = months[g.month]
            raise UsageError(
                f"--group-name: {options.group_name!r} gives the name {name!r} to {other.purchase} "
                f"{other.instance_type} of {other.unit.unit} and to {g.purchase} {g.instance_type} of {g.unit.unit} in "
                f"{g.month}; allowed: one type a group, e.g. with {{instance_type}}: instances of two sizes cannot be "
                "counted together"
            )
        months[g.month] = g
    return out


def month_start(month: str) -> datetime:
    """The first moment of YYYY-MM in UTC, as bills count months."""
    return datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC)


def _months(plan: Plan, named: Named) -> Iterator[_Call]:
    months = sorted(set(plan.frame("mix")["month"]))
    for (account, region, name), by_month in named.items():
        before = NOTHING
        for month in months:
            sizes = by_month[month].sizes if month in by_month else NOTHING
            start = month_start(month)
            if start - OVERLAP > plan.as_of:
                for suffix, at, to in _steps(before, sizes, start):
                    action = aws_name(f"capacity-{month}{suffix}")
                    asked = _sized(name, action, at, to)
                    yield _Call(account, region, name, at, f"month {month}", "recommended", asked)
            before = sizes


def _steps(old: Sizes, new: Sizes, start: datetime) -> Iterator[tuple[str, datetime, Sizes]]:
    """Up before the month begins, down after; a month that changes nothing says so once, at its start."""
    both = old.over(new)
    if both != old:
        yield "-up", start - OVERLAP, both
    if new != both:
        yield "", start + OVERLAP, new
    elif both == old and new != NOTHING:
        yield "", start, new


def _sized(group: str, action: str, at: datetime, sizes: Sizes) -> dict[str, Any]:
    return {
        "AutoScalingGroupName": group, "ScheduledActionName": action, "StartTime": utc(at), "MinSize": sizes.least,
        "DesiredCapacity": sizes.most, "MaxSize": sizes.most,
    }  # fmt: skip


def _now(plan: Plan, options: Options, named: Named) -> Iterator[_Call]:
    month = month_of(plan, options)
    for (account, region, name), by_month in sorted(named.items()):
        if month in by_month:
            asked = {
                "AutoScalingGroupName": name,
                "DesiredCapacity": by_month[month].sizes.most,
                "HonorCooldown": False,
            }
            yield _Call(account, region, name, plan.as_of, f"month {month}", "recommended", asked)


# --- events --------------------------------------------------------------------------------------------------


def event_sizes(verdict: EventVerdict, unit: UnitPlan, event: EventSummary) -> EventSizes | None:
    """What the unit must have before ``event``; None where nothing has to be added, or nothing is known.

    What the check says is taken as it is. Where it says nothing exact: what runs × P95 demand / safe capacity now,
    rounded up, within what the group's maximum allows; from the start less the ramp and the time of scaling out.
    """
    if verdict.prescale is not None:
        p = verdict.prescale
        return (
            EventSizes(p.instances_from, p.instances_to, p.at, p.until) if p.instances_to > p.instances_from else None
        )
    running = sum(line.instances for line in unit.running)
    if running == 0 or not verdict.safe_now > 0 or not math.isfinite(verdict.demand_p95):
        return None
    most = math.floor(running * verdict.safe_at_group_maximum / verdict.safe_now + 1e-9)
    wanted = math.ceil(running * verdict.demand_p95 / verdict.safe_now - 1e-9)
    to = min(wanted, max(most, running))
    ramp = timedelta(minutes=event.ramp_minutes)
    out = timedelta(minutes=verdict.scale_out_minutes) if verdict.scale_out_minutes else SCALE_OUT
    return EventSizes(running, to, event.start - ramp - out, event.end + ramp) if to > running else None


def _events(plan: Plan, options: Options, named: Named) -> Iterator[_Call]:
    """Actions for the fleet as it runs, which is what the check judges: up before each event, back after it."""
    units = {u.unit: u for u in plan.units if u.kind == "fleet"}
    for event in plan.events:
        for verdict in event.verdicts:
            unit = units.get(verdict.unit)
            sizes = event_sizes(verdict, unit, event) if unit is not None else None
            if unit is not None and sizes is not None and sizes.at > plan.as_of:
                yield from _around(event, unit, sizes, options, named)


def _held_up(call: _Call, events: list[_Call]) -> _Call:
    """A month's action on a group of which an event is under way does not take away what the event needs."""
    group = (call.account_id, call.region, call.group)
    of_group = sorted((e for e in events if (e.account_id, e.region, e.group) == group), key=lambda e: e.at)
    last = next((e for e in reversed(of_group) if e.at <= call.at), None)
    if last is None or not last.why.startswith("before"):
        return call
    sizes = ("MinSize", "DesiredCapacity", "MaxSize")
    held = {k: max(call.input[k], last.input.get(k, last.input["DesiredCapacity"])) for k in sizes}
    return replace(call, input={**call.input, **held})


def _around(event: EventSummary, unit: UnitPlan, sizes: EventSizes, options: Options, named: Named) -> Iterator[_Call]:
    running = sum(line.instances for line in unit.running)
    for line in unit.running:
        places = {"service": unit.service, "region": unit.region, "instance_type": line.instance_type,
                  "purchase": "on_demand", "account_id": unit.account_id}  # fmt: skip
        name = group_name(options.group_name, places)
        to = math.ceil(line.instances * sizes.instances_to / running - 1e-9)
        planned = named.get((unit.account_id, unit.region, name), {})
        for word, at, count in (("before", sizes.at, to), ("after", sizes.until, line.instances)):
            month = planned.get(f"{at.astimezone(UTC):%Y-%m}")
            asked: dict[str, Any] = {
                "AutoScalingGroupName": name, "StartTime": utc(at),
                "ScheduledActionName": aws_name(f"capacity-{dns_label(event.name)}-{word}"),
                "MinSize": count, "DesiredCapacity": count,
            }  # fmt: skip
            if month is not None:
                # The group is one of the recommended mix too: the event adds to what the month asks for.
                most = month.sizes.most if word == "after" else max(month.sizes.most, to)
                least = month.sizes.least if word == "after" else most
                asked.update(MinSize=least, DesiredCapacity=most, MaxSize=most)
            yield _Call(unit.account_id, unit.region, name, at, f"{word} {event.name}", "running", asked)
