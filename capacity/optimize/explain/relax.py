"""The smallest relaxation that makes a plan possible, applied and shown.

What no instance type can meet comes first (it has one remedy or none). Then each unit that is impossible alone; where
the quotas of its account and region leave room for it so relaxed, that is the smallest relaxation of both, because a
fleet needs no less than its units. Else units, quotas and reservations of the place are relaxed together. Months that
have a plan need no relaxation, so only those without are looked at.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from capacity.domain import MixProblem, Unit, UnitRequirement
from capacity.optimize._clock import Clock, Deadline, TimeIsUp
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize.explain._elastic import Elastic, Softened
from capacity.optimize.explain._knobs import Change, Knob, Weights, apply, points_of
from capacity.optimize.explain._nothing import nothing_serves_unit
from capacity.optimize.explain._probe import part_of
from capacity.optimize.explain.conflict import Needs, Short, conflict_of, impossible_places, impossible_units

# An elastic solve of one place: after this the best that was found is taken, and said not to be proven smallest.
_ELASTIC_SECONDS = 1.5
# Points above the least that are proven by this share are the least: the elastic solve ends at a gap of its own.
_PROVEN_FRAC = 1e-3
# A change of a unit may leave too little of a quota (a larger database): then once more, on what is changed already.
_ROUNDS = 3


@dataclass(frozen=True)
class Relaxation:
    """What to relax so that a plan exists.

    Attributes
    ----------
    changes
        Each requirement that is relaxed; none where a plan exists already, or where nothing that may change helps.
    problem
        The problem with the changes applied.
    possible
        Whether ``problem`` has a plan.
    points, least_points
        What the changes count (:class:`Weights`), and what any relaxation counts at least.
    words
        One line a change, and how small it is proven to be.
    """

    changes: tuple[Change, ...]
    problem: MixProblem
    possible: bool
    points: float
    least_points: float
    words: tuple[str, ...]


def smallest_relaxation(
    problem: MixProblem,
    *,
    weights: Weights | None = None,
    headroom_frac: Mapping[Unit, float] | None = None,
    may_change: Collection[str] | None = None,
    time_limit_seconds: float = math.inf,
    clock: Clock = time.perf_counter,
) -> Relaxation:
    """The change of fewest points in the requirements of ``problem`` after which a plan exists.

    Parameters
    ----------
    problem
        A problem without a plan (with one, nothing is changed).
    weights
        What each kind of change counts; :class:`Weights`'s own where absent.
    headroom_frac
        By unit, the headroom that its candidates' ``safe`` already leaves (safe = (1 - headroom) x safe capacity).
        Only where it is given can headroom be relaxed: the problem itself does not know it.
    may_change
        Kinds of :class:`Change` that are open (``quota``, ``maximum``, ...); all where absent.
    time_limit_seconds, clock
        After this many seconds of ``clock`` the search is given up, and that is said.
    """
    room = {str(u): h for u, h in (headroom_frac or {}).items()}
    search = _Search(weights or Weights(), room, may_change, Deadline.after(time_limit_seconds, clock))
    try:
        return _smallest(search, problem)
    except TimeIsUp:
        line = f"the smallest change was not found within {time_limit_seconds:g} s"
        return Relaxation((), problem, False, 0.0, 0.0, (line,))


def _smallest(search: _Search, problem: MixProblem) -> Relaxation:
    now, refused = _mended(search, fleet_of(problem).problem)
    if refused:
        return Relaxation(search.changes(), now, False, search.points, search.least, (*search.words(), *refused))
    possible = False
    for _ in range(_ROUNDS):
        found = search.relax(now)
        if found is None:
            line = "nothing that may be changed makes a plan possible"
            return Relaxation(search.changes(), now, False, search.points, search.least, (*search.words(), line))
        now, possible = found, not conflict_of(fleet_of(found), search.needs)
        if possible:
            break
    return Relaxation(search.changes(), now, possible, search.points, search.least, search.words(proof=True))


# --- what has one remedy or none ---------------------------------------------------------------------------


def _mended(search: _Search, problem: MixProblem) -> tuple[MixProblem, tuple[str, ...]]:
    """``problem`` with what no type can meet put right, and why not where there is no way."""
    for name in [str(r.unit) for r in problem.requirements]:
        while conflict := nothing_serves_unit(r := _unit(problem, name)):
            knob = _remedy(r)
            if knob is None or not search.may(knob[0].kind):
                return problem, (*conflict, f"{name}: no policy can be relaxed to mend this: allow more instance types")
            problem = search.apply(problem, *knob)
    return problem, ()


def _unit(problem: MixProblem, name: str) -> UnitRequirement:
    return next(r for r in problem.requirements if str(r.unit) == name)


def _remedy(r: UnitRequirement) -> tuple[Knob, float] | None:
    allowed = [c for c in r.candidates if c.allowed]
    barred = [c for c in r.candidates if not c.allowed and c.safe > 0 and (c.zone_loss > 0 or not r.zones_survived)]
    name = str(r.unit)
    if r.zones_survived >= r.zones and allowed:
        return Knob("zones_survived", name), r.zones_survived - r.zones + 1
    if barred and not any(c.safe > 0 and (c.zone_loss > 0 or not r.zones_survived) for c in allowed):
        cheapest = min(barred, key=lambda c: (c.usd_per_hour / c.safe, c.instance_type))
        return Knob("allow", name, cheapest.instance_type), 1.0
    if allowed and len(allowed) < r.least_types and nothing_serves_unit(replace(r, least_types=1)) == ():
        return Knob("least_types", name), r.least_types - len(allowed)
    return None


# --- units and places --------------------------------------------------------------------------------------

_Amounts = Mapping[Knob, float]


class _Search:
    """Finds relaxations and keeps book of them."""

    def __init__(
        self,
        weights: Weights,
        headroom: Mapping[str, float],
        may_change: Collection[str] | None,
        deadline: Deadline,
    ) -> None:
        self.deadline = deadline
        self.weights, self.headroom, self.may_change = weights, headroom, may_change
        self.made: list[Change] = []
        self.points, self.least = 0.0, 0.0
        self.needs = Needs(deadline)

    def may(self, kind: str) -> bool:
        return self.may_change is None or kind in self.may_change

    def apply(self, problem: MixProblem, knob: Knob, amount: float) -> MixProblem:
        """Changes that had to be: they count towards the least as well."""
        problem, change = apply(problem, knob, amount, self.weights, self.headroom)
        self.made.append(change)
        self.points += change.points
        self.least += change.points
        return problem

    def relax(self, problem: MixProblem) -> MixProblem | None:
        """``problem`` relaxed; None where nothing that may change helps."""
        fleet = fleet_of(problem)
        alone = self._units_alone(fleet)
        if alone is None:
            return None
        for short in list(impossible_places(fleet_of(self._applied(problem, alone)), self.needs)):
            names = {str(fleet.requirements[s].unit) for s in short.units}
            of_units = [alone[name] for name in names if name in alone]
            months = short.months.union(*(m for m, _ in of_units))
            together = self._solve(part_of(fleet, short.units, months, short.quotas, short.reservations))
            found = self._better(fleet.problem, together, [x for _, x in of_units], short)
            if found.amounts is None:
                return None
            alone = {name: x for name, x in alone.items() if name not in names}
            alone[",".join(sorted(names))] = (months, found)
        for _months, found in alone.values():
            for knob, amount in found.amounts or ():
                problem, change = apply(problem, knob, amount, self.weights, self.headroom)
                self.made.append(change)
                self.points += change.points
            self.least += min(found.bound, found.points)
        return problem

    def _better(self, problem: MixProblem, together: Softened, alone: list[Softened], short: Short) -> Softened:
        """What was found together, or the units' own relaxations with the quota raised by just what is lacking."""
        if short.lacking is None or not self.may("quota"):
            return together
        q = short.quotas[0]
        raised = (Knob("quota", "", q.code, q.account_id, q.region), short.lacking)
        amounts = (*(a for x in alone for a in x.amounts or ()), raised)
        points = sum(points_of(problem, knob, amount, self.weights) for knob, amount in amounts)
        return Softened(amounts, points, together.bound) if points < together.points - 1e-9 else together

    def _units_alone(self, fleet: Fleet) -> dict[str, tuple[set[int], Softened]] | None:
        failing: dict[int, set[int]] = {}
        for s, t, _probe in impossible_units(fleet, self.deadline):
            failing.setdefault(s, set()).add(t)
        out = {}
        for s, months in failing.items():
            found = self._solve(part_of(fleet, [s], months))
            if found.amounts is None:
                return None
            out[str(fleet.requirements[s].unit)] = (months, found)
        return out

    def _applied(self, problem: MixProblem, alone: Mapping[str, tuple[set[int], Softened]]) -> MixProblem:
        for _months, found in alone.values():
            for knob, amount in found.amounts or ():
                problem, _ = apply(problem, knob, amount, self.weights, self.headroom)
        return problem

    def _solve(self, part: Fleet) -> Softened:
        return Elastic(part, self.weights, self.headroom, self.may_change, self.deadline).solve(_ELASTIC_SECONDS)

    def changes(self) -> tuple[Change, ...]:
        return tuple(self.made)

    def words(self, proof: bool = False) -> tuple[str, ...]:
        lines = [c.words for c in self.made]
        if not proof or not lines:
            return tuple(lines)
        if self.points <= self.least * (1 + _PROVEN_FRAC):
            return (*lines, "no smaller change makes a plan possible")
        return (*lines, "the smallest change that was found: a smaller one may exist")
