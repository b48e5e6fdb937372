"""Every figure of a recommendation, worked out once more from usage, rates and hours alone.

Savings Plans of one rate each, bought at the start of a year: an EC2 Instance Savings Plan of one family, and a Compute
Savings Plan over all. By the provider's order the first covers its family before the second covers what is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.domain import Floats
from capacity.optimize.purchases import PurchaseProblem, Recommendation, Spread, recommend
from tests.optimize.purchase_makers import YEAR, group, offer, question

LOTS_A_MONTH = 2
FAMILY, ALL = "family", "all"
_RATES = st.sampled_from([0.45, 0.55, 0.63, 0.72, 0.8])


@st.composite
def _questions(draw: st.DrawFn) -> PurchaseProblem:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    paths, lots = draw(st.integers(1, 12)), LOTS_A_MONTH * len(YEAR)
    season = 1 + draw(st.floats(0, 0.6)) * np.sin(np.arange(lots) * 2 * np.pi / lots + draw(st.floats(0, 6)))
    trend = np.linspace(1, draw(st.floats(0.3, 2.0)), lots)

    def usage(level: float) -> Floats:
        level_of_path = np.exp(rng.normal(0, 0.2, (paths, 1)))
        return np.asarray(level * season * trend * level_of_path * np.exp(rng.normal(0, 0.15, (paths, lots))))

    upfront = draw(st.sampled_from([0.0, 0.5, 1.0]))
    offers = [offer(ALL, rate=draw(_RATES), upfront=upfront)]
    if draw(st.booleans()):
        offers.append(offer(FAMILY, "ec2_instance_sp", draw(_RATES), scope="m5", types=("m5.large",), upfront=upfront))
    groups = [group(usage(8.0)), group(usage(5.0), "c5.large")]
    hours = [float(h) for h in rng.uniform(200, 500, lots)]
    return question(groups, offers, lots_a_month=LOTS_A_MONTH, hours=hours)


@dataclass
class _ByHand:
    """(P, K) usage, and on-demand value under each purchase, at USD an hour of each."""

    problem: PurchaseProblem
    hourly: dict[str, float]

    def __post_init__(self) -> None:
        self.hours = np.array(self.problem.hours)
        self.rate = {o.id: next(iter(o.rate.values())) for o in self.problem.offers}
        m5, c5 = (np.asarray(g.usd) for g in self.problem.groups)
        self.scope = {FAMILY: m5, ALL: m5 + c5}
        of_family = np.minimum(m5, self._holds(FAMILY))
        self.covered = {FAMILY: of_family, ALL: np.minimum(m5 - of_family + c5, self._holds(ALL))}
        self.open_in = {ALL: m5 + c5 - of_family - self.covered[ALL]}
        # What of the family is left is covered by the other in proportion to what is left of all.
        left = m5 - of_family
        share = np.divide(self.covered[ALL], left + c5, out=np.zeros_like(left), where=left + c5 > 0)
        self.open_in[FAMILY] = left * (1 - share)

    def _holds(self, name: str) -> float:
        return self.hourly.get(name, 0.0) / self.rate.get(name, 1.0)

    def cost(self) -> Floats:
        """(P,) USD of the year."""
        return np.asarray((self.open_in[ALL] + sum(self.hourly.values())) @ self.hours)

    def utilisation(self, name: str) -> Floats:
        return np.asarray(self.covered[name] @ self.hours / (self._holds(name) * self.hours.sum()))

    def coverage(self, name: str) -> float:
        return float(np.mean(1 - (self.open_in[name] @ self.hours) / (self.scope[name] @ self.hours)))

    def path_at(self, name: str, quantile: float) -> int:
        order = np.argsort(self.scope[name] @ self.hours, kind="stable")
        return int(order[round(quantile * (len(order) - 1))])

    def on_path(self, path: int) -> PurchaseProblem:
        groups = [group(np.asarray(g.usd)[[path]], g.instance_type) for g in self.problem.groups]
        return question(groups, self.problem.offers, lots_a_month=LOTS_A_MONTH, hours=self.problem.hours)

    def by_month(self, values: Floats) -> Floats:
        return np.asarray(values.reshape(len(YEAR), LOTS_A_MONTH).sum(axis=1))


def _same(told: Spread, values: Floats) -> None:
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    scale = max(float(np.abs(values).max()), 1.0)
    for a, b in ((told.p10, low), (told.p50, middle), (told.p90, high), (told.mean, values.mean())):
        assert a == pytest.approx(b, rel=1e-6, abs=1e-6 * scale)


def _months(problem: PurchaseProblem, r: Recommendation, now: _ByHand) -> tuple[str | None, str | None]:
    """(break even, safe after) on the P50 path of usage in scope."""
    path = now.path_at(r.offer, 0.5)
    worth = np.cumsum(now.by_month(now.covered[r.offer][path] * now.hours))
    hours = now.by_month(now.hours)
    whole = now.hourly[r.offer] * hours.sum()
    upfront = next(o.upfront_frac for o in problem.offers if o.id == r.offer)
    paid = whole * (upfront + (1 - upfront) * np.cumsum(hours) / hours.sum())
    tiny = 1e-7 * whole
    # Where one is within a rounding of the other, either month is right.
    even = [n for n in range(len(YEAR)) if (worth[n:] >= paid[n:] - tiny).all()]
    safe = [n for n in range(len(YEAR)) if worth[n] >= whole - tiny]
    return (YEAR[even[0]] if even else None), (YEAR[safe[0]] if safe else None)


def _best_cost(now: _ByHand, name: str, path: int) -> float:
    """Of any size of one purchase on one path, the other as bought: the cost bends only where usage is."""
    alone = now.on_path(path)
    other = now.covered[FAMILY][path] if name == ALL else np.zeros(1)
    sizes = np.concatenate([[0.0], (now.scope[name][path] - other) * now.rate[name]])
    if name == FAMILY:  # beyond what the other leaves free it bends too
        sizes = np.concatenate([sizes, np.linspace(0, sizes.max(), 400)])
    return min(float(_ByHand(alone, {**now.hourly, name: max(float(x), 0.0)}).cost()[0]) for x in sizes)


@settings(max_examples=40)
@given(_questions())
def test_what_is_told_of_each_purchase_is_what_usage_and_rates_make_of_it(problem: PurchaseProblem) -> None:
    plan = recommend(problem)
    now = _ByHand(problem, {r.offer: r.hourly_usd for r in plan.recommendations})
    _same(plan.cost, now.cost())
    _same(plan.cost_without, _ByHand(problem, {}).cost())
    for r in plan.recommendations:
        name = r.offer
        without = _ByHand(problem, {k: v for k, v in now.hourly.items() if k != name})
        saving = without.cost() - now.cost()
        _same(r.saving, saving)
        _same(r.utilisation, now.utilisation(name))
        assert r.coverage_after_frac == pytest.approx(now.coverage(name), abs=1e-6)
        assert r.coverage_before_frac == pytest.approx(without.coverage(name), abs=1e-6)
        assert (r.break_even_month, r.safe_after_month) == _months(problem, r, now)
        upfront = next(o.upfront_frac for o in problem.offers if o.id == name)
        assert r.upfront_usd == pytest.approx(upfront * r.hourly_usd * 8760)
        assert 12 * r.monthly_usd + r.upfront_usd == pytest.approx(r.hourly_usd * 8760)
        first = slice(0, LOTS_A_MONTH)
        gone = (without.open_in[ALL] - now.open_in[ALL])[:, first].mean(axis=0) - r.hourly_usd
        assert r.waiting_month_usd == pytest.approx(float(gone @ now.hours[first]), rel=1e-6, abs=1e-4)
        assert r.waiting_term_usd == pytest.approx(float(saving.mean()), rel=1e-6, abs=1e-3)
        for told, quantile in ((r.regret_p10_usd, 0.1), (r.regret_p90_usd, 0.9)):
            path = now.path_at(name, quantile)
            scale = float(now.cost()[path])
            regret = scale - _best_cost(now, name, path)
            assert -1e-9 * scale <= told
            assert told >= regret - 1e-6 * scale  # the grid of sizes finds no better one
            if name == ALL:
                assert told == pytest.approx(regret, abs=1e-6 * scale)


@settings(max_examples=25)
@given(_questions())
def test_regret_of_all_purchases_is_against_the_best_of_that_path_alone(problem: PurchaseProblem) -> None:
    plan = recommend(problem)
    now = _ByHand(problem, {r.offer: r.hourly_usd for r in plan.recommendations})
    for told, quantile in ((plan.regret_p10_usd, 0.1), (plan.regret_p90_usd, 0.9)):
        path = now.path_at(ALL, quantile)
        alone = recommend(now.on_path(path))
        assert told == pytest.approx(float(now.cost()[path]) - alone.status.objective, abs=2e-6 * alone.cost.mean)
