"""The peak-event check: does the running fleet hold the event, and if not, what to do and by when.

A unit is GO where the P95 of its demand with the event is within its usable safe capacity, with the tier's zones
lost, and the P95 of every hard-limited metric is within its limit. Usable is what runs now; for an autoscaled service
whose ramp leaves time to scale out, what its group may grow to within its maximum and the vCPU quota *that the other
units of the event leave*. So more demand never turns NO-GO into GO, and more capacity never GO into NO-GO.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist

import numpy as np

from capacity.config import EventConfig, HardLimitConfig, LeadTimes, ServiceConfig, TierConfig
from capacity.domain import (
    EventVerdict,
    Floats,
    InstanceType,
    Interval,
    LearnedEffect,
    Quota,
    ResourceCost,
    SafeCapacity,
    Unit,
)
from capacity.errors import UsageError
from capacity.saturation import _event_words as words
from capacity.saturation.callgraph import CallGraph
from capacity.saturation.capacity import ResourceNeed, Running, per_instance, reference_scale, safe_capacity

# The vCPU of all standard families (A, C, D, H, I, M, R, T, Z) of an account in a region.
STANDARD_QUOTA = "L-1216C47A"
# From a metric that rises to an instance that serves: an evaluation period or two, boot, and the provider's usual
# warm-up of 300 s, in round figures.
SCALE_OUT_MINUTES = 10.0
# Stocks, not flows: a busy hour does not multiply what is already stored.
STOCK_METRICS = frozenset({"disk_used_bytes"})

_EVENT_LEVEL = 0.95
# Points of the capacity's distribution that P(holds) averages over.
_CAPACITY_POINTS = 101


def is_stock(metric: str) -> bool:
    """Whether ``metric`` is what is stored, not what flows."""
    return metric in STOCK_METRICS


@dataclass(frozen=True, eq=False)
class HardLimitInputs:
    """A hard limit and its metric in the event's window without the event: (P,) peaks, same futures as the demand.

    ``per_demand`` is what a unit of demand adds to the metric; where None, the metric grows in proportion to demand
    (stocks such as disk do not).
    """

    config: HardLimitConfig
    baseline: Floats
    per_demand: float | None = None


@dataclass(frozen=True, eq=False)
class EventInputs:
    """All that the check knows of one unit; :func:`event_inputs` makes it from a running fleet.

    Attributes
    ----------
    baseline
        (P,) peak demand in the event's window without the event; path i is the same future for every unit.
    now
        What runs; None for a usage-priced service (only hard limits bind it).
    added_normal, added_zone_loss
        Demand that one more instance adds in the two states, the zones' loss counted.
    group_maximum
        Most instances that the group may have; the service's own ``max_instances_per_zone`` where it names none.
    vcpu_per_instance
        Of the running mix, for the quota.
    learned, multiplier
        What past occurrences of an event without multiplier and target taught, and the (P,) multipliers drawn from it.
    """

    service: ServiceConfig
    tier: TierConfig
    account_id: str
    baseline: Floats
    now: SafeCapacity | None
    added_normal: float = 0.0
    added_zone_loss: float = 0.0
    group_maximum: int = 0
    vcpu_per_instance: float = 0.0
    quota_code: str = STANDARD_QUOTA
    scale_out_minutes: float = SCALE_OUT_MINUTES
    usd_per_instance_hour: float | None = None
    hard_limits: tuple[HardLimitInputs, ...] = ()
    learned: LearnedEffect | None = None
    multiplier: Floats | None = None

    def scales_in_time(self, event: EventConfig) -> bool:
        """Does the ramp leave the autoscaler time to follow?"""
        fleet = self.service.autoscaled and self.service.kind == "fleet"
        return fleet and event.ramp_minutes >= self.scale_out_minutes

    def capacity_with(self, added: int) -> Interval:
        """Safe capacity (the smaller state) with ``added`` more instances; unlimited where there are none."""
        if self.now is None:
            return Interval(math.inf, math.inf, math.inf)
        mid = min(
            self.now.normal.mid + added * self.added_normal, self.now.zone_loss.mid + added * self.added_zone_loss
        )
        known = self.now.binding
        if known.mid > 0:
            return Interval(mid * known.low / known.mid, mid, mid * known.high / known.mid, known.confidence)
        per = self.now.cost.per_demand
        return Interval(mid * per.mid / per.high, mid, mid * per.mid / per.low, per.confidence)

    def instances_short(self, demand: float) -> int | None:
        """Fewest more instances that serve ``demand``; None where no number does."""
        short = [(demand - self.now.normal.mid, self.added_normal),
                 (demand - self.now.zone_loss.mid, self.added_zone_loss)] if self.now else []  # fmt: skip
        if any(gap > 0 and each <= 0 for gap, each in short):
            return None
        added = max((math.ceil(gap / each) for gap, each in short if gap > 0), default=0)
        # One more where the division fell a rounding short.
        return added if self.capacity_with(added).mid >= demand else added + 1


def event_inputs(
    unit: Unit,
    baseline: Floats,
    running: Running,
    group_maximum: int | None,
    types: Mapping[str, InstanceType],
    service: ServiceConfig,
    tier: TierConfig,
    cost: ResourceCost | None,
    account_id: str,
    hard_limits: Sequence[HardLimitInputs] = (),
    usd_per_instance_hour: float | None = None,
    needs: tuple[ResourceNeed, ...] = (),
) -> EventInputs:
    """The inputs of one unit from its running fleet. More instances are taken to be the running mix, over its zones.

    Parameters
    ----------
    unit, baseline
        Whose, and its (P,) peak demand in the event's window without the event.
    running, group_maximum
        From :func:`running_now` and :func:`group_maximum`.
    types, service, tier, cost
        As for :func:`safe_capacity`; ``cost`` may be None for a usage-priced service only.
    account_id
        Whose quota it draws on.
    hard_limits, usd_per_instance_hour
        As in :class:`HardLimitInputs`; the price is for the remedy's cost only.
    needs
        What demand needs beside vCPU, as for :func:`safe_capacity`.
    """
    limits = tuple(hard_limits)
    if service.kind == "usage_priced":
        return EventInputs(service, tier, account_id, baseline, None, hard_limits=limits)
    if cost is None:
        raise UsageError(f"event check: {unit} runs instances but has no cost per unit of demand; give one")
    now = safe_capacity(unit, running, types, service, tier, cost, needs)
    scale = reference_scale(running, types, service)
    each = [(n, per_instance(types[name], service, tier, cost, scale, needs)) for (name, _), n in running.items()]
    count = max(now.instances, 1)
    zones = len({zone for (_, zone), n in running.items() if n > 0})
    surviving = max(0, zones - tier.zones_survived) / zones if zones else 0.0
    declared = service.max_instances_per_zone * max(zones, service.zones)
    return EventInputs(
        service, tier, account_id, baseline, now,
        added_normal=sum(n * safe for n, (safe, _) in each) / count,
        added_zone_loss=sum(n * loss for n, (_, loss) in each) / count * surviving,
        group_maximum=max(declared if group_maximum is None else group_maximum, now.instances),
        vcpu_per_instance=now.vcpu / count,
        usd_per_instance_hour=usd_per_instance_hour,
        hard_limits=limits,
    )  # fmt: skip


def check_event(
    event: EventConfig,
    inputs: Mapping[Unit, EventInputs],
    graph: CallGraph,
    lead_times: LeadTimes,
    quotas: Sequence[Quota],
    as_of: date,
) -> tuple[EventVerdict, ...]:
    """GO or NO-GO of every unit that the event reaches, callers before those they call.

    Parameters
    ----------
    event
        Multiplier or absolute target at the services it names, or what was learned of it (``inputs``); the call graph
        carries the increment on. A service that has an increment of its own and is also called takes the larger of the
        two, by path.
    inputs
        By unit. A unit that the event reaches and that is not here cannot be judged, and is NO-GO.
    graph, lead_times, quotas
        Of the config and the store; quotas are matched by account, region and code.
    as_of
        Today, for what is overdue.

    Returns
    -------
    tuple of EventVerdict
        ``safe_now`` and ``safe_at_group_maximum`` (within what the quota leaves) are the middle of safe capacity, with
        the tier's zones lost. For a usage-priced service they are the demand at which its tightest hard limit binds, or
        without one the largest demand of all paths: always finite. ``probability_holds`` is the share of (path ×
        capacity from its interval) that holds, hard limits included.

    Raises
    ------
    UsageError
        Baselines of different lengths, or none.
    """
    _check_paths(inputs)
    increments = _increments(event, inputs, graph)
    demand = {u: np.maximum(inputs[u].baseline + inc, 0.0) for u, inc in increments.items() if u in inputs}
    p95 = {u: _quantile(d, _EVENT_LEVEL) for u, d in demand.items()}
    room = _quota_room(inputs, p95, quotas)
    out = []
    for unit, increment in increments.items():
        callers = tuple(str(u) for u in graph.callers(unit, increments))
        if unit not in inputs:
            out.append(words.not_judged(event, unit, _quantile(increment, 0.5), _quantile(increment, 0.95), callers))
            continue
        judged = _judge(event, unit, inputs[unit], demand[unit], p95[unit], room[unit])
        out.append(words.verdict(event, unit, inputs[unit], judged, callers, lead_times, as_of))
    return tuple(out)


def _increments(event: EventConfig, inputs: Mapping[Unit, EventInputs], graph: CallGraph) -> dict[Unit, Floats]:
    """(P,) increments over the baseline of every unit that the event reaches."""
    paths = len(next(iter(inputs.values())).baseline)
    own: dict[Unit, Floats] = {}
    for service in event.services:
        for region in graph.regions.get(service, ()):
            if event.regions is not None and region not in event.regions:
                continue
            unit = Unit(service, region)
            base = inputs[unit].baseline if unit in inputs else np.zeros(paths)
            own[unit] = _increment(event, base, inputs[unit].multiplier if unit in inputs else None)
    if event.is_learned:  # what a called service's own past says counts too
        own |= {u: _increment(event, i.baseline, i.multiplier) for u, i in inputs.items() if i.multiplier is not None}
    return graph.propagate(own, combine="larger")


def _increment(event: EventConfig, baseline: Floats, learned: Floats | None) -> Floats:
    if event.target is not None:
        return event.target - baseline
    multiplier = learned if event.multiplier is None else event.multiplier
    return baseline * ((1.0 if multiplier is None else multiplier) - 1.0)


def _quota_room(
    inputs: Mapping[Unit, EventInputs], p95: Mapping[Unit, float], quotas: Sequence[Quota]
) -> dict[Unit, words.QuotaRoom]:
    """For each unit, the vCPU that its quota leaves after what the *other* units of the event need at their P95.

    What others need is counted in full, whether or not their own group maximum lets them have it: raising that
    maximum then never takes room from anybody.
    """
    need = {u: _vcpu_short(inputs[u], d) for u, d in p95.items()}
    limits = {(q.account_id, q.region, q.code): q for q in quotas}
    out = {}
    for unit in p95:
        key = (inputs[unit].account_id, unit.region, inputs[unit].quota_code)
        sharers = [u for u in p95 if (inputs[u].account_id, u.region, inputs[u].quota_code) == key]
        quota = limits.get(key)
        others = sum(need[u] for u in sharers if u != unit)
        free = math.inf if quota is None else quota.limit - quota.used
        out[unit] = words.QuotaRoom(quota, free - others, need[unit], others)
    return out


def _vcpu_short(inputs: EventInputs, demand: float) -> float:
    if inputs.service.kind != "fleet":
        return 0.0  # a database changes its type, a usage-priced service has no vCPU of ours
    return (inputs.instances_short(demand) or 0) * inputs.vcpu_per_instance


def _judge(
    event: EventConfig, unit: Unit, inputs: EventInputs, demand: Floats, p95: float, room: words.QuotaRoom
) -> words.Judged:
    running = inputs.now.instances if inputs.now else 0
    by_group = inputs.group_maximum - running
    by_quota = math.floor(max(room.vcpu, 0.0) / inputs.vcpu_per_instance) if _bounded(inputs, room) else by_group
    most = max(0, min(by_group, by_quota)) if inputs.service.kind == "fleet" else 0
    scales = inputs.scales_in_time(event)
    usable = inputs.capacity_with(most if scales else 0)
    limits = tuple(_hard_limit(x, inputs.baseline, demand) for x in inputs.hard_limits)
    held = np.ones(len(demand), dtype=bool)
    for limit in limits:
        held &= limit.holds_by_path
    shown = [min(inputs.capacity_with(n).mid, _served_anyway(demand, p95, limits, inputs)) for n in (0, most)]
    return words.Judged(
        demand_p50=_quantile(demand, 0.5), demand_p95=p95, baseline_p50=_quantile(inputs.baseline, 0.5),
        safe_now=shown[0], safe_at_maximum=shown[1], usable=usable.mid,
        scales=scales, most_added=most, short=inputs.instances_short(p95), room=room, limits=limits,
        probability=float(np.mean(_probability_within(demand, usable) * held)),
    )  # fmt: skip


def _served_anyway(demand: Floats, p95: float, limits: Sequence[words.LimitHeld], inputs: EventInputs) -> float:
    """A finite figure for a service without instances: the demand at which its tightest flow limit binds.

    Without such a limit it serves what comes: the largest demand of all paths.
    """
    if inputs.now is not None:
        return math.inf
    flows = [x for x in limits if x.config.metric not in STOCK_METRICS and x.p95 > 0]
    return min((p95 * x.config.limit / x.p95 for x in flows), default=float(demand.max()))


def _bounded(inputs: EventInputs, room: words.QuotaRoom) -> bool:
    return math.isfinite(room.vcpu) and inputs.vcpu_per_instance > 0


def _hard_limit(limit: HardLimitInputs, baseline: Floats, demand: Floats) -> words.LimitHeld:
    """The metric with the event, against its limit."""
    if limit.per_demand is not None:
        metric = limit.baseline + limit.per_demand * (demand - baseline)
    elif limit.config.metric in STOCK_METRICS:
        metric = limit.baseline
    else:
        grows = np.divide(demand, baseline, out=np.ones_like(demand), where=baseline > 0)
        metric = limit.baseline * grows
    return words.LimitHeld(limit.config, _quantile(metric, _EVENT_LEVEL), metric <= limit.config.limit)


def _probability_within(demand: Floats, capacity: Interval) -> Floats:
    """(P,) P(capacity >= demand): capacity as two half normals that meet at its middle and keep its interval."""
    if math.isinf(capacity.mid):
        return np.ones(len(demand))
    z = NormalDist().inv_cdf((1 + capacity.confidence) / 2) if capacity.confidence < 1 else math.inf
    points = (np.arange(_CAPACITY_POINTS) + 0.5) / _CAPACITY_POINTS
    deviate = np.array([NormalDist().inv_cdf(float(p)) for p in points]) / z
    side = np.where(deviate < 0, capacity.mid - capacity.low, capacity.high - capacity.mid)
    draws = np.maximum(capacity.mid + deviate * side, 0.0)  # rising
    return 1.0 - np.searchsorted(draws, demand, side="left") / _CAPACITY_POINTS


def _quantile(values: Floats, level: float) -> float:
    """The smallest value that at least ``level`` of the paths do not pass."""
    return float(np.quantile(values, level, method="inverted_cdf"))


def _check_paths(inputs: Mapping[Unit, EventInputs]) -> None:
    lengths = {len(i.baseline) for i in inputs.values()}
    lengths |= {len(x.baseline) for i in inputs.values() for x in i.hard_limits}
    if len(lengths) != 1 or lengths == {0}:
        raise UsageError(f"event check: baselines of {sorted(lengths)} paths; give every unit the same futures")
