"""Idle and oversized fleets by the saturation model, and what an older generation costs: each instance counted once.

A fleet is held against the smallest fleet *of the same types* that keeps what its tier promises: the demand of each
kind of hour at the tier's service level, its headroom, its lost zones, further resources, minimum counts. What another
type would save is the instance mix's saving, and is not in here. No share of CPU is called waste for being low.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from capacity.costs.waste._rows import MIX, NOBODY, Confidence, Kind, Waste
from capacity.domain import LoadBlock, Unit
from capacity.words import listed, money, number, percent, price

HOURS_A_MONTH = 730.0
# A fleet whose highest demand of four weeks needs no more than this share of what it serves has no work to speak of.
IDLE_FRAC = 0.05
# Less than this share of a fleet's spend is inside what any model of it knows.
LEAST_FRAC = 0.05
_HAIR = 1e-9
_LEVELS: tuple[Confidence, ...] = ("low", "medium", "high")
_BASIS = {"load_test": 2, "fleet_history": 1, "demand_is_resource": 1, "config": 0}
_BASIS_WORDS = {
    "load_test": "load-tested", "fleet_history": "learned from the fleet's history",
    "demand_is_resource": "demand is counted in vCPU", "config": "as the config says",
}  # fmt: skip


@dataclass(frozen=True)
class Newer:
    """The newer type of a machine's line and size."""

    instance_type: str
    usd_per_hour: float
    safe: float
    zone_loss: float


@dataclass(frozen=True)
class Machine:
    """One type of a fleet. ``count`` is the average of four weeks for a fleet that scales itself, else what runs.

    ``safe`` and ``zone_loss`` are what one serves in the two states, with the tier's headroom kept; ``further`` what
    it holds of other resources in the two. ``kept`` of them are paid whether they run or not, for ``kept_for``.
    """

    instance_type: str
    count: float
    usd_per_hour: float
    safe: float
    zone_loss: float
    further: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)
    newer: Newer | None = None
    kept: int = 0
    kept_for: str = ""


@dataclass(frozen=True)
class Fleet:
    """What runs, what it must serve, and what is known of both.

    Attributes
    ----------
    near, ahead
        Load blocks of the next weeks and of the whole horizon; ``reserve`` is the part of their demand that stands for
        what is busy without any.
    peak_recent, serves
        Highest demand of the last four weeks, and what the fleet serves safely today; None where not known.
    group_minimum
        Least instances that the scaling groups allow: a setting, so it holds no waste back, and is named beside it.
    relative_mae
        The forecast's error over that of a seasonal naive one.
    planned_usd
        What the recommended mix costs a month in the next weeks, at the same prices; None where there is none.
    planned_types
        Types that the plan runs at the end of its horizon.
    events
        Names of events within the horizon.
    """

    unit: Unit
    currency: str
    machines: tuple[Machine, ...]
    near: tuple[LoadBlock, ...]
    ahead: tuple[LoadBlock, ...]
    zones: int
    zones_survived: int
    min_per_zone: int
    autoscaled: bool
    service_level: float
    vertical: bool = False
    reserve: float = 0.0
    peak_recent: float | None = None
    serves: float | None = None
    measure: str = ""
    group_minimum: int | None = None
    basis: str = "fleet_history"
    relative_mae: float | None = None
    planned_usd: float | None = None
    planned_types: frozenset[str] = frozenset()
    events: tuple[str, ...] = ()

    @property
    def instances(self) -> float:
        return sum(m.count for m in self.machines)

    @property
    def spend(self) -> float:
        """What it costs a month."""
        return _cost(self.machines, {m.instance_type: m.count for m in self.machines})

    @property
    def is_idle(self) -> bool:
        return self.peak_recent is not None and self.peak_recent <= IDLE_FRAC * (self.serves or 0.0)


Counts = dict[str, float]


def _cost(machines: Sequence[Machine], counts: Mapping[str, float]) -> float:
    return HOURS_A_MONTH * sum(counts.get(m.instance_type, 0.0) * m.usd_per_hour for m in machines)


def smallest(fleet: Fleet, blocks: Sequence[LoadBlock], without: float = 0.0, *, minimum: bool = True) -> Counts:
    """Instances by type of the smallest fleet of the same types, in today's proportions, that serves ``blocks``.

    Whole instances in every zone and block. For a fleet that scales itself the mean over the hours, else the largest.
    ``without`` is taken off every block's demand; ``minimum`` counts what the config keeps in each zone as a need.
    """
    by_block = [(b.hours, _in_block(fleet, b, without, minimum)) for b in blocks]
    names = [m.instance_type for m in fleet.machines]
    hours = sum(h for h, _ in by_block)
    if not hours:
        return dict.fromkeys(names, 0.0)
    if fleet.autoscaled and not fleet.vertical:
        return {n: sum(h * counts[n] for h, counts in by_block) / hours for n in names}
    return {n: max(counts[n] for _, counts in by_block) for n in names}


def _in_block(fleet: Fleet, block: LoadBlock, without: float, minimum: bool) -> Counts:
    left = (fleet.zones - fleet.zones_survived) / fleet.zones
    held = [(max(block.demand - without, 0.0), sum(m.count * m.safe for m in fleet.machines))]
    lost = left * sum(m.count * m.zone_loss for m in fleet.machines)
    if fleet.zones_survived:
        held.append((max(block.demand - without, 0.0), lost))
    if block.region_loss_demand and not fleet.autoscaled:
        held.append((block.region_loss_demand, sum(m.count * m.zone_loss for m in fleet.machines)))
    for name, need in block.further.items():
        up, down = (sum(m.count * m.further.get(name, (0.0, 0.0))[i] for m in fleet.machines) for i in (0, 1))
        held += [(need, up), *([(need, left * down)] if fleet.zones_survived else [])]
    share = max(((need / have if have > 0 else math.inf) for need, have in held if need > 0), default=0.0)
    least = fleet.min_per_zone * fleet.zones / fleet.instances if fleet.instances and minimum else 0.0
    share = max(share, least)
    return {m.instance_type: _whole(share * m.count, fleet.zones) for m in fleet.machines}


def _whole(count: float, zones: int) -> float:
    """Whole instances in every zone; endless where no number of them is enough."""
    return zones * math.ceil(count / zones - _HAIR) if math.isfinite(count) else math.inf


# --- what is found ---------------------------------------------------------------------------------------------


def fleet_waste(fleet: Fleet) -> tuple[Waste, ...]:
    """Findings of one fleet: idle or oversized first, then the older generation of what is left."""
    if not fleet.machines or fleet.spend <= 0:
        return ()
    running = {m.instance_type: m.count for m in fleet.machines}
    kind: Kind = "idle" if fleet.is_idle else "oversized"
    needed = smallest(fleet, fleet.near, fleet.reserve if fleet.is_idle else 0.0, minimum=False)
    kept, why = _kept(fleet, needed)
    spare = {n: max(0.0, running[n] - max(kept[n], needed[n])) for n in running}
    wasted = _cost(fleet.machines, spare)
    held = _cost(fleet.machines, {n: max(0.0, running[n] - needed[n]) - spare[n] for n in running})
    saving = max(0.0, fleet.spend - fleet.planned_usd) if fleet.planned_usd is not None else 0.0
    small = wasted < LEAST_FRAC * fleet.spend
    wasted, spare = (0.0, dict.fromkeys(spare, 0.0)) if small else (wasted, spare)
    found = []
    if wasted > 0 or held >= LEAST_FRAC * fleet.spend:
        found.append(_sized(fleet, kind, spare, needed, (wasted, held, saving), why))
    found += _generations(fleet, {n: running[n] - spare[n] for n in running}, max(0.0, saving - wasted))
    return tuple(found)


def _kept(fleet: Fleet, needed: Counts) -> tuple[Counts, str]:
    """What must stay beyond the need of the next weeks, and why: the reason that holds most."""
    running = {m.instance_type: m.count for m in fleet.machines}
    if fleet.vertical:
        return dict(running), "its count is fixed (kind: vertical); a smaller type is for the mix, an end for its owner"
    by_config = f"the config keeps {fleet.min_per_zone} in each of {fleet.zones} zones"
    floors: list[tuple[Counts, str]] = [(_floor(fleet, fleet.min_per_zone * fleet.zones), by_config)]
    paid = [m for m in fleet.machines if m.kept]
    if paid:
        counts = {m.instance_type: float(min(m.kept, m.count)) for m in fleet.machines}
        floors.append((counts, listed(sorted({m.kept_for for m in paid}))))
    if not fleet.autoscaled:
        later = smallest(fleet, fleet.ahead, fleet.reserve if fleet.is_idle else 0.0, minimum=False)
        floors.append((later, _later(fleet)))
    costs = [
        _cost(fleet.machines, {n: max(0.0, min(c[n], running[n]) - needed[n]) for n in running}) for c, _ in floors
    ]
    most = max(range(len(floors)), key=lambda i: costs[i])
    kept = {n: min(running[n], max(c[n] for c, _ in floors)) for n in running}
    return kept, floors[most][1] if costs[most] > 0 else ""


def _floor(fleet: Fleet, count: int) -> Counts:
    """``count`` instances in all, in today's proportions."""
    share = min(1.0, count / fleet.instances) if fleet.instances else 0.0
    return {m.instance_type: share * m.count for m in fleet.machines}


def _later(fleet: Fleet) -> str:
    worst = max(fleet.ahead, key=lambda b: max(b.demand, b.region_loss_demand), default=None)
    if worst is None:
        return ""
    if worst.region_loss_demand > worst.demand:
        return "it must hold another region's traffic if that is lost"
    events = f", with {listed(fleet.events)} within the horizon" if fleet.events else ""
    return f"demand of {worst.month} needs it{events}, and the fleet does not scale itself"


def _sized(
    fleet: Fleet, kind: Kind, spare: Counts, needed: Counts, amounts: tuple[float, float, float], why: str
) -> Waste:
    wasted, held, saving = amounts
    named = [f"{number(n)} × {t}" for t, n in sorted(spare.items()) if n > 0]
    what = " + ".join(named) if named else " + ".join(f"{number(m.count)} × {m.instance_type}" for m in fleet.machines)
    in_plan = min(wasted, saving)
    return Waste(
        kind=kind,
        service=fleet.unit.service,
        region=fleet.unit.region,
        what=what,
        monthly_usd=wasted,
        currency=fleet.currency,
        confidence=_confidence(fleet),
        reason=_reason(fleet, kind, wasted, held, why),
        taken_by=_taken(wasted, in_plan),
        evidence=_evidence(fleet, needed),
        in_plan_usd=in_plan,
        held_usd=max(0.0, held),
    )


def _taken(wasted: float, in_plan: float) -> str:
    if wasted <= 0 or in_plan <= 0:
        return NOBODY
    return MIX if in_plan >= wasted * (1 - _HAIR) else f"{MIX}, {percent(in_plan / wasted)} of it"


def _reason(fleet: Fleet, kind: Kind, wasted: float, held: float, why: str) -> str:
    share = percent(wasted / fleet.spend)
    if kind == "idle":
        says = f"no demand to speak of in four weeks (at most {percent(IDLE_FRAC)} of what it serves)"
    else:
        says = "more runs than the same types need for what the tier promises"
    first = f"{says}: {share} of its cost" if wasted > 0 else f"{says}, but none of it is waste"
    if wasted > 0 and _is_above_need(fleet):
        first += f"; the scaling group's minimum is {fleet.group_minimum}: lower it first"
    return first + (f"; {money(held, fleet.currency)} a month is held: {why}" if held > 0 and why else "")


def _is_above_need(fleet: Fleet) -> bool:
    """Whether a scaling group's minimum, a setting and no need, keeps more than the next weeks need."""
    return fleet.group_minimum is not None and fleet.group_minimum > sum(smallest(fleet, fleet.near).values())


def _evidence(fleet: Fleet, needed: Counts) -> str:
    parts = []
    if fleet.peak_recent is not None and fleet.serves is not None:
        parts.append(
            f"highest demand of four weeks {number(fleet.peak_recent)} {fleet.measure} of {number(fleet.serves)} that "
            "it serves safely"
        )
    runs = f"{number(fleet.instances)} run{' on average' if fleet.autoscaled else ''}"
    span = f"{fleet.near[0].month} to {fleet.near[-1].month}" if len({b.month for b in fleet.near}) > 1 else (
        fleet.near[0].month if fleet.near else "the next weeks"
    )  # fmt: skip
    parts.append(
        f"{runs}, {number(sum(needed.values()))} of the same types are needed in {span} at service level "
        f"{percent(fleet.service_level)} with headroom and {fleet.zones_survived} zone(s) lost"
    )
    parts.append(f"safe capacity {_BASIS_WORDS.get(fleet.basis, fleet.basis)}")
    if fleet.relative_mae is not None:
        parts.append(f"forecast error {number(fleet.relative_mae)} times a seasonal naive forecast's")
    return "; ".join(parts)


def _confidence(fleet: Fleet) -> Confidence:
    """By what safe capacity rests on; a step lower where the forecast is no better than a naive one."""
    level = _BASIS.get(fleet.basis, 0)
    if fleet.relative_mae is None or fleet.relative_mae >= 1.0:
        level -= 1
    return _LEVELS[max(0, level)]


def _generations(fleet: Fleet, counts: Counts, saving: float) -> list[Waste]:
    """Older types among ``counts``, and what as much capacity of the newer type saves."""
    found = []
    for machine in fleet.machines:
        waste = _generation(fleet, machine, counts[machine.instance_type], saving)
        if waste is not None:
            saving -= waste.in_plan_usd
            found.append(waste)
    return found


def _generation(fleet: Fleet, machine: Machine, count: float, saving: float) -> Waste | None:
    newer = machine.newer
    if newer is None or count <= 0 or min(newer.safe, newer.zone_loss) <= 0:
        return None
    ratio = max(machine.safe / newer.safe, machine.zone_loss / newer.zone_loss)
    less = 1.0 - ratio * newer.usd_per_hour / machine.usd_per_hour
    if less < LEAST_FRAC:
        return None
    usd = HOURS_A_MONTH * count * machine.usd_per_hour * less
    gone = bool(fleet.planned_types) and machine.instance_type not in fleet.planned_types
    in_plan = min(usd, saving) if gone else 0.0
    return Waste(
        kind="previous_generation",
        service=fleet.unit.service,
        region=fleet.unit.region,
        what=f"{number(count)} × {machine.instance_type}",
        monthly_usd=usd,
        currency=fleet.currency,
        confidence="medium" if fleet.basis == "load_test" else "low",
        reason=f"an older generation: {newer.instance_type} serves as much for {percent(less)} less; try it first",
        taken_by=_taken(usd, in_plan),
        evidence=(
            f"{machine.instance_type} {price(machine.usd_per_hour, fleet.currency)} an hour, {newer.instance_type} "
            f"{price(newer.usd_per_hour, fleet.currency)}; {number(ratio)} of it serve as much as one"
        ),
        in_plan_usd=in_plan,
    )
