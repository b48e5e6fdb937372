"""Plans that are nearly as cheap and quite different: what else would do.

The distance of two plans is the share of their provisioned vCPU that they do not have in common: half of it counted by
(service, month, instance type), half by (service, month, family). 0 is the same plan; 1 has no family of any service in
common; a move between sizes of one family counts half of a move to another family.

Each theme (another family, another architecture, larger or smaller instances, other types, all of these) is covered
service by service with all others kept, and searched where covers break a limit; services change in the order of
distance a dollar while the budget lasts; the whole is then solved over just the types so chosen, checked, and priced
as the plan is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from capacity.domain import Candidate, MixProblem, MixSolution, Unit, UnitRequirement
from capacity.errors import PlanError
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize.check import check
from capacity.optimize.solve import solve
from capacity.optimize.why._enclosed import covered
from capacity.optimize.why._pieces import Piece
from capacity.optimize.why._plan import Counts, QuotaUse, counts_of, penalty_usd, per_year, vcpu_by_type
from capacity.optimize.why._words import difference_words

# (unit, month, instance type) -> vCPU.
Placed = Mapping[tuple[str, str, str], float]

# Of the time: for the services one by one; the rest is for the plans made of them.
_SERVICES_SHARE = 0.5
_SECONDS_OF_A_SERVICE, _GAP_OF_A_SERVICE = 2.0, 1e-3
# Of the budget: what services may cost more by themselves; rounding and shared commitments may add to it.
_BUDGET_SHARE = 0.9
# Where a plan of many changes is above the budget, this share of them is given up, the dearest first.
_GIVE_UP_SHARE = 0.3
_TRIES = 4
# Plans nearer than this are the same plan.
_SAME = 0.01


@dataclass(frozen=True)
class Alternative:
    """A verified plan, its distance from the plan, and what it costs more (or less) a year."""

    theme: str
    solution: MixSolution
    distance: float
    usd_per_year_more: float
    frac_more: float
    words: str


@dataclass(frozen=True)
class Alternatives:
    """The most different plans first; ``words`` says so where there are fewer than were asked for."""

    plans: tuple[Alternative, ...]
    words: tuple[str, ...]


def alternatives(
    problem: MixProblem,
    solution: MixSolution,
    within_frac: float = 0.01,
    count: int = 3,
    *,
    time_limit_seconds: float = 60.0,
    solver: Literal["highs", "cbc"] = "highs",
    seed: int = 1,
) -> Alternatives:
    """The ``count`` most different plans that cost at most (1 + ``within_frac``) times the plan.

    Each further one is the farthest from the plan and from those before it. The cost is spend plus switching penalty.
    """
    began = time.perf_counter()
    work = _Work(problem, solution, within_frac, began + time_limit_seconds, solver, seed)
    options = work.options(began + _SERVICES_SHARE * time_limit_seconds)
    found = [plan for theme in (*_THEMES, "all of these") if (plan := work.plan(theme, options)) is not None]
    chosen: list[Alternative] = []
    base = vcpu_by_type(problem, solution)
    while len(chosen) < count and found:
        known = [base, *(vcpu_by_type(problem, a.solution) for a in chosen)]
        apart = [min(distance(work.families, vcpu_by_type(problem, a.solution), k) for k in known) for a in found]
        best = max(range(len(found)), key=lambda k: (apart[k], -found[k].frac_more, -k))
        if apart[best] < _SAME:
            break
        chosen.append(found.pop(best))
    return Alternatives(tuple(chosen), _summary(chosen, count, within_frac, work.untried))


def _summary(chosen: Sequence[Alternative], count: int, within_frac: float, untried: int) -> tuple[str, ...]:
    lines = [a.words for a in chosen]
    if len(chosen) < count:
        number = {0: "no other plan was", 1: "one other plan was"}.get(len(chosen), f"{len(chosen)} other plans were")
        lines.append(f"{number} found within {within_frac:.1%} of the cost, of {count} asked for")
    if untried:
        lines.append(f"{untried} service(s) were left as planned for want of time")
    return tuple(lines)


def distance(families: Mapping[tuple[str, str], str], one: Placed, other: Placed) -> float:
    """Share of vCPU that two plans do not have in common, half by type and half by family."""
    return (_apart(one, other) + _apart(_grouped(families, one), _grouped(families, other))) / 2


def _apart(one: Placed, other: Placed) -> float:
    total = sum(one.values()) + sum(other.values())
    keys = one.keys() | other.keys()
    return sum(abs(one.get(k, 0.0) - other.get(k, 0.0)) for k in keys) / total if total else 0.0


def _grouped(families: Mapping[tuple[str, str], str], placed: Placed) -> Placed:
    out: dict[tuple[str, str, str], float] = {}
    for (unit, month, kind), vcpu in placed.items():
        key = (unit, month, families[unit, kind])
        out[key] = out.get(key, 0.0) + vcpu
    return out


# --- themes ------------------------------------------------------------------------------------------------

# What a theme leaves of a unit's types, given the vCPU that it has of each.
Theme = Callable[[Sequence[Candidate], Mapping[str, float]], list[Candidate]]


def _main(kinds: Sequence[Candidate], runs: Mapping[str, float], of: Callable[[Candidate], str]) -> str:
    total: dict[str, float] = {}
    for c in kinds:
        total[of(c)] = total.get(of(c), 0.0) + runs.get(c.instance_type, 0.0)
    return max(total, key=lambda k: (total[k], k))


def _mean_vcpu(kinds: Sequence[Candidate], runs: Mapping[str, float]) -> float:
    """vCPU of an instance: vCPU over instances."""
    instances = sum(runs.get(c.instance_type, 0.0) / c.vcpu for c in kinds)
    return sum(runs.values()) / instances if instances else 0.0


_THEMES: Mapping[str, Theme] = {
    "another family": lambda kinds, runs: [c for c in kinds if c.family != _main(kinds, runs, lambda c: c.family)],
    "another architecture": lambda kinds, runs: [c for c in kinds if c.arch != _main(kinds, runs, lambda c: c.arch)],
    "larger instances": lambda kinds, runs: [c for c in kinds if c.vcpu >= 1.5 * _mean_vcpu(kinds, runs)],
    "smaller instances": lambda kinds, runs: [c for c in kinds if c.vcpu <= _mean_vcpu(kinds, runs) / 1.5],
    "other types": lambda kinds, runs: [c for c in kinds if not runs.get(c.instance_type)],
}


# --- services one by one -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Option:
    """One service on other types: what it costs more over the horizon (others kept), and its part of the distance."""

    unit: Unit
    theme: str
    types: frozenset[str]
    usd_more: float
    distance: float


@dataclass(frozen=True)
class _Served:
    """What a service costs over the horizon, and the vCPU that it has of each type by month."""

    usd: float
    placed: Placed


class _Work:
    """The plan, its budget, and the search for others."""

    def __init__(
        self,
        problem: MixProblem,
        solution: MixSolution,
        within_frac: float,
        deadline: float,
        solver: Literal["highs", "cbc"],
        seed: int,
    ) -> None:
        self.fleet: Fleet = fleet_of(problem)
        self.problem, self.solution, self.deadline = self.fleet.problem, solution, deadline
        self.solver, self.seed = solver, seed
        self.families = {(str(r.unit), c.instance_type): c.family for r in problem.requirements for c in r.candidates}
        self.base = vcpu_by_type(problem, solution)
        self.counts = counts_of(solution)
        self.cost = self.cost_of(solution)
        self.budget = within_frac * self.cost
        self.quota_use = QuotaUse(self.fleet, solution)
        self.untried = 0

    def cost_of(self, solution: MixSolution) -> float:
        """Spend and penalty over the horizon. A narrowed problem forgets the penalty of types it may not use."""
        counts = counts_of(solution)
        penalty = 0.0
        if self.problem.switching_penalty_frac > 0:
            penalty = sum(penalty_usd(self.fleet, counts, r.unit) for r in self.problem.requirements if r.running)
        return float(solution.spend["total_usd"].sum()) + penalty

    def options(self, until: float) -> list[_Option]:
        """Every theme of every service, the dearest services first: these are what a different plan is made of.

        What covers tell comes first for all services; what they do not (a full quota) is then searched as time goes.
        """
        spend = self.solution.spend.groupby("unit")["total_usd"].sum().to_dict()
        out: list[_Option] = []
        free = [r for r in self.problem.requirements if r.blocks and not r.pinned]
        free.sort(key=lambda r: (-spend.get(str(r.unit), 0.0), r.unit))
        for search in (False, True):
            left: list[UnitRequirement] = []
            for position, r in enumerate(free):
                if time.perf_counter() > until:
                    self.untried = len(left) + len(free) - position
                    return out
                own, complete = self._options_of(r, search)
                out += own
                left += [] if complete else [r]
            free = left
        return out

    def _options_of(self, r: UnitRequirement, search: bool) -> tuple[list[_Option], bool]:
        """By covers, or by ``search`` of those that covers did not tell; and whether all were told."""
        runs: dict[str, float] = {}
        for (unit, _month, kind), vcpu in self.base.items():
            if unit == str(r.unit):
                runs[kind] = runs.get(kind, 0.0) + vcpu
        if not runs:
            return [], True
        allowed = [c for c in r.candidates if c.allowed]
        sets: dict[frozenset[str], str] = {}
        for theme, narrow in _THEMES.items():
            kept = frozenset(c.instance_type for c in narrow(allowed, runs))
            if kept and len(kept) < len(allowed):
                sets.setdefault(kept, theme)
        # At list prices the planned types may look dear that commitments pay for: their own covers are what to compare.
        (own,) = self._served(r, [frozenset(runs)], search=False)
        planned = self._as_served(r, {key: n for key, n in self.counts.items() if key[0] == str(r.unit)})
        before = _Served((own or planned).usd, planned.placed)
        found = zip(sets.values(), self._served(r, [*sets], search), strict=True)
        options = [self._option(r, theme, before, other) for theme, other in found if other is not None]
        return options, search or len(options) == len(sets)

    def _option(self, r: UnitRequirement, theme: str, before: _Served, other: _Served) -> _Option:
        share = (sum(before.placed.values()) + sum(other.placed.values())) / (2 * sum(self.base.values()))
        types = frozenset(kind for _u, _m, kind in other.placed)
        far = share * distance(self.families, before.placed, other.placed)
        return _Option(r.unit, theme, types, other.usd - before.usd, far)

    def _served(self, r: UnitRequirement, sets: Sequence[frozenset[str]], search: bool) -> list[_Served | None]:
        """The service on each set of types, all others kept; with ``search`` those whose covers break a limit."""
        piece = Piece("kept", frozenset({r.unit}), tuple(float(x) for x in self.quota_use.without(r.unit)))
        problems = [piece.of(_narrowed(self.problem, {r.unit: types})) for types in sets]
        try:
            found = covered(problems, Deadline(time.perf_counter, self.deadline))
        except TimeIsUp:
            return [None for _ in sets]
        if search:
            return [self._searched(p, r) if x is None else None for p, x in zip(problems, found, strict=True)]
        return [None if x is None else self._as_served(r, x.counts) for x in found]

    def _searched(self, problem: MixProblem, r: UnitRequirement) -> _Served | None:
        try:
            found = solve(problem, _SECONDS_OF_A_SERVICE, _GAP_OF_A_SERVICE, self.solver, self.seed)
        except PlanError:
            return None
        return self._as_served(r, counts_of(found))

    def _as_served(self, r: UnitRequirement, counts: Counts) -> _Served:
        """At on-demand and spot prices, with the penalty."""
        kinds = {c.instance_type: c for c in r.candidates}
        hours = {(b.month, b.block): b.hours for b in r.blocks}
        usd, most = penalty_usd(self.fleet, counts, r.unit), dict[tuple[str, str, str], int]()
        for (_unit, month, block, purchase, kind), n in counts.items():
            c = kinds[kind]
            price = c.usd_per_hour if purchase == "on_demand" else c.spot_usd_per_hour or 0.0
            usd += n * r.zones * price * hours[month, block]
            most[month, purchase, kind] = max(n, most.get((month, purchase, kind), 0))
        placed: dict[tuple[str, str, str], float] = {}
        for (month, _purchase, kind), n in most.items():
            key = (str(r.unit), month, kind)
            placed[key] = placed.get(key, 0.0) + n * r.zones * kinds[kind].vcpu
        return _Served(usd, placed)

    # --- plans made of them --------------------------------------------------------------------------------

    def plan(self, theme: str, options: Sequence[_Option]) -> Alternative | None:
        """The plan of one theme: as many services as the budget allows, by distance a dollar."""
        own = [o for o in options if theme in (o.theme, "all of these") and o.distance > 0]
        chosen: dict[Unit, _Option] = {}
        left = _BUDGET_SHARE * self.budget
        for o in sorted(own, key=lambda o: (-o.distance / max(o.usd_more, 1e-9 * self.cost), o.unit, o.theme)):
            if o.unit not in chosen and o.usd_more <= left:
                chosen[o.unit] = o
                left -= max(o.usd_more, 0.0)
        for _ in range(_TRIES):
            if not chosen or time.perf_counter() > self.deadline:
                return None
            found = self._solved(theme, chosen)
            if found is not None:
                return found
            dearest = sorted(chosen.values(), key=lambda o: (o.usd_more / o.distance, o.unit))
            keep = int(len(dearest) * (1 - _GIVE_UP_SHARE))
            chosen = {o.unit: o for o in dearest[:keep]}
        return None

    def _solved(self, theme: str, chosen: Mapping[Unit, _Option]) -> Alternative | None:
        types: dict[Unit, frozenset[str]] = {}
        for r in self.problem.requirements:
            planned = frozenset(kind for unit, _month, kind in self.base if unit == str(r.unit))
            types[r.unit] = chosen[r.unit].types if r.unit in chosen else planned
        seconds = max(self.deadline - time.perf_counter(), 1.0) / 3
        gap = max(self.budget / self.cost / 10, 1e-6) if self.cost else 1e-6
        try:
            found = solve(_narrowed(self.problem, types), seconds, gap, self.solver, self.seed)
        except PlanError:
            return None
        more = self.cost_of(found) - self.cost
        if more > self.budget * (1 + 1e-9):
            return None
        frames = (found.provisioned, found.running, found.commitment_use, found.spend, found.purchases)
        found = replace(found, checks=check(self.problem, *frames))
        frac, year = more / self.cost if self.cost else 0.0, more * per_year(self.problem)
        far = distance(self.families, self.base, vcpu_by_type(self.problem, found))
        words = difference_words(self.problem, self.solution, found, frac, year, far)
        return Alternative(theme, found, far, year, frac, words)


def _narrowed(problem: MixProblem, types: Mapping[Unit, frozenset[str]]) -> MixProblem:
    """Only these types may be planned; what is barred stays priced."""
    return replace(problem, requirements=tuple(_only(r, types.get(r.unit)) for r in problem.requirements))


def _only(r: UnitRequirement, types: frozenset[str] | None) -> UnitRequirement:
    if not types:
        return r
    candidates = tuple(replace(c, allowed=c.allowed and c.instance_type in types) for c in r.candidates)
    return replace(r, candidates=candidates)
