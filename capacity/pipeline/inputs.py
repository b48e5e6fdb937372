"""What a run reads: store, catalogue and config, gathered once and checked for age."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from capacity.config import Config
from capacity.domain import CapacityReservation, Commitment, InstanceType, Quota, Unit
from capacity.errors import MissingDataError
from capacity.pipeline.bursts import insides
from capacity.pipeline.catalog import catalogue_of
from capacity.pipeline.freshness import freshness, refuse_stale
from capacity.pipeline.managed import managed_rates, managed_types
from capacity.pipeline.quality import quality
from capacity.pipeline.reservations import reservations_apart, reservations_of
from capacity.plan import Freshness
from capacity.schemas import TABLES
from capacity.store import Store

HOUR = 3600
DAY = 86400

# Tables that a run reads.
_READ = ("usage", "fleet", "cost", "prices", "commitments", "quotas", "findings", "capacity_reservations",
         "recommendations", "provider_forecast", "kubernetes_cost")  # fmt: skip

# (service, region, metric, stat)
SeriesKey = tuple[str, str, str, str]


@dataclass(frozen=True)
class Inputs:
    """Everything a run knows, as of one moment. Frames are cut at ``as_of``: nothing later is seen."""

    config: Config
    as_of: datetime
    versions: Mapping[str, int]
    usage: Mapping[SeriesKey, pd.Series]
    periods: Mapping[SeriesKey, int]
    fleet: pd.DataFrame
    cost: pa.Table
    types: Mapping[str, InstanceType]
    prices: pd.DataFrame
    commitments: tuple[Commitment, ...]
    committed_rate: Mapping[str, float]
    quotas: tuple[Quota, ...]
    catalogue_version: str
    freshness: tuple[Freshness, ...]
    quality: pd.DataFrame
    # What points finer than an hour say of the hours, by series of demand: forecast.inside_hours.
    inside: Mapping[SeriesKey, pd.DataFrame] = field(default_factory=dict)
    reservations: tuple[CapacityReservation, ...] = ()
    # Ids of reservations that are held and that no fleet is planned with.
    reservations_apart: tuple[str, ...] = ()
    # All commitments that are owned, also those that no plan applies; and what the provider would have one buy.
    owned: pd.DataFrame = field(default_factory=TABLES["commitments"].empty)
    recommendations: pd.DataFrame = field(default_factory=TABLES["recommendations"].empty)
    # The provider's own forecast of its bill, to be set beside ours.
    provider_forecast: pd.DataFrame = field(default_factory=TABLES["provider_forecast"].empty)
    # What workloads took of clusters, by window: proportions for the clusters' bill.
    kubernetes: pa.Table = field(default_factory=TABLES["kubernetes_cost"].schema.empty_table)
    # Region and day of what the catalogue knows of spot: savings and interruption bands of its types.
    spot_known: tuple[str, date | None] = ("", None)

    def usage_of(self, unit: Unit, metric: str, stat: str = "avg") -> pd.Series:
        """Values of one metric of one unit, UTC, on the grid of :meth:`period_of`; empty where there are none."""
        return self.usage.get((unit.service, unit.region, metric, stat), pd.Series(dtype=float))

    def period_of(self, unit: Unit, metric: str, stat: str = "avg") -> int:
        """Seconds between points: 3600, or 86400 where only daily points are known."""
        return self.periods.get((unit.service, unit.region, metric, stat), HOUR)

    def fleet_of(self, unit: Unit) -> pd.DataFrame:
        f = self.fleet
        return f[(f["service"] == unit.service) & (f["region"] == unit.region)]


def read_inputs(config: Config, store: Store, as_of: datetime, versions: Mapping[str, int] | None = None) -> Inputs:
    """Read the newest versions at ``as_of`` (or ``versions``, to make an earlier plan again).

    Raises
    ------
    MissingDataError
        The store holds no usage at all.
    StaleDataError
        Usage, or the demand of one service, ends longer before ``as_of`` than forecast.stale_after_days allows.
    """
    used = dict(versions) if versions is not None else store.versions()
    # A table that has no version then did not exist then: whatever was ingested later is no part of it.
    tables = {
        name: store.read(name, used[name], coded=name == "cost") if name in used else TABLES[name].schema.empty_table()
        for name in _READ
    }
    usage = _until(tables["usage"].to_pandas(strings_to_categorical=True), as_of)
    if usage.empty:
        raise MissingDataError(
            f"{config.path}: no usage in the store before {as_of:%Y-%m-%d %H:%M}Z; "
            f"run `capacity ingest -c {config.path}`"
        )
    series, periods = _series(usage)
    fleet = _until(tables["fleet"].to_pandas(), as_of)
    known = catalogue_of(config)
    known_until = freshness(usage, fleet, tables["cost"], config, as_of)
    refuse_stale(known_until, last_demand(config, series), config, as_of)
    prices = _prices(tables["prices"].to_pandas(), known.prices, as_of, config.currency)
    owned = tables["commitments"].to_pandas()
    owned = owned[owned["end"] > pd.Timestamp(as_of)]
    cost = _closed(tables["cost"], as_of)
    commitments = _commitments(owned)
    return Inputs(
        config=config,
        as_of=as_of,
        versions=used,
        usage=series,
        periods=periods,
        fleet=fleet,
        cost=cost,
        types={**known.types, **managed_types(known.types, prices)},
        prices=prices,
        commitments=commitments,
        committed_rate=committed_rates(commitments, prices, dict(zip(owned["id"], owned["product"], strict=True))),
        quotas=tuple(_quota(row) for row in tables["quotas"].to_pandas().to_dict("records")),
        catalogue_version=known.version,
        freshness=known_until,
        quality=quality(tables["usage"], cost, tables["findings"], as_of),
        inside=insides(usage, config),
        reservations=reservations_of(tables["capacity_reservations"].to_pandas(), as_of, known.types),
        reservations_apart=reservations_apart(tables["capacity_reservations"].to_pandas(), as_of, known.types),
        owned=owned.reset_index(drop=True),
        recommendations=_advice(tables["recommendations"].to_pandas(), as_of),
        provider_forecast=_newest_forecast(tables["provider_forecast"].to_pandas(), as_of),
        kubernetes=_ended(tables["kubernetes_cost"], as_of),
        spot_known=(known.about.region, known.spot_day),
    )


def with_config(inputs: Inputs, config: Config) -> Inputs:
    """The same data under another config (a scenario's)."""
    return replace(inputs, config=config)


def _series(usage: pd.DataFrame) -> tuple[dict[SeriesKey, pd.Series], dict[SeriesKey, int]]:
    """Every metric of every unit on an hourly grid (daily where only daily points are known).

    Finer points are brought to the hour by their own statistic (a mean of means, a sum of sums, the largest of
    maxima and percentiles), from the finest period that a source has of that hour; then sources and accounts are
    added, as parts of one service are, but for percentages, which are averaged.
    """
    keys = ["service", "region", "metric", "stat"]
    series: dict[SeriesKey, pd.Series] = {}
    periods: dict[SeriesKey, int] = {}
    for key, rows in usage.groupby(keys, sort=True, observed=True):
        name = (str(key[0]), str(key[1]), str(key[2]), str(key[3]))
        periods[name] = max(HOUR, int(rows["period_seconds"].min()))
        # A day's value is no hour's: beside hourly points daily ones are left out.
        series[name] = _on_grid(rows[rows["period_seconds"] <= periods[name]], name, periods[name])
    return series, periods


def _on_grid(rows: pd.DataFrame, key: SeriesKey, period: int) -> pd.Series:
    inside = {"avg": "mean", "sum": "sum", "min": "min"}.get(key[3], "max")
    grid = rows["ts"].dt.floor(f"{period}s")
    periods = rows["period_seconds"]
    if periods.min() != periods.max():
        # The same hour at two periods is the same usage twice.
        finest = rows.groupby([rows["source"], rows["account_id"], grid], observed=True)["period_seconds"]
        kept = rows["period_seconds"] == finest.transform("min")
        rows, grid = rows[kept], grid[kept]
    parts = rows.groupby([rows["source"], rows["account_id"], grid], observed=True)["value"].agg(inside)
    across = _across(key[2], key[3], inside)
    return parts.groupby(level="ts").agg(across).sort_index()


def _across(metric: str, stat: str, inside: str) -> str:
    """How sources and accounts of one service are put together.

    Maxima of amounts that add up bound the whole's from above. Percentiles and times do not add up: the largest
    bounds the whole's from above too.
    """
    if metric.endswith("_percent"):
        return "mean" if inside == "mean" else "max"
    return "max" if stat.startswith("p") or metric.startswith("latency") else "sum"


def _until(frame: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    return frame[frame["ts"] < pd.Timestamp(as_of)].sort_values("ts", kind="stable").reset_index(drop=True)


def _closed(cost: pa.Table, as_of: datetime) -> pa.Table:
    """Rows of billing periods that had begun at ``as_of``."""
    return cost.filter(
        pc.less(cost["BillingPeriodStart"], pa.scalar(as_of, cost.schema.field("BillingPeriodStart").type))
    )


def _ended(windows: pa.Table, as_of: datetime) -> pa.Table:
    """Windows that had ended at ``as_of``."""
    return windows.filter(
        pc.less_equal(windows["period_end"], pa.scalar(as_of, windows.schema.field("period_end").type))
    )


def _advice(stored: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """The newest recommendations of each source at ``as_of``: each holds for the day on which it was made."""
    known = stored[stored["made_on"] <= pd.Timestamp(as_of)]
    newest = known.groupby("source")["made_on"].transform("max")
    return known[known["made_on"] == newest].reset_index(drop=True)


def _newest_forecast(stored: pd.DataFrame, as_of: datetime) -> pd.DataFrame:
    """The provider's newest forecast of each account at ``as_of``."""
    known = stored[stored["made_on"] <= pd.Timestamp(as_of)]
    newest = known.groupby(["source", "account_id", "metric", "granularity"])["made_on"].transform("max")
    return known[known["made_on"] == newest].reset_index(drop=True)


def _prices(stored: pd.DataFrame, bundled: pd.DataFrame, as_of: datetime, currency: str) -> pd.DataFrame:
    """The newest stored rate of each key at ``as_of``; the bundled one, whatever its date, where none is stored.

    Only rates in ``currency``: what is paid in one is never compared with what costs another.
    """
    known = stored[stored["as_of"] <= pd.Timestamp(as_of)]
    both = pd.concat([bundled.assign(_rank=0), known.assign(_rank=1)], ignore_index=True)
    both = both[both["currency"] == currency]
    both = both.sort_values(["_rank", "as_of"], kind="stable")
    return both.drop_duplicates(["instance_type", "region", "os", "tenancy", "product", "currency"], keep="last").drop(
        columns="_rank"
    )


def _linux(prices: pd.DataFrame) -> pd.DataFrame:
    """Rates of Linux on shared tenancy: what fleets are priced at; other systems' rates stand beside them."""
    return prices[(prices["os"] == "Linux") & (prices["tenancy"] == "Shared")]


def on_demand(prices: pd.DataFrame, region: str) -> dict[str, float]:
    """On-demand $/h by instance type in ``region`` (Linux, shared tenancy); a region without rates has none.

    Managed databases (db.*) are among them where one rate of theirs is known.
    """
    return {**rates(prices, region, "on_demand"), **managed_rates(prices, region)}


def rates(prices: pd.DataFrame, region: str, product: str) -> dict[str, float]:
    """$/h by instance type of ``product`` in ``region`` (Linux, shared tenancy)."""
    linux = _linux(prices)
    rows = linux[(linux["product"] == product) & (linux["region"] == region)]
    return dict(zip(rows["instance_type"].astype(str), rows["rate"].astype(float), strict=True))


def lowest_rates(prices: pd.DataFrame, region: str, products: Collection[str]) -> dict[str, float]:
    """The lowest $/h of any of ``products`` by instance type in ``region`` (Linux, shared tenancy)."""
    rows = prices[(prices["region"] == region) & prices["product"].isin(list(products))]
    lowest = _linux(rows).groupby("instance_type")["rate"].min()
    return {str(name): float(rate) for name, rate in lowest.items()}


# Products of the commitments frame that a plan applies, and what each is to the optimizer. Convertible Reserved
# Instances cover what standard ones do; other products (of databases, other systems, ...) stay in the store.
_APPLIED: Mapping[str, Literal["standard_ri", "ec2_instance_sp", "compute_sp"]] = {
    "standard_ri": "standard_ri",
    "convertible_ri": "standard_ri",
    "ec2_instance_sp": "ec2_instance_sp",
    "compute_sp": "compute_sp",
}
# Savings Plans say their term and payment too, as prices do: compute_sp_1y_no_upfront.
_TERMS = re.compile(r"(?<=_sp)_\dy_[a-z]+_upfront$")


def _commitments(frame: pd.DataFrame) -> tuple[Commitment, ...]:
    base = frame["product"].astype(str).str.replace(_TERMS, "", regex=True)
    applied = frame.assign(applied=base.map(_APPLIED)).dropna(subset="applied")
    return tuple(
        Commitment(
            id=str(row["id"]),
            account_id="" if row["sharing"] == "organization" else str(row["account_id"]),
            product=row["applied"],
            scope=str(row["scope"]),
            region=str(row["region"]),
            hourly_usd=float(row["hourly_usd"]),
            count=int(row["count"]),
            start=row["start"].to_pydatetime(),
            end=row["end"].to_pydatetime(),
        )
        for row in applied.sort_values("id").to_dict("records")
    )


def committed_rates(
    commitments: tuple[Commitment, ...], prices: pd.DataFrame, words: Mapping[str, str] | None = None
) -> dict[str, float]:
    """Price of usage that each commitment covers, as a share of on demand, from the rate card.

    A Savings Plan's rate is the median over its scope of (plan rate / on-demand rate). Where the card knows no rate
    of that product the commitment is left out here, and the optimizer refuses it by name: a rate is never guessed.

    ``words`` gives the product as the store has it, by commitment id: of a plan whose term and payment are known the
    card's own rates are taken and no others.
    """
    rate = _linux(prices).pivot_table(
        index=["instance_type", "region"], columns="product", values="rate", aggfunc="last"
    )
    out: dict[str, float] = {}
    for commitment in commitments:
        if commitment.product == "standard_ri":
            out[commitment.id] = 0.0
            continue
        word = (words or {}).get(commitment.id, commitment.product)
        columns = [c for c in rate.columns if str(c) == word or (str(c).startswith(word) and not _TERMS.search(word))]
        if not columns or "on_demand" not in rate.columns:
            continue
        rows = rate[_in_scope(rate.index.get_level_values(0).astype(str), commitment)]
        ratios = (rows[columns[0]] / rows["on_demand"]).dropna()
        if len(ratios):
            out[commitment.id] = float(ratios.median())
    return out


def _in_scope(names: pd.Index, commitment: Commitment) -> npt.NDArray[np.bool_]:
    families = pd.Series(names, index=names).str.split(".").str[0]
    return np.asarray((families == commitment.scope) | (commitment.scope == ""))


def _quota(row: Mapping[str, object]) -> Quota:
    return Quota(
        account_id=str(row["account_id"]),
        region=str(row["region"]),
        code=str(row["code"]),
        name=str(row["name"]),
        limit=float(str(row["limit"])),
        used=float(str(row["used"])),
    )


def last_demand(config: Config, series: Mapping[SeriesKey, pd.Series]) -> dict[Unit, pd.Timestamp]:
    """The newest point of each unit's demand; a unit without any is told of elsewhere."""
    out = {}
    for service in config.services:
        for region in service.regions:
            metric = service.demand_metric
            if metric == "busy_vcpu" and (service.name, region, metric, service.demand_stat) not in series:
                metric = service.utilisation_metric or metric  # it is made of this one
            known = series.get((service.name, region, metric, service.demand_stat))
            points = None if known is None else known.last_valid_index()
            if points is not None:
                out[Unit(service.name, region)] = pd.Timestamp(points)  # type: ignore[arg-type]
    return out
