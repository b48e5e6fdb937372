"""At most so many types that together cover all sizes of need at little cost."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from capacity.config import ServiceConfig
from capacity.domain import Excuse, Floats, Unit
from capacity.optimize.candidates._kinds import Ints
from capacity.optimize.candidates._offered import Offered
from capacity.optimize.candidates._terms import Terms

# Needs of a zone over which the spread is chosen: from one of the smallest instances to 64 of the largest (or the
# service's largest count), 40 steps of equal ratio. Beyond that rounding to whole instances costs nothing any more.
_LARGEST_NEED = 64
_NEED_STEPS = 40

# What a type counts for at a need that it cannot serve within the largest count, in multiples of the cheapest.
_TOO_SMALL = 10.0


# Gains that are equal to this many decimals are equal.
_DECIMALS = 9


def spread(
    unit: Unit, front: Offered, service: ServiceConfig, kept_types: Collection[str], terms: Terms
) -> tuple[Ints, list[Excuse]]:
    """At most ``max_types``, chosen greedily by the mean cost of a cover over all needs, plus ``kept_types``.

    Cost is that on demand, and as much that under the commitments that may be bought, where these have several rates.

    First come the largest type (a largest count may want it), the cheapest a unit (large needs), the one with the
    fewest vCPU a unit (tight quotas), the cheapest spot where there is spot, and the cheapest for each further
    resource. What is given back are positions, in order.
    """
    if not len(front):
        return np.zeros(0, dtype=np.intp), []
    max_types = service.candidates.max_types
    priced = [front] if front.even else [front, front.committed()]
    parts = [needs_and_costs(one, one, service, terms) for one in priced]
    relative = np.concatenate([np.minimum(c / c.min(axis=0), _TOO_SMALL) for c in parts], axis=1)
    first = [i for one in priced for i in _first(one, terms)]
    first = [*first, *_first_spot(front, terms), *_first_further(front)]
    chosen = _greedy(relative, list(dict.fromkeys(first))[:max_types], min(max_types, len(front)))
    names = {front.names[i] for i in chosen} | set(kept_types)
    stays = np.array([name in names for name in front.names], dtype=bool)
    reason = f"not among the {max_types} types that cover all sizes of need at least cost"
    return np.flatnonzero(stays), [Excuse(unit, front.names[i], reason) for i in np.flatnonzero(~stays).tolist()]


def _greedy(relative: Floats, chosen: list[int], most: int) -> list[int]:
    """``chosen`` and what lowers the mean of ``relative`` (types, needs) most, one after the other, up to ``most``."""
    # Where nothing is left to gain, the type that would do best alone: another family, for the day it is scarce.
    left = np.argsort(relative.mean(axis=1), kind="stable")
    left = left[~np.isin(left, chosen)]
    reached = relative[chosen].min(axis=0)
    while len(chosen) < most:
        gains = np.minimum(relative, reached).mean(axis=1)[left]
        near = np.flatnonzero(gains <= gains.min() + 2 * 10.0**-_DECIMALS)
        rounded = [round(gain, _DECIMALS) for gain in gains[near].tolist()]
        at = near[rounded.index(min(rounded))]
        chosen.append(int(left[at]))
        reached = np.minimum(reached, relative[left[at]])
        left = np.delete(left, at)
    return chosen


def _first(front: Offered, terms: Terms) -> list[int]:
    """By what they carry in the busiest hours; and the cheapest for demand alone, beside which others may hold more."""
    carried = _along(front, terms.rays[0] if terms.rays else {})
    each = np.where(carried > 0, carried, np.nan)
    found = (
        []
        if np.isnan(each).all()
        else [np.nanargmax(each), np.nanargmin(front.usd / each), np.nanargmin(front.vcpu / each)]
    )
    if terms.rays or not found:
        found.append(np.argmin(front.usd / front.binding))
    return [int(i) for i in found]


def _first_spot(front: Offered, terms: Terms) -> list[int]:
    """The cheapest spot a unit that is relied on; as many as must run beside each other."""
    offered = np.flatnonzero(front.has_spot)
    relied = front.binding[offered] * (1.0 - front.spot_buffer[offered])
    usd = np.divide(front.spot_usd[offered], relied, out=np.full(len(offered), np.inf), where=relied > 0)
    return [int(i) for i in offered[np.argsort(usd, kind="stable")][: terms.least_types]]


def _first_further(front: Offered) -> list[int]:
    out = []
    for held in front.further.values():
        least = held.min(axis=1)
        usd = np.divide(front.usd, least, out=np.full(len(front), np.inf), where=least > 0)
        out.append(int(np.argmin(usd)))
    return out


def needs_and_costs(of: Offered, among: Offered, service: ServiceConfig, terms: Terms) -> Floats:
    """(types of ``of``, needs) $/h of serving each need with one type; the needs are those of ``among``.

    Along each ray a need of demand comes with a proportionate need of each further resource.
    """
    rays: tuple[Mapping[str, float], ...] = terms.rays or ({},)
    most = service.max_instances_per_zone
    parts = [_cover_costs(of, _along(of, ray), _needs(_along(among, ray), most), most) for ray in rays]
    return np.concatenate([p for p in parts if p.size] or [np.ones((len(of), 1))], axis=1)


def _along(offered: Offered, ray: Mapping[str, float]) -> Floats:
    """(types,) demand that one instance carries, its share of the further resources held as well."""
    carried = offered.binding
    for resource, amount in ray.items():
        if amount > 0:
            held = offered.further.get(resource)
            carried = np.minimum(carried, 0.0 if held is None else held.min(axis=1) / amount)
    return carried


def _needs(capacities: Floats, most_per_zone: int) -> Floats:
    usable = capacities[capacities > 0]
    if not len(usable):
        return np.zeros(0)
    most = min(_LARGEST_NEED, most_per_zone)
    needs: Floats = np.geomspace(usable.min(), most * usable.max(), _NEED_STEPS)
    return needs


def _cover_costs(offered: Offered, capacities: Floats, needs: Floats, most: int) -> Floats:
    """(types, needs) $/h of serving each need with whole instances of one type; inf where more than ``most``."""
    capacity = np.where(capacities > 0, capacities, np.nan)[:, None]
    # The ends of the needs are whole counts: a hair below keeps them so.
    counts = np.ceil(needs / capacity * (1 - 1e-12))
    costs: Floats = np.where(counts <= most, counts * offered.usd[:, None], np.inf)
    return costs
