"""The rules on real bills, against counts that the csv module gives."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from focus_makers import found

from capacity.quality import FocusReport, validate_bill
from capacity.sources import _tabular

Raw = dict[str, str]


def report_on(path: Path) -> FocusReport:
    names = _tabular.header(path)
    return validate_bill((b.table for b in _tabular.blocks(path, names)), where=path.name)


def raw_rows(path: Path) -> list[Raw]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def null(value: str) -> bool:
    return value in ("", "NULL")


def off(row: Raw, price: str, cost: str) -> bool:
    values = [row[price], row["PricingQuantity"], row[cost]]
    if any(map(null, values)):
        return False
    one, other, result = map(float, values)
    return abs(one * other - result) > 1e-6 * max(1, abs(result))


@pytest.fixture(scope="module")
def sample(real_data: Path) -> Path:
    return real_data / "cost" / "focus" / "focus_1.0_sample_1000.csv"


COUNTED: dict[str, tuple[int, Callable[[Raw], bool]]] = {
    "BillingPeriodStart-C-002-M": (1_000, lambda r: "T" not in r["BillingPeriodStart"]),
    "ChargeFrequency-C-003-M": (7, lambda r: r["ChargeFrequency"] not in ("One-Time", "Recurring", "Usage-Based")),
    "SkuPriceId-C-005-C": (5, lambda r: r["ChargeCategory"] in ("Usage", "Purchase") and null(r["SkuPriceId"])),
    "ResourceType-C-004-C": (36, lambda r: null(r["ResourceId"]) and not null(r["ResourceType"])),
    "ResourceType-C-005-C": (752, lambda r: not null(r["ResourceId"]) and null(r["ResourceType"])),
    "RegionName-C-004-C": (7, lambda r: null(r["RegionId"]) and not null(r["RegionName"])),
    "RegionName-C-005-C": (2, lambda r: not null(r["RegionId"]) and null(r["RegionName"])),
    "ContractedCost-C-003-M": (7, lambda r: null(r["ContractedCost"])),
    "ConsumedQuantity-C-004-C": (2, lambda r: r["ChargeCategory"] != "Usage" and not null(r["ConsumedQuantity"])),
    "EffectiveCost-C-010-C": (
        1,
        lambda r: r["ChargeCategory"] == "Credit" and float(r["EffectiveCost"]) != float(r["BilledCost"]),
    ),
    "ListCost-C-009-C": (25, lambda r: off(r, "ListUnitPrice", "ListCost")),
    "ContractedCost-C-009-C": (17, lambda r: off(r, "ContractedUnitPrice", "ContractedCost")),
    "Tags-C-002-O": (289, lambda r: null(r["Tags"])),
}


@pytest.mark.shared
def test_the_real_sample_against_the_csv_module(sample: Path) -> None:
    rows, counts = raw_rows(sample), found(report_on(sample))
    for rule, (expected, violates) in COUNTED.items():
        assert sum(map(violates, rows)) == expected, rule
        assert counts[rule][0] == expected, rule
    categories = defaultdict(set)
    for row in rows:
        categories[row["ServiceName"]].add(row["ServiceCategory"])
    assert counts["ServiceName-C-005-C"] == (sum(len(categories[r["ServiceName"]]) > 1 for r in rows), len(rows))


@pytest.mark.shared
def test_the_real_sample_is_usable_and_its_stray_column_is_named(sample: Path) -> None:
    report = report_on(sample)
    assert not report.fatal
    assert (report.rows, report.executed, report.counts()) == (
        1_000, 234, {"fatal": 0, "error": 22, "warning": 19, "info": 3},
    )  # fmt: skip
    by_rule = {f.rule: f for f in report.findings}
    assert by_rule["ColumnHandling-A-010-M"].examples == ("'Id'",)
    assert by_rule["CostAndUsage-D-059-C"].message.endswith("SkuMeter, absent (new in FOCUS 1.1)")
    assert by_rule["CostAndUsage-D-059-C"].severity == "warning"


@pytest.mark.shared
def test_typed_and_text_give_the_same_where_types_do_not_matter(sample: Path, tmp_path: Path) -> None:
    """The sample as Parquet with decimals and time stamps: the same counts but for how times are written."""
    table = pa.concat_tables([b.table for b in _tabular.blocks(sample, _tabular.header(sample))])
    for i, name in enumerate(table.column_names):
        if name.endswith(("Cost", "UnitPrice", "Quantity")):
            table = table.set_column(i, name, table[name].cast(pa.decimal128(38, 18)))
        elif name.startswith(("BillingPeriod", "ChargePeriod")):
            table = table.set_column(i, name, table[name].cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")))
    path = tmp_path / "sample.parquet"
    pq.write_table(table, path, row_group_size=100)
    text, typed = found(report_on(sample)), found(report_on(path))
    times = {f"{side}Period{end}-C-002-M" for side in ("Billing", "Charge") for end in ("Start", "End")}
    assert set(text) - set(typed) == times
    assert typed == {k: v for k, v in text.items() if k not in times}


@pytest.mark.shared
def test_the_specifications_own_examples_pass_what_the_corrected_rules_ask(real_data: Path) -> None:
    """Where the published model contradicts the specification's examples, our corrected test does not."""
    files = sorted((real_data / "cost" / "focus_spec_scenarios").glob("*.csv"))
    assert len(files) == 26
    corrected = {
        "EffectiveCost-C-005-C", "CommitmentDiscountStatus-C-003-C", "CommitmentDiscountStatus-C-004-C",
        "CommitmentDiscountStatus-C-005-M", "CommitmentDiscountQuantity-C-007-C", "PricingQuantity-C-008-M",
    }  # fmt: skip
    for file in files:
        violated = {f.rule for f in report_on(file).findings}
        assert not violated & corrected, file.name
    purchase = raw_rows(real_data / "cost" / "focus_spec_scenarios" / "simple_saas_agreements_a1.csv")[0]
    assert (purchase["ChargeCategory"], purchase["EffectiveCost"].strip()) == ("Purchase", "$10,000.00")


@pytest.mark.shared
def test_a_file_that_is_no_bill_is_fatal_for_every_column_it_lacks(real_data: Path) -> None:
    report = report_on(real_data / "cost" / "focus" / "validator_sample.parquet")
    assert report.counts()["fatal"] == 10
    by_rule = {f.rule: f for f in report.findings}
    assert by_rule["ColumnHandling-A-001-M"].examples == ("'ResourceID' is read as ResourceId",)
    assert by_rule["ColumnHandling-A-010-M"].examples == ("'InvoiceIssuer'", "'ChargeType'")
