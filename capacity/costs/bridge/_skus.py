"""What is known of SKUs beside the bill's sums: instance type, vCPU, region."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from capacity.costs._columns import column_or_null
from capacity.costs.bridge._facts import LISTED, PLAIN, Fact, Q, Thing, both

# AWS usage types name what an hour is of: USW2-BoxUsage:m5.xlarge, SpotUsage:c6g.large, InstanceUsage:db.r5.large.
_USAGE_TYPE = re.compile(
    r"(?:^|-)(?:(?:Host)?Box|Spot|Heavy|Dedicated|Sched|Instance|Multi-AZ|Node)Usage:([\w.-]+)$", re.IGNORECASE
)
_HOURS = frozenset({"hours", "hour", "hrs", "hr", "instance-hours"})
# List prices within this of each other are one price: bills round costs.
_SAME_PRICE_FRAC = 1e-6


@dataclass(frozen=True)
class Sku:
    """A SKU, as far as it is known.

    Attributes
    ----------
    instance_type
        "" where unknown or no instance.
    resource
        What a pricing unit is of a resource that SKUs are compared by, such as vCPU; None where unknown.
    region
        "" where unknown, or where the SKU is of several.
    """

    instance_type: str = ""
    resource: float | None = None
    region: str = ""


def skus_of(cost: pa.Table, vcpu: Mapping[str, float]) -> dict[str, Sku]:
    """What a bill and a catalogue say of its SKUs.

    Parameters
    ----------
    cost
        A table of schemas.COST: SkuId, SkuMeter (an AWS usage type, or the type's name), RegionId, PricingUnit.
    vcpu
        Instance type -> vCPU.

    Returns
    -------
    dict
        SkuId -> :class:`Sku`. The resource is the vCPU of an hour, of SKUs that are priced by the hour.
    """
    names = ("SkuId", "SkuMeter", "RegionId", "PricingUnit")
    table = pa.table({c: column_or_null(cost, c).cast(pa.string()) for c in names})
    found = table.group_by(list(names)).aggregate([])
    types: dict[str, set[str]] = {}
    regions: dict[str, set[str]] = {}
    for sku, meter, region, unit in zip(*(found.column(c).to_pylist() for c in names), strict=True):
        if not sku:
            continue
        regions.setdefault(sku, set()).add(region or "")
        kind = _type_of(meter or "", vcpu) if (unit or "").casefold() in _HOURS else ""
        types.setdefault(sku, set()).add(kind)
    out = {}
    for sku in sorted(regions):
        kind, region = _only(types[sku]), _only(regions[sku])
        if kind or region:
            out[sku] = Sku(kind, float(vcpu[kind]) if kind else None, region)
    return out


def _type_of(meter: str, vcpu: Mapping[str, float]) -> str:
    found = _USAGE_TYPE.search(meter)
    name = found[1] if found else meter
    return name if name in vcpu else ""


def _only(values: set[str]) -> str:
    """The one value; "" where there are several."""
    return next(iter(values)) if len(values) == 1 else ""


def joined(
    old: dict[str, Thing], new: dict[str, Thing], known: Mapping[str, Sku]
) -> tuple[dict[str, Thing], dict[str, Thing]]:
    """A SKU that is only ever covered or spot, with the SKU that the same instance has on demand.

    Some bills give covered hours a SKU of their own: an hour that a commitment no longer covers is then the same
    hour at another rate, not another machine. Which SKU of the same type and region it is, where there are several
    (operating systems), is told by the list price; where that does not tell it stays alone.
    """
    alone = {k for k in {**old, **new} if known.get(k) and known[k].instance_type and _never_plain(k, old, new)}
    to: dict[str, list[str]] = {}
    for sku in sorted(alone):
        hosts = [
            h for h in sorted({**old, **new}) if h not in alone and known.get(h)
            and (known[h].instance_type, known[h].region) == (known[sku].instance_type, known[sku].region)
        ]  # fmt: skip
        if len(hosts) > 1:
            prices = _list_prices(sku, (old, new))
            hosts = [h for h in hosts if _shares(prices, _list_prices(h, (old, new)))]
        if len(hosts) == 1:
            to.setdefault(hosts[0], [hosts[0]]).append(sku)
    for host, members in to.items():
        name = " + ".join(members)
        for side in (old, new):
            parts = [side.pop(m) for m in members if m in side]
            if parts:
                whole = parts[0]
                for more in parts[1:]:
                    whole = both(whole, more)
                side[name if name != host else host] = whole
    return old, new


def resource_of(sku: str, known: Mapping[str, Sku]) -> float | None:
    """The resource of a SKU, or of SKUs that were joined."""
    found = known.get(sku) or known.get(sku.split(" + ", 1)[0])
    return found.resource if found and found.resource and found.resource > 0 else None


def region_of(sku: str, known: Mapping[str, Sku]) -> str:
    """The region of a SKU, or of SKUs that were joined; "" where unknown."""
    found = known.get(sku) or known.get(sku.split(" + ", 1)[0])
    return found.region if found else ""


def _never_plain(sku: str, *sides: Mapping[str, Thing]) -> bool:
    return all(side[sku][PLAIN] is None for side in sides if sku in side)


def _list_prices(sku: str, sides: Iterable[Mapping[str, Thing]]) -> list[float]:
    facts: list[Fact] = [f for side in sides if sku in side for f in side[sku][:2] if f is not None]
    return [f[LISTED] / f[Q] for f in facts if f[LISTED] and f[Q] > 0]


def _shares(some: list[float], others: list[float]) -> bool:
    return any(abs(a - b) <= _SAME_PRICE_FRAC * max(abs(a), abs(b)) for a in some for b in others)
