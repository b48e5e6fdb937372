"""Small canonical frames for the store's tests."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
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


def _with(table: pa.Table, name: str, value: str) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.set_column(at, COST.schema.field(name), pa.repeat(pa.scalar(value), table.num_rows))


@dataclass
class File:
    """A billing file that streams ``table``; ``raw`` are its own columns where they are not the canonical ones."""

    label: str
    table: pa.Table
    complete: bool = False
    error: Exception | None = None
    own: pa.Table | None = None
    content: str | None = None
    block_rows: int = 7
    reads: int = 0

    def __post_init__(self) -> None:
        self.table = _with(self.table, "file", self.label)

    @property
    def digest(self) -> str:
        """Of the rows, but for their label: a copy under another name has the same."""
        rows = self.table.drop_columns(["source", "file"]).to_pylist()
        return hashlib.sha256((self.content or repr((rows, self.own))).encode()).hexdigest()

    def blocks(self) -> Iterator[pa.Table]:
        self.reads += 1
        for start in range(0, self.table.num_rows, self.block_rows):
            yield self.table.slice(start, self.block_rows)
        if self.error:
            raise self.error

    def raw(self, columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        table = self.table.drop_columns(["source", "file"]) if self.own is None else self.own
        yield from table.to_batches(self.block_rows)

    def notes(self) -> tuple[str, ...]:
        return ()


@dataclass
class Bills:
    """A source of such files; their rows get its name."""

    name: str
    files: list[File]
    corrections: str = "replace"
    check_focus: bool = False
    error: Exception | None = None
    info: ClassVar[SourceInfo] = SourceInfo("bills", "", ("cost",), (), "", "")

    def __post_init__(self) -> None:
        for file in self.files:
            file.table = _with(file.table, "source", self.name)

    def bills(self, now: datetime) -> Iterator[File]:
        yield from self.files
        if self.error:
            raise self.error

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        raise AssertionError("bills are streamed")
