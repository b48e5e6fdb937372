"""Requirements that are moved by one unit, each as the problem that results: what is solved again for a price."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from capacity.domain import LoadBlock, MixProblem, Quota, Unit, UnitRequirement
from capacity.optimize.explain._groups import counts_towards, quota_words, spot_possible
from capacity.optimize.explain._knobs import with_headroom

# Where a vCPU changes nothing, a larger instance's worth of them may.
ROUND_STEP_VCPU = 64


@dataclass(frozen=True)
class Moved:
    """A requirement and the problem in which it is moved.

    ``name`` says whose requirement, ``unit`` the move ("1 vCPU more"). ``direction`` is -1 where the move can only
    save (less is asked), 1 where it can only cost, 0 where it may do either. ``then`` is tried where this changes
    nothing. ``kind`` groups moves of one sort; "given" is the caller's own.
    """

    name: str
    unit: str
    problem: MixProblem
    kind: str = "given"
    direction: int = 0
    then: Moved | None = None


def moves(problem: MixProblem, headroom_frac: Mapping[Unit, float] | None = None) -> tuple[Moved, ...]:
    """All moves that follow from the problem itself.

    The headroom of all services by a point, and a zone less survived by all that survive any; a quota by a vCPU (and
    then by :data:`ROUND_STEP_VCPU`); by service a zone survived more and less, the largest and smallest count by one,
    a type fewer, the spot share by a point, and a point of headroom. Headroom moves only where ``headroom_frac`` tells
    what the candidates' ``safe`` already leaves.
    """
    room = headroom_frac or {}
    out = [m for q in problem.quotas for m in _of_quota(problem, q)]
    if len(problem.requirements) > 1:
        out += _of_policies(problem, room)
    for r in problem.requirements:
        out += [
            Moved(f"{r.unit}: {name}", unit, with_requirement(problem, changed), kind, direction)
            for kind, name, unit, changed, direction in (*_of_unit(r), *_of_headroom(r, room.get(r.unit)))
        ]
    return tuple(out)


def service_level(name: str, problem: MixProblem, blocks: Mapping[Unit, Sequence[LoadBlock]]) -> Moved:
    """The demand at another service level P: ``blocks`` by unit replace those of the problem."""
    changed = tuple(replace(r, blocks=tuple(blocks[r.unit])) if r.unit in blocks else r for r in problem.requirements)
    return Moved("service level", name, replace(problem, requirements=changed), "service_level")


def objective(name: str, problem: MixProblem, rebuild: Callable[[UnitRequirement], UnitRequirement]) -> Moved:
    """A millisecond of SLO, or any other move that the caller knows how to make on a unit's requirement."""
    changed = tuple(rebuild(r) for r in problem.requirements)
    return Moved("service-level objective", name, replace(problem, requirements=changed), "objective")


def with_requirement(problem: MixProblem, changed: UnitRequirement) -> MixProblem:
    """The problem with one unit's requirement in place of what it was."""
    return replace(problem, requirements=tuple(changed if r.unit == changed.unit else r for r in problem.requirements))


def _of_quota(problem: MixProblem, q: Quota) -> Iterator[Moved]:
    if not math.isfinite(q.limit) or not any(
        counts_towards(q, r, c) for r in problem.requirements for c in r.candidates
    ):
        return
    name = quota_words(q, "")

    def raised(by: int) -> MixProblem:
        return replace(problem, quotas=tuple(replace(x, limit=x.limit + by) if x == q else x for x in problem.quotas))

    step = Moved(name, f"{ROUND_STEP_VCPU} vCPU more", raised(ROUND_STEP_VCPU), "quota", -1)
    yield Moved(name, "1 vCPU more", raised(1), "quota", -1, step)


def _of_policies(problem: MixProblem, room: Mapping[Unit, float]) -> Iterator[Moved]:
    """The policy of the fleet: what all services together are asked for."""
    if any(r.unit in room for r in problem.requirements):
        changed = tuple(
            with_headroom(r, room[r.unit], room[r.unit] + 0.01) if r.unit in room else r for r in problem.requirements
        )
        sure = int(not any(spot_possible(r) for r in problem.requirements))
        moved = replace(problem, requirements=changed)
        yield Moved("headroom policy", "1 point more for all services", moved, "headroom_policy", sure)
    if any(r.zones_survived for r in problem.requirements):
        less = tuple(replace(r, zones_survived=max(r.zones_survived - 1, 0)) for r in problem.requirements)
        moved = replace(problem, requirements=less)
        yield Moved("zones policy", "1 zone less survived by all services", moved, "zones_policy", -1)


_UnitMove = tuple[str, str, str, UnitRequirement, int]


def _of_unit(r: UnitRequirement) -> Iterator[_UnitMove]:
    if not r.blocks:
        return
    f = r.zones_survived
    if f > 0:
        name = f"survives the loss of {f} of {r.zones} zones"
        yield "zones_less", name, "1 zone less", replace(r, zones_survived=f - 1), -1
    if f + 1 < r.zones:
        name = f"survives the loss of {f} of {r.zones} zones"
        # What an instance serves with zones lost is asked of fewer of them: it can only cost.
        yield "zones_more", name, "1 zone more", replace(r, zones_survived=f + 1), 1
    if not r.pinned and not r.vertical:
        name = f"at most {r.max_per_zone} instance(s) per zone"
        yield "maximum", name, "1 more", replace(r, max_per_zone=r.max_per_zone + 1), -1
    if r.min_per_zone > 0 and not r.vertical:
        name = f"at least {r.min_per_zone} instance(s) per zone"
        yield "minimum", name, "1 fewer", replace(r, min_per_zone=r.min_per_zone - 1), -1
    if r.least_types > 1 and not r.vertical:
        name = f"at least {r.least_types} instance types"
        yield "least_types", name, "1 fewer", replace(r, least_types=r.least_types - 1), -1
    if spot_possible(r) and r.spot_max_frac < 1:
        share = min(r.spot_max_frac + 0.01, 1.0)
        name = f"at most {r.spot_max_frac:.0%} of the demand on spot"
        yield "spot_share", name, "1 point more", replace(r, spot_max_frac=share), -1


def _of_headroom(r: UnitRequirement, headroom: float | None) -> Iterable[_UnitMove]:
    if headroom is not None and r.blocks:
        name = f"headroom of {headroom:.0%}"
        # Where an instance serves less, more of them fit a share of the demand on spot: that may save.
        sure = not spot_possible(r)
        yield "headroom_more", name, "1 point more", with_headroom(r, headroom, headroom + 0.01), int(sure)
        if headroom >= 0.01:
            yield "headroom_less", name, "1 point less", with_headroom(r, headroom, headroom - 0.01), -int(sure)


def touched(problem: MixProblem, moved: MixProblem) -> frozenset[Unit]:
    """The units that a move concerns: those that differ, and those of a quota that differs; none: the whole fleet."""
    old = {r.unit: r for r in problem.requirements}
    if {r.unit for r in moved.requirements} != set(old):
        return frozenset()
    if replace(moved, requirements=problem.requirements, quotas=problem.quotas) != problem:
        return frozenset()
    units = {r.unit for r in moved.requirements if r != old[r.unit]}
    before = {(q.account_id, q.region, q.code): q.limit for q in problem.quotas}
    after = {(q.account_id, q.region, q.code): q for q in moved.quotas}
    if set(after) != set(before):
        return frozenset()
    for key, q in after.items():
        if q.limit != before[key]:
            units |= {r.unit for r in problem.requirements if any(counts_towards(q, r, c) for c in r.candidates)}
    return frozenset(units)
