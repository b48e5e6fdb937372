"""The provider's limits, and the capacity that is reserved: it counts towards a quota and is paid, used or not."""

from __future__ import annotations

import math
from collections.abc import Iterator

from capacity.domain import Candidate, CapacityReservation, MixProblem, Quota
from capacity.optimize.check._levels import Window, spans
from capacity.optimize.check._plan import ON_DEMAND, Plan, Site, Slack, near

UNUSED_RESERVATIONS = "(reservations unused)"

# Account, region, type.
_Place = tuple[str, str, str]


def quotas(plan: Plan) -> Iterator[Slack]:
    """On demand, with what is reserved beyond it. Where spot counts towards the same class, it is in the sum."""
    for quota in plan.problem.quotas:
        for month in plan.problem.months:
            used = _on_demand(plan, quota, month) + _reserved_beyond(plan, quota, month)
            yield _within(quota, month, used + _spot(plan, quota, month))


def spot_quotas(plan: Plan) -> Iterator[Slack]:
    """vCPU of the most that runs as spot in a month, where a class counts spot on its own or with on demand."""
    codes = {c.spot_quota_code for r in plan.problem.requirements for c in r.candidates if c.spot_quota_code}
    for quota in plan.problem.quotas:
        for month in plan.problem.months if quota.code in codes else ():
            yield _within(quota, month, _spot(plan, quota, month))


def _within(quota: Quota, month: str, used: float) -> Slack:
    text = f"{quota.code} in {quota.region} of {quota.account_id}, {month}: {used:g} of {quota.limit:g} vCPU"
    # What has no limit is never near one, and infinity over infinity is no number.
    return (quota.limit - used) / max(quota.limit, 1.0) if math.isfinite(quota.limit) else math.inf, text


def _sites(plan: Plan, quota: Quota) -> list[Site]:
    there = (quota.account_id, quota.region)
    return [s for s in plan.sites if (s.requirement.account_id, s.requirement.unit.region) == there]


def _on_demand(plan: Plan, quota: Quota, month: str) -> float:
    used = 0.0
    for site in _sites(plan, quota):
        counted = [c.quota_code == quota.code for c in site.requirement.candidates]
        counts = plan.provisioned_counts(site, ON_DEMAND, month)
        used += site.requirement.zones * float(counts[counted] @ site.vcpu[counted])
    return used


def _spot(plan: Plan, quota: Quota, month: str) -> float:
    used = 0.0
    for site in _sites(plan, quota):
        counted = [c.spot_quota_code == quota.code for c in site.requirement.candidates]
        if any(counted):
            most = plan.most_spot(site, month)
            used += site.requirement.zones * float(most[counted] @ site.vcpu[counted])
    return used


# --- reservations ------------------------------------------------------------------------------------------


def reservations(plan: Plan) -> Iterator[Slack]:
    """By month: what is held and nothing runs in, at its on-demand price, is in the spend under its own name."""
    for month in plan.problem.months:
        rows = plan.spend[(plan.spend["month"] == month) & (plan.spend["unit"] == UNUSED_RESERVATIONS)]
        if plan.problem.reservations or len(rows):
            idle = sum(_idle_usd(plan, place, month) for place in _places(plan.problem))
            yield near(float(rows["on_demand_usd"].sum()), idle, f"{month}: unused reservations")


def idle_usd(plan: Plan, month: str) -> float:
    """USD of a month for reserved instances that nothing runs in."""
    return sum(_idle_usd(plan, place, month) for place in _places(plan.problem))


def _places(problem: MixProblem) -> list[_Place]:
    return sorted({(held.account_id, held.region, held.instance_type) for held in problem.reservations})


def _held(plan: Plan, place: _Place, month: str) -> list[tuple[CapacityReservation, Window]]:
    held = [h for h in plan.problem.reservations if (h.account_id, h.region, h.instance_type) == place]
    return [(h, plan.calendar.window(h.start, h.end, month)) for h in held]


def _idle_usd(plan: Plan, place: _Place, month: str) -> float:
    rows, hours = plan.hours_of_instances[month]
    inside = [_place_of(site, c) == place for site, c in rows]
    runs, level_hours = hours[inside].sum(axis=0), plan.calendar.level_hours(month)
    held, idle_hours = _held(plan, place, month), 0.0
    for begin, end in spans([w for _, w in held]):
        count = sum(h.count for h, w in held if w.holds(begin, end))
        idle_hours += (end - begin) * float((count * level_hours - runs).clip(min=0.0).sum())
    return idle_hours * _priced(plan.problem, place).usd_per_hour


def _reserved_beyond(plan: Plan, quota: Quota, month: str) -> float:
    """vCPU that are held at one time of a month beyond what is provisioned of the same type."""
    beyond = 0.0
    for place in _places(plan.problem):
        c = _priced(plan.problem, place)
        if (*place[:2], c.quota_code) != (quota.account_id, quota.region, quota.code):
            continue
        held = _held(plan, place, month)
        most = max(sum(h.count for h, w in held if w.holds(*span)) for span in spans([w for _, w in held]))
        there = sum(
            site.requirement.zones * float(plan.provisioned_counts(site, ON_DEMAND, month)[i])
            for site in plan.sites
            for i, own in enumerate(site.requirement.candidates)
            if _place_of(site, own) == place
        )
        beyond += c.vcpu * max(most - there, 0.0)
    return beyond


def _place_of(site: Site, c: Candidate) -> _Place:
    return site.requirement.account_id, site.requirement.unit.region, c.instance_type


def _priced(problem: MixProblem, place: _Place) -> Candidate:
    """The dearest candidate of that type: in the account, or in the region where the account has none."""
    in_region = [
        (r.account_id, c)
        for r in problem.requirements
        for c in r.candidates
        if (r.unit.region, c.instance_type) == place[1:]
    ]
    in_account = [(a, c) for a, c in in_region if a == place[0]]
    return max(in_account or in_region, key=lambda known: known[1].usd_per_hour)[1]
