"""One unit with all others kept as planned, and what these leave of commitments to it, lot by lot.

Where others do not use a commitment whole, a unit that can use it pays nothing more for the rest. What is left differs
from lot to lot, so each lot gets commitments of its own; the unit is then searched as one small model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from capacity.domain import Commitment, Floats, MixProblem, Unit
from capacity.errors import InfeasiblePlanError, NoPlanInTimeError
from capacity.optimize._billing import usage_rows
from capacity.optimize._book import cost_usd
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize._direct import plan_directly
from capacity.optimize._fleet import Fleet, Lot, eligible, fleet_of
from capacity.optimize._pots import Pot, draw, pots_of
from capacity.optimize._result import Counts, Plan
from capacity.optimize.why._enclosed import Interval, enclosed

# $/h, or instances, of which nothing is left.
_NOTHING = 1e-6
# As close as arithmetic must tell a month for it not to be searched.
_TOLD_FRAC = 2e-4


@dataclass(frozen=True)
class Leftover:
    """Commitments of one lot each, their rates by id, and the lots in which they run: those of the whole fleet.

    ``level_names`` and ``presence`` (by month, (blocks, levels)) say which part of a level the unit's blocks are.
    """

    commitments: tuple[Commitment, ...]
    rates: Mapping[str, float]
    lots: tuple[Lot, ...]
    level_names: tuple[tuple[str, ...], ...]
    presence: tuple[Floats, ...]

    def in_month(self, t: int) -> bool:
        """Whether anything is left in month ``t``."""
        return any(lot.month == t and lot.active for lot in self.lots)


class Leftovers:
    """What is left of the commitments to each unit of a plan; what all units share of it is worked out once."""

    def __init__(self, fleet: Fleet, running: Counts) -> None:
        owners, candidates = usage_rows(fleet)
        self.fleet = fleet
        rows = np.flatnonzero(running.any(axis=(1, 2)))
        self.owners = [owners[row] for row in rows]
        self.price = np.array([candidates[row].usd_per_hour for row in rows])
        self.pots = pots_of(fleet, self.owners, [candidates[row] for row in rows], {})
        self.runs = _by_lot(fleet, running, rows)

    def of(self, unit: Unit) -> Leftover | None:
        """What all but ``unit`` leave; None where it cannot be told: of an RI no whole number of instances is left."""
        fleet, s = self.fleet, self.fleet.position(unit)
        others = np.array([o.unit != unit for o in self.owners], dtype=float)
        mine = [_may_use(fleet, pot, s) for pot in self.pots]
        left: list[Commitment] = []
        lots = []
        for number, lot in enumerate(fleet.lots):
            active = [k for k, pot in enumerate(self.pots) if pot.runs_in(lot)]
            covered, committed = draw([self.pots[k] for k in active], self.runs[:, number] * others, self.price)
            begin = len(left)
            for n, k in enumerate(active):
                taken = (covered if self.pots[k].counts_instances else committed)[n].sum()
                rest = self.pots[k].holds - float(taken)
                if not mine[k] or rest <= _NOTHING:
                    continue
                if self.pots[k].counts_instances and abs(rest - round(rest)) > _NOTHING:
                    return None
                left.append(_rest_of(fleet.commitments[self.pots[k].position], rest, number))
            lots.append(replace(lot, active=tuple(range(begin, len(left))), bought=(), reserved=()))
        known = fleet.problem.committed_rate
        rates = {c.id: known[whole] for c in left if (whole := c.id.rpartition("@")[0]) in known}
        return Leftover(tuple(left), rates, tuple(lots), fleet.level_names, fleet.presence[s])


def cost_between(
    problem: MixProblem, left: Leftover, seconds: float, gap_frac: float, solver: Literal["highs", "cbc"], seed: int
) -> tuple[float, float]:
    """What the cheapest plan of ``problem``, one unit, costs at least and at most beside what is ``left`` to it.

    Month by month: nothing ties one to the next. Where nothing is left in a month, arithmetic may tell what it costs.

    Raises
    ------
    InfeasiblePlanError, NoPlanInTimeError
        No plan was found, and whether that is proven.
    """
    deadline = Deadline.after(seconds)
    months = [in_month(problem, month) for month in fleet_of(problem).problem.months]
    told = _told({t: own for t, own in enumerate(months) if not left.in_month(t)}, deadline)
    for t, own in enumerate(months):
        if t not in told:
            found = searched(own, left, t, deadline, gap_frac, solver, seed)
            told[t] = found.bound, found.usd
    return sum(low for low, _ in told.values()), sum(high for _, high in told.values())


@dataclass(frozen=True)
class Searched:
    """A month's plan, what it costs, and what any costs at least, in USD with what is left of commitments paid."""

    plan: Plan
    bound: float
    usd: float


def in_month(problem: MixProblem, month: str) -> MixProblem:
    """``problem`` of one month, without what is shared with others."""
    (r,) = problem.requirements
    pinned = None if r.pinned is None else {key: n for key, n in r.pinned.items() if key[0] == month}
    unit = replace(r, blocks=tuple(b for b in r.blocks if b.month == month), pinned=pinned)
    hours = (problem.month_hours[problem.months.index(month)],)
    return replace(
        problem, months=(month,), month_hours=hours, requirements=(unit,), commitments=(), offers=(), reservations=()
    )


def _told(months: Mapping[int, MixProblem], deadline: Deadline) -> dict[int, Interval]:
    """Months by arithmetic, where that is close enough."""
    try:
        known = zip(months, enclosed([*months.values()], deadline), strict=True)
    except TimeIsUp:
        return {}
    return {t: x for t, x in known if x is not None and x[1] - x[0] <= _TOLD_FRAC * abs(x[1])}


def searched(
    problem: MixProblem,
    left: Leftover,
    t: int,
    deadline: Deadline,
    gap_frac: float,
    solver: Literal["highs", "cbc"],
    seed: int,
) -> Searched:
    """Month ``t`` of the whole fleet, of one unit, as one model with what is left of commitments in its lots.

    Raises
    ------
    InfeasiblePlanError, NoPlanInTimeError
        No plan was found, and whether that is proven.
    """
    fleet = fleet_of(problem)
    owned = replace(fleet.problem, commitments=left.commitments, committed_rate=left.rates)
    lots = tuple(replace(lot, month=0) for lot in left.lots if lot.month == t)
    presence = ((left.presence[t],),)
    fleet = replace(fleet, problem=owned, lots=lots, level_names=(left.level_names[t],), presence=presence)
    found = plan_directly(fleet, deadline, gap_frac, solver, seed)
    if found.outcome == "infeasible":
        raise InfeasiblePlanError("no plan exists for this unit with all others kept", ())
    if found.plan is None or found.outcome != "found":
        raise NoPlanInTimeError(f"{problem.months[0]}: no plan was found in time")
    return Searched(found.plan, found.bound, cost_usd(fleet, found.plan))


def _may_use(fleet: Fleet, pot: Pot, s: int) -> bool:
    r = fleet.requirements[s]
    owned = fleet.commitments[pot.position]
    return any(c.allowed and eligible(owned, r.account_id, r.unit.region, c) for c in r.candidates)


def _by_lot(fleet: Fleet, running: Counts, rows: Counts) -> Floats:
    """(rows, lots) instances that run on average."""
    owners, _ = usage_rows(fleet)
    at = {r.unit: s for s, r in enumerate(fleet.requirements)}
    out = np.zeros((len(rows), len(fleet.lots)))
    month, level = (np.array([getattr(lot, name) for lot in fleet.lots], dtype=int) for name in ("month", "level"))
    for k, row in enumerate(rows):
        for t, presence in enumerate(fleet.presence[at[owners[row].unit]]):
            here = np.flatnonzero(month == t)
            out[k, here] = owners[row].zones * (running[row, t, : len(presence)] @ presence)[level[here]]
    return out


def _rest_of(owned: Commitment, rest: float, lot: int) -> Commitment:
    """A commitment of what is left of ``owned`` in one lot."""
    name = f"{owned.id}@{lot}"
    if owned.product == "standard_ri":
        count = round(rest)
        return replace(owned, id=name, count=count, hourly_usd=owned.hourly_usd * count / max(owned.count, 1))
    return replace(owned, id=name, hourly_usd=rest)


__all__ = ["Leftover", "Leftovers", "Searched", "cost_between", "in_month", "searched"]
