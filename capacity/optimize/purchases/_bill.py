"""The bill of a plan on every path, worked out group by group as the provider does: the check on the programme."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from capacity.domain import Floats
from capacity.optimize.purchases._lines import Setting, steps_of

# The worst tenth of the paths.
TAIL_FRAC = 0.1


@dataclass(frozen=True)
class PathBill:
    """``open_usd`` (P, K, G) stays on demand; ``used_frac`` and ``covered_usd`` (C, P, K) are of each pool; an hour.

    ``cost`` (P,) is everything over the horizon: on demand, what is owned, what is bought.
    """

    open_usd: Floats
    used_frac: Floats
    covered_usd: Floats
    cost: Floats


def bill_paths(setting: Setting, bought: Floats) -> PathBill:
    """What every path costs with ``bought`` (columns,) units.

    Pools are applied in the provider's order, product by product, the highest saving first; equal ones pro rata.
    """
    horizon = setting.horizon
    open_usd = horizon.usd.copy()
    units = setting.units(bought)
    paths, lots = open_usd.shape[:2]
    running = [np.flatnonzero(u > 0) for u in units]
    rest = [np.tile(u[k], (paths, 1)) for u, k in zip(units, running, strict=True)]
    covered = np.zeros((len(units), paths, lots))
    for step in steps_of(setting.pools):
        c, lot = step.pool, running[step.pool]
        per_usd = setting.pools[c].units_per_usd[step.groups]
        block = np.ix_(np.arange(paths), lot, step.groups)
        usage = open_usd[block]
        wanted = usage @ per_usd
        taken = np.minimum(wanted, rest[c])
        part = np.divide(taken, wanted, out=np.zeros_like(wanted), where=wanted > 0)
        open_usd[block] = usage - usage * part[:, :, None]
        rest[c] = rest[c] - taken
        covered[c][:, lot] += usage.sum(axis=2) * part
    used, paid = np.zeros((len(units), paths, lots)), np.zeros(lots)
    for c, pool in enumerate(setting.pools):
        paid += units[c] * pool.unit_usd
        used[c][:, running[c]] = 1.0 - rest[c] / units[c, running[c]]
    return PathBill(open_usd, used, covered, (open_usd.sum(axis=2) + paid) @ horizon.hours)


def on_path(setting: Setting, path: int) -> Setting:
    """The same with one path alone."""
    return replace(setting, horizon=replace(setting.horizon, usd=setting.horizon.usd[path : path + 1]))


def tail_mean(cost: Floats) -> float:
    """CVaR: the mean of the worst tenth of equally likely ``cost``, the path on its edge counted in part.

    >>> tail_mean(np.arange(20.0))
    18.5
    """
    worst = np.sort(cost)[::-1]
    count = TAIL_FRAC * len(cost)
    weight = np.clip(count - np.arange(len(cost)), 0.0, 1.0)
    return float(worst @ weight / count)


def weighed(cost: Floats, risk_weight: float) -> float:
    """(1 - w) mean + w CVaR of ``cost``: what a plan is judged by."""
    return (1 - risk_weight) * float(cost.mean()) + risk_weight * tail_mean(cost)
