"""Who owns what runs: every running machine belongs to one service, once.

An instance belongs to its node group, else to its Auto Scaling group, else to itself. The nearest owner that the
naming rules can name says the service.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from capacity.config._fleet import SERVICE
from capacity.sources.aws._fleet_read import Database, Group, Instance, NodeGroup, Seen
from capacity.sources.aws._naming import Namer, Resource, some

# (zone, instance type, purchase)
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Machine:
    """One machine that runs. ``group`` is its Auto Scaling group, where it has one."""

    id: str
    service: str
    key: Key
    since: datetime
    group: str | None = None


@dataclass(frozen=True)
class Bounds:
    """How few and how many machines a service may have; None where a group counts in other units."""

    minimum: int | None
    maximum: int | None


@dataclass(frozen=True)
class Present:
    """What runs now, by service."""

    machines: tuple[Machine, ...]
    bounds: Mapping[str, Bounds]
    group_service: Mapping[str, str]
    notes: tuple[str, ...]

    def counts(self) -> dict[str, Counter[Key]]:
        """Machines of each service by zone, type and purchase; a service with a group but no machine has none."""
        out: dict[str, Counter[Key]] = {s: Counter() for s in self.bounds}
        for machine in self.machines:
            out[machine.service][machine.key] += 1
        return out


@dataclass
class _Unnamed:
    """What no rule names, by what it is."""

    names: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"{len(names)} running {kind} have no service and are left out ({some(names)}); name them with 'naming'"
            for kind, names in sorted(self.names.items())
        )


class Owners:
    """Groups and node groups by the names by which instances know them."""

    def __init__(self, groups: Iterable[Group], node_groups: Iterable[NodeGroup]) -> None:
        self.groups = {g.name: g for g in groups}
        self._by_member = {i: g.name for g in self.groups.values() for i in g.members}
        self._node_group = {name: n for n in node_groups for name in n.groups}

    def group_of(self, instance: Instance) -> str | None:
        """By the group's own list, else (warm pools, instances on their way) by the tag that AWS puts on it."""
        found = self._by_member.get(instance.id)
        return found or (instance.group if instance.group in self.groups else None)

    def part(self, group: str | None) -> str:
        """The word of ``reads`` that asks for what belongs to ``group``."""
        return "ec2" if group is None else "eks" if group in self._node_group else "asg"

    def chain(self, group: str) -> list[Resource]:
        """The owners of ``group``'s instances, the one that decides first."""
        node_group = self._node_group.get(group)
        return [*([node_group.resource] if node_group else []), self.groups[group].resource]


def present(seen: Seen, namer: Namer, reads: Collection[str], database_service: str) -> Present:
    """Every running machine that ``reads`` asks for, with its service."""
    owners = Owners(seen.groups, seen.node_groups)
    unnamed = _Unnamed()
    machines = list(_instances(seen.instances, owners, namer, reads, unnamed))
    machines += _databases(seen.databases, namer, database_service, unnamed)
    asked = [g for g in seen.groups if owners.part(g.name) in reads]
    group_service = _group_services(asked, owners, namer, machines)
    notes = (*seen.notes, *unnamed.notes(), *_group_notes(asked, group_service))
    return Present(tuple(machines), _bounds(machines, asked, group_service), group_service, notes)


def _instances(
    instances: Sequence[Instance], owners: Owners, namer: Namer, reads: Collection[str], unnamed: _Unnamed
) -> Iterable[Machine]:
    for instance in instances:
        group = owners.group_of(instance)
        if not instance.running or owners.part(group) not in reads:
            continue
        service = namer.service([*(owners.chain(group) if group else []), instance.resource])
        if service is None:
            kind = "instances outside groups" if group is None else f"instances of {_what(owners, group)}"
            unnamed.names[kind].append(instance.id if group is None else group)
            continue
        key = (instance.zone, instance.instance_type, instance.purchase)
        yield Machine(instance.id, service, key, instance.launched, group)


def _what(owners: Owners, group: str) -> str:
    return "node groups" if owners.part(group) == "eks" else "Auto Scaling groups"


def _databases(
    databases: Iterable[Database], namer: Namer, database_service: str, unnamed: _Unnamed
) -> Iterable[Machine]:
    for database in databases:
        service = namer.service([database.resource])
        if service is None:
            unnamed.names["databases"].append(database.id)
            continue
        for zone in database.zones:
            key = (zone, database.instance_class, "on_demand")
            yield Machine(f"{database.id}/{zone}", _own_service(service, database_service), key, database.created)


def _own_service(service: str, template: str) -> str:
    before, _, after = template.partition(SERVICE)
    return service if service.startswith(before) and service.endswith(after) else f"{before}{service}{after}"


def _group_services(
    groups: Iterable[Group], owners: Owners, namer: Namer, machines: Iterable[Machine]
) -> dict[str, str]:
    """Each group's service: by its own names, else that of its instances where they agree."""
    of_members: dict[str, set[str]] = defaultdict(set)
    for machine in machines:
        if machine.group is not None:
            of_members[machine.group].add(machine.service)
    out = {}
    for group in groups:
        members = of_members[group.name]
        service = next(iter(members)) if len(members) == 1 else namer.service(owners.chain(group.name))
        if service:
            out[group.name] = service
    return out


def _bounds(
    machines: Iterable[Machine], groups: Iterable[Group], group_service: Mapping[str, str]
) -> dict[str, Bounds]:
    """The sizes of a service's groups together, and every machine outside of them as itself."""
    fixed = Counter(m.service for m in machines if m.group not in group_service)
    running = Counter(m.service for m in machines)
    low, high = Counter(fixed), Counter(fixed)
    other_units = set()
    for group in groups:
        service = group_service.get(group.name)
        if service is None:
            continue
        low[service] += group.minimum
        high[service] += group.maximum
        other_units |= {service} if group.weighted else set()
    unknown = Bounds(None, None)
    # While zones are rebalanced a group may run a little over its size: its maximum is then what runs.
    return {
        s: unknown if s in other_units else Bounds(low[s], max(high[s], running[s]))
        for s in sorted({*low, *high, *running})
    }


def _group_notes(groups: Sequence[Group], group_service: Mapping[str, str]) -> Iterable[str]:
    weighted = [g.name for g in groups if g.weighted and g.name in group_service]
    if weighted:
        yield (
            f"{len(weighted)} group(s) count capacity in other units than instances ({some(weighted)}): "
            "the sizes of their services are not known"
        )
    suspended = [g.name for g in groups if g.launch_suspended and g.name in group_service]
    if suspended:
        yield f"{len(suspended)} group(s) cannot grow, their process Launch is suspended ({some(suspended)})"
