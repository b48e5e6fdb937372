"""What a scenario makes of the config, of demand, of efficiency and of prices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from capacity.config import Config, ServiceConfig
from capacity.domain import Floats, Unit
from capacity.scenario._models import Growth, Scenario


def overlay_config(config: Config, scenario: Scenario) -> Config:
    """``config`` with the scenario's policy, migrations, zone failures and what may be bought.

    Events merge by name.

    Raises
    ------
    pydantic.ValidationError
        The config does not hold with it; :func:`load` has refused such a scenario.
    """
    data = config.model_dump()
    data["tiers"] = [_overlay_tier(t, scenario) for t in data["tiers"]]
    data["services"] = [_overlay_candidates(s, scenario) for s in data["services"]]
    events = {e["name"]: e for e in data["events"]} | {e.name: e.model_dump() for e in scenario.events}
    data["events"] = list(events.values())
    if scenario.commitments is not None:
        data["optimize"]["commitments"] = scenario.commitments.overlay(config.optimize.commitments)
    out = Config.model_validate(data)
    out._path = config.path
    return out


def _overlay_tier(tier: dict[str, Any], scenario: Scenario) -> dict[str, Any]:
    for overlay in scenario.policy.tiers if scenario.policy else []:
        if overlay.name == tier["name"]:
            tier |= overlay.model_dump(exclude_none=True)
    if scenario.failure and scenario.failure.zones is not None:
        tier["zones_survived"] = max(tier["zones_survived"], scenario.failure.zones)
    return tier


def _overlay_candidates(service: dict[str, Any], scenario: Scenario) -> dict[str, Any]:
    for migration in scenario.migration:
        if migration.services is None or service["name"] in migration.services:
            service["candidates"] = service["candidates"] | migration.model_dump(
                exclude_none=True, exclude={"services"}
            )
    return service


def demand_factor(scenario: Scenario, unit: Unit, days: pd.DatetimeIndex) -> Floats:
    """What growth makes of the demand of ``unit``: (D,) factors, 1 where nothing is said."""
    factor = np.ones(len(days))
    for growth in scenario.growth:
        if _names(growth.services, unit.service) and _names(growth.regions, unit.region):
            factor *= _ramp(growth, days)
    return factor


def _ramp(growth: Growth, days: pd.DatetimeIndex) -> Floats:
    if not len(days):
        return np.ones(0)
    start = pd.Timestamp(growth.from_) if growth.from_ else days[0]
    end = pd.Timestamp(growth.reached) if growth.reached else start
    span = max((end - start) / pd.Timedelta(days=1), 1e-9)
    share = np.clip((days - start) / pd.Timedelta(days=1) / span, 0.0, 1.0) if end > start else (days >= start) * 1.0
    return np.asarray(1.0 + (growth.multiplier - 1.0) * np.asarray(share, dtype=float))


def demand_added(scenario: Scenario, unit: Unit, days: pd.DatetimeIndex) -> Floats:
    """What launches add to the demand of ``unit``: (D,) in its demand unit."""
    added = np.zeros(len(days))
    for launch in scenario.launches:
        if (launch.service, launch.region) == (unit.service, unit.region):
            added += np.where(days >= pd.Timestamp(launch.from_), launch.add, 0.0)
    return added


def efficiency_factor(scenario: Scenario, unit: Unit) -> float:
    """What the scenario makes of the resource that one unit of demand costs."""
    return float(np.prod([e.factor for e in scenario.efficiency if _names(e.services, unit.service)]))


def price_factor(scenario: Scenario, family: str) -> float:
    """What the scenario makes of an on-demand price of ``family``."""
    return float(np.prod([p.multiplier for p in scenario.prices if _names(p.families, family)]))


def lost_region(scenario: Scenario) -> str | None:
    return scenario.failure.region if scenario.failure else None


def failover_target(service: ServiceConfig, lost: str) -> tuple[str, ...]:
    """Regions that take the traffic of ``service`` when ``lost`` is gone: its others, alike."""
    return tuple(r for r in service.regions if r != lost) if lost in service.regions else ()


def touches(scenario: Scenario, config: Config) -> frozenset[str]:
    """Names of the services whose demand, policy or candidates the scenario changes."""
    named: set[str] = set()
    everyone = {s.name for s in config.services}
    scopes = [item.services for group in (scenario.growth, scenario.efficiency, scenario.migration) for item in group]
    for services in scopes:
        named |= everyone if services is None else set(services)
    named |= {launch.service for launch in scenario.launches}
    named |= {name for event in scenario.events for name in event.services}
    if scenario.prices or (scenario.failure and scenario.failure.zones is not None):
        named |= everyone
    if scenario.failure and scenario.failure.region:
        named |= {s.name for s in config.services if scenario.failure.region in s.regions}
    tiers = {t.name for t in scenario.policy.tiers} if scenario.policy else set()
    named |= {s.name for s in config.services if s.tier in tiers}
    return frozenset(_with_callees(named, config)) if scenario.growth or scenario.events else frozenset(named)


def _with_callees(names: set[str], config: Config) -> set[str]:
    """``names`` and all they call, however far: their demand moves too."""
    calls = {s.name: [c.service for c in s.calls] for s in config.services}
    todo, seen = list(names), set(names)
    while todo:
        new = [n for n in calls[todo.pop()] if n not in seen]
        seen |= set(new)
        todo += new
    return seen


def _names(allowed: Sequence[str] | None, name: str) -> bool:
    return allowed is None or name in allowed
