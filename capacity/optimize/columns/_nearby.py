"""Better bundles of a unit's month, step by step: one provisioned instance is left out, some of another type added.

What a lane costs at least inside a provisioned fleet is a small knapsack: all parts of the fleet are written down once,
and what some more of any type would save is looked up for all lanes and types together. Each step takes the change that
is worth most, and is priced anew before it is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._lanes import Counts, Lanes

# Parts of a fleet that are written down at most; larger fleets are left as they are.
_MOST_PARTS = 4000
# Parts times lanes, where several rows decide: each is then compared with each need.
_MOST_PAIRS = 4000
# Steps from one start, and instances that are added in one step.
_STEPS, _ADDED = 24, 3
_WHOLE = 1e-9


@dataclass(frozen=True)
class Month:
    """A unit's month at prices: ``usd`` (I, K) on demand over each lane's hours, ``each_usd`` (I,) of one provisioned.

    ``need`` (rows, K) is what on-demand instances must hold of each row, ``weight`` (rows, I) what one holds.
    ``leave_usd`` (I, K), ``runs`` (I,) and ``zones`` are of the switching penalty; ``kinds`` (K,) types that are asked
    for, ``least`` instances that must run; ``whole`` (I,) and ``whole_need`` what the provisioned must hold together.
    """

    usd: Floats
    each_usd: Floats
    weight: Floats
    need: Floats
    leave_usd: Floats
    runs: Counts
    zones: int
    kinds: Counts
    least: int
    most: int
    whole: Floats
    whole_need: float


def month_of(u: Lanes, lanes: Counts, usd: Floats, each_usd: Floats, spot: Counts, lost: float) -> Month:
    """The month of ``lanes`` where ``spot`` (K, I) serves its part; ``usd`` (I, K) without prices of quotas.

    What it costs is without the spot.
    """
    r = u.requirement
    need = u.need[:, lanes] - u.spot_weight @ spot.T
    rows = telling(u.weight, need)
    own = ((spot > 0).sum(axis=1)).astype(np.int64)
    kinds = np.maximum(u.least_types[lanes] - own, 0)
    # What holds something is at least one instance of one type.
    kinds = np.where((kinds == 1) & (need > 0).any(axis=0), 0, kinds)
    whole = r.zones * np.array([c.zone_loss for c in u.candidates], dtype=float)
    return Month(
        usd, each_usd, u.weight[rows], need[rows], u.leave_usd[:, lanes], u.runs, r.zones,
        kinds, max(r.min_per_zone - int(spot.sum(axis=1).min(initial=0)), 0),
        r.max_per_zone - int(spot.sum(axis=1).max(initial=0)), whole, lost,
    )  # fmt: skip


def telling(weight: Floats, need: Floats) -> Counts:
    """Rows that no other implies: another one asks, of every type and in every lane, for at least as many instances."""
    kept: list[int] = []
    order = range(len(weight))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(
            need[:, None, :] > 0, np.where(weight[:, :, None] > 0, need[:, None, :] / weight[:, :, None], np.inf), 0.0
        )
    for a in order:
        implied = any(
            (share[b] >= share[a]).all() and not (b > a and (share[b] == share[a]).all()) for b in order if b != a
        )
        if not implied and (need[a] > 0).any():
            kept.append(a)
    return np.array(kept, dtype=np.int64)


def _leave(m: Month, types: Counts, counts: Counts) -> Floats:
    """(N, K) switching penalty of the listed types at counts (N, types)."""
    left = np.maximum(m.runs[types][None, :] - m.zones * counts, 0)
    return np.asarray(left @ m.leave_usd[types])


@dataclass(frozen=True)
class _Parts:
    """All parts of a fleet: ``counts`` (N, types) of ``types``, what they hold (N, rows) and cost by lane (N, K)."""

    types: Counts
    counts: Counts
    held: Floats
    usd: Floats
    kinds: Counts


def _parts(m: Month, fleet: Counts) -> _Parts | None:
    types = np.flatnonzero(fleet)
    most = _MOST_PARTS if len(m.weight) == 1 else _MOST_PAIRS // max(m.usd.shape[1], 1)
    if np.prod(fleet[types] + 1.0) > most:
        return None
    shape = tuple(int(x) + 1 for x in fleet[types])
    counts = np.indices(shape).reshape(len(types), -1).T if len(types) else np.zeros((1, 0), dtype=np.int64)
    # The penalty of what is not in the fleet is the same whatever runs of it.
    usd = counts @ m.usd[types] + _leave(m, types, counts)
    others = np.setdiff1d(np.flatnonzero(m.runs > 0), types)
    usd = usd + (m.runs[others] @ m.leave_usd[others])[None, :]
    return _Parts(types, counts, counts @ m.weight[:, types].T, usd, (counts > 0).sum(axis=1))


def best_inside(m: Month, fleet: Counts) -> tuple[float, Counts] | None:
    """Least cost of the month inside ``fleet`` (I,), with its own; counts (K, I). None where it does not hold."""
    parts = _parts(m, fleet)
    if parts is None or float(m.whole @ fleet) < m.whole_need * (1 - _WHOLE) or int(fleet.sum()) > m.most:
        return None
    held = (parts.held[:, :, None] >= m.need[None, :, :] * (1 - _WHOLE)).all(axis=1)
    held &= (parts.kinds[:, None] >= m.kinds[None, :]) & (parts.counts.sum(axis=1) >= m.least)[:, None]
    usd = np.where(held, parts.usd, np.inf)
    choice = usd.argmin(axis=0)
    least = usd[choice, np.arange(usd.shape[1])]
    if not np.isfinite(least).all():
        return None
    running = np.zeros((len(choice), len(fleet)), dtype=np.int64)
    running[:, parts.types] = parts.counts[choice]
    return float(least.sum() + m.each_usd @ fleet), running


def _with_more(m: Month, parts: _Parts, fleet: Counts) -> Floats:
    """(added + 1, I) about what the month costs inside the parts' fleet with so many more of a type."""
    added = np.arange(_ADDED + 1)
    extra = np.array([q * m.usd + _saved(m, fleet, int(q)) for q in added])
    cost = (_one_row(m, parts, fleet) if len(m.weight) == 1 else _any_rows(m, parts, fleet)) + extra
    # So many more may stay unused in a lane.
    usd = np.minimum.accumulate(cost, axis=0).sum(axis=2)
    usd = usd + float(m.each_usd @ fleet) + added[:, None] * m.each_usd[None, :]
    whole = float(m.whole @ fleet) + added[:, None] * m.whole[None, :]
    return np.where(whole >= m.whole_need * (1 - _WHOLE), usd, np.inf)


def _one_row(m: Month, parts: _Parts, fleet: Counts) -> Floats:
    """(added + 1, I, K) the cheapest part that holds what is left of each lane, where one row decides."""
    out = np.full((_ADDED + 1, *m.usd.shape), np.inf)
    size, new = parts.counts.sum(axis=1), fleet == 0
    need, weight = m.need[0] * (1 - _WHOLE), m.weight[0]
    for kinds in np.unique(m.kinds):
        lanes = np.flatnonzero(m.kinds == kinds)
        known: dict[bytes, tuple[Floats, Floats]] = {}
        for q in range(_ADDED + 1):
            for brings, types in ((0, np.flatnonzero(~new)), (int(q > 0), np.flatnonzero(new))):
                fits = (parts.kinds + brings >= kinds) & (size + q >= m.least)
                key = fits.tobytes()
                if key not in known:
                    known[key] = _least_of(parts, np.flatnonzero(fits), lanes)
                held, least = known[key]
                at = np.searchsorted(held, need[None, lanes] - q * weight[types][:, None])
                out[q][np.ix_(types, lanes)] = least[at, np.arange(len(lanes))]
    return out


def _least_of(parts: _Parts, fits: Counts, lanes: Counts) -> tuple[Floats, Floats]:
    """(N,) what the parts ``fits`` hold, in order, and (N + 1, lanes) the least cost of those that hold as much."""
    order = fits[np.argsort(parts.held[fits, 0], kind="stable")]
    least = np.full((len(order) + 1, len(lanes)), np.inf)
    np.minimum.accumulate(parts.usd[np.ix_(order[::-1], lanes)], axis=0, out=least[-2::-1])
    return parts.held[order, 0], least


def _any_rows(m: Month, parts: _Parts, fleet: Counts) -> Floats:
    """As :func:`_one_row`, with any number of rows, types and instances asked for."""
    out = np.full((_ADDED + 1, *m.usd.shape), np.inf)
    new, size = (fleet == 0).astype(np.int64), parts.counts.sum(axis=1)
    for q in range(_ADDED + 1):
        for k in range(m.usd.shape[1]):
            enough = np.ones((len(size), len(fleet)), dtype=bool)
            for held, weight, need in zip(parts.held.T, m.weight, m.need[:, k], strict=True):
                enough &= held[:, None] >= need * (1 - _WHOLE) - q * weight[None, :]
            if m.kinds[k] > 0:
                enough &= parts.kinds[:, None] + (new if q else 0 * new)[None, :] >= m.kinds[k]
            if m.least > 0:
                enough &= (size + q >= m.least)[:, None]
            out[q, :, k] = np.where(enough, parts.usd[:, k][:, None], np.inf).min(axis=0)
    return out


def _saved(m: Month, fleet: Counts, q: int) -> Floats:
    """(I, K) what q more of a type that the fleet does not have take off the switching penalty (<= 0)."""
    saved = np.minimum(m.runs, m.zones * q)[:, None] * m.leave_usd
    return np.where((fleet == 0)[:, None], -saved, 0.0)


def improved(m: Month, fleet: Counts, known_usd: float) -> tuple[float, Counts, Counts] | None:
    """(USD, counts (K, I), fleet (I,)) after the steps from ``fleet``; None where none was worth it."""
    found: tuple[float, Counts, Counts] | None = None
    now, usd = fleet.copy(), known_usd
    for _ in range(_STEPS):
        change = _step(m, now, usd)
        if change is None:
            break
        inside = best_inside(m, change)
        if inside is None or inside[0] >= usd - 1e-7 * abs(usd):
            break
        now, usd = change, inside[0]
        found = (usd, inside[1], now)
    return found


def _step(m: Month, now: Counts, usd: float) -> Counts | None:
    best: tuple[float, Counts] | None = None
    for i in [-1, *np.flatnonzero(now)]:
        fewer = now.copy()
        if i >= 0:
            fewer[i] -= 1
        parts = _parts(m, fewer)
        if parts is None:
            continue
        more = _with_more(m, parts, fewer)
        q, j = np.unravel_index(int(more.argmin()), more.shape)
        if more[q, j] < (usd if best is None else best[0]) - 1e-7 * abs(usd):
            changed = fewer.copy()
            changed[int(j)] += int(q)
            best = (float(more[q, j]), changed)
    return None if best is None else best[1]
