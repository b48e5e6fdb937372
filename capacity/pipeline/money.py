"""Cost to serve, unit costs, the tie to the bill and the spend forecast."""

from __future__ import annotations

import calendar
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from capacity import costs
from capacity.config import Config
from capacity.domain import Paths, SeriesForecast, TieOut, Unit
from capacity.pipeline.base import Base, own_error
from capacity.pipeline.demand import UnitData
from capacity.pipeline.fleet import hourly_counts
from capacity.pipeline.inputs import DAY, HOUR, Inputs, on_demand
from capacity.pipeline.masks import units
from capacity.plan import CostMonth, SpendMonth

ZERO = Decimal(0)
# Sums of decimal128(38, 12) never need more.
_EXACT_DIGITS = 60
_RATES: Mapping[str, int] = {"_per_second": 1, "_per_minute": 60, "_per_hour": HOUR, "_per_day": DAY}


@dataclass(frozen=True)
class Money:
    """The bill by service, exactly, and what is derived from it. Empty where the store holds no bill."""

    attribution: costs.Attribution | None
    allocation: costs.Allocation | None
    unit_cost: pd.DataFrame
    months: tuple[str, ...]

    @cached_property
    def newest(self) -> str | None:
        """The newest closed month, YYYY-MM."""
        return self.months[-1] if self.months else None


def nothing() -> Money:
    """No bill."""
    columns = ["month", "service", "currency", "effective_cost", "units", "usd_per_1000"]
    return Money(None, None, pd.DataFrame(columns=columns), ())


def cost_to_serve(inputs: Inputs) -> Money:
    """Allocate the whole bill and verify, to the last decimal, that it adds up.

    Raises
    ------
    CorruptDataError
        The allocation does not add up to the bill.
    """
    bill, config = inputs.cost, inputs.config
    if not bill.num_rows:
        return nothing()
    attribution = costs.attribute(bill, config.costs, [s.name for s in config.services])
    allocation = costs.allocate(attribution, config.costs, _weights(inputs))
    allocation.verify(bill)
    return Money(
        attribution=attribution,
        allocation=allocation,
        unit_cost=costs.unit_costs(allocation, driver_units(inputs)),
        months=costs.closed_months(bill, inputs.as_of),
    )


def _weights(inputs: Inputs) -> dict[str, pd.DataFrame]:
    """metric -> month, service, weight: the metric's sum over the month (value × hours)."""
    metrics = {p.metric for p in inputs.config.costs.pools if p.metric is not None}
    out = {}
    for metric in sorted(metrics):
        rows = [
            (month, unit.service, value)
            for unit in units(inputs.config)
            for month, value in _monthly_sum(inputs, unit, metric, "avg").items()
        ]
        frame = pd.DataFrame(rows, columns=["month", "service", "weight"])
        out[metric] = frame.groupby(["month", "service"])["weight"].sum().reset_index()
    return out


def _monthly_sum(inputs: Inputs, unit: Unit, metric: str, stat: str) -> pd.Series:
    values = inputs.usage_of(unit, metric, stat)
    if values.empty:
        return pd.Series(dtype=float)
    hours = inputs.period_of(unit, metric, stat) / HOUR
    months = pd.DatetimeIndex(values.index).strftime("%Y-%m")
    return (values.clip(lower=0.0) * hours).groupby(months).sum()


def rate_seconds(metric: str) -> int:
    """Seconds that a rate is counted over: requests_per_second 1, rides_per_hour 3600; an hour for all else."""
    return next((n for suffix, n in _RATES.items() if metric.endswith(suffix)), HOUR)


def driver_units(inputs: Inputs) -> pd.DataFrame:
    """month, service, units (requests served), coverage_frac (share of the month's hours that usage covers).

    A service in several regions is as well covered as its worst one: a region without usage has a cost all the same.
    """
    rows = []
    for unit in units(inputs.config):
        service = inputs.config.service(unit.service)
        values = inputs.usage_of(unit, service.demand_metric, service.demand_stat)
        if values.empty:
            continue
        seconds = inputs.period_of(unit, service.demand_metric, service.demand_stat)
        per_point = seconds / rate_seconds(service.demand_metric)
        months = pd.DatetimeIndex(values.index).strftime("%Y-%m")
        for month, part in values.groupby(months):
            hours = calendar.monthrange(int(month[:4]), int(month[5:]))[1] * 24
            seen = part.notna().sum() * seconds / HOUR / hours
            rows.append((month, unit.service, float(part.sum()) * per_point, min(1.0, float(seen))))
    frame = pd.DataFrame(rows, columns=["month", "service", "units", "coverage_frac"])
    return frame.groupby(["month", "service"], as_index=False).agg(
        units=("units", "sum"), coverage_frac=("coverage_frac", "min")
    )


def cost_months(money: Money) -> tuple[CostMonth, ...]:
    """Closed months of the bill by currency, with the exact equation direct + shared + unallocated = total."""
    if money.allocation is None:
        return ()
    frame = money.allocation.frame
    frame = frame[frame["month"].isin(money.months)]
    out = []
    for (month, currency), rows in frame.groupby(["month", "currency"], sort=True):
        parts = {
            kind: _sum(rows[rows["kind"] == kind], "EffectiveCost") for kind in ("direct", "shared", "unallocated")
        }
        out.append(
            CostMonth(
                month=str(month),
                currency=str(currency),
                effective=sum(parts.values(), ZERO),
                billed=_sum(rows, "BilledCost"),
                direct=parts["direct"],
                shared=parts["shared"],
                unallocated=parts["unallocated"],
            )
        )
    return tuple(out)


def _sum(rows: pd.DataFrame, column: str) -> Decimal:
    with localcontext(prec=_EXACT_DIGITS):
        return sum(rows[column], ZERO)


# --- the tie to the bill -----------------------------------------------------------------------------------


def tie_outs(inputs: Inputs, data: Mapping[Unit, UnitData], money: Money) -> tuple[TieOut, ...]:
    """What the model says the fleet of the newest closed month cost, against that month's bill."""
    if money.attribution is None or money.newest is None:
        return ()
    pieces = money.attribution.pieces
    currencies = set(pieces.filter(pc.equal(pieces["month"], money.newest))["BillingCurrency"].to_pylist())
    fleet_services = sorted({u.service for u, d in data.items() if d.running})
    if inputs.config.currency not in currencies or not fleet_services:
        return ()
    modelled = sum((fleet_cost(inputs, d, money.newest) for d in data.values() if d.running), ZERO)
    return (
        costs.tie_out(
            inputs.cost,
            money.attribution,
            money.newest,
            modelled,
            services=fleet_services,
            currency=inputs.config.currency,
        ),
    )


def fleet_cost(inputs: Inputs, data: UnitData, month: str) -> Decimal:
    """On-demand list cost of the instances that ran in ``month`` (UTC), from the fleet's history hour by hour."""
    start = pd.Timestamp(f"{month}-01", tz="UTC")
    hours = pd.date_range(start, start + pd.offsets.MonthBegin(1), freq="h", inclusive="left")
    rates = on_demand(inputs.prices, data.unit.region)
    total = ZERO
    ran = hourly_counts(data.fleet, hours).sum()
    for instance_type, hours_run in zip(ran.index.get_level_values("instance_type"), ran, strict=True):
        rate = rates.get(str(instance_type))
        if rate is not None:
            total += Decimal(int(hours_run)) * Decimal(repr(rate))
    return total


# --- spend -------------------------------------------------------------------------------------------------


def daily_spend(inputs: Inputs) -> dict[str, pd.Series]:
    """Running daily spend by service (and "(shared and unallocated)"), in the config's currency, up to settled days."""
    bill, config = inputs.cost, inputs.config
    if not bill.num_rows:
        return {}
    names = [s.name for s in config.services]
    closed = costs.closed_months(bill, inputs.as_of)
    settle = 0 if closed and _bill_ends_closed(inputs, closed[-1]) else costs.SETTLE_DAYS
    frame = costs.daily_spend(bill, config.costs, names, inputs.as_of.date(), settle)
    frame = frame[(frame["currency"] == config.currency) & (frame["part"] == "running")]
    owner = frame["service"].where(frame["kind"] == "service", SHARED)
    table = frame.groupby([owner.rename("owner"), "day"])["effective_cost"].sum()
    if table.empty:
        return {}
    days = pd.date_range(frame["day"].min(), frame["day"].max(), freq="D")
    return {str(o): rows.droplevel(0).reindex(days, fill_value=0.0) for o, rows in table.groupby(level=0)}


SHARED = "(shared and unallocated)"


def _bill_ends_closed(inputs: Inputs, month: str) -> bool:
    last = pd.Series(inputs.cost.column("BillingPeriodStart").to_pandas()).max()
    return bool(f"{last:%Y-%m}" == month)


def spend_months(
    base: Base, spend: Mapping[str, pd.Series], config: Config, extra_by_month: Mapping[str, float] | None = None
) -> tuple[tuple[SpendMonth, ...], pd.DataFrame]:
    """Spend of coming whole months for the company, and by service (service, month, q10, q50, q90).

    The company's interval comes from adding the services' paths future by future, never from adding quantiles.
    ``extra_by_month`` is money that a scenario adds to the base (or takes from it, below zero).
    """
    if not base.spend:
        return (), pd.DataFrame(columns=["service", "month", "q10", "q50", "q90"])
    first = next(iter(base.spend.values()))
    length = min(len(f.index) for f in base.spend.values())
    paths: Paths = np.zeros((first.paths.shape[0], length), dtype=np.float32)
    rows = []
    for service, forecast in sorted(base.spend.items()):
        paths = paths + forecast.paths[:, :length]
        months = _whole_months(forecast, spend[service])
        rows += [(service, r["month"], r["q10"], r["q50"], r["q90"]) for r in months.to_dict("records")]
    budgets = {b.month: b.amount for b in config.budgets}
    known = _month_to_date(first.index[0], spend)
    total = costs.month_totals(paths, first.index[:length], known, budgets)
    extra = extra_by_month or {}
    company = tuple(
        _spend_month(r, config.currency, extra.get(str(r["month"]), 0.0), paths, first.index[:length])
        for r in total[total["complete"]].to_dict("records")
    )
    return company, pd.DataFrame(rows, columns=["service", "month", "q10", "q50", "q90"])


def _whole_months(forecast: SeriesForecast, history: pd.Series) -> pd.DataFrame:
    totals = costs.month_totals(forecast.paths, forecast.index, _month_to_date(forecast.index[0], {"": history}))
    return totals[totals["complete"]]


def _month_to_date(start: pd.Timestamp, spend: Mapping[str, pd.Series]) -> dict[str, float]:
    month = f"{start:%Y-%m}"
    if start.day == 1:
        return {}
    first = start.replace(day=1)
    return {month: float(sum(s[(s.index >= first) & (s.index < start)].sum() for s in spend.values()))}


def _spend_month(
    row: Mapping[Hashable, Any], currency: str, extra: float, paths: Paths, days: pd.DatetimeIndex
) -> SpendMonth:
    month, budget = str(row["month"]), row["budget"]
    over = None
    if isinstance(budget, Decimal):
        total = paths[:, days.strftime("%Y-%m") == month].sum(axis=1) + float(str(row["known"])) + extra
        over = float(np.mean(total > float(budget)))
    q10, q50, q90 = (float(str(row[q])) + extra for q in ("q10", "q50", "q90"))
    return SpendMonth(month, currency, q10, q50, q90, budget if isinstance(budget, Decimal) else None, over)


def spend_note(base: Base) -> str:
    """How good the spend forecast was at past origins, in words."""
    if not base.spend:
        return "no bill in the store"
    scores = [error for f in base.spend.values() if (error := own_error(f)) is not None]
    text = "trend of the bill as it runs, without tax and credits, and without what this plan changes"
    if not scores:
        return text
    middle = float(np.median(scores))
    lost = "; it has NOT beaten the same weekday of last week" if middle >= 1 else ""
    return f"{text}; past error {middle:.2f} of the naive forecast's{lost}"
