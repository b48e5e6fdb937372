"""Months that are known least: what each may cost less than is known of it, searched whole some at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.optimize._beside import spread_out
from capacity.optimize._clock import Deadline
from capacity.optimize.columns._branch import forced
from capacity.optimize.columns._bundles import Bundle
from capacity.optimize.columns._exact import Solved
from capacity.optimize.columns._lane_problem import Mask, lane_problem
from capacity.optimize.columns._lanes import Counts, Lanes
from capacity.optimize.columns._month import Floor, Prices, solve_month
from capacity.optimize.columns._month_search import MonthFound, MonthProblem, month_problem, search_months
from capacity.optimize.columns._nearby import best_inside, month_of
from capacity.optimize.columns._quotas import Key

# Months of no more instances a zone than this are searched whole.
_FEW_INSTANCES = 16
# Months that one job searches.
_MONTHS_OF_JOB = 8


@dataclass
class Loose:
    """A unit's month at a proof's duals: its cheapest bundle, ``known`` with its cost, ``slack`` above what is proven.

    ``key`` is the unit's position and the month. ``charged`` (I, K) are the prices at which its lanes were proven to
    cost ``least`` (K,), on demand and spot; ``lost`` what must be held once a region is lost. ``may`` (I,) are types
    that a cheaper month may have, None where that was not looked into.
    """

    key: Key
    prices: Prices
    charged: tuple[Floats, Floats]
    least: Floats
    known: tuple[float, Bundle]
    lost: float
    slack: float
    may: Mask | None = None

    def lanes(self, u: Lanes) -> Counts:
        """(K,) positions among the unit's."""
        return np.flatnonzero(u.months == self.key[1])


# What a search says of a month, None where it is not one for it: what it found, with the counts (K, I) of its fleet.
_Searched = tuple[Mask, MonthFound, Counts | None] | None


def searched(
    units: Sequence[Lanes], some: Sequence[Loose], ends: Deadline
) -> Iterator[tuple[Loose, float, Counts | None]]:
    """Of each month that can be searched whole: by how much more is proven of it, and counts (K, I) that are cheaper.

    ``slack`` and ``may`` of the months are brought up to date.
    """
    for month, each in zip(some, spread_out(_search, units, some, _MONTHS_OF_JOB, ends), strict=True):
        if each is not None:
            month.may, proven, counts = each
            lifted = max(proven.least_usd - (month.known[0] - month.slack), 0.0)
            month.slack = max(month.slack - lifted, 0.0)
            yield month, lifted, counts


def _search(units: Sequence[Lanes], some: Sequence[Loose], ends: Deadline) -> list[_Searched]:
    out: list[_Searched] = [None] * len(some)
    given = [(n, p, may) for n, m in enumerate(some) for p, may in _problem(units[m.key[0]], m)]
    found = search_months([p for _, p, _ in given], ends)
    for (n, _, may), own in zip(given, found, strict=True):
        u = units[some[n].key[0]]
        out[n] = (may, own, None if own.fleet is None else _inside(u, some[n], own.fleet))
    return out


def _problem(u: Lanes, m: Loose) -> Iterator[tuple[MonthProblem, Mask]]:
    """For the search of whole months; nothing where it has too many instances, or is not one for it."""
    if int(m.known[1].provisioned.sum()) > _FEW_INSTANCES or m.lost > 0:
        return
    may = may_have(u, m)
    p = month_problem(
        u, m.lanes(u), m.prices.usd, m.prices.each_usd, m.charged[0], np.flatnonzero(may), m.known[0]
    )  # fmt: skip
    if p is not None:
        yield p, may


def may_have(u: Lanes, m: Loose) -> Mask:
    """(I,) types that a month cheaper than what is known may have: in some lane one of it fits the slack."""
    lanes, (usd, spot) = m.lanes(u), m.charged
    problems = [lane_problem(u, usd[:, k], spot[:, k], int(lane), np.inf) for k, lane in enumerate(lanes)]
    # As spot a type may be of use where it is of none on demand.
    if m.lost > 0 or (u.spot_room[lanes] > 0).any() or any(p is None for p in problems):
        return np.ones(len(u.types), dtype=bool)
    least = forced([p for p in problems if p is not None], len(u.types))
    return np.asarray((least - m.least[:, None] <= m.slack * (1 + 1e-9)).any(axis=0), dtype=bool)


def _inside(u: Lanes, m: Loose, fleet: dict[int, int]) -> Counts | None:
    """(K, I) what each lane runs of a fleet."""
    whole = np.zeros(len(u.types), dtype=np.int64)
    whole[list(fleet)] = list(fleet.values())
    spot = np.zeros((len(m.lanes(u)), len(u.types)), dtype=np.int64)
    inside = best_inside(month_of(u, m.lanes(u), m.prices.usd, m.prices.each_usd, spot, 0.0), whole)
    return None if inside is None else inside[1]


def solved(u: Lanes, m: Loose, seconds: float, gaps: tuple[float, float]) -> Solved | None:
    """A month's small MIP, from its cheapest bundle and from what its lanes cost at least."""
    b = m.known[1]
    if m.may is None:
        m.may = may_have(u, m)
    return solve_month(
        u, m.lanes(u), m.prices, m.lost, (b.running, b.spot, b.provisioned), seconds, gaps,
        Floor(*m.charged, m.least), m.may,
    )  # fmt: skip
