"""Cost Explorer: cost by service and account, AWS's own forecasts and recommendations."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from capacity.config._aws import AwsSource
from capacity.config._base import Model

# What Cost Explorer can group by and the cost table has a column for; TAG:key becomes an entry of Tags.
GroupKey = Annotated[str, Field(pattern=r"^(LINKED_ACCOUNT|SERVICE|REGION|AZ|USAGE_TYPE|TAG:.{1,128})$")]
ReservedService = Literal["ec2", "rds", "elasticache", "memorydb", "redshift", "opensearch"]
SavingsPlan = Literal["compute_sp", "ec2_instance_sp", "sagemaker_sp", "database_sp"]
ForecastMetric = Literal["NET_AMORTIZED_COST", "NET_UNBLENDED_COST", "AMORTIZED_COST", "UNBLENDED_COST"]


class CostExplorerReads(Model):
    """What is asked of Cost Explorer; each costs at least one page."""

    cost: bool = True
    forecast: bool = Field(True, description="AWS's own forecast, as a benchmark beside ours")
    utilisation: bool = Field(True, description="of reservations and Savings Plans, and their coverage")
    recommendations: bool = Field(True, description="AWS's own purchase recommendations, for comparison")


class CostExplorerOffers(Model):
    """Which purchase recommendations are asked for: one page for each combination."""

    savings_plans: list[SavingsPlan] = ["compute_sp", "ec2_instance_sp"]
    terms_years: Annotated[list[Literal[1, 3]], Field(min_length=1)] = [1, 3]
    payments: Annotated[list[Literal["no_upfront", "partial_upfront", "all_upfront"]], Field(min_length=1)] = [
        "no_upfront"
    ]
    lookback_days: Literal[7, 30, 60] = Field(30, description="of usage that AWS bases them on")


class CostExplorerSource(AwsSource):
    """AWS Cost Explorer, asked in the management account (or whichever accounts are named); ``regions`` has no use."""

    kind: Literal["cost_explorer"]
    reads: CostExplorerReads = CostExplorerReads()
    granularity: Literal["DAILY", "MONTHLY"] = "DAILY"
    # 13 closed months and the current one: what Cost Explorer keeps without being asked to keep more.
    months: int = Field(13, ge=1, le=13, description="closed months of history, beside the current one")
    daily_months: int = Field(
        4, ge=0, le=13, description="closed months read by day; older ones by month, unless they once came by day"
    )
    group_by: Annotated[list[GroupKey], Field(min_length=1, max_length=2)] = ["LINKED_ACCOUNT", "SERVICE"]
    most_usd: Decimal = Field(Decimal("1.00"), ge=0, description="request budget of one ingest, at $0.01 a page")
    cache: str = Field(".capacity/cache/cost_explorer", description="folder of answers already paid for")
    forecast_metric: ForecastMetric = "NET_AMORTIZED_COST"
    forecast_level_percent: int = Field(80, ge=51, le=99, description="of AWS's prediction interval")
    reserved: list[ReservedService] = Field(["ec2", "rds"], description="services whose reservations are asked about")
    recommend: CostExplorerOffers = CostExplorerOffers()

    @model_validator(mode="after")
    def _groups(self) -> Self:
        if "SERVICE" not in self.group_by:
            raise ValueError("group_by must hold SERVICE: every row of a bill names its service")
        if len(set(self.group_by)) < len(self.group_by):
            raise ValueError(f"group_by holds {self.group_by[0]} twice")
        return self
