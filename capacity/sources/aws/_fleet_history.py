"""What ran in past hours, from the scaling activities of the groups, backwards from what runs now.

AWS names the instance, the moment and (in the details) the zone of every launch and termination, for six weeks. So each
machine gets a span of life, and an hour counts the spans that cover its middle. A service's history stops where it does
not add up: what ran before that moment is not told.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from capacity import catalogue
from capacity.sources.aws._fleet_count import Key, Machine, Present
from capacity.sources.aws._fleet_read import Group, Instance
from capacity.sources.aws._naming import Namer, Resource, some

# Activities that AWS still tells of (API reference, DescribeScalingActivities: started within the last six weeks).
KEPT = timedelta(weeks=6)
# The longest that a lifecycle hook may keep an instance waiting between start and end of its activity (EC2 Auto Scaling
# user guide: 48 hours).
LONGEST_ACTIVITY = timedelta(hours=48)
HOUR = timedelta(hours=1)
_HALF = timedelta(minutes=30)

_STARTS = re.compile(r"(?:Launching a new|Attaching an existing) EC2 instance: (i-[0-9a-f]+)")
_ENDS = re.compile(r"(?:Terminating|Detaching) EC2 instance: (i-[0-9a-f]+)")
# It goes on running, and goes on being counted.
_STAYS = re.compile(r"Moving EC2 instance (?:to|out of) Standby: i-[0-9a-f]+")
_ANY = re.compile(r"\bi-[0-9a-f]{8,17}\b")


@dataclass(frozen=True)
class Event:
    """An instance came (``start``) or went, successfully, at ``at``."""

    id: str
    group: str
    start: bool
    at: datetime
    zone: str | None


@dataclass
class Told:
    """What the activities say: events, instances on their way out, and groups with activities that say neither."""

    events: list[Event] = field(default_factory=list)
    leaving: dict[str, datetime] = field(default_factory=dict)
    unclear: dict[str, datetime] = field(default_factory=dict)
    deleted: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Past:
    """Counts of one service: each hour at which they changed, in order, and from when on they are known."""

    changes: tuple[tuple[datetime, Counter[Key]], ...]
    known_from: datetime


def told(activities: Iterable[Mapping[str, Any]]) -> Told:
    """Read AWS's sentences."""
    out = Told()
    for raw in activities:
        group, code, text = str(raw["AutoScalingGroupName"]), str(raw["StatusCode"]), str(raw.get("Description") or "")
        at = raw.get("EndTime") or raw["StartTime"]
        starts, ends = _STARTS.match(text), _ENDS.match(text)
        if code in ("Failed", "Cancelled") or _STAYS.match(text):
            continue
        if raw.get("AutoScalingGroupState") == "Deleted":
            out.deleted[group] = max(at, out.deleted.get(group, at))
        elif code != "Successful":
            if ends:
                out.leaving[ends[1]] = raw["StartTime"]
        elif starts or ends:
            found = starts or ends
            assert found is not None  # noqa: S101 - one of the two
            out.events.append(Event(found[1], group, bool(starts), at, _zone(raw.get("Details"))))
        elif _ANY.search(text):
            out.unclear[group] = max(at, out.unclear.get(group, at))
    out.events.sort(key=lambda e: (e.at, e.start))
    return out


def _zone(details: str | None) -> str | None:
    try:
        found = json.loads(details or "{}")
    except ValueError:
        return None
    zone = found.get("Availability Zone") if isinstance(found, dict) else None
    return str(zone) if zone else None


# --- spans of life ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Span:
    key: Key
    start: datetime | None  # None: before anything that is told
    end: datetime | None  # None: still there


@dataclass
class _Service:
    spans: list[_Span] = field(default_factory=list)
    floor: datetime | None = None
    reason: str = ""
    assumed: Counter[str] = field(default_factory=Counter)

    def stop(self, at: datetime, reason: str) -> None:
        """Nothing before ``at`` is known."""
        if self.floor is None or at > self.floor:
            self.floor, self.reason = at, reason


@dataclass(frozen=True)
class Evidence:
    """Everything that the past is made from."""

    present: Present
    groups: Mapping[str, Group]
    instances: Mapping[str, Instance]
    told: Told
    templates: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @cached_property
    def running(self) -> Mapping[str, Sequence[Key]]:
        """What runs in each group."""
        out: dict[str, list[Key]] = defaultdict(list)
        for machine in self.present.machines:
            if machine.group is not None:
                out[machine.group].append(machine.key)
        return out


def reconstruct(evidence: Evidence, namer: Namer, now: datetime) -> tuple[dict[str, Past], tuple[str, ...]]:
    """The past of every service that has groups, and notes on where it stops and what was taken for granted."""
    services: dict[str, _Service] = {s: _Service() for s in set(evidence.present.group_service.values())}
    events: dict[str, list[Event]] = defaultdict(list)
    for event in evidence.told.events:
        events[event.id].append(event)
    running = {m.id: m for m in evidence.present.machines}
    for machine in running.values():
        if machine.service in services:
            _present_span(services[machine.service], machine, events.get(machine.id, []), now)
    for identity, own in events.items():
        service = evidence.present.group_service.get(own[-1].group)
        if service is not None and identity not in running:
            _past_span(services[service], identity, own, evidence, now)
    notes = [*_stop_at_what_is_unclear(services, evidence, namer)]
    begin = now - KEPT
    out = {name: _past(service, begin, now) for name, service in services.items()}
    return out, (*notes, *_notes(services))


def _present_span(service: _Service, machine: Machine, events: Sequence[Event], now: datetime) -> None:
    """A machine that runs: since it came into its group, else since it was launched."""
    # Activities are read after the machines: one that went in between ran at ``now``.
    gone = [e for e in events if not e.start and e.group == machine.group and e.at <= now]
    came = [e for e in events if e.start and e.group == machine.group]
    if gone and (not came or gone[-1].at >= came[-1].at):
        service.stop(gone[-1].at, f"{machine.id} went, and runs")
    service.spans.append(_Span(machine.key, came[-1].at if came else machine.since, None))


def _past_span(service: _Service, identity: str, events: Sequence[Event], evidence: Evidence, now: datetime) -> None:
    """A machine that is gone: from its launch to its end, or since before anything that is told."""
    if events[0].start and events[0].at > now:
        return  # it came after ``now``: nothing of the past
    starts = [e for e in events if e.start]
    ends = [e for e in events if not e.start]
    end = ends[-1].at if ends else evidence.told.leaving.get(identity)
    if end is None:
        service.stop(now, f"{identity} came, and its end is not told")
        return
    if len(starts) > 1 or len(ends) > 1 or (starts and starts[0].at > end):
        service.stop(end, f"{identity} came or went more than once")
    key = _key(identity, events, evidence)
    if key is None:
        service.stop(end, f"the type or the zone of {identity} is not known")
        return
    if identity not in evidence.instances:
        service.assumed[f"{key[1]} {key[2]}"] += 1
    service.spans.append(_Span(key, starts[0].at if starts else None, end))


def _key(identity: str, events: Sequence[Event], evidence: Evidence) -> Key | None:
    known = evidence.instances.get(identity)
    zone = next((e.zone for e in reversed(events) if e.zone), known.zone if known else None)
    if known is not None:
        return (zone or known.zone, known.instance_type, known.purchase) if zone or known.zone else None
    kind = usual(evidence, events[-1].group)
    return (zone, *kind) if zone and kind else None


def usual(evidence: Evidence, group: str) -> tuple[str, str] | None:
    """Type and purchase of a group's machines whose own are no longer told.

    The commonest that runs, where the group has one type or all its types have the same vCPU; where nothing runs,
    what its launch template says; else None.
    """
    known = evidence.groups.get(group)
    running = evidence.running.get(group, ())
    types = Counter(key[1] for key in running)
    names = {*types, *(known.types if known else ())}
    if not names:
        return evidence.templates.get(group)
    if not _alike(names):
        return None
    purchases = Counter(key[2] for key in running)
    spot = known is not None and known.on_demand_frac < 0.5
    name = _commonest(types) or min(names)
    return name, _commonest(purchases) or ("spot" if spot else "on_demand")


def _alike(names: set[str]) -> bool:
    if len(names) == 1:
        return True
    known = catalogue.load().types
    return all(n in known for n in names) and len({known[n].vcpu for n in names}) == 1


def _commonest(counts: Counter[str]) -> str | None:
    return min(counts, key=lambda name: (-counts[name], name)) if counts else None


def _stop_at_what_is_unclear(services: Mapping[str, _Service], evidence: Evidence, namer: Namer) -> Iterable[str]:
    for group, at in evidence.told.unclear.items():
        service = evidence.present.group_service.get(group)
        if service is not None:
            services[service].stop(at, f"group {group} has activities of another kind (a warm pool?)")
    nameless = []
    for group, at in evidence.told.deleted.items():
        service = namer.service([Resource(group)])
        if service is None:
            nameless.append(group)
        elif service in services:
            services[service].stop(at, f"group {group} is deleted, its types are no longer told")
    if nameless:
        yield (
            f"{len(nameless)} deleted group(s) cannot be named ({some(nameless)}): past counts of their services "
            "are without them; name them by 'naming.names'"
        )


# --- hours ---------------------------------------------------------------------------------------------------


def _past(service: _Service, begin: datetime, now: datetime) -> Past:
    """The hours in which the counts changed. An hour shows what ran in its middle."""
    first = hour_of(max(begin, service.floor) if service.floor else begin)
    changes: dict[datetime, Counter[Key]] = defaultdict(Counter)
    for span in service.spans:
        changes[first if span.start is None else max(first, hour_of(span.start))][span.key] += 1
        if span.end is not None:
            changes[max(first, hour_of(span.end))][span.key] -= 1
    counts: Counter[Key] = Counter()
    out: list[tuple[datetime, Counter[Key]]] = []
    for hour in sorted(h for h in changes if h < now):
        counts.update(changes[hour])
        state = +counts
        if state != (out[-1][1] if out else Counter()) or hour == first:
            out.append((hour, state))
    return Past(tuple(out), first)


def hour_of(at: datetime) -> datetime:
    """The first hour whose middle is at or after ``at``."""
    whole = (at - _HALF).replace(minute=0, second=0, microsecond=0)
    return whole if whole + _HALF >= at else whole + HOUR


def _notes(services: Mapping[str, _Service]) -> Iterable[str]:
    for name, service in sorted(services.items()):
        if service.floor is not None:
            yield f"{name}: no history before {service.floor:%Y-%m-%dT%H:%MZ}: {service.reason}"
        if service.assumed:
            kinds = ", ".join(f"{n} as {kind}" for kind, n in sorted(service.assumed.items()))
            yield f"{name}: past instances whose type is no longer told are counted like their group's: {kinds}"
