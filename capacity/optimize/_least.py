"""What any plan costs at least, by month, and a quota that is too small however units choose: arithmetic, no solver."""

from __future__ import annotations

import math

import numpy as np

from capacity.domain import Floats, Quota
from capacity.optimize._fleet import Fleet
from capacity.optimize.columns._lanes import Lanes, lanes_of


def least_usd(fleet: Fleet) -> Floats:
    """(months,) what every plan costs at least, in USD, less what own commitments could cover at best.

    A load costs no less than its dearest need at the type that holds it cheapest; what is bought covers all of it at
    the lowest rate there is. What is owned is paid whole.
    """
    problem, out = fleet.problem, np.zeros(len(fleet.problem.months))
    for s in range(len(fleet.requirements)):
        u = lanes_of(fleet, s, range(len(problem.months)))
        if u is not None:
            np.add.at(out, u.months, _lane_least(u))
    prices: dict[str, float] = {}
    for c in (c for r in fleet.requirements for c in r.candidates):
        prices[c.instance_type] = max(c.usd_per_hour, prices.get(c.instance_type, 0.0))
    paid, coverable = np.zeros_like(out), np.zeros_like(out)
    for lot in fleet.lots:
        for owned in (fleet.commitments[k] for k in lot.active):
            paid[lot.month] += lot.hours * owned.hourly_usd
            if owned.product == "standard_ri":
                coverable[lot.month] += lot.hours * owned.count * prices.get(owned.scope, 0.0)
            else:
                coverable[lot.month] += lot.hours * owned.hourly_usd / problem.committed_rate[owned.id]
    lowest = min((rate for offer in fleet.offers for rate in offer.rate.values()), default=1.0)
    least: Floats = paid + min(lowest, 1.0) * np.maximum(out - coverable, 0.0)
    return least


def short_quota(fleet: Fleet) -> Quota | None:
    """A quota that is proven too small by arithmetic: its units need more vCPU of it, however they choose.

    Only units all of whose types count towards the quota need any of it. None proves nothing.
    """
    for quota in fleet.problem.quotas:
        need = np.zeros(len(fleet.problem.months))
        for s, r in enumerate(fleet.requirements):
            u = lanes_of(fleet, s, range(len(need))) if in_place(quota, fleet, s) else None
            vcpu = [float(c.vcpu) if c.quota_code == quota.code else 0.0 for c in u.candidates] if u else []
            if u is None or not vcpu or min(vcpu) <= 0 or r.spot_max_frac > 0:
                continue
            least = _least_of(u, np.array(vcpu) * r.zones)
            for t in np.unique(u.months):
                need[t] += float(least[u.months == t].max())
        if (need > quota.limit * (1 + 1e-6) + 1e-6).any():
            return quota
    return None


def in_place(quota: Quota, fleet: Fleet, s: int) -> bool:
    """Whether the quota counts the unit: of its account and region."""
    r = fleet.requirements[s]
    return (r.account_id, r.unit.region) == (quota.account_id, quota.region)


def _lane_least(u: Lanes) -> Floats:
    """(L,) USD that a lane costs at least, on demand or as spot, uncovered."""
    # A spot instance is relied on for less than one.
    spot = u.spot_usd / np.array([1.0 - c.spot_buffer_frac for c in u.candidates])
    least = _least_of(u, np.minimum(u.usd, spot))
    fewest = u.requirement.min_per_zone * float(np.minimum(u.usd, u.spot_usd).min(initial=math.inf))
    return np.asarray(np.maximum(least, fewest if math.isfinite(fewest) else 0.0) * u.hours, dtype=float)


def _least_of(u: Lanes, price: Floats) -> Floats:
    """(L,) the linear relaxation of each lane at ``price`` (I,): the dearest of its rows."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(u.weight > 0, price[None, :] / u.weight, math.inf).min(axis=1, initial=math.inf)
        by_row = np.where(u.need > 0, u.need * rate[:, None], 0.0)
    least = by_row.max(axis=0, initial=0.0)
    return np.asarray(np.where(np.isfinite(least), least, 0.0), dtype=float)
