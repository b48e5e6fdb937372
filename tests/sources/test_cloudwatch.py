"""CloudWatch through a real boto3 client against a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from capacity.config import CloudWatchSource
from capacity.errors import DataError, UsageError
from capacity.schemas import USAGE, check_frame
from capacity.sources import Batch, Context, ResumableSource, build
from capacity.store import Store, ingest
from tests.sources.fake_cloudwatch import FakeCloudWatch, at, serving

NOW = datetime(2026, 10, 5, 12, 30, tzinfo=UTC)
HOUR = 3600


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Made-up keys from the environment, and no way to this machine's own."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFAKEFAKEFAKEFAKE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up-and-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.fixture
def fake() -> Iterator[FakeCloudWatch]:
    metrics = {
        ("CPUUtilization", "Average"): lambda t: 40 + t % 86_400 / HOUR,
        ("CPUUtilization", "p99"): lambda t: 90.0,
        ("RequestCount", "Sum"): lambda t: 7200.0,
    }
    with serving(FakeCloudWatch(metrics=metrics)) as running:
        yield running


def metric(name: str = "CPUUtilization", stat: str = "Average", **other: Any) -> dict[str, Any]:
    known = {"CPUUtilization": ("cpu_percent", "%"), "RequestCount": ("requests_per_second", "1/s")}
    canonical, unit = known.get(name, (name, "1"))
    return {
        "namespace": "AWS/EC2",
        "metric_name": name,
        "stat": stat,
        "dimensions": {"AutoScalingGroupName": "shop"},
        "service": "shop",
        "metric": canonical,
        "unit": unit,
        **other,
    }


def source(fake: FakeCloudWatch, *metrics: dict[str, Any], **other: Any) -> Any:
    config = {
        "kind": "cloudwatch", "name": "cw", "region": "us-east-1", "account_id": "123456789012",
        "endpoint_url": fake.url, "metrics": list(metrics) or [metric()], "days": 2, **other,
    }  # fmt: skip
    return build(CloudWatchSource.model_validate(config), Context(Path))


def rows(batches: Any) -> pa.Table:
    return pa.concat_tables([b.table for b in batches])


@pytest.mark.parametrize("protocol", ["json", "smithy-rpc-v2-cbor"])
def test_hourly_points_up_to_the_last_whole_period(
    fake: FakeCloudWatch, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """In both of the formats that botocore may choose."""
    monkeypatch.setattr("botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", (protocol,))
    table = rows(source(fake).batches(None, NOW))
    assert table.schema == USAGE.schema
    assert table.num_rows == 48
    times = table["ts"].to_pylist()
    assert times[0] == datetime(2026, 10, 3, 12, tzinfo=UTC)
    assert times[-1] == datetime(2026, 10, 5, 11, tzinfo=UTC)
    assert table["value"].to_pylist()[:3] == [52, 53, 54]
    check_frame("usage", table.to_pandas(), "cloudwatch")


def test_a_percentile_is_asked_for_as_such_and_a_sum_per_second_is_a_rate(fake: FakeCloudWatch) -> None:
    table = rows(
        source(fake, metric(stat="p99"), metric("RequestCount", "Sum", per_second=True)).batches(None, NOW)
    ).to_pandas()
    assert {
        (q["MetricStat"]["Metric"]["MetricName"], q["MetricStat"]["Stat"]) for q in fake.log[0]["MetricDataQueries"]
    } == {
        ("CPUUtilization", "p99"),
        ("RequestCount", "Sum"),
    }
    assert set(table[table.metric == "cpu_percent"].stat) == {"p99"}
    rate = table[table.metric == "requests_per_second"]
    assert set(rate.stat) == {"avg"}
    assert set(rate.value) == {2.0}


def test_pages_of_a_chain_add_up(fake: FakeCloudWatch) -> None:
    fake.page_points = 7
    table = rows(source(fake, metric(), metric(stat="p99")).batches(None, NOW))
    assert fake.calls == 14
    assert table.num_rows == len(set(zip(table["stat"].to_pylist(), table["ts"].to_pylist(), strict=True))) == 96


def test_a_call_stays_within_500_queries_and_100800_points(fake: FakeCloudWatch) -> None:
    fake.page_points = 200_000
    names = [f"M{i}" for i in range(503)]
    fake.metrics |= {(n, "Average"): (lambda t: 1.0 if t % 86_400 == 0 else None) for n in names}
    many = source(fake, *(metric(n, metric=n) for n in names), days=14)
    table = rows(many.batches(None, NOW))
    # 336 hours: of 500 metrics 201 hours fit in a call, so two calls; the other three metrics need one.
    assert [len(r["MetricDataQueries"]) for r in fake.log] == [500, 500, 3]
    assert table.num_rows == 503 * 14


def test_throttled_calls_are_tried_again(fake: FakeCloudWatch) -> None:
    fake.page_points = 10
    fake.throttle_calls = frozenset({3})
    assert rows(source(fake).batches(None, NOW)).num_rows == 48
    assert fake.calls == 6


def test_incremental_from_the_last_point_of_each_metric(fake: FakeCloudWatch, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    first = ingest([source(fake)], store, NOW)
    assert not first.failed
    assert store.last_point("usage", "cw") == datetime(2026, 10, 5, 11, tzinfo=UTC)
    fake.log.clear()
    later = source(fake, metric(), metric("RequestCount", "Sum"))
    report = ingest([later], store, NOW + timedelta(hours=2))
    spans = {r["MetricDataQueries"][0]["MetricStat"]["Metric"]["MetricName"]: at(r["StartTime"]) for r in fake.log}
    assert spans == {
        "CPUUtilization": datetime(2026, 10, 5, 8, tzinfo=UTC).timestamp(),  # the last point less three hours
        "RequestCount": datetime(2026, 10, 3, 14, tzinfo=UTC).timestamp(),  # new: all the days asked for
    }
    assert report.sources[0].rows_changed == 2 + 48
    assert isinstance(later, ResumableSource)
    again = ingest([later], store, NOW + timedelta(hours=2))
    assert again.sources[0].rows_changed == 0
    assert again.versions == report.versions


def test_a_late_point_replaces_the_early_one(fake: FakeCloudWatch, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    ingest([source(fake)], store, NOW)
    fake.metrics[("CPUUtilization", "Average")] = lambda t: 77.0
    report = ingest([source(fake)], store, NOW)
    assert report.sources[0].rows_changed == 4  # the last point and its overlap of three hours
    values = store.read("usage").to_pandas().set_index("ts").value
    assert list(values.tail(4)) == [77.0] * 4
    assert values.iloc[-5] != 77.0


def test_an_internal_error_is_asked_again_and_partial_data_to_the_end_is_a_failure(
    fake: FakeCloudWatch, tmp_path: Path
) -> None:
    fake.statuses = {"CPUUtilization": ["InternalError"], "RequestCount": ["PartialData"] * 3}
    store = Store(tmp_path / "store")
    report = ingest([source(fake, metric(), metric("RequestCount", "Sum"))], store, NOW)
    assert report.failed == ("cw",)
    assert "RequestCount" in report.failures[0]
    assert "did not come whole" in report.failures[0]
    assert set(store.read("usage")["metric"].to_pylist()) == {"cpu_percent"}


def test_a_metric_that_failed_in_an_early_span_is_not_read_in_a_later_one(fake: FakeCloudWatch) -> None:
    """Else its last point would hide the hole."""
    fake.page_points = 200_000
    names = [f"M{i}" for i in range(400)]
    fake.metrics |= {(n, "Average"): (lambda t: 1.0 if t % 86_400 == 0 else None) for n in names}
    fake.statuses = {"M7": ["Forbidden"]}
    batches: list[Batch] = []
    reading = source(fake, *(metric(n, metric=n) for n in names), days=14).batches(None, NOW)
    with pytest.raises(DataError, match=r"M7.*forbidden"):
        batches.extend(reading)
    assert len(batches) == 2
    assert [len(r["MetricDataQueries"]) for r in fake.log] == [400, 399]
    assert "M7" not in rows(batches)["metric"].to_pylist()


def test_what_is_no_longer_kept_is_said(fake: FakeCloudWatch) -> None:
    fake.page_points = 200_000
    batches = list(source(fake, period_seconds=60, days=30).batches(None, NOW))
    assert "no longer kept" in batches[0].notes[0]
    assert rows(batches)["ts"].to_pylist()[0] >= NOW - timedelta(days=15)


def test_throttled_to_the_end(fake: FakeCloudWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capacity.sources._aws._MAX_ATTEMPTS", 1)
    fake.always = "ThrottlingException"
    with pytest.raises(DataError, match="still throttled"):
        list(source(fake).batches(None, NOW))


def test_access_denied_says_what_to_allow_and_tells_no_secret(fake: FakeCloudWatch) -> None:
    fake.always = "AccessDeniedException"
    with pytest.raises(DataError, match="allow cloudwatch:GetMetricData") as caught:
        list(source(fake).batches(None, NOW))
    assert "made-up-and-secret" not in str(caught.value)
    assert "AKIA" not in str(caught.value)
    assert "arn:" not in str(caught.value)


def test_no_credentials(fake: FakeCloudWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(DataError, match="no usable AWS credentials"):
        list(source(fake).batches(None, NOW))


def test_an_unknown_profile(fake: FakeCloudWatch) -> None:
    with pytest.raises(DataError, match="no profile 'nobody'"):
        list(source(fake, profile="nobody").batches(None, NOW))


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ([metric(stat="p42")], "p42"),
        ([metric(stat="avg")], "allowed: Average"),
        ([metric(stat="Maximum", per_second=True)], "ask for Sum"),
        ([metric(), metric(dimensions={"x": "y"})], "same series"),
    ],
)
def test_what_cannot_be_read_is_said_before_any_call(fake: FakeCloudWatch, metrics: list[Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        source(fake, *metrics)
    assert fake.calls == 0


def test_an_endpoint_is_http(fake: FakeCloudWatch) -> None:
    fake.url = "file:///etc/passwd"
    with pytest.raises(UsageError, match="endpoint_url"):
        source(fake)
