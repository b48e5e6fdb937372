"""What is owned: what it costs an hour, what it covers, when it ends, and that a plan takes it so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from capacity.config import AwsAccess, CommitmentSource
from capacity.errors import DataError
from capacity.pipeline.inputs import _commitments, committed_rates
from capacity.schemas import COMMITMENTS, check_frame
from capacity.sources import Batch, Context
from capacity.sources.aws.commitments import CommitmentReader
from capacity.store import Store, ingest
from tests.aws.fake_commitments import NOW, YEAR, Owned, install, plan, reserved, reserved_cache, reserved_database
from tests.aws.standin import MANAGEMENT, StandIn, member

MEMBER, OTHER = "222222222222", "333333333333"
HERE = (MANAGEMENT, "us-east-1")
HIDDEN = "4b2293b4-5813-4cc8-9ce3-1957fc1dcfc8"


def reader(aws: StandIn, access: dict[str, Any] | None = None, **keys: Any) -> CommitmentReader:
    way = AwsAccess.model_validate({"regions": ["us-east-1"], "endpoint_url": aws.url, **(access or {})})
    config = CommitmentSource.model_validate({"kind": "aws_commitments", "name": "owned", **keys})
    return CommitmentReader(config, Context(Path, (way,)))


def frame(batches: Sequence[Batch]) -> pd.DataFrame:
    rows = pa.concat_tables([COMMITMENTS.schema.empty_table(), *(b.table for b in batches)]).to_pandas()
    return check_frame("commitments", rows, "test").set_index("id", drop=False).sort_index()


def notes(batches: Sequence[Batch]) -> str:
    return "\n".join(n for b in batches for n in b.notes)


def test_every_kind_has_its_word_its_scope_and_its_price_an_hour(aws: StandIn) -> None:
    install(
        aws,
        {
            HERE: Owned(
                [
                    reserved("ri-1", FixedPrice=876.0, RecurringCharges=[{"Amount": 0.108, "Frequency": "Hourly"}]),
                    reserved("ri-2", OfferingClass="convertible", Scope="Availability Zone"),
                    reserved("ri-3", ProductDescription="Windows (Amazon VPC)", InstanceTenancy="dedicated"),
                ],
                [reserved_database("db-1")],
                [reserved_cache("cache-1")],
                [
                    plan("sp-1"),
                    plan("sp-2", "EC2Instance", ec2InstanceFamily="m5", region="eu-west-1",
                         paymentOption="All Upfront", termDurationInSeconds=int(3 * YEAR.total_seconds())),
                    plan("sp-3", "SageMaker"),
                    plan("sp-4", "Database"),
                ],
            )
        },
    )  # fmt: skip
    batches = list(reader(aws).batches(None, NOW))
    rows = frame(batches)
    database, cache = "arn:aws:rds:us-east-1:111111111111:ri:db-1", next(i for i in rows.index if "cache-1" in i)
    assert {i: (r["product"], r["scope"], r["region"]) for i, r in rows.iterrows()} == {
        "ri-1": ("standard_ri", "m5.large", "us-east-1"),
        "ri-2": ("convertible_ri", "m5.large", "us-east-1"),
        "ri-3": ("standard_ri_windows_dedicated", "m5.large", "us-east-1"),
        database: ("rds_ri", "db.r5.large postgresql, Multi-AZ", "us-east-1"),
        cache: ("elasticache_ri", "cache.r6g.large redis", "us-east-1"),
        "sp-1": ("compute_sp_1y_no_upfront", "", ""),
        "sp-2": ("ec2_instance_sp_3y_all_upfront", "m5", "eu-west-1"),
        "sp-3": ("sagemaker_sp_1y_no_upfront", "", ""),
        "sp-4": ("database_sp_1y_no_upfront", "", ""),
    }
    assert rows.loc["ri-1", "hourly_usd"] == pytest.approx(10 * (876 / 8760 + 0.108))
    assert rows.loc[database, "hourly_usd"] == pytest.approx(2 * (0.1 + 0.05))
    assert rows.loc[cache, "hourly_usd"] == pytest.approx(0.3)
    assert rows.loc["sp-1", "hourly_usd"] == 12.5
    assert set(rows["sharing"]) == {"organization"}
    for text in (
        "hold in one zone only",
        "cover other sizes",
        "not for Linux",
        "for SageMaker",
        "for Database",
        "rds_ri",
    ):
        assert text in notes(batches)


def test_a_plan_takes_the_rows_as_they_are_meant(aws: StandIn) -> None:
    owned = Owned(
        [
            reserved("ri-1"),
            reserved("ri-2", OfferingClass="convertible", InstanceType="c5.xlarge"),
            reserved("ri-3", ProductDescription="Windows"),
        ],
        [reserved_database("db-1")],
        [],
        [
            plan("sp-1"),
            plan("sp-2", "EC2Instance", ec2InstanceFamily="m5", region="us-east-1"),
            plan("sp-3", "SageMaker"),
        ],
    )
    install(aws, {HERE: owned})
    rows = frame(list(reader(aws, sharing="account").batches(None, NOW))).reset_index(drop=True)
    commitments = _commitments(rows)
    assert {c.id: (c.product, c.scope, c.count) for c in commitments} == {
        "ri-1": ("standard_ri", "m5.large", 10),
        "ri-2": ("standard_ri", "c5.xlarge", 10),
        "sp-1": ("compute_sp", "", 1),
        "sp-2": ("ec2_instance_sp", "m5", 1),
    }
    assert {c.account_id for c in commitments} == {MANAGEMENT}
    scales = {
        "on_demand": 1.0,
        "compute_sp_1y_all_upfront": 0.6,
        "compute_sp_1y_no_upfront": 0.75,
        "ec2_instance_sp_1y_no_upfront": 0.65,
    }
    rates_usd = {"m5.large": 0.1, "c5.xlarge": 0.2}
    card = pd.DataFrame(
        [(kind, product, rate * scale) for kind, rate in rates_usd.items() for product, scale in scales.items()],
        columns=["instance_type", "product", "rate"],
    ).assign(region="us-east-1", os="Linux", tenancy="Shared", currency="USD", source="list", as_of=pd.Timestamp(NOW))
    words = dict(zip(rows["id"], rows["product"], strict=True))
    rates = committed_rates(commitments, card, words)
    assert rates == {"ri-1": 0.0, "ri-2": 0.0, "sp-1": pytest.approx(0.75), "sp-2": pytest.approx(0.65)}
    # A rate of another payment is not taken in its place.
    other = card[card["product"] != "compute_sp_1y_no_upfront"]
    assert "sp-1" not in committed_rates(commitments, other, words)


def test_what_is_not_in_dollars_or_not_begun_is_told_and_left_out(aws: StandIn) -> None:
    install(aws, {HERE: Owned([reserved("ri-cny", CurrencyCode="CNY")], [], [], [plan("sp-new", start="", end="")])})
    batches = list(reader(aws).batches(None, NOW))
    assert frame(batches).empty
    assert "1 commitment(s) are not in USD and are left out (ri-cny)" in notes(batches)
    assert "1 Savings Plan(s) have no start yet" in notes(batches)


def test_one_that_is_to_begin_is_there_and_one_that_is_over_is_not(aws: StandIn) -> None:
    later = NOW + timedelta(days=30)
    owned = [
        reserved("queued", Start=later, State="queued"),
        reserved("old", Start=NOW - 2 * YEAR, State="retired"),
        reserved("sold", State="retired"),
        reserved("failed", State="payment-failed"),
    ]
    install(aws, {HERE: Owned(owned)})
    rows = frame(list(reader(aws).batches(None, NOW)))
    assert list(rows.index) == ["queued"]
    assert rows.loc["queued", "start"] == pd.Timestamp(later)


def test_what_ends_early_ends_in_the_store_once(aws: StandIn, tmp_path: Path) -> None:
    own = Owned([reserved("exchanged"), reserved("kept")], [], [], [plan("returned"), plan(HIDDEN)])
    install(aws, {HERE: own})
    store, source = Store(tmp_path / "store"), reader(aws)
    ingest([source], store, NOW)
    version = store.versions()["commitments"]
    ingest([source], store, NOW + timedelta(hours=3))
    assert store.versions()["commitments"] == version
    own.reserved[0]["State"] = "retired"
    own.plans[0]["state"] = "returned"
    own.plans.pop()
    later = NOW + timedelta(days=2)
    report = ingest([source], store, later)
    for days in (0, 1, 5):  # the end stays where it was first seen
        ingest([source], store, later + timedelta(days=days))
        ends = store.read("commitments").to_pandas().set_index("id")["end"]
        over = pd.Timestamp(later)
        assert {i for i in ends.index if ends[i] == over} == {"exchanged", "returned", HIDDEN}
        assert ends["kept"] > over
    assert "ended before their term (exchanged)" in "\n".join(report.sources[0].notes)


@pytest.mark.parametrize("told", [True, False])
def test_one_cancelled_before_it_begins_counts_nothing_and_is_told_once(
    aws: StandIn, tmp_path: Path, told: bool
) -> None:
    own = Owned([], [], [], [plan(HIDDEN, start="2026-12-01T00:00:00Z", end="2029-12-01T00:00:00Z", state="queued")])
    install(aws, {HERE: own})
    store, source = Store(tmp_path / "store"), reader(aws)
    ingest([source], store, NOW)
    assert store.read("commitments").to_pandas()["hourly_usd"].tolist() == [12.5]
    own.plans[0]["state"] = "queued-deleted"
    own.plans = own.plans if told else []
    reports = [ingest([source], store, NOW + timedelta(days=d)) for d in (1, 2, 30)]
    row = store.read("commitments").to_pandas().iloc[0]
    assert (row["id"], row["count"], row["hourly_usd"]) == (HIDDEN, 0, 0.0)
    assert row["end"] == row["start"] == pd.Timestamp(NOW + timedelta(days=1))
    assert ["before their term" in "".join(r.sources[0].notes) for r in reports] == [True, False, False]


def test_commitments_of_another_source_are_never_ended(aws: StandIn) -> None:
    install(aws, {HERE: Owned([reserved(HIDDEN)], [reserved_database("db-1")], [reserved_cache("c-1")])})
    rows = frame(list(reader(aws).batches(None, NOW))).reset_index(drop=True)
    planned = rows.assign(id=["planned-1", "planned-2", "planned-3"])
    held = pa.Table.from_pandas(
        pd.concat([rows, planned], ignore_index=True), schema=COMMITMENTS.schema, preserve_index=False
    )
    install(aws, {})
    later = NOW + timedelta(days=1)
    after = frame(list(reader(aws).proceed(lambda name, filters: held, later)))
    assert set(after.index) == set(rows["id"])
    assert set(after["end"]) == {pd.Timestamp(later)}


def test_plans_are_read_once_an_account_and_all_pages_under_throttling(aws: StandIn, quick_retries: None) -> None:
    owned = {
        (a, r): Owned(
            [reserved(f"ri-{a[0]}-{r}-{i}") for i in range(3)],
            [reserved_database(f"{a[0]}{r}{i}", ReservedDBInstanceArn=f"{a}{r}{i}") for i in range(130)],
        )
        for a in (MANAGEMENT, MEMBER)
        for r in ("us-east-1", "eu-west-1")
    }
    owned[MEMBER, "eu-west-1"].plans = [plan(f"sp-{i:04d}") for i in range(1100)]
    install(aws, owned)
    aws.members = [member(MANAGEMENT, "root"), member(MEMBER, "shop")]
    aws.throttle_frac = 0.3
    aws.breaks["savingsplans:DescribeSavingsPlans"] = 1
    access = {"organization": {}, "regions": ["us-east-1", "eu-west-1"]}
    rows = frame(list(reader(aws, access).batches(None, NOW)))
    assert rows.groupby("product").size().to_dict() == {
        "compute_sp_1y_no_upfront": 1100, "rds_ri": 4 * 130, "standard_ri": 12,
    }  # fmt: skip
    assert rows.index.is_unique
    assert aws.calls["savingsplans:DescribeSavingsPlans"] == 3
    assert sum(aws.throttled.values()) > 3


def test_one_account_that_fails_is_named_and_keeps_its_stored_rows(aws: StandIn, quick_retries: None) -> None:
    owned = {(a, "us-east-1"): Owned([reserved(f"ri-{a[0]}")]) for a in (MANAGEMENT, MEMBER, OTHER)}
    install(aws, owned)
    aws.members = [member(a, f"team {a[0]}") for a, _ in owned]
    source = reader(aws, {"organization": {}}, reads=["reserved_instances"])
    before = frame(list(source.batches(None, NOW)))
    held = pa.Table.from_pandas(before, schema=COMMITMENTS.schema, preserve_index=False)
    aws.denied = {(OTHER, "ec2:DescribeReservedInstances")}
    batches: list[Batch] = []
    failed = rf"account {OTHER} \(team 3\) in us-east-1: ec2:DescribeReservedInstances"
    with pytest.raises(DataError, match=failed) as e:
        batches.extend(source.proceed(lambda name, filters: held, NOW + timedelta(days=1)))
    assert len(str(e.value).splitlines()) == 1
    assert list(frame(batches).index) == ["ri-1", "ri-2"]
    assert (frame(batches)["end"] > pd.Timestamp(NOW + timedelta(days=2))).all()
