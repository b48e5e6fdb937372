"""Answers of GetCostAndUsage as rows of the cost table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from capacity.errors import CorruptDataError
from capacity.schemas import COST
from capacity.sources.aws._ce_amounts import ZERO, Amounts
from capacity.sources.aws._ce_cache import Json
from capacity.sources.aws._ce_months import COMMITMENT, Kind, Month

# What was invoiced, and what accrued; net of private discounts where Cost Explorer has that (without any discount
# the net metrics are the plain ones).
BILLED = ("NetUnblendedCost", "UnblendedCost")
EFFECTIVE = ("NetAmortizedCost", "AmortizedCost")
METRICS = (*BILLED, *EFFECTIVE)
_COLUMN_OF = {"SERVICE": "ServiceName", "REGION": "RegionId", "AZ": "AvailabilityZone", "USAGE_TYPE": "SkuMeter"}
# What Cost Explorer says where a charge has no region, zone or account of its own.
_NOWHERE = ("NoRegion", "NoAZ", "NoAvailabilityZone", "NoUsageType", "")
_UNUSED = "commitment that nothing used, amortised"


def groups_of(pages: Iterable[Json]) -> Iterable[tuple[Mapping[str, str], Mapping[str, Any]]]:
    """(TimePeriod, group) of every group."""
    for page in pages:
        for result in page.get("ResultsByTime", ()):
            for group in result.get("Groups", ()):
                yield result["TimePeriod"], group


def amount(group: Mapping[str, Any], names: Sequence[str], amounts: Amounts) -> tuple[Decimal, str]:
    """The first of ``names`` that the group has, and its currency.

    Raises
    ------
    CorruptDataError
        It has none of them.
    """
    metrics = group.get("Metrics", {})
    for name in names:
        if name in metrics:
            return amounts.of(metrics[name].get("Amount")), str(metrics[name].get("Unit"))
    raise CorruptDataError(f"{amounts.where}: a group without {' or '.join(names)}; ask again")


@dataclass
class CostRows:
    """Rows of one billing month.

    Attributes
    ----------
    group_by
        What the keys of a group are, in their order.
    billed, effective
        Sums over the rows of each kind.
    """

    source: str
    file: str
    account_id: str
    account_name: str
    month: Month
    group_by: tuple[str, ...]
    names: dict[str, str] = field(default_factory=dict)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    billed: dict[str, Decimal] = field(default_factory=dict)
    effective: dict[str, Decimal] = field(default_factory=dict)
    count: int = 0

    def add(self, kind: Kind, pages: Sequence[Json], amounts: Amounts) -> None:
        """All groups of one answer."""
        for page in pages:
            for found in page.get("DimensionValueAttributes", ()):
                self.names[found["Value"]] = found.get("Attributes", {}).get("description", "")
        for period, group in groups_of(pages):
            billed, currency = amount(group, BILLED, amounts)
            effective, _ = amount(group, EFFECTIVE, amounts)
            self.billed[kind.name] = self.billed.get(kind.name, ZERO) + billed
            self.effective[kind.name] = self.effective.get(kind.name, ZERO) + effective
            self._charge(kind, period, group, billed, effective, currency)

    def _charge(
        self,
        kind: Kind,
        period: Mapping[str, str],
        group: Mapping[str, Any],
        billed: Decimal,
        effective: Decimal,
        currency: str,
    ) -> None:
        """One row; a commitment's fee two: what was bought, and the part of it that nothing used."""
        row = {
            "BillingCurrency": currency,
            "ChargePeriodStart": _day(period["Start"]), "ChargePeriodEnd": _day(period["End"]),
            "ChargeCategory": kind.category, "ChargeFrequency": kind.frequency, "ChargeDescription": kind.name,
            **self._keys(group["Keys"]),
        }  # fmt: skip
        if kind is not COMMITMENT:
            self._row({**row, "BilledCost": billed, "EffectiveCost": effective})
            return
        self._row({**row, "BilledCost": billed, "EffectiveCost": ZERO})
        unused = {"ChargeCategory": "Usage", "ChargeDescription": _UNUSED, "ChargeFrequency": "Usage-Based"}
        status = {"PricingCategory": "Committed", "CommitmentDiscountStatus": "Unused"}
        self._row({**row, **unused, **status, "BilledCost": ZERO, "EffectiveCost": effective})

    def _row(self, row: Mapping[str, Any]) -> None:
        if row["BilledCost"] == ZERO and row["EffectiveCost"] == ZERO:
            return  # free tiers and the like: a row of nothing
        for name in row.keys() - self.columns.keys():
            self.columns[name] = [None] * self.count
        for name, values in self.columns.items():
            values.append(row.get(name))
        self.count += 1

    def _keys(self, keys: Sequence[str]) -> dict[str, str | None]:
        out: dict[str, str | None] = {}
        for what, key in zip(self.group_by, keys, strict=True):
            if what == "LINKED_ACCOUNT":
                out["SubAccountId"] = key or None
            elif what.startswith("TAG:"):  # the key comes as name$value, the value empty where there is no tag
                value = key.partition("$")[2]
                out["Tags"] = json.dumps({what[4:]: value}) if value else None
            else:
                out[_COLUMN_OF[what]] = None if key in _NOWHERE else key
        return out

    def table(self) -> pa.Table:
        """The rows in the cost table's schema."""
        fixed = {
            "source": self.source, "file": self.file, "BillingAccountId": self.account_id,
            "BillingAccountName": self.account_name or self.names.get(self.account_id) or None,
            "BillingPeriodStart": self.month.start, "BillingPeriodEnd": self.month.end, "ProviderName": "AWS",
        }  # fmt: skip
        columns = {name: [value] * self.count for name, value in fixed.items()} | self.columns
        columns["ServiceName"] = [name or "No service" for name in columns.get("ServiceName", [])]
        columns["SubAccountName"] = [
            self.names.get(i) or None for i in columns.get("SubAccountId", [None] * self.count)
        ]
        arrays = [pa.array(columns.get(f.name, [None] * self.count), f.type) for f in COST.schema]
        return pa.Table.from_arrays(arrays, schema=COST.schema)


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=UTC)
