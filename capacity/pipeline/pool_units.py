"""Node pools as units of the plan: what their pods requested, what they will request, and when the nodes run out.

A pool has no series of its own. Its history is what the pods of its services would have requested hour by hour, by the
demand that was seen; its future the joint paths that its nodes are planned for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from capacity import forecast, saturation
from capacity.config import LeadTimes, NodePoolConfig, PodConfig
from capacity.domain import QUANTILES, Floats, Paths, SeriesForecast, Unit
from capacity.pipeline.demand import UnitData
from capacity.pipeline.futures import Future
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.mix import Mix, UnitNeed, pod_count, pool_service
from capacity.pipeline.outlook import Outlook, fleet_limit_name, fleet_remedy, limit_outlook
from capacity.plan import LimitOutlook

MEASURE = "vCPU"


@dataclass(frozen=True)
class PoolUnit:
    """A pool in a region as any other unit: what is known of it, and its future."""

    data: UnitData
    future: Future


def pool_units(
    inputs: Inputs, data: Mapping[Unit, UnitData], needs: Mapping[Unit, UnitNeed], known: Mapping[Unit, Future]
) -> dict[Unit, PoolUnit]:
    """Every pool that has a need, by the unit of its own name."""
    out: dict[Unit, PoolUnit] = {}
    for pool in inputs.config.pools:
        for region in pool.regions:
            unit = Unit(pool.name, region)
            pods = [(p, data[u]) for p in pool.services if (u := Unit(p.service, region)) in data and u in known]
            if unit in needs and pods:
                origin = max(known[d.unit].peak.origin for _, d in pods)
                out[unit] = PoolUnit(_data(inputs, pool, needs[unit], pods), _future(unit, needs[unit], origin, pods))
    return out


def pool_outlook(found: PoolUnit, need: UnitNeed, mix: Mix | None, leads: LeadTimes, inputs: Inputs) -> Outlook:
    """When requests first pass what the running nodes hold; nothing of a pool whose nodes are not known."""
    if not need.requirement.running:
        return Outlook((), ())
    peak = found.future.peak
    name = fleet_limit_name(need.safe)
    curve = saturation.first_passage(found.data.unit, name, need.safe.binding.mid, peak.paths, peak.index)
    remedy, lead = fleet_remedy(found.data, need, found.future, mix, leads)
    metric, today = found.data.service.demand_metric, inputs.as_of.date()
    limit: LimitOutlook = limit_outlook(curve, "fleet", metric, MEASURE, remedy, lead, today)
    return Outlook((limit,), (curve,))


# --- what was ----------------------------------------------------------------------------------------------


def _data(inputs: Inputs, pool: NodePoolConfig, need: UnitNeed, pods: list[tuple[PodConfig, UnitData]]) -> UnitData:
    unit, service = need.requirement.unit, pool_service(pool)
    clock = pool.time_zone or pods[0][1].service.time_zone
    hourly = requested(pods)
    targets = forecast.daily_targets(hourly, requested(pods, at_peak=True), clock)
    fleet = inputs.fleet_of(unit)
    return UnitData(
        unit=unit,
        service=service.model_copy(update={"time_zone": clock}),
        tier=inputs.config.tier(pool.tier),
        account_id=need.requirement.account_id,
        unit_of_measure=MEASURE,
        hourly=hourly,
        mean=targets.mean,
        peak=targets.peak,
        shapes=forecast.day_shapes(hourly, clock),
        limits={},
        cost=need.cost,
        fleet=fleet,
        running=need.requirement.running,
        running_average=need.running_average,
        group_maximum=saturation.group_maximum(fleet, pd.Timestamp(inputs.as_of)) if len(fleet) else None,
        masks=(),
        flags=("requests as the pods of the demand seen would have made them, not as they were made",),
    )


def requested(pods: list[tuple[PodConfig, UnitData]], *, at_peak: bool = False) -> pd.Series:
    """vCPU requested in each hour that all services are known in, UTC; ``at_peak`` with the burst inside the hour."""
    parts = []
    for pod, data in pods:
        times = data.burst.mid if at_peak and data.burst is not None else 1.0
        hours = data.hourly.groupby(level=0).mean().dropna() * times
        cpu = pod_count(pod, hours.to_numpy(np.float32)).astype(float) * pod.cpu_request_vcpu
        parts.append(pd.Series(cpu, index=hours.index))
    together: pd.Series = pd.concat(parts, axis=1, join="inner").sum(axis=1).sort_index()
    return together


# --- what will be ------------------------------------------------------------------------------------------


def _future(unit: Unit, need: UnitNeed, origin: pd.Timestamp, pods: list[tuple[PodConfig, UnitData]]) -> Future:
    services = ", ".join(p.service for p, _ in pods)
    reason = f"no forecast of its own: requests of {services}, added hour by hour in each future"
    peak, mean = need.hours.max(axis=2), need.hours.mean(axis=2, dtype=np.float32)
    return Future(*(_series(unit, need.days, x, origin, reason) for x in (mean, peak)))


def _series(unit: Unit, days: pd.DatetimeIndex, paths: Paths, origin: pd.Timestamp, reason: str) -> SeriesForecast:
    def levels(values: Paths) -> Floats:
        out: Floats = np.quantile(values.astype(float), QUANTILES, axis=0)
        return out

    return SeriesForecast(
        key=str(unit),
        freq="D",
        origin=origin,
        index=days,
        quantiles=levels(paths),
        paths=paths,
        peak=levels(paths.max(axis=1)),
        total=levels(paths.sum(axis=1)),
        model="its services",
        reason=reason,
        scores=(),
    )
