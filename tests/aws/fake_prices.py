"""Prices of the stand-in: price list, Savings Plans rates, spot price history, instance types.

Seeded with real rates (the bundled catalogue) and real types (moto's copy of DescribeInstanceTypes). It keeps the
services' rules: Pricing answers in three regions, 100 products a page, each a JSON string; filters are honoured; SP
rates come 1,000 a page with an empty token at the end; spot prices 1,000 a page, newest first, with the change before
the window; instance types 100 a page.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

from capacity.catalogue import Catalogue
from tests.aws.standin import AwsError, Call, StandIn, page

PUBLISHED = "2026-07-20T17:31:02Z"
SINCE = "2026-07-01T00:00:00Z"
_PRICING_REGIONS = ("us-east-1", "eu-central-1", "ap-south-1")
_YEAR = 365 * 86_400
_PLAN_OS = {
    "Linux/UNIX": "RunInstances",
    "Windows": "RunInstances:0002",
    "Red Hat Enterprise Linux": "RunInstances:0010",
}


def term(kind: str, dimensions: Sequence[tuple[str, str]], since: str | None = SINCE, **about: str) -> dict[str, Any]:
    """An offer: prices by unit (Hrs, Quantity), since when, and a reserved term's attributes."""
    out: dict[str, Any] = {
        "priceDimensions": {
            f"{kind}.{i}": {
                "unit": unit, "description": "", "appliesTo": [], "rateCode": f"{kind}.{i}",
                "pricePerUnit": {"USD": price},
            }
            for i, (unit, price) in enumerate(dimensions)
        },
        "termAttributes": about,
        "offerTermCode": kind,
    }  # fmt: skip
    return out | ({} if since is None else {"effectiveDate": since})


def reserved(
    years: int, payment: str, hourly: str | None, upfront: str | None, kind: str = "standard"
) -> dict[str, Any]:
    """A reserved offer as the price list has it."""
    dimensions = [(u, p) for u, p in (("Quantity", upfront), ("Hrs", hourly)) if p is not None]
    return term(
        f"RI{kind}{years}{payment}", dimensions,
        LeaseContractLength=f"{years}yr", OfferingClass=kind, PurchaseOption=payment,
    )  # fmt: skip


def item(
    name: str, on_demand: Sequence[Mapping[str, Any]] = (), ri: Sequence[Mapping[str, Any]] = (), **attributes: str
) -> str:
    """One item of a price list: a JSON string."""
    sku = f"SKU{abs(hash((name, tuple(sorted(attributes.items()))))) % 10**10}"
    product = {
        "productFamily": "Compute Instance",
        "sku": sku,
        "attributes": {
            "instanceType": name, "regionCode": "us-east-1", "locationType": "AWS Region", "operatingSystem": "Linux",
            "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used", "marketoption": "OnDemand",
            "licenseModel": "No License required", "usagetype": f"BoxUsage:{name}", "servicecode": "AmazonEC2",
            **attributes,
        },
    }  # fmt: skip
    terms = {
        kind: {f"{sku}.{kind}{i}": t for i, t in enumerate(offers)}
        for kind, offers in (("OnDemand", on_demand), ("Reserved", ri))
        if offers
    }
    whole = {
        "product": product,
        "serviceCode": "AmazonEC2",
        "terms": terms,
        "version": "1",
        "publicationDate": PUBLISHED,
    }
    return json.dumps(whole)


def plan_rate(
    name: str, rate: str, plan: str = "Compute", years: int = 1, payment: str = "No Upfront", usage: str = "BoxUsage",
    os: str = "Linux/UNIX", region: str = "us-east-1",
) -> dict[str, Any]:  # fmt: skip
    """One Savings Plans rate."""
    properties = {
        "region": region, "productDescription": os, "tenancy": "shared", "instanceType": name,
        "instanceFamily": name.split(".")[0],
    }  # fmt: skip
    return {
        "savingsPlanOffering": {
            "offeringId": "0a1b2c3d-0000-4000-8000-000000000000", "paymentOption": payment, "planType": plan,
            "durationSeconds": years * _YEAR, "currency": "USD", "planDescription": f"{years} year {payment} {plan}",
        },
        "rate": rate, "unit": "Hrs", "productType": "EC2", "serviceCode": "AmazonEC2",
        "usageType": f"{usage}:{name}", "operation": _PLAN_OS[os],
        "properties": [{"name": k, "value": v} for k, v in properties.items()],
    }  # fmt: skip


def spot_price(name: str, zone: str, moment: datetime, price: str, os: str = "Linux/UNIX") -> dict[str, Any]:
    """One change of a spot price."""
    return {
        "InstanceType": name,
        "AvailabilityZone": zone,
        "Timestamp": moment,
        "SpotPrice": price,
        "ProductDescription": os,
    }


@dataclass
class Prices:
    """What the fake knows; :meth:`serve` makes a stand-in answer with it."""

    products: list[str] = field(default_factory=list)
    plans: list[dict[str, Any]] = field(default_factory=list)
    spot: list[dict[str, Any]] = field(default_factory=list)
    types: dict[str, Any] = field(default_factory=lambda: dict(INSTANCE_TYPES))

    def serve(self, aws: StandIn) -> None:
        aws.on("pricing", "GetProducts", self._products)
        aws.on("savingsplans", "DescribeSavingsPlansOfferingRates", self._plans)
        aws.on("ec2", "DescribeSpotPriceHistory", self._spot)
        aws.on("ec2", "DescribeInstanceTypes", self._types)

    def _products(self, call: Call) -> Mapping[str, Any]:
        if call.region not in _PRICING_REGIONS:
            raise AwsError("UnknownEndpoint", "Pricing does not answer here")
        if call.params["ServiceCode"] != "AmazonEC2" or call.params.get("FormatVersion", "aws_v1") != "aws_v1":
            raise AwsError("InvalidParameterException")
        wanted = {}
        for one in call.params.get("Filters", []):
            if one["Type"] != "TERM_MATCH":
                raise AwsError("InvalidParameterException", "a filter of unknown type")
            wanted[one["Field"]] = one["Value"]
        return {"FormatVersion": "aws_v1", **page(call, "PriceList", list(_matching(self.products, wanted)), 100)}

    def _plans(self, call: Call) -> Mapping[str, Any]:
        wanted = {f["name"]: f["values"] for f in call.params.get("filters", [])}
        rows = [
            row
            for row in self.plans
            if row["savingsPlanOffering"]["planType"] in call.params["savingsPlanTypes"]
            and all(_property(row, name) in values for name, values in wanted.items())
        ]
        size = int(call.params.get("maxResults") or 1000)
        if size > 1000:
            raise AwsError("ValidationException", "at most 1000 a page")
        return {"nextToken": "", **page(call, "searchResults", rows, size, "nextToken")}

    def _spot(self, call: Call) -> Mapping[str, Any]:
        names = [v for f in call.params.get("Filters", []) if f["Name"] == "instance-type" for v in f["Values"]] or [
            "*"
        ]
        start, end = (_utc(call.params[name]) for name in ("StartTime", "EndTime"))
        rows = [
            row
            for row in self.spot
            if row["ProductDescription"] in call.params["ProductDescriptions"]
            and any(fnmatch.fnmatchcase(row["InstanceType"], pattern) for pattern in names)
            and row["Timestamp"] <= end
        ]
        return page(call, "SpotPriceHistory", _in_window(rows, start), 1000)

    def _types(self, call: Call) -> Mapping[str, Any]:
        if int(call.params.get("MaxResults") or 100) < 5:
            raise AwsError("InvalidParameterValue", "5 to 100 a page")
        return page(call, "InstanceTypes", list(self.types.values()), 100)


def _matching(products: Sequence[str], wanted: Mapping[str, str]) -> Iterator[str]:
    """Items whose attributes match; one that is no product at all matches anything, to see what a reader does."""
    for text in products:
        try:
            attributes = json.loads(text)["product"]["attributes"]
        except (ValueError, KeyError, TypeError):
            yield text
            continue
        if all(attributes.get(name) == value for name, value in wanted.items()):
            yield text


def _utc(moment: Any) -> datetime:
    found = moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _property(row: Mapping[str, Any], name: str) -> str:
    return next((str(p["value"]) for p in row["properties"] if p["name"] == name), "")


def _in_window(rows: Sequence[dict[str, Any]], start: datetime) -> list[dict[str, Any]]:
    """Changes from ``start`` on, and of each series the last one before it; newest first."""
    before: dict[tuple[str, str, str], dict[str, Any]] = {}
    out = []
    for row in sorted(rows, key=lambda r: r["Timestamp"]):
        if row["Timestamp"] < start:
            before[row["InstanceType"], row["AvailabilityZone"], row["ProductDescription"]] = row
        else:
            out.append(row)
    return [*reversed(out), *before.values()]


# --- a whole market, from a catalogue -----------------------------------------------------------------------------


def from_catalogue(known: Catalogue, most_plans: int = 120) -> Prices:
    """Price list with the catalogue's rates, and beside each product some that no reader wants.

    Savings Plans and spot of the first ``most_plans`` types are shares of on demand.
    """
    rates = known.prices.set_index(["product", "instance_type"])["rate"]
    out = Prices()
    upfront = rates["standard_ri_3y_all_upfront"]
    for i, (name, rate) in enumerate(rates["on_demand"].items()):
        price = Decimal(repr(float(rate)))
        offers = [term("OD", [("Hrs", f"{price:.10f}")])]
        once = Decimal(repr(float(upfront[name]))) * 26280 if name in upfront.index else None
        ri = [] if once is None else [reserved(3, "All Upfront", "0.0000000000", f"{once}")]
        out.products.append(item(str(name), offers, ri))
        if i % 9 == 0:
            out.products += _decoys(str(name), price)
        if i < most_plans:
            out.plans += list(_plans_of(str(name), price))
            out.spot += list(_spot_of(str(name), price))
    return out


def _decoys(name: str, price: Decimal) -> list[str]:
    """Products of the same type that a price of it must not be taken from."""
    dear = [term("OD", [("Hrs", f"{price * 2:.10f}")])]
    other: tuple[dict[str, str], ...] = (
        {"tenancy": "Dedicated"}, {"capacitystatus": "UnusedCapacityReservation"}, {"preInstalledSw": "SQL Web"},
        {"operatingSystem": "Windows"}, {"regionCode": "eu-west-1"}, {"marketoption": "CapacityBlock"},
        {"locationType": "AWS Local Zone"}, {"licenseModel": "Bring your own license"},
    )  # fmt: skip
    return [item(name, dear, **attributes) for attributes in other]


def _plans_of(name: str, price: Decimal) -> Iterator[dict[str, Any]]:
    for plan, base in (("Compute", Decimal("0.73")), ("EC2Instance", Decimal("0.66"))):
        for years in (1, 3):
            for payment, less in (("No Upfront", 0), ("Partial Upfront", 2), ("All Upfront", 4)):
                share = base - Decimal(less + 20 * (years == 3)) / 100
                for usage in ("BoxUsage", "UnusedBox"):
                    yield plan_rate(name, f"{price * share:.6f}", plan, years, payment, usage)


def _spot_of(name: str, price: Decimal) -> Iterator[dict[str, Any]]:
    for zone in ("us-east-1a", "us-east-1b"):
        for day in range(1, 31, 3):
            share = Decimal(30 + day % 5) / 100
            yield spot_price(name, zone, datetime(2026, 7, day, 6, tzinfo=UTC), f"{price * share:.6f}")
