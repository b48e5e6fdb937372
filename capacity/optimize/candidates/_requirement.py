"""What a type must be to serve a unit at all."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from capacity.config import CandidateConfig
from capacity.domain import Candidate, Excuse, InstanceType, Unit
from capacity.optimize.candidates._quota import quota_code, spot_quota_code
from capacity.optimize.candidates._terms import CapacityOf, Terms


def admitted(
    unit: Unit,
    wanted: CandidateConfig,
    types: Mapping[str, InstanceType],
    prices: Mapping[str, float],
    capacity_of: CapacityOf,
    kept: Collection[str],
    terms: Terms,
) -> tuple[list[Candidate], list[Excuse]]:
    """What meets the requirements and serves something, and why the others do not."""
    found, excuses = [], []
    for name in sorted(types):
        kind = types[name]
        reason = _objection(kind, wanted, prices, runs=name in kept)
        if reason is None:
            capacity = capacity_of(kind)
            if all(0 < x < math.inf for x in capacity):
                found.append(candidate(kind, prices[name], capacity, terms))
                continue
            reason = terms.nothing_reason(kind) or "serves nothing within the SLO"
        excuses.append(Excuse(unit, name, reason))
    return found, excuses


def _objection(kind: InstanceType, wanted: CandidateConfig, prices: Mapping[str, float], runs: bool) -> str | None:
    """The first requirement that a type fails; the lists take a family ("m7g") or a whole name ("m7g.metal").

    A type that runs today may go on running whatever its generation: to leave it is a decision for money.
    """
    names = {kind.family, kind.name}
    per_vcpu = kind.memory_gib / kind.vcpu if kind.vcpu else 0.0
    named = wanted.allow_families is not None and kind.name in wanted.allow_families
    checks: tuple[tuple[bool, str], ...] = (
        (kind.arch not in wanted.architectures, f"architecture {kind.arch} is not asked for"),
        (wanted.allow_families is not None and names.isdisjoint(wanted.allow_families), "not in allow_families"),
        (not names.isdisjoint(wanted.deny_families), "in deny_families"),
        (kind.burstable and not wanted.burstable, "burstable"),
        (
            kind.burstable and kind.baseline_frac is None and wanted.burstable_baseline_frac is None and not runs,
            "burstable, its baseline is not known and burstable_baseline_frac not given",
        ),
        (kind.bare_metal and not named, "bare metal, and not named in allow_families"),
        (
            bool(kind.special) and wanted.allow_families is None and not runs,
            f"made for special work ({kind.special}), and not named in allow_families",
        ),
        (wanted.current_generation_only and not kind.current_generation and not runs, "previous generation"),
        (kind.vcpu < wanted.min_vcpu, f"{kind.vcpu} vCPU, fewer than {wanted.min_vcpu}"),
        (kind.vcpu > wanted.max_vcpu, f"{kind.vcpu} vCPU, more than {wanted.max_vcpu}"),
        (per_vcpu < wanted.min_memory_gib_per_vcpu, f"{per_vcpu:g} GiB per vCPU, too little"),
        (not priced(kind.name, prices), "no known on-demand rate in this region"),
    )
    return next((reason for fails, reason in checks if fails), None)


def priced(name: str, prices: Mapping[str, float]) -> bool:
    """A price of nothing is no price: it is a hole in the rate card."""
    return 0 < prices.get(name, math.nan) < math.inf


def candidate(
    kind: InstanceType, price: float, capacity: tuple[float, float], terms: Terms, allowed: bool = True
) -> Candidate:
    safe, zone_loss = (x if 0 <= x < math.inf else 0.0 for x in capacity)
    spot = terms.spot.get(kind.name) if allowed else None
    return Candidate(
        instance_type=kind.name,
        family=kind.family,
        arch=kind.arch,
        vcpu=kind.vcpu,
        quota_code=quota_code(kind.family),
        usd_per_hour=float(price),
        safe=safe,
        zone_loss=zone_loss,
        allowed=allowed,
        further=dict(terms.further_of(kind)),
        spot_usd_per_hour=spot.usd_per_hour if spot else None,
        spot_buffer_frac=spot.buffer_frac if spot else 0.0,
        spot_quota_code=spot_quota_code(kind.family) if spot else "",
    )
