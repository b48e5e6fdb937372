"""From the whole catalogue to a unit's candidates, and what that may cost."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from capacity.config import ServiceConfig
from capacity.domain import Candidate, Excuse, InstanceType, Unit
from capacity.optimize.candidates._dominance import non_dominated, prefer_newer
from capacity.optimize.candidates._requirement import admitted, candidate, priced
from capacity.optimize.candidates._spread import needs_and_costs, spread
from capacity.optimize.candidates._terms import CapacityOf, Terms

_PLAIN = Terms()


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
    found, excuses = admitted(
        unit, service.candidates, types, on_demand_usd_per_hour, capacity_of, running_types, terms
    )
    front, dominated = non_dominated(unit, found, running_types, terms.least_types)
    front, older = prefer_newer(unit, front, running_types, service.candidates.prefer_newer_frac)
    kept, pruned = spread(unit, front, service, running_types, terms)
    barred = [
        candidate(types[name], on_demand_usd_per_hour[name], capacity_of(types[name]), terms, allowed=False)
        for name in sorted(running_types)
        if name in types and name not in {c.instance_type for c in found} and priced(name, on_demand_usd_per_hour)
    ]
    candidates = tuple(sorted([*kept, *barred], key=lambda c: c.instance_type))
    everything = [*excuses, *dominated, *older, *pruned, *_unknown(unit, types, running_types)]
    return candidates, tuple(sorted(everything, key=lambda e: e.instance_type))


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
    usable = [c for c in kept if c.allowed]
    if not found or not usable:
        return 0.0
    best = needs_and_costs(found, found, service, terms).min(axis=0)
    ratio = needs_and_costs(usable, found, service, terms).min(axis=0) / best
    return float(np.mean(ratio) - 1.0)


def _unknown(unit: Unit, types: Mapping[str, InstanceType], running_types: Collection[str]) -> list[Excuse]:
    return [
        Excuse(unit, name, "runs today, but is not in the catalogue") for name in running_types if name not in types
    ]
