"""``capacity catalog refresh`` against the stand-in: the bundled rates come back, all or nothing is written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from capacity import catalogue, cli, pipeline
from capacity import config as configuration
from capacity.pipeline.inputs import _prices
from tests.aws.fake_prices import Prices, from_catalogue, item, term
from tests.aws.standin import MANAGEMENT, StandIn
from tests.company import CONFIG

AS_OF = "2026-07-31T15:20Z"


@pytest.fixture(scope="module")
def market() -> Prices:
    return from_catalogue(catalogue.load(), most_plans=40)


def few(market: Prices, most: int = 150) -> Prices:
    """The first ``most`` products of ``market`` and their types: quicker to serve."""
    products = market.products[:most]
    names = {json.loads(p)["product"]["attributes"]["instanceType"] for p in products}
    return Prices(products, market.plans[:200], market.spot[:200], {n: market.types[n] for n in names})


def config(folder: Path, aws: StandIn, extra: str = "", source: str = "") -> Path:
    ways = f"aws:\n  - {{name: org, regions: [us-east-1], endpoint_url: '{aws.url}'}}\n"
    path = folder / "config.yaml"
    text = CONFIG.replace("version: 1\n", f"version: 1\n{ways}{extra}", 1)
    path.write_text(text.replace("sources:\n", f"sources:\n{source}", 1))
    return path


def refresh(path: Path, *more: str) -> int:
    return cli.run(["catalog", "refresh", "-c", str(path), "--as-of", AS_OF, *more])


def test_a_refresh_gives_the_bundled_rates_back(
    aws: StandIn, market: Prices, tmp_path: Path, quick_retries: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """30 % of the calls are throttled, and every page chain breaks twice."""
    market.serve(aws)
    aws.throttle_frac = 0.3
    for call in ("pricing:GetProducts", "ec2:DescribeInstanceTypes", "ec2:DescribeSpotPriceHistory"):
        aws.breaks[call] = 2
    assert refresh(config(tmp_path, aws), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    folder = tmp_path / "catalogue"
    assert said["folder"] == str(folder)
    made, bundled = catalogue.load(folder), catalogue.load()
    old, new = (c.frame.set_index("instance_type") for c in (bundled, made))
    own = ["on_demand_usd_per_hour", "standard_ri_3y_all_upfront_usd_per_hour", "vcpu", "cores", "memory_gib", "arch",
           "network_gbps", "clock_ghz", "local_ssd_gb", "ipc_scale", "spot_interruption_band"]  # fmt: skip
    pd.testing.assert_frame_equal(new.loc[old.index, own], old[own], check_exact=True)
    assert len(new) == 1395
    assert new.loc[new.index.difference(old.index), "on_demand_usd_per_hour"].isna().all()
    by_product = {p["product"]: p for p in said["changes"]["products"]}
    assert by_product["on_demand"] == {"product": "on_demand", "rates": 1080, "added": 0, "removed": 0, "changed": 0}
    assert by_product["standard_ri_3y_all_upfront"]["changed"] == 0
    assert len(said["changes"]["types_added"]) == 1395 - 1080
    assert said["changes"]["types_removed"] == said["changes"]["largest"] == said["changes"]["facts_changed"] == []
    assert set(by_product) == {
        "on_demand", "standard_ri_3y_all_upfront", "spot", "spot_p90",
        *(f"{plan}_{y}y_{pay}_upfront" for plan in ("compute_sp", "ec2_instance_sp") for y in (1, 3)
          for pay in ("no", "partial", "all")),
    }  # fmt: skip
    assert str(made.about.columns["on_demand_usd_per_hour"].date) == "2026-07-20"
    assert made.about.columns["ipc_scale"] == bundled.about.columns["ipc_scale"]
    assert made.types["p5.48xlarge"].special == "8 × NVIDIA H100"
    assert made.types["m7g.large"] == bundled.types["m7g.large"]


def test_a_second_refresh_says_what_moved_and_the_same_one_changes_nothing(
    aws: StandIn, market: Prices, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    market = few(market)
    market.serve(aws)
    path = config(tmp_path, aws, "catalogue: rates\n")
    assert refresh(path) == 0
    first = catalogue.load(tmp_path / "rates").version
    capsys.readouterr()
    assert refresh(path, "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["version"] == again["previous"] == first
    rate = catalogue.load().prices.set_index(["product", "instance_type"])["rate"]["on_demand", "c5.large"]
    dearer = [term("OD", [("Hrs", f"{Decimal(repr(float(rate))) * 2}")])]
    kept = [p for p in market.products if '"instanceType": "c5.large"' not in p]
    types = {name: facts for name, facts in market.types.items() if name != "c5.xlarge"}
    Prices([*kept, item("c5.large", dearer)], market.plans, market.spot, types).serve(aws)
    assert refresh(path) == 0
    text = capsys.readouterr().out
    assert "0 types new, 1 gone" in text
    assert "gone: c5.xlarge" in text
    assert "c5.large   on_demand    0.085    0.17   +100.0%" in text
    assert "note: 1 types have a rate but are not described, and are left out (e.g. c5.xlarge)" in text
    assert "set in the config" not in text  # it names the folder already
    assert catalogue.load(tmp_path / "rates").version != first


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        (
            "ec2:DescribeSpotPriceHistory",
            "ec2:DescribeSpotPriceHistory: AccessDenied; allow ec2:DescribeSpotPriceHistory",
        ),
        ("ec2:DescribeInstanceTypes", "ec2:DescribeInstanceTypes: AccessDenied"),
    ],
)
def test_nothing_is_replaced_where_anything_failed(
    aws: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str], fails: str, says: str
) -> None:
    small(aws)
    path = config(tmp_path, aws)
    assert refresh(path) == 0
    before = contents(tmp_path / "catalogue")
    small(aws, "0.5")
    aws.denied.add((MANAGEMENT, fails))
    assert refresh(path) == 3
    assert says in capsys.readouterr().err
    assert contents(tmp_path / "catalogue") == before


def test_a_chain_of_pages_that_ends_in_the_middle_is_a_failure(
    aws: StandIn, market: Prices, tmp_path: Path, capsys: pytest.CaptureFixture[str], quick_retries: None
) -> None:
    few(market, 350).serve(aws)
    aws.breaks["pricing:GetProducts"] = 1000
    assert refresh(config(tmp_path, aws)) == 3
    assert "pricing:GetProducts: InternalServerError" in capsys.readouterr().err
    assert not (tmp_path / "catalogue").exists()


def test_a_region_without_rates_is_no_catalogue(
    aws: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small(aws)
    assert refresh(config(tmp_path, aws), "--region", "eu-west-1") == 3
    assert "no on-demand rate in dollars for any type in eu-west-1; name another region" in capsys.readouterr().err


def test_the_way_into_aws_must_be_clear(aws: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refresh(config(tmp_path, aws), "--aws", "other") == 2
    assert "--aws: found 'other'; allowed: one of the entries under 'aws': org" in capsys.readouterr().err
    plain = tmp_path / "plain.yaml"
    plain.write_text(CONFIG)
    assert refresh(plain) == 2
    assert "entries under 'aws': none" in capsys.readouterr().err


def test_another_region_is_not_compared_and_loses_what_is_of_one_region(
    aws: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small(aws, region="eu-west-1")
    path = config(tmp_path, aws, source="  - {kind: aws_prices, name: rates, reads: [on_demand]}\n")
    assert refresh(path, "--region", "eu-west-1", "--out", str(tmp_path / "eu")) == 0
    assert "rates are not compared: the catalogue before is of another region" in capsys.readouterr().out
    made = catalogue.load(tmp_path / "eu")
    assert set(made.prices["region"]) == {"eu-west-1"}
    assert {"spot_saving_percent", "spot_interruption_band"}.isdisjoint(made.frame.columns)
    assert set(aws.calls) == {"pricing:GetProducts", "ec2:DescribeInstanceTypes"}  # the source reads no more
    assert aws.calls["ec2:DescribeInstanceTypes"] == 2  # both regions


def test_an_ingest_fills_the_store_once_and_its_rates_stand_before_the_catalogues(aws: StandIn, tmp_path: Path) -> None:
    small(aws, "0.0777")
    path = config(tmp_path, aws, source="  - {kind: aws_prices, name: rates, reads: [on_demand, spot]}\n")
    whole = configuration.load(path)
    only = whole.model_copy(update={"sources": whole.sources[:1]})
    store = pipeline.open_store(whole)
    now = datetime(2026, 7, 31, 15, 20, tzinfo=UTC)
    first = pipeline.ingest(only, store, now)
    again = pipeline.ingest(only, store, now + timedelta(hours=3))
    assert [(s.rows_read, s.rows_changed, s.failures) for s in (*first.sources, *again.sources)] == [
        (1, 1, ()), (1, 0, ()),
    ]  # fmt: skip
    assert "price list" not in str(first.sources[0].notes)
    assert "spot price history, Linux in us-east-1: no rate is offered" in str(first.sources[0].notes)
    both = _prices(store.read("prices", None).to_pandas(), catalogue.load().prices, now, "USD")
    rates = both[both["product"] == "on_demand"].set_index("instance_type")
    assert rates.loc["m7g.large", ["rate", "source"]].tolist() == [0.0777, "AWS Pricing, GetProducts"]
    assert rates.loc["c5.large", "rate"] == 0.085


def small(aws: StandIn, price: str = "0.0816", region: str = "us-east-1") -> None:
    """A market of one type."""
    known = Prices(products=[item("m7g.large", [term("OD", [("Hrs", price)])], regionCode=region)])
    known.types = {"m7g.large": known.types["m7g.large"]}
    known.serve(aws)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}
