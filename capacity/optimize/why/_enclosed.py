"""What single services cost at least and at most, for many moves at once: by knapsacks and covers, without the solver.

A service that shares nothing any more (others kept as planned, its commitments used whole by them) is a matter of its
loads one by one. Knapsacks with weights rounded up prove what each costs at least; covers are plans, so they say what
it costs at most. Quotas are checked on the plan and left out of the bound, which only makes the bound lower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capacity.domain import MixProblem
from capacity.optimize._clock import Deadline
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize.columns._bundles import provisioned
from capacity.optimize.columns._lanes import Counts, Lanes, lanes_of, lost_demand
from capacity.optimize.why._loads import list_prices, loads, usd_of

# (at least, at most), in USD of the horizon.
Interval = tuple[float, float]


@dataclass(frozen=True)
class Covered:
    """A unit's loads: what they cost at least, and covers (L, I) on demand and as spot that keep all its limits."""

    fleet: Fleet
    lanes: Lanes
    low: float
    running: Counts
    spot: Counts

    @property
    def usd(self) -> float:
        """What the covers cost at list prices, the switching penalty with it."""
        return float(usd_of(self.lanes, list_prices(self.lanes), self.running, self.spot).sum())

    @property
    def counts(self) -> dict[tuple[str, str, str, str, str], int]:
        """(unit, month, block, purchase, instance type) -> instances per zone."""
        u, out = self.lanes, {}
        unit, months = str(u.requirement.unit), self.fleet.problem.months
        for purchase, counts in (("on_demand", self.running), ("spot", self.spot)):
            for k, i in zip(*np.nonzero(counts), strict=True):
                t, kind = int(u.months[k]), u.candidates[i].instance_type
                for b in u.blocks[k]:
                    block = self.fleet.blocks[u.s][t][b].block
                    out[unit, months[t], block, purchase, kind] = int(counts[k, i])
        return out


def enclosed(problems: Sequence[MixProblem], deadline: Deadline) -> list[Interval | None]:
    """Between what the cheapest plan of each problem (one unit each) costs; None where that is not known.

    Units that commitments, offers or reservations could serve are not told, nor those whose cheap covers break a limit.

    Raises
    ------
    TimeIsUp
        Where ``deadline`` passes first.
    """
    return [None if found is None else (found.low, found.usd) for found in covered(problems, deadline)]


def covered(problems: Sequence[MixProblem], deadline: Deadline) -> list[Covered | None]:
    """As :func:`enclosed`, with the covers."""
    fleets = [_alone(p) for p in problems]
    units = [None if f is None else lanes_of(f, 0, range(len(f.problem.months))) for f in fleets]
    known = [k for k, u in enumerate(units) if u is not None]
    lanes = [u for u in units if u is not None]
    least, covers = loads(lanes, [list_prices(u) for u in lanes], deadline)
    out: list[Covered | None] = [None] * len(problems)
    for k, u, low, found in zip(known, lanes, least, covers, strict=True):
        fleet = fleets[k]
        if fleet is not None and found is not None and _within_quotas(fleet, u, *found):
            out[k] = Covered(fleet, u, float(low.sum()), *found)
    return out


def _alone(problem: MixProblem) -> Fleet | None:
    """In order; None where more than loads and quotas decide what the unit costs."""
    (r,) = problem.requirements
    shared = problem.commitments or problem.offers or problem.reservations
    return None if shared or r.pinned is not None else fleet_of(problem)


def _within_quotas(fleet: Fleet, u: Lanes, running: Counts, spot: Counts) -> bool:
    """Whether the months' counts keep the unit's own limits and every quota."""
    r = u.requirement
    vcpu = r.zones * np.array([c.vcpu for c in u.candidates], dtype=float)
    for t in np.unique(u.months):
        lanes = np.flatnonzero(u.months == t)
        n = provisioned(u, lanes, running[lanes], spot[lanes], lost_demand(fleet, u, int(t)))
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
