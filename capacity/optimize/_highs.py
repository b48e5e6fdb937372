"""HiGHS behind PuLP, told honestly.

PuLP's own interface reports a time limit as Optimal, drops the objective's constant, and gives values after a search
that found none. So the status and the bound are read from HiGHS itself (``getModelStatus``, ``mip_dual_bound``), and
the model is handed over as one sparse matrix, which also builds faster than PuLP's loop over rows. What no row
couples (months, above all) is searched apart: the bounds add up, and the search of each part is far shorter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats
from capacity.errors import CapacityError
from capacity.optimize._apart import search_apart

Ints = npt.NDArray[np.int32]
Outcome = Literal["found", "infeasible", "nothing"]

# Tighter than HiGHS's 1e-6, so that a rounded plan still passes the checker's 1e-6.
_FEASIBILITY_TOLERANCE = 1e-7

# Silent, one thread, exact enough: the same input gives the same answer.
_QUIET: Mapping[str, Any] = {
    "output_flag": False,
    "threads": 1,
    "mip_feasibility_tolerance": _FEASIBILITY_TOLERANCE,
    "primal_feasibility_tolerance": _FEASIBILITY_TOLERANCE,
}

# Less than this is no time for a search: handing it over takes as long.
_LEAST_SECONDS = 0.01

# Columns below which parts are searched together: a run of HiGHS costs some milliseconds however small it is.
_SMALL_PART = 1000


@dataclass(frozen=True)
class Matrix:
    """A PuLP problem as arrays. Rows are in CSR form: ``value[start[j]:start[j+1]]`` belongs to row j."""

    variables: tuple[Any, ...]
    row_names: tuple[str, ...]
    cost: Floats
    lower: Floats
    upper: Floats
    integer: npt.NDArray[np.bool_]
    row_lower: Floats
    row_upper: Floats
    start: Ints
    index: Ints
    value: Floats
    constant: float

    @property
    def position(self) -> dict[Any, int]:
        return {v: i for i, v in enumerate(self.variables)}


@dataclass(frozen=True)
class Search:
    """How a solver ended. ``bound`` is -inf where none was proven.

    ``columns`` are values by variable, None where there are none; where the outcome is "nothing" they are partly the
    start that was given, and whether they are a plan is for the checker to say.
    """

    outcome: Outcome
    termination: str
    bound: float
    columns: Floats | None


_NOT_SEARCHED = Search("nothing", "time limit reached", -math.inf, None)


def matrix_of(lp: Any) -> Matrix:
    """The arrays of a PuLP problem, in PuLP's order of variables."""
    variables = tuple(lp.variables())
    position = {v: i for i, v in enumerate(variables)}
    rows = list(lp._constraints.items())
    lengths = [len(c.expr) for _, c in rows]
    index = np.fromiter((position[v] for _, c in rows for v in c.expr), dtype=np.int32, count=sum(lengths))
    value = np.fromiter((x for _, c in rows for x in c.expr.values()), dtype=float, count=sum(lengths))
    bounds = [(c.getLb(), c.getUb()) for _, c in rows]
    return Matrix(
        variables=variables,
        row_names=tuple(name for name, _ in rows),
        cost=np.array([lp.objective.get(v, 0.0) for v in variables], dtype=float),
        lower=np.array([_or(v.lowBound, -math.inf) for v in variables], dtype=float),
        upper=np.array([_or(v.upBound, math.inf) for v in variables], dtype=float),
        integer=np.array([v.cat == "Integer" for v in variables], dtype=bool),
        row_lower=np.array([_or(low, -math.inf) for low, _ in bounds], dtype=float),
        row_upper=np.array([_or(high, math.inf) for _, high in bounds], dtype=float),
        start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
        index=index,
        value=value,
        constant=float(lp.objective.constant),
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def load(solver: Any, matrix: Matrix, relaxed: bool) -> None:
    """Hand ``matrix`` to a ``highspy.Highs``, as an LP where ``relaxed``."""
    import highspy

    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(matrix.variables), len(matrix.row_names)
    model.col_cost_, model.offset_ = matrix.cost, matrix.constant
    model.col_lower_, model.col_upper_ = matrix.lower, matrix.upper
    model.row_lower_, model.row_upper_ = matrix.row_lower, matrix.row_upper
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = matrix.start, matrix.index, matrix.value
    if not relaxed:
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        model.integrality_ = [kinds[int(i)] for i in matrix.integer]
    if solver.passModel(model) == highspy.HighsStatus.kError:
        raise CapacityError("HiGHS refused the model: a coefficient or a bound is out of range")


@cache
def _silent_class() -> Any:
    """``highspy.Highs`` without its callbacks: none is used, and enabling them prints a banner on standard output."""
    import highspy

    class SilentHighs(highspy.Highs):  # type: ignore[misc]
        def enableCallbacks(self) -> None:  # noqa: N802 (highspy's name)
            return

    return SilentHighs


def quiet(seed: int) -> Any:
    """A silent, single-threaded, seeded ``highspy.Highs``: the same input gives the same answer."""
    solver = _silent_class()()
    for option, setting in {**_QUIET, "random_seed": seed}.items():
        solver.setOptionValue(option, setting)
    return solver


@cache
def _solver_class() -> Any:
    """``pulp.HiGHS`` that searches the independent parts of a model one after the other, from a start."""
    import pulp

    class HiGHSByParts(pulp.HiGHS):  # type: ignore[misc]
        def __init__(self, start: Mapping[Any, float], seed: int, **options: Any) -> None:
            super().__init__(msg=False, **options)
            self.start, self.seed = start, seed

        def actualSolve(self, lp: Any) -> int:  # noqa: N802 (PuLP's name)
            matrix = matrix_of(lp)
            lp.found = _search_parts(matrix, self.start, self.timeLimit, self.gapRel, self.seed)
            if lp.found.columns is not None:
                lp.assignVarsVals({v.name: x for v, x in zip(matrix.variables, lp.found.columns, strict=True)})
            # PuLP has no word for "a plan, with a gap": nothing is read from its status.
            lp.assignStatus(pulp.LpStatusNotSolved, pulp.LpSolutionNoSolutionFound)
            return int(pulp.LpStatusNotSolved)

    return HiGHSByParts


def search_highs(lp: Any, start: Mapping[Any, float], seconds: float, gap_frac: float, seed: int) -> Search:
    """Solve ``lp`` with HiGHS for at most ``seconds``, from ``start`` where one is given."""
    lp.solve(_solver_class()(start, seed, timeLimit=seconds, gapRel=gap_frac))
    found: Search = lp.found
    return found


def _search_parts(matrix: Matrix, start: Mapping[Any, float], seconds: float, gap_frac: float, seed: int) -> Search:
    """Each part to the gap, each with its share of the time that is left; bounds add up.

    Parts that no time is left for keep the start.
    """
    deadline = time.perf_counter() + seconds
    parts = independent_parts(matrix)
    sizes = [len(columns) for columns, _ in parts]
    values, bound, endings = np.zeros(len(matrix.variables)), matrix.constant, []
    complete = True
    for number, (columns, rows) in enumerate(parts):
        left = max(deadline - time.perf_counter(), 0.0)
        # A quarter more than its share: most parts end early and leave time to the others.
        allowed = min(left, 1.25 * left * sizes[number] / sum(sizes[number:])) if number + 1 < len(parts) else left
        part = _sub_matrix(matrix, columns, rows)
        found = _search_part(part, start, allowed, gap_frac, seed) if allowed > _LEAST_SECONDS else _NOT_SEARCHED
        if found.outcome == "infeasible":
            return found
        bound += found.bound
        endings.append(found.termination)
        complete &= found.columns is not None
        fallback = [start.get(v, 0.0) for v in part.variables] if found.columns is None else found.columns
        values[columns] = fallback
    ending = next((e for e in endings if e != "optimal"), "optimal")
    return Search("found" if complete else "nothing", ending, bound, values)


def independent_parts(matrix: Matrix) -> list[tuple[Ints, Ints]]:
    """(columns, rows) of parts that no row couples; the small ones together (each run of the solver has its price)."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    columns, rows = len(matrix.variables), len(matrix.row_names)
    row_of = np.repeat(np.arange(rows), np.diff(matrix.start))
    links = csr_array(
        (np.ones(len(row_of), dtype=np.int8), (row_of, matrix.index + rows)), shape=(rows + columns, rows + columns)
    )
    _, label = connected_components(links, directed=False)
    out, first = [], np.unique(label[rows:], return_index=True)
    batch: list[int] = []
    size = 0
    for part in first[0][np.argsort(first[1])]:
        batch.append(int(part))
        size += int((label[rows:] == part).sum())
        if size >= _SMALL_PART:
            out.append(batch)
            batch, size = [], 0
    out += [batch] if batch else []
    return [
        (
            np.flatnonzero(np.isin(label[rows:], b)).astype(np.int32),
            np.flatnonzero(np.isin(label[:rows], b)).astype(np.int32),
        )
        for b in out
    ]


def _sub_matrix(matrix: Matrix, columns: Ints, rows: Ints) -> Matrix:
    renumbered = np.full(len(matrix.variables), -1, dtype=np.int32)
    renumbered[columns] = np.arange(len(columns), dtype=np.int32)
    lengths = np.diff(matrix.start)[rows]
    entries = np.concatenate([np.arange(matrix.start[j], matrix.start[j + 1]) for j in rows] or [np.zeros(0, int)])
    entries = entries.astype(np.int64)
    return Matrix(
        variables=tuple(matrix.variables[i] for i in columns),
        row_names=tuple(matrix.row_names[j] for j in rows),
        cost=matrix.cost[columns],
        lower=matrix.lower[columns],
        upper=matrix.upper[columns],
        integer=matrix.integer[columns],
        row_lower=matrix.row_lower[rows],
        row_upper=matrix.row_upper[rows],
        start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
        index=renumbered[matrix.index[entries]],
        value=matrix.value[entries],
        constant=0.0,
    )


def _search_part(matrix: Matrix, start: Mapping[Any, float], seconds: float, gap_frac: float, seed: int) -> Search:
    """One part, in a process that can be ended; its options are those of :func:`quiet`."""
    known = [(i, start[v]) for i, v in enumerate(matrix.variables) if v in start]
    job = {
        "options": {
            **_QUIET, "random_seed": seed, "time_limit": float(seconds), "mip_rel_gap": float(gap_frac),
        },
        "cost": matrix.cost, "constant": matrix.constant, "lower": matrix.lower, "upper": matrix.upper,
        "integer": matrix.integer, "row_lower": matrix.row_lower, "row_upper": matrix.row_upper,
        "start": matrix.start, "index": matrix.index, "value": matrix.value,
        "known": (np.array([i for i, _ in known], dtype=np.int32), np.array([x for _, x in known], dtype=float)),
    }  # fmt: skip
    ended = search_apart(job, seconds)
    if ended.infeasible:
        return Search("infeasible", ended.text, math.inf, None)
    return Search("nothing" if ended.values is None else "found", ended.text, ended.bound, ended.values)


def read_search(solver: Any) -> Search:
    """Status, bound and values as HiGHS itself tells them; an LP's bound is its own optimum."""
    import highspy

    status, info = solver.getModelStatus(), solver.getInfo()
    states = highspy.HighsModelStatus
    text = solver.modelStatusToString(status).lower()
    if status in (states.kInfeasible, states.kUnboundedOrInfeasible):
        return Search("infeasible", text, math.inf, None)
    is_mip = any(kind == highspy.HighsVarType.kInteger for kind in solver.getLp().integrality_)
    if is_mip:
        bound = float(info.mip_dual_bound)
    else:
        bound = float(info.objective_function_value) if status == states.kOptimal else -math.inf
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return Search("nothing", text, bound, None)
    return Search("found", text, bound, np.array(solver.getSolution().col_value, dtype=float))


def search_cbc(lp: Any, seconds: float, gap_frac: float, seed: int) -> Search:
    """Solve ``lp`` with CBC. It tells PuLP no bound, so none is claimed here; the caller may know one of its own."""
    import pulp

    solver = pulp.PULP_CBC_CMD(
        msg=False,
        timeLimit=seconds,
        gapRel=gap_frac,
        threads=1,
        options=[f"randomSeed {seed}", f"randomCbcSeed {seed}", "primalTolerance 1e-7"],
        _skip_v4_deprecation=True,
    )
    lp.solve(solver)
    text = f"CBC: {pulp.LpStatus[lp.status].lower()}"
    if lp.status in (pulp.LpStatusInfeasible, pulp.LpStatusUndefined):
        # CBC says "integer infeasible" of a search that its time limit ended too: infeasible is for others to prove.
        return Search("nothing", text, -math.inf, None)
    values = [v.varValue for v in lp.variables()]
    if lp.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible) or None in values:
        return Search("nothing", text, -math.inf, None)
    return Search("found", text, -math.inf, np.array(values, dtype=float))
