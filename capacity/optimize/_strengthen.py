"""Cuts that close the gap of whole instances, and a plan to start the search from.

The linear relaxation of one load is weak: it runs 2.3 instances. Each load (unit, month, block; or unit, month where
the unit is static) is a covering knapsack, and for ANY prices p >= 0 every whole plan pays at least the knapsack's
optimum z(p): sum_i p_i r_i >= z(p) is a valid cut. With p = on-demand prices it makes the bound exact where nothing
couples the loads; with p = the prices that the relaxation's duals give to r (less what commitments cover, plus what
quotas cost) a few rounds approach the bound of column generation (the same Lagrangian, by cutting planes).
A cut is valid whatever the duals are worth, so their rounding cannot make the bound wrong.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from capacity.domain import Candidate, Floats, UnitRequirement
from capacity.optimize._cover import Lanes, cheapest_counts, lower_bounds
from capacity.optimize._fleet import vertical_count
from capacity.optimize._highs import Matrix, load, matrix_of, quiet
from capacity.optimize.model import MixModel, Row, autoscales

# Rounds of duals -> knapsacks -> cuts. Measured on 20 and 60 units: later rounds move the bound by under .01 %.
MAX_ROUNDS = 6

# A round that lifts the bound by less than this share is the last.
_WORTH = 1e-4

# A price below this share of the largest one counts as nothing.
_DUST = 1e-5

# Families of rows that bind one load only; all others are what couples loads, and give the prices.
_OWN_FAMILIES = frozenset({"demand", "zone_loss", "minimum", "cut"})


@dataclass(frozen=True)
class Loads:
    """The knapsacks of a model. ``columns`` (lanes, types) are positions of r in the matrix, -1 where there is none."""

    model: MixModel
    keys: tuple[tuple[int, int, int], ...]
    columns: np.ndarray[Any, np.dtype[np.int64]]
    normal: Lanes
    zone_loss: Lanes

    @property
    def folded(self) -> Lanes:
        """Both states in one row, at the smaller weight: a plan that holds it holds both."""
        return Lanes(np.minimum(self.normal.weight, self.zone_loss.weight), self.normal.least)


@dataclass(frozen=True)
class Strengthened:
    """The bound proven so far (USD, all of the objective), and values of the whole variables to start from."""

    bound: float
    start: Mapping[Any, float]
    rounds: int


def strengthen(model: MixModel, deadline: float, seed: int) -> Strengthened:
    """Add cuts to ``model.lp`` until they stop paying or ``deadline`` (perf_counter seconds) has passed."""
    _define_vertical_cuts(model)
    loads = loads_of(model)
    price = _price(loads, matrix_of(model.lp).cost)
    if loads.keys:
        _define_cuts(loads, price, _bounds(loads, price))
    bound, rounds = -math.inf, 0
    while rounds < MAX_ROUNDS and time.perf_counter() < deadline:
        relaxed = _relax(model, seed, deadline)
        if relaxed is None:
            break
        rounds += 1
        lifted = relaxed.objective - bound
        bound, price = max(bound, relaxed.objective), _price(loads, relaxed.reduced)
        if (
            not loads.keys
            or lifted <= _WORTH * abs(bound)
            or not _define_cuts(loads, price, _bounds(loads, price), relaxed.values)
        ):
            break
    return Strengthened(bound, _start(loads, price), rounds)


def loads_of(model: MixModel) -> Loads:
    """Every load of a unit that may choose whole counts freely: not vertical, not pinned, with some demand."""
    position = matrix_of(model.lp).position
    fleet = model.fleet
    keys, columns, normal, loss, least = [], [], [], [], []
    for s, requirement in enumerate(fleet.requirements):
        candidates = model.allowed(s)
        pinned = {m for m, _ in requirement.pinned or {}}
        survivors = max(requirement.zones - requirement.zones_survived, 0)
        for t, month in enumerate(fleet.problem.months):
            for b in model.blocks_that_decide(s, t):
                demand = fleet.blocks[s][t][b].demand
                if requirement.vertical or month in pinned or demand <= 0 or not candidates:
                    continue
                keys.append((s, t, b))
                columns.append([position[model.running[s, i, t, b]] for i, _ in candidates])
                normal.append([requirement.zones * c.safe / demand for _, c in candidates])
                share = [survivors * c.zone_loss / demand for _, c in candidates]
                loss.append(share if requirement.zones_survived else normal[-1])
                least.append(requirement.min_per_zone)
    counts = np.array(least, dtype=np.int64)
    return Loads(
        model,
        tuple(keys),
        _padded(columns, -1).astype(np.int64),
        Lanes(_padded(normal, 0), counts),
        Lanes(_padded(loss, 0), counts),
    )


def _padded(rows: list[list[Any]], fill: float) -> Floats:
    out = np.full((len(rows), max((len(r) for r in rows), default=0)), fill, dtype=float)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def _price(loads: Loads, cost: Floats) -> Floats:
    """(lanes, types) price of each r, never negative: a cut needs p >= 0."""
    price: Floats = np.where(loads.columns >= 0, np.maximum(cost[loads.columns], 0.0), 0.0)
    # Dust would only spread the coefficients of a cut over many orders of magnitude; any p >= 0 is as valid.
    dust = _DUST * price.max(axis=1, initial=0.0)[:, None]
    return np.where(price > dust, price, 0.0)


def _bounds(loads: Loads, price: Floats) -> Floats:
    """Each state alone is a relaxation of both, so the larger of the two bounds holds."""
    bounds = lower_bounds(loads.normal, price)
    binds = (loads.zone_loss.weight < loads.normal.weight).any(axis=1)
    if binds.any():
        weight, least = loads.zone_loss.weight[binds], loads.zone_loss.least[binds]
        bounds[binds] = np.maximum(bounds[binds], lower_bounds(Lanes(weight, least), price[binds]))
    return bounds


def _define_cuts(loads: Loads, price: Floats, bounds: Floats, values: Floats | None = None) -> int:
    """Add p r >= z(p) where ``values`` violate it (all, where none are given); the number added."""
    usable = np.isfinite(bounds) & (bounds > _DUST * price.max(axis=1, initial=0.0))
    if values is not None:
        paid = (np.where(loads.columns >= 0, values[loads.columns], 0.0) * price).sum(axis=1)
        usable &= paid < bounds * (1 - 1e-6)
    model = loads.model
    for lane in np.flatnonzero(usable):
        s, t, b = loads.keys[lane]
        terms = {
            model.running[s, i, t, b]: float(price[lane, j] / bounds[lane]) for j, (i, _) in enumerate(model.allowed(s))
        }
        # A hair less than proven: the bound's own rounding must not cut off a plan that just meets it.
        model.add(Row("cut", model.fleet.requirements[s].unit, t, b), terms, ">=", 1.0 - 1e-9)
    return int(usable.sum())


def _define_vertical_cuts(model: MixModel) -> None:
    """A vertical unit's count is fixed, so a type that is too small at that count is out."""
    for s, requirement in enumerate(model.fleet.requirements):
        if not requirement.vertical:
            continue
        count = vertical_count(requirement)
        for t in model.months_of(s):
            peak = max(b.demand for b in model.fleet.blocks[s][t])
            for i, c in model.allowed(s):
                if count * held_by(requirement, c) < peak * (1 - 1e-6):
                    row = Row("cut", requirement.unit, t)
                    model.add(row, {model.is_type[s, i, t]: 1.0}, "<=", 0.0)


@dataclass(frozen=True)
class _Relaxed:
    objective: float
    values: Floats
    reduced: Floats


def _relax(model: MixModel, seed: int, deadline: float) -> _Relaxed | None:
    """Solve the linear relaxation: objective, values, and the price of each column seen from its own load."""
    import highspy

    matrix = matrix_of(model.lp)
    solver = quiet(seed)
    solver.setOptionValue("time_limit", max(deadline - time.perf_counter(), 0.01))
    load(solver, matrix, relaxed=True)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    solution = solver.getSolution()
    coupling = np.array([model.rows[name].family not in _OWN_FAMILIES for name in matrix.row_names])
    duals = np.where(coupling, np.array(solution.row_dual, dtype=float), 0.0)
    reduced = matrix.cost - _transposed_product(matrix, duals)
    return _Relaxed(
        float(solver.getInfo().objective_function_value), np.array(solution.col_value, dtype=float), reduced
    )


def _transposed_product(matrix: Matrix, duals: Floats) -> Floats:
    per_entry = np.repeat(duals, np.diff(matrix.start)) * matrix.value
    out: Floats = np.bincount(matrix.index, weights=per_entry, minlength=len(matrix.variables)).astype(float)
    return out


# --- a plan to start from ----------------------------------------------------------------------------------


def _start(loads: Loads, price: Floats) -> dict[Any, float]:
    """Whole values: the cheapest cover of each load at the last prices, and n large enough for all blocks."""
    model = loads.model
    counts = cheapest_counts(loads.folded, price) if loads.keys else np.zeros((0, 0), dtype=np.int64)
    out: dict[Any, float] = {}
    for lane, (s, t, b) in enumerate(loads.keys):
        for j, (i, _) in enumerate(model.allowed(s)):
            out[model.running[s, i, t, b]] = float(counts[lane, j])
    for s, requirement in enumerate(model.fleet.requirements):
        for t in model.months_of(s):
            _start_without_choice(model, s, t, out)
            if autoscales(requirement):
                for i, _ in model.allowed(s):
                    n = model.provisioned[s, i, t]
                    most = max(out.get(model.running[s, i, t, b], 0.0) for b in model.blocks_that_decide(s, t))
                    out[n] = max(out.get(n, 0.0), most)
    return out


def _start_without_choice(model: MixModel, s: int, t: int, out: dict[Any, float]) -> None:
    """Pinned counts, the cheapest type that holds a vertical unit, the smallest count where there is no demand."""
    fleet, requirement, candidates = model.fleet, model.fleet.requirements[s], model.allowed(s)
    month = fleet.problem.months[t]
    pinned = {i: n for (m, i), n in (requirement.pinned or {}).items() if m == month}
    for b in model.blocks_that_decide(s, t):
        demand = fleet.blocks[s][t][b].demand
        if pinned:
            counts = {i: pinned.get(c.instance_type, 0) for i, c in candidates}
        elif requirement.vertical:
            counts = _cheapest_alone(requirement, candidates, demand, vertical_count(requirement))
        elif demand <= 0:
            counts = _cheapest_alone(requirement, candidates, 0.0, requirement.min_per_zone)
        else:
            continue
        for i, count in counts.items():
            out[model.running[s, i, t, b]] = float(count)
            if requirement.vertical:
                out[model.is_type[s, i, t]] = float(count > 0)
            if pinned:
                out[model.provisioned[s, i, t]] = float(count)


def _cheapest_alone(
    requirement: UnitRequirement, candidates: list[tuple[int, Candidate]], demand: float, count: int
) -> dict[int, int]:
    """``count`` of the cheapest type that holds ``demand`` at that count, none of any where none does."""
    holds = [(i, c) for i, c in candidates if count * held_by(requirement, c) >= demand]
    best = min(holds, key=lambda p: (p[1].usd_per_hour, p[0]), default=None)
    return {i: count if best is not None and i == best[0] else 0 for i, _ in candidates}


def held_by(requirement: UnitRequirement, candidate: Candidate) -> float:
    """Demand that one instance per zone holds in the state that binds."""
    normal = requirement.zones * candidate.safe
    if not requirement.zones_survived:
        return normal
    return min(normal, max(requirement.zones - requirement.zones_survived, 0) * candidate.zone_loss)
