"""Prices of requirements: their intervals hold the true difference of two optima, found by trying everything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from capacity.domain import MixProblem, Unit
from capacity.optimize import solve, why
from capacity.optimize.why._pieces import Pieces, coupled
from capacity.optimize.why.moves import touched
from tests.optimize.makers import (
    ACCOUNT,
    ARM,
    HOURS,
    LARGE,
    REGION,
    SMALL,
    candidate,
    cheapest_by_trying,
    commitment,
    problem,
    quota,
    unit,
)

YEAR = 8760.0 / HOURS[0]


def _random(seed: int) -> MixProblem:
    """Two units whose quota, counts and commitment may each bind."""
    rng = np.random.default_rng(seed)
    types = [
        candidate(f"t{k}.x", float(rng.uniform(0.05, 0.3)), float(rng.uniform(5, 25)), int(rng.choice([2, 4])))
        for k in range(2)
    ]
    units = [
        unit(
            name, [float(d) for d in rng.uniform(10, 120, 2)], types, survived=1, autoscaled=bool(rng.integers(2)),
            least=int(rng.integers(0, 3)), most=int(rng.integers(6, 9)),
        )
        for name in "ab"
    ]  # fmt: skip
    owned = [commitment("sp", "compute_sp", hourly=float(rng.uniform(0.1, 0.6)))] if seed % 2 else []
    return problem(*units, quotas=[quota(float(rng.integers(48, 90)))], commitments=owned, rates={"sp": 0.7})


def _solvable() -> list[int]:
    return [seed for seed in range(10) if cheapest_by_trying(_random(seed)) is not None]


@pytest.mark.parametrize("seed", _solvable())
def test_the_interval_holds_the_true_difference(seed: int) -> None:
    p = _random(seed)
    solution = solve(p, gap_frac=1e-6)
    before = cheapest_by_trying(p)
    assert before is not None
    headroom = {r.unit: 0.2 for r in p.requirements}
    by_name = {(m.name, m.unit): m for m in why.moves(p, headroom)}
    by_name |= {(m.then.name, m.then.unit): m.then for m in by_name.values() if m.then}
    found = why.prices(p, solution, headroom_frac=headroom)
    assert found.not_tried == ()
    assert len(found.tried) >= 6
    for price in found.tried:
        after = cheapest_by_trying(by_name[price.name, price.unit].problem)
        if after is None:
            assert price.outcome == "impossible", price
            assert "no plan exists" in price.words
            continue
        true = (after - before) * YEAR
        assert price.low_usd_per_year - 0.01 <= true <= price.high_usd_per_year + 0.01, price
        # Small fleets are solved to the optimum: the interval is a point.
        assert price.high_usd_per_year - price.low_usd_per_year < 1.0, price


def test_some_moves_do_cost_and_some_save() -> None:
    # Three of 10.0 a zone hold 90 exactly, at a headroom of a fifth; a point more takes a fourth type or count.
    p = problem(unit("a", [90], [SMALL]), unit("b", [10], [SMALL], least=2))
    found = {(x.kind, x.name): x for x in why.prices(p, solve(p), headroom_frac={p.requirements[0].unit: 0.2}).tried}
    more = found["headroom_more", "a/us-east-1: headroom of 20%"]
    one_more = 3 * 0.1 * 8760
    assert more.low_usd_per_year == pytest.approx(one_more)
    assert more.way == "alone"
    assert "1 point more costs $2,628 a year (solved alone" in more.words
    fewer = found["minimum", "b/us-east-1: at least 2 instance(s) per zone"]
    assert fewer.high_usd_per_year == pytest.approx(-one_more)
    assert "1 fewer saves $2,628 a year" in fewer.words


def test_a_quota_that_a_vcpu_does_not_change_is_moved_by_a_round_step() -> None:
    # 180 takes 18 SMALL, cheap but 36 vCPU, or 12 of the dense one, 24 vCPU: a zone's next step is 6 vCPU away.
    dense = candidate("c5.large", 0.2, 15.0, 2)
    p = problem(unit("a", [180], [SMALL, dense]), quotas=[quota(26.0)])
    found = why.prices(p, solve(p, gap_frac=1e-6), kinds=["quota"]).tried
    assert [x.unit for x in found] == ["1 vCPU more", "64 vCPU more"]
    assert found[0].words.endswith("changes nothing (the whole fleet solved again)")
    assert found[1].high_usd_per_year < -1000


def test_what_the_time_did_not_suffice_for_is_named() -> None:
    p = problem(unit("a", [90]), unit("b", [40]))
    found = why.prices(p, solve(p), time_limit_seconds=0.0)
    assert found.tried == ()
    assert "a/us-east-1: survives the loss of 1 of 3 zones: 1 zone less" in found.not_tried
    assert why.not_tried_words(found).startswith("not tried: ")


def test_moves_of_the_caller_come_first() -> None:
    p = problem(unit("a", [90]), unit("b", [40]))
    name = p.requirements[0].unit
    higher = tuple(replace(b, demand=b.demand * 1.2) for b in p.requirements[0].blocks)
    moved = why.service_level("P99 rather than P95", p, {name: higher})
    slower = why.objective(
        "1 ms less", p, lambda r: replace(r, candidates=tuple(replace(c, safe=c.safe * 0.99) for c in r.candidates))
    )
    found = why.prices(p, solve(p, gap_frac=1e-6), [moved, slower])
    assert {x.kind for x in found.tried[:2]} == {"service_level", "objective"}
    price = next(x for x in found.tried if x.kind == "service_level")
    true = solve(moved.problem, gap_frac=1e-6).status.objective - solve(p, gap_frac=1e-6).status.objective
    assert price.low_usd_per_year - 0.01 <= true * YEAR <= price.high_usd_per_year + 0.01
    assert price.low_usd_per_year > 0


def _many(**fields: object) -> MixProblem:
    units = [unit(f"u{k:02d}", [30.0 + 7 * k], [SMALL, LARGE, ARM]) for k in range(12)]
    return problem(*units, **fields)  # type: ignore[arg-type]


def test_only_what_is_coupled_is_solved_again() -> None:
    p = _many()
    first = p.requirements[0].unit
    assert len(set(coupled(p).values())) == 12
    assert Pieces(p, solve(p)).of([first]).way == "alone"
    shared = _many(quotas=[quota(1000.0)])
    assert len(set(coupled(shared).values())) == 1
    piece = Pieces(shared, solve(shared)).of([first])
    assert piece.way == "kept"
    assert piece.units == frozenset([first])


def test_a_commitment_that_the_others_use_whole_couples_nothing() -> None:
    small = _many(commitments=[commitment("sp", "compute_sp", hourly=0.2)], rates={"sp": 0.7})
    first = small.requirements[0].unit
    assert Pieces(small, solve(small)).of([first]).way == "kept"
    assert Pieces(small, solve(small)).of([first]).beside is None
    large = _many(commitments=[commitment("sp", "compute_sp", hourly=500.0)], rates={"sp": 0.7})
    left = Pieces(large, solve(large)).of([first]).beside
    assert left is not None
    # All lots have what the eleven others leave.
    assert [len(lot.active) for lot in left.lots] == [1] * len(left.lots)
    assert all(400.0 < c.hourly_usd < 500.0 for c in left.commitments)


def test_kept_prices_agree_with_the_fleet_solved_again() -> None:
    p = _many(quotas=[quota(1000.0)], commitments=[commitment("sp", "compute_sp", hourly=0.2)], rates={"sp": 0.7})
    solution = solve(p, 20.0, gap_frac=1e-6)
    move = next(m for m in why.moves(p) if m.kind == "zones_more")
    found = why.prices(p, solution, [replace(move, kind="given")], kinds=["given"]).tried[0]
    assert found.way == "kept"
    true = (solve(move.problem, 20.0, gap_frac=1e-6).status.objective - solution.status.objective) * YEAR
    assert found.low_usd_per_year == pytest.approx(true, abs=2.0)


def test_the_units_that_a_move_touches_are_seen() -> None:
    p = problem(unit("a", [90]), unit("b", [40], region="eu-west-1"), quotas=[quota(60.0)])
    raised = replace(p, quotas=(replace(p.quotas[0], limit=61.0),))
    assert touched(p, raised) == {Unit("a", REGION)}
    assert touched(p, replace(p, switching_penalty_frac=0.5)) == frozenset()
    assert p.quotas[0].account_id == ACCOUNT
