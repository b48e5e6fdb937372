"""What it costs to serve 1,000 requests (or any driver unit): on average, and at the margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pandas as pd

from capacity.costs._money import EXACT
from capacity.costs.allocation import Allocation
from capacity.domain import Interval
from capacity.errors import UsageError

# Less usage than this and the month's units are not the month's: an average over them would be too high.
LEAST_COVERAGE_FRAC = 0.95
# Fewer points than this and a slope says more about single months than about the service.
LEAST_MONTHS = 6
# The interval of the slope holds with this probability.
_CONFIDENCE = 0.8
_PER = 1000
_UNIT_COST_PLACES = Decimal(1).scaleb(-9)  # a request may cost a millionth; 9 places keep it readable and comparable
_COLUMNS = (
    "month", "service", "currency", "effective_cost", "units", "coverage_frac", "usd_per_1000",
    "usd_per_1000_covered_hours", "average_per_1000", "marginal_per_1000", "marginal_low", "marginal_high",
    "marginal_months", "fixed_share_frac", "flags",
)  # fmt: skip


@dataclass(frozen=True)
class Marginal:
    """Monthly cost against units: the slope (money a unit) and the share of the median month that is fixed."""

    per_unit: Interval
    fixed_share_frac: float
    months: int


def unit_costs(allocation: Allocation, driver_units: pd.DataFrame) -> pd.DataFrame:
    """Unit cost by month, service and currency: (direct + shared EffectiveCost) / units, for 1,000 units.

    Parameters
    ----------
    driver_units
        month (YYYY-MM), service, units (driver units counted in the month), coverage_frac (share of the month's
        hours whose usage was seen).

    Returns
    -------
    DataFrame
        month, service, currency, effective_cost (Decimal), units, coverage_frac,
        usd_per_1000 (Decimal in the row's currency, or None),
        usd_per_1000_covered_hours (Decimal or None), average_per_1000 (Decimal or None),
        marginal_per_1000, marginal_low, marginal_high (floats, NaN where unknown), marginal_months,
        fixed_share_frac, flags (text, "" where there is nothing to say). One row a month, service and currency that
        has a cost; the columns from average_per_1000 on are the same for all months of a service.

    Notes
    -----
    Where usage covers less than 95 % of the month, the month's cost has no units to be divided by: usd_per_1000 is
    None, the row is flagged, and usd_per_1000_covered_hours says what the covered hours cost if the month's cost
    accrued evenly (cost x coverage / units). Such months enter neither the average nor the slope.

    The average divides all cost by all units of complete months. The marginal cost is the Theil-Sen slope of monthly
    cost on units (median of the slopes of all pairs of months) with Sen's 80 % interval; it needs six complete months
    with differing units. The fixed share is its intercept over the median month's cost, kept within 0 and 1. A slope
    over months also carries whatever else moved with the units, such as prices.

    Raises
    ------
    UsageError
        A column is missing, a (month, service) stands twice, or a unit count is negative.
    """
    _check_units(driver_units)
    cost = allocation.service_costs()[["month", "service", "currency", "EffectiveCost"]]
    frame = cost.rename(columns={"EffectiveCost": "effective_cost"}).merge(
        driver_units[["month", "service", "units", "coverage_frac"]], how="left", on=["month", "service"]
    )
    frame["coverage_frac"] = frame["coverage_frac"].astype(float).fillna(0.0)
    complete = (frame["units"] > 0) & (frame["coverage_frac"] >= LEAST_COVERAGE_FRAC)
    rows = list(zip(frame["effective_cost"], frame["units"], frame["coverage_frac"], complete, strict=True))
    frame["usd_per_1000"] = pd.Series([_per_1000(c, u) if ok else None for c, u, _, ok in rows], dtype=object)
    covered = [_covered_hours(c, u, f) if u > 0 and f > 0 else None for c, u, f, _ in rows]
    frame["usd_per_1000_covered_hours"] = pd.Series(covered, dtype=object)
    frame["flags"] = [_flag(u, f) for _, u, f, _ in rows]
    summary = pd.DataFrame(
        [
            {"service": key[0], "currency": key[1], **_summary(part[complete.loc[part.index]])}
            for key, part in frame.groupby(["service", "currency"], sort=True)
        ],
        columns=["service", "currency", *_COLUMNS[8:14]],
    )
    out = frame.merge(summary, how="left", on=["service", "currency"])
    return out[list(_COLUMNS)].sort_values(["month", "service", "currency"], ignore_index=True)


def marginal_cost(cost: Sequence[float], units: Sequence[float]) -> Marginal | None:
    """Theil-Sen slope of monthly ``cost`` on ``units`` with an 80 % interval; None below six months.

    Sen (1968), Estimates of the regression coefficient based on Kendall's tau. Up to 29 % of the months may be off
    without moving the slope.
    """
    from scipy.stats import theilslopes

    y, x = np.asarray(cost, float), np.asarray(units, float)
    # Two distinct loads give one slope and no idea of its spread.
    if len(y) < LEAST_MONTHS or len(np.unique(x)) < 3:
        return None
    slope, intercept, low, high = theilslopes(y, x, alpha=_CONFIDENCE)
    middle = float(np.median(y))
    share = float(np.clip(intercept / middle, 0.0, 1.0)) if middle > 0 else float("nan")
    return Marginal(Interval(float(low), float(slope), float(high), _CONFIDENCE), share, len(y))


def _check_units(units: pd.DataFrame) -> None:
    missing = {"month", "service", "units", "coverage_frac"} - set(units.columns)
    if missing:
        raise UsageError(f"driver units: columns missing: {', '.join(sorted(missing))}")
    twice = units.loc[units.duplicated(["month", "service"]), ["month", "service"]]
    if len(twice):
        raise UsageError(f"driver units: {tuple(twice.iloc[0])} stands twice; sum a service's regions first")
    if (units["units"] < 0).any():
        raise UsageError("driver units: a count below zero")


def _per_1000(cost: Decimal, units: float) -> Decimal:
    ratio = EXACT.divide(EXACT.multiply(cost, Decimal(_PER)), Decimal(repr(float(units))))
    return ratio.quantize(_UNIT_COST_PLACES, ROUND_HALF_EVEN, EXACT)


def _covered_hours(cost: Decimal, units: float, coverage_frac: float) -> Decimal:
    return _per_1000(EXACT.multiply(cost, Decimal(repr(min(float(coverage_frac), 1.0)))), units)


def _flag(units: float, coverage_frac: float) -> str:
    if not units > 0:
        return "no driver units in this month"
    if coverage_frac < LEAST_COVERAGE_FRAC:
        return f"usage covers {coverage_frac:.0%} of the month"
    return ""


def _summary(complete: pd.DataFrame) -> dict[str, object]:
    """Average, slope and fixed share over the complete months of one service and currency."""
    average = None
    if len(complete):
        total = Decimal(0)
        for cost in complete["effective_cost"]:
            total = EXACT.add(total, cost)
        average = _per_1000(total, float(complete["units"].sum()))
    found = marginal_cost([float(c) for c in complete["effective_cost"]], complete["units"].tolist())
    nan = float("nan")
    low, mid, high = (found.per_unit.low, found.per_unit.mid, found.per_unit.high) if found else (nan, nan, nan)
    return {
        "average_per_1000": average,
        "marginal_per_1000": mid * _PER,
        "marginal_low": low * _PER,
        "marginal_high": high * _PER,
        "marginal_months": len(complete),
        "fixed_share_frac": found.fixed_share_frac if found else nan,
    }
