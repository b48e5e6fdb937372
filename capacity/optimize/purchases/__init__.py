"""What to commit to: purchases under uncertain usage, by a two-stage programme over joint usage paths."""

from capacity.optimize.purchases.decide import recommend
from capacity.optimize.purchases.types import (
    CoverageAhead,
    PurchasePlan,
    PurchasePolicy,
    PurchaseProblem,
    Recommendation,
    RefusedOffer,
    Sized,
    Spread,
    UsageGroup,
)
from capacity.optimize.purchases.usage import evenly, usage_groups

__all__ = [
    "CoverageAhead",
    "PurchasePlan",
    "PurchasePolicy",
    "PurchaseProblem",
    "Recommendation",
    "RefusedOffer",
    "Sized",
    "Spread",
    "UsageGroup",
    "evenly",
    "recommend",
    "usage_groups",
]
