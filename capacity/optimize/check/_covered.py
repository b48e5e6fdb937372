"""What commitments cover, and what is paid for them: limits, scopes, the provider's order, and the price."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from capacity.domain import Offer
from capacity.optimize.check._applied import rates_of
from capacity.optimize.check._contracts import Contract, contracts
from capacity.optimize.check._plan import Plan, Slack, near


def used(plan: Plan) -> dict[tuple[str, str, str], tuple[float, float, float]]:
    """(month, level, id) -> used, paid and unused USD, as the plan says."""
    columns = plan.use[["month", "block", "id", "used_usd", "paid_usd", "unused_usd"]]
    return {(str(m), str(b), str(i)): (u, p, x) for m, b, i, u, p, x in columns.itertuples(index=False, name=None)}


def _level_hours(plan: Plan) -> Iterator[tuple[str, str, float]]:
    for month in plan.problem.months:
        for level, hours in zip(plan.calendar.levels(month), plan.calendar.level_hours(month), strict=True):
            yield month, level, float(hours)


def _share(plan: Plan, contract: Contract, month: str) -> float:
    return plan.calendar.window(contract.start, contract.end, month).share


def limits(plan: Plan) -> Iterator[Slack]:
    """A Savings Plan covers at most hourly / its lowest rate of on-demand value; an RI its count of its own type."""
    book = used(plan)
    for contract in contracts(plan):
        may = [
            (c.usd_per_hour, rate)
            for site in plan.sites
            for c in site.requirement.candidates
            if not math.isnan(rate := contract.rate_of(site, c))
        ]
        dearest, lowest = max((p for p, _ in may), default=0.0), min((r for _, r in may), default=math.inf)
        per_hour = contract.count * dearest if contract.is_ri else contract.hourly_usd / lowest
        for month, level, hours in _level_hours(plan):
            most = per_hour * hours * _share(plan, contract, month)
            value = book.get((month, level, contract.id), (0.0, 0.0, 0.0))[0]
            text = f"{contract.id} {month} {level}: covers {value:g} of at most {most:g} USD"
            yield (most - value) / max(most, 1.0), text
            yield min(value, 0.0), f"{contract.id} {month} {level}: covers less than nothing"


def scopes(plan: Plan) -> Iterator[Slack]:
    """What all commitments inside one scope cover is at most what runs in that scope."""
    book, held = used(plan), contracts(plan)
    for month in plan.problem.months if held else ():
        rows, hours = plan.hours_of_instances[month]
        value = hours * np.array([c.usd_per_hour for _, c in rows], dtype=float)[:, None]
        may = [~np.isnan(rates_of(plan, k, month)) for k in held]
        for outer, contract in enumerate(held):
            inside = [k.id for k, own in zip(held, may, strict=True) if not (own & ~may[outer]).any()]
            share = _share(plan, contract, month) if inside == [contract.id] else 1.0
            for level, runs in zip(plan.calendar.levels(month), value[may[outer]].sum(axis=0) * share, strict=True):
                covered = sum(book.get((month, level, i), (0.0, 0.0, 0.0))[0] for i in inside)
                text = f"scope of {contract.id} {month} {level}: {covered:g} covered of {runs:g} USD that runs"
                yield (runs - covered) / max(runs, 1.0), text


def as_the_provider_applies(plan: Plan) -> Iterator[Slack]:
    """What each covers and leaves unused in each level is what the provider's order gives, neither more nor less."""
    stated = used(plan)
    applied = plan.applied.book
    for month, level, hours in _level_hours(plan):
        for contract in contracts(plan):
            active = hours * _share(plan, contract, month)
            if active <= 0:
                continue
            value, _, unused = stated.get((month, level, contract.id), (math.nan,) * 3)
            covers, takes = applied.get((month, level, contract.id), np.zeros(2))
            where = f"{contract.id} {month} {level}"
            yield near(value, float(covers), f"{where}: used")
            yield near(unused, contract.hourly_usd * active - float(takes), f"{where}: unused")


def paid(plan: Plan) -> Iterator[Slack]:
    """paid = hourly x active hours; unused = paid - rate x used of an owned plan, between 0 and paid of all."""
    book, expected = used(plan), set()
    for contract in contracts(plan):
        for month, level, hours in _level_hours(plan):
            active = hours * _share(plan, contract, month)
            if active <= 0:
                continue
            expected.add((month, level, contract.id))
            value, cost, unused = book.get((month, level, contract.id), (0.0, math.nan, math.nan))
            where = f"{contract.id} {month} {level}"
            yield near(cost, contract.hourly_usd * active, f"{where}: paid")
            yield min(unused, cost - unused) / max(cost, 1.0), f"{where}: {unused:g} unused of {cost:g} paid"
            if not contract.is_ri and not isinstance(contract.terms, Offer):
                yield near(unused, cost - contract.rate * value, f"{where}: unused")
    for row in sorted(book.keys() - expected):
        yield -1.0, f"{row[2]} is not active in {row[0]} {row[1]}"
