"""Rates: on demand, reserved, Savings Plans, spot."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from capacity.config._aws import AwsSource

RateKind = Literal["on_demand", "reserved", "savings_plans", "spot"]


class PriceSource(AwsSource):
    """Public rates of EC2 instance types from Pricing, Savings Plans and the spot price history."""

    kind: Literal["aws_prices"]
    reads: Annotated[list[RateKind], Field(min_length=1)] = ["on_demand", "reserved", "savings_plans", "spot"]
    families: list[str] | None = Field(None, description="only these, e.g. m7g; all where absent")
    operating_systems: list[Literal["Linux", "Windows", "RHEL", "SUSE"]] = ["Linux"]
    spot_days: int = Field(30, ge=1, le=90)
