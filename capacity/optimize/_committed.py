"""What commitments of a type or of a family cover of each unit: paid already, so free to a choice of types.

A choice of types by their prices on demand would leave such commitments unused. They go where the free plan uses them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from capacity.domain import Floats, Unit, UnitRequirement
from capacity.optimize._billing import usage_rows
from capacity.optimize._fleet import Fleet
from capacity.optimize._pots import Pot, draw, pots_of
from capacity.optimize._result import Plan

# (type, month, block) -> instances a zone that RIs cover; (family, month, block) -> $/h a zone, at on demand, that
# Savings Plans cover of any of its sizes.
Committed = Mapping[tuple[str, str, str], float]


_LEAST = 1e-6


def paid_already(fleet: Fleet, plan: Plan) -> Mapping[Unit, Committed]:
    """What commitments of a scope cover, by unit; ``plan`` is one of ``fleet``."""
    owners, candidates = usage_rows(fleet)
    pots = [pot for pot in pots_of(fleet, owners, candidates, {}) if pot.product != "compute_sp"]
    eligible = np.zeros(len(owners), dtype=bool)
    for pot in pots:
        for _rate, rows in pot.rates:
            eligible[rows] = True
    price = np.array([c.usd_per_hour for c in candidates])
    usage = plan.running * eligible[:, None, None].astype(float)
    out: dict[Unit, dict[tuple[str, str, str], float]] = {}
    for t in range(len(fleet.problem.months)):
        by_instance, by_value = _shares(fleet, pots, usage[:, t], price, t)
        for row in np.flatnonzero(usage[:, t].any(axis=1)):
            c, counts = candidates[row], usage[row, t]
            _enter(fleet, out, (owners[row], c.instance_type), t, counts, by_instance[row])
            _enter(fleet, out, (owners[row], c.family), t, counts * c.usd_per_hour, by_value[row])
    return out


def _shares(fleet: Fleet, pots: list[Pot], usage: Floats, price: Floats, t: int) -> tuple[Floats, Floats]:
    """(rows, levels) the shares of ``usage`` (rows, blocks) of month ``t`` that RIs and that Savings Plans cover."""
    runs = _by_level(fleet, usage, t)
    covered, hours = np.zeros((2, *runs.shape)), np.zeros(runs.shape[1])
    for lot in (lot for lot in fleet.lots if lot.month == t):
        active = [pot for pot in pots if pot.runs_in(lot)]
        given, _ = draw(active, runs[:, lot.level], price)
        hours[lot.level] += lot.hours
        for pot, counts in zip(active, given, strict=True):
            covered[0 if pot.counts_instances else 1, :, lot.level] += lot.hours * counts
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(runs * hours > 0, covered / (runs * hours), 0.0)
    return share[0], share[1]


def _by_level(fleet: Fleet, usage: Floats, t: int) -> Floats:
    """(rows, levels) instances over all zones of ``usage`` (rows, blocks) in month ``t``."""
    out, row = np.zeros((len(usage), len(fleet.level_names[t]))), 0
    for s, r in enumerate(fleet.requirements):
        rows, presence = slice(row, row + len(r.candidates)), fleet.presence[s][t]
        row += len(r.candidates)
        out[rows] = r.zones * usage[rows, : len(presence)] @ presence
    return out


def _enter(
    fleet: Fleet,
    out: dict[Unit, dict[tuple[str, str, str], float]],
    of: tuple[UnitRequirement, str],
    t: int,
    amount: Floats,
    share: Floats,
) -> None:
    """Add ``share`` (levels,) of ``amount`` (blocks,) under the type or family of a unit."""
    r, name = of
    s = fleet.position(r.unit)
    for b, block in enumerate(fleet.blocks[s][t]):
        presence = fleet.presence[s][t][b]
        part = float(share @ presence / presence.sum()) if presence.sum() > 0 else 0.0
        if part * amount[b] > _LEAST:
            key, own = (name, block.month, block.block), out.setdefault(r.unit, {})
            own[key] = own.get(key, 0.0) + part * float(amount[b])


__all__ = ["Committed", "paid_already"]
