"""Small questions of purchases, and answers by trying a grid of sizes with a bill of its own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from capacity.domain import Offer
from capacity.optimize.purchases import PurchasePolicy, PurchaseProblem, UsageGroup

ACCOUNT, REGION = "1111", "us-east-1"
YEAR = tuple(f"2026-{m:02d}" for m in range(1, 13))
ANY_BREAK_EVEN = {1: float("inf"), 3: float("inf")}


def group(usd: Any, instance_type: str = "m5.large", price: float = 0.1, account: str = ACCOUNT) -> UsageGroup:
    return UsageGroup(account, REGION, instance_type.split(".")[0], instance_type, price, np.asarray(usd, dtype=float))


def offer(
    name: str,
    product: str = "compute_sp",
    rate: float | Mapping[str, float] = 0.7,
    *,
    scope: str = "",
    years: int = 1,
    upfront: float = 0.0,
    types: Sequence[str] = ("m5.large", "c5.large", "m7g.large"),
) -> Offer:
    payment = {0.0: "no_upfront", 1.0: "all_upfront"}.get(upfront, "partial_upfront")
    rates = dict.fromkeys(types, rate) if isinstance(rate, float) else dict(rate)
    region = "" if product == "compute_sp" else REGION
    return Offer(name, product, years, payment, scope, region, "", rates, upfront)  # type: ignore[arg-type]


def question(
    groups: Sequence[UsageGroup],
    offers: Sequence[Offer],
    *,
    lots_a_month: int = 1,
    months: Sequence[str] = YEAR,
    hours: Sequence[float] | None = None,
    drift: float = 0.0,
    policy: Mapping[str, Any] | None = None,
    **more: Any,
) -> PurchaseProblem:
    lots = tuple(int(t) for t in np.repeat(np.arange(len(months)), lots_a_month))
    each = tuple(hours) if hours is not None else tuple([730.0 / lots_a_month] * len(lots))
    rules = PurchasePolicy(**{"largest_break_even_months": ANY_BREAK_EVEN, **(policy or {})})
    return PurchaseProblem(
        tuple(months), lots, each, tuple(groups), tuple(offers), policy=rules, drift_a_year=drift, **more
    )


def least_cost_of_grid(problem: PurchaseProblem, sizes: Sequence[Sequence[float]], order: Sequence[int]) -> float:
    """Least mean cost over a grid of Savings Plan sizes, all bought at the start of a horizon of one term.

    Offers fill in ``order``, each with one rate for all that it covers.
    """
    hours = np.array(problem.hours)
    best = np.inf
    for chosen in itertools.product(*sizes):
        left = {g.instance_type: np.array(g.usd) for g in problem.groups}
        for k in order:
            o = problem.offers[k]
            free = chosen[k] / next(iter(o.rate.values()))
            inside = [g for g in problem.groups if o.product == "compute_sp" or g.family == o.scope]
            total = np.sum([left[g.instance_type] for g in inside], axis=0)
            share = np.where(total > 0, np.minimum(1.0, free / np.where(total > 0, total, 1.0)), 0.0)
            for g in inside:
                left[g.instance_type] = left[g.instance_type] * (1 - share)
        on_demand = np.sum(list(left.values()), axis=0)
        best = min(best, float(((on_demand + sum(chosen)) @ hours).mean()))
    return best
