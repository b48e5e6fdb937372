"""The last choice: one column a lane (or one bundle a unit and month), by a MIP over the columns worth having."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from capacity.domain import Floats
from capacity.optimize._clock import Clock
from capacity.optimize._highs import Search
from capacity.optimize.columns._coupling import Coupling
from capacity.optimize.columns._lanes import Counts
from capacity.optimize.columns._master import Table
from capacity.optimize.columns._part import Part

# Of the gap that is asked for, what the last choice may use.
CHOICE_SHARE = 0.3

# Columns a lane that the MIP chooses from, beside those of the relaxed optimum: more were never worth .01 %.
_MOST_COLUMNS = 4

# lp, start, seconds, gap -> how it ended.
Searcher = Callable[[Any, dict[Any, float], float, float], Search]


@dataclass(frozen=True)
class Choice:
    """``columns``: position of the chosen column of each group; ``own``: values of the coupling's own variables.

    ``usd`` is its cost, inf where it is not known; ``rounded`` where no search was made or it found nothing: the
    largest share of the relaxed optimum was taken.
    """

    columns: Counts
    own: Floats
    rounded: bool
    termination: str
    usd: float = math.inf


def worth_having(part: Part, slack_usd: float) -> Counts:
    """Positions of columns that the relaxed optimum uses, and of the next best of each lane within ``slack_usd``."""
    table, relaxed = part.master.table(), part.relaxed
    if relaxed is None:
        return np.arange(len(table))
    values = np.zeros(len(table))
    values[: len(relaxed.columns)] = relaxed.columns[: len(table)]
    reduced = reduced_costs(table, part.coupling, relaxed.duals) - relaxed.lane_duals[table.lane]
    order = np.lexsort((np.arange(len(table)), reduced, table.lane))
    lane = table.lane[order]
    rank = np.arange(len(order)) - np.searchsorted(lane, lane)
    kept = np.zeros(len(table), dtype=bool)
    kept[order] = (rank == 0) | ((rank < _MOST_COLUMNS) & (reduced[order] <= slack_usd))
    return np.flatnonzero(kept | (values > 1e-9))


def reduced_costs(table: Table, coupling: Coupling, duals: Floats) -> Floats:
    """(columns,) USD of each at the duals: its cost less what the rows that it brings to are worth."""
    owner = np.repeat(np.arange(len(table)), np.diff(table.start))
    out: Floats = table.cost - np.bincount(owner, weights=duals[table.row] * table.value, minlength=len(table))
    return out


def choose(
    coupling: Coupling,
    table: Table,
    start: Floats,
    search: Searcher,
    deadline: float,
    gap_frac: float,
    clock: Clock = time.perf_counter,
) -> Choice:
    """One column a group (``table.lane``, from 0), at least cost; ``start`` weighs columns to begin with."""
    groups = int(table.lane.max(initial=-1)) + 1
    first = _largest(table, start, groups)
    if len(table) == groups and not coupling.cost:
        usd = coupling.constant_usd + float(table.cost[first].sum())
        return Choice(first, np.zeros(0), False, "nothing to decide", usd)
    lp, picks, own = _program(coupling, table)
    started = set(first.tolist())
    given = {pick: float(c in started) for c, pick in enumerate(picks)}
    seconds = deadline - clock()
    found = (
        search(lp, given, seconds, gap_frac)
        if seconds > 0.05
        else Search("nothing", "time limit reached", -math.inf, None)
    )
    if found.outcome != "found" or found.columns is None:
        return Choice(first, np.zeros(len(own)), True, found.termination)
    values = dict(zip(lp.variables(), found.columns, strict=True))
    weight = np.array([values[v] for v in picks])
    picked, bought = _largest(table, weight, groups), np.array([values[v] for v in own])
    usd = coupling.constant_usd + float(table.cost[picked].sum()) + float(np.array(coupling.cost) @ bought)
    return Choice(picked, bought, False, found.termination, usd)


def _largest(table: Table, weight: Floats, groups: int) -> Counts:
    """The column of each group with the largest weight, the first of equals."""
    order = np.lexsort((np.arange(len(table)), -weight, table.lane))
    return np.asarray(order[np.searchsorted(table.lane[order], np.arange(groups))], dtype=np.int64)


def _program(coupling: Coupling, table: Table) -> tuple[Any, list[Any], list[Any]]:
    """The master with whole choices, as a PuLP problem: its variables for columns, and the coupling's own."""
    import pulp

    lp = pulp.LpProblem("choice", pulp.LpMinimize)
    picks = [lp.add_variable(f"c{k}", 0, 1, pulp.LpInteger) for k in range(len(table))]
    own = [
        lp.add_variable(f"o{k}", 0, None if math.isinf(m) else m, pulp.LpInteger if w else pulp.LpContinuous)
        for k, (m, w) in enumerate(zip(coupling.most, coupling.whole, strict=True))
    ]
    rows: list[dict[Any, float]] = [{} for _ in coupling.upper]
    for row, variable, value in coupling.entries:
        rows[row][own[variable]] = value
    for k in range(len(table)):
        for e in range(table.start[k], table.start[k + 1]):
            rows[table.row[e]][picks[k]] = float(table.value[e])
    for r, terms in enumerate(rows):
        scale = max((abs(x) for x in terms.values()), default=1.0)
        scaled = {v: x / scale for v, x in terms.items()}
        _add(lp, f"r{r}", scaled, pulp.LpConstraintLE, coupling.upper[r] / scale)
    groups: dict[int, dict[Any, float]] = {}
    for k, lane in enumerate(table.lane):
        groups.setdefault(int(lane), {})[picks[k]] = 1.0
    for lane, terms in sorted(groups.items()):
        _add(lp, f"g{lane}", terms, pulp.LpConstraintEQ, 1.0)
    costs = {v: float(c) for v, c in zip(picks, table.cost, strict=True)}
    costs |= {v: float(c) for v, c in zip(own, coupling.cost, strict=True)}
    lp.setObjective(pulp.LpAffineExpression(costs, constant=coupling.constant_usd))
    return lp, picks, own


def _add(lp: Any, name: str, terms: dict[Any, float], sense: int, rhs: float) -> None:
    import pulp

    if terms:
        lp.addConstraint(pulp.LpConstraint(pulp.LpAffineExpression(terms), sense, name=name, rhs=rhs), name)


def sub_table(table: Table, columns: Counts) -> Table:
    """Some columns of a table, by position."""
    sizes = np.diff(table.start)[columns]
    entries = np.concatenate(
        [np.arange(table.start[c], table.start[c + 1]) for c in columns] or [np.zeros(0, dtype=int)]
    )
    entries = entries.astype(np.int64)
    return Table(
        table.lane[columns], [table.running[c] for c in columns], [table.spot[c] for c in columns],
        table.cost[columns], np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        table.row[entries], table.value[entries],
    )  # fmt: skip
