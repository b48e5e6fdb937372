"""What a plan's frames say of its months, in the words of a bridge."""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pandas as pd

from capacity.costs._money import quantize
from capacity.costs.bridge._facts import E, Thing, both, thing
from capacity.costs.bridge._moves import rounded
from capacity.costs.bridge._skus import Sku
from capacity.costs.pools import split
from capacity.errors import MissingDataError

Frames = Mapping[str, pd.DataFrame]
FLEET_PARTS = ("instances", "databases")
TOTAL = "total"
# Parts of a plan's total that stand apart from running spend; commitments that nobody uses are named so.
APART = ("tax", "credit", "refund", "one_off")
_UNUSED = "unused"
Unit = tuple[str, str]  # service, region
# Rates an hour have fewer decimals than this.
_RATE_PLACES = 10**9


@dataclass
class PlanFacts:
    """A plan's money of some months, in whole 1e-12.

    Attributes
    ----------
    things
        (service, region) -> instance type -> hours, at their rates, and what they cost.
    demand
        (service, region) -> demand × hours.
    beside
        (service, part) -> money that the plan does not tell apart.
    apart
        part -> tax, credits and the like.
    unused
        part -> commitments and reservations that nobody uses.
    skus
        Instance type -> vCPU.
    """

    things: dict[Unit, dict[str, Thing]] = field(default_factory=dict)
    demand: dict[Unit, float] = field(default_factory=dict)
    beside: dict[tuple[str, str], int] = field(default_factory=dict)
    apart: dict[str, int] = field(default_factory=dict)
    unused: dict[str, int] = field(default_factory=dict)
    skus: dict[str, Sku] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All of it."""
        fleets = sum(t[E] for types in self.things.values() for t in types.values())
        return fleets + sum(sum(d.values()) for d in (self.beside, self.apart, self.unused))


def plan_months(frames: Frames) -> list[str]:
    """Months that a plan says money of."""
    for name in ("plan_total", "spend_plan", "spend_forecast"):
        if len(frame := frame_of(frames, name)):
            return sorted(set(frame["month"].astype(str)))
    return []


def plan_facts(frames: Frames, months: Sequence[str]) -> PlanFacts:
    """Facts of ``months`` from frames plan_total (or spend_plan, or spend_forecast), running, mix and blocks.

    The total's amounts are shared over a unit's instance types in proportion to what their hours cost at their rates.
    """
    out = PlanFacts(skus=_vcpu(frame_of(frames, "mix")))
    blocks = _of(frames, "blocks", months)
    for row in blocks.to_dict("records"):
        unit = (str(row["service"]), str(row["region"]))
        out.demand[unit] = out.demand.get(unit, 0.0) + float(row["hours"]) * float(row["demand"])
    fleets: dict[Unit, int] = {}
    if len(frame_of(frames, "plan_total")):
        _totals(out, fleets, _of(frames, "plan_total", months))
    elif len(frame_of(frames, "spend_plan")):
        for row in _of(frames, "spend_plan", months).to_dict("records"):
            _add(fleets, (str(row["service"]), str(row["region"])), units_of(row["total_usd"]))
        out.unused = {"commitments unused": fleets.pop(("", ""))} if ("", "") in fleets else {}
    else:
        for row in _of(frames, "spend_forecast", months).to_dict("records"):
            _add(out.beside, (str(row["service"]), "running spend"), units_of(row["q50"]))
        coming = _of(frames, "spend_apart", months)
        for row in coming[~coming["known"].astype(bool)].to_dict("records"):
            _add(out.apart, str(row["part"]), units_of(row["amount"]))
    _fleets(out, fleets, _of(frames, "running", months))
    return out


def refuse_part_months(frames: Frames, months: Sequence[str]) -> None:
    """A plan begins within a month: what it says of that month is of its last days alone.

    Raises
    ------
    MissingDataError
        A month that the plan does not know, or knows a part of.
    """
    known = plan_months(frames)
    blocks = frame_of(frames, "blocks")
    hours: Mapping[Any, Any] = {}
    if len(blocks):
        hours = blocks.groupby(["month", "service", "region"])["hours"].sum().groupby("month").max().to_dict()
    whole = [m for m in known if m not in hours or float(hours[m]) >= _hours(m) - 1]
    missing = [m for m in months if m not in whole]
    if missing:
        raise MissingDataError(
            f"the plan says nothing of all of {', '.join(missing)}; months that it covers whole: "
            f"{', '.join(whole) or 'none'}. Take an earlier plan for earlier months"
        )


def units_of(amount: Any) -> int:
    """Money of a plan (a Decimal or a float) in whole 1e-12, rounded once."""
    return quantize(amount if isinstance(amount, Decimal) else Decimal(repr(float(amount))))


def frame_of(frames: Frames, name: str) -> pd.DataFrame:
    """Frame ``name``; an empty one where a plan has none."""
    return frames.get(name, pd.DataFrame())


def _of(frames: Frames, name: str, months: Sequence[str]) -> pd.DataFrame:
    frame = frame_of(frames, name)
    if frame.empty:
        return pd.DataFrame(columns=["month", "service", "known"])
    return frame[frame["month"].astype(str).isin(months)]


def _add(into: dict[Any, int], key: Any, amount: int) -> None:
    if amount:
        into[key] = into.get(key, 0) + amount


def _hours(month: str) -> int:
    return calendar.monthrange(int(month[:4]), int(month[5:]))[1] * 24


def _vcpu(mix: pd.DataFrame) -> dict[str, Sku]:
    if mix.empty:
        return {}
    rows = mix[(mix["instances"] > 0) & (mix["vcpu"] > 0)]
    each = zip(rows["instance_type"].astype(str), rows["vcpu"] / rows["instances"], strict=True)
    return {name: Sku(name, float(vcpu)) for name, vcpu in each}


def _totals(out: PlanFacts, fleets: dict[Unit, int], total: pd.DataFrame) -> None:
    for row in total.to_dict("records"):
        part, service, region = (str(row[c] or "") for c in ("part", "service", "region"))
        amount = units_of(row["amount"])
        if part == TOTAL:
            continue
        if part in FLEET_PARTS and region:
            _add(fleets, (service, region), amount)
        elif part in APART:
            _add(out.apart, part, amount)
        elif part.endswith(_UNUSED):
            _add(out.unused, part, amount)
        else:
            _add(out.beside, (service, part), amount)


def _fleets(out: PlanFacts, fleets: Mapping[Unit, int], running: pd.DataFrame) -> None:
    """Each unit's money over its types; a unit whose types are not known has it beside."""
    hours: dict[Unit, dict[tuple[str, bool], list[int]]] = {}
    for row in running.to_dict("records"):
        kind = (str(row["instance_type"]), str(row["purchase"]) == "spot")
        found = hours.setdefault((str(row["service"]), str(row["region"])), {}).setdefault(kind, [0, 0])
        ran_hours = units_of(float(row["instances"]) * float(row["hours"]))
        found[0] += ran_hours
        found[1] += _at_rate(ran_hours, units_of(row["usd"]))
    for unit, amount in sorted(fleets.items()):
        ran = {k: v for k, v in sorted(hours.get(unit, {}).items()) if v[0] > 0}
        if not ran:
            _add(out.beside, (unit[0], f"instances, {unit[1]}"), amount)
            continue
        spot = {k: v[1] for k, v in ran.items() if k[1]}
        plain = [k for k in ran if not k[1]]
        left = amount - sum(spot.values())
        if not plain:  # all is spot: the total's cents go where the hours are
            spot = dict(zip(spot, _shared(amount, list(spot.values())), strict=True))
        cost = spot | dict(zip(plain, _shared(left, [ran[k][1] for k in plain]), strict=True))
        types = out.things.setdefault(unit, {})
        for (name, is_spot), (ran_hours, listed) in ran.items():
            fact = (listed, listed, ran_hours, cost[name, is_spot])
            one = thing(None, fact) if is_spot else thing(fact, None)
            types[name] = both(types[name], one) if name in types else one


def _at_rate(hours: int, amount: int) -> int:
    """An amount that was computed in floats, again from its hours and its rate: one rate is then one rate."""
    rate = rounded(amount * _RATE_PLACES, hours) if hours > 0 else 0
    return rounded(hours * rate, _RATE_PLACES)


def _shared(amount: int, weights: list[int]) -> list[int]:
    if not weights:
        return []
    return split(amount, weights if any(weights) else [1] * len(weights))
