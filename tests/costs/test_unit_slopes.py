"""Marginal cost from days: the true rate is found, its interval holds as often as it says, and what cannot be told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.costs import Slope, added_days, combined, day_slopes, marginal_cost
from capacity.domain import Floats, Interval
from capacity.errors import UsageError

RATE = 0.02
DAYS = 92


def carried(rng: np.random.Generator, days: int, share: float) -> Floats:
    """Noise of size one of which ``share`` is there on the next day."""
    out = rng.normal(size=days)
    for i in range(1, days):
        out[i] = share * out[i - 1] + np.sqrt(1 - share**2) * out[i]
    return out


def service(
    rng: np.random.Generator, days: int = DAYS, share: float = 0.6, drift: float = 0.3, step: float = 0.0
) -> tuple[Floats, Floats]:
    """Daily cost and units of a service whose fixed half drifts (and steps) in price while its demand grows."""
    at = np.arange(days)
    week = 1 + 0.15 * np.sin(2 * np.pi * at / 7)
    units = 10_000 * (1 + 0.015 * at / 30) * week * np.exp(0.04 * carried(rng, days, 0.8))
    fixed = 200.0 * (1 + drift * at / 365) + step * 400.0 * (at >= days // 3)
    return fixed + RATE * units + 12.0 * carried(rng, days, share), units


def one(cost: Floats, units: Floats) -> Slope:
    found = day_slopes(cost, units)
    assert not isinstance(found, str), found
    return found[0]


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"share": 0.0},
        {"share": 0.9, "drift": 3.0},
        {"days": 60},
        {"days": 365, "step": 0.2},
    ],
    ids=str,
)
def test_the_interval_holds_seven_to_nine_times_in_ten(kind: dict[str, float]) -> None:
    rng = np.random.default_rng(5)
    found = [one(*service(rng, **kind)).per_unit for _ in range(100)]  # type: ignore[arg-type]
    assert 0.70 <= np.mean([i.low <= RATE <= i.high for i in found]) <= 0.90
    assert np.mean([i.mid for i in found]) == pytest.approx(RATE, rel=0.03)


def test_a_drift_of_prices_is_no_marginal_cost_though_months_take_it_for_one() -> None:
    rng = np.random.default_rng(2)
    cost, units = service(rng, days=365, drift=3.0)
    months = np.arange(365) // 30
    by_month = [(cost[months == m].sum(), units[months == m].sum()) for m in range(12)]
    slope = marginal_cost([c for c, _ in by_month], [u for _, u in by_month])
    assert slope is not None
    assert slope.per_unit.low > 2 * RATE
    assert one(cost, units).per_unit.mid == pytest.approx(RATE, rel=0.15)


@settings(deadline=None, max_examples=20)
@given(
    st.floats(1e-9, 1e3), st.floats(0, 10), st.floats(-0.5, 2), st.integers(0, 2**32 - 1), st.sampled_from([1.0, 1e9])
)
def test_a_linear_cost_gives_its_rate_whatever_the_units_of_money_and_of_demand(
    rate: float, fixed: float, drift: float, seed: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    units = scale * (100 + 10 * rng.random(DAYS))
    trend = rate * scale * 100 * fixed * (1 + drift * np.arange(DAYS) / DAYS)
    found = one(trend + rate * units, units)
    assert found.per_unit.mid == pytest.approx(rate, rel=1e-6)
    assert found.per_unit.high - found.per_unit.low <= 1e-5 * rate


def test_several_drivers_are_fitted_together() -> None:
    rng = np.random.default_rng(4)
    mids, inside = [], []
    for _ in range(60):
        cost, requests = service(rng)
        stored = 500 * np.exp(0.05 * carried(rng, DAYS, 0.5))
        found = day_slopes(cost + 0.3 * stored, np.stack([requests, stored], axis=1))
        assert not isinstance(found, str)
        assert all(s.told_apart for s in found)
        mids.append([s.per_unit.mid for s in found])
        inside.append([s.per_unit.low <= x <= s.per_unit.high for s, x in zip(found, (RATE, 0.3), strict=True)])
    assert np.mean(mids, axis=0) == pytest.approx([RATE, 0.3], rel=0.05)
    assert (np.mean(inside, axis=0) >= 0.7).all()
    assert (np.mean(inside, axis=0) <= 0.95).all()


def test_drivers_that_move_alike_are_said_to_and_share_what_they_cost_together() -> None:
    rng = np.random.default_rng(6)
    cost, requests = service(rng)
    twin = 3 * requests * (1 + 1e-5 * rng.normal(size=DAYS))
    found = day_slopes(cost, np.stack([requests, twin], axis=1))
    assert not isinstance(found, str)
    assert not any(s.told_apart for s in found)
    assert found[0].per_unit.mid + 3 * found[1].per_unit.mid == pytest.approx(one(cost, requests).per_unit.mid, rel=0.1)
    assert found[0].per_unit.high - found[0].per_unit.low > 10 * RATE, "which of the two it is, is not known"


def test_errors_that_services_share_are_added_before_they_are_squared() -> None:
    rng = np.random.default_rng(8)
    cost, units = service(rng)
    mine = one(cost, units)
    width = mine.per_unit.high - mine.per_unit.low
    both = combined([(2.0, mine), (3.0, mine)]).per_unit
    assert both.mid == pytest.approx(5 * mine.per_unit.mid)
    assert both.high - both.low == pytest.approx(5 * width)
    other = one(*service(rng))
    wide = other.per_unit.high - other.per_unit.low
    apart = combined([(1.0, mine), (1.0, other)]).per_unit
    assert apart.high - apart.low == pytest.approx(np.hypot(width, wide), rel=0.25)
    months = Slope(Interval(-1.0, 1.0, 3.0), "months", 9)
    mixed = combined([(1.0, months), (1.0, Slope(Interval(0.0, 2.0, 4.0), "months", 7))])
    assert (mixed.basis, mixed.points) == ("months", 7)
    assert mixed.per_unit.high - mixed.per_unit.mid == pytest.approx(np.sqrt(8))


def test_the_interval_of_a_sum_of_services_with_common_days_holds() -> None:
    """Two services whose costs err together: as one service would, not as two."""
    rng = np.random.default_rng(9)
    inside = 0
    for _ in range(80):
        shared = 30.0 * carried(rng, DAYS, 0.6)
        cost, units = service(rng)
        slopes = [one(cost + shared, units), one(cost + shared + 2 * carried(rng, DAYS, 0.6), units)]
        total = combined([(1.0, s) for s in slopes]).per_unit
        inside += total.low <= 2 * RATE <= total.high
    assert 0.70 <= inside / 80 <= 0.92


def test_why_there_is_none() -> None:
    rng = np.random.default_rng(1)
    cost, units = service(rng)
    few = np.where(np.arange(DAYS) < 55, cost, np.nan)
    assert day_slopes(few, units) == "cost and units are known for 55 days by the day, 56 are needed"
    assert day_slopes(cost, np.linspace(100, 200, DAYS)) == "units hardly move about their trend"
    assert day_slopes(np.zeros(DAYS), units) == "most days have no cost or no units"
    with pytest.raises(UsageError, match="the same days are wanted"):
        day_slopes(cost[1:], units)
    with pytest.raises(UsageError, match="different length"):
        combined([(1.0, one(cost, units)), (1.0, one(*service(rng, days=200)))])


def test_gaps_do_not_move_the_rate_nor_do_single_days() -> None:
    rng = np.random.default_rng(3)
    cost, units = service(rng, days=180)
    clean = one(cost, units).per_unit
    holes = cost.copy()
    holes[rng.integers(0, 180, 25)] = np.nan
    assert one(holes, units).per_unit.mid == pytest.approx(clean.mid, rel=0.1)
    wild = cost.copy()
    wild[[20, 70, 130]] += 5000.0
    assert one(wild, units).per_unit.mid == pytest.approx(clean.mid, rel=0.1)


def test_a_sum_of_days_waits_for_nobody_who_has_not_begun() -> None:
    old, new = np.array([1.0, 2.0, np.nan, 4.0, 5.0]), np.array([np.nan, np.nan, np.nan, 10.0, 20.0])
    assert added_days([old, new], [1, 3]).tolist()[1:2] == [2.0]
    assert np.isnan(added_days([old, new], [1, 3])[[0, 2]]).all(), "before all of them, and where one is not known"
    assert added_days([old, new], [0, 3]).tolist()[3:] == [14.0, 25.0]
