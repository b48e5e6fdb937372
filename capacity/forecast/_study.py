"""All members at the final origin and at past ones: the raw material of choice and calibration.

A study is a function of one history alone, so it runs in any process and comes out the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from capacity.domain import Floats
from capacity.forecast._history import EXPLOSION_FACTOR, History, View, recent_maximum, step_of
from capacity.forecast.members import MEMBERS, Member

# Cheap members are tried at this many times the past origins that the costly one is.
CHEAP_ORIGINS_FACTOR = 3
# Past origins lie a third of the horizon apart: nearer, their errors are the same error told twice.
STEP_FRAC = 1.0 / 3.0
# Origins nearer than this (counted in origins) share days of their horizons.
OVERLAP = 3
# A past origin keeps at least two seasonal cycles (weeks) of history, or a third of what there is.
LEAST_CYCLES = 2


@dataclass(frozen=True)
class Study:
    """What members said and what came, for one series; everything on the modelled scale.

    Attributes
    ----------
    origins
        (K,) lengths of history at past origins, the latest first.
    names
        M members.
    past
        (M, K, H) medians at past origins, NaN where a member was not asked.
    truth
        (K, H) what came; NaN where nothing was seen or it lies after the last point.
    final
        (M, H) medians at the last point.
    level
        (K + 1,) largest recent value (unit of the series) at past origins and, last, now.
    """

    history: History
    origins: tuple[int, ...]
    names: tuple[str, ...]
    past: Floats
    truth: Floats
    final: Floats
    level: Floats
    flags: tuple[str, ...]

    @property
    def horizon(self) -> int:
        return int(self.final.shape[1])


def study(history: History, horizon: int, past_origins: int) -> Study:
    """Run every member that applies, now and at past origins."""
    origins = past_lengths(len(history), horizon, past_origins, history.freq)
    costly = set(_spread(origins, past_origins))
    now = history.upto(len(history))
    final, exploded = _ask(now, horizon, MEMBERS)
    names = tuple(final)
    past = np.full((len(names), len(origins), horizon), np.nan)
    truth = np.full((len(origins), horizon), np.nan)
    for k, n in enumerate(origins):
        asked = [m for m in MEMBERS if not m.costly or n in costly]
        said, _ = _ask(history.upto(n), horizon, asked)
        for i, name in enumerate(names):
            if name in said:
                past[i, k] = said[name]
        came = now.z[n : n + horizon]
        truth[k, : len(came)] = came
    level = np.array([recent_maximum(history.y[:n], history.freq) for n in (*origins, len(history))])
    return Study(history, origins, names, past, truth, np.array(list(final.values())), level, exploded)


def past_lengths(n: int, horizon: int, past_origins: int, freq: str) -> tuple[int, ...]:
    """Lengths of history at the past origins, latest first.

    Origins a third of a horizon apart, from one step of that size before the end: the first ones see only part of
    their horizon come, and tell how good the members have been lately.
    """
    cycle = 7 if freq == "D" else (168 if n >= 4 * 168 else 24)
    step = max(1, round(horizon * STEP_FRAC))
    least = max(LEAST_CYCLES * cycle, n // 3)
    count = past_origins * CHEAP_ORIGINS_FACTOR
    lengths = tuple(n - step * (k + 1) for k in range(count + 2) if n - step * (k + 1) >= least)
    if lengths or n < 4:
        return lengths
    # Too short for its own horizon: as many origins as fit into the last third, a step at least apart.
    room = max(1, n // 3)
    gap = max(1, room // past_origins)
    return tuple(n - gap * (k + 1) for k in range(past_origins) if n - gap * (k + 1) >= max(1, n - room - 1))


def _spread(origins: tuple[int, ...], wanted: int) -> list[int]:
    """``wanted`` of the origins, evenly over them, the latest whole one among them."""
    if len(origins) <= wanted:
        return list(origins)
    at = np.unique(np.round(np.linspace(min(2, len(origins) - 1), len(origins) - 1, wanted)).astype(int))
    return [origins[i] for i in at]


def _ask(
    view: View, horizon: int, members: tuple[Member, ...] | list[Member]
) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """Medians of the members that apply, bounded; and the flags of those that had to be."""
    low, high = view.bounds
    top = recent_maximum(view.scale.inverse(view.z), view.freq)
    out: dict[str, Floats] = {}
    flags: list[str] = []
    for member in members:
        if not member.applies(view):
            continue
        for name, z in member.medians(view, horizon).items():
            raw = view.scale.inverse(np.where(np.isfinite(z), z, low))
            if not view.scale.signed and top > 0 and bool((raw > EXPLOSION_FACTOR * top).any()):
                flags.append(f"{name}: capped at {EXPLOSION_FACTOR:.0f} x the recent maximum")
                z = np.minimum(z, view.scale.forward(np.array(EXPLOSION_FACTOR * top)))
            out[name] = np.clip(np.where(np.isfinite(z), z, np.median(view.filled)), low, high)
    return out, tuple(flags)


def position(one: Study, n: int) -> int:
    """The step after ``n`` steps of a history, counted from a common epoch."""
    return int((one.history.start - pd.Timestamp(0)) // step_of(one.history.freq)) + n
