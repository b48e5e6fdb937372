"""What bill, usage and fleet say of past months: made once a run, for `capacity cost` and for every plan."""

from __future__ import annotations

import pandas as pd

from capacity.pipeline.finops.attribution import past_attribution
from capacity.pipeline.finops.bridge import past_bridges
from capacity.pipeline.finops.budgets import past_spend
from capacity.pipeline.finops.carbon import past_carbon
from capacity.pipeline.finops.closed_budgets import closed_budgets
from capacity.pipeline.finops.commitments import past_commitments
from capacity.pipeline.finops.ground import Past as Past
from capacity.pipeline.finops.spend_anomalies import past_anomalies
from capacity.pipeline.finops.tie import tie_frames
from capacity.pipeline.finops.unit_cost import unit_frames


def past_frames(past: Past) -> dict[str, pd.DataFrame]:
    """Frames of the review by their names in :data:`capacity.plan.FRAMES`; none where there is no bill."""
    if past.money.attribution is None or past.money.newest is None:
        return {}
    found: dict[str, pd.DataFrame] = {}
    found |= tie_frames(past)
    found |= past_attribution(past)
    found |= past_commitments(past)
    found |= past_carbon(past)
    found |= past_spend(past)
    found |= closed_budgets(past, found.get("spend_actual", pd.DataFrame()))
    found |= past_anomalies(past)
    found |= unit_frames(past)
    found |= past_bridges(past)
    return found
