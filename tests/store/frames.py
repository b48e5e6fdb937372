"""Small canonical frames for the store's tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import pyarrow as pa

from capacity.schemas import COST, COST_MONEY, TABLES, USAGE
from capacity.sources import Batch, SourceInfo

NOW = datetime(2026, 10, 5, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)


def usage(points: Iterable[tuple[str, int, float]], source: str = "s") -> pa.Table:
    """Rows of (service, hour, value)."""
    rows = [
        {
            "source": source, "account_id": "1", "region": "us-east-1", "service": service,
            "metric": "requests_per_second", "stat": "avg", "period_seconds": 3600,
            "ts": START + timedelta(hours=hour), "value": float(value), "unit": "1/s",
        }
        for service, hour, value in points
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=USAGE.schema)


def bill(amounts: Iterable[Any], month: int = 9, account: str = "1", source: str = "bill", **other: Any) -> pa.Table:
    """One row an amount; the amount stands in all four cost columns (None: only in the mandatory two, as 0)."""
    rows = []
    for i, amount in enumerate(amounts):
        row: dict[str, Any] = dict.fromkeys(COST.columns)
        row |= {
            "source": source, "file": "f.csv", "BillingAccountId": account, "BillingCurrency": "USD",
            "BillingPeriodStart": datetime(2026, month, 1, tzinfo=UTC),
            "BillingPeriodEnd": datetime(2026, month + 1, 1, tzinfo=UTC),
            "ChargePeriodStart": datetime(2026, month, 2, tzinfo=UTC),
            "ChargePeriodEnd": datetime(2026, month, 3, tzinfo=UTC),
            "ChargeCategory": "Usage", "ServiceName": "EC2", "ResourceId": f"i-{i}",
        }  # fmt: skip
        row |= dict.fromkeys(COST_MONEY, None if amount is None else Decimal(amount))
        row |= {"BilledCost": Decimal(amount or 0), "EffectiveCost": Decimal(amount or 0)} | other
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=COST.schema)


def rows(table: pa.Table) -> list[tuple[Any, ...]]:
    """The rows in an order of their own, to compare sets of rows."""
    return sorted((tuple(r.values()) for r in table.to_pylist()), key=repr)


@dataclass
class Given:
    """A source that hands over what it is given, then raises ``error`` if there is one."""

    name: str
    frame: str
    tables: list[pa.Table]
    error: Exception | None = None
    notes: tuple[str, ...] = ()
    since: list[datetime | None] = field(default_factory=list)
    info: ClassVar[SourceInfo] = SourceInfo("given", "", ("usage",), (), "", "")

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        self.since.append(since)
        assert self.frame in TABLES
        for i, table in enumerate(self.tables):
            yield Batch(self.frame, table, f"{self.name}-{i}", self.notes)
        if self.error:
            raise self.error
