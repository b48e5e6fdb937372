"""AWS Cost and Usage Reports as FOCUS: totals to the last digit, and commitments that come out even over their term."""

from __future__ import annotations

import csv as csvlib
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.config import CurSource
from capacity.errors import CorruptDataError
from capacity.schemas import COST, COST_MONEY, COST_QUANTITY
from capacity.sources import Batch, BillReader, Context, build
from capacity.sources.bills import _cur_rules as rules
from capacity.sources.bills._names import plain

NOW = datetime(2026, 11, 5, tzinfo=UTC)
PLAN = "arn:aws:savingsplans::123412340534:savingsplan/aaaa"
RESERVATION = "arn:aws:ec2:us-east-1:123412340534:reserved-instances/bbbb"
# CUR 2.0's name -> what older reports call it.
LEGACY = {
    "bill_payer_account_id": "bill/PayerAccountId", "bill_invoice_id": "bill/InvoiceId",
    "bill_billing_period_start_date": "bill/BillingPeriodStartDate",
    "bill_billing_period_end_date": "bill/BillingPeriodEndDate", "bill_invoicing_entity": "bill/InvoicingEntity",
    "line_item_line_item_type": "lineItem/LineItemType", "line_item_usage_account_id": "lineItem/UsageAccountId",
    "line_item_usage_start_date": "lineItem/UsageStartDate", "line_item_usage_end_date": "lineItem/UsageEndDate",
    "line_item_product_code": "lineItem/ProductCode", "line_item_usage_type": "lineItem/UsageType",
    "line_item_availability_zone": "lineItem/AvailabilityZone", "line_item_resource_id": "lineItem/ResourceId",
    "line_item_usage_amount": "lineItem/UsageAmount", "line_item_currency_code": "lineItem/CurrencyCode",
    "line_item_normalized_usage_amount": "lineItem/NormalizedUsageAmount",
    "line_item_unblended_rate": "lineItem/UnblendedRate", "line_item_unblended_cost": "lineItem/UnblendedCost",
    "line_item_net_unblended_cost": "lineItem/NetUnblendedCost",
    "line_item_line_item_description": "lineItem/LineItemDescription", "line_item_legal_entity": "lineItem/LegalEntity",
    "product_region_code": "product/regionCode", "product_sku": "product/sku", "pricing_unit": "pricing/unit",
    "pricing_rate_code": "pricing/RateCode", "pricing_public_on_demand_cost": "pricing/publicOnDemandCost",
    "pricing_public_on_demand_rate": "pricing/publicOnDemandRate",
    "reservation_reservation_a_r_n": "reservation/ReservationARN",
    "reservation_effective_cost": "reservation/EffectiveCost",
    "reservation_unused_amortized_upfront_fee_for_billing_period":
        "reservation/UnusedAmortizedUpfrontFeeForBillingPeriod",
    "reservation_unused_recurring_fee": "reservation/UnusedRecurringFee",
    "reservation_total_reserved_units": "reservation/TotalReservedUnits",
    "reservation_unused_quantity": "reservation/UnusedQuantity",
    "reservation_total_reserved_normalized_units": "reservation/TotalReservedNormalizedUnits",
    "reservation_unused_normalized_unit_quantity": "reservation/UnusedNormalizedUnitQuantity",
    "savings_plan_savings_plan_a_r_n": "savingsPlan/SavingsPlanARN",
    "savings_plan_savings_plan_effective_cost": "savingsPlan/SavingsPlanEffectiveCost",
    "savings_plan_total_commitment_to_date": "savingsPlan/TotalCommitmentToDate",
    "savings_plan_used_commitment": "savingsPlan/UsedCommitment",
}  # fmt: skip
TAG_COLUMNS = {"user_team": "resourceTags/user:team", "aws_created_by": "resourceTags/aws:createdBy"}
Line = dict[str, Any]


def line(kind: str, cost: Decimal | int | str, day: int = 1, month: int = 9, **other: Any) -> Line:
    """A line of one day."""
    at = datetime(2026, month, day, tzinfo=UTC)
    period = at.replace(day=1)
    return {
        "bill_payer_account_id": "123412340534",
        "bill_billing_period_start_date": period,
        "bill_billing_period_end_date": (period + timedelta(days=32)).replace(day=1),
        "line_item_line_item_type": kind,
        "line_item_usage_start_date": at,
        "line_item_usage_end_date": at + timedelta(days=1),
        "line_item_product_code": "AmazonEC2",
        "line_item_currency_code": "USD",
        "line_item_unblended_cost": Decimal(cost),
        **other,
    }


def legacy(path: Path, *lines: Line) -> Path:
    """A legacy report: CSV, a column for each tag."""
    names = list(dict.fromkeys(k for x in lines for k in x if k != "resource_tags"))
    tags = list(dict.fromkeys(k for x in lines for k in x.get("resource_tags", {})))
    with path.open("w", newline="") as stream:
        out = csvlib.writer(stream)
        out.writerow([LEGACY[n] for n in names] + [TAG_COLUMNS[t] for t in tags])
        for x in lines:
            cells = [x.get(n) for n in names] + [x.get("resource_tags", {}).get(t) for t in tags]
            out.writerow([c.strftime("%Y-%m-%dT%H:%M:%S.000Z") if isinstance(c, datetime) else c for c in cells])
    return path


def modern(path: Path, *lines: Line) -> Path:
    """A CUR 2.0 export: Parquet, amounts as doubles, maps."""
    names = list(dict.fromkeys(k for x in lines for k in x))
    columns = {}
    for name in names:
        values = [x.get(name) for x in lines]
        if name in ("resource_tags", "product"):
            columns[name] = pa.array([list((v or {}).items()) for v in values], pa.map_(pa.string(), pa.string()))
        elif any(isinstance(v, Decimal) for v in values):
            columns[name] = pa.array([None if v is None else float(v) for v in values])
        elif any(isinstance(v, datetime) for v in values):
            columns[name] = pa.array([v.replace(tzinfo=None) for v in values if v], pa.timestamp("ms"))
        else:
            columns[name] = pa.array(values)
    pq.write_table(pa.table(columns), path)
    return path


def read(path: Path) -> Batch:
    config = CurSource.model_validate({"kind": "aws_cur", "name": "cur", "path": str(path)})
    source = build(config, Context(Path))
    assert isinstance(source, BillReader)
    (batch,) = source.batches(None, NOW)
    assert batch.table.schema == COST.schema
    return batch


def rows(path: Path) -> list[dict[str, Any]]:
    return read(path).table.to_pylist()


def total(found: list[dict[str, Any]], column: str, **where: str | None) -> Decimal:
    chosen = (r for r in found if all(r[k] == v for k, v in where.items()))
    return sum((r[column] for r in chosen if r[column] is not None), Decimal(0))


# --- the real sample ---------------------------------------------------------------------------------------


def test_the_real_sample_adds_up(real_data: Path) -> None:
    path = real_data / "cost" / "converters" / "aws_cur_sample.csv"
    with path.open(newline="") as stream:
        given = list(csvlib.DictReader(stream))
    found = rows(path)
    assert len(found) == len(given) == 1281
    for row, old in zip(found, given, strict=True):
        assert row["BilledCost"] == row["EffectiveCost"] == Decimal(old["lineItem/UnblendedCost"])
        assert row["ChargeCategory"] == old["lineItem/LineItemType"]  # Usage and Tax only
        if old["pricing/publicOnDemandCost"] and old["lineItem/LineItemType"] == "Usage":
            assert row["ListCost"] == Decimal(old["pricing/publicOnDemandCost"])
        assert row["RegionId"] == (old["product/region"] or old["product/regionCode"] or None)
    assert Counter(r["ServiceCategory"] for r in found)["Storage"] == 799 + 15
    assert all(r["CommitmentDiscountId"] is None for r in found)


def test_the_published_rules_are_followed(real_data: Path) -> None:
    """Where they are not, _cur_rules says so: credits, refunds, and what is split off a fee."""
    with (real_data / "cost" / "converters" / "aws_cur_to_focus_rules.csv").open(newline="") as stream:
        published = list(csvlib.DictReader(stream))
    renamed = {r["FOCUS Dimension"]: r["Source Column"] for r in published if r["Transform Type"] == "RENAME_COLUMN"}
    theirs = {"InvoiceIssuer": "InvoiceIssuerName", "Publisher": "PublisherName"}
    checked = 0
    for name, source in renamed.items():
        ours = theirs.get(name, name)
        if ours in rules.TEXT:
            assert plain(source) in [plain(c) for c in rules.TEXT[ours]], name
            checked += 1
    assert checked >= 10
    (category,) = (r for r in published if r["FOCUS Dimension"] == "ChargeCategory")
    stated = [part.split("'") for part in category["Filters/Process/Etc."].splitlines() if "WHEN" in part]
    differ = {p[1] for p in stated if rules.charge(p[1])[0] != p[3]}
    assert len(stated) >= 14
    assert differ == {"Credit"}


# --- line item types ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [legacy, modern])
def test_a_line_of_usage(tmp_path: Path, write: Any) -> None:
    given = line(
        "Usage", "0.0116", line_item_usage_amount=Decimal("1"), line_item_unblended_rate=Decimal("0.0116"),
        pricing_public_on_demand_cost=Decimal("0.0145"), pricing_public_on_demand_rate=Decimal("0.0145"),
        pricing_unit="Hrs", product_region_code="us-east-1", product_sku="SKU", pricing_rate_code="SKU.A.B",
        line_item_usage_type="BoxUsage:t3.micro", line_item_usage_account_id="210987654321",
        line_item_resource_id="arn:aws:ec2:us-east-1:210987654321:instance/i-0abc", bill_invoice_id="77",
        line_item_legal_entity="Amazon Web Services, Inc.", bill_invoicing_entity="Amazon Web Services, Inc.",
        resource_tags={"user_team": "shop", "aws_created_by": "me"},
    )  # fmt: skip
    (row,) = rows(write(tmp_path / ("bill.csv" if write is legacy else "bill.parquet"), given))
    expected = {
        "source": "cur", "BillingAccountId": "123412340534", "SubAccountId": "210987654321", "InvoiceId": "77",
        "BillingPeriodStart": datetime(2026, 9, 1, tzinfo=UTC), "BillingPeriodEnd": datetime(2026, 10, 1, tzinfo=UTC),
        "ChargePeriodStart": datetime(2026, 9, 1, tzinfo=UTC), "ChargePeriodEnd": datetime(2026, 9, 2, tzinfo=UTC),
        "BilledCost": Decimal("0.0116"), "EffectiveCost": Decimal("0.0116"), "ListCost": Decimal("0.0145"),
        "ContractedCost": Decimal("0.0116"), "ListUnitPrice": Decimal("0.0145"),
        "ContractedUnitPrice": Decimal("0.0116"), "PricingQuantity": 1, "ConsumedQuantity": 1,
        "CommitmentDiscountQuantity": None, "PricingUnit": "Hrs", "ConsumedUnit": "Hrs", "ChargeCategory": "Usage",
        "ChargeClass": None, "ChargeFrequency": "Usage-Based", "PricingCategory": "Standard",
        "ServiceName": "AmazonEC2", "ServiceCategory": "Compute", "RegionId": "us-east-1", "ResourceType": "instance",
        "ResourceName": None, "SkuId": "SKU", "SkuPriceId": "SKU.A.B", "SkuMeter": "BoxUsage:t3.micro",
        "ProviderName": "AWS", "PublisherName": "Amazon Web Services, Inc.", "CommitmentDiscountId": None,
        "CommitmentDiscountStatus": None, "BillingCurrency": "USD",
    }  # fmt: skip
    assert {k: row[k] for k in expected} == expected
    own_key = "aws:createdBy" if write is legacy else "aws_created_by"
    assert json.loads(row["Tags"]) == {"team": "shop", own_key: "me"}


@pytest.mark.parametrize(
    ("kind", "category", "frequency", "class_"),
    [
        ("Usage", "Usage", "Usage-Based", None),
        ("EdpDiscount", "Usage", "Usage-Based", None),
        ("PrivateRateDiscount", "Usage", "Usage-Based", None),
        ("BundledDiscount", "Usage", "Usage-Based", None),
        ("SomeNewDiscount", "Usage", "Usage-Based", None),
        ("Fee", "Purchase", "One-Time", None),
        ("Tax", "Tax", "One-Time", None),
        ("Credit", "Credit", "One-Time", None),
        ("Refund", "Adjustment", "One-Time", "Correction"),
        ("Novelty", "Adjustment", "One-Time", None),
    ],
)
def test_plain_types(tmp_path: Path, kind: str, category: str, frequency: str, class_: str | None) -> None:
    batch = read(legacy(tmp_path / "bill.csv", line(kind, "-2.5")))
    (row,) = batch.table.to_pylist()
    assert (row["ChargeCategory"], row["ChargeFrequency"], row["ChargeClass"]) == (category, frequency, class_)
    assert row["BilledCost"] == row["EffectiveCost"] == row["ContractedCost"] == Decimal("-2.5")
    # A discount is no part of a list price; what has none is listed at what it costs.
    assert row["ListCost"] == (0 if kind.endswith("Discount") else Decimal("-2.5"))
    assert ("line item type 'Novelty' is not known: kept as Adjustment" in batch.notes) == (kind == "Novelty")


def test_net_cost_where_a_line_has_it(tmp_path: Path) -> None:
    batch = read(
        legacy(
            tmp_path / "bill.csv",
            line("Usage", 10, line_item_net_unblended_cost=Decimal(8)),
            line("EdpDiscount", -2, line_item_net_unblended_cost=Decimal(0)),
            line("Tax", 1),
        )
    )
    assert batch.table["BilledCost"].to_pylist() == [8, 0, 1]
    assert "BilledCost is the net unblended cost where the report has it" in batch.notes


def test_spot_usage_has_a_price_that_moves(tmp_path: Path) -> None:
    (row,) = rows(legacy(tmp_path / "bill.csv", line("Usage", 1, line_item_usage_type="USE2-SpotUsage:m5.large")))
    assert row["PricingCategory"] == "Dynamic"


def test_list_cost_from_the_rate_where_aws_gives_no_cost(tmp_path: Path) -> None:
    given = line("Usage", 1, line_item_usage_amount=Decimal("0.333333333333"),
                 pricing_public_on_demand_rate=Decimal("0.000000000003"))  # fmt: skip
    (row,) = rows(legacy(tmp_path / "bill.csv", given))
    assert row["ListCost"] == Decimal("0.000000000001")


def test_a_product_map_fills_in_region_and_place(tmp_path: Path) -> None:
    given = [
        line("Usage", 1, product={"location": "US East (N. Virginia)", "region": "us-east-1"}),
        line("Usage", 2, product={"x": "y"}),
        line("Usage", 3, product={"region": ""}),
        line("Usage", 4, product={"region": "eu-west-1"}),
    ]
    found = rows(modern(tmp_path / "bill.parquet", *given))
    assert [r["RegionId"] for r in found] == ["us-east-1", None, None, "eu-west-1"]
    assert [r["RegionName"] for r in found] == ["US East (N. Virginia)", None, None, None]


def test_maps_written_as_json(tmp_path: Path) -> None:
    """CUR 2.0 as CSV."""
    path = tmp_path / "bill.csv"
    given = line("Usage", 1) | {
        "product": '{"region":"eu-west-1"}',
        "resource_tags": '{"user_team":"shop","user_x":""}',
    }
    with path.open("w", newline="") as stream:
        out = csvlib.writer(stream)
        out.writerow(list(given))
        out.writerow([c.isoformat() if isinstance(c, datetime) else c for c in given.values()])
    (row,) = rows(path)
    assert (row["RegionId"], row["Tags"]) == ("eu-west-1", '{"team": "shop"}')


# --- commitments -------------------------------------------------------------------------------------------


def plan_day(day: int, month: int, used: Decimal, commitment: Decimal, recurring: Decimal) -> list[Line]:
    """A day of a Savings Plan: what it covers at one and a half times its rate, the negation, and the fee."""
    on_demand = used * 3 / 2
    at: dict[str, Any] = {"day": day, "month": month, "savings_plan_savings_plan_a_r_n": PLAN}
    covered = line(
        "SavingsPlanCoveredUsage", on_demand, **at, savings_plan_savings_plan_effective_cost=used,
        line_item_usage_amount=Decimal(24), pricing_public_on_demand_cost=on_demand, pricing_unit="Hrs",
    )  # fmt: skip
    fee = line(
        "SavingsPlanRecurringFee", recurring, **at, savings_plan_total_commitment_to_date=commitment,
        savings_plan_used_commitment=used, line_item_product_code="ComputeSavingsPlans",
    )  # fmt: skip
    return [covered, line("SavingsPlanNegation", -on_demand, **at), fee]


def reservation_month(month: int, used: int, days: int, upfront: Decimal, recurring: Decimal) -> list[Line]:
    """A month of a reservation: ``used`` of its ``days``, at ``upfront`` and ``recurring`` a day."""
    at: dict[str, Any] = {"month": month, "reservation_reservation_a_r_n": RESERVATION, "pricing_unit": "Hrs"}
    fee = line(
        "RIFee", recurring * days, **at, reservation_total_reserved_units=Decimal(24 * days),
        reservation_unused_quantity=Decimal(24 * (days - used)),
        reservation_unused_amortized_upfront_fee_for_billing_period=upfront * (days - used),
        reservation_unused_recurring_fee=recurring * (days - used),
    )  # fmt: skip
    return [fee] + [
        line("DiscountedUsage", 0, day=d + 1, **at, reservation_effective_cost=upfront + recurring,
             line_item_usage_amount=Decimal(24), pricing_public_on_demand_cost=Decimal(4))
        for d in range(used)
    ]  # fmt: skip


cents = st.integers(0, 10_000).map(lambda c: Decimal(c) / 100)


@given(
    upfront=cents, recurring=cents, shares=st.lists(st.integers(0, 100), min_size=50, max_size=50),
    days=st.tuples(st.integers(0, 30), st.integers(0, 31)), reserved=st.tuples(cents, cents),
    form=st.sampled_from([legacy, modern]),
)  # fmt: skip
def test_accrual_and_cash_come_out_even_over_the_term(
    tmp_path_factory: pytest.TempPathFactory,
    upfront: Decimal,
    recurring: Decimal,
    shares: list[int],
    days: tuple[int, int],
    reserved: tuple[Decimal, Decimal],
    form: Any,
) -> None:
    """A partial upfront Savings Plan of 50 days and a partial upfront reservation of 61, over two bills."""
    path = tmp_path_factory.mktemp("cur") / ("bill.csv" if form is legacy else "bill.parquet")
    commitment = upfront + recurring
    given = [
        line("SavingsPlanUpfrontFee", upfront * 50, savings_plan_savings_plan_a_r_n=PLAN),
        line("Fee", reserved[0] * 61, reservation_reservation_a_r_n=RESERVATION),
        *reservation_month(9, days[0], 30, *reserved),
        *reservation_month(10, days[1], 31, *reserved),
        line("Usage", "12.34"),
        line("Tax", "1.11"),
    ]
    for i, share in enumerate(shares):
        month, day = (9, i + 1) if i < 30 else (10, i - 29)
        given += plan_day(day, month, commitment * share / 100, commitment, recurring)
    found = rows(form(path, *given))

    assert total(found, "BilledCost") == sum(x["line_item_unblended_cost"] for x in given)
    for identity, price in ((PLAN, commitment * 50), (RESERVATION, sum(reserved) * 61)):
        of = {"CommitmentDiscountId": identity}
        used = total(found, "EffectiveCost", CommitmentDiscountStatus="Used", **of)
        unused = total(found, "EffectiveCost", CommitmentDiscountStatus="Unused", **of)
        bought = total(found, "BilledCost", ChargeCategory="Purchase", **of)
        assert used + unused == bought == price
        assert total(found, "EffectiveCost", ChargeCategory="Usage", **of) == bought
        assert total(found, "EffectiveCost", ChargeCategory="Purchase", **of) == 0
        assert total(found, "BilledCost", ChargeCategory="Usage", **of) == 0  # negations take covered usage back
    assert total(found, "EffectiveCost") == total(found, "BilledCost")


def test_quantities_of_commitments(tmp_path: Path) -> None:
    given = [*plan_day(1, 9, Decimal(2), Decimal(3), Decimal(3)), *reservation_month(9, 20, 30, Decimal(1), Decimal(1))]
    found = rows(legacy(tmp_path / "bill.csv", *given))
    for identity, unit, bought in ((PLAN, "USD", 3), (RESERVATION, "Hrs", 720)):
        of: dict[str, str | None] = {"CommitmentDiscountId": identity}
        assert {r["CommitmentDiscountUnit"] for r in found if r["CommitmentDiscountId"] == identity} == {unit}
        by_status = {
            status: total(found, "CommitmentDiscountQuantity", CommitmentDiscountStatus=status, **of)
            for status in ("Used", "Unused", None)
        }
        assert by_status["Used"] + by_status["Unused"] == by_status[None] == bought
    unused = [r for r in found if r["CommitmentDiscountStatus"] == "Unused"]
    assert [r["EffectiveCost"] for r in unused] == [1, 20]
    assert {(r["ChargeCategory"], r["ChargeFrequency"], r["BilledCost"], r["ConsumedQuantity"]) for r in unused} == {
        ("Usage", "Usage-Based", Decimal(0), None)
    }
    assert [r["CommitmentDiscountCategory"] for r in unused] == ["Spend", "Usage"]
    assert [r["CommitmentDiscountType"] for r in unused] == ["Savings Plan", "Reserved Instance"]


def test_a_reservation_of_flexible_size_counts_in_normalised_units(tmp_path: Path) -> None:
    at: dict[str, Any] = {"reservation_reservation_a_r_n": RESERVATION, "pricing_unit": "Hrs"}
    given = [
        line("RIFee", 4, **at, reservation_total_reserved_units=Decimal(2), reservation_unused_quantity=Decimal("0.5"),
             reservation_total_reserved_normalized_units=Decimal(8), reservation_unused_recurring_fee=Decimal(1),
             reservation_unused_normalized_unit_quantity=Decimal(2)),
        line("DiscountedUsage", 0, **at, line_item_usage_amount=Decimal(6), reservation_effective_cost=Decimal(3),
             line_item_normalized_usage_amount=Decimal(6)),
    ]  # fmt: skip
    found = rows(legacy(tmp_path / "bill.csv", *given))
    assert [(r["CommitmentDiscountStatus"], r["CommitmentDiscountQuantity"]) for r in found] == [
        (None, 8), ("Used", 6), ("Unused", 2)
    ]  # fmt: skip
    assert {r["CommitmentDiscountUnit"] for r in found} == {"Normalized units"}


def test_list_and_contracted_cost_of_covered_usage_count_once(tmp_path: Path) -> None:
    found = rows(legacy(tmp_path / "bill.csv", *plan_day(1, 9, Decimal(2), Decimal(3), Decimal(3))))
    covered, negation, fee, unused = found
    assert (covered["ListCost"], covered["ContractedCost"], covered["BilledCost"]) == (3, 3, 3)
    assert (negation["ListCost"], negation["ContractedCost"], negation["BilledCost"]) == (0, 0, -3)
    assert (fee["ListCost"], fee["BilledCost"], fee["EffectiveCost"]) == (3, 3, 0)
    assert (unused["ListCost"], unused["BilledCost"], unused["EffectiveCost"]) == (1, 0, 1)


def test_a_fee_without_an_id_keeps_what_went_unused(tmp_path: Path) -> None:
    given = line("RIFee", 4, reservation_unused_recurring_fee=Decimal(1))
    (row,) = rows(legacy(tmp_path / "bill.csv", given))
    assert (row["BilledCost"], row["EffectiveCost"], row["CommitmentDiscountId"]) == (4, 1, None)


def test_both_forms_give_the_same_rows(tmp_path: Path) -> None:
    given = [
        *plan_day(1, 9, Decimal("2.25"), Decimal(3), Decimal(1)),
        *reservation_month(9, 3, 30, Decimal(1), Decimal(2)),
        line("Usage", "0.1", resource_tags={"user_team": "shop"}),
        line("Tax", "0.07"),
    ]
    one, other = rows(legacy(tmp_path / "a.csv", *given)), rows(modern(tmp_path / "a.parquet", *given))
    for row in (*one, *other):
        row["file"] = ""
    assert one == other


# --- refusals ----------------------------------------------------------------------------------------------


def test_covered_usage_without_its_amortised_cost_is_refused(tmp_path: Path) -> None:
    path = legacy(tmp_path / "bill.csv", line("Usage", 1), line("SavingsPlanCoveredUsage", 1))
    with pytest.raises(
        CorruptDataError, match="line 3: column savings_plan_savings_plan_effective_cost: found no value"
    ):
        read(path)


def test_what_is_no_report_is_refused(tmp_path: Path, real_data: Path) -> None:
    with pytest.raises(CorruptDataError, match="is this an AWS Cost and Usage Report"):
        read(real_data / "cost" / "focus" / "focus_1.0_sample_1000.csv")


def test_a_bad_amount_names_its_line(tmp_path: Path) -> None:
    path = legacy(tmp_path / "bill.csv", line("Usage", 1), line("Usage", "0.00000000000001"))
    with pytest.raises(
        CorruptDataError, match="line 3: column lineItem/UnblendedCost: found '1E-14'; allowed: at most 12"
    ):
        read(path)


def test_more_decimals_are_rounded_where_that_is_asked_for(tmp_path: Path) -> None:
    path = legacy(tmp_path / "bill.csv", line("Usage", "0.00000000000151"))
    config = CurSource.model_validate({"kind": "aws_cur", "name": "c", "path": str(path), "excess_decimals": "round"})
    (batch,) = build(config, Context(Path)).batches(None, NOW)
    assert batch.table["BilledCost"].to_pylist() == [Decimal("0.000000000002")]
    assert "lineItem/UnblendedCost: rounded half to even to 12 decimals (1 rows)" in batch.notes


def test_every_canonical_column_of_numbers_is_filled_where_it_can_be(tmp_path: Path) -> None:
    found = rows(legacy(tmp_path / "bill.csv", *plan_day(1, 9, Decimal(2), Decimal(3), Decimal(3)), line("Tax", 1)))
    assert all(r[c] is not None for r in found for c in COST_MONEY)
    assert all(r["ConsumedQuantity"] is None for r in found if r["ChargeCategory"] != "Usage")
    assert {c for r in found for c in COST_QUANTITY if r[c] is not None} >= {"PricingQuantity", "ConsumedQuantity"}
