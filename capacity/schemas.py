"""The canonical frames: columns, types, keys, and the check at the edges.

Frames are pandas inside the tool and Arrow in the store. Time stamps are UTC and mark the start of their interval.
Money is decimal128(38, 12) in Arrow and never passes through a float on its way into or out of the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from capacity.domain import QUANTILE_COLUMNS
from capacity.errors import CorruptDataError

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

UTC = pa.timestamp("us", tz="UTC")
MONEY = pa.decimal128(38, 12)
TEXT = pa.string()

STATS = ("avg", "sum", "max", "min", "p50", "p90", "p95", "p99")
PURCHASES = ("on_demand", "spot", "reserved")

# Demand and resource metrics with fixed names, and the unit of each.
METRIC_UNITS: Mapping[str, str] = {
    "requests_per_second": "1/s",
    "busy_vcpu": "vCPU",
    "cpu_percent": "%",
    "memory_used_bytes": "By",
    "disk_used_bytes": "By",
    "iops": "1/s",
    "connections": "1",
    "queue_depth": "1",
}


@dataclass(frozen=True)
class Table:
    """One canonical frame: its Arrow schema, its key, and the columns that may be null."""

    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    nullable: frozenset[str] = frozenset()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.schema.names)

    def empty(self) -> pd.DataFrame:
        """A frame of this table with no row."""
        frame: pd.DataFrame = self.schema.empty_table().to_pandas()
        return frame


def _table(name: str, columns: dict[str, pa.DataType], key: tuple[str, ...], nullable: tuple[str, ...] = ()) -> Table:
    fields = [pa.field(n, t, nullable=n in nullable) for n, t in columns.items()]
    return Table(name, pa.schema(fields), key, frozenset(nullable))


USAGE = _table(
    "usage",
    {
        "source": TEXT, "account_id": TEXT, "region": TEXT, "service": TEXT, "metric": TEXT, "stat": TEXT,
        "period_seconds": pa.int64(), "ts": UTC, "value": pa.float64(), "unit": TEXT,
    },
    ("source", "account_id", "region", "service", "metric", "stat", "period_seconds", "ts"),
)  # fmt: skip

FLEET = _table(
    "fleet",
    {
        "ts": UTC, "account_id": TEXT, "service": TEXT, "region": TEXT, "zone": TEXT, "instance_type": TEXT,
        "count": pa.int64(), "min": pa.int64(), "max": pa.int64(), "purchase": TEXT,
    },
    ("ts", "account_id", "service", "region", "zone", "instance_type", "purchase"),
    ("min", "max"),
)  # fmt: skip

PRICES = _table(
    "prices",
    {
        "instance_type": TEXT, "region": TEXT, "os": TEXT, "tenancy": TEXT, "product": TEXT,
        "rate": pa.float64(), "currency": TEXT, "source": TEXT, "as_of": UTC,
    },
    ("instance_type", "region", "os", "tenancy", "product", "currency", "source", "as_of"),
)  # fmt: skip

COMMITMENTS = _table(
    "commitments",
    {
        "id": TEXT, "account_id": TEXT, "product": TEXT, "scope": TEXT, "region": TEXT, "sharing": TEXT,
        "hourly_usd": pa.float64(), "count": pa.int64(), "start": UTC, "end": UTC,
    },
    ("id",),
)  # fmt: skip

QUOTAS = _table(
    "quotas",
    {"account_id": TEXT, "region": TEXT, "code": TEXT, "name": TEXT, "limit": pa.float64(), "used": pa.float64()},
    ("account_id", "region", "code"),
)

# The FOCUS 1.2 columns that the tool uses, in the specification's spelling. Quantities and prices are decimals
# too: a bill is re-added from them in checks.
COST_MONEY: tuple[str, ...] = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
COST_QUANTITY: tuple[str, ...] = (
    "ListUnitPrice", "ContractedUnitPrice", "PricingQuantity", "ConsumedQuantity", "CommitmentDiscountQuantity",
)  # fmt: skip
COST_TIME: tuple[str, ...] = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
COST_TEXT: tuple[str, ...] = (
    "BillingAccountId", "BillingAccountName", "BillingCurrency", "SubAccountId", "SubAccountName",
    "ProviderName", "PublisherName", "InvoiceIssuerName", "InvoiceId",
    "ServiceName", "ServiceCategory", "ServiceSubcategory",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency",
    "PricingCategory", "PricingUnit", "ConsumedUnit",
    "CommitmentDiscountId", "CommitmentDiscountCategory", "CommitmentDiscountName", "CommitmentDiscountStatus",
    "CommitmentDiscountType", "CommitmentDiscountUnit",
    "RegionId", "RegionName", "AvailabilityZone", "ResourceId", "ResourceName", "ResourceType",
    "SkuId", "SkuPriceId", "SkuMeter", "Tags",
)  # fmt: skip
COST_REQUIRED: tuple[str, ...] = (
    "BillingAccountId", "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd",
    "ChargePeriodStart", "ChargePeriodEnd", "ChargeCategory", "BilledCost", "EffectiveCost", "ServiceName",
)  # fmt: skip

COST = _table(
    "cost",
    {
        "source": TEXT, "file": TEXT,
        **dict.fromkeys(COST_TIME, UTC),
        **dict.fromkeys(COST_MONEY, MONEY),
        **dict.fromkeys(COST_QUANTITY, MONEY),
        **dict.fromkeys(COST_TEXT, TEXT),
    },
    (),  # a bill has no stable row key: (source, BillingAccountId, BillingPeriodStart) is replaced whole
    tuple(c for c in (*COST_MONEY, *COST_QUANTITY, *COST_TEXT) if c not in COST_REQUIRED),
)  # fmt: skip
COST_PERIOD_KEY: tuple[str, ...] = ("source", "BillingAccountId", "BillingPeriodStart")

# What a stored forecast is of. mean, peak, total: a day (ts is its start). The others are kept as they were promised,
# since they come from joint paths and not from days' quantiles: month_mean, month_peak, month_total are of the month
# that begins at ts (of its days after the origin; a month's total with what was known of it), horizon_peak is the
# largest peak from the day after the origin through the day that begins at ts.
FORECAST_TARGETS = ("mean", "peak", "total", "month_mean", "month_peak", "month_total", "horizon_peak")
FORECAST = _table(
    "forecast",
    {
        "service": TEXT, "region": TEXT, "metric": TEXT, "target": TEXT, "scenario": TEXT, "origin_ts": UTC, "ts": UTC,
        **dict.fromkeys(QUANTILE_COLUMNS, pa.float64()), "model": TEXT,
    },
    ("service", "region", "metric", "target", "scenario", "origin_ts", "ts"),
)  # fmt: skip

# --- what a provider says of itself: for comparison, never an input of a forecast -----------------------------

CAPACITY_RESERVATIONS = _table(
    "capacity_reservations",
    {
        "id": TEXT, "account_id": TEXT, "region": TEXT, "zone": TEXT, "instance_type": TEXT, "os": TEXT,
        "tenancy": TEXT, "count": pa.int64(), "available": pa.int64(), "match": TEXT, "state": TEXT,
        "start": UTC, "end": UTC,
    },
    ("id",),
    ("end",),  # open-ended
)  # fmt: skip

PROVIDER_FORECAST = _table(
    "provider_forecast",
    {
        "source": TEXT, "account_id": TEXT, "metric": TEXT, "granularity": TEXT, "made_on": UTC, "ts": UTC,
        "period_end": UTC, "mean": MONEY, "low": MONEY, "high": MONEY, "level_frac": pa.float64(), "currency": TEXT,
    },
    ("source", "account_id", "metric", "granularity", "made_on", "ts"),
)  # fmt: skip

COMMITMENT_USE = _table(
    "commitment_use",
    {
        "source": TEXT, "account_id": TEXT, "product": TEXT, "scope": TEXT, "ts": UTC, "period_end": UTC,
        # Of what was committed, how much was used; of what could be covered, how much was.
        "committed": MONEY, "used": MONEY, "unused": MONEY, "utilisation_frac": pa.float64(),
        "covered": MONEY, "on_demand": MONEY, "coverage_frac": pa.float64(),
        "net_savings": MONEY, "unit": TEXT,
    },
    ("source", "account_id", "product", "scope", "ts"),
    ("committed", "used", "unused", "utilisation_frac", "covered", "on_demand", "coverage_frac", "net_savings"),
)  # fmt: skip

RECOMMENDATIONS = _table(
    "recommendations",
    {
        "source": TEXT, "account_id": TEXT, "made_on": UTC, "product": TEXT, "scope": TEXT, "region": TEXT,
        "term_years": pa.int64(), "payment": TEXT, "lookback_days": pa.int64(), "hourly_commitment": MONEY,
        "count": pa.int64(), "upfront": MONEY, "monthly_savings": MONEY, "savings_frac": pa.float64(),
        "utilisation_frac": pa.float64(), "currency": TEXT,
    },
    ("source", "account_id", "made_on", "product", "scope", "region", "term_years", "payment", "lookback_days"),
    ("hourly_commitment", "count", "upfront", "monthly_savings", "savings_frac", "utilisation_frac"),
)  # fmt: skip

# --- what clusters' workloads took, as OpenCost or AWS's split cost allocation priced it: proportions only --------

KUBERNETES_PARTS: tuple[str, ...] = (
    "cpu_cost", "ram_cost", "gpu_cost", "pv_cost", "network_cost", "load_balancer_cost", "shared_cost",
    "external_cost",
)  # fmt: skip
KUBERNETES_COST = _table(
    "kubernetes_cost",
    {
        "source": TEXT, "cluster": TEXT, "ts": UTC, "period_end": UTC,
        "kind": TEXT,  # workload, or idle: paid for and used by none
        "namespace": TEXT, "controller_kind": TEXT, "controller": TEXT, "pod": TEXT, "labels": TEXT,
        **dict.fromkeys(KUBERNETES_PARTS, MONEY), "total_cost": MONEY,
    },
    ("source", "cluster", "ts", "period_end", "kind", "namespace", "controller_kind", "controller", "pod"),
    ("labels", *KUBERNETES_PARTS),
)  # fmt: skip

# What is wrong or odd in data, told when it came in; replaced whole by (source, frame, scope).
SEVERITIES = ("fatal", "error", "warning", "info")
FINDINGS = _table(
    "findings",
    {
        "source": TEXT, "frame": TEXT, "scope": TEXT, "rule": TEXT, "severity": TEXT, "column": TEXT,
        "rows": pa.int64(), "of": pa.int64(), "example": TEXT, "message": TEXT,
        "ts": UTC,  # the newest moment it speaks of: what comes later than a plan's is no part of the plan
    },
    ("source", "frame", "scope", "rule"),
    ("column", "example", "ts"),
)  # fmt: skip

TABLES: Mapping[str, Table] = {
    t.name: t
    for t in (
        USAGE, COST, FLEET, PRICES, COMMITMENTS, QUOTAS, FORECAST,
        CAPACITY_RESERVATIONS, PROVIDER_FORECAST, COMMITMENT_USE, RECOMMENDATIONS, FINDINGS,
        KUBERNETES_COST,
    )
}  # fmt: skip

_PANDERA_TYPES = {
    pa.types.is_string: "object",
    pa.types.is_int64: "Int64",
    pa.types.is_float64: "float64",
    pa.types.is_timestamp: "datetime64[us, UTC]",
}


@lru_cache
def frame_schema(name: str) -> DataFrameSchema:
    """The pandera schema of table ``name`` (coercing; unknown columns refused)."""
    import pandera.pandas as pandera  # a second to import: only where a frame enters

    table = TABLES[name]
    checks: dict[str, list[Any]] = {}
    if name == "usage":
        checks = {"stat": [pandera.Check.isin(STATS)], "period_seconds": [pandera.Check.gt(0)]}
    if name == "fleet":
        checks = {"count": [pandera.Check.ge(0)], "purchase": [pandera.Check.isin(PURCHASES)]}
    if name == "forecast":
        checks = {"target": [pandera.Check.isin(FORECAST_TARGETS)]}
    columns = {
        f.name: pandera.Column(_pandera_type(f.type), checks.get(f.name, []), nullable=f.nullable, coerce=True)
        for f in table.schema
    }
    rows = [pandera.Check(_never_crossing, name="quantiles never cross")] if name == "forecast" else []
    return pandera.DataFrameSchema(
        columns, checks=rows, strict=True, unique=list(table.key) or None, report_duplicates="exclude_first"
    )


def _never_crossing(frame: pd.DataFrame) -> pd.Series:
    values = frame[list(QUANTILE_COLUMNS)].to_numpy(float)
    return pd.Series((values[:, 1:] >= values[:, :-1]).all(axis=1), index=frame.index)


def check_frame(name: str, frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """``frame`` with the column order and types of table ``name``.

    Raises
    ------
    CorruptDataError
        Names ``where``, the columns at fault, how many rows, and an example of each.
    """
    import pandera.errors

    table = TABLES[name]
    missing = [c for c in table.columns if c not in frame.columns and c not in table.nullable]
    if missing:
        raise CorruptDataError(
            f"{where}: columns missing for {name}: {', '.join(missing)}; map them with 'columns' or 'defaults'"
        )
    full = frame.reindex(columns=list(table.columns))
    try:
        checked: pd.DataFrame = frame_schema(name).validate(full, lazy=True)
        return checked
    except pandera.errors.SchemaErrors as error:
        raise CorruptDataError(_describe(where, name, error.failure_cases)) from None


def _describe(where: str, name: str, cases: pd.DataFrame) -> str:
    lines = [f"{where}: not a valid {name} frame"]
    for (column, check), group in cases.groupby(["column", "check"], dropna=False, sort=False):
        lines.append(f"  {column}: {check}: {len(group)} value(s), e.g. {group['failure_case'].iloc[0]!r}")
    return "\n".join(lines[:12])


def _pandera_type(arrow: pa.DataType) -> str | None:
    return next((kind for test, kind in _PANDERA_TYPES.items() if test(arrow)), None)


def to_arrow(name: str, frame: pd.DataFrame) -> pa.Table:
    """``frame`` as an Arrow table with exactly the schema of table ``name``."""
    return pa.Table.from_pandas(
        frame.reindex(columns=list(TABLES[name].columns)), schema=TABLES[name].schema, preserve_index=False
    )
