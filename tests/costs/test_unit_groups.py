"""Unit cost of groups: averages, fixed share, trend; and of coming months from joint futures."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.costs import (
    Slope,
    added_months,
    metered_days,
    month_trend,
    per_1000_ahead,
    quantiles_ahead,
    unit_groups,
    whole_months,
)
from capacity.domain import Interval
from capacity.errors import UsageError

MONTHS = [f"2026-{m:02d}" for m in range(1, 10)]
KEY = ("team", "buy", "orders", "USD")


def lines(costs: list[Any], units: list[float], coverage: float = 1.0, **more: Any) -> pd.DataFrame:
    about = {"level": "team", "name": "buy", "driver": "orders", "unit": "order", "per": 1, "currency": "USD"}
    found = {"month": MONTHS[: len(costs)], "effective_cost": [Decimal(str(c)) for c in costs], "units": units}
    return pd.DataFrame({**found, "coverage_frac": coverage}).assign(**about | more)


def days_slope(per_unit: float) -> Slope:
    return Slope(Interval(0.9 * per_unit, per_unit, 1.1 * per_unit), "days", 92, np.zeros(14))


def test_a_group_has_its_average_margin_fixed_share_and_trend() -> None:
    units = [1000.0, 1100.0, 1200.0, 1300.0, 1400.0, 1500.0]
    found = unit_groups(lines([500 + 0.2 * u for u in units], units), {KEY: days_slope(0.2)}, MONTHS)
    line = found.iloc[-1]
    assert line["per_1000"] == Decimal("533.333333333")
    assert line["average_per_1000"] == Decimal("600")
    assert line["marginal_per_1000"] == pytest.approx(200)
    assert (line["marginal_low"], line["marginal_high"]) == pytest.approx((180, 220))
    assert line["fixed_share_frac"] == pytest.approx(1500 / (1500 + 0.2 * 4200)), "of the last three months"
    assert (line["marginal_basis"], line["marginal_points"], line["trend_months"]) == ("days", 92, 6)
    assert line["long_run_per_1000"] == pytest.approx(200)
    assert -0.08 < line["trend_low"] <= line["trend_frac_per_month"] <= line["trend_high"] < 0
    assert set(found["flags"]) == {""}


def test_months_without_units_or_with_half_of_them_and_open_ones_have_no_part_in_the_average() -> None:
    frame = pd.concat([lines([10, 10], [1000.0, np.nan]), lines([99, 7, 50], [1000.0] * 3).iloc[[2]]])
    frame["coverage_frac"] = [1.0, 1.0, 0.5]
    found = unit_groups(frame.assign(month=MONTHS[:3]), {}, MONTHS[:3], {KEY: "a note"})
    assert found["per_1000"].tolist() == [Decimal(10), None, None]
    assert found["flags"].tolist() == [
        "a note", "no driver units in this month; a note", "usage covers 50% of the month; a note",
    ]  # fmt: skip
    assert set(found["average_per_1000"]) == {Decimal(10)}
    still_open = unit_groups(lines([10, 30], [1000.0, 1000.0]), {}, MONTHS[:1])
    assert set(still_open["average_per_1000"]) == {Decimal(10)}
    assert still_open["per_1000"].tolist() == [Decimal(10), Decimal(30)]


def test_a_journey_stands_for_its_rate_and_has_no_slope_of_its_own() -> None:
    found = unit_groups(
        lines([1] * 7, [1000.0 * (1 + i) for i in range(7)], level="journey",
              given_per_1000=[Decimal(10 + i) for i in range(7)], given_flags="x"),
        {}, MONTHS,
    )  # fmt: skip
    assert found["per_1000"].tolist() == [Decimal(10 + i) for i in range(7)]
    assert set(found["average_per_1000"]) == {Decimal(14)}, "weighted by how many there were"
    assert found["marginal_per_1000"].isna().all()
    assert set(found["marginal_basis"]) == {""}
    assert set(found["flags"]) == {"x"}


def test_what_stands_twice_and_a_strange_level_are_refused() -> None:
    with pytest.raises(UsageError, match="stands twice"):
        unit_groups(pd.concat([lines([1], [1.0])] * 2), {}, MONTHS)
    with pytest.raises(UsageError, match="level 'planet' is not known; allowed: company"):
        unit_groups(lines([1], [1.0], level="planet"), {}, MONTHS)
    assert unit_groups(lines([], []), {}, MONTHS).empty


# Units of few digits: those of a float's last digit are not twice those of its half.
@given(st.decimals(1, 10**9, places=2), st.decimals(1, 10**9, places=4).map(float))
def test_twice_the_demand_at_a_fixed_cost_halves_the_average(cost: Decimal, units: float) -> None:
    once, twice = (unit_groups(lines([cost], [u]), {}, MONTHS)["average_per_1000"][0] for u in (units, 2 * units))
    assert abs(once - 2 * twice) <= Decimal("2e-9")


def test_the_trend_is_found_and_its_interval_holds() -> None:
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(120):
        noise = rng.normal(size=13)
        for i in range(1, 13):
            noise[i] = 0.4 * noise[i - 1] + np.sqrt(1 - 0.4**2) * noise[i]
        values = np.exp(0.02 * np.arange(13) + 0.03 * noise)
        found = month_trend({f"{2025 + k // 12}-{k % 12 + 1:02d}": float(v) for k, v in enumerate(values)})
        assert found is not None
        inside.append(found.low <= np.expm1(0.02) <= found.high)
    assert 0.7 <= np.mean(inside) <= 0.9


def test_a_trend_needs_six_months_and_knows_which_are_missing() -> None:
    steady = {m: Decimal(str(1.02**i)) for i, m in enumerate(MONTHS)}
    holes: dict[str, Decimal | None] = {**steady, "2026-03": None, "2026-05": Decimal(0)}
    for known in (steady, holes):
        found = month_trend(known)
        assert found is not None
        assert found.mid == pytest.approx(0.02)
    assert month_trend({m: v for m, v in steady.items() if m < "2026-06"}) is None


# --- days of the bill --------------------------------------------------------------------------------------


def test_amounts_for_a_month_are_no_days() -> None:
    days = pd.date_range("2026-06-01", "2026-08-31", freq="D")
    keys = {"currency": "USD", "kind": "service", "service": "web", "part": "running", "spread": False}
    rows = pd.DataFrame({"day": days, "effective_cost": 10.0, "spread_cost": 0.0}).assign(**keys)
    june = rows["day"] < "2026-07-01"
    rows.loc[june, "spread_cost"] = 10.0
    rows["effective_cost"] += 1.0
    rows.loc[~june, "spread_cost"] = 1.0
    tax = rows.iloc[[40]].assign(part="tax", effective_cost=500.0)
    grid = pd.date_range("2026-05-30", "2026-09-02", freq="D")
    (found,) = metered_days(pd.concat([rows, tax]), grid).values()
    known = pd.Series(found, grid).dropna()
    assert (known.index[0], known.index[-1]) == (pd.Timestamp("2026-07-01"), pd.Timestamp("2026-08-31"))
    assert set(known) == {10.0}


# --- coming months -----------------------------------------------------------------------------------------


def test_whole_months_take_what_is_known_of_the_month_in_progress() -> None:
    index = pd.date_range("2026-10-04", "2026-12-15", freq="D")
    paths = np.full((3, len(index)), 2.0, np.float32) * np.array([[1], [2], [3]], np.float32)
    known = pd.Series([5.0, np.nan, 7.0], pd.date_range("2026-10-01", periods=3, freq="D"))
    found = whole_months(paths, index, known)
    assert {m: v.tolist() for m, v in found.items()} == {
        "2026-10": [18.0 + 56.0, 18.0 + 112.0, 18.0 + 168.0],
        "2026-11": [60.0, 120.0, 180.0],
    }
    assert set(whole_months(paths, index, known[1:])) == {"2026-11"}, "of the first of October nothing is known"


def test_a_unit_cost_is_divided_future_by_future() -> None:
    rng = np.random.default_rng(3)
    units = {"2026-11": np.exp(rng.normal(0, 0.3, 1000)) * 1e6}
    rising = per_1000_ahead({"2026-11": 0.002 * units["2026-11"]}, units)["2026-11"]
    apart = per_1000_ahead({"2026-11": rng.permutation(0.002 * units["2026-11"])}, units)["2026-11"]
    follows, alone = quantiles_ahead(rising), quantiles_ahead(apart)
    assert follows is not None
    assert alone is not None
    assert follows == pytest.approx((2.0, 2.0, 2.0))
    assert alone[2] - alone[0] > 1.0, "spend that does not follow demand leaves the unit cost unsure"
    assert quantiles_ahead(np.array([1.0, np.nan])) is None
    with pytest.raises(UsageError, match="forecasts of one run"):
        per_1000_ahead({"m": np.ones(2)}, {"m": np.ones(3)})


def test_months_are_added_where_all_have_them() -> None:
    both = added_months([{"a": np.ones(2), "b": np.ones(2)}, {"b": np.ones(2)}])
    assert {m: v.tolist() for m, v in both.items()} == {"b": [2.0, 2.0]}
    assert added_months([]) == {}


def test_a_month_that_the_bill_holds_in_part_has_no_part_in_average_slope_and_trend() -> None:
    units = [1000.0 + 10 * n for n in range(7)]
    frame = lines([1, *(500 + 0.2 * u for u in units[1:])], units)
    whole = unit_groups(frame.iloc[1:], {}, MONTHS)
    found = unit_groups(frame, {}, MONTHS, partial={MONTHS[0]: "half of it"})
    assert (found["per_1000"][0], found["flags"].tolist()) == (None, ["half of it", *[""] * 6])
    same = ["average_per_1000", "marginal_per_1000", "trend_frac_per_month", "trend_months"]
    assert found[same].iloc[-1].tolist() == whole[same].iloc[-1].tolist()
    assert found["trend_months"].iloc[-1] == 6
