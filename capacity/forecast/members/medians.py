"""Medians by weekday or by hour of week over several windows: cheap, robust, and hard to beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.forecast._history import View
from capacity.forecast.members.base import column_medians, decay, repeat, weighted_level

# Windows of hours of the week that are also given at a recent level, and how long its deviation lasts.
WEEKS_WITH_LEVEL = (4, 8)
FADING_HOURS = (24.0, 96.0)
HALF = 0.5


@dataclass(frozen=True)
class SeasonMedians:
    """The median of each weekday (daily) or hour of the week (hourly) over the last weeks, alone and at a recent level.

    Medians hold a shape well and a level badly. For hours, where a week's deviation is known well, they are given a
    part of it: all of it fading over a day or four, or half of it for good.
    """

    stems: tuple[str, ...] = ("weekday_median_", "hour_of_week_median_")
    costly: bool = False

    def applies(self, view: View) -> bool:
        return not view.short and len(view) >= 2 * 7 * (1 if view.freq == "D" else 24) and view.period != 24

    def medians(self, view: View, horizon: int) -> Mapping[str, Floats]:
        windows = (2, 4, 8, 13) if view.freq == "D" else (2, 3, 4, 8)
        word = "weekday" if view.freq == "D" else "hour_of_week"
        out: dict[str, Floats] = {}
        for weeks in windows:
            if len(view) >= weeks * view.period:
                season = _complete(column_medians(view.z, view.period, weeks), view)
                out[f"{word}_median_{weeks}w"] = repeat(season, horizon)
                if view.freq == "h" and weeks in WEEKS_WITH_LEVEL:
                    out |= _at_recent_level(f"{word}_median_{weeks}w", season, view, horizon)
        return out


def _at_recent_level(name: str, season: Floats, view: View, horizon: int) -> dict[str, Floats]:
    """``season`` (168,) moved by the last week's deviation from it, whole and fading or half and lasting."""
    error = view.z[-view.period :] - season
    steady = repeat(season, horizon)
    out = {
        f"{name}_fading_{tau:.0f}h": steady + weighted_level(error, tau / 2.0) * decay(horizon, tau)
        for tau in FADING_HOURS
    }
    lasting = float(np.nanmedian(error)) if np.isfinite(error).any() else 0.0
    return out | {f"{name}_half_level": steady + HALF * lasting}


@dataclass(frozen=True)
class DayProfile:
    """Hourly: the median of each hour of day over several days, at the level of the last day, which fades."""

    stems: tuple[str, ...] = ("hour_of_day_", "day_profile_")
    costly: bool = False

    def applies(self, view: View) -> bool:
        return view.freq == "h" and len(view) >= 48

    def medians(self, view: View, horizon: int) -> Mapping[str, Floats]:
        out: dict[str, Floats] = {}
        for days in (2, 4, 7, 14):
            if len(view) >= days * 24:
                profile = column_medians(view.z, 24, days)
                profile[~np.isfinite(profile)] = np.median(view.filled[-24 * days :])
                steady = repeat(profile, horizon)
                out[f"hour_of_day_median_{days}d"] = steady
        recent = view.filled[-24:] - profile
        day_level, hours_level = float(np.median(recent)), float(np.mean(recent[-3:]))
        out["day_profile_at_last_level"] = steady + day_level
        out["day_profile_fading"] = steady + day_level * decay(horizon, 48.0)
        out["day_profile_last_hours"] = steady + hours_level * decay(horizon, 8.0)
        out["day_profile_last_hours_slow"] = steady + day_level + (hours_level - day_level) * decay(horizon, 24.0)
        return out


def _complete(season: Floats, view: View) -> Floats:
    last = view.filled[-view.period :]
    return np.where(np.isfinite(season), season, last)
