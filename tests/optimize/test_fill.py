"""Tables that are filled many cells at a time hold what filling them cell by cell gives, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize._fill import Counts, cheapest_fills, cheapest_totals

Lane = tuple[list[tuple[int, float]], int, int]


def _cell_by_cell(types: list[tuple[int, float]], need: int, least: int) -> tuple[float, list[int]]:
    """The cheapest cost of one lane, and its counts: of equal choices the first."""
    cost = [[0.0] * (need + 1) for _ in range(least + 1)]
    first = [[-1] * (need + 1) for _ in range(least + 1)]
    for layer in range(least + 1):
        for cell in range(0 if layer else 1, need + 1):
            options = [
                price + cost[max(layer - 1, 0)][max(cell - weight, 0)] if weight else np.inf for weight, price in types
            ]
            cost[layer][cell] = min(options)
            first[layer][cell] = options.index(min(options))
    counts, layer, cell = [0] * len(types), least, need
    while np.isfinite(cost[least][need]) and (layer or cell):
        j = first[layer][cell]
        counts[j] += 1
        layer, cell = max(layer - 1, 0), max(cell - types[j][0], 0)
    return cost[least][need], counts


@st.composite
def lanes(draw: st.DrawFn) -> list[Lane]:
    """Lanes with small and large smallest weights, so that they go in several groups; some may hold nothing."""
    count = draw(st.integers(1, 4))
    out = []
    for _ in range(draw(st.integers(1, 6))):
        need = draw(st.integers(1, 90))
        finest = draw(st.sampled_from([1, 3, 20]))
        weights = [min(draw(st.sampled_from([0, finest, finest + 1, 2 * finest, 90])), need) for _ in range(count)]
        prices = [draw(st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.1])) for _ in range(count)]
        out.append((list(zip(weights, prices, strict=True)), need, draw(st.integers(0, 3))))
    return out


def _arrays(given_lanes: list[Lane]) -> tuple[Counts, Counts, Counts, np.ndarray]:
    grid = np.array([[weight for weight, _ in types] for types, _, _ in given_lanes])
    price = np.array([[usd for _, usd in types] for types, _, _ in given_lanes])
    return grid, np.array([need for _, need, _ in given_lanes]), np.array([n for _, _, n in given_lanes]), price


@given(lanes())
def test_totals_and_counts_are_those_of_one_cell_after_the_other(some: list[Lane]) -> None:
    expected = [_cell_by_cell(*lane) for lane in some]
    assert cheapest_totals(*_arrays(some)).tolist() == [total for total, _ in expected]
    assert cheapest_fills(*_arrays(some)).tolist() == [counts for _, counts in expected]


def test_more_lanes_than_one_table_holds_each_get_their_own() -> None:
    rng = np.random.default_rng(0)
    some: list[Lane] = [
        ([(int(w), float(p)) for w, p in zip(rng.integers(2, 4, 2), rng.uniform(1, 2, 2), strict=True)], int(need), 0)
        for need in rng.integers(1, 12, 1100)
    ]
    assert cheapest_totals(*_arrays(some)).tolist() == [_cell_by_cell(*lane)[0] for lane in some]


def test_it_ends_when_its_time_is_up() -> None:
    some: list[Lane] = [([(1, 1.0)], 2048, 0)]
    with pytest.raises(TimeIsUp):
        cheapest_totals(*_arrays(some), Deadline.after(0.0, clock=iter(range(9999)).__next__))
