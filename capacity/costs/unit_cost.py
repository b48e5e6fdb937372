"""What it costs to serve 1,000 requests (or any driver unit): on average, and at the margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pandas as pd

from capacity.costs._money import EXACT
from capacity.costs.allocation import Allocation
from capacity.costs.unit_slopes import Slope
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
    "marginal_months", "fixed_share_frac", "marginal_basis", "marginal_days", "long_run_per_1000", "long_run_low",
    "long_run_high", "flags",
)  # fmt: skip
# Slopes of days say what is fixed of the cost of these months: prices of a year ago are no more.
RECENT_MONTHS = 3


@dataclass(frozen=True)
class Marginal:
    """Monthly cost against units: the slope (money a unit) and the share of the median month that is fixed."""

    per_unit: Interval
    fixed_share_frac: float
    months: int


def unit_costs(
    allocation: Allocation,
    driver_units: pd.DataFrame,
    slopes: Mapping[tuple[str, str], Slope] | None = None,
    partial: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Unit cost by month, service and currency: (direct + shared EffectiveCost) / units, for 1,000 units.

    Parameters
    ----------
    driver_units
        month (YYYY-MM), service, units (driver units counted in the month), coverage_frac (share of the month's
        hours whose usage was seen).
    slopes
        (service, currency) -> marginal cost from days (:func:`capacity.costs.day_slopes`), instead of over months.
    partial
        Months that the bill holds only in part -> what is said of them (:func:`capacity.costs.partial_months`).

    Returns
    -------
    DataFrame
        month, service, currency, effective_cost (Decimal), units, coverage_frac,
        usd_per_1000 (Decimal in the row's currency, or None),
        usd_per_1000_covered_hours (Decimal or None), average_per_1000 (Decimal or None),
        marginal_per_1000, marginal_low, marginal_high (floats, NaN where unknown), marginal_months,
        fixed_share_frac, marginal_basis (days, months, or "" where it is unknown), marginal_days,
        long_run_per_1000, long_run_low, long_run_high (floats: always over months), flags (text, "" where there is
        nothing to say). One row a month, service and currency that has a cost; the columns from average_per_1000 on,
        but for the flags, are the same for all months of a service.

    Notes
    -----
    Where usage covers less than 95 % of the month, usd_per_1000 is None, the row is flagged, and
    usd_per_1000_covered_hours is cost x coverage / units, as if cost accrued evenly. Months of ``partial`` are flagged
    and have neither. Such months enter neither the average (all cost over all units) nor the slope. Without slopes from
    days the marginal cost is the Theil-Sen slope of monthly cost on units with Sen's 80 % interval, from six complete
    months on; it carries whatever moved with the units, such as prices and the fleet, and the fixed share (within 0 and
    1) is its intercept over the median month's cost; with a slope from days, what it leaves of the last three complete
    months.

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
    said = [(partial or {}).get(m, "") for m in frame["month"]]
    complete = (
        (frame["units"] > 0) & (frame["coverage_frac"] >= LEAST_COVERAGE_FRAC) & ~frame["month"].isin(partial or {})
    )
    rows = list(zip(frame["effective_cost"], frame["units"], frame["coverage_frac"], complete, strict=True))
    frame["usd_per_1000"] = pd.Series([per_1000(c, u) if ok else None for c, u, _, ok in rows], dtype=object)
    hours = [None if text else _covered_hours(c, u, f) for (c, u, f, _), text in zip(rows, said, strict=True)]
    frame["usd_per_1000_covered_hours"] = pd.Series(hours, dtype=object)
    flags = zip([_flag(u, f) for _, u, f, _ in rows], said, strict=True)
    frame["flags"] = ["; ".join(t for t in texts if t) for texts in flags]
    by_service = pd.DataFrame(
        [
            {"service": key[0], "currency": key[1]}
            | summary(part[complete.loc[part.index]], (slopes or {}).get((str(key[0]), str(key[1]))))
            for key, part in frame.groupby(["service", "currency"], sort=True)
        ],
        columns=["service", "currency", *_COLUMNS[8:19]],
    )
    out = frame.merge(by_service, how="left", on=["service", "currency"])
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


def per_1000(cost: Decimal, units: float) -> Decimal:
    """``cost`` of 1,000 of ``units`` (above zero), to nine places."""
    ratio = EXACT.divide(EXACT.multiply(cost, Decimal(_PER)), Decimal(repr(float(units))))
    return ratio.quantize(_UNIT_COST_PLACES, ROUND_HALF_EVEN, EXACT)


def _covered_hours(cost: Decimal, units: float, coverage_frac: float) -> Decimal | None:
    if not (units > 0 and coverage_frac > 0):
        return None
    return per_1000(EXACT.multiply(cost, Decimal(repr(min(float(coverage_frac), 1.0)))), units)


def _flag(units: float, coverage_frac: float) -> str:
    if not units > 0:
        return "no driver units in this month"
    if coverage_frac < LEAST_COVERAGE_FRAC:
        return f"usage covers {coverage_frac:.0%} of the month"
    return ""


def summary(complete: pd.DataFrame, slope: Slope | None = None) -> dict[str, object]:
    """Average, slope and fixed share of what has one cost and one driver.

    Parameters
    ----------
    complete
        month, effective_cost (Decimal), units: complete months of one currency only.
    slope
        From days, where there is one; else it is looked for over the months.
    """
    found = marginal_cost([float(c) for c in complete["effective_cost"]], complete["units"].tolist())
    months = Slope(found.per_unit, "months", found.months) if found else None
    used = slope or months
    low, mid, high = _bounds(used)
    long_low, long_mid, long_high = _bounds(months)
    return {
        "average_per_1000": average_per_1000(complete),
        "marginal_per_1000": mid,
        "marginal_low": low,
        "marginal_high": high,
        "marginal_months": len(complete),
        "fixed_share_frac": fixed_share(complete, mid / _PER) if slope or not found else found.fixed_share_frac,
        "marginal_basis": used.basis if used else "",
        "marginal_days": used.points if used and used.basis == "days" else 0,
        "long_run_per_1000": long_mid,
        "long_run_low": long_low,
        "long_run_high": long_high,
    }


def _bounds(slope: Slope | None) -> tuple[float, float, float]:
    """Low, mid and high of a slope, a 1,000 units."""
    if slope is None:
        return (float("nan"),) * 3
    return slope.per_unit.low * _PER, slope.per_unit.mid * _PER, slope.per_unit.high * _PER


def average_per_1000(complete: pd.DataFrame) -> Decimal | None:
    """All cost over all units of complete months; None where there is none."""
    if not len(complete):
        return None
    total = Decimal(0)
    for cost in complete["effective_cost"]:
        total = EXACT.add(total, cost)
    return per_1000(total, float(complete["units"].sum()))


def fixed_share(complete: pd.DataFrame, per_unit: float) -> float:
    """What a slope leaves of the cost of the last complete months, within 0 and 1; NaN where nothing is known."""
    last = complete.sort_values("month").tail(RECENT_MONTHS)
    cost = float(sum((float(c) for c in last["effective_cost"]), 0.0))
    if not np.isfinite(per_unit) or cost <= 0:
        return float("nan")
    return float(np.clip(1.0 - per_unit * float(last["units"].sum()) / cost, 0.0, 1.0))
