from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from capacity.errors import MissingDataError, UsageError
from capacity.saturation import demand_is_resource, regress_cost

SLOPE, FIXED = 0.05, 4.0


def history(
    seed: int, weeks: int = 26, slope: float = SLOPE, fixed: float = FIXED, noise: float = 0.03
) -> pd.DataFrame:
    """Hours of demand with a daily and weekly shape, and use with noise that remembers (lag-1 .8)."""
    rng = np.random.default_rng(seed)
    n = weeks * 168
    hour = np.arange(n)
    demand = 200 * (1 + 0.4 * np.sin(hour / 24 * 2 * np.pi)) * (1 + 0.1 * np.sin(hour / 168 * 2 * np.pi))
    demand = demand * np.exp(rng.normal(0, 0.05, n))
    wobble = lfilter([0.6], [1, -0.8], rng.normal(0, noise, n))
    index = pd.date_range("2026-01-05", periods=n, freq="h", tz="UTC")
    return pd.DataFrame({"demand": demand, "use": fixed + slope * demand * np.exp(wobble)}, index=index)


def test_recovers_a_known_truth() -> None:
    h = history(1)
    found = regress_cost(h["demand"], h["use"])
    assert found.per_demand.mid == pytest.approx(SLOPE, rel=0.02)
    assert found.fixed == pytest.approx(FIXED, rel=0.1)
    assert found.per_demand.low < found.per_demand.mid < found.per_demand.high
    assert found.per_demand.confidence == 0.8
    assert found.basis == "fleet_history"
    assert found.highest_demand_seen == pytest.approx(h["demand"].max())
    assert found.r_squared is not None
    assert found.r_squared > 0.95
    assert found.flags == ("not load-tested: from the fleet's history",)


def test_eighty_percent_intervals_hold_eighty_percent_of_the_time() -> None:
    def holds(seed: int) -> bool:
        h = history(seed, weeks=12)
        found = regress_cost(h["demand"], h["use"]).per_demand
        return found.low <= SLOPE <= found.high

    held = np.mean([holds(seed) for seed in range(120)])
    assert 0.8 - 3 * 0.0365 <= held <= 0.93  # three standard errors below, and not by being vague


def test_the_same_seed_gives_the_same_interval_and_another_seed_nearly() -> None:
    h = history(2)
    one, two, other = (regress_cost(h["demand"], h["use"], seed=s) for s in (7, 7, 8))
    assert one == two
    assert one.per_demand.low == pytest.approx(other.per_demand.low, rel=0.02)
    assert one.per_demand.low != other.per_demand.low


def test_outliers_do_not_move_it() -> None:
    h = history(3)
    broken = h.copy()
    rng = np.random.default_rng(0)
    hit = rng.random(len(h)) < 0.03
    broken.loc[hit, "use"] *= 8
    broken.loc[rng.random(len(h)) < 0.005, "demand"] *= 50  # a counter that jumped
    clean, dirty = regress_cost(h["demand"], h["use"]), regress_cost(broken["demand"], broken["use"])
    assert dirty.per_demand.mid == pytest.approx(clean.per_demand.mid, rel=0.02)
    assert dirty.highest_demand_seen <= h["demand"].max() * 1.5


def test_a_level_shift_leaves_only_what_follows() -> None:
    h = history(4, weeks=30)
    cut = h.index[20 * 168]
    h.loc[h.index >= cut, "use"] *= 0.6  # a release that halves the work, nearly
    found = regress_cost(h["demand"], h["use"])
    assert found.per_demand.mid == pytest.approx(SLOPE * 0.6, rel=0.03)
    assert any(f"hours since {cut:%Y-%m}" in flag for flag in found.flags)


def test_constant_demand_becomes_the_ratio() -> None:
    h = history(5, noise=0.02)
    h["demand"] = 100.0
    h["use"] = 8.0 + np.random.default_rng(0).normal(0, 0.2, len(h))
    found = regress_cost(h["demand"], h["use"])
    assert found.per_demand.mid == pytest.approx(0.08, rel=0.02)
    assert found.fixed == 0
    assert any("demand hardly varies" in flag for flag in found.flags)


@pytest.mark.parametrize("hours", [1, 5, 47])
def test_few_points_become_the_ratio(hours: int) -> None:
    h = history(6).iloc[:hours]
    found = regress_cost(h["demand"], h["use"])
    assert any(f"few points: {hours} hour(s)" in flag for flag in found.flags)
    assert found.per_demand.low <= found.per_demand.mid <= found.per_demand.high
    assert found.per_demand.mid == pytest.approx(0.07, rel=0.2)


def test_a_negative_slope_becomes_the_ratio() -> None:
    h = history(7)
    found = regress_cost(h["demand"], 40 - 0.05 * h["demand"])
    assert found.per_demand.low > 0
    assert any("slope not above 0" in flag for flag in found.flags)


def test_use_that_has_nothing_to_do_with_demand_is_not_given_a_line() -> None:
    h = history(8)
    noise = pd.Series(np.random.default_rng(1).uniform(5, 15, len(h)), index=h.index)
    found = regress_cost(h["demand"], noise)
    assert any("put on demand" in flag for flag in found.flags)
    assert found.fixed == 0


def test_use_that_grows_faster_than_demand_says_so() -> None:
    h = history(9)
    found = regress_cost(h["demand"], 0.0002 * h["demand"] ** 2)
    assert found.fixed == 0
    assert any("grows faster" in flag for flag in found.flags)


def test_low_r_squared_is_flagged() -> None:
    h = history(10, weeks=52)
    use = h["use"] + np.random.default_rng(2).normal(0, 8, len(h)).clip(-12, 12) + 12
    found = regress_cost(h["demand"], use)
    assert found.r_squared is not None
    assert found.r_squared < 0.5
    assert any("low r²" in flag for flag in found.flags)


def test_gaps_and_different_spans_use_the_common_hours() -> None:
    h = history(11)
    use = h["use"].copy()
    use.iloc[100:400] = np.nan
    found = regress_cost(h["demand"].iloc[500:].sample(frac=1, random_state=1), use)
    assert found.per_demand.mid == pytest.approx(SLOPE, rel=0.03)


@given(scale=st.floats(1e-3, 1e6), price=st.floats(1e-3, 1e3))
def test_units_do_not_matter(scale: float, price: float) -> None:
    h = history(12, weeks=8)
    plain = regress_cost(h["demand"], h["use"])
    scaled = regress_cost(h["demand"] * scale, h["use"] * price)
    for a, b in ((plain.per_demand.low, scaled.per_demand.low), (plain.per_demand.mid, scaled.per_demand.mid)):
        assert b == pytest.approx(a * price / scale, rel=1e-6)
    assert scaled.fixed == pytest.approx(plain.fixed * price, rel=1e-6)
    assert scaled.flags == plain.flags


def test_nothing_in_common_is_an_error() -> None:
    h = history(13, weeks=4)
    with pytest.raises(MissingDataError, match="no hour in common"):
        regress_cost(h["demand"].iloc[:50], h["use"].iloc[50:])
    with pytest.raises(MissingDataError, match="no hour in common"):
        regress_cost(h["demand"] * 0, h["use"])
    with pytest.raises(UsageError, match="unique time stamps"):
        regress_cost(pd.concat([h["demand"], h["demand"]]), h["use"])
    with pytest.raises(MissingDataError, match="no finite highest value"):
        demand_is_resource(pd.Series([np.nan]))


def test_demand_that_is_the_resource_costs_exactly_one() -> None:
    found = demand_is_resource(pd.Series([3.0, np.nan, 7.0]))
    assert (found.per_demand.low, found.per_demand.mid, found.per_demand.high) == (1, 1, 1)
    assert (found.fixed, found.highest_demand_seen, found.basis) == (0, 7.0, "demand_is_resource")
    assert demand_is_resource(7.0) == found
