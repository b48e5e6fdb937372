"""Small bills for the tests of cost to serve, built row by row, and a slow second way to add them up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from capacity.config import CostsConfig
from capacity.schemas import COST, COST_MONEY, COST_QUANTITY

SERVICES = ("checkout", "search", "web-shop")


def month_start(month: str) -> datetime:
    year, number = map(int, month.split("-"))
    return datetime(year, number, 1, tzinfo=UTC)


def next_month(month: str) -> datetime:
    year, number = map(int, month.split("-"))
    return datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def row(month: str = "2026-08", effective: object = "1", **columns: Any) -> dict[str, Any]:
    """A usage row of one month; List, Contracted and Billed cost are the EffectiveCost unless given."""
    out: dict[str, Any] = {
        "source": "bill", "file": "bill.csv", "BillingAccountId": "payer", "BillingCurrency": "USD",
        "BillingPeriodStart": month_start(month), "BillingPeriodEnd": next_month(month),
        "ChargePeriodStart": month_start(month), "ChargePeriodEnd": next_month(month),
        "ChargeCategory": "Usage", "ServiceName": "EC2", "ServiceCategory": "Compute", "SkuId": "m5",
        "PricingUnit": "Hours", "PricingQuantity": "1", **dict.fromkeys(COST_MONEY, effective),
    }  # fmt: skip
    return out | columns


def bill(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as a table of the canonical cost schema."""
    exact = (*COST_MONEY, *COST_QUANTITY)
    full = [
        {c: Decimal(str(v)) if c in exact and (v := r.get(c)) is not None else r.get(c) for c in COST.columns}
        for r in rows
    ]
    return pa.Table.from_pylist(full, schema=COST.schema)


def costs(rules: Sequence[dict[str, Any]] = (), pools: Sequence[dict[str, Any]] = (), **more: Any) -> CostsConfig:
    return CostsConfig.model_validate({"rules": list(rules), "pools": list(pools), **more})
