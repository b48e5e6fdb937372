"""A fleet over time, as EC2, Auto Scaling, EKS and RDS tell of it: their shapes, page sizes, filters and memory.

A :class:`World` is one account and region. Its timeline is written down whole; what is told depends on ``now``, so the
same world can be asked at several moments, and knows what truly ran at each.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.aws.standin import AwsError, Call, Handler, StandIn, page

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)
SIX_WEEKS = timedelta(weeks=6)
# AWS shows a terminated instance for about an hour.
REMEMBERED = timedelta(hours=1)
BOOT = timedelta(minutes=2)
Key = tuple[str, str, str]


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": k, "Value": v} for k, v in tags.items()]


@dataclass
class FakeInstance:
    id: str
    zone: str
    instance_type: str
    service: str | None
    start: datetime
    end: datetime | None = None
    group: str | None = None
    spot: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    tenancy: str = "default"
    stopped: bool = False

    @property
    def key(self) -> Key:
        return (self.zone, self.instance_type, "spot" if self.spot else "on_demand")

    def runs(self, at: datetime) -> bool:
        return self.start <= at and (self.end is None or self.end > at) and not self.stopped


@dataclass
class FakeGroup:
    name: str
    tags: dict[str, str]
    minimum: int = 0
    maximum: int = 100
    deleted: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class World:
    now: datetime = EPOCH
    instances: dict[str, FakeInstance] = field(default_factory=dict)
    groups: dict[str, FakeGroup] = field(default_factory=dict)
    node_groups: dict[tuple[str, str], tuple[dict[str, str], list[str]]] = field(default_factory=dict)
    databases: list[dict[str, Any]] = field(default_factory=list)
    activities: list[dict[str, Any]] = field(default_factory=list)
    reservations: list[dict[str, Any]] = field(default_factory=list)

    # --- what happens ---------------------------------------------------------------------------------------------

    def group(self, name: str, service: str | None, **keys: Any) -> FakeGroup:
        self.groups[name] = FakeGroup(name, {"service": service} if service else {}, **keys)
        return self.groups[name]

    def launch(
        self, group: str | None, at: datetime, zone: str = "us-east-1a", kind: str = "m5.large", **keys: Any
    ) -> FakeInstance:
        """An instance that is in service from ``at``; by a group it is written down."""
        identity = f"i-{len(self.instances):017x}"
        service = keys.pop("service", None)
        if group is not None:
            service = self.groups[group].tags.get("service", service)
            self._told(group, "Launching a new", identity, at, zone)
        made = FakeInstance(identity, zone, kind, service, at, group=group, **keys)
        self.instances[identity] = made
        return made

    def terminate(self, instance: FakeInstance, at: datetime) -> None:
        instance.end = at
        if instance.group is not None:
            self._told(instance.group, "Terminating", instance.id, at, instance.zone)

    def _told(self, group: str, what: str, identity: str, at: datetime, zone: str) -> None:
        self.activity(group, f"{what} EC2 instance: {identity}", at, json.dumps({"Availability Zone": zone}))

    def activity(self, group: str, text: str, at: datetime, details: str = "{}", status: str = "Successful") -> None:
        self.activities.append(
            {
                "ActivityId": f"activity-{len(self.activities)}",
                "AutoScalingGroupName": group,
                "Description": text,
                "Cause": "At some time a user request changed the desired capacity.",
                "StartTime": at - BOOT,
                "EndTime": at,
                "StatusCode": status,
                "Progress": 100,
                "Details": details,
            }
        )

    def database(self, name: str, service: str | None, kind: str = "db.m5.large", **keys: Any) -> None:
        self.databases.append(
            {
                "DBInstanceIdentifier": name,
                "DBInstanceClass": kind,
                "Engine": "postgres",
                "DBInstanceStatus": "available",
                "AvailabilityZone": "us-east-1a",
                "MultiAZ": False,
                "InstanceCreateTime": EPOCH - timedelta(days=300),
                "TagList": tag_list({"service": service} if service else {}),
                **keys,
            }
        )

    # --- what is true ---------------------------------------------------------------------------------------------

    def running(self, at: datetime) -> list[FakeInstance]:
        return [i for i in self.instances.values() if i.runs(at)]

    def truth(self, service: str, at: datetime) -> Counter[Key]:
        return Counter(i.key for i in self.running(at) if i.service == service)

    # --- what is told ---------------------------------------------------------------------------------------------

    def describe_instances(self, call: Call) -> Mapping[str, Any]:
        shown = [
            i
            for i in self.instances.values()
            if i.start - BOOT <= self.now and (i.end is None or i.end > self.now - REMEMBERED)
        ]
        reservations = [{"ReservationId": f"r-{i.id}", "Instances": [self._instance(i)]} for i in shown]
        return page(call, "Reservations", reservations, 1000)

    def _instance(self, one: FakeInstance) -> dict[str, Any]:
        state = "pending" if one.start > self.now else "running" if one.runs(self.now) else "terminated"
        tags = {**one.tags, **({"aws:autoscaling:groupName": one.group} if one.group else {})}
        return {
            "InstanceId": one.id,
            "InstanceType": one.instance_type,
            "LaunchTime": one.start - BOOT,
            "Placement": {"AvailabilityZone": one.zone, "Tenancy": one.tenancy},
            "State": {"Code": 16, "Name": "stopped" if one.stopped else state},
            "Tags": tag_list(tags),
            **({"InstanceLifecycle": "spot"} if one.spot else {}),
        }

    def describe_groups(self, call: Call) -> Mapping[str, Any]:
        there = [g for g in self.groups.values() if g.deleted is None or g.deleted > self.now]
        return page(call, "AutoScalingGroups", [self._group(g) for g in there], 100)

    def _group(self, group: FakeGroup) -> dict[str, Any]:
        members = [i for i in self.running(self.now) if i.group == group.name]
        return {
            "AutoScalingGroupName": group.name,
            "MinSize": group.minimum,
            "MaxSize": group.maximum,
            "DesiredCapacity": len(members),
            "DefaultCooldown": 300,
            "AvailabilityZones": ["us-east-1a", "us-east-1b", "us-east-1c"],
            "HealthCheckType": "EC2",
            "CreatedTime": EPOCH - timedelta(days=400),
            "Instances": [
                {
                    "InstanceId": i.id,
                    "InstanceType": i.instance_type,
                    "AvailabilityZone": i.zone,
                    "LifecycleState": "InService",
                    "HealthStatus": "Healthy",
                    "ProtectedFromScaleIn": False,
                }
                for i in members
            ],
            "Tags": [
                {**t, "ResourceId": group.name, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": True}
                for t in tag_list(group.tags)
            ],
            **group.extra,
        }

    def describe_activities(self, call: Call) -> Mapping[str, Any]:
        bounds = {f["Name"]: f["Values"] for f in call.params.get("Filters") or []}
        if set(bounds) - {"StartTimeLowerBound", "StartTimeUpperBound"}:
            raise AwsError("ValidationError", "Status needs AutoScalingGroupName")
        oldest = self.now - SIX_WEEKS
        if "StartTimeLowerBound" in bounds:
            oldest = max(oldest, datetime.fromisoformat(bounds["StartTimeLowerBound"][0].replace("Z", "+00:00")))
        told = [self._activity(a) for a in self.activities if oldest <= a["StartTime"] <= self.now]
        if not call.params.get("IncludeDeletedGroups"):
            told = [a for a in told if a.get("AutoScalingGroupState") != "Deleted"]
        told.sort(key=lambda a: (a["StatusCode"] != "Successful", a["StartTime"]), reverse=True)
        return page(call, "Activities", told, 100)

    def _activity(self, raw: dict[str, Any]) -> dict[str, Any]:
        known = self.groups.get(raw["AutoScalingGroupName"])
        out = dict(raw)
        if raw["EndTime"] > self.now:
            out |= {"StatusCode": "InProgress", "Progress": 50}
            del out["EndTime"]
        if known is None or (known.deleted is not None and known.deleted <= self.now):
            out["AutoScalingGroupState"] = "Deleted"
        return out

    def describe_templates(self, call: Call) -> Mapping[str, Any]:
        """A template's name says what it launches."""
        kind, _, spot = str(call.params["LaunchTemplateName"]).partition("/")
        data: dict[str, Any] = {"InstanceType": kind}
        if spot:
            data["InstanceMarketOptions"] = {"MarketType": "spot"}
        return {"LaunchTemplateVersions": [{"LaunchTemplateData": data, "VersionNumber": 1}]}

    def list_clusters(self, call: Call) -> Mapping[str, Any]:
        return page(call, "clusters", sorted({c for c, _ in self.node_groups}), 100, "nextToken")

    def list_node_groups(self, call: Call) -> Mapping[str, Any]:
        names = sorted(n for c, n in self.node_groups if c == call.params["clusterName"])
        return page(call, "nodegroups", names, 100, "nextToken")

    def describe_node_group(self, call: Call) -> Mapping[str, Any]:
        cluster, name = call.params["clusterName"], call.params["nodegroupName"]
        tags, groups = self.node_groups[cluster, name]
        owned = {"autoScalingGroups": [{"name": g} for g in groups]}
        return {
            "nodegroup": {
                "nodegroupName": name, "clusterName": cluster, "status": "ACTIVE", "capacityType": "ON_DEMAND",
                "tags": tags, "resources": owned,
            }
        }  # fmt: skip

    def describe_databases(self, call: Call) -> Mapping[str, Any]:
        if not 20 <= int(call.params.get("MaxRecords") or 100) <= 100:
            raise AwsError("InvalidParameterValue", "MaxRecords must be 20 to 100")
        return page(call, "DBInstances", self.databases, 100, "Marker")

    def describe_reservations(self, call: Call) -> Mapping[str, Any]:
        return page(call, "CapacityReservations", self.reservations, 1000)


def reservation(identity: str, owner: str, **keys: Any) -> dict[str, Any]:
    return {
        "CapacityReservationId": identity,
        "OwnerId": owner,
        "InstanceType": "m5.large",
        "InstancePlatform": "Linux/UNIX",
        "AvailabilityZone": "us-east-1a",
        "Tenancy": "default",
        "TotalInstanceCount": 4,
        "AvailableInstanceCount": 1,
        "State": "active",
        "StartDate": EPOCH - timedelta(days=9),
        "CreateDate": EPOCH - timedelta(days=9),
        "EndDateType": "unlimited",
        "InstanceMatchCriteria": "open",
        **keys,
    }


def install(aws: StandIn, worlds: Mapping[tuple[str, str], World] | World) -> None:
    """Answer from ``worlds`` by account and region, or everywhere from one."""

    def at(method: str) -> Handler:
        def answer(call: Call) -> Mapping[str, Any]:
            world = worlds if isinstance(worlds, World) else worlds.get((call.account_id, call.region), World())
            found: Mapping[str, Any] = getattr(world, method)(call)
            return found

        return answer

    for service, operation, method in (
        ("ec2", "DescribeInstances", "describe_instances"),
        ("ec2", "DescribeLaunchTemplateVersions", "describe_templates"),
        ("ec2", "DescribeCapacityReservations", "describe_reservations"),
        ("autoscaling", "DescribeAutoScalingGroups", "describe_groups"),
        ("autoscaling", "DescribeScalingActivities", "describe_activities"),
        ("eks", "ListClusters", "list_clusters"),
        ("eks", "ListNodegroups", "list_node_groups"),
        ("eks", "DescribeNodegroup", "describe_node_group"),
        ("rds", "DescribeDBInstances", "describe_databases"),
    ):
        aws.on(service, operation, at(method))
