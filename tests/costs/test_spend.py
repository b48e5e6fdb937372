"""Daily spend, monthly totals, grades."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from costs_makers import SERVICES, bill, costs, month_start, row
from hypothesis import given
from hypothesis import strategies as st

from capacity.costs import daily_spend, month_totals, month_variance, variance_grade
from capacity.errors import UsageError

CONFIG = costs(
    [{"name": "s", "service": "search", "match": {"SubAccountId": "search"}}], [{"name": "tax"}], tax_pool="tax"
)
LATER = date(2026, 12, 1)


def _hour(day: int, hour: int, effective: str = "1", **columns: Any) -> dict[str, Any]:
    start = datetime(2026, 8, day, hour, tzinfo=UTC)
    columns.setdefault("SubAccountId", "search")
    return row("2026-08", effective, ChargePeriodStart=start, ChargePeriodEnd=start + timedelta(hours=1), **columns)


def _daily(rows: list[dict[str, Any]], as_of: date = LATER) -> pd.DataFrame:
    return daily_spend(bill(rows), CONFIG, SERVICES, as_of)


def test_hours_become_days_of_a_service() -> None:
    found = _daily([_hour(3, 0), _hour(3, 23, "2"), _hour(4, 0, "4")])
    assert found["day"].tolist() == [pd.Timestamp("2026-08-03"), pd.Timestamp("2026-08-04")]
    assert found["effective_cost"].tolist() == [3.0, 4.0]
    assert found[["currency", "kind", "service", "part", "spread"]].to_numpy()[0].tolist() == [
        "USD", "service", "search", "running", False,
    ]  # fmt: skip


def test_a_month_is_spread_evenly_over_its_days_and_flagged() -> None:
    found = _daily([row("2026-02", "28", SubAccountId="search")])
    assert len(found) == 28
    assert set(found["effective_cost"]) == {1.0}
    assert found["spread"].all()


def test_what_does_not_follow_demand_stands_apart() -> None:
    rows = [
        _hour(1, 0),
        _hour(1, 0, "-1", ChargeCategory="Credit"),
        _hour(1, 0, "2", ChargeCategory="Tax", SubAccountId=None),
        _hour(1, 0, "-3", ChargeClass="Correction"),
        _hour(1, 0, "5", ChargeCategory="Adjustment"),
        _hour(1, 0, "7", ChargeCategory="Purchase", ChargeFrequency="One-Time"),
        _hour(1, 0, "8", ChargeCategory="Purchase", ChargeFrequency="Recurring"),
    ]
    found = _daily(rows)
    by_part = {(s, p): c for s, p, c in found[["service", "part", "effective_cost"]].to_numpy()}
    assert by_part == {
        ("search", "running"): 9.0, ("search", "credit"): -1.0, ("tax", "tax"): 2.0, ("search", "refund"): 2.0,
        ("search", "one_off"): 7.0,
    }  # fmt: skip


def test_the_newest_days_are_left_out() -> None:
    rows = [_hour(d, 0) for d in range(1, 11)]
    assert _daily(rows, date(2026, 8, 11))["day"].max() == pd.Timestamp("2026-08-08")
    assert _daily(rows, date(2026, 8, 1)).empty


def test_an_empty_bill_has_no_days() -> None:
    assert list(_daily([]).columns) == [
        "day", "currency", "kind", "service", "part", "effective_cost", "spread", "spread_cost",
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(1, 24 * 40), st.decimals(-100, 100, places=4)), max_size=20))
def test_no_money_is_lost_in_days(charges: list[tuple[int, int, Decimal]]) -> None:
    start = month_start("2026-08")
    rows = [
        row("2026-08", c, ChargePeriodStart=start + timedelta(hours=h), ChargePeriodEnd=start + timedelta(hours=h + n))
        for h, n, c in charges
    ]
    total = _daily(rows, date(2027, 12, 1))["effective_cost"].sum()
    assert total == pytest.approx(float(sum(c for _, _, c in charges)), abs=1e-6)


# --- months ------------------------------------------------------------------------------------------------


def test_months_are_sums_of_paths_with_the_month_to_date() -> None:
    index = pd.date_range("2026-08-30", "2026-10-01", freq="D")
    paths = np.outer(np.arange(1, 12), np.ones(len(index)))
    found = month_totals(paths, index, {"2026-08": 100.0}, {"2026-09": Decimal(181)}).set_index("month")
    assert found["q50"].tolist() == [112.0, 180.0, 6.0]
    assert found.loc["2026-09", ["q10", "q90"]].tolist() == [60.0, 300.0]
    assert found["complete"].tolist() == [True, True, False]
    assert found.loc["2026-09", "p_over"] == pytest.approx(5 / 11)
    assert np.isnan(found.loc["2026-08", "p_over"])


def test_a_month_that_began_unseen_is_not_complete() -> None:
    index = pd.date_range("2026-08-30", "2026-08-31", freq="D")
    assert not month_totals(np.ones((2, 2), np.float32), index)["complete"].any()


def test_paths_must_fit_their_days() -> None:
    with pytest.raises(UsageError, match=r"\(3, 2\) for 4 days"):
        month_totals(np.ones((3, 2)), pd.date_range("2026-08-01", periods=4))


def test_grades_are_those_of_the_finops_framework() -> None:
    assert [variance_grade(v) for v in (0.12, 0.121, 0.15, 0.2, 0.201)] == [
        "run", "walk", "walk", "crawl", "below crawl",
    ]  # fmt: skip
    assert month_variance(np.array([110.0, 90.0]), np.array([100.0, 100.0])) == pytest.approx(0.1)
    with pytest.raises(UsageError, match="0 actual"):
        month_variance(np.array([]), np.array([]))
