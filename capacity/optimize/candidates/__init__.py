"""Which instance types may serve a unit: by requirement, by exact dominance, then a spread over sizes.

Every type that is kept out has an excuse. What the last step (a spread of at most ``max_types``) may cost is measured
by :func:`prune_loss` and stated apart from the solver's gap.
"""

from capacity.optimize.candidates._build import Chosen, build_candidates, choose_candidates, prune_loss
from capacity.optimize.candidates._quota import quota_code, spot_quota_code
from capacity.optimize.candidates._terms import CapacityOf, FurtherOf, SpotTerms, Terms

__all__ = [
    "CapacityOf",
    "Chosen",
    "FurtherOf",
    "SpotTerms",
    "Terms",
    "build_candidates",
    "choose_candidates",
    "prune_loss",
    "quota_code",
    "spot_quota_code",
]
