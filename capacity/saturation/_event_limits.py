"""Limits that no instance moves, during an event: hard ones, those of third parties, and a lost region's traffic."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from capacity.config import ServiceConfig, ThirdPartyConfig
from capacity.domain import Floats, Unit
from capacity.saturation._event_inputs import STOCK_METRICS, EventInputs, HardLimitInputs, quantile
from capacity.saturation._event_words import LimitHeld

_LEVEL = 0.95
_ANY = "any"


def hard_limit(limit: HardLimitInputs, baseline: Floats, demand: Floats) -> LimitHeld:
    """The metric with the event, against its limit."""
    if limit.per_demand is not None:
        metric = limit.baseline + limit.per_demand * (demand - baseline)
    elif limit.config.metric in STOCK_METRICS:
        metric = limit.baseline
    else:
        grows = np.divide(demand, baseline, out=np.ones_like(demand), where=baseline > 0)
        metric = limit.baseline * grows
    c = limit.config
    return LimitHeld(
        c.metric, c.limit, c.unit, c.remedy, c.lead_time_days, quantile(metric, _LEVEL), metric <= c.limit, own=True
    )


def third_parties(
    inputs: Mapping[Unit, EventInputs], demand: Mapping[Unit, Floats]
) -> dict[Unit, tuple[LimitHeld, ...]]:
    """What every unit's third parties are asked for, all services and regions that share a limit together.

    ``demand`` is (P,) by unit, with the event where it reaches and as it is elsewhere.
    """
    asked: dict[tuple[str, str], Floats] = {}
    limits: dict[tuple[str, str], float] = {}
    users: dict[Unit, list[tuple[tuple[str, str], ThirdPartyConfig]]] = {}
    for unit, own in inputs.items():
        for party in own.service.third_parties:
            key = (party.name, unit.region if party.scope == "region" else "")
            flow = demand[unit] * party.per_request
            asked[key] = asked[key] + flow if key in asked else flow
            # Where services that share one name different limits, the smaller one is the safe reading.
            limits[key] = min(party.limit, limits.get(key, party.limit))
            users.setdefault(unit, []).append((key, party))
    return {
        unit: tuple(
            LimitHeld(
                party.name, limits[key], party.unit, party.remedy, party.lead_time_days,
                quantile(asked[key], _LEVEL), asked[key] <= limits[key], source=party.source,
            )
            for key, party in parties
        )
        for unit, parties in users.items()
    }  # fmt: skip


def region_demand(unit: Unit, service: ServiceConfig, demand: Mapping[Unit, Floats]) -> Floats | None:
    """(P,) the unit's demand with that of the lost region that brings most; None where the config asks for none."""
    arriving = [
        share * demand[Unit(unit.service, lost)]
        for lost in service.regions
        if lost != unit.region
        and (share := failover_shares(service, lost).get(unit.region, 0.0)) > 0
        and Unit(unit.service, lost) in demand
    ]
    if not arriving:
        return None
    most: Floats = np.maximum.reduce(arriving)
    return demand[unit] + most


def failover_shares(service: ServiceConfig, lost: str) -> dict[str, float]:
    """Region -> share of the demand of ``lost`` that moves there; a rule of its own name goes before ``any``."""
    rules = {rule.from_: rule for rule in service.failover}
    rule = rules.get(lost, rules.get(_ANY))
    if rule is None or lost not in service.regions:
        return {}
    others = [r for r in service.regions if r != lost]
    return dict(rule.to) if rule.to is not None else {r: 1.0 / len(others) for r in others}
