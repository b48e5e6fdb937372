"""A unit's month as one small MIP: what it costs at least at given prices, with what is provisioned counted once.

Lanes apart prove too little where a quota is dear: each would run other types, and n is the most of every type. Here n
is a variable of its own. Whatever the search leaves open, its bound holds: rows that are left out only make it cheaper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats
from capacity.optimize.columns._coupling import MONTHLY, Coupling, lane_prices
from capacity.optimize.columns._exact import Rows, Solved, most_useful, searched
from capacity.optimize.columns._lanes import Counts, Lanes

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Prices:
    """Of a unit's month, (I, K) over each lane's hours: ``usd`` on demand, ``spot_usd``; (I,) USD of each instance a
    zone that is provisioned on demand, ``each_usd``, and of the most that runs as spot, ``spot_each_usd``.
    """

    usd: Floats
    spot_usd: Floats
    each_usd: Floats
    spot_each_usd: Floats

    def of_spot(self, spot: Counts) -> float:
        """USD of counts (K, I) as spot."""
        return float((np.where(spot > 0, self.spot_usd.T, 0.0) * spot).sum() + self.spot_each_usd @ spot.max(axis=0))


@dataclass(frozen=True)
class Floor:
    """What each lane of a month costs at least, ``least_usd`` (K,), at prices ``usd`` and ``spot_usd`` (I, K)."""

    usd: Floats
    spot_usd: Floats
    least_usd: Floats


def month_prices(coupling: Coupling, u: Lanes, t: int, lanes: Counts, duals: Floats) -> Prices:
    """What the duals make of a month: rows that mind the month as a whole are charged to what is provisioned."""
    monthly = np.array([name[0] in MONTHLY for name in coupling.names], dtype=bool)
    usd, spot_usd = lane_prices(coupling, u, np.where(monthly, 0.0, duals))
    dual = np.append(duals, 0.0)
    zones = u.requirement.zones
    vcpu = zones * np.array([c.vcpu for c in u.candidates], dtype=float)
    each = -vcpu * dual[coupling.quota_row[u.s][:, t]] + zones * dual[coupling.unused_row[u.s][:, t]]
    return Prices(usd[:, lanes], spot_usd[:, lanes], each, -vcpu * dual[coupling.spot_quota_row[u.s][:, t]])


def is_free(u: Lanes, lanes: Counts) -> bool:
    """Whether counts are for a search to choose: not of a vertical unit, nor of a pinned month."""
    return not u.requirement.vertical and not bool(u.fixed[lanes].any()) and len(u.types) > 0


def solve_month(
    u: Lanes,
    lanes: Counts,
    prices: Prices,
    lost: float,
    start: tuple[Counts, Counts, Counts] | None,
    seconds: float,
    gaps: tuple[float, float],
    floor: Floor | None = None,
    may: Mask | None = None,
) -> Solved | None:
    """(bound, on-demand counts, spot counts) (K, I) of a free month; None where nothing was found in time.

    ``start`` are counts on demand, as spot (K, I) and provisioned (I,) that hold; ``gaps`` are the absolute one in USD
    and the relative one at which the search may end. ``may`` (I,) are types that a month cheaper than ``start`` may
    have: where others are left out, the bound is of no more than ``start`` costs.
    """
    useful = ~bettered(u, lanes, prices, lost)
    kept = np.flatnonzero(useful if may is None else useful & may)
    if start is not None:
        kept = np.union1d(kept, np.flatnonzero(start[0].any(axis=0) | start[1].any(axis=0) | (start[2] > 0)))
    program = MonthProgram(u, lanes, kept, prices, lost, whole_row=len(kept) == len(u.types))
    if floor is not None:
        program.stand_on(floor)
    known = None if start is None else program.values(*start)
    found = searched(program.rows, program.cost, program.upper, program.integral, seconds, gaps, known)
    if found is None:
        return None
    return found[0] + float(program.left_usd.sum()), *program.counts(found[1])


class MonthProgram:
    """The MIP of a month over the ``kept`` types: n, r by lane, spot and the most of it, what is left, what is seen.

    ``n``, ``spot_top`` (kept,), ``running`` and ``spot`` (K, kept) are positions among the columns; the last two and
    ``spot_top`` are empty where there is no spot.
    """

    def __init__(self, u: Lanes, lanes: Counts, kept: Counts, prices: Prices, lost: float, whole_row: bool) -> None:
        self.u, self.lanes, self.kept, self.prices, self.lost = u, lanes, kept, prices, lost
        count, many = len(kept), len(lanes)
        self.rows = Rows()
        self.n = np.arange(count)
        self.running = count + np.arange(many * count).reshape(many, count)
        self.width = count * (many + 1)
        useful = np.array([most_useful(u, int(k))[kept] for k in lanes])
        holds = u.requirement.zones * np.array([u.candidates[i].zone_loss for i in kept], dtype=float)
        most = useful.max(axis=0)
        if lost > 0:
            with np.errstate(divide="ignore"):
                more = np.where(holds > 0, np.ceil(lost / np.maximum(holds, 1e-12)), 0.0)
            most = np.minimum(np.maximum(most, more), u.requirement.max_per_zone)
        self._cost = [prices.each_usd[kept], prices.usd[kept].T.ravel()]
        self._upper = [most, useful.ravel()]
        self._whole = [np.ones(self.width, dtype=bool)]
        self.has_spot = bool((np.isfinite(prices.spot_usd[kept]) & (u.spot_room[lanes] > 0)[None, :]).any())
        self.spot, self.spot_top = self._spots() if self.has_spot else (self.running[:, :0], self.n[:0])
        self._holds(holds, whole_row)
        for i in range(count):
            for k in range(many):
                self.rows.add([self.n[i], self.running[k, i]], [1.0, -1.0], 0.0, math.inf)
        self._leaves()
        self._kinds()
        self.cost, self.upper = np.concatenate(self._cost), np.concatenate(self._upper)
        self.integral = np.concatenate(self._whole)

    def stand_on(self, floor: Floor) -> None:
        """What was proven of lanes apart is a row of each: the search starts from there."""
        for at in np.flatnonzero(floor.least_usd > 0):
            usd, scale = floor.usd[self.kept, at], float(floor.least_usd[at])
            spot = np.where(np.isfinite(floor.spot_usd[self.kept, at]), floor.spot_usd[self.kept, at], 0.0)
            left = [(c, each) for lane, c, each in self.left if lane == at]
            columns = np.concatenate([self.running[at], self.spot[at], np.array([c for c, _ in left], dtype=np.int64)])
            values = np.concatenate([usd, spot if self.has_spot else np.zeros(0), np.array([e for _, e in left])])
            self.rows.add(columns, values / scale, 1.0 - 1e-9 - float(self.left_usd[at]) / scale, math.inf)

    def _columns(self, cost: Floats, upper: Floats, whole: bool) -> Counts:
        """Positions of further columns, in the shape of ``cost``."""
        out = self.width + np.arange(cost.size).reshape(cost.shape)
        self._cost.append(cost.ravel())
        self._upper.append(upper.ravel())
        self._whole.append(np.full(cost.size, whole))
        self.width += cost.size
        return out

    def _spots(self) -> tuple[Counts, Counts]:
        """Spot by lane and the most of it, whose price is what the quota asks."""
        u, kept, r = self.u, self.kept, self.u.requirement
        usd, room = self.prices.spot_usd[kept].T, u.spot_room[self.lanes][:, None]
        usable = np.isfinite(usd) & (room > 0) & (u.spot_holds[kept] > 0)[None, :]
        most = np.floor(room / np.maximum(u.spot_holds[kept], 1e-12)[None, :] + 1e-9)
        most = np.where(usable, np.minimum(most, r.max_per_zone), 0.0)
        spot = self._columns(np.where(usable, usd, 0.0), most, True)
        top = self._columns(self.prices.spot_each_usd[kept], most.max(axis=0), True)
        for k in range(len(self.lanes)):
            if room[k, 0] > 0:
                self.rows.add(spot[k], u.spot_holds[kept] / room[k, 0], -math.inf, 1.0)
            for i in np.flatnonzero(usable[k]):
                self.rows.add([top[i], spot[k, i]], [1.0, -1.0], 0.0, math.inf)
        least = r.spot_least_types
        if least > 1:
            for lane in np.flatnonzero(usable.any(axis=1)):
                self._spot_kinds(spot[lane], most[lane], least)
        return spot, top

    def _spot_kinds(self, spot: Counts, most: Floats, least: int) -> None:
        seen = self._columns(np.zeros(len(spot)), np.ones(len(spot)), True)
        some = int(self._columns(np.zeros(1), np.ones(1), True)[0])
        had = np.flatnonzero(most > 0)
        for i in had:
            self.rows.add([seen[i], spot[i]], [1.0, -1.0], -math.inf, 0.0)
            self.rows.add([spot[i], some], [1.0 / most[i], -1.0], -math.inf, 0.0)
        self.rows.add([*seen[had], some], [*np.ones(len(had)), -float(least)], 0.0, math.inf)

    def _holds(self, holds: Floats, whole_row: bool) -> None:
        u, r = self.u, self.u.requirement
        for at, k in enumerate(self.lanes):
            both = np.concatenate([self.running[at], self.spot[at]])
            for row in np.flatnonzero(u.need[:, k] > 0):
                need = u.need[row, k]
                weight = u.weight[row, self.kept] / need
                if not self.has_spot:
                    # One that holds more than all of it counts as all of it: counts are whole.
                    weight = np.minimum(weight, 1.0)
                spot = u.spot_weight[row, self.kept] / need if self.has_spot else np.zeros(0)
                self.rows.add(both, np.concatenate([weight, spot]), 1.0, math.inf)
            top = float(r.max_per_zone) if whole_row else math.inf
            self.rows.add(both, np.ones(len(both)), float(r.min_per_zone), top)
        if self.lost > 0:
            self.rows.add(self.n, holds / self.lost, 1.0, math.inf)

    def _leaves(self) -> None:
        u = self.u
        self.left: list[tuple[int, int, float]] = []
        # What runs of types that are not kept is left, whatever is chosen.
        gone = np.setdiff1d(np.arange(len(u.types)), self.kept)
        self.left_usd: Floats = u.runs[gone] @ u.leave_usd[np.ix_(gone, self.lanes)]
        for i, own in enumerate(self.kept):
            for at, k in enumerate(self.lanes):
                if u.runs[own] > 0 and u.leave_usd[own, k] > 0:
                    left = self._columns(np.array([u.leave_usd[own, k]]), np.array([float(u.runs[own])]), False)
                    self.left.append((at, int(left[0]), float(u.leave_usd[own, k])))
                    self.rows.add(
                        [int(left[0]), self.running[at, i]], [1.0, float(u.requirement.zones)], float(u.runs[own]),
                        math.inf,
                    )  # fmt: skip

    def _kinds(self) -> None:
        for at, k in enumerate(self.lanes):
            least = int(self.u.least_types[k])
            if least <= 1:
                continue
            seen = self._columns(np.zeros(len(self.kept)), np.ones(len(self.kept)), True)
            for i in range(len(self.kept)):
                own = [self.running[at, i], *self.spot[at][i : i + 1]]
                self.rows.add([seen[i], *own], [1.0, *(-1.0 for _ in own)], -math.inf, 0.0)
            self.rows.add(seen, np.ones(len(seen)), float(least), math.inf)

    def values(self, running: Counts, spot: Counts, provisioned: Counts) -> tuple[Counts, Floats]:
        """Positions and values of what a start gives; HiGHS finds the rest."""
        at, value = [self.n, self.running.ravel()], [provisioned[self.kept], running[:, self.kept].ravel()]
        if self.has_spot:
            at.append(self.spot.ravel())
            value.append(spot[:, self.kept].ravel())
        return np.concatenate(at), np.concatenate(value).astype(float)

    def counts(self, values: Floats) -> tuple[Counts, Counts]:
        """Counts on demand and as spot (K, I) of the columns' values."""
        running = np.zeros((len(self.lanes), len(self.u.types)), dtype=np.int64)
        spot = running.copy()
        running[:, self.kept] = np.round(values[self.running]).astype(np.int64)
        if self.has_spot:
            spot[:, self.kept] = np.round(values[self.spot]).astype(np.int64)
        return running, spot


def bettered(u: Lanes, lanes: Counts, prices: Prices, lost: float) -> Mask:
    """Types in whose place so many of another hold as much, for no more in any lane nor for what is provisioned.

    Of as many others as types are asked for: one of them is not among what runs beside it. Not where spot or what runs
    today count: then all stay. With these left out the row of the largest count is left out too.
    """
    out, kinds = np.zeros(len(u.types), dtype=bool), max(int(u.least_types[lanes].max(initial=0)), 1)
    spot = np.isfinite(prices.spot_usd).any() and bool((u.spot_room[lanes] > 0).any())
    if spot or (prices.usd < 0).any() or (prices.each_usd < 0).any():
        return out
    need = u.need[:, lanes].max(axis=1)
    weight = np.minimum(u.weight[need > 0], need[need > 0][:, None])
    if lost > 0:
        holds = u.requirement.zones * np.array([c.zone_loss for c in u.candidates], dtype=float)
        weight = np.concatenate([weight, np.minimum(holds, lost)[None, :]])
    cost = np.concatenate([prices.usd, prices.each_usd[:, None]], axis=1)
    stays = (u.runs > 0) & (u.leave_usd[:, lanes] > 0).any(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(weight[:, None, :] > 0, weight[:, :, None] / weight[:, None, :], np.inf)
        times = np.where(weight[:, :, None] > 0, times, 0.0).max(axis=0, initial=0.0)
    # (i, j): so many of j in place of one of i.
    times = np.maximum(np.ceil(times * (1 - 1e-12)), 1.0)
    for i in np.flatnonzero(~stays):
        others = ~out
        others[i] = False
        with np.errstate(invalid="ignore"):
            dearer = (times[i][:, None] * cost <= cost[i][None, :]).all(axis=1)
        out[i] = int((others & np.isfinite(times[i]) & dearer).sum()) >= kinds
    return out
