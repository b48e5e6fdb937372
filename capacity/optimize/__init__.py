"""The cheapest instance mix that keeps every promise, solved, proven, checked and explained."""

from capacity.optimize.check import check
from capacity.optimize.explain import binding, explain_infeasible
from capacity.optimize.solve import price_running, solve

__all__ = ["binding", "check", "explain_infeasible", "price_running", "solve"]
