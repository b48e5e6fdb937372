"""Limits of the provider by account, region and class, and the capacity that is reserved there."""

from __future__ import annotations

import math
from typing import Any

from capacity.domain import Quota, UnitRequirement
from capacity.optimize.model._words import MixModel, Row, autoscales


def define_reservation_constraints(model: MixModel) -> None:
    """idle[z,l] >= what is reserved - what runs of it on demand: only what is not used costs extra."""
    fleet = model.fleet
    for position, lot in enumerate(fleet.lots):
        for z, kind in enumerate(fleet.reserved):
            count = float(fleet.reserved_count(kind, lot))
            if not count:
                continue
            idle = model.idle[z, position] = model.variable("d", len(model.idle), count, integer=False)
            terms = {idle: 1.0 / count}
            for s, i in _members(model, z):
                zones = fleet.requirements[s].zones
                for b, share in enumerate(fleet.presence[s][lot.month][:, lot.level]):
                    r = model.running[s, i, lot.month, b]
                    terms[r] = terms.get(r, 0.0) + zones * float(share) / count
            model.add(Row("reservation", None, lot.month, z, scale=count), terms, ">=", 1.0)


def _members(model: MixModel, z: int) -> list[tuple[int, int]]:
    kind = model.fleet.reserved[z]
    return [(s, i) for s, r in enumerate(model.fleet.requirements) for i, c in model.allowed(s) if kind.holds(r, c)]


def define_quota_constraints(model: MixModel) -> None:
    """vCPU by class: on demand of what is provisioned and reserved, spot of the most that runs in the month.

    The running fleet's own use is what the plan replaces.
    """
    for q, quota in enumerate(model.fleet.problem.quotas):
        if not math.isfinite(quota.limit):
            continue
        for t in range(len(model.fleet.problem.months)):
            spot = _spot_vcpu(model, quota, t)
            terms = _on_demand_vcpu(model, quota, t) | _reserved_vcpu(model, quota, t)
            family = "quota" if terms or not spot else "spot_quota"
            if terms or spot:
                scale = max(quota.limit, 1.0)
                scaled = {v: vcpu / scale for v, vcpu in (terms | spot).items()}
                model.add(Row(family, None, t, q, scale=scale), scaled, "<=", quota.limit / scale)


def _counted(requirement: UnitRequirement, quota: Quota) -> bool:
    return (requirement.account_id, requirement.unit.region) == (quota.account_id, quota.region)


def _on_demand_vcpu(model: MixModel, quota: Quota, t: int) -> dict[Any, float]:
    return {
        model.provisioned[s, i, t]: float(requirement.zones * c.vcpu)
        for s, requirement in enumerate(model.fleet.requirements)
        if _counted(requirement, quota)
        for i, c in model.allowed(s)
        if c.quota_code == quota.code and (s, i, t) in model.provisioned
    }


def _reserved_vcpu(model: MixModel, quota: Quota, t: int) -> dict[Any, float]:
    """idle_in_month[z,t] >= what is reserved - what is provisioned of it: held capacity counts, used or not."""
    out = {}
    for z, kind in enumerate(model.fleet.reserved):
        count = float(model.fleet.reserved_most(kind, t))
        here = (kind.account_id, kind.region, kind.quota_code) == (quota.account_id, quota.region, quota.code)
        if not here or not count:
            continue
        idle = model.idle_in_month[z, t] = model.variable("h", len(model.idle_in_month), count, integer=False)
        terms = {idle: 1.0 / count}
        for s, i in _members(model, z):
            if (s, i, t) in model.provisioned:
                terms[model.provisioned[s, i, t]] = model.fleet.requirements[s].zones / count
        model.add(Row("reservation", None, t, z, scale=count), terms, ">=", 1.0)
        out[idle] = float(kind.vcpu)
    return out


def _spot_vcpu(model: MixModel, quota: Quota, t: int) -> dict[Any, float]:
    """P[s,i,t] >= p in every block. Of a unit that does not autoscale p is one number already."""
    out = {}
    for s, requirement in enumerate(model.fleet.requirements):
        for i, c in model.allowed(s) if _counted(requirement, quota) else []:
            running = {b: p for b in model.blocks_that_decide(s, t) if (p := model.spot.get((s, i, t, b))) is not None}
            if not running or c.spot_quota_code != quota.code:
                continue
            if not autoscales(requirement):
                peak = next(iter(running.values()))
            else:
                peak = model.variable("P", len(model.spot_peak), max(p.upBound for p in running.values()), False)
                for b, p in running.items():
                    model.add(Row("within", requirement.unit, t, b), {p: 1.0, peak: -1.0}, "<=", 0.0)
            model.spot_peak[s, i, t] = peak
            out[peak] = float(requirement.zones * c.vcpu)
    return out
