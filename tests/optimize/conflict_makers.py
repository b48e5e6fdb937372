"""Seeded conflicts of many kinds, small or inside a large fleet: each knows its requirements and how to take one away.

Sizes are drawn, the conflict is by construction: a need is counted in whole instances of the seeded types, and what is
asked is one step too much.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from capacity.domain import (
    Candidate,
    CapacityReservation,
    MixProblem,
)
from tests.optimize.makers import ACCOUNT, HOURS, MONTHS, REGION, STANDARD, problem, quota, unit

GPU, SPOT = "L-DB2E81BA", "L-34B43A08"
PLENTY = 1e6

Remove = Callable[[MixProblem], MixProblem]


@dataclass(frozen=True)
class Conflict:
    """``parts``: what must be named (a piece of its line), and the problem without it.

    ``relaxes`` are the kinds of change that the smallest relaxation may consist of; none where only the caller can
    mend it.
    """

    problem: MixProblem
    parts: tuple[tuple[str, Remove], ...]
    relaxes: frozenset[str] = frozenset()


def seeded(kind: str, seed: int) -> Conflict:
    return KINDS[kind](np.random.default_rng([seed, sorted(KINDS).index(kind)]))


def inside(conflict: Conflict, fleet: MixProblem) -> MixProblem:
    """The conflict among the units of ``fleet``, which have accounts of their own."""
    own = conflict.problem
    months = tuple(sorted({*own.months, *fleet.months}))
    return replace(
        fleet,
        months=months,
        month_hours=HOURS[: len(months)],
        requirements=(*fleet.requirements, *own.requirements),
        quotas=(*fleet.quotas, *own.quotas),
        reservations=own.reservations,
    )


def large_fleet(units: int = 200, blocks: int = 10, types: int = 12, seed: int = 1) -> MixProblem:
    """Many units on one ample quota: ten blocks, a dozen types, median need 9 vCPU a zone."""
    rng = np.random.default_rng(seed)
    requirements = []
    for k in range(units):
        kinds = [_kind(rng, i) for i in range(types)]
        peak = 27.0 * math.exp(rng.normal(0, 1)) * 0.6
        shape = np.sort(rng.uniform(0.3, 1.0, blocks))[::-1]
        loads = [peak * float(x / shape[0]) for x in shape]
        requirements.append(unit(f"u{k:03d}", loads, kinds, account="2222", most=400, autoscaled=bool(k % 4)))
    return problem(*requirements, quotas=[quota(PLENTY, account="2222")])


def _kind(rng: np.random.Generator, i: int) -> Candidate:
    vcpu = 2 ** (1 + i % 4)
    safe = vcpu * 0.6 * float(rng.uniform(0.9, 1.1))
    name = f"{'mcr'[i % 3]}{5 + i // 4}.s{vcpu}"
    price = 0.048 * vcpu * float(rng.uniform(0.85, 1.15))
    return Candidate(name, name.split(".")[0], "x86_64", vcpu, STANDARD, price, safe, safe * 1.4)


# --- pieces ------------------------------------------------------------------------------------------------


def _type(name: str, vcpu: int, safe: float, lost: float = 1.5, **more: object) -> Candidate:
    """Serves ``lost`` times as much with a zone gone: below 1.5, of three zones, zone loss binds."""
    c = Candidate(name, name.split(".")[0], "x86_64", vcpu, STANDARD, 0.05 * vcpu, safe, safe * lost)
    return replace(c, **more)  # type: ignore[arg-type]


def _types(rng: np.random.Generator, lost: float = 1.6) -> tuple[float, list[Candidate]]:
    """Two sizes of one family: what the smaller (2 vCPU) serves, and both."""
    safe = float(rng.uniform(8, 12))
    return safe, [_type("m5.large", 2, safe, lost), _type("m5.xlarge", 4, 2 * safe, lost)]


def _need(count: int, safe: float) -> float:
    """Demand of three zones that ``count`` small instances a zone just hold."""
    return 3 * count * safe * 0.98


def _of_unit(name: str = "a", **fields: object) -> Remove:
    def remove(p: MixProblem) -> MixProblem:
        changed = tuple(replace(r, **fields) if r.unit.service == name else r for r in p.requirements)  # type: ignore[arg-type]
        return replace(p, requirements=changed)

    return remove


def _blocks(name: str = "a", **fields: object) -> Remove:
    def remove(p: MixProblem) -> MixProblem:
        return replace(
            p,
            requirements=tuple(
                replace(r, blocks=tuple(replace(b, **fields) for b in r.blocks)) if r.unit.service == name else r  # type: ignore[arg-type]
                for r in p.requirements
            ),
        )

    return remove


def _ample(code: str = STANDARD) -> Remove:
    return lambda p: replace(p, quotas=tuple(replace(q, limit=PLENTY) if q.code == code else q for q in p.quotas))


NO_DEMAND, NO_ZONE_LOSS = _blocks(demand=0.0), _of_unit(zones_survived=0)
NO_MAXIMUM, NO_MINIMUM = _of_unit(max_per_zone=1000), _of_unit(min_per_zone=0)
NO_PIN = _of_unit(pinned=None)


# --- kinds -------------------------------------------------------------------------------------------------


def _quota_in_one_month(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(3, 9))
    r = unit("a", {MONTHS[0]: [_need(1, safe)], MONTHS[1]: [_need(k, safe)]}, types, months=MONTHS)
    p = problem(r, months=MONTHS, quotas=[quota(6.0 * k - 1)])
    return Conflict(p, (("needed in 2026-02", _ample()), ("in 2026-02 b1 (", NO_DEMAND)), frozenset({"quota"}))


def _quota_and_zone_loss(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng, lost=1.0)
    k = int(rng.integers(4, 10))
    p = problem(unit("a", [_need(k, safe)], types), quotas=[quota(6.0 * k)])
    return Conflict(p, (("quota", _ample()), ("with 1 of 3 zones lost", NO_ZONE_LOSS)), frozenset({"quota"}))


def _two_quotas_together(rng: np.random.Generator) -> Conflict:
    safe = float(rng.uniform(8, 12))
    both = [_type("m5.large", 2, safe, 1.6), _type("g5.large", 2, safe, 1.6, quota_code=GPU)]
    k = int(rng.integers(2, 6))
    p = problem(
        unit("a", [_need(k, safe)], both), unit("b", [_need(k, safe)], both),
        quotas=[quota(6.0 * k), quota(6.0 * (k - 1), code=GPU)],
    )  # fmt: skip
    parts = (
        ("quota L-1216C47A", _ample()), (f"quota {GPU}", _ample(GPU)),
        ("a/us-east-1: demand", NO_DEMAND), ("b/us-east-1: demand", _blocks("b", demand=0.0)),
    )  # fmt: skip
    return Conflict(p, parts, frozenset({"quota"}))


def _joint_units_on_one_quota(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k, m = (int(x) for x in rng.integers(3, 8, 2))
    p = problem(
        unit("a", [_need(k, safe)], types), unit("b", [_need(m, safe)], types), quotas=[quota(6.0 * (k + m) - 2)]
    )
    parts = (
        ("quota", _ample()), ("a/us-east-1: demand", NO_DEMAND), ("b/us-east-1: demand", _blocks("b", demand=0.0, ))
    )  # fmt: skip
    return Conflict(p, parts, frozenset({"quota"}))


def _maximum_and_demand(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(3, 9))
    p = problem(unit("a", [_need(2 * k, safe)], types, most=k - 1, survived=0))
    return Conflict(p, (("demand of", NO_DEMAND), ("at most", NO_MAXIMUM)), frozenset({"maximum", "demand"}))


def _maximum_and_zone_loss(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng, lost=1.0)
    k = int(rng.integers(4, 9))
    p = problem(unit("a", [_need(2 * k, safe)], types, most=k))
    parts = (("with 1 of 3 zones lost", NO_ZONE_LOSS), ("at most", NO_MAXIMUM))
    return Conflict(p, parts, frozenset({"maximum", "zones_survived"}))


def _minimum_and_maximum(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(2, 9))
    p = problem(unit("a", [_need(1, safe)], types, least=k + 1, most=k))
    return Conflict(p, (("at least", NO_MINIMUM), ("at most", NO_MAXIMUM)), frozenset({"maximum", "minimum"}))


def _vertical_and_demand(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(1, 4))
    r = unit("a", [_need(2 * k + 1, safe)], types, vertical=True, running={("m5.large", z): k for z in "abc"})
    return Conflict(
        problem(r),
        (("demand of", NO_DEMAND), ("vertical, ", _of_unit(vertical=False))),
        frozenset({"vertical", "demand"}),
    )


def _vertical_and_maximum(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(2, 6))
    r = unit("a", [_need(1, safe)], types, most=k - 1, vertical=True, running={("m5.large", z): k for z in "abc"})
    return Conflict(
        problem(r), (("at most", NO_MAXIMUM), ("vertical, ", _of_unit(vertical=False))), frozenset({"maximum"})
    )


def _pinned_and_demand(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(2, 8))
    r = unit("a", [_need(k + 1, safe)], types, pinned={(MONTHS[0], "m5.large"): k})
    return Conflict(problem(r), (("demand of", NO_DEMAND), ("pinned to", NO_PIN)), frozenset({"pinned", "demand"}))


def _pinned_and_quota(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(3, 8))
    r = unit("a", [_need(1, safe)], types, pinned={(MONTHS[0], "m5.xlarge"): k})
    p = problem(r, quotas=[quota(12.0 * k - 3)])
    return Conflict(p, (("quota", _ample()), ("pinned to", NO_PIN)), frozenset({"quota", "pinned"}))


def _pinned_and_maximum(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(3, 8))
    p = problem(unit("a", [_need(1, safe)], types, most=k - 1, pinned={(MONTHS[0], "m5.large"): k}))
    return Conflict(p, (("at most", NO_MAXIMUM), ("pinned to", NO_PIN)), frozenset({"maximum", "pinned"}))


def _no_candidate(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    p = problem(unit("a", [_need(2, safe)], []))
    return Conflict(p, (("leave no instance type", _of_unit(candidates=tuple(types))),))


def _only_what_policy_bars(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    barred = [replace(c, allowed=False) for c in types]
    p = problem(unit("a", [_need(2, safe)], barred, running={("m5.large", z): 2 for z in "abc"}))
    return Conflict(p, (("against it", _of_unit(candidates=tuple(types))),), frozenset({"allow"}))


def _zones_survived(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    zones = int(rng.integers(1, 3))
    p = problem(unit("a", [_need(2, safe)], types, zones=zones, survived=zones))
    parts = ((f"{zones} zone(s)", _of_unit(zones=zones + 1)), ("zone(s) lost", NO_ZONE_LOSS))
    return Conflict(p, parts, frozenset({"zones_survived"}))


def _with_memory(p: MixProblem, wanted: float) -> MixProblem:
    return _blocks(further={"memory_gib": wanted})(p)


def _further_that_no_type_holds(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    p = _with_memory(problem(unit("a", [_need(2, safe)], types)), 100.0)
    held = tuple(replace(c, further={"memory_gib": (50.0, 50.0)}) for c in types)
    parts = (("holds any memory_gib", _of_unit(candidates=held)), ("100 of memory_gib", _blocks(further={})))
    return Conflict(p, parts)


def _holding(types: list[Candidate], normal: float, lost: float) -> list[Candidate]:
    return [replace(c, further={"memory_gib": (c.vcpu * normal, c.vcpu * lost)}) for c in types]


def _further_and_maximum(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(3, 8))
    p = _with_memory(problem(unit("a", [_need(1, safe)], _holding(types, 4, 8), most=k - 1)), 3 * 16 * k - 8.0)
    parts = (("of memory_gib in", _blocks(further={})), ("at most", NO_MAXIMUM))
    return Conflict(p, parts, frozenset({"maximum", "further"}))


def _further_with_a_zone_lost(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(3, 8))
    p = _with_memory(problem(unit("a", [_need(1, safe)], _holding(types, 4, 4), most=k)), 3 * 16 * k - 8.0)
    parts = (("zones lost", NO_ZONE_LOSS), ("at most", NO_MAXIMUM))
    return Conflict(p, parts, frozenset({"maximum", "zones_survived"}))


def _region_loss_and_quota(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(3, 8))
    p = problem(unit("a", [_need(1, safe)], types), quotas=[quota(6.0 * k - 1)])
    p = _blocks(region_loss_demand=_need(k, safe * 1.6))(p)
    parts = (("quota", _ample()), ("when another region is lost", _blocks(region_loss_demand=0.0)))
    return Conflict(p, parts, frozenset({"quota", "region_loss"}))


def _region_loss_and_maximum(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(3, 8))
    p = problem(unit("a", [_need(1, safe)], types, most=k - 1))
    p = _blocks(region_loss_demand=_need(2 * k, safe * 1.6))(p)
    parts = (("when another region is lost", _blocks(region_loss_demand=0.0)), ("at most", NO_MAXIMUM))
    return Conflict(p, parts, frozenset({"maximum", "region_loss"}))


def _least_types_and_candidates(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    p = _of_unit(least_types=3)(problem(unit("a", [_need(2, safe)], types)))
    more = (*types, _type("c5.large", 2, safe))
    parts = (("at least 3 instance type(s)", _of_unit(least_types=1)), ("leave 2", _of_unit(candidates=more)))
    return Conflict(p, parts, frozenset({"least_types"}))


def _least_types_and_maximum(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    p = _of_unit(least_types=3)(problem(unit("a", [_need(2, safe)], [*types, _type("c5.large", 2, safe)], most=2)))
    parts = (("at least 3 instance type(s)", _of_unit(least_types=1)), ("at most 2", NO_MAXIMUM))
    return Conflict(p, parts, frozenset({"maximum", "least_types"}))


def _on_spot(types: list[Candidate]) -> list[Candidate]:
    return [replace(c, spot_usd_per_hour=c.usd_per_hour * 0.4, spot_quota_code=SPOT) for c in types]


def _spot_share_and_quota(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(4, 9))
    p = problem(unit("a", [_need(2 * k, safe)], _on_spot(types)), quotas=[quota(6.0 * k), quota(PLENTY, code=SPOT)])
    p = _of_unit(spot_max_frac=0.3)(p)
    parts = (
        ("quota L-1216C47A", _ample()),
        ("of the demand on spot", _of_unit(spot_max_frac=1.0)),
        ("demand of", NO_DEMAND),
    )
    return Conflict(p, parts, frozenset({"quota", "spot_share"}))


def _spot_quota_and_quota(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(4, 9))
    p = problem(
        unit("a", [_need(2 * k, safe)], _on_spot(types)), quotas=[quota(6.0 * k), quota(6.0 * k - 1, code=SPOT)]
    )
    p = _of_unit(spot_max_frac=1.0)(p)
    parts = (("quota L-1216C47A", _ample()), (f"quota {SPOT}", _ample(SPOT)), ("demand of", NO_DEMAND))
    return Conflict(p, parts, frozenset({"quota"}))


def _spot_types_and_quota(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(4, 9))
    p = problem(unit("a", [_need(2 * k, safe)], _on_spot(types)), quotas=[quota(6.0 * k)])
    p = _of_unit(spot_max_frac=1.0, spot_least_types=3)(p)
    parts = (("quota", _ample()), ("where spot serves", _of_unit(spot_least_types=1)), ("demand of", NO_DEMAND))
    return Conflict(p, parts, frozenset({"quota"}))


def _minimum_and_quota(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(3, 9))
    p = problem(unit("a", [_need(1, safe)], types, least=k), quotas=[quota(6.0 * k - 1)])
    return Conflict(p, (("quota", _ample()), ("at least", NO_MINIMUM)), frozenset({"quota"}))


def _reservation_and_quota(rng: np.random.Generator) -> Conflict:
    safe, types = _types(rng)
    k = int(rng.integers(6, 12))
    held = CapacityReservation("cr-1", ACCOUNT, REGION, "", "m5.xlarge", k, datetime(2025, 1, 1, tzinfo=UTC))
    p = replace(problem(unit("a", [_need(1, safe)], types), quotas=[quota(4.0 * k - 1)]), reservations=(held,))
    parts = (("quota", _ample()), ("reservation cr-1", lambda p: replace(p, reservations=())))
    return Conflict(p, parts, frozenset({"quota", "reservation"}))


KINDS: Mapping[str, Callable[[np.random.Generator], Conflict]] = {
    f.__name__.strip("_"): f
    for f in (
        _quota_in_one_month, _quota_and_zone_loss, _two_quotas_together, _joint_units_on_one_quota,
        _maximum_and_demand, _maximum_and_zone_loss, _minimum_and_maximum, _vertical_and_demand, _vertical_and_maximum,
        _pinned_and_demand, _pinned_and_quota, _pinned_and_maximum, _no_candidate, _only_what_policy_bars,
        _zones_survived, _further_that_no_type_holds, _further_and_maximum, _further_with_a_zone_lost,
        _region_loss_and_quota, _region_loss_and_maximum, _least_types_and_candidates, _least_types_and_maximum,
        _spot_share_and_quota, _spot_quota_and_quota, _spot_types_and_quota, _minimum_and_quota,
        _reservation_and_quota,
    )
}  # fmt: skip
