"""Better bundles for every month, in rounds with the master over all of them.

Months are priced halfway between the master's duals and the best so far: the master's own jump from round to round.
The cheapest bundles of each are bettered step by step (``_nearby``), some months at a time, by all processors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.optimize._beside import spread_out
from capacity.optimize._clock import Deadline
from capacity.optimize.columns._bundles import Bundle
from capacity.optimize.columns._lanes import Counts, Lanes, lost_demand
from capacity.optimize.columns._master import lagrangian_usd
from capacity.optimize.columns._month import Prices, month_prices, solve_month
from capacity.optimize.columns._month_options import Months, cheapest_bundles, join_bundle
from capacity.optimize.columns._nearby import best_inside, improved, month_of
from capacity.optimize.columns._quotas import Key

_ROUNDS = 24
# Bundles of a month that are bettered in a round, of so many that are cheapest then: twice as many in the first round,
# one more once the duals have settled, up to the last.
_STARTS, _MOST_STARTS, _LOOKED_AT = 1, 3, 6
# How far from the best duals to the master's months are priced.
_TOWARDS = 0.5
# For a month whose fleets have too many parts to be bettered step by step, in every third round.
_LARGE_SECONDS, _LARGE_ROUNDS = 0.6, 3
# Rounds end where the relaxed choice is within this share of the gap that is asked for of what is proven already.
_ENOUGH_SHARE = 0.25
# Rounds end where one more betters the relaxed choice by no more than this share of the gap that is asked for.
_SETTLED_SHARE, _WORTH_SHARE = 0.1, 0.005
# Months that one job betters.
_MONTHS_OF_JOB = 6


@dataclass(frozen=True)
class _Job:
    """A month of the unit at a position: its prices, what a lost region asks for, its bundles from the cheapest."""

    key: Key
    prices: Prices
    lost: float
    known: Sequence[tuple[float, Bundle]]
    number: int
    starts: int


# What a month costs at best of what was tried, inf where nothing was; counts that were found, on demand and as spot.
_Bettered = tuple[float, list[tuple[Counts, Counts]]]


def better_bundles(months: Months, keys: Sequence[Key], until: float, gap_frac: float) -> Floats | None:
    """Better the cheapest bundles of ``keys`` until the duals settle or time is up; the duals that prove most."""
    part = months.part
    # What lanes prove at their best duals, months prove there too.
    centre, centre_usd = (part.duals, part.bound) if math.isfinite(part.bound) else (None, -math.inf)
    starts = _STARTS
    for number in range(_ROUNDS):
        relaxed = months.relaxed
        if relaxed is None or part.ends.clock() > until:
            break
        centre = relaxed.duals if centre is None else centre
        duals = centre + _TOWARDS * (relaxed.duals - centre)
        known = cheapest_bundles(months, duals)
        least = {k: own[0][0] for k, own in known.items()}
        for key, usd in _round(months, keys, known, duals, (number, starts), until).items():
            least[key] = min(least[key], usd)
        value = lagrangian_usd(part.coupling, duals, np.array([*least.values()]))
        if value > centre_usd:
            centre, centre_usd = duals, value
        if not months.solve(max(until - part.ends.clock(), 1.0)) or months.relaxed is None:
            break
        # Where duals have settled, or nothing is gained, there is more to be found from other bundles.
        gain = relaxed.usd - months.relaxed.usd
        settled = months.relaxed.usd - centre_usd <= _SETTLED_SHARE * gap_frac * abs(centre_usd)
        still = gain <= _WORTH_SHARE * gap_frac * abs(centre_usd)
        proven = months.relaxed.usd - part.bound <= _ENOUGH_SHARE * gap_frac * abs(part.bound)
        if proven or (settled and still and starts == _MOST_STARTS):
            break
        starts = min(starts + int(settled or still), _MOST_STARTS)
    return centre


def _round(
    months: Months,
    keys: Sequence[Key],
    known: dict[Key, list[tuple[float, Bundle]]],
    duals: Floats,
    turn: tuple[int, int],
    until: float,
) -> dict[Key, float]:
    """What each month costs at best of what was tried; all that was found joins the bundles."""
    part = months.part
    jobs = []
    for at, t in keys:
        u = part.units[at]
        prices = month_prices(part.coupling, u, t, np.flatnonzero(u.months == t), duals)
        # What an earlier solve left behind is bettered already.
        number = max(turn[0], int((at, t) in part.bundles))
        jobs.append(_Job((at, t), prices, lost_demand(part.fleet, u, t), known[at, t][:_LOOKED_AT], number, turn[1]))
    ends, out = Deadline(part.ends.clock, min(until, part.ends.at)), dict[Key, float]()
    found = spread_out(_better, part.units, jobs, _MONTHS_OF_JOB, ends)
    for job, (usd, counts) in zip(jobs, found, strict=True):
        out[job.key] = usd
        for running, spot in counts:
            join_bundle(months, job.key, running, spot)
    return out


def _better(units: Sequence[Lanes], jobs: Sequence[_Job], ends: Deadline) -> list[_Bettered]:
    """Of as many of the months as there is time for; nothing of the others."""
    return [(math.inf, []) if ends.passed else _better_month(units[job.key[0]], job, ends) for job in jobs]


def _better_month(u: Lanes, job: _Job, ends: Deadline) -> _Bettered:
    lanes, prices, known = np.flatnonzero(u.months == job.key[1]), job.prices, job.known
    starts = [(b.provisioned, b.spot) for _, b in known]
    if job.number == 0:
        starts = [(f, np.zeros_like(known[0][1].spot)) for f in _alone(u, lanes, prices.each_usd)] + starts
    best, found, tried = math.inf, [], 0
    for fleet, spot in starts:
        m = month_of(u, lanes, prices.usd, prices.each_usd, spot, job.lost)
        inside = best_inside(m, fleet) if tried < (job.starts if job.number else 2 * job.starts) else None
        if inside is None:
            continue
        tried += 1
        usd, running, _ = improved(m, fleet, inside[0]) or (*inside, fleet)
        best = min(best, usd + prices.of_spot(spot))
        found.append((running, spot))
    if not tried and job.number % _LARGE_ROUNDS == 0:
        b, seconds = known[0][1], min(_LARGE_SECONDS, ends.left)
        solved = solve_month(u, lanes, prices, job.lost, (b.running, b.spot, b.provisioned), seconds, (1e-6, 5e-3))
        if solved is not None:
            best = solved[0]
            found.append((solved[1], solved[2]))
    return best, found


def _alone(u: Lanes, lanes: Counts, each_usd: Floats) -> list[Counts]:
    """The cheapest fleets of one type that hold all of a month, with one each of others where variety is asked for."""
    need = u.need[:, lanes].max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        count = np.where(need[:, None] > 0, np.ceil(need[:, None] / u.weight * (1 - 1e-9)), 0.0).max(axis=0)
    count = np.maximum(count, max(u.requirement.min_per_zone, 1))
    usd = np.where(count <= u.requirement.max_per_zone, count * (u.usd * u.hours[lanes].sum() + each_usd), math.inf)
    others = [int(i) for i in np.argsort(u.usd, kind="stable")]
    out = []
    for i in np.argsort(usd, kind="stable")[:_STARTS]:
        if np.isfinite(usd[i]):
            fleet = np.zeros(len(u.types), dtype=np.int64)
            fleet[[k for k in others if k != i][: max(int(u.least_types[lanes].max()) - 1, 0)]] = 1
            fleet[i] = int(count[i])
            out.append(fleet)
    return out
