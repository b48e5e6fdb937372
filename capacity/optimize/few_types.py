"""At most a few instance types a service: a mix that people can run, with what that rule costs told.

Without a rule the cheapest mix fits every load with five or six sizes of one family: fractions of a per cent cheaper,
and nobody would run it. So each unit's types are narrowed first, to the pair (or single type) that covers its own loads
cheapest, the same one in all months; then the whole fleet is solved over what is left. The bound stays that of the
fleet without the rule, so the gap that is reported holds the price of the rule too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Literal

import numpy as np

from capacity.domain import Candidate, Floats, MixProblem, MixSolution, Unit, UnitRequirement
from capacity.errors import InfeasiblePlanError, NoPlanInTimeError
from capacity.optimize.solve import solve

# Rounding of a need that whole instances hold exactly.
_TOLERANCE = 1e-9
# Where the free mix only has to give a bound, a search to this gap is enough of a start.
_BOUND_GAP_FRAC = 0.005
# Within this of the cheapest, fewer instances are worth more than the money.
_AS_CHEAP_FRAC = 0.005
# Each widening frees the units of one conflict; a plan that needs more of them is no plan of few types.
_WIDENINGS = 4
# Instances of a first type that are tried beside a second where the first alone never holds all.
_MOST_BESIDE = 64


def solve_few_types(
    problem: MixProblem,
    most_types: int,
    time_limit_seconds: float = 30.0,
    gap_frac: float = 0.002,
    solver: Literal["highs", "cbc"] = "highs",
    seed: int = 1,
) -> MixSolution:
    """As :func:`capacity.optimize.solve`, with at most ``most_types`` (1 or 2) types a unit.

    Returns
    -------
    MixSolution
        ``status.bound`` and ``status.gap`` are against every mix, also those of more types; the status is "optimal"
        only where even that gap is within ``gap_frac``. Where no plan of so few types was found, the free one.

    Raises
    ------
    PlanError
        As :func:`capacity.optimize.solve`.
    """
    # The penalty is in the choice of types; without it in the objective the narrowed fleet is a restriction of the
    # free one, dollar for dollar, and the free bound is a bound on both.
    spend_only = replace(problem, switching_penalty_frac=0.0)
    free = solve(spend_only, time_limit_seconds / 2, max(gap_frac, _BOUND_GAP_FRAC), solver, seed)
    narrow, wide = _solve_narrowed(problem, most_types, time_limit_seconds / 2, gap_frac, solver, seed)
    if narrow is None:
        note = f"no plan with at most {most_types} types a service was found: this one uses more"
        return replace(free, notes=(*free.notes, note))
    was = narrow.status
    gap = (was.objective - free.status.bound) / abs(was.objective) if was.objective else 0.0
    proven: Literal["optimal", "feasible"] = "optimal" if gap <= gap_frac else "feasible"
    status = replace(
        was,
        status=proven if was.status == "optimal" else was.status,
        termination=was.termination if free.status.status == "optimal" else free.status.termination,
        bound=free.status.bound,
        gap=gap,
        runtime_seconds=free.status.runtime_seconds + was.runtime_seconds,
    )
    note = f"at most {most_types} types a service; the bound and the gap are against mixes of any number of types"
    if wide:
        note += f"; more types for {', '.join(sorted(map(str, wide)))}, which no plan of so few types can serve"
    return replace(narrow, status=status, notes=(*narrow.notes, note))


def _solve_narrowed(
    problem: MixProblem,
    most_types: int,
    time_limit_seconds: float,
    gap_frac: float,
    solver: Literal["highs", "cbc"],
    seed: int,
) -> tuple[MixSolution | None, frozenset[Unit]]:
    """The narrowed fleet's plan, and the units that had to keep all their types for one to exist (a tight quota)."""
    wide: frozenset[Unit] = frozenset()
    units = [r.unit for r in problem.requirements]
    for _ in range(_WIDENINGS):
        try:
            fleet = replace(narrowed(problem, most_types, wide), switching_penalty_frac=0.0)
            return solve(fleet, time_limit_seconds, gap_frac, solver, seed), wide
        except InfeasiblePlanError as error:
            named = {u for u in units if any(str(u) in c for c in error.conflicts)} - wide
            if not named:
                break
            wide |= named
        except NoPlanInTimeError:
            break
    return None, frozenset()


def narrowed(problem: MixProblem, most_types: int, wide: Collection[Unit] = ()) -> MixProblem:
    """The problem with each unit's candidates narrowed; pinned, vertical and ``wide`` units keep theirs."""
    penalty = problem.switching_penalty_frac
    # Reservations and offers of a type are priced by the candidates that have it.
    priced = {held.instance_type for held in problem.reservations}
    priced |= {offer.scope for offer in problem.offers if offer.product == "standard_ri"}
    chosen = tuple(r if r.unit in wide else _narrowed(r, most_types, penalty, priced) for r in problem.requirements)
    return replace(problem, requirements=chosen)


def _narrowed(r: UnitRequirement, most_types: int, penalty_frac: float, priced: Collection[str]) -> UnitRequirement:
    allowed = [c for c in r.candidates if c.allowed and min(c.safe, c.zone_loss) > 0]
    if r.vertical or r.pinned is not None or len(allowed) <= most_types or r.least_types > most_types:
        return r
    kept = {c.instance_type for c in cheapest_types(r, allowed, most_types, penalty_frac)}
    # What runs stays known, so that it can be priced; what may not be planned is no choice anyway.
    running = {name for name, _ in r.running} | {*priced}
    candidates = tuple(
        c if c.instance_type in kept else replace(c, allowed=False)
        for c in r.candidates
        if c.instance_type in kept or c.instance_type in running
    )
    return replace(r, candidates=candidates)


def cheapest_types(
    r: UnitRequirement, allowed: Sequence[Candidate], most_types: int, penalty_frac: float = 0.0
) -> tuple[Candidate, ...]:
    """At most ``most_types`` candidates that cover the unit's own loads (nearly) at least cost, in few instances.

    A type that does not run today counts ``penalty_frac`` dearer: a move must be worth more than that.
    Among choices within ``_AS_CHEAP_FRAC`` of the cheapest the one with fewest instances at the largest load is taken:
    every instance has a system, an agent and an alarm of its own. Ties go to the cheaper, then to fewer types.
    """
    needs, hours = _loads(r)
    weight = _weights(r, allowed)
    runs = {name for name, _ in r.running}
    price = np.array([c.usd_per_hour * (1.0 if c.instance_type in runs else 1.0 + penalty_frac) for c in allowed])
    found = []
    for size in range(min(r.least_types, most_types, 2), min(most_types, 2) + 1):
        for chosen in combinations(range(len(allowed)), size):
            at = list(chosen)
            cost, count = _cover(needs, weight[:, at], price[at], r.min_per_zone)
            if not np.isfinite(count).all():
                continue
            found.append((float(cost @ hours), float(count.max(initial=0.0)), size, chosen))
    found = [f for f in found if f[1] <= r.max_per_zone] or found
    if not found:  # no one or two types hold all resources: the choice is left to the search
        return tuple(allowed)
    least = min(f[0] for f in found)
    near = [f for f in found if f[0] <= least * (1.0 + _AS_CHEAP_FRAC)]
    best = min(near, key=lambda f: (f[1], round(f[0], 6), f[2], f[3]))
    return tuple(allowed[i] for i in best[3])


def _resources(r: UnitRequirement) -> list[str]:
    return sorted({name for b in r.blocks for name in b.further})


def _loads(r: UnitRequirement) -> tuple[Floats, Floats]:
    """(R, B) needs of demand and of each further resource, and (B,) hours.

    Of each block where the unit follows its load, else each month's largest for all its hours.
    """
    names = _resources(r)
    table = np.array([[b.demand, *(b.further.get(name, 0.0) for name in names)] for b in r.blocks]).T
    hours = np.array([b.hours for b in r.blocks])
    if r.autoscaled:
        return table, hours
    months = np.array([b.month for b in r.blocks])
    parts = [months == m for m in sorted(set(months))]
    return np.stack([table[:, at].max(axis=1) for at in parts], axis=1), np.array([hours[at].sum() for at in parts])


def _weights(r: UnitRequirement, allowed: Sequence[Candidate]) -> Floats:
    """(R, T) what one instance a zone holds of each row of :func:`_loads`, in the state that binds."""
    survivors = r.zones - r.zones_survived
    pairs = [[(c.safe, c.zone_loss) for c in allowed]]
    pairs += [[c.further.get(name, (0.0, 0.0)) for c in allowed] for name in _resources(r)]
    return np.array([[min(up * r.zones, lost * survivors) if r.zones_survived else up * r.zones for up, lost in row]
                     for row in pairs])  # fmt: skip


def _cover(needs: Floats, weight: Floats, price: Floats, least: int) -> tuple[Floats, Floats]:
    """(B,) $/h and (B,) instances, a zone, of the cheapest whole instances of one or two types that hold each need.

    ``needs`` is (R, B), ``weight`` (R, 1 or 2); infinite where no number of them does.
    """
    if weight.shape[1] == 1:
        counts = np.maximum(_enough(needs, weight[:, 0]), least)
        return counts * price[0], counts
    alone = _enough(needs, weight[:, 0])
    most = int(alone[np.isfinite(alone)].max(initial=0.0)) if np.isfinite(alone).any() else _MOST_BESIDE
    first = np.arange(most + 1)[:, None]
    left = np.maximum(needs[:, None, :] - first[None] * weight[:, :1, None], 0.0)
    second = np.maximum(_enough(left, weight[:, 1]), least - first)
    cost = first * price[0] + second * price[1]
    cheapest, column = cost.argmin(axis=0), np.arange(needs.shape[1])
    return cost[cheapest, column], (first + second)[cheapest, column]


def _enough(needs: Floats, weight: Floats) -> Floats:
    """Whole instances of one type that hold all rows of ``needs`` (R, ...); infinite where they never do."""
    by_row = weight.reshape(-1, *(1,) * (needs.ndim - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        counts = np.ceil(needs / by_row - _TOLERANCE)
    met = needs <= _TOLERANCE * np.maximum(needs.max(initial=0.0), 1.0)
    out: Floats = np.where(met, 0.0, np.where(by_row > 0, counts, np.inf)).max(axis=0)
    return out
