"""What pages show of a plan: chosen and sorted, never changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import scenario
from capacity.plan import CostMonth, Plan
from capacity.ui import _costs as costs
from capacity.ui import _tables as tables
from tests.factory import make_plan


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan()


@pytest.fixture(scope="module")
def other() -> Plan:
    return make_plan(scenario="peak-plus-40")


def test_decisions_hold_every_limit_that_is_passed_and_no_other(plan: Plan) -> None:
    frame = tables.decisions(plan.units)
    assert len(frame) == sum(x.p10 is not None for u in plan.units for x in u.limits)
    assert frame["P10 date"].notna().all()


def test_decisions_put_overdue_first_then_the_likeliest(plan: Plan) -> None:
    frame = tables.decisions(plan.units)
    assert list(frame["Status"]) == sorted(frame["Status"], key=lambda s: s != "Overdue")
    for _, part in frame.groupby("Status"):
        assert part["Chance"].is_monotonic_decreasing


def test_limits_put_the_first_to_be_passed_on_top(plan: Plan) -> None:
    unit = next(u for u in plan.units if len(u.limits) > 1)
    assert tables.limits(unit.limits)["P10 date"].iloc[0] == unit.first_limit.p10  # type: ignore[union-attr]


def test_mix_shows_every_month_and_the_running_fleet(plan: Plan) -> None:
    unit = plan.units[0]
    frame = tables.mix(unit)
    assert list(frame.columns) == ["Instance type", "Now", *sorted(unit.recommended)]
    assert frame["Now"].sum() == sum(line.instances for line in unit.running)
    for month, lines in unit.recommended.items():
        assert frame[month].sum() == sum(line.instances for line in lines)


def test_a_plan_that_needs_more_money_says_adds(plan: Plan) -> None:
    dearer = replace(plan.units[0], running_usd=100.0, recommended_usd=350.0)
    assert "adds $250" in tables.mix_cost(dearer, "USD")


def test_comparison_has_a_column_a_scenario(plan: Plan, other: Plan) -> None:
    rows = scenario.compare([plan, other])
    frame = tables.comparison(rows, [plan, other]).set_index("Question")
    assert list(frame.columns) == ["base", "peak-plus-40"]
    assert frame.loc["Peak event", "base"] == f"NO-GO for {rows[0].no_go} services"
    assert frame.loc["Against the first", "base"] == "—"
    assert frame.loc["Against the first", "peak-plus-40"].startswith("+$")
    passed = sum(u.first_limit is not None for u in plan.units)
    assert frame.loc["Pass a limit, chance 1 in 10", "base"] == f"{passed} of {len(plan.units)}"


def test_two_scenarios_of_one_name_stay_apart(plan: Plan) -> None:
    assert list(tables.first_dates([plan, plan]).columns) == ["Service", "base", "base (2)"]


def test_scenario_tables_hold_every_unit_of_any_plan(plan: Plan, other: Plan) -> None:
    fewer = replace(other, units=other.units[1:])
    for frame in (tables.first_dates([plan, fewer]), tables.smallest_headroom([plan, fewer])):
        assert len(frame) == len(plan.units)
    dates = tables.first_dates([plan, fewer]).set_index("Service")
    assert pd.isna(dates.loc[str(other.units[0].unit), "peak-plus-40"])


def test_mix_totals_count_the_last_month(plan: Plan) -> None:
    totals = tables.mix_totals([plan]).set_index("Instance type")["base"]
    expected = sum(line.instances for u in plan.units for line in u.recommended.get("2027-04", ()))
    assert totals.sum() == expected


def test_verdicts_put_no_go_on_top(plan: Plan) -> None:
    frame = tables.verdicts(plan.events[0])
    assert len(frame) == len(plan.events[0].verdicts)
    assert list(frame["Answer"]) == sorted(frame["Answer"], reverse=True)


def test_remedies_come_by_date(plan: Plan) -> None:
    frame = tables.remedies(plan.events[0])
    assert list(frame["By"]) == sorted(frame["By"])
    assert isinstance(frame["By"].iloc[0], date)


def test_unscored_forecasts_and_stale_sources_come_first(plan: Plan) -> None:
    units = (*plan.units[:3], replace(plan.units[3], relative_mae=None))
    assert pd.isna(tables.forecast_trust(units)["Error"].iloc[0])
    assert tables.freshness(plan)["Status"].iloc[0] == "Stale"


def test_empty_plans_keep_their_columns() -> None:
    empty = make_plan(services=0)
    assert list(tables.decisions(empty.units).columns)[:2] == ["Service", "Tier"]
    for frame in (
        tables.decisions(()), tables.limits(()), tables.findings((), "USD"), tables.forecast_trust(()),
        tables.first_dates([empty]), tables.mix_totals([empty]), costs.unallocated(empty),
    ):  # fmt: skip
        assert frame.empty


def test_hostile_names_are_shown_on_one_line() -> None:
    ugly = make_plan(ugly=True)
    names = tables.forecast_trust(ugly.units)["Service"]
    assert not names.str.contains("[\t\n\u202e]").any()


# --- the bill ----------------------------------------------------------------------------------------------


def test_allocation_adds_up_to_the_bill(plan: Plan) -> None:
    for month in plan.costs:
        frame = costs.allocation(plan, month)
        assert frame["Total"].sum() == pytest.approx(float(month.effective), abs=1e-6)
        assert frame["Direct"].sum() == pytest.approx(float(month.direct), abs=1e-6)
        assert frame["Share"].sum() == pytest.approx(1.0, abs=0.01)


cents = st.decimals(min_value=0, max_value=10**9, places=9)


@given(cents, cents, cents, cents)
def test_equation_is_exact_or_says_that_it_is_not(
    direct: Decimal, shared: Decimal, rest: Decimal, off: Decimal
) -> None:
    total = direct + shared + rest
    good = costs.equation(CostMonth("2026-09", "USD", total, total, direct, shared, rest))
    bad = costs.equation(CostMonth("2026-09", "USD", total + off, total, direct, shared, rest))
    assert good.exact
    assert bad.exact == (off == 0)
    numbers = [Decimal(part.split()[0].lstrip("$").replace(",", "")) for part in good.text.replace("=", "+").split("+")]
    assert numbers == [direct, shared, rest, total]


def test_months_come_newest_first(plan: Plan) -> None:
    assert next(iter(costs.months(plan))) == "2026-09 (USD)"


def test_a_tie_names_its_remainder(plan: Plan) -> None:
    tie = plan.tie_outs[0]
    frame = costs.remainder(tie)
    assert dict(zip(frame["Not modelled"], frame["Cost"], strict=True)) == {
        k: float(v) for k, v in tie.remainder.items()
    }
    assert frame["Cost"].is_monotonic_decreasing
    assert dict(costs.tie_lines(tie))["Difference"] == "1.5%"


def test_largest_services_are_by_cost(plan: Plan) -> None:
    largest = costs.largest_services(plan, 3)
    last = plan.frame("unit_cost").query("month == '2026-09'").set_index("service")["effective_cost"]
    assert [float(last[s]) for s in largest] == sorted((float(x) for x in last), reverse=True)[:3]
