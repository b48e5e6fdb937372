"""From the whole catalogue to a unit's candidates, and what that may cost."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from capacity.config import ServiceConfig
from capacity.domain import Candidate, Excuse, InstanceType, Unit
from capacity.optimize.candidates._dominance import non_dominated, prefer_newer
from capacity.optimize.candidates._kinds import Ints
from capacity.optimize.candidates._offered import Offered, candidate, offered_of
from capacity.optimize.candidates._requirement import Admitted, admitted, priced
from capacity.optimize.candidates._spread import needs_and_costs, spread
from capacity.optimize.candidates._terms import CapacityOf, Terms

_PLAIN = Terms()
_BY_NAME = attrgetter("instance_type")


@dataclass(frozen=True)
class Chosen:
    """What :func:`build_candidates` and :func:`prune_loss` say of a unit, found in one go."""

    candidates: tuple[Candidate, ...]
    excuses: tuple[Excuse, ...]
    prune_loss_frac: float


def build_candidates(
    unit: Unit,
    service: ServiceConfig,
    types: Mapping[str, InstanceType],
    on_demand_usd_per_hour: Mapping[str, float],
    capacity_of: CapacityOf,
    running_types: Collection[str],
    terms: Terms = _PLAIN,
) -> tuple[tuple[Candidate, ...], tuple[Excuse, ...]]:
    """Candidates of ``unit`` by name, and an excuse for every other type of the catalogue.

    Parameters
    ----------
    types
        The whole catalogue.
    on_demand_usd_per_hour
        Known rates in the unit's region; a type without one is kept out, its rate is never guessed.
    capacity_of
        (safe, zone_loss) demand per instance; called only for types that may serve.
    running_types
        What runs today (or is reserved) stays, so that it can be priced and kept; where policy excludes it, as a
        candidate with ``allowed`` False: priced, never planned. Such a type has an excuse as well.
    terms
        Further resources, spot, and how many types must run beside each other.

    Returns
    -------
    candidates, excuses
        At most ``service.candidates.max_types`` allowed types, plus those that run today.
    """
    return _built(unit, service, types, on_demand_usd_per_hour, capacity_of, running_types, terms)[:2]


def choose_candidates(
    unit: Unit,
    service: ServiceConfig,
    types: Mapping[str, InstanceType],
    on_demand_usd_per_hour: Mapping[str, float],
    capacity_of: CapacityOf,
    running_types: Collection[str],
    terms: Terms = _PLAIN,
) -> Chosen:
    """:func:`build_candidates` with the :func:`prune_loss` of what it keeps, for less than both apart.

    What may serve is the same for both: a running type that is kept against policy is priced, but serves nothing that
    is counted.
    """
    kept, excuses, found = _built(unit, service, types, on_demand_usd_per_hour, capacity_of, running_types, terms)
    return Chosen(kept, excuses, _loss(service, found.offered, kept, terms))


def _built(
    unit: Unit,
    service: ServiceConfig,
    types: Mapping[str, InstanceType],
    on_demand_usd_per_hour: Mapping[str, float],
    capacity_of: CapacityOf,
    running_types: Collection[str],
    terms: Terms,
) -> tuple[tuple[Candidate, ...], tuple[Excuse, ...], Admitted]:
    found, excuses = admitted(
        unit, service.candidates, types, on_demand_usd_per_hour, capacity_of, running_types, terms
    )
    kept, less = _kept(unit, service, found, running_types, terms)
    barred = [
        candidate(types[name], on_demand_usd_per_hour[name], capacity_of(types[name]), terms, allowed=False)
        for name in sorted(set(running_types).difference(found.offered.names))
        if name in types and priced(name, on_demand_usd_per_hour)
    ]
    candidates = tuple(sorted([*kept, *barred], key=_BY_NAME))
    everything = [*excuses, *less, *_unknown(unit, types, running_types)]
    return candidates, tuple(sorted(everything, key=_BY_NAME)), found


def _kept(
    unit: Unit, service: ServiceConfig, found: Admitted, running_types: Collection[str], terms: Terms
) -> tuple[list[Candidate], list[Excuse]]:
    """Of what may serve, what is neither dominated, nor older, nor beside the spread."""
    at, dominated = non_dominated(unit, found.offered, running_types, terms.least_types)
    older: list[Excuse] = []
    if service.candidates.prefer_newer_frac > 0:
        newer, older = prefer_newer(
            unit, _candidates(found, at, terms), running_types, service.candidates.prefer_newer_frac
        )
        names = {c.instance_type for c in newer}
        at = at[[found.offered.names[i] in names for i in at.tolist()]]
    kept, pruned = spread(unit, found.offered.take(at), service, running_types, terms)
    return _candidates(found, at[kept], terms), [*dominated, *older, *pruned]


def _candidates(found: Admitted, at: Ints, terms: Terms) -> list[Candidate]:
    return [candidate(found.types[i], found.prices[i], found.capacities[i], terms) for i in at.tolist()]


def prune_loss(
    unit: Unit,
    service: ServiceConfig,
    types: Mapping[str, InstanceType],
    on_demand_usd_per_hour: Mapping[str, float],
    capacity_of: CapacityOf,
    kept: Sequence[Candidate],
    terms: Terms = _PLAIN,
) -> float:
    """How much dearer ``kept`` is than all types that may serve, as a share.

    The mean over the spread's needs of (cheapest cover of one type among ``kept``) / (the same among all) - 1. It is
    a measured figure at on-demand prices, not a bound: mixing types, spot, quotas and commitments are left out. What a
    preference for newer generations costs is in it.
    """
    runs = {c.instance_type for c in kept}
    found, _ = admitted(unit, service.candidates, types, on_demand_usd_per_hour, capacity_of, runs, terms)
    return _loss(service, found.offered, kept, terms)


def _loss(service: ServiceConfig, found: Offered, kept: Sequence[Candidate], terms: Terms) -> float:
    usable = offered_of([c for c in kept if c.allowed])
    if not len(found) or not len(usable):
        return 0.0
    best = needs_and_costs(found, found, service, terms).min(axis=0)
    ratio = needs_and_costs(usable, found, service, terms).min(axis=0) / best
    return float(np.mean(ratio) - 1.0)


def _unknown(unit: Unit, types: Mapping[str, InstanceType], running_types: Collection[str]) -> list[Excuse]:
    return [
        Excuse(unit, name, "runs today, but is not in the catalogue") for name in running_types if name not in types
    ]
