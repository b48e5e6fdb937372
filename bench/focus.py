"""``python -m bench.focus``: 1,000,000 rows of a FOCUS 1.2 bill, all 57 columns, judged by every rule that is run.

The bill is made from a seed: as many different accounts, services, prices and resources as a large AWS bill has, a few
rows with defects. Measured are the whole process from Parquet and from CSV (the bar: 60 s on two cores).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv as pacsv

from bench.measure import measure

ROWS = 1_000_000
_BLOCK = 100_000
_SERVICES = (
    ("Amazon Elastic Compute Cloud", "Compute", "Virtual Machines", "Hours"),
    ("Amazon Simple Storage Service", "Storage", "Object Storage", "GB-Months"),
    ("AWS Lambda", "Compute", "Serverless Compute", "Requests"),
    ("Amazon Relational Database Service", "Databases", "Relational Databases", "Hours"),
    ("Amazon CloudFront", "Networking", "Content Delivery", "GB"),
    ("Amazon Simple Queue Service", "Integration", "Messaging", "Requests"),
    ("AmazonCloudWatch", "Management and Governance", "Observability", "Metrics"),
)
_COSTS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingCurrencyEffectiveCost")
_PRICES = ("ContractedUnitPrice", "ListUnitPrice", "PricingCurrencyContractedUnitPrice", "PricingCurrencyListUnitPrice")
_QUANTITIES = ("CommitmentDiscountQuantity", "ConsumedQuantity", "PricingQuantity")


def main() -> None:
    """Make the bill twice, judge it, print a line each."""
    runs = int(os.environ.get("BENCH_RUNS", "3"))
    rows = int(os.environ.get("BENCH_FOCUS_ROWS", ROWS))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("bill.parquet", "bill.csv"):
            path = Path(folder) / name
            write(path, rows)
            size = path.stat().st_size / 2**20
            done = measure((sys.executable, "-m", "bench.focus", str(path)), runs)
            print(done.line(f"FOCUS rules, {rows:,} rows {path.suffix[1:]} ({size:,.0f} MiB)"))
            path.unlink()


def judge(path: Path) -> None:
    """What the measured process does."""
    from capacity.quality import validate_bill

    print(validate_bill(batches(path), where=path.name).summary())


def batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The file's rows as the sources hand them over."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=131_072)
        return
    names = pacsv.open_csv(path).schema.names
    convert = pacsv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=["", "NULL"], strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )  # fmt: skip
    options = pacsv.ReadOptions(block_size=16 * 2**20)
    parse = pacsv.ParseOptions(newlines_in_values=True)
    with pacsv.open_csv(path, read_options=options, parse_options=parse, convert_options=convert) as reader:
        yield from reader


def write(path: Path, rows: int) -> None:
    """The bill as CSV or Parquet, block by block."""
    rng = np.random.default_rng(20260701)
    make = (_block(rng, min(_BLOCK, rows - start)) for start in range(0, rows, _BLOCK))
    first = next(make)
    csv = path.suffix == ".csv"
    opened = pacsv.CSVWriter(path, _text(first).schema) if csv else pq.ParquetWriter(path, first.schema)
    with opened as writer:
        for table in (first, *make):
            writer.write_table(_text(table) if csv else table)


def _text(table: pa.Table) -> pa.Table:
    """Times as FOCUS spells them, decimals without an exponent."""
    out = table
    for i, name in enumerate(table.column_names):
        column = table[name]
        if pa.types.is_timestamp(column.type):
            text = pc.strftime(column.cast(pa.timestamp("s", tz="UTC")), format="%Y-%m-%dT%H:%M:%SZ")
            out = out.set_column(i, name, text)
        elif pa.types.is_decimal(column.type):
            out = out.set_column(i, name, column.cast(pa.string()))
    return out


def _block(rng: np.random.Generator, n: int) -> pa.Table:
    columns = {**_who(rng, n), **_what(rng, n), **_amounts(rng, n), **_when(rng, n)}
    discounted = pc.is_valid(columns["CommitmentDiscountId"])
    columns["CommitmentDiscountQuantity"] = pc.if_else(discounted, columns["CommitmentDiscountQuantity"], None)
    return pa.table({name: columns[name] for name in sorted(columns)})


def _pick(values: list[str | None], index: np.ndarray) -> pa.Array:
    return pa.array(values, pa.string()).take(pa.array(index))


def _ids(form: str, index: np.ndarray) -> pa.Array:
    return pa.array([form.format(i) for i in index.tolist()], pa.string())


def _constant(value: str | None, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), n)


def _who(rng: np.random.Generator, n: int) -> dict[str, pa.Array]:
    account, region = rng.integers(0, 200, n), rng.integers(0, 12, n)
    return {
        "BillingAccountId": _constant("123456789012", n), "BillingAccountName": _constant("example", n),
        "BillingAccountType": _constant("Billing Account", n), "BillingCurrency": _constant("USD", n),
        "InvoiceId": _constant("INV-2026-07", n), "InvoiceIssuerName": _constant("Amazon Web Services, Inc.", n),
        "PricingCurrency": _constant("USD", n), "ProviderName": _constant("AWS", n),
        "PublisherName": _constant("AWS", n),
        "SubAccountId": _ids("{:012d}", account), "SubAccountName": _ids("team-{}", account),
        "SubAccountType": _constant("Account", n),
        "RegionId": _ids("region-{}", region), "RegionName": _ids("Region {}", region),
        "AvailabilityZone": _ids("region-{}a", region),
    }  # fmt: skip


def _what(rng: np.random.Generator, n: int) -> dict[str, pa.Array]:
    service, sku = rng.integers(0, len(_SERVICES), n), rng.integers(0, 3_000, n)
    resource, tags = rng.integers(0, 60_000, n), rng.integers(0, 4_000, n)
    names, categories, subcategories, units = ([s[i] for s in _SERVICES] for i in range(4))
    details = [json.dumps({"CoreCount": i % 64, "x_PriceClass": f"class {i}"}) for i in range(3_000)]
    maps = [
        json.dumps({"env": "prod", "team": f"team-{i % 90}", "cost-center": str(i), "app": f"app-{i}"})
        for i in range(4_000)
    ]
    discount = np.where(rng.random(n) < 0.2, rng.integers(0, 40, n), 40)
    discounts = [f"arn:aws:savingsplans::123456789012:savingsplan/{i}" for i in range(40)]
    covered = (discount < 40).astype(int)
    return {
        "ServiceName": _pick(names, service), "ServiceCategory": _pick(categories, service),
        "ServiceSubcategory": _pick(subcategories, service), "ConsumedUnit": _pick(units, service),
        "PricingUnit": _pick(units, service), "SkuId": _ids("SKU{:06d}", sku), "SkuMeter": _ids("meter {}", sku),
        "SkuPriceId": _ids("SKU{0:06d}.PRICE{0:06d}", sku), "SkuPriceDetails": _pick(details, sku),
        "ResourceId": _ids("arn:aws:ec2:us-east-1:123456789012:instance/i-{:017x}", resource),
        "ResourceName": _ids("node-{}", resource), "ResourceType": _constant("Instance", n),
        "Tags": _pick(maps, tags), "ChargeCategory": _constant("Usage", n), "ChargeClass": _constant(None, n),
        "ChargeDescription": _ids("$0.0416 per unit of usage, tier {}", sku),
        "ChargeFrequency": _constant("Usage-Based", n), "PricingCategory": _pick(["Standard", "Committed"], covered),
        "CommitmentDiscountId": _pick([*discounts, None], discount),
        "CommitmentDiscountCategory": _pick([None, "Spend"], covered),
        "CommitmentDiscountName": _pick([None, "Compute Savings Plan"], covered),
        "CommitmentDiscountStatus": _pick([None, "Used"], covered),
        "CommitmentDiscountType": _pick([None, "ComputeSavingsPlans"], covered),
        "CommitmentDiscountUnit": _pick([None, "USD"], covered),
        "CapacityReservationId": _constant(None, n), "CapacityReservationStatus": _constant(None, n),
    }  # fmt: skip


def _amounts(rng: np.random.Generator, n: int) -> dict[str, pa.Array]:
    """Price x quantity = cost, but for one row in ten thousand."""
    price, quantity = rng.integers(1, 10_000, n), rng.integers(1, 100_000, n)
    cost = price * quantity
    cost[::10_000] += 10_000_000
    out = {name: _decimal(price, 4) for name in _PRICES}
    out |= {name: _decimal(quantity, 3) for name in _QUANTITIES}
    return out | {name: _decimal(cost, 7) for name in _COSTS}


def _decimal(units: np.ndarray, scale: int) -> pa.Array:
    unit = pa.scalar(Decimal(1).scaleb(-scale), pa.decimal128(10, scale))
    return pc.multiply(pa.array(units).cast(pa.decimal128(19, 0)), unit).cast(pa.decimal128(38, 12))


def _when(rng: np.random.Generator, n: int) -> dict[str, pa.Array]:
    kind = pa.timestamp("us", tz="UTC")
    start = np.datetime64("2026-07-01T00:00:00", "us") + rng.integers(0, 31 * 24, n) * np.timedelta64(1, "h")
    fixed = {"BillingPeriodStart": "2026-07-01", "BillingPeriodEnd": "2026-08-01"}
    out = {k: pa.array(np.full(n, np.datetime64(v, "us")), kind) for k, v in fixed.items()}
    return out | {
        "ChargePeriodStart": pa.array(start, kind),
        "ChargePeriodEnd": pa.array(start + np.timedelta64(1, "h"), kind),
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        judge(Path(sys.argv[1]))
    else:
        main()
