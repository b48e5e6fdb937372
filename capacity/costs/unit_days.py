"""Cost by the day, as far as it was metered by the day: of services themselves, and of pools."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import Floats

# Where more of a month's running cost than this came as amounts for several days, its days say too little.
SPREAD_MOST = 0.25
# kind (service, pool), name, currency
OwnerKey = tuple[str, str, str]


def metered_days(daily: pd.DataFrame, days: pd.DatetimeIndex) -> dict[OwnerKey, Floats]:
    """Metered running cost by day of every service (without pools) and every pool.

    Parameters
    ----------
    daily
        Of :func:`capacity.costs.daily_spend`.
    days
        The grid (D,), zone-less, without gaps.

    Returns
    -------
    dict
        (kind, name, currency) -> (D,) money. NaN before the first charge, after the last day of the bill, and in months
        of which more than a quarter of the cost came as amounts for several days. Elsewhere such amounts are left out:
        they do not follow demand by the day. So are tax, credits, refunds and one-off purchases. A day without a charge
        cost nothing.
    """
    running = daily[(daily["part"] == "running") & daily["kind"].isin(["service", "pool"])]
    last = {str(c): rows["day"].max() for c, rows in daily.groupby("currency")}
    months = days.strftime("%Y-%m").to_numpy()
    out: dict[OwnerKey, Floats] = {}
    for (kind, name, currency), rows in running.groupby(["kind", "service", "currency"], sort=True):
        by_day = rows.groupby("day")[["effective_cost", "spread_cost"]].sum().reindex(days, fill_value=0.0)
        metered = (by_day["effective_cost"] - by_day["spread_cost"]).to_numpy(float)
        known = (days >= rows["day"].min()) & (days <= last[str(currency)])
        known &= _by_the_day(metered, by_day["spread_cost"].to_numpy(float), months)
        out[str(kind), str(name), str(currency)] = np.where(known, metered, np.nan)
    return out


def added_days(parts: Sequence[Floats], begins: Sequence[int]) -> Floats:
    """(D,) sum of several by day.

    Parameters
    ----------
    parts
        (D,) each, NaN where unknown: so is the sum, but for parts that have not begun.
    begins
        Day of the grid on which each begins; before it, it adds nothing. Before all of them the sum is not known.
    """
    at = np.arange(len(parts[0]))
    total = sum((np.where(at < begin, 0.0, one) for one, begin in zip(parts, begins, strict=True)), np.zeros(len(at)))
    return np.where(at < min(begins), np.nan, total)


def _by_the_day(metered: Floats, spread: Floats, months: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    """(D,) whether the month of a day was mostly metered by the day."""
    sums = pd.DataFrame({"m": np.abs(metered), "s": np.abs(spread)}).groupby(months).transform("sum")
    total = sums["m"] + sums["s"]
    return np.asarray((total > 0) & (sums["s"] <= SPREAD_MOST * total), dtype=bool)
