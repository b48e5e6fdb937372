"""The rules for candidates, one type and one pair after the other: slow, and short enough to believe."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from capacity.config import CandidateConfig, ServiceConfig
from capacity.domain import Candidate, Excuse, InstanceType, Unit
from capacity.optimize.candidates import CapacityOf, Terms, quota_code, spot_quota_code
from capacity.optimize.candidates._dominance import generation

Types = Mapping[str, InstanceType]
Prices = Mapping[str, float]


def candidates(
    unit: Unit, service: ServiceConfig, types: Types, prices: Prices, capacity_of: CapacityOf, runs: Collection[str],
    terms: Terms,
) -> tuple[tuple[Candidate, ...], tuple[Excuse, ...]]:  # fmt: skip
    found, excuses = [], []
    for name in sorted(types):
        kind = types[name]
        reason = _objection(kind, service.candidates, prices, runs=name in runs)
        if reason is None:
            capacity = capacity_of(kind)
            if all(0 < x < math.inf for x in capacity):
                found.append(_candidate(kind, prices[name], capacity, terms))
                continue
            reason = terms.nothing_reason(kind) or "serves nothing within the SLO"
        excuses.append(Excuse(unit, name, reason))
    front = []
    for i, one in enumerate(found):
        winners = [j for j in range(len(found)) if j != i and _betters(found, j, i)][: terms.least_types]
        if len(winners) < terms.least_types or one.instance_type in runs:
            front.append(one)
            continue
        more = f" and {len(winners) - 1} more" if len(winners) > 1 else ""
        excuses.append(Excuse(unit, one.instance_type, f"dominated by {found[winners[0]].instance_type}{more}"))
    front, older = _newer(unit, front, runs, service.candidates.prefer_newer_frac)
    kept, beside = _spread(unit, front, service, runs, terms)
    barred = [
        _candidate(types[name], prices[name], capacity_of(types[name]), terms, allowed=False)
        for name in runs
        if name in types and name not in {c.instance_type for c in found} and 0 < prices.get(name, 0) < math.inf
    ]
    unknown = [Excuse(unit, n, "runs today, but is not in the catalogue") for n in runs if n not in types]
    everything = [*excuses, *older, *beside, *unknown]
    return (
        tuple(sorted([*kept, *barred], key=lambda c: c.instance_type)),
        tuple(sorted(everything, key=lambda e: e.instance_type)),
    )


def loss(
    service: ServiceConfig, types: Types, prices: Prices, capacity_of: CapacityOf, kept: Sequence[Candidate],
    terms: Terms,
) -> float:  # fmt: skip
    runs = {c.instance_type for c in kept}
    found = [
        _candidate(kind, prices[name], capacity_of(kind), terms)
        for name, kind in sorted(types.items())
        if _objection(kind, service.candidates, prices, name in runs) is None
        and all(0 < x < math.inf for x in capacity_of(kind))
    ]
    usable = [c for c in kept if c.allowed]
    if not found or not usable:
        return 0.0
    best = _costs(found, found, service, terms).min(axis=0)
    return float(np.mean(_costs(usable, found, service, terms).min(axis=0) / best) - 1.0)


def _objection(kind: InstanceType, wanted: CandidateConfig, prices: Prices, runs: bool) -> str | None:
    names = {kind.family, kind.name}
    listed = wanted.allow_families
    each = kind.memory_gib / kind.vcpu
    if kind.arch not in wanted.architectures:
        return f"architecture {kind.arch} is not asked for"
    if listed is not None and names.isdisjoint(listed):
        return "not in allow_families"
    if not names.isdisjoint(wanted.deny_families):
        return "in deny_families"
    if kind.burstable and not wanted.burstable:
        return "burstable"
    if kind.burstable and kind.baseline_frac is None and wanted.burstable_baseline_frac is None and not runs:
        return "burstable, its baseline is not known and burstable_baseline_frac not given"
    if kind.bare_metal and kind.name not in (listed or []):
        return "bare metal, and not named in allow_families"
    if kind.special and listed is None and not runs:
        return f"made for special work ({kind.special}), and not named in allow_families"
    if wanted.current_generation_only and not kind.current_generation and not runs:
        return "previous generation"
    if kind.vcpu < wanted.min_vcpu:
        return f"{kind.vcpu} vCPU, fewer than {wanted.min_vcpu}"
    if kind.vcpu > wanted.max_vcpu:
        return f"{kind.vcpu} vCPU, more than {wanted.max_vcpu}"
    if each < wanted.min_memory_gib_per_vcpu:
        return f"{each:g} GiB per vCPU, too little"
    return None if 0 < prices.get(kind.name, 0.0) < math.inf else "no known on-demand rate in this region"


def _candidate(
    kind: InstanceType, price: float, capacity: tuple[float, float], terms: Terms, allowed: bool = True
) -> Candidate:
    spot = terms.spot.get(kind.name) if allowed else None
    safe, zone_loss = capacity
    return Candidate(
        kind.name, kind.family, kind.arch, kind.vcpu, quota_code(kind.family), price, safe, zone_loss, allowed,
        dict(terms.further_of(kind)), spot.usd_per_hour if spot else None, spot.buffer_frac if spot else 0.0,
        spot_quota_code(kind.family) if spot else "",
    )  # fmt: skip


def _figures(c: Candidate, resources: Sequence[str]) -> list[float]:
    has_spot = c.spot_usd_per_hour is not None
    spot = [c.spot_usd_per_hour or 0.0, c.spot_buffer_frac] if has_spot else [math.inf, 1.0]
    return [
        c.usd_per_hour, c.vcpu, -c.safe, -c.zone_loss, *spot,
        *(-x for r in resources for x in c.further.get(r, (0.0, 0.0))),
    ]  # fmt: skip


def _betters(found: Sequence[Candidate], j: int, i: int) -> bool:
    one, other = found[j], found[i]
    if one.quota_code != other.quota_code or one.usd_per_hour > other.usd_per_hour or one.safe < other.safe:
        return False
    if other.spot_usd_per_hour is not None and one.spot_quota_code != other.spot_quota_code:
        return False
    resources = sorted({*one.further, *other.further})
    a, b = _figures(one, resources), _figures(other, resources)
    return all(x <= y for x, y in zip(a, b, strict=True)) and (a != b or j < i)


def _newer(
    unit: Unit, front: Sequence[Candidate], runs: Collection[str], extra: float
) -> tuple[list[Candidate], list[Excuse]]:
    kept: list[Candidate] = []
    excuses = []
    for one in sorted(front, key=lambda c: (-generation(c.family)[1], c.instance_type)) if extra > 0 else ():
        line, number = generation(one.family)
        newer = []
        for c in kept:
            resources = sorted({*one.further, *c.further})
            a, b = (_figures(x, resources) for x in (c, one))
            no_worse = all(a[k] <= b[k] for k in range(1, len(a)) if k != 4) and c.quota_code == one.quota_code
            is_newer = generation(c.family)[0] == line and generation(c.family)[1] > number and c.arch == one.arch
            if is_newer and no_worse and c.usd_per_hour <= one.usd_per_hour * (1.0 + extra):
                newer.append(c)
        if newer and one.instance_type not in runs:
            best = min(newer, key=lambda c: (c.usd_per_hour, c.instance_type))
            more = best.usd_per_hour / one.usd_per_hour - 1.0
            reason = f"the newer {best.instance_type} is preferred at {more:+.1%} an hour"
            excuses.append(Excuse(unit, one.instance_type, reason))
        else:
            kept.append(one)
    return (sorted(kept, key=lambda c: c.instance_type), excuses) if extra > 0 else (list(front), [])


def _spread(
    unit: Unit, front: Sequence[Candidate], service: ServiceConfig, runs: Collection[str], terms: Terms
) -> tuple[list[Candidate], list[Excuse]]:
    if not front:
        return [], []
    most = service.candidates.max_types
    costs = _costs(front, front, service, terms)
    relative = np.minimum(costs / costs.min(axis=0), 10.0)
    alone = relative.mean(axis=1)
    chosen = list(dict.fromkeys(_first(front, terms)))[:most]
    while len(chosen) < min(most, len(front)):
        gains = np.minimum(relative, relative[chosen].min(axis=0)).mean(axis=1)
        left = [i for i in range(len(front)) if i not in chosen]
        chosen.append(min(left, key=lambda i: (round(float(gains[i]), 9), alone[i], i)))
    names = {front[i].instance_type for i in chosen} | set(runs)
    reason = f"not among the {most} types that cover all sizes of need at least cost"
    return [c for c in front if c.instance_type in names], [
        Excuse(unit, c.instance_type, reason) for c in front if c.instance_type not in names
    ]


def _first(front: Sequence[Candidate], terms: Terms) -> list[int]:
    def least(usd: Sequence[float], serves: Sequence[float]) -> int:
        return int(np.argmin([u / s if s > 0 else math.inf for u, s in zip(usd, serves, strict=True)]))

    usd = [c.usd_per_hour for c in front]
    binding = [min(c.safe, c.zone_loss) for c in front]
    carried = [_carries(c, terms.rays[0] if terms.rays else {}) for c in front]
    out = []
    if max(carried) > 0:
        out += [int(np.argmax(carried)), least(usd, carried), least([c.vcpu for c in front], carried)]
    if terms.rays or not out:
        out.append(least(usd, binding))
    spot = [i for i, c in enumerate(front) if c.spot_usd_per_hour is not None]
    relied = {i: binding[i] * (1.0 - front[i].spot_buffer_frac) for i in spot}
    price = {i: (front[i].spot_usd_per_hour or 0.0) / relied[i] if relied[i] > 0 else math.inf for i in spot}
    out += sorted(spot, key=lambda i: (price[i], i))[: terms.least_types]
    resources = sorted({r for c in front for r in c.further})
    return out + [least(usd, [min(c.further.get(r, (0.0, 0.0))) for c in front]) for r in resources]


def _carries(c: Candidate, ray: Mapping[str, float]) -> float:
    held = [min(c.further.get(r, (0.0, 0.0))) / amount for r, amount in ray.items() if amount > 0]
    return min(c.safe, c.zone_loss, *held)


def _costs(
    of: Sequence[Candidate], among: Sequence[Candidate], service: ServiceConfig, terms: Terms
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    most, columns = service.max_instances_per_zone, []
    for ray in terms.rays or ({},):
        usable = [x for c in among if (x := _carries(c, ray)) > 0]
        for need in np.geomspace(min(usable), min(64, most) * max(usable), 40) if usable else ():
            each = [_carries(c, ray) for c in of]
            counts = [np.ceil(need / x * (1 - 1e-12)) if x > 0 else math.inf for x in each]
            columns.append([n * c.usd_per_hour if n <= most else math.inf for n, c in zip(counts, of, strict=True)])
    return np.array(columns or [[1.0] * len(of)]).T
