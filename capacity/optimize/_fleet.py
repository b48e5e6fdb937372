"""A problem put in order: sorted, validated, and cut into the lots in which commitments are billed.

Every unit has its own load blocks. Commitments are shared, so they need to know what runs at the same time. Where all
units of a month have the same blocks of the same hours, blocks of one name are the same hours. Else blocks are aligned
by level: all units are taken to be at their highest block together, then at their next, and a month's *levels* are cut
at the mean shares of hours. Peaks that coincide are the case in which commitments cover least.

A *lot* is a part of a level in which the same commitments, purchases and capacity reservations are active. One that
starts or ends inside a month splits its levels pro rata of the month's hours: a level's hours are taken as spread
evenly over it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from capacity.domain import (
    Candidate,
    CapacityReservation,
    Commitment,
    Floats,
    LoadBlock,
    MixProblem,
    Offer,
    Unit,
    UnitRequirement,
)
from capacity.optimize._refuse import HOURS_TOLERANCE, refuse
from capacity.optimize._tiny import without_tiny_amount, without_tiny_loads

# The provider's order of applying commitments (design: Standard RIs, EC2 Instance SPs, Compute SPs).
PRODUCT_ORDER = {"standard_ri": 0, "ec2_instance_sp": 1, "compute_sp": 2}

# A year of a term: the provider sells 31,536,000 or 94,608,000 seconds, leap year or not (durationSeconds of its
# offerings).
TERM_YEAR = timedelta(seconds=31_536_000)

# One that was never cancelled.
_NO_END = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Purchase:
    """Offer ``offer`` bought at the start of month ``month`` (positions): it runs from ``start`` to ``end``."""

    offer: int
    month: int
    start: datetime
    end: datetime


@dataclass(frozen=True)
class ReservedType:
    """Capacity reservations of one account, region and instance type: they are used and paid as one.

    ``reservations`` are positions in the problem. ``usd_per_hour`` is the on-demand price of one instance.
    """

    account_id: str
    region: str
    instance_type: str
    usd_per_hour: float
    vcpu: int
    quota_code: str
    reservations: tuple[int, ...]

    def holds(self, requirement: UnitRequirement, candidate: Candidate) -> bool:
        """Whether what runs on demand of ``candidate`` in ``requirement`` runs in it."""
        here = (requirement.account_id, requirement.unit.region, candidate.instance_type)
        return here == (self.account_id, self.region, self.instance_type)


@dataclass(frozen=True)
class Lot:
    """``hours`` of level ``level`` of month ``month`` (positions) in which the same contracts run.

    ``active`` are positions of commitments, ``bought`` of purchases, ``reserved`` of capacity reservations.
    """

    month: int
    level: int
    hours: float
    active: tuple[int, ...]
    bought: tuple[int, ...] = ()
    reserved: tuple[int, ...] = ()


@dataclass(frozen=True)
class Fleet:
    """A validated problem: units by name, candidates by type, commitments in the provider's order, and the lots.

    ``blocks[s][t]`` are the load blocks of unit s in month t, none where its horizon does not reach.
    ``presence[s][t]`` is (blocks, levels): the share of a level's hours in which the unit is in that block.
    ``purchases`` are all that could be bought: every offer in every month.
    """

    problem: MixProblem
    blocks: tuple[tuple[tuple[LoadBlock, ...], ...], ...]
    level_names: tuple[tuple[str, ...], ...]
    presence: tuple[tuple[Floats, ...], ...]
    lots: tuple[Lot, ...]
    purchases: tuple[Purchase, ...] = ()
    reserved: tuple[ReservedType, ...] = ()

    @property
    def requirements(self) -> tuple[UnitRequirement, ...]:
        return self.problem.requirements

    @property
    def commitments(self) -> tuple[Commitment, ...]:
        return self.problem.commitments

    @property
    def offers(self) -> tuple[Offer, ...]:
        return self.problem.offers

    def reserved_count(self, kind: ReservedType, lot: Lot) -> int:
        """Instances that are held of ``kind`` in ``lot``."""
        held = self.problem.reservations
        return sum(held[i].count for i in kind.reservations if i in lot.reserved)

    def reserved_most(self, kind: ReservedType, month: int) -> int:
        """The most instances that are held of ``kind`` at one time of month ``month``."""
        return max((self.reserved_count(kind, lot) for lot in self.lots if lot.month == month), default=0)

    def position(self, unit: Unit) -> int:
        return next(s for s, r in enumerate(self.requirements) if r.unit == unit)


def fleet_of(problem: MixProblem) -> Fleet:
    """Put ``problem`` in order, so that what follows does not depend on the order it was given in.

    Raises
    ------
    UsageError
        Names each unit, month, block, offer or reservation whose figures cannot be meant.
    MissingDataError
        A Savings Plan without a committed rate, an offer without any rate, a reserved type without a price: none of
        these is ever guessed.
    """
    refuse(problem)
    ordered = _ordered(problem)
    blocks = tuple(
        tuple(tuple(b for b in r.blocks if b.month == month) for month in ordered.months) for r in ordered.requirements
    )
    names, hours, presence = [], [], []
    for t, total in enumerate(ordered.month_hours):
        month = _levels([unit[t] for unit in blocks], total)
        names.append(month[0])
        hours.append(month[1])
        presence.append(month[2])
    by_unit = tuple(tuple(presence[t][s] for t in range(len(names))) for s in range(len(blocks)))
    purchases = _purchases(ordered)
    lots = _lots(ordered, purchases, hours)
    return Fleet(ordered, blocks, tuple(names), by_unit, lots, purchases, _reserved(ordered))


def running_by_type(requirement: UnitRequirement) -> dict[str, int]:
    """Instances that run today, by type, over all zones."""
    out: dict[str, int] = {}
    for (instance_type, _zone), count in sorted(requirement.running.items()):
        out[instance_type] = out.get(instance_type, 0) + count
    return out


def vertical_count(requirement: UnitRequirement) -> int:
    """Instances per zone that a vertical unit keeps: what runs today, rounded up to whole zones; 1 where none runs."""
    total = sum(requirement.running.values())
    return max(1, math.ceil(total / requirement.zones)) if total else max(1, requirement.min_per_zone)


def eligible(commitment: Commitment | Offer, account_id: str, region: str, candidate: Candidate) -> bool:
    """Whether the scope of ``commitment`` holds usage of ``candidate`` in that account and region.

    Savings Plans of these kinds pay for machines of EC2 and never for a database's: that is another product (Savings
    Plans user guide, "What are Savings Plans?"). A reserved DB instance is an RI of its own type.
    """
    if commitment.account_id not in ("", account_id) or commitment.region not in ("", region):
        return False
    if commitment.product == "standard_ri":
        return commitment.scope == candidate.instance_type
    if is_database(candidate.instance_type):
        return False
    return commitment.product == "compute_sp" or commitment.scope == candidate.family


def is_database(instance_type: str) -> bool:
    """Whether this is a type of a managed database, as RDS names them (db.r6g.xlarge)."""
    return instance_type.startswith("db.")


def offered_rate(offer: Offer, requirement: UnitRequirement, candidate: Candidate) -> float | None:
    """What ``offer`` takes for usage of ``candidate``, as a share of on demand; None where it cannot cover it."""
    if not eligible(offer, requirement.account_id, requirement.unit.region, candidate):
        return None
    return offer.rate.get(candidate.instance_type)


def offered_usd_per_hour(fleet: Fleet, offer: Offer) -> float:
    """What one instance of an RI costs an hour (rate x the dearest on-demand price in its scope), 1 for a plan's $/h.

    0 where no unit could use an RI: there is no price, and none is bought.
    """
    if offer.product != "standard_ri":
        return 1.0
    prices = [
        c.usd_per_hour * rate
        for r in fleet.requirements
        for c in r.candidates
        if (rate := offered_rate(offer, r, c)) is not None
    ]
    return max(prices, default=0.0)


def active_frac(
    commitment: Commitment | CapacityReservation | Purchase, month: str, hours: float, last_hours: bool
) -> tuple[float, float]:
    """The part of a month's modelled hours, from 0 to 1, in which ``commitment`` runs.

    A first month that is shorter than the calendar's is its last hours (planning starts inside it); any other
    short month is its first hours.
    """
    start, end = month_window(month, hours, last_hours)
    whole = (end - start).total_seconds()
    begin = (max(_utc(commitment.start), start) - start).total_seconds() / whole
    until = _NO_END if commitment.end is None else _utc(commitment.end)
    finish = (min(until, end) - start).total_seconds() / whole
    return (begin, finish) if finish > begin else (0.0, 0.0)


def month_window(month: str, hours: float, last_hours: bool) -> tuple[datetime, datetime]:
    """Start and end of the modelled hours of ``month``, UTC as billing periods are."""
    year, number = int(month[:4]), int(month[5:7])
    start = datetime(year, number, 1, tzinfo=UTC)
    end = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    span = timedelta(hours=hours)
    return (end - span, end) if last_hours else (start, start + span)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _ordered(problem: MixProblem) -> MixProblem:
    requirements = tuple(
        without_tiny_loads(
            replace(
                r,
                candidates=tuple(sorted(r.candidates, key=lambda c: c.instance_type)),
                blocks=tuple(sorted(r.blocks, key=lambda b: (b.month, b.block))),
            )
        )
        for r in sorted(problem.requirements, key=lambda r: r.unit)
    )
    # Inside a product: the highest saving first, an account's own before what is shared (the provider's rule).
    rates = problem.committed_rate
    commitments = sorted(
        map(without_tiny_amount, problem.commitments),
        key=lambda c: (PRODUCT_ORDER[c.product], rates.get(c.id, 0.0), c.account_id == "", c.id),
    )
    quotas = sorted(problem.quotas, key=lambda q: (q.account_id, q.region, q.code))
    return replace(
        problem,
        requirements=requirements,
        commitments=tuple(commitments),
        quotas=tuple(quotas),
        offers=tuple(sorted(problem.offers, key=lambda o: o.id)),
        reservations=tuple(sorted(problem.reservations, key=lambda r: r.id)),
    )


def _levels(units: list[tuple[LoadBlock, ...]], month_hours: float) -> tuple[tuple[str, ...], Floats, list[Floats]]:
    """Names and hours of a month's levels, and the presence of each unit's blocks in them."""
    there = [u for u in units if u]
    if not there:
        return ("all",), np.array([month_hours]), [np.zeros((0, 1)) for _ in units]
    if all(_same_hours(u, there[0]) for u in there):
        own = np.array([b.hours for b in there[0]])
        hours = own * month_hours / own.sum()
        presence = [np.diag(own / hours) if u else np.zeros((0, len(own))) for u in units]
        return tuple(b.block for b in there[0]), hours, presence
    most = max(len(u) for u in there)
    ranked = [[u[i] for i in _by_level(u)] for u in there if len(u) == most]
    edges = np.mean([_edges(u) for u in ranked], axis=0)
    names = [{u[k].block for u in ranked} for k in range(most)]
    hours = np.diff(edges) * month_hours
    return (
        tuple(n.pop() if len(n) == 1 else f"level {k + 1}" for k, n in enumerate(names)),
        hours,
        [_overlap(u, edges, hours) for u in units],
    )


def _same_hours(one: tuple[LoadBlock, ...], other: tuple[LoadBlock, ...]) -> bool:
    return len(one) == len(other) and all(
        a.block == b.block and abs(a.hours - b.hours) <= HOURS_TOLERANCE for a, b in zip(one, other, strict=True)
    )


def _by_level(blocks: tuple[LoadBlock, ...]) -> list[int]:
    """Positions from the highest demand to the lowest."""
    return sorted(range(len(blocks)), key=lambda i: (-blocks[i].demand, blocks[i].block))


def _edges(blocks: list[LoadBlock]) -> Floats:
    """Shares of the unit's hours at which its blocks, in this order, begin and end."""
    ends = np.cumsum([0.0, *(b.hours for b in blocks)])
    out: Floats = ends / ends[-1]
    return out


def _overlap(blocks: tuple[LoadBlock, ...], edges: Floats, hours: Floats) -> Floats:
    """(blocks, levels) hours of each block that fall into each level, as a share of the level's hours."""
    out = np.zeros((len(blocks), len(hours)))
    if not blocks:
        return out
    order = _by_level(blocks)
    own = _edges([blocks[i] for i in order])
    total = sum(b.hours for b in blocks)
    for rank, i in enumerate(order):
        shared = np.minimum(edges[1:], own[rank + 1]) - np.maximum(edges[:-1], own[rank])
        out[i] = np.maximum(shared, 0.0) * total / hours
    return out


def _purchases(problem: MixProblem) -> tuple[Purchase, ...]:
    """Every offer in every month: it starts with the month's modelled hours and runs for its term."""
    out = []
    for o, offer in enumerate(problem.offers):
        for t, (month, hours) in enumerate(zip(problem.months, problem.month_hours, strict=True)):
            start, _ = month_window(month, hours, t == 0)
            out.append(Purchase(o, t, start, start + offer.term_years * TERM_YEAR))
    return tuple(out)


def _reserved(problem: MixProblem) -> tuple[ReservedType, ...]:
    """Reservations by account, region and type, in that order."""
    kinds: dict[tuple[str, str, str], list[int]] = {}
    for i, held in enumerate(problem.reservations):
        kinds.setdefault((held.account_id, held.region, held.instance_type), []).append(i)
    out = []
    for (account, region, name), positions in sorted(kinds.items()):
        c = _priced(problem, account, region, name)
        out.append(ReservedType(account, region, name, c.usd_per_hour, c.vcpu, c.quota_code, tuple(positions)))
    return tuple(out)


def _priced(problem: MixProblem, account: str, region: str, name: str) -> Candidate:
    """The candidate that tells what a reserved type costs: of the account where it has one, the dearest of these."""
    known = [
        (r.account_id == account, c.usd_per_hour, c)
        for r in problem.requirements
        for c in r.candidates
        if r.unit.region == region and c.instance_type == name
    ]
    return max(known, key=lambda k: k[:2])[2]


def _lots(problem: MixProblem, purchases: tuple[Purchase, ...], level_hours: list[Floats]) -> tuple[Lot, ...]:
    out = []
    contracts: tuple[tuple[Commitment | CapacityReservation | Purchase, ...], ...]
    contracts = (problem.commitments, purchases, problem.reservations)
    for t, (month, hours) in enumerate(zip(problem.months, problem.month_hours, strict=True)):
        spans = [[active_frac(c, month, hours, t == 0) for c in kind] for kind in contracts]
        edges = sorted({0.0, 1.0, *(edge for kind in spans for span in kind for edge in span)})
        for begin, finish in pairwise(edges):
            runs = [tuple(k for k, (low, high) in enumerate(kind) if low <= begin and finish <= high) for kind in spans]
            out += [
                Lot(t, b, float(h) * (finish - begin), runs[0], runs[1], runs[2]) for b, h in enumerate(level_hours[t])
            ]
    return tuple(sorted(out, key=lambda lot: (lot.month, lot.level)))
