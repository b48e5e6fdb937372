"""Commitments in review: what they covered, how far they were used, what they saved, and what ends soon."""

from capacity.costs.commitment_review._beside import BESIDE_COLUMNS, Policy, UsageInScope, aws_key, beside
from capacity.costs.commitment_review._expiry import EXPIRY_COLUMNS, EXPIRY_DAYS, expiring
from capacity.costs.commitment_review._products import ALL, WORDS, pool_of, product_of, same_commitment
from capacity.costs.commitment_review._review import (
    COMMITMENT_COLUMNS,
    REVIEW_COLUMNS,
    CommitmentReview,
    review_commitments,
    review_in_total,
)

__all__ = [
    "ALL",
    "BESIDE_COLUMNS",
    "COMMITMENT_COLUMNS",
    "EXPIRY_COLUMNS",
    "EXPIRY_DAYS",
    "REVIEW_COLUMNS",
    "WORDS",
    "CommitmentReview",
    "Policy",
    "UsageInScope",
    "aws_key",
    "beside",
    "expiring",
    "pool_of",
    "product_of",
    "review_commitments",
    "review_in_total",
    "same_commitment",
]
