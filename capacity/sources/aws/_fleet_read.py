"""What AWS says of groups, instances, node groups, databases and reservations, as plain objects.

Every function asks one account in one region, over all pages, and raises a :class:`~capacity.errors.DataError` that
names the call where it fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from capacity.sources.aws._access import Access, Place
from capacity.sources.aws._calls import errors_of
from capacity.sources.aws._naming import Resource, tags_of

# The largest pages that the operations give (API references of EC2, Auto Scaling, RDS and EKS).
EC2_PAGE = 1000
PAGE = 100
_GROUP_TAG = "aws:autoscaling:groupName"
# Lifecycles that are not on demand; a capacity block is paid for in advance.
_PURCHASES = {
    "spot": "spot",
    "interruptible-capacity-reservation": "spot",
    "capacity-block": "reserved",
}


@dataclass(frozen=True)
class Instance:
    """An EC2 instance in any state; AWS remembers a terminated one for about an hour."""

    id: str
    zone: str
    instance_type: str
    purchase: str
    running: bool
    launched: datetime
    tags: Mapping[str, str]
    tenancy: str = "default"
    group: str = ""

    @property
    def resource(self) -> Resource:
        return Resource(self.tags.get("Name") or self.id, self.tags)


@dataclass(frozen=True)
class Group:
    """An Auto Scaling group. ``types`` are those that its policy names; ``weighted`` sizes count other than one."""

    name: str
    tags: Mapping[str, str]
    minimum: int
    maximum: int
    members: frozenset[str]
    types: tuple[str, ...] = ()
    weighted: bool = False
    launch_suspended: bool = False
    on_demand_frac: float = 1.0
    template: tuple[str, str] | None = None  # id or name, version
    configuration: str | None = None

    @property
    def resource(self) -> Resource:
        return Resource(self.name, self.tags)


@dataclass(frozen=True)
class NodeGroup:
    """A managed node group of EKS, and the Auto Scaling groups that are it."""

    name: str
    cluster: str
    tags: Mapping[str, str]
    groups: tuple[str, ...]

    @property
    def resource(self) -> Resource:
        return Resource(self.name, self.tags)


@dataclass(frozen=True)
class Database:
    """An RDS instance; a standby in another zone is a second machine."""

    id: str
    instance_class: str
    zones: tuple[str, ...]
    created: datetime
    tags: Mapping[str, str]

    @property
    def resource(self) -> Resource:
        return Resource(self.id, self.tags)


@dataclass(frozen=True)
class Seen:
    """What was found in one account and region."""

    instances: tuple[Instance, ...] = ()
    groups: tuple[Group, ...] = ()
    node_groups: tuple[NodeGroup, ...] = ()
    databases: tuple[Database, ...] = ()
    notes: tuple[str, ...] = field(default=())


def listed(
    access: Access, place: Place, service: str, operation: str, action: str, key: str, size: int | None, **request: Any
) -> list[Any]:
    """All items of a paginated operation; ``operation`` as boto3 spells it, ``action`` as IAM does."""
    client = access.client(service, place.account, place.region)
    config = {} if size is None else {"PageSize": size}
    out: list[Any] = []
    with errors_of(action, access.source, place.label):
        for page in client.get_paginator(operation).paginate(PaginationConfig=config, **request):
            out += page.get(key) or []
    return out


def instances(access: Access, place: Place) -> tuple[Instance, ...]:
    """All EC2 instances (ec2:DescribeInstances)."""
    found = listed(access, place, "ec2", "describe_instances", "ec2:DescribeInstances", "Reservations", EC2_PAGE)
    return tuple(_instance(raw) for reservation in found for raw in reservation.get("Instances") or ())


def _instance(raw: Mapping[str, Any]) -> Instance:
    tags = tags_of(raw.get("Tags"))
    placement = raw.get("Placement") or {}
    return Instance(
        id=str(raw["InstanceId"]),
        zone=str(placement.get("AvailabilityZone") or ""),
        instance_type=str(raw["InstanceType"]),
        purchase=_PURCHASES.get(str(raw.get("InstanceLifecycle") or ""), "on_demand"),
        running=(raw.get("State") or {}).get("Name") == "running",
        launched=raw["LaunchTime"],
        tags=tags,
        tenancy=str(placement.get("Tenancy") or "default"),
        group=tags.get(_GROUP_TAG, ""),
    )


def groups(access: Access, place: Place) -> tuple[Group, ...]:
    """All Auto Scaling groups (autoscaling:DescribeAutoScalingGroups)."""
    found = listed(
        access, place, "autoscaling", "describe_auto_scaling_groups", "autoscaling:DescribeAutoScalingGroups",
        "AutoScalingGroups", PAGE,
    )  # fmt: skip
    return tuple(_group(raw) for raw in found)


def _group(raw: Mapping[str, Any]) -> Group:
    policy = raw.get("MixedInstancesPolicy") or {}
    launch = policy.get("LaunchTemplate") or {}
    overrides = launch.get("Overrides") or []
    distribution = policy.get("InstancesDistribution") or {}
    template = launch.get("LaunchTemplateSpecification") or raw.get("LaunchTemplate") or {}
    named = template.get("LaunchTemplateId") or template.get("LaunchTemplateName")
    suspended = {str(p.get("ProcessName")) for p in raw.get("SuspendedProcesses") or ()}
    percent = distribution.get("OnDemandPercentageAboveBaseCapacity", 100)
    return Group(
        name=str(raw["AutoScalingGroupName"]),
        tags=tags_of(raw.get("Tags")),
        minimum=int(raw["MinSize"]),
        maximum=int(raw["MaxSize"]),
        members=frozenset(str(i["InstanceId"]) for i in raw.get("Instances") or ()),
        types=tuple(dict.fromkeys(str(o["InstanceType"]) for o in overrides if o.get("InstanceType"))),
        weighted=_weighted(raw, overrides),
        launch_suspended="Launch" in suspended,
        on_demand_frac=float(percent) / 100 if policy else 1.0,
        template=(str(named), str(template.get("Version") or "$Default")) if named else None,
        configuration=raw.get("LaunchConfigurationName"),
    )


def _weighted(raw: Mapping[str, Any], overrides: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the group's sizes count something other than instances."""
    weights = {str(o["WeightedCapacity"]) for o in overrides if o.get("WeightedCapacity")}
    return str(raw.get("DesiredCapacityType") or "units") != "units" or bool(weights - {"1"})


def node_groups(access: Access, place: Place) -> tuple[NodeGroup, ...]:
    """All managed node groups of all clusters (eks:ListClusters, ListNodegroups, DescribeNodegroup)."""
    clusters = listed(access, place, "eks", "list_clusters", "eks:ListClusters", "clusters", PAGE)
    out = []
    for cluster in clusters:
        names = listed(
            access, place, "eks", "list_nodegroups", "eks:ListNodegroups", "nodegroups", PAGE, clusterName=cluster
        )
        out += [_node_group(access, place, cluster, name) for name in names]
    return tuple(out)


def _node_group(access: Access, place: Place, cluster: str, name: str) -> NodeGroup:
    client = access.client("eks", place.account, place.region)
    with errors_of("eks:DescribeNodegroup", access.source, place.label):
        raw = client.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"]
    owned = (raw.get("resources") or {}).get("autoScalingGroups") or []
    return NodeGroup(name, cluster, dict(raw.get("tags") or {}), tuple(str(g["name"]) for g in owned))


# States in which an RDS instance is no machine that runs (RDS user guide, DB instance status).
_NOT_RUNNING = frozenset({"creating", "deleting", "failed", "stopped", "stopping", "starting", "restore-error"})
_BROKEN = ("incompatible-", "inaccessible-", "insufficient-")


def databases(access: Access, place: Place) -> tuple[tuple[Database, ...], tuple[str, ...]]:
    """All running RDS instances (rds:DescribeDBInstances), and notes on what has no size."""
    found = listed(access, place, "rds", "describe_db_instances", "rds:DescribeDBInstances", "DBInstances", PAGE)
    running = [raw for raw in found if _db_runs(str(raw.get("DBInstanceStatus") or "available"))]
    sized = [raw for raw in running if raw["DBInstanceClass"] != "db.serverless"]
    notes: tuple[str, ...] = ()
    if len(sized) < len(running):
        notes = (f"{len(running) - len(sized)} serverless database(s) have no fixed size and are left out",)
    return tuple(_database(raw) for raw in sized), notes


def _db_runs(status: str) -> bool:
    return status not in _NOT_RUNNING and not status.startswith(_BROKEN)


def _database(raw: Mapping[str, Any]) -> Database:
    zones = [raw.get("AvailabilityZone"), raw.get("SecondaryAvailabilityZone") if raw.get("MultiAZ") else None]
    return Database(
        id=str(raw["DBInstanceIdentifier"]),
        instance_class=str(raw["DBInstanceClass"]),
        zones=tuple(str(z) for z in zones if z),
        created=raw["InstanceCreateTime"],
        tags=tags_of(raw.get("TagList")),
    )


def template_kinds(access: Access, place: Place, wanted: Iterable[Group]) -> dict[str, tuple[str, str]]:
    """Group name -> type and purchase of its launch template or configuration; a group whose has none is absent."""
    out = {}
    for group in wanted:
        found = _template_kind(access, place, group)
        if found:
            out[group.name] = found
    return out


def _template_kind(access: Access, place: Place, group: Group) -> tuple[str, str] | None:
    if group.template:
        client = access.client("ec2", place.account, place.region)
        name, version = group.template
        key = "LaunchTemplateId" if name.startswith("lt-") else "LaunchTemplateName"
        with errors_of("ec2:DescribeLaunchTemplateVersions", access.source, place.label):
            found = client.describe_launch_template_versions(**{key: name, "Versions": [version]})
        versions = found.get("LaunchTemplateVersions") or [{}]
        data = versions[0].get("LaunchTemplateData") or {}
        market = (data.get("InstanceMarketOptions") or {}).get("MarketType")
        return (str(data["InstanceType"]), _PURCHASES.get(str(market), "on_demand")) if "InstanceType" in data else None
    if group.configuration:
        client = access.client("autoscaling", place.account, place.region)
        with errors_of("autoscaling:DescribeLaunchConfigurations", access.source, place.label):
            found = client.describe_launch_configurations(LaunchConfigurationNames=[group.configuration])
        for raw in found.get("LaunchConfigurations") or ():
            return str(raw["InstanceType"]), "spot" if raw.get("SpotPrice") else "on_demand"
    return None


def activities(access: Access, place: Place, since: datetime) -> list[Mapping[str, Any]]:
    """Scaling activities that began at or after ``since``, of groups that are gone too.

    autoscaling:DescribeScalingActivities over the whole account: one chain of pages, whatever the number of groups.
    A botocore that does not know the filter reads all six weeks.
    """
    operation = access.client("autoscaling", place.account, place.region).meta.service_model.operation_model(
        "DescribeScalingActivities"
    )
    bound = {"Name": "StartTimeLowerBound", "Values": [since.strftime("%Y-%m-%dT%H:%M:%SZ")]}
    request = {"Filters": [bound]} if "Filters" in operation.input_shape.members else {}
    return listed(
        access, place, "autoscaling", "describe_scaling_activities", "autoscaling:DescribeScalingActivities",
        "Activities", PAGE, IncludeDeletedGroups=True, **request,
    )  # fmt: skip


def capacity_reservations(access: Access, place: Place) -> list[Mapping[str, Any]]:
    """On-Demand Capacity Reservations, own and shared (ec2:DescribeCapacityReservations)."""
    return listed(
        access, place, "ec2", "describe_capacity_reservations", "ec2:DescribeCapacityReservations",
        "CapacityReservations", EC2_PAGE,
    )  # fmt: skip
