"""A plan that changes unit by unit, and what that costs: exact, and only what a change can move is billed again.

Commitments take the same share of every row that they cover in one step. So rows that the same steps cover are one
*class*, and what a month costs is a matter of classes: how many instances of each run, and what these cost on demand.
Classes are few where rows are thousands, and many changes are billed side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats, UnitRequirement
from capacity.optimize._billing import Usage, bill, usage_rows
from capacity.optimize._clock import Deadline
from capacity.optimize._fleet import Fleet, Lot, running_by_type
from capacity.optimize._pots import in_order, pots_of
from capacity.optimize._result import Plan, penalty_usd
from capacity.optimize.columns._bundles import provisioned
from capacity.optimize.columns._lanes import Counts, Lanes, lost_demand

# Changes that are billed side by side: their sums stay in the cache.
_AT_ONCE = 128


@dataclass(frozen=True)
class Cover:
    """Another cover of unit ``u``: (L, I) counts, (months, I) provisioned, and by how many types it is nearer."""

    u: Lanes
    running: Counts
    provisioned: Counts
    nearer: int
    estimate_usd: float


def cost_usd(fleet: Fleet, plan: Plan) -> float:
    """What ``plan`` is judged by: its bill and the switching penalty."""
    owners, candidates = usage_rows(fleet)
    zones = np.array([r.zones for r in owners], dtype=float)[:, None, None]
    usage = Usage(owners, candidates, plan.running * zones, plan.spot * zones if plan.spot.any() else None)
    return bill(fleet, usage, plan.bought).total_usd + penalty_usd(fleet, plan.running)


def first_rows(fleet: Fleet) -> Counts:
    """(units + 1,) where the rows of each unit begin."""
    return np.cumsum([0, *(len(r.candidates) for r in fleet.requirements)])


def lane_counts(first: Counts, u: Lanes, plan: Plan) -> Counts:
    """(L, I) what the plan runs of a unit."""
    rows = int(first[u.s]) + u.types
    out = [plan.running[rows, t, blocks[0]] for t, blocks in zip(u.months, u.blocks, strict=True)]
    return np.array(out, dtype=np.int64)


def priced_on_demand(u: Lanes, running: Counts) -> float:
    """USD on demand, and of leaving what runs."""
    return float((running @ u.usd * u.hours).sum() + u.leave_cost(running).sum())


def provisioned_months(fleet: Fleet, u: Lanes, running: Counts) -> Counts | None:
    """(months, I) counts a zone; None where a month's own limits are broken."""
    out = np.zeros((len(fleet.problem.months), len(u.types)), dtype=np.int64)
    for t in np.unique(u.months):
        lanes = np.flatnonzero(u.months == t)
        n = provisioned(u, lanes, running[lanes], np.zeros_like(running[lanes]), lost_demand(fleet, u, int(t)))
        if n is None:
            return None
        out[t] = n
    return out


class Book:
    """A plan, what it costs, and what any cover in the place of a unit's own would cost more."""

    def __init__(self, fleet: Fleet, plan: Plan, all_allowed: bool = False) -> None:
        self.fleet = fleet
        self.plan = Plan(plan.running.copy(), plan.spot, plan.provisioned.copy(), plan.bought)
        self.owners, self.candidates = usage_rows(fleet)
        self.first = first_rows(fleet)
        self.objective = cost_usd(fleet, plan)
        self.dust = 1e-9 * max(abs(self.objective), 1.0)
        self.zones = np.array([r.zones for r in self.owners], dtype=float)
        self.price = np.array([c.usd_per_hour for c in self.candidates])
        self.steps = _Steps(fleet, plan, self._may_run(all_allowed))
        self.months = [self._sums(t) for t in range(len(fleet.problem.months))]
        self.usd = [float(self.steps.usd(t, sums[None])[0]) for t, sums in enumerate(self.months)]

    def _may_run(self, all_allowed: bool) -> Counts:
        """Rows that the plan runs, and of what runs today; with ``all_allowed`` all that may be planned too."""
        today = [
            running_by_type(r).get(c.instance_type, 0) > 0 for r, c in zip(self.owners, self.candidates, strict=True)
        ]
        allowed = np.array([c.allowed for c in self.candidates], dtype=bool) & all_allowed
        return np.flatnonzero(self.plan.running.any(axis=(1, 2)) | np.array(today, dtype=bool) | allowed)

    def _sums(self, t: int) -> Floats:
        """(sums, levels) of what runs in month ``t``."""
        runs = np.zeros((len(self.owners), len(self.fleet.level_names[t])))
        for s, presence in enumerate(p[t] for p in self.fleet.presence):
            rows = slice(self.first[s], self.first[s + 1])
            runs[rows] = self.plan.running[rows, t, : len(presence)] @ presence
        return self.steps.summed(np.arange(len(runs)), runs * self.zones[:, None], self.price)

    def _change(self, c: Cover, t: int) -> Floats:
        """(sums, levels) by which month ``t`` changes with ``c``."""
        rows, presence = self.first[c.u.s] + c.u.types, self.fleet.presence[c.u.s][t]
        more = (self._running(c, t) - self.plan.running[rows, t])[:, : len(presence)] @ presence
        return self.steps.summed(rows, more * self.zones[rows][:, None], self.price[rows])

    def _running(self, c: Cover, t: int) -> Counts:
        """(I, blocks) of month ``t``."""
        out = np.zeros((len(c.u.types), self.plan.running.shape[2]), dtype=np.int64)
        for lane in np.flatnonzero(c.u.months == t):
            out[:, list(c.u.blocks[lane])] = c.running[lane][:, None]
        return out

    def more_usd(self, covers: Sequence[Cover], deadline: Deadline | None = None) -> Floats:
        """What the plan would cost more with each of ``covers``, all others as they are.

        Raises
        ------
        TimeIsUp
            Where ``deadline`` passes first.
        """
        out = np.zeros(len(covers))
        for begin in range(0, len(covers), _AT_ONCE):
            if deadline is not None:
                deadline.check()
            some = covers[begin : begin + _AT_ONCE]
            for t, now in enumerate(self.months):
                here = [k for k, c in enumerate(some) if (c.u.months == t).any()]
                if here:
                    sums = now[None] + np.array([self._change(some[k], t) for k in here])
                    out[begin + np.array(here)] += self.steps.usd(t, sums) - self.usd[t]
        out += [self._left_usd(c) for c in covers]
        return out

    def _left_usd(self, c: Cover) -> float:
        """What more is left of what runs."""
        now = lane_counts(self.first, c.u, self.plan)
        return float((c.u.leave_cost(c.running) - c.u.leave_cost(now)).sum())

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
                self.owners[row].zones * self.candidates[row].vcpu * int(self.plan.provisioned[row, t])
                for row in np.flatnonzero(self.plan.provisioned[:, t])
                if self.candidates[row].quota_code == code
                and (self.owners[row].account_id, self.owners[row].unit.region) == place
            )
        )

    def take(self, c: Cover) -> None:
        """Put ``c`` in the place of what its unit runs."""
        rows = self.first[c.u.s] + c.u.types
        for t in (int(t) for t in np.unique(c.u.months)):
            self.months[t] = self.months[t] + self._change(c, t)
            self.usd[t] = float(self.steps.usd(t, self.months[t][None])[0])
            self.plan.running[rows, t] = self._running(c, t)
            self.plan.provisioned[rows, t] = c.provisioned[t]


# --- classes of rows ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    """What ``pot`` takes of the classes ``of`` in its turn: ``rate`` of their dollars, or their instances (None)."""

    pot: int
    rate: float | None
    of: Counts


class _Steps:
    """Commitments in the provider's order over classes of rows, and reservations over what runs of their type.

    *Sums* (sums, levels) stand for what runs: instances of each class, their on-demand $/h, then instances of each
    reserved type.
    """

    def __init__(self, fleet: Fleet, plan: Plan, rows: Counts) -> None:
        owners, candidates = usage_rows(fleet)
        here = [(owners[r], candidates[r]) for r in rows]
        pots = pots_of(fleet, [r for r, _ in here], [c for _, c in here], plan.bought)
        ordered = in_order(pots)
        covered = np.zeros((len(rows), len(ordered)), dtype=bool)
        for k, (_, _, own) in enumerate(ordered):
            covered[own, k] = True
        classes, own_class = np.unique(covered, axis=0, return_inverse=True)
        self.fleet, self.pots, self.count = fleet, pots, len(classes)
        self.steps = [
            _Step(j, None if pots[j].counts_instances else rate, np.flatnonzero(classes[:, k]))
            for k, (j, rate, _) in enumerate(ordered)
        ]
        self.class_of = np.full(len(owners), -1, dtype=np.int64)
        self.class_of[rows] = np.asarray(own_class).reshape(-1)
        self.kind_of = np.full(len(owners), -1, dtype=np.int64)
        for k, kind in enumerate(fleet.reserved):
            self.kind_of[[row for row, (r, c) in zip(rows, here, strict=True) if kind.holds(r, c)]] = k
        self.lots = [_alike([lot for lot in fleet.lots if lot.month == t]) for t in range(len(fleet.problem.months))]

    def summed(self, rows: Counts, runs: Floats, price: Floats) -> Floats:
        """Sums of ``runs`` (rows, levels) of the listed rows; of rows that never run nothing is known."""
        out = np.zeros((2 * self.count + len(self.fleet.reserved), runs.shape[1]))
        known, held = self.class_of[rows] >= 0, self.kind_of[rows] >= 0
        np.add.at(out, self.class_of[rows][known], runs[known])
        np.add.at(out, self.count + self.class_of[rows][known], runs[known] * price[known][:, None])
        np.add.at(out, 2 * self.count + self.kind_of[rows][held], runs[held])
        return out

    def usd(self, t: int, sums: Floats) -> Floats:
        """(N,) on demand and reserved in vain, of N months ``t``; what commitments cost does not change."""
        total = np.zeros(len(sums))
        for lots in self.lots[t]:
            here, hours = sums[:, :, [lot.level for lot in lots]], np.array([lot.hours for lot in lots])
            total += self._uncovered_usd(lots[0], here) @ hours
            for k, kind in enumerate(self.fleet.reserved):
                idle = self.fleet.reserved_count(kind, lots[0]) - here[:, 2 * self.count + k]
                total += np.maximum(idle, 0.0) @ hours * kind.usd_per_hour
        return total

    def _uncovered_usd(self, lot: Lot, sums: Floats) -> Floats:
        """(N, lots) on-demand $/h that no commitment covers, in lots with the contracts of ``lot``."""
        count, usd = sums[:, : self.count].copy(), sums[:, self.count : 2 * self.count].copy()
        held = {j: np.full(sums[:, 0].shape, pot.holds) for j, pot in enumerate(self.pots) if pot.runs_in(lot)}
        for step in self.steps:
            if step.pot not in held:
                continue
            wanted = count[:, step.of].sum(axis=1) if step.rate is None else usd[:, step.of].sum(axis=1) * step.rate
            with np.errstate(divide="ignore", invalid="ignore"):
                share = np.where(wanted > 0, np.minimum(held[step.pot] / wanted, 1.0), 0.0)
            held[step.pot] = np.maximum(held[step.pot] - np.maximum(wanted, 0.0), 0.0)
            count[:, step.of] *= 1.0 - share[:, None]
            usd[:, step.of] *= 1.0 - share[:, None]
        return np.asarray(usd.sum(axis=1))


def _alike(lots: list[Lot]) -> list[list[Lot]]:
    """Lots with the same contracts together."""
    out: dict[tuple[tuple[int, ...], ...], list[Lot]] = {}
    for lot in lots:
        out.setdefault((lot.active, lot.bought, lot.reserved), []).append(lot)
    return [*out.values()]


__all__ = ["Book", "Cover", "cost_usd", "first_rows", "lane_counts", "priced_on_demand", "provisioned_months"]
