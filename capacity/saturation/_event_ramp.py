"""The ramp against the scale-out: how far demand runs ahead of capacity while instances are on their way.

Demand rises evenly over R minutes from d0 to d1. A group that follows asks for what the rise needs, at once; an
instance that is asked for serves L minutes later, and r instances come a minute from then on (as many as are asked for
where r is not known). So at minute t it has at most

    capacity now + the rise of minute t - L,  and at most  r (t - L) instances more.

Demand is never ahead of the first exactly where what it has reached after min(L, R) minutes is within capacity now, and
never ahead of the second where d1 is within what runs at the end of the ramp: demand less capacity is largest at an end
of a straight piece. Both needs grow with d0 and d1, and neither grows with capacity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from capacity.config import EventConfig
from capacity.domain import Floats
from capacity.saturation._event_inputs import EventInputs

# Steps of the ramp on which the time ahead is counted.
_STEPS = 240


@dataclass(frozen=True)
class Ahead:
    """Demand ahead of capacity: by how much at most, from which minute of the ramp, and for how many minutes."""

    most: float
    from_minute: float
    minutes: float


def early(start: Floats, full: Floats, ramp_minutes: float, scale_out_minutes: float) -> Floats:
    """(P,) demand by the time that the first new instance serves: what must run before the ramp."""
    share = 1.0 if ramp_minutes <= scale_out_minutes else scale_out_minutes / ramp_minutes
    return start + np.maximum(full - start, 0.0) * share


def added_by_the_end(inputs: EventInputs, event: EventConfig, most: int) -> int:
    """Instances that can come within the ramp, of ``most`` that group and quota allow."""
    if not inputs.scales_in_time(event):
        return 0
    if inputs.scale_out_per_minute is None:
        return most
    return min(most, math.floor(inputs.scale_out_per_minute * (event.ramp_minutes - inputs.scale_out_minutes)))


def before_the_ramp(inputs: EventInputs, event: EventConfig, early_demand: float, short: int | None) -> int | None:
    """Instances to add before the ramp begins, of ``short`` that the end of the ramp needs; None where none suffice.

    It may be more than ``short``: a group whose zones stand uneven has not levelled them yet.
    """
    if short is None or not inputs.scales_in_time(event):
        return short
    at_once = inputs.instances_short(early_demand)
    return None if at_once is None else max(at_once, short - added_by_the_end(inputs, event, short))


def ahead(inputs: EventInputs, event: EventConfig, start: float, full: float, most: int) -> Ahead:
    """How far demand that rises from ``start`` to ``full`` runs ahead while up to ``most`` instances come.

    Counted until they are all there or the event is over; nothing is done before the ramp.
    """
    now = inputs.capacity_with(0).mid
    ramp, lag = float(event.ramp_minutes), inputs.scale_out_minutes
    if not inputs.autoscales or full <= now or math.isinf(now):
        return Ahead(0.0, 0.0, 0.0)
    lasts = ramp + (event.end - event.start).total_seconds() / 60.0
    rate = inputs.scale_out_per_minute
    come = ramp + lag if rate is None else lag + most / rate
    minutes = np.unique(np.concatenate([np.linspace(0.0, min(lasts, max(come, ramp) + lag), _STEPS), [ramp, lag]]))
    demand = start + (full - start) * (np.clip(minutes / ramp, 0.0, 1.0) if ramp > 0 else 1.0)
    rise = (full - start) * (np.clip((minutes - lag) / ramp, 0.0, 1.0) if ramp > 0 else minutes >= lag)
    serving = np.minimum(now + np.maximum(rise, 0.0), inputs.capacity_with(most, inputs.scales_in_time(event)).mid)
    if rate is not None:
        counts = np.minimum(np.floor(np.maximum(minutes - lag, 0.0) * rate), most)
        each, at = np.unique(counts, return_inverse=True)
        serving = np.minimum(serving, np.array([inputs.capacity_with(int(n)).mid for n in each])[at])
    gap = demand - serving
    over = gap > 1e-9 * full
    if not over.any():
        return Ahead(0.0, 0.0, 0.0)
    first = float(minutes[over][0])
    # What never comes is missing to the end.
    last = lasts if over[-1] else float(minutes[over][-1])
    return Ahead(float(gap.max()), first, last - first)
