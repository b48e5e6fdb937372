"""The tables behind the covering knapsacks of :mod:`capacity.optimize._cover`: many lanes, many cells at a time.

What a cell costs depends on cells that lie at least the smallest weight below it, so as many cells as that weight has
are worked out at once. Lanes of about the same smallest weight go together, those of the largest need first: what is
filled is a little more than each lane alone would need.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats
from capacity.optimize._clock import Deadline

Counts = npt.NDArray[np.int64]

# Lanes of a table, and numbers in one step over it: what is worked on stays in the processor's cache.
_MOST_LANES = 512
_MOST_NUMBERS = 1 << 16


def cheapest_totals(
    grid: Counts, need: Counts, least: Counts, price: Floats, deadline: Deadline | None = None
) -> Floats:
    """(lanes,) cost of the cheapest whole counts that fill ``need`` cells, ``least`` instances or more; inf where none.

    Parameters
    ----------
    grid, price
        (lanes, types) cells that an instance fills, 0 where it may not be used, and what it costs, 0 or more.
    need, least
        (lanes,) cells to fill, 1 or more, and fewest instances.

    Raises
    ------
    TimeIsUp
        Where ``deadline`` passes first.
    """
    out = np.full(len(grid), np.inf)
    for at in _groups(grid, need):
        table = _filled(grid[at], need[at], least[at], price[at], deadline)
        out[at] = table.totals(least[at], need[at])
    return out


def cheapest_fills(
    grid: Counts, need: Counts, least: Counts, price: Floats, deadline: Deadline | None = None
) -> Counts:
    """(lanes, types) the counts of :func:`cheapest_totals`; zeros where there are none."""
    out = np.zeros(grid.shape, dtype=np.int64)
    for at in _groups(grid, need):
        out[at] = _filled(grid[at], need[at], least[at], price[at], deadline).counts(least[at], need[at])
    return out


@dataclass(frozen=True)
class _Table:
    """``cost`` (layers, lanes, pad + cells): of each cell when so many instances are still asked for.

    Below the first cell stands ``pad`` times what nothing more to fill costs.
    """

    grid: Counts
    price: Floats
    cost: Floats
    pad: int

    def totals(self, layer: Counts, cell: Counts) -> Floats:
        out: Floats = self.cost[layer, np.arange(len(cell)), self.pad + cell]
        return out

    def counts(self, least: Counts, need: Counts) -> Counts:
        """What was chosen on the way to each lane's need: the first of the cheapest types, cell by cell."""
        out = np.zeros(self.grid.shape, dtype=np.int64)
        layer, cell = least.copy(), need.copy()
        some = np.isfinite(self.totals(least, need))
        while True:
            at = np.flatnonzero(some & ((cell > 0) | (layer > 0)))
            if not len(at):
                return out
            below = np.maximum(layer[at] - 1, 0)
            left = np.maximum(cell[at, None] - self.grid[at], 0)
            best = (self.price[at] + self.cost[below[:, None], at[:, None], self.pad + left]).argmin(axis=1)
            out[at, best] += 1
            cell[at] = left[np.arange(len(at)), best]
            layer[at] = below


def _groups(grid: Counts, need: Counts) -> Iterator[Counts]:
    """Positions of lanes whose smallest weights are within a factor of two, the largest need first."""
    smallest = np.where(grid > 0, grid, np.maximum(need, 1)[:, None]).min(axis=1, initial=np.iinfo(np.int64).max)
    power = np.floor(np.log2(smallest)).astype(np.int64)
    for one in np.unique(power):
        at = np.flatnonzero(power == one)
        at = at[np.argsort(-need[at], kind="stable")]
        for start in range(0, len(at), _MOST_LANES):
            yield at[start : start + _MOST_LANES]


def _filled(grid: Counts, need: Counts, least: Counts, price: Floats, deadline: Deadline | None) -> _Table:
    """The table of lanes in order of falling need."""
    lanes = len(grid)
    price = np.where(grid > 0, price, np.inf)
    pad, top = int(grid.max(initial=0)), int(need.max())
    cost = np.zeros((int(least.max()) + 1, lanes, pad + top + 1))
    # Where in a lane's row the cells stand that each type reaches back to.
    start = np.arange(lanes)[:, None] * cost.shape[2] + pad - grid
    free = int(np.where(grid > 0, grid, top).min(initial=top))
    columns = np.flatnonzero((grid > 0).any(axis=0)).tolist()
    reach, usd = start[:, columns], price[:, columns]
    most = max(_MOST_NUMBERS // (lanes * max(len(columns), 1)), 1)
    for layer in range(len(cost)):
        # A layer looks only at the one below it: all its cells are free. The lowest looks at itself.
        below, step = cost[max(layer - 1, 0)].reshape(-1), min(most, top + 1 if layer else free)
        first = 0 if layer else 1
        for cell in range(first, top + 1, step):
            if deadline is not None:
                deadline.check()
            end = min(cell + step, top + 1)
            # Of (lanes, types, cells), those that are still open: lanes are in order of falling need.
            n = int(np.searchsorted(-need, -cell, side="right"))
            options = below.take(reach[:n, :, None] + np.arange(cell, end))
            options += usd[:n, :, None]
            options.min(axis=1, initial=np.inf, out=cost[layer, :n, pad + cell : pad + end])
        cost[layer, :, :pad] = cost[layer, :, pad, None]
    return _Table(grid, price, cost, pad)
