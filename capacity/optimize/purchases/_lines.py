"""Commitments as lines of one kind: what each may cover, at which rate, when, and at what price.

A *pool* is an owned commitment or an offer: a set of groups, and for each the units of it that an on-demand dollar
uses (its rate for a Savings Plan, 1 / price for an RI, whose unit is an instance). A *column* is a purchase of an offer
in one month. When its term is over it may be bought again, in a size of its own, until the horizon ends: without
these *renewals* a year's commitment would be compared to three with two years of on demand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from capacity.domain import Candidate, Commitment, Floats, Offer
from capacity.errors import MissingDataError, UsageError
from capacity.optimize._fleet import PRODUCT_ORDER, eligible
from capacity.optimize.purchases._horizon import Horizon, horizon_of
from capacity.optimize.purchases.types import PurchaseProblem, RefusedOffer, UsageGroup


@dataclass(frozen=True)
class Pool:
    """``units_per_usd`` is (G,), inf where not covered; ``offer`` is None where owned.

    ``rate`` (G,) is the price of covered usage as a share of on demand, by which the provider orders (0 for an owned
    RI without one). ``fixed`` (K,) units run in any case: those of an owned commitment. ``unit_usd`` is what a unit
    costs an hour.
    """

    id: str
    product: str
    account_id: str
    units_per_usd: Floats
    rate: Floats
    unit_usd: float
    fixed: Floats
    offer: Offer | None = None

    @property
    def covers(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        out: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.isfinite(self.units_per_usd)
        return out


@dataclass(frozen=True)
class Step:
    """The groups that pool ``pool`` covers at ``rate``, as positions."""

    pool: int
    rate: float
    groups: np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class Column:
    """``pool`` is a position; bought at the start of month ``start`` and running before month ``end`` (positions).

    ``hours`` are those it is paid for within the horizon, ``most`` the largest size that could be used. Only what is
    bought now must be whole instances of an RI: a renewal is a stand-in for a decision that is made later.
    """

    pool: int
    offer: Offer
    start: int
    end: int
    hours: float
    renewal: bool
    integer: bool
    most: float


@dataclass(frozen=True)
class Setting:
    """A problem ready to be solved: pools, columns, and the lots they work in."""

    problem: PurchaseProblem
    horizon: Horizon
    pools: tuple[Pool, ...]
    columns: tuple[Column, ...]
    refused: tuple[RefusedOffer, ...]

    @property
    def runs(self) -> Floats:
        """(columns, months) 1 where a column runs."""
        t = np.arange(len(self.horizon.months))
        return np.array([(c.start <= t) & (t < c.end) for c in self.columns], dtype=float).reshape(-1, len(t))

    @property
    def price(self) -> Floats:
        """(columns,) USD over the horizon for a unit."""
        return np.array([self.pools[c.pool].unit_usd * c.hours for c in self.columns], dtype=float)

    @property
    def owned_usd(self) -> float:
        """What the owned commitments cost over the horizon."""
        return float(sum(p.unit_usd * (p.fixed @ self.horizon.hours) for p in self.pools))

    def units(self, bought: Floats) -> Floats:
        """(pools, K) units that run when ``bought`` (columns,) is bought."""
        out = np.stack([p.fixed for p in self.pools]) if self.pools else np.zeros((0, len(self.horizon.hours)))
        runs = self.runs[:, self.horizon.month]
        for j, c in enumerate(self.columns):
            out[c.pool] += bought[j] * runs[j]
        return out


def setting_of(problem: PurchaseProblem) -> Setting:
    """Validate ``problem`` and put it in order.

    Raises
    ------
    UsageError
        Names what is wrong of months, lots, paths and policy.
    MissingDataError
        An owned Savings Plan without its rate.
    """
    _check(problem)
    groups = problem.groups
    refused = [r for o in problem.offers if (r := _refusal(o, groups)) is not None]
    offers = [o for o in problem.offers if o.id not in {r.offer for r in refused}]
    buys = _buy_months(problem)
    least = max((b + 12 * o.term_years for b in buys for o in offers), default=len(problem.months))
    horizon = horizon_of(problem, max(least, problem.least_months))
    pools = [_owned(c, problem, horizon.owned[i]) for i, c in enumerate(problem.commitments)]
    pools += [_offered(o, groups, len(horizon.hours)) for o in offers]
    columns = [c for i, p in enumerate(pools) if p.offer for b in buys for c in _columns(i, p, p.offer, b, horizon)]
    return Setting(problem, horizon, tuple(pools), tuple(columns), tuple(refused))


def narrowed(setting: Setting, bought: Floats) -> tuple[Setting, list[int]]:
    """``setting`` with what is owned and what of ``bought`` (columns,) is bought alone, and the columns that are left.

    What is not bought changes no bill: a plan of ten offers out of hundreds is judged in a tenth of the time.
    """
    kept = [j for j, amount in enumerate(bought) if amount > 0]
    used = {setting.columns[j].pool for j in kept}
    pools = [c for c, pool in enumerate(setting.pools) if pool.offer is None or c in used]
    columns = tuple(replace(setting.columns[j], pool=pools.index(setting.columns[j].pool)) for j in kept)
    return replace(setting, pools=tuple(setting.pools[c] for c in pools), columns=columns), kept


def longest(problem: PurchaseProblem) -> int:
    """Months until the last of all purchases that ``problem`` offers would have ended."""
    return max((b + 12 * o.term_years for b in _buy_months(problem) for o in problem.offers), default=0)


def steps_of(pools: Sequence[Pool]) -> list[Step]:
    """The provider's order: by product, then the lowest rate first, an account's own before what is shared."""
    steps = [
        Step(c, rate, np.flatnonzero(p.covers & (p.rate == rate)))
        for c, p in enumerate(pools)
        for rate in sorted(set(p.rate[p.covers].tolist()))
    ]

    def order(step: Step) -> tuple[int, float, bool, bool, str]:
        pool = pools[step.pool]
        return PRODUCT_ORDER[pool.product], step.rate, pool.account_id == "", pool.offer is not None, pool.id

    return sorted(steps, key=order)


def _owned(commitment: Commitment, problem: PurchaseProblem, runs: Floats) -> Pool:
    is_ri = commitment.product == "standard_ri"
    rate = problem.committed_rate.get(commitment.id, 0.0 if is_ri else math.nan)
    if not is_ri and not 0 < rate <= 1:
        raise MissingDataError(
            f"no committed rate in (0, 1] for {commitment.product} {commitment.id}: give the price of covered usage as "
            "a share of on demand, or leave the commitment out; it is never guessed"
        )
    uses = [
        (1 / g.usd_per_hour if is_ri else rate) if covers_group(commitment, g) else math.inf for g in problem.groups
    ]
    amount = float(commitment.count) if is_ri else commitment.hourly_usd
    return Pool(
        id=f"owned {commitment.id}",
        product=commitment.product,
        account_id=commitment.account_id,
        units_per_usd=np.array(uses),
        rate=np.full(len(uses), rate),
        unit_usd=commitment.hourly_usd / amount if is_ri else 1.0,
        fixed=amount * runs,
    )


def _offered(offer: Offer, groups: Sequence[UsageGroup], lots: int) -> Pool:
    is_ri = offer.product == "standard_ri"
    rate = np.array([offer.rate[g.instance_type] if covers_group(offer, g) else math.inf for g in groups])
    uses = np.array(
        [1 / g.usd_per_hour if is_ri and covers_group(offer, g) else x for g, x in zip(groups, rate, strict=True)]
    )
    price = next(g.usd_per_hour for g in groups if covers_group(offer, g))
    return Pool(
        id=offer.id,
        product=offer.product,
        account_id=offer.account_id,
        units_per_usd=uses,
        rate=rate,
        unit_usd=offer.rate[offer.scope] * price if is_ri else 1.0,
        fixed=np.zeros(lots),
        offer=offer,
    )


def covers_group(line: Commitment | Offer, group: UsageGroup) -> bool:
    """The rule that owned commitments follow, asked for a type that runs."""
    candidate = Candidate(group.instance_type, group.family, "", 0, "", group.usd_per_hour, 0.0, 0.0)
    return eligible(line, group.account_id, group.region, candidate)


def _refusal(offer: Offer, groups: Sequence[UsageGroup]) -> RefusedOffer | None:
    covered = [g for g in groups if covers_group(offer, g)]
    types = sorted({g.instance_type for g in covered})
    missing = [t for t in types if t not in offer.rate]
    odd = [f"{t}: {offer.rate[t]:g}" for t in types if t in offer.rate and not 0 < offer.rate[t] < 1]
    if not covered:
        return RefusedOffer(offer.id, "nothing that the plan runs is in its scope")
    if missing:
        return RefusedOffer(offer.id, f"no rate is known for {', '.join(missing)}, which it would cover")
    if odd:
        return RefusedOffer(offer.id, f"a rate must be above 0 and below 1 of on demand; found {', '.join(odd)}")
    if not 0 <= offer.upfront_frac <= 1:
        return RefusedOffer(offer.id, f"upfront_frac {offer.upfront_frac:g}: must be from 0 to 1")
    prices = sorted({g.usd_per_hour for g in covered})
    if offer.product == "standard_ri" and len(prices) > 1:
        return RefusedOffer(offer.id, f"one instance has several prices in its scope: {prices}; offer it by region")
    return None


def _buy_months(problem: PurchaseProblem) -> list[int]:
    policy, months = problem.policy, problem.months
    wanted = policy.buy_months or (months if policy.ladder else months[:1])
    positions = sorted({months.index(m) for m in wanted})
    return positions if policy.ladder else positions[:1]


def _columns(position: int, pool: Pool, offer: Offer, buy: int, horizon: Horizon) -> list[Column]:
    term, out = 12 * offer.term_years, []
    total = horizon.by_month(horizon.hours)
    # More than the largest usage is never used.
    value = horizon.usd[..., pool.covers] * pool.units_per_usd[pool.covers]
    most = float(value.sum(axis=-1).max())
    is_ri = offer.product == "standard_ri"
    for start in range(buy, len(horizon.months), term):
        end = min(start + term, len(horizon.months))
        out.append(
            Column(
                pool=position,
                offer=offer,
                start=start,
                end=end,
                hours=float(total[start:end].sum()),
                renewal=start > buy,
                integer=is_ri and start == buy,
                most=math.ceil(most) if is_ri else most,
            )
        )
    return out


def _check(problem: PurchaseProblem) -> None:
    lots, policy = len(problem.hours), problem.policy
    bad = []
    if not problem.groups:
        bad.append("no usage")
    if not problem.months or list(problem.lot_month) != sorted(problem.lot_month) or len(problem.lot_month) != lots:
        bad.append("lots must be in order of months, each with its hours")
    elif set(problem.lot_month) != set(range(len(problem.months))):
        bad.append("every month needs a lot")
    shapes = {np.shape(g.usd) for g in problem.groups}
    if len(shapes) > 1 or any(len(s) != 2 or s[0] < 1 or s[1] != lots for s in shapes):
        bad.append(f"usage must be (paths, {lots}) in every group; found {sorted(shapes)}")
    elif any(not np.isfinite(g.usd).all() or np.min(g.usd) < 0 or not 0 < g.usd_per_hour < math.inf
             for g in problem.groups):  # fmt: skip
        bad.append("usage must be finite and 0 or more, and prices above 0")
    bad += [f"buy month {m} is not of the horizon" for m in policy.buy_months if m not in problem.months]
    ids = [o.id for o in problem.offers]
    bad += [f"offer {i} is given twice" for i in sorted({i for i in ids if ids.count(i) > 1})]
    bad += [
        f"no largest break-even for a term of {y} years"
        for y in sorted({o.term_years for o in problem.offers} - set(policy.largest_break_even_months))
    ]
    if not (0 <= policy.risk_weight <= 1 and 0 <= policy.least_utilisation_frac <= 1):
        bad.append("risk_weight and least_utilisation_frac must be from 0 to 1")
    if any(h <= 0 for h in problem.hours) or any(c.hourly_usd < 0 for c in problem.commitments):
        bad.append("hours of lots must be above 0, prices of owned commitments 0 or more")
    if bad:
        raise UsageError("not a question of purchases that can be answered:\n" + "\n".join(f"  - {b}" for b in bad))
