"""Commitments in review: exact figures on the demo bill, odd bills, and what must always hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.costs.commitment_review import (
    ALL,
    CommitmentReview,
    Policy,
    UsageInScope,
    beside,
    expiring,
    pool_of,
    product_of,
    review_commitments,
    review_in_total,
    same_commitment,
)
from capacity.schemas import COMMITMENTS, RECOMMENDATIONS
from tests.costs.costs_makers import bill, month_start, next_month, row

ROOT = Path(__file__).resolve().parents[2]
AS_OF = datetime(2026, 10, 5, 12, tzinfo=UTC)
EC2 = {"ServiceName": "Amazon Elastic Compute Cloud", "SkuMeter": "BoxUsage:m5.large", "PricingCategory": "Standard",
       "RegionId": "us-east-1"}  # fmt: skip
PLAN = {"CommitmentDiscountId": "sp-1", "CommitmentDiscountType": "Compute Savings Plan",
        "PricingCategory": "Committed"}  # fmt: skip
RI = {"CommitmentDiscountId": "ri-1", "CommitmentDiscountType": "Reserved Instance", "PricingCategory": "Committed"}


def on_demand(cost: object, **more: Any) -> dict[str, Any]:
    return row(effective=cost, **(EC2 | more))


def used(effective: object, worth: object, commitment: dict[str, Any] = PLAN, **more: Any) -> dict[str, Any]:
    amounts = {"ContractedCost": worth, "ListCost": worth, "BilledCost": "0"}
    return row(effective=effective, **(EC2 | commitment | {"CommitmentDiscountStatus": "Used"} | amounts | more))


def unused(effective: object, commitment: dict[str, Any] = PLAN, **more: Any) -> dict[str, Any]:
    amounts = {"BilledCost": "0", "CommitmentDiscountStatus": "Unused"}
    return row(effective=effective, **(EC2 | commitment | amounts | more))


def fee(billed: object, commitment: dict[str, Any] = PLAN, **more: Any) -> dict[str, Any]:
    bought = {"ChargeCategory": "Purchase", "ChargeFrequency": "Recurring", "PricingCategory": "Standard"}
    return row(effective="0", **(commitment | bought | {"BilledCost": billed, "ServiceName": "Savings Plans"} | more))


def reviewed(rows: Sequence[dict[str, Any]], months: Sequence[str] = ("2026-08",), **more: Any) -> CommitmentReview:
    return review_commitments(bill(rows), months, **more)


def of(found: CommitmentReview, product: str = ALL, month: str = "2026-08", currency: str = "USD") -> dict[str, Any]:
    frame = found.frame
    frame = frame[(frame["product"] == product) & (frame["month"] == month) & (frame["currency"] == currency)]
    assert len(frame) == 1
    return frame.iloc[0].to_dict()


# --- what is not told -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("listed", "contracted"), [("0", "0"), (None, "0"), ("0", None), (None, None), ("100", "0")])
def test_covered_usage_that_costs_nothing_by_its_columns_is_worth_what_its_sku_costs(
    listed: str | None, contracted: str | None
) -> None:
    untold = used("60", "0", RI, ListCost=listed, ContractedCost=contracted, PricingQuantity="100")
    told = used("60", "100", RI, PricingQuantity="100")
    found = of(reviewed([untold, told, on_demand("100", PricingQuantity="100")]))
    assert (found["coverage_frac"], found["effective_savings_rate_frac"]) == (0.666667, 0.266667)
    assert (found["on_demand_equivalent"], found["unknown"]) == (Decimal(200), Decimal(0))
    assert found["flags"] == "on-demand cost of 1 row(s) taken from the same SKU elsewhere in the bill"


def test_a_list_cost_of_zero_is_no_price_but_free_usage_may_be() -> None:
    hours = {"PricingQuantity": "100", "PricingUnit": "Hrs"}
    untold = used("60", "0", RI, ContractedCost=None, **hours)
    found = of(reviewed([untold], prices={("us-east-1", "m5.large"): Decimal(1)}))
    assert found["on_demand_equivalent"] == Decimal(100)
    assert "price list" in found["flags"]
    unknown = of(reviewed([untold]))
    assert (unknown["unknown"], unknown["saving"]) == (Decimal(60), Decimal(0))
    assert unknown["flags"].startswith("on-demand cost unknown for 1 row(s)")
    free = of(reviewed([used("0", "0", RI), on_demand("100")]))
    assert (free["on_demand_equivalent"], free["flags"]) == (Decimal(0), "")


def test_what_was_paid_upfront_is_held_against_every_month_of_its_term() -> None:
    paid = fee("3650", RI, BillingPeriodStart=month_start("2026-07"), BillingPeriodEnd=next_month("2026-07"),
               ChargePeriodStart=month_start("2026-07"), ChargePeriodEnd=month_start("2027-07"),
               ChargeFrequency="One-Time")  # fmt: skip
    months = {m: {"BillingPeriodStart": month_start(m), "BillingPeriodEnd": next_month(m),
                  "ChargePeriodStart": month_start(m), "ChargePeriodEnd": next_month(m)}
              for m in ("2026-07", "2026-08")}  # fmt: skip
    found = reviewed([paid, *(used("100", "400", RI, **when) for when in months.values())], list(months))
    for month in months:
        said = of(found, month=month)["flags"]
        assert said.startswith("fees of the month are 310.00 USD, usage carries 100.00"), month


# --- the demo company ------------------------------------------------------------------------------------------


@cache
def demo() -> CommitmentReview:
    table = ds.dataset(ROOT / "fixtures/data/bill").to_table()
    months = [str(m) for m in pd.period_range("2025-09", "2026-09", freq="M")]
    return review_commitments(table.append_column("source", pa.repeat("bill", table.num_rows)), months)


def test_the_demo_months_are_exact() -> None:
    """Covered, committed and unused as the generator made them: 78 $/h of on-demand value at 73 %, 38 RIs."""
    plan = of(demo(), "compute_sp")
    assert plan["on_demand_equivalent"] == Decimal("55676.43648")
    assert plan["committed"] == Decimal("42363.36")  # 744 h x 56.94 $
    assert plan["unused"] == Decimal("26.06976")
    assert plan["saving"] == Decimal("55676.43648") - Decimal("42363.36")
    assert plan["utilisation_frac"] == 0.999385
    assert plan["covered_savings_rate_frac"] == 0.239115
    reserved = of(demo(), "ec2_ri")
    assert reserved["committed"] == Decimal("5880.576")  # 744 h x 38 x .208 $
    assert reserved["utilisation_frac"] == 0.986842
    every = of(demo())
    assert every["saving"] == plan["saving"] + reserved["saving"]
    assert every["uncovered"] == Decimal("144040.11453879167")  # EC2, Fargate and Lambda's duration on demand
    assert every["eligible"] == every["on_demand_equivalent"] + every["uncovered"]
    assert (every["coverage_frac"], every["effective_savings_rate_frac"]) == (0.310229, 0.079201)
    assert (every["rows_used"], every["rows_unused"], every["rows_uncovered"]) == (217, 62, 589)
    assert set(demo().frame["flags"]) == {""}


def test_before_any_commitment_the_demo_covers_nothing() -> None:
    first = of(demo(), month="2025-09")
    assert (first["coverage_frac"], first["saving"]) == (0.0, Decimal(0))
    assert pd.isna(first["utilisation_frac"])  # nothing to divide by
    assert first["uncovered"] > 0


def test_the_total_of_the_demo_adds_its_months() -> None:
    frame, total = demo().frame, review_in_total(demo().frame).set_index("product")
    assert total.loc[ALL, "months"] == "2025-09 to 2026-09"
    for column in ("committed", "saving", "unused", "eligible", "on_demand_equivalent"):
        assert total.loc[ALL, column] == sum(frame.loc[frame["product"] == ALL, column])
    assert total.loc[ALL, "utilisation_frac"] == 0.997171


def test_what_ends_within_120_days_of_the_demo() -> None:
    owned = pd.read_parquet(ROOT / "fixtures/data/commitments.parquet")
    found = expiring(owned, demo(), "2026-09", AS_OF)
    assert list(found["id"]) == ["ri-0c5-2xl-2025-12"]  # the Savings Plan ends in 147 days
    first = found.iloc[0]
    assert first["days_left"] == 56
    assert first["monthly_on_demand"] == Decimal("8898.9696")
    assert first["monthly_more"] == Decimal("8898.9696") - Decimal("5690.88")
    assert first["covers_frac"] == 0.042573
    assert "ends on 1 Dec 2026, in 56 days" in first["words"]
    assert len(expiring(owned, demo(), "2026-09", AS_OF, days=150)) == 2


# --- odd bills -------------------------------------------------------------------------------------------------


def test_a_covered_row_without_on_demand_cost_takes_the_rate_of_its_sku() -> None:
    bare = used("7", None, SkuId="sku-1", PricingQuantity="100")
    near = on_demand("9", SkuId="sku-1", PricingQuantity="90")
    found = of(reviewed([bare, near]))
    assert found["on_demand_equivalent"] == Decimal("10")
    assert found["flags"] == "on-demand cost of 1 row(s) taken from the same SKU elsewhere in the bill"


def test_a_contracted_cost_of_zero_beside_a_list_price_is_none() -> None:
    found = of(reviewed([used("7", "10") | {"ContractedCost": "0"}]))
    assert found["on_demand_equivalent"] == Decimal(10)
    assert found["flags"] == "on-demand cost of 1 row(s) is at list price: no contracted cost"


def test_the_nearest_month_of_the_sku_tells_its_rate() -> None:
    rows = [used("7", None, SkuId="sku-1", PricingQuantity="100")]
    for month, cost in (("2026-05", 50), ("2026-07", 12)):
        rows.append(on_demand(cost, month=month, SkuId="sku-1", PricingQuantity="100"))
    assert of(reviewed(rows, ("2026-05", "2026-07", "2026-08")))["on_demand_equivalent"] == Decimal(12)


def test_then_the_price_list_tells_it_and_else_it_is_unknown_and_said() -> None:
    bare = used("7", None, SkuId="sku-1", PricingQuantity="100")
    listed = of(reviewed([bare], prices={("us-east-1", "m5.large"): Decimal("0.096")}))
    assert listed["on_demand_equivalent"] == Decimal("9.6")
    assert "price list" in listed["flags"]
    unknown = of(reviewed([bare, used("3", "4"), on_demand("6")]))
    assert unknown["unknown"] == Decimal(7)
    assert (unknown["saving"], unknown["coverage_frac"]) == (Decimal(1), 0.4)
    assert "on-demand cost unknown for 1 row(s) (7.00 USD committed)" in unknown["flags"]
    other_money = reviewed([bare | {"BillingCurrency": "EUR"}], prices={("us-east-1", "m5.large"): Decimal("0.096")})
    assert of(other_money, currency="EUR")["unknown"] == Decimal(7)  # a price in dollars says nothing of euros


def test_currencies_are_never_added() -> None:
    found = reviewed([used("7", "10"), used("70", "100", BillingCurrency="EUR"), unused("30", BillingCurrency="EUR")])
    assert of(found)["committed"] == Decimal(7)
    assert of(found, currency="EUR")["utilisation_frac"] == 0.7


def test_several_payers_are_told_and_added() -> None:
    other = PLAN | {"CommitmentDiscountId": "sp-2"}
    found = of(reviewed([used("7", "10"), used("7", "10", other, BillingAccountId="second")]))
    assert found["committed"] == Decimal(14)
    assert "2 payers" in found["flags"]


def test_what_was_paid_at_once_is_spread_over_its_term() -> None:
    """730 paid for the two years to come: its month's part beside the recurring fee; unused rows are missing."""
    once = fee("731", RI, ChargeFrequency="One-Time", ChargePeriodStart=month_start("2026-08"),
               ChargePeriodEnd=datetime(2028, 8, 1, tzinfo=UTC))  # fmt: skip
    found = of(reviewed([once, fee("20", RI), used("40", "70", RI)]))
    assert found["flags"] == (
        "fees of the month are 51.00 USD, usage carries 40.00: rows of unused commitment may be missing"
    )
    assert of(reviewed([once, fee("20", RI), used("40", "70", RI), unused("11", RI)]))["flags"] == ""


def test_a_purchase_that_carries_effective_cost_counts_as_unused() -> None:
    found = of(reviewed([used("7", "10"), fee("9") | {"EffectiveCost": "2"}]))
    assert (found["committed"], found["unused"], found["saving"]) == (Decimal(9), Decimal(2), Decimal(1))
    assert "purchases carry an effective cost of 2.00 USD" in found["flags"]


def test_a_month_that_is_not_whole_says_so() -> None:
    short = [r | {"ChargePeriodEnd": datetime(2026, 8, 11, tzinfo=UTC)} for r in (used("7", "10"), on_demand("5"))]
    assert of(reviewed(short))["flags"] == "usage rows span 10 of 31 days"


def test_spot_and_other_services_are_not_eligible() -> None:
    spot = on_demand("50", PricingCategory="Dynamic", SkuMeter="SpotUsage:m5.large")
    disk = on_demand("50", SkuMeter="EBS:VolumeUsage.gp3")
    assert of(reviewed([used("7", "10"), spot, disk]))["eligible"] == Decimal(10)


@pytest.mark.parametrize(
    ("service", "meter", "unit", "pool"),
    [
        ("Amazon Elastic Compute Cloud", "USE1-BoxUsage:m5.large", "Hrs", "ec2"),
        ("Amazon Elastic Compute Cloud", "", "Hours", "ec2"),
        ("Amazon Elastic Compute Cloud", "", "GB-Mo", None),
        ("AWS Lambda", "Lambda-GB-Second", "Second", "fargate_lambda"),
        ("AWS Lambda", "Lambda-Requests", "Requests", None),
        ("Amazon Elastic Container Service", "EUC1-Fargate-vCPU-Hours:perCPU", "Hours", "fargate_lambda"),
        ("Amazon Relational Database Service", "InstanceUsage:db.r6g.large", "Hrs", "rds"),
        ("Amazon ElastiCache", "NodeUsage:cache.r7g.xlarge", "Hrs", "elasticache"),
    ],
)
def test_which_usage_a_commitment_could_pay_for(service: str, meter: str, unit: str, pool: str | None) -> None:
    assert pool_of(service, meter, unit) == pool


@pytest.mark.parametrize(
    ("kind", "texts", "pools", "product"),
    [
        ("Savings Plan", ["ComputeSP:1yrNoUpfront"], ["ec2"], "compute_sp"),
        ("Savings Plan", ["EC2SP:m5.1yrNoUpfront"], ["ec2"], "ec2_instance_sp"),
        ("Savings Plan", [], ["ec2"], "savings_plan"),
        ("Reserved Instance", [], ["rds"], "rds_ri"),
        ("Reserved Instance", [], ["ec2", "rds"], "other"),
        ("Reservation", [], [None], "other"),
    ],
)
def test_which_product_a_commitment_is(kind: str, texts: list[str], pools: list[str | None], product: str) -> None:
    assert product_of(kind, texts, pools) == product


def test_an_inventory_knows_what_a_bill_does_not_tell() -> None:
    arn = "arn:aws:savingsplans::1:savingsplan/11111111-2222-3333-4444-555555555555"
    vague = PLAN | {"CommitmentDiscountId": arn, "CommitmentDiscountType": "Savings Plan"}
    told = {"11111111-2222-3333-4444-555555555555": "ec2_instance_sp"}
    assert set(reviewed([used("7", "10", vague)]).frame["product"]) == {"savings_plan", ALL}
    assert set(reviewed([used("7", "10", vague)], products=told).frame["product"]) == {"ec2_instance_sp", ALL}
    assert same_commitment(arn, "11111111-2222-3333-4444-555555555555")
    assert not same_commitment(arn, "3333-4444-555555555555")


def test_an_ending_commitment_that_the_bill_does_not_name_is_said_to_be_unknown() -> None:
    owned = pd.DataFrame(
        [{"id": "sp-9", "account_id": "1", "product": "compute_sp_1y_no_upfront", "scope": "", "region": "",
          "sharing": "organization", "hourly_usd": 1.0, "count": 1, "start": pd.Timestamp("2025-11-01", tz="UTC"),
          "end": pd.Timestamp("2026-11-01", tz="UTC")}], columns=list(COMMITMENTS.columns))  # fmt: skip
    found = expiring(owned, reviewed([used("7", "10")]), "2026-08", AS_OF)
    assert found.iloc[0]["monthly_more"] is None
    assert "does not name it, so what it covers is not known" in found.iloc[0]["words"]
    assert expiring(COMMITMENTS.empty(), reviewed([used("7", "10")]), "2026-08", AS_OF).empty


# --- what must always hold ---------------------------------------------------------------------------------------

cents = st.integers(0, 10**7).map(lambda n: Decimal(n).scaleb(-2))
bills = st.lists(
    st.one_of(
        st.builds(lambda e, w: used(e, w), cents, cents),
        st.builds(lambda e, w: used(e, w, RI), cents, cents),
        st.builds(lambda e: unused(e), cents),
        st.builds(lambda e: on_demand(e), cents),
        st.builds(lambda e: fee(e), cents),
    ),
    min_size=1,
    max_size=12,
)


@given(bills)
def test_rates_are_shares_and_agree_with_the_money(found: list[dict[str, Any]]) -> None:
    for line in reviewed(found).frame.to_dict("records"):
        for name in ("coverage_frac", "utilisation_frac"):
            assert line[name] is None or pd.isna(line[name]) or 0.0 <= line[name] <= 1.0
        assert line["saving"] == line["on_demand_equivalent"] - (line["committed"] - line["unknown"])
        assert line["unused"] <= line["committed"]
        if line["eligible"]:
            assert abs(line["effective_savings_rate_frac"] - float(line["saving"] / line["eligible"])) <= 1e-6
            assert line["effective_savings_rate_frac"] <= line["coverage_frac"] + 1e-6


@given(bills, st.integers(100, 10**6))
def test_more_unused_commitment_lowers_the_savings_rate(found: list[dict[str, Any]], more: int) -> None:
    found = [*found, used("7", "10")]
    less, other = of(reviewed(found)), of(reviewed([*found, unused(Decimal(more))]))
    assert other["saving"] == less["saving"] - more
    assert other["effective_savings_rate_frac"] <= less["effective_savings_rate_frac"]
    # Shares are rounded to 1e-6: beside a large commitment a little more unused may not show in them.
    assert other["utilisation_frac"] <= less["utilisation_frac"]
    assert other["coverage_frac"] == less["coverage_frac"]


# --- beside AWS --------------------------------------------------------------------------------------------------

POLICY = Policy(["compute_sp", "ec2_instance_sp"], [1], ["no_upfront"], 0.8)


def advice(**more: Any) -> pd.DataFrame:
    line = {"source": "ce", "account_id": "1", "made_on": pd.Timestamp("2026-10-05", tz="UTC"), "product": "compute_sp",
            "scope": "all", "region": "", "term_years": 1, "payment": "no_upfront", "lookback_days": 30,
            "hourly_commitment": Decimal(40), "count": None, "upfront": Decimal(0), "monthly_savings": Decimal(9000),
            "savings_frac": 0.27, "utilisation_frac": 0.99, "currency": "USD"}  # fmt: skip
    return pd.DataFrame([line | more], columns=list(RECOMMENDATIONS.columns))


def bought(**more: Any) -> pd.DataFrame:
    line = {"product": "compute_sp", "scope": "", "region": "", "term_years": 1, "payment": "no_upfront",
            "hourly_usd": 25.0, "count": 0, "saving_mean": 72_000.0, "utilisation_q10": 0.97}  # fmt: skip
    return pd.DataFrame([line | more])


NOTHING = bought().iloc[:0]


def test_both_stand_in_a_row_with_the_reasons_in_figures() -> None:
    usage = {("compute_sp", "", ""): UsageInScope(120.0, 80.0, 1.1, (("c5.4xlarge", 30.0), ("r5.xlarge", 12.5)),
                                                 (("ri-1", datetime(2026, 12, 1, tzinfo=UTC).date()),))}  # fmt: skip
    line = beside(bought(), advice(), usage, POLICY, "USD").iloc[0]
    assert (line["ours_hourly"], line["aws_hourly"], line["difference_hourly"]) == (25.0, 40.0, -15.0)
    assert (line["ours_saving"], line["aws_saving"]) == (6000.0, 9000.0)  # a month
    assert (
        "the last 30 days: 120.00 USD an hour of late at on demand in its scope, 80.00 in the plan (−33%): demand "
        "alone +10%, the plan leaves c5.4xlarge, r5.xlarge (42.50 USD an hour)"
    ) in line["reasons"]
    assert "ri-1 on 1 Dec 2026" in line["reasons"]
    assert "80% is used even on the P10 path (97% is); AWS expects 99% on average" in line["reasons"]


def test_a_policy_that_forbids_and_a_refusal_are_the_reasons() -> None:
    three = beside(NOTHING, advice(term_years=3), {}, POLICY, "USD").iloc[0]
    assert three["reasons"].startswith("the policy does not buy it: optimize.commitments.terms has no 3")
    refused = Policy(["compute_sp"], [1], ["no_upfront"], 0.8, (("compute_sp_1y_no_upfront", "only in month 11"),))
    assert beside(NOTHING, advice(), {}, refused, "USD").iloc[0]["reasons"] == "not bought: only in month 11"
    assert "not in the config" in beside(NOTHING, advice(), {}, None, "USD").iloc[0]["reasons"]


def test_what_one_side_lacks_the_other_explains() -> None:
    own = bought(product="ec2_instance_sp", scope="m6g", region="us-east-1")
    found = beside(own, advice(), {}, POLICY, "USD").set_index("product")
    assert (
        "the plan buys EC2 Instance Savings Plans, 1 year(s), no upfront for that usage instead (25.00 USD"
        in (found.loc["compute_sp", "reasons"])
    )
    assert found.loc["ec2_instance_sp", "reasons"].startswith("AWS recommends nothing of this kind")


def test_a_count_of_reservations_is_compared_by_type_and_other_money_not_at_all() -> None:
    named = {"product": "standard_ri", "scope": "m6i.large Linux/UNIX", "region": "us-east-1"}
    reserved = advice(**named, hourly_commitment=None, count=3)
    line = beside(NOTHING, reserved, {}, POLICY, "USD").iloc[0]
    assert (line["scope"], line["aws_count"]) == ("m6i.large", 3)
    assert pd.isna(line["aws_hourly"])
    assert pd.isna(line["difference_hourly"])
    assert beside(bought(), advice(currency="EUR"), {}, POLICY, "USD").empty
    assert beside(bought(), RECOMMENDATIONS.empty(), {}, POLICY, "USD").empty


def test_of_several_look_backs_the_longest_stands_and_accounts_add_up() -> None:
    both = pd.concat([advice(), advice(lookback_days=60, hourly_commitment=Decimal(30)),
                      advice(lookback_days=60, hourly_commitment=Decimal(2), account_id="2")])  # fmt: skip
    line = beside(NOTHING, both, {}, POLICY, "USD").iloc[0]
    assert (line["lookback_days"], line["aws_hourly"]) == (60, 32.0)


def test_months_are_the_bills_own() -> None:
    """A correction of July on the bill of August belongs to August: sums tie to the invoice."""
    late = used("7", "10", ChargePeriodStart=month_start("2026-07"), ChargePeriodEnd=next_month("2026-07"))
    assert of(reviewed([late]))["committed"] == Decimal(7)
