"""Spot: what an hour cost over the last days, from the spot price history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import numpy.typing as npt

from capacity.sources.aws._price_words import RATE_STEP, SPOT, SPOT_P90, Found, Left, Rate, System

SOURCE = "AWS EC2, DescribeSpotPriceHistory over {days} days: {what}"
MEAN = "mean over zones of the time-weighted mean"
HIGH = "price not passed in 90 % of the zones' hours"
PAGE = 1000  # the most that one page holds (EC2 API reference, DescribeSpotPriceHistory)
HIGH_FRAC = 0.9
# The history carries no currency; spot prices are in dollars outside of China.
_CURRENCY = {"cn": "CNY"}

# (instance type, zone) -> moment of each change -> price an hour from then on
Changes = dict[tuple[str, str], dict[datetime, float]]
Floats = npt.NDArray[np.float64]


def window(now: datetime, days: int) -> tuple[datetime, datetime]:
    """Whole days, up to the last midnight: asked twice on a day the answer is the same."""
    end = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return end - timedelta(days=days), end


def read(client: Any, region: str, system: System, families: Sequence[str] | None, now: datetime, days: int) -> Found:
    """Two rates a type: ``spot`` (the mean) and ``spot_p90``, over all zones of the region that offer it."""
    start, end = window(now, days)
    left, changes = Left(), Changes()
    asked: dict[str, Any] = {
        "StartTime": start,
        "EndTime": end,
        "ProductDescriptions": [system.product, f"{system.product} (Amazon VPC)"],
    }
    if families is not None:
        asked["Filters"] = [{"Name": "instance-type", "Values": [f"{f}.*" for f in families]}]
    paginator = client.get_paginator("describe_spot_price_history")
    for page in paginator.paginate(**asked, PaginationConfig={"PageSize": PAGE}):
        for row in page["SpotPriceHistory"]:
            _keep(row, changes, left)
    rates = [
        Rate(name, region, system.name, product, rate, _CURRENCY.get(region[:2], "USD"), source, end, end)
        for name, zones in sorted(_by_type(changes).items())
        for product, rate, source in _rates(zones, start, end, days)
    ]
    return Found(tuple(rates), left.notes(f"spot prices of {system.name} in {region}"))


def _keep(row: Mapping[str, Any], changes: Changes, left: Left) -> None:
    name, zone = str(row.get("InstanceType")), str(row.get("AvailabilityZone") or row.get("AvailabilityZoneId"))
    try:
        price, moment = float(Decimal(row["SpotPrice"])), row["Timestamp"]
    except (KeyError, InvalidOperation):
        price, moment = 0.0, None
    if moment is None or not 0 < price < np.inf:
        left.add("a price that is none", f"{name} in {zone}")
        return
    changes.setdefault((name, zone), {})[moment] = price


def _by_type(changes: Changes) -> dict[str, list[dict[datetime, float]]]:
    out: dict[str, list[dict[datetime, float]]] = {}
    for (name, _), series in sorted(changes.items()):
        out.setdefault(name, []).append(series)
    return out


def _rates(
    zones: Sequence[Mapping[datetime, float]], start: datetime, end: datetime, days: int
) -> list[tuple[str, Decimal, str]]:
    parts = [part for part in (held(series, start, end) for series in zones) if part[1].sum() > 0]
    if not parts:
        return []
    mean = float(np.mean([np.average(price, weights=seconds) for price, seconds in parts]))
    high = weighted_quantile(np.concatenate([p for p, _ in parts]), np.concatenate([s for _, s in parts]), HIGH_FRAC)
    return [
        (product, Decimal(repr(value)).quantize(RATE_STEP), SOURCE.format(days=days, what=what))
        for product, value, what in ((SPOT, mean, MEAN), (SPOT_P90, high, HIGH))
    ]


def held(series: Mapping[datetime, float], start: datetime, end: datetime) -> tuple[Floats, Floats]:
    """Prices of one zone in order, and for how many seconds of the window each held.

    The price that held at ``start`` is the last change before it, which AWS hands over too; a zone whose first change
    comes later counts from there.
    """
    moments = sorted(m for m in series if m < end)
    ends = [*moments[1:], end]
    seconds = [max(0.0, (e - max(m, start)).total_seconds()) for m, e in zip(moments, ends, strict=True)]
    return np.array([series[m] for m in moments]), np.array(seconds)


def weighted_quantile(values: Floats, weights: Floats, level: float) -> float:
    """The smallest value at or below which a share ``level`` of the weight lies."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    at = int(np.searchsorted(reached, level * reached[-1] * (1 - 1e-12)))
    return float(values[order][at])
