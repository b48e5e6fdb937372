"""The price list: on-demand and reserved rates of instance types, from Pricing GetProducts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from capacity.sources.aws._price_words import (
    ON_DEMAND,
    PAYMENTS,
    RATE_STEP,
    Found,
    Left,
    Rate,
    System,
    in_families,
    one_rate_a_product,
    what_is_wrong,
)

SOURCE = "AWS Pricing, GetProducts"
PAGE = 100  # the most that one page holds (Pricing API reference, GetProducts)
FORMAT = "aws_v1"
# AWS spreads an upfront fee over years of 365 days (EC2 Reserved Instances pricing).
HOURS_A_YEAR = 8760
_YEARS = {"1yr": 1, "3yr": 3}
_CLASSES = {"standard": "standard_ri", "convertible": "convertible_ri"}
# Pricing answers in three regions of the commercial partition and in one of China's.
_ENDPOINTS = {"us-east-1", "eu-central-1", "ap-south-1"}
_NEAREST = {"eu": "eu-central-1", "il": "eu-central-1", "me": "eu-central-1", "af": "eu-central-1",
            "ap": "ap-south-1", "cn": "cn-northwest-1"}  # fmt: skip

Json = Mapping[str, Any]


class UnknownShapeError(Exception):
    """A part of the price list that does not look as known; its text is the reason."""


def endpoint_region(regions: Sequence[str]) -> str:
    """The region in which Pricing is asked: one of ``regions`` where it answers, else the one nearest to the first."""
    here = [r for r in regions if r in _ENDPOINTS]
    return here[0] if here else _NEAREST.get(regions[0].split("-")[0], "us-east-1")


def request(region: str, system: System) -> dict[str, Any]:
    """What GetProducts is asked: running instances of one system in one region, without installed software."""
    wanted = {
        "regionCode": region,
        "operatingSystem": system.pricing,
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
    }
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    return {"ServiceCode": "AmazonEC2", "FormatVersion": FORMAT, "Filters": filters}


def read(
    client: Any, region: str, system: System, reads: Sequence[str], families: Sequence[str] | None, now: datetime
) -> Found:
    """Rates in force at ``now`` of all types of ``families``; ``reads`` holds on_demand, reserved or both."""
    left, rates = Left(), []
    paging = {"PageSize": PAGE}
    for page in client.get_paginator("get_products").paginate(**request(region, system), PaginationConfig=paging):
        for text in page["PriceList"]:
            rates += list(_of_product(text, region, system, reads, families, now, left))
    return Found(one_rate_a_product(rates, left), left.notes(f"price list of {system.name} in {region}"))


def _of_product(
    text: str, region: str, system: System, reads: Sequence[str], families: Sequence[str] | None,
    now: datetime, left: Left,
) -> Iterator[Rate]:  # fmt: skip
    """Rates of one item of the price list; what is not understood is left out and counted."""
    name = "an item without instance type"
    try:
        item = json.loads(text)
        product = item["product"]
        attributes = product["attributes"]
        name = f"{attributes['instanceType']}, sku {product['sku']}"
        if not _is_wanted(attributes, region) or not in_families(attributes["instanceType"], families):
            return
        published = _moment(item["publicationDate"])
        terms = item["terms"]
        kinds = [k for k, word in (("OnDemand", "on_demand"), ("Reserved", "reserved")) if word in reads]
        offers = [(k, t) for k in kinds for t in terms.get(k, {}).values()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        left.add(f"not the shape of a product: {what_is_wrong(error)}", name)
        return
    for word, rate, currency, since in _in_force(offers, published, now, left, name):
        yield Rate(attributes["instanceType"], region, system.name, word, rate, currency, SOURCE, since, published)


def _is_wanted(attributes: Json, region: str) -> bool:
    """The filters once more, and what no filter says: no local zone, and a licence that is part of the price."""
    return bool(
        attributes.get("regionCode", region) == region
        and attributes.get("locationType", "AWS Region") == "AWS Region"
        and attributes.get("licenseModel") != "Bring your own license"
    )


def _in_force(
    offers: Sequence[tuple[str, Json]], published: datetime, now: datetime, left: Left, name: str
) -> Iterator[tuple[str, Decimal, str, datetime]]:
    """(product word, rate, currency, since when) of each product: the newest offer that had begun at ``now``."""
    newest: dict[str, tuple[datetime, dict[str, Decimal]]] = {}
    for kind, term in offers:
        try:
            word, rates = _on_demand(term) if kind == "OnDemand" else _reserved(term)
            since = _moment(term["effectiveDate"]) if term.get("effectiveDate") else published
        except (UnknownShapeError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = str(error) if isinstance(error, UnknownShapeError) else what_is_wrong(error)
            left.add(f"a term of unknown shape: {reason}", name)
            continue
        if since <= now and (word not in newest or since > newest[word][0]):
            newest[word] = (since, rates)
    for word, (since, rates) in sorted(newest.items()):
        for currency, rate in sorted(rates.items()):
            if rate > 0:
                yield word, rate, currency, since
            else:
                left.add("a rate of nothing is no offer", f"{name}, {word}")


def _on_demand(term: Json) -> tuple[str, dict[str, Decimal]]:
    hourly, upfront = _dimensions(term)
    if not hourly or upfront:
        raise UnknownShapeError("on demand without a price an hour")
    return ON_DEMAND, hourly


def _reserved(term: Json) -> tuple[str, dict[str, Decimal]]:
    about = term["termAttributes"]
    years, kind = _YEARS.get(about["LeaseContractLength"]), _CLASSES.get(about["OfferingClass"])
    payment = PAYMENTS.get(about["PurchaseOption"])
    if years is None or kind is None or payment is None:
        raise UnknownShapeError(f"reserved for {about['LeaseContractLength']}, {about['OfferingClass']}")
    hourly, upfront = _dimensions(term)
    return f"{kind}_{years}y_{payment}", effective(hourly, upfront, years, payment)


def effective(
    hourly: Mapping[str, Decimal], upfront: Mapping[str, Decimal], years: int, payment: str
) -> dict[str, Decimal]:
    """What an hour costs over the term, by currency: hourly + upfront / hours of the term.

    An offer must have the parts that its payment option is made of; a missing part is not taken as nothing.

    >>> effective({"USD": Decimal("0.031")}, {"USD": Decimal("262.8")}, 1, "partial_upfront")
    {'USD': Decimal('0.0610000000')}
    """
    needs = {"no_upfront": (hourly,), "partial_upfront": (hourly, upfront), "all_upfront": (upfront,)}[payment]
    if not all(needs) or (payment == "no_upfront" and any(upfront.values())):
        raise UnknownShapeError(f"reserved, {payment}, with other fees than that")
    hours = HOURS_A_YEAR * years
    return {
        currency: (hourly.get(currency, Decimal(0)) + upfront.get(currency, Decimal(0)) / hours).quantize(RATE_STEP)
        for currency in needs[0]
    }


def _dimensions(term: Json) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Prices an hour and fees paid once, by currency."""
    hourly: dict[str, Decimal] = {}
    upfront: dict[str, Decimal] = {}
    for dimension in term["priceDimensions"].values():
        unit = dimension["unit"]
        into = hourly if unit == "Hrs" else upfront if unit == "Quantity" else None
        if into is None or into:
            raise UnknownShapeError(f"a price per {unit}" if into is None else f"two prices per {unit}")
        into.update({currency: _amount(text) for currency, text in dimension["pricePerUnit"].items()})
    return hourly, upfront


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise UnknownShapeError("a price that is no number") from None
    if not amount.is_finite() or amount < 0:
        raise UnknownShapeError("a price that is no amount")
    return amount


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
