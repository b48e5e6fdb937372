"""Which types covers are made of: those that are cheap at some of the first prices, later those that pay.

Types are narrowed before the first round and widened once duals have settled: all are priced then, and what was
narrowed away by mistake comes back. Units are looked at some at a time, by all processors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from capacity.domain import Floats
from capacity.optimize._beside import spread_out
from capacity.optimize._clock import Deadline
from capacity.optimize.columns._cheapest import cheapest
from capacity.optimize.columns._coupling import lane_prices
from capacity.optimize.columns._covers import Covers, covers_of, priced
from capacity.optimize.columns._lanes import Counts, Lanes
from capacity.optimize.columns._part import Part, add_choices, fresh_choices
from capacity.optimize.columns._paying import may_pay
from capacity.optimize.columns.memory import Memory, content_of, types_of

# Types a unit's covers are made of: 12 cost .6 % over all types, 16 .25 % (measured); what is missed comes back later.
KEPT_TYPES = 16
# Lanes of a unit that say which types are cheap.
_FEW_LANES = 8
# Units that one job looks at.
_UNITS_OF_JOB = 8

Prices = tuple[Floats, Floats]


def narrow(part: Part, memory: Memory, scenarios: list[Floats]) -> None:
    """Keep the types that are in some nearly cheapest cover of a lane at one of the first prices; their covers."""
    jobs = list[_Wanted]()
    for at, u in enumerate(part.units):
        part.ends.check()
        own: Counts | None = np.arange(len(u.types))
        if len(u.types) > KEPT_TYPES and not u.requirement.vertical:
            own = memory.kept.get(types_of(u))
        covers = memory.covers.get(content_of(u)) if memory.covers else None
        if own is not None and covers is not None:
            part.kept[u.s], part.covers[u.s] = own, covers
        else:
            jobs.append(_Wanted(at, own, [] if own is not None else _sampled(part, u, scenarios)))
    found = spread_out(_covered, part.units, jobs, _UNITS_OF_JOB, part.ends)
    for job, (kept, covers) in zip(jobs, found, strict=True):
        s = part.units[job.at].s
        part.kept[s], part.covers[s] = kept, covers


@dataclass(frozen=True)
class _Wanted:
    """The unit at a position: types to be kept, or else prices of a few of its lanes that say which."""

    at: int
    kept: Counts | None
    prices: list[Prices]


def _sampled(part: Part, u: Lanes, scenarios: list[Floats]) -> list[Prices]:
    sample = _few_lanes(u)
    charge = np.where(sample.peak[None, :], 1.0, 0.0)
    return [lane_prices(part.coupling, sample, duals, charge) for duals in scenarios]


def _covered(units: Sequence[Lanes], some: Sequence[_Wanted], ends: Deadline) -> list[tuple[Counts, list[Covers]]]:
    out = []
    for job in some:
        ends.check()
        u = units[job.at]
        kept = _cheap_types(u, job.prices) if job.kept is None else job.kept
        out.append((kept, covers_of(u, kept)))
    return out


def _cheap_types(u: Lanes, prices: Sequence[Prices]) -> Counts:
    sample = _few_lanes(u)
    excess = np.zeros(len(u.types))
    covers = covers_of(sample, np.arange(len(u.types)))
    for usd, spot in prices:
        least = np.full((len(u.types), len(sample.hours)), np.inf)
        for c in covers:
            cost = priced(sample, c, usd, spot)
            for types in (c.first, c.second):
                order = np.argsort(types, kind="stable")
                edges = np.searchsorted(types[order], np.arange(len(u.types) + 1))
                found = np.flatnonzero(np.diff(edges))
                least[found] = np.minimum(least[found], np.minimum.reduceat(cost[order], edges[found], axis=0))
        best = least.min(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            over = np.where(np.isfinite(best) & (best > 0), least / best - 1.0, 0.0)
        # One lane in which a type is best is worth more than many in which it is close.
        excess += np.exp(-np.minimum(over, 1.0) / 0.002).sum(axis=1)
    excess[u.runs > 0] += 1e3
    return np.sort(np.argsort(-excess, kind="stable")[:KEPT_TYPES])


def _few_lanes(u: Lanes) -> Lanes:
    if len(u.hours) <= _FEW_LANES:
        return u
    at = np.unique(np.linspace(0, len(u.hours) - 1, _FEW_LANES).astype(int))
    return replace(
        u, months=u.months[at], blocks=tuple(u.blocks[k] for k in at), need=u.need[:, at], hours=u.hours[at],
        share=u.share[at], peak=u.peak[at], leave_usd=u.leave_usd[:, at], most=u.most[:, at], fixed=u.fixed[at],
        spot_room=u.spot_room[at], least_types=u.least_types[at],
    )  # fmt: skip


# --- all types -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Priced:
    """The unit at a position: prices of its lanes, what a cover of each must stay below, and the types it has."""

    at: int
    prices: Prices
    limit: Floats
    kept: Counts


def widen(part: Part, duals: Floats) -> bool:
    """Price all types once; those in a cover that pays are kept from now on. Whether any was."""
    if part.relaxed is None:
        return False
    jobs = []
    for at, (u, offset) in enumerate(zip(part.units, part.offsets, strict=False)):
        if len(part.kept[u.s]) < len(u.types):
            limit = part.relaxed.lane_duals[int(offset) : int(offset) + len(u.hours)]
            limit = limit - 1e-5 * np.maximum(np.abs(limit), 1.0)
            jobs.append(_Priced(at, lane_prices(part.coupling, u, duals), limit, part.kept[u.s]))
    found, changed = spread_out(_paying, part.units, jobs, _UNITS_OF_JOB, part.ends), False
    for job, (lanes, running, bought) in zip(jobs, found, strict=True):
        u = part.units[job.at]
        if not add_choices(part, [fresh_choices(part, job.at, lanes, running, bought)]):
            continue
        changed = True
        part.kept[u.s] = np.union1d(part.kept[u.s], np.flatnonzero((running + bought).any(axis=0)))
        part.covers[u.s] = covers_of(u, part.kept[u.s])
    return changed


def _paying(units: Sequence[Lanes], some: Sequence[_Priced], ends: Deadline) -> list[tuple[Counts, Counts, Counts]]:
    """Lanes with a cover of all types that pays, and counts (N, I) of the cheapest, on demand and as spot."""
    out = []
    for job in some:
        ends.check()
        u, (usd, spot) = units[job.at], job.prices
        types = may_pay(u, usd, job.limit)
        lanes, counts = np.zeros(0, dtype=np.int64), np.zeros((0, len(u.types)), dtype=np.int64)
        if np.isin(types, job.kept).all():
            out.append((lanes, counts, counts))
            continue
        cost, running, bought = cheapest(u, covers_of(u, types), usd, spot)
        lanes = np.flatnonzero(cost < job.limit)
        out.append((lanes, running[lanes], bought[lanes]))
    return out
