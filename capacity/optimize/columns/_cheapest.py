"""The cheapest cover of each lane at given prices."""

from __future__ import annotations

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._covers import Covers, counts_of, priced
from capacity.optimize.columns._lanes import Counts, Lanes, follows_load


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
