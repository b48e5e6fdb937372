"""Unit cost: the average, the margin, and what is not known."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from costs_makers import bill, costs, row
from hypothesis import given
from hypothesis import strategies as st

from capacity.costs import Allocation, allocate, attribute, marginal_cost, unit_costs
from capacity.errors import UsageError

MONTHS = [f"2026-0{m}" for m in range(1, 9)]
CONFIG = costs(
    [
        {"name": "s", "service": "search", "match": {"SubAccountId": "search"}},
        {"name": "p", "pool": "shared", "match": {"SubAccountId": "pool"}},
    ],
    [{"name": "shared", "split": "cost"}],
)


def _allocation(rows: list[dict[str, Any]]) -> Allocation:
    return allocate(attribute(bill(rows), CONFIG, ["search", "checkout"]), CONFIG)


def _units(units: list[float], coverage: float = 1.0, months: list[str] = MONTHS) -> pd.DataFrame:
    return pd.DataFrame({"month": months[: len(units)], "service": "search", "units": units, "coverage_frac": coverage})


def test_direct_and_shared_cost_over_units() -> None:
    rows = [row("2026-01", "3", SubAccountId="search"), row("2026-01", "1", SubAccountId="pool"), row("2026-01", "9")]
    line = unit_costs(_allocation(rows), _units([3000.0])).iloc[0]
    assert line["effective_cost"] == Decimal(4)
    assert line["usd_per_1000"] == Decimal("1.333333333")
    assert line["average_per_1000"] == Decimal("1.333333333")
    assert line["flags"] == ""
    assert line["marginal_months"] == 1
    assert np.isnan(line["marginal_per_1000"])


def test_a_month_that_usage_does_not_cover_has_no_unit_cost_but_says_what_its_hours_cost() -> None:
    found = unit_costs(_allocation([row("2026-01", "10", SubAccountId="search")]), _units([2000.0], 0.8)).iloc[0]
    assert found["usd_per_1000"] is None
    assert found["usd_per_1000_covered_hours"] == Decimal(4)
    assert found["average_per_1000"] is None
    assert found["flags"] == "usage covers 80% of the month"


def test_a_month_without_units_is_flagged() -> None:
    rows = [row(m, "10", SubAccountId="search") for m in ("2026-01", "2026-02")]
    found = unit_costs(_allocation(rows), _units([0.0]))
    assert found["flags"].tolist() == ["no driver units in this month"] * 2
    assert found["usd_per_1000"].tolist() == [None, None]


def test_currencies_have_their_own_rows() -> None:
    rows = [row("2026-01", a, SubAccountId="search", BillingCurrency=c) for a, c in (("1", "USD"), ("2", "EUR"))]
    found = unit_costs(_allocation(rows), _units([1000.0]))
    assert found[["currency", "usd_per_1000"]].to_numpy().tolist() == [["EUR", Decimal(2)], ["USD", Decimal(1)]]


def test_the_margin_is_the_slope_and_the_rest_is_fixed() -> None:
    units = [1000.0, 2000.0, 1500.0, 3000.0, 2500.0, 4000.0]
    rows = [row(m, f"{50 + u * 0.02}", SubAccountId="search") for m, u in zip(MONTHS, units, strict=False)]
    line = unit_costs(_allocation(rows), _units(units)).iloc[0]
    assert line["marginal_per_1000"] == pytest.approx(20)
    assert line["marginal_low"] == pytest.approx(20)
    assert line["fixed_share_frac"] == pytest.approx(50 / 95)
    assert line["marginal_months"] == 6


def test_one_wild_month_does_not_move_the_margin_much() -> None:
    units = np.linspace(1000, 3000, 8)
    cost = 10 + units * 0.02
    cost[3] = 900.0
    found = marginal_cost(cost, units)
    assert found is not None
    assert found.per_unit.mid == pytest.approx(0.02, rel=0.02)
    assert found.per_unit.low <= found.per_unit.mid <= found.per_unit.high


def test_the_interval_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    inside = 0
    for _ in range(300):
        units = rng.uniform(1, 2, 12)
        found = marginal_cost(5 + 3 * units + rng.normal(0, 0.3, 12), units)
        assert found is not None
        inside += found.per_unit.low <= 3 <= found.per_unit.high
    assert 0.74 <= inside / 300 <= 0.88  # .8, give or take two and a half standard errors and Sen's coarseness


@pytest.mark.parametrize("units", [[1.0] * 8, [1.0, 2.0] * 4, [1.0, 2.0, 3.0]])
def test_too_little_spread_gives_no_margin(units: list[float]) -> None:
    assert marginal_cost([1.0] * len(units), units) is None


def test_bad_units_are_refused() -> None:
    allocation = _allocation([row("2026-01", SubAccountId="search")])
    with pytest.raises(UsageError, match="columns missing: coverage_frac"):
        unit_costs(allocation, _units([1.0]).drop(columns="coverage_frac"))
    with pytest.raises(UsageError, match="stands twice"):
        unit_costs(allocation, pd.concat([_units([1.0])] * 2))
    with pytest.raises(UsageError, match="below zero"):
        unit_costs(allocation, _units([-1.0]))


@given(st.lists(st.tuples(st.decimals(0, 10**9, places=12), st.floats(1, 1e12)), min_size=1, max_size=8))
def test_unit_cost_times_units_is_the_cost(months: list[tuple[Decimal, float]]) -> None:
    rows = [row(m, c, SubAccountId="search") for m, (c, _) in zip(MONTHS, months, strict=False)]
    found = unit_costs(_allocation(rows), _units([u for _, u in months]))
    for line in found.to_dict("records"):
        rounding = line["units"] / 1000 * 0.5e-9
        assert abs(float(line["usd_per_1000"]) * line["units"] / 1000 - float(line["effective_cost"])) <= (
            rounding * 1.01 + float(line["effective_cost"]) * 1e-12
        )


def test_a_month_that_the_bill_holds_in_part_is_flagged_and_enters_no_average() -> None:
    rows = [row(m, cost, SubAccountId="search") for m, cost in (("2026-01", "5"), ("2026-02", "10"))]
    found = unit_costs(_allocation(rows), _units([1000.0, 1000.0]), partial={"2026-01": "half of it"})
    assert found["flags"].tolist() == ["half of it", ""]
    assert found["usd_per_1000"].tolist() == [None, Decimal(10)]
    assert found["usd_per_1000_covered_hours"].tolist() == [None, Decimal(10)]
    assert set(found["average_per_1000"]) == {Decimal(10)}
