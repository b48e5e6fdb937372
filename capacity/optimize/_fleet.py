"""A problem put in order: sorted, validated, and cut into the lots in which commitments are billed.

A *lot* is a part of a load block in which the same commitments are active. A commitment that starts or ends inside a
month splits each of its blocks pro rata of the month's hours: a block's hours are taken as spread evenly over it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from capacity.domain import Candidate, Commitment, MixProblem, UnitRequirement
from capacity.errors import MissingDataError, UsageError

# Hours of blocks and months come from the same calendar; what is left is floating point.
_HOURS_TOLERANCE = 1e-6

# The provider's order of applying commitments (design: Standard RIs, EC2 Instance SPs, Compute SPs).
_PRODUCT_ORDER = {"standard_ri": 0, "ec2_instance_sp": 1, "compute_sp": 2}


@dataclass(frozen=True)
class Lot:
    """``hours`` of block ``block`` of month ``month`` (positions) in which the commitments ``active`` run."""

    month: int
    block: int
    hours: float
    active: tuple[int, ...]


@dataclass(frozen=True)
class Fleet:
    """A validated problem: units by name, candidates by type, commitments in the provider's order, and the lots."""

    problem: MixProblem
    block_names: tuple[tuple[str, ...], ...]
    block_hours: tuple[tuple[float, ...], ...]
    lots: tuple[Lot, ...]

    @property
    def requirements(self) -> tuple[UnitRequirement, ...]:
        return self.problem.requirements

    @property
    def commitments(self) -> tuple[Commitment, ...]:
        return self.problem.commitments

    def demand(self, requirement: UnitRequirement) -> dict[tuple[int, int], float]:
        """Demand by (month, block) position."""
        by_name = {(b.month, b.block): b.demand for b in requirement.blocks}
        return {
            (t, b): by_name[month, name]
            for t, month in enumerate(self.problem.months)
            for b, name in enumerate(self.block_names[t])
        }


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
    names, hours = _blocks(ordered)
    return Fleet(ordered, names, hours, _lots(ordered, hours))


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


def _blocks(problem: MixProblem) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[float, ...], ...]]:
    """Names and hours of the blocks of each month; one block of all hours where there is no unit."""
    if not problem.requirements:
        return tuple(("all",) for _ in problem.months), tuple((h,) for h in problem.month_hours)
    blocks = problem.requirements[0].blocks
    per_month = [[b for b in blocks if b.month == month] for month in problem.months]
    return (
        tuple(tuple(b.block for b in month) for month in per_month),
        tuple(tuple(b.hours for b in month) for month in per_month),
    )


def _lots(problem: MixProblem, block_hours: Sequence[Sequence[float]]) -> tuple[Lot, ...]:
    out = []
    for t, (month, hours) in enumerate(zip(problem.months, problem.month_hours, strict=True)):
        spans = [active_frac(c, month, hours, t == 0) for c in problem.commitments]
        edges = sorted({0.0, 1.0, *(edge for span in spans for edge in span)})
        for begin, finish in zip(edges, edges[1:], strict=False):
            active = tuple(k for k, (low, high) in enumerate(spans) if low <= begin and finish <= high)
            out += [Lot(t, b, h * (finish - begin), active) for b, h in enumerate(block_hours[t])]
    return tuple(sorted(out, key=lambda lot: (lot.month, lot.block)))


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
    for month, hours in zip(problem.months, problem.month_hours, strict=True):
        total = sum(b.hours for b in requirement.blocks if b.month == month)
        if abs(total - hours) > _HOURS_TOLERANCE * max(hours, 1.0):
            out.append(f"{unit}: blocks of {month} hold {total:g} hours, the month {hours:g}")
    first = {(b.month, b.block): b.hours for b in problem.requirements[0].blocks}
    mine = {(b.month, b.block): b.hours for b in requirement.blocks}
    if len(mine) != len(requirement.blocks):
        out.append(f"{unit}: a block is given twice in a month")
    if mine.keys() != first.keys() or any(abs(mine[k] - first[k]) > _HOURS_TOLERANCE for k in mine):
        out.append(f"{unit}: its load blocks differ from those of {problem.requirements[0].unit}; they are shared")
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
