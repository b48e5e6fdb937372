"""What all units need: services with fleets of their own, node pools, and the loss of a region over both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from capacity import words
from capacity.config import Config, TierConfig
from capacity.domain import Unit
from capacity.pipeline.demand import UnitData
from capacity.pipeline.futures import Future
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.managed import is_managed
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
    managed_discount_frac: float = 0.0,
) -> tuple[dict[Unit, UnitNeed], tuple[str, ...]]:
    """Needs by unit (a pool is the unit of its own name), and a sentence for each pod that has no forecast.

    Parameters
    ----------
    data, known
        Every unit's data and, where it has one under ``change``, its future.
    discount_frac, managed_discount_frac
        Private discounts off the list prices of instances, and of managed databases.
    """
    needs: dict[Unit, UnitNeed] = {}
    for unit, future in known.items():
        managed = any(is_managed(name) for name, _ in data[unit].running)
        off = managed_discount_frac if managed else discount_frac
        found = unit_need(inputs, data[unit], future, change, seed, off)
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
                problems += _from_nothing(unit, found, [p.service for p in pool.services], data)
    return with_region_loss(inputs, needs, change), tuple(problems)


def tier_of(config: Config, unit: Unit) -> TierConfig:
    """The tier of a planned unit: that of its service, or of the node pool of this name."""
    pools = {p.name: p.tier for p in config.pools}
    return config.tier(pools[unit.service] if unit.service in pools else config.service(unit.service).tier)


def _from_nothing(
    unit: Unit, need: UnitNeed, services: Sequence[str], data: Mapping[Unit, UnitData]
) -> tuple[str, ...]:
    """Said of a pool without nodes: what its services run on their own today is not in the running money."""
    if need.requirement.running:
        return ()
    own = [Unit(name, unit.region) for name in services]
    fleets = [f"{u}: {sum(data[u].running.values())} instances" for u in own if u in data and data[u].running]
    beside = f"; what its services run today is not in the running money ({', '.join(fleets)})" if fleets else ""
    return (f"{unit}: no node of this pool is in the fleet data; it is planned from nothing{beside}",)


def pool_lines(config: Config, spend: pd.DataFrame, provisioned: pd.DataFrame) -> tuple[str, ...]:
    """What the plan gives each pool, in a sentence: pools have no forecast, so no unit of the plan tells of them."""
    out = []
    for pool in config.pools:
        for region in pool.regions:
            rows = provisioned[(provisioned["service"] == pool.name) & (provisioned["region"] == region)]
            if rows.empty:
                continue
            last = rows[(rows["month"] == rows["month"].max()) & (rows["instances"] > 0)]
            nodes = " + ".join(f"{n} × {t}" for t, n in zip(last["instance_type"], last["instances"], strict=True))
            usd = spend.loc[(spend["service"] == pool.name) & (spend["region"] == region), "total_usd"].sum()
            served = words.listed([p.service for p in pool.services])
            out.append(
                f"pool {pool.name}/{region} ({served}): {nodes} at the end, "
                f"{words.money(float(usd), config.currency)} over the horizon"
            )
    return tuple(out)
