"""What a plan holds when it is operated: an independent simulation, its headroom, and what more of it costs."""

from capacity.optimize.service_level.curve import CURVE_LEVELS, cost_curve, with_blocks, with_types_of
from capacity.optimize.service_level.headroom import headroom_by_month
from capacity.optimize.service_level.moved import MOVED, headroom_curve
from capacity.optimize.service_level.operation import FurtherNeed, Operation
from capacity.optimize.service_level.simulate import simulate

__all__ = [
    "CURVE_LEVELS",
    "MOVED",
    "FurtherNeed",
    "Operation",
    "cost_curve",
    "headroom_by_month",
    "headroom_curve",
    "simulate",
    "with_blocks",
    "with_types_of",
]
