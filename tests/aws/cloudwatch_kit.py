"""What the CloudWatch discovery tests seed, and how they read it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from capacity.config import AwsAccess, CloudWatchDiscovery, CloudWatchSource
from capacity.sources import Context, build
from capacity.sources.aws import Access
from capacity.sources.aws._discovery import Resource, discover
from tests.aws.fake_cloudwatch import FakeCloudWatch
from tests.aws.standin import MANAGEMENT, StandIn, page

NOW = datetime(2026, 10, 5, 12, 30, tzinfo=UTC)
REGION = "us-east-1"
MEMBER = "222222222222"
HOUR = 3600
IMAGE = "ami-12c6146b"  # one that moto knows


def source(aws: StandIn, *discoveries: dict[str, Any], access: Mapping[str, Any] | None = None, **keys: Any) -> Any:
    way = {"regions": [REGION], "endpoint_url": aws.url, **(access or {})}
    config = {
        "kind": "cloudwatch", "name": "cw", "days": 1, "finest_seconds": 3600, "discover": list(discoveries), **keys,
    }  # fmt: skip
    return build(CloudWatchSource.model_validate(config), Context(Path, (AwsAccess.model_validate(way),)))


def read(reading: Any) -> tuple[pd.DataFrame, list[str]]:
    batches = list(reading.batches(None, NOW))
    rows = pd.concat([b.table.to_pandas() for b in batches], ignore_index=True)
    return rows, [n for b in batches for n in b.notes]


def found(aws: StandIn, **entry: Any) -> list[Resource]:
    access = Access(AwsAccess.model_validate({"regions": [REGION], "endpoint_url": aws.url}), "cw")
    return discover(access, access.places()[0], CloudWatchDiscovery.model_validate(entry))


def constant(value: float) -> Any:
    return lambda ticks: np.full(len(ticks), value)


def arn(service: str, name: str, account: str = MANAGEMENT) -> str:
    return f"arn:aws:{service}:{REGION}:{account}:{name}"


def databases(aws: StandIn, fake: FakeCloudWatch, tags: Mapping[str, Mapping[str, str] | None]) -> None:
    """RDS instances by name; None for one that was never tagged."""
    listed = [{"DBInstanceIdentifier": n, "DBInstanceArn": arn("rds", f"db:{n}")} for n in tags]
    aws.on("rds", "DescribeDBInstances", lambda call: page(call, "DBInstances", listed, 100, "Marker"))
    fake.tags[MANAGEMENT, REGION] = {arn("rds", f"db:{n}"): dict(t) for n, t in tags.items() if t is not None}


def balancers(aws: StandIn, fake: FakeCloudWatch, **services: str) -> dict[str, str]:
    """Load balancers in moto: name -> service; returns name -> CloudWatch's dimension."""
    subnets = [s["SubnetId"] for s in aws.client("ec2").describe_subnets()["Subnets"]][:2]
    out = {}
    for name, service in services.items():
        made = aws.client("elbv2").create_load_balancer(Name=name, Subnets=subnets)["LoadBalancers"][0]
        fake.tags.setdefault((MANAGEMENT, REGION), {})[made["LoadBalancerArn"]] = {"service": service}
        out[name] = made["LoadBalancerArn"].split("loadbalancer/")[1]
    return out


def group(aws: StandIn, name: str, size: int, **tags: str) -> None:
    """An Auto Scaling group in moto."""
    scaling = aws.client("autoscaling")
    scaling.create_launch_configuration(LaunchConfigurationName=name, ImageId=IMAGE, InstanceType="m5.large")
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=name, LaunchConfigurationName=name, MinSize=size, MaxSize=size,
        AvailabilityZones=["us-east-1a"],
        Tags=[{"Key": k, "Value": v, "PropagateAtLaunch": True} for k, v in tags.items()],
    )  # fmt: skip
