"""Covers of any number of types, by walking back through a knapsack whose weights are rounded down: they hold for sure.

Covers of two types are a per cent dearer than what a lane could do, where services are a few instances large. These
are what bundles of months begin with where a provisioned vCPU is dear, with what is kept of the running fleet.
"""

from __future__ import annotations

import numpy as np

from capacity.domain import Floats
from capacity.optimize._clock import Deadline
from capacity.optimize._cover import grid_of
from capacity.optimize.columns._bound import Sacks, keeping, table_of_cells
from capacity.optimize.columns._lanes import Counts, Lanes

_BATCH = 256


def deep_sacks(u: Lanes, kept: Counts, usd: Floats, lanes: Counts) -> Sacks:
    """Knapsacks of ``lanes`` over the ``kept`` types whose weight is the smallest over all rows."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(u.need[:, None, :] > 0, u.weight[:, :, None] / u.need[:, None, :], np.inf)
    weight = np.where(np.isfinite(shares).any(axis=0), shares.min(axis=0), 0.0)[np.ix_(kept, lanes)].T
    keep = []
    for lane in lanes:
        leave = u.leave_usd[:, lane]
        keep.append([
            (k, int(u.runs[i]), float(leave[i]), u.requirement.zones)
            for k, i in enumerate(kept) if u.runs[i] > 0 and leave[i] > 0
        ])  # fmt: skip
    price = np.where(weight > 0, np.maximum(usd[np.ix_(kept, lanes)].T, 0.0), np.inf)
    least = np.full(len(lanes), u.requirement.min_per_zone)
    nothing = np.zeros_like(weight)
    return Sacks(weight, price, least, keep, nothing, np.full_like(weight, np.inf), np.zeros(len(lanes)))


def walked(sacks: Sacks, cells: int, ends: Deadline | None = None) -> Counts:
    """(N, I) counts of the cheapest rounded cover of each; zeros where there is none."""
    grid, need, _ = grid_of(sacks.weight, up=False, cells=cells)
    out = np.zeros(grid.shape, dtype=np.int64)
    order = np.argsort(need, kind="stable")
    for begin in range(0, len(order), _BATCH):
        if ends is not None:
            ends.check()
        chosen = order[begin : begin + _BATCH]
        out[chosen] = _walk(sacks, chosen, grid[chosen], need[chosen])
    return out


def _walk(sacks: Sacks, chosen: Counts, grid: Counts, need: Counts) -> Counts:
    least = np.minimum(np.where(sacks.least[chosen] > 1, sacks.least[chosen], 0), 3)
    price = np.where(grid > 0, sacks.price[chosen], np.inf)
    tables = [table_of_cells(grid, price, int(need.max()), int(least.max()))]
    slots = max((len(sacks.keep[k]) for k in chosen), default=0)
    for slot in range(slots):
        tables.append(keeping(tables[-1], sacks, chosen, grid, slot))
    lane = np.arange(len(chosen))
    counts = np.zeros(grid.shape, dtype=np.int64)
    layer, cell = least.copy(), need.copy()
    alive = np.isfinite(tables[-1][layer, cell, lane])
    for slot in range(slots - 1, -1, -1):
        _unkeep(tables[slot], sacks, chosen, grid, slot, (counts, layer, cell))
    table = tables[0]
    while True:
        at = np.flatnonzero(alive & ((cell > 0) | (layer > 0)))
        if not len(at):
            return np.asarray(np.where(alive[:, None], counts, 0), dtype=np.int64)
        below = table[np.maximum(layer[at] - 1, 0)[:, None], np.maximum(cell[at, None] - grid[at], 0), at[:, None]]
        best = (below + price[at]).argmin(axis=1)
        counts[at, best] += 1
        cell[at] = np.maximum(cell[at] - grid[at, best], 0)
        layer[at] = np.maximum(layer[at] - 1, 0)


def _unkeep(
    before: Floats, sacks: Sacks, chosen: Counts, grid: Counts, slot: int, state: tuple[Counts, Counts, Counts]
) -> None:
    """How many of the type that runs were kept at each lane's state; the state moves to what is left to cover."""
    counts, layer, cell = state
    for k, sack in enumerate(chosen):
        if slot >= len(sacks.keep[sack]):
            continue
        i, runs, usd, zones = sacks.keep[sack][slot]
        price = sacks.price[sack, i] if np.isfinite(sacks.price[sack, i]) else 0.0
        d = np.arange(int(np.ceil(runs / zones)) + 1)
        value = before[np.maximum(layer[k] - d, 0), np.maximum(cell[k] - d * grid[k, i], 0), k]
        value = value + d * price - usd * np.minimum(zones * d, runs)
        best = int(value.argmin())
        counts[k, i] += best
        layer[k], cell[k] = max(layer[k] - best, 0), max(cell[k] - best * grid[k, i], 0)
