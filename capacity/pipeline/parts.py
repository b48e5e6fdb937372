"""All that a plan is made of, handed from the stages to those who write it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from capacity.domain import TieOut, Unit
from capacity.pipeline.base import Base
from capacity.pipeline.demand import UnitData
from capacity.pipeline.explain import Explanations
from capacity.pipeline.futures import Future
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.judged import Judged
from capacity.pipeline.load_tests import LoadTests
from capacity.pipeline.mix import Mix, UnitNeed
from capacity.pipeline.money import Money
from capacity.pipeline.outlook import Outlook
from capacity.pipeline.pool_units import PoolUnit
from capacity.pipeline.purchases import Purchases
from capacity.pipeline.reasons import Reasons
from capacity.pipeline.totals import Added
from capacity.plan import EventSummary, SpendMonth
from capacity.scenario import Scenario


@dataclass(frozen=True)
class Parts:
    """All that a plan is made of."""

    inputs: Inputs
    change: Scenario
    data: Mapping[Unit, UnitData]
    known: Mapping[Unit, Future]
    base: Base
    needs: Mapping[Unit, UnitNeed]
    mix: Mix | None
    outlooks: Mapping[Unit, Outlook]
    money: Money
    spend: tuple[SpendMonth, ...]
    spend_by_service: pd.DataFrame
    spend_note: str
    ties: tuple[TieOut, ...]
    events: tuple[EventSummary, ...]
    problems: tuple[str, ...]
    seed: int
    explained: Explanations = field(default_factory=dict)
    anomalies: pd.DataFrame = field(default_factory=pd.DataFrame)
    spend_history: Mapping[str, pd.Series] = field(default_factory=dict)
    added: Added = field(default_factory=dict)
    spend_apart: pd.DataFrame = field(default_factory=pd.DataFrame)
    promise: pd.DataFrame = field(default_factory=pd.DataFrame)
    judged: Judged = field(default_factory=Judged)
    reasons: Reasons = field(default_factory=Reasons)
    purchases: Purchases = field(default_factory=Purchases)
    tie_services: pd.DataFrame = field(default_factory=pd.DataFrame)
    load_tests: LoadTests = field(default_factory=LoadTests)
    plan_total: pd.DataFrame = field(default_factory=pd.DataFrame)
    past: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    past_forecast: pd.DataFrame = field(default_factory=pd.DataFrame)
    pools: Mapping[Unit, PoolUnit] = field(default_factory=dict)

    @property
    def units(self) -> list[Unit]:
        """What the plan tells of: services by region, and node pools."""
        return sorted([*self.known, *self.pools])

    def data_of(self, unit: Unit) -> UnitData:
        """What is known of a service or of a node pool."""
        return self.data[unit] if unit not in self.pools else self.pools[unit].data

    def future_of(self, unit: Unit) -> Future:
        """The future of a service or of a node pool."""
        return self.known[unit] if unit not in self.pools else self.pools[unit].future
