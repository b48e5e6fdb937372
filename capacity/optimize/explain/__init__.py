"""Why there is no plan, what would make one possible, and what holds a plan in place, in words."""

from capacity.optimize.explain._knobs import Change, Weights
from capacity.optimize.explain._nothing import nothing_may_serve
from capacity.optimize.explain.conflict import explain_infeasible
from capacity.optimize.explain.holds import binding
from capacity.optimize.explain.relax import Relaxation, smallest_relaxation

__all__ = [
    "Change",
    "Relaxation",
    "Weights",
    "binding",
    "explain_infeasible",
    "nothing_may_serve",
    "smallest_relaxation",
]
