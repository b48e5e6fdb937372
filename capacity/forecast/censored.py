"""Values that are at least so large: hours at saturation or throttled, and the days they lie in."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import Floats

Bools = npt.NDArray[np.bool_]
Span = tuple[pd.Timestamp, pd.Timestamp]

# A utilisation from here on served what it could, not what was asked: two per cent are lost to rounding and to
# hosts that are not equally loaded.
SATURATED_PERCENT = 98.0
# A metric within this share of its limit is at it.
AT_LIMIT_FRAC = 0.995
# Earlier seasons that say what a value would have been, of twice as many looked at.
SEASONS = 4


def kept_bounds(values: Floats, bounds: Bools, season: int) -> Floats:
    """``values`` (n,) with those of ``bounds`` (n,) that say nothing set to NaN.

    A lower bound is used where it lies above what the seasons before say, because demand was then at least that. Where
    it lies below, demand may have been anything: the value is missing. It never pulls a forecast down. Only earlier
    steps are looked at, so that a step means the same at every later origin.
    """
    out = values.copy()
    for i in np.flatnonzero(bounds & np.isfinite(values)):
        before = out[i - season :: -season][: 2 * SEASONS] if i >= season else out[:0]
        known = before[np.isfinite(before)][:SEASONS]
        if not len(known) or out[i] < np.median(known):
            out[i] = np.nan
    return out


def saturated(utilisation: pd.Series) -> pd.DatetimeIndex:
    """Stamps at which ``utilisation`` (percent) was at the top."""
    return pd.DatetimeIndex(utilisation.index[utilisation.to_numpy(dtype=float) >= SATURATED_PERCENT])


def at_limit(values: pd.Series, limit: float) -> pd.DatetimeIndex:
    """Stamps at which a metric was at its ``limit`` (same unit)."""
    return pd.DatetimeIndex(values.index[values.to_numpy(dtype=float) >= AT_LIMIT_FRAC * limit])


def days_of(stamps: pd.DatetimeIndex) -> tuple[Span, ...]:
    """Days that hold a stamp (local, zone-less), as spans with both ends inclusive; neighbours in one span."""
    days = pd.DatetimeIndex(stamps).normalize().unique().sort_values()
    if not len(days):
        return ()
    breaks = np.flatnonzero(np.diff(days.to_numpy()) > np.timedelta64(1, "D")) + 1
    return tuple((run[0], run[-1]) for run in (days[a:b] for a, b in pairwise([0, *breaks, len(days)])))
