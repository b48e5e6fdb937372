"""Exact covering knapsacks, many at a time: the cheapest whole instances that hold one load.

minimise sum_i price[i] x[i]  subject to  sum_i weight[i] x[i] >= 1,  sum_i x[i] >= least,  x whole, >= 0.

Dynamic programming over whole cells of the load (:mod:`capacity.optimize._fill`). Weights rounded up give a lower
bound, rounded down an answer that holds the load; where one cell divides all weights both are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats
from capacity.optimize._clock import Deadline
from capacity.optimize._fill import cheapest_fills, cheapest_totals

# Most cells of a grid: more cost time and gain nothing once the cell divides the weights well.
CELLS = 2048

# Cells tried in search of one that divides all weights. Two families of types, each a ladder of doubled sizes, need a
# ratio of small whole numbers near their own ratio: 128 tries leave a rounding of about 1/128^2.
_MOST_DIVISIONS = 128

# Rounding all weights by this share moves the bound by no more; the search for a better cell ends here.
_GOOD_ROUNDING = 1e-4

# A minimum count beyond this is left to the linear relaxation (each step is one more pass over the grid).
_MOST_LEAST = 3

# Weights that are whole to this precision are taken as such; the solver's own tolerance is 1e-7.
_TOLERANCE = 1e-9

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lanes:
    """``weight`` (lanes, types): share of the load that an instance holds, 0 where it may not be used.

    ``least`` (lanes,): the smallest number of instances.
    """

    weight: Floats
    least: Counts


def lower_bounds(lanes: Lanes, price: Floats, deadline: Deadline | None = None) -> Floats:
    """(lanes,) a proven lower bound on the cost of each lane; inf where nothing holds the load.

    ``price`` is (lanes, types), 0 or more.

    Raises
    ------
    TimeIsUp
        Where ``deadline`` passes before all lanes are bounded.
    """
    grid, need, _ = grid_of(lanes.weight, up=True)
    exact = cheapest_totals(grid, need, _layers(lanes), _usable(lanes, price), deadline)
    return np.maximum(exact, _linear_bound(lanes, price))


def cheapest_counts(lanes: Lanes, price: Floats, deadline: Deadline | None = None) -> Counts:
    """(lanes, types) whole counts that hold each load at (nearly) least cost; zeros where nothing does.

    Raises
    ------
    TimeIsUp
        Where ``deadline`` passes before all are found.
    """
    grid, need, _ = grid_of(lanes.weight, up=False)
    counts = cheapest_fills(grid, need, _layers(lanes), _usable(lanes, price), deadline)
    short = lanes.least - counts.sum(axis=1)
    cheapest = np.argmin(_usable(lanes, price), axis=1)
    counts[np.arange(len(counts)), cheapest] += np.where(counts.sum(axis=1) > 0, np.maximum(short, 0), 0)
    return trimmed(lanes, price, _or_one_type(lanes, price, counts))


def _or_one_type(lanes: Lanes, price: Floats, counts: Counts) -> Counts:
    """The best cover of one type where it is cheaper, or where the grid found none (instances smaller than a cell)."""
    used = lanes.weight > 0
    single = np.ceil(1.0 / np.where(used, lanes.weight, 1.0) * (1 - _TOLERANCE))
    single = np.maximum(single, lanes.least[:, None])
    cost = np.where(used, single * price, np.inf)
    best, row = cost.argmin(axis=1), np.arange(len(counts))
    found = counts.sum(axis=1) > 0
    own = np.where(found, (counts * price).sum(axis=1), np.inf)
    out = counts.copy()
    for lane in np.flatnonzero(cost[row, best] < own):
        out[lane] = 0
        out[lane, best[lane]] = int(single[lane, best[lane]])
    return out


def _layers(lanes: Lanes) -> Counts:
    """Counts that the grid must keep; a load is held by at least one instance anyway."""
    return np.where(lanes.least > 1, np.minimum(lanes.least, _MOST_LEAST), 0)


def _usable(lanes: Lanes, price: Floats) -> Floats:
    return np.where(lanes.weight > 0, price, np.inf)


def _linear_bound(lanes: Lanes, price: Floats) -> Floats:
    """The larger of the relaxation's cost a unit of load, and the least count at the cheapest price."""
    with np.errstate(divide="ignore", invalid="ignore"):
        per_load = np.where(lanes.weight > 0, price / lanes.weight, np.inf).min(axis=1)
    cheapest = _usable(lanes, price).min(axis=1)
    least = np.maximum(lanes.least, 1) * cheapest
    out: Floats = np.maximum(per_load, least)
    return out


def grid_of(weight: Floats, up: bool, cells: int = CELLS) -> tuple[Counts, Counts, Floats]:
    """Whole weights (lanes, types), the whole need (lanes,) of each lane, and its cell as a share of the load.

    The cell of a lane is its smallest weight over m, with the m that rounds all other weights least.
    """
    used = weight > 0
    smallest = np.where(used, weight, np.inf).min(axis=1)
    smallest = np.where(np.isfinite(smallest), smallest, 1.0)
    ratio = weight / smallest[:, None]
    best, error = np.ones(len(weight)), np.full(len(weight), np.inf)
    for m in range(1, _MOST_DIVISIONS + 1):
        off = np.abs(_rounded(m * ratio, up) - m * ratio) / np.where(used, m * ratio, 1.0)
        worst = off.max(axis=1)
        better = (worst < error) & (error > _GOOD_ROUNDING) & (m / smallest <= cells)
        best, error = np.where(better, m, best), np.where(better, worst, error)
    cell = np.maximum(smallest / best, 1.0 / cells)  # the grid's size bounds the work, whatever the weights
    need = np.maximum(np.ceil(1.0 / cell * (1 - _TOLERANCE)), 1)
    whole = np.minimum(_rounded(weight / cell[:, None], up), need[:, None])
    return whole.astype(np.int64), need.astype(np.int64), cell


def _rounded(value: Floats, up: bool) -> Floats:
    """Whole numbers, where what is whole to ``_TOLERANCE`` stays as it is."""
    if up:
        return np.ceil(value * (1 - _TOLERANCE))
    return np.floor(value * (1 + _TOLERANCE))


def trimmed(lanes: Lanes, price: Floats, counts: Counts) -> Counts:
    """Take away, dearest first, what rounding made superfluous."""
    held = (lanes.weight * counts).sum(axis=1)
    order = np.argsort(-np.where(counts > 0, price, -1.0), axis=1, kind="stable")
    row = np.arange(len(counts))
    for rank in range(counts.shape[1]):
        i = order[:, rank]
        weight = lanes.weight[row, i]
        spare = np.floor((held - 1.0) / np.where(weight > 0, weight, np.inf) * (1 - _TOLERANCE))
        over = counts.sum(axis=1) - lanes.least
        off = np.clip(np.minimum(np.minimum(spare, over), counts[row, i]), 0, None).astype(np.int64)
        counts[row, i] -= off
        held -= off * weight
    return counts
