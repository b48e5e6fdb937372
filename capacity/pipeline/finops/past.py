"""What bill, usage and fleet say of past months: made once a run, for `capacity cost` and for every plan."""

from __future__ import annotations

import pandas as pd

from capacity.pipeline.finops.ground import Past as Past
from capacity.pipeline.finops.tie import tie_frames


def past_frames(past: Past) -> dict[str, pd.DataFrame]:
    """Frames of the review by their names in :data:`capacity.plan.FRAMES`; none where there is no bill."""
    if past.money.attribution is None or past.money.newest is None:
        return {}
    found: dict[str, pd.DataFrame] = {}
    found |= tie_frames(past)
    return found
