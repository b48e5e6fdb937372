"""Searches one after the other: each as good as one of its own, and never worse than what was there when time ended."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.optimize.purchases import recommend
from capacity.optimize.purchases._bill import bill_paths
from capacity.optimize.purchases._lines import Setting, setting_of
from capacity.optimize.purchases._recourse import SecondStage
from capacity.optimize.purchases._search import AGREES, Searcher, search
from tests.optimize.purchase_makers import group, offer, question

ENOUGH = 60.0


def setting(seed: int) -> Setting:
    rng = np.random.default_rng(seed)
    usage = [group(rng.uniform(1, 9, (6, 12))), group(rng.uniform(1, 9, (6, 12)), "c5.large")]
    offers = [offer("sp", rate=0.7), offer("m5", product="ec2_instance_sp", scope="m5", rate=0.6)]
    return setting_of(question(usage, offers))


def largest(made: Setting) -> np.ndarray[Any, Any]:
    return np.array([c.most for c in made.columns], dtype=float)


@given(st.integers(0, 10_000), st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_cuts_of_before_leave_the_optimum_where_it_is(seed: int, shares: list[float]) -> None:
    made = setting(seed)
    searcher, most = Searcher(made, SecondStage(made)), largest(made)
    for share in (1.0, *shares):
        again, alone = searcher.best(most * share, ENOUGH), search(made, most * share, SecondStage(made), ENOUGH)
        assert again.objective == pytest.approx(alone.objective, rel=1e-6)
        assert (again.bought <= most * share + 1e-9).all()
        assert again.bound <= again.objective * (1 + AGREES)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_without_time_what_was_there_is_kept(seed: int, share: float) -> None:
    made = setting(seed)
    searcher, most = Searcher(made, SecondStage(made)), largest(made)
    first = searcher.best(most, ENOUGH)
    cut = np.minimum(first.bought, most * share)
    then = searcher.best(most * share, 0.0, first)
    assert then.objective <= bill_paths(made, cut).cost.mean() * (1 + 1e-12)
    assert (then.bought <= most * share + 1e-9).all()
    assert first.bound <= then.bound <= then.objective * (1 + AGREES)


def test_a_search_that_ends_early_says_so_and_its_gap() -> None:
    rng = np.random.default_rng(1)
    usage = [group(rng.uniform(1, 9, (6, 12)), f"{family}.large") for family in ("m5", "c5", "r5")]
    offers = [offer(f, product="ec2_instance_sp", scope=f, rate=0.6) for f in ("m5", "c5", "r5")]
    found = recommend(question(usage, offers), seconds=0.0)
    assert found.status.status == "feasible"
    assert found.status.termination == "time limit"
    assert 0 < found.status.gap < np.inf
