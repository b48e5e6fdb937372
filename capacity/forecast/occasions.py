"""Events and holidays: what each did to the demand before, taken out of the past and put on its next date.

An occurrence is held against the same weekday (or hour of the week) in the weeks around it, all occasions left out.
What differs is its effect: one figure for the whole, and a shape within it, both drawn towards nothing by as much as
ordinary days differ too. Each step belongs to one occasion: to an event before a holiday, to the day itself before
another's ramp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from capacity.domain import Floats, SeriesForecast
from capacity.domain import LearnedEffect as Learned
from capacity.forecast._baseline import Ints, baseline, noise_of, season_of
from capacity.forecast._history import Bools, Span, View, step_of
from capacity.forecast._learning import Fit, Occurrence, fit_all
from capacity.forecast._placing import Placed, Places, place

# Half an 80 % interval in standard deviations of a Student t with 4 degrees of freedom: ordinary days have such tails.
Z80 = 1.533
# Dividing by less than this would say that nothing is left of the demand.
SMALLEST = 1e-3
# Seasons from which the level on a coming date is read, where a multiplier must become a difference of z.
LEVEL_SEASONS = 8


@dataclass(frozen=True)
class Occasion:
    """Something with dates: an event or a holiday.

    Attributes
    ----------
    spans
        Past and future occurrences, both ends inclusive, on the steps of the grid, zone-less.
    multiplier
        Given; None where it is learned from past occurrences.
    ramp_steps
        Steps before and after a span that are touched too.
    """

    name: str
    kind: Literal["event", "holiday"]
    spans: tuple[Span, ...]
    multiplier: float | None = None
    ramp_steps: int = 0


@dataclass(frozen=True)
class Effects:
    """Effects of all occasions on the modelled scale.

    Attributes
    ----------
    past
        (n,) to be subtracted from the view's ``z`` to get base demand.
    ahead
        (H,) to be added to every median of the horizon.
    learned
        What was found, an entry for each coming occurrence, or for the latest where none comes.
    """

    past: Floats
    ahead: Floats
    learned: tuple[Learned, ...]


def effects(view: View, horizon: int, occasions: Sequence[Occasion]) -> Effects:
    """What ``occasions`` did to the series, and what they will do.

    Parameters
    ----------
    view
        What is known: nothing else is looked at, so a past origin never learns from what came later.
    horizon
        H, steps ahead.
    occasions
        Their dates, past and coming.

    Returns
    -------
    Effects
        Zeros where nothing was learned or no occasion falls. In the past an event's own days become what the weeks
        around them say, whatever the event did; a holiday's are freed of what it usually does. A given multiplier holds
        for coming dates only.
    """
    places = place(view, horizon, occasions)
    if places is None:
        return Effects(np.zeros(len(view)), np.zeros(horizon), ())
    n = len(view)
    usable = view.seen & (places.owner[:n] < 0)
    apart, alone = _apart(view, usable, places)
    fits = _fits(view, usable, places, apart, alone)
    past = _past(view, places, fits, apart)
    level = _level(view.z - past, view, horizon)
    ahead = np.zeros(horizon)
    learned: list[Learned] = []
    for number, (one, fit) in enumerate(zip(places.placed, fits, strict=True)):
        given = one.occasion.multiplier
        mine = places.owner[n:] == number
        ahead[mine] = (
            fit.slots[places.slot[n:][mine]] if given is None else _given(view, one, places.slot[n:], mine, level)
        )
        learned += _told(view, horizon, one, fit, level, places.owner == number)
    return Effects(past, ahead, tuple(learned))


def factor_ahead(known: SeriesForecast, name: str) -> Floats:
    """(H,) multipliers that ``known`` carries because of the occasion ``name``: divide by them to be without it.

    Only what was learned is in a forecast's medians; a multiplier that a config or a scenario gives is put on later.
    """
    out = np.ones(len(known.index))
    step = step_of(known.freq)
    for one in known.learned:
        if one.name == name and one.source == "learned" and len(one.profile):
            ramp = (len(one.profile) - int((one.end - one.start) // step) - 1) // 2
            at = int((one.start - known.index[0]) // step) - ramp + np.arange(len(one.profile))
            inside = (at >= 0) & (at < len(out))
            out[at[inside]] *= np.array(one.profile)[inside]
    return np.maximum(out, SMALLEST)


def unlearned(view: View, horizon: int, occasions: Sequence[Occasion]) -> Bools:
    """(H,) steps of events of which ``view`` has seen no occurrence: what was forecast there says nothing of a method.

    Holidays are not among them: most have no effect, and not knowing one is part of every forecast's error.
    """
    out = np.zeros(horizon, dtype=bool)
    places = place(view, horizon, [o for o in occasions if o.kind == "event"])
    if places is None:
        return out
    n = len(view)
    for number, one in enumerate(places.placed):
        known = any(view.seen[max(0, a) : b + 1].any() for a, b in one.occurrences if a < n)
        if not known:
            out |= places.owner[n:] == number
    return out


def _apart(view: View, usable: Bools, places: Places) -> tuple[Floats, Bools]:
    """(n,) what occasions' steps lie above the weeks around them, NaN elsewhere; and where one side only was known."""
    apart, alone = np.full(len(view), np.nan), np.zeros(len(view), dtype=bool)
    at = np.flatnonzero((places.owner[: len(view)] >= 0) & view.seen)
    if len(at):
        middle, one_sided = baseline(view.z, usable, at, season_of(view))
        apart[at], alone[at] = view.z[at] - middle, one_sided
    return apart, alone


def _fits(view: View, usable: Bools, places: Places, apart: Floats, alone: Bools) -> list[Fit]:
    year = pd.Timedelta(days=365.25) / step_of(view.freq)
    cases = []
    for number, one in enumerate(places.placed):
        mine = places.owner[: len(view)] == number
        seen = [_occurrence(places, mine, k, ab, apart, alone, one, float(year))
                for k, ab in enumerate(one.occurrences)]  # fmt: skip
        cases.append((one.occasion.kind, one, [o for o in seen if o is not None]))
    noises = {
        length: noise_of(view.z, usable, season_of(view), view.freq, length)
        for length in {one.length for _, one, seen in cases if seen}
    }
    return fit_all([(kind, one.slots, one.inside, seen, noises.get(one.length)) for kind, one, seen in cases])


def _occurrence(
    places: Places,
    mine: Bools,
    k: int,
    ab: tuple[int, int],
    apart: Floats,
    alone: Bools,
    one: Placed,
    year: float,
) -> Occurrence | None:
    """One past occurrence as it is learned from; None where less than half of it was seen."""
    n = len(mine)
    values = np.full(one.slots, np.nan)
    steps = np.flatnonzero(mine & (places.occurrence[:n] == k) & np.isfinite(apart))
    values[places.slot[steps]] = apart[steps]
    inside = int(np.isfinite(values[one.inside]).sum())
    if 2 * inside < ab[1] - ab[0] + 1:
        return None
    return Occurrence(values, bool(alone[steps].any()), max(0.0, (n - ab[1]) / year))


def _past(view: View, places: Places, fits: Sequence[Fit], apart: Floats) -> Floats:
    n = len(view)
    past = np.zeros(n)
    for number, (one, fit) in enumerate(zip(places.placed, fits, strict=True)):
        mine = np.flatnonzero((places.owner[:n] == number) & view.seen)
        slots = places.slot[mine]
        past[mine] = fit.slots[slots]
        if one.occasion.kind == "event":
            own = one.is_inside[slots] & np.isfinite(apart[mine])
            past[mine[own]] = apart[mine[own]]
    return past


# --- multipliers -----------------------------------------------------------------------------------------------


def _level(base: Floats, view: View, horizon: int) -> Floats:
    """(n + H,) level of z by the season: of each known step, and of coming ones from the last eight seasons."""
    n, season = len(base), season_of(view)
    recent = base[-LEVEL_SEASONS * season :]
    known = recent[np.isfinite(recent)]
    out = np.concatenate([base, np.full(horizon, np.nan)])
    for phase in range(min(season, horizon)):
        rows = recent[(n + phase - (n - len(recent))) % season :: season]
        rows = rows[np.isfinite(rows)]
        out[n + phase :: season] = np.median(rows) if len(rows) else np.nan
    middle = float(np.median(known)) if len(known) else 0.0
    return np.where(np.isfinite(out), out, middle)


def _given(view: View, one: Placed, slots: Ints, mine: Bools, level: Floats) -> Floats:
    """What a given multiplier is on the modelled scale, at the level of each coming step; less on a ramp."""
    at = level[len(view) :][mine]
    factor = 1.0 + ((one.occasion.multiplier or 1.0) - 1.0) * one.weights[slots[mine]]
    return np.asarray(view.scale.forward(factor * view.scale.inverse(at)) - at, dtype=float)


def _told(view: View, horizon: int, one: Placed, fit: Fit, level: Floats, mine: Bools) -> list[Learned]:
    """An entry for each coming occurrence; for the latest where none comes; none where nothing is known of it."""
    n = len(view)
    coming = [ab for ab in one.occurrences if ab[1] >= n and ab[0] < n + horizon]
    latest = [ab for ab in one.occurrences if ab[1] < n][-1:]
    if not fit.occurrences and one.occasion.multiplier is None and (one.occasion.kind == "holiday" or not coming):
        return []
    return [_entry(view, one, fit, level, ab, mine) for ab in coming or (latest if fit.occurrences else [])]


def _entry(view: View, one: Placed, fit: Fit, level: Floats, ab: tuple[int, int], mine: Bools) -> Learned:
    steps = np.arange(ab[0] - one.ramp, ab[1] + one.ramp + 1)
    within = np.clip(steps, 0, len(level) - 1)
    at, owned = level[within], mine[within] & (within == steps)
    slots = one.slots_of(ab)
    inside = slice(one.ramp, len(steps) - one.ramp)
    given = one.occasion.multiplier
    if given is not None:
        profile, low, high = 1.0 + (given - 1.0) * one.weights[slots], given, given
    else:
        profile = _ratio(view, at, fit.slots[slots])
        low, high = (
            float(_ratio(view, at, fit.slots[slots] + sign * Z80 * fit.sd)[inside].mean()) for sign in (-1.0, 1.0)
        )
    step = step_of(view.freq)
    return Learned(
        name=one.occasion.name,
        kind=one.occasion.kind,
        start=view.start + ab[0] * step,
        end=view.start + ab[1] * step,
        multiplier=float(profile[inside].mean()),
        low=low,
        high=high,
        occurrences=fit.occurrences,
        source="learned" if given is None else "given",
        profile=tuple(float(x) for x in np.where(owned, profile, 1.0)),
    )


def _ratio(view: View, level: Floats, effect: Floats) -> Floats:
    """Multipliers in the unit of the series that ``effect`` (z) is at ``level`` (z)."""
    without = view.scale.inverse(level)
    ratio = np.divide(view.scale.inverse(level + effect), without, out=np.exp(effect), where=without > 0)
    return np.asarray(np.maximum(ratio, 0.0), dtype=float)
