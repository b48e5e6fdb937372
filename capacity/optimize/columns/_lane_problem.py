"""A lane as a problem of its own for the search of lanes: its options at given prices, its rows, what may be kept.

min sum_i price_i x_i + leave(x)   s.t.   sum_i w_ri x_i >= 1 for each row r,   counts, kinds and the share of spot.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats
from capacity.optimize.columns._lanes import Counts, Lanes

Mask = npt.NDArray[np.bool_]

# More instances than this that are asked for at least are left to knapsacks (each is a table more).
MOST_LAYERS = 3
# Fleets that may be kept of what runs: a root of the search each.
_MOST_ROOTS = 64
_WHOLE = 1e-9


@dataclass(frozen=True)
class Root:
    """What is kept of the running fleet: its cost with the penalty of all that is left, and what is then to be held.

    ``left`` (R,) shares of each row; ``kept`` counts by type (position among the unit's own); ``allowed`` (T,) options
    that may be added.
    """

    usd: float
    left: Floats
    kept: dict[int, int]
    allowed: Mask


@dataclass(frozen=True)
class LaneProblem:
    """One lane. Options are types on demand and as spot, a type's two beside each other, the largest types first.

    ``weight`` (R, T) shares of each row's need, ``usd`` (T,) over the lane's hours, ``room`` (T,) share of what spot
    may hold (0 on demand), ``kind`` (T,) position among the unit's types. ``least`` and ``most`` instances a zone.
    ``known_usd`` is what the best counts known cost, inf where none are.
    """

    weight: Floats
    usd: Floats
    room: Floats
    kind: Counts
    as_spot: Mask
    roots: tuple[Root, ...]
    least: int
    most: int
    kinds: int
    spot_kinds: int
    known_usd: float


def lane_problem(u: Lanes, usd: Floats, spot_usd: Floats, lane: int, known_usd: float) -> LaneProblem | None:
    """The lane's problem at prices (I,) in USD; None where its counts are given, or where the search cannot hold it."""
    r = u.requirement
    rows = np.flatnonzero(u.need[:, lane] > 0)
    # A price below 0 makes more than is needed worth running.
    if not len(rows) or u.fixed[lane] or r.vertical or (usd < 0).any():
        return None
    if max(r.min_per_zone, int(u.least_types[lane])) > MOST_LAYERS:
        return None
    need = u.need[rows, lane][:, None]
    # One instance that holds more than all of it counts as all of it: counts are whole.
    weight, spot_weight = np.minimum(u.weight[rows] / need, 1.0), np.minimum(u.spot_weight[rows] / need, 1.0)
    kept = [int(i) for i in np.flatnonzero((u.runs > 0) & (u.leave_usd[:, lane] > 0))]
    free = np.isfinite(usd) & (weight > 0).any(axis=0)
    free &= ~_bettered(weight, usd, kept, max(int(u.least_types[lane]), 1))
    has_spot = _has_spot(u, spot_usd, lane)
    types, spot = _in_order(np.flatnonzero(free), np.flatnonzero(has_spot), weight)
    w = np.where(spot[None, :], spot_weight[:, types], weight[:, types])
    roots = _roots(u, lane, usd, weight, kept, types, spot)
    if roots is None:
        return None
    telling = _telling(np.concatenate([w, weight[:, kept]], axis=1))
    room = np.where(spot, u.spot_holds[types] / max(float(u.spot_room[lane]), 1e-300), 0.0)
    return LaneProblem(
        w[telling], np.where(spot, spot_usd[types], usd[types]), room, types, spot,
        tuple(Root(x.usd, x.left[telling], x.kept, x.allowed) for x in roots),
        r.min_per_zone, r.max_per_zone, int(u.least_types[lane]), r.spot_least_types, known_usd,
    )  # fmt: skip


def _has_spot(u: Lanes, spot_usd: Floats, lane: int) -> Mask:
    some = np.isfinite(spot_usd) & (u.spot_holds > 0) & (u.spot_room[lane] > 0)
    return np.asarray(some & (u.spot_holds <= u.spot_room[lane] * (1 + _WHOLE)), dtype=bool)


def _in_order(on_demand: Counts, as_spot: Counts, weight: Floats) -> tuple[Counts, Mask]:
    """Types of the options and whether they are spot: the largest types first, each beside its own spot."""
    types = np.concatenate([on_demand, as_spot])
    spot = np.arange(len(types)) >= len(on_demand)
    order = np.lexsort((spot, types, -weight[:, types].max(axis=0, initial=0.0)))
    return types[order], spot[order]


def _bettered(weight: Floats, usd: Floats, kept: list[int], kinds: int) -> Mask:
    """Types in whose place ``kinds`` others do as much in every row for no more money; of equals the first stay.

    Where so many types are asked for, one of those others is not among what runs beside it: it comes in its place, and
    there are as many types as before.
    """
    better = (usd[None, :] <= usd[:, None]) & (weight[:, None, :] >= weight[:, :, None]).all(axis=0)
    place = np.arange(len(usd))
    better &= ~(better & better.T & (place[None, :] >= place[:, None]))
    out = np.asarray(better.sum(axis=1) >= kinds, dtype=bool)
    out[kept] = False
    return out


def _telling(weight: Floats) -> Counts:
    """Rows that no other implies, whatever is chosen."""
    if len(weight) == 1:
        return np.zeros(1, dtype=np.int64)
    kept: list[int] = []
    for a in np.lexsort((np.arange(len(weight)), weight.sum(axis=1))):
        if not any((weight[b] <= weight[a]).all() for b in kept):
            kept.append(int(a))
    return np.array(sorted(kept), dtype=np.int64)


def _roots(
    u: Lanes, lane: int, usd: Floats, weight: Floats, kept: list[int], types: Counts, spot: Mask
) -> list[Root] | None:
    """Every way to keep some of what runs; None where there are too many."""
    if not kept:
        return [Root(0.0, np.ones(len(weight)), {}, np.ones(len(types), dtype=bool))]
    zones = u.requirement.zones
    penalty = float((u.runs * u.leave_usd[:, lane]).sum())
    most = [min(int(np.ceil(u.runs[i] / zones)), u.requirement.max_per_zone) for i in kept]
    if np.prod([m + 1.0 for m in most]) > _MOST_ROOTS:
        return None
    out = []
    for counts in product(*(range(m + 1) for m in most)):
        own = dict(zip(kept, counts, strict=True))
        saved = sum(min(zones * d, int(u.runs[i])) * float(u.leave_usd[i, lane]) for i, d in own.items())
        cost = penalty - saved + sum(d * float(usd[i]) for i, d in own.items())
        held = sum((d * weight[:, i] for i, d in own.items()), np.zeros(len(weight)))
        # More of a type that runs comes only beyond all that may be kept of it: else it is another root.
        allowed = np.ones(len(types), dtype=bool)
        for i, m in zip(kept, most, strict=True):
            if own[i] < m:
                allowed &= spot | (types != i)
        out.append(Root(cost, 1.0 - held, {i: d for i, d in own.items() if d}, allowed))
    return out
