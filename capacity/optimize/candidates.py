"""Which instance types may serve a unit: by requirement, by exact dominance, then a spread over sizes.

Every type that is kept out has an excuse. What the last step (a spread of at most ``max_types``) may cost is measured
by :func:`prune_loss` and stated apart from the solver's gap.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from capacity.config import CandidateConfig, ServiceConfig
from capacity.domain import Candidate, Excuse, Floats, InstanceType, Unit

# What an instance serves: (within the SLO, while zones are lost), in demand units.
CapacityOf = Callable[[InstanceType], tuple[float, float]]

_STANDARD = "L-1216C47A"

# On-Demand vCPU quotas by the letters of a family (EC2 user guide, "Quotas for On-Demand Instances", and the Service
# Quotas console, 2026). im and is are storage families and count as standard.
_QUOTA_CODES: Mapping[str, str] = {
    **dict.fromkeys(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"), _STANDARD),
    **dict.fromkeys(("g", "gr", "vt"), "L-DB2E81BA"),
    "p": "L-417A185B",
    "x": "L-7295265B",
    "f": "L-74FC7D96",
    "inf": "L-1945791B",
    "trn": "L-2C3B7624",
    "dl": "L-6E869C2A",
    "hpc": "L-F7808C92",
    "u": "L-43DA4232",
}

# Needs of a zone over which the spread is chosen: from one of the smallest instances to 64 of the largest (or the
# service's largest count), 40 steps of equal ratio. Beyond that rounding to whole instances costs nothing any more.
_LARGEST_NEED = 64
_NEED_STEPS = 40

# What a type counts for at a need that it cannot serve within the largest count, in multiples of the cheapest.
_TOO_SMALL = 10.0


def quota_code(family: str) -> str:
    """The On-Demand vCPU quota that counts ``family`` (or a whole type's name); ``other:<family>`` where unknown.

    >>> quota_code("m7g"), quota_code("vt1"), quota_code("u-6tb1.metal"), quota_code("mac2")
    ('L-1216C47A', 'L-DB2E81BA', 'L-43DA4232', 'other:mac2')
    """
    name = family.split(".")[0]
    letters = re.match(r"[a-z]+", name)
    return _QUOTA_CODES.get(letters.group(0) if letters else "", f"other:{name}")


def build_candidates(
    unit: Unit,
    service: ServiceConfig,
    types: Mapping[str, InstanceType],
    on_demand_usd_per_hour: Mapping[str, float],
    capacity_of: CapacityOf,
    running_types: Collection[str],
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
        What runs today stays, so that it can be priced and kept; where policy excludes it, as a candidate with
        ``allowed`` False: priced, never planned. Such a type has an excuse as well.

    Returns
    -------
    candidates, excuses
        At most ``service.candidates.max_types`` allowed types, plus those that run today.
    """
    admitted, excuses = _admitted(unit, service, types, on_demand_usd_per_hour, capacity_of, running_types)
    front, dominated = _non_dominated(unit, admitted, running_types)
    kept, pruned = _spread(unit, front, service, running_types)
    barred = [
        _candidate(types[name], on_demand_usd_per_hour[name], capacity_of(types[name]), allowed=False)
        for name in sorted(running_types)
        if name in types and name not in {c.instance_type for c in admitted} and _known(name, on_demand_usd_per_hour)
    ]
    candidates = tuple(sorted([*kept, *barred], key=lambda c: c.instance_type))
    everything = [*excuses, *dominated, *pruned, *_unknown(unit, types, running_types)]
    return candidates, tuple(sorted(everything, key=lambda e: e.instance_type))


def prune_loss(
    unit: Unit,
    service: ServiceConfig,
    types: Mapping[str, InstanceType],
    on_demand_usd_per_hour: Mapping[str, float],
    capacity_of: CapacityOf,
    kept: Sequence[Candidate],
) -> float:
    """How much dearer ``kept`` is than all types that may serve, as a share.

    The mean over the spread's needs of (cheapest cover of one type among ``kept``) / (the same among all) - 1. It is
    a measured figure at on-demand prices, not a bound: mixing types, quotas and commitments are left out.
    """
    runs = {c.instance_type for c in kept}
    admitted, _ = _admitted(unit, service, types, on_demand_usd_per_hour, capacity_of, runs)
    usable = [c for c in kept if c.allowed]
    if not admitted or not usable:
        return 0.0
    needs, most = _needs(admitted, service), service.max_instances_per_zone
    ratio = _cover_costs(usable, needs, most).min(axis=0) / _cover_costs(admitted, needs, most).min(axis=0)
    return float(np.mean(ratio) - 1.0)


# --- requirement -------------------------------------------------------------------------------------------


def _admitted(
    unit: Unit,
    service: ServiceConfig,
    types: Mapping[str, InstanceType],
    prices: Mapping[str, float],
    capacity_of: CapacityOf,
    running_types: Collection[str],
) -> tuple[list[Candidate], list[Excuse]]:
    """What meets the requirements and serves something, and why the others do not."""
    admitted, excuses = [], []
    for name in sorted(types):
        reason = _objection(types[name], service.candidates, prices, runs=name in running_types)
        if reason is None:
            capacity = capacity_of(types[name])
            if all(0 < x < math.inf for x in capacity):
                admitted.append(_candidate(types[name], prices[name], capacity))
                continue
            reason = "serves nothing within the SLO"
        excuses.append(Excuse(unit, name, reason))
    return admitted, excuses


def _objection(kind: InstanceType, wanted: CandidateConfig, prices: Mapping[str, float], runs: bool) -> str | None:
    """The first requirement that a type fails; the lists take a family ("m7g") or a whole name ("m7g.metal").

    A type that runs today may go on running whatever its generation: to leave it is a decision for money.
    """
    names = {kind.family, kind.name}
    per_vcpu = kind.memory_gib / kind.vcpu if kind.vcpu else 0.0
    named = wanted.allow_families is not None and kind.name in wanted.allow_families
    checks: tuple[tuple[bool, str], ...] = (
        (kind.arch not in wanted.architectures, f"architecture {kind.arch} is not asked for"),
        (wanted.allow_families is not None and names.isdisjoint(wanted.allow_families), "not in allow_families"),
        (not names.isdisjoint(wanted.deny_families), "in deny_families"),
        (kind.burstable and not wanted.burstable, "burstable"),
        (kind.bare_metal and not named, "bare metal, and not named in allow_families"),
        (
            bool(kind.special) and wanted.allow_families is None and not runs,
            f"made for special work ({kind.special}), and not named in allow_families",
        ),
        (wanted.current_generation_only and not kind.current_generation and not runs, "previous generation"),
        (kind.vcpu < wanted.min_vcpu, f"{kind.vcpu} vCPU, fewer than {wanted.min_vcpu}"),
        (kind.vcpu > wanted.max_vcpu, f"{kind.vcpu} vCPU, more than {wanted.max_vcpu}"),
        (per_vcpu < wanted.min_memory_gib_per_vcpu, f"{per_vcpu:g} GiB per vCPU, too little"),
        (not _known(kind.name, prices), "no known on-demand rate in this region"),
    )
    return next((reason for fails, reason in checks if fails), None)


def _known(name: str, prices: Mapping[str, float]) -> bool:
    """A price of nothing is no price: it is a hole in the rate card."""
    return 0 < prices.get(name, math.nan) < math.inf


def _candidate(kind: InstanceType, price: float, capacity: tuple[float, float], allowed: bool = True) -> Candidate:
    safe, zone_loss = (x if 0 <= x < math.inf else 0.0 for x in capacity)
    return Candidate(
        kind.name, kind.family, kind.arch, kind.vcpu, quota_code(kind.family), float(price), safe, zone_loss, allowed
    )


def _unknown(unit: Unit, types: Mapping[str, InstanceType], running_types: Collection[str]) -> list[Excuse]:
    return [
        Excuse(unit, name, "runs today, but is not in the catalogue") for name in running_types if name not in types
    ]


# --- dominance ---------------------------------------------------------------------------------------------


def _non_dominated(
    unit: Unit, admitted: Sequence[Candidate], running_types: Collection[str]
) -> tuple[list[Candidate], list[Excuse]]:
    """Leave out a type that another, of the same quota class, betters or equals in everything.

    Exact without type-locked commitments: wherever the dominated type is used, the other one fits at no more cost.
    """
    figures = np.array([_figures(c) for c in admitted], dtype=float).reshape(-1, 4)
    codes = np.array([c.quota_code for c in admitted])
    kept, excuses = [], []
    for i, candidate in enumerate(admitted):
        better = (figures <= figures[i]).all(axis=1) & (codes == codes[i])
        strictly = better & (figures < figures[i]).any(axis=1)
        # Of equals, the first by name stays.
        strictly[:i] |= better[:i]
        if strictly.any() and candidate.instance_type not in running_types:
            winner = admitted[int(np.flatnonzero(strictly)[0])].instance_type
            excuses.append(Excuse(unit, candidate.instance_type, f"dominated by {winner}"))
        else:
            kept.append(candidate)
    return kept, excuses


def _figures(candidate: Candidate) -> tuple[float, float, float, float]:
    """What must be no larger in a better type: price, vCPU, and capacities with their sign turned."""
    return candidate.usd_per_hour, float(candidate.vcpu), -candidate.safe, -candidate.zone_loss


# --- a spread over sizes -----------------------------------------------------------------------------------


def _spread(
    unit: Unit, front: Sequence[Candidate], service: ServiceConfig, running_types: Collection[str]
) -> tuple[list[Candidate], list[Excuse]]:
    """At most ``max_types``, chosen greedily by the mean cost of a cover over all needs, plus what runs today.

    First come the largest type (a largest count may want it), the cheapest a unit (large needs) and the one with the
    fewest vCPU a unit (tight quotas).
    """
    if not front:
        return [], []
    max_types = service.candidates.max_types
    costs = _cover_costs(front, _needs(front, service), service.max_instances_per_zone)
    relative = np.minimum(costs / costs.min(axis=0), _TOO_SMALL)
    alone = relative.mean(axis=1)
    first = (
        int(np.argmax([_binding(c) for c in front])),
        int(np.argmin([c.usd_per_hour / _binding(c) for c in front])),
        int(np.argmin([c.vcpu / _binding(c) for c in front])),
    )
    chosen = list(dict.fromkeys(first))[:max_types]
    while len(chosen) < min(max_types, len(front)):
        gains = np.minimum(relative, relative[chosen].min(axis=0)).mean(axis=1)
        left = [i for i in range(len(front)) if i not in chosen]
        # Where nothing is left to gain, the type that would do best alone: another family, for the day it is scarce.
        chosen.append(min(left, key=lambda i: (round(float(gains[i]), 9), alone[i], i)))
    names = {front[i].instance_type for i in chosen} | set(running_types)
    kept = [c for c in front if c.instance_type in names]
    reason = f"not among the {max_types} types that cover all sizes of need at least cost"
    return kept, [Excuse(unit, c.instance_type, reason) for c in front if c.instance_type not in names]


def _binding(candidate: Candidate) -> float:
    return min(candidate.safe, candidate.zone_loss)


def _needs(candidates: Sequence[Candidate], service: ServiceConfig) -> Floats:
    capacities = [_binding(c) for c in candidates]
    most = min(_LARGEST_NEED, service.max_instances_per_zone)
    needs: Floats = np.geomspace(min(capacities), most * max(capacities), _NEED_STEPS)
    return needs


def _cover_costs(candidates: Sequence[Candidate], needs: Floats, most: int) -> Floats:
    """(candidates, needs) $/h of serving each need with whole instances of one type; inf where more than ``most``."""
    capacity = np.array([_binding(c) for c in candidates])[:, None]
    price = np.array([c.usd_per_hour for c in candidates])[:, None]
    # The ends of the needs are whole counts: a hair below keeps them so.
    counts = np.ceil(needs / capacity * (1 - 1e-12))
    costs: Floats = np.where(counts <= most, counts * price, np.inf)
    return costs
