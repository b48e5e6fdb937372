"""What the user allows of a purchase: its break-even, and its utilisation where usage turns out low."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.optimize.purchases._bill import PathBill, bill_paths, on_path
from capacity.optimize.purchases._lines import Column, Setting

# Halvings in the search for the largest size that is allowed: a millionth of the size.
_HALVINGS = 20
_TOLERANCE = 1e-9
# A Savings Plan is sold by a tenth of a cent an hour; less than half of that is none.
LEAST_HOURLY_USD = 0.0005


@dataclass(frozen=True)
class BreakEven:
    """Months from the purchase, and 1-based counts of them; None where never."""

    paid_back: int | None
    safe_after: int | None


def term_lots(setting: Setting, column: Column) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(K,) lots in which it runs."""
    month = setting.horizon.month
    out: np.ndarray[tuple[int], np.dtype[np.bool_]] = (column.start <= month) & (month < column.end)
    return out


def path_at(setting: Setting, column: Column, quantile: float) -> int:
    """The path whose usage in the purchase's scope, over its term, has that rank."""
    lots, covers = term_lots(setting, column), setting.pools[column.pool].covers
    usage = setting.horizon.usd[:, lots][:, :, covers].sum(axis=2) @ setting.horizon.hours[lots]
    order = np.argsort(usage, kind="stable")
    return int(order[round(quantile * (len(order) - 1))])


def utilisation(setting: Setting, column: Column, bill: PathBill) -> Floats:
    """(P,) share of the purchase that is used over its term. Purchases of one offer share what they cover alike."""
    lots = term_lots(setting, column)
    hours = setting.horizon.hours[lots]
    out: Floats = bill.used_frac[column.pool][:, lots] @ hours / hours.sum()
    return out


def break_even(setting: Setting, j: int, bought: Floats, bill: PathBill) -> BreakEven:
    """On the one path of ``setting``: when purchase ``j`` is paid back, and when its whole term is.

    Paid back from month n on: upfront + what was paid by the month until the end of month n is no more than the
    on-demand value of what it covered until then, and stays so to the end of the term.
    """
    column, horizon = setting.columns[j], setting.horizon
    pool = setting.pools[column.pool]
    units = setting.units(bought)[column.pool]
    share = np.divide(bought[j], units, out=np.zeros_like(units), where=units > 0)
    months = slice(column.start, column.end)
    hours = horizon.by_month(horizon.hours)[months]
    covered = np.cumsum(horizon.by_month(bill.covered_usd[column.pool][0] * share * horizon.hours)[months])
    whole = bought[j] * pool.unit_usd * hours.sum()
    up = column.offer.upfront_frac
    paid = whole * (up + (1 - up) * np.cumsum(hours) / hours.sum())
    # Rounding must not turn "just paid back" into "never".
    behind = np.flatnonzero(covered < paid * (1 - _TOLERANCE))
    paid_back = 0 if not len(behind) else int(behind[-1]) + 1
    safe = np.flatnonzero(covered >= whole * (1 - _TOLERANCE))
    return BreakEven(paid_back + 1 if paid_back < len(hours) else None, int(safe[0]) + 1 if len(safe) else None)


def is_bought(setting: Setting, j: int, bought: Floats) -> bool:
    return float(bought[j]) * setting.pools[setting.columns[j].pool].unit_usd >= LEAST_HOURLY_USD


def too_small(setting: Setting, j: int, bought: Floats) -> bool:
    """Whether purchase ``j`` is less than the policy thinks worth a decision."""
    hourly = float(bought[j]) * setting.pools[setting.columns[j].pool].unit_usd
    return hourly < setting.problem.policy.least_hourly_usd * (1 - _TOLERANCE)


def fault(setting: Setting, j: int, bought: Floats) -> str | None:
    """Which part of the policy purchase ``j`` breaks, in words; None where it holds."""
    policy, column = setting.problem.policy, setting.columns[j]
    if too_small(setting, j, bought):
        return f"it would be less than {policy.least_hourly_usd:g} USD an hour, not worth a decision"
    most = policy.largest_break_even_months[column.offer.term_years]
    middle = on_path(setting, path_at(setting, column, 0.5))
    months = break_even(middle, j, bought, bill_paths(middle, bought)).paid_back
    if most < math.inf and (months is None or months > most):
        when = "never" if months is None else f"only in month {months}"
        return f"it breaks even {when} on the P50 path; {most:g} months are allowed"
    if policy.least_utilisation_frac > 0:
        low = on_path(setting, path_at(setting, column, 0.1))
        used = float(utilisation(low, column, bill_paths(low, bought))[0])
        if used < policy.least_utilisation_frac - _TOLERANCE:
            return (
                f"{used:.1%} of it would be used on the P10 path; at least {policy.least_utilisation_frac:.1%} is asked"
            )
    return None


def largest_allowed(setting: Setting, j: int, bought: Floats) -> float:
    """The largest size of ``j``, no more than ``bought[j]``, that the policy allows, all else as bought."""
    low, high = 0.0, float(bought[j])
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        trial = bought.copy()
        trial[j] = middle
        if fault(setting, j, trial) is None:
            low = middle
        else:
            high = middle
    return float(math.floor(low + _TOLERANCE)) if setting.columns[j].integer else low
