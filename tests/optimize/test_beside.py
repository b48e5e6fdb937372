"""Work shared among processes: the same results in the same order, whatever becomes of the helpers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from importlib import import_module

import pandas as pd
import pytest

from capacity.optimize import _beside, solve
from capacity.optimize._clock import Deadline, TimeIsUp
from tests.optimize.beside_work import endless, gone, patient, refused, squared
from tests.optimize.test_solve import big_problem


@pytest.fixture
def helpers() -> Iterator[None]:
    """Two helpers that are ready; they are ended afterwards."""
    _beside._end()
    _beside.come_up(2)
    assert all(h.ready.wait(60) for h in _beside._helpers)
    yield
    _beside._end()


def test_results_come_in_order_and_from_several_processes(helpers: None) -> None:
    numbers = list(range(100))
    found = _beside.spread(squared, numbers, range(100), Deadline.never())
    assert [x for x, _ in found] == [n**2 for n in numbers]
    assert len({who for _, who in found}) == 3
    # What is shared goes to a helper anew where it is another object.
    again = _beside.spread(squared, numbers[::-1], range(100), Deadline.never())
    assert [x for x, _ in again] == [n**2 for n in numbers[::-1]]


def test_without_helpers_all_is_done_here() -> None:
    _beside._end()
    found = _beside.spread(squared, [1, 2, 3], range(3), Deadline.never())
    assert found == [(1, os.getpid()), (4, os.getpid()), (9, os.getpid())]
    assert _beside.spread(squared, [1], [], Deadline.never()) == []


def test_on_a_clock_of_its_own_nothing_is_shared(helpers: None) -> None:
    found = _beside.spread(squared, [*range(50)], range(50), Deadline.after(600.0, time.process_time))
    assert {who for _, who in found} == {os.getpid()}


def test_what_a_dead_helper_leaves_is_done_here(helpers: None) -> None:
    assert _beside.spread(gone, os.getpid(), range(30), Deadline.never()) == list(range(30))
    assert not any(h.alive for h in _beside._helpers)
    _beside.come_up(1)  # and another takes its place
    assert [h.alive for h in _beside._helpers] == [True]


def test_what_a_helper_does_not_answer_is_done_here(helpers: None) -> None:
    assert _beside.spread(endless, os.getpid(), range(8), Deadline.never()) == list(range(8))
    # A helper that still owes an answer is not asked again.
    found = _beside.spread(squared, [*range(20)], range(20), Deadline.never())
    assert {who for _, who in found} == {os.getpid()}


def test_a_failure_is_raised_where_the_work_was_asked_for(helpers: None) -> None:
    with pytest.raises(ValueError, match="three is refused"):
        _beside.spread(refused, os.getpid(), range(10), Deadline.never())
    assert _beside.spread(squared, [5, 6], range(2), Deadline.never())[0][0] == 25


def test_time_ends_work_that_is_shared(helpers: None) -> None:
    with pytest.raises(TimeIsUp):
        _beside.spread(patient, None, range(10_000), Deadline.after(0.3))


def test_a_plan_is_the_same_with_and_without_helpers(monkeypatch: pytest.MonkeyPatch, helpers: None) -> None:
    monkeypatch.setattr(import_module("capacity.optimize._find"), "DIRECT_PAIRS", 0)
    monkeypatch.setattr(_beside, "_processors", lambda: 3)
    for p in (big_problem(40, months=1), big_problem(24, months=1, tight=True)):
        shared = solve(p, time_limit_seconds=60, gap_frac=0.004)
        with monkeypatch.context() as alone:
            alone.setattr(_beside, "_helpers", [])
            alone.setattr(_beside, "_processors", lambda: 1)
            own = solve(p, time_limit_seconds=60, gap_frac=0.004)
        pd.testing.assert_frame_equal(shared.running, own.running)
        assert (shared.status.objective, shared.status.bound) == (own.status.objective, own.status.bound)
