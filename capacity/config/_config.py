"""The whole config, and that its names refer to something."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from capacity.config._aws import AwsAccess
from capacity.config._base import Model, Name, did_you_mean
from capacity.config._budgets import Budgets
from capacity.config._carbon import CarbonConfig
from capacity.config._events import EventConfig
from capacity.config._fiscal import FiscalYear
from capacity.config._holidays import CountryHolidays
from capacity.config._invoices import ExchangeRate, InvoiceConfig
from capacity.config._money import CostsConfig, pool_problems
from capacity.config._pools import NodePoolConfig
from capacity.config._services import OutageConfig, ServiceConfig, TierConfig
from capacity.config._settings import ForecastConfig, LeadTimes, OptimizeConfig
from capacity.config._sources import SourceConfig
from capacity.config._units import DriverConfig, JourneyConfig, unit_problems
from capacity.errors import ConfigError
from capacity.fiscal import Calendar


class Config(Model):
    """A whole config file. ``load`` is the way in."""

    version: Literal[1]
    company: Name
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    fiscal_year: FiscalYear = Field(FiscalYear(), description="when the year begins, and what it is called")
    store: str = ".capacity/store"
    seed: int = Field(1, ge=0)
    as_of: datetime | None = None
    aws: list[AwsAccess] = Field([], description="ways into AWS that sources refer to")
    sources: list[SourceConfig] = []
    catalogue: str | None = Field(None, description="folder of a refreshed catalogue, in place of the bundled one")
    tiers: list[TierConfig] = Field(min_length=1)
    services: list[ServiceConfig] = Field(min_length=1)
    pools: list[NodePoolConfig] = Field([], description="Kubernetes node pools that several services share")
    events: list[EventConfig] = []
    outages: list[OutageConfig] = []
    country_holidays: CountryHolidays = Field(
        [], description="countries whose holidays demand may feel: DE, or [DE-BY, AT]; a service's own go before them"
    )
    costs: CostsConfig = CostsConfig()
    budgets: Budgets = []
    drivers: list[DriverConfig] = Field([], description="what cost is divided by beside each service's own demand")
    journeys: list[JourneyConfig] = Field([], description="what customers do, for what it costs")
    invoices: list[InvoiceConfig] = Field([], description="invoice totals entered by hand, to hold the bill to")
    exchange_rates: list[ExchangeRate] = Field([], description="without one, currencies are never added")
    lead_times: LeadTimes = LeadTimes()
    forecast: ForecastConfig = ForecastConfig()
    optimize: OptimizeConfig = OptimizeConfig()
    carbon: CarbonConfig = Field(CarbonConfig(), description="energy and emissions beside money; off unless enabled")
    scenarios: list[str] = Field([], description="scenario files, or folders of them, relative to this one")

    _path: Path = PrivateAttr(default=Path("config.yaml"))

    @model_validator(mode="after")
    def _names_refer(self) -> Self:
        problems = [*_repeated(self), *_dangling(self), *_pool_problems(self), *_type_problems(self)]
        problems += [*unit_problems(self), *pool_problems(self.costs, [s.name for s in self.services])]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def calendar(self) -> Calendar:
        """Quarters and years as this company counts them."""
        return self.fiscal_year.calendar

    @property
    def path(self) -> Path:
        """The file this config was read from."""
        return self._path

    def resolve(self, path: str) -> Path:
        """``path`` as written in the config, with ~ and $VARIABLES, made absolute against the config's folder.

        Raises
        ------
        ConfigError
            It names an environment variable that is not set.
        """
        expanded = os.path.expandvars(path)
        if "$" in expanded:
            raise ConfigError([f"{self._path}: path '{path}' names an environment variable that is not set"])
        return (self._path.parent / Path(expanded).expanduser()).absolute()

    def tier(self, name: str) -> TierConfig:
        return next(t for t in self.tiers if t.name == name)

    def service(self, name: str) -> ServiceConfig:
        return next(s for s in self.services if s.name == name)

    def digest(self) -> str:
        """SHA-256 of what this config asks for.

        Comments do not count, nor where data comes from (a plan records the store's versions), nor where and by how
        many workers the work is done.
        """
        elsewhere: Any = {
            "store": True,
            "aws": True,
            "sources": True,
            "catalogue": True,
            "scenarios": True,
            "forecast": {"workers", "scheduler"},
        }
        asked = self.model_dump(mode="json", exclude=elsewhere)
        # The config names a mapping; what it asks for is what stands in the file.
        if self.costs.mappings:
            asked["mappings"] = [m.table.digest if m.table else "" for m in self.costs.mappings]
        text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _repeated(config: Config) -> list[str]:
    out = []
    for kind, names in (
        ("tier", [t.name for t in config.tiers]),
        ("service", [s.name for s in config.services]),
        ("event", [e.name for e in config.events]),
        ("aws", [a.name for a in config.aws]),
        ("source", [s.name for s in config.sources]),
        ("pool", [p.name for p in config.costs.pools]),
        ("node pool or service", [*(p.name for p in config.pools), *{s.name for s in config.services}]),
    ):
        out += [f"{kind} '{n}' is given twice" for n in sorted({n for n in names if names.count(n) > 1})]
    return out


def _dangling(config: Config) -> list[str]:
    services, tiers = [s.name for s in config.services], [t.name for t in config.tiers]
    pools = [p.name for p in config.costs.pools]
    wanted: list[tuple[str, str, list[str]]] = []
    for s in config.services:
        wanted.append((f"services '{s.name}': tier", s.tier, tiers))
        wanted += [(f"services '{s.name}': calls", c.service, services) for c in s.calls]
    for e in config.events:
        wanted += [(f"events '{e.name}': services", n, services) for n in e.services]
        # An event that reaches nothing would be GO.
        reached = sorted({r for s in config.services if s.name in e.services for r in s.regions})
        wanted += [(f"events '{e.name}': regions", r, reached) for r in e.regions or ()]
        wanted += [
            (f"events '{e.name}': business.regions", r, reached) for r in (e.business and e.business.regions) or ()
        ]
    for r in config.costs.rules:
        wanted += [(f"rules '{r.name}': pool", r.pool, pools)] if r.pool else []
    for node_pool in config.pools:
        wanted.append((f"pools '{node_pool.name}': tier", node_pool.tier, tiers))
        wanted += [(f"pools '{node_pool.name}': services", p.service, services) for p in node_pool.services]
    ways = [a.name for a in config.aws]
    for source in config.sources:
        way = getattr(source, "aws", None)
        wanted += [(f"sources '{source.name}': aws", way, ways)] if way else []
    for key, pool in config.costs.apart.items():
        wanted += [(f"costs {key}", pool, pools)] if pool else []
    teams = sorted({s.team for s in config.services if s.team})
    for shared in config.costs.pools:
        wanted += [(f"costs.pools '{shared.name}': tiers", n, tiers) for n in shared.tiers]
        wanted += [(f"costs.pools '{shared.name}': teams", n, teams) for n in shared.teams]
    return [
        f"{where} names '{name}', which is not defined{did_you_mean(name, known)}"
        for where, name, known in wanted
        if name not in known
    ]


def _pool_problems(config: Config) -> list[str]:
    """A pool's services run in its regions, on instances, and on the nodes of one pool only."""
    services = {s.name: s for s in config.services}
    taken: dict[tuple[str, str], str] = {}
    out = []
    for pool in config.pools:
        for service in (services[p.service] for p in pool.services if p.service in services):
            where = f"pools '{pool.name}': services '{service.name}'"
            if service.kind != "fleet":
                out.append(f"{where} is {service.kind}; only a service of kind fleet can have pods")
            out += [
                f"{where} does not run in {region}{did_you_mean(region, service.regions)}"
                for region in pool.regions
                if region not in service.regions
            ]
            for region in pool.regions:
                other = taken.setdefault((service.name, region), pool.name)
                if other != pool.name:
                    out.append(f"{where} is in pool '{other}' too, in {region}; a service has its pods in one pool")
    return out


def _type_problems(config: Config) -> list[str]:
    """More types than a service may mix can never run."""
    most = config.optimize.most_types
    if most is None:
        return []
    found = [(f"services '{s.name}': least_types", s.least_types) for s in config.services]
    found += [(f"services '{s.name}': spot.least_types", s.spot.least_types or 1) for s in config.services]
    found += [(f"pools '{p.name}': least_types", p.least_types) for p in config.pools]
    found += [(f"pools '{p.name}': spot.least_types", p.spot.least_types or 1) for p in config.pools]
    found += [
        (f"tiers '{t.name}': spot_least_types", t.spot_least_types)
        for t in config.tiers
        if t.spot_least_types != TierConfig.model_fields["spot_least_types"].default
    ]
    return [
        f"{where}: found {least}, more than optimize.most_types ({most}); raise that, or set it to null"
        for where, least in found
        if least > most
    ]
