"""Fleets in AWS: what runs in every account and region, what ran, and what capacity is reserved.

Every running instance is counted once: under its EKS node group, else its Auto Scaling group, else by itself. ``min``
and ``max`` of a row are those of its whole service in that account and region, the same on all of its rows: a group
spans zones and types, and readers take a service's largest. An account and region is handed over whole or not at all,
since a snapshot without one of its parts would say that the part is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pyarrow as pa

from capacity.config import FleetSource
from capacity.errors import CapacityError, UsageError
from capacity.schemas import CAPACITY_RESERVATIONS, FLEET
from capacity.sources._protocol import Batch, Context, SourceInfo, Stored
from capacity.sources.aws import _fleet_history as history
from capacity.sources.aws import _fleet_left as left
from capacity.sources.aws import _fleet_read as read
from capacity.sources.aws import _fleet_reservations as reservations
from capacity.sources.aws import _fleet_rows as rows
from capacity.sources.aws._access import Access, Place
from capacity.sources.aws._calls import Failures
from capacity.sources.aws._fleet_count import Present, present
from capacity.sources.aws._naming import Namer, some

# Snapshots older than the age at which a fleet counts as stale are not looked at again.
LOOK_BACK = timedelta(days=45)
_MACHINES = ("asg", "ec2", "eks", "rds")


@dataclass(frozen=True)
class _Found:
    """One account and region: what runs and what ran."""

    present: Present
    past: Mapping[str, history.Past]
    notes: tuple[str, ...]


class FleetReader:
    """The fleet frame and the capacity reservations of every account and region.

    Raises
    ------
    UsageError
        A naming pattern is no regular expression, or the config has no such way into AWS.
    """

    info: ClassVar[SourceInfo] = SourceInfo(
        kind="aws_fleet",
        reads="EC2 instances, Auto Scaling groups and their activities, EKS managed node groups, RDS instances, "
        "On-Demand Capacity Reservations, in every account and region",
        frames=("fleet", "capacity_reservations"),
        permissions=(
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeLaunchConfigurations",
            "autoscaling:DescribeScalingActivities",
            "ec2:DescribeCapacityReservations",
            "ec2:DescribeInstances",
            "ec2:DescribeLaunchTemplateVersions",
            "eks:DescribeNodegroup",
            "eks:ListClusters",
            "eks:ListNodegroups",
            "rds:DescribeDBInstances",
        ),
        price="free of charge",
        limits=(
            "100 groups, activities, databases or node groups a page, 1,000 instances or reservations; activities of "
            "six weeks; past counts of groups only, in whole hours"
        ),
        calls=(
            "autoscaling:DescribeAutoScalingGroups, DescribeScalingActivities",
            "autoscaling:DescribeLaunchConfigurations, ec2:DescribeLaunchTemplateVersions (groups at zero)",
            "ec2:DescribeInstances, DescribeCapacityReservations",
            "eks:ListClusters, ListNodegroups, DescribeNodegroup (one a node group)",
            "rds:DescribeDBInstances",
        ),
    )

    def __init__(self, config: FleetSource, context: Context) -> None:
        self.name = config.name
        self._config = config
        self._access = Access(context.access(config), config.name)
        # With one way into AWS and all of it read here, nobody else reads what this source does not.
        own_choice = config.accounts is not None or config.regions is not None
        self._alone = self._whole and not own_choice and len(context.aws) == 1
        self._namer = Namer(config.naming, config.name)

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """Everything that AWS tells, whatever a store may hold."""
        return self.proceed(_nothing, now)

    def proceed(self, stored: Stored, now: datetime) -> Iterator[Batch]:
        """What the store does not say yet: changes since its newest snapshots, and one snapshot a day.

        Raises
        ------
        DataError
            One line a failed account, region and call, after all that succeeded has been handed over.
        """
        if now.tzinfo is None:
            raise UsageError(f"source '{self.name}': now {now} has no zone")
        now = now.replace(microsecond=0)
        failures = Failures()
        places = self._access.places(self._config.accounts, self._config.regions)
        if self._parts:
            last = rows.last_snapshots(stored("fleet", (("ts", ">=", now - LOOK_BACK),)), now)
            for place, found in self._access.each(places, lambda p: self._read(p, last, now)):
                if isinstance(found, CapacityError):
                    failures.add(found)
                    continue
                yield self._fleet(place, found, last, now)
            yield from self._left(places, last, now)
        if "capacity_reservations" in self._config.reads:
            yield from self._reservations(places, stored, now, failures)
        failures.raise_if_any()

    @property
    def _parts(self) -> set[str]:
        return {str(part) for part in self._config.reads} & set(_MACHINES)

    # --- the fleet --------------------------------------------------------------------------------------------

    def _read(self, place: Place, last: Mapping[rows.Unit, rows.Last], now: datetime) -> _Found:
        seen = self._seen(place)
        now_there = present(seen, self._namer, self._config.reads, self._config.database_service)
        if not self._config.history or not now_there.group_service:
            return _Found(now_there, {}, now_there.notes)
        # Without its activities the place fails whole: once its present is stored, the past is never asked for again.
        past, notes = self._history(place, seen, now_there, self._since(place, now_there, last, now), now)
        return _Found(now_there, past, (*now_there.notes, *notes))

    def _seen(self, place: Place) -> read.Seen:
        """Instances say what is bought and whether it runs, so groups are never read without them."""
        parts, access = self._parts, self._access
        grouped = bool(parts - {"rds"})
        databases, notes = read.databases(access, place) if "rds" in parts else ((), ())
        return read.Seen(
            instances=read.instances(access, place) if grouped else (),
            groups=read.groups(access, place) if grouped else (),
            node_groups=read.node_groups(access, place) if "eks" in parts else (),
            databases=databases,
            notes=notes,
        )

    def _since(
        self, place: Place, there: Present, last: Mapping[rows.Unit, rows.Last], now: datetime
    ) -> datetime:  # fmt: skip
        """From when on activities are needed: the oldest of the newest snapshots, six weeks where one has none."""
        units = [rows.Unit(place.account.account_id, place.region, s) for s in set(there.group_service.values())]
        oldest = now - history.KEPT
        known = [last[u].ts if u in last else oldest for u in units]
        return max(oldest, min(known) - history.LONGEST_ACTIVITY)

    def _history(
        self, place: Place, seen: read.Seen, there: Present, since: datetime, now: datetime
    ) -> tuple[dict[str, history.Past], tuple[str, ...]]:
        told = history.told(read.activities(self._access, place, since))
        groups = {g.name: g for g in seen.groups}
        busy = {e.group for e in told.events} - {m.group for m in there.machines}
        untyped = [groups[n] for n in sorted(busy & set(there.group_service)) if not groups[n].types]
        evidence = history.Evidence(
            present=there,
            groups=groups,
            instances={i.id: i for i in seen.instances},
            told=told,
            templates=read.template_kinds(self._access, place, untyped),
        )
        return history.reconstruct(evidence, self._namer, now)

    def _fleet(self, place: Place, found: _Found, last: Mapping[rows.Unit, rows.Last], now: datetime) -> Batch:
        account, region = place.account.account_id, place.region
        out: list[dict[str, Any]] = []
        notes = list(found.notes)
        counts = found.present.counts()
        for service in sorted(counts):
            unit = rows.Unit(account, region, service)
            bounds, past = found.present.bounds[service], found.past.get(service)
            out += rows.unit_rows(unit, counts[service], bounds, past, last.get(unit), now)
        if self._whole:
            here = {u: v for u, v in last.items() if (u.account_id, u.region) == (account, region)}
            gone = {u.service: rows.closing_rows(u, v, now) for u, v in here.items() if u.service not in counts}
            ended = sorted(s for s, ending in gone.items() if ending)
            out += [row for s in ended for row in gone[s]]
            if ended:
                notes.append(f"{len(ended)} service(s) ran here before and are not seen any more ({some(ended)})")
        table = rows.table(out) if out else FLEET.schema.empty_table()
        return Batch("fleet", table, place.label, tuple(notes))

    @property
    def _whole(self) -> bool:
        return self._config.whole and self._parts == set(_MACHINES)

    def _left(self, places: Sequence[Place], last: Mapping[rows.Unit, rows.Last], now: datetime) -> Iterator[Batch]:
        """The end of accounts and regions that are read no more."""
        ended, notes = left.ending(last, places, self._access.config, alone=self._alone, now=now)
        if ended or notes:
            table = rows.table(ended) if ended else FLEET.schema.empty_table()
            yield Batch("fleet", table, "accounts and regions that are read no more", notes)

    # --- reservations -----------------------------------------------------------------------------------------

    def _reservations(
        self, places: Sequence[Place], stored: Stored, now: datetime, failures: Failures
    ) -> Iterator[Batch]:
        found: dict[str, dict[str, Any]] = {}
        answered: set[tuple[str, str]] = set()
        access = self._access
        for place, raw in access.each(places, lambda p: read.capacity_reservations(access, p)):
            if isinstance(raw, CapacityError):
                failures.add(raw)
                continue
            answered.add((place.account.account_id, place.region))
            reservations.collect(found, raw, place)
        before = stored("capacity_reservations", ()).to_pylist()
        ended = reservations.ended(before, found, answered, now)
        if found or ended:
            table = pa.Table.from_pylist([*found.values(), *ended], schema=CAPACITY_RESERVATIONS.schema)
            notes = (f"{len(ended)} reservation(s) are not seen any more",) if ended else ()
            yield Batch("capacity_reservations", table, "capacity reservations", notes)


def _nothing(frame: str, filters: Sequence[tuple[str, str, Any]]) -> pa.Table:
    """A store with nothing in it."""
    return {"fleet": FLEET, "capacity_reservations": CAPACITY_RESERVATIONS}[frame].schema.empty_table()
