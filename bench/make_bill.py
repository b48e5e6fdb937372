"""A FOCUS 1.2 bill of any size as Parquet files: all 57 columns, as many different values as a large bill has.

python -m bench.make_bill FOLDER ROWS [ROWS_A_FILE]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

# 50 accounts, 300 SKUs and 200,000 resources: the bill of the store's bar.
ACCOUNTS, SKUS, RESOURCES, TEAMS = 50, 300, 200_000, 400
ROWS_A_FILE = 600_000
ROWS_A_GROUP = 131_072
START = datetime(2026, 9, 1, tzinfo=UTC)
END = datetime(2026, 10, 1, tzinfo=UTC)
TIME = pa.timestamp("us", tz="UTC")
AMOUNT = pa.decimal128(38, 12)
Codes = npt.NDArray[np.int64]


def make(folder: Path, rows: int, rows_a_file: int = ROWS_A_FILE, seed: int = 7, only: int | None = None) -> list[Path]:
    """Write the bill, or ``only`` one of its files; the same arguments give the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    for number, first in enumerate(range(0, rows, rows_a_file)):
        if only not in (None, number):
            continue
        path = folder / f"focus-{number:05d}.snappy.parquet"
        blocks = _blocks(min(rows_a_file, rows - first), np.random.default_rng([seed, number]))
        head = next(blocks)
        with pq.ParquetWriter(path, head.schema, compression="snappy") as writer:
            writer.write_table(head)
            for block in blocks:
                writer.write_table(block)
        out.append(path)
    return out


def _blocks(rows: int, rng: np.random.Generator) -> Iterator[pa.Table]:
    for first in range(0, rows, ROWS_A_GROUP):
        yield _block(min(ROWS_A_GROUP, rows - first), rng)


def _block(n: int, rng: np.random.Generator) -> pa.Table:
    resource = rng.zipf(1.3, n) % RESOURCES
    account, sku = resource % ACCOUNTS, resource % SKUS
    hour = np.sort(rng.integers(0, 720, n))
    committed = rng.random(n) < 0.2
    money = _money(n, rng, committed)
    columns = {**_who(account, n), **_what(sku, resource, n), **_when(hour), **_commitment(committed, resource)}
    columns |= money
    columns["Tags"] = _coded([_tags(i) for i in range(TEAMS)], resource % TEAMS)
    return pa.table({name: columns[name] for name in sorted(columns)})


def _who(account: Codes, n: int) -> dict[str, pa.Array]:
    constant = {
        "BillingAccountName": "Example Payer", "BillingAccountType": "Payer", "BillingCurrency": "USD",
        "InvoiceId": "INV-2026-09", "InvoiceIssuerName": "Example Cloud", "PricingCurrency": "USD",
        "ProviderName": "Example Cloud", "PublisherName": "Example Cloud", "SubAccountType": "Linked",
    }  # fmt: skip
    names = [f"{100_000_000_000 + i}" for i in range(ACCOUNTS)]
    return {
        **{c: _coded([v], np.zeros(n, np.int64)) for c, v in constant.items()},
        "BillingAccountId": _coded(names, account),
        "SubAccountId": _coded(names, account),
        "SubAccountName": _coded([f"workload-{i}" for i in range(ACCOUNTS)], account),
    }


def _what(sku: Codes, resource: Codes, n: int) -> dict[str, pa.Array]:
    kinds = ("Compute", "Storage", "Databases", "Networking", "Analytics")
    resources = range(RESOURCES)
    out = {
        "ServiceName": _coded([f"Elastic Thing {i // 4}" for i in range(SKUS)], sku),
        "ServiceCategory": _coded([kinds[i % 5] for i in range(SKUS)], sku),
        "ServiceSubcategory": _coded([f"Other ({kinds[i % 5]})" for i in range(SKUS)], sku),
        "ChargeDescription": _coded([f"$0.{i:04d} per Elastic Thing unit-hour (or part)" for i in range(SKUS)], sku),
        "SkuId": _coded([f"SKU{i:08d}" for i in range(SKUS)], sku),
        "SkuPriceId": _coded([f"SKU{i:08d}.JRTCKXETXF.6YS6EN2CT7" for i in range(SKUS)], sku),
        "SkuMeter": _coded([f"BoxUsage:m{i % 9}" for i in range(SKUS)], sku),
        "SkuPriceDetails": _coded([f'{{"CoreCount": {i % 64}, "x_class": "c{i}"}}' for i in range(SKUS)], sku),
        "ResourceId": _coded([f"arn:cloud:thing:us-east-1:{i % ACCOUNTS}:box/i-{i:017x}" for i in resources], resource),
        "ResourceName": _coded([f"box-{i}" for i in resources], resource),
        "ResourceType": _coded(["Box", "Disk", "Gateway"], resource % 3),
        "RegionId": _coded(["us-east-1", "eu-west-1", "ap-south-1"], resource % 3),
        "RegionName": _coded(["US East", "Ireland", "Mumbai"], resource % 3),
        "AvailabilityZone": _coded([f"az-{i}" for i in range(9)], resource % 9),
        "ChargeFrequency": _coded(["Usage-Based"], np.zeros(n, np.int64)),
    }  # fmt: skip
    empty = ("CapacityReservationId", "CapacityReservationStatus", "ChargeClass")
    return out | {c: pa.nulls(n, pa.string()) for c in empty}


def _when(hour: Codes) -> dict[str, pa.Array]:
    at = np.datetime64(START.replace(tzinfo=None), "us") + hour.astype("timedelta64[h]")
    ends = at + np.timedelta64(1, "h")
    return {
        "BillingPeriodStart": pa.repeat(pa.scalar(START, TIME), len(hour)),
        "BillingPeriodEnd": pa.repeat(pa.scalar(END, TIME), len(hour)),
        "ChargePeriodStart": pa.array(at).cast(TIME),
        "ChargePeriodEnd": pa.array(ends).cast(TIME),
    }


def _commitment(committed: npt.NDArray[np.bool_], resource: Codes) -> dict[str, pa.Array]:
    plan = np.where(committed, resource % 40, -1)
    one = np.where(committed, 0, -1)
    return {
        "ChargeCategory": _coded(["Usage"], np.zeros(len(plan), np.int64)),
        "PricingCategory": _coded(["Standard", "Committed"], committed.astype(np.int64)),
        "CommitmentDiscountId": _coded([f"arn:cloud:plan/{i:032x}" for i in range(40)], plan),
        "CommitmentDiscountName": _coded([f"plan-{i}" for i in range(40)], plan),
        "CommitmentDiscountCategory": _coded(["Spend"], one),
        "CommitmentDiscountType": _coded(["Compute Plan"], one),
        "CommitmentDiscountStatus": _coded(["Used"], one),
        "CommitmentDiscountUnit": _coded(["USD"], one),
    }


def _money(n: int, rng: np.random.Generator, committed: npt.NDArray[np.bool_]) -> dict[str, pa.Array]:
    """Amounts with twelve decimals; a price is one of few, a quantity is not."""
    price = rng.integers(1, 2_000, n) * 10**8
    quantity = rng.integers(1, 10**13, n)
    cost = (price // 10**6) * (quantity // 10**6)
    paid = np.where(committed, 0, cost)
    rate = _decimal(price)
    return {
        "ListUnitPrice": rate, "ContractedUnitPrice": rate, "PricingCurrencyListUnitPrice": rate,
        "PricingCurrencyContractedUnitPrice": rate,
        "PricingQuantity": _decimal(quantity), "ConsumedQuantity": _decimal(quantity),
        "CommitmentDiscountQuantity": _decimal(cost * 7 // 10, ~committed),
        "ListCost": _decimal(cost), "ContractedCost": _decimal(cost), "BilledCost": _decimal(paid),
        "EffectiveCost": _decimal(cost * 7 // 10), "PricingCurrencyEffectiveCost": _decimal(cost * 7 // 10),
        **dict.fromkeys(("PricingUnit", "ConsumedUnit"), _coded(["Hours"], np.zeros(n, np.int64))),
    }  # fmt: skip


def _decimal(units: Codes, null: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """``units`` of 1e-12 as decimals, without a Python object a row."""
    both = np.empty((len(units), 2), np.int64)
    both[:, 0], both[:, 1] = units, units >> 63
    valid = None if null is None else pa.array(~null).buffers()[1]
    return pa.Array.from_buffers(AMOUNT, len(units), [valid, pa.py_buffer(both.tobytes())])


def _coded(values: Sequence[str], codes: Codes) -> pa.Array:
    """``values`` by position, a plain string column; -1 is null."""
    at = pa.array(codes, mask=codes < 0)
    return pa.array(values, pa.string()).take(at)


def _tags(i: int) -> str:
    return f'{{"team": "team-{i % 60}", "env": "{("prod", "dev")[i % 2]}", "cost-center": "{4000 + i}"}}'


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]), *(int(a) for a in sys.argv[3:4]))
