"""At most a few instance types a service: a mix that people can run, with what that rule costs told.

Without a rule the cheapest mix fits every load with five or six sizes of one family: fractions of a per cent cheaper,
and nobody would run it. So each unit's types are narrowed first, to the pair (or single type) that covers its own loads
cheapest, the same one in all months; then the whole fleet is solved over what is left. The bound stays that of the
fleet without the rule, so the gap that is reported holds the price of the rule too. The plan is told and verified as
one of that fleet: leaving a type that runs counts the switching penalty, whether the type was left by a choice of types
or by one of counts.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from capacity.domain import MixProblem, MixSolution, Unit, UnitRequirement
from capacity.errors import InfeasiblePlanError, NoPlanInTimeError, PlanCheckError, PlanError
from capacity.optimize._billing import usage_rows
from capacity.optimize._book import cost_usd
from capacity.optimize._clock import Clock, Deadline, TimeIsUp
from capacity.optimize._committed import Committed, paid_already
from capacity.optimize._find import BY_ARITHMETIC, Asked, Found, find, first_verified
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize._quick import quick_plan
from capacity.optimize._result import Counts, Plan, penalty_usd
from capacity.optimize._stay import staying, worth_moving
from capacity.optimize._types_of_unit import cheapest_types
from capacity.optimize.columns.memory import Memory
from capacity.optimize.solve import refuse_limits

# Of the time, for the free mix, which gives the bound.
_BOUND_SHARE = 0.5
# Where the free mix only has to give a bound, a search to this gap is enough of a start.
_BOUND_GAP_FRAC = 0.005
# Of what is left of the time: for the fleet that chooses its types anew, then for the one that stays with today's.
_FRESH_SHARE, _STAY_SHARE = 0.5, 0.6
# Each widening frees the units of one conflict; a plan that needs more of them is no plan of few types.
_WIDENINGS = 4


def solve_few_types(
    problem: MixProblem,
    most_types: int,
    time_limit_seconds: float = 30.0,
    gap_frac: float = 0.002,
    solver: Literal["highs", "cbc"] = "highs",
    seed: int = 1,
    warm: Memory | None = None,
    clock: Clock = time.perf_counter,
) -> MixSolution:
    """As :func:`capacity.optimize.solve`, with at most ``most_types`` (1 or 2) types a unit.

    Returns
    -------
    MixSolution
        ``status.objective`` is the spend of the horizon plus the switching penalty. ``status.bound`` and ``status.gap``
        are against every mix, also those of more types; the status is "optimal" only where even that gap is within
        ``gap_frac``. Where no plan of so few types was found, the free one.

    Raises
    ------
    UsageError, PlanError
        As :func:`capacity.optimize.solve`.
    """
    refuse_limits(time_limit_seconds, gap_frac)
    memory = Memory() if warm is None else warm
    deadline = Deadline.after(time_limit_seconds, clock)
    problem = fleet_of(problem).problem  # in order, so that the choice of types does not depend on the order given
    asked = Asked(deadline, time_limit_seconds, gap_frac, solver, seed, most_types)
    rough = replace(asked, deadline=deadline.share(_BOUND_SHARE), gap_frac=max(gap_frac, _BOUND_GAP_FRAC))
    plans = find(problem, rough, memory)
    free = next(plans)
    narrow, wide = _few_types_plan(problem, free, asked, memory)
    if narrow is None:
        note = f"no plan with at most {most_types} types a service was found: this one uses more"
        _, found = first_verified(_and_then(free, plans), replace(asked, most_types=None))
        return replace(found, notes=(*found.notes, note))
    note = f"at most {most_types} types a service; the bound and the gap are against mixes of any number of types"
    if wide:
        note += f"; more types for {', '.join(sorted(map(str, wide)))}, which no plan of so few types can serve"
    return replace(narrow, notes=(*narrow.notes, note))


def _and_then(first: Found, others: Iterator[Found]) -> Iterator[Found]:
    yield first
    yield from others


def _few_types_plan(
    problem: MixProblem, free: Found, asked: Asked, memory: Memory
) -> tuple[MixSolution | None, frozenset[Unit]]:
    """The narrowed fleet's plan, and the units that had to keep all their types for one to exist (a tight quota)."""
    wide: frozenset[Unit] = frozenset()
    units, whole = [r.unit for r in problem.requirements], fleet_of(problem)
    paid = paid_already(free.fleet, free.rough or free.plan)
    try:
        for _ in range(_WIDENINGS):
            fewer = narrowed(problem, asked.most_types or 2, wide, memory, asked.deadline, paid)
            try:
                plans = _plans(problem, fewer, wide, asked, memory.of_few_types())
                return first_verified(plans, asked, partial(_told, whole, free))[1], wide
            except InfeasiblePlanError as error:
                named = {u for u in units if any(str(u) in c for c in error.conflicts)} - wide
                if not named:
                    break
                wide |= named
    except NoPlanInTimeError:
        return None, frozenset()
    except TimeIsUp:
        pass
    return _one_type_plan(problem, free, asked), frozenset()


def _plans(
    problem: MixProblem, fresh: MixProblem, wide: Collection[Unit], asked: Asked, memory: Memory
) -> Iterator[Found]:
    """Plans of the fleet that stays with today's types as far as that pays, else of the one that chooses anew."""
    stays = staying(problem, fresh, asked.most_types or 2, wide, asked.deadline)
    if stays is None:
        yield from _found(fresh, asked, memory)
        return
    plans = _found(fresh, replace(asked, deadline=asked.deadline.share(_FRESH_SHARE)), memory)
    new = next(plans)
    kept = _staying_plan(problem, stays, fresh, new, asked, memory)
    if kept is not None:
        yield kept
    yield from _and_then(new, plans)


def _found(narrow: MixProblem, asked: Asked, memory: Memory) -> Iterator[Found]:
    # Of types that are left altogether the penalty is the same whatever is chosen: the narrowed fleet does not know it.
    return find(narrow, asked, memory)


def _staying_plan(
    problem: MixProblem, stays: MixProblem, fresh: MixProblem, new: Found, asked: Asked, memory: Memory
) -> Found | None:
    """The plan of the fleet that stays but for moves that pay; None where choosing anew saves more than the penalty.

    A fleet that follows no plan yet moves service by service, as far as moves pay one by one; what they miss together,
    where many leave a commitment at once, choosing anew finds.
    """
    penalty = problem.switching_penalty_frac
    try:
        kept = next(_found(stays, replace(asked, deadline=asked.deadline.share(_STAY_SHARE)), memory))
        spend_only = [replace(p, switching_penalty_frac=0.0) for p in (stays, fresh)]
        moved = worth_moving(spend_only[0], spend_only[1], kept.plan, penalty, asked.deadline)
        if moved:
            pairs = zip(stays.requirements, fresh.requirements, strict=True)
            some = replace(stays, requirements=tuple(b if a.unit in moved else a for a, b in pairs))
            kept = next(_found(some, asked, memory))
    except (PlanError, TimeIsUp):
        return None
    return kept if _usd(kept) <= _usd(new) * (1.0 + penalty) else None


def _usd(found: Found) -> float:
    """Spend alone: what staying may cost more is a share of it."""
    return cost_usd(found.fleet, found.plan) - penalty_usd(found.fleet, found.plan.running)


def _told(whole: Fleet, free: Found, found: Found) -> Found:
    """A plan of few types as a plan of the fleet without that rule, against that fleet's bound."""
    ended = found.proof.termination if found.proof.termination != "optimal" else free.proof.termination
    proof = replace(found.proof, bound=free.proof.bound, termination=ended)
    return replace(found, fleet=whole, plan=_widened(found.fleet, whole, found.plan), proof=proof)


def _widened(narrow: Fleet, whole: Fleet, plan: Plan) -> Plan:
    """``plan`` with a row for every type of ``whole``: none runs of those that ``narrow`` does not have."""
    position = {(r.unit, c.instance_type): row for row, (r, c) in enumerate(zip(*usage_rows(whole), strict=True))}
    rows = [position[r.unit, c.instance_type] for r, c in zip(*usage_rows(narrow), strict=True)]

    def spread(counts: Counts) -> Counts:
        out = np.zeros((len(position), *counts.shape[1:]), dtype=np.int64)
        out[rows] = counts
        return out

    return Plan(spread(plan.running), spread(plan.spot), spread(plan.provisioned), plan.bought)


def _one_type_plan(problem: MixProblem, free: Found, asked: Asked) -> MixSolution | None:
    """By arithmetic, where there was no time for more."""
    fleet = fleet_of(problem)
    plan = quick_plan(fleet, asked.most_types)
    if plan is None:
        return None
    proof = replace(free.proof, termination="time limit reached", gap_frac=asked.gap_frac, notes=(BY_ARITHMETIC,))
    try:
        return Found(fleet, plan, proof).solution()
    except PlanCheckError:
        return None


def narrowed(
    problem: MixProblem,
    most_types: int,
    wide: Collection[Unit] = (),
    memory: Memory | None = None,
    deadline: Deadline | None = None,
    paid: Mapping[Unit, Committed] | None = None,
) -> MixProblem:
    """The problem with each unit's candidates narrowed; pinned, vertical and ``wide`` units keep theirs.

    ``memory`` holds the choices of units that did not change since; ``paid`` is what commitments cover already.

    Raises
    ------
    TimeIsUp
        Where ``deadline`` passes before all units are narrowed.
    """
    penalty = problem.switching_penalty_frac
    # Reservations and offers of a type are priced by the candidates that have it.
    priced = {held.instance_type for held in problem.reservations}
    priced |= {offer.scope for offer in problem.offers if offer.product == "standard_ri"}
    rule = _Rule(most_types, penalty, frozenset(priced))
    known = {} if memory is None else memory.narrowed
    out = []
    for r in problem.requirements:
        if deadline is not None:
            deadline.check()
        was = known.get(r.unit)
        asked = (rule, own := dict((paid or {}).get(r.unit, {})))
        if was is None or was[0] != asked or was[1] != r:
            was = known[r.unit] = (asked, r, _narrowed(r, rule, own))
        out.append(r if r.unit in wide else was[2])
    return replace(problem, requirements=tuple(out))


@dataclass(frozen=True)
class _Rule:
    """At most so many types, the switching penalty, and types that stay known because they price something."""

    most_types: int
    penalty_frac: float
    priced: frozenset[str]


def _narrowed(r: UnitRequirement, rule: _Rule, committed: Committed) -> UnitRequirement:
    allowed = [c for c in r.candidates if c.allowed and min(c.safe, c.zone_loss) > 0]
    most = rule.most_types
    if r.vertical or r.pinned is not None or len(allowed) <= most or r.least_types > most:
        return r
    kept = {c.instance_type for c in cheapest_types(r, allowed, most, rule.penalty_frac, committed)}
    # What runs stays known, so that it can be priced; what may not be planned is no choice anyway.
    running = {name for name, _ in r.running} | rule.priced
    candidates = tuple(
        c if c.instance_type in kept else replace(c, allowed=False)
        for c in r.candidates
        if c.instance_type in kept or c.instance_type in running
    )
    return replace(r, candidates=candidates)
