"""What the parts of the review of past months are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
