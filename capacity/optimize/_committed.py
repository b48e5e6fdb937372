"""What commitments of a type or of a family cover of each unit: paid already, so free to a choice of types.

A choice of types by their prices on demand would leave such commitments unused. They stay where they are used today
if today's types cost hardly more than the free plan and use as much of them (they follow an earlier plan); else they go
where the free plan uses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats, Unit, UnitRequirement
from capacity.optimize._billing import usage_rows
from capacity.optimize._fleet import Fleet, running_by_type
from capacity.optimize._loads import held_by
from capacity.optimize._pots import Pot, draw, pots_of
from capacity.optimize._result import Plan

# (type, month, block) -> instances a zone that RIs cover; (family, month, block) -> $/h a zone, at on demand, that
# Savings Plans cover of any of its sizes.
Committed = Mapping[tuple[str, str, str], float]


@dataclass(frozen=True)
class Paid:
    """What commitments cover of each unit, and whether today's fleet is as cheap as a plan: then it is one, to keep."""

    by_unit: Mapping[Unit, Committed]
    settled: bool


_LEAST = 1e-6
# Of what the free plan costs, what today's types may cost: a few per cent more is the price of few types.
_AS_WELL = 1.07
# Of what the free plan uses of the commitments, what they must use: .77 and more after a plan, .4 and less where not.
_AS_FULL = 0.7


def paid_already(fleet: Fleet, plan: Plan) -> Paid:
    """What commitments of a scope cover, by unit; ``plan`` is one of ``fleet``."""
    owners, candidates = usage_rows(fleet)
    every = pots_of(fleet, owners, candidates, {})
    pots = [pot for pot in every if pot.product != "compute_sp"]
    eligible = np.zeros(len(owners), dtype=bool)
    for pot in pots:
        for _rate, rows in pot.rates:
            eligible[rows] = True
    price = np.array([c.usd_per_hour for c in candidates])
    today, free = _divisible(fleet, _of_today(fleet, plan)), plan.running.astype(float)
    cost, least = (_usd(fleet, every, usage, price) for usage in (today, _divisible(fleet, free)))
    used, most = (_covered_usd(fleet, pots, usage, price) for usage in (today, free))
    settled = cost <= _AS_WELL * least and used >= _AS_FULL * most
    usage = today if settled else free
    usage = usage * eligible[:, None, None]
    out: dict[Unit, dict[tuple[str, str, str], float]] = {}
    for t in range(len(fleet.problem.months)):
        by_instance, by_value = _shares(fleet, pots, usage[:, t], price, t)
        for row in np.flatnonzero(usage[:, t].any(axis=1)):
            c, counts = candidates[row], usage[row, t]
            _enter(fleet, out, (owners[row], c.instance_type), t, counts, by_instance[row])
            _enter(fleet, out, (owners[row], c.family), t, counts * c.usd_per_hour, by_value[row])
    return Paid(out, settled)


def _usd(fleet: Fleet, pots: list[Pot], usage: Floats, price: Floats) -> float:
    """What ``usage`` (rows, months, blocks) costs over the horizon, with all commitments."""
    total = 0.0
    for lot in fleet.lots:
        runs = _by_level(fleet, usage[:, lot.month], lot.month)[:, lot.level]
        active = [pot for pot in pots if pot.runs_in(lot)]
        given, _ = draw(active, runs, price)
        total += lot.hours * (float((runs - given.sum(axis=0)) @ price) + sum(pot.hourly_usd for pot in active))
    return total


def _covered_usd(fleet: Fleet, pots: list[Pot], usage: Floats, price: Floats) -> float:
    """On-demand value over the horizon that ``pots`` cover of ``usage`` (rows, months, blocks)."""
    total = 0.0
    for lot in fleet.lots:
        runs = _by_level(fleet, usage[:, lot.month], lot.month)[:, lot.level]
        given, _ = draw([pot for pot in pots if pot.runs_in(lot)], runs, price)
        total += lot.hours * float(given.sum(axis=0) @ price)
    return total


def _divisible(fleet: Fleet, counts: Floats) -> Floats:
    """(rows, months, blocks) ``counts`` a zone of each unit's load, more or fewer of all so that they just hold it.

    As if instances were divisible: mixes of types compare so, however many of them there are.
    """
    out, row = counts.copy(), 0
    for s, r in enumerate(fleet.requirements):
        rows = slice(row, row + len(r.candidates))
        row += len(r.candidates)
        holds = np.array([held_by(r, c) if c.allowed else 0.0 for c in r.candidates])
        for t, month in enumerate(fleet.blocks[s]):
            peak = max((b.demand for b in month), default=0.0)
            held = holds @ counts[rows, t] if len(holds) else np.zeros(counts.shape[2])
            for k, b in enumerate(month):
                need = b.demand if r.autoscaled else peak
                out[rows, t, k] *= need / held[k] if held[k] > 0 else 1.0
    return out


def _of_today(fleet: Fleet, plan: Plan) -> Floats:
    """(rows, months, blocks) instances a zone that run today in every block; of units that run nothing, the plan's."""
    out, row = plan.running.astype(float), 0
    for r in fleet.requirements:
        rows = slice(row, row + len(r.candidates))
        row += len(r.candidates)
        runs = running_by_type(r)
        count = np.array([runs.get(c.instance_type, 0) / r.zones if c.allowed else 0.0 for c in r.candidates])
        if (count > 0).any():
            out[rows] = count[:, None, None]
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


__all__ = ["Committed", "Paid", "paid_already"]
