"""What a report says: how grave, what was not run, the names of columns, and input that cannot be judged."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from focus_makers import SOUND, bill, found, judge

from capacity.errors import CorruptDataError, MissingDataError, UsageError
from capacity.quality import validate_bill

ALL = (
    "ACCOUNT_NAMING_SUPPORTED", "COMMITMENT_DISCOUNT_SUPPORTED", "REGION_SUPPORTED", "USAGE_MEASUREMENT_SUPPORTED",
)  # fmt: skip


def severity(table: pa.Table, rule: str, **options: Any) -> str | None:
    return next((f.severity for f in judge(table, **options).findings if f.rule == rule), None)


def test_a_sound_bill_has_no_finding_but_the_use_of_permissions() -> None:
    report = judge(bill(), where="july")
    assert [f for f in report.findings if f.severity != "info"] == []
    assert not report.fatal
    assert (report.rows, report.executed, report.passed, report.composed_failed) == (1, 294, 294, ())
    assert report.summary() == "july: FOCUS 1.2: 1 rows, 294 rules run, 294 hold: no finding"


@pytest.mark.parametrize(
    ("change", "rule", "grave"),
    [
        ({"BilledCost": None}, "BilledCost-C-003-M", "fatal"),
        ({"BilledCost": "free"}, "BilledCost-C-001-M", "fatal"),
        ({"BilledCost": "$6.00"}, "BilledCost-C-002-M", "error"),
        ({"BillingPeriodStart": "soon"}, "BillingPeriodStart-C-001-M", "fatal"),
        ({"BillingCurrency": None}, "BillingCurrency-C-004-M", "fatal"),
        ({"BillingAccountId": None}, "BillingAccountId-C-001-M", "fatal"),
        ({"ChargeCategory": "Refund"}, "ChargeCategory-C-003-M", "fatal"),
        ({"ChargeCategory": "usage"}, "ChargeCategory-C-003-M", "error"),
        ({"ChargeCategory": "US age"}, "ChargeCategory-C-003-M", "error"),
        ({"ServiceName": None}, "ServiceName-C-003-M", "error"),
        ({"ListCost": None}, "ListCost-C-003-M", "error"),
        ({"ChargeDescription": None}, "ChargeDescription-C-003-O", "warning"),
        ({"BillingAccountName": None}, "BillingAccountName-C-003-C", "warning"),
        ({"Tags": None}, "Tags-C-002-O", "info"),
    ],
)
def test_how_grave(change: dict[str, str | None], rule: str, grave: str) -> None:
    assert severity(bill(change), rule) == grave
    assert judge(bill(change)).fatal == (grave == "fatal")


def test_the_gravest_come_first_and_say_where() -> None:
    report = judge(bill({}, {"BilledCost": None, "ListCost": None, "ChargeDescription": None, "Tags": None}))
    assert [f.severity for f in report.findings] == ["fatal", "error", "warning", "info"]
    assert str(report.findings[0]) == (
        "fatal: BilledCost-C-003-M: BilledCost must not be null: violated by 1 of 2 rows (row 2: BilledCost null)"
    )
    assert report.counts() == {"fatal": 1, "error": 1, "warning": 1, "info": 1}


def test_composites_fail_with_their_parts_but_not_for_a_should() -> None:
    assert judge(bill({"ChargeDescription": None})).composed_failed == ()
    failed = judge(bill({"RegionName": None})).composed_failed
    assert set(failed) == {"RegionName-C-000-C", "RegionName-C-003-C", "CostAndUsage-D-002-M", "CostAndUsage-D-000-M"}


def test_criteria_that_are_known_make_errors_and_leave_the_others_out() -> None:
    table = bill(columns=[c for c in SOUND if not c.startswith(("Region", "CommitmentDiscount"))])
    assert severity(table, "CostAndUsage-D-063-C") == "warning"
    assert severity(table, "CostAndUsage-D-063-C", supported=ALL) == "error"
    without = judge(table, supported=["REGION_SUPPORTED"])
    assert "CostAndUsage-D-013-C" not in found(without)
    assert dict(without.not_executed)["CostAndUsage-D-013-C"] == "does not apply without COMMITMENT_DISCOUNT_SUPPORTED"


def test_a_column_the_caller_gives_is_not_fatal() -> None:
    table = bill(columns=[c for c in SOUND if c != "BillingCurrency"])
    assert severity(table, "CostAndUsage-D-035-M") == "fatal"
    assert severity(table, "CostAndUsage-D-035-M", defaults=["BillingCurrency"]) == "warning"


def test_columns_of_later_versions() -> None:
    table = bill().rename_columns(["ServiceProviderName" if c == "ProviderName" else c for c in SOUND])
    table = table.drop_columns(["PublisherName"]).append_column("HostProviderName", pa.array(["AWS"]))
    report = judge(table)
    assert [f for f in report.findings if f.severity != "info"] == []
    reason = dict(report.not_executed)["ColumnHandling-A-010-M"]
    assert reason == "the bill has columns of a later FOCUS (ServiceProviderName): which are custom is not known here"
    empty = judge(table.set_column(table.schema.get_field_index("ServiceProviderName"), "ServiceProviderName",
                                   pa.array([None], pa.string())))  # fmt: skip
    assert [f.message for f in empty.findings if f.rule == "ProviderName-C-003-M"] == [
        "ProviderName must not be null (ServiceProviderName stands for it): violated by 1 of 1 rows"
    ]


def test_names_of_columns() -> None:
    names = {"BilledCost": "billed_cost", "Tags": "x_tags", "SkuMeter": "Meter", "ListCost": "List Cost"}
    table = bill().rename_columns([names.get(c, c) for c in SOUND])
    by_rule = {f.rule: f for f in judge(table).findings}
    assert by_rule["ColumnHandling-A-001-M"].examples == (
        "'billed_cost' is read as BilledCost",
        "'List Cost' is read as ListCost",
    )
    assert by_rule["ColumnHandling-A-003-M"].rows == 2
    assert by_rule["ColumnHandling-A-010-M"].examples == ("'Meter'",)
    assert by_rule["ColumnHandling-A-012-O"].rows == 5
    assert "BilledCost-C-003-M" not in dict(judge(table).not_executed)
    long = judge(bill().append_column("x_" + "a" * 50, pa.array(["1"])))
    assert {f.rule for f in long.findings if f.severity == "warning"} == {"ColumnHandling-A-005-O"}


def test_names_and_values_of_a_file_are_no_sql() -> None:
    evil = "'; DROP TABLE block; --"
    table = bill({"ServiceName": evil, "ChargeFrequency": evil}).append_column(f'x_"{evil}', pa.array([evil]))
    table = table.append_column("__row", pa.array(["7"])).append_column("a0", pa.array(["7"]))
    report = judge(table)
    assert set(found(report)) == {"ChargeFrequency-C-003-M", "ColumnHandling-A-010-M"}
    assert any(evil in e for f in report.findings for e in f.examples)


def test_examples_are_short_and_as_many_as_asked() -> None:
    table = bill(*[{"ChargeFrequency": "x" * 500}] * 9)
    finding = judge(table, examples=2).findings[0]
    assert finding.rows == 9
    assert finding.examples == (
        f"row 1: ChargeFrequency '{'x' * 57}...'",
        f"row 2: ChargeFrequency '{'x' * 57}...'",
    )
    assert judge(table, examples=0).findings[0].examples == ()


def test_rows_are_counted_over_all_batches() -> None:
    good, bad = bill(*[{}] * 70_000), bill({"BilledCost": None})
    report = validate_bill([good, bad, good.slice(0, 5), bad])
    assert report.rows == 70_007
    assert report.findings[0].examples == ("row 70001: BilledCost null", "row 70007: BilledCost null")


def test_a_type_may_change_between_files() -> None:
    text = bill({"BilledCost": "6"})
    typed = text.set_column(text.schema.get_field_index("BilledCost"), "BilledCost", pa.array([None], pa.float64()))
    assert found(validate_bill([text, typed]))["BilledCost-C-003-M"] == (1, 2)


def test_empty_rows_are_judged_by_their_columns() -> None:
    report = validate_bill([bill().slice(0, 0)])
    assert (report.rows, report.fatal, report.executed) == (0, False, 294)


@pytest.mark.parametrize(
    ("batches", "error", "says"),
    [
        ([], MissingDataError, r"bill\.csv: no rows and no columns"),
        ([pa.table({"A": [1]}), pa.table({"B": [1]})], CorruptDataError, r"bill\.csv: columns change .* \(A, B\)"),
        ([pa.table([[1], [2]], names=["Tags", "Tags"])], CorruptDataError, "column 'Tags' stands twice"),
        ([pa.table({"ProviderName": pa.Array.from_buffers(
            pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xfe")])})],
         CorruptDataError, "column ProviderName: not sound"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged(batches: list[pa.Table], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        validate_bill(batches, where="bill.csv")


def test_wrong_use() -> None:
    with pytest.raises(UsageError, match="no criterion 'REGIONS' in FOCUS; there are: ACCOUNT_NAMING"):
        judge(bill(), supported=["REGIONS"])
    with pytest.raises(UsageError, match="examples must be 0 or more, not -1"):
        judge(bill(), examples=-1)
    with pytest.raises(UsageError, match=r"no rules of FOCUS 1\.3"):
        judge(bill(), version="1.3")


def test_reports_do_not_change_and_are_the_same_again() -> None:
    report = judge(bill({"RegionName": None}))
    with pytest.raises(FrozenInstanceError):
        report.rows = 2  # type: ignore[misc]
    assert judge(bill({"RegionName": None})) == report


def test_importing_the_rules_does_not_import_duckdb() -> None:
    code = "import sys, capacity.quality as q; q.focus_rules(); assert 'duckdb' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])
