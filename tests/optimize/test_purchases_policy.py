"""What is said of a purchase, what policy allows, what is refused, and what is owned already."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import Commitment
from capacity.errors import MissingDataError, UsageError
from capacity.optimize.purchases import recommend
from capacity.optimize.purchases._bill import bill_paths
from capacity.optimize.purchases._lines import setting_of
from tests.optimize.purchase_makers import ACCOUNT, REGION, YEAR, group, offer, question

Product = Literal["standard_ri", "ec2_instance_sp", "compute_sp"]


def _paths(low: float, high: float, count: int = 21) -> np.ndarray[Any, Any]:
    return np.repeat(np.linspace(low, high, count)[:, None], 12, axis=1)


def test_figures_of_a_purchase_on_steady_usage() -> None:
    plan = recommend(question([group(np.full((5, 12), 10.0))], [offer("sp", rate=0.7, upfront=0.5)]))
    (r,) = plan.recommendations
    term = 7.0 * 730 * 12
    assert r.hourly_usd == pytest.approx(7.0, abs=1e-5)
    assert r.upfront_usd + 12 * r.monthly_usd == pytest.approx(term, rel=1e-6)
    assert r.upfront_usd == pytest.approx(term / 2, rel=1e-6)
    assert (r.utilisation.p10, r.utilisation.p90) == pytest.approx((1, 1), abs=1e-6)
    assert (r.coverage_before_frac, r.coverage_after_frac) == pytest.approx((0, 1), abs=1e-6)
    assert r.saving.mean == pytest.approx(3.0 * 730 * 12, rel=1e-5)
    # 42 + 3.5 a month of 120 are behind 10 a month until 42 / 6.5 = 6.46 months; 84 are covered after 8.4.
    assert (r.break_even_months, r.break_even_month, r.safe_after_month) == (7, YEAR[6], YEAR[8])
    assert r.waiting_month_usd == pytest.approx(r.saving.mean / 12, rel=1e-5)
    assert r.waiting_term_usd == r.saving.mean
    assert (r.regret_p10_usd, r.regret_p90_usd) == pytest.approx((0, 0), abs=0.1)
    assert f"{r.waiting_term_usd:,.0f} USD over the term" in r.if_not_bought


@given(st.floats(0.3, 0.9), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 99))
def test_savings_and_regrets_add_up(rate: float, upfront: float, seed: int) -> None:
    usage = np.random.default_rng(seed).gamma(5, 2, (8, 12))
    plan = recommend(question([group(usage)], [offer("sp", rate=rate, upfront=upfront)]))
    assert plan.cost.mean <= plan.cost_without.mean + 1e-6
    saved = sum(r.saving.mean for r in plan.recommendations)
    assert saved == pytest.approx(plan.cost_without.mean - plan.cost.mean, rel=1e-6, abs=1e-3)
    for r in plan.recommendations:
        assert 0 <= r.utilisation.p10 <= r.utilisation.p50 <= r.utilisation.p90 <= 1 + 1e-9
        assert r.coverage_before_frac <= r.coverage_after_frac
        assert min(r.regret_p10_usd, r.regret_p90_usd) >= -1e-6
        # One offer, bought once: the best size of it is the best plan.
        assert r.regret_p10_usd == pytest.approx(plan.regret_p10_usd, abs=1e-3 * plan.cost.mean)


def test_regret_is_the_cost_of_not_knowing() -> None:
    levels = np.array([8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0])
    plan = recommend(question([group(np.repeat(levels[:, None], 12, axis=1))], [offer("sp", rate=0.5)]))
    (r,) = plan.recommendations
    hours = 730 * 12
    assert r.hourly_usd == pytest.approx(6.5, abs=1e-5)
    assert r.regret_p10_usd == pytest.approx(0.5 * (13 - 9) * hours, rel=1e-4)
    assert r.regret_p90_usd == pytest.approx(0.5 * (17 - 13) * hours, rel=1e-4)
    assert (plan.regret_p10_usd, plan.regret_p90_usd) == pytest.approx((r.regret_p10_usd, r.regret_p90_usd), rel=1e-4)


def test_a_break_even_beyond_what_is_allowed_drops_the_purchase() -> None:
    steady = [group(np.full((3, 12), 10.0))]
    late = offer("late", rate=0.9, upfront=1.0)
    dropped = recommend(question(steady, [late], policy={"largest_break_even_months": {1: 9.0}}))
    assert dropped.recommendations == ()
    (why,) = dropped.refused
    assert why.offer == f"late@{YEAR[0]}"
    assert "breaks even only in month 11" in why.reason
    assert recommend(question(steady, [late])).recommendations[0].break_even_months == 11


def test_a_break_even_that_usage_delays_shrinks_the_purchase() -> None:
    # All upfront at .5: what is covered half of the time only is paid back in month 12, not 6.
    usage = np.tile([20.0, 10.0], (3, 6))
    free = recommend(question([group(usage)], [offer("sp", rate=0.45, upfront=1.0)]))
    bound = recommend(
        question([group(usage)], [offer("sp", rate=0.45, upfront=1.0)], policy={"largest_break_even_months": {1: 6.0}})
    )
    assert free.recommendations[0].break_even_months == 7
    months = bound.recommendations[0].break_even_months
    assert months is not None
    assert months <= 6
    assert 0 < bound.recommendations[0].hourly_usd < free.recommendations[0].hourly_usd
    assert bound.cost.mean > free.cost.mean


@pytest.mark.parametrize("least", [0.5, 0.8, 0.95, 1.0])
def test_utilisation_on_a_low_path_is_at_least_what_is_asked(least: float) -> None:
    plan = recommend(
        question([group(_paths(2, 22))], [offer("sp", rate=0.4)], policy={"least_utilisation_frac": least})
    )
    (r,) = plan.recommendations
    # Usage is steady on a path: the P10 path has 4.
    assert r.utilisation.p10 >= least - 1e-4
    free = 0.4 * 14
    assert r.hourly_usd == pytest.approx(min(0.4 * 4 / least, free), rel=1e-3)


def test_new_commitments_stay_below_what_may_be_paid() -> None:
    groups = [group(_paths(8, 12)), group(_paths(8, 12), "c5.large")]
    offers = [offer("wide", rate=0.6), offer("m5", "ec2_instance_sp", 0.5, scope="m5")]
    policy = {"ladder": True, "largest_new_hourly_usd": 4.0}
    plan = recommend(question(groups, offers, policy=policy))
    assert sum(r.hourly_usd for r in plan.recommendations) == pytest.approx(4.0, rel=1e-5)
    assert {r.offer for r in plan.recommendations} == {"m5"}


def test_risk_aversion_trades_expected_cost_for_the_tail() -> None:
    usage = _paths(5, 30, 40)
    calm = recommend(question([group(usage)], [offer("sp", rate=0.75)]))
    wary = recommend(question([group(usage)], [offer("sp", rate=0.75)], policy={"risk_weight": 1.0}))
    assert wary.cvar90 < calm.cvar90
    assert wary.cost.mean > calm.cost.mean


def test_an_offer_without_its_rates_is_refused_by_name() -> None:
    groups = [group(np.ones((1, 12))), group(np.ones((1, 12)), "c5.large")]
    offers = [
        offer("no c5", rate={"m5.large": 0.6}),
        offer("elsewhere", "ec2_instance_sp", 0.6, scope="r5"),
        offer("dear", rate={"m5.large": 0.6, "c5.large": 1.0}),
        offer("odd", rate=0.6, upfront=1.5),
        offer("fine", "ec2_instance_sp", {"m5.large": 0.6}, scope="m5"),
    ]
    plan = recommend(question(groups, offers))
    reasons = {r.offer: r.reason for r in plan.refused}
    assert set(reasons) == {"no c5", "elsewhere", "dear", "odd"}
    assert reasons["no c5"] == "no rate is known for c5.large, which it would cover"
    assert "c5.large: 1" in reasons["dear"]
    assert [r.offer for r in plan.recommendations] == ["fine"]
    nothing = recommend(question(groups, offers[:1]))
    assert nothing.recommendations == ()
    assert nothing.status.status == "optimal"
    assert nothing.cost == nothing.cost_without


def _owned(name: str, product: Product, scope: str, hourly: float, count: int = 0, end: int = 7) -> Commitment:
    return Commitment(
        name, "", product, scope, REGION if scope else "", hourly, count, datetime(2025, 1, 1, tzinfo=UTC),
        datetime(2026, end, 1, tzinfo=UTC),
    )  # fmt: skip


def test_what_is_owned_is_used_first_and_until_it_ends() -> None:
    owned = _owned("old", "compute_sp", "", 6.0)
    hours = [24.0 * d for d in (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)]
    problem = question([group(np.full((2, 12), 10.0))], [offer("sp", rate=0.7)], hours=hours,
                       commitments=(owned,), committed_rate={"old": 0.6}, policy={"ladder": True})  # fmt: skip
    plan = recommend(problem)
    # It covers all until July: nothing pays before.
    assert {r.buy_month for r in plan.recommendations} == {"2026-07"}
    assert plan.recommendations[0].hourly_usd == pytest.approx(7.0, abs=1e-5)
    with pytest.raises(MissingDataError, match=r"no committed rate .* compute_sp old"):
        recommend(replace(problem, committed_rate={}))


@pytest.mark.parametrize("hourly", [0.0, 5e-324, 1e-121, 1e-16, 1e-10])
def test_what_is_owned_for_nothing_changes_no_purchase(hourly: float) -> None:
    plain = question([group(_paths(4.0, 6.0))], [offer("sp", rate=0.7)], committed_rate={"old": 0.6})
    plans = [recommend(replace(plain, commitments=c)) for c in ((), (_owned("old", "compute_sp", "", hourly),))]
    sold = [[(r.offer, r.buy_month, round(r.hourly_usd, 6)) for r in p.recommendations] for p in plans]
    assert sold[0] == sold[1] != []
    assert plans[0].cost.mean == pytest.approx(plans[1].cost.mean, abs=1e-5)


def test_an_instance_that_is_owned_for_nothing_covers_until_it_ends_and_no_price_is_below_0() -> None:
    usage, offers = [group(_paths(4.0, 6.0))], [offer("sp", rate=0.7)]
    plain = question(usage, offers, committed_rate={"old": 0.6}, policy={"ladder": True})
    free = replace(plain, commitments=(_owned("ri", "standard_ri", "m5.large", 0.0, 1000),))
    assert {r.buy_month for r in recommend(free).recommendations} == {"2026-07"}
    with pytest.raises(UsageError, match="0 or more"):
        recommend(replace(plain, commitments=(_owned("old", "compute_sp", "", -1.0),)))


def test_a_commitment_that_ends_inside_a_month_splits_it() -> None:
    owned = replace(_owned("old", "compute_sp", "", 6.0), end=datetime(2026, 1, 16, 12, tzinfo=UTC))
    hours = [24.0 * d for d in (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)]
    problem = question(
        [group(np.full((1, 12), 10.0))], [], hours=hours, commitments=(owned,), committed_rate={"old": 0.6}
    )
    plan = recommend(problem)
    assert plan.cost.mean == pytest.approx(6.0 * 372 + 10.0 * (sum(hours) - 372))


def test_the_provider_applies_the_narrow_first() -> None:
    groups = [group(np.full((1, 12), 4.0)), group(np.full((1, 12), 4.0), "m5.xlarge", 0.2),
              group(np.full((1, 12), 4.0), "c5.large")]  # fmt: skip
    owned = (
        _owned("wide", "compute_sp", "", 3.0),
        _owned("family", "ec2_instance_sp", "m5", 3.0),
        _owned("ri", "standard_ri", "m5.large", 1.0, 20),
    )
    setting = setting_of(question(groups, [], commitments=owned, committed_rate={"wide": 0.75, "family": 0.6}))
    bill = bill_paths(setting, np.zeros(0))
    names = [p.id for p in setting.pools]
    covered = {n: float(bill.covered_usd[names.index(n)][0, 0]) for n in names}
    # 20 instances of .1; then 5 of the 6 that are left of m5; then 4 of the last 5.
    assert covered == pytest.approx({"owned ri": 2.0, "owned family": 5.0, "owned wide": 4.0})


def test_beyond_the_horizon_usage_goes_on_and_spreads() -> None:
    usage = np.repeat(np.linspace(9, 11, 5)[:, None], 3, axis=1)
    problem = question([group(usage)], [offer("sp")], months=YEAR[:3], drift=0.3)
    setting = setting_of(problem)
    assert setting.horizon.months[-1] == "2026-12"
    assert setting.horizon.hours[3:].sum() == 24 * 275
    last = setting.horizon.usd[:, -1, 0]
    assert last[2] == pytest.approx(10.0)
    assert last[0] < 9
    assert last[-1] > 11
    plan = recommend(problem)
    assert any("from 2026-04 to 2026-12 usage is carried on as in 2026-03" in a for a in plan.assumptions)


def test_three_years_are_compared_to_renewed_ones() -> None:
    flat = [group(np.full((2, 12), 10.0))]
    offers = [offer("one", rate=0.70), offer("three", rate=0.72, years=3)]
    plan = recommend(question(flat, offers))
    # Without renewals three years at .72 would beat one at .70 followed by two on demand.
    assert [r.offer for r in plan.recommendations] == ["one"]
    assert any("may be bought again" in a for a in plan.assumptions)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"groups": ()}, "no usage"),
        ({"hours": (1.0,)}, "lots must be in order"),
        ({"lot_month": (0,) * 12}, "every month needs a lot"),
        ({"groups": (group(np.ones((2, 3))),)}, r"usage must be \(paths, 12\)"),
        ({"groups": (group(-np.ones((2, 12))),)}, "0 or more"),
        ({"offers": (offer("a"), offer("a"))}, "offer a is given twice"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], says: str) -> None:
    problem = question([group(np.ones((2, 12)))], [offer("sp")])
    with pytest.raises(UsageError, match=says):
        recommend(replace(problem, **change))
    with pytest.raises(UsageError, match="buy month 2030-01"):
        recommend(question([group(np.ones((2, 12)))], [offer("sp")], policy={"buy_months": ("2030-01",)}))


def test_an_account_of_its_own_is_covered_alone() -> None:
    ours, theirs = group(np.full((1, 12), 5.0)), group(np.full((1, 12), 5.0), account="2222")
    mine = replace(offer("mine", rate=0.6), account_id=ACCOUNT)
    plan = recommend(question([ours, theirs], [mine]))
    assert plan.recommendations[0].hourly_usd == pytest.approx(3.0, abs=1e-5)


def test_a_time_limit_is_not_called_optimal() -> None:
    rng = np.random.default_rng(1)
    groups = [group(rng.gamma(4, 3, (30, 12)), t) for t in ("m5.large", "c5.large", "m7g.large")]
    offers = [offer("wide", rate=0.7), offer("m5", "ec2_instance_sp", 0.6, scope="m5"),
              offer("ri", "standard_ri", 0.6, scope="c5.large")]  # fmt: skip
    problem = question(groups, offers, policy={"ladder": True, "buy_months": YEAR[:3], "risk_weight": 0.5})
    cut, whole = recommend(problem, seconds=0.0), recommend(problem)
    assert cut.status.status == "feasible"
    assert cut.status.termination == "time limit"
    assert cut.status.bound <= whole.status.objective * (1 + 1e-6) <= cut.status.objective * (1 + 2e-6)
    assert cut.status.gap > 1e-6
    assert whole.status.status == "optimal"


def test_a_horizon_that_ends_inside_a_month_keeps_the_term_whole() -> None:
    """Seven months, the last of four days: a year's commitment is paid and used for the whole year after it."""
    months = YEAR[:7]
    hours = [744.0, 672.0, 744.0, 720.0, 744.0, 720.0, 96.0]
    plan = recommend(
        question([group(np.full((5, 7), 10.0))], [offer("sp", rate=0.7, upfront=1.0)], months=months, hours=hours)
    )
    (r,) = plan.recommendations
    assert r.upfront_usd == pytest.approx(7.0 * 8760, rel=1e-5)
    assert r.saving.mean == pytest.approx(3.0 * 8760, rel=1e-5)


def test_what_is_owned_until_later_makes_waiting_pay() -> None:
    """A plan that covers all until July: bought in January, the new one would cost its price for nothing until then."""
    owned = Commitment("own", ACCOUNT, "compute_sp", "", "", 7.0, 1, datetime(2025, 7, 1, tzinfo=UTC),
                       datetime(2026, 7, 1, tzinfo=UTC))  # fmt: skip
    asked = question(
        [group(np.full((5, 12), 10.0))], [offer("sp", rate=0.7)], commitments=(owned,), committed_rate={"own": 0.7}
    )
    ladder = replace(asked, policy=replace(asked.policy, ladder=True, buy_months=YEAR))
    (r,) = recommend(ladder).recommendations
    assert r.buy_month == "2026-07"
    assert r.waiting_month_usd > 0
    early = recommend(replace(asked, policy=replace(asked.policy, ladder=False, buy_months=YEAR[:1])))
    for r in early.recommendations:
        assert r.waiting_month_usd < 0
        assert "waiting would save" in r.if_not_bought


def test_what_is_too_small_to_decide_is_not_bought() -> None:
    asked = question([group(np.full((5, 12), 0.5))], [offer("sp", rate=0.7)], policy={"least_hourly_usd": 0.4})
    plan = recommend(asked)
    assert plan.recommendations == ()
    assert any("not worth a decision" in x.reason for x in plan.refused)
    assert len(recommend(replace(asked, policy=replace(asked.policy, least_hourly_usd=0.3))).recommendations) == 1


def test_an_owned_commitment_of_what_no_longer_runs_is_no_fault() -> None:
    owned = Commitment("ri", ACCOUNT, "standard_ri", "r5.large", REGION, 1.0, 10, datetime(2025, 7, 1, tzinfo=UTC),
                       datetime(2026, 7, 1, tzinfo=UTC))  # fmt: skip
    types = ("m5.large", "c5.large")
    asked = question(
        [group(np.full((5, 12), 10.0), kind) for kind in types],
        [offer("sp", rate={"m5.large": 0.7, "c5.large": 0.65})],
        commitments=(owned,),
    )
    assert recommend(asked).recommendations
