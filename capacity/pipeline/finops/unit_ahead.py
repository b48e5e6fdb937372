"""Unit cost of coming months under a plan, from the joint paths of spend and demand.

Row i of a service's demand and of a driver-based spend is one future: where demand is high, so is that spend. Spend
that is a trend of its own is drawn apart from demand, so that its unit cost is less sure. All demand of a run is drawn
together, so that units of several services may be added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from capacity import costs, forecast, words
from capacity.domain import Floats, SeriesForecast, Unit
from capacity.pipeline import drivers
from capacity.pipeline.finops.marginal import groups, own_of
from capacity.pipeline.inputs import DAY
from capacity.pipeline.parts import Parts
from capacity.pipeline.spend import rate_seconds

COLUMNS = ("level", "name", "month", "currency", "q10", "q50", "q90", "basis", "driver", "unit", "per", "scenario")
# Shared cost over direct cost is that of so many closed months.
SHARED_MONTHS = 3
Months = dict[str, Floats]


def unit_ahead_frames(parts: Parts) -> dict[str, pd.DataFrame]:
    """Frame ``unit_cost_forecast``: quantiles of the cost of 1,000 units by month."""
    ahead = _Ahead(parts)
    rows = list(ahead.rows()) if parts.money.allocation is not None else []
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    rank = frame["level"].map({level: i for i, level in enumerate(costs.UNIT_LEVELS)})
    frame = frame.assign(_rank=rank).sort_values(["_rank", "name", "driver", "month"], kind="stable")
    return {"unit_cost_forecast": frame.drop(columns="_rank").reset_index(drop=True)}


@dataclass(frozen=True)
class _Ahead:
    parts: Parts

    # --- units ---------------------------------------------------------------------------------------------

    @cached_property
    def units(self) -> dict[str, Months]:
        """Service -> month -> (P,) units of its own demand under the scenario."""
        mean = {u: f.mean for u, f in self.parts.known.items()}
        return {s: self._units(s, mean) for s in sorted({u.service for u in mean})}

    def _units(self, service: str, mean: Mapping[Unit, SeriesForecast]) -> Months:
        mine = [u for u in sorted(mean) if u.service == service]
        return costs.added_months([self._unit(u, mean[u]) for u in mine])

    def _unit(self, unit: Unit, mean: SeriesForecast) -> Months:
        data = self.parts.data[unit]
        per_day = DAY / rate_seconds(data.service.demand_metric)
        paths = forecast.with_calibrated_totals(mean).paths * np.float32(per_day)
        return costs.whole_months(paths, mean.index, data.mean * per_day)

    # --- cost ----------------------------------------------------------------------------------------------

    @cached_property
    def cost(self) -> dict[str, tuple[Months, str]]:
        """Service -> month -> (P,) cost under the plan, and what it is made of."""
        out = {}
        for service, found in sorted(self.parts.base.spend.items()):
            ratio = self._shared.get(service)
            if service not in self.parts.spend_history or ratio is None:
                continue
            months = costs.whole_months(found.paths, found.index, self.parts.spend_history[service])
            more, said = self._more(service)
            cost = {m: v * (1.0 + ratio) + more.get(m, 0.0) for m, v in months.items()}
            shared = f"shared cost at {words.percent(ratio)} of direct, {self._when}" if ratio else "no shared cost"
            out[service] = cost, f"{_follows(found)}; {shared}{said}"
        return out

    @cached_property
    def _closed(self) -> tuple[str, ...]:
        return self.parts.money.months[-SHARED_MONTHS:]

    @property
    def _when(self) -> str:
        first, last = self._closed[0], self._closed[-1]
        return f"as in {first}" if first == last else f"as in {first} to {last}"

    @cached_property
    def _shared(self) -> dict[str, float]:
        """Service -> shared over direct cost of the last closed months; absent where it has no direct cost."""
        assert self.parts.money.allocation is not None  # noqa: S101 - the caller has looked
        frame = self.parts.money.allocation.frame
        late = frame[frame["month"].isin(self._closed) & (frame["currency"] == self.parts.inputs.config.currency)]
        out = {}
        for service, rows in late.groupby("service"):
            direct, shared = (
                costs.exact_sum(rows[rows["kind"] == kind]["EffectiveCost"]) for kind in ("direct", "shared")
            )
            if direct > 0:
                out[str(service)] = float(shared) / float(direct)
        return out

    def _more(self, service: str) -> tuple[Mapping[str, Floats | float], str]:
        """Money by month that the scenario adds to the service, and where it is from."""
        added: dict[str, Floats | float] = {m: x for (s, m), x in self.parts.added.items() if s == service and x}
        if added:
            return added, "; with what the scenario's instances add"
        if self.parts.inputs.config.service(service).kind != "usage_priced" or service not in self.units:
            return {}, ""
        before = self._units(service, {u: f for u, f in self.parts.base.mean.items() if u in self.parts.data})
        now = self.units[service]
        more = {m: now[m] - before[m] for m in now if m in before}
        if not any(np.any(np.abs(x) > 1e-6 * np.abs(before[m])) for m, x in more.items()):
            return {}, ""
        rate = self._marginal(service)
        if rate is None:
            return {}, "; what the scenario's demand adds is not known"
        return {m: rate * x for m, x in more.items()}, "; with what the scenario's demand adds at the margin"

    def _marginal(self, service: str) -> float | None:
        """Money for one unit more, from days."""
        frame = self.parts.past.get("unit_cost", pd.DataFrame())
        if frame.empty or "marginal_basis" not in frame.columns:
            return None
        mine = frame[(frame["service"] == service) & (frame["currency"] == self.parts.inputs.config.currency)]
        mine = mine[mine["marginal_basis"] == "days"]
        return float(mine["marginal_per_1000"].iloc[0]) / 1000.0 if len(mine) else None

    # --- rows ----------------------------------------------------------------------------------------------

    def rows(self) -> Iterator[tuple[object, ...]]:
        config = self.parts.inputs.config
        for service in config.services:
            if service.name in self.cost and service.name in self.units:
                cost, basis = self.cost[service.name]
                own = drivers.own_name(service)
                futures = costs.per_1000_ahead(cost, self.units[service.name])
                yield from self._rows("service", service.name, (own, drivers.singular(own), 1000.0), futures, basis)
        for level, name, members in groups(config):
            yield from self._group(level, name, members)
        for journey in config.journeys:
            yield from self._journey(journey.name)

    def _rows(
        self, level: str, name: str, driver: tuple[str, str, float], futures: Months, basis: str
    ) -> Iterator[tuple[object, ...]]:
        for month, values in futures.items():
            found = costs.quantiles_ahead(values)
            if found is not None:
                key = (level, name, month, self.parts.inputs.config.currency)
                yield (*key, *found, basis, *driver, self.parts.change.name)

    def _group(self, level: str, name: str, members: Sequence[str]) -> Iterator[tuple[object, ...]]:
        config = self.parts.inputs.config
        paid = [s for s in members if s in self._paid]
        if not paid or any(s not in self.cost for s in paid):
            return
        cost = costs.added_months([self.cost[s][0] for s in paid])
        basis = _of_many([self.cost[s][1] for s in paid])
        own = own_of(config, members)
        if level != "company" and own and all(s in self.units for s in members):
            units = costs.added_months([self.units[s] for s in members])
            driver = (own, drivers.singular(own), 1000.0)
            yield from self._rows(level, name, driver, costs.per_1000_ahead(cost, units), basis)
        for one in config.drivers:
            units = self._driver(one.name)
            if one.company_wide and one.name != own and units:
                futures = costs.per_1000_ahead(cost, units)
                yield from self._rows(level, name, (one.name, one.unit, one.per), futures, basis)

    @cached_property
    def _paid(self) -> set[str]:
        """Services that had a cost in the last closed months."""
        assert self.parts.money.allocation is not None  # noqa: S101
        frame = self.parts.money.allocation.frame
        late = frame[frame["month"].isin(self._closed) & (frame["currency"] == self.parts.inputs.config.currency)]
        return set(late[late["kind"] != "unallocated"]["service"])

    def _driver(self, name: str) -> Months:
        """Units of a driver that is the forecast demand of its services; empty where it is another metric."""
        config = self.parts.inputs.config
        (driver,) = [d for d in config.drivers if d.name == name]
        of = [config.service(s) for s in drivers.services_of(config, driver)]
        mine = [s for s in of if drivers.own_series(s) == (driver.metric, driver.stat)]
        if driver.month != "sum" or not mine or (driver.services is not None and len(mine) < len(of)):
            return {}
        if any(s.name not in self.units for s in mine):
            return {}
        return {m: x / driver.scale for m, x in costs.added_months([self.units[s.name] for s in mine]).items()}

    def _journey(self, name: str) -> Iterator[tuple[object, ...]]:
        """Sum over services of requests of one journey x cost of a request, future by future."""
        config = self.parts.inputs.config
        (journey,) = [j for j in config.journeys if j.name == name]
        of = {s: made for s, made in costs.requests_per_journey(journey, config.services).items() if s in self._paid}
        if not of or any(s not in self.cost or s not in self.units for s in of):
            return
        each = [
            {m: made * x for m, x in costs.per_1000_ahead(self.cost[s][0], self.units[s]).items()}
            for s, made in of.items()
        ]
        basis = _of_many([self.cost[s][1] for s in of])
        driver = (drivers.journey_driver(config, journey), journey.name, journey.per)
        yield from self._rows("journey", name, driver, costs.added_months(each), basis)


def _follows(found: SeriesForecast) -> str:
    if found.model == forecast.DRIVER:
        return "spend follows demand, future by future"
    return "spend and demand are drawn apart"


def _of_many(said: Sequence[str]) -> str:
    """What several services' costs are made of, in one sentence."""
    follow, of = sum("follows demand" in text for text in said), len(said)
    first = said[0].split("; ")[0] if follow in (0, of) else f"spend of {follow} of {of} services follows demand"
    more = "; with what the scenario adds" if any(len(text.split("; ")) > 2 for text in said) else ""
    return f"{first}; shared cost as a share of direct, as in the last closed months{more}"
