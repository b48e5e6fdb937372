"""A level that has just changed for good: a migration, a new client, a job moved to another fleet.

Most members look back over weeks, and after such a jump they forecast the old world for as long. Where the last steps
all lie far to one side of their seasonal expectation, farther than this history has ever stayed, the past is moved to
the new level before they see it. It must be unprecedented: a site with bursts that end has had them before, and is
left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from capacity.domain import Floats
from capacity.forecast._history import View

# The season compared, and of how many the median is the expectation: eight weeks of days, a week of hours of the day.
SEASON: Mapping[str, tuple[int, int]] = {"D": (7, 8), "h": (24, 7)}
# Steps that must all lie to one side: two weeks, six hours.
LEAST_STEPS: Mapping[str, int] = {"D": 14, "h": 6}
# The smallest of them, in log units (a third more or a quarter less) and in robust standard deviations.
LEAST_JUMP = 0.3
LEAST_DEVIATIONS = 4.0
# An earlier stay at this share of the jump is a precedent; and the jump begins where this share of it was first left.
PRECEDENT_FRAC = 0.5
# Robust standard deviation of a normal sample, over the median absolute deviation.
NORMAL_SD_PER_MAD = 1.4826


def at_present_level(view: View) -> View:
    """``view`` with what lies before an unprecedented recent jump moved to the level after it; else as it is."""
    jump = recent_jump(view)
    if jump is None:
        return view
    at, size = jump
    z = view.z.copy()
    z[:at] += size
    return replace(view, z=z)


def recent_jump(view: View) -> tuple[int, float] | None:
    """(first step after it, size in log units) of a jump that has lasted to the end of ``view``; None without one."""
    season, count = SEASON[view.freq]
    least, n = LEAST_STEPS[view.freq], len(view)
    if n < 4 * season + least:
        return None
    away = _from_expectation(view.z, season, count)
    stays = _stays(away, least)
    now = float(stays[-1])
    before = away[season : n - least]
    known = before[np.isfinite(before)]
    if abs(now) < LEAST_JUMP or not len(known):
        return None
    deviation = NORMAL_SD_PER_MAD * float(np.median(np.abs(known - np.median(known))))
    at = _begin(away, now)
    precedent = float(np.abs(stays[:at]).max()) if at else 0.0
    # Once the jump fills half of what the expectation is made of, that has moved, and members know it.
    too_old = n - at > season * count / 2
    if abs(now) < LEAST_DEVIATIONS * deviation or precedent > PRECEDENT_FRAC * abs(now) or too_old:
        return None
    return at, float(np.nanmedian(away[at:]))


def _from_expectation(z: Floats, season: int, count: int) -> Floats:
    """(n,) distance from the median of the same step in up to ``count`` seasons before; NaN where none is known."""
    before = np.full((count, len(z)), np.nan)
    for j in range(1, count + 1):
        if j * season < len(z):
            before[j - 1, j * season :] = z[: len(z) - j * season]
    some = np.isfinite(before).any(axis=0)
    out = np.full(len(z), np.nan)
    out[some] = z[some] - np.nanmedian(before[:, some], axis=0)
    return out


def _stays(away: Floats, steps: int) -> Floats:
    """(n,) the smallest distance over the last ``steps``, with its sign; 0 where on both sides or half unseen."""
    windows = np.lib.stride_tricks.sliding_window_view(away, steps)
    seen = np.isfinite(windows)
    low = np.where(seen, windows, np.inf).min(axis=1)
    high = np.where(seen, windows, -np.inf).max(axis=1)
    nearest = np.where(low > 0, low, np.where(high < 0, high, 0.0))
    enough = seen.sum(axis=1) > steps // 2
    return np.concatenate([np.zeros(steps - 1), np.where(enough, nearest, 0.0)])


def _begin(away: Floats, now: float) -> int:
    """The first step of the run to the end that stays beyond :data:`PRECEDENT_FRAC` of ``now``; unseen ones count."""
    beyond = ~np.isfinite(away) | (away * np.sign(now) > PRECEDENT_FRAC * abs(now))
    inside = np.flatnonzero(~beyond)
    return int(inside[-1]) + 1 if len(inside) else 0
