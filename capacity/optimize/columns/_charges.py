"""What lanes prove of whole months: a quota's charge split over a month's lanes, every lane searched whole.

``_split`` moves charges by what covers of two types would take. Here the counts that searches of lanes found are the
pool that charges are split over (cutting planes of the Lagrangian dual, Kelley 1960): a search at the new charges finds
counts that the pool lacked, and proves what the lanes cost at least; rounds end where both agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.optimize._beside import spread_out
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize.columns._branch import Chosen
from capacity.optimize.columns._bundles import Bundle
from capacity.optimize.columns._cheapest import cheapest
from capacity.optimize.columns._coupling import lane_prices
from capacity.optimize.columns._covers import Covers
from capacity.optimize.columns._lanes import Counts, Lanes
from capacity.optimize.columns._part import Part
from capacity.optimize.columns._priced import Prices, price_units
from capacity.optimize.columns._quotas import Key, month_lanes
from capacity.optimize.columns._split import STEPS, Ascent, better_charge, concerned, scarcity
from capacity.optimize.columns.rounds import cells_of

# Counts that join the pool: within this share of a lane's cheapest, at most so many a lane and round.
_MARGIN_FRAC, _MOST_NEAR = 0.01, 25
# A unit is settled where its pool promises no more than this share above what is proven.
_SETTLED_FRAC = 1e-4
# Units that one job begins with, or splits.
_UNITS_OF_JOB = 6

# Bundles of a unit's month from the cheapest, with their cost at the duals.
Known = dict[Key, list[tuple[float, Bundle]]]


@dataclass
class _Charged:
    """A unit that a quota minds, by position: its prices without charges, what an instance is charged, lanes' pools.

    ``charge`` (I, L) is the best split so far, ``least`` (L,) what lanes cost at least under it. ``above`` is, by
    month, what the cheapest bundle known costs.
    """

    at: int
    usd: Floats
    spot: Floats
    scarce: Floats
    pool: list[tuple[Counts, Floats]]
    charge: Floats
    least: Floats
    above: dict[int, float]

    def prices(self, charge: Floats) -> Prices:
        return self.usd + self.scarce * charge, self.spot

    def known(self, charge: Floats) -> Floats:
        """(L,) the least that the pool costs."""
        usd, _ = self.prices(charge)
        return np.array([
            float((counts @ usd[:, k] + fixed).min()) if len(counts) else np.inf
            for k, (counts, fixed) in enumerate(self.pool)
        ])  # fmt: skip

    def add(self, u: Lanes, lane: int, running: Counts, spot: Counts) -> None:
        """Counts (N, I) of a lane join its pool."""
        left = np.maximum(u.runs[None, :] - u.requirement.zones * running, 0)
        price = np.where(np.isfinite(self.spot[:, lane]), self.spot[:, lane], 0.0)
        fixed = left @ u.leave_usd[:, lane] + spot @ price
        old_counts, old_fixed = self.pool[lane]
        both = np.concatenate([old_counts, running]), np.concatenate([old_fixed, fixed])
        _, first = np.unique(np.concatenate([both[0], both[1][:, None]], axis=1), axis=0, return_index=True)
        self.pool[lane] = both[0][first], both[1][first]


@dataclass
class Proven:
    """At ``duals``: (lanes,) what each lane costs at least, and the prices it was proven at, by unit."""

    duals: Floats
    least: Floats
    prices: list[Prices]


def charged_lanes(part: Part, duals: Floats, known: Known, until: float, rounds: int, first: bool) -> Iterator[Proven]:
    """What lanes prove at ``duals``, after each round; ``part.coupling.charge`` is left at the best split.

    ``first``: charges are not near yet, so covers of two types split them to begin with. Ends where charges are
    settled, after ``rounds`` or at ``until``.
    """
    ends = Deadline(part.ends.clock, min(until, part.ends.at))
    cells = cells_of(part)
    try:
        some = [at for at, u in enumerate(part.units) if _is_split(part, u, duals)]
        units = _all_charged(part, some, duals, known, first, ends)
        least = _others(part, duals, set(units), cells, ends)
        active = dict(units)
        for number in range(rounds):
            tried = {at: c.charge for at, c in active.items()} if number == 0 else _all_split(part.units, active, ends)
            active = _searched(part.units, active, tried, cells, ends) if active else {}
            prices = [lane_prices(part.coupling, u, duals) for u in part.units]
            for at, c in units.items():
                least[part.offsets[at] : part.offsets[at + 1]] = c.least
                prices[at] = c.prices(c.charge)
            part.coupling.charge.update({part.units[at].s: c.charge for at, c in units.items()})
            yield Proven(duals, least.copy(), prices)
            if not active:
                return
    except TimeIsUp:
        return


def _is_split(part: Part, u: Lanes, duals: Floats) -> bool:
    return concerned(part.coupling, u, duals) and not u.requirement.vertical


def _others(part: Part, duals: Floats, charged: set[int], cells: int, ends: Deadline) -> Floats:
    """(lanes,) what lanes of all other units cost at least; -inf for those that are charged."""
    out = np.full(part.lanes, -np.inf)
    some = [at for at in range(len(part.units)) if at not in charged]
    if not some:
        return out
    prices = [lane_prices(part.coupling, part.units[at], duals) for at in some]
    units = (part.units[at] for at in some)
    known = np.concatenate([cheapest(u, part.covers[u.s], *p)[0] for u, p in zip(units, prices, strict=True)])
    where = np.concatenate([np.arange(part.offsets[at], part.offsets[at + 1]) for at in some])
    out[where] = price_units(part.units, some, prices, known, cells, ends).least
    return out


@dataclass(frozen=True)
class _Begun:
    """A unit before its first round: covers of two types, and the counts of known bundles by lane."""

    unit: _Charged
    covers: list[Covers]
    known: list[tuple[Counts, Counts]]
    is_split: bool


def _all_charged(
    part: Part, some: Sequence[int], duals: Floats, known: Known, first: bool, ends: Deadline
) -> dict[int, _Charged]:
    begun = [_begun(part, at, duals, known, first) for at in some]
    return {c.at: c for c in spread_out(_charged, part.units, begun, _UNITS_OF_JOB, ends)}


def _begun(part: Part, at: int, duals: Floats, known: Known, first: bool) -> _Begun:
    u, own = part.units[at], list[tuple[Counts, Counts]]()
    charge = part.coupling.charge[u.s].copy()
    usd, spot = lane_prices(part.coupling, u, duals, np.zeros_like(charge))
    nothing = (np.zeros((0, len(u.types)), dtype=np.int64), np.zeros(0))
    for k, t in enumerate(u.months):
        j = int((u.months[:k] == t).sum())
        bundles = [b for _, b in known[at, int(t)]]
        own.append((np.array([b.running[j] for b in bundles]), np.array([b.spot[j] for b in bundles])))
    unit = _Charged(
        at, usd, spot, scarcity(part.coupling, u, duals), [nothing] * len(u.hours), charge,
        np.full(len(u.hours), -np.inf), {t: known[at, t][0][0] for t, _ in month_lanes(u)},
    )  # fmt: skip
    # Covers of spot are many, and say less of where a quota is used.
    return _Begun(unit, part.covers[u.s], own, first and not bool((u.spot_room > 0).any()))


def _charged(units: Sequence[Lanes], jobs: Sequence[_Begun], ends: Deadline) -> list[_Charged]:
    for job in jobs:
        ends.check()
        c, u = job.unit, units[job.unit.at]
        if job.is_split:
            c.charge = better_charge(u, job.covers, (c.usd, c.spot), c.scarce, c.charge, cheapest, c.above)
        # Covers of two types that are cheapest as charges are now.
        _, running, bought = cheapest(u, job.covers, *c.prices(c.charge))
        for k, (counts, spot) in enumerate(job.known):
            c.add(u, k, np.concatenate([counts, running[k : k + 1]]), np.concatenate([spot, bought[k : k + 1]]))
    return [job.unit for job in jobs]


def _searched(
    units: Sequence[Lanes], active: dict[int, _Charged], tried: dict[int, Floats], cells: int, ends: Deadline
) -> dict[int, _Charged]:
    """Search the lanes at the charges that are tried, and keep what proves more; those that are not settled."""
    own = [*active.values()]
    prices = [c.prices(charge) for c, charge in zip(own, tried.values(), strict=True)]
    known = np.concatenate([c.known(charge) for c, charge in zip(own, tried.values(), strict=True)])
    found = price_units(units, [*active], prices, known, cells, ends, (_MARGIN_FRAC, _MOST_NEAR))
    out, offset = {}, 0
    for (at, c), charge in zip(active.items(), tried.values(), strict=True):
        here = slice(offset, offset + len(c.least))
        least, promised = found.least[here], float(known[here].sum())
        for k in range(len(c.least)):
            best = [found.found[offset + k]] if offset + k in found.found else []
            _join(units[at], c, k, [*best, *found.near.get(offset + k, [])])
        if least.sum() > c.least.sum():
            c.least, c.charge = least, charge
        if not promised - least.sum() <= _SETTLED_FRAC * abs(promised):
            out[at] = c
        offset += len(c.least)
    return out


def _join(u: Lanes, c: _Charged, lane: int, found: list[Chosen]) -> None:
    if not found:
        return
    running = np.zeros((len(found), len(u.types)), dtype=np.int64)
    spot = running.copy()
    for n, (here, as_spot) in enumerate(found):
        running[n, list(here)], spot[n, list(as_spot)] = list(here.values()), list(as_spot.values())
    c.add(u, lane, running, spot)


def _all_split(units: Sequence[Lanes], active: dict[int, _Charged], ends: Deadline) -> dict[int, Floats]:
    charges = spread_out(_split, units, [*active.values()], _UNITS_OF_JOB, ends)
    return dict(zip(active, charges, strict=True))


def _split(units: Sequence[Lanes], some: Sequence[_Charged], ends: Deadline) -> list[Floats]:
    """The split of each month under which the pool costs most: steps of a subgradient from the best so far."""
    out = []
    for c in some:
        ends.check()
        out.append(c.charge.copy())
        for t, lanes in month_lanes(units[c.at]):
            out[-1][:, lanes] = _split_month(c, lanes, c.above[t])
    return out


def _split_month(c: _Charged, lanes: Counts, above: float) -> Floats:
    sizes = [len(c.pool[k][0]) for k in lanes]
    counts = np.concatenate([c.pool[k][0] for k in lanes])
    lane = np.repeat(np.arange(len(lanes)), sizes)
    edges = np.cumsum([0, *sizes[:-1]])
    fixed = np.concatenate([c.pool[k][1] for k in lanes])
    fixed = fixed + np.einsum("ni,in->n", counts, c.usd[:, lanes][:, lane])
    scarce = c.scarce[:, lanes[0]]
    weighted = counts * scarce[None, :]
    ascent = Ascent(scarce, c.charge[:, lanes], above)
    for _ in range(STEPS):
        cost = fixed + np.einsum("ni,in->n", weighted, ascent.charge[:, lane])
        chosen = np.array([e + int(cost[e : e + n].argmin()) for e, n in zip(edges, sizes, strict=True)])
        if not ascent.step(float(cost[chosen].sum()), counts[chosen].T):
            break
    return ascent.best
