"""Names and sums of series where a discovery fails, a list is long, or a resource comes beside another."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from capacity.errors import DataError
from capacity.sources import Batch
from capacity.store import Store, ingest
from tests.aws.cloudwatch_kit import (
    NOW,
    REGION,
    constant,
    databases,
    found,
    group,
    read,
    source,
)
from tests.aws.fake_cloudwatch import FakeCloudWatch
from tests.aws.standin import MANAGEMENT, Call, StandIn, page


@pytest.fixture
def fake(aws: StandIn) -> FakeCloudWatch:
    return FakeCloudWatch(NOW).on(aws)


@pytest.mark.parametrize("denied", ["autoscaling:DescribeAutoScalingGroups", "rds:DescribeDBInstances"])
def test_a_discovery_that_fails_gives_no_name_to_another_and_the_next_ingest_catches_up(
    aws: StandIn, fake: FakeCloudWatch, denied: str
) -> None:
    """``cpu_percent`` of web is the group's; a database must not be written under it, nor a part of a sum."""
    group(aws, "web", 1, service="web")
    databases(aws, fake, {"db": {"service": "web"}})
    fake.put(MANAGEMENT, REGION, "AWS/EC2", "CPUUtilization", {"AutoScalingGroupName": "web"}, constant(20), 300)
    fake.put(MANAGEMENT, REGION, "AWS/RDS", "CPUUtilization", {"DBInstanceIdentifier": "db"}, constant(90))
    named = {
        "namespace": "AWS/RDS", "metric_name": "CPUUtilization", "stat": "Average", "service": "named",
        "metric": "cpu_percent", "unit": "%", "dimensions": {"DBInstanceIdentifier": "db"},
    }  # fmt: skip
    reading = source(aws, {"resources": "asg"}, {"resources": "rds"}, metrics=[named])
    aws.denied.add((MANAGEMENT, denied))
    batches: list[Batch] = []
    with pytest.raises(DataError, match=denied):
        batches.extend(reading.batches(None, NOW))
    assert set(pd.concat([b.table.to_pandas() for b in batches]).service) == {"named"}
    assert any("what was found is not read this time" in n for b in batches for n in b.notes)
    aws.denied.clear()
    rows, _ = read(reading)
    mean = rows[rows.stat == "avg"].groupby(["service", "metric"]).value.first().to_dict()
    assert mean == {("web", "cpu_percent"): 20, ("web", "cpu_percent@rds"): 90, ("named", "cpu_percent"): 90}


def test_a_sum_is_not_written_short_where_one_of_its_discoveries_fails(aws: StandIn, fake: FakeCloudWatch) -> None:
    databases(aws, fake, {"one": {"service": "shop", "n": "1"}, "two": {"service": "shop", "n": "2"}})
    for name in ("one", "two"):
        fake.put(MANAGEMENT, REGION, "AWS/RDS", "DatabaseConnections", {"DBInstanceIdentifier": name}, constant(5))
    entries = [{"resources": "rds", "tags": {"n": "1"}}, {"resources": "rds", "tags": {"n": "2"}}]
    aws.denied.add((MANAGEMENT, "sqs:ListQueues"))
    batches: list[Batch] = []
    with pytest.raises(DataError, match="sqs:ListQueues"):
        batches.extend(source(aws, *entries, {"resources": "sqs"}).batches(None, NOW))
    assert sum(b.table.num_rows for b in batches) == 0
    rows, _ = read(source(aws, *entries))
    assert set(rows[(rows.metric == "connections") & (rows.stat == "avg")].value) == {10}


def test_queues_are_found_beyond_the_first_thousand(aws: StandIn, fake: FakeCloudWatch) -> None:
    """As SQS does: no token, and 1,000 queues at most, where no page size is asked for."""
    urls = [f"https://sqs.{REGION}.example/{MANAGEMENT}/q{i:04}" for i in range(2300)]

    def listed(call: Call) -> Mapping[str, Any]:
        if not call.params.get("MaxResults"):
            return {"QueueUrls": urls[:1000]}
        return page(call, "QueueUrls", urls, 1000)

    aws.on("sqs", "ListQueues", listed)
    assert [r.name for r in found(aws, resources="sqs")] == [f"q{i:04}" for i in range(2300)]
    assert aws.calls["sqs:ListQueues"] == 3


def test_a_series_that_goes_on_apart_is_noted_when_it_does(aws: StandIn, fake: FakeCloudWatch, tmp_path: Path) -> None:
    names = {"web-v1": {"service": "web"}}
    store = Store(tmp_path)

    def notes(hours: int) -> list[str]:
        databases(aws, fake, names)
        for name in names:
            where = {"DBInstanceIdentifier": name}
            fake.put(MANAGEMENT, REGION, "AWS/RDS", "CPUUtilization", where, constant(50))
        fake.now = NOW + timedelta(hours=hours)
        report = ingest([source(aws, {"resources": "rds"})], store, fake.now)
        assert not report.failed
        return [n for s in report.sources for n in s.notes if "goes on as" in n]

    assert notes(0) == []
    names["web-v2"] = {"service": "web"}
    cpu = [n for n in notes(1) if "cpu_percent" in n]
    assert cpu == [
        f"names: account {MANAGEMENT} in {REGION}: cpu_percent of web goes on as cpu_percent@web-v1 and "
        "cpu_percent@web-v2: 2 resources, whose values cannot be put together"
    ]
    assert notes(2) == []  # also of the metrics that never come
