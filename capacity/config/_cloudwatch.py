"""CloudWatch: metrics by name, and resources found by their tags."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from capacity.config._aws import AccountId, AwsSource, Region, ServiceNaming
from capacity.config._base import Model, Name

_HOUR, _DAY = 3600, 86_400

Statistic = Annotated[
    Literal["Average", "Sum", "Maximum", "Minimum", "SampleCount", "p50", "p90", "p95", "p99"],
    Field(description="asked of CloudWatch as such; none is computed from another"),
]
Across = Literal["add", "max", "min", "each"]

# What may be put together over resources: sums and means of amounts add up, extremes stay extremes, the rest does not.
ACROSS_OF: dict[str, tuple[Across, ...]] = {
    "Sum": ("add", "each"),
    "SampleCount": ("add", "each"),
    "Average": ("each", "add"),
    "Maximum": ("each", "max"),
    "Minimum": ("each", "min"),
}


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return value


Pattern = Annotated[str, AfterValidator(_pattern)]


class _Statistic(Model):
    """What a metric of the config is made of, wherever it stands."""

    metric_name: str
    stat: Statistic = "Average"
    metric: Name
    unit: str
    per_second: bool = Field(False, description="divide a Sum by its period: a count becomes a rate")

    @model_validator(mode="after")
    def _rate_of_a_sum(self) -> Self:
        if self.per_second and self.stat != "Sum":
            raise ValueError(f"per_second divides a Sum by its period, and stat is {self.stat}; ask for Sum")
        return self


class CloudWatchMetric(_Statistic):
    """One CloudWatch metric and the canonical series it becomes."""

    namespace: str
    dimensions: dict[str, str] = {}
    service: Name
    published_seconds: Literal[60, 300] | None = Field(
        None, description="how often AWS publishes it: 300 in AWS/EC2 (60 with detailed monitoring), 60 elsewhere"
    )
    account_id: AccountId | None = Field(None, description="may be left out where the source has one account")
    region: Region | None = Field(None, description="may be left out where the source has one region")


class DiscoveredMetric(_Statistic):
    """A metric that is asked for on every resource that is found."""

    across: Across | None = Field(
        None,
        description="several resources of a service: add values, take the largest (max) or smallest (min), or keep "
        "each as a series of its own; add for a Sum and each otherwise, where absent",
    )

    @model_validator(mode="after")
    def _honest(self) -> Self:
        allowed = ACROSS_OF.get(self.stat, ("each",))
        if self.across is not None and self.across not in allowed:
            raise ValueError(
                f"across '{self.across}': a {self.stat} of several resources cannot be had that way; "
                f"allowed: {', '.join(allowed)}"
            )
        return self


class CloudWatchDiscovery(Model):
    """Resources found by their tags or their group, and the metrics that are read of each."""

    resources: Literal["ec2", "asg", "alb", "nlb", "rds", "elasticache", "ecs", "eks", "lambda", "sqs", "ebs", "custom"]
    tags: dict[str, Pattern] = Field({}, description="tag -> regular expression that must match its whole value")
    naming: ServiceNaming = ServiceNaming()
    namespace: str | None = Field(None, description="for custom")
    dimensions: list[str] = Field([], description="for custom: the dimensions that name a resource, all of them")
    metrics: list[DiscoveredMetric] = Field([], description="for custom; elsewhere in place of the usual ones")

    @model_validator(mode="after")
    def _custom_is_whole(self) -> Self:
        custom = self.resources == "custom"
        if custom and not (self.namespace and self.dimensions and self.metrics):
            raise ValueError("custom needs namespace, dimensions and metrics")
        if not custom and (self.namespace or self.dimensions):
            raise ValueError("namespace and dimensions are for custom")
        return self

    @model_validator(mode="after")
    def _patterns(self) -> Self:
        for pattern in self.naming.names:
            _pattern(pattern)
        return self


class CloudWatchSource(AwsSource):
    """CloudWatch GetMetricData over accounts and regions."""

    kind: Literal["cloudwatch"]
    period_seconds: int | None = Field(
        None, ge=60, description="by the age of the data where absent: 60 s for 15 days, 300 s for 63, 3600 s for 455"
    )
    finest_seconds: Literal[60, 300, 3600] = Field(60, description="no finer than this where the period is by age")
    days: int = Field(455, ge=1, le=455)
    overlap_hours: int = Field(3, ge=0, le=336, description="read again on each ingest: late points")
    metrics: list[CloudWatchMetric] = []
    discover: list[CloudWatchDiscovery] = []

    @model_validator(mode="after")
    def _whole_hours(self) -> Self:
        period = self.period_seconds
        if period is None:
            return self
        if period != 60 and (period % 300 or not (_HOUR % period == 0 or (period % _HOUR == 0 and _DAY % period == 0))):
            raise ValueError(f"{period}: allowed are 60, 300, 600, 900, 1200, 1800, and whole hours that divide a day")
        return self

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.metrics and not self.discover:
            raise ValueError("nothing to read; give metrics or discover")
        return self
