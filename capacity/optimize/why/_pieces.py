"""Which part of a fleet must be solved again when something moves, and how far the answer then holds.

Units are coupled by quotas, commitments, offers and capacity reservations, by nothing else. So a part that nothing
couples to the rest is solved alone, and the difference is that of the whole fleet ("alone"). A unit whose quotas and
commitments are shared may be solved with all others as planned ("kept"): where these use a commitment whole in every
hour, it pays on demand, whatever it runs; what they leave of one is given to it lot by lot (``beside``). Else the whole
fleet is solved again ("whole").
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from capacity.domain import MixProblem, MixSolution, Unit, UnitRequirement
from capacity.optimize._fleet import Fleet, eligible, fleet_of, offered_rate
from capacity.optimize.why._leftover import Leftover, Leftovers
from capacity.optimize.why._plan import QuotaUse, billed, bought_of, counts_of, rows_of

Way = Literal["alone", "kept", "whole", "bounded", "unreached"]

WAY_WORDS: Mapping[Way, str] = {
    "alone": "solved alone: nothing couples it to the rest",
    "kept": "solved with all other services kept as planned",
    "whole": "the whole fleet solved again",
    "bounded": "the whole fleet, between what its loads cost at least and what covers of them cost",
    "unreached": "no mix that uses more of it is as cheap",
}

# Units that are solved to the optimum in a second or two.
_SMALL_UNITS = 8

# What is left over of a commitment that is used whole is floating point, USD.
_NOTHING_USD = 1e-6


@dataclass(frozen=True)
class Piece:
    """The units to solve again, the way, and (where others are kept) what these use of each quota.

    ``exact`` is what to solve where the others, as planned, leave no room: without them nothing is proven. ``beside``
    is what they leave of commitments, where they do not use all of what the unit could.
    """

    way: Way
    units: frozenset[Unit]
    left: tuple[float, ...] = ()
    exact: Piece | None = None
    beside: Leftover | None = None

    @property
    def small(self) -> bool:
        """Whether it is solved to the optimum in no time, so that nothing need be kept."""
        return len(self.units) <= _SMALL_UNITS

    def of(self, problem: MixProblem) -> MixProblem:
        """The same part of ``problem``, moved or not: its own units, and what is shared among them."""
        if self.way == "whole":
            return problem
        requirements = tuple(r for r in problem.requirements if r.unit in self.units)
        places = {(r.account_id, r.unit.region) for r in requirements}
        quotas = tuple(sorted(problem.quotas, key=lambda q: (q.account_id, q.region, q.code)))
        if self.way == "kept":
            taken = zip(quotas, self.left, strict=True)
            quotas = tuple(replace(q, limit=max(q.limit - used, 0.0)) for q, used in taken)
            problem = replace(problem, commitments=(), offers=(), reservations=())
        return replace(
            problem,
            requirements=requirements,
            quotas=tuple(q for q in quotas if (q.account_id, q.region) in places),
            commitments=tuple(c for c in problem.commitments if any(_covers(c, r) for r in requirements)),
            offers=tuple(o for o in problem.offers if any(_offers(o, r) for r in requirements)),
            reservations=tuple(v for v in problem.reservations if any(_reserves(v, r) for r in requirements)),
        )


class Pieces:
    """The pieces of one plan; what all of them share is worked out once."""

    def __init__(self, problem: MixProblem, solution: MixSolution) -> None:
        self.fleet = fleet_of(problem)
        self.problem, self.solution = problem, solution
        self.everything = frozenset(r.unit for r in problem.requirements)
        self.groups = coupled(problem)
        self.one_clock = _one_clock(problem)
        self.bought = bought_of(self.fleet, solution)
        self.leftovers = Leftovers(self.fleet, rows_of(self.fleet, counts_of(solution)))
        self.quota_use = QuotaUse(self.fleet, solution)
        self.known: dict[frozenset[Unit], Piece] = {}

    def of(self, touched: Collection[Unit]) -> Piece:
        """The smallest part that answers a move of ``touched``."""
        key = frozenset(touched)
        if key not in self.known:
            self.known[key] = self._of(key)
        return self.known[key]

    def _of(self, touched: frozenset[Unit]) -> Piece:
        if not touched:
            return Piece("whole", self.everything)
        groups = {self.groups[t] for t in touched}
        units = frozenset(u for u in self.everything if self.groups[u] in groups)
        apart = units != self.everything and (self.one_clock or not _contracts(self.problem, units))
        exact = Piece("alone", units) if apart else Piece("whole", self.everything)
        if exact.small or exact.units == touched or len(touched) != 1:
            return exact
        return self._kept(next(iter(touched)), exact)

    def _kept(self, unit: Unit, exact: Piece) -> Piece:
        """The unit with all others as planned; ``exact`` where what these leave to it cannot be told."""
        r = self.fleet.requirements[self.fleet.position(unit)]
        if any(_reserves(v, r) for v in self.problem.reservations):
            return exact
        beside = None
        if self.bought:
            if _leave_bought(self.fleet, self.solution, self.bought, unit):
                return exact
        elif any(_covers(c, r) for c in self.fleet.commitments):
            beside = self.leftovers.of(unit)
            if beside is None:
                return exact
            beside = beside if beside.commitments else None
        left = tuple(float(x) for x in self.quota_use.without(unit))
        return Piece("kept", frozenset([unit]), left, exact, beside)


def coupled(problem: MixProblem) -> dict[Unit, int]:
    """Unit -> number of its group: units of different groups share nothing."""
    group = {r.unit: k for k, r in enumerate(problem.requirements)}
    by_tie: dict[Hashable, list[Unit]] = {}
    for r in problem.requirements:
        for tie in _ties(problem, r):
            by_tie.setdefault(tie, []).append(r.unit)
    for members in by_tie.values():
        numbers = {group[u] for u in members}
        if len(numbers) > 1:
            least = min(numbers)
            group = {u: least if g in numbers else g for u, g in group.items()}
    return group


def _ties(problem: MixProblem, r: UnitRequirement) -> Iterator[Hashable]:
    codes = {code for c in r.candidates if c.allowed for code in (c.quota_code, c.spot_quota_code)}
    for k, q in enumerate(problem.quotas):
        if (q.account_id, q.region) == (r.account_id, r.unit.region) and q.code in codes and math.isfinite(q.limit):
            yield "quota", k
    yield from (("commitment", k) for k, c in enumerate(problem.commitments) if _covers(c, r))
    yield from (("offer", k) for k, o in enumerate(problem.offers) if _offers(o, r))
    yield from (("reservation", v.instance_type) for v in problem.reservations if _reserves(v, r))


def _covers(commitment: object, r: UnitRequirement) -> bool:
    return any(c.allowed and eligible(commitment, r.account_id, r.unit.region, c) for c in r.candidates)  # type: ignore[arg-type]


def _offers(offer: object, r: UnitRequirement) -> bool:
    return any(c.allowed and offered_rate(offer, r, c) is not None for c in r.candidates)  # type: ignore[arg-type]


def _reserves(held: object, r: UnitRequirement) -> bool:
    place = (r.account_id, r.unit.region)
    return (held.account_id, held.region) == place and any(  # type: ignore[attr-defined]
        c.instance_type == held.instance_type  # type: ignore[attr-defined]
        for c in r.candidates
    )


def _contracts(problem: MixProblem, units: Collection[Unit]) -> bool:
    """Whether commitments, offers or reservations concern any of ``units``."""
    own = [r for r in problem.requirements if r.unit in units]
    return any(tie[0] != "quota" for r in own for tie in _ties(problem, r))  # type: ignore[index]


def _one_clock(problem: MixProblem) -> bool:
    """Whether all units have the same blocks of the same hours: only then are a part's levels those of the fleet."""
    clocks = {tuple(sorted((b.month, b.block, round(b.hours, 6)) for b in r.blocks)) for r in problem.requirements}
    return len(clocks) <= 1


def _leave_bought(fleet: Fleet, solution: MixSolution, bought: Mapping[tuple[int, int], float], unit: Unit) -> bool:
    """Whether the others leave anything of what is owned or bought that the unit could use."""
    r = fleet.requirements[fleet.position(unit)]
    mine = {c.id for c in fleet.commitments if _covers(c, r)}
    mine |= {str(row["id"]) for row in solution.purchases.to_dict("records") if _buys(fleet.offers, row, r)}
    use = billed(fleet, counts_of(solution), bought, without=[unit]).use
    unused = use[use["id"].isin(sorted(mine))]["unused_usd"]
    return bool(mine) and float(unused.max()) > _NOTHING_USD


def _buys(offers: Collection[object], row: dict[Hashable, object], r: UnitRequirement) -> bool:
    return any(o.id == row["offer"] and _offers(o, r) for o in offers)  # type: ignore[attr-defined]
