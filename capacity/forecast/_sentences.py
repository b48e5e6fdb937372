"""What the parts of a series say, in sentences: only what the data support, and what they cannot tell.

Every claim is held against the noise that is left when all parts are taken out. A weekday, a month or an event that
does not stand out of it is not named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capacity.domain import QUANTILES, Floats, SeriesForecast
from capacity.forecast._components import Components, Effect
from capacity.forecast.members.prophet_map import DAYS_FOR_YEAR
from capacity.words import day, listed, percent, times

if TYPE_CHECKING:
    from capacity.domain import LearnedEffect, LevelShift

# Growth is read over a quarter of days (four weeks of hours). On 150 simulated series with walking levels the error of
# the trend's rise over 91 days was that of a slope over 91 steps of the noise: the 80 % interval held 81 %.
GROWTH_STEPS = {"D": 91, "h": 672}
STEPS_A_WEEK = {"D": 7, "h": 168}
DAYS_A_MONTH = 30.44
STEPS_A_DAY = {"D": 1, "h": 24}
# With less than two months to look at, growth is said a week.
DAYS_FOR_MONTHLY = 56
# Less says nothing of growth or of single weekdays: each was seen once or twice.
DAYS_FOR_GROWTH = 21
DAYS_FOR_WEEK = 28
# Normal score of an 80 % interval.
EIGHTY = 1.2816
# The range of seven means of noise is 2.7 of their standard errors on average, and rarely above 4.
RANGE_ERRORS = 4.0
# Differences that nobody plans by.
SMALLEST_RANGE = 0.02
ALIKE = 0.01
LEAST_GROWTH = 0.005
# Beyond this either way a growth inside the noise is unknown rather than flat.
FLAT_WITHIN = 0.05
# A level below a hundredth of the usual one has no growth to speak of (the scale's offset is a tenth of it).
NOTHING_Z = 0.1
# Correlation of the months of two years from which a time of year is believed; of 12 independent pairs .3 is chance.
SAME_YEARS = 0.5
# Events and holidays that are named one by one; the rest are counted.
MOST_NAMED = 8
DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip


@dataclass(frozen=True)
class Growth:
    """Rise of the trend a ``period``, as a fraction, with its 80 % interval, over the last ``steps``."""

    frac: float
    low: float
    high: float
    period: str
    steps: int

    @property
    def flat(self) -> bool:
        """Whether it is inside the noise, or too small to plan by."""
        return self.low <= 0.0 <= self.high or abs(self.frac) < LEAST_GROWTH


def growth_of(parts: Components) -> Growth | None:
    """The trend's growth over the last quarter, level shifts apart; None where it has no meaning or no support."""
    n, freq = len(parts), parts.freq
    if parts.trend[n - 1] < NOTHING_Z or n < DAYS_FOR_GROWTH * STEPS_A_DAY[freq]:
        return None
    steps = min(GROWTH_STEPS[freq], n)
    slope = float(parts.smooth[n - 1] - parts.smooth[n - steps]) / (steps - 1)
    size, lag1 = parts.noise_of_days
    days = steps / STEPS_A_DAY[freq]
    error = float(np.sqrt(12.0 * (1.0 + lag1) / (1.0 - lag1) / days**3)) * size / STEPS_A_DAY[freq]
    period = "month" if freq == "D" and steps >= DAYS_FOR_MONTHLY else "week"
    low, mid, high = (_rise(parts, slope + k * EIGHTY * error, period) for k in (-1.0, 0.0, 1.0))
    return Growth(mid, low, high, period, steps)


def _rise(parts: Components, slope: float, period: str) -> float:
    """What a ``slope`` on the modelled scale is a period, as a fraction of the level of today."""
    span = DAYS_A_MONTH if period == "month" else STEPS_A_WEEK[parts.freq]
    now = parts.trend[len(parts) - 1]
    return float(parts.level(now) / parts.level(now - slope * span)) - 1.0


def explained_of(parts: Components) -> float:
    """Share of the variance of the past, on the modelled scale, that the parts explain; in [0, 1]."""
    seen = np.isfinite(parts.z)
    total = float(np.var(parts.z[seen]))
    return float(np.clip(1.0 - float(np.mean(parts.residual[seen] ** 2)) / total, 0.0, 1.0)) if total > 0 else 1.0


def sentences(parts: Components, forecast: SeriesForecast | None) -> tuple[str, ...]:
    """All that can be said, the growth first."""
    growth = growth_of(parts)
    said = [
        _growth(parts, growth),
        _weekdays(parts),
        _hours(parts),
        _months(parts),
        *_shifts(forecast.shifts if forecast else ()),
        *_events(parts, forecast.learned if forecast else ()),
        _used(parts, forecast) if forecast else "",
        _explained(parts),
    ]
    return tuple(text for text in said if text)


# --- growth ------------------------------------------------------------------------------------------------


def _growth(parts: Components, growth: Growth | None) -> str:
    if growth is None and parts.trend[len(parts) - 1] >= NOTHING_Z:
        known = len(parts) // STEPS_A_DAY[parts.freq]
        return f"Growth cannot be told yet: {known} days are known, {DAYS_FOR_GROWTH} are needed"
    if growth is None:
        return "The level has fallen to almost nothing: a growth rate has no meaning"
    over = f"over the last {_span(growth.steps, parts.freq)}"
    range_ = f"{percent(growth.low, signed=True)} to {percent(growth.high, signed=True)}"
    if growth.flat:
        known = max(-growth.low, growth.high) <= FLAT_WITHIN
        return f"{'About flat' if known else 'No growth beyond the noise'} {over} ({range_} a {growth.period})"
    verb = "Grows" if growth.frac > 0 else "Shrinks"
    doubt = "" if "yearly" in parts.shapes or parts.freq == "h" else "; part of it may be the time of year"
    return f"{verb} {percent(abs(growth.frac))} a {growth.period} {over} ({range_}){doubt}"


def _span(steps: int, freq: str) -> str:
    days = steps if freq == "D" else steps / 24
    weeks = round(days / 7)
    return f"{weeks} weeks" if weeks > 1 else f"{days:.0f} days"


# --- shapes ------------------------------------------------------------------------------------------------


def _recent(parts: Components, name: str, steps: int) -> tuple[pd.DatetimeIndex, Floats]:
    """Stamps of the last ``steps`` of history, and the logarithm of the part's factor there."""
    n = len(parts)
    first = max(0, n - steps)
    return parts.stamps[first:n], np.log(parts.factors[name][first:n])


def _by_group(groups: pd.Index, logs: Floats) -> pd.Series:
    """Mean log factor by group, against the mean of all groups."""
    means = pd.Series(logs).groupby(np.asarray(groups)).mean()
    return means - means.mean()


def _seen(parts: Components, steps: int) -> float:
    """Values among the last ``steps``."""
    return float(np.isfinite(parts.z[-steps:]).sum())


def _weekdays(parts: Components) -> str:
    stamps, logs = _recent(parts, "weekly", 52 * STEPS_A_WEEK[parts.freq])
    known = len(parts) // STEPS_A_DAY[parts.freq]
    if known < DAYS_FOR_WEEK:
        return f"Days of the week cannot be told yet: {known} days are known, {DAYS_FOR_WEEK} are needed"
    means = _by_group(stamps.dayofweek, logs)
    error = parts.noise_of_days[0] / float(np.sqrt(max(_seen(parts, len(stamps)) / STEPS_A_WEEK[parts.freq], 1.0)))
    if len(means) < 7 or means.max() - means.min() < max(RANGE_ERRORS * error, SMALLEST_RANGE):
        return "No day of the week stands out of the noise"
    near = max(2.0 * error, ALIKE)
    top, low = means[means >= means.max() - near], means[means <= means.min() + near]
    return (
        f"{_days(list(top.index))} are highest ({times(float(np.exp(top.mean())))} the average day), "
        f"{_days(list(low.index))} lowest ({times(float(np.exp(low.mean())))})"
    )


def _days(numbers: list[int]) -> str:
    """Names of days of the week; three or more in a row as a range."""
    if numbers == [0, 1, 2, 3, 4]:
        return "weekdays".capitalize()
    if numbers == [5, 6]:
        return "weekends"
    for first in numbers:  # the week goes round: Fridays to Mondays
        run = [(first + i) % 7 for i in range(len(numbers))]
        if len(run) > 2 and sorted(run) == numbers:
            return f"{DAYS[run[0]]} to {DAYS[run[-1]]}"
    return listed([DAYS[i] for i in numbers])


def _hours(parts: Components) -> str:
    if "daily" not in parts.shapes:
        return ""
    stamps, logs = _recent(parts, "daily", 28 * 24)
    means = _by_group(stamps.hour, logs)
    error = parts.noise[0] / float(np.sqrt(max(_seen(parts, len(stamps)) / 24, 1.0)))
    if means.max() - means.min() < max(RANGE_ERRORS * error, SMALLEST_RANGE):
        return "No hour of the day stands out of the noise"
    top, low = int(means.idxmax()), int(means.idxmin())
    return (
        f"The day is highest about {top:02d}:00 ({times(float(np.exp(means[top])))} its average) "
        f"and lowest about {low:02d}:00 ({times(float(np.exp(means[low])))})"
    )


def _months(parts: Components) -> str:
    if parts.freq == "h":
        return ""
    if "yearly" not in parts.shapes:
        return f"The time of year cannot be told yet: {len(parts)} days are known, {DAYS_FOR_YEAR} are needed"
    stamps, logs = _recent(parts, "yearly", 365)
    means = _by_group(stamps.month, logs)
    if means.max() - means.min() < SMALLEST_RANGE or _agreement(parts) < SAME_YEARS:
        return "No time of year stands out in both of the last two years"
    top, low = int(means.idxmax()), int(means.idxmin())
    return (
        f"{MONTHS[top - 1]} is the highest month ({times(float(np.exp(means[top])))} the average of the year), "
        f"{MONTHS[low - 1]} the lowest ({times(float(np.exp(means[low])))})"
    )


def _agreement(parts: Components) -> float:
    """Correlation over calendar months of the last year with the one before, all but trend and week taken out."""
    left = parts.shapes["yearly"][: len(parts)] + parts.residual
    months, last = parts.stamps[: len(parts)].month, slice(-365, None)
    before = slice(-730, -365)
    one = pd.Series(left[last]).groupby(np.asarray(months[last])).mean()
    two = pd.Series(left[before]).groupby(np.asarray(months[before])).mean()
    both = pd.concat([one, two], axis=1, join="inner").dropna()
    if len(both) < 6 or float(both.std().min()) == 0.0:
        return 0.0
    return float(np.corrcoef(both[0], both[1])[0, 1])


# --- events and shifts -------------------------------------------------------------------------------------


def _shifts(shifts: Sequence[LevelShift]) -> list[str]:
    return [f"The level is {times(s.ratio)} what it was since {day(s.at.date())}" for s in shifts]


@dataclass(frozen=True)
class _Said:
    """One event or holiday: its coming (or latest) occurrence, its multiplier, and what that rests on."""

    name: str
    start: pd.Timestamp
    end: pd.Timestamp
    multiplier: float
    low: float
    high: float
    occurrences: int
    given: bool

    @property
    def silent(self) -> bool:
        """Nothing was learned, or what was is inside the noise."""
        return not self.given and (not self.occurrences or self.low <= 1.0 <= self.high)


def _events(parts: Components, learned: Sequence[LearnedEffect]) -> list[str]:
    """The forecast's own multipliers where it has them, else Prophet's; the silent ones are counted, not named."""
    known = [
        _Said(e.name, e.start, e.end, e.multiplier, e.low, e.high, e.occurrences, e.source == "given") for e in learned
    ]
    own = [_own(parts, e) for e in parts.effects if e.occasion.name not in {k.name for k in known}]
    known += [said for said in own if said is not None]
    loud = sorted((k for k in known if not k.silent), key=lambda k: (k.start, k.name))
    text = [_event(k) for k in loud[:MOST_NAMED]]
    if len(loud) > MOST_NAMED:
        text.append(f"{len(loud) - MOST_NAMED} more events have an effect; the table has them")
    unseen = sorted({k.name for k in known if k.silent and not k.occurrences})
    quiet = sorted({k.name for k in known if k.silent and k.occurrences})
    if quiet:
        text.append(f"No effect beyond the noise: {_some(quiet)}")
    if unseen:
        text.append(f"No effect known, for want of a past occurrence: {_some(unseen)}")
    return text


def _some(names: list[str]) -> str:
    return listed(names) if len(names) <= MOST_NAMED else f"{listed([*names[:3], f'{len(names) - 3} others'])}"


def _event(said: _Said) -> str:
    """Its multiplier, and what that rests on."""
    first, last = day(said.start.date()), day(said.end.date())
    when = first if first == last else f"{first} to {last}"
    head = f"{said.name}, {when}: {times(said.multiplier)} what is usual"
    if said.given:
        return f"{head}, as given"
    count = f"{said.occurrences} past occurrence{'s' if said.occurrences > 1 else ''}"
    return f"{head} ({times(said.low)} to {times(said.high)}), learned from {count}"


def _own(parts: Components, effect: Effect) -> _Said | None:
    """What the fit says of an occasion, at its coming or else its latest occurrence on the frame's days."""
    origin = parts.stamps[len(parts) - 1]
    inside = [(a, b) for a, b in effect.occasion.spans if b >= parts.stamps[0] and a <= parts.stamps[-1]]
    if not inside:
        return None
    start, end = min((s for s in inside if s[1] > origin), default=max(inside))
    at = slice(int(parts.stamps.searchsorted(start)), int(parts.stamps.searchsorted(end, side="right")))
    base = (parts.trend + parts.season)[at]
    given = effect.occasion.multiplier
    if given is not None:
        return _Said(effect.occasion.name, start, end, given, given, given, effect.occurrences, True)
    if not effect.occurrences or not len(base):
        return _Said(effect.occasion.name, start, end, 1.0, 1.0, 1.0, 0, False)

    def ratio(z: float) -> float:
        return float(np.exp(np.mean(np.log(parts.level(base + z) / parts.level(base)))))

    # Twice the error: with many holidays, an 80 % interval would let noise through every other time.
    low, high = ratio(effect.z - 2 * effect.error), ratio(effect.z + 2 * effect.error)
    return _Said(effect.occasion.name, start, end, ratio(effect.z), low, high, effect.occurrences, False)


# --- beside the forecast that is used ----------------------------------------------------------------------


def _used(parts: Components, forecast: SeriesForecast) -> str:
    """How the forecast that is used differs from Prophet's own way on."""
    ahead = parts.factors["fitted"][len(parts) :]
    median = forecast.quantiles[QUANTILES.index(0.5)][: len(ahead)]
    ahead = ahead[: len(median)]
    if parts.freq == "D" and len(median) >= 28 and bool((median > 0).all()):
        shape = ahead / parts.factors["trend"][len(parts) :][: len(ahead)]
        mine, its = _monthly(median / shape), _monthly(ahead / shape)
        what = f"{percent(mine, signed=True)} a month", f"{percent(its, signed=True)}"
        if abs(mine - its) < LEAST_GROWTH:
            return f"The forecast used and Prophet alone agree on the way on: {what[0]}"
        return f"The forecast used says {what[0]} from here, Prophet alone {what[1]}"
    ratio = float(median.sum() / ahead.sum()) - 1.0 if ahead.sum() > 0 else 0.0
    if abs(ratio) < SMALLEST_RANGE:
        return "The forecast used and Prophet alone agree over the horizon"
    side = "above" if ratio > 0 else "below"
    return f"Over the horizon the forecast used is {percent(abs(ratio))} {side} Prophet alone"


def _monthly(level: Floats) -> float:
    """Growth a month of a level without its seasons, by a straight line through its logarithm."""
    at = np.arange(len(level)) - (len(level) - 1) / 2
    return float(np.expm1(at @ np.log(level) / (at @ at) * DAYS_A_MONTH))


def _explained(parts: Components) -> str:
    middle = np.array([np.nanmedian(parts.z)])
    usual = float(parts.level(middle + parts.noise[0])[0] / parts.level(middle)[0]) - 1.0
    step = "a day" if parts.freq == "D" else "an hour"
    return (
        f"These parts explain {explained_of(parts):.0%} of the variance of the past (on a log scale); "
        f"what is left is about ±{percent(usual)} {step}"
    )
