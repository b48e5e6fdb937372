"""Of plans that cost (nearly) the same, the one nearest to what runs today.

Within the gap to which a plan is proven any other is as good, and the search's choice among them is chance: it would
move services from type to type at every new forecast. So a unit whose types change is covered once more with those it
runs, and such covers are taken, the cheapest a change first, while all of them together cost no more than a budget.
Costs are exact (commitments applied as the bill applies them), no clock decides, and the checker verifies the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from capacity.optimize._book import Book, Cover, lane_counts, priced_on_demand, provisioned_months
from capacity.optimize._clock import Deadline
from capacity.optimize._fleet import Fleet, running_by_type
from capacity.optimize._result import Plan, Proof
from capacity.optimize.columns._cheapest import cheapest
from capacity.optimize.columns._covers import covers_of, within
from capacity.optimize.columns._lanes import Lanes, lanes_of

# What may be given up, as a share of cost: never more than the gap asked for, nor than what leaves a proven plan
# proven. Of a plan that is not proven to that gap half: less than the gap that is told of it, which holds what was
# given up. Were it nothing, demand that rises by 1 % moved 4 of 46 types of a fleet of 30 services.
MOST_FRAC = 0.002
# Covers of more sets of types than this are not tried for one unit.
_SETS = 12
# A cover whose price on demand is beyond this many budgets will not fit for what commitments take off it.
_BUDGETS = 3.0


def nearer(fleet: Fleet, plan: Plan, proof: Proof, most_types: int | None, deadline: Deadline) -> tuple[Plan, Proof]:
    """``plan`` with fewer types changed against what runs, and ``proof`` with a note of it; as they are where none.

    Raises
    ------
    TimeIsUp
        Where ``deadline`` passes first.
    """
    changing = list(_changing(fleet, plan))
    if not changing:
        return plan, proof
    book = Book(fleet, plan)
    budget = _budget(book, proof)
    covers: list[Cover] = []
    for u, now in changing:
        deadline.check()
        tried = _covers(book, u, now, most_types)
        covers += [c for c in tried if c.estimate_usd <= _BUDGETS * budget + book.dust]
    kept, given = _take(book, covers, budget, deadline)
    if not kept:
        return plan, proof
    note = (
        f"{kept} changes of instance types against what runs were left out: making them would save "
        f"{given:,.2f} USD, {given / max(book.objective, 1e-9):.3%} of cost"
    )
    return book.plan, replace(proof, notes=(*proof.notes, note))


# --- what changes ------------------------------------------------------------------------------------------


def _changing(fleet: Fleet, plan: Plan) -> Iterator[tuple[Lanes, set[int]]]:
    """Units that may choose, whose types are not those that run; with the types (positions) of the plan."""
    row = 0
    for s, r in enumerate(fleet.requirements):
        rows = slice(row, row + len(r.candidates))
        row += len(r.candidates)
        runs = {name for name, count in running_by_type(r).items() if count}
        if r.vertical or r.pinned or not runs or plan.spot[rows].any():
            continue
        u = lanes_of(fleet, s, range(len(fleet.problem.months)))
        if u is None or not (u.runs > 0).any():
            continue
        used = np.flatnonzero(plan.provisioned[rows][u.types].any(axis=1))
        if set(used.tolist()) != set(np.flatnonzero(u.runs > 0).tolist()):
            yield u, set(used.tolist())


def _covers(book: Book, u: Lanes, now: set[int], most_types: int | None) -> list[Cover]:
    """Covers with fewer types changed than the plan's ``now``, each the cheapest on demand of its set of types."""
    runs = set(np.flatnonzero(u.runs > 0).tolist())
    changed = len(runs ^ now)
    usd, none = u.usd[:, None] * u.hours[None, :], np.full((len(u.types), len(u.hours)), math.inf)
    before = priced_on_demand(u, lane_counts(book.first, u, book.plan))
    every = covers_of(u, np.array(sorted(runs | now), dtype=np.int64))
    out: dict[bytes, Cover] = {}
    for chosen in _sets(runs, now, most_types):
        cost, running, spot = cheapest(u, within(u, every, np.array(chosen, dtype=np.int64)), usd, none)
        if not np.isfinite(cost).all() or spot.any() or not u.allows(running, spot).all():
            continue
        n = provisioned_months(book.fleet, u, running)
        if n is None:
            continue
        better = changed - len(runs ^ set(np.flatnonzero(n.any(axis=0)).tolist()))
        if better > 0:
            out.setdefault(running.tobytes(), Cover(u, running, n, better, priced_on_demand(u, running) - before))
    return list(out.values())


def _sets(runs: set[int], now: set[int], most_types: int | None) -> list[tuple[int, ...]]:
    """Sets of types to cover with, those nearest to what runs first."""
    known = sorted(runs | now)
    most = len(known) if most_types is None else min(most_types, len(known))
    found = [tuple(sorted(runs)), tuple(sorted(runs & now))]
    found += [tuple(sorted(runs | {i})) for i in sorted(now - runs)]
    found += [tuple(sorted(now - {i})) for i in sorted(now - runs)]
    if most_types is not None:
        found += [c for size in range(1, most + 1) for c in combinations(known, size)]
    fitting = [c for c in dict.fromkeys(found) if 0 < len(c) <= most and len(runs ^ set(c)) < len(runs ^ now)]
    return sorted(fitting, key=lambda c: (len(runs ^ set(c)), c))[:_SETS]


# --- what it costs -----------------------------------------------------------------------------------------


def _budget(book: Book, proof: Proof) -> float:
    """USD that may be given up."""
    most = min(MOST_FRAC, proof.gap_frac) * abs(book.objective)
    if not math.isfinite(proof.bound) or proof.gap_frac >= 1:
        return most / 2
    proven = proof.bound / (1.0 - proof.gap_frac) - book.objective
    return min(most, proven) if proven >= 0 else most / 2


def _take(book: Book, covers: list[Cover], budget: float, deadline: Deadline) -> tuple[int, float]:
    """Take covers, the least cost a change first, while all fit ``budget``; (changes left out, USD given up)."""
    alone = book.more_usd(covers, deadline)
    most = budget + book.dust
    priced = [(usd / c.nearer, k) for k, (usd, c) in enumerate(zip(alone, covers, strict=True)) if usd <= most]
    done: dict[int, int] = {}
    kept, given = 0, 0.0
    for _rate, k in sorted(priced):
        deadline.check()
        c = covers[k]
        if c.nearer <= done.get(c.u.s, 0):
            continue
        usd = float(book.more_usd([c])[0])  # what was taken before may have moved what commitments cover
        if given + usd <= most and book.fits(c):
            book.take(c)
            kept, given = kept + c.nearer - done.get(c.u.s, 0), given + usd
            done[c.u.s] = c.nearer
    return kept, max(given, 0.0)


__all__ = ["MOST_FRAC", "nearer"]
