"""What the event check knows of one unit, and what more instances would serve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from capacity.config import EventConfig, HardLimitConfig, ServiceConfig, TierConfig
from capacity.domain import Floats, InstanceType, Interval, LearnedEffect, ResourceCost, SafeCapacity, Unit
from capacity.errors import UsageError
from capacity.saturation.capacity import (
    FixedBound,
    ResourceNeed,
    Running,
    fixed_bounds,
    per_instance,
    reference_scale,
    safe_capacity,
)

# The vCPU of all standard families (A, C, D, H, I, M, R, T, Z) of an account in a region.
STANDARD_QUOTA = "L-1216C47A"
# Of a service without a setting of its own: an evaluation period or two, boot, and the provider's usual warm-up of
# 300 s, in round figures.
SCALE_OUT_MINUTES = 10.0
# Stocks, not flows: a busy hour does not multiply what is already stored.
STOCK_METRICS = frozenset({"disk_used_bytes"})
# More instances than any group has; what needs more has no number.
_MOST_ADDED = 10_000_000


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


@dataclass(frozen=True)
class PastPeak:
    """The largest peak of the newest occurrence that the history holds, and its day."""

    day: date
    demand: float


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
        Demand that one more instance adds with all zones up, and one more *surviving* instance with zones lost.
    zone_counts
        Instances by zone that run now. More are put where the fewest are.
    region_loss
        What all of it serves at the utilisation of a lost zone, for the traffic of a lost region; None where no
        failover is asked of the service.
    group_maximum
        Most instances that the group may have; the service's own ``max_instances_per_zone`` where it names none.
    vcpu_per_instance
        Of the running mix, for the quota.
    scale_out_minutes, scale_out_per_minute
        From a rise in demand to the first instance that serves it, and how many come a minute from then on (None: as
        many as are asked for).
    learned, multiplier
        What past occurrences of an event without a given size taught, and the (P,) multipliers drawn from it.
    past_peak
        The newest occurrence's, to hold a given size against.
    unbounded, bounds
        ``now`` as it would be without resources that are needed in part whatever the demand (``now`` itself where
        absent), and what those leave room for: the same instances more hold more of them.
    """

    service: ServiceConfig
    tier: TierConfig
    account_id: str
    baseline: Floats
    now: SafeCapacity | None
    added_normal: float = 0.0
    added_zone_loss: float = 0.0
    zone_counts: tuple[int, ...] = ()
    region_loss: float | None = None
    group_maximum: int = 0
    vcpu_per_instance: float = 0.0
    quota_code: str = STANDARD_QUOTA
    scale_out_minutes: float = SCALE_OUT_MINUTES
    scale_out_per_minute: float | None = None
    usd_per_instance_hour: float | None = None
    hard_limits: tuple[HardLimitInputs, ...] = ()
    learned: LearnedEffect | None = None
    multiplier: Floats | None = None
    past_peak: PastPeak | None = None
    unbounded: SafeCapacity | None = None
    bounds: tuple[FixedBound, ...] = ()

    @property
    def autoscales(self) -> bool:
        """Whether a group follows demand by itself."""
        return self.service.autoscaled and self.service.kind == "fleet"

    def scales_in_time(self, event: EventConfig) -> bool:
        """Does anything that is added serve before the ramp is over?"""
        return self.autoscales and event.ramp_minutes > self.scale_out_minutes

    def surviving(self, added: int, levelled: bool = False) -> int:
        """More instances that are left when the zones that hold most are gone, of ``added`` more.

        New ones are put where the fewest are, so an instance more may well be in a zone that is lost. ``levelled``:
        those that run now have been spread too, as a group that scales by itself does in time.
        """
        lost, now = self.tier.zones_survived, self.zone_counts
        grown = _levelled((0,) * len(now), sum(now) + added) if levelled else _levelled(now, added)
        return _left(grown, lost) - _left(now, lost)

    def capacity_with(self, added: int, levelled: bool = False) -> Interval:
        """Safe capacity (the smaller state) with ``added`` more instances; unlimited where there are none."""
        if self.now is None:
            return Interval(math.inf, math.inf, math.inf)
        left, unbounded = self.surviving(added, levelled), self.unbounded or self.now
        mid = min(
            unbounded.normal.mid + added * self.added_normal,
            unbounded.zone_loss.mid + left * self.added_zone_loss,
            *(min(bound.most(added), bound.most_surviving(left)) for bound in self.bounds),
        )
        known = self.now.binding
        if known.mid > 0:
            return Interval(mid * known.low / known.mid, mid, mid * known.high / known.mid, known.confidence)
        per = self.now.cost.per_demand
        return Interval(mid * per.mid / per.high, mid, mid * per.mid / per.low, per.confidence)

    def region_loss_with(self, added: int) -> float:
        """What serves a lost region's traffic beside one's own, with ``added`` more; unlimited where none is asked."""
        return math.inf if self.region_loss is None else self.region_loss + added * self.added_zone_loss

    def instances_short(self, demand: float, with_lost_region: float = 0.0, levelled: bool = False) -> int | None:
        """Fewest more instances that serve ``demand``, and that other demand of a lost region; None where none do."""

        def enough(added: int) -> bool:
            return (
                self.capacity_with(added, levelled).mid >= demand and self.region_loss_with(added) >= with_lost_region
            )

        if self.now is None or enough(0):
            return 0
        high = 1
        while not enough(high):
            if high > _MOST_ADDED:
                return None
            high *= 2
        low = high // 2  # not enough, or 0 which was not
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        return high


def _levelled(counts: tuple[int, ...], added: int) -> tuple[int, ...]:
    """``counts`` with ``added`` more, each put where the fewest are."""
    ordered = sorted(counts)
    for k in range(1, len(ordered) + 1):
        # The lowest k zones are filled to the level of the next.
        step = (ordered[k] - ordered[k - 1]) * k if k < len(ordered) else added
        if step >= added:
            each, rest = divmod(added, k)
            filled = [n + each + (1 if i < rest else 0) for i, n in enumerate(ordered[:k])]
            return (*filled, *ordered[k:])
        ordered[:k] = [ordered[k]] * k
        added -= step
    return tuple(ordered)


def _left(counts: tuple[int, ...], lost: int) -> int:
    ordered = sorted(counts)
    return sum(ordered[: max(0, len(ordered) - lost)])


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
    past_peak: PastPeak | None = None,
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
    past_peak
        As in :class:`EventInputs`.
    """
    limits = tuple(hard_limits)
    if service.kind == "usage_priced":
        return EventInputs(service, tier, account_id, baseline, None, hard_limits=limits, past_peak=past_peak)
    if cost is None:
        raise UsageError(f"event check: {unit} runs instances but has no cost per unit of demand; give one")
    now = safe_capacity(unit, running, types, service, tier, cost, needs)
    scale, folded = reference_scale(running, types, service), tuple(n for n in needs if n.folds)
    each = [(n, per_instance(types[name], service, tier, cost, scale, needs)) for (name, _), n in running.items()]
    count = max(now.instances, 1)
    by_zone = _by_zone(running)
    declared = service.max_instances_per_zone * max(len(by_zone), service.zones)
    standing = tier.model_copy(update={"zones_survived": 0})
    all_up = safe_capacity(unit, running, types, service, standing, cost, needs) if service.failover else None
    return EventInputs(
        service, tier, account_id, baseline, now,
        added_normal=sum(n * safe for n, (safe, _) in each) / count,
        added_zone_loss=sum(n * loss for n, (_, loss) in each) / count,
        zone_counts=by_zone,
        region_loss=all_up.zone_loss.mid if all_up else None,
        group_maximum=max(declared if group_maximum is None else group_maximum, now.instances),
        vcpu_per_instance=now.vcpu / count,
        scale_out_minutes=service.scale_out_minutes,
        scale_out_per_minute=service.scale_out_per_minute,
        usd_per_instance_hour=usd_per_instance_hour,
        hard_limits=limits,
        past_peak=past_peak,
        unbounded=safe_capacity(unit, running, types, service, tier, cost, folded),
        bounds=fixed_bounds(running, types, service, tier, cost, needs),
    )  # fmt: skip


def _by_zone(running: Running) -> tuple[int, ...]:
    zones: dict[str, int] = {}
    for (_, zone), n in sorted(running.items()):
        if n > 0:
            zones[zone] = zones.get(zone, 0) + n
    return tuple(zones.values())


def check_paths(inputs: Mapping[Unit, EventInputs]) -> None:
    """Raise where units were not given the same futures."""
    lengths = {len(i.baseline) for i in inputs.values()}
    lengths |= {len(x.baseline) for i in inputs.values() for x in i.hard_limits}
    if len(lengths) != 1 or lengths == {0}:
        raise UsageError(f"event check: baselines of {sorted(lengths)} paths; give every unit the same futures")


def quantile(values: Floats, level: float) -> float:
    """The smallest value that at least ``level`` of the paths do not pass."""
    return float(np.quantile(values, level, method="inverted_cdf"))
