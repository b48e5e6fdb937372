"""What a unit of demand costs of a resource, from the fleet's own history where there is no load test.

The model is ``resource = fixed + slope · demand`` by hour. It is fitted robustly, on the hours after the last
lasting change of efficiency, and the slope carries an 80 % interval from a weekly moving-block bootstrap
(:mod:`capacity.saturation._robust`). Where a line cannot be told from the data, all use is put on demand (the ratio),
which never overstates what a fleet can serve as demand grows, and a flag says so.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from capacity.domain import Floats, Interval, ResourceCost
from capacity.errors import MissingDataError, UsageError
from capacity.saturation._robust import bootstrap_slopes, fit_line, last_shift, r_squared

NOT_LOAD_TESTED = "not load-tested: from the fleet's history"

_CONFIDENCE = 0.8
# Draws of the bootstrap: the 10 % and 90 % points of 500 are known to about 1.5 % points.
_DRAWS = 500
_WEEK = 168
# Under two days of hours a line and the daily cycle cannot be told apart.
_FEW_HOURS = 48
# Under four weeks there are too few weekly blocks to resample; days are taken.
_HOURS_FOR_WEEKS = 4 * _WEEK
# Demand whose 5 % and 95 % points are within 5 % of its median shows no slope, only a level.
_CONSTANT_FRAC = 0.05
# A slope whose interval is wider than itself is no more than a guess.
_VAGUE_FRAC = 1.0
_LOW_R_SQUARED = 0.5
# A lasting change of at least 10 %, and three weeks on both sides, is a new level (a release, a migration).
_SHIFT = float(np.log(1.1))
_SHIFT_WEEKS = 3


def demand_is_resource(demand: pd.Series | float, resource_name: str = "busy_vcpu") -> ResourceCost:
    """The cost where demand is measured in the resource itself: exactly 1, nothing fixed.

    Parameters
    ----------
    demand
        The history of demand, or its highest value.
    resource_name
        Name for the result.

    Raises
    ------
    MissingDataError
        Where ``demand`` has no value.
    """
    highest = float(demand.max()) if isinstance(demand, pd.Series) else float(demand)  # max skips missing values
    if not np.isfinite(highest):
        raise MissingDataError(f"cost of {resource_name}: the demand series has no finite highest value")
    return ResourceCost(resource_name, Interval(1.0, 1.0, 1.0, 1.0), 0.0, highest, "demand_is_resource")


def regress_cost(
    demand: pd.Series, resource: pd.Series, resource_name: str = "busy_vcpu", seed: int = 0
) -> ResourceCost:
    """Resource per unit of demand, with its interval, from two hourly series.

    Parameters
    ----------
    demand, resource
        Hourly means on the same kind of time index; only hours that both have are used. Outages and censored hours
        are best masked before (missing values are left out).
    resource_name
        Name for the result, e.g. ``busy_vcpu``.
    seed
        Of the bootstrap: the same series and seed give the same interval.

    Returns
    -------
    ResourceCost
        ``per_demand`` in resource per unit of demand (80 %), ``fixed`` in the resource, at least 0. Flags: not
        load-tested; few hours; demand hardly varies; slope negative or vague (each of these: the ratio is used, with
        nothing fixed); use grows faster than demand (nothing fixed); low r²; a level shift, with its date.

    Raises
    ------
    MissingDataError
        No common hour with demand and use above 0.
    UsageError
        An index is not made of time stamps, or holds one twice.
    """
    times, x, y = _aligned(demand, resource, resource_name)
    flags = [NOT_LOAD_TESTED]
    kept = _after_last_shift(x, y)
    if kept:
        flags.append(f"level shift: only hours since {times[kept]:%Y-%m-%d} are used")
    x, y = x[kept:], y[kept:]
    rng = np.random.default_rng(seed)
    reason = _why_no_line(x)
    if reason is None:
        fitted = _by_line(x, y, resource_name, rng)
        if isinstance(fitted, ResourceCost):
            return _with_flags(fitted, flags)
        reason = fitted
    return _with_flags(_by_ratio(x, y, resource_name, reason), flags)


def _aligned(demand: pd.Series, resource: pd.Series, name: str) -> tuple[pd.DatetimeIndex, Floats, Floats]:
    for series, what in ((demand, "demand"), (resource, name)):
        if not isinstance(series.index, pd.DatetimeIndex) or not series.index.is_unique:
            raise UsageError(f"cost of {name}: {what} needs unique time stamps as its index")
    both = pd.concat([demand.rename("x"), resource.rename("y")], axis=1, join="inner").astype(float).sort_index()
    both = both[np.isfinite(both["x"]) & np.isfinite(both["y"]) & (both["x"] >= 0) & (both["y"] >= 0)]
    if not ((both["x"] > 0) & (both["y"] > 0)).any():
        raise MissingDataError(
            f"cost of {name}: demand and {name} have no hour in common with both above 0; "
            "check that both metrics are ingested for the same unit and period"
        )
    return pd.DatetimeIndex(both.index), both["x"].to_numpy(), both["y"].to_numpy()


def _after_last_shift(x: Floats, y: Floats) -> int:
    """First position after the last lasting change of use at equal demand."""
    weeks = len(x) // _WEEK
    if weeks < 2 * _SHIFT_WEEKS or _why_no_line(x) is not None:
        return 0
    line = fit_line(x, y)
    expected = line.intercept + line.slope * x
    usable = (expected > 0) & (y > 0)
    ratio = np.full(len(x), np.nan)
    ratio[usable] = np.log(y[usable] / expected[usable])
    first = len(x) - weeks * _WEEK  # whole weeks, counted from the end
    table = ratio[first:].reshape(weeks, _WEEK)
    if not np.isfinite(table).any(axis=1).all():
        return 0
    shift = last_shift(np.nanmedian(table, axis=1), _SHIFT, _SHIFT_WEEKS)
    return first + shift * _WEEK if shift else 0


def _why_no_line(x: Floats) -> str | None:
    if len(x) < _FEW_HOURS:
        return f"few points: {len(x)} hour(s)"
    low, middle, high = np.quantile(x, [0.05, 0.5, 0.95])
    if high - low <= _CONSTANT_FRAC * middle:
        return "demand hardly varies"
    return None


def _by_line(x: Floats, y: Floats, name: str, rng: np.random.Generator) -> ResourceCost | str:
    """The fitted line, or the reason why it cannot be used."""
    line = fit_line(x, y)
    through_origin = line.intercept < 0
    if through_origin:
        line = fit_line(x, y, through_origin=True)
    if line.slope <= 0:
        return "slope not above 0"
    block = _WEEK if len(x) >= _HOURS_FOR_WEEKS else max(_FEW_HOURS // 2, len(x) // 8)
    slopes = bootstrap_slopes(x, y, line, block, _DRAWS, rng, through_origin)
    low, high = (float(q) for q in np.quantile(slopes, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2]))
    if low <= 0 or high - low > _VAGUE_FRAC * line.slope:
        return "slope is vague"
    interval = Interval(min(low, line.slope), line.slope, max(high, line.slope), _CONFIDENCE)
    explained = r_squared(x, y, line)
    flags = (
        *(("use grows faster than demand: safe capacity may be overstated beyond what was seen",)
          if _grows_faster(x, y, through_origin) else ()),
        *((f"low r² ({explained:.2f})",) if explained < _LOW_R_SQUARED else ()),
    )  # fmt: skip
    seen = float(x[line.weights > 0].max())
    return ResourceCost(name, interval, max(line.intercept, 0.0), seen, "fleet_history", explained, flags)


def _grows_faster(x: Floats, y: Floats, through_origin: bool) -> bool:
    """Is the cost at the top of demand over 5 % above that at its middle, although nothing is fixed?"""
    if not through_origin:
        return False
    middle, high = np.quantile(x, [0.5, 0.9])
    near, top = (x > 0.8 * middle) & (x < 1.2 * middle) & (x > 0), x >= high
    if not near.any():
        return False
    return bool(np.median(y[top] / x[top]) > 1.05 * np.median(y[near] / x[near]))


def _by_ratio(x: Floats, y: Floats, name: str, reason: str) -> ResourceCost:
    """All use on demand: the median ratio of busy hours, its 10 % and 90 % points as the interval."""
    busy = (x > 0) & (y > 0)
    busy &= x >= np.quantile(x[busy], 0.5) if busy.any() else True  # quiet hours are mostly what is fixed
    if not busy.any():
        raise MissingDataError(f"cost of {name}: no hour since the last level shift has demand and use above 0")
    ratios = y[busy] / x[busy]
    low, mid, high = (float(q) for q in np.quantile(ratios, [(1 - _CONFIDENCE) / 2, 0.5, (1 + _CONFIDENCE) / 2]))
    flag = f"{reason}: all use is put on demand"
    return ResourceCost(
        name, Interval(low, mid, high, _CONFIDENCE), 0.0, float(x[busy].max()), "fleet_history", None, (flag,)
    )


def _with_flags(cost: ResourceCost, flags: list[str]) -> ResourceCost:
    return ResourceCost(
        cost.resource, cost.per_demand, cost.fixed, cost.highest_demand_seen, cost.basis, cost.r_squared,
        (*flags, *cost.flags),
    )  # fmt: skip
