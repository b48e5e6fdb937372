"""Random small bills as FOCUS files, with the sums that Python's ``decimal`` gives for the same values."""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capacity.schemas import COST_MONEY

Key = tuple[str, datetime, str]
EXACT = Context(prec=60)
# FOCUS lets these two be null; a bill without the other two is refused.
NULLABLE = ("ListCost", "ContractedCost")
TEXTS = (
    "BillingAccountId", "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart",
    "ChargePeriodEnd", "ChargeCategory", "ServiceName", "ResourceId",
)  # fmt: skip
_SCHEMA = pa.schema([*((c, pa.string()) for c in TEXTS), *((c, pa.decimal128(38, 12)) for c in COST_MONEY)])


@dataclass
class Expected:
    """Rows, exact sums and nulls by (account, billing period, currency)."""

    rows: dict[Key, int] = field(default_factory=lambda: defaultdict(int))
    sums: dict[tuple[Key, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    nulls: dict[tuple[Key, str], int] = field(default_factory=lambda: defaultdict(int))

    def add(self, key: Key, amounts: dict[str, Decimal | None]) -> None:
        self.rows[key] += 1
        for column, value in amounts.items():
            self.nulls[key, column] += value is None
            self.sums[key, column] = EXACT.add(self.sums[key, column], value or Decimal(0))


def write(path: Path, dice: random.Random, expected: Expected) -> None:
    """One bill of 1 to 12 rows (some of them twice) as CSV or Parquet, by the name of ``path``."""
    rows = [_row(dice, expected) for _ in range(dice.randint(1, 12))]
    for row in dice.sample(rows, dice.randint(0, min(3, len(rows)))):
        rows.append(row)
        expected.add(*_counted(row))
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), path)
        return
    null = dice.choice(("", "NULL"))
    with path.open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream)
        out.writerow(_SCHEMA.names)
        out.writerows([[_spelt(row[c], null) for c in _SCHEMA.names] for row in rows])


def _spelt(value: Any, null: str) -> str:
    return null if value is None else f"{value:f}" if isinstance(value, Decimal) else value


def _row(dice: random.Random, expected: Expected) -> dict[str, Any]:
    month = dice.randint(1, 3)
    start = f"2026-{month:02d}-01"
    row: dict[str, Any] = {
        "BillingAccountId": dice.choice(("111", "222", "o'neil")),
        "BillingCurrency": dice.choice(("USD", "EUR", "JPY")),
        "BillingPeriodStart": f"{start}T00:00:00Z", "BillingPeriodEnd": f"2026-{month + 1:02d}-01T00:00:00Z",
        "ChargePeriodStart": f"{start}T00:00:00Z", "ChargePeriodEnd": f"{start}T01:00:00Z",
        "ChargeCategory": dice.choice(("Usage", "Purchase", "Credit")), "ServiceName": "s",
        "ResourceId": f"i-{dice.randint(0, 9**9)}",
    }  # fmt: skip
    for column in COST_MONEY:
        null = column in NULLABLE and dice.random() < 0.2
        row[column] = None if null else _amount(dice)
    expected.add(*_counted(row))
    return row


def _amount(dice: random.Random) -> Decimal:
    """From a single 1e-12 to some 1e13, of either sign, with up to 12 decimals."""
    units = dice.randint(-(10 ** dice.randint(1, 25)), 10 ** dice.randint(1, 25))
    return Decimal(units).scaleb(-dice.choice((0, 2, 12, 12)) if abs(units) < 10**13 else -12)


def _counted(row: dict[str, Any]) -> tuple[Key, dict[str, Decimal | None]]:
    period = datetime.fromisoformat(row["BillingPeriodStart"]).astimezone(UTC)
    key = (row["BillingAccountId"], period, row["BillingCurrency"])
    return key, {c: row[c] for c in COST_MONEY}
