"""What may be relaxed, by how much, what it counts, and how it is applied to a problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from capacity.domain import CapacityReservation, MixProblem, Quota, UnitRequirement
from capacity.optimize._fleet import vertical_count

Kind = Literal[
    "quota", "reservation", "maximum", "minimum", "zones_survived", "headroom", "demand", "further", "region_loss",
    "least_types", "spot_share", "vertical", "pinned", "allow",
]  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """Points that a relaxation counts: the smallest is the one of fewest points.

    They rank what is easier to give, from a ticket to the provider to a promise broken; they are a judgement, not a
    measurement, and money plays no part in them. Pass others where yours differ.

    Attributes
    ----------
    quota, reservation, maximum, minimum
        A per cent of the limit, of the reserved count, of the largest or smallest count.
    zones_survived
        A zone less that a service survives.
    headroom, spot_share
        A point (of a hundred).
    demand, further, region_loss
        A per cent of the largest demand, of a further resource, of what comes from a lost region, that is not served.
    least_types
        A type fewer.
    vertical
        A per cent of the count that a vertical unit keeps.
    pinned
        A month whose earlier plan is let go.
    allow
        A type that runs today against policy and is allowed.
    """

    quota: float = 1.0
    reservation: float = 1.0
    maximum: float = 1.0
    minimum: float = 1.0
    zones_survived: float = 100.0
    headroom: float = 4.0
    demand: float = 20.0
    further: float = 20.0
    region_loss: float = 10.0
    least_types: float = 40.0
    spot_share: float = 2.0
    vertical: float = 1.0
    pinned: float = 40.0
    allow: float = 200.0


@dataclass(frozen=True)
class Knob:
    """One thing that can be relaxed: of a unit (by name), or of what is shared in an account and region.

    ``detail`` is a quota's code, a reserved or barred type, a further resource, or months.
    """

    kind: Kind
    unit: str = ""
    detail: str = ""
    account: str = ""
    region: str = ""


@dataclass(frozen=True)
class Change:
    """One requirement relaxed: ``before`` and ``after`` in its own unit, and the points that it counts."""

    kind: Kind
    where: str
    before: float
    after: float
    points: float
    words: str


Amount = float


def full_size(problem: MixProblem, knob: Knob) -> float:
    """What 100 % of the relaxed thing is, in its own unit; 1 where it is counted in whole steps."""
    if knob.kind == "quota":
        return max(_quota(problem, knob).limit, 1.0)
    if knob.kind == "reservation":
        return float(max(sum(v.count for v in _held(problem, knob)), 1))
    if knob.kind in ("maximum", "minimum", "vertical"):
        r = unit_of(problem, knob)
        return float(max({"maximum": r.max_per_zone, "minimum": r.min_per_zone}.get(knob.kind, vertical_count(r)), 1))
    return 1.0


def points_of(problem: MixProblem, knob: Knob, amount: Amount, weights: Weights) -> float:
    """What ``amount`` of ``knob`` counts. Demand's amounts are shares, headroom's and spot's are points."""
    weight = float(getattr(weights, knob.kind))
    if knob.kind in ("demand", "further", "region_loss"):
        return weight * 100.0 * amount
    if knob.kind in ("quota", "reservation", "maximum", "minimum", "vertical"):
        return weight * 100.0 * amount / full_size(problem, knob)
    return weight * amount


def _quota(problem: MixProblem, knob: Knob) -> Quota:
    wanted = (knob.account, knob.region, knob.detail)
    return next(q for q in problem.quotas if (q.account_id, q.region, q.code) == wanted)


def _held(problem: MixProblem, knob: Knob) -> list[CapacityReservation]:
    wanted = (knob.account, knob.region, knob.detail)
    return [v for v in problem.reservations if (v.account_id, v.region, v.instance_type) == wanted]


def unit_of(problem: MixProblem, knob: Knob) -> UnitRequirement:
    """The requirement that a knob of one unit turns."""
    return next(r for r in problem.requirements if str(r.unit) == knob.unit)


def apply(
    problem: MixProblem, knob: Knob, amount: Amount, weights: Weights, headroom: Mapping[str, float]
) -> tuple[MixProblem, Change]:
    """``problem`` with ``knob`` relaxed by ``amount``, and the change in words."""
    points = points_of(problem, knob, amount, weights)
    if knob.kind == "quota":
        q = _quota(problem, knob)
        return _change_quota(problem, q, q.limit + amount, points)
    if knob.kind == "reservation":
        return _change_reservations(problem, knob, int(amount), points)
    r = unit_of(problem, knob)
    relaxed, before, after, text = _UNIT_KNOBS[knob.kind](r, knob, amount, headroom.get(knob.unit, 0.0))
    requirements = tuple(relaxed if x is r else x for x in problem.requirements)
    where = f"{knob.unit}{f' {knob.detail}' if knob.detail else ''}"
    return replace(problem, requirements=requirements), Change(
        knob.kind, where, before, after, points, f"{knob.unit}: {text}"
    )


def _change_quota(problem: MixProblem, q: Quota, limit: float, points: float) -> tuple[MixProblem, Change]:
    quotas = tuple(replace(x, limit=limit) if x is q else x for x in problem.quotas)
    name = f"quota {q.code} in {q.region} of account {q.account_id}"
    words = f"{name}: {limit:g} vCPU rather than {q.limit:g} ({limit - q.limit:g} more)"
    return replace(problem, quotas=quotas), Change("quota", name, q.limit, limit, points, words)


def _change_reservations(problem: MixProblem, knob: Knob, fewer: int, points: float) -> tuple[MixProblem, Change]:
    """The last of them by name give first."""
    held = sorted(_held(problem, knob), key=lambda v: v.id, reverse=True)
    counts, left = {}, fewer
    for v in held:
        counts[v.id] = max(v.count - left, 0)
        left -= v.count - counts[v.id]
    before, after = sum(v.count for v in held), sum(counts.values())
    kept = tuple(replace(v, count=counts[v.id]) if v in held else v for v in problem.reservations)
    where = f"reservation of {knob.detail} in {knob.region} of account {knob.account}"
    changed = replace(problem, reservations=tuple(v for v in kept if v.count))
    return changed, Change("reservation", where, before, after, points, f"{where}: {after} held rather than {before}")


# --- knobs of a unit ---------------------------------------------------------------------------------------

Relaxed = tuple[UnitRequirement, float, float, str]


def _maximum(r: UnitRequirement, knob: Knob, amount: Amount, _headroom: float) -> Relaxed:
    after = r.max_per_zone + int(amount)
    text = f"at most {after} instance(s) per zone rather than {r.max_per_zone}"
    return replace(r, max_per_zone=after), r.max_per_zone, after, text


def _minimum(r: UnitRequirement, knob: Knob, amount: Amount, _headroom: float) -> Relaxed:
    after = r.min_per_zone - int(amount)
    text = f"at least {after} instance(s) per zone rather than {r.min_per_zone}"
    return replace(r, min_per_zone=after), r.min_per_zone, after, text


def _zones(r: UnitRequirement, knob: Knob, amount: Amount, _headroom: float) -> Relaxed:
    after = r.zones_survived - int(amount)
    text = f"survives the loss of {after} zone(s) rather than {r.zones_survived}"
    return replace(r, zones_survived=after), r.zones_survived, after, text


def with_headroom(r: UnitRequirement, before: float, after: float) -> UnitRequirement:
    """What each instance serves within the SLO at another headroom: safe = (1 - headroom) x safe capacity."""
    scale = (1.0 - after) / (1.0 - before)
    return replace(r, candidates=tuple(replace(c, safe=c.safe * scale) for c in r.candidates))


def _headroom(r: UnitRequirement, knob: Knob, amount: Amount, headroom: float) -> Relaxed:
    after = max(round(headroom - amount / 100.0, 9), 0.0)
    return with_headroom(r, headroom, after), headroom, after, f"headroom of {after:.0%} rather than {headroom:.0%}"


# A demand that is cut to what just fits must not miss it by floating point.
_HAIR = 1e-6


def _demand(r: UnitRequirement, knob: Knob, amount: Amount, _headroom: float) -> Relaxed:
    months = set(knob.detail.split(","))
    peak = max(b.demand for b in r.blocks if b.month in months)
    share = max(1.0 - amount - _HAIR, 0.0) if amount < 1 else 0.0
    spot = r.spot_max_frac > 0
    blocks = tuple(
        replace(b, demand=b.demand * share if spot else min(b.demand, _peak(r, b.month) * share))
        if b.month in months
        else b
        for b in r.blocks
    )
    text = f"demand of {peak * share:g} served rather than {peak:g} in {', '.join(sorted(months))}"
    return replace(r, blocks=blocks), peak, peak * share, text


def _peak(r: UnitRequirement, month: str) -> float:
    return max(b.demand for b in r.blocks if b.month == month)


def _further(r: UnitRequirement, knob: Knob, amount: Amount, _headroom: float) -> Relaxed:
    most = max(b.further.get(knob.detail, 0.0) for b in r.blocks)
    after = most * max(1.0 - amount - _HAIR, 0.0) if amount < 1 else 0.0
    blocks = tuple(
        replace(b, further={k: min(x, after) if k == knob.detail else x for k, x in b.further.items()})
        for b in r.blocks
    )
    return replace(r, blocks=blocks), most, after, f"{after:g} of {knob.detail} held rather than {most:g}"


def _region(r: UnitRequirement, knob: Knob, amount: Amount, _headroom: float) -> Relaxed:
    most = max(b.region_loss_demand for b in r.blocks)
    after = most * max(1.0 - amount - _HAIR, 0.0) if amount < 1 else 0.0
    blocks = tuple(replace(b, region_loss_demand=min(b.region_loss_demand, after)) for b in r.blocks)
    return replace(r, blocks=blocks), most, after, f"{after:g} taken over from a lost region rather than {most:g}"


def _types(r: UnitRequirement, knob: Knob, amount: Amount, _headroom: float) -> Relaxed:
    after = r.least_types - int(amount)
    return replace(r, least_types=after), r.least_types, after, f"{after} type(s) at least rather than {r.least_types}"


def _spot_share(r: UnitRequirement, knob: Knob, amount: Amount, _headroom: float) -> Relaxed:
    after = min(round(r.spot_max_frac + amount / 100.0, 9), 1.0)
    text = f"up to {after:.0%} of the demand on spot rather than {r.spot_max_frac:.0%}"
    return replace(r, spot_max_frac=after), r.spot_max_frac, after, text


def _vertical(r: UnitRequirement, knob: Knob, amount: Amount, _headroom: float) -> Relaxed:
    before = vertical_count(r)
    after = before + int(amount)
    text = f"{after} instance(s) per zone rather than the {before} that it keeps"
    if not r.running:
        return replace(r, min_per_zone=after), before, after, text
    # The count is that of what runs: more of the type that runs most, as if it ran today.
    kind, zone = max(r.running, key=lambda k: (r.running[k], k))
    more = after * r.zones - sum(r.running.values())
    return replace(r, running={**r.running, (kind, zone): r.running[kind, zone] + more}), before, after, text


def _pinned(r: UnitRequirement, knob: Knob, amount: Amount, _headroom: float) -> Relaxed:
    kept = {key: n for key, n in (r.pinned or {}).items() if key[0] != knob.detail}
    text = f"its earlier plan let go in {knob.detail}"
    return replace(r, pinned=kept or None), 1.0, 0.0, text


def _allow(r: UnitRequirement, knob: Knob, amount: Amount, _headroom: float) -> Relaxed:
    candidates = tuple(replace(c, allowed=c.allowed or c.instance_type == knob.detail) for c in r.candidates)
    return replace(r, candidates=candidates), 0.0, 1.0, f"{knob.detail}, which runs today against policy, is allowed"


_UNIT_KNOBS: Mapping[str, Callable[[UnitRequirement, Knob, Amount, float], Relaxed]] = {
    "maximum": _maximum,
    "minimum": _minimum,
    "zones_survived": _zones,
    "headroom": _headroom,
    "demand": _demand,
    "further": _further,
    "region_loss": _region,
    "least_types": _types,
    "spot_share": _spot_share,
    "vertical": _vertical,
    "pinned": _pinned,
    "allow": _allow,
}
