"""Services that stay with the types they run today: all of them where that is as cheap, but those that save by a move.

Whether a move is worth it depends on what all others do: commitments are shared. So the fleet that stays is solved as
a whole and compared with the one that chooses anew; in it, a service moves only where the fleet's bill, commitments
applied anew, falls by more than the switching penalty's share of what the service costs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from capacity.domain import MixProblem, Unit, UnitRequirement
from capacity.optimize._book import Book, Cover, first_rows, lane_counts, priced_on_demand, provisioned_months
from capacity.optimize._clock import Deadline
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize._result import Plan
from capacity.optimize.columns._cheapest import cheapest
from capacity.optimize.columns._covers import covers_of
from capacity.optimize.columns._lanes import Counts, Lanes, lanes_of


def staying(
    problem: MixProblem, fresh: MixProblem, most_types: int, wide: Collection[Unit], deadline: Deadline
) -> MixProblem | None:
    """``fresh`` (narrowed from ``problem``) with today's types where a unit can stay with them; None where it is that.

    Units in ``wide`` keep what they have: no plan of few types serves them.

    Raises
    ------
    TimeIsUp
        Where ``deadline`` passes first.
    """
    wanted = tuple(
        _with_types(new, today) if new.unit not in wide and (today := _types_of_today(was, new, most_types)) else new
        for was, new in zip(problem.requirements, fresh.requirements, strict=True)
    )
    fleet = fleet_of(replace(fresh, requirements=wanted))
    out = []
    for s, (stays, new) in enumerate(zip(wanted, fresh.requirements, strict=True)):
        deadline.check()
        out.append(stays if stays is not new and _serves(fleet, s) else new)
    changed = any(a is not b for a, b in zip(out, fresh.requirements, strict=True))
    return replace(fresh, requirements=tuple(out)) if changed else None


def worth_moving(
    stays: MixProblem, fresh: MixProblem, plan: Plan, penalty_frac: float, deadline: Deadline
) -> frozenset[Unit]:
    """Units of ``stays`` (of which ``plan`` is a plan) that save enough with the types that ``fresh`` gives them.

    Raises
    ------
    TimeIsUp
        Where ``deadline`` passes first.
    """
    both = tuple(
        _with_types(new, _allowed(new) | _allowed(old))
        for old, new in zip(stays.requirements, fresh.requirements, strict=True)
    )
    fleet = fleet_of(replace(fresh, requirements=both))
    book, moves = Book(fleet, plan, all_allowed=True), []
    for s, (old, new) in enumerate(zip(stays.requirements, fresh.requirements, strict=True)):
        deadline.check()
        if _allowed(old) == _allowed(new):
            continue
        cover = _cover(fleet, s, _allowed(new), plan)
        if cover is not None:
            now = priced_on_demand(cover.u, lane_counts(book.first, cover.u, plan))
            moves.append((penalty_frac * now, old.unit, cover))
    alone = book.more_usd([cover for *_, cover in moves], deadline)
    out = set()
    for _usd, unit, least, cover in sorted((usd, u, x, c) for usd, (x, u, c) in zip(alone, moves, strict=True)):
        deadline.check()
        if float(book.more_usd([cover])[0]) < -least - book.dust and book.fits(cover):
            book.take(cover)
            out.add(unit)
    return frozenset(out)


def _types_of_today(was: UnitRequirement, new: UnitRequirement, most_types: int) -> Collection[str]:
    """What runs today of what the unit may run; none where it is too many or too few types, or those of ``new``."""
    if was.vertical or was.pinned is not None:
        return ()
    able = {c.instance_type for c in was.candidates if c.allowed and min(c.safe, c.zone_loss) > 0}
    today = {name for (name, _), count in was.running.items() if count} & able
    fits = min(was.least_types, most_types) <= len(today) <= most_types
    return today if today and fits and today != _allowed(new) else ()


def _allowed(r: UnitRequirement) -> set[str]:
    return {c.instance_type for c in r.candidates if c.allowed}


def _with_types(r: UnitRequirement, types: Collection[str]) -> UnitRequirement:
    return replace(r, candidates=tuple(replace(c, allowed=c.instance_type in types) for c in r.candidates))


def _serves(fleet: Fleet, s: int) -> bool:
    """Whether the unit's allowed types hold all of its loads within its own limits."""
    u = lanes_of(fleet, s, range(len(fleet.problem.months)))
    return u is None or _covered(fleet, u, np.arange(len(u.types))) is not None


def _covered(fleet: Fleet, u: Lanes, types: Counts) -> tuple[Counts, Counts] | None:
    """(L, I) counts of the cheapest covers on demand with ``types``, and (months, I) provisioned; None where none."""
    usd, none = u.usd[:, None] * u.hours[None, :], np.full((len(u.types), len(u.hours)), np.inf)
    cost, running, spot = cheapest(u, covers_of(u, types), usd, none)
    if not np.isfinite(cost).all() or spot.any() or not u.allows(running, spot).all():
        return None
    n = provisioned_months(fleet, u, running)
    return None if n is None else (running, n)


def _cover(fleet: Fleet, s: int, types: Collection[str], plan: Plan) -> Cover | None:
    u = lanes_of(fleet, s, range(len(fleet.problem.months)))
    if u is None or plan.spot[first_rows(fleet)[s] + u.types].any():
        return None
    found = _covered(fleet, u, np.flatnonzero([c.instance_type in types for c in u.candidates]))
    return None if found is None else Cover(u, *found, 0, 0.0)
