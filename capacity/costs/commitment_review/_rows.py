"""The rows of a bill that a review of commitments rests on, summed exactly by what tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from capacity.costs._columns import Codes, column_or_null, encode, encode_month, group_rows
from capacity.costs._money import EXACT, sums_by_group, to_decimal, to_units
from capacity.costs.commitment_review._products import pool_of

_TEXT = (
    "BillingAccountId", "BillingCurrency", "ChargeCategory", "ChargeFrequency", "PricingCategory",
    "CommitmentDiscountId", "CommitmentDiscountType", "CommitmentDiscountName", "CommitmentDiscountStatus",
    "ServiceName", "SkuMeter", "SkuId", "RegionId", "PricingUnit",
)  # fmt: skip
_SUMS = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "PricingQuantity")


@dataclass(frozen=True)
class Line:
    """Rows that are alike; amounts are whole numbers of 1e-12, None where the cost column is null in them.

    Rows with a cost of 0 stand apart from others: it may mean that the cost is not told.
    """

    month: str
    payer: str
    currency: str
    charge: str
    frequency: str
    pricing: str
    commitment: str
    kind: str
    name: str
    status: str
    service: str
    meter: str
    sku: str
    region: str
    unit: str
    pool: str | None
    billed: int
    effective: int
    listed: int | None
    contracted: int | None
    quantity: int
    rows: int

    @property
    def is_used(self) -> bool:
        return self.charge == "Usage" and bool(self.commitment) and self.status != "Unused"

    @property
    def is_unused(self) -> bool:
        return self.charge == "Usage" and bool(self.commitment) and self.status == "Unused"

    @property
    def is_fee(self) -> bool:
        return self.charge == "Purchase" and bool(self.commitment)

    @property
    def is_open(self) -> bool:
        """On demand, and a commitment could have paid for it."""
        return (
            self.charge == "Usage" and not self.commitment and self.pool is not None
            and self.pricing in ("Standard", "")
        )  # fmt: skip


def lines(cost: pa.Table, months: tuple[str, ...]) -> list[Line]:
    """Usage and purchases of ``months`` (billing periods) that have to do with commitments."""
    category, commitment = (column_or_null(cost, n) for n in ("ChargeCategory", "CommitmentDiscountId"))
    mine = pc.and_(
        pc.is_in(category.cast(pa.string()), pa.array(["Usage", "Purchase"])),
        pc.or_(pc.is_valid(commitment), pc.equal(category.cast(pa.string()), "Usage")),
    )
    names = [n for n in (*_TEXT, *_SUMS, "BillingPeriodStart") if n in cost.column_names]
    table = cost.select(names).filter(mine)  # a bill's other columns, its tags above all, are not copied
    month = encode_month(table.column("BillingPeriodStart"))
    wanted = np.isin(month.codes, [month.code_of(m) for m in months]) & _could_matter(table)
    table = table.filter(pa.array(wanted))
    month = encode_month(table.column("BillingPeriodStart"))
    coded = {n: encode(column_or_null(table, n)) for n in _TEXT}
    told = {n: _told(table.column(n)) for n in ("ListCost", "ContractedCost")}
    keys = [(c.codes, c.cardinality) for c in (month, *coded.values())] + [(t, 3) for t in told.values()]
    grouping = group_rows(keys, table.num_rows)
    sums = sums_by_group(_with_quantity(table), grouping.group, grouping.count, _SUMS)
    texts = {n: [v or "" for v in c.take(grouping.first_row).to_pylist()] for n, c in coded.items()}
    amounts = {n: to_units(sums[n]) for n in _SUMS}
    names = month.take(grouping.first_row).to_pylist()
    out = []
    for i in range(grouping.count):
        text = {n: values[i] for n, values in texts.items()}
        absent = {n: bool(t[grouping.first_row[i]] == 0) for n, t in told.items()}
        line = _line(names[i], text, {n: a[i] for n, a in amounts.items()}, absent, int(sums["rows"][i].as_py()))
        if line.commitment or line.is_open:
            out.append(line)
    return out


def _told(amounts: pa.ChunkedArray) -> Codes:
    """(rows,) 0 where there is no amount, 1 where it is zero, 2 elsewhere."""
    state = pc.fill_null(pc.add(pc.not_equal(amounts, 0).cast(pa.int32()), 1), 0)
    return np.asarray(state.to_numpy(), np.int32)


def _could_matter(table: pa.Table) -> npt.NDArray[np.bool_]:
    """Rows that name a commitment, or whose usage one could pay for; looked at by distinct service, meter and unit."""
    texts = [encode(column_or_null(table, n)) for n in ("ServiceName", "SkuMeter", "PricingUnit")]
    kinds = group_rows([(c.codes, c.cardinality) for c in texts], table.num_rows)
    distinct = zip(*(c.take(kinds.first_row).to_pylist() for c in texts), strict=True)
    has_pool = np.array([pool_of(*(v or "" for v in row)) is not None for row in distinct], dtype=bool)
    named = pc.is_valid(column_or_null(table, "CommitmentDiscountId")).to_numpy(zero_copy_only=False)
    out: npt.NDArray[np.bool_] = named | (has_pool[kinds.group] if kinds.count else named)
    return out


def _line(
    month: str, text: Mapping[str, str], amount: Mapping[str, int], absent: Mapping[str, bool], rows: int
) -> Line:
    return Line(
        month=month,
        payer=text["BillingAccountId"],
        currency=text["BillingCurrency"],
        charge=text["ChargeCategory"],
        frequency=text["ChargeFrequency"],
        pricing=text["PricingCategory"],
        commitment=text["CommitmentDiscountId"],
        kind=text["CommitmentDiscountType"],
        name=text["CommitmentDiscountName"],
        status=text["CommitmentDiscountStatus"],
        service=text["ServiceName"],
        meter=text["SkuMeter"],
        sku=text["SkuId"],
        region=text["RegionId"],
        unit=text["PricingUnit"],
        pool=pool_of(text["ServiceName"], text["SkuMeter"], text["PricingUnit"]),
        billed=amount["BilledCost"],
        effective=amount["EffectiveCost"],
        listed=None if absent["ListCost"] else amount["ListCost"],
        contracted=None if absent["ContractedCost"] else amount["ContractedCost"],
        quantity=amount["PricingQuantity"],
        rows=rows,
    )


def _with_quantity(table: pa.Table) -> pa.Table:
    if "PricingQuantity" in table.column_names:
        return table
    return table.append_column("PricingQuantity", pa.nulls(table.num_rows, pa.decimal128(38, 12)))


def spans(cost: pa.Table) -> dict[str, tuple[datetime, datetime, datetime, datetime]]:
    """By billing month: its start and end, and the first and last moment that usage rows speak of."""
    columns = ["BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"]
    usage = cost.select(columns).filter(pc.equal(cost.column("ChargeCategory").cast(pa.string()), "Usage"))
    how = [(columns[1], "max"), (columns[2], "min"), (columns[3], "max")]
    found = usage.group_by(columns[0]).aggregate(how)
    rows = zip(*(found.column(c).to_pylist() for c in (columns[0], *(f"{n}_{h}" for n, h in how))), strict=True)
    return {f"{row[0]:%Y-%m}": row for row in rows}


def upfront(cost: pa.Table) -> list[tuple[str, datetime, datetime, int]]:
    """One-time purchases of commitments: id, the first and last moment of what was paid for, and BilledCost."""
    ids = column_or_null(cost, "CommitmentDiscountId")
    once = pc.and_(
        pc.equal(cost.column("ChargeCategory").cast(pa.string()), "Purchase"),
        pc.equal(column_or_null(cost, "ChargeFrequency").cast(pa.string()), "One-Time"),
    )
    rows = cost.filter(pc.and_(pc.fill_null(once, False), pc.is_valid(ids)))
    columns = (rows.column(c).to_pylist() for c in ("CommitmentDiscountId", "ChargePeriodStart", "ChargePeriodEnd"))
    return list(zip(*columns, to_units(rows.column("BilledCost")), strict=True))


def rate(amount: int, quantity: int) -> int:
    """``amount`` per unit, both whole numbers of 1e-12, rounded half to even to 1e-12."""
    return int(EXACT.to_integral_value(EXACT.divide(to_decimal(amount).scaleb(12), to_decimal(quantity))))
