"""Daily: what rises (or falls) by about the same amount month after month, as a disk fills: the amount goes on.

All other members work on the log scale, where a constant amount a month is a growth that slows down: carried on as a
rate it explodes, damped it stands still.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.forecast._history import View
from capacity.forecast.members.base import repeat

WEEK = 7
# It speaks only of histories in which so large a share of the last days differ from four weeks before in one
# direction: traffic has months that fall, a disk has next to none.
STEADY_FRAC = 0.9
STEADY_DAYS = 182
MONTH = 4 * WEEK
# Weekdays' distances from the line are medians of so many weeks.
SHAPE_WEEKS = 8


@dataclass(frozen=True)
class Drift:
    """A line through the level of the last weeks; its slope is the median change over four weeks, of ``slope_days``."""

    slope_days: tuple[int, ...] = (28, 91, 273)
    stems: tuple[str, ...] = ("drift_",)
    costly: bool = False

    def applies(self, view: View) -> bool:
        if view.freq != "D" or view.short or view.scale.signed:
            return False
        changes = _changes(view.z[-STEADY_DAYS - MONTH :])
        known = changes[np.isfinite(changes)]
        if len(known) < STEADY_DAYS // 2:
            return False
        return bool(max((known > 0).mean(), (known < 0).mean()) >= STEADY_FRAC)

    def medians(self, view: View, horizon: int) -> Mapping[str, Floats]:
        y = view.scale.inverse(view.filled)
        ahead = np.arange(1.0, horizon + 1.0)
        out: dict[str, Floats] = {}
        for days in self.slope_days:
            if len(y) < days + MONTH:
                continue
            slope = float(np.median(_changes(y[-days - MONTH :]))) / MONTH
            lately = y[-SHAPE_WEEKS * WEEK :]
            flat = lately + slope * np.arange(len(lately) - 1.0, -1.0, -1.0)
            level = float(np.median(flat[-2 * WEEK :]))
            weekday = np.median((flat[len(flat) % WEEK :] - level).reshape(-1, WEEK), axis=0)
            line = level + slope * ahead + repeat(weekday - np.median(weekday), horizon)
            out[f"drift_{days}d"] = view.scale.forward(np.maximum(line, 0.0))
        return out


def _changes(values: Floats) -> Floats:
    return np.asarray(values[MONTH:] - values[:-MONTH], dtype=float)
