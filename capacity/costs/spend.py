"""Daily amortised spend for the models, and months of a spend forecast against their budgets.

Here amounts become floats, on purpose: a model needs no last decimal, and nothing here goes back into a bill.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from capacity.config import CostsConfig
from capacity.costs._columns import column_or_null, encode, group_rows
from capacity.costs._matching import match_rows
from capacity.costs._money import from_units, sums_by_group, to_decimal, to_units
from capacity.costs.allocation import UNALLOCATED
from capacity.domain import Floats
from capacity.errors import UsageError

PARTS = ("running", "credit", "tax", "refund", "one_off")
# Providers restate the newest days while usage is still being metered; AWS refreshes a bill up to three times a day
# and finishes a day within about 24 hours. Two days keep a half-metered one out of a trend.
SETTLE_DAYS = 2
# Amounts for more than a day that are less than this share of a month's spend do not bend its trend.
MONTHLY_LEAST = 0.02
# FinOps Framework, forecasting maturity: largest variance of each grade.
GRADES: tuple[tuple[float, Literal["run", "walk", "crawl"]], ...] = ((0.12, "run"), (0.15, "walk"), (0.20, "crawl"))
_DAY_US = 86_400_000_000


def daily_spend(
    cost: pa.Table, costs: CostsConfig, services: Sequence[str], as_of: date, settle_days: int = SETTLE_DAYS
) -> pd.DataFrame:
    """EffectiveCost by UTC day and service, with what does not follow demand kept apart.

    Parameters
    ----------
    cost, costs, services
        As for :func:`capacity.costs.attribute`; rows of pools stay with their pool.
    as_of
        The day of the question. Days from ``as_of - settle_days`` on are left out: they are not complete.

    Returns
    -------
    DataFrame
        day (zone-less), currency, kind (service, pool, unallocated), service (or the pool's name),
        part (running, credit, tax, refund, one_off), effective_cost (float), spread (bool: some of it was given for
        more than a day and is spread evenly over its days), spread_cost (that part). A day without a charge has no row.
    """
    frame = _charges(cost, costs, services)
    amounts = from_units(frame.pop("units")).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return _spread(frame.assign(effective_cost=amounts), (as_of - timedelta(days=settle_days) - date(1970, 1, 1)).days)


def _charges(cost: pa.Table, costs: CostsConfig, services: Sequence[str]) -> pd.DataFrame:
    """Exact sums of rows alike: start (day since 1970), days, currency, kind, service, part and units (whole 1e-12)."""
    targets = match_rows(cost, costs, services)
    currency = encode(cost.column("BillingCurrency"))
    part = _parts(cost)
    start, days = _days(cost)
    first, longest = (int(start.min()), int(days.max())) if len(start) else (0, 1)
    grouping = group_rows(
        [
            (currency.codes, currency.cardinality), (targets.target, len(targets.names)), (part, len(PARTS)),
            ((start - first).astype(np.int32), int((start - first).max(initial=0)) + 1),
            (days.astype(np.int32), longest + 1),
        ],
        cost.num_rows,
    )  # fmt: skip
    sums = sums_by_group(cost, grouping.group, grouping.count, ("EffectiveCost",))
    at = grouping.first_row
    target = targets.target[at]
    names = np.array([UNALLOCATED, *targets.names[1:]], object)
    return pd.DataFrame(
        {
            "start": start[at], "days": days[at], "currency": currency.take(at).to_pylist(),
            "kind": np.array(targets.kinds, object)[target], "service": names[target],
            "part": np.array(PARTS, object)[part[at]],
            "units": pd.Series(to_units(sums["EffectiveCost"]), dtype=object),
        }
    )  # fmt: skip


def exact_months(
    cost: pa.Table, costs: CostsConfig, services: Sequence[str], last_day: Mapping[str, date], others: str
) -> pd.DataFrame:
    """EffectiveCost by month of the day, exactly: what :func:`daily_spend` is of, without a float.

    Parameters
    ----------
    cost, costs, services
        As for :func:`daily_spend`.
    last_day
        Owner -> last day that counts: days after it are not whole yet. Owners without one are left out.
    others
        Name for what belongs to no service (pools and what is unallocated).

    Returns
    -------
    DataFrame
        service, month (YYYY-MM), currency, part, amount (Decimal), ordered by these. A charge for several days is
        spread evenly over them, rounded so that its days add up to it.
    """
    totals: dict[tuple[str, str, str, str], int] = {}
    frame = _charges(cost, costs, services)
    owners = frame["service"].where(frame["kind"] == "service", others)
    columns = (owners, frame["currency"], frame["part"], frame["start"], frame["days"], frame["units"])
    for owner, currency, part, start, days, whole in zip(*columns, strict=True):
        last = last_day.get(owner)
        if last is None:
            continue
        for month, units in _by_month(int(start), int(days), whole, (last - date(1970, 1, 1)).days):
            key = (owner, month, currency, part)
            totals[key] = totals.get(key, 0) + units
    rows = [(*key, to_decimal(units)) for key, units in sorted(totals.items())]
    return pd.DataFrame(rows, columns=["service", "month", "currency", "part", "amount"]).astype({"amount": object})


def _by_month(start: int, days: int, units: int, last: int) -> Iterator[tuple[str, int]]:
    """Month and whole 1e-12 of a charge of ``units`` for ``days`` days from ``start`` (since 1970), up to ``last``."""
    day, given = start, 0
    while day < start + days and day <= last:
        at = date(1970, 1, 1) + timedelta(days=day)
        following = date(at.year + at.month // 12, at.month % 12 + 1, 1) - date(1970, 1, 1)
        end = min(following.days, start + days, last + 1)
        until = round(Fraction(units * (end - start), days))
        yield f"{at:%Y-%m}", until - given
        day, given = end, until


def _days(cost: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First day (since 1970) and number of days of each row's charge period, at least one."""
    start, end = (
        cost.column(f"ChargePeriod{side}").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
        for side in ("Start", "End")
    )
    first = start // _DAY_US
    return first, np.maximum(-(-end // _DAY_US) - first, 1)


def running_days(cost: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """First day (since 1970) of each row's charge period, and whether it is running spend of a single day."""
    start, days = _days(cost)
    return start, (days == 1) & (_parts(cost) == PARTS.index("running"))


def _parts(cost: pa.Table) -> npt.NDArray[np.int32]:
    """Code into PARTS of each row."""
    category, kind, frequency = (
        encode(column_or_null(cost, c)) for c in ("ChargeCategory", "ChargeClass", "ChargeFrequency")
    )
    once = np.array([False, *(v.casefold() == "one-time" for v in frequency.distinct.to_pylist())])[frequency.codes]
    purchase = category.codes == category.code_of("Purchase")
    refund = (category.codes == category.code_of("Adjustment")) | (kind.codes == kind.code_of("Correction"))
    out = np.where(refund, PARTS.index("refund"), np.where(purchase & once, PARTS.index("one_off"), 0))
    for name in ("Credit", "Tax"):
        out[category.codes == category.code_of(name)] = PARTS.index(name.lower())
    return out.astype(np.int32)


def _spread(frame: pd.DataFrame, before_day: int) -> pd.DataFrame:
    """Each row over its days, evenly; days from ``before_day`` on are dropped."""
    days = frame["days"].to_numpy()
    out = frame.loc[frame.index.repeat(days)].reset_index(drop=True)
    nth = np.arange(len(out)) - np.repeat(np.cumsum(days) - days, days)
    out["effective_cost"] /= out["days"]
    out["spread"] = out["days"] > 1
    out["spread_cost"] = out["effective_cost"].where(out["spread"], 0.0)
    number = out["start"].to_numpy() + nth
    out = out[number < before_day].assign(day=pd.to_datetime(number[number < before_day], unit="D"))
    keys = ["day", "currency", "kind", "service", "part"]
    by_day: pd.DataFrame = out.groupby(keys, as_index=False, sort=True).agg(
        effective_cost=("effective_cost", "sum"), spread=("spread", "any"), spread_cost=("spread_cost", "sum")
    )
    return by_day


def settled_until(daily: pd.DataFrame, closed: Sequence[str]) -> pd.Timestamp | None:
    """Last day of ``daily`` whose spend is whole; None where there is no day.

    That is the last day there is, but for a bill that carries amounts of more than a day (a bill by the month, a fee
    for it). In a month that is still open these stand at what was metered so far, or have not come at all: spread over
    the month they make its days too small. Such spend is whole up to the end of the last closed month.

    Parameters
    ----------
    daily
        Of :func:`daily_spend`: running spend of one service, one currency, only days that have settled.
    closed
        Months (YYYY-MM) that have ended.
    """
    if daily.empty:
        return None
    last = pd.Timestamp(daily["day"].max())
    if not closed or f"{last:%Y-%m}" <= closed[-1]:
        return last
    month = pd.DatetimeIndex(daily["day"]).strftime("%Y-%m")
    before = daily[month == closed[-1]]
    total, spread = float(before["effective_cost"].abs().sum()), float(before["spread_cost"].abs().sum())
    return last if spread <= MONTHLY_LEAST * total else pd.Period(closed[-1], "M").end_time.normalize()


def month_totals(
    paths: npt.NDArray[Any],
    index: pd.DatetimeIndex,
    known: Mapping[str, float] | None = None,
    budgets: Mapping[str, Decimal] | None = None,
) -> pd.DataFrame:
    """Monthly totals of a daily spend forecast.

    Parameters
    ----------
    paths
        (P, H) daily spend; row i is one future, so its days may be added.
    index
        (H,) days, zone-less.
    known
        Month (YYYY-MM) -> spend of that month before ``index[0]``: the month to date.
    budgets
        Month -> budget in the same currency.

    Returns
    -------
    DataFrame
        month, known, q10, q50, q90 (of the whole month's total), complete (every day of the month is known or
        forecast), budget (Decimal or None), p_over (share of futures above the budget, NaN without one).

    Notes
    -----
    Quantiles are of the sums of paths; the sum of daily quantiles is no quantile of the sum.
    """
    if paths.ndim != 2 or paths.shape[1] != len(index) or not len(paths):
        raise UsageError(f"paths of shape {paths.shape} for {len(index)} days; (futures, days) is wanted")
    known, budgets = known or {}, budgets or {}
    months = index.strftime("%Y-%m").to_numpy()
    rows = []
    for month in sorted(set(months)):
        total = paths[:, months == month].sum(axis=1, dtype=np.float64) + known.get(month, 0.0)
        q10, q50, q90 = np.quantile(total, (0.1, 0.5, 0.9))
        budget = budgets.get(month)
        over = float(np.mean(total > float(budget))) if budget is not None else float("nan")
        complete = _is_complete(month, index[months == month], month in known)
        rows.append((month, known.get(month, 0.0), q10, q50, q90, complete, budget, over))
    return pd.DataFrame(rows, columns=["month", "known", "q10", "q50", "q90", "complete", "budget", "p_over"])


def _is_complete(month: str, days: pd.DatetimeIndex, has_known: bool) -> bool:
    period = pd.Period(month, "M")
    return bool(days[-1].day == period.days_in_month and (days[0].day == 1 or has_known))


def variance_grade(variance_frac: float) -> Literal["run", "walk", "crawl", "below crawl"]:
    """The FinOps grade of a forecast's variance, |actual - forecast| / forecast: 12 % run, 15 % walk, 20 % crawl."""
    for limit, grade in GRADES:
        if variance_frac <= limit:
            return grade
    return "below crawl"


def month_variance(actual: Floats, forecast: Floats) -> float:
    """Mean of |actual - forecast| / |forecast| over months, as a fraction."""
    if len(actual) != len(forecast) or not len(actual):
        raise UsageError(f"{len(actual)} actual and {len(forecast)} forecast months; the same number, at least one")
    return float(np.mean(np.abs(actual - forecast) / np.abs(forecast)))
