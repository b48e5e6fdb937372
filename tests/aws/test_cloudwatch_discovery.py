"""What is found, under which service, and how several resources become one series: through a real client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from capacity.config import CloudWatchDiscovery
from capacity.errors import DataError
from capacity.sources import Batch
from capacity.sources.aws._discovery import Resource
from capacity.sources.aws._namespaces import BUNDLED
from capacity.sources.aws._naming import Namer
from tests.aws.cloudwatch_kit import (
    HOUR,
    IMAGE,
    MEMBER,
    NOW,
    REGION,
    arn,
    balancers,
    constant,
    databases,
    found,
    group,
    read,
    source,
)
from tests.aws.fake_cloudwatch import FakeCloudWatch, queries_of
from tests.aws.standin import MANAGEMENT, Call, StandIn, page


@pytest.fixture
def fake(aws: StandIn) -> FakeCloudWatch:
    return FakeCloudWatch(NOW).on(aws)


# --- what is there --------------------------------------------------------------------------------------------------


def test_resources_and_tags_over_many_pages_with_throttling_and_a_break(
    aws: StandIn, fake: FakeCloudWatch, quick_retries: None
) -> None:
    databases(aws, fake, {f"db-{i:03}": {"service": f"s{i % 7}"} for i in range(250)})
    aws.throttle_frac, aws.breaks["resourcegroupstaggingapi:GetResources"] = 0.3, 1
    resources = found(aws, resources="rds")
    assert [r.name for r in resources] == [f"db-{i:03}" for i in range(250)]
    assert all(r.tags == {"service": f"s{int(r.name[3:]) % 7}"} for r in resources)
    assert aws.calls["rds:DescribeDBInstances"] == aws.calls["resourcegroupstaggingapi:GetResources"] == 3


def test_what_cannot_be_named_is_counted_with_examples_also_what_was_never_tagged(
    aws: StandIn, fake: FakeCloudWatch
) -> None:
    """The Tagging API does not know the latter; the service's own list does. What is gone is in neither."""
    tags: dict[str, Mapping[str, str] | None] = {"shop-db": {"service": "shop"}, "old-1": {}, "web-db": None}
    tags |= {f"x{i}": None for i in range(7)}
    databases(aws, fake, tags)
    fake.tags[MANAGEMENT, REGION][arn("rds", "db:gone")] = {"service": "shop"}
    fake.put(MANAGEMENT, REGION, "AWS/RDS", "DatabaseConnections", {"DBInstanceIdentifier": "shop-db"}, constant(7))
    fake.put(MANAGEMENT, REGION, "AWS/RDS", "DatabaseConnections", {"DBInstanceIdentifier": "web-db"}, constant(9))
    entry = {"resources": "rds", "naming": {"tags": ["team", "service"], "names": {"web-.*": "web"}}}
    rows, notes = read(source(aws, entry))
    assert (
        "8 rds resource(s) left out, because no service is known for them: old-1, x0, x1, x2, x3, ...; "
        "tag them (team or service) or add patterns under naming.names" in notes
    )
    average = rows[(rows.metric == "connections") & (rows.stat == "avg")]
    assert average.groupby("service").value.first().to_dict() == {"shop": 7, "web": 9}
    assert not any("gone" in str(s) for _, s in queries_of(fake))


@pytest.mark.parametrize(
    ("tags", "name", "service"),
    [
        ({"b": "second", "a": "first"}, "x", "first"),
        ({"b": "second", "a": ""}, "web-1", "second"),
        ({}, "web-1", "web"),
        ({}, "my-web-1", None),
    ],
)
def test_naming_first_tag_then_first_pattern_of_the_whole_name(
    tags: dict[str, str], name: str, service: str | None
) -> None:
    entry = CloudWatchDiscovery.model_validate(
        {"resources": "rds", "naming": {"tags": ["a", "b"], "names": {"web-.*": "web", "w.*": "other"}}}
    )
    assert Namer(entry.naming, "x").service([Resource("rds", name, tags)]) == service
    by_name = entry.naming.model_copy(update={"otherwise": "name"})
    assert Namer(by_name, "x").service([Resource("rds", name, tags)]) == (service or name)


def test_tags_pick_resources_by_their_whole_value(aws: StandIn, fake: FakeCloudWatch) -> None:
    databases(aws, fake, {"a": {"env": "prod"}, "b": {"env": "preprod"}, "c": {"env": "prod-eu"}, "d": None})
    assert [r.name for r in found(aws, resources="rds", tags={"env": "prod(-eu)?"})] == ["a", "c"]


def test_each_kind_is_found_with_the_dimensions_of_its_metrics(aws: StandIn, fake: FakeCloudWatch) -> None:
    """Seeded in moto; volumes and queues too."""
    made = balancers(aws, fake, front="web")
    aws.client("sqs").create_queue(QueueName="orders")
    fake.tags[MANAGEMENT, REGION][arn("sqs", "orders")] = {"service": "shop"}
    volume = aws.client("ec2").create_volume(
        AvailabilityZone="us-east-1a", Size=1,
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "service", "Value": "db"}]}],
    )["VolumeId"]  # fmt: skip
    aws.client("ecs").create_cluster(clusterName="main")
    aws.client("ecs").register_task_definition(
        family="t", containerDefinitions=[{"name": "c", "image": "i", "memory": 128}]
    )
    aws.client("ecs").create_service(cluster="main", serviceName="api", taskDefinition="t", desiredCount=0)
    fake.tags[MANAGEMENT, REGION][arn("ecs", "service/main/api")] = {"service": "api"}
    aws.client("elasticache").create_cache_cluster(
        CacheClusterId="sess", Engine="redis", NumCacheNodes=1, CacheNodeType="cache.t3.micro"
    )
    fake.tags[MANAGEMENT, REGION][arn("elasticache", "cluster:sess")] = {"service": "cache"}
    functions = [{"FunctionName": "resize", "FunctionArn": arn("lambda", "function:resize")}]
    aws.on("lambda", "ListFunctions", lambda call: page(call, "Functions", functions, 50, "Marker", "NextMarker"))
    fake.tags[MANAGEMENT, REGION][functions[0]["FunctionArn"]] = {"service": "images"}
    expected = {
        "alb": ("front", (("LoadBalancer", made["front"]),), "web"),
        "sqs": ("orders", (("QueueName", "orders"),), "shop"),
        "ebs": (volume, (("VolumeId", volume),), "db"),
        "ecs": ("main/api", (("ClusterName", "main"), ("ServiceName", "api")), "api"),
        "elasticache": ("sess", (("CacheClusterId", "sess"),), "cache"),
        "lambda": ("resize", (("FunctionName", "resize"),), "images"),
    }
    for kind, (name, dimensions, service) in expected.items():
        (resource,) = found(aws, resources=kind, tags={"service": ".*"})
        assert (resource.name, resource.dimensions, resource.tags["service"]) == (name, dimensions, service), kind
        assert BUNDLED[kind]
    assert found(aws, resources="nlb") == []


def test_kubernetes_services_come_from_container_insights(aws: StandIn, fake: FakeCloudWatch) -> None:
    aws.on("eks", "ListClusters", lambda call: page(call, "clusters", ["prod", "test"], 100, "nextToken"))
    fake.tags[MANAGEMENT, REGION] = {arn("eks", "cluster/prod"): {"env": "prod", "service": "platform"}}
    for cluster in ("prod", "test"):
        for service in ("cart", "pay"):
            where = {"ClusterName": cluster, "Namespace": "shop", "Service": service}
            fake.put(MANAGEMENT, REGION, "ContainerInsights", "service_number_of_running_pods", where, constant(3))
            fake.put(MANAGEMENT, REGION, "ContainerInsights", "pod_cpu_utilization", where, constant(40))
    fake.put(MANAGEMENT, REGION, "ContainerInsights", "cluster_node_count", {"ClusterName": "prod"}, constant(12))
    rows, _ = read(
        source(
            aws,
            {"resources": "eks", "tags": {"env": "prod"}, "naming": {"tags": ["service", "kubernetes_service"]}},
        )
    )
    values = rows[rows.stat == "avg"].groupby(["service", "metric"]).value.first().to_dict()
    assert values == {
        ("cart", "cpu_percent"): 40, ("cart", "pods_running"): 3, ("pay", "cpu_percent"): 40,
        ("pay", "pods_running"): 3, ("platform", "nodes"): 12,
    }  # fmt: skip


def test_custom_namespaces_list_their_metrics_and_silent_ones_are_hidden_after_two_weeks(
    aws: StandIn, fake: FakeCloudWatch
) -> None:
    for i in range(1100):  # more than two pages of 500
        where = {"service": f"s{i}", "shard": "1"}
        fake.put(MANAGEMENT, REGION, "shop/app", "Depth", where, constant(i))
    fake.put(MANAGEMENT, REGION, "shop/app", "Depth", {"service": "s1"}, constant(-1))  # other dimensions
    silent = int(NOW.timestamp()) - 15 * 24 * HOUR
    fake.put(MANAGEMENT, REGION, "shop/app", "Depth", {"service": "old", "shard": "1"}, constant(-2), until=silent)
    asked = {"metric_name": "Depth", "stat": "Average", "metric": "queue_depth", "unit": "1", "across": "add"}
    entry = {
        "resources": "custom", "namespace": "shop/app", "dimensions": ["service", "shard"], "metrics": [asked],
    }  # fmt: skip
    rows, _ = read(source(aws, entry, days=1, period_seconds=6 * HOUR))
    assert aws.calls["cloudwatch:ListMetrics"] == 3
    assert rows.groupby("service").value.first().to_dict() == {f"s{i}": i for i in range(1100)}


# --- Auto Scaling groups --------------------------------------------------------------------------------------------


def test_instances_of_a_group_are_asked_for_as_the_group(aws: StandIn, fake: FakeCloudWatch) -> None:
    """CloudWatch itself averages over its instances, those that are gone too; a lone instance stands for itself."""
    group(aws, "web", 3, service="web")
    lone = aws.client("ec2").run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1, InstanceType="m5.xlarge")
    identity = lone["Instances"][0]["InstanceId"]
    aws.client("ec2").create_tags(Resources=[identity], Tags=[{"Key": "service", "Value": "batch"}])
    shape = {"AutoScalingGroupName": "web"}
    machines = lambda ticks: np.tile([10.0, 20.0, 60.0], (len(ticks), 1))  # noqa: E731 - of the three instances
    fake.put(MANAGEMENT, REGION, "AWS/EC2", "CPUUtilization", shape, machines, seconds=300)
    fake.put(MANAGEMENT, REGION, "AWS/EC2", "CPUUtilization", {"InstanceId": identity}, constant(50), seconds=300)
    rows, _ = read(source(aws, {"resources": "ec2"}, finest_seconds=60))
    cpu = rows[rows.metric == "cpu_percent"].groupby(["service", "stat"]).value.first().to_dict()
    assert cpu == {("web", "avg"): 30, ("web", "max"): 60, ("batch", "avg"): 50, ("batch", "max"): 50}
    asked = {d["Value"] for _, s in queries_of(fake) for d in s["Metric"]["Dimensions"]}
    assert asked == {"web", identity}
    assert {s["Period"] for _, s in queries_of(fake) if s["Metric"]["Namespace"] == "AWS/EC2"} == {300}
    assert set(rows.period_seconds) == {300}


def test_a_group_is_read_by_the_minute_where_all_of_its_instances_are_monitored_so(aws: StandIn) -> None:
    """Monitoring is a matter of each instance, over pages of both lists."""
    states = {"fast": ["enabled"] * 3, "mixed": ["enabled", "disabled"], "empty": [], "slow": ["disabled"]}
    groups = [
        {
            "AutoScalingGroupName": name,
            "Instances": [{"InstanceId": f"i-{name}-{k}"} for k in range(len(of))],
            "Tags": [],
        }
        for name, of in states.items()
    ]
    machines = [
        {
            "Instances": [
                {
                    "InstanceId": f"i-{name}-{k}", "Monitoring": {"State": state},
                    "Tags": [{"Key": "service", "Value": name}, {"Key": "Name", "Value": f"{name}-{k}"}],
                }
            ]
        }
        for name, of in states.items() for k, state in enumerate(of)
    ]  # fmt: skip
    aws.on("autoscaling", "DescribeAutoScalingGroups", lambda call: page(call, "AutoScalingGroups", groups, 3))
    aws.on("ec2", "DescribeInstances", lambda call: page(call, "Reservations", machines, 2))
    resources = found(aws, resources="asg")
    # A group without tags is known by those that all of its instances carry.
    assert [r.tags.get("service") for r in resources] == [None, "fast", "mixed", "slow"]
    assert all("Name" not in r.tags for r in resources if r.name in ("fast", "mixed"))
    seconds = {r.name: r.published_seconds for r in resources}
    assert seconds == {"fast": 60, "mixed": 300, "empty": 300, "slow": 300}
    assert aws.calls["ec2:DescribeInstances"] == 3


def test_busy_vcpu_of_lone_instances_adds_up(aws: StandIn, fake: FakeCloudWatch) -> None:
    """CPU per cent of each, times its own vCPU; their averages are never averaged."""
    machines = [("i-1", 2, 2, 50.0), ("i-2", 8, 2, 10.0)]
    instances = [
        {
            "InstanceId": i, "CpuOptions": {"CoreCount": cores, "ThreadsPerCore": threads},
            "Tags": [{"Key": "service", "Value": "batch"}], "State": {"Name": "running"},
            "Monitoring": {"State": "disabled"},
        }
        for i, cores, threads, _ in machines
    ]  # fmt: skip
    aws.on("ec2", "DescribeInstances", lambda call: {"Reservations": [{"Instances": instances}]})
    for i, _, _, percent in machines:
        fake.put(MANAGEMENT, REGION, "AWS/EC2", "CPUUtilization", {"InstanceId": i}, constant(percent), seconds=300)
    rows, _ = read(source(aws, {"resources": "ec2"}))
    values = rows.groupby(["metric", "stat"]).value.first().to_dict()
    assert values == {
        ("busy_vcpu", "avg"): pytest.approx(4 * 0.5 + 16 * 0.1), ("cpu_percent", "max"): 50,
        ("cpu_percent@i-1", "avg"): 50, ("cpu_percent@i-2", "avg"): 10,
    }  # fmt: skip
    cpu = Counter(s["Stat"] for _, s in queries_of(fake) if s["Metric"]["MetricName"] == "CPUUtilization")
    assert cpu == {"Average": 2, "Maximum": 2}  # what two series need is asked for once


# --- several resources of one service -------------------------------------------------------------------------------


def test_sums_are_added_and_percentiles_stay_apart(aws: StandIn, fake: FakeCloudWatch) -> None:
    made = balancers(aws, fake, blue="web", green="web")
    for name, rate, seconds in (("blue", 600.0, 0.2), ("green", 60.0, 1.5)):
        where = {"LoadBalancer": made[name]}
        fake.put(MANAGEMENT, REGION, "AWS/ApplicationELB", "RequestCount", where, constant(rate))
        fake.put(MANAGEMENT, REGION, "AWS/ApplicationELB", "TargetResponseTime", where, constant(seconds))
    rows, _ = read(source(aws, {"resources": "alb"}))
    values = rows.groupby(["metric", "stat"]).value.first().to_dict()
    assert values == {
        ("requests_per_second", "avg"): pytest.approx(11.0),
        **{(f"latency_ms@{made['blue']}", s): pytest.approx(200.0) for s in ("p50", "p99")},
        **{(f"latency_ms@{made['green']}", s): pytest.approx(1500.0) for s in ("p50", "p99")},
    }
    assert set(rows.service) == {"web"}
    stats = {(s["Metric"]["MetricName"], s["Stat"]) for _, s in queries_of(fake)}
    assert {("TargetResponseTime", "p50"), ("TargetResponseTime", "p99"), ("RequestCount", "Sum")} <= stats
    assert ("TargetResponseTime", "Average") not in stats


def test_two_discoveries_of_a_kind_are_one_and_another_kind_is_told_apart(aws: StandIn, fake: FakeCloudWatch) -> None:
    databases(aws, fake, {"one": {"service": "shop", "n": "1"}, "two": {"service": "shop", "n": "2"}})
    fake.tags[MANAGEMENT, REGION][arn("sqs", "orders")] = {"service": "shop"}
    aws.client("sqs").create_queue(QueueName="orders")
    for name, value in (("one", 5.0), ("two", 7.0)):
        where = {"DBInstanceIdentifier": name}
        fake.put(MANAGEMENT, REGION, "AWS/RDS", "DatabaseConnections", where, constant(value))
    fake.put(MANAGEMENT, REGION, "AWS/SQS", "InFlight", {"QueueName": "orders"}, constant(3.0))
    asked = {"metric_name": "InFlight", "stat": "Average", "metric": "connections", "unit": "1"}
    rows, notes = read(
        source(
            aws,
            {"resources": "rds", "tags": {"n": "1"}}, {"resources": "rds", "tags": {"n": "[12]"}},
            {"resources": "sqs", "metrics": [asked]},
        )
    )  # fmt: skip
    values = rows[rows.stat == "avg"].groupby("metric").value.first().to_dict()
    assert values["connections"] == 12  # each database once
    assert values["connections@sqs"] == 3
    assert "shop has connections avg from something listed before; that of sqs is connections@sqs" in notes


def test_where_one_of_several_resources_is_silent_it_is_said(aws: StandIn, fake: FakeCloudWatch) -> None:
    databases(aws, fake, {"one": {"service": "shop"}, "two": {"service": "shop"}})
    stop = int(NOW.timestamp()) // HOUR * HOUR - 5 * HOUR
    for name, until in (("one", None), ("two", stop)):
        where = {"DBInstanceIdentifier": name}
        fake.put(MANAGEMENT, REGION, "AWS/RDS", "DatabaseConnections", where, constant(5), until=until)
    rows, notes = read(source(aws, {"resources": "rds"}))
    values = rows[(rows.metric == "connections") & (rows.stat == "avg")].sort_values("ts").value.tolist()
    assert values == [10.0] * 19 + [5.0] * 5
    assert any("not every resource has a point" in n and "shop connections avg" in n for n in notes)


# --- what fails -----------------------------------------------------------------------------------------------------


def test_an_account_where_resources_may_not_be_listed_leaves_the_others(aws: StandIn, fake: FakeCloudWatch) -> None:
    def listed(call: Call) -> Mapping[str, Any]:
        name = "db"
        return page(
            call, "DBInstances", [{"DBInstanceArn": arn("rds", f"db:{name}", call.account_id)}], 100, "Marker"
        )  # fmt: skip

    aws.on("rds", "DescribeDBInstances", listed)
    for account in (MANAGEMENT, MEMBER):
        fake.tags[account, REGION] = {arn("rds", "db:db", account): {"service": "shop"}}
        where = {"DBInstanceIdentifier": "db"}
        fake.put(account, REGION, "AWS/RDS", "DatabaseConnections", where, constant(5))
    aws.denied.add((MEMBER, "resourcegroupstaggingapi:GetResources"))
    accounts = [{"account_id": MANAGEMENT}, {"account_id": MEMBER, "role_arn": f"arn:aws:iam::{MEMBER}:role/r"}]
    batches: list[Batch] = []
    reading = source(aws, {"resources": "rds"}, access={"accounts": accounts}).batches(None, NOW)
    with pytest.raises(DataError) as caught:
        batches.extend(reading)
    assert str(caught.value) == (
        f"source 'cw': account {MEMBER} in {REGION}: tag:GetResources: AccessDenied; "
        "allow tag:GetResources for the role or user that runs this"
    )
    rows = pd.concat([b.table.to_pandas() for b in batches])
    assert set(rows.account_id) == {MANAGEMENT}
    assert len(rows) == 2 * 24  # the mean and the largest
