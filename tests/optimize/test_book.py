"""What a change costs in the book of a plan: exactly what the bill says before and after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.domain import CapacityReservation, MixProblem, Offer
from capacity.optimize._billing import grid_shape
from capacity.optimize._book import Book, Cover, cost_usd, provisioned_months
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize._result import Plan
from capacity.optimize.columns._covers import covers_of, within
from capacity.optimize.columns._lanes import lanes_of
from tests.optimize.makers import ACCOUNT, ARM, LARGE, MONTHS, REGION, SMALL, candidate, commitment, problem, unit

KINDS = (SMALL, LARGE, ARM, candidate("c5.large", 0.085, 8.0))
NAMES = [c.instance_type for c in KINDS]
MIDDLE = datetime(2026, 1, 20, tzinfo=UTC)


def fleet(hourly: float, count: int, held: int) -> MixProblem:
    """Three units of two months, one of them in another account; every product, one that ends inside a month."""
    units = [
        unit("a", [60, 31], KINDS, months=MONTHS, running={("m5.large", "a"): 4}),
        unit("b", [90], KINDS, months=MONTHS, autoscaled=False),
        unit("c", [50, 20], KINDS, months=MONTHS, account="2222", running={("c5.large", "a"): 2}),
    ]
    owned = [
        commitment("csp", "compute_sp", hourly=hourly),
        commitment("esp", "ec2_instance_sp", "m5", hourly=hourly / 2, end=MIDDLE),
        commitment("ri", "standard_ri", "m5.large", hourly=0.06 * count, count=count),
        commitment("mine", "compute_sp", hourly=hourly / 4, account="2222"),
    ]
    offers = (Offer("sp", "compute_sp", 1, "no_upfront", "", "", "", {"m5.large": 0.5, "m7g.large": 0.8}),)
    reserved = (CapacityReservation("cr", ACCOUNT, REGION, "a", "m5.large", held, MIDDLE),)
    made = problem(*units, months=MONTHS, commitments=owned, rates={"csp": 0.7, "esp": 0.6, "mine": 0.65}, penalty=0.02)
    return replace(made, offers=offers, reservations=reserved if held else ())


def plan_of(f: Fleet, counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]], bought: float) -> Plan:
    """Counts (units, types, months) in every block; a unit's blocks may be fewer than the grid's."""
    running = np.zeros((sum(len(r.candidates) for r in f.requirements), *grid_shape(f)), dtype=np.int64)
    for s in range(len(f.requirements)):
        for t in range(len(f.problem.months)):
            running[s * len(KINDS) : (s + 1) * len(KINDS), t, : len(f.blocks[s][t])] = counts[s, :, t, None]
    return Plan(running, np.zeros_like(running), running.max(axis=2), {(0, 1): bought} if bought else {})


def cover(f: Fleet, s: int, counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Cover:
    """(months, types) counts in each lane of the month."""
    u = lanes_of(f, s, range(len(f.problem.months)))
    assert u is not None
    running = counts[u.months]
    n = provisioned_months(f, u, running)
    assert n is not None
    return Cover(u, running, n, 0, 0.0)


def with_cover(f: Fleet, plan: Plan, c: Cover) -> Plan:
    running = plan.running.copy()
    for lane, (t, blocks) in enumerate(zip(c.u.months, c.u.blocks, strict=True)):
        for b in blocks:
            running[c.u.s * len(KINDS) : (c.u.s + 1) * len(KINDS), t, b] = c.running[lane]
    return Plan(running, plan.spot, running.max(axis=2), plan.bought)


ONE_UNIT = st.lists(st.integers(0, 5), min_size=8, max_size=8)


@settings(max_examples=60)
@given(
    st.floats(0.0, 3.0), st.integers(1, 6), st.integers(0, 8), st.sampled_from([0.0, 0.3]),
    st.lists(ONE_UNIT, min_size=3, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), ONE_UNIT), min_size=1, max_size=4),
)  # fmt: skip
def test_a_change_costs_what_the_bills_before_and_after_differ_by(
    hourly: float, count: int, held: int, bought: float, now: list[list[int]], others: list[tuple[int, list[int]]]
) -> None:
    f = fleet_of(fleet(hourly, count, held))
    plan = plan_of(f, np.array(now).reshape(3, 4, 2), bought)
    book = Book(f, plan, all_allowed=True)
    covers = [cover(f, s, np.array(other).reshape(2, 4)) for s, other in others]
    assert book.objective == pytest.approx(cost_usd(f, plan))
    before = book.objective
    alone = [cost_usd(f, with_cover(f, plan, c)) - before for c in covers]
    assert book.more_usd(covers) == pytest.approx(alone, abs=1e-6)
    for c in covers:  # one after the other
        more = float(book.more_usd([c])[0])
        book.take(c)
        after = cost_usd(f, book.plan)
        assert more == pytest.approx(after - before, abs=1e-6)
        before = after


def test_the_plan_that_was_given_is_left_as_it_is() -> None:
    f = fleet_of(fleet(1.0, 2, 1))
    plan = plan_of(f, np.full((3, 4, 2), 2), 0.0)
    was = plan.running.copy()
    Book(f, plan, all_allowed=True).take(cover(f, 0, np.zeros((2, 4), dtype=np.int64)))
    assert (plan.running == was).all()


@given(st.sets(st.integers(0, 3), min_size=1), st.integers(1, 3))
def test_covers_within_some_types_are_those_found_for_them_alone(chosen: set[int], least_types: int) -> None:
    r = replace(unit("a", [60, 31, 12], KINDS), least_types=least_types)
    u = lanes_of(fleet_of(problem(r)), 0, [0])
    assert u is not None
    kept = np.array(sorted(chosen), dtype=np.int64)
    taken, own = within(u, covers_of(u, np.arange(4)), kept), covers_of(u, kept)
    assert len(taken) == len(own)
    for a, b in zip(taken, own, strict=True):
        for name in ("first", "second", "a", "b", "running", "spot"):
            assert (getattr(a, name) == getattr(b, name)).all()
