"""Resources of one account and region: what is there, by each service's own list, and its tags.

The Resource Groups Tagging API knows no resource that was never tagged and some that are gone; so what exists comes
from the service's list, and only the tags from there. What no service can be found for is counted and named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from capacity.config import CloudWatchDiscovery, ServiceNaming
from capacity.sources.aws._access import Access, Place
from capacity.sources.aws._calls import errors_of
from capacity.sources.aws._namespaces import BASIC_SECONDS, DETAILED_SECONDS
from capacity.sources.aws._naming import Namer

# A page of tag:GetResources (Resource Groups Tagging API reference). Of the others, most have defaults that are their
# largest; sqs:ListQueues gives a token for more than its first 1,000 only where a page size is asked for (its model).
_TAGGED_A_PAGE = 100
_QUEUES_A_PAGE = 1000
_EXAMPLES = 5
Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Resource:
    """Something that CloudWatch has metrics of.

    Attributes
    ----------
    kind
        A key of :data:`capacity.sources.aws._namespaces.BUNDLED`, or ``custom``.
    name
        What the config's name patterns see.
    dimensions
        What names it in CloudWatch.
    vcpu
        Of an instance, where EC2 says it.
    published_seconds
        How often it is measured, where EC2 says it.
    """

    kind: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    dimensions: Dimensions = ()
    vcpu: int | None = None
    published_seconds: int | None = None

    @property
    def identity(self) -> str:
        """Its name in CloudWatch, where no two are alike."""
        return "/".join(value for _, value in self.dimensions)


@dataclass(frozen=True)
class _List:
    """A service's own list of a kind of resource; ``arn`` makes an ARN of an item where the item is none."""

    action: str
    client: str
    operation: str
    key: str
    arn: str | None
    type_filter: str
    prefix: str = ""  # what the resource part of the ARN begins with
    dimensions: tuple[str, ...] = ()
    page_size: int | None = None


_LISTS: Mapping[str, _List] = {
    "alb": _List(
        "elasticloadbalancing:DescribeLoadBalancers", "elbv2", "describe_load_balancers", "LoadBalancers",
        "LoadBalancerArn", "elasticloadbalancing:loadbalancer", "loadbalancer/app/", ("LoadBalancer",),
    ),
    "nlb": _List(
        "elasticloadbalancing:DescribeLoadBalancers", "elbv2", "describe_load_balancers", "LoadBalancers",
        "LoadBalancerArn", "elasticloadbalancing:loadbalancer", "loadbalancer/net/", ("LoadBalancer",),
    ),
    "rds": _List(
        "rds:DescribeDBInstances", "rds", "describe_db_instances", "DBInstances", "DBInstanceArn", "rds:db", "db:",
        ("DBInstanceIdentifier",),
    ),
    "elasticache": _List(
        "elasticache:DescribeCacheClusters", "elasticache", "describe_cache_clusters", "CacheClusters", "ARN",
        "elasticache:cluster", "cluster:", ("CacheClusterId",),
    ),
    "lambda": _List(
        "lambda:ListFunctions", "lambda", "list_functions", "Functions", "FunctionArn", "lambda:function", "function:",
        ("FunctionName",),
    ),
    "sqs": _List("sqs:ListQueues", "sqs", "list_queues", "QueueUrls", None, "sqs", "", ("QueueName",), _QUEUES_A_PAGE),
    "eks": _List("eks:ListClusters", "eks", "list_clusters", "clusters", None, "eks:cluster", "cluster/",
                 ("ClusterName",)),
    "ecs": _List("ecs:ListServices", "ecs", "list_services", "serviceArns", None, "ecs:service", "service/",
                 ("ClusterName", "ServiceName")),
}  # fmt: skip


def discover(access: Access, place: Place, entry: CloudWatchDiscovery) -> list[Resource]:
    """Every resource of the kind that ``entry`` names whose tags match; named or not.

    Raises
    ------
    DataError
        A call failed: then none of the kind is known.
    """
    find = {"ec2": _instances, "asg": _groups, "ebs": _volumes, "custom": _metrics, "eks": _kubernetes}
    found = find.get(entry.resources, _listed)(access, place, entry)
    matching = (r for r in found if r.kind == "eks_service" or _has(r.tags, entry.tags))
    return sorted(matching, key=lambda r: (r.kind, r.name, r.identity))


# --- services ---------------------------------------------------------------------------------------------------


@dataclass
class Unnamed:
    """Resources that no service could be found for."""

    names: list[str] = field(default_factory=list)

    def note(self, kind: str, naming: ServiceNaming) -> str:
        shown = ", ".join(sorted(self.names)[:_EXAMPLES]) + (", ..." if len(self.names) > _EXAMPLES else "")
        return (
            f"{len(self.names):,} {kind} resource(s) left out, because no service is known for them: {shown}; "
            f"tag them ({' or '.join(naming.tags)}) or add patterns under naming.names"
        )


def by_service(resources: Sequence[Resource], namer: Namer) -> tuple[dict[str, list[Resource]], Unnamed]:
    """Resources under the service that each belongs to."""
    named: dict[str, list[Resource]] = {}
    unnamed = Unnamed()
    for resource in resources:
        service = namer.service([resource])
        if service is None:
            unnamed.names.append(resource.name)
        else:
            named.setdefault(service, []).append(resource)
    return named, unnamed


def _has(tags: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(key in tags and re.fullmatch(pattern, tags[key]) for key, pattern in wanted.items())


# --- by ARN: the service's list, and tags -------------------------------------------------------------------------


def _listed(access: Access, place: Place, entry: CloudWatchDiscovery) -> list[Resource]:
    what = _LISTS[entry.resources]
    arns = list(_ecs_services(access, place) if entry.resources == "ecs" else _arns(access, place, what))
    tags = _tags(access, place, what.type_filter)
    out = []
    for arn in dict.fromkeys(arns):
        part = arn.split(":", 5)[5]
        if not part.startswith(what.prefix):
            continue
        name = part.removeprefix("loadbalancer/" if "loadbalancer" in what.prefix else what.prefix)
        out.append(_resource(entry.resources, what, name, tags.get(arn, {})))
    return out


def _resource(kind: str, what: _List, name: str, tags: Mapping[str, str]) -> Resource:
    """ECS names are cluster/service; load balancers app/name/id, of which people know the name."""
    values = name.split("/") if len(what.dimensions) > 1 else [name]
    shown = name.split("/")[1] if kind in ("alb", "nlb") else name
    return Resource(kind, shown, tags, tuple(zip(what.dimensions, values[-len(what.dimensions) :], strict=True)))


def _arns(access: Access, place: Place, what: _List) -> Iterator[str]:
    size = {"PaginationConfig": {"PageSize": what.page_size}} if what.page_size else {}
    for item in _items(access, place, what.action, what.client, what.operation, what.key, **size):
        yield _arn(what, item, place)


def _arn(what: _List, item: Any, place: Place) -> str:
    """Queues are listed by URL (https://host/account/name), EKS clusters by name."""
    if what.arn:
        return str(item[what.arn])
    name = str(item).rsplit("/", 1)[-1] if what.client == "sqs" else f"{what.prefix}{item}"
    return f"arn:{_partition(place.region)}:{what.client}:{place.region}:{place.account.account_id}:{name}"


def _partition(region: str) -> str:
    return next((p for start, p in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")) if region.startswith(start)), "aws")


def _ecs_services(access: Access, place: Place) -> Iterator[str]:
    """Services are listed cluster by cluster; old ARNs lack the cluster, which is put in."""
    for cluster in _items(access, place, "ecs:ListClusters", "ecs", "list_clusters", "clusterArns"):
        request = {"cluster": cluster, "PaginationConfig": {"PageSize": 100}}
        for arn in _items(access, place, "ecs:ListServices", "ecs", "list_services", "serviceArns", **request):
            head, name = str(arn).rsplit("/", 1)
            yield f"{head.split('/')[0]}/{str(cluster).rsplit('/', 1)[-1]}/{name}"


def _tags(access: Access, place: Place, type_filter: str) -> dict[str, dict[str, str]]:
    """Tags by ARN; ECS services with old ARNs (without cluster) cannot carry tags."""
    request = {"ResourceTypeFilters": [type_filter], "PaginationConfig": {"PageSize": _TAGGED_A_PAGE}}
    found = _items(
        access, place, "tag:GetResources", "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList",
        **request,
    )  # fmt: skip
    return {r["ResourceARN"]: _pairs(r.get("Tags", [])) for r in found}


def _pairs(tags: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {str(t["Key"]): str(t.get("Value", "")) for t in tags}


def _items(
    access: Access, place: Place, action: str, service: str, operation: str, key: str, **request: Any
) -> Iterator[Any]:
    """All items of all pages."""
    with errors_of(action, access.source, place.label):
        client = access.client(service, place.account, place.region)
        for page in client.get_paginator(operation).paginate(**request):
            yield from page.get(key, [])


# --- EC2 ----------------------------------------------------------------------------------------------------------


def _groups(access: Access, place: Place, entry: CloudWatchDiscovery) -> list[Resource]:
    """Auto Scaling groups; measured every minute where all of their instances are."""
    return _as_groups(*_scaling(access, place))


def _instances(access: Access, place: Place, entry: CloudWatchDiscovery) -> list[Resource]:
    """Instances on their own, and in place of all others their groups."""
    groups, machines = _scaling(access, place)
    grouped = {str(i["InstanceId"]) for g in groups for i in g.get("Instances", [])}
    alone = [m for m in machines if m["InstanceId"] not in grouped and _group_of(m) is None]
    return [*_as_groups(groups, machines), *(_instance(m) for m in alone if _lives(m))]


def _scaling(access: Access, place: Place) -> tuple[list[Any], list[Any]]:
    action = "autoscaling:DescribeAutoScalingGroups"
    groups = _items(access, place, action, "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups")
    machines = _items(access, place, "ec2:DescribeInstances", "ec2", "describe_instances", "Reservations")
    return list(groups), [m for r in machines for m in r["Instances"]]


def _as_groups(groups: Sequence[Any], machines: Sequence[Any]) -> list[Resource]:
    by_id = {str(m["InstanceId"]): m for m in machines}
    out = []
    for group in groups:
        name = str(group["AutoScalingGroupName"])
        members = [by_id.get(str(i["InstanceId"]), {}) for i in group.get("Instances", [])]
        tags = {**_common_tags(members), **_pairs(group.get("Tags", []))}
        seconds = max((_measured(m) for m in members), default=BASIC_SECONDS)
        out.append(Resource("asg", name, tags, (("AutoScalingGroupName", name),), published_seconds=seconds))
    return out


def _common_tags(members: Sequence[Any]) -> dict[str, str]:
    """What every instance of a group says alike."""
    tags = [_pairs(m.get("Tags", [])).items() for m in members]
    return dict(set(tags[0]).intersection(*tags[1:])) if tags else {}


def _instance(machine: Any) -> Resource:
    tags = _pairs(machine.get("Tags", []))
    cpu = machine.get("CpuOptions") or {}
    vcpu = int(cpu.get("CoreCount", 0)) * int(cpu.get("ThreadsPerCore", 0))
    identity = str(machine["InstanceId"])
    return Resource(
        "ec2", tags.get("Name") or identity, tags, (("InstanceId", identity),), vcpu or None, _measured(machine)
    )


def _measured(machine: Any) -> int:
    state = str(machine.get("Monitoring", {}).get("State", "disabled"))
    return DETAILED_SECONDS if state == "enabled" else BASIC_SECONDS


def _group_of(machine: Any) -> str | None:
    return _pairs(machine.get("Tags", [])).get("aws:autoscaling:groupName")


def _lives(machine: Any) -> bool:
    return str(machine.get("State", {}).get("Name")) not in ("terminated", "pending")


def _volumes(access: Access, place: Place, entry: CloudWatchDiscovery) -> list[Resource]:
    found = _items(access, place, "ec2:DescribeVolumes", "ec2", "describe_volumes", "Volumes")
    return [
        Resource("ebs", str(v["VolumeId"]), _pairs(v.get("Tags", [])), (("VolumeId", str(v["VolumeId"])),))
        for v in found
    ]


# --- what only CloudWatch itself can list ---------------------------------------------------------------------------


def _kubernetes(access: Access, place: Place, entry: CloudWatchDiscovery) -> list[Resource]:
    """Clusters, and the Kubernetes services that Container Insights reports on."""
    clusters = _listed(access, place, entry)
    known = {r.name for r in clusters if _has(r.tags, entry.tags)}
    names = ("ClusterName", "Namespace", "Service")
    found = _metric_dimensions(access, place, "ContainerInsights", "service_number_of_running_pods", names)
    pods = (pairs for pairs in found if pairs[0][1] in known)
    return [*clusters, *(Resource("eks_service", "/".join(v for _, v in p), _named_so(p), p) for p in pods)]


def _metrics(access: Access, place: Place, entry: CloudWatchDiscovery) -> list[Resource]:
    """Whatever has the dimensions that the config names; their values stand in for tags."""
    found: dict[Dimensions, None] = {}
    for name in dict.fromkeys(m.metric_name for m in entry.metrics):
        found.update(
            dict.fromkeys(_metric_dimensions(access, place, str(entry.namespace), name, tuple(entry.dimensions)))
        )
    return [Resource("custom", "/".join(v for _, v in pairs), dict(pairs), pairs) for pairs in found]


def _named_so(pairs: Dimensions) -> dict[str, str]:
    """What Kubernetes calls it, as tags: naming.tags may name ``kubernetes_service``."""
    return {"kubernetes_" + key.lower(): value for key, value in pairs}


def _metric_dimensions(
    access: Access, place: Place, namespace: str, metric: str, names: tuple[str, ...]
) -> Iterator[Dimensions]:
    """The dimensions, in the order of ``names``, of each metric that has exactly these."""
    request = {"Namespace": namespace, "MetricName": metric, "Dimensions": [{"Name": n} for n in names]}
    for item in _items(access, place, "cloudwatch:ListMetrics", "cloudwatch", "list_metrics", "Metrics", **request):
        values = {d["Name"]: d["Value"] for d in item.get("Dimensions", [])}
        if set(values) == set(names):
            yield tuple((n, values[n]) for n in names)
