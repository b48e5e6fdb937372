"""What must be held: demand and further resources, all zones up, with zones lost, with a region lost."""

from __future__ import annotations

from collections.abc import Iterator

from capacity.domain import Floats
from capacity.optimize.check._plan import Plan, Site, Slack


def demand(plan: Plan) -> Iterator[Slack]:
    """All zones up; of spot only what is left of its buffer."""
    for site, block, on_demand, spot in plan.each_block():
        held = site.requirement.zones * _held(site, on_demand, spot, site.safe)
        where = f"{site.name} {block.month} {block.block}"
        yield _covered(held, block.demand, f"{where}: holds {held:g} of {block.demand:g}")


def zone_loss(plan: Plan) -> Iterator[Slack]:
    """What is left without the zones that a unit must survive, at the utilisation allowed then, holds the demand."""
    for site, block, on_demand, spot in plan.each_block():
        r = site.requirement
        if r.zones_survived:
            held = _left(site) * _held(site, on_demand, spot, site.zone_loss)
            where = f"{site.name} {block.month} {block.block}: with {r.zones_survived} zone(s) lost"
            yield _covered(held, block.demand, f"{where} holds {held:g} of {block.demand:g}")


def further(plan: Plan) -> Iterator[Slack]:
    """Every further resource that a block needs (memory, network, disk), in its own unit, in all zones."""
    for site, block, on_demand, spot in plan.each_block():
        for resource, need in block.further.items():
            held = site.requirement.zones * _held(site, on_demand, spot, site.further(resource, 0))
            where = f"{site.name} {block.month} {block.block}: {resource}"
            yield _covered(held, need, f"{where}, holds {held:g} of {need:g}")


def further_zone_loss(plan: Plan) -> Iterator[Slack]:
    """The same with the zones gone that the unit must survive."""
    for site, block, on_demand, spot in plan.each_block():
        for resource, need in block.further.items() if site.requirement.zones_survived else ():
            held = _left(site) * _held(site, on_demand, spot, site.further(resource, 1))
            where = f"{site.name} {block.month} {block.block}: {resource} with zones lost"
            yield _covered(held, need, f"{where}, holds {held:g} of {need:g}")


def region_loss(plan: Plan) -> Iterator[Slack]:
    """What is provisioned on demand, in all zones, at the utilisation that is allowed in an emergency."""
    for site, month, on_demand, _ in plan.each_month():
        need = max(b.region_loss_demand for b in site.requirement.blocks if b.month == month)
        if need > 0:
            held = site.requirement.zones * float(on_demand @ site.zone_loss)
            yield _covered(held, need, f"{site.name} {month}: with a region lost holds {held:g} of {need:g}")


def _left(site: Site) -> int:
    return max(site.requirement.zones - site.requirement.zones_survived, 0)


def _held(site: Site, on_demand: Floats, spot: Floats, each: Floats) -> float:
    return float(on_demand @ each + spot @ (each * site.relied_on))


def _covered(held: float, need: float, text: str) -> Slack:
    return (held - need) / need if need > 0 else 0.0, text
