"""The review of commitments, waste and carbon through a whole plan of the small company, with AWS's own advice."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from capacity import config, pipeline, plan, store
from capacity.errors import MissingDataError
from capacity.pipeline.finops.carbon import past_carbon
from capacity.pipeline.finops.ground import Past
from capacity.pipeline.inputs import read_inputs, with_config
from capacity.pipeline.money import nothing
from capacity.plan import Plan
from tests import company
from tests.aws.cost_explorer_kit import company as ledger
from tests.aws.cost_explorer_kit import source
from tests.aws.fake_cost_explorer import CostExplorer
from tests.aws.standin import MANAGEMENT, running

AS_OF = company.AS_OF.to_pydatetime()
SETTINGS = """\
  - {kind: files, name: commitments, frame: commitments, path: commitments.csv}
  - {kind: files, name: prices, frame: prices, path: prices.csv}
"""
CARBON = """\
carbon:
  enabled: true
  power: power.csv
  pue: {value: 1.2, source: the operator's report, as_of: 2026-01-01}
  grid: {us-east-1: {g_per_kwh: 380, source: the agency's table, as_of: 2026-01-01}}
"""


def _config() -> str:
    text = company.CONFIG.replace("tiers:\n", SETTINGS + "tiers:\n", 1)
    buy = "commitments: {products: [compute_sp], terms: [1], payments: [no_upfront], ladder_months: 1}"
    text = text.replace("why_seconds: 0}", f"why_seconds: 0, {buy}}}")
    text = text.replace("past_origins: 2, paths: 200", "past_origins: 1, paths: 100")
    return text.replace("scenarios: [more.yaml, arm.yaml]\n", CARBON)


def _bill(usage: pd.DataFrame) -> pd.DataFrame:
    """Half of the web's instance-hours under a Savings Plan of which a fifth went unused in August."""
    rows = company.bill_frame(usage)
    ec2 = rows["ServiceName"] == "Amazon Elastic Compute Cloud"
    machine = {"SkuMeter": "BoxUsage:m5.xlarge", "PricingUnit": "Hrs", "PricingCategory": "Standard"}
    rows.loc[ec2, [*machine, "RegionId"]] = [*machine.values(), "us-east-1"]
    web = rows[ec2 & rows["Tags"].str.contains("web") & rows["BillingPeriodStart"].str.startswith("2026-08")]
    plan_of = {"CommitmentDiscountId": "sp-1", "CommitmentDiscountType": "Compute Savings Plan",
               "PricingCategory": "Committed"}  # fmt: skip
    covered = web.assign(**plan_of, CommitmentDiscountStatus="Used", BilledCost=0.0, EffectiveCost=20.0)
    wasted = web.assign(**plan_of, CommitmentDiscountStatus="Unused", BilledCost=0.0, EffectiveCost=5.0, Tags="")
    address = web.assign(SkuMeter="PublicIPv4:IdleAddress", EffectiveCost=0.12, Tags="", PricingCategory="Standard")
    return pd.concat([rows, covered, wasted, address], ignore_index=True)


def _write(folder: Path) -> config.Config:
    path = company.write(folder, config=_config())
    _bill(company.usage_frame()).to_csv(folder / "bill.csv", index=False)
    owned = {"id": "sp-1", "account_id": "1", "product": "compute_sp_1y_no_upfront", "scope": "", "region": "",
             "sharing": "organization", "hourly_usd": 1.0, "count": 1, "start": "2025-11-01T00:00:00Z",
             "end": "2026-11-01T00:00:00Z"}  # fmt: skip
    pd.DataFrame([owned]).to_csv(folder / "commitments.csv", index=False)
    about = {"region": "us-east-1", "os": "Linux", "tenancy": "Shared", "currency": "USD", "source": "test",
             "as_of": "2026-08-01T00:00:00Z"}  # fmt: skip
    rates = {"m5.xlarge": 0.192, "c5.2xlarge": 0.34, "m6g.xlarge": 0.154, "c6g.2xlarge": 0.272}
    rows = [{"instance_type": t, "product": p, "rate": r * share, **about} for t, r in rates.items()
            for p, share in (("on_demand", 1.0), ("compute_sp_1y_no_upfront", 0.72))]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "prices.csv", index=False)
    power = {"instance_type": ["m5.xlarge"], "idle_watts": [8.0], "max_watts": [30.0], "source": ["our rack"],
             "as_of": ["2026-01-01"]}  # fmt: skip
    pd.DataFrame(power).to_csv(folder / "power.csv", index=False)
    return config.load(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, config.Config, Path]:
    """The plan, its config, and where it was written; Cost Explorer's answers are stored by the real source."""
    folder = tmp_path_factory.mktemp("review")
    settings = _write(folder)
    kept = pipeline.open_store(settings)
    pipeline.require_complete(pipeline.ingest(settings, kept, AS_OF))
    with pytest.MonkeyPatch.context() as patch, running() as aws:
        patch.setenv("AWS_ACCESS_KEY_ID", f"AKIA{MANAGEMENT}AAAA")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        day = date(2026, 8, 31)
        CostExplorer(day, ledger(1, 1, date(2026, 8, 1), day)).attach(aws)
        asked = source(aws, folder, reads={"cost": False, "forecast": False, "utilisation": False})
        store.ingest([asked], kept, AS_OF.replace(month=8, day=31))
    result = pipeline.run(settings, kept, as_of=AS_OF)
    plan.write(result.plans[0], folder / "plan", result.about)
    return result.plans[0], settings, folder


def test_the_month_in_review(made: tuple[Plan, config.Config, Path]) -> None:
    frame = made[0].frame("commitment_review").set_index(["month", "product"])
    august = frame.loc["2026-08", "compute_sp"]
    assert august["committed"] == Decimal(31 * 25)
    assert august["utilisation_frac"] == 0.8
    assert august["on_demand_equivalent"] == Decimal("59.904") * 31  # what 13 instances cost a day
    assert frame.loc[("2026-06", "all"), "coverage_frac"] == 0.0
    total = made[0].frame("commitment_total").set_index("product")
    assert total.loc["all", "committed"] == Decimal(31 * 25)


def test_what_ends_soon_is_told_with_its_money(made: tuple[Plan, config.Config, Path]) -> None:
    (found,) = made[0].frame("commitment_expiry").to_dict("records")
    assert (found["id"], found["days_left"]) == ("sp-1", 61)
    assert found["monthly_more"] == Decimal("59.904") * 31 - 31 * 25
    texts = [f.text for f in made[0].findings if f.topic == "cost"]
    assert any(t.startswith("sp-1 (Compute Savings Plans) ends on 1 Nov 2026, in 61 days") for t in texts)


def test_aws_stands_beside_the_plan_with_reasons(made: tuple[Plan, config.Config, Path]) -> None:
    frame = made[0].frame("commitment_comparison")
    assert set(frame["product"]) >= {"compute_sp", "ec2_instance_sp", "standard_ri", "rds_ri"}
    one = frame[(frame["product"] == "compute_sp") & (frame["term_years"] == 1)].iloc[0]
    assert one["aws_hourly"] > 0
    assert one["difference_hourly"] == pytest.approx(one["ours_hourly"] - one["aws_hourly"])
    assert "sp-1 on 1 Nov 2026" in one["reasons"]
    three = frame[(frame["product"] == "compute_sp") & (frame["term_years"] == 3)].iloc[0]
    assert "optimize.commitments.terms has no 3" in three["reasons"]
    m7g = frame[frame["scope"] == "m7g"].iloc[0]
    assert "products has no ec2_instance_sp" in m7g["reasons"]
    assert "nothing in its scope runs today" in m7g["reasons"]
    assert all(frame["reasons"] != "")


def test_advice_that_came_later_is_not_seen(made: tuple[Plan, config.Config, Path]) -> None:
    _, settings, _ = made
    kept = pipeline.open_store(settings)
    assert len(read_inputs(settings, kept, AS_OF).recommendations)
    assert not len(read_inputs(settings, kept, AS_OF.replace(month=8, day=30)).recommendations)


def test_waste_of_fleets_and_of_the_bill(made: tuple[Plan, config.Config, Path]) -> None:
    frame = made[0].frame("waste")
    by_kind = frame.groupby("kind")["monthly_usd"].sum()
    assert by_kind["address"] == pytest.approx(31 * 0.12)
    assert by_kind["commitment"] == pytest.approx(31 * 5.0)
    spent = {"web": 13 * 0.192 * 730, "api": 8 * 0.34 * 730}
    for service, usd in frame[frame["service"] != ""].groupby("service")["monthly_usd"].sum().items():
        assert usd <= spent[str(service)] * 1.02
    assert (frame["in_plan_usd"] <= frame["monthly_usd"].fillna(0) + 1e-9).all()
    assert any("a month of waste is found" in f.text for f in made[0].findings)


def test_carbon_stands_beside_its_money(made: tuple[Plan, config.Config, Path]) -> None:
    frame = made[0].frame("carbon").set_index(["month", "service"])
    web = frame.loc["2026-08", "web"]
    used = company.usage_frame()
    used = used[(used["service"] == "web") & (used["metric"] == "cpu_percent") & used["ts"].str.startswith("2026-08")]
    watts = 8 + used["value"].mean() / 100 * 22
    assert web["kwh"] == pytest.approx(13 * 744 * watts / 1000 * 1.2)
    assert web["kg_co2e"] == pytest.approx(web["kwh"] * 0.38)
    assert web["covered_frac"] == 1.0
    assert web["effective_cost"] == Decimal(31 * 20) + Decimal("59.904") * 31
    api = frame.loc["2026-08", "api"]
    assert (api["covered_frac"], api["unknown_types"]) == (0.0, "c5.2xlarge")
    assert pd.isna(api["kwh"])


def test_a_plan_on_disk_has_them_all_as_they_were(made: tuple[Plan, config.Config, Path]) -> None:
    known = plan.read(made[2] / "plan")
    for name in (
        "commitment_review",
        "commitment_total",
        "commitment_expiry",
        "commitment_comparison",
        "waste",
        "carbon",
    ):
        before, after = made[0].frame(name), known.frame(name)
        assert list(after.columns[: len(plan.FRAMES[name])]) == list(plan.FRAMES[name])
        assert len(after) == len(before) > 0
    assert list(known.frame("commitment_review")["saving"]) == list(made[0].frame("commitment_review")["saving"])


def test_a_file_of_power_that_is_not_there_is_told(made: tuple[Plan, config.Config, Path], tmp_path: Path) -> None:
    _, settings, _ = made
    inputs = read_inputs(settings, pipeline.open_store(settings), AS_OF)
    lost = settings.model_copy(
        update={"carbon": settings.carbon.model_copy(update={"power": str(tmp_path / "no.csv")})}
    )
    with pytest.raises(MissingDataError, match="names a CSV file of power figures"):
        past_carbon(Past(with_config(inputs, lost), {}, nothing()))
