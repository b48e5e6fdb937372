"""The robust line under a driver: months spread over their days, outliers, changes of price, weekdays."""

from __future__ import annotations

import numpy as np
import pytest
from driver_family import DAYS, truth
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import Floats
from capacity.forecast._driver_fit import Line, fit, runs, solve, weighted_median


def _histories(seed: int, noise: float = 0.01) -> tuple[Floats, Floats, float, float]:
    known = truth(seed, noise=noise)
    return known.spend.to_numpy(float)[:DAYS], known.units.to_numpy(float)[:DAYS], known.fixed, known.rate


def _line(spend: Floats, units: Floats) -> Line:
    found = fit(spend, units, 0)
    assert isinstance(found, Line), found
    return found


def test_a_month_spread_over_its_days_does_not_flatten_the_rate() -> None:
    spend, units, fixed, rate = _histories(1)
    for start in range(0, 300, 30):  # ten months as one amount each, then days
        spend[start : start + 30] = spend[start : start + 30].mean()
    found = _line(spend, units)
    assert found.rate == pytest.approx(rate, rel=0.1)
    assert found.fixed == pytest.approx(fixed, rel=0.1)


def test_equal_days_in_a_row_are_one_amount() -> None:
    starts, lengths = runs(np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0, np.nan, np.nan]))
    assert starts.tolist() == [0, 1, 2, 3, 8, 9, 10]
    assert lengths.tolist() == [1, 1, 1, 5, 1, 1, 1]


def test_wild_days_do_not_move_the_line() -> None:
    spend, units, _, _ = _histories(2)
    clean = _line(spend, units)
    wild = spend.copy()
    wild[np.random.default_rng(2).choice(DAYS, 20, replace=False)] *= 6.0
    found = _line(wild, units)
    assert found.rate == pytest.approx(clean.rate, rel=0.05)


def test_fixed_is_never_below_nothing() -> None:
    spend, units, _, rate = _histories(3)
    found = _line(np.maximum(spend - 600.0, 1.0), units)  # the true line cuts the axis at -200
    assert found.fixed == 0.0
    assert 0.0 < found.rate < rate


def test_weekdays_that_cost_more_for_the_same_units_are_seen() -> None:
    spend, units, _, _ = _histories(4)
    spend[0::7] *= 1.1  # Mondays
    found = _line(spend, units)
    assert found.weekday[0] == pytest.approx(1.1 ** (6 / 7), abs=0.04)
    assert found.weekday[0] > found.weekday[1:].max()


@pytest.mark.parametrize("ratio", [0.7, 1.3])
def test_the_day_and_the_size_of_a_change_are_found(ratio: float) -> None:
    spend, units, fixed, rate = _histories(6)
    spend[DAYS - 90 :] *= ratio
    found = _line(spend, units)
    ((at, change),) = found.shifts
    assert abs(at - (DAYS - 90)) <= 3
    assert change == pytest.approx(ratio, abs=0.04)
    assert found.rate == pytest.approx(rate * ratio, rel=0.1)
    assert found.fixed == pytest.approx(fixed * ratio, rel=0.15)


def test_without_a_change_none_is_found() -> None:
    assert all(not _line(*_histories(seed)[:2]).shifts for seed in range(10))


@given(st.floats(0, 1e3), st.floats(0, 1e3), st.integers(0, 1000))
def test_exact_lines_are_found_exactly(fixed: float, rate: float, seed: int) -> None:
    x = np.random.default_rng(seed).uniform(0.5, 2.0, 50)
    y = fixed + rate * x
    found = solve(np.array([50.0, x.sum(), (x * x).sum(), y.sum(), (x * y).sum()]))
    assert found == pytest.approx((fixed, rate), abs=1e-6 * (1 + fixed + rate))


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(1, 5)), min_size=1, max_size=30))
def test_half_of_the_weight_lies_on_each_side_of_the_median(pairs: list[tuple[float, int]]) -> None:
    values, weights = (np.array(v, dtype=float) for v in zip(*pairs, strict=True))
    middle = weighted_median(values, weights)
    half = weights.sum() / 2.0
    assert weights[values < middle].sum() <= half
    assert weights[values > middle].sum() <= half
