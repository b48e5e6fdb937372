"""Take away instances that nothing needs.

Where commitments already pay for an instance, one more of it costs the objective nothing, and a solver may leave it
in. A plan shows what is needed: taking one more away would break a requirement (or cost a switch).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats, UnitRequirement
from capacity.optimize._fleet import Fleet, running_by_type
from capacity.optimize.model import autoscales

Counts = npt.NDArray[np.int64]

# Half of the solver's own tolerance on a row: what it takes as held is not cut any closer.
_HOLDS = 5e-8


def trim(fleet: Fleet, running: Counts) -> None:
    """Lower ``running`` in place where no requirement and no switch minds.

    ``running`` is (rows, months, blocks) per zone, rows as in ``usage_rows``.
    """
    row = 0
    for s, r in enumerate(fleet.requirements):
        rows = slice(row, row + len(r.candidates))
        row += len(r.candidates)
        pinned = {m for m, _ in r.pinned or {}}
        for t, month in enumerate(fleet.problem.months):
            blocks = fleet.blocks[s][t]
            if r.vertical or not blocks or (month in pinned and not autoscales(r)):
                continue
            if autoscales(r):
                for b, block in enumerate(blocks):
                    running[rows, t, b] = _needed(r, running[rows, t, b], block.demand, _stays(fleet, r))
            else:
                peak = max(block.demand for block in blocks)
                kept = _needed(r, running[rows, t, 0], peak, _stays(fleet, r))
                running[rows, t, : len(blocks)] = kept[:, None]


def _stays(fleet: Fleet, r: UnitRequirement) -> list[int]:
    """Instances per zone of each type below which leaving them has a price."""
    runs = running_by_type(r) if fleet.problem.switching_penalty_frac > 0 else {}
    return [math.ceil(runs.get(c.instance_type, 0) / r.zones) for c in r.candidates]


def _needed(r: UnitRequirement, counts: Counts, demand: float, stays: list[int]) -> Counts:
    kept = counts.copy()
    normal = np.array([r.zones * c.safe for c in r.candidates], dtype=float)
    lost = np.array([max(r.zones - r.zones_survived, 0) * c.zone_loss for c in r.candidates], dtype=float)
    for i in sorted(range(len(kept)), key=lambda i: (-r.candidates[i].usd_per_hour, i)):
        spare = [_spare(kept, normal, demand, i)]
        if r.zones_survived:
            spare.append(_spare(kept, lost, demand, i))
        spare += [int(kept.sum()) - r.min_per_zone, int(kept[i]) - stays[i]]
        kept[i] -= max(min(spare), 0)
    return kept


def _spare(counts: Counts, capacity: Floats, demand: float, i: int) -> int:
    """How many of type i may go before ``demand`` is no longer held."""
    if capacity[i] <= 0:
        return int(counts[i])
    return math.floor((float(counts @ capacity) - demand * (1 - _HOLDS)) / float(capacity[i]))
