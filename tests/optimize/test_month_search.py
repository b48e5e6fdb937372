"""Whole months: what a search finds is the cheapest by trying everything, and what it proves is never above that."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from capacity.domain import Floats
from capacity.optimize._fleet import fleet_of
from capacity.optimize.columns._lanes import Counts, Lanes, lanes_of
from capacity.optimize.columns._month_search import month_problem, search_months
from tests.optimize.makers import problem, unit


@st.composite
def _months(draw: st.DrawFn) -> tuple[Lanes, Floats, Floats, Floats]:
    """A unit's month with two to four loads, prices to run and to provision, and charges that add up to the latter."""
    demands = draw(st.lists(st.floats(1.0, 90.0), min_size=2, max_size=4))
    runs = draw(st.integers(0, 2))
    running = {("m5.large", zone): runs for zone in "abc"} if runs else {}
    fleet = fleet_of(problem(unit("a", demands, running=running), penalty=draw(st.sampled_from([0.0, 0.05]))))
    u = lanes_of(fleet, 0, [0])
    assert u is not None
    shape = (len(u.types), len(u.hours))
    factor = np.array(draw(st.lists(st.floats(0.3, 2.0), min_size=shape[0], max_size=shape[0])))
    usd = u.usd[:, None] * u.hours[None, :] * factor[:, None]
    each = np.array(draw(st.lists(st.floats(1.0, 60.0), min_size=shape[0], max_size=shape[0])))
    weights = np.array(draw(st.lists(st.floats(0.01, 1.0), min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))))
    share = weights.reshape(shape) / weights.reshape(shape).sum(axis=1, keepdims=True)
    return u, usd, each, usd + each[:, None] * share


def _by_trying(u: Lanes, usd: Floats, each: Floats) -> tuple[float, Counts]:
    """The cheapest fleet: every count that could be of use, each lane its cheapest part of it."""
    with np.errstate(divide="ignore"):
        alone = np.where(u.weight > 0, np.ceil(u.need.max(axis=1)[:, None] / u.weight), 0.0).max(axis=0)
    most = np.maximum(alone, np.ceil(u.runs / u.requirement.zones)).astype(int)
    assume(np.prod(most + 1.0) <= 400)
    counts = np.array(list(itertools.product(*(range(m + 1) for m in most))), dtype=np.int64)
    held = (counts @ u.weight.T)[:, :, None] >= u.need[None] * (1 - 1e-9)
    left = np.maximum(u.runs[None, :] - u.requirement.zones * counts, 0)
    cost = np.where(held.all(axis=1), counts @ usd + left @ u.leave_usd, np.inf)
    best, fleet = np.inf, counts[0]
    for n in counts:
        inside = (counts <= n[None, :]).all(axis=1)
        total = float(cost[inside].min(axis=0).sum() + each @ n)
        if total < best:
            best, fleet = total, n
    return best, fleet


@settings(max_examples=80)
@given(_months())
def test_finds_the_cheapest_month_and_proves_no_more(month: tuple[Lanes, Floats, Floats, Floats]) -> None:
    u, usd, each, charged = month
    best, _ = _by_trying(u, usd, each)
    p = month_problem(u, np.arange(len(u.hours)), usd, each, charged, np.arange(len(u.types)), float("inf"))
    assume(p is not None)
    assert p is not None
    (found,) = search_months([p])
    assert found.least_usd <= best * (1 + 1e-9) + 1e-9
    # No less than what lanes prove apart, but for rounding to cells.
    assert found.least_usd >= _by_trying(u, charged, np.zeros(len(each)))[0] * 0.99
    assert found.usd == pytest.approx(best, rel=2e-4)
    assert found.fleet is not None


@settings(max_examples=40)
@given(_months(), st.floats(1.0, 1.2))
def test_a_known_fleet_is_kept_where_none_is_cheaper(month: tuple[Lanes, Floats, Floats, Floats], times: float) -> None:
    u, usd, each, charged = month
    best, _ = _by_trying(u, usd, each)
    known = best * times
    p = month_problem(u, np.arange(len(u.hours)), usd, each, charged, np.arange(len(u.types)), known)
    assume(p is not None)
    assert p is not None
    (found,) = search_months([p])
    assert found.least_usd <= best * (1 + 1e-9) + 1e-9
    assert (found.fleet is None) == (found.usd == known)
    assert found.usd >= best * (1 - 1e-9)
