"""At most so many types that together cover all sizes of need at little cost."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from capacity.config import ServiceConfig
from capacity.domain import Candidate, Excuse, Floats, Unit
from capacity.optimize.candidates._terms import Terms

# Needs of a zone over which the spread is chosen: from one of the smallest instances to 64 of the largest (or the
# service's largest count), 40 steps of equal ratio. Beyond that rounding to whole instances costs nothing any more.
_LARGEST_NEED = 64
_NEED_STEPS = 40

# What a type counts for at a need that it cannot serve within the largest count, in multiples of the cheapest.
_TOO_SMALL = 10.0


def spread(
    unit: Unit, front: Sequence[Candidate], service: ServiceConfig, kept_types: Collection[str], terms: Terms
) -> tuple[list[Candidate], list[Excuse]]:
    """At most ``max_types``, chosen greedily by the mean cost of a cover over all needs, plus ``kept_types``.

    First come the largest type (a largest count may want it), the cheapest a unit (large needs), the one with the
    fewest vCPU a unit (tight quotas), the cheapest spot where there is spot, and the cheapest for each further
    resource.
    """
    if not front:
        return [], []
    max_types = service.candidates.max_types
    costs = needs_and_costs(front, front, service, terms)
    relative = np.minimum(costs / costs.min(axis=0), _TOO_SMALL)
    alone = relative.mean(axis=1)
    first = [*_first(front, terms), *_first_spot(front, terms), *_first_further(front)]
    chosen = list(dict.fromkeys(first))[:max_types]
    while len(chosen) < min(max_types, len(front)):
        gains = np.minimum(relative, relative[chosen].min(axis=0)).mean(axis=1)
        left = [i for i in range(len(front)) if i not in chosen]
        # Where nothing is left to gain, the type that would do best alone: another family, for the day it is scarce.
        chosen.append(min(left, key=lambda i: (round(float(gains[i]), 9), alone[i], i)))
    names = {front[i].instance_type for i in chosen} | set(kept_types)
    kept = [c for c in front if c.instance_type in names]
    reason = f"not among the {max_types} types that cover all sizes of need at least cost"
    return kept, [Excuse(unit, c.instance_type, reason) for c in front if c.instance_type not in names]


def _first(front: Sequence[Candidate], terms: Terms) -> list[int]:
    """By what they carry in the busiest hours; and the cheapest for demand alone, beside which others may hold more."""
    carried = _along(front, terms.rays[0] if terms.rays else {})
    usd, vcpu = (np.array([getattr(c, name) for c in front], dtype=float) for name in ("usd_per_hour", "vcpu"))
    each = np.where(carried > 0, carried, np.nan)
    found = [] if np.isnan(each).all() else [np.nanargmax(each), np.nanargmin(usd / each), np.nanargmin(vcpu / each)]
    if terms.rays or not found:
        found.append(np.argmin(usd / np.array([_binding(c) for c in front])))
    return [int(i) for i in found]


def _first_spot(front: Sequence[Candidate], terms: Terms) -> list[int]:
    """The cheapest spot a unit that is relied on; as many as must run beside each other."""

    def usd(i: int) -> float:
        relied = _binding(front[i]) * (1.0 - front[i].spot_buffer_frac)
        return (front[i].spot_usd_per_hour or 0.0) / relied if relied > 0 else np.inf

    offered = [i for i, c in enumerate(front) if c.spot_usd_per_hour is not None]
    return sorted(offered, key=lambda i: (usd(i), i))[: terms.least_types]


def _first_further(front: Sequence[Candidate]) -> list[int]:
    resources = sorted({r for c in front for r in c.further})
    holding = {r: [min(c.further.get(r, (0.0, 0.0))) for c in front] for r in resources}
    return [
        int(np.argmin([c.usd_per_hour / held if held > 0 else np.inf for c, held in zip(front, amounts, strict=True)]))
        for amounts in holding.values()
    ]


def _binding(candidate: Candidate) -> float:
    return min(candidate.safe, candidate.zone_loss)


def needs_and_costs(
    of: Sequence[Candidate], among: Sequence[Candidate], service: ServiceConfig, terms: Terms
) -> Floats:
    """(types of ``of``, needs) $/h of serving each need with one type; the needs are those of ``among``.

    Along each ray a need of demand comes with a proportionate need of each further resource.
    """
    rays: tuple[Mapping[str, float], ...] = terms.rays or ({},)
    most = service.max_instances_per_zone
    parts = [_cover_costs(of, _along(of, ray), _needs(_along(among, ray), most), most) for ray in rays]
    return np.concatenate([p for p in parts if p.size] or [np.ones((len(of), 1))], axis=1)


def _along(candidates: Sequence[Candidate], ray: Mapping[str, float]) -> Floats:
    """(types,) demand that one instance carries, its share of the further resources held as well."""
    return np.array(
        [
            min(_binding(c), *(min(c.further.get(r, (0.0, 0.0))) / amount for r, amount in ray.items() if amount > 0))
            if ray
            else _binding(c)
            for c in candidates
        ]
    )


def _needs(capacities: Floats, most_per_zone: int) -> Floats:
    usable = capacities[capacities > 0]
    if not len(usable):
        return np.zeros(0)
    most = min(_LARGEST_NEED, most_per_zone)
    needs: Floats = np.geomspace(usable.min(), most * usable.max(), _NEED_STEPS)
    return needs


def _cover_costs(candidates: Sequence[Candidate], capacities: Floats, needs: Floats, most: int) -> Floats:
    """(candidates, needs) $/h of serving each need with whole instances of one type; inf where more than ``most``."""
    capacity = np.where(capacities > 0, capacities, np.nan)[:, None]
    price = np.array([c.usd_per_hour for c in candidates])[:, None]
    # The ends of the needs are whole counts: a hair below keeps them so.
    counts = np.ceil(needs / capacity * (1 - 1e-12))
    costs: Floats = np.where(counts <= most, counts * price, np.inf)
    return costs
