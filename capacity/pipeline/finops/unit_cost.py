"""Unit cost of past months by service, team, tier, journey and company: average, at the margin, and where it moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from capacity import costs
from capacity.config import Config, JourneyConfig
from capacity.domain import Interval
from capacity.pipeline import drivers
from capacity.pipeline.finops.ground import Past
from capacity.pipeline.finops.marginal import Marginals, groups, note_of, own_of

_LINE = ("level", "name", "driver", "unit", "per", "month", "currency", "effective_cost", "units", "coverage_frac",
         "given_per_1000", "given_flags")  # fmt: skip
_PER = 1000
Key = costs.GroupKey


def unit_frames(past: Past) -> dict[str, pd.DataFrame]:
    """Frames ``unit_cost`` (in place of the plain one), ``unit_cost_groups`` and ``journey_costs``."""
    assert past.money.allocation is not None  # noqa: S101 - past_frames has looked
    counted = drivers.counted(past.inputs)
    facts = _Facts(past.inputs.config, past.money.allocation, drivers.own_units(past.inputs), counted)
    marginals = Marginals(past.inputs, counted, past.money.allocation)
    by_service = costs.unit_costs(facts.allocation, facts.own, marginals.own, past.money.partial)
    journeys = _Journeys(facts, by_service, marginals.own)
    lines = pd.DataFrame([*_group_lines(facts), *journeys.lines()], columns=list(_LINE))
    slopes, notes = marginals.by_group()
    more, said = journeys.slopes()
    return {
        "unit_cost": by_service,
        "unit_cost_groups": costs.unit_groups(
            lines, slopes | more, past.money.months, notes | said, past.money.partial
        ),
        "journey_costs": journeys.money,
    }


@dataclass(frozen=True)
class _Facts:
    """``own`` are the units of services' own demand: month, service, units, coverage_frac."""

    config: Config
    allocation: costs.Allocation
    own: pd.DataFrame
    counted: tuple[drivers.Counted, ...]

    @cached_property
    def cost(self) -> pd.DataFrame:
        """month, service, currency, effective_cost."""
        frame = self.allocation.service_costs()
        return frame.rename(columns={"EffectiveCost": "effective_cost"})[
            ["month", "service", "currency", "effective_cost"]
        ]


# --- services, teams, tiers, the company -------------------------------------------------------------------


def _group_lines(facts: _Facts) -> Iterator[tuple[object, ...]]:
    for service in facts.config.services:
        mine = facts.cost[facts.cost["service"] == service.name]
        own = drivers.own_name(service)
        of_own = facts.own[facts.own["service"] == service.name]
        yield from _lines(("service", service.name, own, drivers.singular(own), _PER), mine, of_own)
        for one in facts.counted:
            if one.is_at(service.name) and one.name != own:
                months = one.months[one.months["service"] == service.name]
                about = ("service", service.name, one.name, one.config.unit, one.config.per)
                yield from _lines(about, mine, months)
    for level, name, members in groups(facts.config):
        mine = _summed(facts.cost[facts.cost["service"].isin(members)])
        own = own_of(facts.config, members)
        if level != "company" and own:
            served = drivers.together(facts.own[facts.own["service"].isin(members)])
            yield from _lines((level, name, own, drivers.singular(own), _PER), mine, served)
        for one in facts.counted:
            if one.config.company_wide and one.name != own:
                yield from _lines((level, name, one.name, one.config.unit, one.config.per), mine, one.total())


def _lines(
    about: tuple[str, str, str, str, float], cost: pd.DataFrame, units: pd.DataFrame
) -> Iterator[tuple[object, ...]]:
    """One line a month and currency with a cost."""
    known = {str(r["month"]): (float(r["units"]), float(r["coverage_frac"])) for r in units.to_dict("records")}
    for row in cost.to_dict("records"):
        count, coverage = known.get(str(row["month"]), (float("nan"), 0.0))
        yield (*about, str(row["month"]), str(row["currency"]), row["effective_cost"], count, coverage, None, "")


def _summed(cost: pd.DataFrame) -> pd.DataFrame:
    """Cost by month and currency, exactly."""
    rows = [
        (month, currency, costs.exact_sum(part["effective_cost"]))
        for (month, currency), part in cost.groupby(["month", "currency"], sort=True)
    ]
    return pd.DataFrame(rows, columns=["month", "currency", "effective_cost"])


# --- journeys ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Journeys:
    facts: _Facts
    by_service: pd.DataFrame
    from_days: Mapping[tuple[str, str], costs.Slope]

    @cached_property
    def requests(self) -> dict[str, dict[str, float]]:
        config = self.facts.config
        return {j.name: costs.requests_per_journey(j, config.services) for j in config.journeys}

    @cached_property
    def counts(self) -> dict[str, pd.DataFrame]:
        """journey -> month, units, coverage_frac."""
        return {j.name: self._count(j) for j in self.facts.config.journeys}

    def _count(self, journey: JourneyConfig) -> pd.DataFrame:
        if journey.driver is not None:
            (one,) = [d for d in self.facts.counted if d.name == journey.driver]
            months, each = one.total(), 1.0
        else:
            entry = next(iter(journey.enters))
            own = self.facts.own
            months, each = own[own["service"] == entry], self.requests[journey.name][entry]
        return months.assign(units=months["units"] * journey.share_frac / each)[["month", "units", "coverage_frac"]]

    @cached_property
    def money(self) -> pd.DataFrame:
        if not self.requests:
            return pd.DataFrame(columns=list(costs.JOURNEY_COLUMNS))
        made = pd.concat([f.assign(journey=name) for name, f in self.counts.items()], ignore_index=True)
        cost = self.facts.cost.rename(columns={"effective_cost": "EffectiveCost"})
        return costs.journey_costs(cost, self.facts.own, made, self.requests)

    def lines(self) -> Iterator[tuple[object, ...]]:
        rates = costs.journey_unit_costs(self.by_service, self.requests)
        for journey in self.facts.config.journeys:
            mine = self.money[self.money["journey"] == journey.name]
            flags = _over(mine)
            about = (
                "journey",
                journey.name,
                drivers.journey_driver(self.facts.config, journey),
                journey.name,
                journey.per,
            )
            for line in _lines(about, _summed(mine), self.counts[journey.name]):
                rate, flag = rates.get((journey.name, str(line[5]), str(line[6])), (None, ""))
                said = (flag, flags.get((str(line[5]), str(line[6])), ""))
                yield (*line[:-2], rate, "; ".join(x for x in said if x))

    def slopes(self) -> tuple[dict[Key, costs.Slope], dict[Key, str]]:
        """Marginal cost of each journey: the services' slopes times its requests, errors of a week added first."""
        known = _slopes_of(self.by_service, self.from_days)
        slopes: dict[Key, costs.Slope] = {}
        notes: dict[Key, str] = {}
        for journey in self.facts.config.journeys:
            of = self.requests[journey.name]
            for currency in sorted(set(self.by_service["currency"])):
                key = ("journey", journey.name, drivers.journey_driver(self.facts.config, journey), currency)
                paid = set(self.by_service.loc[self.by_service["currency"] == currency, "service"])
                lacking = [s for s in of if s in paid and (s, currency) not in known]
                parts = [(made, known[s, currency]) for s, made in of.items() if (s, currency) in known]
                if lacking:
                    notes[key] = f"marginal cost of {', '.join(lacking)} is not known"
                elif parts:
                    slopes[key] = costs.combined(parts)
                    notes[key] = note_of(slopes[key])
        return slopes, notes


def _over(mine: pd.DataFrame) -> dict[tuple[str, str], str]:
    """(month, currency) -> the first of its services with a flag, and how many more have one."""
    out = {}
    for (month, currency), rows in mine[mine["flags"] != ""].groupby(["month", "currency"]):
        first, others = rows.iloc[0], len(rows) - 1
        more = f" (and {others} more of its services)" if others else ""
        out[str(month), str(currency)] = f"{first['service']}: {first['flags']}{more}"
    return out


def _slopes_of(
    by_service: pd.DataFrame, from_days: Mapping[tuple[str, str], costs.Slope]
) -> dict[tuple[str, str], costs.Slope]:
    """Slopes from days, and over months where there are only those."""
    out = dict(from_days)
    months = by_service[by_service["marginal_basis"] == "months"].drop_duplicates(["service", "currency"])
    for row in months.to_dict("records"):
        low, mid, high = (float(row[c]) / _PER for c in ("marginal_low", "marginal_per_1000", "marginal_high"))
        slope = costs.Slope(Interval(low, mid, high), "months", int(row["marginal_months"]))
        out.setdefault((str(row["service"]), str(row["currency"])), slope)
    return out
