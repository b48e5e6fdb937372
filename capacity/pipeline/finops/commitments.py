"""Commitments in review: what they did, what ends soon, and the plan's purchases beside AWS's recommendations."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from capacity.costs import commitment_review as review
from capacity.pipeline.finops.aws_purchases import comparison
from capacity.pipeline.finops.ground import Past
from capacity.pipeline.inputs import Inputs, on_demand
from capacity.pipeline.parts import Parts


def past_commitments(past: Past) -> dict[str, pd.DataFrame]:
    """Frames commitment_review, commitment_total and commitment_expiry; of closed months."""
    inputs, months = past.inputs, past.money.months
    if not months:
        return {}
    found = review.review_commitments(
        inputs.cost,
        months,
        prices=_prices(inputs),
        currency=inputs.config.currency,
        products=_products(inputs.owned),
    )
    return {
        "commitment_review": found.frame,
        "commitment_total": review.review_in_total(found.frame),
        "commitment_expiry": review.expiring(inputs.owned, found, months[-1], inputs.as_of),
    }


def coming_commitments(parts: Parts) -> dict[str, pd.DataFrame]:
    """Frame commitment_comparison; empty where Cost Explorer's recommendations are not in the store."""
    return {"commitment_comparison": comparison(parts)}


def _prices(inputs: Inputs) -> dict[tuple[str, str], Decimal]:
    """On-demand $/h of Linux machines on shared tenancy, by region and type."""
    regions = sorted(set(inputs.prices["region"].astype(str)))
    return {
        (region, name): Decimal(repr(rate))
        for region in regions
        for name, rate in on_demand(inputs.prices, region).items()
    }


# The inventory's words start with these; reservations of EC2 are told apart there by class and system.
_WORDS = {
    "compute_sp": "compute_sp", "ec2_instance_sp": "ec2_instance_sp", "sagemaker_sp": "sagemaker_sp",
    "database_sp": "database_sp", "standard_ri": "ec2_ri", "convertible_ri": "ec2_ri", "rds_ri": "rds_ri",
    "elasticache_ri": "elasticache_ri", "memorydb_ri": "memorydb_ri", "redshift_ri": "redshift_ri",
    "opensearch_ri": "opensearch_ri",
}  # fmt: skip


def _products(owned: pd.DataFrame) -> dict[str, str]:
    out = {}
    for name, word in zip(owned["id"].astype(str), owned["product"].astype(str), strict=True):
        product = next((p for w, p in _WORDS.items() if word.startswith(w)), None)
        if product is not None:
            out[name] = product
    return out
