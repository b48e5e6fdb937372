"""Purchases in the months in which they cost least, and plans that end in time where offers are many."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import Commitment
from capacity.optimize.purchases import PurchaseProblem
from capacity.optimize.purchases._bill import bill_paths
from capacity.optimize.purchases._lines import Setting, narrowed, setting_of
from capacity.optimize.purchases._months import in_better_months, keeps_policy
from capacity.optimize.purchases._recourse import SecondStage
from capacity.optimize.purchases._search import Searcher, _Master
from tests.optimize.purchase_makers import ACCOUNT, YEAR, group, offer, question

NEVER = float("inf")
OWNED = Commitment(
    "own", ACCOUNT, "compute_sp", "", "", 7.0, 1, datetime(2025, 7, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
)


def _ladder(policy: dict[str, Any] | None = None) -> PurchaseProblem:
    """A plan covers all ten dollars until July; a year's commitment may be bought in any month of the year."""
    usage = [group(np.full((5, 12), 10.0))]
    rules = {"ladder": True, "buy_months": YEAR, **(policy or {})}
    return question(
        usage, [offer("sp", rate=0.7)], commitments=(OWNED,), committed_rate={"own": 0.7}, policy=rules
    )  # fmt: skip


def _bought(setting: Setting, month: int, amount: float) -> np.ndarray[Any, Any]:
    """The purchase of that month with its renewals."""
    out = np.zeros(len(setting.columns))
    first = next(j for j, c in enumerate(setting.columns) if c.start == month and not c.renewal)
    out[first] = amount
    while first + 1 < len(out) and setting.columns[first + 1].renewal:
        first += 1
        out[first] = amount
    return out


def _months(setting: Setting, bought: np.ndarray[Any, Any]) -> list[str]:
    made = [c.start for j, c in enumerate(setting.columns) if bought[j] > 0 and not c.renewal]
    return [setting.horizon.months[start] for start in made]


@pytest.mark.parametrize("month", [0, 3, 5, 8, 11])
def test_a_purchase_goes_to_the_month_in_which_what_is_owned_ends(month: int) -> None:
    setting = setting_of(_ladder())
    found = in_better_months(setting, _bought(setting, month, 7.0), NEVER)
    assert _months(setting, found) == ["2026-07"]
    assert found.max() == 7.0


def test_what_all_together_may_cost_and_each_must_be_used_is_policy_too() -> None:
    setting = setting_of(_ladder({"largest_new_hourly_usd": 6.0}))
    too_much = _bought(setting, 6, 4.0) + _bought(setting, 0, 3.0)
    assert not keeps_policy(setting, too_much)
    setting = setting_of(_ladder({"least_utilisation_frac": 0.8}))
    early = _bought(setting, 0, 7.0)
    assert not keeps_policy(setting, early), "half a year of it is of no use"
    assert keeps_policy(setting, _bought(setting, 6, 7.0))


def test_without_time_nothing_is_moved() -> None:
    setting = setting_of(_ladder())
    bought = _bought(setting, 0, 7.0)
    assert (in_better_months(setting, bought, 0.0) == bought).all()


@given(st.integers(0, 10_000), st.integers(0, 11), st.floats(0.5, 6.0))
def test_a_move_never_costs_more_and_keeps_the_amount(seed: int, month: int, amount: float) -> None:
    rng = np.random.default_rng(seed)
    asked = replace(_ladder(), groups=(group(rng.uniform(2, 12, (5, 12))),))
    setting = setting_of(asked)
    before = _bought(setting, month, amount)
    after = in_better_months(setting, before, NEVER)
    assert bill_paths(setting, after).cost.mean() <= bill_paths(setting, before).cost.mean() * (1 + 1e-12)
    assert sum(after[j] for j, c in enumerate(setting.columns) if not c.renewal) == pytest.approx(amount)


@given(st.integers(0, 10_000))
def test_what_is_not_bought_changes_no_bill(seed: int) -> None:
    rng = np.random.default_rng(seed)
    usage = [group(rng.uniform(1, 9, (4, 12))), group(rng.uniform(1, 9, (4, 12)), "c5.large")]
    offers = [
        offer("sp", rate=0.7),
        offer("m5", product="ec2_instance_sp", scope="m5", rate=0.6),
        offer("c5", product="ec2_instance_sp", scope="c5", rate=0.65),
        offer("ri", product="standard_ri", scope="m5.large", rate=0.55),
    ]
    setting = setting_of(question(usage, offers, commitments=(OWNED,), committed_rate={"own": 0.7}))
    bought = np.round(rng.uniform(0, 4, len(setting.columns))) * rng.integers(0, 2, len(setting.columns))
    narrow, kept = narrowed(setting, bought)
    assert len(narrow.columns) == np.count_nonzero(bought)
    np.testing.assert_allclose(bill_paths(narrow, bought[kept]).cost, bill_paths(setting, bought).cost, rtol=1e-12)


def test_where_time_is_up_nothing_more_is_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the policy cuts was once searched for again after every cut, for minutes after the end."""
    rng = np.random.default_rng(3)
    kinds = [f"{family}.large" for family in ("m5", "c5", "r5")]
    usage = [group(rng.uniform(0, 9, (20, 12)), kind) for kind in kinds]
    offers = [offer(k, product="standard_ri", scope=k, rate=0.5, types=(k,)) for k in kinds]
    setting = setting_of(question(usage, offers))
    searcher = Searcher(setting, SecondStage(setting))
    most = np.array([c.most for c in setting.columns], dtype=float)
    first = searcher.best(most, 60.0)

    def no_more(*_: object) -> None:
        raise AssertionError("there was no time left")

    monkeypatch.setattr(_Master, "solve", no_more)
    monkeypatch.setattr(_Master, "add", no_more)
    cut = searcher.best(most / 3, 0.0, first)
    assert cut.termination == "time limit"
    assert (cut.bought <= most / 3 + 1e-9).all()
    whole = np.array([c.integer for c in setting.columns])
    assert (cut.bought[whole] == np.round(cut.bought[whole])).all()
    assert cut.objective == pytest.approx(bill_paths(setting, cut.bought).cost.mean())
    assert first.bound <= cut.bound <= cut.objective
