"""An organization from end to end: the command line, every kind of AWS source, a real store; what fails is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capacity import catalogue, cli
from capacity.store import Store
from tests.aws import fake_commitments, fake_fleet, fake_quotas
from tests.aws.cost_explorer_kit import company
from tests.aws.fake_cloudwatch import FakeCloudWatch
from tests.aws.fake_cost_explorer import CostExplorer
from tests.aws.fake_prices import from_catalogue
from tests.aws.standin import MANAGEMENT, StandIn, member, running

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PROD, TEST = "222222222222", "333333333333"
REGIONS = ("us-east-1", "eu-west-1")
SECRET = "not-a-secret-but-must-not-leak"

CONFIG = """\
version: 1
company: Example
store: store
aws:
  - name: company
    regions: [us-east-1, eu-west-1]
    organization: {{role_name: capacity-read}}
    external_id: planner-7
    endpoint_url: {url}
sources:
  - {{kind: cost_explorer, name: ce, accounts: ["{management}"], regions: [us-east-1], months: 2, daily_months: 1,
     cache: cache}}
  - kind: cloudwatch
    name: metrics
    days: 2
    finest_seconds: 300
    metrics:
      - {{namespace: AWS/ApplicationELB, metric_name: RequestCount, stat: Sum, per_second: true,
         dimensions: {{LoadBalancer: app/web/1}}, service: web, metric: requests_per_second, unit: 1/s,
         account_id: "{prod}", region: us-east-1}}
  - {{kind: aws_fleet, name: fleet, naming: {{tags: [service], otherwise: name}}}}
  - {{kind: aws_commitments, name: owned}}
  - {{kind: aws_quotas, name: quotas, services: [ec2]}}
  - {{kind: aws_prices, name: rates, accounts: ["{management}"], regions: [us-east-1], families: [c5],
     reads: [on_demand, savings_plans]}}
tiers: [{{name: critical, service_level: 0.95}}]
services: [{{name: web, tier: critical, regions: [us-east-1]}}]
"""


@pytest.fixture
def organization() -> Iterator[StandIn]:
    """Three accounts with something of everything."""
    with running() as aws:
        aws.external_id = "planner-7"
        aws.members = [member(MANAGEMENT, "root"), member(PROD, "prod"), member(TEST, "test")]
        places = [(a, r) for a in (MANAGEMENT, PROD, TEST) for r in REGIONS]
        fake_fleet.install(aws, {place: _world() for place in places})
        fake_commitments.install(aws, {(PROD, "us-east-1"): fake_commitments.Owned(
            reserved=[fake_commitments.reserved("ri-1")], plans=[fake_commitments.plan("sp-1")])})  # fmt: skip
        code, name = "L-1216C47A", fake_quotas.STANDARD
        limits = fake_quotas.Limits(defaults=[fake_quotas.quota("ec2", code, 256, name)])
        fake_quotas.install(aws, dict.fromkeys(places, limits))
        CostExplorer(NOW.date(), company(end=NOW.date())).attach(aws)
        market = from_catalogue(catalogue.load())
        market.types = {name: about for name, about in market.types.items() if name.startswith(("m5.", "c5."))}
        market.products = [product for product in market.products if '"c5.' in product]
        market.serve(aws)
        metrics = FakeCloudWatch(NOW).on(aws)
        metrics.put(PROD, "us-east-1", "AWS/ApplicationELB", "RequestCount", {"LoadBalancer": "app/web/1"},
                    lambda ticks: np.full(len(ticks), 600.0))  # fmt: skip
        yield aws


def _world() -> fake_fleet.World:
    world = fake_fleet.World(now=NOW)
    world.group("web-asg", "web")
    for zone in ("us-east-1a", "us-east-1b"):
        world.launch("web-asg", NOW - timedelta(days=3), zone)
    return world


@pytest.fixture
def ingest(
    organization: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """``capacity ingest`` as a user calls it: exit code, JSON document and what went to standard error."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    path = tmp_path / "company.yaml"
    path.write_text(CONFIG.format(url=organization.url, management=MANAGEMENT, prod=PROD), encoding="utf-8")

    def run(*, at: datetime = NOW) -> tuple[int, dict[str, Any], str]:
        code = cli.run(["ingest", "-c", str(path), "--as-of", at.isoformat(), "--json"])
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err
        assert "planner-7" not in said.out + said.err
        return code, json.loads(said.out), said.err

    return run


def test_an_organization_comes_whole_through_throttling(
    organization: StandIn, ingest: Any, tmp_path: Path, quick_retries: None
) -> None:
    organization.throttle_frac = 0.3
    code, document, _ = ingest()
    assert code == 0, [s["failures"] for s in document["sources"]]
    assert sum(organization.throttled.values()) > 10
    store = Store(tmp_path / "store")
    rates = store.read("usage")["value"].to_numpy()
    assert len(rates) == 2 * 288
    assert np.allclose(rates, 10)  # 600 a minute
    fleet = store.read("fleet").to_pandas()
    now = fleet[fleet["ts"] == fleet["ts"].max()]
    assert set(zip(now["account_id"], now["region"], strict=True)) == {
        (a, r) for a in (MANAGEMENT, PROD, TEST) for r in REGIONS
    }
    assert now["count"].sum() == 2 * 6
    assert set(store.read("commitments")["id"].to_pylist()) == {"ri-1", "sp-1"}
    assert set(store.read("quotas")["limit"].to_pylist()) == {256.0}
    assert {"on_demand", "compute_sp_1y_no_upfront"} <= set(store.read("prices")["product"].to_pylist())
    assert store.read("cost").num_rows > 100
    assert store.read("provider_forecast").num_rows > 0
    for table in tmp_path.joinpath("store").rglob("*"):
        assert not table.is_file() or SECRET.encode() not in table.read_bytes()


def test_a_second_ingest_of_the_day_asks_cost_explorer_nothing_and_changes_nothing(
    organization: StandIn, ingest: Any, tmp_path: Path
) -> None:
    ingest()
    versions, paid = Store(tmp_path / "store").versions(), organization.bill_usd
    code, _, _ = ingest()
    assert code == 0
    assert organization.bill_usd == paid
    assert Store(tmp_path / "store").versions() == versions


def test_an_account_that_refuses_is_named_the_rest_is_stored_and_the_exit_is_3(
    organization: StandIn, ingest: Any, tmp_path: Path
) -> None:
    organization.denied |= {(TEST, "sts:AssumeRole"), (PROD, "eks:ListClusters")}
    code, document, _ = ingest()
    assert code == 3
    failures = [f for s in document["sources"] for f in s["failures"]]
    for region in REGIONS:
        assert any(f"account {TEST} (test) in {region}: sts:AssumeRole: AccessDenied" in f for f in failures)
        assert any(f"account {PROD} (prod) in {region}: eks:ListClusters: AccessDenied; allow" in f for f in failures)
    store = Store(tmp_path / "store")
    assert set(store.read("quotas")["account_id"].to_pylist()) == {MANAGEMENT, PROD}
    assert set(store.read("commitments")["id"].to_pylist()) == {"ri-1", "sp-1"}
    assert store.read("cost").num_rows > 100


def test_a_forecast_that_is_refused_does_not_keep_the_bill_out(
    organization: StandIn, ingest: Any, tmp_path: Path
) -> None:
    organization.denied.add((MANAGEMENT, "ce:GetCostForecast"))
    code, document, _ = ingest()
    assert code == 3
    assert any("ce:GetCostForecast" in f for s in document["sources"] for f in s["failures"])
    assert Store(tmp_path / "store").read("cost").num_rows > 100
