"""Lanes that knapsacks leave loose: columns bettered step by step, the loosest solved as small MIPs of their own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._choice import reduced_costs
from capacity.optimize.columns._coupling import lane_prices
from capacity.optimize.columns._exact import AT_ONCE, Solved, solve_lane
from capacity.optimize.columns._lanes import Counts, Lanes
from capacity.optimize.columns._nearby import best_inside, improved, month_of, telling
from capacity.optimize.columns._part import Part, add_columns
from capacity.optimize.columns.rounds import cheapest

# Rounds in which all lanes are bettered.
_BETTER_ROUNDS = 4


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
    order = [
        int(k) for k in np.argsort(-loose, kind="stable") if k not in part.closed and loose[k] > 1e-5 * abs(best[k])
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for some in (order[n : n + AT_ONCE] for n in range(0, len(order), AT_ONCE)):
            reached = part.relaxed.usd - part.bound <= target_frac * abs(part.relaxed.usd)
            if reached or part.ends.clock() > deadline:
                break
            solved = partial(_solved, part, prices, min(0.5, deadline - part.ends.clock()))
            for k, found in zip(some, pool.map(solved, some), strict=True):
                part.closed.add(k)
                if found is not None:
                    part.bound += max(found[0] - out[k], 0.0)
                    out[k] = max(out[k], found[0])
                    _join(part, k, found)
    part.history.append((part.relaxed.usd, part.bound))
    return out


def _solved(part: Part, prices: list[tuple[Floats, Floats]], seconds: float, k: int) -> Solved | None:
    """Lane ``k`` of the part as a small MIP."""
    at = int(np.searchsorted(part.offsets, k, side="right")) - 1
    lane, (usd, spot) = int(k - part.offsets[at]), prices[at]
    return solve_lane(part.units[at], usd[:, lane], spot[:, lane], lane, seconds)


def _join(part: Part, k: int, found: Solved) -> None:
    """Add what was found of lane ``k`` to the columns."""
    at = int(np.searchsorted(part.offsets, k, side="right")) - 1
    u, lane = part.units[at], int(k - part.offsets[at])
    where = np.zeros((len(u.hours), len(u.types)), dtype=np.int64)
    spots = where.copy()
    where[lane], spots[lane] = found[1], found[2]
    add_columns(part, u, int(part.offsets[at]), np.array([lane]), where, spots)


def better(part: Part, deadline: float, settled_frac: float) -> None:
    """Better the cheapest column of every lane where several resources decide: covers of two types are poor there.

    Rounds of it until the master settles; ``part.duals`` are the master's then.
    """
    units = [
        at for at, u in enumerate(part.units)
        if not u.requirement.vertical and len(telling(u.weight, u.need)) > 1
    ]  # fmt: skip
    for _ in range(_BETTER_ROUNDS if units else 0):
        if part.relaxed is None or part.ends.clock() > deadline:
            return
        table, duals = part.master.table(), part.relaxed.duals
        cost = reduced_costs(table, part.coupling, duals)
        order = np.lexsort((np.arange(len(table)), cost, table.lane))
        first = order[np.searchsorted(table.lane[order], np.arange(part.lanes))]
        added = 0
        for at in units:
            if part.ends.clock() > deadline:
                break
            u, offset = part.units[at], int(part.offsets[at])
            usd, _ = lane_prices(part.coupling, u, duals)
            for k in np.flatnonzero(~u.fixed & (u.need > 0).any(axis=0)):
                c = int(first[offset + int(k)])
                added += _bettered(part, u, offset, int(k), usd, table.running[c], table.spot[c])
        relaxed = part.master.solve(min(max(deadline - part.ends.clock(), 1.0), part.ends.left)) if added else None
        if relaxed is None:
            return
        lifted = part.relaxed.usd - relaxed.usd
        part.relaxed, part.duals = relaxed, relaxed.duals
        if lifted <= settled_frac * abs(relaxed.usd):
            return


def _bettered(part: Part, u: Lanes, offset: int, lane: int, usd: Floats, running: Counts, spot: Counts) -> int:
    """Whether a column was found in steps from ``running`` that costs less at the duals."""
    m = month_of(u, np.array([lane]), usd, np.zeros(len(u.types)), spot[None, :], 0.0)
    inside = best_inside(m, running)
    found = None if inside is None else improved(m, running, inside[0])
    if found is None:
        return 0
    where = np.zeros((len(u.hours), len(u.types)), dtype=np.int64)
    spots = where.copy()
    where[lane], spots[lane] = found[1][0], spot
    if not u.allows(where, spots)[lane]:
        return 0
    return add_columns(part, u, offset, np.array([lane]), where, spots)
