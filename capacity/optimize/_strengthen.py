"""Cuts that close the gap of whole instances.

The linear relaxation of one load is weak: it runs 2.3 instances. Each load (unit, month, block; or unit, month where
the unit is static) is a covering knapsack, and for ANY prices p >= 0 every whole plan pays at least the knapsack's
optimum z(p): sum_i p_i r_i >= z(p) is a valid cut. With p = on-demand prices it makes the bound exact where nothing
couples the loads; with p = the prices that the relaxation's duals give to r (less what commitments cover, plus what
quotas cost) a few rounds approach the bound of column generation (the same Lagrangian, by cutting planes).
A cut is valid whatever the duals are worth, so their rounding cannot make the bound wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from capacity.domain import Floats
from capacity.optimize._clock import Deadline, TimeIsUp
from capacity.optimize._cover import Lanes, lower_bounds
from capacity.optimize._fleet import vertical_count
from capacity.optimize._highs import Matrix, load, matrix_of, quiet
from capacity.optimize._loads import Loads, held_by, loads_of
from capacity.optimize._start import start_values
from capacity.optimize.model import MixModel, Row

# Rounds of duals -> knapsacks -> cuts. On fleets of 20 and 60 units they end by themselves after two or three.
MAX_ROUNDS = 6

# A round that lifts the bound by less than this share is the last.
_WORTH = 1e-4

# A price below this share of the largest one counts as nothing.
_DUST = 1e-5

# Families of rows that bind one load only; all others are what couples loads, and give the prices.
_OWN_FAMILIES = frozenset({"demand", "zone_loss", "minimum", "cut"})


@dataclass(frozen=True)
class Strengthened:
    """The bound proven so far (USD, all of the objective), and the loads at their last prices."""

    bound: float
    loads: Loads
    price: Floats
    rounds: int

    def start(self, deadline: Deadline) -> Mapping[Any, float]:
        """Values of the whole variables to start from; none where ``deadline`` passes first."""
        try:
            return start_values(self.loads, self.price, deadline)
        except TimeIsUp:
            return {}


def strengthen(model: MixModel, deadline: Deadline, seed: int) -> Strengthened:
    """Add cuts to ``model.lp`` until they stop paying or ``deadline`` has passed."""
    loads = loads_of(model)
    state = _State(model.constant_usd, _price(loads, matrix_of(model.lp).cost))
    with suppress(TimeIsUp):  # each cut and bound stands by itself
        _add_rounds(model, loads, state, deadline, seed)
    return Strengthened(state.bound, loads, state.price, state.rounds)


@dataclass
class _State:
    """What is proven by now, and the prices of the next round."""

    bound: float
    price: Floats
    rounds: int = 0


def _add_rounds(model: MixModel, loads: Loads, state: _State, deadline: Deadline, seed: int) -> None:
    _define_vertical_cuts(model)
    if loads.keys:
        bounds = _bounds(loads, state.price, deadline)
        state.bound = _bound_without_model(model, bounds)
        _define_cuts(loads, state.price, bounds)
    while state.rounds < MAX_ROUNDS and not deadline.passed:
        relaxed = _relax(model, seed, deadline)
        if relaxed is None:
            return
        state.rounds += 1
        lifted = relaxed.objective - state.bound
        state.bound, state.price = max(state.bound, relaxed.objective), _price(loads, relaxed.reduced)
        if not loads.keys or lifted <= _WORTH * abs(state.bound):
            return
        if not _define_cuts(loads, state.price, _bounds(loads, state.price, deadline), relaxed.values):
            return


def _bound_without_model(model: MixModel, bounds: Floats) -> float:
    """What the loads cost at least on demand, less all that commitments could cover, plus what these cost.

    Weak, but proven before any solver has run; it stands where a time limit leaves nothing better.
    """
    fleet = model.fleet
    prices: dict[str, float] = {}
    for c in (c for r in fleet.requirements for c in r.candidates):
        prices[c.instance_type] = max(c.usd_per_hour, prices.get(c.instance_type, 0.0))
    coverable = 0.0
    for lot in fleet.lots:
        for k in lot.active:
            owned = fleet.commitments[k]
            if owned.product == "standard_ri":
                coverable += lot.hours * owned.count * prices.get(owned.scope, 0.0)
            else:
                coverable += lot.hours * owned.hourly_usd / fleet.problem.committed_rate[owned.id]
    finite = bounds[np.isfinite(bounds)]
    # What is bought costs its rate of what it covers; at best all that is left is covered at the lowest.
    lowest = min((rate for offer in fleet.offers for rate in offer.rate.values()), default=1.0)
    return model.constant_usd + min(lowest, 1.0) * max(float(finite.sum()) - coverable, 0.0)


def _price(loads: Loads, cost: Floats) -> Floats:
    """(lanes, types) price of each r, never negative: a cut needs p >= 0."""
    price: Floats = np.where(loads.columns >= 0, np.maximum(cost[loads.columns], 0.0), 0.0)
    # Dust would only spread the coefficients of a cut over many orders of magnitude; any p >= 0 is as valid.
    dust = _DUST * price.max(axis=1, initial=0.0)[:, None]
    return np.where(price > dust, price, 0.0)


def _bounds(loads: Loads, price: Floats, deadline: Deadline) -> Floats:
    """Each state alone is a relaxation of both, so the larger of the two bounds holds."""
    bounds = lower_bounds(loads.normal, price, deadline)
    binds = (loads.zone_loss.weight < loads.normal.weight).any(axis=1)
    if binds.any():
        weight, least = loads.zone_loss.weight[binds], loads.zone_loss.least[binds]
        bounds[binds] = np.maximum(bounds[binds], lower_bounds(Lanes(weight, least), price[binds], deadline))
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


def _relax(model: MixModel, seed: int, deadline: Deadline) -> _Relaxed | None:
    """Solve the linear relaxation: objective, values, and the price of each column seen from its own load."""
    import highspy

    matrix = matrix_of(model.lp)
    solver = quiet(seed)
    solver.setOptionValue("time_limit", max(deadline.left, 0.01))
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
