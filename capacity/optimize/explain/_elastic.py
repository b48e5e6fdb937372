"""The requirements of a part of the fleet as rows that give: each row of a policy has a column that relaxes it.

The columns are added to the very rows of ``model``, at the points that they count, and the whole is solved for the
fewest points. A relaxation is shared by all rows of its requirement (all months of a largest count, both states of a
demand). Surviving a zone less is a choice of rows: with w_g = 1 the row for g zones lost is off, that for g - 1 stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from capacity.optimize._clock import Deadline
from capacity.optimize._fleet import Fleet, vertical_count
from capacity.optimize.explain._knobs import Knob, Weights, points_of, unit_of
from capacity.optimize.explain._probe import Probe
from capacity.optimize.model import Row

# Points to which the search ends: below what any step counts, so that whole steps are exact.
_GAP_POINTS = 0.001
# More instances per zone than this are not proposed.
_MOST_MORE = 1000.0


@dataclass(frozen=True)
class Softened:
    """What to relax, by how much; ``points`` in all and the proven least of them. ``amounts`` None: none will do."""

    amounts: tuple[tuple[Knob, float], ...] | None
    points: float
    bound: float


@dataclass
class _Columns:
    """The columns that relax, by knob (and step, where a knob is a choice of steps)."""

    position: dict[tuple[Knob, int], int] = field(default_factory=dict)
    worth: dict[int, tuple[Knob, float]] = field(default_factory=dict)


class Elastic:
    """Built once for a part of the fleet; ``solve`` finds the least relaxation of it."""

    def __init__(
        self,
        fleet: Fleet,
        weights: Weights,
        headroom: Mapping[str, float],
        may_change: Collection[str] | None,
        deadline: Deadline | None = None,
    ) -> None:
        self.fleet, self.weights, self.headroom, self.may_change = fleet, weights, headroom, may_change
        self.probe = Probe(fleet, deadline)
        self.solver, self.columns = self.probe.solver, _Columns()
        self.months = ",".join(fleet.problem.months)
        for j, name in enumerate(self.probe.matrix.row_names):
            row = self.probe.model.rows[name]
            if (soften := _SOFTEN.get(row.family)) is not None:
                soften(self, j, row)

    def solve(self, seconds: float) -> Softened:
        """The relaxation of fewest points that was found within ``seconds``."""
        import highspy

        self.probe.deadline.check()
        self.solver.setOptionValue("time_limit", min(seconds, self.probe.deadline.left))
        self.solver.setOptionValue("mip_rel_gap", 0.0)
        self.solver.setOptionValue("mip_abs_gap", _GAP_POINTS)
        self.solver.run()
        info = self.solver.getInfo()
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return Softened(None, math.inf, 0.0)
        values = np.array(self.solver.getSolution().col_value)
        amounts: dict[Knob, float] = {}
        for column, (knob, worth) in self.columns.worth.items():
            value = float(values[column])
            whole = knob.kind not in ("demand", "further", "region_loss")
            value = round(value) if whole else value
            if value > 1e-9:
                amounts[knob] = amounts.get(knob, 0.0) + value * worth
        points = sum(points_of(self.fleet.problem, k, x, self.weights) for k, x in amounts.items())
        return Softened(tuple(amounts.items()), points, max(float(info.mip_dual_bound), 0.0))

    # --- building blocks -----------------------------------------------------------------------------------

    def may(self, kind: str) -> bool:
        return self.may_change is None or kind in self.may_change

    def bounds(self, j: int) -> tuple[float, float]:
        return float(self.probe.matrix.row_lower[j]), float(self.probe.matrix.row_upper[j])

    def terms(self, j: int) -> tuple[Any, Any]:
        span = slice(self.probe.matrix.start[j], self.probe.matrix.start[j + 1])
        return self.probe.matrix.index[span], self.probe.matrix.value[span]

    def column(self, knob: Knob, upper: float, *, step: int = 0, worth: float = 1.0, whole: bool = True) -> int:
        """The column of ``knob`` (of its step), made where it is not there: one of it relaxes by ``worth``."""
        import highspy

        known = self.columns.position.get((knob, step))
        if known is not None:
            return known
        at = int(self.solver.getNumCol())
        cost = points_of(self.fleet.problem, knob, worth, self.weights)
        self.solver.addCol(cost, 0.0, upper, 0, np.zeros(0, np.int32), np.zeros(0))
        if whole:
            self.solver.changeColIntegrality(at, highspy.HighsVarType.kInteger)
        self.columns.position[knob, step] = at
        self.columns.worth[at] = (knob, worth)
        return at

    def relax(self, j: int, column: int, coefficient: float) -> None:
        self.solver.changeCoeff(j, column, coefficient)

    def row(self, low: float, high: float, index: Any, value: Any) -> None:
        self.solver.addRow(low, high, len(index), np.array(index, dtype=np.int32), np.array(value, dtype=float))


# --- families ----------------------------------------------------------------------------------------------


def _demand(e: Elastic, j: int, row: Row) -> None:
    low, _high = e.bounds(j)
    name = str(row.unit)
    if e.may("demand"):
        e.relax(j, e.column(Knob("demand", name, e.months), 1.0, whole=False), low)
    points = round(100 * e.headroom.get(name, 0.0))
    if not e.may("headroom") or points < 1:
        return
    # With k points given back an instance serves (1 - h + k/100) / (1 - h) of what it did: one step is chosen.
    before, steps = 1.0 - e.headroom[name], []
    for k in range(1, points + 1):
        knob = Knob("headroom", name)
        new = (knob, k) not in e.columns.position
        at = e.column(knob, 1.0, step=k, worth=float(k))
        e.relax(j, at, low * (1.0 - before / (before + k / 100.0)))
        steps += [at] if new else []
    if steps:
        e.row(-math.inf, 1.0, steps, np.ones(len(steps)))


def _zone_loss(e: Elastic, j: int, row: Row) -> None:
    if row.family == "zone_loss":
        _share(e, j, Knob("demand", str(row.unit), e.months))
    else:
        _share(e, j, Knob("further", str(row.unit), row.resource))
    r = unit_of(e.fleet.problem, Knob("zones_survived", str(row.unit)))
    if not e.may("zones_survived"):
        return
    low, _ = e.bounds(j)
    index, value = e.terms(j)
    left, previous = r.zones - r.zones_survived, -1
    for g in range(r.zones_survived, 0, -1):
        knob = Knob("zones_survived", str(row.unit))
        new = (knob, g) not in e.columns.position
        at = e.column(knob, 1.0, step=g)
        if g == r.zones_survived:
            e.relax(j, at, low)
        else:
            scaled = value * (r.zones - g) / left
            e.row(low, math.inf, [*index, at], [*scaled, low])
        if new and previous >= 0:
            e.row(0.0, math.inf, [previous, at], [1.0, -1.0])
        previous = at


def _further(e: Elastic, j: int, row: Row) -> None:
    _share(e, j, Knob("further", str(row.unit), row.resource))


def _region(e: Elastic, j: int, row: Row) -> None:
    _share(e, j, Knob("region_loss", str(row.unit)))


def _share(e: Elastic, j: int, knob: Knob) -> None:
    if e.may(knob.kind):
        e.relax(j, e.column(knob, 1.0, whole=False), e.bounds(j)[0])


def _steps(kind: Any, sign: float, most: Callable[[Any], float]) -> Callable[[Elastic, int, Row], None]:
    """A knob of whole steps: one step moves the row by one of its own unit."""

    def soften(e: Elastic, j: int, row: Row) -> None:
        knob = Knob(kind, str(row.unit))
        low, high = e.bounds(j)
        # Rows that only define variables of the family have 0 on their right.
        if e.may(kind) and (low if sign > 0 else high) != 0:
            upper = most(unit_of(e.fleet.problem, knob))
            if upper > 0:
                e.relax(j, e.column(knob, upper), sign / row.scale)

    return soften


def _maximum(e: Elastic, j: int, row: Row) -> None:
    if e.may("maximum"):
        index, _value = e.terms(j)
        most = float(sum(_or(e.probe.matrix.variables[i].upBound, 0.0) for i in index))
        e.relax(j, e.column(Knob("maximum", str(row.unit)), max(most, _MOST_MORE)), -1.0 / row.scale)


def _spot_share(e: Elastic, j: int, row: Row) -> None:
    knob = Knob("spot_share", str(row.unit))
    r = unit_of(e.fleet.problem, knob)
    if e.may("spot_share"):
        points = math.floor(100 * (1 - r.spot_max_frac) + 1e-9)
        e.relax(j, e.column(knob, float(points)), -0.01 / r.spot_max_frac * e.bounds(j)[1])
    if e.may("demand"):
        e.relax(j, e.column(Knob("demand", str(row.unit), e.months), 1.0, whole=False), e.bounds(j)[1])


def _quota(e: Elastic, j: int, row: Row) -> None:
    q = e.fleet.problem.quotas[row.key]
    if e.may("quota"):
        index, value = e.terms(j)
        upper = float(np.minimum(e.probe.matrix.upper[index], _MOST_MORE) @ np.maximum(value, 0.0))
        knob = Knob("quota", "", q.code, q.account_id, q.region)
        e.relax(j, e.column(knob, math.ceil(upper * row.scale) + 1.0), -1.0 / row.scale)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _reservation(e: Elastic, j: int, row: Row) -> None:
    kind = e.fleet.reserved[row.key]
    if e.may("reservation"):
        knob = Knob("reservation", "", kind.instance_type, kind.account_id, kind.region)
        most = e.fleet.reserved_most(kind, row.month)
        e.relax(j, e.column(knob, float(most)), 1.0 / row.scale)


def _vertical(e: Elastic, j: int, row: Row) -> None:
    """n = count y becomes n = count y + more, where more of the one type that is chosen may be kept."""
    if not e.may("vertical"):
        return
    r = unit_of(e.fleet.problem, Knob("vertical", str(row.unit)))
    index, value = e.terms(j)
    n, y = (index[0], index[1]) if value[0] > 0 else (index[1], index[0])
    most = float(10 * max(vertical_count(r), 1) + 100)
    knob = Knob("vertical", str(row.unit))
    low, high = float(e.probe.matrix.lower[n]), float(e.probe.matrix.upper[n])
    e.solver.changeColBounds(int(n), low, high + most)
    # more[i] <= most y[i]: a knob's column a unit, so that only the type that is chosen can take it.
    at = e.column(knob, most)
    e.solver.changeRowBounds(j, 0.0, math.inf)
    e.row(-math.inf, 0.0, [n, y, at], [1.0, -float(vertical_count(r)), -1.0])
    e.row(-math.inf, 0.0, [n, y], [1.0, -(float(vertical_count(r)) + most)])
    # With the type chosen, all of the extra count is taken.
    e.row(-most, math.inf, [n, y, at], [1.0, -(float(vertical_count(r)) + most), -1.0])


def _pinned(e: Elastic, j: int, row: Row) -> None:
    if not e.may("pinned"):
        return
    low, high = e.bounds(j)
    index, _value = e.terms(j)
    month = e.fleet.problem.months[row.month]
    at = e.column(Knob("pinned", str(row.unit), month), 1.0)
    most = float(sum(_or(e.probe.matrix.variables[i].upBound, 0.0) for i in index))
    # low <= n + low w, n - most w <= high: with w = 1 nothing is asked.
    e.relax(j, at, low)
    e.solver.changeRowBounds(j, low, math.inf)
    e.row(-math.inf, high, [*index, at], [*np.ones(len(index)), -most])


_SOFTEN: Mapping[str, Callable[[Elastic, int, Row], None]] = {
    "demand": _demand,
    "zone_loss": _zone_loss,
    "further": _further,
    "further_zone_loss": _zone_loss,
    "region_loss": _region,
    "spot_share": _spot_share,
    "least_types": _steps("least_types", 1.0, lambda r: float(r.least_types - 1)),
    "minimum": _steps("minimum", 1.0, lambda r: float(r.min_per_zone)),
    "maximum": _maximum,
    "quota": _quota,
    "spot_quota": _quota,
    "reservation": _reservation,
    "vertical": _vertical,
    "pinned": _pinned,
}
