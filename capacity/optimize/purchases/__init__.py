"""What to commit to: purchases under uncertain usage, by a two-stage programme over joint usage paths."""

from capacity.optimize.purchases._feedback import TOGETHER, as_asked, as_before
from capacity.optimize.purchases.decide import recommend
from capacity.optimize.purchases.joint import Joint, Pair, decide_jointly
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
    "TOGETHER",
    "CoverageAhead",
    "Joint",
    "Pair",
    "PurchasePlan",
    "PurchasePolicy",
    "PurchaseProblem",
    "Recommendation",
    "RefusedOffer",
    "Sized",
    "Spread",
    "UsageGroup",
    "as_asked",
    "as_before",
    "decide_jointly",
    "evenly",
    "recommend",
    "usage_groups",
]
