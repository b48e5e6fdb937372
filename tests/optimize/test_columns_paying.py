"""Types that are not priced again are in no cover that would have paid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from capacity.optimize._fleet import fleet_of
from capacity.optimize.columns._covers import covers_of, priced
from capacity.optimize.columns._lanes import Lanes, lanes_of
from capacity.optimize.columns._paying import may_pay
from tests.optimize.makers import candidate, problem, unit

SIZES = [("large", 1.0), ("xlarge", 2.0), ("4xlarge", 8.0)]


def lanes(usd: list[float], demands: list[float], penalty: float, runs: int, least: int, memory: float) -> Lanes:
    """Three families of three sizes; a second resource where ``memory`` is above 0."""
    kinds = [
        candidate(f"{family}5.{size}", price * times, (9.0 + k) * times, 2)
        for k, (family, price) in enumerate(zip("acm", usd, strict=True))
        for size, times in SIZES
    ]
    further = {"memory": memory}
    kinds = [replace(c, further={"memory": (30.0 * c.safe / (9 + k % 3), 40.0)}) for k, c in enumerate(kinds)]
    r = unit("u", demands, kinds, running={("a5.large", "a"): runs, ("m5.xlarge", "b"): runs} if runs else {})
    r = replace(r, least_types=least, blocks=tuple(replace(b, further=further if memory else {}) for b in r.blocks))
    made = lanes_of(fleet_of(problem(r, penalty=penalty)), 0, [0])
    assert made is not None
    return made


@given(
    st.lists(st.floats(0.05, 0.3), min_size=3, max_size=3),
    st.lists(st.floats(0.0, 400.0), min_size=1, max_size=3),
    st.sampled_from([0.0, 0.02, 0.4]), st.integers(0, 5), st.integers(1, 2), st.sampled_from([0.0, 300.0, 2000.0]),
    st.floats(0.8, 1.5), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_every_cover_that_pays_is_of_types_that_may_pay(
    usd: list[float],
    demands: list[float],
    penalty: float,
    runs: int,
    least: int,
    memory: float,
    times: float,
    seed: int,
) -> None:
    u = lanes(usd, demands, penalty, runs, least, memory)
    prices = u.usd[:, None] * u.hours[None, :] * np.random.default_rng(seed).uniform(0.5, 1.2, (len(u.types), 1))
    none = np.full(prices.shape, np.inf)
    every = covers_of(u, np.arange(len(u.types)))
    costs = [priced(u, c, prices, none) for c in every]
    worth = times * np.min([cost.min(axis=0) for cost in costs], axis=0)
    found = may_pay(u, prices, worth)
    for covers, cost in zip(every, costs, strict=True):
        c, lane = np.nonzero(cost < worth - 1e-9 * np.abs(worth))
        first = covers.first[c][covers.a[c, lane] > 0]
        second = covers.second[c][covers.b[c, lane] > 0]
        assert set(first.tolist()) | set(second.tolist()) <= set(found.tolist())


def test_dear_types_are_not_priced_again() -> None:
    u = lanes([0.1, 0.3, 0.1], [100.0, 55.0], 0.02, 0, 1, 0.0)
    prices = u.usd[:, None] * u.hours[None, :]
    none = np.full(prices.shape, np.inf)
    (every,) = covers_of(u, np.arange(len(u.types)))
    found = may_pay(u, prices, 1.01 * priced(u, every, prices, none).min(axis=0))
    names = {u.candidates[i].family for i in found}
    assert names
    assert "c5" not in names
