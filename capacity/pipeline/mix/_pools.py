"""A node pool as one planning unit: the joint requests of its services' pods, future by future.

A pool's demand is the vCPU that its pods request. Row i of two services is one future, so their requests are added
hour by hour in each future and the level that keeps the promise is taken of the sums: the joint peak, which is below
the sum of the peaks wherever services are not busiest at once. Pods are whole. Memory and the number of pods are
further requirements, and all are held jointly at the tier's service level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from capacity import forecast, optimize, saturation, scenario
from capacity.config import NodePoolConfig, PodConfig, ServiceConfig, TierConfig
from capacity.domain import InstanceType, Interval, LoadBlock, Paths, SafeCapacity, Unit
from capacity.optimize.candidates import Terms
from capacity.pipeline.demand import UnitData
from capacity.pipeline.fleet import average_running
from capacity.pipeline.futures import Future
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.mix._failover import shares_of
from capacity.pipeline.mix._joint import block_tops, joint_levels, months_of, on_clock, shared_days
from capacity.pipeline.mix._need import Market, UnitNeed, market_of, requirement_of
from capacity.pipeline.mix._nodes import Shares, holds, too_small_for
from capacity.scenario import Scenario

CPU, MEMORY, PODS = "vcpu", "memory_gib", "pods"
# Demand over what a pod serves is a float: a hair over a whole number is that number.
_HAIR = 1e-6


@dataclass(frozen=True)
class Requests:
    """(P, D, 24) requests of all pods of a pool on ``days`` of its clock."""

    days: pd.DatetimeIndex
    cpu: Paths
    memory: Paths
    pods: Paths
    shares: Shares


@dataclass(frozen=True)
class _Source:
    """The forecasts that a pool is made of."""

    inputs: Inputs
    data: Mapping[Unit, UnitData]
    known: Mapping[Unit, Future]
    change: Scenario
    seed: int


def pool_need(
    inputs: Inputs, pool: NodePoolConfig, region: str, data: Mapping[Unit, UnitData], known: Mapping[Unit, Future],
    change: Scenario, seed: int, discount_frac: float = 0.0,
) -> UnitNeed | None:  # fmt: skip
    """What ``pool`` needs in ``region``; None where none of its services has a forecast there.

    The demand of its blocks is requested vCPU; ``hours`` are the joint paths that they were cut from.
    """
    source = _Source(inputs, data, known, change, seed)
    requests = joint_requests(source, pool, region)
    if requests is None:
        return None
    unit, service, tier = Unit(pool.name, region), as_service(pool), inputs.config.tier(pool.tier)
    fleet = inputs.fleet_of(unit)
    running = saturation.running_most(fleet, pd.Timestamp(inputs.as_of)) if len(fleet) else {}
    running = {key: n for key, n in running.items() if key[0] in inputs.types}
    account = pool.account_id or (str(fleet["account_id"].iloc[-1]) if len(fleet) else _account(source, pool, region))
    market = market_of(inputs, unit, service, tier, account, running, change, discount_frac)
    blocks = _with_losses(source, pool, region, requests, _blocks(inputs, pool, tier, requests), tier)

    def capacity_of(kind: InstanceType) -> tuple[float, float]:
        held = holds(kind, pool, requests.shares)[0]
        return held, held

    terms = _terms(pool, requests.shares, blocks, market, max(service.least_types, market.spot.least_types))
    found = optimize.choose_candidates(
        unit, service, market.types, market.usd_per_hour, capacity_of, market.kept_types, terms
    )
    candidates = found.candidates
    cost = saturation.demand_is_resource(float(requests.cpu.max()), "requested_vcpu")
    safe = _safe(unit, running, inputs.types, pool, tier, requests, blocks)
    return UnitNeed(
        requirement=requirement_of(unit, service, tier, account, blocks, candidates, market.spot, running),
        blocks=blocks,
        excuses=found.excuses,
        safe=replace(safe, cost=cost, flags=(*safe.flags, *market.spot.flags)),
        cost=cost,
        safe_of={c.instance_type: c.safe for c in candidates},
        running_average=average_running(fleet, inputs.as_of) if len(fleet) else {},
        hours=requests.cpu,
        days=requests.days,
        reserve=0.0,
        prune_loss_frac=found.prune_loss_frac,
        spot_relied={c.instance_type: 1.0 - c.spot_buffer_frac for c in candidates},
    )


def as_service(pool: NodePoolConfig) -> ServiceConfig:
    """The pool as the service that its nodes are."""
    return ServiceConfig(
        name=pool.name,
        tier=pool.tier,
        team=pool.team,
        regions=list(pool.regions),
        account_id=pool.account_id,
        time_zone=pool.time_zone or "UTC",
        demand_metric="requested_vcpu",
        utilisation_metric=None,
        autoscaled=pool.autoscaled,
        zones=pool.zones,
        min_instances_per_zone=pool.min_nodes_per_zone,
        max_instances_per_zone=pool.max_nodes_per_zone,
        max_utilisation_frac=1.0,
        candidates=pool.candidates,
        least_types=pool.least_types,
        spot=pool.spot,
    )


# --- joint requests ----------------------------------------------------------------------------------------


def joint_requests(source: _Source, pool: NodePoolConfig, region: str, lost: str | None = None) -> Requests | None:
    """Requests of all pods; with the region ``lost``, those that its traffic brings here too."""
    found = [(pod, _demand(source, pod, region, lost)) for pod in pool.services]
    loads = [(pod, days, hours) for pod, loaded in found if loaded is not None for days, hours in [loaded]]
    if not loads:
        return None
    clock = pool.time_zone or source.data[Unit(loads[0][0].service, region)].service.time_zone
    days = shared_days([d for _, d, _ in loads])
    totals = {name: np.zeros((len(loads[0][2]), len(days), 24), dtype=np.float32) for name in (CPU, MEMORY, PODS)}
    for pod, pods in _pods(source, region, loads, days, clock):
        totals[CPU] += pods * np.float32(pod.cpu_request_vcpu)
        totals[MEMORY] += pods * np.float32(pod.memory_request_gib)
        totals[PODS] += pods
    at = totals[CPU].reshape(len(totals[CPU]), -1).argmax(axis=1)
    peak = {
        pod.service: float(pods.reshape(len(pods), -1)[np.arange(len(pods)), at].sum())
        for pod, pods in _pods(source, region, loads, days, clock)
    }
    return Requests(days, totals[CPU], totals[MEMORY], totals[PODS], _shares(pool, peak))


def _demand(source: _Source, pod: PodConfig, region: str, lost: str | None) -> tuple[pd.DatetimeIndex, Paths] | None:
    """Hours of one service's demand here, on its own clock."""
    unit = Unit(pod.service, region)
    if unit not in source.known or unit not in source.data:
        return None
    days, hours = source.known[unit].peak.index, _hours(source, unit)
    share = shares_of(source.data[unit].service, lost).get(region, 0.0) if lost is not None else 0.0
    gone = Unit(pod.service, lost or "")
    if share <= 0 or gone not in source.known:
        return days, hours
    shared = shared_days([days, source.known[gone].peak.index])
    there = _hours(source, gone)[:, source.known[gone].peak.index.get_indexer(shared)]
    return shared, hours[:, days.get_indexer(shared)] + np.float32(share) * there


def _hours(source: _Source, unit: Unit) -> Paths:
    future = source.known[unit]
    hours = forecast.hourly_paths(future.mean, future.peak, source.data[unit].shapes, source.seed)
    return hours * np.float32(scenario.efficiency_factor(source.change, unit))


def _pods(
    source: _Source, region: str, loads: list[tuple[PodConfig, pd.DatetimeIndex, Paths]], days: pd.DatetimeIndex,
    clock: str,
) -> list[tuple[PodConfig, Paths]]:  # fmt: skip
    out = []
    for pod, own_days, hours in loads:
        own = source.data[Unit(pod.service, region)].service.time_zone
        there = on_clock(hours, own_days, own, clock)[:, own_days.get_indexer(days)]
        out.append((pod, pod_count(pod, there)))
    return out


def pod_count(pod: PodConfig, demand: Paths) -> Paths:
    """Whole pods for ``demand``, and never fewer than the least."""
    pods = np.ceil(demand / np.float32(pod.demand_per_pod) - np.float32(_HAIR))
    whole: Paths = np.maximum(pods, np.float32(pod.min_pods))
    return whole


def _shares(pool: NodePoolConfig, pods: Mapping[str, float]) -> Shares:
    def parts(requests: list[float]) -> tuple[float, ...]:
        total = sum(requests)
        return tuple(x / total for x in requests) if total > 0 else tuple(1.0 / len(requests) for _ in requests)

    return Shares(
        parts([pods.get(p.service, 0.0) * p.cpu_request_vcpu for p in pool.services]),
        parts([pods.get(p.service, 0.0) * p.memory_request_gib for p in pool.services]),
    )


def _account(source: _Source, pool: NodePoolConfig, region: str) -> str:
    known = [source.data[u].account_id for p in pool.services if (u := Unit(p.service, region)) in source.data]
    return known[0] if known else ""


# --- blocks ------------------------------------------------------------------------------------------------


def _blocks(inputs: Inputs, pool: NodePoolConfig, tier: TierConfig, requests: Requests) -> tuple[LoadBlock, ...]:
    """Blocks by requested vCPU; vCPU, memory and pods at one common rank over all blocks of a month."""
    count, static = inputs.config.optimize.load_blocks, not pool.autoscaled
    cut = forecast.cut_blocks(requests.cpu, requests.days, count, tier.service_level, static=static)
    names: dict[str, list[LoadBlock]] = {}
    for block in cut:
        names.setdefault(block.month, []).append(block)
    out: list[LoadBlock] = []
    for month, at in months_of(requests.days):
        blocks = names[month]
        groups = forecast.block_of(requests.cpu[:, at], requests.days[at], len(blocks))
        local = np.arange(len(at))
        loads = (requests.cpu, requests.memory, requests.pods)
        tops = [block_tops(x[:, at], groups, local, len(blocks)) for x in loads]
        cpu, memory, pods = np.split(joint_levels(np.concatenate(tops, axis=1), tier.service_level), 3)
        out += [
            replace(b, demand=float(cpu[i]), further={MEMORY: float(memory[i]), PODS: float(pods[i])})
            for i, b in enumerate(blocks)
        ]
    return tuple(out)


def _with_losses(
    source: _Source, pool: NodePoolConfig, region: str, requests: Requests, blocks: tuple[LoadBlock, ...],
    tier: TierConfig,
) -> tuple[LoadBlock, ...]:  # fmt: skip
    """With the vCPU that is requested when a region is lost from which traffic comes here."""
    if scenario.lost_region(source.change) is not None:
        return blocks
    services = [source.inputs.config.service(p.service) for p in pool.services]
    losses = {lost for s in services for lost in s.regions if lost != region and region in shares_of(s, lost)}
    worst: dict[str, float] = {}
    for lost in sorted(losses):
        joint = joint_requests(source, pool, region, lost)
        if joint is None:
            continue
        for month, at in months_of(joint.days):
            top = joint.cpu[:, at].reshape(len(joint.cpu), -1).max(axis=1, keepdims=True)
            worst[month] = max(worst.get(month, 0.0), float(joint_levels(top, tier.service_level)[0]))
    return tuple(replace(b, region_loss_demand=worst.get(b.month, 0.0)) for b in blocks)


def _terms(
    pool: NodePoolConfig, shares: Shares, blocks: tuple[LoadBlock, ...], market: Market, least_types: int
) -> Terms:
    pods = float(pool.max_pods_per_node)

    def further_of(kind: InstanceType) -> dict[str, tuple[float, float]]:
        memory = holds(kind, pool, shares)[1]
        return {MEMORY: (memory, memory), PODS: (pods, pods)}

    loaded = sorted((b for b in blocks if b.demand > 0), key=lambda b: b.demand)
    return Terms(
        further_of=further_of,
        rays=tuple({r: x / b.demand for r, x in b.further.items()} for b in (loaded[-1:] + loaded[:1])),
        spot=market.spot.terms,
        committed_rate=market.committed_rate,
        least_types=least_types,
        nothing_reason=lambda kind: too_small_for(kind, pool),
    )


# --- what runs ---------------------------------------------------------------------------------------------


def _safe(
    unit: Unit, running: Mapping[tuple[str, str], int], types: Mapping[str, InstanceType], pool: NodePoolConfig,
    tier: TierConfig, requests: Requests, blocks: tuple[LoadBlock, ...],
) -> SafeCapacity:  # fmt: skip
    """Requested vCPU that the running nodes hold, all up and with the largest zones gone; memory is flagged."""
    zones: dict[str, list[float]] = {}
    for (name, zone), count in running.items():
        cpu, memory = holds(types[name], pool, requests.shares)
        was = zones.setdefault(zone, [0.0, 0.0])
        zones[zone] = [was[0] + count * cpu, was[1] + count * memory]
    left = sorted(zones.values(), reverse=True)[tier.zones_survived :]
    cpu, memory = (sum(z[k] for z in zones.values()) for k in (0, 1))
    vcpu = sum(n * types[name].vcpu for (name, _), n in running.items())
    needed = max((b.further[MEMORY] for b in blocks), default=0.0)
    # Where a zone is lost, it may be the one that holds most memory.
    without = sum(sorted((z[1] for z in zones.values()), reverse=True)[tier.zones_survived :])
    short = [("", memory), (f" with {tier.zones_survived} zone(s) lost", without)]
    flags = tuple(
        f"memory_gib{where}: holds {held:.4g}, pods request {needed:.4g} at their peak"
        for where, held in short[: 1 if memory < needed else 2]
        if held < needed
    )
    normal, lost = cpu, sum(z[0] for z in left)
    return SafeCapacity(
        unit=unit,
        normal=Interval(normal, normal, normal),
        zone_loss=Interval(lost, lost, lost),
        zones_lost=tier.zones_survived,
        utilisation_frac=cpu / vcpu if vcpu else 0.0,
        cost=saturation.demand_is_resource(1.0, "requested_vcpu"),
        instances=sum(running.values()),
        vcpu=vcpu,
        flags=("no node runs",) if not running else flags,
    )
