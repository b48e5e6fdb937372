"""Daily: what happened on the same weekday a year ago, at this year's level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.forecast._history import View

YEAR = 364  # 52 whole weeks, so that weekdays meet
RECENT = 28
# Of the difference between this year's and last year's level only this share is believed to last.
LEVEL_SHARE = 0.7


@dataclass(frozen=True)
class YearAgo:
    """Last year's values, each the median of its week and the two beside it, moved by most of the level's change."""

    stems: tuple[str, ...] = ("year_ago",)
    costly: bool = False

    def applies(self, view: View) -> bool:
        return view.freq == "D" and len(view) >= YEAR + RECENT + 7

    def medians(self, view: View, horizon: int) -> Mapping[str, Floats]:
        z = view.filled
        n = len(z)
        at = n - YEAR + np.arange(horizon) % YEAR
        around = [z[np.where(at + shift < n, at + shift, at)] for shift in (-7, 0, 7)]
        change = float(np.median(z[-RECENT:]) - np.median(z[n - YEAR - RECENT : n - YEAR]))
        return {
            "year_ago": z[at] + LEVEL_SHARE * change,
            "year_ago_smoothed": np.median(around, axis=0) + LEVEL_SHARE * change,
        }
