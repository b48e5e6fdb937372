"""All members at the final origin and at past ones: the raw material of choice and calibration.

A study is a function of one history alone, so it runs in any process and comes out the same. At a past origin nothing
is known of what came after it, not even the scale of the series; and past origins lie on a fixed calendar grid, so
that what was said there stays true as days arrive and can be remembered (see ``_memory``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capacity.domain import Floats, Paths
from capacity.forecast._history import EXPLOSION_FACTOR, History, View, recent_maximum, step_of
from capacity.forecast._memory import Recall, Told, digest_of
from capacity.forecast._regime import at_present_level
from capacity.forecast.members import MEMBERS, SEASONAL_NAIVE, Member

if TYPE_CHECKING:
    from capacity.forecast.occasions import Effects, Occasion

# Cheap members are tried at this many times the past origins that the costly one is.
CHEAP_ORIGINS_FACTOR = 3
# Past origins lie a third of the horizon apart: nearer, their errors are the same error told twice.
STEP_FRAC = 1.0 / 3.0
# Origins nearer than this (counted in origins) share days of their horizons.
OVERLAP = 3
# A past origin keeps at least two seasonal cycles (weeks) of history, or a third of what there is.
LEAST_CYCLES = 2
CHEAP = tuple(m for m in MEMBERS if not m.costly)
COSTLY = tuple(m for m in MEMBERS if m.costly)


@dataclass(frozen=True)
class Study:
    """What members said and what came, for one series; everything on the modelled scale as it is known now.

    Attributes
    ----------
    origins
        (K,) lengths of history at past origins, the latest first.
    names
        M members.
    past
        (M, K, H) float32 medians at past origins, NaN where a member was not asked. Each was made with the scale
        known then and carried onto the one known now. (Typed as what they are computed with: float64.)
    truth
        (K, H) what came; NaN where nothing was seen or it lies after the last point.
    final
        (M, H) medians at the last point.
    level
        (K + 1,) largest recent value (unit of the series) at past origins and, last, now.
    learned
        What the series says of the occasions, as of now.
    base
        (n,) the history without the occasions' effects, as it is known now. A recent jump stays in it, as its errors
        stay in ``truth``: what has jumped once may again, and without them intervals after a jump held half as often.
    ahead
        (H,) what coming occasions add to every median in ``final``; None without occasions.
    """

    history: History
    origins: tuple[int, ...]
    names: tuple[str, ...]
    past: Floats
    truth: Floats
    final: Floats
    level: Floats
    flags: tuple[str, ...]
    learned: tuple[Any, ...] = ()
    base: Floats = field(default_factory=lambda: np.empty(0))
    ahead: Floats | None = None

    @property
    def horizon(self) -> int:
        return int(self.final.shape[1])


def study(
    history: History,
    horizon: int,
    past_origins: int,
    past_step: int | None = None,
    anchored: bool = False,
    occasions: Sequence[Occasion] = (),
    recall: Recall | None = None,
) -> Study:
    """Run every member that applies, now and at past origins; ``recall`` knows what was said at those before."""
    start = _position(history, 0) if anchored else None
    origins = past_lengths(len(history), horizon, past_origins, history.freq, past_step, start)
    step = past_step or step_for(horizon)
    numbers = [(start + n) // step for n in origins] if start is not None else None
    costly = set(_spread(origins, past_origins, numbers))
    now = history.upto(len(history))
    effects = _effects(now, horizon, occasions)
    plain = now if effects is None else replace(now, z=now.z - effects.past)
    final, exploded = _ask(now, horizon, MEMBERS, effects)
    names = tuple(final)
    past: Any = np.full((len(names), len(origins), horizon), np.nan, dtype=np.float32)
    truth = np.full((len(origins), horizon), np.nan)
    for k, n in enumerate(origins):
        view = history.upto(n)
        said: dict[str, Paths] = {}
        for members in (CHEAP, COSTLY) if n in costly else (CHEAP,):
            said |= _told(history, view, n, horizon, members, occasions, recall or Recall()).medians
        for i, name in enumerate(names):
            if name in said:
                past[i, k] = now.scale.forward(view.scale.inverse(said[name].astype(float)))
        # Rounded as the medians are, so that what was foreseen exactly has an error of zero.
        came = now.scale.forward(history.y[n : n + horizon]).astype(np.float32)
        truth[k, : len(came)] = came
        truth[k, _unlearned(view, horizon, occasions)] = np.nan
    level = np.array([recent_maximum(history.y[:n], history.freq) for n in (*origins, len(history))])
    learned = tuple(effects.learned) if effects is not None else ()
    lift = None if effects is None else effects.ahead
    every = np.array(list(final.values()))
    return Study(history, origins, names, past, truth, every, level, exploded, learned, plain.z, lift)


def step_for(horizon: int) -> int:
    """Steps between past origins."""
    return max(1, round(horizon * STEP_FRAC))


def reach(horizon: int, past_origins: int, past_step: int | None = None) -> int:
    """Steps from the end to the oldest past origin, at most."""
    return (past_origins * CHEAP_ORIGINS_FACTOR + 3) * (past_step or step_for(horizon))


def past_lengths(
    n: int, horizon: int, past_origins: int, freq: str, past_step: int | None = None, start: int | None = None
) -> tuple[int, ...]:
    """Lengths of history at the past origins, latest first.

    Origins lie a third of a horizon (or ``past_step``) apart, from one such step before the end: the first ones see
    only part of their horizon come, and tell how good the members have been lately. Where the history is known to begin
    ``start`` steps after the epoch, they lie at the steps since then that are multiples of that, the latest one to two
    of them before the end: they stay where they are as the series grows, and series that end on different days share
    them.
    """
    cycle = 7 if freq == "D" else (168 if n >= 4 * 168 else 24)
    step = past_step or step_for(horizon)
    least = max(LEAST_CYCLES * cycle, n // 3)
    latest = n - step - ((start + n - step) % step if start is not None else 0)
    # A grid may lie badly: an origin a little older than the least makes up for the one it costs.
    fit = min(max(0, (n - least) // step), past_origins * CHEAP_ORIGINS_FACTOR + 2)
    on_grid = [latest - step * k for k in range(past_origins * CHEAP_ORIGINS_FACTOR + 2)]
    lengths = tuple(m for k, m in enumerate(on_grid) if m >= least or (k < fit and m >= LEAST_CYCLES * cycle))
    if lengths or n < 4:
        return lengths
    # Too short for its own horizon: as many origins as fit into the last third, a step at least apart.
    room = max(1, n // 3)
    gap = max(1, room // past_origins)
    return tuple(n - gap * (k + 1) for k in range(past_origins) if n - gap * (k + 1) >= max(1, n - room - 1))


def _spread(origins: tuple[int, ...], wanted: int, numbers: Sequence[int] | None) -> list[int]:
    """``wanted`` of the origins, evenly over them, the latest whole one among the choice.

    ``numbers`` (K,) count the origins on their grid, if they have one: which are taken follows from these, so that a
    new origin does not move the others.
    """
    if len(origins) <= wanted:
        return list(origins)
    first = min(OVERLAP - 1, len(origins) - 1)
    if numbers is None:
        at = np.unique(np.round(np.linspace(first, len(origins) - 1, wanted)).astype(int))
        return [origins[i] for i in at]
    whole = range(first, len(origins))
    stride = max(1, -(-len(whole) // wanted))
    on_grid = [k for k in whole if numbers[k] % stride == 0][:wanted]
    others = [k for k in (*whole, *range(whole.start)) if k not in on_grid]
    return [origins[k] for k in sorted([*on_grid, *others[: wanted - len(on_grid)]])]


def _told(
    history: History,
    view: View,
    n: int,
    horizon: int,
    members: tuple[Member, ...],
    occasions: Sequence[Occasion],
    recall: Recall,
) -> Told:
    """What ``members`` said at a past origin, on the scale known there; asked only where it is not remembered."""
    known = _near(occasions, view, horizon)

    def ask() -> Told:
        said, _ = _ask(view, horizon, members, _effects(view, horizon, known))
        return Told({name: z.astype(np.float32) for name, z in said.items()})

    values = history.y[n - len(view) : n]
    return recall.said(lambda: digest_of(view, values, horizon, members, known), ask)


def _near(occasions: Sequence[Occasion], view: View, horizon: int) -> tuple[Occasion, ...]:
    """Occasions cut to what the history and the horizon of one origin touch: a later date changes nothing there."""
    if not occasions:
        return ()
    step = step_of(view.freq)
    out = []
    for one in occasions:
        ramp = (one.ramp_steps + 1) * step
        first, last = view.start - ramp, view.start + (len(view) + horizon) * step + ramp
        spans = tuple(s for s in one.spans if s[0] <= last and s[1] >= first)
        if spans:
            out.append(replace(one, spans=spans))
    return tuple(out)


def _effects(view: View, horizon: int, occasions: Sequence[Occasion]) -> Effects | None:
    if not occasions:
        return None
    from capacity.forecast.occasions import effects

    return effects(view, horizon, occasions)


def _unlearned(view: View, horizon: int, occasions: Sequence[Occasion]) -> Any:
    """(H,) steps of events that nothing was known of then: no member is blamed for them, no interval holds them."""
    if not occasions:
        return np.zeros(horizon, dtype=bool)
    from capacity.forecast.occasions import unlearned

    return unlearned(view, horizon, _near(occasions, view, horizon))


def _ask(
    view: View, horizon: int, members: Sequence[Member], effects: Effects | None = None
) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """Medians of the members that apply, bounded; and the flags of those that had to be.

    Members see the demand without the occasions' effects, which are put on what they say.
    """
    if effects is not None:
        view = replace(view, z=view.z - effects.past)
    low, high = view.bounds
    top = recent_maximum(view.scale.inverse(view.z), view.freq)
    out: dict[str, Floats] = {}
    flags: list[str] = []
    settled = at_present_level(view)
    for member in members:
        # The yardstick stays what it is: the last season as it was.
        seen = view if SEASONAL_NAIVE in member.stems else settled
        if not member.applies(seen):
            continue
        for name, z in member.medians(seen, horizon).items():
            raw = view.scale.inverse(np.where(np.isfinite(z), z, low))
            if not view.scale.signed and top > 0 and bool((raw > EXPLOSION_FACTOR * top).any()):
                flags.append(f"{name}: capped at {EXPLOSION_FACTOR:.0f} x the recent maximum")
                z = np.minimum(z, view.scale.forward(np.array(EXPLOSION_FACTOR * top)))
            bounded = np.clip(np.where(np.isfinite(z), z, np.median(view.filled)), low, high)
            out[name] = bounded if effects is None else bounded + effects.ahead
    return out, tuple(flags)


def position(one: Study, n: int) -> int:
    """The step after ``n`` steps of a history, counted from a common epoch."""
    return _position(one.history, n)


def _position(history: History, n: int) -> int:
    return int((history.start - pd.Timestamp(0)) // step_of(history.freq)) + n
