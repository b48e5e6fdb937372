"""The tie-out by service, and by region where the bill tells: each one's fleet, and all else that it was billed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from capacity.config import CostsConfig
from capacity.costs._columns import encode_month
from capacity.costs._money import EXACT, quantize, to_decimal, to_units
from capacity.costs.attribution import attribute
from capacity.costs.tieout import COMPUTE, THRESHOLD_FRAC, check_total, compute_rows, discounts, remainder_name
from capacity.errors import MissingDataError

# What no service owns: pools, and rows that no rule took.
NOBODY = "(shared and unallocated)"
# The part of a service's bill that the model prices.
INSTANCES = "instances"

TIE_COLUMNS = (
    "service", "region", "month", "currency", "modelled", "billed_effective", "remainder", "private_discount_frac",
    "difference_frac", "ties", "words",
)  # fmt: skip
PART_COLUMNS = ("service", "region", "month", "currency", "part", "amount")


@dataclass(frozen=True)
class ServiceTies:
    """A billing month by service.

    Attributes
    ----------
    frame
        :data:`TIE_COLUMNS`, a row a (service, region): what the model says its fleet costs (Decimal), the
        EffectiveCost of the same rows of the bill, and the remainder, all else that it was billed. ``region`` is ""
        where the bill does not tell. ``ties`` is null where nothing is modelled and no instance was billed.
        billed_effective + remainder over all rows is the bill of the month, exactly.
    parts
        :data:`PART_COLUMNS`: the same bill by name, :data:`INSTANCES` and each part of the remainder (storage,
        transfer, load balancers, ...), the largest first. What no service owns stands under :data:`NOBODY`.
    """

    frame: pd.DataFrame
    parts: pd.DataFrame


@dataclass
class _Line:
    """What the bill has of one service and region."""

    fleet: list[pa.Table] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)

    @property
    def billed(self) -> int:
        return sum(sum(to_units(rows.column("EffectiveCost"))) for rows in self.fleet)


def tie_services(
    cost: pa.Table,
    config: CostsConfig,
    services: Sequence[str],
    month: str,
    modelled: Mapping[tuple[str, str], Decimal],
    *,
    currency: str,
    compute: Mapping[str, Mapping[str, str]] | None = None,
    threshold: float = THRESHOLD_FRAC,
) -> ServiceTies:
    """Compare what each service's fleet is modelled to cost with its own rows of one billing month.

    The comparison is that of :func:`capacity.costs.tie_out`, service by service: list price times the private
    discount of the service's own rows, less what commitments and spot took off these. A service is told apart by
    region where every row of its fleet names its region.

    Parameters
    ----------
    cost, config, services
        The bill, its rules and the company's services, as for :func:`capacity.costs.attribute`.
    modelled
        (service, region) -> what the fleet that ran costs in that month at on-demand list prices.
    compute
        By service, which rows are its fleet's (column of the pieces -> pattern), where they are not those of
        instances; a managed database is billed under another category.

    Raises
    ------
    MissingDataError
        The month has no row in ``currency``.
    """
    billed = _month(cost, month, currency)
    fleets = sorted({service for service, _ in modelled})
    lines = _lines(billed, config, services, month, fleets, compute or {})
    listed = _listed(lines, modelled)
    for key in listed:
        lines.setdefault(key, _Line())
    check_total(cost, month, currency, sum(line.billed + sum(line.parts.values()) for line in lines.values()))
    rows = [_tie_row(key, line, listed.get(key), month, currency, threshold) for key, line in sorted(lines.items())]
    frame = pd.DataFrame(rows, columns=list(TIE_COLUMNS)).astype({"ties": "boolean"})
    return ServiceTies(frame, _parts(lines, month, currency))


def _month(cost: pa.Table, month: str, currency: str) -> pa.Table:
    period = encode_month(cost.column("BillingPeriodStart"))
    rows = pc.and_(pa.array(period.codes == period.code_of(month)), pc.equal(cost.column("BillingCurrency"), currency))
    found = cost.filter(rows)
    if not found.num_rows:
        raise MissingDataError(f"no bill of {month} in {currency}; ingest it, or name another")
    return found


def _by_region(billed: pa.Table) -> list[tuple[str, pa.Table]]:
    """Rows by RegionId; "" holds what names none."""
    if "RegionId" not in billed.column_names:
        return [("", billed)]
    column = pc.fill_null(billed.column("RegionId").cast(pa.string()), "")
    return [(name, billed.filter(pc.equal(column, name))) for name in sorted(set(column.to_pylist()))]


def _lines(
    billed: pa.Table,
    config: CostsConfig,
    services: Sequence[str],
    month: str,
    fleets: Sequence[str],
    compute: Mapping[str, Mapping[str, str]],
) -> dict[tuple[str, str], _Line]:
    lines: dict[tuple[str, str], _Line] = {}
    for region, rows in _by_region(billed):
        pieces = attribute(rows, config, services).pieces
        is_fleet = np.zeros(pieces.num_rows, dtype=bool)
        for service in fleets:
            mine = compute_rows(pieces, compute.get(service, COMPUTE), [service], month)
            is_fleet |= mine
            if mine.any():
                lines.setdefault((service, region), _Line()).fleet.append(pieces.filter(pa.array(mine)))
        _add_parts(lines, pieces.filter(pa.array(~is_fleet)), region, month)
    return _told(lines, fleets)


def _add_parts(lines: dict[tuple[str, str], _Line], pieces: pa.Table, region: str, month: str) -> None:
    columns = ("ChargeCategory", "ServiceCategory", "ServiceName", "CommitmentDiscountStatus", "month", "kind")
    owners = zip(pieces.column("kind").to_pylist(), pieces.column("name").to_pylist(), strict=True)
    rows = zip(*(pieces.column(c).to_pylist() for c in columns), strict=True)
    for (kind, name), row, amount in zip(owners, rows, to_units(pieces.column("EffectiveCost")), strict=True):
        parts = lines.setdefault((name if kind == "service" else NOBODY, region), _Line()).parts
        part = remainder_name(row, month)
        parts[part] = parts.get(part, 0) + amount


def _told(lines: dict[tuple[str, str], _Line], fleets: Collection[str]) -> dict[tuple[str, str], _Line]:
    """Lines of a service put together under "" where part of its fleet names no region; what nobody owns too."""
    untold = {s for s in fleets if (s, "") in lines and lines[s, ""].fleet} | {NOBODY}
    out: dict[tuple[str, str], _Line] = {}
    for (service, region), line in lines.items():
        into = out.setdefault((service, "" if service in untold else region), _Line())
        into.fleet += line.fleet
        for part, amount in line.parts.items():
            into.parts[part] = into.parts.get(part, 0) + amount
    return out


def _listed(
    lines: Mapping[tuple[str, str], _Line], modelled: Mapping[tuple[str, str], Decimal]
) -> dict[tuple[str, str], Decimal]:
    """List cost of the modelled fleets under the lines that they are compared with."""
    out: dict[tuple[str, str], Decimal] = {}
    for (service, region), usd in modelled.items():
        mine = {r: line for (s, r), line in lines.items() if s == service}
        by_region = any(line.fleet for r, line in mine.items() if r) or region in mine or "" not in mine
        key = (service, region if by_region else "")
        out[key] = out.get(key, Decimal(0)) + usd
    return out


def _tie_row(
    key: tuple[str, str], line: _Line, listed: Decimal | None, month: str, currency: str, threshold: float
) -> tuple[object, ...]:
    billed = line.billed
    ratio, effect = discounts(pa.concat_tables(line.fleet)) if line.fleet else (Decimal(1), 0)
    says = quantize(EXACT.multiply(listed or Decimal(0), ratio)) - effect if listed is not None else 0
    difference = float((says - billed) / abs(billed)) if billed else float(bool(says))
    ties = None if listed is None and not line.fleet else abs(difference) <= threshold
    remainder = sum(line.parts.values())
    return (
        *key, month, currency, to_decimal(says), to_decimal(billed), to_decimal(remainder), float(1 - ratio),
        difference, ties, _words(key, to_decimal(says), to_decimal(billed), difference, ties, currency),
    )  # fmt: skip


def _words(
    key: tuple[str, str], says: Decimal, billed: Decimal, difference: float, ties: bool | None, currency: str
) -> str:
    name = "/".join(part for part in key if part)
    if ties is None:
        return f"{name}: no instances; billed as it is"
    text = f"{name}: the model says {says:,.2f} {currency}, the bill {billed:,.2f}"
    if not billed:
        return f"{text}: no instance of it is on the bill" + ("" if ties else "; mend the rules that give it its rows")
    if ties:
        return f"{text} ({difference:+.1%}): ties"
    why = (
        "the fleet's history shows more than was billed, or its rates are too high"
        if difference > 0
        else "instances were billed that the fleet's history does not show, or its rates are too low"
    )
    return f"{text} ({difference:+.1%}): {why}; take its savings with care"


def _parts(lines: Mapping[tuple[str, str], _Line], month: str, currency: str) -> pd.DataFrame:
    rows = []
    for key, line in sorted(lines.items()):
        if line.fleet:
            rows.append((*key, month, currency, INSTANCES, to_decimal(line.billed)))
        named = sorted(((n, v) for n, v in line.parts.items() if v), key=lambda item: (-abs(item[1]), item[0]))
        rows += [(*key, month, currency, name, to_decimal(amount)) for name, amount in named]
    return pd.DataFrame(rows, columns=list(PART_COLUMNS))
