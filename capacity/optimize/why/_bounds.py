"""What a whole fleet costs at least and at most, without a search: at the prices of what couples its units.

Column generation finds what a commitment's cover and a vCPU of a quota are worth (duals). At such prices a fleet falls
apart into loads: knapsacks prove what each costs at least, and their sum is a bound on every plan. The cheapest covers
at the same prices are a plan; its bill, commitments applied as the provider applies them, is what the fleet costs at
most. A quota that one unit has to itself is left out of this, and that unit solved whole where its covers break it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from capacity.domain import Floats, MixProblem, MixSolution, Quota, Unit
from capacity.optimize._billing import grid_shape, usage_rows
from capacity.optimize._book import cost_usd, first_rows
from capacity.optimize._clock import Deadline
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize._result import Counts, Plan
from capacity.optimize.columns._bundles import provisioned
from capacity.optimize.columns._coupling import lane_prices
from capacity.optimize.columns._lanes import Lanes, follows_load, lost_demand
from capacity.optimize.columns._master import lagrangian_usd
from capacity.optimize.columns._part import part_of
from capacity.optimize.columns.memory import Memory, remember
from capacity.optimize.columns.rounds import generate
from capacity.optimize.explain._groups import counts_towards
from capacity.optimize.solve import solve
from capacity.optimize.why._leftover import Leftovers, in_month, searched
from capacity.optimize.why._loads import Prices, at_list_prices, list_prices, loads
from capacity.optimize.why._plan import counts_of

# What costs less than this share of its list price may be run in any number.
_CHEAP_FRAC = 0.5
# Of a unit that is solved whole.
_ALONE_GAP_FRAC = 1e-5
_LEAST_SECONDS = 0.1
# So many units are planned anew beside what the others leave of commitments: each takes a second.
_BESIDE = 3


@dataclass(frozen=True)
class FleetBounds:
    """``low`` and ``high`` hold what the cheapest plan costs, in USD of the horizon with the switching penalty.

    ``fleet`` is without quotas that a unit has to itself; ``lanes``, ``prices``, ``least`` (by unit, (L,)) and ``lows``
    (by unit, at least the sum of ``least``) are what ``low`` is made of. ``high`` is inf where the covers break a quota
    that is shared; ``binding`` are quotas with a price.
    """

    fleet: Fleet
    low: float
    high: float
    lanes: tuple[Lanes, ...]
    prices: tuple[Prices, ...]
    least: tuple[Floats, ...]
    lows: tuple[float, ...]
    binding: frozenset[Quota]


def fleet_bounds(
    problem: MixProblem,
    memory: Memory,
    deadline: Deadline,
    solver: Literal["highs", "cbc"] = "highs",
    seed: int = 1,
) -> FleetBounds:
    """Bounds on the cost of the cheapest plan of ``problem``, for which nothing may be bought.

    ``memory`` holds the duals and columns of a fleet before, and takes these.

    Raises
    ------
    TimeIsUp
        Where ``deadline`` passes first.
    PlanError
        A unit that is solved whole has no plan.
    """
    own = _own_quotas(problem)
    fleet = fleet_of(replace(problem, quotas=tuple(q for q in problem.quotas if q not in own)))
    part = part_of(fleet, range(len(fleet.problem.months)), seed, deadline)
    generate(part, memory, deadline.at)
    remember(part, memory)
    prices = [lane_prices(part.coupling, u, part.duals) for u in part.units]
    least, covers = loads(part.units, prices, deadline)
    plan, lows = _empty(fleet), [float(x.sum()) for x in least]
    for k, u in enumerate(part.units):
        deadline.check()
        mine = [q for q, unit in own.items() if unit == u.requirement.unit]
        found = covers[k]
        if found is None or not _enter(plan, fleet, u, *found) or not _holds(mine, fleet, plan):
            seconds = max(deadline.left, _LEAST_SECONDS)
            whole = solve(_alone(problem, u.requirement.unit, mine), seconds, _ALONE_GAP_FRAC, solver, seed)
            _enter_plan(plan, fleet, u, whole)
            if at_list_prices(u, prices[k]):
                lows[k] = max(lows[k], whole.status.bound)
    others = [u for u, p in zip(part.units, prices, strict=True) if not at_list_prices(u, p)]
    for u in others[:_BESIDE]:
        _beside_others(plan, fleet, u, deadline, solver, seed)
    low = lagrangian_usd(part.coupling, part.duals, np.array(lows))
    high = cost_usd(fleet, plan) if _holds(fleet.problem.quotas, fleet, plan) else math.inf
    binding = frozenset(
        fleet.problem.quotas[int(str(name[1]))]
        for name, dual in zip(part.coupling.names, part.duals, strict=True)
        if name[0] in ("quota", "spot quota") and dual != 0
    )
    return FleetBounds(fleet, low, high, tuple(part.units), tuple(prices), tuple(least), tuple(lows), binding)


def _beside_others(
    plan: Plan, fleet: Fleet, u: Lanes, deadline: Deadline, solver: Literal["highs", "cbc"], seed: int
) -> None:
    """The unit planned anew in months in which the others leave some of a commitment to it."""
    left = Leftovers(fleet, plan.running).of(u.requirement.unit)
    own = replace(fleet.problem, requirements=(u.requirement,), quotas=())
    rows = slice(int(first_rows(fleet)[u.s]), int(first_rows(fleet)[u.s + 1]))
    for t in range(len(fleet.problem.months)) if left is not None else ():
        if left is not None and left.in_month(t):
            month = in_month(own, fleet.problem.months[t])
            found = searched(month, left, t, deadline, _ALONE_GAP_FRAC, solver, seed).plan
            for mine, new in ((plan.running, found.running), (plan.spot, found.spot)):
                mine[rows, t] = 0
                mine[rows, t, : new.shape[2]] = new[:, 0]
            plan.provisioned[rows, t] = found.provisioned[:, 0]


def never_reached(bounds: FleetBounds, quota: Quota, usd: float) -> bool:
    """Whether every plan that uses more of ``quota`` than its limit in some month costs more than ``usd``.

    Then the limit decides nothing, nor does any higher one. A dollar of a load buys at most so many vCPU, its rate.
    For any mu up to one over the largest rate, what a load costs beyond mu a vCPU is at least (1 - mu x rate) of its
    least cost: so ``low`` + mu x (limit - the sum of rate x least cost) bounds all plans above the limit. What
    commitments pay for most of is counted by the unit's largest count instead.
    """
    if quota in bounds.binding or bounds.fleet.reserved:
        return False
    for t in range(len(bounds.fleet.problem.months)):
        bought, largest = 0.0, 0.0
        for k, u in enumerate(bounds.lanes):
            free, rates = _vcpu_per_usd(bounds.fleet, u, bounds.prices[k], quota, t)
            # Of a unit that was solved whole, only the sum over its loads is known.
            whole = bounds.lows[k] > float(bounds.least[k].sum())
            own = bounds.least[k][np.flatnonzero(u.months == t)]
            bought += free + float(rates.max(initial=0.0) * bounds.lows[k] if whole else rates @ own)
            largest = max(largest, float(rates.max(initial=0.0)))
        if bought >= quota.limit or (largest > 0 and bounds.low + (quota.limit - bought) / largest <= usd):
            return False
    return True


def _vcpu_per_usd(fleet: Fleet, u: Lanes, prices: Prices, quota: Quota, t: int) -> tuple[float, Floats]:
    """vCPU of ``quota`` that may cost (nearly) nothing, and (lanes of month t,) the most that a dollar buys of it."""
    r, lanes = u.requirement, np.flatnonzero(u.months == t)
    if (r.account_id, r.unit.region) != (quota.account_id, quota.region):
        return 0.0, np.zeros(len(lanes))
    vcpu = r.zones * np.array([c.vcpu for c in u.candidates], dtype=float)
    on_demand, spot = list_prices(u)
    kinds = (
        (prices[0], on_demand, np.array([c.quota_code == quota.code for c in u.candidates])),
        (prices[1], spot, np.array([c.spot_quota_code == quota.code for c in u.candidates])),
    )
    # A region's loss asks for instances beyond those that run, which cost nothing.
    idle = follows_load(r) and any(b.region_loss_demand > 0 for b in fleet.blocks[u.s][t])
    free, rates = 0.0, np.zeros(len(lanes))
    for usd, listed, counts in kinds:
        cheap = counts & np.array((usd[:, lanes] < _CHEAP_FRAC * listed[:, lanes]).any(axis=1) | idle)
        free += r.max_per_zone * float(vcpu[cheap].max(initial=0.0))
        dear = np.flatnonzero(counts & ~cheap)
        if len(dear) and len(lanes):
            rates = np.maximum(rates, (vcpu[dear, None] / usd[np.ix_(dear, lanes)]).max(axis=0))
    return free, rates


def _own_quotas(problem: MixProblem) -> dict[Quota, Unit]:
    """Quotas that one unit has to itself."""
    out = {}
    for q in problem.quotas:
        units = {r.unit for r in problem.requirements if any(counts_towards(q, r, c) for c in r.candidates)}
        if len(units) == 1:
            out[q] = next(iter(units))
    return out


def _alone(problem: MixProblem, unit: Unit, quotas: Sequence[Quota]) -> MixProblem:
    """One unit at list prices, within quotas of its own."""
    own = tuple(r for r in problem.requirements if r.unit == unit)
    return replace(problem, requirements=own, quotas=tuple(quotas), commitments=(), reservations=())


# --- plans -------------------------------------------------------------------------------------------------


def _empty(fleet: Fleet) -> Plan:
    rows = int(first_rows(fleet)[-1])
    running = np.zeros((rows, *grid_shape(fleet)), dtype=np.int64)
    return Plan(running, running.copy(), np.zeros(running.shape[:2], dtype=np.int64), {})


def _enter(plan: Plan, fleet: Fleet, u: Lanes, running: Counts, spot: Counts) -> bool:
    """Put covers (L, I) in; False where a month's own limits are broken by them."""
    rows = int(first_rows(fleet)[u.s]) + u.types
    for t in (int(t) for t in np.unique(u.months)):
        lanes = np.flatnonzero(u.months == t)
        n = provisioned(u, lanes, running[lanes], spot[lanes], lost_demand(fleet, u, t))
        if n is None:
            return False
        plan.provisioned[rows, t] = n
        for k in lanes:
            for b in u.blocks[k]:
                plan.running[rows, t, b], plan.spot[rows, t, b] = running[k], spot[k]
    return True


def _enter_plan(plan: Plan, fleet: Fleet, u: Lanes, found: MixSolution) -> None:
    """Put in what a plan of the unit alone runs."""
    first, r = int(first_rows(fleet)[u.s]), u.requirement
    mine = slice(first, first + len(r.candidates))
    plan.running[mine], plan.spot[mine], plan.provisioned[mine] = 0, 0, 0
    row = {c.instance_type: first + i for i, c in enumerate(r.candidates)}
    month = {m: t for t, m in enumerate(fleet.problem.months)}
    block = {(b.month, b.block): k for blocks in fleet.blocks[u.s] for k, b in enumerate(blocks)}
    for (_unit, m, b, purchase, kind), n in counts_of(found).items():
        (plan.spot if purchase == "spot" else plan.running)[row[kind], month[m], block[m, b]] = n
    for line in found.provisioned.to_dict("records"):
        if line.get("purchase", "on_demand") != "spot":
            plan.provisioned[row[line["instance_type"]], month[line["month"]]] = line["per_zone"]


def _holds(quotas: Sequence[Quota], fleet: Fleet, plan: Plan) -> bool:
    """Whether every month keeps ``quotas``, what is reserved and not used counted in."""
    owners, candidates = usage_rows(fleet)
    spot = plan.spot.max(axis=2, initial=0)
    used = np.flatnonzero(plan.provisioned.any(axis=1) | spot.any(axis=1))
    for q in quotas:
        total = np.zeros(len(fleet.problem.months))
        for row in used:
            r, c = owners[row], candidates[row]
            if (r.account_id, r.unit.region) == (q.account_id, q.region):
                total += r.zones * c.vcpu * (c.quota_code == q.code) * plan.provisioned[row]
                total += r.zones * c.vcpu * (c.spot_quota_code == q.code) * spot[row]
        total += _idle_vcpu(q, fleet, plan)
        if (total > q.limit * (1 + 1e-9)).any():
            return False
    return True


def _idle_vcpu(q: Quota, fleet: Fleet, plan: Plan) -> Floats:
    """(months,) vCPU that are reserved and not used."""
    owners, candidates = usage_rows(fleet)
    out = np.zeros(len(fleet.problem.months))
    for kind in fleet.reserved:
        if (kind.account_id, kind.region, kind.quota_code) == (q.account_id, q.region, q.code):
            rows = [k for k, (r, c) in enumerate(zip(owners, candidates, strict=True)) if kind.holds(r, c)]
            runs = sum(owners[k].zones * plan.provisioned[k] for k in rows)
            held = np.array([fleet.reserved_most(kind, t) for t in range(len(out))])
            out += kind.vcpu * np.maximum(held - runs, 0)
    return out
