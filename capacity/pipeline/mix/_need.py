"""What one unit needs of a fleet: its load blocks, its candidates, and what is told beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import pandas as pd

from capacity import forecast, optimize, saturation, scenario
from capacity.config import ServiceConfig, TierConfig
from capacity.domain import (
    Candidate,
    Excuse,
    InstanceType,
    Interval,
    LoadBlock,
    Paths,
    ResourceCost,
    SafeCapacity,
    Unit,
    UnitRequirement,
)
from capacity.errors import MissingDataError
from capacity.optimize.candidates import CapacityOf, Terms
from capacity.pipeline.demand import UnitData
from capacity.pipeline.futures import Future
from capacity.pipeline.inputs import Inputs, on_demand
from capacity.pipeline.managed import is_managed
from capacity.pipeline.mix._joint import Ints
from capacity.pipeline.mix._offers import committed_rates
from capacity.pipeline.mix._resources import resource_needs
from capacity.pipeline.mix._spot import Spot, spot_of
from capacity.saturation import ResourceNeed
from capacity.saturation.capacity import scale_of
from capacity.scenario import Scenario


@dataclass(frozen=True)
class UnitNeed:
    """What one unit needs, and what it runs: the optimizer's view of it and what is told beside it.

    ``resources`` are what demand needs beside vCPU; ``binds`` says by type which of them, or vCPU, bounds what it
    serves. ``spot_relied`` is the share of a spot instance that counts, by type. ``groups`` is the load block of every
    hour, where it was found already.
    """

    requirement: UnitRequirement
    blocks: tuple[LoadBlock, ...]  # the demand itself, without what is reserved for the fixed part
    excuses: tuple[Excuse, ...]
    safe: SafeCapacity
    cost: ResourceCost
    safe_of: Mapping[str, float]
    running_average: Mapping[tuple[str, str], int]
    hours: Paths
    days: pd.DatetimeIndex
    reserve: float
    prune_loss_frac: float
    resources: tuple[ResourceNeed, ...] = ()
    binds: Mapping[str, str] = field(default_factory=dict)
    spot_relied: Mapping[str, float] = field(default_factory=dict)
    groups: Ints | None = None

    def block_of(self, load_blocks: int) -> Ints:
        """(D, 24) load block of every hour of ``days``, 0 the highest."""
        return self.groups if self.groups is not None else forecast.block_of(self.hours, self.days, load_blocks)


@dataclass(frozen=True)
class Market:
    """What may be had in a unit's region: types with their prices, spot, and what must stay to be priced."""

    types: Mapping[str, InstanceType]
    usd_per_hour: Mapping[str, float]
    spot: Spot
    kept_types: frozenset[str]
    committed_rate: Mapping[str, float] = field(default_factory=dict)


def scaled_cost(cost: ResourceCost, factor: float) -> ResourceCost:
    """The resource cost of demand under an efficiency scenario."""
    if factor == 1.0:
        return cost
    per = cost.per_demand
    scaled = Interval(per.low * factor, per.mid * factor, per.high * factor, per.confidence)
    return replace(cost, per_demand=scaled, fixed=cost.fixed * factor)


def market_of(
    inputs: Inputs, unit: Unit, service: ServiceConfig, tier: TierConfig, account_id: str,
    running: Mapping[tuple[str, str], int], change: Scenario, discount_frac: float,
) -> Market:  # fmt: skip
    """Types and prices of ``unit``: machines, or managed databases where it runs on these.

    Raises
    ------
    MissingDataError
        No on-demand rate is known in its region.
    """
    known = on_demand(inputs.prices, unit.region)
    if not known:
        raise MissingDataError(
            f"{inputs.config.path}: no on-demand rate in {inputs.config.currency} is known for {unit.region}, where "
            f"{unit.service} runs; ingest rates (kind: aws_prices, or files with frame: prices), or mend 'currency'"
        )
    managed = any(is_managed(name) for name, _ in running)
    types = {name: kind for name, kind in inputs.types.items() if is_managed(name) == managed}
    reserved = {
        r.instance_type for r in inputs.reservations if (r.account_id, r.region) == (account_id, unit.region)
    } & types.keys()
    usd = {
        name: rate * (1.0 - discount_frac) * scenario.price_factor(change, name.rpartition(".")[0])
        for name, rate in known.items()
    }
    spot = Spot() if managed else spot_of(inputs, unit, service, tier)
    rate = committed_rates(inputs.prices, unit.region, inputs.config.optimize.commitments, known)
    return Market(types, usd, spot, frozenset({name for name, _ in running} | reserved), rate)


def unit_need(
    inputs: Inputs, data: UnitData, future: Future, change: Scenario, seed: int, discount_frac: float = 0.0
) -> UnitNeed | None:
    """What ``data``'s unit needs of a fleet; None where it runs no instances or nothing ties demand to vCPU.

    ``discount_frac`` is the private discount that the bill shows (Contracted over List) of what the unit runs, machines
    or databases: plans are priced at what is paid, not at the list. A service whose pods are in a node pool has no
    fleet of its own.
    """
    if data.cost is None or data.service.kind == "usage_priced" or not data.running or _is_pooled(inputs, data.unit):
        return None
    service, tier, unit = data.service, data.tier, data.unit
    market = market_of(inputs, unit, service, tier, data.account_id, data.running, change, discount_frac)
    cost = scaled_cost(data.cost, scenario.efficiency_factor(change, unit))
    resources, flags = resource_needs(inputs, data)
    hours = forecast.hourly_paths(future.mean, future.peak, data.shapes, seed)
    days = future.peak.index
    static = not service.autoscaled or service.kind == "vertical"
    count = inputs.config.optimize.load_blocks
    groups = forecast.block_of(hours, days, count)
    cut = forecast.cut_blocks(hours, days, count, tier.service_level, static=static, groups=groups)
    further = tuple(r for r in resources if not r.folds)
    blocks = tuple(replace(b, further={r.resource: r.needed(b.demand) for r in further}) for b in cut)
    reserve = saturation.reserved_demand(cost)
    scale = saturation.reference_scale(data.running, inputs.types, service)
    bounds = {"service": service, "tier": tier, "cost": cost, "measured_scale": scale, "needs": resources}
    provisioned = tuple(replace(b, demand=b.demand + reserve) for b in blocks)
    terms = _terms(provisioned, further, market, max(service.least_types, market.spot.least_types))
    capacity_of = _holding(partial(saturation.per_instance, **bounds), further)  # type: ignore[arg-type]
    found = optimize.choose_candidates(
        unit, service, market.types, market.usd_per_hour, capacity_of, market.kept_types, terms
    )
    candidates = found.candidates
    safe = saturation.safe_capacity(unit, data.running, inputs.types, service, tier, cost, resources)
    return UnitNeed(
        requirement=requirement_of(unit, service, tier, data.account_id, provisioned, candidates, market.spot,
                                   data.running),
        blocks=blocks,
        excuses=found.excuses,
        safe=replace(safe, flags=(*safe.flags, *flags, *market.spot.flags, *_speed_flags(candidates, market, service))),
        cost=cost,
        safe_of={c.instance_type: c.safe for c in candidates},
        running_average=data.running_average,
        hours=hours,
        days=days,
        reserve=reserve,
        prune_loss_frac=found.prune_loss_frac,
        resources=resources,
        binds={c.instance_type: saturation.binding_resource(market.types[c.instance_type], **bounds)  # type: ignore[arg-type]
               for c in candidates},
        spot_relied={c.instance_type: 1.0 - c.spot_buffer_frac for c in candidates},
        groups=groups,
    )  # fmt: skip


def requirement_of(
    unit: Unit, service: ServiceConfig, tier: TierConfig, account_id: str, blocks: tuple[LoadBlock, ...],
    candidates: tuple[Candidate, ...], spot: Spot, running: Mapping[tuple[str, str], int],
) -> UnitRequirement:  # fmt: skip
    """The optimizer's view of a unit. ``blocks`` hold what is reserved, too."""
    return UnitRequirement(
        unit=unit,
        account_id=account_id,
        zones=service.zones,
        zones_survived=min(tier.zones_survived, service.zones - 1),
        autoscaled=service.autoscaled,
        min_per_zone=service.min_instances_per_zone,
        max_per_zone=service.max_instances_per_zone,
        blocks=blocks,
        candidates=with_headroom(candidates, tier.min_headroom_frac),
        running=running,
        vertical=service.kind == "vertical",
        spot_max_frac=spot.max_frac,
        spot_least_types=spot.least_types,
        least_types=service.least_types,
    )


def with_headroom(candidates: tuple[Candidate, ...], headroom_frac: float) -> tuple[Candidate, ...]:
    """The tier's headroom is kept by counting only that share of what each instance serves and holds, all zones up."""
    kept = 1.0 - headroom_frac
    return tuple(
        replace(c, safe=c.safe * kept, further={r: (up * kept, lost) for r, (up, lost) in c.further.items()})
        for c in candidates
    )


def _speed_flags(candidates: tuple[Candidate, ...], market: Market, service: ServiceConfig) -> tuple[str, ...]:
    """Where speeds go by hardware: of how many types it is not known."""
    if service.candidates.scale_by != "hardware":
        return ()
    kinds = [market.types[c.instance_type] for c in candidates]
    unknown = [k.name for k in kinds if scale_of(k, service)[1] == "unknown"]
    return (f"clock or IPC not known of {len(unknown)} of {len(kinds)} types: a vCPU is a vCPU",) if unknown else ()


def _is_pooled(inputs: Inputs, unit: Unit) -> bool:
    return any(
        unit.region in pool.regions and any(p.service == unit.service for p in pool.services)
        for pool in inputs.config.pools
    )


def _terms(blocks: tuple[LoadBlock, ...], further: tuple[ResourceNeed, ...], market: Market, least_types: int) -> Terms:
    """What is asked beside demand; needs grow as in the busiest and in the quietest hours."""
    loaded = sorted((b for b in blocks if b.demand > 0), key=lambda b: b.demand)
    rays = [{r: x / b.demand for r, x in b.further.items()} for b in (loaded[-1:] + loaded[:1])] if further else []
    needed = {r.resource for r in further}

    def nothing(kind: InstanceType) -> str | None:
        lacking = [r.resource for r in further if r.held(kind) <= 0]
        return f"has no {lacking[0]} to hold what is needed" if lacking and lacking[0] in needed else None

    return Terms(
        further_of=lambda kind: {r.resource: (r.held(kind), r.held(kind)) for r in further},
        rays=tuple(rays),
        spot=market.spot.terms,
        committed_rate=market.committed_rate,
        least_types=least_types,
        nothing_reason=nothing,
    )


def _holding(capacity_of: CapacityOf, further: tuple[ResourceNeed, ...]) -> CapacityOf:
    """A type that holds nothing of a resource that is needed serves nothing: load is spread over all instances."""

    def held(kind: InstanceType) -> tuple[float, float]:
        return capacity_of(kind) if all(r.held(kind) > 0 for r in further) else (0.0, 0.0)

    return held
