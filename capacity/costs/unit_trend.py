"""How a unit cost moved from month to month: a robust slope a month, with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np

from capacity.costs.unit_slopes import CONFIDENCE
from capacity.domain import Floats, Interval

# Fewer months show their own accidents.
LEAST_MONTHS = 6
# Expected lag-1 correlation of months about their trend, and how many months believe in it: a dozen months cannot
# say themselves how much of each carries over to the next.
EXPECTED_CARRIED, EXPECTED_MONTHS = 0.3, 12.0
_MOST_CARRIED = 0.8


def month_trend(by_month: Mapping[str, Decimal | float | None]) -> Interval | None:
    """Relative change a month (0.02 is 2 % a month), with its 80 % interval; None below six months.

    Parameters
    ----------
    by_month
        Month (YYYY-MM) -> what a unit cost in it; None, and what is not above zero, is left out. Only whole months.

    Notes
    -----
    The slope of the logarithm on months, as the median of the slopes of all pairs (H. Theil, 1950; P. K. Sen,
    "Estimates of the regression coefficient based on Kendall's tau", *Journal of the American Statistical Association*
    63, 1968): up to 29 % of the months may be off. Sen's interval takes months for independent; it is widened by what
    carries over from month to month, sqrt((1 + r) / (1 - r)) for a lag-1 correlation r.
    """
    from scipy.stats import theilslopes

    known = {m: float(v) for m, v in by_month.items() if v is not None and float(v) > 0}
    if len(known) < LEAST_MONTHS:
        return None
    at = np.array([int(m[:4]) * 12 + int(m[5:]) for m in known], dtype=float)
    order = np.argsort(at)
    at, y = at[order], np.log(np.array(list(known.values())))[order]
    slope, intercept, low, high = theilslopes(y, at, alpha=CONFIDENCE)
    r = _carried(y - intercept - slope * at)
    wide = float(np.sqrt((1.0 + r) / (1.0 - r)))
    low, high = slope - wide * (slope - low), slope + wide * (high - slope)
    return Interval(float(np.expm1(low)), float(np.expm1(slope)), float(np.expm1(high)), CONFIDENCE)


def _carried(left: Floats) -> float:
    """Lag-1 correlation of what is left, drawn to the expected one."""
    square = float(np.sum(left**2))
    if square <= 0.0:
        return 0.0
    # What is fitted takes about (1 + 4 r) / n of it (F. H. C. Marriott and J. A. Pope, "Bias in the estimation of
    # autocorrelations", Biometrika 41, 1954).
    raw = float(np.sum(left[1:] * left[:-1])) / square
    own = raw + (1.0 + 4.0 * raw) / len(left)
    mixed = (len(left) * own + EXPECTED_MONTHS * EXPECTED_CARRIED) / (len(left) + EXPECTED_MONTHS)
    return float(np.clip(mixed, 0.0, _MOST_CARRIED))
