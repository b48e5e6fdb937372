"""The mix asked for again with purchases in mind, and its answer billed as the problem that was given.

Two ways to ask. *Priced*: every type costs what it would on average under the best commitment that may be bought for
it, so a type that is dear on demand and cheap under a commitment is seen as what it is. *Owned*: what is to be bought
is there already, so its price is paid and what it covers is free; what it leaves unused is then filled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from capacity.domain import Candidate, Commitment, Floats, MixProblem, MixSolution, Offer, Unit, UnitRequirement
from capacity.optimize._billing import grid_shape, usage_rows
from capacity.optimize._fleet import TERM_YEAR, Fleet, eligible, fleet_of, month_window, offered_rate
from capacity.optimize._result import PENALTY_NOTE, Plan, Proof, solution_of
from capacity.optimize.purchases._lines import covers_group
from capacity.optimize.purchases.types import PurchasePlan, PurchaseProblem

# Rates that differ by less than this share leave the order of prices as it is, but for types of all but the same price.
_EVEN = 1e-3

# How the search for a mix that was asked for with purchases in mind has ended: its gap on demand is no fault of it.
TOGETHER = "chosen for its cost with purchases"


def is_even(problem: MixProblem, offers: Sequence[Offer]) -> bool:
    """Whether every unit's types may all be had at one rate: then commitments leave their order of prices as it is."""
    best = best_rates(problem, offers)
    for r in problem.requirements:
        rates = [best[r.unit, c.instance_type] for c in r.candidates if c.allowed]
        if rates and max(rates) - min(rates) > _EVEN * min(rates):
            return False
    return True


def best_rates(problem: MixProblem, offers: Sequence[Offer]) -> dict[tuple[Unit, str], float]:
    """(unit, type) -> the lowest rate of any of ``offers``, as a share of on demand; 1 where none may cover it."""
    known: dict[tuple[str, str, str], float] = {}
    out = {}
    for r in problem.requirements:
        for c in r.candidates:
            # Units of an account and region have the same offers for a type.
            key = (r.account_id, r.unit.region, c.instance_type)
            if key not in known:
                rates = (offered_rate(o, r, c) for o in offers)
                known[key] = min((rate for rate in rates if rate is not None), default=1.0)
            out[r.unit, c.instance_type] = known[key]
    return out


# --- priced ------------------------------------------------------------------------------------------------


def price_factor(usd: Floats, hours: Floats, rate: float) -> float:
    """What usage costs with the best size of one commitment that covers all of it, as a share of on demand.

    least over q of  (rate q sum(h) + sum h mean_p max(v - q, 0)) / sum h mean_p v, whose q is the (1 - rate) quantile
    of the hours of all paths.

    Parameters
    ----------
    usd
        (P, K) on-demand value an hour of each path and lot.
    hours
        (K,) of the lots.

    >>> price_factor(np.array([[10.0, 10.0]]), np.array([1.0, 1.0]), 0.6)
    0.6
    >>> price_factor(np.array([[10.0, 0.0]]), np.array([1.0, 1.0]), 0.6)
    1.0
    """
    weight = np.broadcast_to(hours / len(usd), usd.shape).ravel()
    level = usd.ravel()
    whole = float(weight @ level)
    if whole <= 0:
        return rate
    order = np.argsort(-level, kind="stable")
    above = np.cumsum(weight[order])
    at = int(np.searchsorted(above, rate * above[-1], side="right"))
    q = float(level[order[at]]) if at < len(order) else 0.0
    paid = rate * q * float(weight.sum()) + float(weight @ np.maximum(level - q, 0.0))
    return min(paid / whole, 1.0)


def as_priced(problem: MixProblem, offers: Sequence[Offer], asked: PurchaseProblem) -> MixProblem:
    """``problem`` at each type's price under the best commitment for it, for usage of its region's shape in ``asked``.

    Rates of owned Savings Plans rise as prices fall, so that they still cover as many instances.
    """
    factor: dict[tuple[str, float], float] = {}
    shape, best = _by_region(asked), best_rates(problem, offers)
    hours = np.array(asked.hours)

    def of(r: UnitRequirement, c: Candidate) -> float:
        rate, region = best[r.unit, c.instance_type], r.unit.region
        if rate >= 1 or region not in shape:
            return 1.0
        if (region, rate) not in factor:
            factor[region, rate] = price_factor(shape[region], hours, rate)
        return factor[region, rate]

    factors = {(r.unit, c.instance_type): of(r, c) for r in problem.requirements for c in r.candidates}
    units = tuple(
        replace(
            r,
            candidates=tuple(
                replace(c, usd_per_hour=c.usd_per_hour * factors[r.unit, c.instance_type]) for c in r.candidates
            ),
        )
        for r in problem.requirements
    )
    raised = {
        owned.id: _raised(problem, owned, factors) for owned in problem.commitments if owned.product != "standard_ri"
    }
    return replace(problem, requirements=units, committed_rate={**problem.committed_rate, **raised})


def _by_region(asked: PurchaseProblem) -> dict[str, Floats]:
    out: dict[str, Floats] = {}
    for g in asked.groups:
        out[g.region] = out[g.region] + g.usd if g.region in out else np.asarray(g.usd, dtype=float)
    return out


def _raised(problem: MixProblem, owned: Commitment, factors: Mapping[tuple[Unit, str], float]) -> float:
    """The rate of an owned Savings Plan by the mean factor of what it may cover; no more than all of the price."""
    inside = [
        factors[r.unit, c.instance_type]
        for r in problem.requirements
        for c in r.candidates
        if eligible(owned, r.account_id, r.unit.region, c)
    ]
    mean = sum(inside) / len(inside) if inside else 1.0
    return min(problem.committed_rate[owned.id] / mean, 1.0)


def as_before(problem: MixProblem, known: MixProblem, asked: MixProblem) -> MixProblem:
    """``problem`` as ``known`` was asked for (``asked``): a scenario is held to the prices of its base.

    Prices move by the same share by region and type; commitments are those that were there, or taken to be.
    """
    pairs = [
        ((r.unit.region, c.instance_type), seen.usd_per_hour / c.usd_per_hour)
        for r, s in zip(known.requirements, asked.requirements, strict=True)
        for c, seen in zip(r.candidates, s.candidates, strict=True)
        if c.usd_per_hour > 0
    ]
    times = dict(pairs)
    units = tuple(
        replace(
            r,
            candidates=tuple(
                replace(c, usd_per_hour=c.usd_per_hour * times.get((r.unit.region, c.instance_type), 1.0))
                for c in r.candidates
            ),
        )
        for r in problem.requirements
    )
    return replace(
        problem, requirements=units, commitments=asked.commitments, committed_rate=dict(asked.committed_rate)
    )


# --- owned -------------------------------------------------------------------------------------------------


def as_owned(problem: MixProblem, asked: PurchaseProblem, plan: PurchasePlan) -> MixProblem:
    """``problem`` with the recommendations of ``plan`` as commitments that are owned from their month on.

    An owned Savings Plan has one rate: the mean of its offer's over what ``asked`` runs in its scope, by value.
    """
    by_id, hours = {o.id: o for o in asked.offers}, dict(zip(problem.months, problem.month_hours, strict=True))
    owned, rates = [], {}
    for r in plan.recommendations:
        offer = by_id[r.offer]
        start, _ = month_window(r.buy_month, hours[r.buy_month], r.buy_month == problem.months[0])
        end = start + r.term_years * TERM_YEAR
        owned.append(
            Commitment(r.id, r.account_id, offer.product, r.scope, r.region, r.hourly_usd, r.count, start, end)
        )
        rates[r.id] = _mean_rate(offer, asked)
    return replace(
        problem,
        commitments=(*problem.commitments, *owned),
        committed_rate={**problem.committed_rate, **rates},
    )


def _mean_rate(offer: Offer, asked: PurchaseProblem) -> float:
    hours = np.array(asked.hours)
    value = {g: float((g.usd @ hours).mean()) for g in asked.groups if covers_group(offer, g)}
    rates = {g: offer.rate[g.instance_type] for g in value}
    whole = sum(value.values())
    return sum(rates[g] * usd for g, usd in value.items()) / whole if whole > 0 else max(rates.values())


# --- the answer --------------------------------------------------------------------------------------------


def as_asked(problem: MixProblem, found: MixSolution, first: MixSolution, gap_frac: float) -> MixSolution:
    """The counts of ``found``, whose prices or inventory were others, billed and verified as a plan of ``problem``.

    The bound is that of ``first``, which was proven for ``problem`` itself and so holds for every plan of it. Where the
    objective of ``first`` is its spend alone (its notes speak of no switching penalty), so is this one's.

    Raises
    ------
    PlanCheckError
        The plan breaks a requirement.
    """
    # A first mix that leaves nothing has a penalty of 0: only what it says of its objective tells the two apart.
    spend_only = not any(n.startswith(PENALTY_NOTE) for n in first.notes)
    fleet = fleet_of(replace(problem, switching_penalty_frac=0.0) if spend_only else problem)
    ended = [s.termination for s in (found.status, first.status) if "time" in s.termination]
    notes = tuple(n for n in found.notes if not n.startswith(PENALTY_NOTE) and n not in first.notes)
    proof = Proof(
        bound=first.status.bound,
        termination="; ".join((*ended[:1], TOGETHER)),
        gap_frac=gap_frac,
        solver=found.status.solver,
        began=-found.status.runtime_seconds - first.status.runtime_seconds,
        notes=notes,
        clock=lambda: 0.0,
    )
    return solution_of(fleet, plan_of(fleet, found), proof)


def plan_of(fleet: Fleet, found: MixSolution) -> Plan:
    """The counts of a solution's frames; nothing is bought."""
    owners, candidates = usage_rows(fleet)
    row_at = {(str(r.unit), c.instance_type): row for row, (r, c) in enumerate(zip(owners, candidates, strict=True))}
    months = {month: t for t, month in enumerate(fleet.problem.months)}
    block_at = {
        (str(r.unit), b.month, b.block): k
        for s, r in enumerate(fleet.requirements)
        for blocks in fleet.blocks[s]
        for k, b in enumerate(blocks)
    }
    running = np.zeros((len(owners), *grid_shape(fleet)), dtype=np.int64)
    spot, provisioned = running.copy(), np.zeros(running.shape[:2], dtype=np.int64)
    for row in found.running.to_dict("records"):
        at = (row_at[row["unit"], row["instance_type"]], months[row["month"]])
        counts = spot if row["purchase"] == "spot" else running
        counts[(*at, block_at[row["unit"], row["month"], row["block"]])] = row["per_zone"]
    on_demand = found.provisioned[found.provisioned["purchase"] == "on_demand"]
    for row in on_demand.to_dict("records"):
        provisioned[row_at[row["unit"], row["instance_type"]], months[row["month"]]] = row["per_zone"]
    return Plan(running, spot, provisioned, {})
