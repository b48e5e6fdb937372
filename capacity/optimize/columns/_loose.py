"""Lanes that knapsacks leave loose: the loosest are solved as small MIPs of their own."""

from __future__ import annotations

import time

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._coupling import lane_prices
from capacity.optimize.columns._exact import solve_lane
from capacity.optimize.columns._part import Part, add_columns
from capacity.optimize.columns.rounds import cheapest


def tighten(part: Part, least: Floats, target_frac: float, deadline: float) -> Floats:
    """Solve the loosest lanes as small MIPs, until the bound is within ``target_frac`` or time is up.

    What they find joins the columns. Returns the least costs, lifted; ``part.bound`` is lifted with them.
    """
    if part.relaxed is None or not part.units:
        return least
    prices = [lane_prices(part.coupling, u, part.duals) for u in part.units]
    best = np.concatenate([cheapest(u, part.covers[u.s], *p)[0] for u, p in zip(part.units, prices, strict=True)])
    loose = np.where(np.isfinite(best), best, 0.0) - least
    out = least.copy()
    for k in np.argsort(-loose, kind="stable"):
        reached = part.relaxed.usd - part.bound <= target_frac * abs(part.relaxed.usd)
        if loose[k] <= 1e-5 * abs(best[k]) or reached or time.perf_counter() > deadline:
            break
        at = int(np.searchsorted(part.offsets, k, side="right")) - 1
        u, lane = part.units[at], int(k - part.offsets[at])
        usd, spot = prices[at]
        found = solve_lane(u, usd[:, lane], spot[:, lane], lane, min(0.5, deadline - time.perf_counter()))
        if found is None:
            continue
        bound, running, bought = found
        part.bound += max(bound - out[k], 0.0)
        out[k] = max(out[k], bound)
        where = np.zeros((len(u.hours), len(u.types)), dtype=np.int64)
        spots = where.copy()
        where[lane], spots[lane] = running, bought
        add_columns(part, u, int(part.offsets[at]), np.array([lane]), where, spots)
    part.history.append((part.relaxed.usd, part.bound))
    return out
