"""What whole months cost at least: lanes under the best split of their quota's charge, then small MIPs of the loosest.

Duals are looked for between those that prove most of lanes apart and those at which months, were each known, would
prove most: the dearer a quota, the less is known of a month.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._branch import forced
from capacity.optimize.columns._bundles import Bundle
from capacity.optimize.columns._charges import Proven, charged_lanes
from capacity.optimize.columns._choice import CHOICE_SHARE
from capacity.optimize.columns._exact import AT_ONCE, Solved
from capacity.optimize.columns._lane_problem import Mask, lane_problem
from capacity.optimize.columns._lanes import Counts, Lanes
from capacity.optimize.columns._master import lagrangian_usd
from capacity.optimize.columns._month import Floor, Prices, is_free, lost_demand, month_prices, solve_month
from capacity.optimize.columns._month_options import Months, cheapest_bundles, join_bundle
from capacity.optimize.columns._month_search import AT_ONCE as MONTHS_AT_ONCE
from capacity.optimize.columns._month_search import MonthProblem, month_problem, search_months
from capacity.optimize.columns._nearby import best_inside, month_of
from capacity.optimize.columns._part import Part
from capacity.optimize.columns._quotas import Key, month_lanes

# How far from the duals of months to those of lanes, and rounds of charges there: the first find charges that hold
# nearly as well beside it. Lanes with spot take longer and leave time for few rounds: these are made where lanes alone
# prove more to begin with.
_PLACES, _PLACES_OF_SPOT = ((0.5, 6), (0.65, 2), (0.35, 2)), ((0.7, 6),)
# Of the time: until when charges are split.
_CHARGES_UNTIL = 0.6
# Months of no more instances a zone than this are searched whole.
_FEW_INSTANCES = 16
# Seconds for each month in turn, then for those that are still known least.
_MIP_SECONDS = (0.1, 0.4, 1.5)
# A month is known well enough at this share of the gap that is asked for.
_CLOSE_SHARE = 0.2


def prove_months(months: Months, centre: Floats, until: float, gap_frac: float) -> None:
    """Lift ``months.part.bound``, until it is within ``gap_frac`` of the master or time is up.

    ``centre`` are the duals at which months prove most, were they as cheap as what is known of each. What is found on
    the way joins the bundles.

    Raises
    ------
    TimeIsUp
        The part's end has passed.
    """
    part = months.part
    proof = _Proof(months, until, gap_frac)
    lanes, began = part.duals, part.ends.clock()
    has_spot = any((u.spot_room > 0).any() for u in part.units)
    for number, (place, rounds) in enumerate(_PLACES_OF_SPOT if has_spot else _PLACES):
        duals = centre + place * (lanes - centre)
        known = cheapest_bundles(months, duals)
        late = began + _CHARGES_UNTIL * (until - began)
        for proven in [] if proof.is_enough() else charged_lanes(part, duals, known, late, rounds, not number):
            proof.take(proven, known)
    proof.solve()
    if part.relaxed is not None and months.relaxed is not None:
        part.history.append((months.relaxed.usd, part.bound))
    months.solve(max(until - part.ends.clock(), 1.0))


@dataclass
class _Proof:
    """The best proof by lanes so far: ``usd`` is the bound, ``proven`` what lanes cost, ``known`` bundles there."""

    months: Months
    until: float
    gap_frac: float
    usd: float = -np.inf
    proven: Proven | None = None
    known: dict[Key, list[tuple[float, Bundle]]] | None = None

    def is_enough(self) -> bool:
        """Whether the bound is as near as it has to be, or time is up."""
        relaxed = self.months.relaxed
        late = self.months.part.ends.clock() > self.until
        return late or relaxed is None or relaxed.usd - self.months.part.bound <= self._aim()

    def _aim(self) -> float:
        usd = self.months.relaxed.usd if self.months.relaxed is not None else 0.0
        return (1 - CHOICE_SHARE) * self.gap_frac * abs(usd)

    def take(self, proven: Proven, known: dict[Key, list[tuple[float, Bundle]]]) -> None:
        part = self.months.part
        usd = lagrangian_usd(part.coupling, proven.duals, proven.least)
        part.bound = max(part.bound, usd)
        if usd > self.usd:
            self.usd, self.proven, self.known = usd, proven, known

    def solve(self) -> None:
        """Small MIPs of the months that are known least: a moment each, then more for those that still are."""
        part = self.months.part
        if self.proven is None or self.known is None:
            return
        places = {
            (at, t): int(part.offsets[at]) + lanes for at, u in enumerate(part.units) for t, lanes in month_lanes(u)
        }
        loose = {
            key: _Loose(part, key, self.proven, self.known[key][0], places[key])
            for key in self.months.keys
            if is_free(part.units[key[0]], places[key] - int(part.offsets[key[0]]))
        }
        self._search(sorted(loose.values(), key=lambda m: (-m.slack, m.key)))
        each = self._aim() / max(len(loose), 1)
        gaps = (_CLOSE_SHARE * each, _CLOSE_SHARE * self.gap_frac)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for seconds in _MIP_SECONDS:
                order = sorted(loose, key=lambda k: (-loose[k].slack, k))
                for some in (order[n : n + AT_ONCE] for n in range(0, len(order), AT_ONCE)):
                    if self.is_enough() or loose[some[0]].slack <= gaps[0]:
                        break
                    solved = partial(_solved, min(seconds, part.ends.left), gaps)
                    for key, found in zip(some, pool.map(solved, [loose[k] for k in some]), strict=True):
                        self.usd += self._lifted(loose[key], found)
                    part.bound = max(part.bound, self.usd)

    def _search(self, order: list[_Loose]) -> None:
        """Months of few instances searched whole: what proves more, and fleets that are cheaper, are kept."""
        part = self.months.part
        for some in (order[n : n + MONTHS_AT_ONCE] for n in range(0, len(order), MONTHS_AT_ONCE)):
            if self.is_enough():
                return
            given = [(m, p) for m in some if (p := m.problem()) is not None]
            found = search_months([p for _, p in given], part.ends)
            for (month, _), own in zip(given, found, strict=True):
                lifted = max(own.least_usd - (month.known[0] - month.slack), 0.0)
                month.slack = max(month.slack - lifted, 0.0)
                self.usd += lifted
                if own.fleet is not None:
                    self._join(month, own.fleet)
            part.bound = max(part.bound, self.usd)

    def _join(self, month: _Loose, fleet: dict[int, int]) -> None:
        """A fleet joins the bundles with what each lane runs of it."""
        u, lanes, prices = month.u, month.lanes, month.prices()
        whole = np.zeros(len(u.types), dtype=np.int64)
        whole[list(fleet)] = list(fleet.values())
        spot = np.zeros((len(lanes), len(u.types)), dtype=np.int64)
        m = month_of(u, lanes, prices.usd, prices.each_usd, spot, 0.0)
        inside = best_inside(m, whole)
        if inside is not None:
            join_bundle(self.months, month.key, inside[1], spot)

    def _lifted(self, month: _Loose, found: Solved | None) -> float:
        """By how much a small MIP lifts what a month is known to cost at least; what it found joins the bundles."""
        if found is None:
            return 0.0
        join_bundle(self.months, month.key, found[1], found[2])
        lifted = max(found[0] - (month.known[0] - month.slack), 0.0)
        month.slack -= lifted
        return lifted


@dataclass
class _Loose:
    """A unit's month at a proof's duals: the cheapest bundle known with its cost, ``slack`` above what is proven."""

    part: Part
    key: Key
    proven: Proven
    known: tuple[float, Bundle]
    places: Counts

    def __post_init__(self) -> None:
        self.slack = self.known[0] - float(self.proven.least[self.places].sum())
        self._may: Mask | None = None

    @property
    def u(self) -> Lanes:
        return self.part.units[self.key[0]]

    @property
    def lanes(self) -> Counts:
        return self.places - int(self.part.offsets[self.key[0]])

    def prices(self) -> Prices:
        return month_prices(self.part.coupling, self.u, self.key[1], self.lanes, self.proven.duals)

    def problem(self) -> MonthProblem | None:
        """For the search of whole months; None where it has too many instances, or is not one for it."""
        many = int(self.known[1].provisioned.sum()) > _FEW_INSTANCES
        if many or lost_demand(self.part.fleet, self.u, self.key[1]) > 0:
            return None
        prices = self.prices()
        charged = self.proven.prices[self.key[0]][0][:, self.lanes]
        may = np.flatnonzero(self.may())
        return month_problem(self.u, self.lanes, prices.usd, prices.each_usd, charged, may, self.known[0])

    def may(self) -> Mask:
        """(I,) types that a month cheaper than what is known may have: in some lane one of it fits the slack."""
        if self._may is None:
            self._may = np.ones(len(self.u.types), dtype=bool)
            usd, spot = self.proven.prices[self.key[0]]
            problems = [lane_problem(self.u, usd[:, k], spot[:, k], int(k), np.inf) for k in self.lanes]
            # As spot a type may be of use where it is of none on demand.
            lost = lost_demand(self.part.fleet, self.u, self.key[1])
            if lost <= 0 and not (self.u.spot_room[self.lanes] > 0).any() and all(p is not None for p in problems):
                least = forced([p for p in problems if p is not None], len(self.u.types))
                over = least - self.proven.least[self.places][:, None]
                self._may = np.asarray((over <= self.slack * (1 + 1e-9)).any(axis=0), dtype=bool)
        return self._may


def _solved(seconds: float, gaps: tuple[float, float], month: _Loose) -> Solved | None:
    """A month's small MIP, from its cheapest bundle and from what its lanes cost at least."""
    part, u, lanes, t = month.part, month.u, month.lanes, month.key[1]
    on_demand, spot = month.proven.prices[month.key[0]]
    b = month.known[1]
    return solve_month(
        u, lanes, month.prices(), lost_demand(part.fleet, u, t), (b.running, b.spot, b.provisioned), seconds, gaps,
        Floor(on_demand[:, lanes], spot[:, lanes], month.proven.least[month.places]), month.may(),
    )  # fmt: skip
