"""The search of whole lanes: what it finds is the cheapest by trying everything, what it proves is never above it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from capacity.domain import Floats, MixProblem
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize._fleet import fleet_of
from capacity.optimize.columns._branch import Chosen, forced, search
from capacity.optimize.columns._lane_problem import LaneProblem, lane_problem
from capacity.optimize.columns._lanes import Counts, Lanes, lanes_of
from tests.optimize.test_columns import problems_of_all_families

_MOST_TRIES = 3_000


def _lanes(p: MixProblem) -> list[tuple[Lanes, int]]:
    fleet = fleet_of(p)
    units = [u for s in range(len(fleet.requirements)) if (u := lanes_of(fleet, s, range(len(p.months)))) is not None]
    return [(u, k) for u in units for k in range(len(u.hours))]


def _prices(u: Lanes, factor: Floats) -> tuple[Floats, Floats]:
    return u.usd[:, None] * u.hours[None, :] * factor[: len(u.types), None], u.spot_usd[:, None] * u.hours[None, :]


def _usd(u: Lanes, lane: int, usd: Floats, spot: Floats, running: Counts, bought: Counts) -> float:
    whole = np.zeros((len(u.hours), len(u.types)), dtype=np.int64)
    whole[lane] = running
    price = np.where(bought > 0, spot[:, lane], 0.0)
    return float(running @ usd[:, lane] + price @ bought + u.leave_cost(whole)[lane])


def _by_trying(u: Lanes, lane: int, usd: Floats, spot: Floats) -> list[tuple[float, Counts]]:
    """Cost and on-demand counts of all that is allowed: no count beyond what would do alone is ever of use."""
    with np.errstate(divide="ignore", invalid="ignore"):
        alone = np.where(u.weight > 0, np.ceil(u.need[:, lane, None] / u.weight), 0.0).max(axis=0, initial=0.0)
    runs = np.ceil(u.runs / u.requirement.zones)
    most = np.maximum(np.maximum(alone, runs), max(u.requirement.min_per_zone, 1)).astype(int)
    has_spot = np.isfinite(spot[:, lane]) & (u.spot_room[lane] > 0) & (u.spot_holds > 0)
    top = np.where(has_spot, np.floor(u.spot_room[lane] / np.maximum(u.spot_holds, 1e-12) + 1e-9), 0).astype(int)
    assume(np.prod(most + 1.0) * np.prod(top + 1.0) <= _MOST_TRIES)
    tried = itertools.product(*(range(m + 1) for m in [*most, *top]))
    counts = np.array(list(tried), dtype=np.int64)
    running, bought = counts[:, : len(most)], counts[:, len(most) :]
    out = []
    for r, b in zip(running, bought, strict=True):
        whole, spots = np.zeros((len(u.hours), len(most)), dtype=np.int64), np.zeros((len(u.hours), len(most)), int)
        whole[lane], spots[lane] = r, b
        if u.allows(whole, spots)[lane]:
            out.append((_usd(u, lane, usd, spot, r, b), r))
    return out


def _counts(u: Lanes, chosen: Chosen) -> tuple[Counts, Counts]:
    out = np.zeros((2, len(u.types)), dtype=np.int64)
    for row, own in zip(out, chosen, strict=True):
        row[list(own)] = list(own.values())
    return out[0], out[1]


@st.composite
def _some_lane(draw: st.DrawFn) -> tuple[Lanes, int, Floats, Floats, LaneProblem]:
    u, lane = draw(st.sampled_from(_lanes(draw(problems_of_all_families()))))
    factor = np.array(draw(st.lists(st.floats(0.2, 3.0), min_size=len(u.types), max_size=len(u.types))))
    usd, spot = _prices(u, factor)
    given_ = lane_problem(u, usd[:, lane], spot[:, lane], lane, float("inf"))
    assume(given_ is not None)
    assert given_ is not None
    return u, lane, usd, spot, given_


@settings(max_examples=150)
@given(_some_lane(), st.integers(1, 3))
def test_finds_the_cheapest_and_proves_no_more(
    lane: tuple[Lanes, int, Floats, Floats, LaneProblem], followed: int
) -> None:
    u, k, usd, spot, p = lane
    tried = _by_trying(u, k, usd, spot)
    best = min((c for c, _ in tried), default=np.inf)
    found = search([p], followed=100_000)
    assert found.least_usd[0] <= best * (1 + 1e-9) + 1e-9
    assert search([p], followed=followed).least_usd[0] <= best * (1 + 1e-9) + 1e-9
    if np.isfinite(best):
        assert found.usd[0] == pytest.approx(best, rel=2e-4)
        assert found.least_usd[0] == pytest.approx(best, rel=2e-4)
        running, bought = _counts(u, found.counts[0])
        assert _usd(u, k, usd, spot, running, bought) == pytest.approx(found.usd[0], rel=1e-9)
    else:
        assert not np.isfinite(found.usd[0])


@settings(max_examples=60)
@given(_some_lane())
def test_what_is_near_holds_and_a_forced_type_costs_at_least_so_much(
    lane: tuple[Lanes, int, Floats, Floats, LaneProblem],
) -> None:
    u, k, usd, spot, p = lane
    tried = _by_trying(u, k, usd, spot)
    best = min((c for c, _ in tried), default=np.inf)
    assume(np.isfinite(best))
    found = search([p], followed=100_000, margin_frac=0.05, most_near=10)
    assert 1 <= len(found.near[0]) <= 10
    for chosen in found.near[0]:
        running, bought = _counts(u, chosen)
        whole, spots = np.zeros((2, len(u.hours), len(u.types)), dtype=np.int64)
        whole[k], spots[k] = running, bought
        assert u.allows(whole, spots)[k]
        assert _usd(u, k, usd, spot, running, bought) <= best * 1.05 * (1 + 1e-9)
    least = forced([p], len(u.types))[0]
    for i in np.unique(p.kind[~p.as_spot]):
        with_it = min((c for c, r in tried if r[i] > 0), default=np.inf)
        assert least[i] <= with_it * (1 + 1e-9) + 1e-9


@settings(max_examples=60)
@given(_some_lane(), st.integers(1, 6))
def test_a_search_that_is_cut_short_proves_no_more_than_there_is(
    lane: tuple[Lanes, int, Floats, Floats, LaneProblem], looks: int
) -> None:
    u, k, usd, spot, p = lane
    best = min((c for c, _ in _by_trying(u, k, usd, spot)), default=np.inf)
    ticks = itertools.count()
    found = search([p], Deadline(lambda: float(next(ticks)), looks + 0.5))
    assert found.least_usd[0] <= best * (1 + 1e-9) + 1e-9
    if np.isfinite(found.usd[0]):
        running, bought = _counts(u, found.counts[0])
        assert _usd(u, k, usd, spot, running, bought) == pytest.approx(found.usd[0], rel=1e-9)
        assert found.usd[0] >= best * (1 - 1e-9)


def test_ends_between_batches() -> None:
    ticks = iter(range(1000))
    ends = Deadline(lambda: float(next(ticks)), 0.5)
    u, lane, usd, spot = _any_lane()
    p = lane_problem(u, usd[:, lane], spot[:, lane], lane, float("inf"))
    assert p is not None
    with pytest.raises(TimeIsUp):
        search([p] * 400, ends)


def _any_lane() -> tuple[Lanes, int, Floats, Floats]:
    from tests.optimize.makers import problem, unit

    u, lane = _lanes(problem(unit("a", [30.0, 70.0])))[0]
    usd, spot = _prices(u, np.ones(len(u.types)))
    return u, lane, usd, spot
