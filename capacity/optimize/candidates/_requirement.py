"""What a type must be to serve a unit at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from capacity.config import CandidateConfig
from capacity.domain import Excuse, Floats, InstanceType, Unit
from capacity.optimize.candidates._kinds import Bools, Kinds, kinds_of
from capacity.optimize.candidates._offered import Offered, further_of
from capacity.optimize.candidates._terms import CapacityOf, Terms


@dataclass(frozen=True)
class Admitted:
    """What meets the requirements and serves something: the types, what each serves, and all as arrays."""

    types: tuple[InstanceType, ...]
    capacities: tuple[tuple[float, float], ...]
    prices: tuple[float, ...]
    offered: Offered


def admitted(
    unit: Unit,
    wanted: CandidateConfig,
    types: Mapping[str, InstanceType],
    prices: Mapping[str, float],
    capacity_of: CapacityOf,
    kept: Collection[str],
    terms: Terms,
) -> tuple[Admitted, list[Excuse]]:
    """What meets the requirements and serves something, and why the others do not."""
    kinds = kinds_of(types)
    usd = np.array([prices.get(k.name, math.nan) for k in kinds.types], dtype=float)
    first, reasons = _objections(kinds, wanted, usd, kinds.keyed(kept))
    found: list[int] = []
    capacities: list[tuple[float, float]] = []
    excuses: list[Excuse] = []
    for i, at in enumerate(first.tolist()):
        kind = kinds.types[i]
        if at < len(reasons):
            excuses.append(Excuse(unit, kinds.names[i], reasons[at](kind)))
            continue
        capacity = capacity_of(kind)
        if all(0 < x < math.inf for x in capacity):
            found.append(i)
            capacities.append(capacity)
        else:
            reason = terms.nothing_reason(kind) or "serves nothing within the SLO"
            excuses.append(Excuse(unit, kinds.names[i], reason))
    return _admitted(kinds, found, capacities, prices, terms), excuses


def _admitted(
    kinds: Kinds, found: Sequence[int], capacities: Sequence[tuple[float, float]], prices: Mapping[str, float],
    terms: Terms,
) -> Admitted:  # fmt: skip
    chosen = tuple(kinds.types[i] for i in found)
    rates = tuple(prices[kinds.names[i]] for i in found)
    serves = np.array(capacities, dtype=float).reshape(len(found), 2)
    spot = [terms.spot.get(k.name) for k in chosen]
    offered = Offered(
        names=tuple(k.name for k in chosen),
        usd=np.array(rates, dtype=float),
        vcpu=kinds.vcpu[found],
        safe=serves[:, 0],
        zone_loss=serves[:, 1],
        further=further_of([terms.further_of(k) for k in chosen]),
        spot_usd=np.array([s.usd_per_hour if s else math.inf for s in spot], dtype=float),
        spot_buffer=np.array([s.buffer_frac if s else 1.0 for s in spot], dtype=float),
        has_spot=np.array([s is not None for s in spot], dtype=bool),
        committed_usd=np.array(
            [usd * terms.committed_rate.get(k.name, 1.0) for usd, k in zip(rates, chosen, strict=True)], dtype=float
        ),
        quotas=kinds.quotas[found],
        spot_quotas=kinds.spot_quotas[found],
    )
    return Admitted(chosen, tuple(capacities), rates, offered)


def _objections(
    kinds: Kinds, wanted: CandidateConfig, usd: Floats, runs: Bools
) -> tuple[Floats, tuple[Callable[[InstanceType], str], ...]]:
    """(types,) position of the first requirement that each fails (their number where none), and the words of each.

    The lists take a family ("m7g") or a whole name ("m7g.metal"). A type that runs today may go on running whatever
    its generation: to leave it is a decision for money.
    """
    listed = wanted.allow_families
    everything = np.ones(len(kinds.types), dtype=bool)
    allowed = everything if listed is None else kinds.any_of(listed)
    named = ~everything if listed is None else kinds.named(listed)
    denied = kinds.any_of(wanted.deny_families) if wanted.deny_families else ~everything
    no_baseline = kinds.is_burstable & ~kinds.has_baseline & ~runs
    checks: tuple[tuple[Bools, Callable[[InstanceType], str]], ...] = (
        (~np.isin(kinds.arch, wanted.architectures), lambda k: f"architecture {k.arch} is not asked for"),
        (~allowed, lambda k: "not in allow_families"),
        (denied, lambda k: "in deny_families"),
        (kinds.is_burstable & (not wanted.burstable), lambda k: "burstable"),
        (
            no_baseline & (wanted.burstable_baseline_frac is None),
            lambda k: "burstable, its baseline is not known and burstable_baseline_frac not given",
        ),
        (kinds.is_bare_metal & ~named, lambda k: "bare metal, and not named in allow_families"),
        (
            kinds.is_special & (listed is None) & ~runs,
            lambda k: f"made for special work ({k.special}), and not named in allow_families",
        ),
        (~kinds.is_current & wanted.current_generation_only & ~runs, lambda k: "previous generation"),
        (kinds.vcpu < wanted.min_vcpu, lambda k: f"{k.vcpu} vCPU, fewer than {wanted.min_vcpu}"),
        (kinds.vcpu > wanted.max_vcpu, lambda k: f"{k.vcpu} vCPU, more than {wanted.max_vcpu}"),
        (kinds.gib_per_vcpu < wanted.min_memory_gib_per_vcpu, lambda k: f"{_gib(k):g} GiB per vCPU, too little"),
        (~((usd > 0) & (usd < math.inf)), lambda k: "no known on-demand rate in this region"),
    )
    fails = np.array([*(failed for failed, _ in checks), everything])
    return fails.argmax(axis=0), tuple(words for _, words in checks)


def _gib(kind: InstanceType) -> float:
    """Memory of each vCPU."""
    return kind.memory_gib / kind.vcpu if kind.vcpu else 0.0


def priced(name: str, prices: Mapping[str, float]) -> bool:
    """A price of nothing is no price: it is a hole in the rate card."""
    return 0 < prices.get(name, math.nan) < math.inf
