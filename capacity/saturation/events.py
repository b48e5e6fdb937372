"""The peak-event check: does the running fleet hold the event, and if not, what to do and by when.

A unit is GO where, at P95, the demand of the event is within its usable safe capacity with the tier's zones lost, what
it has grown to before the first new instance can serve is within what runs, a lost region's traffic fits where the
service promises that, and every hard and third-party limit holds. Usable is what runs now; for an autoscaled service,
with what comes within the ramp, the group's maximum and the vCPU quota *that the other units of the event leave*. So
more demand never turns NO-GO into GO, and more capacity never GO into NO-GO.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from statistics import NormalDist

import numpy as np

from capacity.config import EventConfig, LeadTimes
from capacity.domain import EventFlow, EventVerdict, Floats, Interval, Quota, Unit
from capacity.saturation import _event_ramp as ramp
from capacity.saturation import _event_words as words
from capacity.saturation._event_inputs import (
    STOCK_METRICS,
    EventInputs,
    HardLimitInputs,
    PastPeak,
    check_paths,
    event_inputs,
    is_stock,
    quantile,
)
from capacity.saturation._event_limits import hard_limit, region_demand, third_parties
from capacity.saturation._event_size import Sized, edge_words, entering, increment, on_usual_calls, with_event_factors
from capacity.saturation.callgraph import CallGraph
from capacity.words import number

__all__ = [
    "EventInputs", "HardLimitInputs", "PastPeak", "check_event", "event_flows", "event_inputs", "is_stock",
    "probability_within",
]  # fmt: skip

_EVENT_LEVEL = 0.95
# Points of the capacity's distribution that P(holds) averages over.
_CAPACITY_POINTS = 401


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
        Multiplier, absolute target or business figure at the services it names, or what was learned of it
        (``inputs``); the call graph carries the increment on. A service that has an increment of its own and is also
        called takes the larger of the two, by path.
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
        capacity from its interval) that holds, limits included.

    Raises
    ------
    UsageError
        Baselines of different lengths, or none.
    """
    check_paths(inputs)
    graph = with_event_factors(graph, event)
    sized, increments = _increments(event, inputs, graph)
    # Of units that the event does not reach, the demand is as it is: third parties serve them too.
    still = np.zeros(len(next(iter(inputs.values())).baseline))
    demand = {u: np.maximum(i.baseline + increments.get(u, still), 0.0) for u, i in inputs.items()}
    needs = {u: _need(event, u, inputs, demand) for u in increments if u in inputs}
    room = _quota_room(inputs, needs, quotas)
    outside = third_parties(inputs, demand)
    out = []
    for unit, added in increments.items():
        callers = list(graph.callers(unit, increments))
        names = tuple(str(u) for u in callers)
        if unit not in inputs:
            out.append(words.not_judged(event, unit, quantile(added, 0.5), quantile(added, 0.95), names))
            continue
        own = [hard_limit(x, inputs[unit].baseline, demand[unit]) for x in inputs[unit].hard_limits]
        judged = _judge(event, inputs[unit], demand[unit], needs[unit], room[unit], (*own, *outside.get(unit, ())))
        told = _size_words(unit, sized, added, demand[unit])
        told += edge_words(event, graph, unit, callers)
        out.append(words.verdict(event, unit, inputs[unit], judged, names, told, lead_times, as_of))
    return tuple(out)


def _size_words(unit: Unit, sized: Sized, added: Floats, demand: Floats) -> list[str]:
    """The arithmetic of a business figure where it enters, and whether what callers bring is more."""
    if unit not in sized.arithmetic:
        return []
    said = sized.arithmetic[unit]
    if quantile(added, 0.5) > quantile(sized.increments[unit], 0.5) * (1 + 1e-9) + 1e-9:
        said += f"; what its callers bring is more and counts: {number(quantile(demand, 0.5))} req/s (P50)"
    return [said]


def event_flows(event: EventConfig, inputs: Mapping[Unit, EventInputs], graph: CallGraph) -> tuple[EventFlow, ...]:
    """What the event adds from service to service, in the order of :func:`check_event`; the same arguments.

    An edge carries the caller's whole increment times the calls a request, and what the event's own factors do to the
    calls that there are without it.
    """
    check_paths(inputs)
    graph = with_event_factors(graph, event)
    _, increments = _increments(event, inputs, graph)
    beside = on_usual_calls(event, inputs, graph)
    out = []
    for unit in increments:
        for caller in graph.callers(unit, increments):
            each = graph.calls[caller.service][unit.service]
            flow = increments[caller] * each + beside.get((caller, unit.service), 0.0)
            out.append(EventFlow(caller, unit, each, quantile(flow, 0.5), quantile(flow, _EVENT_LEVEL)))
    return tuple(out)


def _increments(
    event: EventConfig, inputs: Mapping[Unit, EventInputs], graph: CallGraph
) -> tuple[Sized, dict[Unit, Floats]]:
    """(P,) increments over the baseline of every unit that the event reaches, and how large it is where it enters."""
    sized = entering(event, inputs, graph)
    own = dict(sized.increments)
    if event.is_learned:  # what a called service's own past says counts too
        own |= {u: increment(event, i.baseline, i.multiplier) for u, i in inputs.items() if i.multiplier is not None}
    return sized, graph.propagate(own, combine="larger", beside=on_usual_calls(event, inputs, graph))


def _need(
    event: EventConfig, unit: Unit, inputs: Mapping[Unit, EventInputs], demand: Mapping[Unit, Floats]
) -> words.Need:
    """What the event asks of a unit at P95."""
    own, full = inputs[unit], demand[unit]
    start = np.minimum(own.baseline, full)
    early = ramp.early(start, full, event.ramp_minutes, own.scale_out_minutes)
    region = region_demand(unit, own.service, demand)
    p95, with_region = quantile(full, _EVENT_LEVEL), 0.0 if region is None else quantile(region, _EVENT_LEVEL)
    short = own.instances_short(p95, with_region, own.scales_in_time(event))
    early_p95 = quantile(early, _EVENT_LEVEL)
    before = ramp.before_the_ramp(own, event, early_p95, short)
    return words.Need(
        start, early, region, start_p95=quantile(start, _EVENT_LEVEL), early_p95=early_p95, p95=p95,
        region_p95=with_region, short=None if short is None or before is None else max(short, before), before=before,
    )  # fmt: skip


def _quota_room(
    inputs: Mapping[Unit, EventInputs], needs: Mapping[Unit, words.Need], quotas: Sequence[Quota]
) -> dict[Unit, words.QuotaRoom]:
    """For each unit, the vCPU that its quota leaves after what the *other* units of the event need at their P95.

    What others need is counted in full, whether or not their own group maximum lets them have it: raising that
    maximum then never takes room from anybody.
    """
    need = {u: _vcpu_short(inputs[u], n.short) for u, n in needs.items()}
    limits = {(q.account_id, q.region, q.code): q for q in quotas}
    out = {}
    for unit in needs:
        key = (inputs[unit].account_id, unit.region, inputs[unit].quota_code)
        sharers = [u for u in needs if (inputs[u].account_id, u.region, inputs[u].quota_code) == key]
        quota = limits.get(key)
        others = sum(need[u] for u in sharers if u != unit)
        free = math.inf if quota is None else quota.limit - quota.used
        out[unit] = words.QuotaRoom(quota, free - others, need[unit], others)
    return out


def _vcpu_short(inputs: EventInputs, short: int | None) -> float:
    if inputs.service.kind != "fleet":
        return 0.0  # a database changes its type, a usage-priced service has no vCPU of ours
    return (short or 0) * inputs.vcpu_per_instance


def _judge(
    event: EventConfig, inputs: EventInputs, demand: Floats, need: words.Need, room: words.QuotaRoom,
    limits: tuple[words.LimitHeld, ...],
) -> words.Judged:  # fmt: skip
    running = inputs.now.instances if inputs.now else 0
    by_group = inputs.group_maximum - running
    by_quota = math.floor(max(room.vcpu, 0.0) / inputs.vcpu_per_instance) if _bounded(inputs, room) else by_group
    most = max(0, min(by_group, by_quota)) if inputs.service.kind == "fleet" else 0
    come = ramp.added_by_the_end(inputs, event, most)
    scales = inputs.scales_in_time(event)
    now, usable = inputs.capacity_with(0), inputs.capacity_with(come, scales)
    region = inputs.region_loss_with(come)
    held = np.ones(len(demand), dtype=bool)
    for limit in limits:
        held &= limit.holds_by_path
    # What capacity must be, as a share of its middle, for each future to hold.
    shares = [_over(demand, usable.mid)]
    shares += [_over(need.early, now.mid)] if scales else []
    shares += [_over(need.region, region)] if need.region is not None else []
    most_safe = max(now.mid, inputs.capacity_with(most, inputs.autoscales).mid)
    shown = [min(x, _served_anyway(demand, need.p95, limits, inputs)) for x in (now.mid, most_safe)]
    return words.Judged(
        need, demand_p50=quantile(demand, 0.5), baseline_p50=quantile(inputs.baseline, 0.5),
        baseline_p95=quantile(inputs.baseline, _EVENT_LEVEL), safe_now=shown[0], safe_at_maximum=shown[1],
        now=now.mid, usable=usable.mid, region=region, scales=scales, most_added=most, come=come,
        room=room, limits=limits, ahead=ramp.ahead(inputs, event, need.start_p95, need.p95, most),
        probability=float(np.mean(probability_within(np.maximum.reduce(shares), usable) * held)),
    )  # fmt: skip


def _over(demand: Floats, capacity: float) -> Floats:
    if math.isinf(capacity):
        return np.zeros(len(demand))
    out = np.full(len(demand), math.inf)
    return np.divide(demand, capacity, out=np.where(demand > 0, out, 0.0), where=capacity > 0)


def _served_anyway(demand: Floats, p95: float, limits: Sequence[words.LimitHeld], inputs: EventInputs) -> float:
    """A finite figure for a service without instances: the demand at which its tightest flow limit binds.

    Without such a limit it serves what comes: the largest demand of all paths.
    """
    if inputs.now is not None:
        return math.inf
    flows = [x for x in limits if x.own and x.name not in STOCK_METRICS and x.p95 > 0]
    return min((p95 * x.limit / x.p95 for x in flows), default=float(demand.max()))


def _bounded(inputs: EventInputs, room: words.QuotaRoom) -> bool:
    return math.isfinite(room.vcpu) and inputs.vcpu_per_instance > 0


def probability_within(share: Floats, capacity: Interval) -> Floats:
    """(P,) P(capacity >= share × its middle): two half normals that meet at the middle and keep the interval.

    Parameters
    ----------
    share
        (P,) what is asked, over the middle of ``capacity``.
    capacity
        An interval with its confidence; one without instances is unlimited.
    """
    if math.isinf(capacity.mid):
        return np.ones(len(share))
    if capacity.mid <= 0:
        return (share <= 0).astype(float)
    z = NormalDist().inv_cdf((1 + capacity.confidence) / 2) if capacity.confidence < 1 else math.inf
    points = (np.arange(_CAPACITY_POINTS) + 0.5) / _CAPACITY_POINTS
    deviate = np.array([NormalDist().inv_cdf(float(p)) for p in points]) / z
    side = np.where(deviate < 0, capacity.mid - capacity.low, capacity.high - capacity.mid) / capacity.mid
    draws = np.maximum(1.0 + deviate * side, 0.0)  # rising
    return 1.0 - np.searchsorted(draws, share, side="left") / _CAPACITY_POINTS
