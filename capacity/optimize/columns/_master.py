"""The restricted master: a linear programme over the columns found so far, kept in HiGHS and grown round by round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from capacity.domain import Floats
from capacity.optimize._highs import quiet
from capacity.optimize.columns._coupling import Coupling, brought
from capacity.optimize.columns._lanes import Counts, Lanes


@dataclass
class Table:
    """Columns of lanes, each a choice of counts: ``lane`` numbers lanes over all units of the part.

    ``start``, ``row`` and ``value`` hold what a column brings to the coupling rows (CSC form).
    """

    lane: Counts
    running: list[Counts]
    spot: list[Counts]
    cost: Floats
    start: Counts
    row: Counts
    value: Floats

    def __len__(self) -> int:
        return len(self.cost)


@dataclass(frozen=True)
class Choices:
    """N choices of counts of one unit's lanes: ``lane`` (N,) among its own, ``running`` and ``spot`` (N, I).

    ``offset`` is the number of the unit's first lane in its part.
    """

    u: Lanes
    offset: int
    lane: Counts
    running: Counts
    spot: Counts


def table_of(coupling: Coupling, choices: Sequence[Choices]) -> Table:
    """Choices as columns, in their order. Cost is all of it at on demand, spot and switching included, in USD."""
    sizes = np.cumsum([0, *(len(c.lane) for c in choices)])
    parts = [brought(coupling, c.u, c.lane, c.running, c.spot) for c in choices]
    column = [part[0] + size for part, size in zip(parts, sizes, strict=False)]
    start, row, value = _compressed(
        int(sizes[-1]), len(coupling.upper), _end_to_end(column), _end_to_end([p[1] for p in parts]),
        _end_to_end([p[2] for p in parts]),
    )  # fmt: skip
    return Table(
        _end_to_end([c.lane + c.offset for c in choices]), [x for c in choices for x in c.running],
        [x for c in choices for x in c.spot], np.concatenate([np.zeros(0), *(_cost(c) for c in choices)]),
        start, row, value,
    )  # fmt: skip


def _end_to_end(arrays: Sequence[Any]) -> Any:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.int64)


def _cost(c: Choices) -> Floats:
    """(N,) USD."""
    u = c.u
    cost = (c.running * u.usd[None, :]).sum(axis=1) * u.hours[c.lane]
    cost = cost + (np.where(c.spot > 0, u.spot_usd[None, :], 0.0) * c.spot).sum(axis=1) * u.hours[c.lane]
    left = np.maximum(u.runs[None, :] - u.requirement.zones * c.running, 0)
    out: Floats = cost + (left * u.leave_usd.T[c.lane]).sum(axis=1)
    return out


def _compressed(columns: int, rows: int, column: Counts, row: Counts, value: Floats) -> tuple[Counts, Counts, Floats]:
    from scipy.sparse import csc_array

    matrix = csc_array((value, (row, column)), shape=(max(rows, 1), columns))
    matrix.sum_duplicates()
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data.astype(float)


def joined(tables: list[Table]) -> Table:
    """One table of several."""
    offsets = np.cumsum([0, *(len(t.row) for t in tables)])
    starts = [t.start[:-1] + offset for t, offset in zip(tables, offsets, strict=False)]
    return Table(
        np.concatenate([t.lane for t in tables]) if tables else np.zeros(0, dtype=np.int64),
        [x for t in tables for x in t.running],
        [x for t in tables for x in t.spot],
        np.concatenate([t.cost for t in tables]) if tables else np.zeros(0),
        np.concatenate([*starts, [offsets[-1]]]).astype(np.int64),
        np.concatenate([t.row for t in tables]) if tables else np.zeros(0, dtype=np.int64),
        np.concatenate([t.value for t in tables]) if tables else np.zeros(0),
    )


@dataclass(frozen=True)
class Relaxed:
    """The master's optimum: its value (USD), duals of the coupling rows and of the lanes, and values of the columns."""

    usd: float
    duals: Floats
    lane_duals: Floats
    own: Floats
    columns: Floats


class Master:
    """HiGHS with the coupling rows, one row a lane (its choices sum to 1), and columns that are only ever added."""

    def __init__(self, coupling: Coupling, lanes: int, seed: int) -> None:
        self.coupling, self.lanes, self.rows = coupling, lanes, len(coupling.upper)
        self.own, self.seed = len(coupling.cost), seed
        self.solver = quiet(seed)
        self.tables: list[Table] = []
        self._load()

    def _load(self) -> None:
        upper = np.concatenate([np.array(self.coupling.upper, dtype=float), np.ones(self.lanes)])
        lower = np.concatenate([np.full(self.rows, -math.inf), np.ones(self.lanes)])
        empty = np.zeros(0)
        none = np.zeros(0, dtype=np.int32)
        self.solver.addRows(len(upper), lower, upper, 0, np.zeros(len(upper), dtype=np.int32), none, empty)
        order = sorted(self.coupling.entries, key=lambda e: (e[1], e[0]))
        variable = np.array([e[1] for e in order], dtype=np.int64)
        starts = np.searchsorted(variable, np.arange(self.own)).astype(np.int32)
        self.solver.addCols(
            self.own, np.array(self.coupling.cost), np.zeros(self.own), np.array(self.coupling.most), len(order),
            starts, np.array([e[0] for e in order], dtype=np.int32), np.array([e[2] for e in order], dtype=float),
        )  # fmt: skip

    def add(self, table: Table) -> None:
        if not len(table):
            return
        self.tables.append(table)
        sizes = np.diff(table.start)
        # Each column's own lane comes after its coupling rows.
        at = table.start[1:]
        index = np.insert(table.row, at, table.lane + self.rows)
        value = np.insert(table.value, at, 1.0)
        starts = np.concatenate([[0], np.cumsum(sizes + 1)])[:-1]
        self.solver.addCols(
            len(table), table.cost, np.zeros(len(table)), np.full(len(table), math.inf), len(index),
            starts.astype(np.int32), index.astype(np.int32), value,
        )  # fmt: skip

    def table(self) -> Table:
        """All columns, in the order of their variables."""
        self.tables = [joined(self.tables)]
        return self.tables[0]

    def solve(self, seconds: float) -> Relaxed | None:
        """None where the limit (or HiGHS) ended it before the optimum."""
        import highspy

        self.solver.setOptionValue("time_limit", float(self.solver.getRunTime()) + max(seconds, 0.01))
        self.solver.run()
        if self.solver.getModelStatus() not in (
            highspy.HighsModelStatus.kOptimal,
            highspy.HighsModelStatus.kModelEmpty,
        ):
            return None
        solution: Any = self.solver.getSolution()
        duals = np.array(solution.row_dual, dtype=float)
        values = np.array(solution.col_value, dtype=float)
        usd = float(self.solver.getInfo().objective_function_value) + self.coupling.constant_usd
        return Relaxed(
            usd, np.minimum(duals[: self.rows], 0.0), duals[self.rows :], values[: self.own], values[self.own :]
        )


def lagrangian_usd(coupling: Coupling, duals: Floats, lane_least: Floats) -> float:
    """What every plan costs at least, where each lane costs at least ``lane_least`` at the prices of ``duals`` (<= 0).

    Weak duality: constant + duals @ upper + sum of lanes' least + what own variables could take off. These are bounded;
    where one is not, duals that would make it pay are no proof, and -inf is returned.
    """
    upper, cost, most = (np.array(x, dtype=float) for x in (coupling.upper, coupling.cost, coupling.most))
    reduced = cost.copy()
    if coupling.entries:
        row, variable, value = (np.array(x) for x in zip(*coupling.entries, strict=True))
        reduced -= np.bincount(variable.astype(np.int64), duals[row.astype(np.int64)] * value, minlength=len(cost))
    # Floating point leaves hairs below 0; a hair of an unbounded variable is no gain that any plan could take.
    hair = 1e-9 * np.maximum(np.abs(cost), 1.0)
    gain = np.where(
        reduced < 0,
        np.where(
            np.isfinite(most),
            reduced * np.where(np.isfinite(most), most, 0.0),
            np.where(reduced < -1e3 * hair, -np.inf, 0.0),
        ),
        0.0,
    )
    # A row without a limit has no price: 0, and not 0 times infinity.
    priced = np.where(duals != 0, upper, 0.0)
    return float(coupling.constant_usd + duals @ priced + lane_least.sum() + gain.sum())
