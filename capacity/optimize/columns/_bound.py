"""What each lane costs at least at given prices, proven: knapsacks over whole cells, weights rounded up.

Rows are weighed together first: any convex combination of what must be held is held too, and the one whose linear
relaxation is dearest is taken. Its integer knapsack is filled cell by cell, for many lanes at once; then come what is
saved by keeping what runs, and what spot may serve. Everything that is left out only makes a plan cheaper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.optimize._clock import Deadline
from capacity.optimize._cover import grid_of
from capacity.optimize.columns._covers import Covers, covers_of, priced
from capacity.optimize.columns._lanes import Counts, Lanes, follows_load

# Combinations of two rows that are tried: more than 17 of them lift bounds by less than .01 %.
_BLENDS = np.linspace(0.0, 1.0, 17)
# Steps from the combination that is dearest in the linear relaxation to others that are tried whole.
_BESIDE = (-5, -2, 0, 2, 5)
# Lanes that are filled together: their tables stay in the cache.
_BATCH = 256
# A smallest count beyond this is left to the cheapest types' price.
_MOST_LEAST = 3


@dataclass
class Sacks:
    """N knapsacks over up to I types: weights as shares of the load; prices inf where a type is not to be had."""

    weight: Floats
    price: Floats
    least: Counts
    keep: list[list[tuple[int, int, float, int]]]
    spot_weight: Floats
    spot_price: Floats
    spot_frac: Floats


def least_costs(
    units: list[Lanes], prices: list[tuple[Floats, Floats]], cells: int, ends: Deadline | None = None
) -> Floats:
    """(all lanes,) a proven lower bound on the cost of each, the switching penalty with it, in the units' order."""
    bounds, sacks, places, offset = [], [], [], 0
    ends = Deadline.never() if ends is None else ends
    for u, (usd, spot) in zip(units, prices, strict=True):
        ends.check()
        own = _simple(u, usd, spot)
        bounds.append(own)
        if not u.requirement.vertical:
            lanes = np.flatnonzero((u.need > 0).any(axis=0) & ~(u.fixed & (not follows_load(u.requirement))))
            for k in lanes:
                own_sacks = _sacks(u, usd, spot, int(k))
                sacks += own_sacks
                places += [offset + int(k)] * len(own_sacks)
        offset += len(u.hours)
    out = np.concatenate(bounds) if bounds else np.zeros(0)
    if sacks:
        exact = _filled(stacked([s for s, _, _ in sacks]), cells, ends)
        linear = np.array([v for _, v, _ in sacks])
        start = np.array([c for _, _, c in sacks])
        np.maximum.at(out, places, np.maximum(exact, linear) + start)
    return out


def _simple(u: Lanes, usd: Floats, spot: Floats) -> Floats:
    """Lanes without a choice exactly, all others by their least count at the cheapest price."""
    r = u.requirement
    own = np.arange(len(u.types))
    if r.vertical:
        costs: Covers = covers_of(u, own)[0] if len(own) else None  # type: ignore[assignment]
        return priced(u, costs, usd, spot).min(axis=0) if len(own) else np.zeros(len(u.hours))
    if not len(own):
        return np.zeros(len(u.hours))
    positive = np.minimum(np.maximum(usd, 0.0).min(axis=0), spot.min(axis=0))
    out = r.min_per_zone * positive + _gains(u, usd)
    fixed = u.fixed & (not follows_load(r))
    if fixed.any():
        given = (usd * u.most).sum(axis=0) + u.leave_cost(u.most.T)
        out = np.where(fixed, given, out)
    return np.asarray(out, dtype=float)


def _gains(u: Lanes, usd: Floats) -> Floats:
    """What a price below 0 could bring at most (a reservation and an RI of the same type pay twice for running)."""
    if not (usd < 0).any():
        return np.zeros(len(u.hours))
    # Then more runs than any load asks for, up to the largest count.
    most = np.minimum(u.most, u.requirement.max_per_zone)
    return np.asarray((np.minimum(usd, 0.0) * most).sum(axis=0))


def _sacks(u: Lanes, usd: Floats, spot: Floats, lane: int) -> list[tuple[Sacks, float, float]]:
    """One lane's knapsacks, its linear bound, and what is paid before the first instance (all that runs is left)."""
    r = u.requirement
    price = np.maximum(usd[:, lane], 0.0)
    spot_price = spot[:, lane] if u.spot_room[lane] > 0 else np.full(len(price), np.inf)
    leave = u.leave_usd[:, lane]
    rows = np.flatnonzero(u.need[:, lane] > 0)
    # One instance that holds more than all of it counts as all of it: counts are whole.
    weight = np.minimum(u.weight[rows] / u.need[rows, lane][:, None], 1.0)
    spot_weight = np.minimum(u.spot_weight[rows] / u.need[rows, lane][:, None], 1.0)
    kept = [(int(i), int(u.runs[i]), float(leave[i]), r.zones) for i in np.flatnonzero((u.runs > 0) & (leave > 0))]
    start = float((u.runs * leave).sum()) + float(_gains(u, usd)[lane])
    saved = sum(runs * usd_each for _, runs, usd_each, _ in kept)
    least = np.array([max(r.min_per_zone, int(u.least_types[lane]))])
    out = []
    for blend, linear, spot_blend in _blends(weight, spot_weight, price, spot_price):
        frac = 0.0
        if np.isfinite(spot_price).any():
            with np.errstate(divide="ignore", invalid="ignore"):
                per = np.where(np.isfinite(spot_price) & (u.spot_holds > 0), spot_blend / u.spot_holds, 0.0)
            frac = float(min(per.max(initial=0.0) * u.spot_room[lane], 1.0))
        sack = Sacks(
            blend[None], np.where(blend > 0, price, np.inf)[None], least, [kept], spot_blend[None],
            np.where(spot_blend > 0, spot_price, np.inf)[None], np.array([frac]),
        )  # fmt: skip
        out.append((sack, linear - saved, start))
    return out


def _blends(
    weight: Floats, spot_weight: Floats, price: Floats, spot_price: Floats
) -> list[tuple[Floats, float, Floats]]:
    """Convex combinations of two rows: the one that costs most in the linear relaxation, and some beside it.

    What they weigh and that cost. Whole instances make another combination dearer than the best linear one.
    """
    # A row that another implies, of every type, has no part in it.
    both = np.concatenate([weight, spot_weight], axis=1)
    kept: list[int] = []
    for a in np.lexsort((np.arange(len(both)), both.sum(axis=1))):
        if not any((both[b] <= both[a]).all() for b in kept):
            kept.append(int(a))
    weight, spot_weight = weight[sorted(kept)], spot_weight[sorted(kept)]
    best: tuple[float, int, int, int] = (-1.0, 0, 0, 0)
    costs: dict[tuple[int, int], Floats] = {}
    for j in range(len(weight)):
        for k in range(j, len(weight)):
            share = _BLENDS[:, None] if k > j else np.ones((1, 1))
            w, sw = share * weight[j] + (1 - share) * weight[k], share * spot_weight[j] + (1 - share) * spot_weight[k]
            with np.errstate(divide="ignore", invalid="ignore"):
                cost = np.where(w > 0, price / w, np.inf).min(axis=1)
                cost = np.minimum(cost, np.where(sw > 0, spot_price / sw, np.inf).min(axis=1))
            costs[j, k] = cost
            at = int(cost.argmax())
            if cost[at] > best[0]:
                best = (float(cost[at]), j, k, at)
    _, j, k, at = best
    chosen = [at] if j == k else sorted({int(np.clip(at + d, 0, len(_BLENDS) - 1)) for d in _BESIDE})
    out = []
    for c in chosen:
        part = float(_BLENDS[c]) if k > j else 1.0
        out.append((
            part * weight[j] + (1 - part) * weight[k], float(costs[j, k][c]),
            part * spot_weight[j] + (1 - part) * spot_weight[k],
        ))  # fmt: skip
    return out


def stacked(sacks: list[Sacks]) -> Sacks:
    """All in one, padded to the same number of types."""
    width = max(s.weight.shape[1] for s in sacks)

    def padded(rows: list[Floats], fill: float) -> Floats:
        return np.concatenate([np.pad(r, ((0, 0), (0, width - r.shape[1])), constant_values=fill) for r in rows])

    return Sacks(
        padded([s.weight for s in sacks], 0.0),
        padded([s.price for s in sacks], np.inf),
        np.concatenate([s.least for s in sacks]),
        [k for s in sacks for k in s.keep],
        padded([s.spot_weight for s in sacks], 0.0),
        padded([s.spot_price for s in sacks], np.inf),
        np.concatenate([s.spot_frac for s in sacks]),
    )


def _filled(sacks: Sacks, cells: int, ends: Deadline) -> Floats:
    """(N,) the optimum of each rounded knapsack."""
    grid, need, cell = grid_of(sacks.weight, up=True, cells=cells)
    out = np.full(len(need), np.inf)
    order = np.argsort(need, kind="stable")
    for begin in range(0, len(order), _BATCH):
        ends.check()
        chosen = order[begin : begin + _BATCH]
        out[chosen] = _batch(sacks, chosen, grid[chosen], need[chosen], cell[chosen])
    return out


def _batch(sacks: Sacks, chosen: Counts, grid: Counts, need: Counts, cell: Floats) -> Floats:
    least = np.minimum(sacks.least[chosen], _MOST_LEAST)
    least = np.where(least > 1, least, 0)
    table = table_of_cells(grid, sacks.price[chosen], int(need.max()), int(least.max()))
    column = np.arange(len(chosen))
    for slot in range(max((len(sacks.keep[k]) for k in chosen), default=0)):
        table = keeping(table, sacks, chosen, grid, slot)
    best = table[least, need, column]
    if (sacks.spot_frac[chosen] > 0).any():
        best = np.minimum(best, _with_spot(table, sacks, chosen, need, cell))
    return np.asarray(best, dtype=float)


def table_of_cells(grid: Counts, price: Floats, top: int, layers: int) -> Floats:
    """(layers + 1, cells + 1, lanes) the cheapest cover of so many cells with so many instances."""
    lanes = len(grid)
    price = np.where(grid > 0, price, np.inf)
    table = np.zeros((layers + 1, top + 1, lanes))
    row = np.arange(lanes)[:, None]
    for layer in range(layers + 1):
        below = table[max(layer - 1, 0)]
        for cells in range(0 if layer else 1, top + 1):
            table[layer, cells] = (below[np.maximum(cells - grid, 0), row] + price).min(axis=1)
    return table


def keeping(table: Floats, sacks: Sacks, chosen: Counts, grid: Counts, slot: int) -> Floats:
    """Take d more of a type that runs: each of the first ones saves its penalty as well."""
    lanes = len(chosen)
    own = [sacks.keep[k][slot] if slot < len(sacks.keep[k]) else (0, 0, 0.0, 1) for k in chosen]
    types, runs, usd, zones = (np.array(x) for x in zip(*own, strict=True))
    step = grid[np.arange(lanes), types]
    price = np.where(np.isfinite(sacks.price[chosen, types]), sacks.price[chosen, types], 0.0)
    most = int(np.ceil(runs / zones).max(initial=0))
    cells, column = np.arange(table.shape[1])[:, None], np.arange(lanes)[None, :]
    out = table.copy()
    for d in range(1, most + 1):
        # Beyond the load more of it is never needed; what is kept all the same still saves its penalty.
        saved = usd * np.minimum(zones * d, runs)
        worth = (d - 1) * zones < runs
        at = np.maximum(cells - d * step[None, :], 0)
        for layer in range(table.shape[0]):
            with_d = table[max(layer - d, 0)][at, column] + (d * price - saved)[None, :]
            out[layer] = np.where(worth[None, :], np.minimum(out[layer], with_d), out[layer])
    return out


def _with_spot(table: Floats, sacks: Sacks, chosen: Counts, need: Counts, cell: Floats) -> Floats:
    """Some cells as spot, no more than its share of the load, the rest on demand."""
    weight = sacks.spot_weight[chosen] / cell[:, None]
    grid = np.minimum(np.ceil(weight * (1 - 1e-9)), need[:, None]).astype(np.int64)
    usable = np.isfinite(sacks.spot_price[chosen]) & (weight > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        rounding = np.where(usable, grid / weight, 1.0).max(axis=1)
    limit = np.minimum(np.ceil(sacks.spot_frac[chosen] / cell * rounding).astype(np.int64), need)
    spot = table_of_cells(np.where(usable, grid, 0), sacks.spot_price[chosen], int(limit.max(initial=0)), 0)[0]
    best, column = np.full(len(chosen), np.inf), np.arange(len(chosen))
    for cells in range(1, int(limit.max(initial=0)) + 1):
        cost = spot[cells] + table[0][np.maximum(need - cells, 0), column]
        best = np.where(cells <= limit, np.minimum(best, cost), best)
    return best
