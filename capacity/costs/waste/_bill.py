"""Waste that a bill shows by itself: idle addresses, gateways without traffic, older volumes, unused commitments.

Meters are AWS's usage types (EC2, EBS and VPC user guides, "codes in billing and usage reports"). A bill does not say
which volumes are attached, how old a snapshot is, or what a running machine does: none of that is claimed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from capacity.costs._columns import column_or_null, encode, encode_month, group_rows
from capacity.costs._money import sums_by_group, to_decimal, to_units
from capacity.costs.commitment_review import ALL, WORDS
from capacity.costs.waste._rows import NOBODY, Waste

_COLUMNS = ("BillingCurrency", "RegionId", "SubAccountId", "SkuMeter", "ResourceId")
_IDLE_ADDRESS = r"(PublicIPv4|ElasticIP):IdleAddress$"
# What is paid by the hour, and the meter of what passes through it.
_THROUGH = (
    ("NAT gateway", r"NatGateway-Hours$", r"NatGateway-Bytes$"),
    ("load balancer", r"LoadBalancerUsage$", r"LCUUsage$|DataProcessing-Bytes$"),
)
_OLD_VOLUMES, _NEW_VOLUMES = r"VolumeUsage\.gp2$", r"VolumeUsage\.gp3$"
_VOLUMES = r"VolumeUsage(\.|$)|SnapshotUsage$"
# Beyond these gp3 is paid for extra, so that a gp2 volume that uses more saves less (EBS user guide).
_GP3_INCLUDES = "3,000 IOPS and 125 MB/s"
SUNK = "none: paid until it ends"


@dataclass(frozen=True)
class _Line:
    currency: str
    region: str
    account: str
    meter: str
    resource: str
    effective: int
    quantity: int
    rows: int


def bill_waste(cost: pa.Table, month: str) -> tuple[Waste, ...]:
    """Findings in billing month ``month`` of a table of schemas.COST; EffectiveCost of that month, by account."""
    lines = _lines(cost, month)
    found = [*_addresses(lines, month), *_without_traffic(lines, month), *_older_volumes(lines, month)]
    return (*found, *_not_told(lines, month))


def unused_commitments(review: pd.DataFrame, month: str) -> tuple[Waste, ...]:
    """What commitments cost that nothing used in ``month``, by product of the frame commitment_review."""
    out = []
    rows = review[(review["month"] == month) & (review["product"] != ALL)] if len(review) else review
    for row in rows.to_dict("records"):
        if float(row["unused"]) > 0:
            name = WORDS.get(str(row["product"]), str(row["product"]))
            # Refunds of what was used may leave a month with nothing committed to hold use against.
            unknown = row["utilisation_frac"] is None or row["utilisation_frac"] != row["utilisation_frac"]
            used = "an unknown share" if unknown else f"{row['utilisation_frac']:.1%}"
            text = f"{used} of {row['committed']:,.2f} {row['currency']} used in {month}; {row['rows_unused']} row(s)"
            out.append(Waste("commitment", "", "", f"unused {name}", float(row["unused"]), str(row["currency"]), "high",
                             "paid for and used by nothing", SUNK, text))  # fmt: skip
    return tuple(out)


def _lines(cost: pa.Table, month: str) -> list[_Line]:
    """Usage of ``month`` under one of the meters, by resource."""
    period = encode_month(cost.column("BillingPeriodStart"))
    mine = pa.array(period.codes == period.code_of(month))
    meter = column_or_null(cost, "SkuMeter").cast(pa.string())
    every = "|".join([_IDLE_ADDRESS, _VOLUMES, *(p for _, *pair in _THROUGH for p in pair)])
    wanted = pc.fill_null(pc.match_substring_regex(meter, every), False)
    usage = pc.equal(cost.column("ChargeCategory").cast(pa.string()), "Usage")
    table = cost.filter(pc.and_(pc.and_(mine, usage), wanted))
    coded = [encode(column_or_null(table, n)) for n in _COLUMNS]
    grouping = group_rows([(c.codes, c.cardinality) for c in coded], table.num_rows)
    if not grouping.count:
        return []
    sums = sums_by_group(table, grouping.group, grouping.count, ("EffectiveCost", "PricingQuantity"))
    texts = [[v or "" for v in c.take(grouping.first_row).to_pylist()] for c in coded]
    amounts = (to_units(sums["EffectiveCost"]), to_units(sums["PricingQuantity"]), sums["rows"].to_pylist())
    return [_Line(*row) for row in zip(*texts, *amounts, strict=True)]


def _matching(lines: list[_Line], pattern: str) -> dict[tuple[str, str, str], list[_Line]]:
    """Lines whose meter matches, by (currency, region, account)."""
    out: dict[tuple[str, str, str], list[_Line]] = {}
    for line in lines:
        if re.search(pattern, line.meter):
            out.setdefault((line.currency, line.region, line.account), []).append(line)
    return dict(sorted(out.items()))


def _usd(lines: list[_Line]) -> float:
    return float(to_decimal(sum(x.effective for x in lines)))


def _addresses(lines: list[_Line], month: str) -> Iterator[Waste]:
    for (currency, region, account), mine in _matching(lines, _IDLE_ADDRESS).items():
        usd = _usd(mine)
        if usd > 0:
            hours = float(to_decimal(sum(x.quantity for x in mine)))
            text = f"{hours:,.0f} address-hours of account {account or 'unknown'} in {month}; {_rows(mine)}"
            yield Waste("address", "", region, "public IPv4 addresses that nothing uses", usd, currency, "high",
                        "the meter counts only addresses that are attached to nothing", NOBODY, text)  # fmt: skip


def _without_traffic(lines: list[_Line], month: str) -> Iterator[Waste]:
    """Gateways and load balancers whose resource has hours and nothing that passed; only where the bill names them."""
    for name, by_hour, through in _THROUGH:
        busy = {x.resource for group in _matching(lines, through).values() for x in group if x.quantity > 0}
        for (currency, region, account), hours in _matching(lines, by_hour).items():
            quiet = [x for x in hours if x.resource and x.resource not in busy and x.effective > 0]
            # Where no row of what passes names its resource, nothing can be told.
            if quiet and any(busy):
                names = ", ".join(sorted(x.resource for x in quiet)[:3])
                text = f"{names} of account {account or 'unknown'}: hours and no bytes in {month}; {_rows(quiet)}"
                yield Waste("address", "", region, f"{len(quiet)} {name}(s) without traffic", _usd(quiet), currency,
                            "medium", f"nothing passed through the {name} all month", NOBODY, text)  # fmt: skip


def _older_volumes(lines: list[_Line], month: str) -> Iterator[Waste]:
    """gp2 at the price of gp3 that the same bill shows in the same region; without one the saving is not known."""
    prices = _gp3_prices(lines)
    for (currency, region, account), mine in _matching(lines, _OLD_VOLUMES).items():
        usd, size = _usd(mine), float(to_decimal(sum(x.quantity for x in mine)))
        if usd <= 0 or size <= 0:
            continue
        price = prices.get((currency, region))
        saves = None if price is None else max(0.0, usd - size * price)
        text = (
            f"{size:,.0f} GB-months of gp2 of account {account or 'unknown'} at {usd / size:.4g} {currency} in {month}"
        )
        text += f"; gp3 {price:.4g} on the same bill" if price is not None else "; no gp3 on the bill of this region"
        reason = f"gp3 is the newer volume; beyond {_GP3_INCLUDES} it is paid for extra"
        yield Waste("storage", "", region, f"gp2 volumes, {size:,.0f} GB-months", saves, currency,
                    "medium" if price is not None else "low", reason, NOBODY, f"{text}; {_rows(mine)}")  # fmt: skip


def _gp3_prices(lines: list[_Line]) -> dict[tuple[str, str], float]:
    sums: dict[tuple[str, str], list[int]] = {}
    for (currency, region, _), mine in _matching(lines, _NEW_VOLUMES).items():
        at = sums.setdefault((currency, region), [0, 0])
        at[0] += sum(x.effective for x in mine)
        at[1] += sum(x.quantity for x in mine)
    return {key: usd / size for key, (usd, size) in sums.items() if size > 0}


def _not_told(lines: list[_Line], month: str) -> Iterator[Waste]:
    """What volumes and snapshots cost, of which a bill cannot say whether anything uses them."""
    sums: dict[str, list[_Line]] = {}
    for (currency, _, _), mine in _matching(lines, _VOLUMES).items():
        sums.setdefault(currency, []).extend(mine)
    for currency, mine in sorted(sums.items()):
        usd = _usd(mine)
        if usd > 0:
            reason = (
                "whether a volume is attached, or a snapshot needed, is not on a bill: ask EC2 for volumes in state "
                "available"
            )
            yield Waste("storage", "", "", "volumes and snapshots, used or not", 0.0, currency, "low", reason, NOBODY,
                        f"{usd:,.2f} {currency} of them in {month}; {_rows(mine)}", held_usd=usd)  # fmt: skip


def _rows(lines: list[_Line]) -> str:
    return f"{sum(x.rows for x in lines)} row(s) of the bill"
