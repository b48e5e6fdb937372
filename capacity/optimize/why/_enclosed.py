"""What single services cost at least and at most, for many moves at once: by knapsacks and covers, without the solver.

A service that shares nothing any more (others kept as planned, its commitments used whole by them) is a matter of its
loads one by one. Knapsacks with weights rounded up prove what each costs at least; covers are plans, so they say what
it costs at most. Quotas are checked on the plan and left out of the bound, which only makes the bound lower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from capacity.domain import Floats, MixProblem
from capacity.optimize._clock import Deadline
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize.columns._bound import least_costs, stacked
from capacity.optimize.columns._bundles import provisioned
from capacity.optimize.columns._covers import covers_of
from capacity.optimize.columns._deep import deep_sacks, walked
from capacity.optimize.columns._lanes import Counts, Lanes, lanes_of
from capacity.optimize.columns.rounds import cheapest

# (at least, at most), in USD of the horizon.
Interval = tuple[float, float]


def enclosed(problems: Sequence[MixProblem], cells: int, deadline: Deadline) -> list[Interval | None]:
    """Between what the cheapest plan of each problem (one unit each) costs; None where that is not known.

    ``cells`` are those of the knapsacks: more of them prove more, and take as much longer. Units that commitments,
    offers or reservations could serve are not told, nor those whose cheap covers break a limit.

    Raises
    ------
    TimeIsUp
        Where ``deadline`` passes first.
    """
    fleets = [_alone(p) for p in problems]
    units = [None if f is None else lanes_of(f, 0, range(len(f.problem.months))) for f in fleets]
    known = [k for k, u in enumerate(units) if u is not None]
    lanes = [u for u in units if u is not None]
    prices = [_prices(u) for u in lanes]
    least = least_costs(lanes, prices, cells, deadline)
    deep = _deep(lanes, cells, deadline)
    out: list[Interval | None] = [None] * len(problems)
    begin = 0
    for k, u, further in zip(known, lanes, deep, strict=True):
        deadline.check()
        fleet, low = fleets[k], float(least[begin : begin + len(u.hours)].sum())
        begin += len(u.hours)
        high = math.inf if fleet is None else _plan_usd(fleet, u, further)
        out[k] = (low, high) if math.isfinite(high) else None
    return out


def _alone(problem: MixProblem) -> Fleet | None:
    """In order; None where more than loads and quotas decide what the unit costs."""
    (r,) = problem.requirements
    shared = problem.commitments or problem.offers or problem.reservations
    return None if shared or r.pinned is not None else fleet_of(problem)


def _prices(u: Lanes) -> tuple[Floats, Floats]:
    """(I, L) USD of an instance in every zone, on demand and as spot."""
    return u.usd[:, None] * u.hours[None, :], u.spot_usd[:, None] * u.hours[None, :]


def _deep(lanes: Sequence[Lanes], cells: int, deadline: Deadline) -> list[Counts]:
    """(L, I) covers of any number of types of each unit; zeros where there is none."""
    sacks, places = [], []
    for at, u in enumerate(lanes):
        free = np.flatnonzero((u.need > 0).any(axis=0) & ~u.fixed)
        if len(free) and not u.requirement.vertical:
            sacks.append(deep_sacks(u, np.arange(len(u.types)), _prices(u)[0], free))
            places.append((at, free))
    out = [np.zeros((len(u.hours), len(u.types)), dtype=np.int64) for u in lanes]
    counts = walked(stacked(sacks), cells, deadline) if sacks else np.zeros((0, 0), dtype=np.int64)
    begin = 0
    for at, free in places:
        out[at][free] = counts[begin : begin + len(free), : len(lanes[at].types)]
        begin += len(free)
    return out


def _plan_usd(fleet: Fleet, u: Lanes, deep: Counts) -> float:
    """What the cheaper of each load's covers cost together, the switching penalty with it; inf where they break it."""
    usd, spot_usd = _prices(u)
    cost, running, spot = cheapest(u, covers_of(u, np.arange(len(u.types))), usd, spot_usd)
    nothing = np.zeros_like(deep)
    other = np.where(u.allows(deep, nothing), (usd.T * deep).sum(axis=1) + u.leave_cost(deep), np.inf)
    better = other < cost
    running, spot = np.where(better[:, None], deep, running), np.where(better[:, None], 0, spot)
    total = float(np.minimum(cost, other).sum())
    holds = math.isfinite(total) and u.allows(running, spot).all() and _within_quotas(fleet, u, running, spot)
    return total if holds else math.inf


def _within_quotas(fleet: Fleet, u: Lanes, running: Counts, spot: Counts) -> bool:
    """Whether the months' counts keep the unit's own limits and every quota."""
    r = u.requirement
    vcpu = r.zones * np.array([c.vcpu for c in u.candidates], dtype=float)
    for t in np.unique(u.months):
        lanes = np.flatnonzero(u.months == t)
        n = provisioned(fleet, u, lanes, running[lanes], spot[lanes])
        if n is None:
            return False
        for quota in fleet.problem.quotas:
            if (quota.account_id, quota.region) == (r.account_id, r.unit.region):
                on_demand = np.array([c.quota_code == quota.code for c in u.candidates])
                as_spot = np.array([c.spot_quota_code == quota.code for c in u.candidates])
                used = float(vcpu @ (on_demand * n + as_spot * spot[lanes].max(axis=0)))
                if used > quota.limit * (1 + 1e-9):
                    return False
    return True
