"""Lanes priced whole: the last rounds of columns, with a search of every lane instead of covers of two types.

A search finds each lane's cheapest counts over all types and proves what it costs at least, so that the same pass that
finds columns proves a bound. Lanes that it leaves open are searched longer, then as small MIPs (``_exact``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from capacity.domain import Floats
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize.columns._branch import FOLLOWED, Chosen, search
from capacity.optimize.columns._cheapest import cheapest
from capacity.optimize.columns._choice import reduced_costs
from capacity.optimize.columns._coupling import lane_prices
from capacity.optimize.columns._exact import AT_ONCE, Solved, solve_lane
from capacity.optimize.columns._master import lagrangian_usd
from capacity.optimize.columns._part import Part, add_choices, fresh_choices
from capacity.optimize.columns._priced import Prices, listed, price_units, problems_of
from capacity.optimize.columns.rounds import cells_of

# Rounds at most, and how far from the best duals to the master's own lanes are priced.
_ROUNDS, _TOWARDS = 8, 0.5
# How much longer open lanes are searched, so many at a time.
_LONGER, _LONGER_AT_ONCE = 10, 96
# Seconds for each lane that is left, as a MIP.
_MIP_SECONDS = 0.5


def known_costs(part: Part, prices: Sequence[Prices], duals: Floats) -> Floats:
    """(lanes,) the least that a column or a cover of two types costs at the duals."""
    out = np.concatenate([
        np.zeros(0), *(cheapest(u, part.covers[u.s], *p)[0] for u, p in zip(part.units, prices, strict=True))
    ])  # fmt: skip
    table = part.master.table()
    np.minimum.at(out, table.lane, reduced_costs(table, part.coupling, duals))
    return out


def settle(part: Part, until: tuple[float, float], settled_frac: float) -> None:
    """Rounds in which every lane is searched, until bound and master are ``settled_frac`` apart or time is up.

    ``until``: when the first round ends, whatever it has then, and when all others do.

    ``part`` then holds the best bound, the duals at which it was proven and what each lane costs at least there.
    """
    first, others = (Deadline(part.ends.clock, min(at, part.ends.at)) for at in until)
    ends, centre, number = first, part.duals, 0
    while part.relaxed is not None and number < _ROUNDS and not ends.passed:
        relaxed = part.relaxed
        duals = centre + (_TOWARDS if number else 0.0) * (relaxed.duals - centre)
        prices = [lane_prices(part.coupling, u, duals) for u in part.units]
        try:
            known = known_costs(part, prices, duals)
            priced = price_units(part.units, range(len(part.units)), prices, known, cells_of(part), ends)
        except TimeIsUp:
            break
        value = lagrangian_usd(part.coupling, duals, priced.least)
        if value > part.bound:
            part.bound, part.duals, part.least, centre = value, duals, priced.least, duals
            part.closed = set()
        added = _join(part, priced.found.items())
        number, ends = number + 1, others
        if relaxed.usd - part.bound <= settled_frac * abs(relaxed.usd):
            break
        if added:
            part.relaxed = part.master.solve(max(ends.left, 0.5)) or relaxed
        elif number > 1 and np.array_equal(duals, relaxed.duals):
            break
    if number and part.relaxed is not None:
        part.history.append((part.relaxed.usd, part.bound))


def _join(part: Part, found: Iterable[tuple[int, Chosen]]) -> int:
    """Add what was found of lanes to the columns, where they keep every requirement; how many are new."""
    by_unit: dict[int, list[tuple[int, Chosen]]] = {}
    for k, chosen in found:
        at = int(np.searchsorted(part.offsets, k, side="right")) - 1
        by_unit.setdefault(at, []).append((int(k - part.offsets[at]), chosen))
    fresh = []
    for at, own in sorted(by_unit.items()):
        u = part.units[at]
        running = np.zeros((len(u.hours), len(u.types)), dtype=np.int64)
        spot = running.copy()
        for lane, (here, as_spot) in own:
            running[lane, list(here)], spot[lane, list(as_spot)] = list(here.values()), list(as_spot.values())
        allowed = u.allows(running, spot)
        lanes = np.array([lane for lane, _ in own if allowed[lane]], dtype=np.int64)
        fresh.append(fresh_choices(part, at, lanes, running[lanes], spot[lanes]))
    return add_choices(part, fresh)


# --- lanes that are still open -----------------------------------------------------------------------------


def tighten(part: Part, least: Floats, target_frac: float, deadline: float) -> Floats:
    """Search open lanes longer, the loosest first, then as small MIPs: until the bound is within ``target_frac`` or
    time is up.

    What they find joins the columns. Returns the least costs, lifted; ``part.bound`` is lifted with them.
    """
    if part.relaxed is None or not part.units or not len(least):
        return least
    prices = [lane_prices(part.coupling, u, part.duals) for u in part.units]
    known = known_costs(part, prices, part.duals)
    loose = np.where(np.isfinite(known), known, 0.0) - least
    order = [
        int(k) for k in np.argsort(-loose, kind="stable") if k not in part.closed and loose[k] > 1e-4 * abs(known[k])
    ]
    open_ = _Open(part, prices, known, least.copy(), target_frac * abs(part.relaxed.usd), deadline)
    open_.search_longer(order)
    open_.solve([k for k in order if open_.known[k] - open_.least[k] > 1e-4 * abs(known[k])])
    part.history.append((part.relaxed.usd, part.bound))
    return open_.least


@dataclass
class _Open:
    """Open lanes at the part's duals: what is known of each, and until when they are worth looking at."""

    part: Part
    prices: list[Prices]
    known: Floats
    least: Floats
    aim_usd: float
    deadline: float

    def _ends(self) -> Deadline:
        return Deadline(self.part.ends.clock, min(self.deadline, self.part.ends.at))

    def _is_enough(self) -> bool:
        relaxed = self.part.relaxed
        late = self.part.ends.clock() > self.deadline
        return late or relaxed is None or relaxed.usd - self.part.bound <= self.aim_usd

    def _lift(self, k: int, least: float) -> None:
        self.part.bound += max(least - self.least[k], 0.0)
        self.least[k] = max(self.least[k], least)

    def search_longer(self, order: list[int]) -> None:
        """The search again, with more branches."""
        for some in (order[n : n + _LONGER_AT_ONCE] for n in range(0, len(order), _LONGER_AT_ONCE)):
            if self._is_enough():
                return
            problems, places = problems_of(self.part.units, self.prices, self.known, set(some))
            try:
                found = search(problems, self._ends(), _LONGER * FOLLOWED)
            except TimeIsUp:
                return
            for n, k in enumerate(places):
                self._lift(k, float(found.least_usd[n]))
                self.known[k] = min(self.known[k], found.usd[n])
            counts = {k: found.counts[n] for n, k in enumerate(places) if np.isfinite(found.usd[n])}
            _join(self.part, counts.items())

    def solve(self, order: list[int]) -> None:
        """Lanes as small MIPs."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for some in (order[n : n + AT_ONCE] for n in range(0, len(order), AT_ONCE)):
                if self._is_enough():
                    return
                seconds = min(_MIP_SECONDS, self.deadline - self.part.ends.clock())
                for k, found in zip(some, pool.map(partial(self._solved, seconds), some), strict=True):
                    self.part.closed.add(k)
                    if found is not None:
                        self._lift(k, found[0])
                        _join(self.part, [(k, (listed(found[1]), listed(found[2])))])

    def _solved(self, seconds: float, k: int) -> Solved | None:
        at = int(np.searchsorted(self.part.offsets, k, side="right")) - 1
        lane, (usd, spot) = int(k - self.part.offsets[at]), self.prices[at]
        return solve_lane(self.part.units[at], usd[:, lane], spot[:, lane], lane, seconds)
