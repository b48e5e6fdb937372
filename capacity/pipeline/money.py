"""Cost to serve, unit costs and the tie to the bill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from functools import cached_property

import pandas as pd
import pyarrow.compute as pc

from capacity import costs, words
from capacity.domain import TieOut, Unit
from capacity.pipeline.bill_days import SHARED as SHARED
from capacity.pipeline.demand import UnitData
from capacity.pipeline.drivers import own_units
from capacity.pipeline.fleet import hourly_counts
from capacity.pipeline.inputs import HOUR, Inputs, on_demand
from capacity.pipeline.managed import is_managed
from capacity.pipeline.masks import units
from capacity.pipeline.spend import rate_seconds as rate_seconds
from capacity.plan import FRAMES, CostMonth

ZERO = Decimal(0)
# What a managed database's machine is billed as: FOCUS has RDS under Databases, where only hours are the machine's.
MANAGED_HOURS: Mapping[str, str] = {
    "ServiceCategory": "Databases", "ChargeCategory": "Usage", "PricingUnit": "[Hh](ou)?rs?",
}  # fmt: skip
# Sums of decimal128(38, 12) never need more.
_EXACT_DIGITS = 60


@dataclass(frozen=True)
class Money:
    """The bill by service, exactly, and what is derived from it. Empty where the store holds no bill.

    ``months`` are closed; ``partial`` says of which of them the bill holds only a part, and why.
    """

    attribution: costs.Attribution | None
    allocation: costs.Allocation | None
    unit_cost: pd.DataFrame
    months: tuple[str, ...]
    partial: Mapping[str, str] = field(default_factory=dict)

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
    allocation = costs.allocate(
        attribution,
        config.costs,
        _weights(inputs),
        clusters=_clusters(inputs),
        tiers={s.name: s.tier for s in config.services},
        teams={s.name: s.team for s in config.services},
    )
    allocation.verify(bill)
    months = costs.closed_months(bill, inputs.as_of)
    partial = costs.partial_months(bill, months)
    return Money(
        attribution=attribution,
        allocation=allocation,
        unit_cost=costs.unit_costs(allocation, own_units(inputs), partial=partial),
        months=months,
        partial=partial,
    )


def _weights(inputs: Inputs) -> dict[str, pd.DataFrame]:
    """What pools of split usage are weighed by -> month, service, weight.

    Of an average the sum over the month (value × hours), of a sum its total, of anything else its largest value:
    peaks of hours do not add up. Regions of a service are added.
    """
    pools = {p.weight_name: p for p in inputs.config.costs.pools if p.metric is not None}
    out = {}
    for name, pool in sorted(pools.items()):
        rows = [
            (month, unit.service, value)
            for unit in units(inputs.config)
            for month, value in _by_month(inputs, unit, str(pool.metric), pool.stat or "avg").items()
        ]
        frame = pd.DataFrame(rows, columns=["month", "service", "weight"])
        out[name] = frame.groupby(["month", "service"])["weight"].sum().reset_index()
    return out


def _by_month(inputs: Inputs, unit: Unit, metric: str, stat: str) -> pd.Series:
    values = inputs.usage_of(unit, metric, stat)
    if values.empty:
        return pd.Series(dtype=float)
    hours = inputs.period_of(unit, metric, stat) / HOUR
    months = words.month_names(pd.DatetimeIndex(values.index))
    amounts = values.clip(lower=0.0)
    if stat == "avg":
        return (amounts * hours).groupby(months).sum()
    return amounts.groupby(months).sum() if stat == "sum" else amounts.groupby(months).max()


def _clusters(inputs: Inputs) -> costs.ClusterWeights | None:
    """What workloads took of clusters; nothing is asked where no pool is split by it."""
    config = inputs.config.costs
    if not any(p.split == "kubernetes" for p in config.pools):
        return None
    return costs.cluster_weights(inputs.kubernetes, config.kubernetes, [s.name for s in inputs.config.services])


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


def unallocated(money: Money) -> pd.DataFrame:
    """The largest pieces of the bill that no rule takes, in the columns of frame ``unallocated``."""
    if money.attribution is None:
        return pd.DataFrame(columns=list(FRAMES["unallocated"]))
    names = {"provider_service": "ServiceName", "sub_account": "SubAccountId"}
    return money.attribution.unallocated.rename(columns=names)


def _sum(rows: pd.DataFrame, column: str) -> Decimal:
    with localcontext(prec=_EXACT_DIGITS):
        return sum(rows[column], ZERO)


# --- the tie to the bill -----------------------------------------------------------------------------------


def tie_outs(inputs: Inputs, data: Mapping[Unit, UnitData], money: Money) -> tuple[TieOut, ...]:
    """What the model says the fleet of the newest closed month cost, against that month's bill.

    Instances alone: managed databases are billed apart and stand in the remainder; :func:`ties_by_service` has them.
    """
    if money.attribution is None or money.newest is None or not _is_billed(inputs, money):
        return ()
    fleets = {u: d for u, d in data.items() if d.running and not runs_managed(d)}
    if not fleets:
        return ()
    modelled = sum((fleet_cost(inputs, d, money.newest) for d in fleets.values()), ZERO)
    return (
        costs.tie_out(
            inputs.cost,
            money.attribution,
            money.newest,
            modelled,
            services=sorted({u.service for u in fleets}),
            currency=inputs.config.currency,
        ),
    )


def ties_by_service(inputs: Inputs, data: Mapping[Unit, UnitData], money: Money) -> costs.ServiceTies | None:
    """The same by service, and by region where the bill tells; None where there is no bill to compare with.

    A service whose fleet is managed databases is compared with its hours of the category Databases.
    """
    if money.newest is None or not _is_billed(inputs, money):
        return None
    running = {u: d for u, d in data.items() if d.running}
    return costs.tie_services(
        inputs.cost,
        inputs.config.costs,
        [s.name for s in inputs.config.services],
        money.newest,
        {(u.service, u.region): fleet_cost(inputs, d, money.newest) for u, d in running.items()},
        currency=inputs.config.currency,
        compute={u.service: MANAGED_HOURS for u, d in running.items() if runs_managed(d)},
    )


def managed_discount_frac(inputs: Inputs, data: Mapping[Unit, UnitData], money: Money) -> float:
    """The private discount (1 - Contracted / List) of managed databases' hours in the newest closed month.

    It is agreed apart from that of instances, which :func:`tie_outs` tells. 0 where no bill shows one.
    """
    services = sorted({u.service for u, d in data.items() if any(is_managed(name) for name, _ in d.running)})
    if not services or money.attribution is None or money.newest is None or not _is_billed(inputs, money):
        return 0.0
    currency = inputs.config.currency
    found = costs.tie_out(
        inputs.cost, money.attribution, money.newest, ZERO, MANAGED_HOURS, services=services, currency=currency
    )
    return found.private_discount_frac


def _is_billed(inputs: Inputs, money: Money) -> bool:
    """Whether the newest closed month has a bill in the config's currency."""
    if money.attribution is None:
        return False
    pieces = money.attribution.pieces
    currencies = pieces.filter(pc.equal(pieces["month"], money.newest))["BillingCurrency"]
    return inputs.config.currency in set(currencies.to_pylist())


def runs_managed(data: UnitData) -> bool:
    """Whether all that runs is managed databases."""
    return bool(data.running) and all(is_managed(name) for name, _ in data.running)


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
