"""A whole plan to start the search from: each load covered on its own, then made to fit the quotas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from capacity.domain import Candidate, Floats, Quota, UnitRequirement
from capacity.optimize._clock import Deadline
from capacity.optimize._cover import Lanes, cheapest_counts, trimmed
from capacity.optimize._fleet import vertical_count
from capacity.optimize._loads import Loads, held_by
from capacity.optimize.model import MixModel, autoscales

Counts = npt.NDArray[np.int64]

# Weight of vCPU against price where a quota must be met: large enough that fewer vCPU always win.
_QUOTA_FIRST = 1e4


def start_values(loads: Loads, price: Floats, deadline: Deadline | None = None) -> dict[Any, float]:
    """Values of all whole variables: the cheapest cover of each load at ``price``, as far as the quotas allow it.

    Where a month overfills a quota, its units first keep the types of their largest load in all blocks (n is then no
    larger than that load needs), and then take the types of the fewest vCPU. What still does not fit is left to the
    search.

    Raises
    ------
    TimeIsUp
        Where ``deadline`` passes first.
    """
    model = loads.model
    counts = cheapest_counts(loads.folded, price, deadline) if loads.keys else np.zeros((0, 0), dtype=np.int64)
    out: dict[Any, float] = {}
    for s in range(len(model.fleet.requirements)):
        for t in model.months_of(s):
            _without_choice(model, s, t, out)
    _enough_provisioned(model, out)
    lanes_of: dict[tuple[int, int], list[int]] = {}
    for lane, (s, t, _) in enumerate(loads.keys):
        lanes_of.setdefault((s, t), []).append(lane)
    for quota in model.fleet.problem.quotas:
        for t in range(len(model.fleet.problem.months)):
            if deadline is not None:
                deadline.check()
            _fit(loads, counts, price, quota, t, lanes_of, out)
    _enter(loads, counts, range(len(loads.keys)), out)
    _enough_provisioned(model, out)
    return out


def _enter(loads: Loads, counts: Counts, lanes: Iterable[int], out: dict[Any, float]) -> None:
    for lane in lanes:
        s, t, b = loads.keys[lane]
        for j, (i, _) in enumerate(loads.model.allowed(s)):
            out[loads.model.running[s, i, t, b]] = float(counts[lane, j])


def _enough_provisioned(model: MixModel, out: dict[Any, float]) -> None:
    """n of an autoscaled unit: the most that runs of a type in any block."""
    for s, requirement in enumerate(model.fleet.requirements):
        if not autoscales(requirement):
            continue
        for t in model.months_of(s):
            for i, _ in model.allowed(s):
                n = model.provisioned[s, i, t]
                most = max(out.get(model.running[s, i, t, b], 0.0) for b in model.blocks_that_decide(s, t))
                out[n] = max(out.get(n, 0.0), most)


# --- quotas ------------------------------------------------------------------------------------------------


def _fit(
    loads: Loads,
    counts: Counts,
    price: Floats,
    quota: Quota,
    t: int,
    lanes_of: Mapping[tuple[int, int], list[int]],
    out: Mapping[Any, float],
) -> None:
    """Change ``counts`` in place, of month ``t`` and the units under ``quota``, until it is met or nothing is left."""
    where = (quota.account_id, quota.region)
    under = [s for s, r in enumerate(loads.model.fleet.requirements) if (r.account_id, r.unit.region) == where]
    free = {s: lanes_of[s, t] for s in under if (s, t) in lanes_of}
    fixed = sum(_fixed_vcpu(loads.model, s, t, quota, out) for s in under if s not in free)
    for weight in (0.0, _QUOTA_FIRST):
        if fixed + sum(_vcpu(loads, counts, s, lanes, quota) for s, lanes in free.items()) <= quota.limit:
            return
        for s, lanes in free.items():
            _nest(loads, counts, price, lanes, weight * _class_vcpu(loads, s, quota))


def _class_vcpu(loads: Loads, s: int, quota: Quota) -> Floats:
    """(types,) vCPU that each type of unit ``s`` takes of ``quota``, over all zones; padded like the lanes."""
    out = np.zeros(loads.columns.shape[1])
    zones = loads.model.fleet.requirements[s].zones
    for j, (_, c) in enumerate(loads.model.allowed(s)):
        out[j] = zones * c.vcpu if c.quota_code == quota.code else 0.0
    return out


def _vcpu(loads: Loads, counts: Counts, s: int, lanes: list[int], quota: Quota) -> float:
    return float(counts[lanes].max(axis=0) @ _class_vcpu(loads, s, quota))


def _fixed_vcpu(model: MixModel, s: int, t: int, quota: Quota, out: Mapping[Any, float]) -> float:
    zones = model.fleet.requirements[s].zones
    used = 0.0
    for i, c in model.allowed(s):
        if c.quota_code == quota.code and (s, i, t) in model.provisioned:
            used += zones * c.vcpu * out.get(model.provisioned[s, i, t], 0.0)
    return used


def _nest(loads: Loads, counts: Counts, price: Floats, lanes: list[int], extra: Floats) -> None:
    """Cover the largest load, and each other one with some of the same instances."""
    folded = loads.folded
    peak = min(lanes, key=lambda lane: (float(folded.weight[lane].max()), lane))
    scale = max(float(price[peak].max()), 1e-12)
    chosen = cheapest_counts(Lanes(folded.weight[[peak]], folded.least[[peak]]), price[[peak]] / scale + extra[None, :])
    own = Lanes(folded.weight[lanes], folded.least[lanes])
    counts[lanes] = trimmed(own, price[lanes], np.repeat(chosen, len(lanes), axis=0))


# --- units without a choice --------------------------------------------------------------------------------


def _without_choice(model: MixModel, s: int, t: int, out: dict[Any, float]) -> None:
    """Pinned counts, the cheapest type that holds a vertical unit, the smallest count where there is no demand."""
    fleet, requirement, candidates = model.fleet, model.fleet.requirements[s], model.allowed(s)
    month = fleet.problem.months[t]
    pinned = {i: n for (m, i), n in (requirement.pinned or {}).items() if m == month}
    for b in model.blocks_that_decide(s, t):
        demand = fleet.blocks[s][t][b].demand
        if pinned:
            counts = {i: pinned.get(c.instance_type, 0) for i, c in candidates}
        elif requirement.vertical:
            counts = _cheapest_alone(requirement, candidates, demand, vertical_count(requirement))
        elif demand <= 0:
            counts = _cheapest_alone(requirement, candidates, 0.0, requirement.min_per_zone)
        else:
            continue
        for i, count in counts.items():
            out[model.running[s, i, t, b]] = float(count)
            if requirement.vertical:
                out[model.is_type[s, i, t]] = float(count > 0)
            if pinned:
                out[model.provisioned[s, i, t]] = float(count)


def _cheapest_alone(
    requirement: UnitRequirement, candidates: list[tuple[int, Candidate]], demand: float, count: int
) -> dict[int, int]:
    """``count`` of the cheapest type that holds ``demand`` at that count, none of any where none does."""
    holds = [(i, c) for i, c in candidates if count * held_by(requirement, c) >= demand]
    best = min(holds, key=lambda p: (p[1].usd_per_hour, p[0]), default=None)
    return {i: count if best is not None and i == best[0] else 0 for i, _ in candidates}
