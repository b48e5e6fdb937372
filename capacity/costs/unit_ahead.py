"""Unit cost of coming months: joint futures of cost over joint futures of units, month by month."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from capacity.domain import Floats, Paths
from capacity.errors import UsageError

QUANTILES_AHEAD = (0.1, 0.5, 0.9)
_PER = 1000


def whole_months(paths: Paths, index: pd.DatetimeIndex, known: pd.Series) -> dict[str, Floats]:
    """Sums of whole months, future by future.

    Parameters
    ----------
    paths
        (P, H) daily amounts; row i is one future.
    index
        (H,) days, zone-less.
    known
        Daily amounts before ``index``: a month in progress takes its days from here, a missing day as the mean of the
        month's others.

    Returns
    -------
    dict
        Month (YYYY-MM) -> (P,). A month of which a day is neither known nor ahead is left out.
    """
    out: dict[str, Floats] = {}
    before = known[known.index < index[0]]
    for period in index.to_period("M").unique():
        first, last = period.start_time, period.end_time.normalize()
        if index[-1] < last:
            continue
        inside = np.asarray((index >= first) & (index <= last))
        done = before[before.index >= first]
        wanted = max((index[0] - first).days, 0)
        if len(done) < wanted or (wanted and not done.notna().any()):
            continue
        so_far = float(done.mean()) * wanted if wanted else 0.0
        out[str(period)] = paths[:, inside].sum(axis=1, dtype=float) + so_far
    return out


def added_months(parts: list[dict[str, Floats]]) -> dict[str, Floats]:
    """Several added future by future, over the months that all of them have."""
    months = set.intersection(*(set(p) for p in parts)) if parts else set()
    return {m: np.sum([p[m] for p in parts], axis=0) for m in sorted(months)}


def per_1000_ahead(cost: Mapping[str, Floats], units: Mapping[str, Floats]) -> dict[str, Floats]:
    """Month -> (P,) cost of 1,000 units, over the months that both have; NaN in futures without any unit.

    Raises
    ------
    UsageError
        The two have different numbers of futures.
    """
    out: dict[str, Floats] = {}
    for month in sorted(set(cost) & set(units)):
        c, u = cost[month], units[month]
        if len(c) != len(u):
            raise UsageError(f"{len(c)} futures of cost and {len(u)} of units; forecasts of one run are wanted")
        out[month] = np.divide(_PER * c, u, out=np.full(len(c), np.nan), where=u > 0)
    return out


def quantiles_ahead(futures: Floats) -> tuple[float, float, float] | None:
    """q10, q50 and q90; None where a tenth of the futures or more have no unit cost."""
    known = futures[np.isfinite(futures)]
    if len(known) <= 0.9 * len(futures):
        return None
    low, mid, high = np.quantile(known, QUANTILES_AHEAD)
    return float(low), float(mid), float(high)
