"""A problem put in order: sorted, validated, and cut into the lots in which commitments are billed.

Every unit has its own load blocks. Commitments are shared, so they need to know what runs at the same time. Where all
units of a month have the same blocks of the same hours, blocks of one name are the same hours. Else blocks are aligned
by level: all units are taken to be at their highest block together, then at their next, and a month's *levels* are cut
at the mean shares of hours. Peaks that coincide are the case in which commitments cover least.

A *lot* is a part of a level in which the same commitments are active. A commitment that starts or ends inside a month
splits its levels pro rata of the month's hours: a level's hours are taken as spread evenly over it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from capacity.domain import Candidate, Commitment, Floats, LoadBlock, MixProblem, Unit, UnitRequirement
from capacity.errors import MissingDataError, UsageError

# Hours of blocks and months come from the same calendar; what is left is floating point.
_HOURS_TOLERANCE = 1e-6

# The provider's order of applying commitments (design: Standard RIs, EC2 Instance SPs, Compute SPs).
_PRODUCT_ORDER = {"standard_ri": 0, "ec2_instance_sp": 1, "compute_sp": 2}


@dataclass(frozen=True)
class Lot:
    """``hours`` of level ``level`` of month ``month`` (positions) in which the commitments ``active`` run."""

    month: int
    level: int
    hours: float
    active: tuple[int, ...]


@dataclass(frozen=True)
class Fleet:
    """A validated problem: units by name, candidates by type, commitments in the provider's order, and the lots.

    ``blocks[s][t]`` are the load blocks of unit s in month t, none where its horizon does not reach.
    ``presence[s][t]`` is (blocks, levels): the share of a level's hours in which the unit is in that block.
    """

    problem: MixProblem
    blocks: tuple[tuple[tuple[LoadBlock, ...], ...], ...]
    level_names: tuple[tuple[str, ...], ...]
    presence: tuple[tuple[Floats, ...], ...]
    lots: tuple[Lot, ...]

    @property
    def requirements(self) -> tuple[UnitRequirement, ...]:
        return self.problem.requirements

    @property
    def commitments(self) -> tuple[Commitment, ...]:
        return self.problem.commitments

    def position(self, unit: Unit) -> int:
        return next(s for s, r in enumerate(self.requirements) if r.unit == unit)


def fleet_of(problem: MixProblem) -> Fleet:
    """Put ``problem`` in order, so that what follows does not depend on the order it was given in.

    Raises
    ------
    UsageError
        Names each unit, month or block whose figures cannot be meant.
    MissingDataError
        A Savings Plan without a committed rate: it is never guessed.
    """
    problems = [*_bad_calendar(problem), *(p for r in problem.requirements for p in _bad_unit(problem, r))]
    if problems:
        raise UsageError("not a problem that can be solved:\n" + "\n".join(f"  - {p}" for p in problems[:20]))
    _check_rates(problem)
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
    return Fleet(ordered, blocks, tuple(names), by_unit, _lots(ordered, hours))


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


def eligible(commitment: Commitment, account_id: str, region: str, candidate: Candidate) -> bool:
    """Whether ``commitment`` may cover usage of ``candidate`` in that account and region."""
    if commitment.account_id not in ("", account_id) or commitment.region not in ("", region):
        return False
    if commitment.product == "standard_ri":
        return commitment.scope == candidate.instance_type
    return commitment.product == "compute_sp" or commitment.scope == candidate.family


def active_frac(commitment: Commitment, month: str, hours: float, last_hours: bool) -> tuple[float, float]:
    """The part of a month's modelled hours, from 0 to 1, in which ``commitment`` runs.

    A first month that is shorter than the calendar's is its last hours (planning starts inside it); any other
    short month is its first hours.
    """
    start, end = month_window(month, hours, last_hours)
    whole = (end - start).total_seconds()
    begin = (max(_utc(commitment.start), start) - start).total_seconds() / whole
    finish = (min(_utc(commitment.end), end) - start).total_seconds() / whole
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
        replace(
            r,
            candidates=tuple(sorted(r.candidates, key=lambda c: c.instance_type)),
            blocks=tuple(sorted(r.blocks, key=lambda b: (b.month, b.block))),
        )
        for r in sorted(problem.requirements, key=lambda r: r.unit)
    )
    # Inside a product: the highest saving first, an account's own before what is shared (the provider's rule).
    rates = problem.committed_rate
    commitments = sorted(
        problem.commitments,
        key=lambda c: (_PRODUCT_ORDER[c.product], rates.get(c.id, 0.0), c.account_id == "", c.id),
    )
    quotas = sorted(problem.quotas, key=lambda q: (q.account_id, q.region, q.code))
    return replace(problem, requirements=requirements, commitments=tuple(commitments), quotas=tuple(quotas))


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
        a.block == b.block and abs(a.hours - b.hours) <= _HOURS_TOLERANCE for a, b in zip(one, other, strict=True)
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


def _lots(problem: MixProblem, level_hours: list[Floats]) -> tuple[Lot, ...]:
    out = []
    for t, (month, hours) in enumerate(zip(problem.months, problem.month_hours, strict=True)):
        spans = [active_frac(c, month, hours, t == 0) for c in problem.commitments]
        edges = sorted({0.0, 1.0, *(edge for span in spans for edge in span)})
        for begin, finish in pairwise(edges):
            active = tuple(k for k, (low, high) in enumerate(spans) if low <= begin and finish <= high)
            out += [Lot(t, b, float(h) * (finish - begin), active) for b, h in enumerate(level_hours[t])]
    return tuple(sorted(out, key=lambda lot: (lot.month, lot.level)))


def _check_rates(problem: MixProblem) -> None:
    unknown = [
        f"{c.product} {c.id}"
        for c in problem.commitments
        if c.product != "standard_ri" and not 0 < problem.committed_rate.get(c.id, math.nan) <= 1
    ]
    if unknown:
        raise MissingDataError(
            f"no committed rate in (0, 1] for {', '.join(unknown)}: give the price of covered usage as a share of "
            "on demand, or leave the commitment out; it is never guessed"
        )


def _bad_calendar(problem: MixProblem) -> list[str]:
    out = []
    if len(problem.months) != len(problem.month_hours) or list(problem.months) != sorted(set(problem.months)):
        return ["months must be in order, each once, with one month_hours each"]
    if not problem.months:
        return ["no month to plan for"]
    units = [r.unit for r in problem.requirements]
    out += [f"{u}: given twice" for u in sorted({u for u in units if units.count(u) > 1})]
    ids = [c.id for c in problem.commitments]
    out += [f"commitment {i}: given twice" for i in sorted({i for i in ids if ids.count(i) > 1})]
    out += [
        f"commitment {c.id}: {c.product} needs a scope and an RI a count of at least 1"
        for c in problem.commitments
        if c.product != "compute_sp" and (not c.scope or (c.product == "standard_ri" and c.count < 1))
    ]
    if not 0 <= problem.switching_penalty_frac < math.inf:
        out.append(f"switching_penalty_frac {problem.switching_penalty_frac}: must be 0 or more")
    return out


def _bad_unit(problem: MixProblem, requirement: UnitRequirement) -> list[str]:
    unit = requirement.unit
    out = [f"{unit}: {p}" for p in (*_bad_numbers(requirement), *_bad_candidates(requirement))]
    names = [(b.month, b.block) for b in requirement.blocks]
    out += [f"{unit}: block {n} is given twice in {m}" for m, n in sorted({k for k in names if names.count(k) > 1})]
    out += [
        f"{unit}: a block in {m}, a month that is not planned"
        for m in sorted({m for m, _ in names} - {*problem.months})
    ]
    for month, hours in zip(problem.months, problem.month_hours, strict=True):
        total = sum(b.hours for b in requirement.blocks if b.month == month)
        if total > hours * (1 + _HOURS_TOLERANCE):
            out.append(f"{unit}: blocks of {month} hold {total:g} hours, the month {hours:g}")
    return out


def _bad_numbers(requirement: UnitRequirement) -> list[str]:
    out = []
    if requirement.zones < 1 or requirement.zones_survived < 0:
        out.append(f"zones {requirement.zones}, zones_survived {requirement.zones_survived}: at least 1 and 0")
    if requirement.min_per_zone < 0 or requirement.max_per_zone < 0:
        out.append("min_per_zone and max_per_zone must be 0 or more")
    out += [
        f"demand {b.demand} and hours {b.hours} in {b.month} {b.block}: finite, 0 or more, and more than 0"
        for b in requirement.blocks
        if not (0 <= b.demand < math.inf and 0 < b.hours < math.inf)
    ]
    counts = [*requirement.running.values(), *(requirement.pinned or {}).values()]
    if any(c < 0 or c != int(c) for c in counts):
        out.append("running and pinned counts must be whole numbers, 0 or more")
    return out


def _bad_candidates(requirement: UnitRequirement) -> list[str]:
    names = [c.instance_type for c in requirement.candidates]
    out = [f"candidate {n}: given twice" for n in sorted({n for n in names if names.count(n) > 1})]
    return out + [
        f"candidate {c.instance_type}: price and capacities must be finite and 0 or more"
        for c in requirement.candidates
        if not all(0 <= x < math.inf for x in (c.usd_per_hour, c.safe, c.zone_loss))
    ]
