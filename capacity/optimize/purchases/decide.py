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
from capacity.optimize.purchases._lines import Setting, setting_of
from capacity.optimize.purchases._policy import fault, is_bought, largest_allowed, too_small
from capacity.optimize.purchases._recourse import SecondStage
from capacity.optimize.purchases._search import AGREES, ROUGHLY, Choice, Searcher, search
from capacity.optimize.purchases._sizes import sizes
from capacity.optimize.purchases.types import PurchasePlan, PurchaseProblem, RefusedOffer

# After this many rounds of shrinking, what still breaks the policy is dropped.
_SHRINKING_ROUNDS = 12
# One path alone takes some tenths of a second; where the time does not do, the regret is a lower estimate.
_REGRET_SECONDS = 10.0


def recommend(problem: PurchaseProblem, seconds: float = 60.0) -> PurchasePlan:
    """What to buy, and when.

    Deterministic as long as ``seconds`` do not end the search. The bound of the status is for purchases of at most the
    sizes that the policy left; it is reached (gap 0) where commitments' scopes nest and their rates are in proportion,
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
    setting = setting_of(problem)
    choice, dropped = _within_policy(setting, began + seconds)
    bill = bill_paths(setting, choice.bought)
    _check(choice, weighed(bill.cost, problem.policy.risk_weight))
    without = bill_paths(setting, np.zeros(len(setting.columns)))
    bought = [j for j, c in enumerate(setting.columns) if not c.renewal and is_bought(setting, j, choice.bought)]
    judged = tuple(judge(setting, j, choice.bought, bill) for j in bought)
    return PurchasePlan(
        recommendations=judged,
        refused=(*setting.refused, *dropped),
        status=_status(choice, time.perf_counter() - began),
        cost=spread(bill.cost),
        cost_without=spread(without.cost),
        cvar90=tail_mean(bill.cost),
        cvar90_without=tail_mean(without.cost),
        regret_p10_usd=_regret(setting, choice.bought, 0.1),
        regret_p90_usd=_regret(setting, choice.bought, 0.9),
        months=setting.horizon.months,
        assumptions=_assumptions(setting),
        sizes=sizes(setting, choice.bought, [(j, r.id) for j, r in zip(bought, judged, strict=True)]) if bought else (),
        coverage=coverage_ahead(setting, bill),
    )


def _within_policy(setting: Setting, deadline: float) -> tuple[Choice, tuple[RefusedOffer, ...]]:
    """Search, shrink what breaks the policy to what it allows, search again; at last drop what still breaks it."""
    most = np.array([c.most for c in setting.columns], dtype=float)
    searcher, reasons = Searcher(setting, SecondStage(setting)), dict[int, str]()
    # What keeps the policy already: where time ends, it is what is left, and not nothing.
    kept: Choice | None = None
    roughly = True
    for number in range(_SHRINKING_ROUNDS + len(most) + 1):
        choice, bought, wrong = _searched(searcher, most, deadline, kept, roughly)
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
            bought[j] = 0.0 if hopeless else largest_allowed(setting, j, bought)
            bought = _without_crumbs(setting, bought)
            for other in _with_renewals(setting, j):
                most[other] = min(most[other], bought[j])
                bought[other] = min(bought[other], most[other])
        kept = replace(choice, bought=bought)
    months = setting.horizon.months
    gone = [
        RefusedOffer(f"{setting.pools[setting.columns[j].pool].id}@{months[setting.columns[j].start]}", why)
        for j, why in sorted(reasons.items())
        if most[j] == 0
    ]
    return choice, tuple(gone)


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
    return fault(setting, j, bought)


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


def _regret(setting: Setting, bought: Floats, quantile: float) -> float:
    """The plan's cost on the path of that rank, by usage, less that of the best purchases for this path alone."""
    usage = setting.horizon.usd.sum(axis=2) @ setting.horizon.hours
    order = np.argsort(usage, kind="stable")
    alone = on_path(setting, int(order[round(quantile * (len(order) - 1))]))
    most = np.array([c.most for c in setting.columns], dtype=float)
    best = search(alone, most, SecondStage(alone), _REGRET_SECONDS)
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
