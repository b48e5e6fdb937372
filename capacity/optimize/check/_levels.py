"""What runs at the same time in units with blocks of their own, and when contracts run: the checker's own reckoning.

Cumulative instance-hours of a unit, from its first block to its last, are read at the edges of the month's levels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from capacity.domain import Floats, MixProblem, UnitRequirement

# Hours of blocks come from the same calendar; what is left is floating point.
_SAME_HOURS = 1e-6


@dataclass(frozen=True)
class Window:
    """The part of a month's planned hours, from 0 to 1, in which something runs."""

    begin: float
    end: float

    @property
    def share(self) -> float:
        return max(self.end - self.begin, 0.0)

    def holds(self, begin: float, end: float) -> bool:
        return self.begin <= begin and end <= self.end


class Calendar:
    """Levels and hours of the months of a problem."""

    def __init__(self, problem: MixProblem) -> None:
        self.problem = problem
        self._levels: dict[str, dict[str, tuple[float, float]]] = {}
        self._clock: dict[str, bool] = {}

    def hours(self, month: str) -> float:
        return self.problem.month_hours[self.problem.months.index(month)]

    def start(self, month: str) -> datetime:
        """The first planned hour: a first month that is planned in part is its last hours."""
        begin = datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC)
        if month != self.problem.months[0]:
            return begin
        following = (begin + timedelta(days=32)).replace(day=1)
        return following - timedelta(hours=self.hours(month))

    def window(self, start: datetime, end: datetime | None, month: str) -> Window:
        """When something that runs from ``start`` to ``end`` (None: for good) does so in a month."""
        first, total = self.start(month), self.hours(month)

        def at(moment: datetime) -> float:
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return min(max((aware - first).total_seconds() / 3600 / total, 0.0), 1.0)

        return Window(at(start), 1.0 if end is None else at(end))

    def levels(self, month: str) -> dict[str, tuple[float, float]]:
        """Name -> (begin, end) of the month's levels, as shares of its hours: by block name, or by rank of demand."""
        if month not in self._levels:
            self._levels[month] = self._find_levels(month)
        return self._levels[month]

    def level_hours(self, month: str) -> Floats:
        return np.array([(end - begin) * self.hours(month) for begin, end in self.levels(month).values()])

    def _find_levels(self, month: str) -> dict[str, tuple[float, float]]:
        ranked = [u for u in (self._ranked(r, month) for r in self.problem.requirements) if u]
        if not ranked:
            return {"all": (0.0, 1.0)}
        most = max(len(u) for u in ranked)
        longest = [u for u in ranked if len(u) == most]
        names = [{u[k][0] for u in longest} for k in range(len(longest[0]))]
        ends = np.mean([np.cumsum([h for _, h in u]) / sum(h for _, h in u) for u in longest], axis=0)
        clock = self._on_the_clock(month)
        labels = [n.pop() if clock or len(n) == 1 else f"level {k + 1}" for k, n in enumerate(names)]
        begins = [0.0, *ends[:-1]]
        return {label: (float(a), float(b)) for label, a, b in zip(labels, begins, ends, strict=True)}

    def _on_the_clock(self, month: str) -> bool:
        """Whether all units have the same blocks of the same hours, so that names tell what runs together."""
        if month not in self._clock:
            own = [{b.block: b.hours for b in r.blocks if b.month == month} for r in self.problem.requirements]
            own = [o for o in own if o]
            self._clock[month] = all(
                o.keys() == own[0].keys() and all(abs(o[k] - own[0][k]) <= _SAME_HOURS for k in o) for o in own
            )
        return self._clock[month]

    def _ranked(self, r: UnitRequirement, month: str) -> list[tuple[str, float]]:
        """A unit's blocks and their hours: by name where names are hours of the clock, else from the highest demand."""
        blocks = [b for b in r.blocks if b.month == month]
        if self._on_the_clock(month):
            return sorted((b.block, b.hours) for b in blocks)
        return [(b.block, b.hours) for b in sorted(blocks, key=lambda b: (-b.demand, b.block))]

    def spread(self, r: UnitRequirement, month: str, in_blocks: dict[str, Floats]) -> Floats:
        """(types, levels) of what is in a unit's blocks by type (hours of instances), spread over the levels."""
        edges = [0.0, *(end for _, end in self.levels(month).values())]
        ranked = self._ranked(r, month)
        if not ranked:
            return np.zeros((len(r.candidates), len(edges) - 1))
        ends = np.concatenate([[0.0], np.cumsum([h for _, h in ranked])])
        ends /= ends[-1]
        so_far = np.cumsum([np.zeros(len(r.candidates)), *(in_blocks[name] for name, _ in ranked)], axis=0)
        read = np.array([np.interp(edges, ends, so_far[:, i]) for i in range(so_far.shape[1])])
        return np.diff(read, axis=1) if len(read) else np.zeros((0, len(edges) - 1))


def spans(windows: Iterable[Window]) -> list[tuple[float, float]]:
    """The parts of a month in which the same things run."""
    edges = sorted({0.0, 1.0, *(edge for w in windows for edge in (w.begin, w.end))})
    return list(pairwise(edges))
