"""Column generation for one part of a fleet: price, add, solve again, until the duals settle; then what is proven.

Duals of a restricted master swing; each round prices at a middle between them and the best found so far, and at the
master's own. Types are first narrowed to those that are cheap at some price; once the duals have settled all types are
priced, and what was narrowed away by mistake comes back.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._bound import least_costs, stacked
from capacity.optimize.columns._cheapest import cheapest
from capacity.optimize.columns._coupling import lane_prices
from capacity.optimize.columns._deep import deep_sacks, walked
from capacity.optimize.columns._lanes import Counts
from capacity.optimize.columns._master import Choices, Master, lagrangian_usd, table_of
from capacity.optimize.columns._narrow import narrow, widen
from capacity.optimize.columns._part import Part, add_choices, fresh_choices
from capacity.optimize.columns._split import STEPS, concerned, split
from capacity.optimize.columns.memory import Memory, any_month, recall

MOST_ROUNDS = 24
# Times that all types are priced once more: new types move the duals, and these may want others.
_WIDENINGS = 4
# Times that quotas are split anew, while the relaxation gains so much by it.
_SPLITS, _SPLIT_WORTH = 2, 1e-3
# A gap of the restricted master to what its own covers could still bring, below which duals have settled.
_SETTLED_FRAC = 2e-4
# Cells of the last knapsacks, by how many lanes there are: time grows with both.
_CELLS, _CELL_LANES = 1024, 2_000_000


def generate(part: Part, memory: Memory, until: float, share: float = 1.0, settled_frac: float = _SETTLED_FRAC) -> None:
    """Rounds until the duals settle; ``part`` then holds columns and duals.

    They end at ``share`` of what is left until ``until`` (of the part's clock) once the first columns are there.
    """
    _start(part, memory)
    began = part.ends.clock()
    deadline = began + share * (until - began)
    _rounds(part, deadline, settled_frac, widenings=_WIDENINGS)
    for number in range(_SPLITS):
        steps = STEPS if number == 0 else STEPS // 2
        if part.relaxed is None or part.ends.clock() > deadline or not _resplit(part, steps):
            break
        before = part.relaxed.usd
        _rounds(part, deadline, settled_frac, widenings=1)
        if part.relaxed.usd - before <= _SPLIT_WORTH * abs(before):
            break


def _resplit(part: Part, steps: int) -> bool:
    """Split quotas over lanes anew at the duals, and write the columns down again under the new split."""
    some = [u for u in part.units if concerned(part.coupling, u, part.duals)]
    for u in some:
        part.ends.check()
        split(part.coupling, u, part.duals, part.covers[u.s], cheapest, steps=steps)
    if some:
        old = part.master.table()
        part.master = Master(part.coupling, part.lanes, part.master.seed)
        owner = np.searchsorted(part.offsets, old.lane, side="right") - 1
        again = []
        for k, u in enumerate(part.units):
            mine = np.flatnonzero(owner == k)
            if len(mine):
                running, spot = np.array([old.running[c] for c in mine]), np.array([old.spot[c] for c in mine])
                offset = int(part.offsets[k])
                again.append(Choices(u, offset, old.lane[mine] - offset, running, spot))
        part.master.add(table_of(part.coupling, again))
    return bool(some)


def _start(part: Part, memory: Memory) -> None:
    start = _first_duals(part, memory)
    narrow(part, memory, start)
    for duals in start:
        _price_and_add(part, duals, None)
    recall(part, memory)
    part.duals = start[0]


def _rounds(part: Part, deadline: float, settled_frac: float, widenings: int) -> None:
    best, best_usd, left = part.duals, -np.inf, widenings
    for _ in range(MOST_ROUNDS):
        relaxed = part.master.solve(deadline - part.ends.clock())
        if relaxed is None:
            break
        part.relaxed = relaxed
        if not np.isfinite(best_usd):
            best = relaxed.duals
        middle = 0.5 * best + 0.5 * relaxed.duals
        added = 0
        for duals in (middle, relaxed.duals):
            more, least = _price_and_add(part, duals, relaxed.lane_duals)
            added += more
            value = lagrangian_usd(part.coupling, duals, least)
            if value > best_usd:
                best, best_usd = duals, value
        settled = relaxed.usd - best_usd <= settled_frac * abs(relaxed.usd)
        if settled or not added or part.ends.clock() > deadline:
            if not left or part.ends.clock() > deadline or not widen(part, relaxed.duals):
                break
            left, best_usd = left - 1, -np.inf
    part.duals = best


def frugal_covers(part: Part, duals: Floats, some: Collection[int]) -> dict[tuple[int, int], list[Counts]]:
    """(unit, lane), by position -> covers of any number of types where a provisioned vCPU is dear, and very dear.

    Of ``some`` units, by position.
    """
    out: dict[tuple[int, int], list[Counts]] = {}
    for times in (0.5, 30.0):
        sacks, places = [], []
        for at, u in enumerate(part.units):
            free = np.flatnonzero((u.need > 0).any(axis=0) & ~u.fixed & u.peak)
            if at not in some or u.requirement.vertical or not len(free):
                continue
            vcpu = np.array([c.vcpu for c in u.candidates], dtype=float)
            usd, _ = lane_prices(part.coupling, u, duals)
            own = float(np.min(u.usd / np.maximum(vcpu, 1e-9)))
            sacks.append(deep_sacks(u, np.arange(len(u.types)), usd + times * own * vcpu[:, None] * u.hours, free))
            places.append((at, u, free))
        counts, begin = np.zeros((0, 0), dtype=np.int64), 0
        if sacks:
            counts = walked(stacked(sacks), cells_of(part), part.ends)
        for at, u, free in places:
            for lane in free:
                found = counts[begin, : len(u.types)]
                whole = np.zeros((len(u.hours), len(u.types)), dtype=np.int64)
                whole[lane] = found
                if u.allows(whole, np.zeros_like(whole))[lane]:
                    out.setdefault((at, int(lane)), []).append(found)
                begin += 1
    return out


def cells_of(part: Part) -> int:
    """Cells of the last knapsacks."""
    return int(np.clip(_CELL_LANES // max(part.lanes, 1), 128, _CELLS))


def prove(part: Part) -> Floats:
    """The bound at the settled duals, over all types; (lanes,) the least cost of each at these prices."""
    prices = [lane_prices(part.coupling, u, part.duals) for u in part.units]
    least = least_costs(part.units, prices, cells_of(part), part.ends)
    part.bound = max(part.bound, lagrangian_usd(part.coupling, part.duals, least))
    if part.relaxed is not None:
        part.history.append((part.relaxed.usd, part.bound))
    return least


# --- first prices ------------------------------------------------------------------------------------------


def _first_duals(part: Part, memory: Memory) -> list[Floats]:
    """Duals to start from: those of an earlier solve, else nothing, all covered, and quotas at a price."""
    names, lots = part.coupling.names, part.fleet.lots
    if memory.duals:
        known = np.array([memory.duals.get(name, memory.duals.get(any_month(name), 0.0)) for name in names])
        if known.any():
            return [known]
    nothing = np.zeros(len(names))
    covered, scarce = nothing.copy(), nothing.copy()
    price = max((c.usd_per_hour / max(c.vcpu, 1) for u in part.units for c in u.candidates), default=0.0)
    for r, name in enumerate(names):
        if name[0] == "pool":
            covered[r] = -0.4 * lots[int(str(name[4]))].hours
        elif name[0] in ("quota", "spot quota"):
            scarce[r] = -0.3 * price * part.fleet.problem.month_hours[int(str(name[2]))]
    return [nothing, covered, scarce] if part.coupling.upper else [nothing]


# --- pricing -----------------------------------------------------------------------------------------------


def _price_and_add(part: Part, duals: Floats, lane_duals: Floats | None) -> tuple[int, Floats]:
    """Add each lane's cheapest cover where it pays (all, where no lane duals are given); their costs by lane."""
    fresh, least = [], np.zeros(part.lanes)
    for at, (u, offset) in enumerate(zip(part.units, part.offsets, strict=False)):
        part.ends.check()
        usd, spot = lane_prices(part.coupling, u, duals)
        cost, running, bought = cheapest(u, part.covers[u.s], usd, spot)
        here = slice(int(offset), int(offset) + len(cost))
        least[here] = cost
        pays = np.isfinite(cost)
        if lane_duals is not None:
            pays &= cost < lane_duals[here] - 1e-7 * np.maximum(np.abs(lane_duals[here]), 1.0)
        lanes = np.flatnonzero(pays)
        if len(lanes):
            fresh.append(fresh_choices(part, at, lanes, running[lanes], bought[lanes]))
    return add_choices(part, fresh), least
