"""All month-to-month bridges of two years of 500 services with 20 SKUs each: time, and exact totals.

    python -m bench.bridge [SERVICES [MONTHS]]

The bar: the 23 bridges of 24 months x 500 services, by service and in total, take at most 5 s of one processor. Two
fifths of the SKUs are covered by a commitment in part; prices, discounts and mix move from month to month; bills carry
twelve decimals.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from capacity.config import CostsConfig
from capacity.costs import TERMS, Attribution, Bridge, Sku, attribute, month_bridges
from capacity.costs._money import from_units
from capacity.schemas import COST, MONEY

SKUS = 20
LIMIT_S = 5.0
SEED = 20260901


def bill(services: int, months: int) -> tuple[pa.Table, dict[str, dict[str, float]], list[str]]:
    """A bill with a row a (month, service, SKU, how it was bought), its driver units, and the months."""
    rng = np.random.default_rng(SEED)
    names = [str(p) for p in pd.period_range("2024-01", periods=months, freq="M")]
    growth = np.cumprod(rng.lognormal(0.01, 0.05, (months, services)), axis=0)
    units = {m: {f"s{i:03d}": 1e6 * float(growth[k, i]) for i in range(services)} for k, m in enumerate(names)}
    base, price = rng.lognormal(5, 1, (services, SKUS)), rng.lognormal(-2, 1, SKUS)
    parts = []
    for k, month in enumerate(names):
        listed = price * (1 + 0.02 * (k // 6))
        quantity = base * growth[k][:, None] * rng.lognormal(0, 0.1, (services, SKUS))
        quantity[rng.random((services, SKUS)) < 0.02] = 0  # SKUs come and go
        for covered in (False, True):
            share = np.where(np.arange(SKUS) < 8, 0.6, 0.0) if covered else np.where(np.arange(SKUS) < 8, 0.4, 1.0)
            q = np.rint(quantity * share * 1e6)
            parts.append(_rows(month, q, listed, 0.62 if covered else 1.0, 0.96 - 0.001 * k, covered=covered))
    return pa.concat_tables(parts), units, names


def _rows(month: str, millionths: Any, price: Any, effective: float, paid: float, *, covered: bool) -> pa.Table:
    at = np.nonzero(millionths)
    q, cost = millionths[at], millionths[at] * price[at[1]]
    n = len(q)

    def money(micro: Any) -> pa.Array:
        return from_units([int(x) * 10**6 + 7 for x in micro])

    start = pd.Timestamp(f"{month}-01", tz="UTC")
    end = start + pd.offsets.MonthBegin(1)
    text = {
        "source": "bench", "file": "bench", "BillingAccountId": "payer", "BillingCurrency": "USD",
        "ChargeCategory": "Usage", "ChargeFrequency": "Usage-Based", "ServiceCategory": "Compute",
        "PricingCategory": "Committed" if covered else "Standard", "PricingUnit": "Hours",
        "CommitmentDiscountStatus": "Used" if covered else None,
    }  # fmt: skip
    columns: dict[str, Any] = {f.name: pa.nulls(n, f.type) for f in COST.schema}
    columns |= {c: pa.array([v] * n, pa.string()) for c, v in text.items()}
    columns |= {f"{p}Period{side}": pa.array([t.to_pydatetime()] * n, COST.schema.field("ChargePeriodStart").type)
                for p in ("Billing", "Charge") for side, t in (("Start", start), ("End", end))}  # fmt: skip
    columns["SubAccountId"] = pa.array([f"s{i:03d}" for i in at[0]])
    columns["ServiceName"] = pa.array([f"provider {j // 5}" for j in at[1]])
    columns["SkuId"] = pa.array([f"sku-{j:02d}" for j in at[1]])
    columns["PricingQuantity"] = from_units([int(x) * 10**6 for x in q])
    columns["ListCost"], columns["ContractedCost"] = money(cost), money(cost * paid)
    columns["EffectiveCost"] = columns["BilledCost"] = money(cost * paid * effective)
    return pa.table(columns, schema=COST.schema)


def main(services: int = 500, months: int = 24) -> None:
    table, units, names = bill(services, months)
    rules = [{"name": f"r{i}", "service": f"s{i:03d}", "match": {"SubAccountId": f"s{i:03d}"}} for i in range(services)]
    found = attribute(table, CostsConfig.model_validate({"rules": rules}), sorted(next(iter(units.values()))))
    print(f"{months} months x {services} services x {SKUS} SKUs: {found.pieces.num_rows:,} pieces of the bill")
    skus = {f"sku-{j:02d}": Sku("", 4.0) for j in range(8)}
    _timed("bridges", lambda: month_bridges(found, names, units))
    _timed("bridges, vCPU known", lambda: month_bridges(found, names, units, skus))
    made = month_bridges(found, names, units)
    _timed("all of them by service and in total", lambda: [(b.by_service(), b.total()) for b in made])
    _timed("all of them by SKU (lines)", lambda: [b.by(*("name", "provider_service", "sku")) for b in made])
    whole = _timed("all 23, from the bill to services and totals", lambda: _whole(found, names, units))
    _exact(found, names)
    print(f"bar {LIMIT_S:.0f} s: {'held' if whole <= LIMIT_S else 'NOT HELD'}; "
          f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")  # fmt: skip


def _whole(found: Attribution, names: list[str], units: dict[str, dict[str, float]]) -> list[Bridge]:
    made = list(month_bridges(found, names, units))
    for one in made:
        one.by_service()
        one.total()
    return made


def _timed(what: str, run: Callable[[], Any]) -> float:
    """Median processor time of ``run``, printed beside the wall's: other work on the machine is not the bridge's."""
    taken = []
    for _ in range(int(os.environ.get("BENCH_RUNS", "3"))):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        taken.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpus, walls = zip(*taken, strict=True)
    cpu = statistics.median(cpus)
    span = f"({min(cpus):.2f} to {max(cpus):.2f})"
    print(f"{what:46} {cpu:6.2f} s of processor {span}, wall {statistics.median(walls):.2f} s", flush=True)
    return cpu


def _exact(found: Attribution, names: list[str]) -> None:
    """Totals are the bill's, and terms add up, in whole 1e-12."""
    grouped = found.pieces.group_by("month").aggregate([("EffectiveCost", "sum")])
    bill_of = dict(zip(grouped.column("month").to_pylist(), grouped.column("EffectiveCost_sum").cast(MONEY).to_pylist(),
                       strict=True))  # fmt: skip
    for one in month_bridges(found, names, {}):
        for line in (*one.total().to_dict("records"), *one.by_service().to_dict("records")):
            assert line["start"] + sum((line[t] for t in TERMS), Decimal(0)) == line["end"]
        assert one.total()["end"].iloc[0] == bill_of[one.months[1]]
    print("every total is the bill's, every row adds up: exact")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
