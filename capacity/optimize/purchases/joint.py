"""Mix and purchases decided together: the mix is asked for again with what may be bought in mind.

A mix that is cheapest on demand need not be cheapest with commitments: a type that is a little dearer may be had at a
much lower rate. So what may be bought is fed back, purchases are decided for the answer, and of all pairs of a mix and
its purchases the cheapest is kept. The first pair is among them: nothing is lost by asking.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from capacity.domain import MixProblem, MixSolution, Offer
from capacity.errors import PlanError
from capacity.optimize._billing import RESERVED
from capacity.optimize._clock import Clock, Deadline
from capacity.optimize._fleet import fleet_of
from capacity.optimize._result import penalty_usd
from capacity.optimize.purchases._feedback import as_asked, as_owned, as_priced, is_even, plan_of
from capacity.optimize.purchases._horizon import horizon_of
from capacity.optimize.purchases._lines import longest
from capacity.optimize.purchases.decide import recommend
from capacity.optimize.purchases.types import PurchasePlan, PurchaseProblem, UsageGroup

# How often the mix is asked for again: priced with purchases in mind, then with what is to be bought as owned.
ROUNDS = 2
# Another pair must be cheaper by this share: the accuracy of the purchases' search.
_WORTH_FRAC = 1e-6
# Of the time that is left: for the mix of a round. The rest is for its purchases.
_MIX_SHARE = 0.4

Usage = Callable[[MixSolution], PurchaseProblem]
Solve = Callable[[MixProblem, float], MixSolution]


@dataclass(frozen=True)
class Pair:
    """A mix and what is bought for it.

    ``usd`` is what the choice is made by: the purchases' objective (what runs on demand, what is owned, what is bought,
    over the months of ``plan`` and weighed by the policy's risk), spot and idle reservations carried on to the same
    end, and the switching penalty. ``asked_as`` is the problem whose ``answer`` the mix is, at prices or with inventory
    that hold purchases; None of the first.
    """

    solution: MixSolution
    asked: PurchaseProblem
    plan: PurchasePlan
    usd: float
    asked_as: MixProblem | None = None
    answer: MixSolution | None = None


@dataclass(frozen=True)
class Joint:
    """``kept`` is the cheapest pair, ``first`` the one in sequence; ``tried`` counts the mixes asked for beside it."""

    kept: Pair
    first: Pair
    tried: int
    even: bool

    @property
    def saved_usd(self) -> float:
        """What feeding purchases back saves; 0 where the first pair is kept."""
        return self.first.usd - self.kept.usd


def decide_jointly(
    problem: MixProblem,
    offers: Sequence[Offer],
    first: MixSolution,
    usage: Usage,
    solve: Solve,
    *,
    seconds: float,
    purchase_seconds: float = 60.0,
    gap_frac: float = 0.002,
    rounds: int = ROUNDS,
    clock: Clock = time.perf_counter,
) -> Joint:
    """Purchases for ``first``, then up to ``rounds`` other mixes with theirs; the cheapest pair is kept.

    Nothing else is asked for where all types of every unit may be had at one rate: then commitments do not change which
    type is cheaper. Deterministic as long as no limit of time ends a search.

    Parameters
    ----------
    problem, first
        The fleet, without offers, and its mix.
    offers
        What could be bought for any type that a unit may run.
    usage
        What a mix runs on all paths, with the offers for it and the policy (``usage_groups``).
    solve
        A mix for a problem within seconds.
    seconds
        For all that comes after the first pair; a round is begun only while some are left.
    purchase_seconds
        For the purchases of one mix, at most.
    gap_frac
        At which a mix is told as optimal.

    Raises
    ------
    UsageError, MissingDataError, CapacityError
        As :func:`recommend`, of the first pair.
    """
    pair = pair_of(problem, first, usage, purchase_seconds)
    even = is_even(problem, offers)
    best, tried, seen = pair, 0, [_counts(first)]
    until = Deadline.after(seconds, clock)
    for number in range(0 if even else rounds):
        if until.passed:
            break
        asked = as_owned(problem, best.asked, best.plan) if number else as_priced(problem, offers, best.asked)
        answer, tried = _answer(problem, asked, first, solve, until, gap_frac), tried + 1
        if answer is None or _counts(answer[1]) in seen:
            continue
        seen.append(_counts(answer[1]))
        other = pair_of(problem, answer[1], usage, min(max(until.left, 1.0), purchase_seconds))
        if other.usd < best.usd * (1.0 - _WORTH_FRAC):
            best = replace(other, asked_as=asked, answer=answer[0])
    return Joint(best, pair, tried, even)


def pair_of(problem: MixProblem, solution: MixSolution, usage: Usage, seconds: float = 60.0) -> Pair:
    """The purchases for ``solution``, over as many months whatever it runs: pairs are compared over the same ones."""
    asked = usage(solution)
    asked = replace(asked, least_months=longest(asked))
    plan = recommend(asked, seconds)
    fleet = fleet_of(problem)
    penalty = penalty_usd(fleet, plan_of(fleet, solution).running)
    return Pair(solution, asked, plan, plan.status.objective + penalty + _beside_usd(solution, asked, plan))


def _answer(
    problem: MixProblem, asked: MixProblem, first: MixSolution, solve: Solve, until: Deadline, gap_frac: float
) -> tuple[MixSolution, MixSolution] | None:
    """The mix of ``asked``, and it as a plan of ``problem``; None where there is none, or nothing could be covered."""
    try:
        answer = solve(asked, _MIX_SHARE * until.left)
        found = as_asked(problem, answer, first, gap_frac)
    except PlanError:
        return None
    return (answer, found) if (found.running["purchase"] == "on_demand").any() else None


def _beside_usd(solution: MixSolution, asked: PurchaseProblem, plan: PurchasePlan) -> float:
    """USD of spot and of idle reservations until the purchases' last month, carried on as usage is."""
    spend = solution.spend
    idle = np.where(spend["unit"] == RESERVED, spend["on_demand_usd"], 0.0)
    by_month = (spend["spot_usd"] + idle).groupby(spend["month"]).sum()
    hours, month = np.array(asked.hours), np.array(asked.lot_month)
    rate = [by_month.get(m, 0.0) / hours[month == t].sum() for t, m in enumerate(asked.months)]
    group = UsageGroup("", "", "", "", 1.0, np.array(rate, dtype=float)[month][None])
    carried = horizon_of(replace(asked, groups=(group,)), len(plan.months))
    return float(carried.usd[0, :, 0] @ carried.hours)


def _counts(solution: MixSolution) -> frozenset[tuple[object, ...]]:
    columns = ["unit", "month", "block", "purchase", "instance_type", "per_zone"]
    return frozenset(solution.running[columns].itertuples(index=False, name=None))
