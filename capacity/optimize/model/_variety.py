"""Not all in one basket: the share of spot, the types that spot spreads over, the types that run."""

from __future__ import annotations

from typing import Any

from capacity.optimize.model._words import MixModel, Row, autoscales


def define_spot_share_constraints(model: MixModel) -> None:
    """What spot is relied on for is at most ``spot_max_frac`` of the demand, in every block.

    Of a unit that does not autoscale the block with the smallest demand decides: its spot runs in all blocks.
    """
    for s, requirement in enumerate(model.fleet.requirements):
        for t in model.months_of(s):
            blocks = model.fleet.blocks[s][t]
            lowest = min(range(len(blocks)), key=lambda b: blocks[b].demand)
            for b in range(len(blocks)) if autoscales(requirement) else [lowest]:
                most = requirement.spot_max_frac * blocks[b].demand
                terms = {
                    p: requirement.zones * c.safe * (1.0 - c.spot_buffer_frac) / most
                    for i, p in model.spot_of(s, t, b).items()
                    if (c := requirement.candidates[i]).safe > 0
                }
                if terms:
                    model.add(Row("spot_share", requirement.unit, t, b, scale=most), terms, "<=", 1.0)


def define_spot_types_constraints(model: MixModel) -> None:
    """Where any spot runs, at least ``spot_least_types`` types are among it: an interruption takes one type at a time.

    w <= p makes w tell the truth upwards, p <= U spread makes any spot be seen.
    """
    for s, requirement in enumerate(model.fleet.requirements):
        if requirement.spot_least_types <= 1:
            continue
        for t in model.months_of(s):
            for b in model.blocks_that_decide(s, t):
                if spot := model.spot_of(s, t, b):
                    _spread(model, s, t, b, spot)


def _spread(model: MixModel, s: int, t: int, b: int, spot: dict[int, Any]) -> None:
    requirement = model.fleet.requirements[s]
    least, row = float(requirement.spot_least_types), Row("spot_types", requirement.unit, t, b)
    spread = model.spot_spread[s, t, b] = model.variable("a", len(model.spot_spread), 1)
    of_enough = {spread: -1.0}
    for i, p in spot.items():
        w = model.spot_type[s, i, t, b] = model.variable("w", len(model.spot_type), 1)
        model.add(row, {w: 1.0, p: -1.0}, "<=", 0.0)
        model.add(row, {p: 1.0 / p.upBound, spread: -1.0}, "<=", 0.0)
        of_enough[w] = 1.0 / least
    model.add(row, of_enough, ">=", 0.0)


def define_least_types_constraints(model: MixModel) -> None:
    """At least ``least_types`` types run in every block with demand. A vertical unit is of one type by nature."""
    for s, requirement in enumerate(model.fleet.requirements):
        if requirement.least_types <= 1 or requirement.vertical:
            continue
        for t in model.months_of(s):
            for b in model.blocks_that_decide(s, t):
                if model.fleet.blocks[s][t][b].demand > 0:
                    _run_enough_types(model, s, t, b)


def _run_enough_types(model: MixModel, s: int, t: int, b: int) -> None:
    requirement, spot = model.fleet.requirements[s], model.spot_of(s, t, b)
    least, row = float(requirement.least_types), Row("least_types", requirement.unit, t, b)
    enough = {}
    for i, _candidate in model.allowed(s):
        v = model.runs_type[s, i, t, b] = model.variable("v", len(model.runs_type), 1)
        terms = {v: 1.0, model.running[s, i, t, b]: -1.0}
        if i in spot:
            terms[spot[i]] = -1.0
        model.add(row, terms, "<=", 0.0)
        enough[v] = 1.0 / least
    model.add(Row("least_types", requirement.unit, t, b, scale=least), enough, ">=", 1.0)
