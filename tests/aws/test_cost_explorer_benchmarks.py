"""Forecasts, use of commitments and recommendations as Cost Explorer gives them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.aws.cost_explorer_kit import (
    Reader,
    company,
    of,
    organization,
    reader,
)
from tests.aws.fake_cost_explorer import CostExplorer
from tests.aws.standin import StandIn


@pytest.fixture
def fake(aws: StandIn) -> CostExplorer:
    return organization(aws)


@pytest.fixture
def read(aws: StandIn, tmp_path: Path) -> Reader:
    return reader(aws, tmp_path)


def test_the_forecasts_are_those_of_aws(fake: CostExplorer, read: Reader) -> None:
    rows = of(read(forecast_level_percent=95, forecast_metric="UNBLENDED_COST")[0], "provider_forecast")
    daily = [r for r in rows if r["granularity"] == "DAILY"]
    monthly = [r for r in rows if r["granularity"] == "MONTHLY"]
    assert (daily[0]["ts"], daily[-1]["period_end"]) == (
        datetime(2026, 11, 15, tzinfo=UTC),
        datetime(2027, 2, 15, tzinfo=UTC),
    )
    assert len(monthly) == 18
    assert monthly[-1]["period_end"] == datetime(2028, 5, 1, tzinfo=UTC)
    first = daily[0]
    assert (first["mean"], first["low"], first["high"]) == (Decimal("10.5"), Decimal("9.45"), Decimal("11.55"))
    assert (first["level_frac"], first["metric"], first["currency"]) == (0.95, "UNBLENDED_COST", "USD")
    assert {r["made_on"] for r in rows} == {datetime(2026, 11, 15, tzinfo=UTC)}


@pytest.mark.parametrize("day", [date(2026, 11, 30), date(2026, 12, 1), date(2027, 1, 31), date(2028, 2, 29)])
def test_forecasts_keep_to_three_months_on_any_day(aws: StandIn, read: Reader, day: date) -> None:
    CostExplorer(day, company(1, 1, day - timedelta(days=40), day)).attach(aws)
    batches, failed = read(datetime(day.year, day.month, day.day, 1, tzinfo=UTC))
    assert failed == ""
    assert 88 <= len([r for r in of(batches, "provider_forecast") if r["granularity"] == "DAILY"]) <= 92


def test_a_young_account_has_no_forecast_and_that_is_no_failure(aws: StandIn, fake: CostExplorer, read: Reader) -> None:
    fake.young |= {"GetCostForecast", "GetSavingsPlansUtilization", "GetReservationUtilization"}
    batches, failed = read()
    assert failed == ""
    forecast = next(b for b in batches if b.frame == "provider_forecast")
    assert forecast.table.num_rows == 0
    assert forecast.notes[0].startswith("forecast, daily: no data: the account is too young")
    paid = aws.bill_usd
    read()
    assert aws.bill_usd == paid  # and it is not asked again that day


def test_use_of_commitments_is_one_row_a_month(aws: StandIn, fake: CostExplorer, read: Reader) -> None:
    rows = of(read()[0], "commitment_use")
    assert aws.calls["ce:GetSavingsPlansCoverage"] == 3  # 13 months, five a page
    plans = [r for r in rows if r["product"] == "savings_plans"]
    assert len(plans) == 13
    assert plans[0]["ts"] == datetime(2025, 11, 1, tzinfo=UTC)
    assert (plans[0]["committed"], plans[0]["utilisation_frac"]) == (Decimal("720.0000000001"), 0.9)
    assert (plans[0]["covered"], plans[0]["on_demand"]) == (Decimal("748.5"), Decimal("251.5"))
    assert plans[0]["coverage_frac"] == pytest.approx(0.7485)
    ec2 = [r for r in rows if (r["product"], r["scope"]) == ("reservations", "ec2")]
    assert len(ec2) == 13
    assert (ec2[0]["unused"], ec2[0]["coverage_frac"], ec2[0]["net_savings"]) == (360, 0.9, Decimal("-3.25"))
    asked = {c.params["Filter"]["Dimensions"]["Values"][0] for c in aws.log if c.operation == "GetReservationCoverage"}
    assert asked == {"Amazon Elastic Compute Cloud - Compute", "Amazon Relational Database Service"}


def test_recommendations_over_all_pages(fake: CostExplorer, read: Reader) -> None:
    rows = of(read()[0], "recommendations")
    plans = {(r["product"], r["term_years"], r["scope"], r["region"]) for r in rows if r["hourly_commitment"]}
    assert plans == {("compute_sp", y, "all", "") for y in (1, 3)} | {
        ("ec2_instance_sp", y, "m7g", "us-east-1") for y in (1, 3)
    }
    reserved = [(r["product"], r["term_years"], r["scope"]) for r in rows if r["count"]]
    assert ("standard_ri", 3, "m6i.large Linux/UNIX") in reserved  # on the second page
    assert ("rds_ri", 1, "db.r6g.large MySQL") in reserved
    assert ("rds_ri", 3, "db.r6g.large MySQL") not in reserved
    assert {(r["lookback_days"], r["payment"], r["count"] or 3) for r in rows} == {(30, "no_upfront", 3)}
