"""What holds a plan in place, in words: which requirement leaves no room for one instance less, or one more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from capacity.domain import LoadBlock, MixProblem, MixSolution, Quota, UnitRequirement
from capacity.optimize._fleet import Fleet, fleet_of
from capacity.optimize.explain._groups import quota_words

# A share is at its limit when less than this is left of it: spot instances are whole, shares are not.
_AT_LIMIT_FRAC = 0.01
# Of what a commitment costs: what is unused below this share is rounding.
_IDLE_FRAC = 0.005

# (month, block, instance type) -> instances per zone, on demand and as spot.
Running = Mapping[tuple[str, str, str], tuple[int, int]]
# (month, instance type) -> the same, of what is provisioned.
Provisioned = Mapping[tuple[str, str], tuple[int, int]]


def binding(problem: MixProblem, solution: MixSolution) -> tuple[str, ...]:
    """What decides the counts of a plan, in words: loads, counts, types, spot, quotas, commitments, reservations."""
    fleet = fleet_of(problem)
    running = _counts(solution.running, "month", "block", "instance_type")
    provisioned = _counts(solution.provisioned, "month", "instance_type")
    out: list[str] = []
    for r in fleet.requirements:
        if r.blocks:
            out += _of_unit(r, running.get(str(r.unit), {}), provisioned.get(str(r.unit), {}))
    out += [text for quota in fleet.problem.quotas for text in _of_quota(fleet, quota, solution)]
    return (*out, *_of_commitments(fleet, solution), *_of_reservations(solution))


def _counts(frame: pd.DataFrame, *key: str) -> dict[str, dict[Any, tuple[int, int]]]:
    """Unit -> ``key`` columns -> instances per zone, on demand and as spot."""
    out: dict[str, dict[Any, tuple[int, int]]] = {}
    columns = (frame[name] for name in ("unit", "per_zone", *key))
    for as_spot, unit, count, *where in zip(_is_spot(frame), *columns, strict=True):
        own = out.setdefault(str(unit), {})
        r, p = own.get(tuple(where), (0, 0))
        own[tuple(where)] = (r, p + int(count)) if as_spot else (r + int(count), p)
    return out


def _is_spot(frame: pd.DataFrame) -> list[bool]:
    if "purchase" not in frame:
        return [False] * len(frame)
    return [purchase == "spot" for purchase in frame["purchase"]]


# --- one unit ----------------------------------------------------------------------------------------------


def _of_unit(r: UnitRequirement, counts: Running, provisioned: Provisioned) -> Iterable[str]:
    peak = max(r.blocks, key=lambda b: (b.demand, b.month, b.block))
    total = sum(sum(counts.get((peak.month, peak.block, c.instance_type), (0, 0))) for c in r.candidates)
    where = f"{peak.month} {peak.block}"
    if r.vertical:
        yield f"{r.unit}: its count is kept, {total} per zone; only its type is chosen"
    elif any(m == peak.month for m, _ in r.pinned or {}):
        yield f"{r.unit}: its count is pinned ({total} per zone in {where})"
    elif total and total == r.min_per_zone:
        yield f"{r.unit}: its smallest count of {r.min_per_zone} per zone decides"
    elif total and (states := _states(r, counts, provisioned)):
        # Of equal ones the first: demand comes before what follows from it.
        tightest = min(states, key=lambda s: round(s.spare, 9))
        yield f"{r.unit}: {tightest.name} ({tightest.spare:.1%} to spare) decides the count in {tightest.where}"
    yield from () if r.vertical else _at_most(r, provisioned)
    yield from _of_types(r, counts)
    yield from _of_spot(r, counts)


def _at_most(r: UnitRequirement, provisioned: Provisioned) -> Iterable[str]:
    most: dict[str, int] = {}
    for (month, _), both in provisioned.items():
        most[month] = most.get(month, 0) + sum(both)
    at_most = sorted(month for month, count in most.items() if count >= r.max_per_zone)
    if at_most:
        when = "every month" if len(at_most) == len(most) > 1 else _some(at_most)
        yield f"{r.unit}: at its largest count of {r.max_per_zone} per zone in {when}"


@dataclass(frozen=True)
class _State:
    """One load in the state in which it is held: ``spare`` is the share of it that is held beyond it."""

    name: str
    where: str
    spare: float


def _states(r: UnitRequirement, counts: Running, provisioned: Provisioned) -> list[_State]:
    out = []
    peak = max(r.blocks, key=lambda b: (b.demand, b.month, b.block))
    lost = f"losing {r.zones_survived} of {r.zones} zones"
    left = max(r.zones - r.zones_survived, 0)
    busiest = f"its {peak.hours:,.0f} busiest hours of {peak.month} ({peak.block})"
    held = r.zones * _held(r, counts, peak, lambda c: c.safe)
    out += _state("demand within the SLO", busiest, peak.demand, held)
    if r.zones_survived:
        held = left * _held(r, counts, peak, lambda c: c.zone_loss)
        out += _state(lost, busiest, peak.demand, held)
    for resource in sorted({k for b in r.blocks for k in b.further}):
        block = max(r.blocks, key=lambda b: (b.further.get(resource, 0.0), b.month, b.block))
        wanted = block.further.get(resource, 0.0)
        for k, name, zones in ((0, resource, r.zones), (1, f"{resource} when {lost}", left)):
            if k == 0 or r.zones_survived:
                held = zones * _held(r, counts, block, lambda c, k=k, x=resource: c.further.get(x, (0.0, 0.0))[k])
                out += _state(name, _hours(block), wanted, held)
    region = max(r.blocks, key=lambda b: (b.region_loss_demand, b.month, b.block))
    stands = [provisioned.get((region.month, c.instance_type), (0, 0))[0] for c in r.candidates]
    held = r.zones * sum(count * c.zone_loss for count, c in zip(stands, r.candidates, strict=True))
    out += _state("taking over from a lost region", _hours(region), region.region_loss_demand, held)
    return out


def _state(name: str, where: str, wanted: float, held: float) -> list[_State]:
    return [_State(name, where, held / wanted - 1)] if wanted > 0 else []


def _hours(block: LoadBlock) -> str:
    return f"{block.hours:,.0f} hours of {block.month} ({block.block})"


def _held(r: UnitRequirement, counts: Running, block: LoadBlock, per_instance: object) -> float:
    total = 0.0
    for c in r.candidates:
        on_demand, spot = counts.get((block.month, block.block, c.instance_type), (0, 0))
        total += (on_demand + (1 - c.spot_buffer_frac) * spot) * per_instance(c)  # type: ignore[operator]
    return total


def _of_types(r: UnitRequirement, counts: Running) -> Iterable[str]:
    if r.least_types <= 1 or r.vertical:
        return
    used = {(b.month, b.block): 0 for b in r.blocks if b.demand > 0}
    for (month, block, _kind), count in counts.items():
        if (month, block) in used and any(count):
            used[month, block] += 1
    at = sum(n == r.least_types for n in used.values())
    if at:
        yield f"{r.unit}: its least number of types, {r.least_types}, is just kept in {at} of {len(used)} load blocks"


def _of_spot(r: UnitRequirement, counts: Running) -> Iterable[str]:
    kinds = {c.instance_type: c for c in r.candidates}
    at, spread = [], []
    for b in r.blocks:
        spot = {k: p for (m, name, k), (_, p) in counts.items() if (m, name) == (b.month, b.block) and p}
        served = r.zones * sum((1 - kinds[k].spot_buffer_frac) * kinds[k].safe * p for k, p in spot.items())
        if not spot:
            continue
        step = r.zones * min((1 - kinds[k].spot_buffer_frac) * kinds[k].safe for k in spot)
        if served + max(step, _AT_LIMIT_FRAC * b.demand) > r.spot_max_frac * b.demand:
            at.append(f"{b.month} {b.block}")
        if len(spot) == r.spot_least_types > 1:
            spread.append(f"{b.month} {b.block}")
    if at:
        yield f"{r.unit}: spot serves all it may ({r.spot_max_frac:.0%} of the demand) in {_some(at)}"
    if spread:
        yield f"{r.unit}: spot runs on its least number of types, {r.spot_least_types}, in {_some(spread)}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:3])} and {len(names) - 3} more"


# --- what is shared ----------------------------------------------------------------------------------------


def _of_quota(fleet: Fleet, quota: Quota, solution: MixSolution) -> Iterable[str]:
    """On demand and spot count towards quotas of their own; the largest count of a month is what is used."""
    steps: dict[tuple[str, str, bool], int] = {}
    for r in fleet.requirements:
        if (r.account_id, r.unit.region) == (quota.account_id, quota.region):
            for c in r.candidates:
                for spot, code in ((False, c.quota_code), (True, c.spot_quota_code)):
                    if code == quota.code and c.allowed:
                        steps[str(r.unit), c.instance_type, spot] = r.zones * c.vcpu
    if not steps:
        return
    frame = solution.provisioned
    keys = zip(frame["unit"], frame["instance_type"], _is_spot(frame), strict=True)
    mask = np.array([key in steps for key in keys], dtype=bool)
    used = frame[mask].groupby("month")["vcpu"].sum()
    full = used[used > quota.limit - min(steps.values())]
    if len(full):
        yield quota_words(
            quota, f", {full.max():g} used: no room for one instance more in every zone in {_some([*full.index])}"
        )


def _of_commitments(fleet: Fleet, solution: MixSolution) -> Iterable[str]:
    use = solution.commitment_use
    bought = [str(name) for name in solution.purchases["id"]]
    for name, kind in (*((c.id, "commitment") for c in fleet.commitments), *((b, "purchase") for b in bought)):
        rows = use[use["id"] == name]
        paid, unused = float(rows["paid_usd"].sum()), float(rows["unused_usd"].sum())
        if paid > 0:
            idle = f", {unused:,.0f} of {paid:,.0f} USD are paid for nothing" if unused / paid >= _IDLE_FRAC else ""
            yield f"{kind} {name}: {1 - unused / paid:.0%} used{idle}"


def _of_reservations(solution: MixSolution) -> Iterable[str]:
    idle = solution.spend[solution.spend["unit"] == "(reservations unused)"]
    total = float(idle["total_usd"].sum())
    if total > 0.5:
        yield f"reservations: {total:,.0f} USD of what is held is not used"
