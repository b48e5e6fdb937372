"""Marginal cost from days: of services, and of teams, tiers and the company by any driver.

One request more moves the cost of the service itself, and of the pools that are split by usage: those are fitted once,
on all usage of the company, and reach a service by how much of their metric one of its units is. Pools that are split
otherwise are held fixed, as are amounts for more than a day (a support fee), tax and credits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from capacity import costs
from capacity.config import Config, PoolConfig
from capacity.domain import Floats
from capacity.pipeline import drivers
from capacity.pipeline.bill_days import spent
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.masks import units
from capacity.pipeline.totals import NO_TEAM, team_of

# (service, currency)
ServiceKey = tuple[str, str]
Found = dict[str, costs.Slope] | str
# Statistics that add up over hours and services.
_AMOUNTS = ("avg", "sum")
_ONLY_GROWS = "its days do not move but for their trend"


def groups(config: Config) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(level, name, services) of the company, its tiers and its teams."""
    services = config.services
    yield "company", config.company, tuple(s.name for s in services)
    for tier in config.tiers:
        yield "tier", tier.name, tuple(s.name for s in services if s.tier == tier.name)
    for team in dict.fromkeys(team_of(config, s.name) for s in services):
        if team != NO_TEAM:
            yield "team", team, tuple(s.name for s in services if team_of(config, s.name) == team)


def own_of(config: Config, members: Sequence[str]) -> str:
    """What all of ``members`` serve; "" where they serve different things, which cannot be added."""
    names = {drivers.own_name(config.service(s)) for s in members}
    return names.pop() if len(names) == 1 else ""


@dataclass(frozen=True)
class Marginals:
    """Slopes from the days of bill and usage, in the config's currency."""

    inputs: Inputs
    counted: tuple[drivers.Counted, ...]
    allocation: costs.Allocation

    @cached_property
    def _daily(self) -> pd.DataFrame:
        return spent(self.inputs).daily

    @cached_property
    def days(self) -> pd.DatetimeIndex:
        """The grid that all slopes share: the days of the bill."""
        if self._daily.empty:
            return pd.DatetimeIndex([])
        return pd.date_range(self._daily["day"].min(), self._daily["day"].max(), freq="D")

    @cached_property
    def _metered(self) -> dict[tuple[str, str, str], Floats]:
        return costs.metered_days(self._daily, self.days) if len(self.days) else {}

    @cached_property
    def _units(self) -> drivers.Days:
        return drivers.Days(self.inputs, self.days)

    @cached_property
    def _own(self) -> dict[str, Floats]:
        return {s.name: self._units.own(s) for s in self.inputs.config.services}

    # --- pools ---------------------------------------------------------------------------------------------

    @cached_property
    def _pools(self) -> list[tuple[PoolConfig, str, costs.Slope]]:
        """Pools that are split by amounts of usage: pool, currency, money for one more of its metric anywhere."""
        out = []
        for pool in self.inputs.config.costs.pools:
            for kind, name, currency in self._metered:
                if kind != "pool" or name != pool.name or (pool.stat or "avg") not in _AMOUNTS or pool.metric is None:
                    continue
                found = costs.day_slopes(self._metered[kind, name, currency], self._metric(pool, None))
                if not isinstance(found, str):
                    out.append((pool, currency, found[0]))
        return out

    @cached_property
    def _takers(self) -> dict[str, set[str]]:
        """Pool -> services that got a share of it."""
        shared = self.allocation.frame[self.allocation.frame["kind"] == "shared"]
        return {str(pool): set(rows["service"]) for pool, rows in shared.groupby("pool")}

    def _metric(self, pool: PoolConfig, services: Sequence[str] | None) -> Floats:
        """(D,) of the pool's metric at those who share it, of ``services`` only where given."""
        names = self._takers.get(pool.name, set()) & (set(services) if services is not None else {*self._own})
        mine = [u for u in units(self.inputs.config) if u.service in names]
        return self._units.metric(mine, (str(pool.metric), pool.stat or "avg"))

    def _with_pools(self, own: costs.Slope, currency: str, members: Sequence[str], driver: Floats) -> costs.Slope:
        """With what a unit of ``driver`` moves in the pools, by how much of their metric it is over all known days."""
        parts = [(1.0, own)]
        for pool, of, slope in self._pools:
            if of == currency:
                metric = self._metric(pool, members)
                both = np.isfinite(metric) & np.isfinite(driver)
                if driver[both].sum() > 0:
                    parts.append((float(metric[both].sum() / driver[both].sum()), slope))
        return costs.combined(parts)

    # --- services ------------------------------------------------------------------------------------------

    @cached_property
    def fitted(self) -> dict[ServiceKey, Found]:
        """(service, currency) -> slope by driver (its own demand among them), fitted together; or why there is none."""
        return {
            (name, currency): self._service(name, currency, cost)
            for (kind, name, currency), cost in self._metered.items()
            if kind == "service"
        }

    def _service(self, service: str, currency: str, cost: Floats) -> Found:
        own, *others = self._drivers_of(service)
        # A driver that only grows, as stored bytes do, is part of the trend: no rate is seen in it.
        known = [own, *(d for d in others if not isinstance(costs.day_slopes(cost, d[2]), str))]
        found = costs.day_slopes(cost, np.stack([days for _, _, days in known], axis=1))
        if isinstance(found, str):
            return found
        slopes = dict(zip((name for name, _, _ in known), found, strict=True))
        # What moves in pools is the demand's: their metrics are of requests.
        return slopes | {own[0]: self._with_pools(slopes[own[0]], currency, [service], own[2])}

    def _drivers_of(self, service: str) -> list[tuple[str, drivers.Series, Floats]]:
        """Own demand, then each driver that is measured at the service and is another series."""
        config = self.inputs.config.service(service)
        out = [(drivers.own_name(config), drivers.own_series(config), self._own[service])]
        for one in self.counted:
            if one.is_at(service) and one.series not in [s for _, s, _ in out]:
                days = self._units.driver(one.config, service)
                out.append((one.name, one.series, days))
        return out

    @cached_property
    def own(self) -> dict[ServiceKey, costs.Slope]:
        """(service, currency) -> slope on the service's own demand."""
        return {
            key: found[drivers.own_name(self.inputs.config.service(key[0]))]
            for key, found in self.fitted.items()
            if not isinstance(found, str)
        }

    # --- all levels ----------------------------------------------------------------------------------------

    def by_group(self) -> tuple[dict[costs.GroupKey, costs.Slope], dict[costs.GroupKey, str]]:
        """Slopes of services, teams, tiers and the company by each of their drivers, and what is to be said of them."""
        slopes: dict[costs.GroupKey, costs.Slope] = {}
        notes: dict[costs.GroupKey, str] = {}
        for key, found in [*self._of_services(), *self._of_groups()]:
            if isinstance(found, str):
                notes[key] = f"marginal cost is over months: {found}"
            else:
                slopes[key] = found
                notes[key] = note_of(found)
        return slopes, notes

    def _of_services(self) -> Iterator[tuple[costs.GroupKey, costs.Slope | str]]:
        for (service, currency), found in self.fitted.items():
            by_series = {series: name for name, series, _ in self._drivers_of(service)}
            own = drivers.own_series(self.inputs.config.service(service))
            mine = {by_series[own]: own} | {d.name: d.series for d in self.counted if d.is_at(service)}
            for name, series in mine.items():
                key = ("service", service, name, currency)
                yield key, found if isinstance(found, str) else found.get(by_series[series], _ONLY_GROWS)

    def _of_groups(self) -> Iterator[tuple[costs.GroupKey, costs.Slope | str]]:
        for level, name, members in groups(self.inputs.config):
            paid = [k for k in self._metered if k[0] == "service" and k[1] in members]
            for currency in sorted({c for _, _, c in paid}):
                mine = [k for k in paid if k[2] == currency]
                cost = costs.added_days([self._metered[k] for k in mine], [self._begin(k) for k in mine])
                for driver, days in self._drivers_of_group(level, [k[1] for k in mine], [self._begin(k) for k in mine]):
                    found = costs.day_slopes(cost, days)
                    key = (level, name, driver, currency)
                    if isinstance(found, str):
                        yield key, found
                    else:
                        yield key, self._with_pools(found[0], currency, members, days)

    def _begin(self, key: tuple[str, str, str]) -> int:
        """Day of the grid of the first charge."""
        return int(self.days.searchsorted(self._first[key]))

    @cached_property
    def _first(self) -> dict[tuple[str, str, str], pd.Timestamp]:
        running = self._daily[self._daily["part"] == "running"]
        return dict(running.groupby(["kind", "service", "currency"])["day"].min())

    def _drivers_of_group(
        self, level: str, members: Sequence[str], begins: Sequence[int]
    ) -> Iterator[tuple[str, Floats]]:
        own = own_of(self.inputs.config, members)
        if level != "company" and own:
            yield own, costs.added_days([self._own[s] for s in members], begins)
        for one in self.counted:
            if one.config.company_wide and one.name != own:
                yield one.name, self._units.driver(one.config)


def note_of(slope: costs.Slope) -> str:
    """What is to be said of a slope."""
    if not slope.told_apart:
        return "its drivers move so alike that only what they cost together is known"
    return "marginal cost is not told from zero" if slope.per_unit.low <= 0.0 else ""
