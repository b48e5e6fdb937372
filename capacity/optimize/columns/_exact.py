"""One lane as a small MIP of its own: where knapsacks prove too little, and covers of two types are too few."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from capacity.domain import Floats
from capacity.optimize._highs import quiet
from capacity.optimize.columns._lanes import Counts, Lanes

# MIPs at once: HiGHS leaves Python's lock while it searches, and each is of one thread.
AT_ONCE = 2
# A lane is proven to this share: a hundredth of what the whole is asked for.
_GAP_FRAC = 5e-5

# A proven bound, and counts on demand and as spot.
Solved = tuple[float, Counts, Counts]


@dataclass
class Rows:
    """A MIP as it is written down, row by row."""

    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    index: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)

    def add(self, columns: Counts | list[int], values: Floats | list[float], lower: float, upper: float) -> None:
        self.start.append(len(self.index))
        keep = [(int(c), float(v)) for c, v in zip(columns, values, strict=True) if v != 0]
        self.index += [c for c, _ in keep]
        self.value += [v for _, v in keep]
        self.lower.append(lower)
        self.upper.append(upper)


def solve_lane(u: Lanes, usd: Floats, spot_usd: Floats, lane: int, seconds: float) -> Solved | None:
    """(bound, on-demand counts, spot counts) of a free lane at prices (I,), in USD; None where none was found in time.

    ``usd`` and ``spot_usd`` may be below 0 (see ``_bound``): counts are bounded by what could be of use.
    """
    count = len(u.types)
    has_spot = np.isfinite(spot_usd) & (u.spot_room[lane] > 0)
    most = np.where(_bettered(u, usd, lane) & ~has_spot.any(), 0.0, most_useful(u, lane))
    spot_most = np.where(has_spot, np.floor(u.spot_room[lane] / np.maximum(u.spot_holds, 1e-12) + 1e-9), 0.0)
    spot_most = np.minimum(np.where(u.spot_holds > 0, spot_most, 0.0), u.requirement.max_per_zone)
    r, p, leave, seen, as_spot = (np.arange(count) + k * count for k in range(5))
    rows = Rows()
    _hold(u, lane, rows, r, p)
    both = np.concatenate([r, p])
    rows.add(both, np.ones(2 * count), float(u.requirement.min_per_zone), float(u.requirement.max_per_zone))
    if has_spot.any():
        rows.add(p, u.spot_holds / u.spot_room[lane], -math.inf, 1.0)
    for i in np.flatnonzero((u.runs > 0) & (u.leave_usd[:, lane] > 0)):
        rows.add([leave[i], r[i]], [1.0, float(u.requirement.zones)], float(u.runs[i]), math.inf)
    any_spot = 5 * count
    _variety(u, lane, rows, (r, p, seen, as_spot), any_spot, spot_most)
    upper = np.concatenate([most, spot_most, u.runs.astype(float), np.ones(2 * count), [1.0]])
    cost = np.concatenate([usd, np.where(has_spot, spot_usd, 0.0), u.leave_usd[:, lane], np.zeros(2 * count), [0.0]])
    whole = np.ones(len(cost), dtype=bool)
    whole[leave] = False
    found = searched(rows, cost, upper, whole, seconds, (1e-6, _GAP_FRAC))
    if found is None:
        return None
    values = np.round(found[1][: 2 * count]).astype(np.int64)
    return found[0], values[:count], values[count:]


def _hold(u: Lanes, lane: int, rows: Rows, r: Counts, p: Counts) -> None:
    for k in np.flatnonzero(u.need[:, lane] > 0):
        need = u.need[k, lane]
        weights = np.concatenate([u.weight[k] / need, u.spot_weight[k] / need])
        rows.add(np.concatenate([r, p]), weights, 1.0, math.inf)


def _variety(
    u: Lanes, lane: int, rows: Rows, columns: tuple[Counts, Counts, Counts, Counts], any_spot: int, spot_most: Floats
) -> None:
    r, p, seen, as_spot = columns
    least = int(u.least_types[lane])
    if least > 1:
        for k in range(len(r)):
            rows.add([seen[k], r[k], p[k]], [1.0, -1.0, -1.0], -math.inf, 0.0)
        rows.add(seen, np.ones(len(r)), float(least), math.inf)
    spot_least = u.requirement.spot_least_types
    if spot_least > 1 and (spot_most > 0).any():
        for i in np.flatnonzero(spot_most > 0):
            rows.add([as_spot[i], p[i]], [1.0, -1.0], -math.inf, 0.0)
            rows.add([p[i], any_spot], [1.0 / spot_most[i], -1.0], -math.inf, 0.0)
        had = as_spot[spot_most > 0]
        rows.add([*had, any_spot], [*np.ones(len(had)), -float(spot_least)], 0.0, math.inf)


def _bettered(u: Lanes, usd: Floats, lane: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Types in whose place another does as much in every row for no more money; not where variety or pins count."""
    count = len(u.types)
    if u.least_types[lane] > 1 or u.fixed[lane] or (usd < 0).any():
        return np.zeros(count, dtype=bool)
    rows = u.need[:, lane] > 0
    # What is beyond the whole need is of no use.
    weight = np.minimum(u.weight[rows], u.need[rows, lane][:, None])
    better = (usd[None, :] <= usd[:, None]) & (weight[:, None, :] >= weight[:, :, None]).all(axis=0)
    # Of equals the first stays.
    equal = better & better.T
    better &= ~(equal & (np.arange(count)[None, :] >= np.arange(count)[:, None]))
    stays = (u.runs > 0) & (u.leave_usd[:, lane] > 0)
    return np.asarray(better.any(axis=1) & ~stays, dtype=bool)


def most_useful(u: Lanes, lane: int) -> Floats:
    """Beyond this one instance less would still do; the counts of pinned months besides."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(u.weight > 0, u.need[:, lane][:, None] / u.weight, 0.0)
    useful = np.ceil(np.maximum(ratio, 0.0) * (1 - 1e-9)).max(axis=0, initial=0.0)
    useful = np.maximum(useful, np.ceil(u.runs / u.requirement.zones))
    useful = np.maximum(useful, max(u.requirement.min_per_zone, 1))
    return np.asarray(np.minimum(useful, u.most[:, lane]), dtype=float)


def searched(
    rows: Rows,
    cost: Floats,
    upper: Floats,
    whole: np.ndarray[tuple[int], np.dtype[np.bool_]],
    seconds: float,
    gaps: tuple[float, float],
    known: tuple[Counts, Floats] | None = None,
) -> tuple[float, Floats] | None:
    """(proven bound, values of the columns) of a MIP; None where no solution was found.

    ``gaps`` are the absolute one and the relative one at which the search may end; ``known`` are positions and values
    of a start.
    """
    import highspy

    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(cost), len(rows.lower)
    model.col_cost_, model.col_lower_, model.col_upper_ = cost, np.zeros(len(cost)), upper
    model.row_lower_, model.row_upper_ = np.array(rows.lower), np.array(rows.upper)
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_ = np.array([*rows.start, len(rows.index)], dtype=np.int32)
    model.a_matrix_.index_ = np.array(rows.index, dtype=np.int32)
    model.a_matrix_.value_ = np.array(rows.value)
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    model.integrality_ = [kinds[int(i)] for i in whole]
    solver = quiet(seed=1)
    solver.setOptionValue("mip_abs_gap", gaps[0])
    solver.setOptionValue("mip_rel_gap", gaps[1])
    solver.setOptionValue("time_limit", max(seconds, 0.01))
    solver.passModel(model)
    if known is not None:
        solver.setSolution(len(known[0]), known[0].astype(np.int32), known[1])
    solver.run()
    info = solver.getInfo()
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return None
    return float(info.mip_dual_bound), np.array(solver.getSolution().col_value)
