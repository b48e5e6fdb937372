"""Occasions laid on the steps of a view and its horizon: which step belongs to which, and where within it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capacity.domain import Floats
from capacity.forecast._baseline import Ints
from capacity.forecast._history import Bools, View, step_of

if TYPE_CHECKING:
    from capacity.forecast.occasions import Occasion

# Steps after which days are alike: a week; for hours a week, or at least the hour of the day.
SEASONS: Mapping[str, tuple[int, ...]] = {"D": (7,), "h": (168, 24)}


@dataclass(frozen=True)
class Placed:
    """One occasion on the grid. A slot is a place within it: ramp before, its steps counted from its start, ramp after.

    ``occurrences`` are (first, last) step numbers, oldest first, without ramps. ``length`` is the longest's.
    ``seasons``: steps after which days are alike, the longest first.
    """

    occasion: Occasion
    occurrences: tuple[tuple[int, int], ...]
    length: int
    seasons: tuple[int, ...]

    @property
    def ramp(self) -> int:
        return self.occasion.ramp_steps

    @property
    def slots(self) -> int:
        """How many slots there are."""
        return self.length + 2 * self.ramp

    @property
    def inside(self) -> slice:
        """Slots of the occasion itself."""
        return slice(self.ramp, self.ramp + self.length)

    @cached_property
    def is_inside(self) -> Bools:
        """(slots,) whether a slot is of the occasion itself."""
        out = np.zeros(self.slots, dtype=bool)
        out[self.inside] = True
        return out

    @cached_property
    def weights(self) -> Floats:
        """(slots,) how much of a given multiplier holds: whole inside, rising and falling evenly on the ramps."""
        rising = np.arange(1, self.ramp + 1) / (self.ramp + 1)
        return np.concatenate([rising, np.ones(self.length), rising[::-1]])

    def slots_of(self, ab: tuple[int, int]) -> Ints:
        """Slots of one occurrence's steps, ramps included.

        A shorter one lies within the longest where the weekday (or the hour) is the same, if it fits there: of a sale
        that ran from Thursday to Wednesday, a Friday alone is the second day.
        """
        length = ab[1] - ab[0] + 1
        first = self.ramp + self._offset(ab)
        return np.concatenate(
            [np.arange(self.ramp), first + np.arange(length), self.ramp + self.length + np.arange(self.ramp)]
        )

    def _offset(self, ab: tuple[int, int]) -> int:
        longest = max(self.occurrences, key=lambda o: (o[1] - o[0], o[0]))
        room = self.length - (ab[1] - ab[0] + 1)
        return next((o for s in self.seasons if (o := (ab[0] - longest[0]) % s) <= room), 0)


@dataclass(frozen=True)
class Places:
    """Which occasion owns each of (n + H,) steps (-1: none), which of its occurrences, and which slot of it."""

    placed: tuple[Placed, ...]
    owner: Ints
    occurrence: Ints
    slot: Ints


def place(view: View, horizon: int, occasions: Sequence[Occasion]) -> Places | None:
    """Lay occasions out; None where none touches the view or the horizon. Events come before holidays."""
    total = len(view) + horizon
    ordered = sorted(occasions, key=lambda o: o.kind != "event")
    placed = tuple(p for o in ordered if (p := _placed(view, total, o)) is not None)
    if not placed:
        return None
    places = Places(placed, *(np.full(total, -1, dtype=np.int64) for _ in range(3)))
    for ramps in (False, True):
        for number, one in enumerate(placed):
            for k, ab in enumerate(one.occurrences):
                _claim(places, number, k, one, ab, ramps)
    return places


def _placed(view: View, total: int, occasion: Occasion) -> Placed | None:
    step = step_of(view.freq)
    ramp = occasion.ramp_steps
    found: set[tuple[int, int]] = set()
    for start, end in occasion.spans:
        first, last = (int((_zoneless(t) - view.start) // step) for t in (start, end))
        if first <= last and last + ramp >= 0 and first - ramp < total:
            found.add((first, last))
    if not found:
        return None
    return Placed(occasion, tuple(sorted(found)), max(b - a + 1 for a, b in found), SEASONS[view.freq])


def _claim(places: Places, number: int, k: int, one: Placed, ab: tuple[int, int], ramps: bool) -> None:
    steps = np.arange(ab[0] - one.ramp, ab[1] + one.ramp + 1)
    slots = one.slots_of(ab)
    ok: Any = (steps >= 0) & (steps < len(places.owner)) & (one.is_inside[slots] != ramps)
    steps, slots = steps[ok], slots[ok]
    free = places.owner[steps] < 0
    places.owner[steps[free]] = number
    places.occurrence[steps[free]] = k
    places.slot[steps[free]] = slots[free]


def _zoneless(stamp: pd.Timestamp) -> pd.Timestamp:
    stamp = pd.Timestamp(stamp)
    return stamp.tz_convert("UTC").tz_localize(None) if stamp.tzinfo is not None else stamp
