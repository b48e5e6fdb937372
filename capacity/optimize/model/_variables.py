"""Counts per zone: what is provisioned, what runs on demand, what runs as spot, and how many could ever be of use."""

from __future__ import annotations

import math

from capacity.domain import Candidate
from capacity.optimize._fleet import Fleet, running_by_type, vertical_count
from capacity.optimize.model._words import MixModel, Row, autoscales

# A share of demand is floating point; a count that meets it to this is still a count.
_WHOLE = 1e-9


def define_provisioning_variables(model: MixModel) -> None:
    """n[s,i,t], bounded by what the largest need could ever use of that type alone."""
    for s in range(len(model.fleet.requirements)):
        for t in model.months_of(s):
            for i, candidate in model.allowed(s):
                upper = _useful_count(model.fleet, s, candidate, t)
                model.provisioned[s, i, t] = model.variable("n", len(model.provisioned), upper)


def define_running_variables(model: MixModel) -> None:
    """r[s,i,t,b]: its own variable where the unit autoscales, else n itself."""
    for s, requirement in enumerate(model.fleet.requirements):
        for t in model.months_of(s):
            for i, _candidate in model.allowed(s):
                n = model.provisioned[s, i, t]
                for b in range(len(model.fleet.blocks[s][t])):
                    if not autoscales(requirement):
                        model.running[s, i, t, b] = n
                        continue
                    r = model.variable("r", len(model.running), n.upBound)
                    model.running[s, i, t, b] = r
                    model.add(Row("within", requirement.unit, t, b), {r: 1.0, n: -1.0}, "<=", 0.0)


def define_spot_variables(model: MixModel) -> None:
    """p[s,i,t,b] where a type may be had as spot: its own variable where the unit autoscales, else one a month.

    A pinned month and a vertical unit are on demand. A type of which the spot share allows no whole instance has none.
    """
    for s, requirement in enumerate(model.fleet.requirements):
        pinned = {month for month, _ in requirement.pinned or {}}
        if requirement.spot_max_frac <= 0 or requirement.vertical:
            continue
        for t in model.months_of(s):
            if model.fleet.problem.months[t] in pinned:
                continue
            for i, candidate in model.allowed(s):
                if candidate.spot_usd_per_hour is not None:
                    _define_spot_of(model, s, i, t, candidate)


def _define_spot_of(model: MixModel, s: int, i: int, t: int, candidate: Candidate) -> None:
    blocks = range(len(model.fleet.blocks[s][t]))
    most = [_most_spot(model.fleet, s, candidate, t, b) for b in blocks]
    if not autoscales(model.fleet.requirements[s]):
        # The same instances run in all blocks, so the smallest demand says how many may be spot.
        if min(most) > 0:
            p = model.variable("p", len(model.spot), min(most))
            model.spot.update({(s, i, t, b): p for b in blocks})
        return
    for b in blocks:
        if most[b] > 0:
            model.spot[s, i, t, b] = model.variable("p", len(model.spot), most[b])


def _most_spot(fleet: Fleet, s: int, candidate: Candidate, t: int, b: int) -> int:
    """The most spot instances per zone that the spot share allows; of a type that serves nothing, that are of use."""
    requirement, kept = fleet.requirements[s], 1.0 - candidate.spot_buffer_frac
    block = fleet.blocks[s][t][b]
    serves = requirement.zones * candidate.safe * kept
    if serves > 0:
        share = requirement.spot_max_frac * block.demand / serves
        most = math.floor(share * (1 + _WHOLE))
    else:
        most = math.ceil(_useful_count(fleet, s, candidate, t) / kept)
    return min(most, requirement.max_per_zone)


def _useful_count(fleet: Fleet, s: int, candidate: Candidate, t: int) -> int:
    """Beyond this count per zone one instance less of ``candidate`` would still meet every requirement."""
    requirement, blocks = fleet.requirements[s], fleet.blocks[s][t]
    zones, survivors = requirement.zones, max(requirement.zones - requirement.zones_survived, 0)
    peak = max(b.demand for b in blocks)
    needs = [_ratio(peak, zones * candidate.safe), _ratio(peak, survivors * candidate.zone_loss)]
    needs.append(_ratio(max(b.region_loss_demand for b in blocks), zones * candidate.zone_loss))
    for resource, (normal, lost) in candidate.further.items():
        need = max(b.further.get(resource, 0.0) for b in blocks)
        needs += [_ratio(need, zones * normal), _ratio(need, survivors * lost)]
    needs.append(math.ceil(running_by_type(requirement).get(candidate.instance_type, 0) / zones))
    needs.append((requirement.pinned or {}).get((fleet.problem.months[t], candidate.instance_type), 0))
    # What is reserved is paid anyway, and running it may bring it under a commitment.
    held = sum(fleet.reserved_most(z, t) for z in fleet.reserved if z.holds(requirement, candidate))
    count = vertical_count(requirement) if requirement.vertical else 0
    return max(*needs, math.ceil(held / zones), requirement.min_per_zone, count, 1)


def _ratio(need: float, capacity: float) -> int:
    """Instances that hold ``need``; 0 where a type holds nothing (more of it never helps)."""
    return math.ceil(need / capacity) if capacity > 0 else 0
