"""Commitments applied to what runs, in the provider's own order: the checker's own reckoning, in instance-hours."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats, Offer
from capacity.optimize.check._contracts import Contract, contracts
from capacity.optimize.check._levels import spans
from capacity.optimize.check._plan import Plan

# Reserved Instances before Savings Plans, the narrower before the wider ones.
_ORDER = ("standard_ri", "ec2_instance_sp", "compute_sp")


def rates_of(plan: Plan, contract: Contract, month: str) -> Floats:
    """(rows,) what a dollar of each row that runs on demand in a month takes of ``contract``; NaN where it may not."""
    # All purchases under one offer have the same rates.
    key = (isinstance(contract.terms, Offer), contract.terms.id, month)
    if key not in plan.rates:
        rows, _ = plan.hours_of_instances[month]
        plan.rates[key] = np.array([contract.rate_of(site, c) for site, c in rows], dtype=float)
    return plan.rates[key]


@dataclass
class Applied:
    """By month: (rows, levels) USD of on demand that is covered and of commitment that this takes, over all of them.

    ``book`` has USD that each contract covers and that it takes, by (month, level, id).
    """

    covered: dict[str, Floats] = field(default_factory=dict)
    taken: dict[str, Floats] = field(default_factory=dict)
    book: dict[tuple[str, str, str], Floats] = field(default_factory=dict)


def apply_all(plan: Plan) -> Applied:
    """RIs, then EC2 Instance, then Compute Savings Plans; the highest saving first; own before shared; pro rata."""
    out, held = Applied(), contracts(plan)
    for month in plan.problem.months:
        rows, hours = plan.hours_of_instances[month]
        price = np.array([c.usd_per_hour for _, c in rows], dtype=float)
        out.covered[month], out.taken[month] = np.zeros_like(hours), np.zeros_like(hours)
        steps = _steps([(k, rates_of(plan, k, month)) for k in held])
        windows = {k.id: plan.calendar.window(k.start, k.end, month) for k in held}
        for span in spans(windows.values()):
            runs = [step for step in steps if windows[step[0].id].holds(*span)]
            _apply(plan, out, month, runs, hours * (span[1] - span[0]), price, span[1] - span[0])
    return out


_Step = tuple[Contract, float, npt.NDArray[np.int64]]


def _steps(held: list[tuple[Contract, Floats]]) -> list[_Step]:
    """A contract with one of its rates and the rows at that rate, in the order in which they are applied."""
    steps = [
        (k, float(rate), np.flatnonzero(rates == rate))
        for k, rates in held
        for rate in sorted({float(r) for r in rates if not math.isnan(r)})
    ]

    def order(step: _Step) -> tuple[int, float, int, int, str]:
        k, rate, _ = step
        shared, bought = int(not k.terms.account_id), int(isinstance(k.terms, Offer))
        return _ORDER.index(k.terms.product), rate, shared, bought, k.id

    return sorted(steps, key=order)


def _apply(
    plan: Plan, out: Applied, month: str, steps: list[_Step], open_hours: Floats, price: Floats, share: float
) -> None:
    """One part of a month, all levels at once. ``open_hours`` (rows, levels) are instance-hours not yet covered."""
    levels, level_hours = list(plan.calendar.levels(month)), plan.calendar.level_hours(month) * share
    room: dict[str, Floats] = {}
    for contract, rate, rows in steps:
        an_hour = contract.count if contract.is_ri else contract.hourly_usd
        left = room.setdefault(contract.id, an_hour * level_hours)
        weight = np.ones(len(rows)) if contract.is_ri else rate * price[rows]
        asked = weight @ open_hours[rows]
        served = np.divide(left, asked, out=np.ones_like(left), where=asked > left)
        given = open_hours[rows] * served
        room[contract.id] = left - np.minimum(asked, left)
        open_hours[rows] -= given
        usd = given * price[rows, None]
        takes = _takes(contract, rate, usd, given)
        out.covered[month][rows] += usd
        out.taken[month][rows] += takes
        for position, level in enumerate(levels):
            entry = out.book.setdefault((month, level, contract.id), np.zeros(2))
            entry += usd[:, position].sum(), takes[:, position].sum()


def _takes(contract: Contract, rate: float, usd: Floats, given: Floats) -> Floats:
    """What the covered rows take of a contract's cost: an RI by instance, shared by value."""
    if not contract.is_ri:
        return rate * usd
    cost, total = contract.hourly_usd / contract.count * given.sum(axis=0), usd.sum(axis=0)
    out: Floats = usd * np.divide(cost, total, out=np.zeros_like(total), where=total > 0)
    return out
