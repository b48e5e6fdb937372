"""Waste, each finding with money, confidence and who takes it: fleets by the model, the rest by the bill."""

from capacity.costs.waste._bill import bill_waste, unused_commitments
from capacity.costs.waste._fleet import (
    HOURS_A_MONTH,
    IDLE_FRAC,
    LEAST_FRAC,
    Fleet,
    Machine,
    Newer,
    fleet_waste,
    smallest,
)
from capacity.costs.waste._rows import KINDS, MIX, NOBODY, WASTE_COLUMNS, Waste, waste_frame

__all__ = [
    "HOURS_A_MONTH",
    "IDLE_FRAC",
    "KINDS",
    "LEAST_FRAC",
    "MIX",
    "NOBODY",
    "WASTE_COLUMNS",
    "Fleet",
    "Machine",
    "Newer",
    "Waste",
    "bill_waste",
    "fleet_waste",
    "smallest",
    "unused_commitments",
    "waste_frame",
]
