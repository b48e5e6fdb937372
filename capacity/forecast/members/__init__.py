"""The members: one module a family, one small protocol. Adding one is a module and a line in :data:`MEMBERS`."""

from __future__ import annotations

from capacity.forecast.members.base import Member
from capacity.forecast.members.drift import Drift
from capacity.forecast.members.medians import DayProfile, SeasonMedians
from capacity.forecast.members.naive import SEASONAL_NAIVE, Level, SeasonalNaive
from capacity.forecast.members.prophet_map import PROPHET, ProphetMap
from capacity.forecast.members.ridge import CalendarRidge, HourOfWeekRidge
from capacity.forecast.members.theta import Theta
from capacity.forecast.members.yearly import YearAgo

MEMBERS: tuple[Member, ...] = (
    SeasonalNaive(),
    Level(),
    SeasonMedians(),
    DayProfile(),
    CalendarRidge(),
    HourOfWeekRidge(),
    YearAgo(),
    Drift(),
    Theta(),
    ProphetMap(),
)


def family_of(name: str) -> int:
    """Which of :data:`MEMBERS` gives the medians called ``name``: the one with the longest stem of it."""
    fits = [(len(stem), -i) for i, m in enumerate(MEMBERS) for stem in m.stems if name.startswith(stem)]
    return -max(fits)[1] if fits else len(MEMBERS)


__all__ = ["MEMBERS", "PROPHET", "SEASONAL_NAIVE", "Member", "family_of"]
