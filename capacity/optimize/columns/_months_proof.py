"""What whole months cost at least: lanes under the best split of their quota's charge, then small MIPs of the loosest.

Duals are looked for between those that prove most of lanes apart and those at which months, were each known, would
prove most: the dearer a quota, the less is known of a month.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._bundles import Bundle
from capacity.optimize.columns._charges import Proven, charged_lanes
from capacity.optimize.columns._choice import CHOICE_SHARE
from capacity.optimize.columns._exact import AT_ONCE, Solved
from capacity.optimize.columns._lanes import lost_demand
from capacity.optimize.columns._loose import Loose, searched, solved
from capacity.optimize.columns._master import lagrangian_usd
from capacity.optimize.columns._month import is_free, month_prices
from capacity.optimize.columns._month_options import Months, cheapest_bundles, join_bundle
from capacity.optimize.columns._quotas import Key, month_lanes

# How far from the duals of months to those of lanes, and rounds of charges there: the first find charges that hold
# nearly as well beside it. Lanes with spot take longer and leave time for few rounds: these are made where lanes alone
# prove more to begin with.
_PLACES, _PLACES_OF_SPOT = ((0.5, 6), (0.65, 2), (0.35, 2)), ((0.7, 6),)
# Of the time: until when charges are split.
_CHARGES_UNTIL = 0.6
# Months that are searched before the time is looked at.
_SEARCHED_AT_ONCE = 64
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
        loose = {m.key: m for m in self._loose(self.proven, self.known)}
        self._search(sorted(loose.values(), key=lambda m: (-m.slack, m.key)))
        each = self._aim() / max(len(loose), 1)
        gaps = (_CLOSE_SHARE * each, _CLOSE_SHARE * self.gap_frac)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for seconds in _MIP_SECONDS:
                order = sorted(loose, key=lambda k: (-loose[k].slack, k))
                for some in (order[n : n + AT_ONCE] for n in range(0, len(order), AT_ONCE)):
                    if self.is_enough() or loose[some[0]].slack <= gaps[0]:
                        break
                    within = min(seconds, part.ends.left)
                    found = pool.map(lambda k, s=within: solved(part.units[k[0]], loose[k], s, gaps), some)
                    for key, own in zip(some, found, strict=True):
                        self.usd += self._lifted(loose[key], own)
                    part.bound = max(part.bound, self.usd)

    def _loose(self, proven: Proven, known: dict[Key, list[tuple[float, Bundle]]]) -> Iterator[Loose]:
        """Months whose counts are free."""
        part = self.months.part
        for at, u in enumerate(part.units):
            for t, lanes in month_lanes(u):
                if is_free(u, lanes):
                    usd, spot = proven.prices[at]
                    least = proven.least[int(part.offsets[at]) + lanes]
                    best = known[at, t][0]
                    yield Loose(
                        (at, t), month_prices(part.coupling, u, t, lanes, proven.duals),
                        (usd[:, lanes], spot[:, lanes]), least, best, lost_demand(part.fleet, u, t),
                        best[0] - float(least.sum()),
                    )  # fmt: skip

    def _search(self, order: list[Loose]) -> None:
        """Months of few instances searched whole: what proves more, and fleets that are cheaper, are kept."""
        part = self.months.part
        for some in (order[n : n + _SEARCHED_AT_ONCE] for n in range(0, len(order), _SEARCHED_AT_ONCE)):
            if self.is_enough():
                return
            for month, lifted, counts in searched(part.units, some, part.ends):
                self.usd += lifted
                if counts is not None:
                    join_bundle(self.months, month.key, counts, np.zeros_like(counts))
            part.bound = max(part.bound, self.usd)

    def _lifted(self, month: Loose, found: Solved | None) -> float:
        """By how much a small MIP lifts what a month is known to cost at least; what it found joins the bundles."""
        if found is None:
            return 0.0
        join_bundle(self.months, month.key, found[1], found[2])
        lifted = max(found[0] - (month.known[0] - month.slack), 0.0)
        month.slack -= lifted
        return lifted
