"""Asks the solver whether a plan exists when some requirements are taken away, and how little of a quota will do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from capacity.domain import CapacityReservation, Quota, UnitRequirement
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize._highs import Matrix, load, matrix_of, quiet
from capacity.optimize.explain._groups import Group, group_of, spot_possible
from capacity.optimize.model import MixModel, build_model

# A probe that takes longer counts as "a plan exists": the set named may then not be minimal, never wrong.
_PROBE_SECONDS = 2.0


def part_of(
    fleet: Fleet,
    units: Iterable[int],
    months: Iterable[int],
    quotas: Sequence[Quota] = (),
    reservations: Sequence[CapacityReservation] = (),
) -> Fleet:
    """The same problem with some of its units, months and quotas, and no money.

    Without spot, what is provisioned may as well run in all blocks, so one load of each kind decides a month: the
    unit is taken as static, which makes its rows few.
    """
    problem = fleet.problem
    chosen = [problem.months[t] for t in sorted(months)]
    requirements = tuple(_as_static(fleet.requirements[s], chosen) for s in units)
    hours = tuple(h for m, h in zip(problem.months, problem.month_hours, strict=True) if m in chosen)
    return fleet_of(
        replace(
            problem,
            months=tuple(chosen),
            month_hours=hours,
            requirements=requirements,
            commitments=(),
            quotas=tuple(quotas),
            switching_penalty_frac=0.0,
            offers=(),
            reservations=tuple(v for v in reservations if _known(v, requirements)),
        )
    )


def _known(held: CapacityReservation, requirements: Sequence[UnitRequirement]) -> bool:
    """Whether a unit of the part knows the type: what no unit may use has no price here."""
    return any(
        r.unit.region == held.region and c.instance_type == held.instance_type
        for r in requirements
        for c in r.candidates
    )


def _as_static(r: UnitRequirement, months: Sequence[str]) -> UnitRequirement:
    blocks = tuple(b for b in r.blocks if b.month in months)
    return replace(r, blocks=blocks, autoscaled=r.autoscaled and spot_possible(r))


def _all_on_spot(fleet: Fleet) -> Fleet:
    """The fleet with spot up to the whole demand: the model's bounds on spot must not outlive a row that is off."""
    problem = fleet.problem
    wide = tuple(replace(r, spot_max_frac=1.0) if spot_possible(r) else r for r in problem.requirements)
    return replace(fleet, problem=replace(problem, requirements=wide))


class Probe:
    """The requirements of a part of the fleet as rows that can be switched off.

    Building it, and each question, raises TimeIsUp once ``deadline`` has passed.
    """

    def __init__(self, fleet: Fleet, deadline: Deadline | None = None) -> None:
        self.fleet, self.deadline = fleet, Deadline.never() if deadline is None else deadline
        self.deadline.check()
        self.model: MixModel = build_model(_all_on_spot(fleet))
        self.matrix = self._shares_of_spot(matrix_of(self.model.lp))
        self.solver = quiet(seed=1)
        self.solver.setOptionValue("time_limit", _PROBE_SECONDS)
        load(self.solver, replace(self.matrix, cost=np.zeros_like(self.matrix.cost)), relaxed=False)
        self._least: dict[tuple[Group, frozenset[Group]], float] = {}
        self.group_of = [group_of(self.model.rows[name]) for name in self.matrix.row_names]

    def _shares_of_spot(self, matrix: Matrix) -> Matrix:
        """Rows of the share of spot as the fleet has it: they are a share of the whole demand."""
        upper = matrix.row_upper.copy()
        for j, name in enumerate(matrix.row_names):
            row = self.model.rows[name]
            if row.family == "spot_share":
                share = next(r for r in self.fleet.requirements if r.unit == row.unit).spot_max_frac
                upper[j] *= share
        return replace(matrix, row_upper=upper)

    def groups(self) -> list[Group]:
        return list(dict.fromkeys(g for g in self.group_of if g is not None))

    def exists(self, groups: Iterable[Group] | None = None) -> bool:
        """Whether a plan meets ``groups`` (all where absent)."""
        import highspy

        self._activate(groups)
        self.solver.clearSolver()
        self._run()
        return bool(self.solver.getModelStatus() != highspy.HighsModelStatus.kInfeasible)

    def least_use(self, group: Group, groups: Iterable[Group] | None = None) -> float:
        """The least left side of the row of ``group`` (a quota), in its own unit, over all plans that meet ``groups``.

        A proven lower bound where time runs out; inf where no plan meets them.
        """
        wanted = frozenset(g for g in (self.groups() if groups is None else groups) if g != group)
        if (group, wanted) not in self._least:
            self._least[group, wanted] = self._least_use(group, wanted)
        return self._least[group, wanted]

    def _least_use(self, group: Group, wanted: frozenset[Group]) -> float:
        import highspy

        row = self.group_of.index(group)
        self._activate(wanted)
        cost = np.zeros(len(self.matrix.variables))
        span = slice(self.matrix.start[row], self.matrix.start[row + 1])
        cost[self.matrix.index[span]] = self.matrix.value[span]
        columns = np.arange(len(cost), dtype=np.int32)
        self.solver.changeColsCost(len(columns), columns, cost)
        try:
            self._run()
            impossible = self.solver.getModelStatus() == highspy.HighsModelStatus.kInfeasible
            bound = float(self.solver.getInfo().mip_dual_bound)
        finally:
            self.solver.changeColsCost(len(columns), columns, np.zeros(len(columns)))
        if impossible:
            return math.inf
        return bound * self.model.rows[self.matrix.row_names[row]].scale if math.isfinite(bound) else 0.0

    def _run(self) -> None:
        """One question, for no longer than is left."""
        self.deadline.check()
        self.solver.setOptionValue("time_limit", min(_PROBE_SECONDS, self.deadline.left))
        self.solver.run()

    def _activate(self, groups: Iterable[Group] | None) -> None:
        kept = None if groups is None else set(groups)
        for j, group in enumerate(self.group_of):
            on = group is None or kept is None or group in kept
            low, high = (self.matrix.row_lower[j], self.matrix.row_upper[j]) if on else (-math.inf, math.inf)
            self.solver.changeRowBounds(j, low, high)


def minimal(groups: Sequence[Group], exists: Callable[[list[Group]], bool]) -> list[Group]:
    """A smallest-by-inclusion part of ``groups`` that still conflicts.

    One requirement alone is tried first, then deletion in halves: what does not matter goes in large pieces.
    Where time is up a part that conflicts all the same, and may hold more than is needed.
    """

    def there(kept: list[Group]) -> bool:
        try:
            return exists(kept)
        except TimeIsUp:
            return True

    for group in groups:
        if not there([group]):
            return [group]
    return _in_halves([], list(groups), there)


def _in_halves(held: list[Group], groups: list[Group], exists: Callable[[list[Group]], bool]) -> list[Group]:
    """What of ``groups`` is needed beside ``held`` for a conflict (after QuickXplain, Junker 2004)."""
    if not exists(held):
        return []
    if len(groups) == 1:
        return groups
    middle = len(groups) // 2
    first, second = groups[:middle], groups[middle:]
    of_second = _in_halves(held + first, second, exists)
    of_first = _in_halves(held + of_second, first, exists)
    return of_first + of_second
