"""How many instances: smallest and largest counts, vertical units, and counts pinned to an earlier plan."""

from __future__ import annotations

from typing import Any

from capacity.optimize._fleet import vertical_count
from capacity.optimize.model._words import MixModel, Row


def define_count_constraints(model: MixModel) -> None:
    """At least ``min_per_zone`` run in every block; at most ``max_per_zone`` are there at one time of a month."""
    for s, requirement in enumerate(model.fleet.requirements):
        for t in model.months_of(s):
            if requirement.min_per_zone:
                for b in model.blocks_that_decide(s, t):
                    terms = {model.running[s, i, t, b]: 1.0 for i, _ in model.allowed(s)}
                    terms |= dict.fromkeys(model.spot_of(s, t, b).values(), 1.0)
                    row = Row("minimum", requirement.unit, t, b)
                    model.add(row, terms, ">=", float(requirement.min_per_zone))
            _define_maximum(model, s, t)


def _define_maximum(model: MixModel, s: int, t: int) -> None:
    """One row a month, or one a block where spot runs."""
    requirement = model.fleet.requirements[s]
    provisioned = {model.provisioned[s, i, t]: 1.0 for i, _ in model.allowed(s)}
    spot = [(b, model.spot_of(s, t, b)) for b in model.blocks_that_decide(s, t)]
    rows: list[tuple[int, dict[Any, float]]] = [(b, dict.fromkeys(p.values(), 1.0)) for b, p in spot if p]
    for b, terms in rows or [(-1, {})]:
        row = Row("maximum", requirement.unit, t, b)
        model.add(row, provisioned | terms, "<=", float(requirement.max_per_zone))


def define_vertical_constraints(model: MixModel) -> None:
    """A vertical unit keeps its count per zone; its type is chosen, the same for all."""
    for s, requirement in enumerate(model.fleet.requirements):
        if not requirement.vertical:
            continue
        count = float(vertical_count(requirement))
        for t in model.months_of(s):
            for i, _candidate in model.allowed(s):
                y = model.is_type[s, i, t] = model.variable("y", len(model.is_type), 1)
                n = model.provisioned[s, i, t]
                model.add(Row("vertical", requirement.unit, t), {n: 1.0, y: -count}, "==", 0.0)
            choice = {model.is_type[s, i, t]: 1.0 for i, _ in model.allowed(s)}
            model.add(Row("one_type", requirement.unit, t), choice, "==", 1.0)


def define_pinned_constraints(model: MixModel) -> None:
    """In the months that an earlier plan names, its counts are kept; other months stay free."""
    for s, requirement in enumerate(model.fleet.requirements):
        for t in model.months_of(s):
            month = model.fleet.problem.months[t]
            pinned = {i: n for (m, i), n in (requirement.pinned or {}).items() if m == month}
            if not pinned:
                continue
            row = Row("pinned", requirement.unit, t)
            for i, candidate in model.allowed(s):
                count = float(pinned.pop(candidate.instance_type, 0))
                model.add(row, {model.provisioned[s, i, t]: 1.0}, "==", count)
            for _unknown, count in sorted(pinned.items()):
                # 0 = count: a type that may not be planned cannot be kept.
                model.add(row, {}, "==", float(count))
