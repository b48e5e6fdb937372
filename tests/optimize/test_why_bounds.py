"""Whole fleets between what their loads cost at least and at most; units beside what others leave of commitments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.domain import MixProblem, MixSolution
from capacity.optimize import solve, why
from capacity.optimize._clock import Deadline
from capacity.optimize.columns.memory import Memory
from capacity.optimize.why._bounds import FleetBounds, fleet_bounds, never_reached
from capacity.optimize.why._leftover import Leftovers, cost_between
from capacity.optimize.why._pieces import Pieces
from capacity.optimize.why._plan import counts_of, rows_of
from tests.optimize.makers import ARM, HOURS, LARGE, SMALL, candidate, commitment, problem, quota, unit

KINDS = (SMALL, LARGE, ARM, candidate("c5.2xlarge", 0.34, 43.0, 8))
YEAR = 8760.0 / HOURS[0]


def _fleet(seed: int, units: int = 4, limit: float = 1e4, count: int = 5, hourly: float = 0.5) -> MixProblem:
    """Units of two blocks each beside an RI and a Savings Plan, which they may use whole or not."""
    rng = np.random.default_rng(seed)
    made = [
        unit(
            f"u{k:02d}", [float(d) for d in rng.uniform(20, 200, 2)], KINDS, survived=int(rng.integers(0, 2)),
            autoscaled=bool(rng.integers(2)), running={("m5.large", "a"): int(rng.integers(0, 6))},
        )
        for k in range(units)
    ]  # fmt: skip
    owned = [
        commitment("csp", "compute_sp", hourly=hourly),
        commitment("ri", "standard_ri", "m5.large", hourly=0.06 * count, count=count),
    ]
    return problem(*made, quotas=[quota(limit)], commitments=owned, rates={"csp": 0.7}, penalty=0.02)


def _bounds(p: MixProblem) -> FleetBounds:
    return fleet_bounds(p, Memory(), Deadline.after(60.0))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.floats(0.01, 6.0))
def test_the_cheapest_plan_lies_between(seed: int, count: int, hourly: float) -> None:
    p = _fleet(seed, count=count, hourly=hourly)
    found, status = _bounds(p), solve(p, 20.0, gap_frac=1e-5).status
    assert found.low <= status.objective * (1 + 1e-9)
    assert found.high >= status.bound * (1 - 1e-9)
    assert found.high <= found.low * 1.15


def test_a_shared_quota_that_the_covers_break_leaves_the_upper_end_open() -> None:
    free = _fleet(3)
    used = float(solve(free, 20.0, gap_frac=1e-5).provisioned.groupby("month")["vcpu"].sum().max())
    p = replace(free, quotas=(quota(used - 6.0),))
    found = _bounds(p)
    assert found.high == np.inf
    assert np.isfinite(found.low)
    assert found.low <= solve(p, 20.0, gap_frac=1e-4).status.objective


def test_a_quota_of_one_unit_is_kept_by_solving_it_whole() -> None:
    p = _fleet(3)
    # 180 takes 36 vCPU of the cheap type, 24 of the dense one at a third more.
    own = replace(quota(26.0), code="L-OWN")
    kinds = [replace(c, quota_code="L-OWN") for c in (SMALL, candidate("c5.large", 0.2, 15.0, 2))]
    alone = unit("z", [180], kinds)
    p = replace(p, requirements=(*p.requirements, alone), quotas=(*p.quotas, own))
    found, status = _bounds(p), solve(p, 20.0, gap_frac=1e-5).status
    free = solve(replace(p, quotas=()), 20.0, gap_frac=1e-5).status
    assert status.bound > free.objective  # the quota costs something
    assert found.low <= status.objective * (1 + 1e-9)
    assert status.bound * (1 - 1e-9) <= found.high < np.inf
    assert found.low > free.objective * (1 - 0.02)


@pytest.mark.parametrize("seed", range(6))
def test_a_quota_is_never_reached_only_where_more_of_it_is_worth_nothing(seed: int) -> None:
    p = _fleet(seed)
    used = float(solve(p, 20.0, gap_frac=1e-5).provisioned.groupby("month")["vcpu"].sum().max())
    reached = []
    for limit in (used, used + 2.0, 1.5 * used, 20.0 * used):
        tight = replace(p, quotas=(quota(limit),))
        status = solve(tight, 20.0, gap_frac=1e-5).status
        never = never_reached(_bounds(tight), tight.quotas[0], status.objective)
        more = solve(replace(p, quotas=(quota(limit + 64),)), 20.0, gap_frac=1e-5).status
        if never:
            assert more.objective >= status.bound * (1 - 1e-9)
        reached.append(never)
    assert reached[-1]
    assert not reached[0]


def _pinned(p: MixProblem, solution: MixSolution, but: str) -> MixProblem:
    """All units but one as planned, in every month and block."""
    counts = counts_of(solution)

    def kept(name: str) -> dict[tuple[str, str], int]:
        most: dict[tuple[str, str], int] = {}
        for (u, month, _block, _purchase, kind), n in counts.items():
            if u == name:
                most[month, kind] = max(n, most.get((month, kind), 0))
        return most

    units = tuple(r if str(r.unit) == but else replace(r, pinned=kept(str(r.unit))) for r in p.requirements)
    return replace(p, requirements=units)


@pytest.mark.parametrize("seed", range(5))
def test_beside_what_others_leave_a_unit_costs_what_it_adds_to_the_pinned_fleet(seed: int) -> None:
    # Static units are pinned to all that they run, so the whole model knows the others as planned.
    p = _fleet(seed, count=30, hourly=3.0)
    p = replace(p, requirements=tuple(replace(r, autoscaled=False) for r in p.requirements), quotas=())
    solution = solve(p, 20.0, gap_frac=1e-5)
    name = str(p.requirements[0].unit)
    left = Leftovers(Pieces(p, solution).fleet, rows_of(Pieces(p, solution).fleet, counts_of(solution))).of(
        p.requirements[0].unit
    )
    assert left is not None
    assert left.commitments
    harder = replace(
        p.requirements[0], blocks=tuple(replace(b, demand=1.4 * b.demand) for b in p.requirements[0].blocks)
    )
    moved = replace(p, requirements=(harder, *p.requirements[1:]))
    between = [
        cost_between(replace(x, requirements=x.requirements[:1]), left, 20.0, 1e-6, "highs", 1) for x in (p, moved)
    ]
    whole = [solve(_pinned(x, solution, name), 20.0, gap_frac=1e-7).status.objective for x in (p, moved)]
    true = whole[1] - whole[0]
    assert between[1][0] - between[0][1] - 0.05 <= true <= between[1][1] - between[0][0] + 0.05


@pytest.mark.parametrize("seed", [1, 2])
def test_prices_of_a_large_fleet_hold_the_difference_of_two_optima(seed: int) -> None:
    p = _fleet(seed, units=10, count=20, hourly=1.0)
    solution = solve(p, 30.0, gap_frac=1e-5)
    headroom = {r.unit: 0.2 for r in p.requirements}
    kinds = ["headroom_policy", "zones_policy", "quota"]
    moves = {(m.name, m.unit): m for m in why.moves(p, headroom) if m.kind in kinds}
    found = why.prices(p, solution, headroom_frac=headroom, kinds=kinds)
    assert found.not_tried == ()
    assert [x.kind for x in found.tried] == kinds
    assert found.tried[2].way == "unreached"
    assert found.tried[2].words.endswith("changes nothing (no mix that uses more of it is as cheap)")
    for price in found.tried:
        moved = solve(moves[price.name, price.unit].problem, 30.0, gap_frac=1e-5).status
        assert price.low_usd_per_year - 0.5 <= (moved.objective - solution.status.bound) * YEAR
        assert price.high_usd_per_year + 0.5 >= (moved.bound - solution.status.objective) * YEAR
        width = price.high_usd_per_year - price.low_usd_per_year
        assert width <= 0.06 * solution.status.objective * YEAR
