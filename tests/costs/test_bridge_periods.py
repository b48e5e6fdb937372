"""Bridges of quarters, years and runs of months; what is renamed; many months at once; SKUs from a bill."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from capacity.config import CostsConfig
from capacity.costs import (
    TERMS,
    Attribution,
    Bridge,
    Period,
    Sku,
    attribute,
    bridge,
    bridge_words,
    month_bridges,
    period_units,
    skus_of,
)
from capacity.errors import MissingDataError, UsageError
from fixtures.bridge_cases import SERVICE, Row, charge, covered, hours, table, unused

RULES = CostsConfig.model_validate({"rules": [{"name": "s", "service": SERVICE, "match": {"SubAccountId": SERVICE}}]})
YEAR = [f"2026-{m:02d}" for m in range(1, 13)]


def attributed(rows: list[Row]) -> Attribution:
    return attribute(table(rows), RULES, [SERVICE])


def terms(found: Bridge) -> dict[str, Decimal]:
    total = found.total().iloc[0]
    assert total["start"] + sum(total[t] for t in TERMS) == total["end"]
    return {t: total[t] for t in TERMS if total[t] != 0}


@pytest.mark.parametrize(
    ("text", "first", "count"),
    [("2026-08", "2026-08", 1), ("2026-Q3", "2026-07", 3), ("2026", "2026-01", 12), ("2025-12..2026-02", "2025-12", 3)],
)
def test_a_period_is_a_month_a_quarter_a_year_or_a_run_of_months(text: str, first: str, count: int) -> None:
    found = Period.parse(text)
    assert (found.label, found.months[0], len(found.months)) == (text, first, count)
    assert found.days == sum(pd.Period(m).days_in_month for m in found.months)


@pytest.mark.parametrize("text", ["2026-13", "2026-Q5", "26", "2026-03..2026-01", "last month", "2026-1", ""])
def test_what_is_no_period_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(UsageError, match=r"allowed: a month \(2026-08\), a quarter"):
        Period.parse(text)


def test_a_period_partly_beyond_the_bill_is_refused_and_its_months_are_named() -> None:
    found = attributed([hours(m, 10) for m in YEAR[:8]])
    with pytest.raises(
        MissingDataError, match="2026-Q3 is not whole: no charge in 2026-09; months with charges: 2026-01"
    ):
        bridge(found, found, ("2026-Q2", "2026-Q3"), {}, {})


def test_quarters_are_their_months_together() -> None:
    found = attributed([hours(m, 10 * (k + 1), "0.7") for k, m in enumerate(YEAR)])
    quarter = bridge(found, found, ("2026-Q1", "2026-04..2026-06"), {SERVICE: 3.0}, {SERVICE: 7.5})
    assert terms(quarter) == {"volume": Decimal(63)}
    line = quarter.total().iloc[0]
    assert (line["start"], line["end"]) == (Decimal("42"), Decimal("105"))


def test_a_longer_period_has_more_volume_and_fees_and_unused_commitments_grow_with_its_months() -> None:
    def month(m: str) -> list[Row]:
        fee = charge(m, 30, "s", ServiceName="Support", ChargeFrequency="Recurring")
        return [hours(m, 10), unused(m, 5), fee, charge(m, 7, "t", ChargeCategory="Tax")]

    found = attributed([r for m in YEAR[:4] for r in month(m)])
    one_to_three = bridge(found, found, ("2026-01", "2026-02..2026-04"), {SERVICE: 1.0}, {SERVICE: 3.0})
    assert terms(one_to_three) == {"volume": Decimal(2 * (20 + 5 + 30 + 7))}
    said = " ".join(bridge_words(one_to_three))
    assert "2026-01 has 31 days and 2026-02..2026-04 has 89: totals are compared" in said


def test_a_credit_is_never_grown_with_the_months() -> None:
    credit = charge("2026-01", -9, "c", ChargeCategory="Credit")
    found = attributed([credit, *(hours(m, 10) for m in YEAR[:3])])
    assert terms(bridge(found, found, ("2026-01", "2026-02..2026-03"), {}, {})) == {
        "volume": Decimal(20), "one_off": Decimal(9),
    }  # fmt: skip


def test_bridges_of_many_months_are_those_of_each_pair() -> None:
    rows = [r for k, m in enumerate(YEAR) for r in (hours(m, 10 + k, 2 + k % 3), covered(m, 5 + k), unused(m, k))]
    found, skus = attributed(rows), {"m5": Sku("m5.xlarge", 4)}
    units = {m: {SERVICE: 100.0 + k} for k, m in enumerate(YEAR)}
    for one, (a, b) in zip(month_bridges(found, YEAR, units, skus), pairwise(YEAR), strict=True):
        pd.testing.assert_frame_equal(one.lines, bridge(found, found, (a, b), units[a], units[b], skus).lines)
        assert one.months == (a, b)


def test_a_renamed_provider_service_stands_under_its_new_name_and_is_told() -> None:
    rows = [hours(m, 10, 2, "q", ServiceName="Old" if k < 2 else "New") for k, m in enumerate(YEAR[:4])]
    found = bridge(*([attributed(rows)] * 2), ("2026-02", "2026-03"), {}, {})
    assert terms(found) == {}
    assert found.renamed == (("Old", "New"),)
    assert "Old is now New" in " ".join(bridge_words(found))
    assert set(found.lines["provider_service"]) == {"New"}


def test_names_that_are_there_together_are_two_services() -> None:
    rows = [hours(m, 10, 2, "q", ServiceName=n) for m, n in ((YEAR[0], "A"), (YEAR[0], "B"), (YEAR[1], "B"))]
    found = bridge(*([attributed(rows)] * 2), (YEAR[0], YEAR[1]), {}, {})
    assert terms(found) == {"new_and_ended": Decimal(-20)}


def test_units_are_of_periods_that_are_known_whole() -> None:
    units = pd.DataFrame(
        [
            ("2026-01", "a", 5.0, 1.0),
            ("2026-02", "a", 7.0, 0.99),
            ("2026-01", "b", 5.0, 1.0),
            ("2026-02", "b", 7.0, 0.5),
        ],
        columns=["month", "service", "units", "coverage_frac"],
    )
    assert period_units(units, "2026-01..2026-02") == {"a": 12.0}
    assert period_units(units, "2026-01") == {"a": 5.0, "b": 5.0}


def test_skus_are_read_from_usage_types_and_regions() -> None:
    def sku(name: str, meter: str, region: str | None = "east", unit: str = "Hours") -> Row:
        return hours("2026-01", 1, sku=name) | {"SkuMeter": meter, "RegionId": region, "PricingUnit": unit}

    rows = [
        sku("box", "USW2-BoxUsage:m5.xlarge"), sku("spot", "SpotUsage:m5.xlarge"), sku("plain", "m5.xlarge"),
        sku("disk", "EBSOptimized:m5.xlarge"), sku("gb", "m5.xlarge", unit="GB"), sku("two", "BoxUsage:m5.xlarge"),
        sku("two", "BoxUsage:m5.xlarge", "west"), sku("new", "BoxUsage:x9.huge", None),
    ]  # fmt: skip
    m5 = Sku("m5.xlarge", 4.0, "east")
    assert skus_of(table(rows), {"m5.xlarge": 4}) == {
        "box": m5, "spot": m5, "plain": m5, "disk": Sku(region="east"), "gb": Sku(region="east"),
        "two": Sku("m5.xlarge", 4.0, ""),
    }  # fmt: skip


# --- words -------------------------------------------------------------------------------------------------


def test_the_words_name_the_change_the_terms_and_what_is_behind_them() -> None:
    rows = [
        hours(YEAR[0], 1000), hours(YEAR[2], 1500), charge(YEAR[2], 100, "tax", ChargeCategory="Tax"),
        hours(YEAR[0], 1, 1, "x", SubAccountId="nobody"), hours(YEAR[2], 1, 1, "x", SubAccountId="nobody"),
    ]  # fmt: skip
    found = attributed(rows)
    lead, first, second = bridge_words(bridge(found, found, (YEAR[0], YEAR[2]), {SERVICE: 2.0}, {SERVICE: 3.0}))
    assert lead == "From 2026-01 to 2026-03 spend rose by $1,100 (+55%), from $2,001 to $3,101."
    assert first == "+$1,000 is volume (more or less was asked for), of it search +$1,000 (Machines m5)."
    assert second.startswith("+$100 is one-off (fees, tax, credits, refunds, purchases), of it search +$100")


def test_nothing_that_moved_is_said_to_have_stayed() -> None:
    found = attributed([hours(m, 10) for m in YEAR[:3]])
    (said,) = bridge_words(bridge(found, found, (YEAR[0], YEAR[2]), {SERVICE: 1.0}, {SERVICE: 1.0}))
    assert said == "From 2026-01 to 2026-03 spend did not move: $20.00."


def test_currencies_are_told_apart_and_a_missing_count_is_said() -> None:
    rows = [hours(m, n, BillingCurrency=c) for m, n in ((YEAR[0], 10), (YEAR[2], 12)) for c in ("USD", "EUR")]
    found = attributed(rows)
    said = bridge_words(bridge(found, found, (YEAR[0], YEAR[2]), {}, {}))
    assert sum("spend rose by" in s for s in said) == 2
    assert any("EUR 24.00" in s for s in said)
    assert said[-1].startswith("No count of demand is known in both periods for search")


# --- real bills --------------------------------------------------------------------------------------------


def _halves(cost: pa.Table) -> pa.Table:
    """The days from the 16th on as the month after: a bridge is of months."""
    start = cost.column("ChargePeriodStart")
    later = pc.if_else(pc.greater_equal(pc.day(start), 16), _month_on(start), start)
    return cost.set_column(cost.column_names.index("ChargePeriodStart"), "ChargePeriodStart", later)


def _month_on(stamps: Any) -> Any:
    moved = pd.to_datetime(stamps.to_pandas(), utc=True) + pd.offsets.MonthBegin(1)
    return pa.chunked_array([pa.array(moved, type=stamps.type)])


@pytest.mark.shared
def test_the_halves_of_the_real_sample_are_bridged_exactly(real_data: Path) -> None:
    from datetime import UTC, datetime

    from capacity.config import BillSource
    from capacity.sources import Context, build

    path = str(real_data / "cost/focus/focus_1.0_sample_1000.csv")
    source = build(BillSource(kind="focus_files", name="bill", path=path), Context(Path))
    cost = _halves(pa.concat_tables([b.table for b in source.batches(None, datetime(2026, 10, 5, tzinfo=UTC))]))
    found = attribute(cost, CostsConfig(), ["a"])
    assert found.months == ("2024-09", "2024-10")
    whole = bridge(found, found, ("2024-09", "2024-10"), {}, {}, skus_of(cost, {"t3.medium": 2, "t3.micro": 2}))
    exact = pc.sum(cost.column("EffectiveCost")).as_py()
    assert sum(whole.total()["start"]) + sum(whole.total()["end"]) == exact
    for line in whole.lines.to_dict("records"):
        assert line["start"] + sum(line[t] for t in TERMS) == line["end"]
    assert whole.total()[["new_and_ended", "volume"]].map(bool).any().all()
    assert bridge_words(whole)
