"""Set-based and row by row: the same counts for every rule, whatever the bill and however it is cut into batches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

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
    bill,
    found,
    plainly,
)
from hypothesis import given
from hypothesis import strategies as st

from capacity.quality import FocusReport, _focus_blocks, _focus_groups, validate_bill
from capacity.quality._focus_model import load

# Values with a meaning to some rule; any column of text may also hold the plain ones.
_LISTED = {
    "ChargeCategory": ["Usage", "Purchase", "Tax", "Credit", "Adjustment", "usage", "Refund"],
    "ChargeClass": ["Correction", "correction"],
    "ChargeFrequency": ["One-Time", "Recurring", "Usage-Based", "Usage-based"],
    "CommitmentDiscountStatus": ["Used", "Unused", "Active"],
    "CapacityReservationStatus": ["Used", "Unused"],
    "PricingCategory": ["Standard", "Committed", "Dynamic", "Other", "committed"],
    "ServiceCategory": ["Compute", "Storage", "Database"],
    "ServiceSubcategory": ["Virtual Machines", "Object Storage", "Other (Other)"],
    "CommitmentDiscountCategory": ["Spend", "Usage", "spend"],
}
_PLAIN = ["a", "b", " ", "N/A", "none", "broken �", 'it\'s; -- "quoted"']


def _values(name: str) -> list[str]:
    kind = load("1.2").columns[name].kind
    if kind == "Decimal":
        return list(NUMBERS)
    if kind == "Date/Time":
        return list(TIMES)
    if kind == "JSON":
        return list(MAPS)
    if name.endswith("Unit"):
        return list(UNITS)
    if name.endswith("Currency"):
        return list(CURRENCIES)
    return _LISTED.get(name, []) + _PLAIN


def in_blocks(batches: Sequence[pa.Table | pa.RecordBatch], rows: int, **options: Any) -> FocusReport:
    """The report when a block holds no more than ``rows``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_focus_blocks, "_ROWS", rows)
        return validate_bill(batches, **options)


@st.composite
def _bills(draw: st.DrawFn) -> tuple[list[str], list[Row], list[int]]:
    names = draw(st.lists(st.sampled_from(list(SOUND)), min_size=8, max_size=30, unique=True))
    count = draw(st.integers(1, 6))
    rows: list[Row] = []
    for _ in range(count):
        base = {**SOUND, **(DISCOUNTED if draw(st.booleans()) else {})}
        changed = draw(st.lists(st.sampled_from(names), max_size=len(names), unique=True))
        rows.append(base | {n: draw(st.none() | st.sampled_from(_values(n))) for n in changed})
    cuts = draw(st.lists(st.integers(0, count), max_size=3))
    return names, rows, sorted({0, count, *cuts})


@given(_bills(), st.sampled_from([1, 3, 1_000]))
def test_counts_are_those_of_a_plain_evaluation(drawn: tuple[list[str], list[Row], list[int]], size: int) -> None:
    names, rows, cuts = drawn
    table = bill(*rows, columns=names)
    report = in_blocks([table.slice(a, b - a) for a, b in pairwise(cuts)], size, examples=2)
    on_rows = {k: v for k, v in found(report).items() if not k.startswith(("CostAndUsage", "ColumnHandling"))}
    assert on_rows == plainly(rows, names)
    assert report.rows == len(rows)
    assert report.executed + report.composed + len(report.not_executed) == 621
    assert report.passed == report.executed - sum(f.severity != "info" for f in report.findings)


@given(st.sampled_from([9, 30, 64]), st.sampled_from([1, 7, 100]), st.randoms(use_true_random=False))
def test_blocks_do_not_change_the_outcome(block: int, batch: int, random: Any) -> None:
    changes = [
        {"SkuPriceId": f"p{random.randrange(9)}", "SkuId": f"s{random.randrange(3)}", "BilledCost": random.choice("6x")}
        for _ in range(100)
    ]
    table = bill(*changes, columns=["SkuPriceId", "SkuId", "BilledCost", "ChargeCategory", "ChargeClass"])
    assert in_blocks(table.to_batches(max_chunksize=batch), block) == validate_bill([table])


def test_groups_put_together_on_the_way_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    changes: list[Row] = [{"SkuPriceId": f"p{i % 40}", "SkuId": f"s{i % 80 // 40}"} for i in range(200)]
    table = bill(*changes, columns=["SkuPriceId", "SkuId"])
    whole = validate_bill([table])
    assert found(whole)["SkuPriceId-C-008-M"] == (200, 200)
    monkeypatch.setattr(_focus_groups, "_COMPACT_ROWS", 1)
    assert in_blocks([table], 10) == whole
