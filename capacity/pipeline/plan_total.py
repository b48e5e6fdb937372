"""The plan's total: what the optimizer plans, and all that it does not, by name, to the cent.

The mix knows instances alone. Beside it stand usage-priced services, what fleets cost beside their instances (disks,
transfer, load balancers), what no service owns, and tax, credits and the like. Those are the spend forecast's. A
fleet's own instances are in that forecast too, as they run today; they are taken out of it by their share of the last
closed bill, as the mix puts planned ones in their place.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from capacity import costs
from capacity.config import Config

COLUMNS = ("month", "part", "service", "region", "amount", "basis")
INSTANCES, DATABASES, USAGE_PRICED = "instances", "databases", "usage-priced services"
BESIDE, NOBODYS, TOTAL = "beside instances", "shared and unallocated", "total"
PLANNED, FORECAST, SHORTER, CARRIED = (
    "optimizer",
    "spend forecast",
    "spend forecast, the share of the month that the plan covers",
    "the last month of the spend forecast, day by day",
)
ASSUMED = "assumed apart from the spend forecast"
# Of the bill's remainder: in the mix's own money, or standing apart from the spend forecast.
_UNUSED = "unused commitments"
_APART = ("tax", "credits", "adjustments")
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class _Line:
    month: str
    part: str
    service: str
    region: str
    amount: Decimal
    basis: str


def plan_total(
    config: Config,
    month_hours: Mapping[str, float],
    mix_spend: pd.DataFrame,
    spend_by_service: pd.DataFrame,
    spend_apart: pd.DataFrame,
    bill_parts: pd.DataFrame,
) -> pd.DataFrame:
    """The plan's money by month, part and service, with a row ``total`` a month that is exactly their sum.

    Parameters
    ----------
    month_hours
        The plan's months (YYYY-MM) and the hours of each that it covers: all money is of those hours.
    mix_spend
        ``spend`` of the solution; rows in brackets are commitments and reservations that nobody uses.
    spend_by_service, spend_apart
        The forecasts (service, month, q50) of whole months, and what stands apart from them (month, part, amount,
        known). Months beyond the forecast carry its last one on, by the hour.
    bill_parts
        The last closed bill by service and part (:class:`capacity.costs.ServiceTies`): how much of a service's spend
        is its instances. A service that it does not know keeps its forecast whole.

    Returns
    -------
    Columns of :data:`COLUMNS`; ``amount`` is Decimal, in whole cents, ``region`` is "" but for the mix. Medians are
    added as an estimate of the middle, not as its median.
    """
    beside = _share_beside(bill_parts)
    lines = [*_planned(config, mix_spend)]
    planned = {line.service for line in lines}
    for month, hours in sorted(month_hours.items()):
        lines += _forecast(config, month, hours, spend_by_service, beside, planned)
        lines += _apart(month, hours, spend_apart)
    kept = [line for line in lines if line.amount]
    rows = [(x.month, x.part, x.service, x.region, x.amount, x.basis) for x in kept]
    for month in sorted(month_hours):
        total = sum((x.amount for x in kept if x.month == month), Decimal(0))
        rows.append((month, TOTAL, "", "", total, ""))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    order = frame["part"].eq(TOTAL)
    return (
        frame.assign(_last=order)
        .sort_values(["month", "_last"], kind="stable")
        .drop(columns="_last")
        .reset_index(drop=True)
    )


def _cents(amount: float) -> Decimal:
    return Decimal(repr(float(amount))).quantize(_CENT)


def _planned(config: Config, spend: pd.DataFrame) -> Iterator[_Line]:
    """The mix, by service; a row in brackets belongs to none and is a part of its own."""
    vertical = {s.name for s in config.services if s.kind == "vertical"}
    for row in spend.to_dict("records"):
        unit, month, amount = str(row["unit"]), str(row["month"]), _cents(row["total_usd"])
        if unit.startswith("("):
            yield _Line(month, unit.strip("()"), "", "", amount, PLANNED)
        else:
            service = str(row["service"])
            part = DATABASES if service in vertical else INSTANCES
            yield _Line(month, part, service, str(row["region"]), amount, PLANNED)


def _share_beside(parts: pd.DataFrame) -> dict[str, float]:
    """By service: the share of its running spend that is neither its instances nor a commitment that nobody used."""
    running = parts[~parts["part"].isin(_APART) & ~parts["part"].str.startswith("purchases: ")]
    out = {}
    for service, rows in running.groupby("service"):
        whole = sum(rows["amount"], Decimal(0))
        left = sum(rows[~rows["part"].isin((costs.INSTANCES, _UNUSED))]["amount"], Decimal(0))
        out[str(service)] = float(left / whole) if whole else 1.0
    return out


def _forecast(
    config: Config, month: str, hours: float, spend: pd.DataFrame, beside: Mapping[str, float], planned: set[str]
) -> Iterator[_Line]:
    usage_priced = {s.name for s in config.services if s.kind == "usage_priced"}
    for service, rows in spend.groupby("service", sort=True):
        name = str(service)
        amount, basis = _of_hours(rows.set_index("month")["q50"], month, hours)
        if name == costs.NOBODY:
            yield _Line(month, NOBODYS, "", "", _cents(amount * beside.get(name, 1.0)), basis)
        elif name in planned:
            yield _Line(month, BESIDE, name, "", _cents(amount * beside.get(name, 1.0)), basis)
        else:
            # Without a mix the instances of a fleet stay in its forecast.
            part = USAGE_PRICED if name in usage_priced else INSTANCES
            yield _Line(month, part, name, "", _cents(amount), basis)


def _apart(month: str, hours: float, spend_apart: pd.DataFrame) -> Iterator[_Line]:
    coming = spend_apart[~spend_apart["known"].astype(bool)]
    for part, rows in coming.groupby("part", sort=True):
        amount, _ = _of_hours(rows.set_index("month")["amount"], month, hours)
        yield _Line(month, str(part), "", "", _cents(amount), ASSUMED)


def _of_hours(by_month: pd.Series, month: str, hours: float) -> tuple[float, str]:
    """Money of ``hours`` of a month, and where it is from."""
    if month in by_month.index:
        share = min(hours / _hours(month), 1.0)
        # Days of 23 and 25 hours: a local month may be an hour shorter or longer than the calendar's.
        whole = hours >= _hours(month) - 1
        return float(by_month[month]) * (1.0 if whole else share), FORECAST if whole else SHORTER
    before = [m for m in by_month.index if m < month]
    nearest = max(before) if before else min(by_month.index)
    return float(by_month[nearest]) * hours / _hours(nearest), CARRIED


def _hours(month: str) -> int:
    return calendar.monthrange(int(month[:4]), int(month[5:]))[1] * 24
