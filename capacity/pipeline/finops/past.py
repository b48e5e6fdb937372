"""What bill, usage and fleet say of past months: made once a run, for `capacity cost` and for every plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from capacity.domain import Unit
from capacity.pipeline.demand import UnitData
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.money import Money


@dataclass(frozen=True)
class Past:
    """What the parts of the review of past months are made of.

    Attributes
    ----------
    data
        What is known of each unit. `capacity cost` gathers it without a forecast; where there is no usage it is empty.
    """

    inputs: Inputs
    data: Mapping[Unit, UnitData]
    money: Money


def past_frames(past: Past) -> dict[str, pd.DataFrame]:
    """Frames of the review by their names in :data:`capacity.plan.FRAMES`; none where there is no bill."""
    if past.money.attribution is None or past.money.newest is None:
        return {}
    found: dict[str, pd.DataFrame] = {}
    return found
