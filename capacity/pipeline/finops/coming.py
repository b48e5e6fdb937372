"""What a plan says of coming months beside its fleet: made once a scenario."""

from __future__ import annotations

import pandas as pd

from capacity.pipeline.finops.budgets import coming_budgets
from capacity.pipeline.finops.commitments import coming_commitments
from capacity.pipeline.finops.unit_ahead import unit_ahead_frames
from capacity.pipeline.finops.waste import coming_waste
from capacity.pipeline.parts import Parts

# Frames that are a plan's: a review of the bill alone has none of them.
COMING = (
    "budget_outlook", "unit_cost_forecast", "waste", "commitment_comparison", "purchases", "spend_apart", "plan_total",
)  # fmt: skip


def coming_frames(parts: Parts) -> dict[str, pd.DataFrame]:
    """Frames that look ahead, by their names in :data:`capacity.plan.FRAMES`."""
    found: dict[str, pd.DataFrame] = {}
    found |= coming_commitments(parts)
    found |= coming_waste(parts)
    found |= coming_budgets(parts)
    found |= unit_ahead_frames(parts)
    return found
