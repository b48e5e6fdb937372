"""How a month's quota is charged to its lanes: the split under which the relaxation proves most.

n >= r holds in every lane, so n >= sum of w r for any weights w >= 0 of a type that add up to 1. All weight on the
lane with the largest load proves little where lanes take different types: each would be free of charge outside it.
A subgradient moves weight, type by type, to the lanes that run most of it. The source is Lagrangian duality with the
rows n >= r relaxed: the count that a lane runs is a subgradient of the bound in its weight. Steps are Polyak's, towards
the cost of what the lanes' choices would truly provision.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._coupling import Coupling, lane_prices
from capacity.optimize.columns._covers import Covers, within_reach
from capacity.optimize.columns._lanes import Counts, Lanes, follows_load

# A unit, covers, prices on demand and as spot -> costs (L,), counts on demand and as spot (L, I).
Cheapest = Callable[[Lanes, list[Covers], Floats, Floats], tuple[Floats, Counts, Counts]]

# Steps of a split at given duals, and how far each goes of the way that would close the gap.
STEPS = 60
_RELAXATION, _FADING = 0.6, 0.97
_MOMENTUM = 0.5


def concerned(coupling: Coupling, u: Lanes, duals: Floats) -> bool:
    """Whether a quota with a price counts several lanes of the unit as one."""
    if not follows_load(u.requirement) or u.fixed.any():
        return False
    rows = coupling.quota_row[u.s]
    return bool((np.append(duals, 0.0)[rows] < -1e-9).any()) and len(u.hours) > len(np.unique(u.months))


def split(
    coupling: Coupling,
    u: Lanes,
    duals: Floats,
    pools: list[Covers],
    cheapest: Cheapest,
    above: dict[int, float] | None = None,
    steps: int = STEPS,
) -> None:
    """Improve ``coupling.charge`` of one unit at ``duals``; ``cheapest`` gives costs and counts of lanes by ``pools``.

    ``above`` is, by month, what a whole month is known to cost at these duals; else what the lanes' choices would.
    """
    free, spot = lane_prices(coupling, u, duals, np.zeros_like(coupling.charge[u.s]))
    scarce = scarcity(coupling, u, duals)
    coupling.charge[u.s][:] = better_charge(
        u, pools, (free, spot), scarce, coupling.charge[u.s], cheapest, above or {}, steps
    )


def scarcity(coupling: Coupling, u: Lanes, duals: Floats) -> Floats:
    """(I, L) what an instance a zone is charged in all for its quota, in the month of each lane."""
    vcpu = u.requirement.zones * np.array([c.vcpu for c in u.candidates], dtype=float)
    return np.asarray(-vcpu[:, None] * np.append(duals, 0.0)[coupling.quota_row[u.s]][:, u.months])


def better_charge(
    u: Lanes,
    pools: list[Covers],
    prices: tuple[Floats, Floats],
    scarce: Floats,
    charge: Floats,
    cheapest: Cheapest,
    above: dict[int, float],
    steps: int = STEPS,
) -> Floats:
    """(I, L) a split that proves more than ``charge``, at ``prices`` (I, L) without charges; see :func:`split`."""
    (free, spot), now = prices, charge.copy()
    months = [(int(t), np.flatnonzero(u.months == t)) for t in np.unique(u.months)]
    ascents = {t: Ascent(scarce[:, k[0]], charge[:, k], above.get(t, np.inf)) for t, k in months}
    near = within_reach(u, pools, free, spot, scarce)
    for _ in range(steps):
        cost, running, _ = cheapest(u, near, free + scarce * now, spot)
        for t, lanes in months:
            ascents[t].step(float(cost[lanes].sum()), running[lanes].T)
            now[:, lanes] = ascents[t].charge
    for t, lanes in months:
        now[:, lanes] = ascents[t].best
    return now


class Ascent:
    """Steps of one month's split: ``charge`` (I, K) is tried next, ``best`` proved most so far.

    ``scarce`` (I,) is what a provisioned instance is charged in all, ``above`` what the month is known to cost.
    """

    def __init__(self, scarce: Floats, charge: Floats, above: float) -> None:
        self.scarce, self.charge, self.above = scarce, charge.copy(), above
        self.best, self.best_usd = self.charge, -np.inf
        self._momentum, self._reach = np.zeros_like(charge), _RELAXATION

    def step(self, least: float, taken: Counts) -> bool:
        """Go on from what ``charge`` proves, ``least``, with the counts (I, K) that lanes take; False at the end."""
        if least > self.best_usd:
            self.best_usd, self.best = least, self.charge
        paid = float((self.scarce * (self.charge * taken).sum(axis=1)).sum())
        self.above = min(self.above, least - paid + float(self.scarce @ taken.max(axis=1)))
        slope = self.scarce[:, None] * (taken - taken.mean(axis=1)[:, None])
        slope = self._momentum = slope + _MOMENTUM * self._momentum
        reach, self._reach = self._reach, self._reach * _FADING
        size = float((slope**2).sum())
        if size <= 0 or self.above - least <= 1e-6 * abs(least):
            return False
        self.charge = _on_simplex(self.charge + reach * (self.above - least) / size * slope)
        return True


def _on_simplex(weight: Floats) -> Floats:
    """Rows projected on what is 0 or more and adds up to 1 (Duchi et al. 2008, algorithm 1)."""
    ordered = -np.sort(-weight, axis=1)
    sums = np.cumsum(ordered, axis=1) - 1.0
    rank = np.arange(1, weight.shape[1] + 1)
    last = (ordered - sums / rank > 0).sum(axis=1) - 1
    level = sums[np.arange(len(weight)), last] / (last + 1)
    return np.asarray(np.maximum(weight - level[:, None], 0.0), dtype=float)
