"""What all units need: services with fleets of their own, node pools, and the loss of a region over both."""

from __future__ import annotations

from collections.abc import Mapping

from capacity.config import Config, TierConfig
from capacity.domain import Unit
from capacity.pipeline.demand import UnitData
from capacity.pipeline.futures import Future
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.mix._failover import with_region_loss
from capacity.pipeline.mix._need import UnitNeed, unit_need
from capacity.pipeline.mix._pools import pool_need
from capacity.scenario import Scenario


def fleet_needs(
    inputs: Inputs,
    data: Mapping[Unit, UnitData],
    known: Mapping[Unit, Future],
    change: Scenario,
    seed: int,
    discount_frac: float = 0.0,
) -> tuple[dict[Unit, UnitNeed], tuple[str, ...]]:
    """Needs by unit (a pool is the unit of its own name), and a sentence for each pod that has no forecast.

    Parameters
    ----------
    data, known
        Every unit's data and, where it has one under ``change``, its future.
    """
    needs: dict[Unit, UnitNeed] = {}
    for unit, future in known.items():
        found = unit_need(inputs, data[unit], future, change, seed, discount_frac)
        if found is not None:
            needs[unit] = found
    problems: list[str] = []
    for pool in inputs.config.pools:
        for region in pool.regions:
            unit = Unit(pool.name, region)
            problems += [
                f"{unit}: no forecast of {p.service} there; its pods are not in the pool's plan"
                for p in pool.services
                if Unit(p.service, region) not in known
            ]
            found = pool_need(inputs, pool, region, data, known, change, seed, discount_frac)
            if found is not None:
                needs[unit] = found
    return with_region_loss(inputs, needs, change), tuple(problems)


def tier_of(config: Config, unit: Unit) -> TierConfig:
    """The tier of a planned unit: that of its service, or of the node pool of this name."""
    pools = {p.name: p.tier for p in config.pools}
    return config.tier(pools[unit.service] if unit.service in pools else config.service(unit.service).tier)
