"""Lasting jumps of a series' level: a launch, a migration, a customer won or lost.

A jump is a difference between the month before and the month after that comes within days, stays, does not come back
every year, and is large against what the series' level does by itself in a month. Days without their week are looked
at: medians of whole weeks, which single odd days, outages of up to three days and the weekly season do not move.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from capacity.domain import Floats, LevelShift
from capacity.forecast._baseline import MAD_TO_SD
from capacity.forecast._history import View

# Days before and after that are compared: four weeks.
SIDE_DAYS = 28
# A jump is told no sooner than this many days after it: two weeks tell it from an event.
LEAST_AFTER_DAYS = 14
# Smaller differences of z are no launch: 20 % either way.
LEAST_JUMP = math.log(1.2)
# Of the whole difference this share must have come from one week to the next: a ramp over a month shows a quarter.
SUDDEN_FRAC = 0.7
# Of the difference this share must still be there in the following weeks, as far as they are known.
LASTING_FRAC = 0.5
# The same within this many days of the date a year before or after is the year's season.
YEAR_DAYS, YEAR_NEAR_DAYS = 365, 14
# What ends within so many days was an episode: ten weeks, the longest school holidays.
EPISODE_DAYS = 70
# Jumps are at least this far apart.
APART_DAYS = 21
# Usual month-on-month movement that every series has, in z: two per cent.
LEAST_MOVEMENT = 0.02
# Probability that a jump is one, from how many usual movements it is: logit = SLOPE x (size - HALF).
SLOPE, HALF = 1.2, 4.5
# Decimals of z that are told apart.
ROUNDING = 8
# What is less likely than this is not told.
LEAST_PROBABILITY = 0.8


def level_shifts(view: View) -> tuple[LevelShift, ...]:
    """Lasting jumps of the level that ``view`` shows, oldest first.

    Fewer than ten weeks show none. Hours are looked at as days. ``ratio`` is in the unit of the series, ``probability``
    from how large the jump is against the level's usual movement within a month.
    """
    days = _daily(view)
    weekly = _without_week(days)
    if len(weekly) < 2 * SIDE_DAYS + LEAST_AFTER_DAYS:
        return ()
    apart = _differences(weekly)
    usual = max(MAD_TO_SD * float(np.nanmedian(np.abs(apart))), LEAST_MOVEMENT) if np.isfinite(apart).any() else 1.0
    out = []
    peaks = _peaks(apart)
    for at in peaks:
        probability = 1.0 / (1.0 + math.exp(-SLOPE * (abs(apart[at]) / usual - HALF)))
        if (
            probability >= LEAST_PROBABILITY
            and _is_lasting(weekly, apart, at)
            and not _returns(weekly, apart, peaks, at)
        ):
            out.append(_shift(view, weekly, days, at, probability))
    return tuple(sorted(out, key=lambda s: s.at))


def _daily(view: View) -> Floats:
    """(days,) medians of z by day; NaN where less than half of a day was seen. The grid's own where it is daily."""
    if view.freq == "D":
        return view.z
    lead = view.start.hour
    hours = np.concatenate([np.full(lead, np.nan), view.z, np.full(-(lead + len(view)) % 24, np.nan)]).reshape(-1, 24)
    enough = np.isfinite(hours).sum(axis=1) >= 12
    out = np.full(len(hours), np.nan)
    out[enough] = np.nanmedian(hours[enough], axis=1)
    return out


def _without_week(days: Floats) -> Floats:
    """Days less what their weekday usually is above the week's median; NaN stay."""
    around = _rolling(days, 3, 3)
    apart = days - around
    week = np.zeros(7)
    for weekday in range(7):
        known = apart[weekday::7][np.isfinite(apart[weekday::7])]
        week[weekday] = np.median(known) if len(known) else 0.0
    return np.asarray(days - np.resize(week, len(days)), dtype=float)


def _rolling(values: Floats, before: int, after: int) -> Floats:
    """Median of each step's neighbourhood; NaN where fewer than half of its steps were seen."""
    padded = np.concatenate([np.full(before, np.nan), values, np.full(after, np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, before + after + 1)
    ranked = np.sort(windows, axis=1)
    count = np.isfinite(ranked).sum(axis=1)
    rows = np.arange(len(values))
    middle = (ranked[rows, np.maximum((count - 1) // 2, 0)] + ranked[rows, np.minimum(count // 2, before + after)]) / 2
    return np.asarray(np.where(2 * count >= min(before + after + 1, len(values)), middle, np.nan), dtype=float)


def _sides(weekly: Floats, length: int) -> tuple[Floats, Floats]:
    """(n,) medians of the ``length`` days before each day, and of those from it on."""
    known = _rolling(weekly, length - 1, 0)
    before, after = np.full(len(weekly), np.nan), np.full(len(weekly), np.nan)
    before[1:] = known[:-1]
    after[: len(weekly) - length + 1] = known[length - 1 :]
    return before, after


def _differences(weekly: Floats) -> Floats:
    """(n,) the month from each day on, less the month before it and less what the trend of both would have made."""
    before, after = _sides(weekly, SIDE_DAYS)
    half = SIDE_DAYS // 2
    early, late = _sides(weekly, half)
    # Near the end the month after is cut to the two weeks there are.
    after = np.where(np.isfinite(after), after, late)
    rise_before = early - _moved(early, half)
    rise_after = _moved(late, -half) - late
    rising = np.where(np.isfinite(rise_after), np.minimum(np.abs(rise_before), np.abs(rise_after)), 0.0)
    same = np.sign(rise_before) == np.sign(rise_after)
    trend = np.where(same & np.isfinite(rise_before), np.sign(rise_before) * rising, 0.0) * (SIDE_DAYS / half)
    # Rounded, so that equal medians stay equal in any unit of the series.
    out = np.round(after - before, ROUNDING)
    return np.where(np.sign(trend) == np.sign(out), np.sign(out) * np.maximum(np.abs(out) - np.abs(trend), 0.0), out)


def _moved(values: Floats, by: int) -> Floats:
    """``values`` of ``by`` days before; NaN beyond the ends."""
    out = np.full(len(values), np.nan)
    if by >= 0:
        out[by:] = values[: len(values) - by]
    else:
        out[:by] = values[-by:]
    return out


def _peaks(apart: Floats) -> list[int]:
    """Days of the largest differences, the largest first, each well away from the ones before."""
    sizes = np.where(np.isfinite(apart), np.abs(apart), 0.0)
    out: list[int] = []
    while sizes.max() >= LEAST_JUMP:
        at = int(sizes.argmax())
        out.append(at)
        sizes[max(0, at - APART_DAYS) : at + APART_DAYS + 1] = 0.0
    return out


def _is_lasting(weekly: Floats, apart: Floats, at: int) -> bool:
    jump = float(apart[at])
    return _is_sudden(weekly, at, jump) and _stays(weekly, at, jump) and not _is_yearly(apart, at, jump)


def _is_sudden(weekly: Floats, at: int, jump: float) -> bool:
    """The week that begins within three days of the date, against the week before it."""
    before, after = _sides(weekly, 7)
    near = (after - before)[max(0, at - 3) : at + 4]
    known = near[np.isfinite(near)] * np.sign(jump)
    return bool(len(known) and known.max() >= SUDDEN_FRAC * abs(jump))


def _stays(weekly: Floats, at: int, jump: float) -> bool:
    """Two weeks after, one and two months after: the level is still on its side."""
    before = weekly[max(0, at - SIDE_DAYS) : at]
    level = _median(before)
    for first in (at + LEAST_AFTER_DAYS // 2, at + SIDE_DAYS, at + 2 * SIDE_DAYS):
        later = weekly[first : first + SIDE_DAYS]
        later = later[np.isfinite(later)]
        if len(later) >= 7 and (float(np.median(later)) - level) * np.sign(jump) < LASTING_FRAC * abs(jump):
            return False
    return bool(np.isfinite(weekly[at:]).sum() >= LEAST_AFTER_DAYS)


def _returns(weekly: Floats, apart: Floats, peaks: list[int], at: int) -> bool:
    """Whether the jump only ends an episode: the level after it is what it was before one the other way."""
    after = _median(weekly[at : at + SIDE_DAYS])
    size = abs(after - _median(weekly[max(0, at - SIDE_DAYS) : at]))
    earlier = [p for p in peaks if 0 < at - p <= EPISODE_DAYS and apart[p] * apart[at] < 0]
    earlier = [p for p in earlier if abs(apart[p]) >= LASTING_FRAC * abs(apart[at])]
    levels = [_median(weekly[max(0, p - SIDE_DAYS) : p]) for p in earlier]
    return any(abs(after - level) < (1.0 - LASTING_FRAC) * size for level in levels)


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _is_yearly(apart: Floats, at: int, jump: float) -> bool:
    """Whether half as large a jump of the same sign came a year before or after."""
    for years in (-2, -1, 1, 2):
        middle = at + years * YEAR_DAYS
        near = apart[max(0, middle - YEAR_NEAR_DAYS) : max(0, middle + YEAR_NEAR_DAYS + 1)] * np.sign(jump)
        near = near[np.isfinite(near)]
        if len(near) and near.max() >= 0.5 * abs(jump):
            return True
    return False


def _shift(view: View, weekly: Floats, days: Floats, at: int, probability: float) -> LevelShift:
    at = _date(weekly, at)
    levels = [_median(part) for part in (weekly[max(0, at - SIDE_DAYS) : at], weekly[at : at + SIDE_DAYS])]
    before, after = view.scale.inverse(np.array(levels))
    ratio = float(after / before) if before > 0 else math.exp(levels[1] - levels[0])
    start = view.start.normalize() if view.freq == "h" else view.start
    return LevelShift(start + at * pd.Timedelta(days=1), ratio, round(probability, 3))


def _date(weekly: Floats, at: int) -> int:
    """The day within a week of ``at`` that parts its month best: least absolute distance from a level on each side."""
    first, last = max(0, at - SIDE_DAYS), min(len(weekly), at + SIDE_DAYS)
    best, day = math.inf, at
    for candidate in range(max(first + 7, at - 7), min(last - 7, at + 7) + 1):
        sides = (weekly[first:candidate], weekly[candidate:last])
        if all(np.isfinite(side).any() for side in sides):
            cost = round(sum(float(np.nansum(np.abs(side - np.nanmedian(side)))) for side in sides), ROUNDING)
            best, day = min((best, day), (cost, candidate))
    return day
