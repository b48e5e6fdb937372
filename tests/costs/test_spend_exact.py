"""What was spent by month, to the last decimal."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from costs_makers import SERVICES, bill, costs, row
from hypothesis import given
from hypothesis import strategies as st

from capacity.costs import daily_spend, exact_months

CONFIG = costs(
    [{"name": "s", "service": "search", "match": {"SubAccountId": "search"}}], [{"name": "tax"}], tax_pool="tax"
)
END = date(2026, 12, 31)


def _days(first: date, days: int, effective: str, **columns: Any) -> dict[str, Any]:
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    columns.setdefault("SubAccountId", "search")
    return row(
        "2026-08", effective, ChargePeriodStart=start, ChargePeriodEnd=start + timedelta(days=days), **columns
    )  # fmt: skip


def _months(rows: list[dict[str, Any]], last: dict[str, date]) -> dict[tuple[str, str, str], Decimal]:
    frame = exact_months(bill(rows), CONFIG, SERVICES, last, "others")
    assert list(frame.columns) == ["service", "month", "currency", "part", "amount"]
    return {(r.service, r.month, r.part): r.amount for r in frame.itertuples()}


def test_owners_end_on_their_own_last_day_and_one_without_is_left_out() -> None:
    rows = [
        _days(date(2026, 8, 1), 1, "0.1"),
        _days(date(2026, 8, 2), 1, "0.2"),
        _days(date(2026, 8, 1), 1, "7", SubAccountId="nobody"),
        _days(date(2026, 8, 1), 1, "9", ChargeCategory="Tax", SubAccountId=None),
    ]
    assert _months(rows, {"search": date(2026, 8, 1), "others": END}) == {
        ("others", "2026-08", "running"): Decimal(7),
        ("others", "2026-08", "tax"): Decimal(9),
        ("search", "2026-08", "running"): Decimal("0.1"),
    }
    assert set(_months(rows, {"search": END})) == {("search", "2026-08", "running")}


def test_a_charge_over_a_month_end_is_split_by_days_and_still_adds_up() -> None:
    found = _months([_days(date(2026, 8, 30), 3, "1")], {"search": END})
    parts = [found["search", m, "running"] for m in ("2026-08", "2026-09")]
    assert parts == [Decimal("0.666666666667"), Decimal("0.333333333333")]
    assert sum(parts) == 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 80), st.integers(1, 70), st.decimals("-1000", "1000", places=12, allow_nan=False)
        ),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_nothing_is_lost_and_the_days_of_the_models_are_the_same_money(
    charges: list[tuple[int, int, Decimal]],
) -> None:
    rows = [_days(date(2026, 7, 1) + timedelta(days=a), n, str(x)) for a, n, x in charges]
    found = _months(rows, {"search": END})
    assert sum(found.values(), Decimal(0)) == sum((x for _, _, x in charges), Decimal(0))
    daily = daily_spend(bill(rows), CONFIG, SERVICES, date(2027, 2, 1))
    by_month = daily.groupby(daily["day"].dt.strftime("%Y-%m"))["effective_cost"].sum()
    for (_, month, _), amount in found.items():
        assert float(by_month[month]) == pytest.approx(float(amount), abs=1e-7)


def test_an_empty_bill_has_no_months() -> None:
    assert _months([], {"search": END}) == {}
