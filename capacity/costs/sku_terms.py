"""Which term of the bridge moved a single SKU: volume, efficiency, mix, a rate, or that it began or ended."""

from __future__ import annotations

import numpy as np

from capacity.domain import Floats

TERMS = (
    "volume", "efficiency", "mix", "list_rate", "negotiated_rate", "commitment_rate", "new_and_ended", "one_off",
)  # fmt: skip
# A charge without a quantity that came on so many days at most is one of its own.
ONE_OFF_DAYS = 2
# Amounts and quantities below this are rounding.
LEAST_AMOUNT = 1e-9


def terms(before: Floats, after: Floats, driver: float | None, group: float | None, days: int) -> dict[str, float]:
    """What moved one SKU's cost, in the order of :mod:`capacity.costs.bridge`: factor after factor.

    Parameters
    ----------
    before, after
        (4,) quantity, list, contracted and effective cost of the days compared, of as many days.
    driver
        Demand after over demand before; None where it is not known: what the group used is then all volume.
    group
        Quantity after over before of the SKU and those it may be exchanged for; None where it has none.
    days
        How many days these are.

    Returns
    -------
    dict
        Of :data:`TERMS`; they add up to the change of effective cost. What list and contracted cost do not say (zero
        beside a real cost) is taken from the next known column, as in a bridge. A SKU that began or ended is
        new_and_ended, whatever took its work.
    """
    out = dict.fromkeys(TERMS, 0.0)
    change = float(after[3] - before[3])
    (q0, l0, c0, e0), (q1, l1, c1, e1) = (np.where(s > LEAST_AMOUNT, s, 0.0).tolist() for s in (before, after))
    if q0 <= 0 and q1 <= 0 and days <= ONE_OFF_DAYS:
        out["one_off"] = change
        return out
    if e0 <= 0 or e1 <= 0:
        out["new_and_ended"] = change
        return out
    grown = q1 / q0 if q0 > 0 and q1 > 0 else 1.0
    whole = grown if group is None or q0 <= 0 or q1 <= 0 else group
    c0, c1 = (c0, c1) if c0 > 0 and c1 > 0 else (e0, e1)
    l0, l1 = (l0, l1) if l0 > 0 and l1 > 0 else (c0, c1)
    scale = whole if driver is None or q0 <= 0 else driver
    states = [e0, e0 * scale, e0 * whole, e0 * grown]
    states.append(e0 * (l1 / l0))
    states.append(states[-1] * (c1 / l1) / (c0 / l0))
    states.append(e1)
    for name, a, b in zip(TERMS, states, states[1:], strict=False):
        out[name] = b - a
    return out
