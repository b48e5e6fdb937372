"""Seasonal naive and other forecasts that need next to no history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.forecast._history import View
from capacity.forecast.members.base import decay, repeat, weighted_level

SEASONAL_NAIVE = "seasonal_naive"


@dataclass(frozen=True)
class SeasonalNaive:
    """The last season again. It is the yardstick: errors of all others are told as multiples of its error."""

    stems: tuple[str, ...] = (SEASONAL_NAIVE,)
    costly: bool = False

    def applies(self, view: View) -> bool:
        return len(view) > 0

    def medians(self, view: View, horizon: int) -> Mapping[str, Floats]:
        return {SEASONAL_NAIVE: repeat(view.filled[-view.period :], horizon)}


@dataclass(frozen=True)
class Level:
    """A level without a season: the last value, and the median of the last season or two."""

    stems: tuple[str, ...] = ("last_", "recent_", "fading_", "slowly_")
    costly: bool = False

    def applies(self, view: View) -> bool:
        return view.short or view.period == 24

    def medians(self, view: View, horizon: int) -> Mapping[str, Floats]:
        z = view.filled
        day = 7 if view.freq == "D" else 24
        level = float(np.median(z[-2 * day :]))
        lately = weighted_level(z[-day:], day / 8)
        return {
            "last_value": np.full(horizon, z[-1]),
            "last_season_level": np.full(horizon, np.median(z[-day:])),
            "recent_median": np.full(horizon, level),
            # The last hours' distance from the level fades over a quarter of a season, or over two.
            "fading_last_value": level + (lately - level) * decay(horizon, day / 4),
            "slowly_fading_last_value": level + (lately - level) * decay(horizon, 2.0 * day),
        }
