"""From futures to a verified instance mix: safe capacity, load blocks, candidates, the problem, its solution.

``_need`` says what one unit needs, with ``_resources`` (memory, network, disk) and ``_spot`` beside it; ``_pools`` does
so for services that share nodes, ``_failover`` for the loss of a region; ``_fleet`` brings them together. ``_offers``
are the commitments that could be bought, ``_solve`` poses and reads the problem.
"""

from capacity.pipeline.mix._fleet import fleet_needs, pool_lines, tier_of
from capacity.pipeline.mix._need import UnitNeed, scaled_cost, unit_need
from capacity.pipeline.mix._offers import offers
from capacity.pipeline.mix._pools import as_service as pool_service
from capacity.pipeline.mix._pools import pod_count, pool_need
from capacity.pipeline.mix._resources import resource_needs
from capacity.pipeline.mix._solve import (
    Mix,
    as_the_base,
    coverage_frame,
    pins,
    planned_safe,
    solve_again,
    solve_mix,
    weekly_headroom,
)

__all__ = [
    "Mix",
    "UnitNeed",
    "as_the_base",
    "coverage_frame",
    "fleet_needs",
    "offers",
    "pins",
    "planned_safe",
    "pod_count",
    "pool_lines",
    "pool_need",
    "pool_service",
    "resource_needs",
    "scaled_cost",
    "solve_again",
    "solve_mix",
    "tier_of",
    "unit_need",
    "weekly_headroom",
]
