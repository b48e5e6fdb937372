"""CloudWatch through a real boto3 client, over accounts and regions, into the store and back out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from capacity import cli
from capacity.config import AwsAccess, CloudWatchSource
from capacity.errors import DataError, UsageError
from capacity.schemas import USAGE, check_frame
from capacity.sources import Batch, Context, ResumableSource, build
from capacity.store import Store, ingest
from tests.aws.fake_cloudwatch import FakeCloudWatch, queries_of
from tests.aws.standin import MANAGEMENT, StandIn

NOW = datetime(2026, 10, 5, 12, 30, tzinfo=UTC)
HOUR, DAY = 3600, 86_400
MEMBER = "222222222222"
REGIONS = ["us-east-1", "eu-west-1"]
BALANCER = "app/web/50dc6c495c0c9188"


@pytest.fixture
def fake(aws: StandIn) -> FakeCloudWatch:
    return FakeCloudWatch(NOW).on(aws)


def role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/capacity-read"


def source(aws: StandIn, *metrics: dict[str, Any], access: Mapping[str, Any] | None = None, **keys: Any) -> Any:
    way = {"regions": ["us-east-1"], "endpoint_url": aws.url, **(access or {})}
    config = {"kind": "cloudwatch", "name": "cw", "days": 2, "finest_seconds": 3600, "metrics": list(metrics), **keys}
    context = Context(Path, (AwsAccess.model_validate(way),))
    return build(CloudWatchSource.model_validate(config), context)


def metric(name: str = "CPUUtilization", stat: str = "Average", **other: Any) -> dict[str, Any]:
    known = {"CPUUtilization": ("AWS/RDS", "cpu_percent", "%"), "RequestCount": ("AWS/ApplicationELB", "rps", "1/s")}
    namespace, canonical, unit = known.get(name, ("shop/app", name, "1"))
    return {
        "namespace": namespace, "metric_name": name, "stat": stat, "dimensions": {"Of": "shop"}, "service": "shop",
        "metric": canonical, "unit": unit, **other,
    }  # fmt: skip


def put(
    fake: FakeCloudWatch, name: str, samples: Any, account: str = MANAGEMENT, region: str = "us-east-1", **other: Any
) -> None:
    namespace = metric(name)["namespace"]
    fake.put(account, region, namespace, name, other.pop("dimensions", {"Of": "shop"}), samples, **other)


def constant(value: float) -> Any:
    return lambda ticks: np.full(len(ticks), value)


def skewed(ticks: Any) -> Any:
    """Twenty machines, some of them busy: all statistics differ."""
    return np.stack([np.full(len(ticks), float(v * v)) for v in range(1, 21)], axis=1)


def frame(batches: Iterator[Any]) -> pd.DataFrame:
    tables = [b.table for b in batches]
    assert all(t.schema == USAGE.schema for t in tables)
    return check_frame("usage", pd.concat([t.to_pandas() for t in tables], ignore_index=True), "cloudwatch")


# --- statistics -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["json", "smithy-rpc-v2-cbor"])
def test_whole_hours_up_to_the_last_in_both_wire_formats(
    aws: StandIn, fake: FakeCloudWatch, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.setattr("botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", (protocol, "query", "json"))
    put(fake, "CPUUtilization", lambda ticks: ticks % DAY / HOUR)
    table = frame(source(aws, metric()).batches(None, NOW))
    assert len(table) == 48
    assert table.ts.iloc[0] == pd.Timestamp("2026-10-03T12:00Z")
    assert table.ts.iloc[-1] == pd.Timestamp("2026-10-05T11:00Z")
    assert table.value.iloc[0] == pytest.approx(12 + 59 / 120)  # the mean of the hour's sixty minutes


def test_each_statistic_is_asked_for_as_such(aws: StandIn, fake: FakeCloudWatch) -> None:
    put(fake, "CPUUtilization", skewed)
    stats = ["Average", "Maximum", "Minimum", "p50", "p90", "p99"]
    table = frame(source(aws, *(metric(stat=s) for s in stats)).batches(None, NOW))
    assert {s["Stat"] for _, s in queries_of(fake)} == set(stats)
    hour = np.repeat(np.arange(1.0, 21.0) ** 2, 60)
    expected = {"avg": 143.5, "max": 400.0, "min": 1.0, **{p: np.percentile(hour, int(p[1:])) for p in stats[3:]}}
    assert table.groupby("stat").value.first().to_dict() == pytest.approx(expected)
    assert len(set(expected.values())) == 5  # the 99th is the largest here


def test_a_sum_per_second_is_a_mean_rate_and_silent_minutes_count_as_none(aws: StandIn, fake: FakeCloudWatch) -> None:
    """A load balancer publishes nothing in a minute without requests."""
    busy = lambda ticks: np.where(ticks % HOUR < 600, 120.0, np.nan)  # noqa: E731 - ten minutes of each hour
    put(fake, "RequestCount", busy)
    wanted = metric("RequestCount", "Sum", per_second=True)
    table = frame(source(aws, wanted, finest_seconds=60, days=1).batches(None, NOW))
    assert set(table.stat) == {"avg"}
    assert len(table) == 24 * 60
    hourly = table.groupby(table.ts.dt.floor("h")).value.mean()
    assert hourly.to_numpy() == pytest.approx(1200 / 3600)
    assert table.value.max() == 2.0


# --- periods --------------------------------------------------------------------------------------------------------


def test_the_period_follows_the_age_and_no_hour_has_two(aws: StandIn, fake: FakeCloudWatch) -> None:
    put(fake, "CPUUtilization", lambda ticks: ticks % DAY / HOUR)
    table = frame(source(aws, metric(), finest_seconds=60, days=80).batches(None, NOW))
    assert table.period_seconds.value_counts().to_dict() == {
        60: (15 * 24 - 2) * 60, 300: 48 * 24 * 12, 3600: 17 * 24 + 2,
    }  # fmt: skip
    by_hour = table.groupby(table.ts.dt.floor("h")).period_seconds
    assert len(by_hour) == 80 * 24
    assert (by_hour.nunique() == 1).all()
    assert (by_hour.size() == 3600 / by_hour.first()).all()  # and each is whole


def test_an_instance_without_detailed_monitoring_falls_to_five_minutes(aws: StandIn, fake: FakeCloudWatch) -> None:
    """Known for AWS/EC2; elsewhere the answer shows it, and the hours are asked for again."""
    fake.put(MANAGEMENT, "us-east-1", "AWS/EC2", "NetworkIn", {"Of": "shop"}, constant(3000.0), seconds=300)
    put(fake, "Jobs", constant(3000.0), seconds=300)
    put(fake, "Fine", constant(600.0))
    wanted = [
        metric("NetworkIn", "Sum", per_second=True, namespace="AWS/EC2"),
        metric("Jobs", "Sum", per_second=True),
        metric("Fine", "Sum", per_second=True),
    ]
    batches = list(source(aws, *wanted, finest_seconds=60).batches(None, NOW))
    table = frame(iter(batches))
    assert table.groupby("metric").period_seconds.unique().map(list).to_dict() == {
        "NetworkIn": [300], "Jobs": [300], "Fine": [60],
    }  # fmt: skip
    assert set(table.value) == {10.0}  # never 3000/60, five times too much
    assert any("asked for at 300 s" in n and "Jobs" in n for b in batches for n in b.notes)
    assert ("NetworkIn", 60) not in {(s["Metric"]["MetricName"], s["Period"]) for _, s in queries_of(fake)}


def test_monitoring_that_was_switched_on_half_way(aws: StandIn, fake: FakeCloudWatch) -> None:
    switched = int(NOW.timestamp()) // HOUR * HOUR - 20 * HOUR
    put(fake, "Jobs", lambda ticks: np.where((ticks < switched) & (ticks % 300 > 0), np.nan, 5.0))
    table = frame(source(aws, metric("Jobs"), finest_seconds=60).batches(None, NOW))
    before = table.ts < pd.Timestamp(switched, unit="s", tz="UTC")
    assert set(table[before].period_seconds) == {300}
    assert set(table[~before].period_seconds) == {60}
    assert len(table) == 28 * 12 + 20 * 60


@pytest.mark.parametrize("period", [300, 1800, 6 * HOUR, DAY])
def test_one_period_for_everything_where_the_config_fixes_it(aws: StandIn, fake: FakeCloudWatch, period: int) -> None:
    put(fake, "CPUUtilization", constant(5.0))
    table = frame(source(aws, metric(), period_seconds=period, days=3).batches(None, NOW))
    assert set(table.period_seconds) == {period}
    assert len(table) == 3 * DAY // period


# --- accounts and regions -------------------------------------------------------------------------------------------


def everywhere(fake: FakeCloudWatch, metrics: int = 3) -> list[dict[str, Any]]:
    """The same service in two accounts and two regions, told apart by the values."""
    for a, account in enumerate((MANAGEMENT, MEMBER)):
        for r, region in enumerate(REGIONS):
            for m in range(metrics):
                put(fake, f"M{m}", constant(100.0 * a + 10 * r + m), account, region)
    return [{"account_id": MANAGEMENT}, {"account_id": MEMBER, "role_arn": role(MEMBER)}]


def in_each(*metrics: dict[str, Any]) -> list[dict[str, Any]]:
    return [m | {"account_id": a, "region": r} for m in metrics for a in (MANAGEMENT, MEMBER) for r in REGIONS]


def test_two_accounts_and_regions_with_throttling_and_a_break_in_the_page_chain(
    aws: StandIn, fake: FakeCloudWatch, quick_retries: None, tmp_path: Path
) -> None:
    accounts = everywhere(fake)
    wanted = in_each(*(metric(f"M{m}") for m in range(3)))
    fake.page_points = 37  # 144 points a place: four pages
    aws.throttle_frac, aws.breaks["cloudwatch:GetMetricData"] = 0.3, 2
    reading = source(aws, *wanted, access={"accounts": accounts, "regions": REGIONS})
    store = Store(tmp_path / "store")
    report = ingest([reading], store, NOW)
    assert not report.failed
    assert aws.throttled["cloudwatch:GetMetricData"] > 0
    assert aws.breaks["cloudwatch:GetMetricData"] == 0
    table = store.read("usage").to_pandas()
    assert len(table) == 4 * 3 * 48
    for (account, region, name), rows in table.groupby(["account_id", "region", "metric"]):
        assert set(rows.value) == {100 * (account == MEMBER) + 10 * (region == "eu-west-1") + int(name[1])}
    # Pages are calls too: 3 metrics, 4 pages, 4 places.
    assert any("48 metrics requested in 16 calls: about $0.0005" in n for n in report.sources[0].notes)


def test_an_account_that_is_denied_leaves_the_others_whole_and_catches_up_later(
    aws: StandIn, fake: FakeCloudWatch, quick_retries: None, tmp_path: Path
) -> None:
    accounts = everywhere(fake)
    wanted = in_each(metric("M0"))
    access = {"accounts": accounts, "regions": REGIONS}
    aws.denied.add((MEMBER, "cloudwatch:GetMetricData"))
    store = Store(tmp_path / "store")
    report = ingest([source(aws, *wanted, access=access)], store, NOW)
    assert report.failed == ("cw",)  # exit 3
    lines = sorted(line for text in report.failures for line in text.splitlines())
    assert len(lines) == 2
    for line, region in zip(lines, sorted(REGIONS), strict=True):
        assert f"account {MEMBER} in {region}: cloudwatch:GetMetricData: AccessDenied" in line
        assert "allow cloudwatch:GetMetricData" in line
    assert "arn:" not in str(report.failures)
    assert Counter(store.read("usage")["account_id"].to_pylist()) == {MANAGEMENT: 2 * 48}

    aws.denied.clear()
    fake.asked.clear()
    fake.now = NOW + timedelta(hours=2)
    again = ingest([source(aws, *wanted, access=access)], store, fake.now)
    assert not again.failed
    starts = {(r["account"], r["region"]): _time(r["StartTime"]) for r in fake.asked}
    assert starts == {
        **{(MANAGEMENT, r): datetime(2026, 10, 5, 9, tzinfo=UTC) for r in REGIONS},  # the overlap of three hours
        **{(MEMBER, r): datetime(2026, 10, 3, 14, tzinfo=UTC) for r in REGIONS},  # all of it: no hole
    }
    assert Counter(store.read("usage")["account_id"].to_pylist()) == {MANAGEMENT: 2 * 50, MEMBER: 2 * 48}


def test_a_denied_account_makes_the_command_exit_3_and_is_named(
    aws: StandIn, fake: FakeCloudWatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts = everywhere(fake)
    aws.denied.add((MEMBER, "cloudwatch:GetMetricData"))
    document = {
        "version": 1, "company": "Example", "store": "store", "tiers": [{"name": "standard"}],
        "services": [{"name": "shop", "tier": "standard", "regions": ["us-east-1"]}],
        "aws": [{"name": "prod", "regions": ["us-east-1"], "endpoint_url": aws.url, "accounts": accounts}],
        "sources": [
            {"kind": "cloudwatch", "name": "cw", "days": 2, "metrics": [
                metric("M0", account_id=account) for account in (MANAGEMENT, MEMBER)
            ]}
        ],
    }  # fmt: skip
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert cli.run(["ingest", "-c", str(path), "--as-of", "2026-10-05T12:30:00Z"]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert f"account {MEMBER} in us-east-1: cloudwatch:GetMetricData: AccessDenied; allow cloudwatch:" in said
    assert "metrics requested in" in said
    assert set(Store(tmp_path / "store").read("usage")["account_id"].to_pylist()) == {MANAGEMENT}
    aws.denied.clear()
    assert cli.run(["ingest", "-c", str(path), "--as-of", "2026-10-05T12:30:00Z"]) == 0


def test_a_metric_must_say_where_it_is_when_there_are_several_places(aws: StandIn, fake: FakeCloudWatch) -> None:
    with pytest.raises(UsageError, match=r"metric M0 of shop: region is missing; the source has us-east-1, eu-west-1"):
        list(source(aws, metric("M0"), access={"regions": REGIONS}).batches(None, NOW))
    with pytest.raises(UsageError, match=f"accounts {MEMBER} are not reached"):
        list(source(aws, metric("M0", account_id=MEMBER)).batches(None, NOW))
    assert not fake.asked


# --- again and again ------------------------------------------------------------------------------------------------


def _time(value: Any) -> datetime:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)


def test_a_second_run_asks_only_for_the_overlap(aws: StandIn, fake: FakeCloudWatch, tmp_path: Path) -> None:
    put(fake, "CPUUtilization", constant(1.0))
    put(fake, "RequestCount", constant(2.0))
    store = Store(tmp_path / "store")
    assert not ingest([source(aws, metric())], store, NOW).failed
    fake.asked.clear()
    later = source(aws, metric(), metric("RequestCount", "Sum"))
    assert isinstance(later, ResumableSource)
    report = ingest([later], store, NOW)
    spans = {s["Metric"]["MetricName"]: _time(r["StartTime"]) for r, s in queries_of(fake)}
    assert spans == {
        "CPUUtilization": datetime(2026, 10, 5, 9, tzinfo=UTC),
        "RequestCount": datetime(2026, 10, 3, 12, tzinfo=UTC),  # new: all the days that the config asks for
    }
    assert report.sources[0].rows_changed == 48
    again = ingest([later], store, NOW)
    assert again.sources[0].rows_changed == 0
    assert again.versions == report.versions


def test_a_late_point_replaces_the_early_one_and_no_other(aws: StandIn, fake: FakeCloudWatch, tmp_path: Path) -> None:
    put(fake, "CPUUtilization", constant(5.0))
    store = Store(tmp_path / "store")
    ingest([source(aws, metric())], store, NOW)
    put(fake, "CPUUtilization", constant(77.0))
    assert ingest([source(aws, metric())], store, NOW).sources[0].rows_changed == 3
    values = store.read("usage").to_pandas().set_index("ts").value
    assert list(values.tail(4)) == [5.0, 77.0, 77.0, 77.0]


def test_after_a_pause_the_store_has_each_hour_at_one_period(
    aws: StandIn, fake: FakeCloudWatch, tmp_path: Path
) -> None:
    put(fake, "CPUUtilization", constant(5.0))
    store = Store(tmp_path / "store")
    for pause in (timedelta(), timedelta(hours=7), timedelta(days=20), timedelta(days=1), timedelta(minutes=5)):
        fake.now += pause
        assert not ingest([source(aws, metric(), finest_seconds=60, days=20)], store, fake.now).failed
    table = store.read("usage").to_pandas()
    by_hour = table.groupby(table.ts.dt.floor("h")).period_seconds
    assert (by_hour.nunique() == 1).all()
    assert (by_hour.size() == 3600 / by_hour.first()).all()
    assert len(by_hour) == (20 + 20 + 1) * 24 + 7
    assert set(table.period_seconds) == {60, 300}


def test_resume_knows_the_last_point_whatever_the_place(aws: StandIn, fake: FakeCloudWatch) -> None:
    put(fake, "CPUUtilization", constant(5.0))
    last = {("shop", "cpu_percent", "avg", 3600): datetime(2026, 10, 5, 10, tzinfo=UTC)}
    table = frame(source(aws, metric()).resume(last, NOW))
    assert [t.hour for t in table.ts] == [8, 9, 10, 11]
    since = frame(source(aws, metric()).batches(datetime(2026, 10, 5, 10, tzinfo=UTC), NOW))
    assert [t.hour for t in since.ts] == [7, 8, 9, 10, 11]


# --- what fails -----------------------------------------------------------------------------------------------------


def test_incomplete_answers_are_asked_again_and_then_are_a_failure(
    aws: StandIn, fake: FakeCloudWatch, tmp_path: Path
) -> None:
    put(fake, "M0", constant(1.0))
    put(fake, "M1", constant(1.0))
    fake.statuses = {"M0": ["InternalError"], "M1": ["PartialData"] * 3}
    store = Store(tmp_path / "store")
    report = ingest([source(aws, metric("M0"), metric("M1"))], store, NOW)
    assert report.failed == ("cw",)
    assert f"account {MANAGEMENT} in us-east-1: shop M1 avg: shop/app/M1 Average (Of=shop): did not" in str(
        report.failures
    )
    assert set(store.read("usage")["metric"].to_pylist()) == {"M0"}
    assert len(store.read("usage")) == 48


def test_what_failed_in_an_early_stretch_is_not_read_in_a_later_one(aws: StandIn, fake: FakeCloudWatch) -> None:
    """Else its last point would hide the hole."""
    for name in ("M0", "M1"):
        fake.put(MANAGEMENT, "us-east-1", "AWS/SQS", name, {"Of": "shop"}, constant(1.0))
    fake.statuses = {"M1": ["Forbidden"]}
    wanted = [metric(n, namespace="AWS/SQS") for n in ("M0", "M1")]
    batches: list[Batch] = []
    reading = source(aws, *wanted, finest_seconds=60, days=20).batches(None, NOW)
    with pytest.raises(DataError, match=r"M1.*forbidden; allow cloudwatch:GetMetricData for it"):
        batches.extend(reading)
    assert [sorted(q["MetricStat"]["Metric"]["MetricName"] for q in r["MetricDataQueries"]) for r in fake.asked] == [
        ["M0", "M1"], ["M0"],
    ]  # fmt: skip
    assert set(frame(iter(batches)).metric) == {"M0"}


def test_throttled_to_the_end(
    aws: StandIn, fake: FakeCloudWatch, quick_retries: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capacity.sources.aws._access.MAX_ATTEMPTS", 2)
    aws.throttle_frac = 1.0
    with pytest.raises(DataError, match="still throttled"):
        list(source(aws, metric()).batches(None, NOW))


def test_what_is_no_longer_kept_and_what_has_no_point_is_said(aws: StandIn, fake: FakeCloudWatch) -> None:
    batches = list(source(aws, metric(), period_seconds=60, days=30).batches(None, NOW))
    said = [n for b in batches for n in b.notes]
    assert "of 1 series, points before 2026-09-20T14:00Z are no longer kept" in said
    assert any("1 of 1 series have no point: shop cpu_percent avg" in n for n in said)


def test_one_name_for_two_metrics_is_refused_before_any_call(aws: StandIn, fake: FakeCloudWatch) -> None:
    with pytest.raises(UsageError, match="two metrics become the same series shop, cpu_percent, avg"):
        source(aws, metric(), metric(dimensions={"x": "y"}))
    assert not aws.log


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"metrics": [metric(stat="p42")]}, "p99"),
        ({"metrics": [metric(stat="Maximum", per_second=True)]}, "ask for Sum"),
        ({"metrics": [metric()], "period_seconds": 420}, "whole hours that divide a day"),
        ({"metrics": []}, "give metrics or discover"),
        ({"discover": [{"resources": "custom", "namespace": "x"}]}, "custom needs"),
        ({"discover": [{"resources": "alb", "namespace": "x"}]}, "are for custom"),
        ({"discover": [{"resources": "alb", "tags": {"env": "("}}]}, "not a regular expression"),
        (
            {"discover": [{"resources": "alb", "metrics": [
                {"metric_name": "M", "stat": "p99", "metric": "m", "unit": "1", "across": "max"}]}]},
            "allowed: each",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_by_the_config(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CloudWatchSource.model_validate({"kind": "cloudwatch", "name": "cw", **keys})
