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
    vcpu = u.requirement.zones * np.array([c.vcpu for c in u.candidates], dtype=float)
    scarce = -vcpu[:, None] * np.append(duals, 0.0)[coupling.quota_row[u.s]]
    months = [(int(t), np.flatnonzero(u.months == t)) for t in np.unique(u.months)]
    best = {t: (-np.inf, coupling.charge[u.s][:, lanes].copy()) for t, lanes in months}
    above = {t: (above or {}).get(t, np.inf) for t, _ in months}
    momentum = {t: np.zeros((len(u.types), len(lanes))) for t, lanes in months}
    free, spot = lane_prices(coupling, u, duals, np.zeros_like(coupling.charge[u.s]))
    charged = scarce[:, u.months]
    near = within_reach(u, pools, free, spot, charged)
    for step in range(steps):
        reach = _RELAXATION * _FADING**step
        cost, running, _ = cheapest(u, near, free + charged * coupling.charge[u.s], spot)
        for t, lanes in months:
            charge = coupling.charge[u.s][:, lanes]
            least = float(cost[lanes].sum())
            if least > best[t][0]:
                best[t] = (least, charge.copy())
            counts = running[lanes].T
            paid = float((scarce[:, t] * ((charge * counts).sum(axis=1))).sum())
            above[t] = min(above[t], least - paid + float(scarce[:, t] @ counts.max(axis=1)))
            slope = scarce[:, t][:, None] * (counts - counts.mean(axis=1)[:, None])
            slope = momentum[t] = slope + _MOMENTUM * momentum[t]
            size = float((slope**2).sum())
            if size <= 0 or above[t] - least <= 1e-6 * abs(least):
                continue
            moved = charge + reach * (above[t] - least) / size * slope
            coupling.charge[u.s][:, lanes] = on_simplex(moved)
    for t, lanes in months:
        coupling.charge[u.s][:, lanes] = best[t][1]


def on_simplex(weight: Floats) -> Floats:
    """Rows projected on what is 0 or more and adds up to 1 (Duchi et al. 2008, algorithm 1)."""
    ordered = -np.sort(-weight, axis=1)
    sums = np.cumsum(ordered, axis=1) - 1.0
    rank = np.arange(1, weight.shape[1] + 1)
    last = (ordered - sums / rank > 0).sum(axis=1) - 1
    level = sums[np.arange(len(weight)), last] / (last + 1)
    return np.asarray(np.maximum(weight - level[:, None], 0.0), dtype=float)
