"""What runs and what is owned in AWS: fleets, commitments, quotas."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from capacity.config._aws import AwsSource, ServiceNaming

FleetPart = Literal["asg", "ec2", "eks", "rds", "capacity_reservations"]
CommitmentPart = Literal["reserved_instances", "savings_plans", "rds", "elasticache"]
SERVICE = "{service}"


def _names_the_service(value: str) -> str:
    if SERVICE not in value or "{" in value.replace(SERVICE, ""):
        raise ValueError(f"must hold {SERVICE} and no other braces")
    return value


class FleetSource(AwsSource):
    """Auto Scaling groups, EC2 and RDS instances, EKS node groups, capacity reservations, as observed at an ingest."""

    kind: Literal["aws_fleet"]
    reads: Annotated[list[FleetPart], Field(min_length=1)] = ["asg", "ec2", "eks", "rds", "capacity_reservations"]
    naming: ServiceNaming = ServiceNaming()
    database_service: Annotated[str, AfterValidator(_names_the_service)] = Field(
        "{service}-db",
        description="service that the databases of a service form: they share no load with its instances. A name that "
        "ends like this already is left alone; '{service}' keeps both in one",
    )
    history: bool = Field(True, description="past counts from the groups' scaling activities (AWS keeps six weeks)")
    whole: bool = Field(
        True,
        description="a service that ran here before and is not seen any more gets rows of count 0, and so do accounts "
        "and regions that are read no more; false where another source too gives fleet rows of AWS accounts",
    )


class CommitmentSource(AwsSource):
    """Reserved Instances and Savings Plans that are owned."""

    kind: Literal["aws_commitments"]
    reads: Annotated[list[CommitmentPart], Field(min_length=1)] = [
        "reserved_instances",
        "savings_plans",
        "rds",
        "elasticache",
    ]
    sharing: Literal["organization", "account"] = Field(
        "organization", description="who may use them; AWS shares over an organization unless that is turned off there"
    )


class QuotaSource(AwsSource):
    """Service Quotas and how much of each is used."""

    kind: Literal["aws_quotas"]
    services: Annotated[list[str], Field(min_length=1)] = Field(
        ["ec2", "autoscaling", "elasticloadbalancing", "rds", "eks", "lambda", "ebs"],
        description="service codes as Service Quotas names them",
    )
