"""The usual CloudWatch metrics of each kind of resource, the canonical series they become, and how they add up.

Names, units, dimensions and the statistic that means something are those of each service's page "CloudWatch metrics"
in the AWS documentation (EC2, EC2 Auto Scaling, Elastic Load Balancing, RDS, ElastiCache, ECS, Container Insights,
Lambda, SQS, EBS). How several resources of one service are put together is decided here, metric by metric:

``add``
    Sums of counts, and averages of amounts (connections, bytes): the mean of a total is the total of the means.
``max``
    The largest of the largest.
``each``
    Nothing honest can be computed: averages of a ratio, percentiles, maxima of amounts. One series a resource.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from capacity.config import DiscoveredMetric
from capacity.config._cloudwatch import Across, Statistic

_MS = 1000.0


@dataclass(frozen=True)
class Wanted:
    """One canonical series of a kind of resource.

    Attributes
    ----------
    metric_names
        Counts of several names are added (reads and writes).
    per_second
        Divide by the period.
    silent_is_zero
        AWS publishes nothing while there is nothing to count: within an hour that has a point, no point is zero.
    scale
        Factor from CloudWatch's unit to ``unit``.
    by_vcpu
        A per cent of a machine, made vCPU by the number that the machine has.
    """

    namespace: str
    metric_names: tuple[str, ...]
    stat: Statistic
    metric: str
    unit: str
    across: Across
    per_second: bool = False
    silent_is_zero: bool = False
    scale: float = 1.0
    by_vcpu: bool = False


def _rate(namespace: str, names: tuple[str, ...], metric: str, unit: str = "1/s", silent: bool = False) -> Wanted:
    return Wanted(namespace, names, "Sum", metric, unit, "add", per_second=True, silent_is_zero=silent)


def _amount(namespace: str, name: str, metric: str, unit: str = "1") -> tuple[Wanted, Wanted]:
    """Its mean, which adds up, and its largest value, which does not."""
    return (
        Wanted(namespace, (name,), "Average", metric, unit, "add"),
        Wanted(namespace, (name,), "Maximum", metric, unit, "each"),
    )


def _percent(namespace: str, name: str, metric: str) -> tuple[Wanted, Wanted]:
    return (
        Wanted(namespace, (name,), "Average", metric, "%", "each"),
        Wanted(namespace, (name,), "Maximum", metric, "%", "max"),
    )


def _latency(namespace: str, name: str, scale: float) -> tuple[Wanted, ...]:
    stats: tuple[Statistic, ...] = ("p50", "p99")
    return tuple(Wanted(namespace, (name,), s, "latency_ms", "ms", "each", scale=scale) for s in stats)


_MACHINE = (
    *_percent("AWS/EC2", "CPUUtilization", "cpu_percent"),
    _rate("AWS/EC2", ("NetworkIn",), "network_in_bytes_per_second", "By/s"),
    _rate("AWS/EC2", ("NetworkOut",), "network_out_bytes_per_second", "By/s"),
    _rate("AWS/EC2", ("EBSReadOps", "EBSWriteOps"), "iops"),
)

BUNDLED: Mapping[str, tuple[Wanted, ...]] = {
    "ec2": (*_MACHINE, Wanted("AWS/EC2", ("CPUUtilization",), "Average", "busy_vcpu", "vCPU", "add", by_vcpu=True)),
    # By the group: CloudWatch itself puts its instances together, those that are gone too.
    "asg": (
        *_MACHINE,
        Wanted("AWS/AutoScaling", ("GroupInServiceInstances",), "Average", "instances_in_service", "1", "add"),
    ),
    "alb": (
        _rate("AWS/ApplicationELB", ("RequestCount",), "requests_per_second", silent=True),
        _rate("AWS/ApplicationELB", ("HTTPCode_Target_5XX_Count",), "errors_per_second", silent=True),
        _rate("AWS/ApplicationELB", ("NewConnectionCount",), "new_connections_per_second", silent=True),
        *_latency("AWS/ApplicationELB", "TargetResponseTime", _MS),
    ),
    "nlb": (
        *_amount("AWS/NetworkELB", "ActiveFlowCount", "connections"),
        _rate("AWS/NetworkELB", ("NewFlowCount",), "new_connections_per_second", silent=True),
        _rate("AWS/NetworkELB", ("ProcessedBytes",), "processed_bytes_per_second", "By/s", silent=True),
    ),
    "rds": (
        *_percent("AWS/RDS", "CPUUtilization", "cpu_percent"),
        *_amount("AWS/RDS", "DatabaseConnections", "connections"),
        # Already a rate: operations a second, averaged over the minute.
        Wanted("AWS/RDS", ("ReadIOPS", "WriteIOPS"), "Average", "iops", "1/s", "add"),
        Wanted("AWS/RDS", ("FreeStorageSpace",), "Minimum", "disk_free_bytes", "By", "each"),
        Wanted("AWS/RDS", ("FreeableMemory",), "Minimum", "memory_free_bytes", "By", "each"),
    ),
    "elasticache": (
        *_percent("AWS/ElastiCache", "CPUUtilization", "cpu_percent"),
        Wanted("AWS/ElastiCache", ("EngineCPUUtilization",), "Average", "engine_cpu_percent", "%", "each"),
        *_amount("AWS/ElastiCache", "CurrConnections", "connections"),
        *_amount("AWS/ElastiCache", "BytesUsedForCache", "memory_used_bytes", "By"),
        _rate("AWS/ElastiCache", ("GetTypeCmds", "SetTypeCmds"), "requests_per_second"),
    ),
    "ecs": (
        *_percent("AWS/ECS", "CPUUtilization", "cpu_percent"),
        *_percent("AWS/ECS", "MemoryUtilization", "memory_percent"),
        # Only where Container Insights is on.
        Wanted("ECS/ContainerInsights", ("RunningTaskCount",), "Average", "tasks_running", "1", "add"),
    ),
    "eks": (
        *_percent("ContainerInsights", "node_cpu_utilization", "cpu_percent"),
        *_percent("ContainerInsights", "node_memory_utilization", "memory_percent"),
        Wanted("ContainerInsights", ("cluster_node_count",), "Average", "nodes", "1", "add"),
    ),
    "eks_service": (
        *_percent("ContainerInsights", "pod_cpu_utilization", "cpu_percent"),
        *_percent("ContainerInsights", "pod_memory_utilization", "memory_percent"),
        Wanted("ContainerInsights", ("service_number_of_running_pods",), "Average", "pods_running", "1", "add"),
    ),
    "lambda": (
        _rate("AWS/Lambda", ("Invocations",), "requests_per_second", silent=True),
        _rate("AWS/Lambda", ("Throttles",), "throttles_per_second", silent=True),
        Wanted("AWS/Lambda", ("ConcurrentExecutions",), "Maximum", "concurrency", "1", "each"),
        *_latency("AWS/Lambda", "Duration", 1.0),
    ),
    "sqs": (
        *_amount("AWS/SQS", "ApproximateNumberOfMessagesVisible", "queue_depth"),
        _rate("AWS/SQS", ("NumberOfMessagesSent",), "messages_per_second", silent=True),
        Wanted("AWS/SQS", ("ApproximateAgeOfOldestMessage",), "Maximum", "oldest_message_seconds", "s", "max"),
    ),
    "ebs": (
        _rate("AWS/EBS", ("VolumeReadOps", "VolumeWriteOps"), "iops", silent=True),
        _rate("AWS/EBS", ("VolumeReadBytes", "VolumeWriteBytes"), "disk_bytes_per_second", "By/s", silent=True),
        Wanted("AWS/EBS", ("VolumeQueueLength",), "Average", "disk_queue_length", "1", "add"),
    ),
}  # fmt: skip

# The namespaces whose metrics all come once a minute; in others a minute may be too fine, which shows in the answer.
EVERY_MINUTE = frozenset(
    {
        "AWS/ApplicationELB", "AWS/NetworkELB", "AWS/RDS", "AWS/ElastiCache", "AWS/ECS", "ECS/ContainerInsights",
        "ContainerInsights", "AWS/Lambda", "AWS/SQS", "AWS/AutoScaling",
    }
)  # fmt: skip
# What is measured all the time: there a count that does not come is not zero but unknown.
_ALWAYS = frozenset({"AWS/EC2", "AWS/RDS", "AWS/ElastiCache", "AWS/ECS", "ECS/ContainerInsights", "ContainerInsights"})
# Instances without detailed monitoring are measured every five minutes (EC2 user guide, "Manage detailed monitoring").
BASIC_SECONDS, DETAILED_SECONDS = 300, 60


@dataclass(frozen=True)
class Published:
    """How often a metric comes, and whether that is sure (else the answer is looked at)."""

    seconds: int
    sure: bool


def published(namespace: str, told: int | None) -> Published:
    """``told``: what the config or EC2 says of this resource, where it says anything."""
    if namespace == "AWS/EC2":
        seconds = told or BASIC_SECONDS
        return Published(seconds, sure=seconds == BASIC_SECONDS)  # detailed monitoring may be younger than the history
    if namespace in EVERY_MINUTE:
        return Published(told or DETAILED_SECONDS, sure=True)
    return Published(told or DETAILED_SECONDS, sure=told == BASIC_SECONDS)


def silent_is_zero(namespace: str, per_second: bool) -> bool:
    """Whether a count of the config that does not come is zero; code that counts publishes when it has counted."""
    return per_second and namespace not in _ALWAYS


def of_config(metric: DiscoveredMetric, namespace: str) -> Wanted:
    """A metric that the config asks for in place of the usual ones."""
    return Wanted(
        namespace,
        (metric.metric_name,),
        metric.stat,
        metric.metric,
        metric.unit,
        metric.across or ("add" if metric.stat in ("Sum", "SampleCount") else "each"),
        per_second=metric.per_second,
        silent_is_zero=silent_is_zero(namespace, metric.per_second),
    )
