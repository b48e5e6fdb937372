"""What a plan says of coming months beside its fleet: made once a scenario."""

from __future__ import annotations

import pandas as pd

from capacity.pipeline.parts import Parts


def coming_frames(parts: Parts) -> dict[str, pd.DataFrame]:
    """Frames that look ahead, by their names in :data:`capacity.plan.FRAMES`."""
    found: dict[str, pd.DataFrame] = {}
    return found
