"""A company's ledger for the Cost Explorer tests, and how they read it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from capacity.config import AwsAccess, CostExplorerSource
from capacity.errors import DataError
from capacity.sources import Batch, Context, Source, build
from tests.aws.fake_cost_explorer import Charge, CostExplorer, charge
from tests.aws.standin import StandIn

NOW = datetime(2026, 11, 15, 6, tzinfo=UTC)
TODAY = NOW.date()
FIRST = date(2025, 10, 1)  # 13 closed months before November 2026
ONLY_COST = {"forecast": False, "utilisation": False, "recommendations": False}
Reader = Callable[..., tuple[list[Batch], str]]


def days(first: date, end: date) -> list[date]:
    return [first + timedelta(days=i) for i in range((end - first).days)]


def company(
    accounts: int = 2, services: int = 2, first: date = FIRST, end: date = TODAY, seed: int = 7
) -> list[Charge]:
    """Usage by day, with what else a bill holds: commitments, fees, tax, credits, a refund, a private discount."""
    rng = random.Random(seed)

    def cents(most: int) -> Decimal:
        return Decimal(rng.randrange(most * 10**10)).scaleb(-10)

    out: list[Charge] = []
    for account in [f"2{i:011d}" for i in range(accounts)]:
        for day in days(first, end):
            for service in range(services):
                paid = cents(50)
                out.append(charge(day, account, f"Service {service}", "Usage", paid, net=paid * Decimal("0.9")))
            covered = cents(9)
            ec2 = "Amazon Elastic Compute Cloud - Compute"
            out.append(charge(day, account, ec2, "SavingsPlanCoveredUsage", covered, covered * Decimal("0.7")))
            out.append(charge(day, account, ec2, "SavingsPlanNegation", -covered, 0))
            fee = covered * Decimal("0.8")
            out.append(charge(day, account, "Savings Plans for Compute", "SavingsPlanRecurringFee", fee, fee / 8))
        for month in sorted({d.replace(day=1) for d in days(first, end)}):
            out.append(charge(month, account, "Service 0", "Tax", cents(20)))
            out.append(charge(month, account, "Service 1", "Credit", -cents(5)))
            out.append(charge(month, account, "Service 1", "Refund", -cents(2)))
            out.append(charge(month, account, "Reserved", "SavingsPlanUpfrontFee", "100", "0"))
            out.append(charge(month, account, "Service 0", "Enterprise Discount Program Discount", -cents(3), net="0"))
    return out


def big_company(end: date) -> list[Charge]:
    """50 accounts, each with a service a day, and a tax, a credit and a commitment a month."""
    rng = random.Random(3)
    accounts = [f"2{i:011d}" for i in range(50)]
    out = [
        charge(day, account, "EC2", "Usage", Decimal(rng.randrange(10**12)).scaleb(-10))
        for day in days(FIRST, end)
        for account in accounts
    ]
    for month in sorted({d.replace(day=1) for d in days(FIRST, end)}):
        for account in accounts:
            out += [charge(month, account, "EC2", "Tax", "1.5"), charge(month, account, "EC2", "Credit", "-1")]
            out.append(charge(month, account, "EC2", "RIFee", "5", "0.5"))
    return out


def organization(aws: StandIn) -> CostExplorer:
    """Cost Explorer of the company, with names of its accounts."""
    return CostExplorer(TODAY, company(), names={f"2{i:011d}": f"team {i}" for i in range(2)}).attach(aws)


def reader(aws: StandIn, folder: Path) -> Reader:
    """Batches of a run, and the message of what failed; the cache stays between runs."""

    def run(now: datetime = NOW, access: dict[str, object] | None = None, **keys: object) -> tuple[list[Batch], str]:
        batches: list[Batch] = []
        try:
            batches.extend(source(aws, folder, access, **keys).batches(None, now))
        except DataError as error:
            return batches, str(error)
        return batches, ""

    return run


def source(aws: StandIn, folder: Path, access: dict[str, object] | None = None, **keys: object) -> Source:
    config = CostExplorerSource.model_validate({"kind": "cost_explorer", "name": "ce", **keys})
    way = AwsAccess.model_validate({"regions": ["us-east-1"], "endpoint_url": aws.url, **(access or {})})
    return build(config, Context(lambda p: folder / p, (way,)))


def cost(batches: list[Batch]) -> pa.Table:
    return pa.concat_tables([b.table for b in batches if b.frame == "cost"])


def of(batches: list[Batch], frame: str) -> list[dict[str, object]]:
    return [row for b in batches if b.frame == frame for row in b.table.to_pylist()]


def rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("1e-12"))


def ledger_sums(ledger: list[Charge], metric: int) -> dict[tuple[str, str, str], Decimal]:
    """By account, month, service."""
    sums: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for c in ledger:
        sums[c.account, str(c.day)[:7], c.service] += c.amounts[metric]
    return {k: rounded(v) for k, v in sums.items() if v}


def stored_sums(table: pa.Table, column: str) -> dict[tuple[str, str, str], Decimal]:
    """By account, month, service."""
    keys = ["SubAccountId", "BillingPeriodStart", "ServiceName"]
    sums = table.group_by(keys).aggregate([(column, "sum")])
    rows = zip(*(sums.column(name).to_pylist() for name in [*keys, f"{column}_sum"]), strict=True)
    return {(account, f"{month:%Y-%m}", service): total for account, month, service, total in rows if total}
