"""What is chosen apart: a *lane* is a block of a unit that autoscales, or the month of one that does not.

All that is asked of a lane is linear in its counts: each resource, in normal operation and with zones lost, is one row
``weight @ on demand + spot_weight @ spot >= need``. What ties the lanes of a unit together (n is one number a month) is
relaxed: quotas are charged to the lane with the largest demand of the month. It is put right in the final choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.domain import Candidate, Floats, LoadBlock, UnitRequirement
from capacity.optimize._fleet import Fleet, running_by_type, vertical_count

Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Lanes:
    """One unit's lanes (L) over its allowed types (I); K rows of what must be held. Per zone, unless said otherwise.

    Attributes
    ----------
    s, requirement, types
        Position of the unit in its fleet; positions of its allowed candidates.
    months, blocks
        (L,) month of each lane, and the blocks that run alike in it.
    weight, spot_weight, need
        (K, I), (K, I) and (K, L): what an instance a zone holds, of what must be held.
    usd, spot_usd
        (I,) $/h of an instance in every zone; spot inf where it is not to be had.
    hours, share
        (L,) and (L, lots): hours, and the share of each lot's hours in which the lane runs.
    peak
        (L,) the lane that stands for the month's provisioned count.
    leave_usd, runs
        (I, L) switching penalty of each instance that runs today and is left; (I,) what runs, over all zones.
    most
        (I, L) bound on the on-demand count (pinned months).
    spot_room, spot_holds
        (L,) demand that spot may serve at most; (I,) what a spot instance a zone serves of it.
    """

    s: int
    requirement: UnitRequirement
    types: Counts
    months: Counts
    blocks: tuple[tuple[int, ...], ...]
    weight: Floats
    spot_weight: Floats
    need: Floats
    usd: Floats
    spot_usd: Floats
    hours: Floats
    share: Floats
    peak: Mask
    leave_usd: Floats
    runs: Counts
    most: Counts
    fixed: Mask
    spot_room: Floats
    spot_holds: Floats
    least_types: Counts

    @property
    def candidates(self) -> list[Candidate]:
        return [self.requirement.candidates[i] for i in self.types]

    def leave_cost(self, running: Counts) -> Floats:
        """(L,) switching penalty of ``running`` (L, I)."""
        left = np.maximum(self.runs[None, :] - self.requirement.zones * running, 0)
        out: Floats = (left * self.leave_usd.T).sum(axis=1)
        return out

    def allows(self, running: Counts, spot: Counts) -> Mask:
        """(L,) whether counts (L, I) keep every requirement of their lane, to the last digits of floating point."""
        r = self.requirement
        held = self.weight @ running.T + self.spot_weight @ spot.T
        both = running + spot
        out = (held >= self.need * (1 - 1e-9)).all(axis=0) & (both.sum(axis=1) >= r.min_per_zone)
        out &= (both.sum(axis=1) <= r.max_per_zone) & (running <= self.most.T).all(axis=1)
        out &= (both > 0).sum(axis=1) >= self.least_types
        out &= spot @ self.spot_holds <= self.spot_room * (1 + 1e-9)
        kinds = (spot > 0).sum(axis=1)
        return np.asarray(out & ((kinds == 0) | (kinds >= r.spot_least_types)), dtype=bool)


def lanes_of(fleet: Fleet, s: int, months: Sequence[int]) -> Lanes | None:
    """The lanes of unit ``s`` in ``months``; None where it has no block there."""
    r = fleet.requirements[s]
    types = np.array([i for i, c in enumerate(r.candidates) if c.allowed], dtype=np.int64)
    where: list[tuple[int, tuple[int, ...]]] = []
    for t in months:
        blocks = range(len(fleet.blocks[s][t]))
        where += [(t, (b,)) for b in blocks] if follows_load(r) else ([(t, tuple(blocks))] if blocks else [])
    if not where:
        return None
    chosen = [r.candidates[i] for i in types]
    groups = [[fleet.blocks[s][t][b] for b in blocks] for t, blocks in where]
    lane_months = np.array([t for t, _ in where])
    weight, spot_weight, need = _rows(r, chosen, groups)
    runs_today = running_by_type(r)
    runs = np.array([runs_today.get(c.instance_type, 0) for c in chosen], dtype=np.int64)
    hours = np.array([sum(b.hours for b in g) for g in groups])
    usd = np.array([c.usd_per_hour for c in chosen])
    demand = np.array([max(b.demand for b in g) for g in groups])
    most, fixed = _most(fleet, r, chosen, lane_months)
    buffered = np.array([1.0 - c.spot_buffer_frac for c in chosen])
    # The share is of each block's own demand, so a static unit's is of its smallest.
    room = r.spot_max_frac * np.array([min(b.demand for b in g) for g in groups])
    free = np.ones(len(where), dtype=bool) & (not r.vertical)
    return Lanes(
        s=s, requirement=r, types=types, months=lane_months, blocks=tuple(b for _, b in where),
        weight=weight, spot_weight=spot_weight, need=need,
        usd=usd * r.zones,
        spot_usd=r.zones * np.array([_spot_usd(r, c) for c in chosen]),
        hours=hours, share=_shares(fleet, s, where), peak=_peaks(r, lane_months, demand),
        leave_usd=fleet.problem.switching_penalty_frac * usd[:, None] * hours[None, :],
        runs=runs, most=most, fixed=fixed, spot_room=np.where(free & ~fixed, room, 0.0),
        spot_holds=r.zones * buffered * np.array([c.safe for c in chosen]),
        least_types=np.where((demand > 0) & free, r.least_types, 0).astype(np.int64),
    )  # fmt: skip


def follows_load(r: UnitRequirement) -> bool:
    """A vertical unit keeps its count, so it never follows its load."""
    return r.autoscaled and not r.vertical


def _spot_usd(r: UnitRequirement, c: Candidate) -> float:
    given = c.spot_usd_per_hour is not None and r.spot_max_frac > 0 and not r.vertical
    return float(c.spot_usd_per_hour or 0.0) if given else np.inf


def _rows(r: UnitRequirement, chosen: list[Candidate], groups: list[list[LoadBlock]]) -> tuple[Floats, Floats, Floats]:
    """Weights on demand, weights as spot, and needs: a row for each resource in each state."""
    survivors = max(r.zones - r.zones_survived, 0)
    buffered = np.array([1.0 - c.spot_buffer_frac for c in chosen])
    rows: list[tuple[list[float], list[float], bool]] = []
    demand = [max(b.demand for b in g) for g in groups]
    rows.append(([r.zones * c.safe for c in chosen], demand, True))
    if r.zones_survived:
        rows.append(([survivors * c.zone_loss for c in chosen], demand, True))
    for name in sorted({k for g in groups for b in g for k in b.further}):
        asked = [max(b.further.get(name, 0.0) for b in g) for g in groups]
        held = [c.further.get(name, (0.0, 0.0)) for c in chosen]
        rows.append(([r.zones * h[0] for h in held], asked, True))
        if r.zones_survived:
            rows.append(([survivors * h[1] for h in held], asked, True))
    lost = [max(b.region_loss_demand for b in g) for g in groups]
    if max(lost) > 0 and not follows_load(r):
        rows.append(([r.zones * c.zone_loss for c in chosen], lost, False))
    weight = np.array([w for w, _, _ in rows], dtype=float).reshape(len(rows), len(chosen))
    counts_spot = np.array([float(spot) for *_, spot in rows])
    return weight, weight * counts_spot[:, None] * buffered[None, :], np.array([n for _, n, _ in rows], dtype=float)


def _shares(fleet: Fleet, s: int, where: list[tuple[int, tuple[int, ...]]]) -> Floats:
    out = np.zeros((len(where), len(fleet.lots)))
    month, level = (np.array([getattr(lot, name) for lot in fleet.lots]) for name in ("month", "level"))
    for lane, (t, blocks) in enumerate(where):
        lots = np.flatnonzero(month == t)
        for b in blocks:
            out[lane, lots] += fleet.presence[s][t][b, level[lots]]
    return out


def _peaks(r: UnitRequirement, months: Counts, demand: Floats) -> Mask:
    """The first lane of the largest demand of each month."""
    out = np.zeros(len(months), dtype=bool)
    for t in np.unique(months):
        here = np.flatnonzero(months == t)
        out[here[int(np.argmax(demand[here]))]] = True
    return out


def _most(fleet: Fleet, r: UnitRequirement, chosen: list[Candidate], months: Counts) -> tuple[Counts, Mask]:
    """Bounds on counts, and whether a lane's counts are given: pinned and static, or vertical (one type of a count)."""
    top = r.max_per_zone if not r.vertical else vertical_count(r)
    most = np.full((len(chosen), len(months)), top, dtype=np.int64)
    fixed = np.zeros(len(months), dtype=bool)
    for lane, t in enumerate(months):
        month = fleet.problem.months[t]
        pinned = {i: n for (m, i), n in (r.pinned or {}).items() if m == month}
        if pinned:
            most[:, lane] = [pinned.get(c.instance_type, 0) for c in chosen]
            fixed[lane] = True
    return most, fixed


def lost_demand(fleet: Fleet, u: Lanes, t: int) -> float:
    """What the provisioned instances of a month must serve when a region is lost; 0 where lanes ask for it already."""
    if not follows_load(u.requirement):
        return 0.0
    return max((b.region_loss_demand for b in fleet.blocks[u.s][t]), default=0.0)
