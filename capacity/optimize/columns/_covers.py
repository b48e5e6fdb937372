"""Covers of lanes: every one of one type and of two, priced in one sweep of NumPy.

A cover takes n of a first type, close below the count with which that type alone would do, and as many of a second type
as are then still needed. Counts do not depend on prices, so they are found once and priced in every round.
A cover may stand on a *footing*: types that are there anyway, for diversity or as spot.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats
from capacity.optimize.columns._lanes import Counts, Lanes

# How far below the count that does alone the first of two types goes. Services of some instances a zone are then
# searched whole (both orders are); beyond, rounding costs little. 6 instead of 12 costs .01 % on fleets of 200.
_DEPTH = 6

# Spot and diversity stand on the cheapest few types.
_FOOTING_TYPES = 3

_NONE = 30_000  # a count that no cover has
_WHOLE = 1e-9

Small = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Covers:
    """C covers of L lanes of a unit: ``first`` and ``second`` (C,) types, ``a`` and ``b`` (C, L) their counts.

    ``running`` and ``spot`` (L, I) are the footing. A count of ``_NONE`` marks what does not hold.
    """

    first: Counts
    second: Counts
    a: Small
    b: Small
    running: Counts
    spot: Counts

    @property
    def works(self) -> npt.NDArray[np.bool_]:
        """(C, L)"""
        out: npt.NDArray[np.bool_] = self.b < _NONE
        return out


def covers_of(lanes: Lanes, kept: Counts) -> list[Covers]:
    """Every footing's covers over the ``kept`` types (positions among the unit's own)."""
    if lanes.requirement.vertical:
        return [_vertical(lanes, kept)]
    nothing = np.zeros((len(lanes.hours), len(lanes.types)), dtype=np.int64)
    out = [_on_footing(lanes, kept, footing, nothing) for footing in _diverse(lanes, kept)]
    out += [_on_footing(lanes, kept, nothing, spot) for spot in _spot_footings(lanes, kept)]
    return [c for c in out if c.works.any()]


def within(lanes: Lanes, every: list[Covers], kept: Counts) -> list[Covers]:
    """As ``covers_of(lanes, kept)``, taken out of ``every`` cover of more types."""
    # What others stand on depends on all the types that are kept.
    if lanes.requirement.vertical or (lanes.spot_room > 0).any() or lanes.least_types.max(initial=0) > 2:
        return covers_of(lanes, kept)
    out = [_taken(c, np.flatnonzero(np.isin(c.first, kept) & np.isin(c.second, kept))) for c in every]
    return [c for c in out if c.works.any()]


def _taken(c: Covers, rows: Counts) -> Covers:
    return Covers(c.first[rows], c.second[rows], c.a[rows], c.b[rows], c.running, c.spot)


def _vertical(lanes: Lanes, kept: Counts) -> Covers:
    """The count is given; each type that holds at it is a choice."""
    count = int(lanes.most.max(initial=0))
    held = (lanes.weight[:, kept, None] * count >= lanes.need[:, None, :] * (1 - _WHOLE)).all(axis=0)
    held &= lanes.most[kept] >= count
    b = np.where(held, count, _NONE).astype(np.int16)
    nothing = np.zeros((len(lanes.hours), len(lanes.types)), dtype=np.int64)
    return Covers(kept, kept, np.zeros_like(b), b, nothing, nothing)


def _on_footing(lanes: Lanes, kept: Counts, running: Counts, spot: Counts) -> Covers:
    r = lanes.requirement
    base = running.sum(axis=1) + spot.sum(axis=1)
    kinds = ((running + spot) > 0).sum(axis=1)
    # Spot that is not to be had in a lane leaves it to the other footings.
    barred = (spot.sum(axis=1) == 0) & bool(spot.any())
    need = lanes.need - lanes.weight @ running.T - lanes.spot_weight @ spot.T
    least = np.maximum(r.min_per_zone - base, 0)
    room = np.maximum(r.max_per_zone - base, 0)
    more = np.maximum(lanes.least_types - kinds, 0)
    taken = (running + spot) > 0
    alone = _single(lanes, kept, need, least, more)
    fits = (alone <= room) & (alone <= lanes.most[kept]) & (more <= 1) & ~barred
    fits &= ~((more == 1) & taken[:, kept].T)
    singles = np.where(fits, alone, _NONE).astype(np.int16)
    pairs = _pairs(lanes, kept, need, least, more, alone, taken)
    first, second, a, b = pairs
    total = a + b
    good = (total <= room) & (a <= lanes.most[first]) & (b <= lanes.most[second]) & (more <= 2) & ~barred
    b = np.where(good, b, _NONE)
    some = good.any(axis=1)
    return Covers(
        np.concatenate([kept, first[some]]),
        np.concatenate([kept, second[some]]),
        np.concatenate([np.zeros_like(singles), a[some].astype(np.int16)]),
        np.concatenate([singles, np.minimum(b[some], _NONE).astype(np.int16)]),
        running,
        spot,
    )


def _single(lanes: Lanes, kept: Counts, need: Floats, least: Counts, more: Counts) -> Counts:
    """(types, L) the count of each type that does alone."""
    counts = _still_needed(lanes.weight[:, kept][:, :, None], need[:, None, :])
    return np.maximum(counts, np.maximum(least, more)[None, :])


def _still_needed(weight: Floats, need: Floats) -> Counts:
    """The largest over rows (first axis) of need / weight, rounded up; ``_NONE`` where a type holds nothing of it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        counts = np.ceil(need / weight * (1 - _WHOLE) - _WHOLE)
    counts = np.where(need > 0, np.where(weight > 0, counts, _NONE), 0)
    return np.asarray(np.clip(counts, 0, _NONE).max(axis=0), dtype=np.int64)


def _pairs(
    lanes: Lanes, kept: Counts, need: Floats, least: Counts, more: Counts, alone: Counts, taken: npt.NDArray[np.bool_]
) -> tuple[Counts, Counts, Counts, Counts]:
    count = len(kept)
    if count < 2:
        empty = np.zeros((0, len(lanes.hours)), dtype=np.int64)
        return kept[:0], kept[:0], empty, empty
    i, j = np.nonzero(~np.eye(count, dtype=bool))
    # Where two types are asked for, the first may do alone and the second only be there.
    depth = np.arange(0 if more.any() else 1, _DEPTH + 1)
    a = (alone[i][:, None, :] - depth[None, :, None]).reshape(-1, len(lanes.hours))
    i, j = np.repeat(i, len(depth)), np.repeat(j, len(depth))
    useful = ((a >= 1) & (a < _NONE - _DEPTH)).any(axis=1)
    a, i, j = a[useful], i[useful], j[useful]
    rest = need[:, None, :] - lanes.weight[:, kept[i]][:, :, None] * a[None, :, :]
    b = _still_needed(lanes.weight[:, kept[j]][:, :, None], rest)
    b = np.maximum(b, least[None, :] - a)
    b = np.where(more[None, :] >= 1, np.maximum(b, 1), b)
    # A type of the footing adds no diversity.
    used_i, used_j = taken[:, kept[i]].T, taken[:, kept[j]].T
    new = (~used_i).astype(int) + (~used_j).astype(int)
    b = np.where((a >= 1) & (a < _NONE - _DEPTH) & (new >= more[None, :]), b, _NONE)
    return kept[i], kept[j], a, b


# --- footings ----------------------------------------------------------------------------------------------


def _diverse(lanes: Lanes, kept: Counts) -> list[Counts]:
    """What must be there beside a pair where more than two types are asked for: one each of some cheap ones."""
    wanted = int(lanes.least_types.max(initial=0)) - 2
    shape = (len(lanes.hours), len(lanes.types))
    if wanted <= 0:
        return [np.zeros(shape, dtype=np.int64)]
    cheap = _cheapest(lanes, kept, lanes.usd)[: max(_FOOTING_TYPES, wanted)]
    out = []
    for chosen in combinations(cheap, wanted):
        footing = np.zeros(shape, dtype=np.int64)
        footing[:, list(chosen)] = (lanes.least_types > 2).astype(np.int64)[:, None]
        out.append(footing)
    return out


def _cheapest(lanes: Lanes, kept: Counts, usd: Floats) -> list[int]:
    """Types by price, the smallest first: one of each is what diversity costs."""
    return sorted((int(i) for i in kept if np.isfinite(usd[i])), key=lambda i: (usd[i], i))


def _spot_footings(lanes: Lanes, kept: Counts) -> list[Counts]:
    """(L, I) spot counts: some sets of cheap types, filled up to the share and to half of it."""
    if not (lanes.spot_room > 0).any():
        return []
    wanted = max(lanes.requirement.spot_least_types, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(lanes.spot_holds > 0, lanes.spot_usd / lanes.spot_holds, np.inf)
    usable = [int(i) for i in kept if np.isfinite(rate[i])]
    cheap = sorted(usable, key=lambda i: (rate[i], i))[:_FOOTING_TYPES]
    small = sorted(usable, key=lambda i: (lanes.spot_holds[i], rate[i], i))[:_FOOTING_TYPES]
    sets = dict.fromkeys(tuple(sorted(c)) for pool in (cheap, small) for c in combinations(dict.fromkeys(pool), wanted))
    out = [_filled(lanes, chosen, 1.0) for chosen in sets]
    return [f for f in out if f.any()]


def _filled(lanes: Lanes, chosen: tuple[int, ...], share: float) -> Counts:
    """One of each, then the largest that still fits, again and again; nothing where one of each does not fit."""
    out = np.zeros((len(lanes.hours), len(lanes.types)), dtype=np.int64)
    holds = lanes.spot_holds[list(chosen)]
    room = lanes.spot_room - holds.sum()
    fits = (room >= 0) & (lanes.spot_room > 0) & (len(chosen) <= lanes.requirement.max_per_zone)
    room = np.maximum(lanes.spot_room * share - holds.sum(), 0.0) * (1 + _WHOLE)
    for k in np.argsort(-holds, kind="stable"):
        more = np.floor(room / holds[k])
        out[:, chosen[int(k)]] = np.where(fits, 1 + more, 0)
        room = room - more * holds[k]
    return out


# --- prices ------------------------------------------------------------------------------------------------


def priced(lanes: Lanes, covers: Covers, usd: Floats, spot_usd: Floats) -> Floats:
    """(C, L) cost of covers at ``usd`` and ``spot_usd`` (I, L), the switching penalty with it; inf where none."""
    out = usd[covers.first] * covers.a + usd[covers.second] * covers.b
    if covers.running.any():
        out = out + (usd.T * covers.running).sum(axis=1)[None, :]
    if covers.spot.any():
        out = out + (np.where(covers.spot > 0, spot_usd.T, 0.0) * covers.spot).sum(axis=1)[None, :]
    if lanes.runs.any() and lanes.leave_usd.any():
        zones = lanes.requirement.zones
        out = out + (lanes.runs[:, None] * lanes.leave_usd).sum(axis=0)[None, :]
        for i in np.flatnonzero(lanes.runs):
            for types, counts in ((covers.first, covers.a), (covers.second, covers.b)):
                rows = np.flatnonzero(types == i)
                out[rows] -= np.minimum(zones * counts[rows], lanes.runs[i]) * lanes.leave_usd[i]
    return np.where(covers.works, out, np.inf)


def within_reach(lanes: Lanes, pools: list[Covers], usd: Floats, spot_usd: Floats, charges: Floats) -> list[Covers]:
    """Covers that may be a lane's cheapest at ``usd`` (I, L) with any part of ``charges`` (I, L) on top.

    A lane costs at most what its cheapest cover does with all charges, so what costs more without any is never taken.
    """
    if not pools:
        return []
    worth = np.min([priced(lanes, c, usd + charges, spot_usd).min(axis=0) for c in pools], axis=0)
    out = [
        _taken(c, np.flatnonzero(((priced(lanes, c, usd, spot_usd) <= worth) & c.works).any(axis=1))) for c in pools
    ]  # fmt: skip
    return [c for c in out if len(c.first)]


def counts_of(covers: Covers, cover: Counts, lane: Counts) -> tuple[Counts, Counts]:
    """(N, I) running and spot counts of covers ``cover`` of lanes ``lane``."""
    running, spot = covers.running[lane].copy(), covers.spot[lane].copy()
    row = np.arange(len(cover))
    np.add.at(running, (row, covers.first[cover]), covers.a[cover, lane])
    np.add.at(running, (row, covers.second[cover]), covers.b[cover, lane])
    return running, spot
