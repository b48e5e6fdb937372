"""What commitments cover: those that are owned, and those that could be bought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from capacity.domain import UnitRequirement
from capacity.optimize._fleet import Fleet, Lot, eligible, offered_rate, offered_usd_per_hour
from capacity.optimize.model._words import MixModel, Row


@dataclass(frozen=True, order=True)
class _Group:
    """Usage that the same commitments and offers may cover, at the same rates.

    ``owned`` are positions of commitments, ``offered`` (position of the offer, rate). ``instance_type`` and
    ``usd_per_hour`` are told apart only where an RI counts instances.
    """

    owned: tuple[int, ...]
    offered: tuple[tuple[int, float], ...]
    instance_type: str
    usd_per_hour: float


def define_commitment_constraints(model: MixModel) -> None:
    """cover <= what runs of its usage group, and <= what the commitment holds, in every lot.

    A Savings Plan of q $/h covers on-demand value at its rate: rate x cover <= q. An RI covers whole instances.
    """
    _define_purchases(model)
    groups = _usage_groups(model)
    for position, lot in enumerate(model.fleet.lots):
        held: dict[int, dict[Any, float]] = {k: {} for k in lot.active}
        taken: dict[int, dict[Any, float]] = {o: {} for o in _offers_that_run(model, lot)}
        for g, (group, members) in enumerate(groups):
            covers = _define_cover(model, (g, position), group, held, taken)
            if covers:
                runs = _value_that_runs(model, members, lot)
                row = Row("coverage", None, lot.month, lot.level)
                model.add(row, dict.fromkeys(covers, 1.0) | {r: -usd for r, usd in runs.items()}, "<=", 0.0)
        for k, terms in held.items():
            if terms:
                scale = _held_by(model.fleet, k)
                scaled = {v: x / scale for v, x in terms.items()}
                model.add(Row("commitment", None, lot.month, k, scale=scale), scaled, "<=", 1.0)
        for o, terms in taken.items():
            if terms:
                bought = dict.fromkeys(_offers_that_run(model, lot)[o], -1.0)
                model.add(Row("offer", None, lot.month, o), terms | bought, "<=", 0.0)


def _define_purchases(model: MixModel) -> None:
    """q[o,t]: bounded by all that the offer could ever cover. One that nothing with a price may use is not bought."""
    fleet = model.fleet
    for o, offer in enumerate(fleet.offers):
        most = 0.0
        for s, requirement in enumerate(fleet.requirements):
            most += max((_usable(model, s, o, t) for t in model.months_of(s)), default=0.0) * requirement.zones
        for t in range(len(fleet.problem.months)):
            if most > 0 and offered_usd_per_hour(fleet, offer) > 0:
                whole = offer.product == "standard_ri"
                model.purchases[o, t] = model.variable("q", len(model.purchases), most, whole)


def _usable(model: MixModel, s: int, o: int, t: int) -> float:
    """The most that one zone of a unit could use of an offer in a month: $/h of commitment, or instances of an RI.

    Each type at its own bound: a plan may run them all, however foolish.
    """
    offer, requirement, total = model.fleet.offers[o], model.fleet.requirements[s], 0.0
    for i, c in model.allowed(s):
        rate = offered_rate(offer, requirement, c)
        if rate is not None:
            total += model.provisioned[s, i, t].upBound * (
                1.0 if offer.product == "standard_ri" else rate * c.usd_per_hour
            )
    return total


def _offers_that_run(model: MixModel, lot: Lot) -> dict[int, list[Any]]:
    """Offer -> the purchases under it that run in ``lot``."""
    out: dict[int, list[Any]] = {}
    for position in lot.bought:
        purchase = model.fleet.purchases[position]
        if (purchase.offer, purchase.month) in model.purchases:
            out.setdefault(purchase.offer, []).append(model.purchases[purchase.offer, purchase.month])
    return out


def _define_cover(
    model: MixModel,
    where: tuple[int, int],
    group: _Group,
    held: dict[int, dict[Any, float]],
    taken: dict[int, dict[Any, float]],
) -> list[Any]:
    """The cover variables of a group in a lot, entered with what each takes of its commitment or offer."""
    g, position = where
    fleet, covers = model.fleet, []
    for k in group.owned:
        # A commitment of nothing covers nothing.
        if k in held and _held_by(fleet, k) > 0:
            cover = model.cover[g, k, position] = model.variable("u", len(model.cover), None, integer=False)
            owned = fleet.commitments[k]
            is_ri = owned.product == "standard_ri"
            held[k][cover] = 1.0 / group.usd_per_hour if is_ri else fleet.problem.committed_rate[owned.id]
            covers.append(cover)
    for o, rate in group.offered:
        if o in taken:
            cover = model.variable("ub", len(model.cover_bought), None, integer=False)
            model.cover_bought[g, o, position] = cover
            is_ri = fleet.offers[o].product == "standard_ri"
            taken[o][cover] = 1.0 / group.usd_per_hour if is_ri else rate
            covers.append(cover)
    return covers


def _held_by(fleet: Fleet, k: int) -> float:
    """What commitment ``k`` holds: $/h of a Savings Plan, instances of an RI."""
    owned = fleet.commitments[k]
    return float(owned.count) if owned.product == "standard_ri" else owned.hourly_usd


def _value_that_runs(model: MixModel, members: list[tuple[int, int]], lot: Lot) -> dict[Any, float]:
    """r -> $/h of on-demand value that one instance per zone of it is in a lot, on average."""
    out: dict[Any, float] = {}
    for s, i in members:
        requirement = model.fleet.requirements[s]
        value = requirement.zones * requirement.candidates[i].usd_per_hour
        for b, share in enumerate(model.fleet.presence[s][lot.month][:, lot.level]):
            r = model.running[s, i, lot.month, b]
            out[r] = out.get(r, 0.0) + value * float(share)
    return out


def _usage_groups(model: MixModel) -> list[tuple[_Group, list[tuple[int, int]]]]:
    groups: dict[_Group, list[tuple[int, int]]] = {}
    for s, requirement in enumerate(model.fleet.requirements):
        for i, c in model.allowed(s):
            group = _group_of(model, requirement, i)
            if (group.owned or group.offered) and c.usd_per_hour > 0:
                groups.setdefault(group, []).append((s, i))
    return sorted(groups.items())


def _group_of(model: MixModel, requirement: UnitRequirement, i: int) -> _Group:
    fleet, c = model.fleet, requirement.candidates[i]
    account, region = requirement.account_id, requirement.unit.region
    owned = tuple(k for k, held in enumerate(fleet.commitments) if eligible(held, account, region, c))
    rates = ((o, offered_rate(offer, requirement, c)) for o, offer in enumerate(fleet.offers))
    offered = tuple((o, rate) for o, rate in rates if rate is not None)
    products = {fleet.commitments[k].product for k in owned} | {fleet.offers[o].product for o, _ in offered}
    if "standard_ri" in products:
        return _Group(owned, offered, c.instance_type, c.usd_per_hour)
    return _Group(owned, offered, "", 0.0)


def purchase_costs(model: MixModel) -> dict[Any, float]:
    """q -> USD over the horizon: paid in every hour from the purchase to the end of its term or of the horizon."""
    fleet = model.fleet
    hours = dict.fromkeys(model.purchases, 0.0)
    for lot in fleet.lots:
        for position in lot.bought:
            key = (fleet.purchases[position].offer, fleet.purchases[position].month)
            if key in hours:
                hours[key] += lot.hours
    price = [offered_usd_per_hour(fleet, offer) for offer in fleet.offers]
    return {model.purchases[o, t]: price[o] * span for (o, t), span in hours.items()}
