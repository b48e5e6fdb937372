"""The cheapest instance mix that keeps every promise, solved, proven, checked and explained."""

from capacity.optimize._fleet import vertical_count
from capacity.optimize.candidates import build_candidates, choose_candidates, prune_loss, quota_code
from capacity.optimize.check import check
from capacity.optimize.commitments import (
    CommitmentOutlook,
    commitment_level,
    commitment_outlook,
    known_demand_level,
)
from capacity.optimize.explain import binding, explain_infeasible, smallest_relaxation
from capacity.optimize.few_types import solve_few_types
from capacity.optimize.solve import Memory, price_running, solve

__all__ = [
    "CommitmentOutlook",
    "Memory",
    "binding",
    "build_candidates",
    "check",
    "choose_candidates",
    "commitment_level",
    "commitment_outlook",
    "explain_infeasible",
    "known_demand_level",
    "price_running",
    "prune_loss",
    "quota_code",
    "smallest_relaxation",
    "solve",
    "solve_few_types",
    "vertical_count",
]
