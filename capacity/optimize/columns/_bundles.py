"""A unit's month as a whole: what its lanes' counts need to be provisioned, and bundles that need less of a quota.

n is the most that runs in any block. Lanes that each take their cheapest cover together provision the union of all
of them; where a quota minds, a bundle takes one cover of the largest load and runs some of the same in other lanes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._coupling import Coupling
from capacity.optimize.columns._covers import Covers, counts_of, priced
from capacity.optimize.columns._lanes import Counts, Lanes

# Prices of a provisioned vCPU at which bundles are grown, in multiples of what the cheapest costs to run all month.
_SCARCITY = (0.003, 0.01, 0.03, 0.08, 0.2, 0.6, 2.0, 30.0)
# (that multiple, how many covers of a lane are looked at which are cheapest at it).
_SHARES = ((0.0, 30), (0.1, 15), (0.4, 15), (2.0, 15), (30.0, 15))
_PASSES = 2
_MOST_BUNDLES = 16


@dataclass(frozen=True)
class Bundle:
    """Counts (lanes of the month, I) on demand and as spot, and what is provisioned on demand (I,)."""

    running: Counts
    spot: Counts
    provisioned: Counts


def provisioned(u: Lanes, lanes: Counts, running: Counts, spot: Counts, lost: float) -> Counts | None:
    """(I,) on-demand counts of the month; None where they break its largest count or cannot bear a lost region.

    ``lost`` is what they must serve together then.
    """
    r = u.requirement
    if u.fixed[lanes[0]]:
        n = u.most[:, lanes[0]]
        return None if (running > n[None, :]).any() else n
    n = running.max(axis=0)
    room = r.max_per_zone - int(spot.sum(axis=1).max(initial=0))
    if lost > 0:
        holds = r.zones * np.array([c.zone_loss for c in u.candidates])
        n = _lifted(n, holds, lost, np.array([max(c.vcpu, 1) for c in u.candidates], dtype=float), room)
        if float(holds @ n) < lost * (1 - 1e-9):
            return None
    return n if int(n.sum()) <= room else None


def _lifted(n: Counts, holds: Floats, need: float, vcpu: Floats, room: int) -> Counts:
    """More of the type that holds most a vCPU, else of the one that holds most, until ``need`` is held."""
    missing = need - float(holds @ n)
    if missing <= 0 or not (holds > 0).any():
        return n
    more = np.ceil(missing / np.where(holds > 0, holds, np.inf) * (1 - 1e-9))
    fits = (holds > 0) & (n.sum() + more <= room)
    cost = np.where(holds > 0, more * vcpu, np.inf)
    best = int(np.argmin(np.where(fits, cost, np.inf))) if fits.any() else int(np.argmax(holds))
    out = n.copy()
    out[best] += int(more[best])
    return out


def bundles_of(
    u: Lanes,
    lanes: Counts,
    pools: list[Covers],
    prices: tuple[Floats, Floats],
    further: list[tuple[Counts, Counts]],
    scarce: list[Floats],
    known: list[Bundle],
    lost: float,
) -> list[Bundle]:
    """``known`` bundles and those that are grown at each price of what is provisioned: ``scarce`` are (I,) USD.

    ``prices`` (I, L) are on demand and spot, without those of quotas; ``further`` are columns found before, by lane.
    """
    usd, spot_usd = prices
    options = _options_of(u, lanes, pools, usd, spot_usd, further)
    vcpu = np.array([c.vcpu for c in u.candidates], dtype=float)
    costs = [priced(u, pool, usd, spot_usd)[:, lanes] for pool in pools]
    found, seen = list(known), set()
    for usd_each in scarce if all(len(cost) for *_, cost in options) else ():
        grown = _grown(lanes, u, options, usd_each)
        peak = int(np.flatnonzero(u.peak[lanes])[0])
        for cap in (grown[0].max(axis=0), grown[0][peak]):
            key = cap.tobytes() + grown[1].tobytes()
            if key in seen:
                continue
            seen.add(key)
            made = _within(u, lanes, pools, costs, options, cap, grown)
            n = None if made is None else provisioned(u, lanes, *made, lost)
            if made is not None and n is not None:
                found.append(Bundle(*made, n))
    worth = [
        sum(
            float(_lane_cost(u, int(k), b.running[j : j + 1], b.spot[j : j + 1], usd, spot_usd)[0])
            for j, k in enumerate(lanes)
        )
        for b in found
    ]
    return _front(found, worth, [float(vcpu @ b.provisioned) for b in found])


def _within(
    u: Lanes,
    lanes: Counts,
    pools: list[Covers],
    costs: list[Floats],
    options: list[tuple[Counts, Counts, Floats]],
    cap: Counts,
    grown: tuple[Counts, Counts],
) -> tuple[Counts, Counts] | None:
    """The cheapest cover of each lane that is part of ``cap``: of the pools, of ``options``, or all of it."""
    best = np.full(len(lanes), np.inf)
    running, spot = np.zeros_like(grown[0]), np.zeros_like(grown[1])
    for k in range(len(lanes)):
        counts, bought, cost = options[k]
        inside = (counts <= cap[None, :]).all(axis=1) & (bought <= grown[1].max(axis=0)[None, :]).all(axis=1)
        if inside.any():
            c = int(np.argmin(np.where(inside, cost, np.inf)))
            best[k], running[k], spot[k] = cost[c], counts[c], bought[c]
    for pool, price in zip(pools, costs, strict=True):
        if pool.spot.any():
            continue
        footing = np.asarray((pool.running[lanes] <= cap[None, :]).all(axis=1))[None, :]
        allowed = (pool.a[:, lanes] <= cap[pool.first][:, None]) & (pool.b[:, lanes] <= cap[pool.second][:, None])
        allowed = np.asarray(allowed & footing)
        cost = np.where(allowed, price, np.inf)
        choice = cost.argmin(axis=0)
        better = np.flatnonzero(cost[choice, np.arange(len(lanes))] < best)
        if len(better):
            best[better] = cost[choice[better], better]
            running[better], spot[better] = counts_of(pool, choice[better], lanes[better])
    left = np.flatnonzero(~np.isfinite(best))
    if len(left):
        whole = np.zeros((len(u.hours), len(u.types)), dtype=np.int64)
        whole[lanes] = cap
        if not u.allows(whole, np.zeros_like(whole))[lanes[left]].all():
            return None
        running[left], spot[left] = cap, 0
    return running, spot


def first_prices(u: Lanes, lanes: Counts, concerned: Floats) -> list[Floats]:
    """Prices of what is provisioned, before any dual is known; ``concerned`` (I,) is 0 where no quota counts a type."""
    vcpu = np.array([c.vcpu for c in u.candidates], dtype=float)
    if not (vcpu > 0).any():
        return [np.zeros(len(vcpu))]
    own = float(np.min(u.usd[vcpu > 0] / vcpu[vcpu > 0])) * float(u.hours[lanes].sum())
    return [times * own * vcpu * concerned for times in _SCARCITY]


def _options_of(
    u: Lanes, lanes: Counts, pools: list[Covers], usd: Floats, spot_usd: Floats, further: list[tuple[Counts, Counts]]
) -> list[tuple[Counts, Counts, Floats]]:
    """Covers of each lane that are cheap, or cheap where vCPU are dear, and ``further`` ones (columns found before)."""
    vcpu = np.array([c.vcpu for c in u.candidates], dtype=float)
    own = float(np.min(u.usd[vcpu > 0] / vcpu[vcpu > 0])) if (vcpu > 0).any() else 0.0
    costs = [priced(u, pool, usd, spot_usd)[:, lanes] for pool in pools]
    out = []
    for k, lane in enumerate(lanes):
        running, spot = further[k]
        for pool, cost in zip(pools, costs, strict=True):
            used = vcpu[pool.first] * pool.a[:, lane] + vcpu[pool.second] * pool.b[:, lane]
            chosen: list[int] = []
            for times, count in _SHARES:
                value = cost[:, k] + times * own * u.hours[lane] * used
                near: list[int] = (
                    np.argpartition(value, min(count, len(value) - 1))[:count].tolist() if len(value) else []
                )
                chosen += [int(c) for c in near if np.isfinite(value[c])]
            if chosen:
                c = np.unique(chosen)
                r, p = counts_of(pool, c, np.full(len(c), lane))
                running, spot = np.concatenate([running, r]), np.concatenate([spot, p])
        out.append((running, spot, _lane_cost(u, int(lane), running, spot, usd, spot_usd)))
    return out


def _lane_cost(u: Lanes, lane: int, running: Counts, spot: Counts, usd: Floats, spot_usd: Floats) -> Floats:
    each = np.where(np.isfinite(spot_usd[:, lane]), spot_usd[:, lane], 0.0)
    left = np.maximum(u.runs[None, :] - u.requirement.zones * running, 0)
    return np.asarray(running @ usd[:, lane] + spot @ each + left @ u.leave_usd[:, lane])


def _grown(
    lanes: Counts, u: Lanes, options: list[tuple[Counts, Counts, Floats]], usd_each: Floats
) -> tuple[Counts, Counts]:
    """Lane by lane, from the largest load: the cheapest cover, paying for what it needs beyond what is there already.

    A second pass lets each lane choose again, given all others.
    """
    order = sorted(range(len(lanes)), key=lambda k: (-float(u.need[0, lanes[k]]), k))
    running = np.zeros((len(lanes), len(u.types)), dtype=np.int64)
    spot = np.zeros_like(running)
    for _ in range(_PASSES):
        for k in order:
            counts, bought, cost = options[k]
            others = np.delete(running, k, axis=0).max(axis=0, initial=0)
            held = np.delete(spot, k, axis=0).max(axis=0, initial=0)
            beyond = np.maximum(counts - others, 0) + np.maximum(bought - held, 0)
            best = int(np.argmin(cost + beyond @ usd_each))
            running[k], spot[k] = counts[best], bought[best]
    return running, spot


def _front(found: list[Bundle], costs: list[float], vcpu: list[float]) -> list[Bundle]:
    """Bundles that no other betters in cost and vCPU, evenly thinned."""
    front: list[Bundle] = []
    least = np.inf
    for k in sorted(range(len(found)), key=lambda k: (costs[k], vcpu[k], k)):
        if vcpu[k] < least:
            front.append(found[k])
            least = vcpu[k]
    if len(front) > _MOST_BUNDLES:
        front = [front[int(k)] for k in np.unique(np.linspace(0, len(front) - 1, _MOST_BUNDLES).astype(int))]
    return front


def month_rows(coupling: Coupling, u: Lanes, t: int, bundle: Bundle) -> dict[int, float]:
    """What a bundle truly brings to the rows of its month: vCPU of what is provisioned, and of the most spot."""
    out: dict[int, float] = {}
    vcpu = u.requirement.zones * np.array([c.vcpu for c in u.candidates], dtype=float)
    most_spot = bundle.spot.max(axis=0)
    for table, counts, worth in (
        (coupling.quota_row, bundle.provisioned, vcpu),
        (coupling.unused_row, bundle.provisioned, np.full(len(vcpu), -float(u.requirement.zones))),
        (coupling.spot_quota_row, most_spot, vcpu),
    ):
        rows = table[u.s][:, t]
        for i in np.flatnonzero((rows >= 0) & (counts > 0)):
            out[int(rows[i])] = out.get(int(rows[i]), 0.0) + float(worth[i] * counts[i])
    return out
