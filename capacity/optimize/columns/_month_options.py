"""Bundles of units' months that are known, the master over them, and what they cost at given duals."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from capacity.domain import Floats
from capacity.optimize.columns._bundles import Bundle, month_rows, provisioned
from capacity.optimize.columns._choice import reduced_costs
from capacity.optimize.columns._coupling import MONTHLY
from capacity.optimize.columns._lanes import Counts, Lanes, lost_demand
from capacity.optimize.columns._master import Choices, Master, Relaxed, Table, joined, table_of
from capacity.optimize.columns._part import Part
from capacity.optimize.columns._quotas import Key


@dataclass
class Months:
    """Bundles found so far, by unit (its position) and month; the master's optimum over them."""

    part: Part
    keys: list[Key]
    options: dict[tuple[Key, bytes], Bundle] = field(default_factory=dict)
    tables: dict[tuple[Key, bytes], Table] = field(default_factory=dict)
    relaxed: Relaxed | None = None

    def __post_init__(self) -> None:
        self.group = {key: g for g, key in enumerate(self.keys)}

    def add(self, key: Key, b: Bundle) -> bool:
        """Whether it is new."""
        name = (key, b.running.tobytes() + b.spot.tobytes() + b.provisioned.tobytes())
        if name in self.options:
            return False
        self.options[name] = b
        self.tables[name] = _bundle_table(self.part, self.group[key], key, b)
        return True

    def table(self) -> Table:
        return joined([self.tables[name] for name in self.options])

    def solve(self, seconds: float) -> bool:
        """Solve the master over all bundles; False where time ended it."""
        master = Master(self.part.coupling, len(self.keys), self.part.master.seed)
        master.add(self.table())
        found = master.solve(min(seconds, self.part.ends.left))
        self.relaxed = found or self.relaxed
        return found is not None


def _bundle_table(part: Part, group: int, key: Key, b: Bundle) -> Table:
    """A bundle as a column: the sum of its lanes, with the true vCPU in place of the largest lane's."""
    u, t = part.units[key[0]], key[1]
    own = table_of(part.coupling, [Choices(u, 0, np.flatnonzero(u.months == t), b.running, b.spot)])
    entries: dict[int, float] = {}
    for row, value in zip(own.row, own.value, strict=True):
        if part.coupling.names[row][0] not in MONTHLY:
            entries[int(row)] = entries.get(int(row), 0.0) + float(value)
    entries |= month_rows(part.coupling, u, t, b)
    rows = np.array(sorted(entries), dtype=np.int64)
    values = np.array([entries[int(r)] for r in rows])
    nothing = np.zeros(1, dtype=np.int64)
    return Table(
        np.array([group]), [nothing], [nothing], np.array([own.cost.sum()]), np.array([0, len(rows)]), rows, values,
    )  # fmt: skip


def cheapest_bundles(months: Months, duals: Floats) -> dict[Key, list[tuple[float, Bundle]]]:
    """Bundles of each month from the cheapest at the duals, with what they cost then."""
    usd = reduced_costs(months.table(), months.part.coupling, duals)
    out: dict[Key, list[tuple[float, Bundle]]] = {key: [] for key in months.keys}
    for ((key, _), b), each in zip(months.options.items(), usd, strict=True):
        out[key].append((float(each), b))
    for own in out.values():
        own.sort(key=lambda p: p[0])
    return out


def join_bundle(months: Months, key: Key, running: Counts, spot: Counts) -> None:
    """Add counts of a month as a bundle where they keep every requirement."""
    part = months.part
    u = part.units[key[0]]
    lanes = np.flatnonzero(u.months == key[1])
    if _allows(u, lanes, running, spot):
        n = provisioned(u, lanes, running, spot, lost_demand(part.fleet, u, key[1]))
        if n is not None:
            months.add(key, Bundle(running, spot, n))


def _allows(u: Lanes, lanes: Counts, running: Counts, spot: Counts) -> bool:
    """Whether counts (K, I) of ``lanes`` keep every requirement of theirs."""
    whole = np.zeros((len(u.hours), len(u.types)), dtype=np.int64)
    bought = whole.copy()
    whole[lanes], bought[lanes] = running, spot
    return bool(u.allows(whole, bought)[lanes].all())
