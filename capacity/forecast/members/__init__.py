"""The members: one module a family, one small protocol. Adding one is a module and a line in :data:`MEMBERS`."""

from __future__ import annotations

from capacity.forecast.members.base import Member
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
    Theta(),
    ProphetMap(),
)

__all__ = ["MEMBERS", "PROPHET", "SEASONAL_NAIVE", "Member"]
