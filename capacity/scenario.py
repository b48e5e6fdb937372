"""Scenarios: small overlays on a base config, and what differs between the plans they give.

A scenario transforms the base forecast's paths and never refits; it changes policy, prices, candidates and
failures for the stages after it. Scenarios are compared, never stacked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from capacity import strict_yaml
from capacity.config import Config, EventConfig, Fraction, Model, Name, Positive, ServiceConfig, validate
from capacity.domain import Floats, Unit
from capacity.errors import ConfigError
from capacity.plan import Plan
from capacity.words import money

BASE = "base"


class Growth(Model):
    """Demand times ``multiplier``, reached linearly between two dates (at once where ``reached`` is absent)."""

    services: list[Name] | None = None
    regions: list[str] | None = None
    multiplier: Positive
    from_: date | None = Field(None, alias="from")
    reached: date | None = None


class Launch(Model):
    """Demand that is new from a day on, in the service's own demand unit."""

    service: Name
    region: str
    from_: date = Field(alias="from")
    add: Positive


class Efficiency(Model):
    """Resource per unit of demand times ``factor`` (0.85 = 15 % less CPU a request), for the whole horizon."""

    services: list[Name] | None = None
    factor: Positive


class PriceChange(Model):
    product: Literal["on_demand"] = "on_demand"
    families: list[str] | None = None
    multiplier: Positive


class Failure(Model):
    """A region that is gone (its traffic moves to the service's other regions), or more zones lost at once."""

    region: str | None = None
    zones: int | None = Field(None, ge=0, le=3)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.region is None) == (self.zones is None):
            raise ValueError("give exactly one of region and zones")
        return self


class Migration(Model):
    """Which instance types may serve these services instead."""

    services: list[Name] | None = None
    architectures: list[Literal["x86_64", "arm64"]] | None = None
    allow_families: list[str] | None = None
    deny_families: list[str] | None = None


class TierOverlay(Model):
    name: Name
    service_level: Annotated[float, Field(ge=0.5, lt=1)] | None = None
    zones_survived: Annotated[int, Field(ge=0, le=3)] | None = None
    min_headroom_frac: Annotated[float, Field(ge=0, lt=0.9)] | None = None
    zone_loss_utilisation_frac: Fraction | None = None
    spot_max_frac: Fraction | None = None


class Policy(Model):
    tiers: list[TierOverlay] = Field(min_length=1)


class Scenario(Model):
    """One overlay. The empty one is the base."""

    name: Name
    description: str = ""
    author: str = ""
    growth: tuple[Growth, ...] = ()
    events: tuple[EventConfig, ...] = ()
    launches: tuple[Launch, ...] = ()
    efficiency: tuple[Efficiency, ...] = ()
    prices: tuple[PriceChange, ...] = ()
    failure: Failure | None = None
    migration: tuple[Migration, ...] = ()
    policy: Policy | None = None

    @model_validator(mode="after")
    def _sizes_are_given(self) -> Self:
        for event in self.events:
            if event.business is not None:
                raise ValueError(
                    f"event '{event.name}': a business figure is for the config's events, whose check turns it into "
                    "requests; give a scenario's event a multiplier or target"
                )
            if event.is_learned:
                raise ValueError(
                    f"event '{event.name}': a scenario never learns: give multiplier or target, or put the event "
                    "into the config, whose base forecast then carries it"
                )
        return self


def base() -> Scenario:
    """The scenario that changes nothing."""
    return Scenario(name=BASE, description="as configured")


def load(path: Path, config: Config) -> Scenario:
    """Read a scenario file and hold it against ``config``.

    Raises
    ------
    ConfigError
        With file, line and key; also where it names a service, region or tier that ``config`` does not have.
    """
    document = strict_yaml.load(path)
    scenario = validate(Scenario, document)
    problems = [f"{path}:{document.line(loc)}: {_dotted(loc)}: {text}" for loc, text in _dangling(scenario, config)]
    if scenario.name == BASE:
        problems.append(f"{path}:{document.line(('name',))}: name: '{BASE}' is the config itself; choose another name")
    if problems:
        raise ConfigError(problems)
    return scenario


def load_named(config: Config, names: Iterable[str]) -> tuple[Scenario, ...]:
    """The config's scenarios by name (or by a path to a YAML file).

    Raises
    ------
    ConfigError
        No scenario of that name; the message lists those there are.
    """
    known = {s.name: s for s in (load(config.resolve(p), config) for p in config.scenarios)}
    out = []
    for name in names:
        if name in known:
            out.append(known[name])
        elif Path(name).suffix in (".yaml", ".yml"):
            out.append(load(Path(name), config))
        else:
            raise ConfigError([f"{config.path}: no scenario '{name}'; known: {', '.join(sorted(known)) or 'none'}"])
    return tuple(out)


def _dotted(loc: tuple[str | int, ...]) -> str:
    return ".".join(str(p) for p in loc)


def _dangling(scenario: Scenario, config: Config) -> list[tuple[tuple[str | int, ...], str]]:
    services = {s.name: s for s in config.services}
    tiers = {t.name for t in config.tiers}
    out: list[tuple[tuple[str | int, ...], str]] = []
    for key in ("growth", "events", "efficiency", "migration"):
        for i, item in enumerate(getattr(scenario, key)):
            out += [
                ((key, i, "services"), f"no service '{n}'; known: {', '.join(sorted(services))}")
                for n in item.services or []
                if n not in services
            ]
    for i, launch in enumerate(scenario.launches):
        if launch.service not in services or launch.region not in services[launch.service].regions:
            out.append((("launches", i), f"no service '{launch.service}' in region '{launch.region}'"))
    for i, tier in enumerate(scenario.policy.tiers if scenario.policy else []):
        if tier.name not in tiers:
            out.append((("policy", "tiers", i, "name"), f"no tier '{tier.name}'; known: {', '.join(sorted(tiers))}"))
    if scenario.failure and scenario.failure.region:
        known = {r for s in config.services for r in s.regions}
        if scenario.failure.region not in known:
            out.append(
                (("failure", "region"), f"no region '{scenario.failure.region}'; known: {', '.join(sorted(known))}")
            )
    return out


# --- transforms --------------------------------------------------------------------------------------------


def overlay_config(config: Config, scenario: Scenario) -> Config:
    """``config`` with the scenario's policy, migrations and zone failures; events merge by name."""
    data = config.model_dump()
    data["tiers"] = [_overlay_tier(t, scenario) for t in data["tiers"]]
    data["services"] = [_overlay_candidates(s, scenario) for s in data["services"]]
    events = {e["name"]: e for e in data["events"]} | {e.name: e.model_dump() for e in scenario.events}
    data["events"] = list(events.values())
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


# --- differences -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScenarioRow:
    """One scenario in a comparison. Money over the plan's horizon; deltas against the first plan."""

    scenario: str
    description: str
    recommended_usd: float
    delta_usd: float
    delta_frac: float
    saturating_units: int
    first_p10: date | None
    min_headroom_frac: float | None
    min_coverage_frac: float | None
    no_go: int
    violations: int
    sentence: str


def compare(plans: Mapping[str, Plan] | Sequence[Plan]) -> tuple[ScenarioRow, ...]:
    """Plans side by side; the first one is what the others are held against."""
    ordered = list(plans.values()) if isinstance(plans, Mapping) else list(plans)
    return tuple(_row(plan, ordered[0]) for plan in ordered)


def _row(plan: Plan, reference: Plan) -> ScenarioRow:
    money, was = _money(plan), _money(reference)
    dates = [x.p10 for u in plan.units for x in u.limits if x.p10]
    headrooms = [u.headroom_min_frac for u in plan.units if u.headroom_min_frac is not None]
    coverages = [u.coverage_min_frac for u in plan.units if u.coverage_min_frac is not None]
    return ScenarioRow(
        scenario=plan.scenario,
        description=plan.description,
        recommended_usd=money,
        delta_usd=money - was,
        delta_frac=(money - was) / was if was else 0.0,
        saturating_units=sum(any(x.p50 for x in u.limits) for u in plan.units),
        first_p10=min(dates, default=None),
        min_headroom_frac=min(headrooms, default=None),
        min_coverage_frac=min(coverages, default=None),
        no_go=sum(not v.go for e in plan.events for v in e.verdicts),
        violations=len(plan.violations),
        sentence=_sentence(plan, reference),
    )


def _money(plan: Plan) -> float:
    return plan.mix.recommended_usd if plan.mix else 0.0


def _sentence(plan: Plan, reference: Plan) -> str:
    if plan.scenario == reference.scenario:
        return "the plan that the others are held against"
    delta = _money(plan) - _money(reference)
    moved = _moved_units(plan, reference)
    amount = money(abs(delta), plan.currency)
    text = f"costs {amount} {'more' if delta >= 0 else 'less'} than {reference.scenario} over the horizon"
    if moved:
        text += f"; most of it in {', '.join(moved)}"
    sooner = _sooner(plan, reference)
    return text + (f"; sooner full: {', '.join(sooner)}" if sooner else "")


def _moved_units(plan: Plan, reference: Plan) -> list[str]:
    was = {u.unit: u.recommended_usd for u in reference.units}
    moves = {u.unit: u.recommended_usd - was.get(u.unit, 0.0) for u in plan.units}
    largest = sorted(moves, key=lambda unit: (-abs(moves[unit]), unit))[:3]
    return [
        f"{unit} ({'+' if moves[unit] >= 0 else '−'}{money(abs(moves[unit]), plan.currency)})"
        for unit in largest
        if abs(moves[unit]) >= 1
    ]


def _sooner(plan: Plan, reference: Plan) -> list[str]:
    was = {(u.unit, x.name): x.p50 for u in reference.units for x in u.limits}
    out = []
    for u in plan.units:
        for x in u.limits:
            before = was.get((u.unit, x.name))
            if x.p50 is not None and (before is None or x.p50 < before):
                out.append(f"{u.unit} by {x.p50:%d %b %Y}")
    return out[:3]
