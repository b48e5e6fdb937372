"""Lanes searched whole: the cheapest counts of each at given prices and what it costs at least, many lanes at a time.

Knapsacks (``_bound``) weigh all rows together and prove little where several decide, or where a load is a few instances
large. Here instances are added one by one in a fixed order of types, for all lanes level by level; what is then still
to be held costs at least what the knapsacks of several combinations of rows say, and a branch ends where that is no
less than what is known (branch and bound, Land and Doig 1960). Where a lane has more branches than are followed, those
that promise least are given up, and the bound is the least of what they promised: a bound in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from capacity.domain import Floats
from capacity.optimize._clock import Deadline
from capacity.optimize._cover import grid_of
from capacity.optimize.columns._bound import table_of_cells
from capacity.optimize.columns._lane_problem import LaneProblem, Mask
from capacity.optimize.columns._lanes import Counts

# Lanes searched together, and children looked at in one go.
_BATCH, _AT_ONCE = 192, 400_000
# Branches of a lane that are followed further on a level.
FOLLOWED = 1500
# Cells of the knapsacks: of one row, and of several, which are weighed more than once.
_CELLS, _CELLS_OF_MANY = 1024, 512
# A bound is as good as the cost at this share.
_CLOSE_FRAC = 1e-4
# Combinations of two rows that are weighed, and how far from the dearest others are tried as well.
_BLENDS, _BESIDE = np.linspace(0.0, 1.0, 17), (-4, 0, 4)
_WHOLE = 1e-9

# Counts by type (position among the unit's own), on demand and as spot.
Chosen = tuple[dict[int, int], dict[int, int]]


@dataclass
class Searched:
    """(N,) ``least_usd`` is proven; ``usd`` what ``counts`` cost, inf where none were found that beat what was known.

    ``near`` are the cheapest counts that were met on the way, within the margin that was asked for.
    """

    least_usd: Floats
    usd: Floats
    counts: list[Chosen]
    near: list[list[Chosen]]


def search(
    problems: Sequence[LaneProblem],
    ends: Deadline | None = None,
    followed: int = FOLLOWED,
    margin_frac: float = 0.0,
    most_near: int = 0,
) -> Searched:
    """Search all lanes. ``margin_frac`` above the cheapest, at most ``most_near`` other counts of each are kept.

    Raises
    ------
    TimeIsUp
        Where ``ends`` passes before the last batch begins. One that has begun proves what it can.
    """
    ends = Deadline.never() if ends is None else ends
    count = len(problems)
    out = Searched(np.zeros(count), np.full(count, np.inf), [({}, {})] * count, [[] for _ in problems])
    for own in _batches(problems):
        ends.check()
        batch = _Batch([problems[k] for k in own], followed, margin_frac)
        batch.run(ends)
        out.least_usd[own] = np.minimum(batch.lowest, batch.known)
        for at, k in enumerate(own):
            best = batch.best[at]
            if best is not None:
                out.usd[k], out.counts[k] = batch.known[at], batch.counts(*best)
        for at, found in batch.near(most_near) if most_near else ():
            out.near[own[at]].append(batch.counts(*found))
    return out


def forced(problems: Sequence[LaneProblem], types: int) -> Floats:
    """(N, types) what a lane costs at least with one or more of a type on demand, proven; inf where it has none."""
    out = np.full((len(problems), types), np.inf)
    for own in _batches(problems):
        out[own] = _Batch([problems[k] for k in own], 0, 0.0).forced(types)
    return out


def _batches(problems: Sequence[LaneProblem]) -> list[list[int]]:
    """Lanes of a size together: tables are as wide as the widest."""
    order = sorted(range(len(problems)), key=lambda k: (*problems[k].weight.shape, k))
    return [order[begin : begin + _BATCH] for begin in range(0, len(order), _BATCH)]


@dataclass
class _Nodes:
    """Branches: lane, root, last option (-1: none), what is left of each row, cost, instances, kinds, kinds of spot.

    ``room`` is what spot may still take of its share, ``at`` the place in its level.
    """

    lane: Counts
    root: Counts
    last: Counts
    left: Floats
    usd: Floats
    count: Counts
    kinds: Counts
    spot_kinds: Counts
    room: Floats
    at: Counts

    def some(self, where: Counts | slice) -> _Nodes:
        return _Nodes(*(getattr(self, f.name)[where] for f in fields(self)))

    @classmethod
    def joined(cls, parts: list[_Nodes]) -> _Nodes:
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


@dataclass
class _Level:
    """Of each node of a level: its parent's place, the option that was added, and its lane."""

    parent: Counts
    option: Counts
    lane: Counts


@dataclass
class _Met:
    """Complete counts that were met: lane, cost, level and place."""

    lane: list[Counts] = field(default_factory=list)
    usd: list[Floats] = field(default_factory=list)
    level: list[Counts] = field(default_factory=list)
    place: list[Counts] = field(default_factory=list)


class _Batch:
    """Padded arrays of some lanes, the knapsacks of what is left, and the levels of the search."""

    def __init__(self, problems: list[LaneProblem], followed: int, margin_frac: float) -> None:
        self.problems, self.followed, self.margin_frac = problems, followed, margin_frac
        lanes, rows = len(problems), max(len(p.weight) for p in problems)
        width = max(len(p.usd) for p in problems)
        self.weight = np.zeros((lanes, rows, width))
        self.usd = np.full((lanes, width), np.inf)
        self.room, self.kind = np.zeros((lanes, width)), np.full((lanes, width), -1)
        self.as_spot = np.zeros((lanes, width), dtype=bool)
        for k, p in enumerate(problems):
            t = len(p.usd)
            self.weight[k, : len(p.weight), :t], self.usd[k, :t], self.room[k, :t] = p.weight, p.usd, p.room
            self.kind[k, :t], self.as_spot[k, :t] = p.kind, p.as_spot
        self.least, self.most = np.array([p.least for p in problems]), np.array([p.most for p in problems])
        self.kinds = np.array([p.kinds for p in problems])
        self.spot_kinds = np.array([p.spot_kinds for p in problems])
        self.known = np.array([p.known_usd for p in problems], dtype=float)
        self.lowest = np.full(lanes, np.inf)
        self.best: list[tuple[int, int] | None] = [None] * lanes
        self.levels: list[_Level] = []
        self.met = _Met()
        self._knapsacks(rows)

    # --- what is still to be held costs at least -----------------------------------------------------------

    def _knapsacks(self, rows: int) -> None:
        lanes, _, width = self.weight.shape
        own = [_blends(p.weight, p.usd, p.room, rows) for p in self.problems]
        self.count = count = max(len(b) for b, _ in own)
        self.blend = np.array([np.concatenate([b, np.repeat(b[:1], count - len(b), axis=0)]) for b, _ in own])
        self.room_usd = np.array([np.concatenate([m, np.repeat(m[:1], count - len(m))]) for _, m in own])
        self.layers = int(max(self.least.max(initial=0), self.kinds.max(initial=0)))
        weight = np.einsum("lbr,lrt->lbt", self.blend, self.weight).reshape(lanes * count, width)
        price = (self.usd[:, None, :] + self.room_usd[:, :, None] * self.room[:, None, :]).reshape(weight.shape)
        # What holds nothing may still be asked for as an instance or a kind: then it counts as the least there is.
        used = np.where(np.isfinite(price), np.maximum(weight, _WHOLE if self.layers > 1 else 0.0), 0.0)
        grid, _, cell = grid_of(used, up=True, cells=_CELLS if rows == 1 else _CELLS_OF_MANY)
        self.cell = cell.reshape(lanes, count)
        top = int(np.ceil(1.0 / cell.min(initial=1.0)) + 1)
        self.table = table_of_cells(grid, np.where(used > 0, price, np.inf), top, self.layers)

    def _to_come(self, nodes: _Nodes) -> Floats:
        """(n,) what is still to be held costs at least, in so many more instances, with the room that spot has left."""
        lane, left = nodes.lane, np.maximum(nodes.left, 0.0)
        short = np.maximum(self.least[lane] - nodes.count, self.kinds[lane] - nodes.kinds)
        layer = np.clip(short, 0, self.layers)
        out = np.zeros(len(lane))
        for b in range(self.count):
            need = np.einsum("nr,nr->n", self.blend[lane, b], left)
            cells = np.ceil(need / self.cell[lane, b] * (1 - _WHOLE)).astype(np.int64)
            value = self.table[layer, cells, lane * self.count + b] - self.room_usd[lane, b] * nodes.room
            out = np.maximum(out, value)
        return out

    # --- levels ----------------------------------------------------------------------------------------------

    def run(self, ends: Deadline) -> None:
        """Search until ``ends``; then ``best``, ``known`` and ``lowest`` are what was found."""
        nodes = self._roots()
        self.levels.append(_Level(nodes.at, np.full(len(nodes.lane), -1), nodes.lane))
        nodes = self._judged(nodes)
        while len(nodes.lane) and not ends.passed:
            nodes = self._next(nodes)
        if len(nodes.lane):
            # What is left is given up: no more than it promises is proven.
            np.minimum.at(self.lowest, nodes.lane, nodes.usd + self._to_come(nodes))

    def _roots(self) -> _Nodes:
        lane = np.array([k for k, p in enumerate(self.problems) for _ in p.roots], dtype=np.int64)
        every = [root for p in self.problems for root in p.roots]
        _, rows, width = self.weight.shape
        left, self.allowed = np.full((len(lane), rows), -1.0), np.zeros((len(lane), width), dtype=bool)
        # A type that is kept is no new kind, when more of it is added.
        self.had = np.zeros_like(self.allowed)
        for n, (k, x) in enumerate(zip(lane, every, strict=True)):
            left[n, : len(x.left)], self.allowed[n, : len(x.allowed)] = x.left, x.allowed
            for i in x.kept:
                self.had[n] |= self.kind[k] == i
        self.kept = [x.kept for x in every]
        some = np.array([sum(x.kept.values()) for x in every], dtype=np.int64)
        kinds = np.array([len(x.kept) for x in every], dtype=np.int64)
        nothing, place = np.zeros(len(lane), dtype=np.int64), np.arange(len(lane))
        usd = np.array([x.usd for x in every])
        return _Nodes(lane, place, nothing - 1, left, usd, some, kinds, nothing, np.ones(len(lane)), place)

    def _next(self, nodes: _Nodes) -> _Nodes:
        step = max(_AT_ONCE // self.weight.shape[2], 1)
        children, parents, options = [], [], []
        for begin in range(0, len(nodes.lane), step):
            own = nodes.some(slice(begin, begin + step))
            n, t = np.nonzero(self._may(own))
            children.append(self._added(own, n, t))
            parents.append(own.at[n])
            options.append(t)
        joined = _Nodes.joined(children)
        joined.at = np.arange(len(joined.lane))
        self.levels.append(_Level(np.concatenate(parents), np.concatenate(options), joined.lane))
        return self._judged(joined)

    def _may(self, own: _Nodes) -> Mask:
        """(n, T) options that may be added: in order, to be had, with room for them."""
        may = (np.arange(self.weight.shape[2])[None, :] >= own.last[:, None]) & self.allowed[own.root]
        may &= np.isfinite(self.usd[own.lane]) & (self.room[own.lane] <= own.room[:, None] + _WHOLE)
        may &= (own.count < self.most[own.lane])[:, None]
        return np.asarray(may, dtype=bool)

    def _added(self, own: _Nodes, n: Counts, t: Counts) -> _Nodes:
        lane, root, last = own.lane[n], own.root[n], own.last[n]
        before = np.where(last >= 0, self.kind[lane, last], -2)
        new_kind = (before != self.kind[lane, t]) & ~self.had[root, t]
        new_spot = self.as_spot[lane, t] & (last != t)
        return _Nodes(
            lane, root, t, own.left[n] - self.weight[lane, :, t], own.usd[n] + self.usd[lane, t], own.count[n] + 1,
            own.kinds[n] + new_kind, own.spot_kinds[n] + new_spot, own.room[n] - self.room[lane, t], own.at[n],
        )  # fmt: skip

    def _judged(self, nodes: _Nodes) -> _Nodes:
        """Nodes that are worth following; complete ones are entered."""
        short = np.maximum(self.least[nodes.lane] - nodes.count, self.kinds[nodes.lane] - nodes.kinds)
        varied = (nodes.spot_kinds == 0) | (nodes.spot_kinds >= self.spot_kinds[nodes.lane])
        complete = (nodes.left <= _WHOLE).all(axis=1) & (short <= 0) & varied
        complete &= nodes.count <= self.most[nodes.lane]
        self._enter(nodes.some(np.flatnonzero(complete)))
        return self._followed(nodes.some(np.flatnonzero(~complete)))

    def _enter(self, done: _Nodes) -> None:
        level = len(self.levels) - 1
        order = np.lexsort((done.at, done.usd, done.lane))
        for n in order[np.unique(done.lane[order], return_index=True)[1]]:
            lane = done.lane[n]
            if done.usd[n] < self.known[lane]:
                self.known[lane], self.best[lane] = done.usd[n], (level, int(done.at[n]))
        if self.margin_frac > 0:
            near = np.flatnonzero(done.usd <= self._margin()[done.lane])
            self.met.lane.append(done.lane[near])
            self.met.usd.append(done.usd[near])
            self.met.level.append(np.full(len(near), level))
            self.met.place.append(done.at[near])

    def _margin(self) -> Floats:
        """(lanes,) what a branch must promise less than, to be followed."""
        reach = self.margin_frac if self.margin_frac > 0 else -_CLOSE_FRAC
        known = np.where(np.isfinite(self.known), self.known, 0.0)
        return np.where(np.isfinite(self.known), known + reach * np.abs(known), np.inf)

    def _followed(self, nodes: _Nodes) -> _Nodes:
        promise = nodes.usd + self._to_come(nodes)
        keep = (promise < self._margin()[nodes.lane]) & np.isfinite(promise)
        order = np.lexsort((promise, nodes.lane))
        order = order[keep[order]]
        edges = np.searchsorted(nodes.lane[order], np.arange(len(self.problems) + 1))
        follow = order[np.arange(len(order)) - edges[nodes.lane[order]] < self.followed]
        given_up = np.ones(len(promise), dtype=bool)
        given_up[follow] = False
        np.minimum.at(self.lowest, nodes.lane[given_up], promise[given_up])
        return nodes.some(np.sort(follow))

    # --- what was found --------------------------------------------------------------------------------------

    def near(self, most: int) -> list[tuple[int, tuple[int, int]]]:
        """(lane, (level, place)) of the cheapest complete counts of each lane within the margin."""
        if not self.met.lane:
            return []
        lane, usd, level, place = (
            np.concatenate(x) for x in (self.met.lane, self.met.usd, self.met.level, self.met.place)
        )
        order = np.lexsort((place, level, usd, lane))
        order = order[usd[order] <= self._margin()[lane[order]]]
        rank = np.arange(len(order)) - np.searchsorted(lane[order], lane[order])
        return [(int(lane[n]), (int(level[n]), int(place[n]))) for n in order[rank < most]]

    def counts(self, level: int, place: int) -> Chosen:
        """The counts of a node, by the unit's types."""
        running: dict[int, int] = {}
        spot: dict[int, int] = {}
        while level > 0:
            own = self.levels[level]
            lane, t = int(own.lane[place]), int(own.option[place])
            chosen, kind = spot if self.as_spot[lane, t] else running, int(self.kind[lane, t])
            chosen[kind] = chosen.get(kind, 0) + 1
            level, place = level - 1, int(own.parent[place])
        for i, d in self.kept[place].items():
            running[i] = running.get(i, 0) + d
        return running, spot

    def forced(self, types: int) -> Floats:
        """See :func:`forced`."""
        nodes = self._roots()
        n, t = np.nonzero(np.isfinite(self.usd[nodes.lane]) & ~self.as_spot[nodes.lane])
        more = self._added(nodes, n, t)
        out = np.full((len(self.problems), types), np.inf)
        np.minimum.at(out, (more.lane, self.kind[more.lane, t]), more.usd + self._to_come(more))
        kept = np.array([(n, i) for n, own in enumerate(self.kept) for i in own], dtype=np.int64).reshape(-1, 2)
        usd = nodes.usd + self._to_come(nodes)
        np.minimum.at(out, (nodes.lane[kept[:, 0]], kept[:, 1]), usd[kept[:, 0]])
        return out


# --- combinations of rows ----------------------------------------------------------------------------------


def _blends(weight: Floats, usd: Floats, room: Floats, rows: int) -> tuple[Floats, Floats]:
    """(B, rows) combinations of rows: the one that is dearest in the linear relaxation, some beside it, each row alone.

    With (B,) USD of all the room that spot has, in the relaxation of each: the surrogate and the Lagrangian dual.
    """
    count = len(weight)
    out = list(np.eye(rows)[:count])
    best = -np.inf
    for j in range(count):
        for k in range(j + 1, count):
            tried = np.zeros((len(_BLENDS), rows))
            tried[:, j], tried[:, k] = _BLENDS, 1 - _BLENDS
            value = [_linear(b[:count] @ weight, usd, room)[0] for b in tried]
            at = int(np.argmax(value))
            if value[at] > best:
                best = value[at]
                places = sorted({int(np.clip(at + d, 0, len(tried) - 1)) for d in _BESIDE})
                out = [*(tried[p] for p in places), *np.eye(rows)[:count]]
    blends = np.array([*{tuple(b): b for b in out}.values()])
    return blends, np.array([_linear(b[:count] @ weight, usd, room)[1] for b in blends])


def _linear(weight: Floats, usd: Floats, room: Floats) -> tuple[float, float]:
    """The relaxation's cost of a knapsack, and the price of all the room that spot has."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((weight > 0) & np.isfinite(usd), usd / weight, np.inf)
    spot = room > 0
    demand = float(np.min(ratio[~spot], initial=np.inf))
    if not spot.any():
        return demand, 0.0
    top = 0.0
    if np.isfinite(demand):
        top = max(float(np.max((demand * weight - usd)[spot] / room[spot])), 0.0)
    best = (-np.inf, 0.0)
    for price in (0.0, 0.5 * top, top):
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(np.min(np.where(weight > 0, (usd + price * room) / weight, np.inf))) - price
        best = max(best, (value, price))
    return best


__all__ = ["FOLLOWED", "Chosen", "Searched", "forced", "search"]
