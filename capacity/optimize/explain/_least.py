"""The least vCPU that one unit can do with, by arithmetic where that proves it: what it proves needs no solver.

Each load is a knapsack over vCPU: the most that so many vCPU can hold. The load that needs most is a lower bound; where
the instances that hold it keep all else that is asked too, it is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.domain import Candidate, Floats, Quota, UnitRequirement
from capacity.optimize._fleet import Fleet
from capacity.optimize.explain._groups import Group, spot_possible

Counts = npt.NDArray[np.int64]

_TOLERANCE = 1e-9
# Steps of vCPU beyond which the solver is as quick.
_MOST_STEPS = 4000


@dataclass(frozen=True)
class _Load:
    """What must be held, and what an instance per zone of each type holds of it."""

    need: float
    holds: Floats


def least_vcpu(fleet: Fleet, quota: Quota, groups: Iterable[Group]) -> float | None:
    """The least vCPU of ``quota`` with which the only unit of ``fleet`` (one month) meets ``groups``.

    None where arithmetic does not tell: types that the quota does not count, spot, counts that are given, or instances
    that hold the largest load and break something else.
    """
    (r,) = fleet.requirements
    allowed = [c for c in r.candidates if c.allowed]
    if r.vertical or r.pinned is not None or spot_possible(r) or any(c.quota_code != quota.code for c in allowed):
        return None
    vcpu = np.array([c.vcpu for c in allowed], dtype=np.int64)
    step = int(np.gcd.reduce(vcpu)) if len(vcpu) else 0
    if step <= 0:
        return None
    asked = list(groups)
    loads = [load for g in asked if (load := _load_of(fleet, r, allowed, g)) is not None]
    found = [_fewest(load, vcpu // step) for load in loads]
    if any(counts is None for counts in found):
        return None
    most = max((c for c in found if c is not None), key=lambda c: int(c @ vcpu), default=np.zeros_like(vcpu))
    return float(r.zones * (most @ vcpu)) if _keeps(r, most, loads, {g[0] for g in asked}) else None


def _load_of(fleet: Fleet, r: UnitRequirement, allowed: list[Candidate], group: Group) -> _Load | None:
    """The load that a group asks for; None where it is none."""
    family, _, t, key, resource = group
    left = max(r.zones - r.zones_survived, 0)
    if family not in ("demand", "zone_loss", "region_loss", "further", "further_zone_loss"):
        return None
    block = fleet.blocks[0][t][key]
    if family.startswith("further"):
        at = int(family == "further_zone_loss")
        holds = [(left if at else r.zones) * c.further.get(resource, (0.0, 0.0))[at] for c in allowed]
        return _Load(block.further[resource], np.array(holds))
    if family == "region_loss":
        return _Load(block.region_loss_demand, np.array([r.zones * c.zone_loss for c in allowed]))
    lost = family == "zone_loss"
    return _Load(block.demand, np.array([left * c.zone_loss if lost else r.zones * c.safe for c in allowed]))


def _fewest(load: _Load, size: Counts) -> Counts | None:
    """Counts of the fewest steps of vCPU that hold ``load``; None where there are too many steps, or nothing holds."""
    need = load.need * (1 - _TOLERANCE)
    best = float((load.holds / size).max(initial=0.0))
    if best <= 0 or need / best > _MOST_STEPS:
        return None if need > 0 else np.zeros_like(size)
    # Of types of a size the one that holds most.
    sizes = np.unique(size)
    kinds = np.array([max(np.flatnonzero(size == s), key=lambda i: (load.holds[i], -i)) for s in sizes])
    holds = load.holds[kinds]
    most, taken = [0.0], [-1]
    while most[-1] < need:
        v = len(most)
        fits = np.flatnonzero(sizes <= v)
        values = np.array([most[v - int(sizes[k])] + holds[k] for k in fits])
        k = int(values.argmax()) if len(values) else -1
        better = k >= 0 and values[k] > most[-1]
        most.append(float(values[k]) if better else most[-1])
        taken.append(int(fits[k]) if better else -1)
    counts, v = np.zeros_like(size), len(most) - 1
    while v > 0:
        if taken[v] >= 0:
            counts[kinds[taken[v]]] += 1
            v -= int(sizes[taken[v]])
        else:
            v -= 1
    return counts


def _keeps(r: UnitRequirement, counts: Counts, loads: list[_Load], families: set[str]) -> bool:
    """Whether the counts meet all that is asked, not only the load that they were found for."""
    total = int(counts.sum())
    held = all(float(load.holds @ counts) >= load.need * (1 - _TOLERANCE) for load in loads)
    least = r.min_per_zone if "minimum" in families else 0
    most = r.max_per_zone if "maximum" in families else math.inf
    kinds = r.least_types if "least_types" in families else 0
    return held and least <= total <= most and int((counts > 0).sum()) >= kinds
