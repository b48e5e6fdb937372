"""How AWS's line items become FOCUS charges: columns, line item types, categories of products.

Sources: the published converter rules of the FinOps Foundation (focus_converters, AWS), the AWS Cost and Usage Report
data dictionary, and FOCUS 1.2 where the rules are older than it. Where they differ FOCUS 1.2 was followed:

* Credits are ``Credit`` (the rules, older than that category, say Adjustment). A refund is an Adjustment of class
  Correction.
* A commitment's fee is a Purchase with EffectiveCost 0. What went unused of it, which AWS adds to the fee's own line,
  is a Usage row of its own with status Unused, so that per commitment Used + Unused = Purchase.
* ListCost is AWS's public on-demand cost, which the rules re-compute from the rate; it is the same but for rounding.

A ``SavingsPlanNegation`` keeps its negative BilledCost, as the rules have it: covered usage is billed at the on-demand
price and the negation takes it back, so BilledCost adds up to the bill, while a single covered row does not show 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

# Canonical text column -> the report's columns, the first that has a value. Names as CUR 2.0 spells them.
TEXT: Mapping[str, tuple[str, ...]] = {
    "BillingAccountId": ("bill_payer_account_id",),
    "BillingAccountName": ("bill_payer_account_name",),
    "BillingCurrency": ("line_item_currency_code",),
    "SubAccountId": ("line_item_usage_account_id",),
    "SubAccountName": ("line_item_usage_account_name",),
    "PublisherName": ("line_item_legal_entity",),
    "InvoiceIssuerName": ("bill_invoicing_entity",),
    "InvoiceId": ("bill_invoice_id",),
    "ServiceName": ("line_item_product_code",),
    "ChargeDescription": ("line_item_line_item_description",),
    "RegionId": ("product_region", "product_region_code"),
    "RegionName": ("product_location",),
    "AvailabilityZone": ("line_item_availability_zone",),
    "ResourceId": ("line_item_resource_id",),
    "SkuId": ("product_sku",),
    "SkuPriceId": ("pricing_rate_code", "pricing_rate_id"),
    "SkuMeter": ("line_item_usage_type",),
    "PricingUnit": ("pricing_unit",),
}
# Keys of CUR 2.0's map ``product`` for what older reports have as columns.
PRODUCT_KEYS: Mapping[str, str] = {"RegionId": "region", "RegionName": "location"}
TIMES: Mapping[str, tuple[str, ...]] = {
    "BillingPeriodStart": ("bill_billing_period_start_date",),
    "BillingPeriodEnd": ("bill_billing_period_end_date",),
    "ChargePeriodStart": ("line_item_usage_start_date", "bill_billing_period_start_date"),
    "ChargePeriodEnd": ("line_item_usage_end_date", "bill_billing_period_end_date"),
}

TYPE = "line_item_line_item_type"
UNBLENDED, NET_UNBLENDED = "line_item_unblended_cost", "line_item_net_unblended_cost"
UNBLENDED_RATE = "line_item_unblended_rate"
LIST_COST, LIST_RATE = "pricing_public_on_demand_cost", "pricing_public_on_demand_rate"
AMOUNT, NORMALISED_AMOUNT = "line_item_usage_amount", "line_item_normalized_usage_amount"
PLAN_ID, RESERVATION_ID = "savings_plan_savings_plan_a_r_n", "reservation_reservation_a_r_n"
PLAN_COST = ("savings_plan_net_savings_plan_effective_cost", "savings_plan_savings_plan_effective_cost")
PLAN_COMMITTED, PLAN_USED = "savings_plan_total_commitment_to_date", "savings_plan_used_commitment"
RESERVED_COST = ("reservation_net_effective_cost", "reservation_effective_cost")
UNUSED_UPFRONT = (
    "reservation_net_unused_amortized_upfront_fee_for_billing_period",
    "reservation_unused_amortized_upfront_fee_for_billing_period",
)
UNUSED_RECURRING = ("reservation_net_unused_recurring_fee", "reservation_unused_recurring_fee")
RESERVED_UNITS, RESERVED_NORMALISED = "reservation_total_reserved_units", "reservation_total_reserved_normalized_units"
UNUSED_UNITS, UNUSED_NORMALISED = "reservation_unused_quantity", "reservation_unused_normalized_unit_quantity"
PRODUCT, TAGS = "product", "resource_tags"

REQUIRED: tuple[str, ...] = (
    TYPE, UNBLENDED, *(TEXT[c][0] for c in ("BillingAccountId", "BillingCurrency", "ServiceName")),
    *(TIMES[c][0] for c in ("BillingPeriodStart", "BillingPeriodEnd")),
)  # fmt: skip
OTHERS: tuple[str, ...] = (
    NET_UNBLENDED, UNBLENDED_RATE, LIST_COST, LIST_RATE, AMOUNT, NORMALISED_AMOUNT, PLAN_ID, RESERVATION_ID,
    *PLAN_COST, PLAN_COMMITTED, PLAN_USED, *RESERVED_COST, *UNUSED_UPFRONT, *UNUSED_RECURRING, RESERVED_UNITS,
    RESERVED_NORMALISED, UNUSED_UNITS, UNUSED_NORMALISED, PRODUCT, TAGS,
)  # fmt: skip

# --- line item types -----------------------------------------------------------------------------------------

USAGE, COVERED, RESERVED = "Usage", "SavingsPlanCoveredUsage", "DiscountedUsage"
NEGATION, PLAN_FEE, PLAN_UPFRONT = "SavingsPlanNegation", "SavingsPlanRecurringFee", "SavingsPlanUpfrontFee"
RESERVATION_FEE, FEE, REFUND = "RIFee", "Fee", "Refund"
# Reductions of usage by agreement with AWS; other types that end so are taken for one too.
DISCOUNTS = ("BundledDiscount", "Discount", "PrivateRateDiscount", "EdpDiscount", "RiVolumeDiscount", "SppDiscount")

# Line item type -> ChargeCategory, ChargeFrequency.
CHARGES: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys((USAGE, COVERED, RESERVED, NEGATION, *DISCOUNTS), ("Usage", "Usage-Based")),
    RESERVATION_FEE: ("Purchase", "Recurring"),
    PLAN_FEE: ("Purchase", "Recurring"),
    PLAN_UPFRONT: ("Purchase", "One-Time"),
    FEE: ("Purchase", "One-Time"),
    "Tax": ("Tax", "One-Time"),
    "Credit": ("Credit", "One-Time"),
    REFUND: ("Adjustment", "One-Time"),
}
# What AWS may add one day stays in the bill, and is said.
UNKNOWN = ("Adjustment", "One-Time")


def charge(kind: str) -> tuple[str, str]:
    """ChargeCategory and ChargeFrequency of a line item type."""
    return CHARGES.get(kind) or (CHARGES["Discount"] if kind.endswith("Discount") else UNKNOWN)


# --- services ------------------------------------------------------------------------------------------------


@lru_cache(1)
def service_categories() -> Mapping[str, str]:
    """AWS's product code -> FOCUS ServiceCategory; what is not in it is ``Other``."""
    text = (files("capacity") / "data" / "aws_service_categories.json").read_text(encoding="utf-8")
    return {code: category for category, codes in json.loads(text)["service_categories"].items() for code in codes}


# Tags of one's own without AWS's mark before them, as FOCUS wants them; tags that AWS sets keep theirs.
_OWN_TAGS = ("user:", "user_")
# Older reports have a column for each tag.
TAG_COLUMNS = ("resourceTags/", "resource_tags_")


def tag_key(name: str) -> str:
    """The key of a tag as FOCUS has it."""
    return next((name[len(p) :] for p in _OWN_TAGS if name.startswith(p)), name)
