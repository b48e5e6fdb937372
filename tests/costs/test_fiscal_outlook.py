"""Quarters and years of spend in a fiscal calendar."""

from __future__ import annotations

from decimal import Decimal

import pytest

from capacity.costs import Budget, OutlookRow, outlook_rows
from capacity.fiscal import CALENDAR, Calendar
from tests.costs.test_budget_outlook import BILLED, looked

FISCAL = Calendar(2)


def rows(calendar: Calendar, budgets: dict[tuple[str, str], Budget] | None = None) -> dict[str, OutlookRow]:
    amounts = {m: Decimal(x) for m, x in BILLED.items()}
    one = looked()["service", "web"]
    found = outlook_rows(one, "USD", amounts, budgets or {}, {}, {}, calendar)  # type: ignore[arg-type]
    return {r.period: r for r in found}


def test_quarters_and_years_are_the_company_s() -> None:
    found = rows(FISCAL)
    assert list(found) == ["2026-10", "2026-11", "2026-12", "FY2027-Q3", "FY2027"]
    quarter = found["FY2027-Q3"]  # August to October: two months billed, the third in part
    assert quarter.actual == Decimal("710.25")
    assert quarter.run_rate == pytest.approx(10.0 * 92)
    assert quarter.complete
    assert found["FY2027"].actual == Decimal("1020.25")


def test_months_are_the_same_in_every_calendar() -> None:
    plain, fiscal = rows(CALENDAR), rows(FISCAL)
    for month in ("2026-10", "2026-11", "2026-12"):
        assert plain[month] == fiscal[month]


def test_a_budget_is_held_against_the_fiscal_quarter() -> None:
    middle = rows(FISCAL)["FY2027-Q3"].q50
    budgets = {("quarter", "FY2027-Q3"): Budget(Decimal(str(middle))), ("year", "FY2027"): Budget(Decimal(5))}
    found = rows(FISCAL, budgets)
    assert found["FY2027-Q3"].p_over == pytest.approx(0.5, abs=0.02)
    assert found["FY2027"].budget == Decimal(5)
