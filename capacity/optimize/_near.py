"""Of plans that cost (nearly) the same, the one nearest to what runs today.

Within the gap to which a plan is proven any other is as good, and the search's choice among them is chance: it would
move services from type to type at every new forecast. So a unit whose types change is covered once more with those it
runs, and such covers are taken, the cheapest a change first, while all of them together cost no more than a budget.
Costs are exact (commitments applied as the bill applies them), no clock decides, and the checker verifies the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from capacity.domain import Floats, UnitRequirement
from capacity.optimize._billing import Usage, bill, usage_rows
from capacity.optimize._clock import Deadline
from capacity.optimize._fleet import Fleet, running_by_type
from capacity.optimize._pots import draw, pots_of
from capacity.optimize._result import Plan, Proof, penalty_usd
from capacity.optimize.columns._bundles import provisioned
from capacity.optimize.columns._covers import covers_of
from capacity.optimize.columns._lanes import Counts, Lanes, lanes_of
from capacity.optimize.columns.rounds import cheapest

# What may be given up, as a share of cost: never more than the gap asked for, nor than what leaves a proven plan
# proven. Of a plan that is not proven to that gap, half.
MOST_FRAC = 0.002
# Covers of more sets of types than this are not tried for one unit.
_SETS = 12
# A cover whose price on demand is beyond this many budgets will not fit for what commitments take off it.
_BUDGETS = 3.0


@dataclass(frozen=True)
class Cover:
    """Another cover of unit ``u``: (L, I) counts, (months, I) provisioned, and by how many types it is nearer."""

    u: Lanes
    running: Counts
    provisioned: Counts
    nearer: int
    estimate_usd: float


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
    budget = book.budget(proof)
    covers: list[Cover] = []
    for u, now in changing:
        deadline.check()
        tried = _covers(fleet, u, now, plan, most_types)
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


def _covers(fleet: Fleet, u: Lanes, now: set[int], plan: Plan, most_types: int | None) -> list[Cover]:
    """Covers with fewer types changed than the plan's ``now``, each the cheapest on demand of its set of types."""
    runs = set(np.flatnonzero(u.runs > 0).tolist())
    changed = len(runs ^ now)
    usd, none = u.usd[:, None] * u.hours[None, :], np.full((len(u.types), len(u.hours)), math.inf)
    before = priced_on_demand(u, lane_counts(fleet, u, plan))
    out: dict[bytes, Cover] = {}
    for chosen in _sets(runs, now, most_types):
        pools = covers_of(u, np.array(sorted(chosen), dtype=np.int64))
        cost, running, spot = cheapest(u, pools, usd, none)
        if not np.isfinite(cost).all() or spot.any() or not u.allows(running, spot).all():
            continue
        n = provisioned_months(fleet, u, running)
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


def lane_counts(fleet: Fleet, u: Lanes, plan: Plan) -> Counts:
    """(L, I) what the plan runs of a unit."""
    rows = _first_row(fleet, u.s) + u.types
    out = [plan.running[rows, t, blocks[0]] for t, blocks in zip(u.months, u.blocks, strict=True)]
    return np.array(out, dtype=np.int64)


def _first_row(fleet: Fleet, s: int) -> int:
    return sum(len(r.candidates) for r in fleet.requirements[:s])


def priced_on_demand(u: Lanes, running: Counts) -> float:
    """USD on demand, and of leaving what runs."""
    return float((running @ u.usd * u.hours).sum() + u.leave_cost(running).sum())


def provisioned_months(fleet: Fleet, u: Lanes, running: Counts) -> Counts | None:
    """(months, I) counts a zone; None where a month's own limits are broken."""
    out = np.zeros((len(fleet.problem.months), len(u.types)), dtype=np.int64)
    for t in np.unique(u.months):
        lanes = np.flatnonzero(u.months == t)
        n = provisioned(fleet, u, lanes, running[lanes], np.zeros_like(running[lanes]))
        if n is None:
            return None
        out[t] = n
    return out


# --- what it costs -----------------------------------------------------------------------------------------


def _take(book: Book, covers: list[Cover], budget: float, deadline: Deadline) -> tuple[int, float]:
    """Take covers, the least cost a change first, while all fit ``budget``; (changes left out, USD given up)."""
    priced = []
    for number, c in enumerate(covers):
        deadline.check()
        usd = book.more_usd(c)
        if usd <= budget + book.dust:
            priced.append((usd / c.nearer, usd, number))
    done: dict[int, int] = {}
    kept, given = 0, 0.0
    for _rate, _usd, number in sorted(priced):
        deadline.check()
        c = covers[number]
        if c.nearer <= done.get(c.u.s, 0):
            continue
        usd = book.more_usd(c)  # what was taken before may have moved what commitments cover
        if given + usd <= budget + book.dust and book.fits(c):
            book.take(c)
            kept, given = kept + c.nearer - done.get(c.u.s, 0), given + usd
            done[c.u.s] = c.nearer
    return kept, max(given, 0.0)


class Book:
    """A plan that changes unit by unit, and what it costs: only months and rows that can change are billed again."""

    def __init__(self, fleet: Fleet, plan: Plan, all_allowed: bool = False) -> None:
        self.fleet = fleet
        self.plan = Plan(plan.running.copy(), plan.spot, plan.provisioned.copy(), plan.bought)
        self.owners, self.candidates = usage_rows(fleet)
        self.first = np.cumsum([0, *(len(r.candidates) for r in fleet.requirements)])
        self.zones = np.array([r.zones for r in self.owners], dtype=float)
        spot = plan.spot * self.zones[:, None, None] if plan.spot.any() else None
        usage = Usage(self.owners, self.candidates, plan.running * self.zones[:, None, None], spot)
        self.objective = bill(fleet, usage, plan.bought).total_usd + penalty_usd(fleet, plan.running)
        self.dust = 1e-9 * max(abs(self.objective), 1.0)
        allowed = np.array([c.allowed for c in self.candidates], dtype=bool)
        self.rows = np.flatnonzero(self._may_run() | (allowed & all_allowed))
        self.local = {int(row): k for k, row in enumerate(self.rows)}
        self.price = np.array([self.candidates[row].usd_per_hour for row in self.rows])
        self.pots = pots_of(
            fleet, [self.owners[r] for r in self.rows], [self.candidates[r] for r in self.rows], plan.bought
        )
        self.kinds = [
            np.array([kind.holds(self.owners[r], self.candidates[r]) for r in self.rows]) for kind in fleet.reserved
        ]
        self.levels = [self._levels(t) for t in range(len(fleet.problem.months))]
        self.usd = [self._month_usd(t, levels) for t, levels in enumerate(self.levels)]

    def budget(self, proof: Proof) -> float:
        """USD that may be given up."""
        most = min(MOST_FRAC, proof.gap_frac) * abs(self.objective)
        if not math.isfinite(proof.bound) or proof.gap_frac >= 1:
            return most / 2
        proven = proof.bound / (1.0 - proof.gap_frac) - self.objective
        return min(most, proven) if proven >= 0 else most / 2

    def _may_run(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Rows that the plan runs, and of what runs today."""
        today = [
            running_by_type(r).get(c.instance_type, 0) > 0 for r, c in zip(self.owners, self.candidates, strict=True)
        ]
        return np.asarray(self.plan.running.any(axis=(1, 2)) | np.array(today, dtype=bool))

    def _levels(self, t: int) -> Floats:
        out = np.zeros((len(self.rows), len(self.fleet.level_names[t])))
        for k, row in enumerate(self.rows):
            s = int(np.searchsorted(self.first, row, side="right")) - 1
            presence = self.fleet.presence[s][t]
            out[k] = self.zones[row] * self.plan.running[row, t, : len(presence)] @ presence
        return out

    def _month_usd(self, t: int, levels: Floats) -> float:
        """On demand and reserved in vain; what commitments cost does not change."""
        total = 0.0
        for lot in (lot for lot in self.fleet.lots if lot.month == t):
            runs = levels[:, lot.level]
            covered, _ = draw([pot for pot in self.pots if pot.runs_in(lot)], runs, self.price)
            total += lot.hours * float(np.maximum(runs - covered.sum(axis=0), 0.0) @ self.price)
            for kind, mask in zip(self.fleet.reserved, self.kinds, strict=True):
                idle = max(self.fleet.reserved_count(kind, lot) - float(runs[mask].sum()), 0.0)
                total += lot.hours * idle * kind.usd_per_hour
        return total

    def _with(self, c: Cover, t: int) -> Floats:
        levels, presence = self.levels[t].copy(), self.fleet.presence[c.u.s][t]
        runs = self._running(c, t)
        for i, row in enumerate(self.first[c.u.s] + c.u.types):
            k = self.local.get(int(row))
            if k is not None:
                levels[k] = self.zones[row] * runs[i, : len(presence)] @ presence
        return levels

    def _running(self, c: Cover, t: int) -> Counts:
        """(I, blocks) of month ``t``."""
        out = np.zeros((len(c.u.types), self.plan.running.shape[2]), dtype=np.int64)
        for lane in np.flatnonzero(c.u.months == t):
            out[:, list(c.u.blocks[lane])] = c.running[lane][:, None]
        return out

    def more_usd(self, c: Cover) -> float:
        """What the plan would cost more with ``c``."""
        more = 0.0
        for t in np.unique(c.u.months):
            more += self._month_usd(int(t), self._with(c, int(t))) - self.usd[int(t)]
        now = lane_counts(self.fleet, c.u, self.plan)
        return more + float((c.u.leave_cost(c.running) - c.u.leave_cost(now)).sum())

    def fits(self, c: Cover) -> bool:
        """Whether the quotas of the unit's place still hold; beside reservations no more may be used than before."""
        fleet, r = self.fleet, c.u.requirement
        rows = self.first[c.u.s] + c.u.types
        vcpu = np.array([x.vcpu for x in c.u.candidates], dtype=float)
        for quota in fleet.problem.quotas:
            if (quota.account_id, quota.region) != (r.account_id, r.unit.region):
                continue
            own = np.where([x.quota_code == quota.code for x in c.u.candidates], r.zones * vcpu, 0.0)
            for t in np.unique(c.u.months):
                more = float(own @ (c.provisioned[t] - self.plan.provisioned[rows, t]))
                if more > 0 and (fleet.reserved or self._used(quota.code, r, int(t)) + more > quota.limit * (1 + 1e-9)):
                    return False
        return True

    def _used(self, code: str, r: UnitRequirement, t: int) -> float:
        place = (r.account_id, r.unit.region)
        return float(
            sum(
                o.zones * c.vcpu * int(self.plan.provisioned[row, t])
                for row, (o, c) in enumerate(zip(self.owners, self.candidates, strict=True))
                if self.plan.provisioned[row, t] and c.quota_code == code and (o.account_id, o.unit.region) == place
            )
        )

    def take(self, c: Cover) -> None:
        """Put ``c`` in the place of what its unit runs."""
        rows = self.first[c.u.s] + c.u.types
        for t in np.unique(c.u.months):
            self.levels[int(t)] = self._with(c, int(t))
            self.usd[int(t)] = self._month_usd(int(t), self.levels[int(t)])
            self.plan.running[rows, t] = self._running(c, int(t))
            self.plan.provisioned[rows, t] = c.provisioned[t]


__all__ = ["MOST_FRAC", "Book", "Cover", "lane_counts", "nearer", "priced_on_demand", "provisioned_months"]
