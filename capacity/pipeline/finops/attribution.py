"""What each rule took, and how each shared pool was split; the bill's rows by service for whoever exports them."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from capacity import costs
from capacity.pipeline.finops.ground import Past


def past_attribution(past: Past) -> dict[str, pd.DataFrame]:
    """Frames ``rule_hits`` and ``pool_steps``."""
    assert past.money.attribution is not None  # noqa: S101 - past_frames has looked
    assert past.money.allocation is not None  # noqa: S101
    assert past.money.newest is not None  # noqa: S101
    return {
        "rule_hits": costs.rule_months(past.money.attribution, past.money.newest),
        "pool_steps": past.money.allocation.pool_steps,
    }


def allocated(past: Past) -> pa.Table:
    """The bill's rows by service in FOCUS columns: made when they are exported, for they are many."""
    assert past.money.attribution is not None  # noqa: S101
    assert past.money.allocation is not None  # noqa: S101
    services = past.inputs.config.services
    return costs.allocated_rows(
        past.inputs.cost,
        past.money.attribution,
        past.money.allocation,
        tiers={s.name: s.tier for s in services},
        teams={s.name: s.team for s in services},
    )
