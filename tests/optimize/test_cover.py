"""Covering knapsacks: bounds that hold, covers that are covers, and both close to the truth."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.optimize._cover import Lanes, cheapest_counts, lower_bounds


def _least_cost(weight: np.ndarray, price: np.ndarray, least: int) -> float:
    most = [max(math.ceil(1 / w), least) if w > 0 else 0 for w in weight]
    costs = [
        float(np.dot(x, price))
        for x in itertools.product(*(range(m + 1) for m in most))
        if np.dot(x, weight) >= 1 - 1e-9 and sum(x) >= least
    ]
    return min(costs)


@given(
    st.lists(st.tuples(st.integers(10, 120), st.integers(0, 50)), min_size=1, max_size=3),
    st.integers(0, 4),
    st.sampled_from([100.0, 97.3]),
)
def test_bound_and_cover_enclose_the_optimum(types: list[tuple[int, int]], least: int, load: float) -> None:
    weight, price = np.array([t[0] / load for t in types]), np.array([float(t[1]) for t in types])
    lanes = Lanes(weight[None, :], np.array([least]))
    best = _least_cost(weight, price, least)
    bound = float(lower_bounds(lanes, price[None, :])[0])
    counts = cheapest_counts(lanes, price[None, :])[0]
    assert bound <= best + 1e-9
    assert np.dot(counts, weight) >= 1 - 1e-6
    assert counts.sum() >= least
    assert np.dot(counts, price) >= best - 1e-9
    if least <= 3:
        assert bound == pytest.approx(best, rel=0.02, abs=1e-9)
        assert np.dot(counts, price) <= best * 1.1 + 1e-9


def test_a_ladder_of_sizes_is_solved_exactly() -> None:
    weight = np.array([[1, 2, 4, 8]]) / 21.0
    price = np.array([[1.0, 1.9, 3.7, 7.2]])
    lanes = Lanes(weight, np.array([0]))
    best = _least_cost(weight[0], price[0], 0)
    assert lower_bounds(lanes, price)[0] == pytest.approx(best)
    assert float(cheapest_counts(lanes, price)[0] @ price[0]) == pytest.approx(best)


def test_lanes_do_not_touch_each_other() -> None:
    rng = np.random.default_rng(0)
    weight, price = rng.uniform(0.05, 0.7, (20, 5)), rng.uniform(0.1, 2.0, (20, 5))
    weight[3, 2:] = 0.0  # types that this load may not use
    least = rng.integers(0, 3, 20)
    together = lower_bounds(Lanes(weight, least), price)
    alone = [lower_bounds(Lanes(weight[i : i + 1], least[i : i + 1]), price[i : i + 1])[0] for i in range(20)]
    assert together.tolist() == pytest.approx(alone)
    assert not cheapest_counts(Lanes(weight, least), price)[3, 2:].any()


def test_nothing_that_holds_has_no_finite_bound() -> None:
    lanes = Lanes(np.zeros((1, 2)), np.array([0]))
    assert math.isinf(lower_bounds(lanes, np.ones((1, 2)))[0])
    assert not cheapest_counts(lanes, np.ones((1, 2))).any()


def test_loads_of_thousands_of_instances_stay_bounded_work() -> None:
    lanes = Lanes(np.array([[1e-4, 3.3e-4]]), np.array([0]))
    price = np.array([[1.0, 3.2]])
    bound = lower_bounds(lanes, price)[0]
    assert bound == pytest.approx(3.2 / 3.3e-4, rel=1e-3)
    counts = cheapest_counts(lanes, price)[0]
    assert counts @ lanes.weight[0] >= 1 - 1e-6
