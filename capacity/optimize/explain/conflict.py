"""Why there is no plan: a minimal set of requirements that cannot hold together.

First what no instance type can meet at all; then each unit alone; then each quota; then quotas and reservations
together, which are all that couples units. Months do not couple, so a conflict lies in one month. A requirement stays
in the set only if without it a plan exists (whole instances included, which an IIS of the linear relaxation would
miss). Units for which arithmetic finds a plan of one type never reach the solver, so large fleets are quick.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from capacity.domain import CapacityReservation, MixProblem, Quota, UnitRequirement
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize.explain._groups import (
    SHARED,
    Group,
    conflict_words,
    counts_towards,
    quota_words,
)
from capacity.optimize.explain._least import least_vcpu
from capacity.optimize.explain._nothing import nothing_may_serve
from capacity.optimize.explain._probe import Probe, minimal, part_of
from capacity.optimize.explain._screen import Witness, witness

# Said beside a conflict of which time did not show that it needs all of its requirements.
_NOT_MINIMAL = "time ran out: some of these may not be part of the conflict"


def explain_infeasible(problem: MixProblem, deadline: Deadline | None = None) -> tuple[str, ...]:
    """A minimal set of requirements of ``problem`` that cannot hold together, in words; empty where a plan exists.

    Returns
    -------
    tuple of str
        One line a requirement, units by name. Removing any one of them makes the rest possible. Where ``deadline``
        passes first: more than are needed, and a last line that says so, or none where no conflict was found yet.
    """
    until = Deadline.never() if deadline is None else deadline
    try:
        found = conflict_of(fleet_of(problem), Needs(until))
    except TimeIsUp:
        return ()
    return (*found, _NOT_MINIMAL) if found and until.passed else found


def conflict_of(fleet: Fleet, needs: Needs) -> tuple[str, ...]:
    """As :func:`explain_infeasible`, with what is known already of how little of a quota units need.

    Raises
    ------
    TimeIsUp
        Where the deadline of ``needs`` passes before a conflict is found.
    """
    alone = nothing_may_serve(fleet) or _unit_conflict(fleet, needs.deadline)
    return alone or _quota_conflict(fleet, needs) or _joint_conflict(fleet, needs.deadline)


def impossible_units(fleet: Fleet, deadline: Deadline) -> Iterator[tuple[int, int, Probe]]:
    """(unit, month, its probe) wherever a unit alone, without quotas, has no plan."""
    for s, r in enumerate(fleet.requirements):
        for t, blocks in enumerate(fleet.blocks[s]):
            if blocks and witness(r, blocks) is None:
                probe = Probe(part_of(fleet, [s], [t]), deadline)
                if not probe.exists():
                    yield s, t, probe


def _unit_conflict(fleet: Fleet, deadline: Deadline) -> tuple[str, ...]:
    for _s, _t, probe in impossible_units(fleet, deadline):
        return tuple(conflict_words(probe.fleet, g) for g in minimal(probe.groups(), probe.exists))
    return ()


# --- one quota ---------------------------------------------------------------------------------------------


def _quota_conflict(fleet: Fleet, known: Needs) -> tuple[str, ...]:
    """The first quota that is less than the least vCPU its units can do with."""
    for t, month in _months_by_need(fleet):
        plans = [witness(r, fleet.blocks[s][t]) for s, r in enumerate(fleet.requirements)]
        for quota in fleet.problem.quotas:
            if _excess(fleet, quota, plans) <= 0 or reservations_on(fleet, quota) or not math.isfinite(quota.limit):
                continue
            probes, needs = known.of(fleet, quota, t)
            if sum(needs.values()) > quota.limit:
                head = quota_words(quota, f", {sum(needs.values()):g} needed in {month}")
                return (head, *_consumers(quota, probes, needs))
    return ()


def _months_by_need(fleet: Fleet) -> list[tuple[int, str]]:
    """Months in which the units' plans of one type break a quota: the worst first; others cannot conflict."""
    over = []
    for t, month in enumerate(fleet.problem.months):
        excess = most_excess(fleet, t)
        if excess > 0:
            over.append((-excess, t, month))
    return [(t, month) for _, t, month in sorted(over)]


def most_excess(fleet: Fleet, t: int) -> float:
    """The largest :func:`_excess` of a quota in month ``t``; 0 or less proves that the month has a plan."""
    plans = [witness(r, fleet.blocks[s][t]) for s, r in enumerate(fleet.requirements)]
    return max((_excess(fleet, quota, plans) for quota in fleet.problem.quotas), default=-math.inf)


def _excess(fleet: Fleet, quota: Quota, plans: Sequence[Witness | None]) -> float:
    """By how much plans of one type a unit, reservations beside them, are above ``quota``.

    Not above it, it cannot be short; inf where one of its units has no such plan.
    """
    owners = zip(plans, fleet.requirements, strict=True)
    here = [p for p, r in owners if _same_place(quota, r.account_id, r.unit.region)]
    held = sum(count * vcpu for count, vcpu in reservations_on(fleet, quota))
    if any(p is None for p in here):
        return math.inf
    return sum(p.vcpu(quota.code) for p in here if p) + held - quota.limit


def _same_place(quota: Quota, account: str, region: str) -> bool:
    return (account, region) == (quota.account_id, quota.region)


def reservations_on(fleet: Fleet, quota: Quota) -> list[tuple[int, int]]:
    """(count, vCPU each) of the reservations that count towards ``quota``."""
    kinds = {
        c.instance_type: c
        for r in fleet.requirements
        if _same_place(quota, r.account_id, r.unit.region)
        for c in r.candidates
        if c.quota_code == quota.code
    }
    return [
        (held.count, kinds[held.instance_type].vcpu)
        for held in fleet.problem.reservations
        if _same_place(quota, held.account_id, held.region) and held.instance_type in kinds
    ]


class Needs:
    """The least vCPU that units need of quotas in a month, remembered: a run of the solver each is what takes long."""

    def __init__(self, deadline: Deadline | None = None) -> None:
        self.deadline = Deadline.never() if deadline is None else deadline
        self._known: dict[tuple[str, str, str], tuple[UnitRequirement, Probe, float]] = {}

    def of(self, fleet: Fleet, quota: Quota, t: int) -> tuple[dict[int, Probe], dict[int, float]]:
        """(probes, needs) of the units, by position, that may use ``quota``."""
        probes, needs = {}, {}
        for s, r in enumerate(fleet.requirements):
            if fleet.blocks[s][t] and any(counts_towards(quota, r, c) for c in r.candidates):
                probes[s], needs[s] = self._of_unit(fleet, s, quota, t)
        return probes, needs

    def _of_unit(self, fleet: Fleet, s: int, quota: Quota, t: int) -> tuple[Probe, float]:
        part = part_of(fleet, [s], [t], [quota])
        r = part.requirements[0]
        key = (str(r.unit), fleet.problem.months[t], quota.code)
        if key not in self._known or self._known[key][0] != r:
            probe = Probe(part, self.deadline)
            self._known[key] = (r, probe, _least_vcpu(probe))
        return self._known[key][1:]


def _least_vcpu(probe: Probe, groups: Sequence[Group] | None = None) -> float:
    quota = next((g for g in probe.groups() if g[0] in ("quota", "spot_quota")), None)
    if quota is None:
        return 0.0
    known = least_vcpu(probe.fleet, probe.fleet.problem.quotas[0], probe.groups() if groups is None else groups)
    least = probe.least_use(quota, groups) if known is None else known
    # vCPU are whole: a bound just below a whole number is that number.
    return math.ceil(least - 1e-6) if math.isfinite(least) else least


def _consumers(quota: Quota, probes: dict[int, Probe], needs: dict[int, float]) -> list[str]:
    """The fewest units that overfill the quota, and of each the requirements that make it need so much."""
    chosen: dict[int, float] = {}
    for s in sorted(needs, key=lambda s: (-needs[s], s)):
        chosen[s] = needs[s]
        if sum(chosen.values()) > quota.limit:
            break
    out = []
    for s in sorted(chosen):
        probe, others = probes[s], sum(need for other, need in chosen.items() if other != s)
        room = quota.limit - others

        def fits(groups: list[Group], probe: Probe = probe, room: float = room) -> bool:
            return _least_vcpu(probe, groups) <= room

        kept = minimal([g for g in probe.groups() if g[0] not in SHARED], fits)
        try:
            chosen[s] = _least_vcpu(probe, kept)
        except TimeIsUp:  # what all of its requirements need is known
            kept = [g for g in probe.groups() if g[0] not in SHARED]
        out += [f"{conflict_words(probe.fleet, g)} ({chosen[s]:g} vCPU or more)" for g in kept]
    return out


# --- several quotas, reservations --------------------------------------------------------------------------

Place = tuple[list[int], list[Quota], list[CapacityReservation]]


def _joint_conflict(fleet: Fleet, deadline: Deadline) -> tuple[str, ...]:
    """Quotas that each leave room, but not all at once: minimal over quotas and units, then over what units ask."""
    for t, _month in _months_by_need(fleet):
        for units, quotas, reservations in places(fleet):
            part = part_of(fleet, units, [t], quotas, reservations)
            if most_excess(part, 0) <= 0:
                continue
            probe = Probe(part, deadline)
            if not probe.exists():
                return tuple(conflict_words(part, g) for g in _minimal_parties(probe))
    return ()


@dataclass(frozen=True)
class Short:
    """An account and region whose quotas do not suffice: the months (positions), and by how much.

    ``lacking`` is exact, in vCPU, where a single quota is all that couples its units; None elsewhere.
    """

    units: list[int]
    quotas: list[Quota]
    reservations: list[CapacityReservation]
    months: set[int]
    lacking: float | None


def impossible_places(fleet: Fleet, known: Needs) -> Iterator[Short]:
    """Each account and region whose quotas do not suffice, where every unit alone has a plan."""
    for units, quotas, reservations in places(fleet):
        here = part_of(fleet, units, range(len(fleet.problem.months)), quotas, reservations)
        lacks = {t: _lacking(here, t, known) for t, _month in _months_by_need(here)}
        months = {t for t, lack in lacks.items() if lack > 0}
        if months:
            most = max(lacks.values())
            yield Short(units, quotas, reservations, months, most if math.isfinite(most) else None)


def _lacking(fleet: Fleet, t: int, known: Needs) -> float:
    """vCPU that the only quota lacks in a month; where there are more, inf if they do not suffice, else 0."""
    if len(fleet.problem.quotas) == 1 and not fleet.problem.reservations:
        quota = fleet.problem.quotas[0]
        return sum(known.of(fleet, quota, t)[1].values()) - quota.limit
    everything = range(len(fleet.requirements))
    part = part_of(fleet, everything, [t], fleet.problem.quotas, fleet.problem.reservations)
    return 0.0 if Probe(part, known.deadline).exists() else math.inf


def places(fleet: Fleet) -> Iterator[Place]:
    """(units, quotas, reservations) of each account and region: no quota reaches beyond one."""
    for account, region in sorted({(q.account_id, q.region) for q in fleet.problem.quotas}):
        units = [s for s, r in enumerate(fleet.requirements) if (r.account_id, r.unit.region) == (account, region)]
        quotas = [q for q in fleet.problem.quotas if _same_place(q, account, region)]
        held = [v for v in fleet.problem.reservations if (v.account_id, v.region) == (account, region)]
        if units:
            yield units, quotas, held


def _minimal_parties(probe: Probe) -> list[Group]:
    groups = probe.groups()
    parties = list(dict.fromkeys(_party(g) for g in groups))

    def exists(kept: list[Group]) -> bool:
        wanted = set(kept)
        return probe.exists([g for g in groups if _party(g) in wanted])

    found = set(minimal(parties, exists))
    kept = minimal([g for g in groups if _party(g) in found], probe.exists)
    return sorted(kept, key=lambda g: (g[0] not in SHARED, g))


def _party(group: Group) -> Group:
    """A quota or a reservation, or all that is asked of a unit in the month."""
    return group if group[0] in SHARED else ("unit", group[1], group[2], -1, "")
