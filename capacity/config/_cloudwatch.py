"""CloudWatch: metrics by name, and resources found by their tags."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capacity.config._aws import AccountId, AwsSource, Region, ServiceNaming
from capacity.config._base import Model, Name


class CloudWatchMetric(Model):
    """One CloudWatch metric and the canonical series it becomes."""

    namespace: str
    metric_name: str
    stat: str = Field("Average", description="Average, Sum, Maximum, Minimum, SampleCount or a percentile such as p99")
    dimensions: dict[str, str] = {}
    service: Name
    metric: Name
    unit: str
    per_second: bool = Field(False, description="divide a Sum by its period: a count becomes a rate")
    account_id: AccountId | None = Field(None, description="may be left out where the source has one account")
    region: Region | None = Field(None, description="may be left out where the source has one region")


class DiscoveredMetric(Model):
    """A metric of a custom namespace, asked for on every resource that is found."""

    metric_name: str
    stat: str = "Average"
    metric: Name
    unit: str
    per_second: bool = False


class CloudWatchDiscovery(Model):
    """Resources found by their tags or their group, and the metrics that are read of each."""

    resources: Literal["ec2", "asg", "alb", "nlb", "rds", "elasticache", "ecs", "eks", "lambda", "sqs", "ebs", "custom"]
    tags: dict[str, str] = Field({}, description="tag -> regular expression that must match its whole value")
    naming: ServiceNaming = ServiceNaming()
    namespace: str | None = Field(None, description="for custom")
    dimensions: list[str] = Field([], description="for custom: the dimensions that name a resource")
    metrics: list[DiscoveredMetric] = Field([], description="for custom; elsewhere in place of the usual ones")


class CloudWatchSource(AwsSource):
    """CloudWatch GetMetricData over accounts and regions."""

    kind: Literal["cloudwatch"]
    period_seconds: int | None = Field(
        None, ge=60, description="by the age of the data where absent: 60 s for 15 days, 300 s for 63, 3600 s for 455"
    )
    finest_seconds: Literal[60, 300, 3600] = Field(60, description="no finer than this where the period is by age")
    days: int = Field(455, ge=1, le=455)
    overlap_hours: int = Field(3, ge=0, description="read again on each ingest: late points")
    metrics: list[CloudWatchMetric] = []
    discover: list[CloudWatchDiscovery] = []
