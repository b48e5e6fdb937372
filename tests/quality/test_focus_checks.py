"""Each test of a value, passing and failing; one defect a row gives exactly its findings."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pytest
from focus_makers import (
    CURRENCIES,
    DISCOUNTED,
    MAPS,
    NUMBERS,
    SOUND,
    TIMES,
    UNITS,
    Row,
    amount,
    bill,
    judge,
    rows_named,
)


def at_fault(column: str, values: Mapping[str, bool], rule: str) -> None:
    """Exactly the ``values`` that are false are named by ``rule``."""
    table = bill(*({column: v} for v in values), columns=[column])
    named = rows_named(judge(table, examples=len(values))).get(rule, set())
    assert [v for i, v in enumerate(values, 1) if i in named] == [v for v, ok in values.items() if not ok]


def test_decimal() -> None:
    readable = {v: amount(v) is not None for v in NUMBERS}
    at_fault("BilledCost", readable, "BilledCost-C-001-M")
    at_fault("BilledCost", readable, "BilledCost-C-004-M")


def test_numeric_format() -> None:
    at_fault("ListCost", {v: plain for v, (_, plain) in NUMBERS.items()}, "ListCost-C-002-M")


def test_date_time() -> None:
    at_fault("ChargePeriodStart", {v: t[0] for v, t in TIMES.items()}, "ChargePeriodStart-C-001-M")


def test_date_time_format() -> None:
    at_fault("ChargePeriodStart", {v: t[1] for v, t in TIMES.items()}, "ChargePeriodStart-C-002-M")


def test_key_value_format() -> None:
    at_fault("Tags", MAPS, "Tags-C-001-M")
    at_fault("SkuPriceDetails", MAPS, "SkuPriceDetails-C-001-M")


def test_unit_format() -> None:
    at_fault("ConsumedUnit", UNITS, "ConsumedUnit-C-003-O")


def test_currency_format_and_national_currency() -> None:
    at_fault("BillingCurrency", {v: t[0] for v, t in CURRENCIES.items()}, "BillingCurrency-C-003-M")
    at_fault("BillingCurrency", {v: t[1] for v, t in CURRENCIES.items()}, "BillingCurrency-C-006-M")


def test_text_format_finds_what_was_decoded_wrongly() -> None:
    at_fault("RegionName", {"Zürich": True, "東京": True, "Z�rich": False}, "RegionName-C-002-M")


def test_a_product_may_be_off_by_rounding_but_no_more() -> None:
    rows = [
        {"ListUnitPrice": "0.1", "PricingQuantity": "3", "ListCost": "0.3"},
        {"ListUnitPrice": "0.0000004", "PricingQuantity": "7", "ListCost": "0.0000028"},
        {"ListUnitPrice": "1000000", "PricingQuantity": "3", "ListCost": "3000002"},
        {"ListUnitPrice": "0.1", "PricingQuantity": "3", "ListCost": "0.31"},
        {"ListUnitPrice": "0.1", "PricingQuantity": "3", "ListCost": "0.31", "ChargeClass": "Correction"},
        {"ListUnitPrice": "0.1", "PricingQuantity": None, "ListCost": "0.31"},
        {"ListUnitPrice": "1000000", "PricingQuantity": "3", "ListCost": "3000004"},
    ]
    columns = ["ListUnitPrice", "PricingQuantity", "ListCost", "ChargeClass"]
    assert rows_named(judge(bill(*rows, columns=columns), examples=9))["ListCost-C-009-C"] == {4, 7}


def test_distinct_count_names_the_group_and_counts_its_rows() -> None:
    pairs = [("EC2", "Compute"), ("S3", "Storage"), ("EC2", "Storage"), ("EC2", "Compute"), ("X", None), (None, "Web")]
    rows: list[Row] = [{"ServiceName": a, "ServiceCategory": b} for a, b in pairs]
    report = judge(bill(*rows, columns=["ServiceName", "ServiceCategory"]))
    finding = next(f for f in report.findings if f.rule == "ServiceName-C-005-C")
    assert (finding.rows, finding.of) == (4, 5)
    assert finding.examples == (
        "row 1: ServiceName 'EC2' goes with 2 ServiceCategory: 'Compute', 'Storage'",
        "row 5: ServiceName 'X' goes with 0 ServiceCategory",
    )


def test_one_sku_has_one_meter_at_most() -> None:
    rows: list[Row] = [{"SkuMeter": "a"}, {"SkuMeter": None}, {"SkuMeter": "b"}, {"SkuId": "S2", "SkuMeter": "b"}]
    report = judge(bill(*rows, columns=["SkuId", "SkuMeter"]))
    finding = next(f for f in report.findings if f.rule == "SkuMeter-C-006-O")
    assert (finding.rows, finding.of, finding.severity) == (3, 4, "warning")


# A defect -> the rules that it violates, and no other of the 294.
DEFECTS: list[tuple[Row, set[str]]] = [
    ({}, set()),
    ({**DISCOUNTED}, set()),
    ({"BilledCost": None}, {"BilledCost-C-003-M"}),
    ({"BilledCost": "x"}, {"BilledCost-C-001-M", "BilledCost-C-002-M", "BilledCost-C-004-M"}),
    ({"ListUnitPrice": "-2"}, {"ListUnitPrice-C-008-M", "ListUnitPrice-C-010-C", "ListCost-C-009-C"}),
    ({"ChargeFrequency": "Usage-based"}, {"ChargeFrequency-C-003-M"}),
    ({"ChargeClass": "correction"}, {"ChargeClass-C-005-C"}),
    ({"ChargeClass": "Correction", "ListCost": "9"}, set()),
    ({"ChargeClass": "Correction", "ConsumedQuantity": None, "ConsumedUnit": None}, set()),
    ({"ConsumedQuantity": None, "ConsumedUnit": None}, {"ConsumedQuantity-C-006-C"}),
    ({"ConsumedUnit": None}, {"ConsumedUnit-C-006-C"}),
    ({"ConsumedQuantity": None}, {"ConsumedQuantity-C-006-C", "ConsumedUnit-C-005-C"}),
    ({"RegionId": None}, {"RegionName-C-004-C"}),
    ({"RegionName": None}, {"RegionName-C-005-C"}),
    ({"ResourceId": None}, {"ResourceType-C-004-C", "ResourceName-C-004-C"}),
    ({"SubAccountName": None}, {"SubAccountName-C-005-C"}),
    ({"SubAccountType": None}, {"SubAccountType-C-005-C"}),
    ({"ServiceCategory": "Storage", "ServiceName": "S3"}, {"ServiceSubcategory-C-004-M"}),
    ({"ServiceName": " "}, {"StringHandling-A-007-M", "NullHandling-A-002-M"}),
    ({"ResourceName": "N/A"}, {"NullHandling-A-002-M"}),
    ({**DISCOUNTED, "CommitmentDiscountStatus": None}, {"CommitmentDiscountStatus-C-004-C"}),
    ({**DISCOUNTED, "CommitmentDiscountStatus": "Active"}, {"CommitmentDiscountStatus-C-005-M"}),
    ({**DISCOUNTED, "PricingCategory": "Standard"}, {"PricingCategory-C-009-C"}),
    ({**DISCOUNTED, "CommitmentDiscountQuantity": None, "CommitmentDiscountUnit": None},
     {"CommitmentDiscountQuantity-C-005-C"}),
    ({**DISCOUNTED, "CommitmentDiscountStatus": "Unused"}, {"ConsumedQuantity-C-004-C"}),
    ({"CommitmentDiscountStatus": "Used"}, {"CommitmentDiscountStatus-C-003-C"}),
    ({"CommitmentDiscountName": "plan"}, {"CommitmentDiscountName-C-004-C"}),
    ({"CapacityReservationStatus": "Unused"}, {"CapacityReservationId-C-005-C", "CapacityReservationStatus-C-003-C"}),
    ({"CapacityReservationId": "cr-1"}, {"CapacityReservationStatus-C-004-C"}),
    ({"ChargeDescription": None}, {"ChargeDescription-C-003-O"}),
    ({"SkuMeter": None}, {"SkuMeter-C-005-C"}),
    ({"SkuId": "SKU2", "SkuPriceId": "SKU2.P1", "SkuMeter": "Other Usage", "PricingUnit": None},
     {"PricingUnit-C-006-C"}),
    ({"PricingCurrencyEffectiveCost": "-6"}, set()),
    ({"PricingCurrencyContractedUnitPrice": "-2"}, {"PricingCurrencyContractedUnitPrice-C-008-C"}),
    ({**DISCOUNTED, "ChargeCategory": "Purchase", "ChargeFrequency": "Usage-Based", "ConsumedQuantity": None,
      "ConsumedUnit": None, "PricingCategory": "Standard"}, {"ChargeFrequency-C-004-C", "EffectiveCost-C-005-C"}),
    ({"ChargeCategory": "Credit", "ConsumedQuantity": None, "ConsumedUnit": None, "EffectiveCost": "5"},
     {"EffectiveCost-C-010-C"}),
    ({"ChargeCategory": "Tax"},
     {"ListUnitPrice-C-004-C", "PricingQuantity-C-004-C", "SkuPriceId-C-004-C", "SkuId-C-004-C",
      "PricingCurrencyListUnitPrice-C-004-C", "ConsumedQuantity-C-004-C", "PricingCategory-C-003-C",
      "PricingCurrencyContractedUnitPrice-C-004-C", "ContractedUnitPrice-C-005-C"}),
    ({"ProviderName": "Other", "InvoiceIssuerName": "Reseller"}, set()),
]  # fmt: skip


def test_one_defect_a_row_gives_exactly_its_findings() -> None:
    report = judge(bill(*(d for d, _ in DEFECTS)), examples=len(DEFECTS))
    named = rows_named(report)
    grouped = {"CommitmentDiscountUnit-C-008-M", "SkuMeter-C-006-O", "ServiceName-C-005-C", "ServiceName-C-008-C"}
    for row, (defect, expected) in enumerate(DEFECTS, 1):
        assert {r for r, rows in named.items() if row in rows} - grouped == expected, defect
    assert report.executed == 294


# Of every kind: mandatory, conditional, of 1.1, of 1.2; text, amount, time, map; with conditions that hang on it.
LEFT_OUT = (
    "BilledCost", "BillingPeriodStart", "ChargeCategory", "CommitmentDiscountId", "InvoiceId", "PricingQuantity",
    "ProviderName", "RegionId", "ServiceSubcategory", "SkuMeter", "SubAccountType", "Tags",
)  # fmt: skip


@pytest.mark.parametrize("column", LEFT_OUT)
def test_a_column_left_out_is_named_and_its_rules_are_not_run(column: str) -> None:
    report = judge(bill(columns=[c for c in SOUND if c != column]))
    absent = [f for f in report.findings if f"{column}, absent" in f.message]
    assert absent
    assert all(f.column == column for f in absent)
    assert any(f"{column}, absent" in reason for _, reason in report.not_executed)
    assert [f for f in report.findings if f not in absent and f.severity != "info"] == []


def test_types_of_parquet_columns() -> None:
    from datetime import datetime
    from decimal import Decimal

    utc = datetime(2026, 7, 1)
    table = pa.table({
        "BilledCost": pa.array([Decimal("1.5"), None], pa.decimal128(20, 4)),
        "EffectiveCost": pa.array([1.5, float("nan")], pa.float64()),
        "ListCost": pa.array(["1.5", "2"]),
        "ContractedCost": pa.array([True, False]),
        "BillingPeriodStart": pa.array([utc, utc], pa.timestamp("us", tz="UTC")),
        "BillingPeriodEnd": pa.array([utc, utc], pa.timestamp("us")),
        "ChargePeriodStart": pa.array([utc, utc], pa.timestamp("ns", tz="Europe/Berlin")),
        "ChargePeriodEnd": pa.array([utc, utc], pa.date32()),
        "BillingAccountId": pa.array([1, 2], pa.int64()),
        "ServiceName": pa.array(["a", "b"]).dictionary_encode(),
        "ChargeCategory": pa.array(["Usage", "Tax"], pa.string_view()),
        "Tags": pa.array([[("a", "b")], None], pa.map_(pa.string(), pa.string())),
        "PricingQuantity": pa.array([Decimal("1.5"), None], pa.decimal256(60, 4)),
        "SkuId": pa.nulls(2),
    })  # fmt: skip
    report = judge(table)
    typed = {f.rule: f.rows for f in report.findings if load_kind(f.rule) in ("type", "format")}
    assert typed == {
        "EffectiveCost-C-001-M": 1,
        "ContractedCost-C-001-M": 2,
        "ContractedCost-C-002-M": 2,
        "BillingPeriodEnd-C-002-M": 2,
        "ChargePeriodStart-C-002-M": 2,
        "ChargePeriodEnd-C-002-M": 2,
        "BillingAccountId-C-002-M": 2,
    }


def load_kind(rule: str) -> str:
    from capacity.quality import focus_rules

    return next(r.kind for r in focus_rules() if r.id == rule)
