"""A part of a fleet: the lanes of some months, what couples them, and the columns found so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from capacity.domain import Floats
from capacity.optimize._clock import Deadline
from capacity.optimize._fleet import Fleet
from capacity.optimize.columns._bundles import Bundle
from capacity.optimize.columns._coupling import Coupling, coupling_of
from capacity.optimize.columns._covers import Covers
from capacity.optimize.columns._lanes import Counts, Lanes, lanes_of
from capacity.optimize.columns._master import Choices, Master, Relaxed, table_of


@dataclass
class Part:
    """Units' lanes of some months, what couples them, and the columns found so far.

    ``closed`` are lanes that were solved as MIPs at ``duals``, ``least`` what each lane costs at least then.
    ``bundles`` are those of units' months (position, month) that an earlier solve left behind; then those it leaves.
    ``ends`` is when all that is done for the part has to end; its clock is the one that all limits are in.
    """

    fleet: Fleet
    units: list[Lanes]
    coupling: Coupling
    offsets: Counts
    master: Master
    covers: dict[int, list[Covers]] = field(default_factory=dict)
    kept: dict[int, Counts] = field(default_factory=dict)
    history: list[tuple[float, float]] = field(default_factory=list)
    bound: float = -np.inf
    least: Floats = field(default_factory=lambda: np.zeros(0))
    duals: Floats = field(default_factory=lambda: np.zeros(0))
    relaxed: Relaxed | None = None
    closed: set[int] = field(default_factory=set)
    seen: set[bytes] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)
    bundles: dict[tuple[int, int], list[Bundle]] = field(default_factory=dict)
    ends: Deadline = field(default_factory=Deadline.never)

    @property
    def lanes(self) -> int:
        return int(self.offsets[-1])


def part_of(fleet: Fleet, months: Sequence[int], seed: int, ends: Deadline | None = None) -> Part:
    units = [u for s in range(len(fleet.requirements)) if (u := lanes_of(fleet, s, months)) is not None]
    coupling = coupling_of(fleet, units, months)
    offsets = np.cumsum([0, *(len(u.hours) for u in units)])
    master = Master(coupling, int(offsets[-1]), seed)
    return Part(fleet, units, coupling, offsets, master, ends=Deadline.never() if ends is None else ends)


def fresh_choices(part: Part, at: int, lanes: Counts, running: Counts, spot: Counts) -> Choices | None:
    """Counts (N, I) of ``lanes`` (N,) of the unit at position ``at`` that no column has yet; None where there are none.

    They are taken for known from then on: :func:`add_choices` makes columns of them.
    """
    offset = int(part.offsets[at])
    fresh = [n for n, k in enumerate(lanes) if _is_new(part, offset + int(k), running[n], spot[n])]
    if not fresh:
        return None
    chosen = np.array(fresh)
    return Choices(part.units[at], offset, lanes[chosen], running[chosen], spot[chosen])


def add_choices(part: Part, choices: Iterable[Choices | None]) -> int:
    """Make columns of choices, all in one go; how many."""
    some = [c for c in choices if c is not None]
    if some:
        part.master.add(table_of(part.coupling, some))
    return sum(len(c.lane) for c in some)


def _is_new(part: Part, lane: int, running: Counts, spot: Counts) -> bool:
    key = lane.to_bytes(4, "little") + running.astype(np.int16).tobytes() + spot.astype(np.int16).tobytes()
    if key in part.seen:
        return False
    part.seen.add(key)
    return True
