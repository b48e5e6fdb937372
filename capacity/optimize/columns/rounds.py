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
from capacity.optimize.columns._coupling import lane_prices
from capacity.optimize.columns._covers import Covers, counts_of, covers_of, priced
from capacity.optimize.columns._deep import deep_sacks, walked
from capacity.optimize.columns._lanes import Counts, Lanes, follows_load
from capacity.optimize.columns._master import Choices, Master, lagrangian_usd, table_of
from capacity.optimize.columns._part import Part, add_choices, fresh_choices
from capacity.optimize.columns._paying import may_pay
from capacity.optimize.columns._split import STEPS, concerned, split
from capacity.optimize.columns.memory import Memory, any_month, content_of, recall, types_of

# Types a unit's covers are made of: 12 cost .6 % over all types, 16 .25 % (measured); what is missed comes back later.
KEPT_TYPES = 16
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
    _rounds(part, deadline, settled_frac, widen=True)
    for number in range(_SPLITS):
        steps = STEPS if number == 0 else STEPS // 2
        if part.relaxed is None or part.ends.clock() > deadline or not _resplit(part, steps):
            break
        before = part.relaxed.usd
        _rounds(part, deadline, settled_frac, widen=False)
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
    _narrow(part, memory, start)
    for duals in start:
        _price_and_add(part, duals, None)
    recall(part, memory)
    part.duals = start[0]


def _rounds(part: Part, deadline: float, settled_frac: float, widen: bool) -> None:
    best, best_usd, left = part.duals, -np.inf, _WIDENINGS if widen else 1
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
            if not left or part.ends.clock() > deadline or not _widen(part, relaxed.duals):
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


def _narrow(part: Part, memory: Memory, scenarios: list[Floats]) -> None:
    """Keep the types that are in some nearly cheapest cover of a lane at one of the first prices."""
    for u in part.units:
        part.ends.check()
        own = np.arange(len(u.types))
        if len(own) > KEPT_TYPES and not u.requirement.vertical:
            known = memory.kept.get(types_of(u))
            own = known if known is not None else _cheap_types(part, u, scenarios)
        part.kept[u.s] = own
        known_covers = memory.covers.get(content_of(u)) if memory.covers else None
        part.covers[u.s] = covers_of(u, own) if known_covers is None else known_covers


def _cheap_types(part: Part, u: Lanes, scenarios: list[Floats]) -> Counts:
    sample = _few_lanes(u)
    excess = np.zeros(len(u.types))
    covers = covers_of(sample, np.arange(len(u.types)))
    for duals in scenarios:
        usd, spot = lane_prices(part.coupling, sample, duals, np.where(sample.peak[None, :], 1.0, 0.0))
        least = np.full((len(u.types), len(sample.hours)), np.inf)
        for c in covers:
            cost = priced(sample, c, usd, spot)
            for types in (c.first, c.second):
                order = np.argsort(types, kind="stable")
                edges = np.searchsorted(types[order], np.arange(len(u.types) + 1))
                found = np.flatnonzero(np.diff(edges))
                least[found] = np.minimum(least[found], np.minimum.reduceat(cost[order], edges[found], axis=0))
        best = least.min(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            over = np.where(np.isfinite(best) & (best > 0), least / best - 1.0, 0.0)
        # One lane in which a type is best is worth more than many in which it is close.
        excess += np.exp(-np.minimum(over, 1.0) / 0.002).sum(axis=1)
    excess[u.runs > 0] += 1e3
    return np.sort(np.argsort(-excess, kind="stable")[:KEPT_TYPES])


def _few_lanes(u: Lanes, most: int = 8) -> Lanes:
    from dataclasses import replace

    if len(u.hours) <= most:
        return u
    at = np.unique(np.linspace(0, len(u.hours) - 1, most).astype(int))
    return replace(
        u, months=u.months[at], blocks=tuple(u.blocks[k] for k in at), need=u.need[:, at], hours=u.hours[at],
        share=u.share[at], peak=u.peak[at], leave_usd=u.leave_usd[:, at], most=u.most[:, at], fixed=u.fixed[at],
        spot_room=u.spot_room[at], least_types=u.least_types[at],
    )  # fmt: skip


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


def cheapest(u: Lanes, pools: list[Covers], usd: Floats, spot: Floats) -> tuple[Floats, Counts, Counts]:
    """(L,) cost, and (L, I) counts on demand and as spot, of the cheapest cover of each lane; inf where none."""
    lanes = np.arange(len(u.hours))
    best = np.full(len(lanes), np.inf)
    running = np.zeros((len(lanes), len(u.types)), dtype=np.int64)
    bought = np.zeros_like(running)
    for pool in pools:
        cost = priced(u, pool, usd, spot)
        choice = cost.argmin(axis=0)
        value = cost[choice, lanes]
        better = np.flatnonzero(value < best)
        if len(better):
            best[better] = value[better]
            running[better], bought[better] = counts_of(pool, choice[better], better)
    given = np.flatnonzero(u.fixed)
    if len(given):
        # A pinned month of a static unit is what it is; one that follows its load may at least run all of it.
        whole = u.most.T[given]
        cost = (usd.T[given] * whole).sum(axis=1) + u.leave_cost(u.most.T)[given]
        cost = np.where(_held(u, whole, given), cost, np.inf)
        take = np.ones(len(given), dtype=bool) if not follows_load(u.requirement) else cost < best[given]
        best[given[take]] = cost[take]
        running[given[take]], bought[given[take]] = whole[take], 0
    return best, running, bought


def _held(u: Lanes, counts: Counts, lanes: Counts) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    held = u.weight @ counts.T >= u.need[:, lanes] * (1 - 1e-9)
    return np.asarray(held.all(axis=0) & (counts.sum(axis=1) >= u.requirement.min_per_zone), dtype=bool)


def _widen(part: Part, duals: Floats) -> bool:
    """Price all types once; those in a cover that pays are kept from now on. Whether any was."""
    changed = False
    if part.relaxed is None:
        return False
    for at, (u, offset) in enumerate(zip(part.units, part.offsets, strict=False)):
        if len(part.kept[u.s]) == len(u.types):
            continue
        part.ends.check()
        usd, spot = lane_prices(part.coupling, u, duals)
        limit = part.relaxed.lane_duals[int(offset) : int(offset) + len(u.hours)]
        limit = limit - 1e-5 * np.maximum(np.abs(limit), 1.0)
        types = may_pay(u, usd, limit)
        if np.isin(types, part.kept[u.s]).all():
            continue
        cost, running, bought = cheapest(u, covers_of(u, types), usd, spot)
        pays = np.flatnonzero(cost < limit)
        if not add_choices(part, [fresh_choices(part, at, pays, running[pays], bought[pays])]):
            continue
        changed = True
        used = np.flatnonzero((running[pays] + bought[pays]).any(axis=0))
        part.kept[u.s] = np.union1d(part.kept[u.s], used)
        part.covers[u.s] = covers_of(u, part.kept[u.s])
    return changed
