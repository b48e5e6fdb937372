"""Purchases moved to the month of the ladder in which they cost less.

Sizes that were cut to the policy one after the other can leave a purchase in a month whose neighbour would be better:
the neighbour was cut while the first still stood beside it. Each purchase, with its renewals, is tried whole in the
month before and after, as long as that lowers what the plan is judged by.
"""

from __future__ import annotations

import time

import numpy as np

from capacity.domain import Floats
from capacity.optimize.purchases._bill import bill_paths, weighed
from capacity.optimize.purchases._lines import Setting, narrowed
from capacity.optimize.purchases._policy import fault, is_bought

# A move must gain more than this share of the whole cost: what the search itself leaves open.
_GAIN = 1e-7
_SWEEPS = 12
_CENT_OF_A_CENT = 1e-4


def in_better_months(setting: Setting, bought: Floats, deadline: float) -> Floats:
    """``bought`` (columns,) where no purchase that may be made in the ladder's next or last month is cheaper there.

    Every purchase of the result keeps the policy if those of ``bought`` do. Ends at ``deadline`` (a perf_counter).
    """
    best, cost = bought, _judged(setting, bought)
    for _ in range(_SWEEPS):
        before = cost
        for j in np.flatnonzero(bought_now(setting, best)):
            for i in _beside(setting, int(j)):
                if time.perf_counter() >= deadline:
                    return best
                trial = _moved(setting, best, int(j), i)
                value = _judged(setting, trial)
                if value < cost * (1 - _GAIN) and keeps_policy(setting, trial):
                    best, cost = trial, value
                    break
        if cost >= before:
            break
    return best


def bought_now(setting: Setting, bought: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(columns,) where a purchase is made, renewals left out."""
    made = (not c.renewal and is_bought(setting, j, bought) for j, c in enumerate(setting.columns))
    return np.fromiter(made, dtype=bool, count=len(bought))


def keeps_policy(setting: Setting, bought: Floats) -> bool:
    """Whether every purchase, and all of them together, are what the user allows."""
    narrow, kept = narrowed(setting, bought)
    amounts = bought[kept]
    limit = setting.problem.policy.largest_new_hourly_usd
    if limit is not None:
        hourly = np.array([narrow.pools[c.pool].unit_usd for c in narrow.columns]) * amounts
        if len(kept) and float((hourly @ narrow.runs).max()) > limit + _CENT_OF_A_CENT:
            return False
    return all(fault(narrow, int(j), amounts) is None for j in np.flatnonzero(bought_now(narrow, amounts)))


def _judged(setting: Setting, bought: Floats) -> float:
    narrow, kept = narrowed(setting, bought)
    return weighed(bill_paths(narrow, bought[kept]).cost, setting.problem.policy.risk_weight)


def _beside(setting: Setting, j: int) -> list[int]:
    """The same offer in the ladder's month after, and in the one before."""
    pool = setting.columns[j].pool
    ladder = sorted((c.start, i) for i, c in enumerate(setting.columns) if c.pool == pool and not c.renewal)
    at = [i for _, i in ladder].index(j)
    return [i for _, i in (*ladder[at + 1 : at + 2], *ladder[max(at - 1, 0) : at])]


def _chain(setting: Setting, j: int) -> list[int]:
    """A purchase and its renewals: columns are made in that order."""
    out = [j]
    while out[-1] + 1 < len(setting.columns) and setting.columns[out[-1] + 1].renewal:
        out.append(out[-1] + 1)
    return out


def _moved(setting: Setting, bought: Floats, j: int, i: int) -> Floats:
    """All of purchase ``j`` made in the month of ``i`` instead, its renewals with it."""
    out, source, target = bought.copy(), _chain(setting, j), _chain(setting, i)
    amounts = [float(bought[k]) for k in source]
    out[source] = 0.0
    for position, k in enumerate(target):
        out[k] += amounts[min(position, len(amounts) - 1)]
    return out
