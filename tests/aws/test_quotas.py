"""Quotas: the limit that applies, what really runs against it, and no figure that nobody told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from capacity import catalogue, optimize
from capacity.config import AwsAccess, QuotaSource
from capacity.errors import DataError
from capacity.schemas import QUOTAS, check_frame
from capacity.sources import Batch, Context
from capacity.sources.aws._fleet_quota_codes import is_vcpu, quota_code
from capacity.sources.aws.quotas import QuotaReader
from capacity.store import Store, ingest
from tests.aws import fake_fleet
from tests.aws.fake_fleet import World, reservation
from tests.aws.fake_quotas import NOW, STANDARD, Limits, install, metric, quota
from tests.aws.standin import MANAGEMENT, StandIn, member

MEMBER = "222222222222"


def reader(aws: StandIn, access: dict[str, Any] | None = None, **keys: Any) -> QuotaReader:
    way = AwsAccess.model_validate({"regions": ["us-east-1"], "endpoint_url": aws.url, **(access or {})})
    config = QuotaSource.model_validate({"kind": "aws_quotas", "name": "quotas", "services": ["ec2"], **keys})
    return QuotaReader(config, Context(Path, (way,)))


def frame(batches: Sequence[Batch]) -> pd.DataFrame:
    rows = pa.concat_tables([QUOTAS.schema.empty_table(), *(b.table for b in batches)]).to_pandas()
    return check_frame("quotas", rows, "test").set_index(["account_id", "region", "code"]).sort_index()


def used(rows: pd.DataFrame) -> dict[str, float]:
    return {str(code): float(n) for (_, _, code), n in rows["used"].items()}


def notes(batches: Sequence[Batch]) -> str:
    return "\n".join(n for b in batches for n in b.notes)


def test_every_type_of_the_catalogue_counts_where_the_optimizer_counts_it() -> None:
    for name in catalogue.load().types:
        ours = quota_code(name, spot=False)
        assert (ours or f"other:{name.split('.')[0]}") == optimize.quota_code(name), name
        assert ours is None or is_vcpu(ours)


def test_vcpu_quotas_count_what_runs_by_family_and_purchase(aws: StandIn) -> None:
    world = World(now=NOW)
    for kind, n, keys in (
        ("m5.xlarge", 3, {}), ("c5.2xlarge", 1, {}), ("m5.xlarge", 2, {"spot": True}), ("g5.2xlarge", 1, {}),
        ("m5.24xlarge", 1, {"tenancy": "host"}), ("m5.24xlarge", 1, {"stopped": True}), ("mac2.metal", 1, {}),
    ):  # fmt: skip
        for _ in range(n):
            world.launch(None, NOW - fake_fleet.REMEMBERED, kind=kind, **keys)
    world.reservations = [
        reservation("cr-1", MANAGEMENT, InstanceType="r5.large", AvailableInstanceCount=5),
        reservation("cr-2", MEMBER, InstanceType="r5.large", AvailableInstanceCount=50),
        reservation("cr-3", MANAGEMENT, InstanceType="r5.large", AvailableInstanceCount=50, State="cancelled"),
    ]
    fake_fleet.install(aws, world)
    codes = ("L-1216C47A", "L-34B43A08", "L-DB2E81BA", "L-417A185B")
    install(
        aws, Limits(defaults=[quota("ec2", c, 5.0) for c in codes], applied=[quota("ec2", codes[0], 640.0, STANDARD)])
    )
    batches = list(reader(aws).batches(None, NOW))
    rows = frame(batches)
    # 3 x 4 + 8 on demand, and 5 x 2 that are reserved and stand empty
    assert used(rows) == {"L-1216C47A": 30.0, "L-34B43A08": 8.0, "L-DB2E81BA": 8.0, "L-417A185B": 0.0}
    assert rows["limit"].to_dict()[MANAGEMENT, "us-east-1", "L-1216C47A"] == 640.0
    assert rows["name"].to_dict()[MANAGEMENT, "us-east-1", "L-1216C47A"] == STANDARD
    assert "no vCPU quota is known for mac2.metal; not counted" in notes(batches)


def test_other_quotas_are_used_as_their_metric_says_or_left_out(aws: StandIn) -> None:
    found = [
        quota("rds", "L-1", 40.0, UsageMetric=metric("DBInstances")),
        quota("rds", "L-2", 20.0),
        quota("rds", "L-3", 9.0, UsageMetric=metric("silent")),
        quota("rds", "L-4", 9.0, UsageMetric=metric("calls"), Period={"PeriodValue": 1, "PeriodUnit": "SECOND"}),
        quota("rds", "L-5", 9.0, UsageMetric=metric("DBInstances"), QuotaAppliedAtLevel="RESOURCE"),
        quota("rds", "L-6", 7.0, UsageMetric=metric("everywhere"), GlobalQuota=True),
        quota("rds", "L-7", 7.0, ErrorReason={"ErrorCode": "DEPENDENCY_SERVICE_ERROR"}),
        quota("eks", "L-1", 100.0, UsageMetric=metric("clusters")),
    ]
    limits = Limits(found, usage={"DBInstances": [12.0, 11.0], "calls": [9.0], "everywhere": [3.0], "clusters": [2.0]})
    install(aws, limits)
    source = reader(aws, {"regions": ["us-east-1", "eu-west-1"]}, services=["rds", "eks"])
    batches = list(source.batches(None, NOW))
    rows = frame(batches)
    assert rows.loc[(MANAGEMENT, "eu-west-1")]["used"].to_dict() == {"rds:L-1": 12.0, "eks:L-1": 2.0}
    assert rows.loc[(MANAGEMENT, "global")]["used"].to_dict() == {"L-6": 3.0}  # once, not once a region
    assert len(rows) == 5
    assert "3 quotas whose usage AWS does not tell are left out" in notes(batches)
    assert aws.calls["ec2:DescribeInstances"] == 0  # no vCPU quota was asked for


@pytest.mark.parametrize(
    ("kind", "on_demand", "spot"),
    [
        ("p3dn.24xlarge", "L-417A185B", "L-7212CCBC"),
        ("p4de.24xlarge", "L-417A185B", "L-7212CCBC"),
        ("p5.48xlarge", "L-417A185B", "L-C4BD4855"),
        ("p5en.48xlarge", "L-417A185B", "L-C4BD4855"),
        ("p6-b200.48xlarge", "L-417A185B", None),
        ("inf2.xlarge", "L-1945791B", "L-B5D1601B"),
        ("u-6tb1.metal", "L-43DA4232", None),
    ],
)
def test_generations_of_p_have_spot_quotas_of_their_own(kind: str, on_demand: str, spot: str | None) -> None:
    assert (quota_code(kind, spot=False), quota_code(kind, spot=True)) == (on_demand, spot)


def test_requests_that_are_not_decided_are_told(aws: StandIn) -> None:
    asked = {
        "ServiceCode": "ec2", "QuotaCode": "L-1216C47A", "QuotaName": STANDARD, "DesiredValue": 1024.0, "Created": NOW,
    }  # fmt: skip
    others = [{**asked, "Status": "APPROVED"}, {**asked, "Status": "PENDING", "ServiceCode": "vpc"}]
    install(aws, Limits(requests=[{**asked, "Status": "CASE_OPENED"}, *others]))
    told = notes(list(reader(aws).batches(None, NOW)))
    assert told == f"L-1216C47A ({STANDARD}): 1024 asked for on 2026-11-24, not decided (CASE_OPENED)"


def test_all_pages_come_under_throttling_and_one_account_fails_alone(
    aws: StandIn, quick_retries: None, tmp_path: Path
) -> None:
    found = [quota("ebs", f"L-{i:08d}", 10.0 + i, UsageMetric=metric(f"r{i}")) for i in range(640)]
    usage = {f"r{i}": [float(i)] for i in range(640)}
    install(aws, Limits(found, found[:130], usage=usage))
    aws.members = [member(MANAGEMENT, "root"), member(MEMBER, "shop")]
    aws.denied = {(MEMBER, "service-quotas:ListServiceQuotas")}
    aws.throttle_frac = 0.3
    for name in ("service-quotas:ListAWSDefaultServiceQuotas", "cloudwatch:GetMetricData"):
        aws.breaks[name] = 1
    store = Store(tmp_path / "store")
    report = ingest([reader(aws, {"organization": {}}, services=["ebs"])], store, NOW)
    rows = store.read("quotas").to_pandas()
    assert len(rows) == 640
    assert (rows["limit"] == rows["used"] + 10.0).all()
    (failed,) = report.sources[0].failures
    assert f"account {MEMBER} (shop) in us-east-1: servicequotas:ListServiceQuotas: AccessDenied" in failed
    assert sum(aws.throttled.values()) > 3
    version = store.versions()["quotas"]
    ingest([reader(aws, {"organization": {}}, services=["ebs"])], store, NOW)
    assert store.versions()["quotas"] == version


def test_a_service_that_is_not_known_is_named(aws: StandIn, quick_retries: None) -> None:
    aws.denied = {(MANAGEMENT, "service-quotas:ListAWSDefaultServiceQuotas")}
    with pytest.raises(DataError, match="allow servicequotas:ListAWSDefaultServiceQuotas"):
        list(reader(aws).batches(None, NOW))
