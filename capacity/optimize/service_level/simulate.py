"""The service level that a plan keeps, counted path by path and hour by hour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import Floats, Paths
from capacity.errors import UsageError
from capacity.optimize.service_level import operation as op
from capacity.optimize.service_level.operation import MonthRuns, Operation

# Realised coverage may be this far below P: the design's allowance for the error of 1,000 paths.
COVERAGE_TOLERANCE = 0.02
# Paths are float32 and sums float64: an hour is above only by more than this share, which is the checker's too.
_ABOVE = 1e-6

COLUMNS = (
    "service", "region", "month", "service_level", "paths",
    "coverage_frac", "hours_above_frac", "demand_above",
    "headroom_coverage_frac",
    "zone_loss_coverage_frac", "zone_loss_hours_above_frac", "zone_loss_demand_above",
    "binding_block", "block_fewer_frac", "one_fewer_frac", "at_minimum", "holds", "minimal",
)  # fmt: skip
_STATES = {
    "normal": op.serves,
    "headroom": op.serves_with_headroom,
    "zone_loss": op.serves_without_zones,
}


def simulate(
    operation: Operation, paths: Paths | Iterable[Paths], running: pd.DataFrame, provisioned: pd.DataFrame
) -> pd.DataFrame:
    """What one unit's plan holds over its joint paths, by month.

    Parameters
    ----------
    paths
        (P, D, 24) demand, whole or as an iterable of parts; each part is looked at once.
    running, provisioned
        The plan's frames (:class:`capacity.domain.MixSolution`); rows of other units are passed over. A block that
        they do not name runs nothing.

    Returns
    -------
    Columns of :data:`COLUMNS`, a row a month:

    ``coverage_frac``
        Share of paths with no hour above safe capacity (the design's word).
    ``hours_above_frac``, ``demand_above``
        Share of all hours above it, and the expected demand x hours above it in the month.
    ``headroom_coverage_frac``
        Share of paths with no hour above safe capacity less the tier's headroom: what the plan is bought for.
    ``zone_loss_...``
        The same with the zones of the tier lost, in every hour. No headroom is asked for then.
    ``one_fewer_frac``
        Share of paths with no hour above in either state, headroom kept and zones lost, where one instance a zone of
        the smallest type that runs is taken away for the month, so from every block. It is below P for every plan that
        has no instance to spare in any block, as every block then serves less than its demand, and a share P of the
        paths stay within the demands only if none of them is lower (:func:`capacity.forecast.cut_blocks`).
    ``binding_block``, ``block_fewer_frac``
        The block in which one instance fewer, in this block only, leaves the least coverage, and that coverage.
    ``at_minimum``
        No block may lose an instance: it runs ``min_per_zone``, or one each of the ``least_types`` types.
    ``holds``
        Coverage in every state is at least P - .02.
    ``minimal``
        One instance fewer keeps less than P, or may not be taken away.

    Raises
    ------
    UsageError
        No path, or a wrong shape.
    MissingDataError
        A type runs of which it is not known what it serves.
    """
    months = {month: _Month(operation, month, at, running, provisioned) for month, at in op.months_of(operation.days)}
    for part in op.chunks(operation, paths):
        for counted in months.values():
            counted.add(part)
    return pd.DataFrame([_row(operation, m) for m in months.values()], columns=list(COLUMNS))


@dataclass
class _Count:
    """One fleet in one state: paths without an hour above, hours above, demand above."""

    limits: Floats
    inside: int = 0
    hours_above: int = 0
    demand_above: float = 0.0


@dataclass
class _Month:
    """The counts of one month."""

    operation: Operation
    month: str
    at: npt.NDArray[np.intp]
    running: pd.DataFrame
    provisioned: pd.DataFrame
    paths: int = 0
    states: dict[str, _Count] = field(default_factory=dict)
    fewer: dict[int, _Count] = field(default_factory=dict)  # by block; -1: in every block

    def __post_init__(self) -> None:
        names, labels = np.unique(self.operation.block_names[self.at], return_inverse=True)
        self.labels = labels.reshape(-1)
        self.hours_of = [np.flatnonzero(self.labels == b) for b in range(len(names))]
        self.names = tuple(str(n) for n in names)
        self.runs = op.month_runs(self.operation, self.month, self.names, self.running, self.provisioned)
        self.states = {name: _Count(limits(self.operation, self.runs)) for name, limits in _STATES.items()}
        for which, less in _fewer(self.operation, self.runs).items():
            bought_for = [_STATES[state](self.operation, less) for state in ("headroom", "zone_loss")]
            self.fewer[which] = _Count(np.minimum(*bought_for))

    def add(self, part: Paths) -> None:
        hours = op.days_of(part, self.at).reshape(len(part), -1)
        self.paths += len(hours)
        # (P, B): whether a path stays inside depends on its largest hour of each block alone.
        largest = np.stack([hours.take(columns, axis=1).max(axis=1) for columns in self.hours_of], axis=1)
        for name in ("normal", "zone_loss"):
            count = self.states[name]
            # Hours are counted one by one on the paths that have any above.
            over = hours[(largest > count.limits).any(axis=1)] - count.limits[self.labels]
            is_above = over > _ABOVE * np.abs(count.limits)[self.labels]
            count.hours_above += int(is_above.sum())
            count.demand_above += float(over[is_above].sum())
        for count in (*self.states.values(), *self.fewer.values()):
            allowed = count.limits + _ABOVE * np.abs(count.limits)
            count.inside += int((largest <= allowed).all(axis=1).sum())


def _fewer(operation: Operation, runs: MonthRuns) -> Mapping[int, MonthRuns]:
    """The month with an instance a zone fewer: in every block (-1), and in one block alone where that can be done."""
    everywhere = np.ones(len(runs.of_block), dtype=bool)
    if not len(runs.types):
        return {-1: runs}
    each = np.array([operation.safe[name] for name in runs.types]) * runs.relied
    smallest = np.where(_may_go(operation, runs), each[:, None], np.inf).argmin(axis=0)
    out = {-1: runs.one_fewer(smallest, everywhere)}
    if operation.autoscaled:
        for b in range(len(runs.of_block)):
            out[b] = runs.one_fewer(smallest, np.arange(len(everywhere)) == b)
    return out


def _may_go(operation: Operation, runs: MonthRuns) -> npt.NDArray[np.bool_]:
    """(types, B) where an instance may be taken away; where the block's types are as few as asked, not the last one."""
    present = runs.per_zone > 0
    types = np.array([len({t for t, on in zip(runs.types, column, strict=True) if on}) for column in present.T])
    may = present & ((runs.per_zone > 1) | (types > operation.least_types))
    # Where none may, the smallest is taken all the same: the block is then told to be at its minimum.
    return np.where(may.any(axis=0), may, present)


def _at_minimum(operation: Operation, runs: MonthRuns) -> bool:
    if not len(runs.types):
        return operation.min_per_zone == 0
    count = runs.per_zone.sum(axis=0)
    least = max(operation.min_per_zone, operation.least_types if operation.least_types > 1 else 0)
    return bool((count <= least).all())


def _row(operation: Operation, counted: _Month) -> tuple[object, ...]:
    if not counted.paths:
        raise UsageError(f"{operation.unit}: no path to simulate")

    def share(count: _Count) -> float:
        return count.inside / counted.paths

    hours = counted.paths * counted.labels.size
    normal, kept, lost = (counted.states[name] for name in ("normal", "headroom", "zone_loss"))
    less = {which: share(count) for which, count in counted.fewer.items()}
    by_block = {b: x for b, x in less.items() if b >= 0} or {0: less[-1]}
    block = min(by_block, key=lambda b: (by_block[b], b))
    least = operation.service_level - COVERAGE_TOLERANCE
    at_minimum = _at_minimum(operation, counted.runs)
    return (
        operation.unit.service, operation.unit.region, counted.month, operation.service_level, counted.paths,
        share(normal), normal.hours_above / hours, normal.demand_above / counted.paths,
        share(kept),
        share(lost), lost.hours_above / hours, lost.demand_above / counted.paths,
        counted.names[block], by_block[block], less[-1], at_minimum,
        min(share(normal), share(kept), share(lost)) >= least,
        at_minimum or less[-1] < operation.service_level,
    )  # fmt: skip
