"""Rates: on demand, reserved, Savings Plans, spot."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from capacity.config._aws import AwsSource

RateKind = Literal["on_demand", "reserved", "savings_plans", "spot"]
OperatingSystem = Literal["Linux", "Windows", "RHEL", "SUSE"]
Family = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]


class PriceSource(AwsSource):
    """Public rates of EC2 instance types (shared tenancy) from Pricing, Savings Plans and the spot price history.

    The rates are the same for every account: the first of ``accounts`` is asked, or the caller's own.
    """

    kind: Literal["aws_prices"]
    reads: Annotated[list[RateKind], Field(min_length=1)] = ["on_demand", "reserved", "savings_plans", "spot"]
    families: list[Family] | None = Field(None, description="only these, e.g. m7g; all where absent")
    operating_systems: Annotated[list[OperatingSystem], Field(min_length=1)] = ["Linux"]
    spot_days: int = Field(30, ge=1, le=90, description="window of the spot rates; AWS keeps 90 days")
