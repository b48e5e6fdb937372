"""The decision: searched, held to the policy, billed again, judged."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from capacity.domain import Floats, SolveStatus
from capacity.errors import CapacityError
from capacity.optimize.purchases._ahead import coverage_ahead
from capacity.optimize.purchases._bill import bill_paths, on_path, tail_mean, weighed
from capacity.optimize.purchases._judge import judge, spread
from capacity.optimize.purchases._lines import Setting, narrowed, setting_of
from capacity.optimize.purchases._months import in_better_months, keeps_policy
from capacity.optimize.purchases._policy import fault, is_bought, largest_allowed, too_small
from capacity.optimize.purchases._recourse import SecondStage
from capacity.optimize.purchases._search import AGREES, ROUGHLY, Choice, Searcher, search
from capacity.optimize.purchases._sizes import sizes
from capacity.optimize.purchases.types import PurchasePlan, PurchaseProblem, RefusedOffer

# After this many rounds of shrinking, what still breaks the policy is dropped.
_SHRINKING_ROUNDS = 12
# One path alone takes some tenths of a second; where the time does not do, the regret is a lower estimate.
_REGRET_SECONDS = 10.0
# Given to it even where the search has used up its time.
_LEAST_SECONDS = 1.0
# Given to moves to better months where the search has: 2,100 purchases to choose from took 2 s of one processor.
_MOVE_SECONDS = 10.0


def recommend(problem: PurchaseProblem, seconds: float = 60.0) -> PurchasePlan:
    """What to buy, and when.

    Deterministic as long as ``seconds`` do not end the search; where they do, what is known by then is cut to the
    policy and judged, which takes its own time beyond. The bound of the status is for purchases of at most the sizes
    that the policy left; it is reached (gap 0) where commitments' scopes nest and their rates are in proportion,
    else the provider's order of applying them may cost more than the bound, which knows no order.

    Raises
    ------
    UsageError
        A problem that makes no sense, with what is wrong of it.
    MissingDataError
        An owned Savings Plan without its rate.
    CapacityError
        The bill of the plan is below what was proven to be possible: a fault of this tool; no plan is given.
    """
    began = time.perf_counter()
    whole = setting_of(problem)
    choice, dropped = _within_policy(whole, began + seconds)
    setting, kept = narrowed(whole, choice.bought)
    amounts = choice.bought[kept]
    bill = bill_paths(setting, amounts)
    _check(choice, weighed(bill.cost, problem.policy.risk_weight))
    without = bill_paths(setting, np.zeros(len(setting.columns)))
    bought = [j for j, c in enumerate(setting.columns) if not c.renewal and is_bought(setting, j, amounts)]
    judged = tuple(judge(setting, j, amounts, bill) for j in bought)
    spare = min(max(began + seconds - time.perf_counter(), _LEAST_SECONDS), _REGRET_SECONDS)
    return PurchasePlan(
        recommendations=judged,
        refused=(*setting.refused, *dropped),
        status=_status(choice, time.perf_counter() - began),
        cost=spread(bill.cost),
        cost_without=spread(without.cost),
        cvar90=tail_mean(bill.cost),
        cvar90_without=tail_mean(without.cost),
        regret_p10_usd=_regret(whole, choice.bought, 0.1, spare),
        regret_p90_usd=_regret(whole, choice.bought, 0.9, spare),
        months=setting.horizon.months,
        assumptions=_assumptions(setting),
        sizes=sizes(setting, amounts, [(j, r.id) for j, r in zip(bought, judged, strict=True)]) if bought else (),
        coverage=coverage_ahead(setting, bill),
    )


def _within_policy(setting: Setting, deadline: float) -> tuple[Choice, tuple[RefusedOffer, ...]]:
    """Search, shrink what breaks the policy to what it allows, search again; at last drop what still breaks it."""
    most = np.array([c.most for c in setting.columns], dtype=float)
    searcher, reasons = Searcher(setting, SecondStage(setting)), dict[int, str]()
    # What keeps the policy already: where time ends, it is what is left, and not nothing.
    kept: Choice | None = None
    widest, roughly = -np.inf, True
    for number in range(_SHRINKING_ROUNDS + len(most) + 1):
        choice, bought, wrong = _searched(searcher, most, deadline, kept, roughly)
        widest = choice.bound if number == 0 else widest
        if roughly and not wrong:
            roughly = False
            choice, bought, wrong = _searched(searcher, most, deadline, choice, roughly)
        if not wrong:
            break
        # The latest first: it is the one on top of the others.
        for j in sorted(wrong, reverse=True):
            why = _fault(setting, j, bought)
            if why is None:
                continue
            reasons[j] = why
            hopeless = number >= _SHRINKING_ROUNDS or too_small(setting, j, bought)
            bought[j] = 0.0 if hopeless else _largest_allowed(setting, j, bought)
            bought = _without_crumbs(setting, bought)
            for other in _with_renewals(setting, j):
                most[other] = min(most[other], bought[j])
                bought[other] = min(bought[other], most[other])
        kept = replace(choice, bought=bought)
    choice, bound_of = _in_better_months(searcher, most, choice, widest, deadline)
    months = setting.horizon.months
    gone = [
        RefusedOffer(f"{setting.pools[setting.columns[j].pool].id}@{months[setting.columns[j].start]}", why)
        for j, why in sorted(reasons.items())
        if most[j] == bound_of[j] == 0
    ]
    return choice, tuple(gone)


def _in_better_months(
    searcher: Searcher, most: Floats, choice: Choice, widest: float, deadline: float
) -> tuple[Choice, Floats]:
    """``choice`` with its purchases in the months in which they cost less, and the largest sizes its bound is for.

    ``widest`` is a bound for purchases of any size. What is moved is searched for again, within the sizes that it has.
    """
    setting, now = searcher.setting, time.perf_counter()
    moved = in_better_months(setting, choice.bought, max(deadline, now + _MOVE_SECONDS))
    changed = moved != choice.bought
    if not changed.any():
        return choice, most
    left = max(deadline - time.perf_counter(), 0.0)
    most = np.where(changed, moved, most)
    again = searcher.best(most, left, Choice(moved, np.inf, widest, choice.termination))
    if keeps_policy(setting, _without_crumbs(setting, again.bought)):
        return again, most
    cost = searcher.master.billed(moved)
    return Choice(moved, cost, min(again.bound, cost), again.termination), most


def _searched(
    searcher: Searcher, most: Floats, deadline: float, start: Choice | None, roughly: bool
) -> tuple[Choice, Floats, dict[int, str]]:
    """The best purchases, those of them that are worth a decision, and what is wrong with which."""
    left = max(deadline - time.perf_counter(), 0.0)
    choice = searcher.best(most, left, start, *([ROUGHLY] if roughly else []))
    bought = _without_crumbs(searcher.setting, choice.bought)
    faults = ((j, _fault(searcher.setting, j, bought)) for j in range(len(most)))
    return choice, bought, {j: why for j, why in faults if why is not None}


def _fault(setting: Setting, j: int, bought: Floats) -> str | None:
    if setting.columns[j].renewal or not is_bought(setting, j, bought):
        return None
    narrow, kept = narrowed(setting, bought)
    return fault(narrow, kept.index(j), bought[kept])


def _largest_allowed(setting: Setting, j: int, bought: Floats) -> float:
    narrow, kept = narrowed(setting, bought)
    return largest_allowed(narrow, kept.index(j), bought[kept])


def _without_crumbs(setting: Setting, bought: Floats) -> Floats:
    return np.array([x if is_bought(setting, j, bought) else 0.0 for j, x in enumerate(bought)], dtype=float)


def _with_renewals(setting: Setting, j: int) -> list[int]:
    """``j`` and the renewals that follow it: a policy that holds for a purchase holds for its renewal."""
    first = setting.columns[j]
    term = 12 * first.offer.term_years
    return [
        i
        for i, c in enumerate(setting.columns)
        if c.pool == first.pool and c.start >= first.start and (c.start - first.start) % term == 0
        and (i == j or c.renewal)
    ]  # fmt: skip


def _regret(setting: Setting, bought: Floats, quantile: float, seconds: float) -> float:
    """The plan's cost on the path of that rank, by usage, less that of the best purchases for this path alone."""
    usage = setting.horizon.usd.sum(axis=2) @ setting.horizon.hours
    order = np.argsort(usage, kind="stable")
    alone = on_path(setting, int(order[round(quantile * (len(order) - 1))]))
    most = np.array([c.most for c in setting.columns], dtype=float)
    best = search(alone, most, SecondStage(alone), seconds)
    return float(bill_paths(alone, bought).cost[0]) - best.objective


def _check(choice: Choice, billed: float) -> None:
    """The bill, worked out apart from the programme, must be the objective and no less than the bound."""
    scale = max(abs(billed), 1e-9)
    if abs(billed - choice.objective) > AGREES * scale or billed < choice.bound - AGREES * scale:
        raise CapacityError(
            f"purchases: the plan's bill is {billed:.6f} where {choice.objective:.6f} was planned and at least "
            f"{choice.bound:.6f} was proven: no plan is given"
        )


def _status(choice: Choice, runtime: float) -> SolveStatus:
    return SolveStatus(
        status="optimal" if choice.gap <= AGREES else "feasible",
        termination=choice.termination,
        objective=choice.objective,
        bound=min(choice.bound, choice.objective),
        gap=choice.gap,
        runtime_seconds=runtime,
        solver="highs",
    )


def _assumptions(setting: Setting) -> tuple[str, ...]:
    given, whole = setting.problem.months, setting.horizon.months
    out = [f"{setting.horizon.usd.shape[0]} joint paths of usage over {len(given)} months"]
    if len(whole) > len(given):
        out.append(
            f"from {whole[len(given)]} to {whole[-1]} usage is carried on as in {given[-1]}, its level spread by "
            f"{setting.problem.drift_a_year:.0%} a year (standard deviation, growing with the root of time)"
        )
    if any(c.renewal for c in setting.columns):
        out.append("what ends within these months may be bought again at the same rate, in a size decided now")
    out.append("rates and on-demand prices stay as they are; commitments are applied in the provider's order")
    return tuple(out)
