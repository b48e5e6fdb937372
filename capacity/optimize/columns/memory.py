"""What a solve leaves behind for the next one."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from capacity.domain import Unit, UnitRequirement
from capacity.optimize.columns._bundles import Bundle
from capacity.optimize.columns._covers import Covers
from capacity.optimize.columns._lanes import Counts, Lanes
from capacity.optimize.columns._master import Table
from capacity.optimize.columns._part import Part, add_choices, fresh_choices

# Covers of a unit's lanes and bundles of its months are kept for the next solve where there are at most so many lanes:
# 30 kB each.
_REMEMBERED_LANES = 5_000


@dataclass
class Memory:
    """What a solve leaves behind for the next: duals by the name of their row, columns by the content of their unit.

    Give the same object to each solve of a series (a base, then its scenarios); it is read and written. A unit whose
    needs, candidates and prices did not change takes its columns over; duals of rows that still exist start the next
    search. A plan that started from a memory may differ from one that did not, within the same gap.
    """

    duals: dict[tuple[object, ...], float] = field(default_factory=dict)
    columns: dict[bytes, tuple[list[Counts], list[Counts], Counts]] = field(default_factory=dict)
    kept: dict[tuple[str, ...], Counts] = field(default_factory=dict)
    covers: dict[bytes, list[Covers]] = field(default_factory=dict)
    # Of a unit's months (by content and position) that a quota minds: the bundles that are cheapest at the last prices.
    bundles: dict[tuple[bytes, int], list[Bundle]] = field(default_factory=dict)
    # Of a rule of few types a service: the rule, the unit, the unit with the types that are left to it.
    narrowed: dict[Unit, tuple[tuple[object, ...], UnitRequirement, UnitRequirement]] = field(default_factory=dict)
    few_types: list[Memory] = field(default_factory=list)

    def of_few_types(self) -> Memory:
        """What solves with few types a service leave behind; the free ones' is this itself."""
        if not self.few_types:
            self.few_types.append(Memory())
        return self.few_types[0]

    def copy(self) -> Memory:
        """The same, apart: each scenario starts from its base, not from the scenario before it."""
        few = [m.copy() for m in self.few_types]
        return Memory(
            dict(self.duals), dict(self.columns), dict(self.kept), dict(self.covers), dict(self.bundles),
            dict(self.narrowed), few,
        )  # fmt: skip


def content_of(u: Lanes) -> bytes:
    """A digest of all that a unit's columns depend on."""
    digest = blake2b(digest_size=16)
    names = ",".join(c.instance_type for c in u.candidates)
    digest.update(f"{u.requirement.unit}|{names}|{u.requirement.min_per_zone}|{u.requirement.max_per_zone}".encode())
    for array in (
        u.months, u.weight, u.spot_weight, u.need, u.usd, u.spot_usd, u.hours, u.most, u.spot_room, u.least_types,
        u.runs,
    ):  # fmt: skip
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def any_month(name: tuple[object, ...]) -> tuple[object, ...]:
    """A row's name without its month: what a month's duals are is a first guess for the next."""
    if name[0] in ("pool", "held", "bought", "reserved", "whole"):
        return ("any month", *name[:-3], name[-2])
    return ("any month", *name[:-1])


def types_of(u: Lanes) -> tuple[str, ...]:
    """What tells units apart whose types were narrowed: the unit and the types that it may have."""
    return (str(u.requirement.unit), *(c.instance_type for c in u.candidates))


def remember(part: Part, memory: Memory) -> None:
    """Keep duals, kept types, covers and the columns in use for the next solve."""
    for name, dual in zip(part.coupling.names, part.duals, strict=True):
        memory.duals[name] = memory.duals[any_month(name)] = float(dual)
    if part.relaxed is None:
        return
    table: Table = part.master.table()
    used = np.flatnonzero(part.relaxed.columns[: len(table)] > 1e-9)
    owner = np.searchsorted(part.offsets, table.lane[used], side="right") - 1
    for k, u in enumerate(part.units):
        mine = used[owner == k]
        key = content_of(u)
        lanes = table.lane[mine] - part.offsets[k]
        memory.columns[key] = ([table.running[c] for c in mine], [table.spot[c] for c in mine], lanes)
        memory.kept[types_of(u)] = part.kept[u.s]
        if part.lanes <= _REMEMBERED_LANES:
            memory.covers[key] = part.covers[u.s]


def remember_bundles(part: Part, memory: Memory) -> None:
    """After the choice among whole months, where there was one."""
    if part.lanes <= _REMEMBERED_LANES:
        content = {at: content_of(part.units[at]) for at in {at for at, _ in part.bundles}}
        memory.bundles |= {(content[at], t): own for (at, t), own in part.bundles.items()}


def recall(part: Part, memory: Memory) -> None:
    """Take over the columns, bundles and covers of units whose content is the same as in an earlier solve."""
    if not memory.columns:
        return
    for at, u in enumerate(part.units if memory.bundles else ()):
        content = content_of(u)
        own = {(at, int(t)): memory.bundles.get((content, int(t)), []) for t in np.unique(u.months)}
        part.bundles |= {key: found for key, found in own.items() if found}
    fresh = []
    for at, u in enumerate(part.units):
        known = memory.columns.get(content_of(u))
        if known is not None and len(known[2]):
            fresh.append(fresh_choices(part, at, known[2], np.array(known[0]), np.array(known[1])))
    add_choices(part, fresh)
