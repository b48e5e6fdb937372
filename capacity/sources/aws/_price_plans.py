"""Savings Plans: what an hour of each instance type costs under each plan on offer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from capacity.sources.aws._calls import pages
from capacity.sources.aws._price_words import (
    PAYMENTS,
    Found,
    Left,
    Rate,
    System,
    in_families,
    one_rate_a_product,
    what_is_wrong,
)

SOURCE = "AWS Savings Plans, DescribeSavingsPlansOfferingRates"
PAGE = 1000  # PageSize of the API's model
_PLANS = {"Compute": "compute_sp", "EC2Instance": "ec2_instance_sp"}
_SECONDS_A_YEAR = 365 * 86_400


def endpoint_region(regions: Sequence[str]) -> str:
    """Savings Plans has one endpoint, in us-east-1 (China: its own)."""
    return "cn-northwest-1" if regions[0].startswith("cn-") else "us-east-1"


def request(region: str, system: System, families: Sequence[str] | None) -> dict[str, Any]:
    """What is asked: rates of EC2 in one region, shared tenancy, of one system."""
    wanted = {"region": [region], "tenancy": ["shared"], "productDescription": [system.product]}
    if families is not None:
        wanted["instanceFamily"] = list(families)
    return {
        "savingsPlanTypes": list(_PLANS),
        "products": ["EC2"],
        "serviceCodes": ["AmazonEC2"],
        "filters": [{"name": name, "values": values} for name, values in wanted.items()],
        "maxResults": PAGE,
    }


def read(client: Any, region: str, system: System, families: Sequence[str] | None, now: datetime) -> Found:
    """Rates on offer now. They carry no date of their own: the day on which they were asked is theirs."""
    left, rates = Left(), []
    asked = now.replace(hour=0, minute=0, second=0, microsecond=0)
    call = client.describe_savings_plans_offering_rates
    for page in pages(call, request(region, system, families), "nextToken"):
        for row in page["searchResults"]:
            rates += list(_of_row(row, region, system, families, asked, left))
    return Found(one_rate_a_product(rates, left), left.notes(f"Savings Plans of {system.name} in {region}"))


def _of_row(
    row: Mapping[str, Any], region: str, system: System, families: Sequence[str] | None, asked: datetime, left: Left
) -> Iterator[Rate]:
    usage = str(row.get("usageType", ""))
    if "BoxUsage" not in usage:  # the same rate for reserved capacity that is not used, and for dedicated hosts
        return
    try:
        properties = {p["name"]: p["value"] for p in row["properties"]}
        offering = row["savingsPlanOffering"]
        name = str(properties["instanceType"])
        years, rest = divmod(int(offering["durationSeconds"]), _SECONDS_A_YEAR)
        plan, payment = _PLANS.get(offering["planType"]), PAYMENTS.get(offering["paymentOption"])
        rate, currency = Decimal(row["rate"]), str(offering["currency"])
        is_known = plan is not None and payment is not None and rest == 0 and years > 0 and row["unit"] == "Hrs"
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        left.add(f"not the shape of a rate: {what_is_wrong(error)}", usage)
        return
    if not is_known or not rate.is_finite() or rate <= 0:
        left.add("a plan, term or unit that is not known", usage)
    elif _is_wanted(properties, region, system) and in_families(name, families):
        yield Rate(name, region, system.name, f"{plan}_{years}y_{payment}", rate, currency, SOURCE, asked, asked)


def _is_wanted(properties: Mapping[str, str], region: str, system: System) -> bool:
    """The filters once more: an answer is not taken on trust."""
    return (
        properties.get("region", region) == region
        and properties.get("tenancy", "shared") == "shared"
        and properties.get("productDescription", system.product) == system.product
    )
