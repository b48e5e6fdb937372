"""Cost Explorer: cost by service and account, AWS's own forecasts and recommendations."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from capacity.config._aws import AwsSource
from capacity.config._base import Model, Name


class CostExplorerReads(Model):
    """What is asked of Cost Explorer; each costs at least one page."""

    cost: bool = True
    forecast: bool = Field(True, description="AWS's own forecast, as a benchmark beside ours")
    utilisation: bool = Field(True, description="of reservations and Savings Plans, and their coverage")
    recommendations: bool = Field(True, description="AWS's own purchase recommendations, for comparison")


class CostExplorerSource(AwsSource):
    """AWS Cost Explorer, asked in the management account (or whichever accounts are named)."""

    kind: Literal["cost_explorer"]
    reads: CostExplorerReads = CostExplorerReads()
    granularity: Literal["DAILY", "MONTHLY"] = "DAILY"
    months: int = Field(13, ge=1, le=13, description="whole months of history")
    group_by: Annotated[list[Name], Field(min_length=1, max_length=2)] = ["LINKED_ACCOUNT", "SERVICE"]
    most_usd: Decimal = Field(Decimal("1.00"), ge=0, description="request budget of one ingest, at $0.01 a page")
