"""A unit's month searched whole where one row decides: fleets are grown instance by instance, all lanes in view.

What a fleet costs is what it provisions and, lane by lane, the cheapest part of it that holds the load. What it may
still grow by costs at least what knapsacks say of each lane apart, at charged prices: an instance that is provisioned
costs no less than its charges to all lanes together. So a fleet is given up where parts and knapsacks together promise
no less than what is known. Bounds of a search that is cut short hold too: the least that was promised of what is left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.optimize._clock import Deadline
from capacity.optimize.columns._lanes import Counts, Lanes
from capacity.optimize.columns._nearby import telling

# Cells of the knapsacks, and months whose knapsacks are filled together.
_CELLS, AT_ONCE = 1024, 16
# Fleets of a level that are followed, parts of all of them at most, and instances a zone at most.
_FOLLOWED, _MOST_PARTS, _MOST_DEPTH = 300, 12_000, 14
# A bound is as good as the cost at this share.
_CLOSE_FRAC = 1e-4
# Ways to keep some of what runs: a root of the search each.
_MOST_ROOTS = 64
_WHOLE = 1e-9


@dataclass(frozen=True)
class MonthProblem:
    """K lanes, T types, the largest first.

    ``holds`` (T,) what an instance a zone holds, ``need`` (K,) of it; ``usd`` (T, K) to run one, ``charged`` (T, K)
    with its charges, which add up to no more than ``each_usd`` (T,) over the lanes. ``kept`` are fleets of types that
    run today, which are of no other use: (counts by type, weights (N,) and costs (N, K) of their parts, provisioned
    USD). ``kind`` (T,) are positions among the unit's types.
    """

    holds: Floats
    need: Floats
    usd: Floats
    charged: Floats
    each_usd: Floats
    kind: Counts
    kept: list[tuple[dict[int, int], Floats, Floats, float]]
    known_usd: float


@dataclass(frozen=True)
class MonthFound:
    """``least_usd`` is proven; ``fleet`` are counts by type that cost ``usd``, None where none beat what was known."""

    least_usd: float
    usd: float
    fleet: dict[int, int] | None


def month_problem(
    u: Lanes,
    lanes: Counts,
    usd: Floats,
    each_usd: Floats,
    charged: Floats,
    may: Counts,
    known_usd: float,
) -> MonthProblem | None:
    """The month of ``lanes`` at prices (I, K), over the types ``may``; None where it is not one for this search."""
    rows = telling(u.weight, u.need[:, lanes])
    if len(rows) != 1 or (u.spot_room[lanes] > 0).any() or (usd < 0).any() or (each_usd < 0).any():
        return None
    holds, need = u.weight[rows[0]], u.need[rows[0], lanes]
    if (need <= 0).any():
        return None
    kept = [int(i) for i in np.flatnonzero((u.runs > 0) & (u.leave_usd[:, lanes] > 0).any(axis=1))]
    free = np.array([i for i in may if holds[i] > 0 and int(i) not in kept], dtype=np.int64)
    order = free[np.lexsort((free, -holds[free]))]
    roots = _roots(u, lanes, usd, each_usd, kept, holds, need)
    if roots is None:
        return None
    return MonthProblem(holds[order], need, usd[order], charged[order], each_usd[order], order, roots, known_usd)


def _roots(
    u: Lanes, lanes: Counts, usd: Floats, each_usd: Floats, kept: list[int], holds: Floats, need: Floats
) -> list[tuple[dict[int, int], Floats, Floats, float]] | None:
    """Every fleet of the types that run, with its parts; the penalty of what a part leaves is in its cost."""
    with np.errstate(divide="ignore"):
        useful = np.where(holds > 0, np.ceil(need.max() / np.maximum(holds, 1e-300)), 0.0)
    runs = np.ceil(u.runs / u.requirement.zones)
    most = [int(min(max(useful[i], runs[i]), u.requirement.max_per_zone)) for i in kept]
    if np.prod([m + 1.0 for m in most]) > _MOST_ROOTS:
        return None
    out = []
    for counts in np.ndindex(*(m + 1 for m in most)):
        some = list(np.ndindex(*(c + 1 for c in counts)))
        parts = np.array(some, dtype=np.int64).reshape(len(some), len(kept))
        whole = np.zeros((len(parts), len(u.types)), dtype=np.int64)
        whole[:, kept] = parts
        left = np.maximum(u.runs[None, :] - u.requirement.zones * whole, 0)
        cost = whole @ usd + left @ u.leave_usd[:, lanes]
        fleet = {i: int(c) for i, c in zip(kept, counts, strict=True) if c}
        out.append((fleet, whole @ holds, cost, float(sum(each_usd[i] * c for i, c in fleet.items()))))
    return out


def search_months(problems: Sequence[MonthProblem], ends: Deadline | None = None) -> Iterator[MonthFound]:
    """The cheapest fleet of each month, as far as it is searched, and what every fleet of it costs at least.

    Raises
    ------
    TimeIsUp
        Where ``ends`` passes first.
    """
    ends = Deadline.never() if ends is None else ends
    for begin in range(0, len(problems), AT_ONCE):
        some = problems[begin : begin + AT_ONCE]
        for p, table in zip(some, _tables(some, ends), strict=True):
            yield _Search(p, table, ends).run()


def _tables(problems: Sequence[MonthProblem], ends: Deadline) -> list[Floats]:
    """(T + 1, cells + 1, K) of each: the cheapest cover of so many cells by types from the t-th on, with charges."""
    width = max(len(p.kind) for p in problems)
    first = np.cumsum([0, *(len(p.need) for p in problems)])
    step = np.full((width, int(first[-1])), _CELLS, dtype=np.int64)
    price = np.full(step.shape, np.inf)
    for p, lane in zip(problems, first, strict=False):
        own = slice(int(lane), int(lane) + len(p.need))
        cells = np.ceil(p.holds[:, None] * _CELLS / p.need[None, :] * (1 - _WHOLE))
        step[: len(p.kind), own] = np.minimum(cells, _CELLS)
        price[: len(p.kind), own] = p.charged
    out = np.full((width + 1, _CELLS + 1, step.shape[1]), np.inf)
    out[width, 0] = 0.0
    lanes = np.arange(step.shape[1])
    for t in range(width - 1, -1, -1):
        ends.check()
        table = out[t]
        table[:] = out[t + 1]
        for filled in range(1, _CELLS + 1):
            with_one = table[np.maximum(filled - step[t], 0), lanes] + price[t]
            np.minimum(table[filled], with_one, out=table[filled])
    return [
        out[: len(p.kind) + 1, :, int(lane) : int(lane) + len(p.need)]
        for p, lane in zip(problems, first, strict=False)
    ]  # fmt: skip


@dataclass
class _Fleets:
    """Fleets of a level: last type added, provisioned USD, root, counts (N, T); and all their parts, fleet by fleet.

    ``top`` are parts with all of the fleet's instances of its last type: only these have one more part of it.
    """

    last: Counts
    usd: Floats
    root: Counts
    counts: Counts
    owner: Counts
    held: Floats
    part_usd: Floats
    top: np.ndarray[tuple[int], np.dtype[np.bool_]]


class _Search:
    def __init__(self, p: MonthProblem, table: Floats, ends: Deadline) -> None:
        self.p, self.table, self.ends = p, table, ends
        self.known, self.lowest = p.known_usd, np.inf
        self.best: tuple[int, Counts] | None = None

    def run(self) -> MonthFound:
        fleets = self._judged(self._start())
        for _ in range(_MOST_DEPTH):
            self.ends.check()
            if not len(fleets.last):
                break
            if len(fleets.held) * max(len(self.p.kind), 1) > 20 * _MOST_PARTS:
                break
            fleets = self._judged(self._grown(fleets))
        if len(fleets.last):
            self.lowest = min(self.lowest, float(self._promise(fleets).min()))
        fleet = None
        if self.best is not None:
            root, counts = self.best
            fleet = {int(self.p.kind[t]): int(counts[t]) for t in np.flatnonzero(counts)} | self.p.kept[root][0]
        return MonthFound(min(self.lowest, self.known), self.known, fleet)

    def _start(self) -> _Fleets:
        kept = self.p.kept
        sizes = [len(held) for _, held, _, _ in kept]
        return _Fleets(
            np.zeros(len(kept), dtype=np.int64), np.array([usd for *_, usd in kept]), np.arange(len(kept)),
            np.zeros((len(kept), len(self.p.kind)), dtype=np.int64), np.repeat(np.arange(len(kept)), sizes),
            np.concatenate([held for _, held, _, _ in kept]), np.concatenate([cost for _, _, cost, _ in kept]),
            np.ones(sum(sizes), dtype=bool),
        )  # fmt: skip

    def _grown(self, f: _Fleets) -> _Fleets:
        """One instance more of each type from the last one on."""
        types = np.arange(len(self.p.kind))
        n, t = np.nonzero(types[None, :] >= f.last[:, None])
        first = np.searchsorted(f.owner, np.arange(len(f.last)))
        sizes = np.diff(np.append(first, len(f.owner)))[n]
        child = np.repeat(np.arange(len(n)), sizes)
        begin = np.cumsum(sizes) - sizes
        part = np.arange(len(child)) - np.repeat(begin, sizes) + np.repeat(first[n], sizes)
        # Of a type that the fleet has, only the parts with all of it are a part with one more.
        again = f.counts[n, t] > 0
        more = np.flatnonzero(~again[child] | f.top[part])
        owner = np.concatenate([child, child[more]])
        held = np.concatenate([f.held[part], f.held[part[more]] + self.p.holds[t[child[more]]]])
        usd = np.concatenate([f.part_usd[part], f.part_usd[part[more]] + self.p.usd[t[child[more]]]])
        top = np.concatenate([np.zeros(len(part), dtype=bool), np.ones(len(more), dtype=bool)])
        order = np.argsort(owner, kind="stable")
        counts = f.counts[n].copy()
        counts[np.arange(len(n)), t] += 1
        return _Fleets(
            t, f.usd[n] + self.p.each_usd[t], f.root[n], counts, owner[order], held[order], usd[order], top[order],
        )  # fmt: skip

    def _by_fleet(self, f: _Fleets, usd: Floats) -> Floats:
        """(N,) provisioned USD with the least over each fleet's parts of ``usd`` (parts, K), over all lanes."""
        first = np.searchsorted(f.owner, np.arange(len(f.last)))
        return np.asarray(np.minimum.reduceat(usd, first, axis=0).sum(axis=1) + f.usd, dtype=float)

    def _promise(self, f: _Fleets) -> Floats:
        left = np.maximum(self.p.need[None, :] - f.held[:, None], 0.0)
        cells = np.minimum(np.ceil(left * _CELLS / self.p.need[None, :] * (1 - _WHOLE)), _CELLS).astype(np.int64)
        lanes = np.arange(len(self.p.need))[None, :]
        return self._by_fleet(f, f.part_usd + self.table[f.last[f.owner][:, None], cells, lanes])

    def _judged(self, f: _Fleets) -> _Fleets:
        """Enter the fleets that hold; those that are worth growing."""
        if not len(f.last):
            return f
        enough = f.held[:, None] >= self.p.need[None, :] * (1 - _WHOLE)
        usd = self._by_fleet(f, np.where(enough, f.part_usd, np.inf))
        best = int(usd.argmin())
        if usd[best] < self.known:
            self.known, self.best = float(usd[best]), (int(f.root[best]), f.counts[best])
        promise = self._promise(f)
        enough_usd = self.known - _CLOSE_FRAC * abs(self.known) if math.isfinite(self.known) else math.inf
        keep = promise < enough_usd
        order = np.flatnonzero(keep)
        order = order[np.argsort(promise[order], kind="stable")]
        sizes = np.bincount(f.owner, minlength=len(f.last))
        follow = order[(np.arange(len(order)) < _FOLLOWED) & (np.cumsum(sizes[order]) <= _MOST_PARTS)]
        given_up = np.ones(len(promise), dtype=bool)
        given_up[follow] = False
        self.lowest = min(self.lowest, float(promise[given_up].min(initial=np.inf)))
        return self._some(f, np.sort(follow))

    @staticmethod
    def _some(f: _Fleets, where: Counts) -> _Fleets:
        place = np.full(len(f.last), -1)
        place[where] = np.arange(len(where))
        parts = np.flatnonzero(place[f.owner] >= 0)
        return _Fleets(
            f.last[where], f.usd[where], f.root[where], f.counts[where], place[f.owner[parts]], f.held[parts],
            f.part_usd[parts], f.top[parts],
        )  # fmt: skip
