"""Requirements that no instance type can meet in any number: found before anything is solved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from capacity.domain import Candidate, CapacityReservation, UnitRequirement
from capacity.optimize._fleet import Fleet, month_window


def nothing_may_serve(fleet: Fleet) -> tuple[str, ...]:
    """Requirements of the first unit that no instance type can meet in any number; empty where there is none.

    And what is asked of no unit: reservations that alone are more than their quota.
    """
    unit = next((found for r in fleet.requirements if (found := nothing_serves_unit(r))), ())
    return unit or _reserved_beyond_quota(fleet)


def _reserved_beyond_quota(fleet: Fleet) -> tuple[str, ...]:
    """Reserved instances count towards the quota, used or not."""
    problem = fleet.problem
    candidates = {(r.unit.region, c.instance_type): c for r in problem.requirements for c in r.candidates}
    for quota in problem.quotas:
        held = [r for r in problem.reservations if (r.account_id, r.region) == (quota.account_id, quota.region)]
        of_quota = [
            (r, r.count * c.vcpu)
            for r in held
            if (c := candidates.get((r.region, r.instance_type))) is not None and c.quota_code == quota.code
        ]
        for t, month in enumerate(problem.months):
            runs = [(r, vcpu) for r, vcpu in of_quota if _runs_through(fleet, t, r)]
            total = sum(vcpu for _, vcpu in runs)
            if total > quota.limit:
                where = (
                    f"quota {quota.code} in {quota.region} of account {quota.account_id}: {quota.limit:g} vCPU allowed"
                )
                lines = [
                    f"reservation {r.id}: {r.count} x {r.instance_type} in {month} ({vcpu:g} vCPU)" for r, vcpu in runs
                ]
                return (where, *lines)
    return ()


def _runs_through(fleet: Fleet, t: int, held: CapacityReservation) -> bool:
    """Whether the reservation runs in some of month ``t``'s modelled hours."""
    start, end = month_window(fleet.problem.months[t], fleet.problem.month_hours[t], t == 0)
    begins = held.start if held.start.tzinfo else held.start.replace(tzinfo=UTC)
    ends = None if held.end is None else (held.end if held.end.tzinfo else held.end.replace(tzinfo=UTC))
    return begins < end and (ends is None or ends > start)


def nothing_serves_unit(r: UnitRequirement) -> tuple[str, ...]:
    """The same for one unit."""
    peak = max((b.demand for b in r.blocks), default=0.0)
    allowed = [c for c in r.candidates if c.allowed]
    asked = peak > 0 or r.min_per_zone or r.vertical or any(any(b.further.values()) for b in r.blocks)
    if r.blocks and asked and not allowed:
        barred = f" (runs {', '.join(c.instance_type for c in r.candidates)} against it)" if r.candidates else ""
        return (f"{r.unit}: its requirements leave no instance type{barred}",)
    if peak > 0 and r.zones_survived >= r.zones:
        return (
            f"{r.unit}: {r.zones} zone(s)",
            f"{r.unit}: must serve {peak:g} with {r.zones_survived} zone(s) lost",
        )
    if peak > 0 and not any(c.safe > 0 and (c.zone_loss > 0 or not r.zones_survived) for c in allowed):
        return (
            f"{r.unit}: no allowed instance type serves anything within the SLO",
            f"{r.unit}: demand of {peak:g}",
        )
    return _nothing_further(r, allowed) or _too_few_types(r, allowed, peak)


def _nothing_further(r: UnitRequirement, allowed: Sequence[Candidate]) -> tuple[str, ...]:
    for resource in sorted({k for b in r.blocks for k in b.further}):
        wanted = max(b.further.get(resource, 0.0) for b in r.blocks)
        held = [c.further.get(resource, (0.0, 0.0)) for c in allowed]
        if wanted > 0 and not any(normal > 0 for normal, _ in held):
            return (f"{r.unit}: no allowed instance type holds any {resource}", f"{r.unit}: {wanted:g} of {resource}")
        if wanted > 0 and r.zones_survived and not any(lost > 0 for _, lost in held):
            return (
                f"{r.unit}: no allowed instance type holds any {resource} with {r.zones_survived} zone(s) lost",
                f"{r.unit}: {wanted:g} of {resource} with {r.zones_survived} of {r.zones} zones lost",
            )
    region = max((b.region_loss_demand for b in r.blocks), default=0.0)
    if region > 0 and not any(c.zone_loss > 0 for c in allowed):
        return (
            f"{r.unit}: no allowed instance type serves anything when another region is lost",
            f"{r.unit}: demand of {region:g} when another region is lost",
        )
    return ()


def _too_few_types(r: UnitRequirement, allowed: Sequence[Candidate], peak: float) -> tuple[str, ...]:
    if peak > 0 and not r.vertical and len(allowed) < r.least_types:
        return (
            f"{r.unit}: at least {r.least_types} instance type(s)",
            f"{r.unit}: its requirements leave {len(allowed)} instance type(s)",
        )
    return ()
