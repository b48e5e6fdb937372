"""Shared pools: in which order they are split, over whom, by what weights, and the exact split itself."""

from capacity.costs.pools._split import split, whole_numbers
from capacity.costs.pools._steps import Amounts, PoolStep, step_down
from capacity.costs.pools._targets import NOT_SPLIT, Group, Share, Target
from capacity.costs.pools._weights import Ledger, Weigher, usage_weights

__all__ = [
    "NOT_SPLIT",
    "Amounts",
    "Group",
    "Ledger",
    "PoolStep",
    "Share",
    "Target",
    "Weigher",
    "split",
    "step_down",
    "usage_weights",
    "whole_numbers",
]
