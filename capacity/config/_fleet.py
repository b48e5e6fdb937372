"""What runs and what is owned in AWS: fleets, commitments, quotas."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from capacity.config._aws import AwsSource, ServiceNaming

FleetPart = Literal["asg", "ec2", "eks", "rds", "capacity_reservations"]


class FleetSource(AwsSource):
    """Auto Scaling groups, EC2 and RDS instances, EKS node groups, capacity reservations, as observed at an ingest."""

    kind: Literal["aws_fleet"]
    reads: Annotated[list[FleetPart], Field(min_length=1)] = ["asg", "ec2", "eks", "rds", "capacity_reservations"]
    naming: ServiceNaming = ServiceNaming()
    history: bool = Field(True, description="past counts from the groups' scaling activities (AWS keeps six weeks)")


class CommitmentSource(AwsSource):
    """Reserved Instances and Savings Plans that are owned."""

    kind: Literal["aws_commitments"]
    reads: Annotated[list[Literal["reserved_instances", "savings_plans"]], Field(min_length=1)] = [
        "reserved_instances",
        "savings_plans",
    ]


class QuotaSource(AwsSource):
    """Service Quotas and how much of each is used."""

    kind: Literal["aws_quotas"]
    services: list[str] = Field(["ec2", "autoscaling", "elasticloadbalancing", "rds", "eks", "lambda", "ebs"])
