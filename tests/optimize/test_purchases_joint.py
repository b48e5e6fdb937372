"""Mix and purchases together: never dearer than in sequence, as cheap as trying all pairs, and told apart."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capacity.domain import Candidate, MixProblem, MixSolution, Offer, Unit
from capacity.errors import NoPlanInTimeError
from capacity.optimize import check, solve
from capacity.optimize._fleet import fleet_of
from capacity.optimize._result import Plan, Proof, solution_of
from capacity.optimize.purchases import Joint, PurchasePolicy, PurchaseProblem, decide_jointly, usage_groups
from capacity.optimize.purchases._feedback import as_before, as_owned, as_priced, is_even, price_factor
from capacity.optimize.purchases.joint import pair_of
from tests.optimize.makers import ACCOUNT, MONTHS, REGION, candidate, commitment, problem, unit
from tests.optimize.purchase_makers import ANY_BREAK_EVEN, offer

# On demand the one is cheaper, under its plan the other is: .105 x .6.
PLAIN = candidate("m5.large", 0.100, 10.0)
CHEAP_LATER = candidate("m7g.large", 0.105, 10.0)
OFFER = offer("m7g", "ec2_instance_sp", 0.6, scope="m7g", types=("m7g.large",))
POLICY = PurchasePolicy(largest_break_even_months=ANY_BREAK_EVEN)


def _steady(*candidates: Candidate) -> MixProblem:
    return problem(unit("a", [60.0], candidates, months=MONTHS, autoscaled=False), months=MONTHS)


def _jointly(p: MixProblem, offers: Sequence[Offer], demand: dict[Unit, np.ndarray] | None = None, **how: int) -> Joint:
    def usage(solution: MixSolution) -> PurchaseProblem:
        return replace(usage_groups(replace(p, offers=tuple(offers)), solution, demand or {}), policy=POLICY)

    def again(asked: MixProblem, seconds: float) -> MixSolution:
        return solve(asked, max(seconds, 1.0), 0.0)

    return decide_jointly(p, offers, solve(p, gap_frac=0.0), usage, again, seconds=60.0, **how)


def test_a_lower_rate_makes_another_mix_better_and_nothing_was_bought_for_the_first() -> None:
    p = _steady(PLAIN, CHEAP_LATER)
    found = _jointly(p, [OFFER])
    assert not found.first.plan.recommendations
    assert set(found.first.solution.running["instance_type"]) == {"m5.large"}
    assert set(found.kept.solution.running["instance_type"]) == {"m7g.large"}
    assert [r.offer for r in found.kept.plan.recommendations] == ["m7g"]
    # Over the plan's purchases' own months all of it runs under the plan.
    assert found.kept.usd == pytest.approx(found.first.usd * 0.105 * 0.6 / 0.100)
    assert found.saved_usd == pytest.approx(found.first.usd - found.kept.usd)


def _all_pairs(p: MixProblem, offers: Sequence[Offer], demand: dict[Unit, np.ndarray]) -> float:
    """The least of every whole plan of a steady month, each with the best purchases for it."""
    (r,) = p.requirements
    need = r.blocks[0].demand
    best = np.inf
    most = [int(np.ceil(need / (2 * min(c.safe, c.zone_loss)))) for c in r.candidates]
    for counts in itertools.product(*(range(m + 1) for m in most)):
        normal = r.zones * sum(n * c.safe for n, c in zip(counts, r.candidates, strict=True))
        lost = (r.zones - 1) * sum(n * c.zone_loss for n, c in zip(counts, r.candidates, strict=True))
        if min(normal, lost) < need - 1e-9 or sum(counts) < r.min_per_zone:
            continue
        runs = np.tile(np.array(counts)[:, None, None], (1, len(p.months), 1))
        plan = Plan(runs, np.zeros_like(runs), runs[:, :, 0], {})
        tried = solution_of(fleet_of(p), plan, Proof(-np.inf, "tried", 0.0, "none", time.perf_counter()))

        def usage(solution: MixSolution) -> PurchaseProblem:
            return replace(usage_groups(replace(p, offers=tuple(offers)), solution, demand), policy=POLICY)

        best = min(best, pair_of(p, tried, usage).usd)
    return best


@settings(max_examples=6, deadline=None)
@given(
    st.lists(st.tuples(st.integers(80, 130), st.integers(50, 95)), min_size=2, max_size=3),
    st.integers(25, 60),
)
def test_steady_usage_is_as_cheap_as_the_best_of_all_pairs_and_never_dearer_than_in_sequence(
    types: list[tuple[int, int]], need: int
) -> None:
    """Usage that never varies is bought whole: prices with purchases in mind are then what each type will cost."""
    families = ("m5", "m6i", "m7g")[: len(types)]
    candidates = [candidate(f"{f}.large", usd / 1000, 10.0) for f, (usd, _) in zip(families, types, strict=True)]
    offers = [
        offer(f, "ec2_instance_sp", rate / 100, scope=f, types=(f"{f}.large",))
        for f, (_, rate) in zip(families, types, strict=True)
    ]
    p = problem(unit("a", [float(need)], candidates, months=MONTHS, autoscaled=False), months=MONTHS, penalty=0.0)
    found = _jointly(p, offers)
    assert found.kept.usd <= found.first.usd
    assert found.kept.usd == pytest.approx(_all_pairs(p, offers, {}), rel=1e-6)


# The first mix stays with what runs, so its penalty is 0: its objective is not its spend alone for that.
@example(rates=[89, 59], shares=[0.87, 0.99, 0.79, 0.79], penalty=0.255, owned=3)
@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.integers(55, 100), min_size=2, max_size=2),
    st.lists(st.floats(0.2, 1.0), min_size=4, max_size=8),
    st.floats(0.0, 0.3),
    st.integers(0, 30),
)
def test_together_is_never_dearer_than_in_sequence(
    rates: list[int], shares: list[float], penalty: float, owned: int
) -> None:
    auto = unit("web", [90.0, 40.0], [PLAIN, CHEAP_LATER], months=MONTHS, running={("m5.large", "a"): 6})
    held = commitment("k", "ec2_instance_sp", "m7g", hourly=0.01 + owned / 100)
    p = problem(auto, months=MONTHS, penalty=penalty, commitments=[held], rates={"k": 0.7})
    offers = [
        offer("m5", "ec2_instance_sp", rates[0] / 101, scope="m5", types=("m5.large",)),
        offer("m7g", "ec2_instance_sp", rates[1] / 101, scope="m7g", types=("m7g.large",)),
    ]
    demand = {auto.unit: np.array([[s * b.demand for b in auto.blocks] for s in shares])}
    found = _jointly(p, offers, demand)
    assert found.kept.usd <= found.first.usd + 1e-9
    # What is kept is a plan of the problem that was given, whichever it was asked as.
    kept = found.kept.solution
    assert check(p, kept.provisioned, kept.running, kept.commitment_use, kept.spend)
    assert kept.status.bound <= kept.status.objective + 1e-6
    assert kept.status.bound == pytest.approx(min(found.first.solution.status.bound, kept.status.objective))


def test_the_same_question_has_the_same_answer() -> None:
    p = _steady(PLAIN, CHEAP_LATER)
    one, other = (_jointly(p, [OFFER]) for _ in range(2))
    assert one.kept.usd == other.kept.usd
    assert one.kept.solution.running.equals(other.kept.solution.running)


def test_one_rate_for_all_types_asks_for_nothing_more() -> None:
    p = _steady(PLAIN, CHEAP_LATER)
    both = offer("all", rate=0.6, types=("m5.large", "m7g.large"))
    found = _jointly(p, [both])
    assert (found.even, found.tried, found.saved_usd) == (True, 0, 0.0)
    assert found.kept is found.first
    assert not is_even(p, [both, OFFER, replace(OFFER, id="less", rate={"m7g.large": 0.5})])


def test_no_time_and_no_answer_leave_the_first_pair() -> None:
    p = _steady(PLAIN, CHEAP_LATER)

    def usage(solution: MixSolution) -> PurchaseProblem:
        return replace(usage_groups(replace(p, offers=(OFFER,)), solution, {}), policy=POLICY)

    def nothing(_asked: MixProblem, _seconds: float) -> MixSolution:
        raise NoPlanInTimeError("no plan was found")

    first = solve(p, gap_frac=0.0)
    late = decide_jointly(p, [OFFER], first, usage, nothing, seconds=0.0)
    assert (late.tried, late.saved_usd) == (0, 0.0)
    failed = decide_jointly(p, [OFFER], first, usage, nothing, seconds=60.0)
    assert failed.tried == 2
    assert failed.kept.solution is first


def test_what_is_bought_is_owned_from_its_month_with_its_terms() -> None:
    p = _steady(CHEAP_LATER)
    pair = _jointly(p, [OFFER]).kept
    owned = as_owned(p, pair.asked, pair.plan)
    (held,) = owned.commitments
    bought = pair.plan.recommendations[0]
    assert (held.product, held.scope, held.region) == ("ec2_instance_sp", "m7g", REGION)
    assert held.hourly_usd == pytest.approx(bought.hourly_usd)
    assert (f"{held.start:%Y-%m}", (held.end - held.start).days) == (bought.buy_month, 365)
    assert owned.committed_rate[held.id] == pytest.approx(0.6)
    # All of it runs under what is owned then: nothing stays on demand.
    assert solve(owned, gap_frac=0.0).spend["on_demand_usd"].sum() == pytest.approx(0.0, abs=1e-6)


def test_owned_plans_cover_as_many_instances_at_prices_with_purchases_in_mind() -> None:
    held = commitment("k", "ec2_instance_sp", "m7g", hourly=0.12, account=ACCOUNT)
    p = replace(_steady(PLAIN, CHEAP_LATER), commitments=(held,), committed_rate={"k": 0.5})
    first = solve(p, gap_frac=0.0)
    asked = usage_groups(replace(p, offers=(OFFER,)), first, {})
    priced = as_priced(p, [OFFER], asked)
    usd = {c.instance_type: c.usd_per_hour for c in priced.requirements[0].candidates}
    assert usd["m5.large"] == PLAIN.usd_per_hour
    assert usd["m7g.large"] == pytest.approx(0.105 * 0.6)
    assert 0.12 / priced.committed_rate["k"] / usd["m7g.large"] == pytest.approx(0.12 / 0.5 / 0.105)


def test_a_problem_asked_for_as_before_is_the_same_again_and_follows_its_own_prices() -> None:
    held = commitment("k", "ec2_instance_sp", "m7g", hourly=0.12, account=ACCOUNT)
    p = replace(_steady(PLAIN, CHEAP_LATER), commitments=(held,), committed_rate={"k": 0.5})
    asked = as_priced(p, [OFFER], usage_groups(replace(p, offers=(OFFER,)), solve(p, gap_frac=0.0), {}))
    again = as_before(p, p, asked)
    assert [c.usd_per_hour for c in again.requirements[0].candidates] == pytest.approx(
        [c.usd_per_hour for c in asked.requirements[0].candidates]
    )
    assert again.committed_rate == asked.committed_rate
    # A scenario whose prices are twice as high is asked for at twice the prices.
    (r,) = p.requirements
    dear = replace(r, candidates=tuple(replace(c, usd_per_hour=2 * c.usd_per_hour) for c in r.candidates))
    doubled = as_before(replace(p, requirements=(dear,)), p, asked)
    assert [c.usd_per_hour for c in doubled.requirements[0].candidates] == pytest.approx(
        [2 * c.usd_per_hour for c in asked.requirements[0].candidates]
    )


@given(st.lists(st.floats(0.0, 100.0), min_size=1, max_size=12), st.floats(0.05, 0.95))
def test_a_price_factor_is_the_least_of_all_sizes(levels: list[float], rate: float) -> None:
    usd, hours = np.array([levels]), np.linspace(1.0, 2.0, len(levels))
    whole = float((usd @ hours)[0])
    if whole < 1e-6:
        return
    tried = [rate * q * hours.sum() + float(np.maximum(usd[0] - q, 0.0) @ hours) for q in [0.0, *levels]]
    assert price_factor(usd, hours, rate) == pytest.approx(min(min(tried) / whole, 1.0))
