"""Two deliveries of a small company's files, and what the store must hold after each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv

from capacity.schemas import COST, COST_MONEY, USAGE

Delivery = Literal["a", "b"]
CONFIG = """\
version: 1
company: Crash
store: store
sources:
  - {kind: files, name: requests, frame: usage, path: requests.csv}
  - {kind: files, name: fleet-cpu, frame: usage, path: cpu.csv}
  - {kind: files, name: quotas, frame: quotas, path: quotas.csv}
  - {kind: focus_files, name: bill, path: bills, check_focus: false}
tiers: [{name: standard, service_level: 0.9}]
services: [{name: web, tier: standard, regions: [us-east-1], utilisation_metric: null}]
"""
START = datetime(2026, 8, 1, tzinfo=UTC)
# Delivery b: a day more of usage with the last day changed, August restated, October new.
HOURS = {"a": 24 * 30, "b": 24 * 31}
MONTHS = {"a": (8, 9), "b": (8, 9, 10)}
ROWS_A_MONTH = 1_500


def write(folder: Path, delivery: Delivery) -> Path:
    """All files of a delivery into ``folder``; returns the path of the config."""
    (folder / "bills").mkdir(parents=True, exist_ok=True)
    for name, metric in (("requests", "requests_per_second"), ("cpu", "busy_vcpu")):
        pa.csv.write_csv(_usage(metric, delivery), folder / f"{name}.csv")
    limit = {"a": 100, "b": 200}[delivery]
    quotas = f"account_id,region,code,name,limit,used\n1,us-east-1,L-1216C47A,standard,{limit},16\n"
    (folder / "quotas.csv").write_text(quotas, encoding="utf-8")
    for month in MONTHS[delivery]:
        pa.csv.write_csv(_bill(month, delivery), folder / "bills" / f"2026-{month:02d}.csv")
    path = folder / "config.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def _usage(metric: str, delivery: Delivery) -> pa.Table:
    hours = np.arange(HOURS[delivery])
    value = hours * 1.5 + np.where((hours >= HOURS["a"] - 24) & (delivery == "b"), 7, 0)
    n = len(hours)
    parts = [
        pa.table(
            {
                "account_id": ["1"] * n, "region": ["us-east-1"] * n, "service": [service] * n,
                "metric": [metric] * n, "stat": ["avg"] * n, "period_seconds": [3600] * n,
                "ts": [(START + timedelta(hours=int(h))).isoformat() for h in hours], "value": value,
                "unit": ["1/s" if metric == "requests_per_second" else "vCPU"] * n,
            }
        )
        for service in ("web", "api")
    ]  # fmt: skip
    return pa.concat_tables(parts).select([c for c in USAGE.columns if c != "source"])


def _bill(month: int, delivery: Delivery) -> pa.Table:
    """August of delivery b is restated: other amounts, and a row fewer."""
    restated = month == 8 and delivery == "b"
    n = ROWS_A_MONTH - restated
    amount = [str(Decimal(i * 7 + month + 1000 * restated) / 1000) for i in range(n)]
    first, last = datetime(2026, month, 1, tzinfo=UTC), datetime(2026, month + 1, 1, tzinfo=UTC)
    columns: dict[str, list[str]] = {
        "BillingAccountId": ["111111111111" if i % 2 else "222222222222" for i in range(n)],
        "BillingPeriodStart": [first.isoformat()] * n, "BillingPeriodEnd": [last.isoformat()] * n,
        "ChargePeriodStart": [(first + timedelta(hours=i % 600)).isoformat() for i in range(n)],
        "ChargePeriodEnd": [(first + timedelta(hours=i % 600 + 1)).isoformat() for i in range(n)],
        "BillingCurrency": ["USD"] * n, "ChargeCategory": ["Usage"] * n, "ServiceName": ["EC2"] * n,
        "ResourceId": [f"i-{i}" for i in range(n)],
    }  # fmt: skip
    columns |= dict.fromkeys(COST_MONEY, amount)
    return pa.table({c: columns[c] for c in COST.columns if c in columns})
