"""How much of what is asked a mix holds in one load block, and which state binds."""

from __future__ import annotations

from collections.abc import Mapping

from capacity.domain import Candidate, LoadBlock, UnitRequirement

# Instances per zone by type: on demand, as spot.
Mix = Mapping[str, tuple[int, int]]


def held_frac(r: UnitRequirement, block: LoadBlock, mix: Mix) -> tuple[float, str]:
    """The least of held / asked over all states, and the state; (inf, "") where nothing is asked."""
    left = max(r.zones - r.zones_survived, 0) if r.zones_survived else 0
    relied = [(c, _relied(c, mix)) for c in r.candidates]
    # Name, what is asked, zones that are there, what the mix holds in each.
    states = [
        ("demand", block.demand, r.zones, sum(n * c.safe for c, n in relied)),
        ("zone loss", block.demand, left, sum(n * c.zone_loss for c, n in relied)),
    ]
    for resource, wanted in sorted(block.further.items()):
        held = [(n, c.further.get(resource, (0.0, 0.0))) for c, n in relied]
        states.append((resource, wanted, r.zones, sum(n * h[0] for n, h in held)))
        states.append((f"{resource} when zones are lost", wanted, left, sum(n * h[1] for n, h in held)))
    asked = [s for s in states if s[1] > 0 and (r.zones_survived or s[2] > 0)]
    return min(((zones * held / wanted, name) for name, wanted, zones, held in asked), default=(float("inf"), ""))


def _relied(c: Candidate, mix: Mix) -> float:
    on_demand, spot = mix.get(c.instance_type, (0, 0))
    return on_demand + (1.0 - c.spot_buffer_frac) * spot


def average_held_frac(r: UnitRequirement, mixes: Mapping[tuple[str, str], Mix]) -> float:
    """Held / asked over the horizon, by hours and demand; 1 is a plan without anything to spare."""
    asked = held = 0.0
    for b in r.blocks:
        if b.demand > 0:
            asked += b.hours * b.demand
            held += b.hours * b.demand * held_frac(r, b, mixes.get((b.month, b.block), {}))[0]
    return held / asked if asked else 1.0
