"""The fleets of a plan as the review of waste sees them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from capacity import saturation
from capacity.costs.waste import HOURS_A_MONTH, Fleet, Machine, Newer
from capacity.domain import Candidate, InstanceType, LoadBlock, Unit
from capacity.pipeline.fleet import AVERAGE_DAYS, hourly_counts
from capacity.pipeline.inputs import on_demand, rates
from capacity.pipeline.mix import UnitNeed, tier_of
from capacity.pipeline.outlook import by_type
from capacity.pipeline.parts import Parts

# "The next weeks" are the plan's first months until so many hours are together: the first one may have just begun.
_NEAR_HOURS = 21 * 24.0
_GENERATION = re.compile(r"^([a-z]+?)(\d+)([a-z-]*)$")


@dataclass
class Ground:
    """A plan's parts, with what several fleets share looked up once.

    ``paid`` is (account, region, type) -> instances that are paid whether they run or not, and why; account "" is any.
    It shrinks as fleets take of it.
    """

    parts: Parts
    paid: dict[tuple[str, str, str], tuple[int, str]] = field(init=False)
    _prices: dict[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    _fleets: dict[tuple[str, str], pd.DataFrame] = field(init=False)

    def __post_init__(self) -> None:
        self.paid = _paid_anyway(self.parts)
        frame = self.parts.inputs.fleet
        groups = frame.groupby(["service", "region"], observed=True) if len(frame) else ()
        self._fleets = {(str(key[0]), str(key[1])): rows for key, rows in groups}

    def prices(self, region: str) -> Mapping[str, float]:
        """On demand, an hour."""
        if (region, "") not in self._prices:
            self._prices[region, ""] = on_demand(self.parts.inputs.prices, region)
        return self._prices[region, ""]

    def spot(self, region: str) -> Mapping[str, float]:
        if (region, "spot") not in self._prices:
            self._prices[region, "spot"] = rates(self.parts.inputs.prices, region, "spot")
        return self._prices[region, "spot"]

    def fleet(self, unit: Unit) -> pd.DataFrame:
        known = self._fleets.get((unit.service, unit.region))
        return self.parts.inputs.fleet.iloc[:0] if known is None else known


def fleet_of(ground: Ground, unit: Unit, need: UnitNeed) -> Fleet:
    """What runs of ``unit``, what it must serve, and what is known of both."""
    parts = ground.parts
    r, data = need.requirement, parts.data.get(unit)
    autoscaled = r.autoscaled and not r.vertical
    counts = by_type(need.running_average if autoscaled else r.running)
    known = {c.instance_type: c for c in r.candidates}
    machines = tuple(
        _machine(ground, unit, need, known[name], count) for name, count in sorted(counts.items()) if name in known
    )
    scores = parts.base.peak[unit].scores if unit in parts.base.peak else ()
    return Fleet(
        unit=unit,
        currency=parts.inputs.config.currency,
        machines=machines,
        near=_near(r.blocks),
        ahead=r.blocks,
        zones=r.zones,
        zones_survived=r.zones_survived,
        min_per_zone=r.min_per_zone,
        autoscaled=autoscaled,
        service_level=tier_of(parts.inputs.config, unit).service_level,
        vertical=r.vertical,
        reserve=need.reserve,
        peak_recent=data.peak_recent if data is not None else None,
        serves=need.safe.binding.mid,
        measure="req/s" if data is not None and data.unit_of_measure == "1/s" else getattr(data, "unit_of_measure", ""),
        group_minimum=_group_minimum(ground.fleet(unit), pd.Timestamp(parts.inputs.as_of)),
        basis=need.cost.basis if not _all_tested(machines, data) else "load_test",
        relative_mae=min((s.relative_mae for s in scores), default=None),
        planned_usd=_planned_usd(parts, unit),
        planned_types=_planned_types(parts, unit),
        events=tuple(sorted({e.name for e in parts.events if any(v.unit == unit for v in e.verdicts)})),
    )


def _near(blocks: tuple[LoadBlock, ...]) -> tuple[LoadBlock, ...]:
    """The blocks of the first months, until they are :data:`_NEAR_HOURS` long."""
    out: list[LoadBlock] = []
    for month in sorted({b.month for b in blocks}):
        if sum(b.hours for b in out) >= _NEAR_HOURS:
            break
        out += [b for b in blocks if b.month == month]
    return tuple(out)


def _machine(ground: Ground, unit: Unit, need: UnitNeed, candidate: Candidate, count: int) -> Machine:
    """One type of the fleet; what is paid whether it runs or not goes to the first fleets that run it."""
    key = (need.requirement.account_id, unit.region, candidate.instance_type)
    kept, why = 0, ""
    for place in (key, ("", *key[1:])):
        held, says = ground.paid.get(place, (0, ""))
        take = min(held, max(0, count - kept))
        if take:
            kept, why = kept + take, says
            ground.paid[place] = (held - take, says)
    return Machine(
        instance_type=candidate.instance_type,
        count=count,
        usd_per_hour=candidate.usd_per_hour * _spot_factor(ground, unit, candidate.instance_type),
        safe=candidate.safe,
        zone_loss=candidate.zone_loss,
        further=candidate.further,
        newer=_newer(ground, unit, need, candidate),
        kept=kept,
        kept_for=why,
    )


def _paid_anyway(parts: Parts) -> dict[tuple[str, str, str], tuple[int, str]]:
    """(account, region, type) -> instances that are paid whether they run or not, and why; account "" is any."""
    out: dict[tuple[str, str, str], tuple[int, str]] = {}
    now = parts.inputs.as_of
    for r in parts.inputs.reservations:
        if r.start <= now and (r.end is None or r.end > now):
            key = (r.account_id, r.region, r.instance_type)
            out[key] = (
                out.get(key, (0, ""))[0] + r.count,
                "a capacity reservation is paid used or not: cancel it first",
            )
    for c in parts.inputs.commitments:
        if c.product == "standard_ri" and c.start <= now < c.end:
            key = (c.account_id, c.region, c.scope)
            text = f"Reserved Instances ({c.id}) are paid until {c.end:%Y-%m-%d}"
            out[key] = (out.get(key, (0, ""))[0] + c.count, text)
    return out


def _spot_factor(ground: Ground, unit: Unit, name: str) -> float:
    """What one of these costs on average over its on-demand price: part of them may have run as spot.

    1 where no spot price is known, so that nothing is guessed.
    """
    fleet = ground.fleet(unit)
    fleet = fleet[fleet["instance_type"] == name]
    spot, listed = ground.spot(unit.region).get(name), ground.prices(unit.region).get(name)
    if spot is None or not listed or not (fleet["purchase"] == "spot").any():
        return 1.0
    end = pd.Timestamp(ground.parts.inputs.as_of).floor("h")
    hours = pd.date_range(end - pd.Timedelta(days=AVERAGE_DAYS), end, freq="h", inclusive="left")
    ran = hourly_counts(fleet, hours).sum().groupby(level="purchase").sum()
    share = float(ran.get("spot", 0.0)) / float(ran.sum()) if float(ran.sum()) else 0.0
    return 1.0 - share * (1.0 - spot / listed)


def _group_minimum(fleet: pd.DataFrame, at: pd.Timestamp) -> int | None:
    """Least instances that the scaling groups allow, of each account's last snapshot; None where it is not told.

    A group that spans zones names its minimum on each of its rows, so an account's rows count once: their largest.
    """
    known = fleet[fleet["ts"] <= at]
    if known.empty:
        return None
    last = known[known["ts"] == known.groupby("account_id", observed=True)["ts"].transform("max")]
    last = last[last["count"] > 0]
    if last.empty or last["min"].isna().any():
        return None
    return int(last.groupby("account_id", observed=True)["min"].max().sum())


def _newer(ground: Ground, unit: Unit, need: UnitNeed, candidate: Candidate) -> Newer | None:
    """The newer type of a previous-generation type's line, architecture and size that serves as much for the least."""
    parts = ground.parts
    types, data = parts.inputs.types, parts.data.get(unit)
    kind = types.get(candidate.instance_type)
    if kind is None or kind.current_generation or data is None:
        return None
    prices, wanted = ground.prices(unit.region), data.service.candidates
    listed = prices.get(kind.name)
    line = [
        t for t in types.values()
        if _is_newer(t, kind) and t.name in prices and t.family not in wanted.deny_families
        and (wanted.allow_families is None or t.family in wanted.allow_families)
    ]  # fmt: skip
    found = [(t, *_serves(parts, need, t, unit)) for t in line]
    found = [(t, safe, lost) for t, safe, lost in found if safe > 0 and lost > 0]
    if not found or not listed:
        return None
    kind_of, safe, lost = min(found, key=lambda f: (prices[f[0].name] / min(f[1], f[2]), f[0].name))
    return Newer(kind_of.name, prices[kind_of.name] * candidate.usd_per_hour / listed, safe, lost)


def _serves(parts: Parts, need: UnitNeed, kind: InstanceType, unit: Unit) -> tuple[float, float]:
    """What one of ``kind`` serves for the unit in the two states, the tier's headroom kept."""
    data = parts.data[unit]
    scale = saturation.reference_scale(data.running, parts.inputs.types, data.service)
    tier = tier_of(parts.inputs.config, unit)
    safe, lost = saturation.per_instance(kind, data.service, tier, need.cost, scale, need.resources)
    return safe * (1.0 - tier.min_headroom_frac), lost


def _is_newer(kind: InstanceType, than: InstanceType) -> bool:
    """The same line with the same extras (c5 -> c7i and c7a, c5d -> c6id), as many vCPU, no less memory."""
    one, old = _GENERATION.match(kind.family), _GENERATION.match(than.family)
    if one is None or old is None or one.group(1) != old.group(1) or int(one.group(2)) <= int(old.group(2)):
        return False
    makers = str.maketrans("", "", "aig")  # who made the processor is no extra: AMD, Intel, Graviton
    extras = one.group(3).translate(makers) == old.group(3).translate(makers)
    same = (kind.arch, kind.vcpu, kind.bare_metal) == (than.arch, than.vcpu, than.bare_metal)
    return extras and same and kind.current_generation and kind.memory_gib >= than.memory_gib


def _planned_usd(parts: Parts, unit: Unit) -> float | None:
    """What the plan runs of the unit in the next weeks costs a month, at the same prices as the running fleet."""
    if parts.mix is None:
        return None
    months = {b.month for b in _near(parts.needs[unit].requirement.blocks)}
    rows = parts.mix.solution.running
    rows = rows[(rows["service"] == unit.service) & (rows["region"] == unit.region) & rows["month"].isin(months)]
    hours = sum(b.hours for b in _near(parts.needs[unit].requirement.blocks))
    return float(rows["usd"].sum()) / hours * HOURS_A_MONTH if hours else None


def _planned_types(parts: Parts, unit: Unit) -> frozenset[str]:
    if parts.mix is None:
        return frozenset()
    rows = parts.mix.solution.provisioned
    rows = rows[(rows["service"] == unit.service) & (rows["region"] == unit.region) & (rows["instances"] > 0)]
    return (
        frozenset(rows[rows["month"] == rows["month"].max()]["instance_type"].astype(str)) if len(rows) else frozenset()
    )


def _all_tested(machines: tuple[Machine, ...], data: object) -> bool:
    tested: Mapping[str, float] = getattr(getattr(data, "service", None), "load_tested", {})
    return bool(machines) and all(m.instance_type in tested for m in machines)
