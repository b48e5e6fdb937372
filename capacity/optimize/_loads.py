"""The covering knapsacks inside a model: one a unit, month and block (a unit and month where it is static)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from capacity.domain import Candidate, Floats, UnitRequirement
from capacity.optimize._cover import Lanes
from capacity.optimize._highs import matrix_of
from capacity.optimize.model import MixModel


@dataclass(frozen=True)
class Loads:
    """The knapsacks of a model. ``columns`` (lanes, types) are positions of r in the matrix, -1 where there is none."""

    model: MixModel
    keys: tuple[tuple[int, int, int], ...]
    columns: np.ndarray[Any, np.dtype[np.int64]]
    normal: Lanes
    zone_loss: Lanes

    @property
    def folded(self) -> Lanes:
        """Both states in one row, at the smaller weight: a plan that holds it holds both."""
        return Lanes(np.minimum(self.normal.weight, self.zone_loss.weight), self.normal.least)


def loads_of(model: MixModel) -> Loads:
    """Every load of a unit that may choose whole counts freely: not vertical, not pinned, no spot, with some demand."""
    position = matrix_of(model.lp).position
    fleet = model.fleet
    keys, columns, normal, loss, least = [], [], [], [], []
    for s, requirement in enumerate(fleet.requirements):
        candidates = model.allowed(s)
        pinned = {m for m, _ in requirement.pinned or {}}
        # What spot serves is not asked of what runs on demand.
        spot = requirement.spot_max_frac > 0 and any(c.spot_usd_per_hour is not None for _, c in candidates)
        survivors = max(requirement.zones - requirement.zones_survived, 0)
        for t, month in enumerate(fleet.problem.months):
            for b in model.blocks_that_decide(s, t):
                demand = fleet.blocks[s][t][b].demand
                if requirement.vertical or spot or month in pinned or demand <= 0 or not candidates:
                    continue
                keys.append((s, t, b))
                columns.append([position[model.running[s, i, t, b]] for i, _ in candidates])
                normal.append([requirement.zones * c.safe / demand for _, c in candidates])
                share = [survivors * c.zone_loss / demand for _, c in candidates]
                loss.append(share if requirement.zones_survived else normal[-1])
                # What holds nothing may still count towards the smallest count, which no cover of the load knows.
                all_hold = all(w > 0 for w in (*normal[-1], *loss[-1]))
                least.append(requirement.min_per_zone if all_hold else min(requirement.min_per_zone, 1))
    counts = np.array(least, dtype=np.int64)
    return Loads(
        model,
        tuple(keys),
        _padded(columns, -1).astype(np.int64),
        Lanes(_padded(normal, 0), counts),
        Lanes(_padded(loss, 0), counts),
    )


def _padded(rows: list[list[Any]], fill: float) -> Floats:
    out = np.full((len(rows), max((len(r) for r in rows), default=0)), fill, dtype=float)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def held_by(requirement: UnitRequirement, candidate: Candidate) -> float:
    """Demand that one instance per zone holds in the state that binds."""
    normal = requirement.zones * candidate.safe
    if not requirement.zones_survived:
        return normal
    return min(normal, max(requirement.zones - requirement.zones_survived, 0) * candidate.zone_loss)
