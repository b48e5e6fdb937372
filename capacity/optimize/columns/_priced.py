"""Lanes of units priced whole: what each costs at least at given prices, and counts that were found on the way.

Lanes are searched (``_branch``), listed where they are pinned (``_given``), and weighed by knapsacks (``_bound``) where
the search leaves them open; some units at a time, by all processors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.optimize._beside import spread
from capacity.optimize._clock import Deadline
from capacity.optimize.columns._bound import least_costs
from capacity.optimize.columns._branch import FOLLOWED, Chosen, search
from capacity.optimize.columns._given import given_lanes
from capacity.optimize.columns._lane_problem import LaneProblem, lane_problem
from capacity.optimize.columns._lanes import Counts, Lanes

# A lane is open where its bound is further than this share from what is known.
_OPEN_FRAC = 1e-3
# Lanes that one job prices, and some more where the last unit has more: many are searched quicker together.
_LANES_OF_JOB = 160

Prices = tuple[Floats, Floats]


@dataclass
class Priced:
    """Of the lanes of some units, in their order: (lanes,) what each costs at least, the least that is known, counts
    that were found and beat what was known before, and others that are near.
    """

    least: Floats
    known: Floats
    found: dict[int, Chosen]
    near: dict[int, list[Chosen]]


@dataclass(frozen=True)
class _Job:
    """``some`` of the units, by position: their prices, what is known of their lanes, how closely they are priced."""

    some: Sequence[int]
    prices: Sequence[Prices]
    known: Floats
    cells: int
    near: tuple[float, int]


def price_units(
    units: Sequence[Lanes],
    some: Sequence[int],
    prices: Sequence[Prices],
    known: Floats,
    cells: int,
    ends: Deadline,
    near: tuple[float, int] = (0.0, 0),
) -> Priced:
    """Search the lanes of ``some`` of the ``units``, by position, at their ``prices`` (on demand, spot).

    ``known`` (lanes,) are costs to beat, inf for none.

    ``near`` is the margin within which other counts are kept, and how many.
    """
    jobs, at, offset = list[_Job](), 0, 0
    for own in _in_jobs(units, some):
        size = sum(len(units[n].hours) for n in own)
        jobs.append(_Job(own, prices[at : at + len(own)], known[offset : offset + size], cells, near))
        at, offset = at + len(own), offset + size
    return _joined(spread(_price, units, jobs, ends))


def _in_jobs(units: Sequence[Lanes], some: Sequence[int]) -> Iterator[list[int]]:
    own, size = list[int](), 0
    for n in some:
        own.append(n)
        size += len(units[n].hours)
        if size >= _LANES_OF_JOB:
            yield own
            own, size = [], 0
    if own:
        yield own


def _joined(parts: Iterable[Priced]) -> Priced:
    out, offset = Priced(np.zeros(0), np.zeros(0), {}, {}), 0
    for p in parts:
        out.found |= {offset + k: v for k, v in p.found.items()}
        out.near |= {offset + k: v for k, v in p.near.items()}
        out.least, out.known = np.concatenate([out.least, p.least]), np.concatenate([out.known, p.known])
        offset += len(p.known)
    return out


def _price(units: Sequence[Lanes], job: _Job, ends: Deadline) -> Priced:
    own, prices, known = [units[n] for n in job.some], job.prices, job.known
    problems, places = problems_of(own, prices, known)
    found = search(problems, ends, FOLLOWED, *job.near)
    out = Priced(np.full(len(known), -np.inf), known.copy(), {}, {})
    for n, k in enumerate(places):
        out.least[k] = found.least_usd[n]
        if np.isfinite(found.usd[n]):
            out.known[k], out.found[k] = found.usd[n], found.counts[n]
        if found.near[n]:
            out.near[k] = found.near[n]
    _with_given(out, own, prices)
    _with_knapsacks(out, own, prices, job.cells, ends)
    return out


def problems_of(
    units: Sequence[Lanes], prices: Sequence[Prices], known: Floats, some: set[int] | None = None
) -> tuple[list[LaneProblem], list[int]]:
    """Problems of lanes (of ``some`` only), and which lane each is of."""
    problems, places, offset = [], [], 0
    for u, (usd, spot) in zip(units, prices, strict=True):
        for k in range(len(u.hours)):
            if some is None or offset + k in some:
                problem = lane_problem(u, usd[:, k], spot[:, k], k, float(known[offset + k]))
                if problem is not None:
                    problems.append(problem)
                    places.append(offset + k)
        offset += len(u.hours)
    return problems, places


def _with_given(out: Priced, units: Sequence[Lanes], prices: Sequence[Prices]) -> None:
    """Lanes of pinned months, exactly."""
    offset = 0
    for u, (usd, _) in zip(units, prices, strict=True):
        if u.fixed.any():
            given = given_lanes(u, usd)
            places = offset + given.lanes
            out.least[places] = given.usd
            for n in np.flatnonzero(given.usd < out.known[places]):
                k = int(places[n])
                out.known[k], out.found[k] = given.usd[n], (listed(given.running[n]), {})
        offset += len(u.hours)


def _with_knapsacks(out: Priced, units: Sequence[Lanes], prices: Sequence[Prices], cells: int, ends: Deadline) -> None:
    """Where the search was not made or left a lane open, a knapsack may prove more."""
    edges = np.cumsum([0, *(len(u.hours) for u in units)])
    with np.errstate(invalid="ignore"):
        loose = ~(out.known - out.least <= _OPEN_FRAC * np.abs(out.known))
    some = [n for n in range(len(units)) if loose[edges[n] : edges[n + 1]].any()]
    if some:
        least = least_costs([units[n] for n in some], [prices[n] for n in some], cells, ends)
        at = np.concatenate([np.arange(edges[n], edges[n + 1]) for n in some])
        out.least[at] = np.maximum(out.least[at], least)


def listed(counts: Counts) -> dict[int, int]:
    """Counts by type, of those that are there."""
    return {int(i): int(counts[i]) for i in np.flatnonzero(counts)}
