"""Take away instances that nothing needs.

Where commitments already pay for an instance, one more of it costs the objective nothing, and a solver may leave it
in. A plan shows what is needed: taking one more away would break a requirement (or cost a switch).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats
from capacity.optimize._fleet import Fleet
from capacity.optimize.columns._lanes import Lanes, follows_load, lanes_of

Counts = npt.NDArray[np.int64]

# Half of the solver's own tolerance on a row: what it takes as held is not cut any closer.
_HOLDS = 5e-8


def trim(fleet: Fleet, running: Counts, spot: Counts) -> None:
    """Lower ``running`` in place where no requirement, reservation or switch minds; ``spot`` stays.

    Both are (rows, months, blocks) per zone, rows as in ``usage_rows``.
    """
    row = 0
    for s, r in enumerate(fleet.requirements):
        u = None if r.vertical else lanes_of(fleet, s, range(len(fleet.problem.months)))
        if u is not None:
            stays = _stays(fleet, u)
            for lane, (t, blocks) in enumerate(zip(u.months, u.blocks, strict=True)):
                if u.fixed[lane] and not follows_load(r):
                    continue
                own = row + u.types
                kept = _needed(u, lane, running[own, t, blocks[0]], spot[own, t, blocks[0]], stays)
                for b in blocks:
                    running[own, t, b] = kept
        row += len(r.candidates)


def _stays(fleet: Fleet, u: Lanes) -> Counts:
    """Instances per zone of each type below which leaving them has a price; all of one that is reserved."""
    zones = u.requirement.zones
    out = -(-u.runs // zones) if fleet.problem.switching_penalty_frac > 0 else np.zeros_like(u.runs)
    for i, c in enumerate(u.candidates):
        if any(kind.holds(u.requirement, c) for kind in fleet.reserved):
            out[i] = np.iinfo(np.int64).max
    return np.asarray(out, dtype=np.int64)


def _needed(u: Lanes, lane: int, counts: Counts, spot: Counts, stays: Counts) -> Counts:
    kept = counts.copy()
    rows = u.need[:, lane] > 0
    weight, need = u.weight[rows], u.need[rows, lane]
    held: Floats = weight @ kept + u.spot_weight[rows] @ spot
    for i in sorted(np.flatnonzero(kept), key=lambda i: (-u.usd[i], i)):
        off = min(int(kept.sum() + spot.sum()) - u.requirement.min_per_zone, int(kept[i]) - int(min(stays[i], kept[i])))
        for w, h, n in zip(weight[:, i], held, need, strict=True):
            if w > 0:
                off = min(off, math.floor((h - n * (1 - _HOLDS)) / w))
        # The last of a type is variety, where variety is asked for.
        if off >= kept[i] and not spot[i] and int(((kept + spot) > 0).sum()) <= u.least_types[lane]:
            off = int(kept[i]) - 1
        if off > 0:
            kept[i] -= off
            held = held - weight[:, i] * off
    return kept
