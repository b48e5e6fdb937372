"""What a unit must hold: demand and further resources, all zones up, with zones lost, and with a region lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from capacity.domain import Candidate, UnitRequirement
from capacity.optimize.model._words import MixModel, Row, autoscales

# What one on-demand instance per zone of a candidate holds for a unit.
Holds = Callable[[UnitRequirement, Candidate], float]


def define_demand_constraints(model: MixModel) -> None:
    """Normal operation: all zones serve the demand within the SLO."""
    for s, t, b in _loads(model):
        _hold(model, Row("demand"), (s, t, b), lambda r, c: r.zones * c.safe, model.fleet.blocks[s][t][b].demand)


def define_zone_loss_constraints(model: MixModel) -> None:
    """What is left after ``zones_survived`` zones are gone serves the demand at the utilisation allowed then."""
    for s, t, b in _loads(model):
        if model.fleet.requirements[s].zones_survived:
            demand = model.fleet.blocks[s][t][b].demand
            _hold(model, Row("zone_loss"), (s, t, b), lambda r, c: _left(r) * c.zone_loss, demand)


def define_further_constraints(model: MixModel) -> None:
    """Every further resource that a block names is held, all zones up."""
    for where, resource, need in _further_loads(model):
        _hold(model, Row("further", resource=resource), where, _normal_of(resource), need)


def define_further_zone_loss_constraints(model: MixModel) -> None:
    """Every further resource that a block names is held by what is left after ``zones_survived`` zones are gone."""
    for where, resource, need in _further_loads(model):
        if model.fleet.requirements[where[0]].zones_survived:
            _hold(model, Row("further_zone_loss", resource=resource), where, _lost_of(resource), need)


def define_region_loss_constraints(model: MixModel) -> None:
    """What is provisioned on demand serves what comes from a lost region, all own zones up, as in an emergency.

    Spot does not count: when a region is lost it is asked for by all.
    """
    for s, requirement in enumerate(model.fleet.requirements):
        for t in model.months_of(s):
            blocks = model.fleet.blocks[s][t]
            b = max(range(len(blocks)), key=lambda b: blocks[b].region_loss_demand)
            need = blocks[b].region_loss_demand
            if need > 0:
                terms = {
                    model.provisioned[s, i, t]: requirement.zones * c.zone_loss / need for i, c in model.allowed(s)
                }
                model.add(Row("region_loss", requirement.unit, t, b, scale=need), terms, ">=", 1.0)


def _loads(model: MixModel) -> Iterable[tuple[int, int, int]]:
    for s in range(len(model.fleet.requirements)):
        for t in model.months_of(s):
            yield from ((s, t, b) for b in model.blocks_that_decide(s, t))


def _further_loads(model: MixModel) -> Iterable[tuple[tuple[int, int, int], str, float]]:
    """(s, t, b), resource, need: of a unit that does not autoscale the block with the largest need of the resource."""
    for s, requirement in enumerate(model.fleet.requirements):
        for t in model.months_of(s):
            blocks = model.fleet.blocks[s][t]
            for resource in sorted({name for block in blocks for name in block.further}):
                needs = [block.further.get(resource, 0.0) for block in blocks]
                largest = max(range(len(blocks)), key=needs.__getitem__)
                for b in range(len(blocks)) if autoscales(requirement) else [largest]:
                    yield (s, t, b), resource, needs[b]


def _left(requirement: UnitRequirement) -> int:
    return max(requirement.zones - requirement.zones_survived, 0)


def _normal_of(resource: str) -> Holds:
    return lambda r, c: r.zones * c.further.get(resource, (0.0, 0.0))[0]


def _lost_of(resource: str) -> Holds:
    return lambda r, c: _left(r) * c.further.get(resource, (0.0, 0.0))[1]


def _hold(model: MixModel, row: Row, where: tuple[int, int, int], holds: Holds, need: float) -> None:
    """One row: what runs in a block, less the buffer of what is spot, holds ``need``."""
    if need <= 0:
        return
    s, t, b = where
    requirement = model.fleet.requirements[s]
    spot = model.spot_of(s, t, b)
    terms: dict[Any, float] = {}
    for i, c in model.allowed(s):
        share = holds(requirement, c) / need
        terms[model.running[s, i, t, b]] = share
        if i in spot:
            terms[spot[i]] = share * (1.0 - c.spot_buffer_frac)
    model.add(Row(row.family, requirement.unit, t, b, row.resource, need), terms, ">=", 1.0)
