"""The bill from Cost Explorer: exact, whole, and honest about what did not come."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import CorruptDataError
from capacity.sources.aws._ce_amounts import Amounts
from capacity.sources.aws._ce_months import USAGE, history, kind_of, runs, span
from tests.aws.cost_explorer_kit import (
    ONLY_COST,
    Reader,
    company,
    cost,
    ledger_sums,
    of,
    organization,
    reader,
    rounded,
    stored_sums,
)
from tests.aws.fake_cost_explorer import CostExplorer, charge
from tests.aws.standin import MANAGEMENT, StandIn


@pytest.fixture
def fake(aws: StandIn) -> CostExplorer:
    return organization(aws)


@pytest.fixture
def read(aws: StandIn, tmp_path: Path) -> Reader:
    return reader(aws, tmp_path)


@pytest.mark.parametrize("granularity", ["DAILY", "MONTHLY"])
def test_every_account_month_and_service_adds_up_exactly(fake: CostExplorer, read: Reader, granularity: str) -> None:
    fake.page_groups = 50
    batches, failed = read(reads=ONLY_COST, granularity=granularity)
    assert failed == ""
    table = cost(batches)
    assert stored_sums(table, "BilledCost") == ledger_sums(fake.ledger, 2)  # net unblended
    assert stored_sums(table, "EffectiveCost") == ledger_sums(fake.ledger, 3)  # net amortised
    assert table.column("ListCost").null_count == table.column("ContractedCost").null_count == table.num_rows
    assert [b.file for b in batches] == [
        f"cost explorer {MANAGEMENT} {m}" for m in sorted({str(c.day)[:7] for c in fake.ledger})
    ]


def test_without_net_metrics_the_plain_ones_are_taken(fake: CostExplorer, read: Reader) -> None:
    fake.net = False
    batches, failed = read(reads=ONLY_COST)
    assert failed == ""
    assert stored_sums(cost(batches), "BilledCost") == ledger_sums(fake.ledger, 0)
    assert stored_sums(cost(batches), "EffectiveCost") == ledger_sums(fake.ledger, 1)


def test_charge_categories_are_those_of_the_record_types(fake: CostExplorer, read: Reader) -> None:
    table = cost(read(reads=ONLY_COST)[0])
    sums: dict[str, Decimal] = defaultdict(Decimal)
    accrued: dict[str, Decimal] = defaultdict(Decimal)
    for row in table.to_pylist():
        sums[row["ChargeCategory"]] += row["BilledCost"]
        accrued[row["ChargeCategory"]] += row["EffectiveCost"]
    expected: dict[str, Decimal] = defaultdict(Decimal)
    category = {"Tax": "Tax", "Credit": "Credit", "Refund": "Adjustment"}
    unused = Decimal(0)
    for c in fake.ledger:
        expected["Purchase" if c.record_type.endswith("Fee") else category.get(c.record_type, "Usage")] += c.amounts[2]
        unused += c.amounts[3] if c.record_type == "SavingsPlanRecurringFee" else 0
    assert dict(sums) == {k: rounded(v) for k, v in expected.items()}
    assert accrued["Purchase"] == 0  # what is bought for later does not accrue when it is bought
    idle = table.filter(pc.equal(table["CommitmentDiscountStatus"], "Unused"))
    assert pc.sum(idle["EffectiveCost"]).as_py() == rounded(unused)
    assert set(idle["ChargeCategory"].to_pylist()) == {"Usage"}
    assert pc.sum(idle["BilledCost"]).as_py() == 0


def test_days_of_the_newest_months_and_months_before(fake: CostExplorer, read: Reader) -> None:
    table = cost(read(reads=ONLY_COST, daily_months=2)[0])
    usage = table.filter(pc.equal(table["ChargeDescription"], "usage"))
    lengths = {
        f"{r['BillingPeriodStart']:%Y-%m}": (r["ChargePeriodEnd"] - r["ChargePeriodStart"]).days
        for r in usage.to_pylist()
    }
    assert lengths["2026-08"] == 31
    assert {lengths[m] for m in ("2026-09", "2026-10", "2026-11")} == {1}
    assert max(usage["ChargePeriodEnd"].to_pylist()) == datetime(2026, 11, 15, tzinfo=UTC)  # today is not over
    assert set(table["BillingAccountId"].to_pylist()) == {MANAGEMENT}
    assert set(table["SubAccountName"].to_pylist()) == {"team 0", "team 1"}
    assert {r["BillingPeriodEnd"] for r in table.to_pylist()} >= {datetime(2026, 12, 1, tzinfo=UTC)}


def test_an_unknown_record_type_is_kept_and_remarked_on(fake: CostExplorer, read: Reader) -> None:
    fake.ledger.append(charge(date(2026, 9, 3), "200000000000", "Service 0", "QuantumRebate", "-7.5"))
    batches, _ = read(reads=ONLY_COST)
    september = next(b for b in batches if b.file.endswith("2026-09"))
    assert "record type 'QuantumRebate' is not known here: its charges are Adjustments" in september.notes
    adjusted = september.table.filter(pc.equal(september.table["ChargeCategory"], "Adjustment"))
    assert Decimal("-7.5") in [
        b + r for b, r in ((x, -_refunds(fake, "200000000000", "2026-09", service)) for x, service in _pairs(adjusted))
    ]


def _refunds(fake: CostExplorer, account: str, month: str, service: str) -> Decimal:
    return sum(
        (
            c.amounts[2]
            for c in fake.ledger
            if (c.account, str(c.day)[:7], c.service, c.record_type) == (account, month, service, "Refund")
        ),
        Decimal(0),
    )


def _pairs(table: pa.Table) -> list[tuple[Decimal, str]]:
    return [(r["BilledCost"], r["ServiceName"]) for r in table.to_pylist() if r["SubAccountId"] == "200000000000"]


def test_more_decimals_than_the_store_has_are_rounded_half_even_and_noted(fake: CostExplorer, read: Reader) -> None:
    fake.ledger = [
        charge(date(2026, 10, 1), "200000000000", "a", "Usage", "0.0000000000005"),
        charge(date(2026, 10, 2), "200000000000", "a", "Usage", "0.0000000000015"),
        charge(date(2026, 10, 3), "200000000000", "a", "Usage", "12.000000000001"),
    ]
    batches, failed = read(reads=ONLY_COST)
    assert failed == ""
    amounts = sorted(cost(batches)["BilledCost"].to_pylist())
    assert amounts == [Decimal("0.000000000002"), Decimal("12.000000000001")]  # .5 goes to the even 0, 1.5 to 2
    assert any("4 amounts had more than 12 decimals" in n for n in batches[0].notes)


def test_groups_by_region_and_refuses_a_bill_without_services(fake: CostExplorer, read: Reader) -> None:
    batches, failed = read(reads=ONLY_COST, group_by=["SERVICE", "REGION"])
    assert failed == ""
    assert set(cost(batches)["RegionId"].to_pylist()) == {"us-east-1"}
    assert cost(batches)["SubAccountId"].null_count == cost(batches).num_rows
    with pytest.raises(ValueError, match="group_by must hold SERVICE"):
        read(group_by=["LINKED_ACCOUNT"])


def test_groups_by_a_tag(fake: CostExplorer, read: Reader) -> None:
    table = cost(read(reads=ONLY_COST, group_by=["SERVICE", "TAG:team"], months=2)[0])
    tags = {(r["ServiceName"], r["Tags"]) for r in table.to_pylist()}
    assert ("Service 1", '{"team": "shop"}') in tags
    assert ("Service 0", None) in tags


def test_on_the_first_of_a_month_there_is_no_current_month(aws: StandIn, read: Reader) -> None:
    CostExplorer(date(2026, 11, 1), company(1, 1, end=date(2026, 11, 1))).attach(aws)
    batches, failed = read(datetime(2026, 11, 1, 0, 30, tzinfo=UTC), months=2)
    assert failed == ""
    assert [b.file[-7:] for b in batches if b.frame == "cost"] == ["2026-09", "2026-10"]
    assert {r["period_end"] for r in of(batches, "commitment_use")} == {
        datetime(2026, 10, 1, tzinfo=UTC),
        datetime(2026, 11, 1, tzinfo=UTC),
    }


def test_the_day_is_that_of_utc(aws: StandIn, fake: CostExplorer, read: Reader) -> None:
    zone = timezone(timedelta(hours=14))
    batches, failed = read(datetime(2026, 11, 16, 9, tzinfo=zone), reads=ONLY_COST, months=1)
    assert failed == ""
    assert max(cost(batches)["ChargePeriodEnd"].to_pylist()) == datetime(2026, 11, 15, tzinfo=UTC)


def test_thirty_percent_throttled_and_a_break_between_pages(
    aws: StandIn, fake: CostExplorer, read: Reader, quick_retries: None
) -> None:
    fake.page_groups = 40
    aws.throttle_frac = 0.3
    aws.breaks["ce:GetCostAndUsage"] = 2
    batches, failed = read(reads=ONLY_COST)
    assert failed == ""
    assert aws.throttled["ce:GetCostAndUsage"] >= 5
    assert aws.breaks["ce:GetCostAndUsage"] == 0
    assert stored_sums(cost(batches), "BilledCost") == ledger_sums(fake.ledger, 2)


def test_a_chain_that_breaks_for_good_leaves_its_months_out_and_the_others_in(
    aws: StandIn, fake: CostExplorer, read: Reader, quick_retries: None
) -> None:
    fake.page_groups = 40
    read(reads=ONLY_COST, months=1)  # the two newest months are in the cache
    aws.breaks["ce:GetCostAndUsage"] = 10_000
    fake.page_groups = 220  # totals come in one page, usage does not
    batches, failed = read(reads=ONLY_COST)
    assert "usage by day, 2026-07 to 2026-09: ce:GetCostAndUsage: InternalServerError" in failed
    assert "billing month 2026-08 stays as it was in the store: usage did not come" in failed
    came = [b.file[-7:] for b in batches]
    assert "2026-11" in came
    assert "2026-10" in came
    assert "2026-08" not in came


def test_a_denied_forecast_does_not_stop_the_costs(aws: StandIn, fake: CostExplorer, read: Reader) -> None:
    aws.denied |= {(MANAGEMENT, "ce:GetCostForecast"), (MANAGEMENT, "ce:GetReservationCoverage")}
    batches, failed = read()
    assert stored_sums(cost(batches), "BilledCost") == ledger_sums(fake.ledger, 2)
    lines = failed.splitlines()
    assert len(lines) == 4  # two forecasts, two services
    assert (
        f"source 'ce': account {MANAGEMENT}: forecast, daily: ce:GetCostForecast: AccessDenied; allow ce:" in lines[0]
    )
    assert of(batches, "recommendations")
    assert next(r["utilisation_frac"] for r in of(batches, "commitment_use") if r["scope"] == "ec2") == 0.75


def test_denied_costs_do_not_stop_the_forecast(aws: StandIn, fake: CostExplorer, read: Reader) -> None:
    aws.denied.add((MANAGEMENT, "ce:GetCostAndUsage"))
    batches, failed = read()
    assert "totals, 2025-10 to 2026-11: ce:GetCostAndUsage: AccessDenied; allow ce:GetCostAndUsage" in failed
    assert len(failed.splitlines()) == 1
    assert of(batches, "provider_forecast")


def test_a_bill_that_changes_while_it_is_read_is_not_taken(aws: StandIn, fake: CostExplorer, read: Reader) -> None:
    calls = iter(range(1000))

    def moving(call):  # type: ignore[no-untyped-def]
        if next(calls) == 1:  # after the totals
            fake.ledger.append(charge(date(2026, 9, 9), "200000000000", "Service 0", "Usage", "400"))
        return fake.cost_and_usage(call)

    aws.on("ce", "GetCostAndUsage", moving)
    batches, failed = read(reads=ONLY_COST)
    assert "billing month 2026-09, usage, UnblendedCost: rows add up to" in failed
    assert "2026-09" not in [b.file[-7:] for b in batches]
    assert len(batches) == 13


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1e26", "12,5", ""])
def test_an_amount_that_is_none_is_refused_with_its_month(amount: str) -> None:
    with pytest.raises(
        CorruptDataError, match=r"billing month 2026-09: amount '.*' is not a decimal number below 1e26"
    ):
        Amounts("billing month 2026-09").of(amount)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**25), max_value=10**25))
def test_amounts_are_exact_to_twelve_decimals(value: Decimal) -> None:
    amounts = Amounts("x")
    got = amounts.of(str(value))
    exact = Fraction(value)
    assert abs(Fraction(got) - exact) <= Fraction(1, 2 * 10**12)
    assert amounts.rounded == (Fraction(got) != exact)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 13))
def test_months_follow_each_other_and_end_before_today(day: date, closed: int) -> None:
    now = datetime(day.year, day.month, day.day, 5, tzinfo=UTC)
    months = history(now, closed)
    assert runs(months) == [months]
    assert len([m for m in months if m.end <= now]) == closed
    assert span(months, now)["End"] == str(day)
    assert [m for m in months if not m.settled_at(now)] == months[-1 if day.day == 1 else -2 :]


def test_no_data_at_all_is_said_with_the_way_out(fake: CostExplorer, read: Reader) -> None:
    fake.young.add("GetCostAndUsage")
    assert "enable Cost Explorer in the billing console" in read(reads=ONLY_COST)[1]


@pytest.mark.parametrize(
    ("api", "console"),
    [
        ("DiscountedUsage", "Reservation applied usage"),
        ("SavingsPlanCoveredUsage", "Savings Plan Covered Usage"),
        ("SavingsPlanNegation", "Savings Plan Negation"),
    ],
)
def test_labels_of_the_console_are_the_same_kinds(api: str, console: str) -> None:
    assert kind_of(console) is kind_of(api) is USAGE
