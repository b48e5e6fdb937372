"""Which types may be in a cover that pays at given prices: all others need not be priced.

An instance of a type costs at least its price, and what it leaves of a load at least what the cheapest type costs for
each unit of it. Where that alone is above what a lane is worth, in every lane, no cover with the type can pay.
"""

from __future__ import annotations

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._lanes import Counts, Lanes


def may_pay(u: Lanes, usd: Floats, worth: Floats) -> Counts:
    """Types (positions among the unit's own) that may be in a cover of some lane that costs less than its ``worth``.

    Parameters
    ----------
    u
        The unit's lanes.
    usd
        (I, L) what an instance on demand in every zone costs in each lane.
    worth
        (L,) USD that a cover must stay below.
    """
    own = np.arange(len(u.types))
    # Spot, a count that is given and what is paid for running are not in the bound.
    if u.requirement.vertical or (u.spot_room > 0).any() or (usd < 0).any():
        return own
    nothing_left = np.zeros(len(worth))
    all_left = (u.runs[:, None] * u.leave_usd).sum(axis=0)
    # Either leaving what runs costs nothing, or all of it is paid and each instance of its types takes some off.
    takes_off = u.requirement.zones * np.where(u.runs > 0, 1.0, 0.0)[:, None] * u.leave_usd
    least = _with_one(u, usd, nothing_left)
    if all_left.any() and (usd >= takes_off).all():
        least = np.maximum(least, _with_one(u, usd - takes_off, all_left))
    return np.asarray(own[(least < worth).any(axis=1)])


def _with_one(u: Lanes, price: Floats, before: Floats) -> Floats:
    """(I, L) what a cover with at least one of each type costs at least; ``before`` is paid in any case.

    More than one of a type costs no less: no type is cheaper, for what it holds, than the cheapest.
    """
    rest = np.zeros_like(price)
    for weight, need in zip(u.weight, u.need, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(weight[:, None] > 0, price / weight[:, None], np.inf).min(axis=0)
            left = np.maximum(need[None, :] - weight[:, None], 0.0)
            rest = np.maximum(rest, np.where(left > 0, left * each[None, :], 0.0))
    return np.asarray(before[None, :] + price + rest)
