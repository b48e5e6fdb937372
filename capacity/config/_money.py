"""Whose cost a bill row is, how shared cost is split, and budgets."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from capacity.config._base import Model, Name, Positive


class AttributionRule(Model):
    """Bill rows whose columns all match go to ``service`` (or, with ``tag``, to the service the tag names)."""

    name: Name
    service: Name | None = None
    pool: Name | None = Field(None, description="to a shared pool instead of a service")
    service_from_tag: str | None = Field(None, description="the tag whose value names the service")
    match: dict[str, str] = Field({}, description="FOCUS column -> regular expression that must match it whole")
    tags: dict[str, str] = Field({}, description="tag -> regular expression that must match its value whole")

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if sum(x is not None for x in (self.service, self.pool, self.service_from_tag)) != 1:
            raise ValueError("give exactly one of service, pool and service_from_tag")
        return self


class PoolConfig(Model):
    """A shared cost and how it is split over services."""

    name: Name
    split: Literal["even", "fixed", "cost", "usage"] = "cost"
    shares: dict[Name, Positive] = Field({}, description="for fixed: service -> weight")
    metric: str | None = Field(None, description="for usage: the metric whose sum is the weight")

    @model_validator(mode="after")
    def _needs(self) -> Self:
        if (self.split == "fixed") != bool(self.shares):
            raise ValueError("shares belong to split: fixed, and it needs them")
        if (self.split == "usage") != (self.metric is not None):
            raise ValueError("metric belongs to split: usage, and it needs one")
        return self


class CostsConfig(Model):
    rules: list[AttributionRule] = []
    pools: list[PoolConfig] = []
    tax_pool: Name | None = Field(None, description="pool of Tax rows that no rule takes")
    credit_pool: Name | None = Field(None, description="pool of Credit and refund rows that no rule takes")


class BudgetConfig(Model):
    month: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")]
    amount: Decimal
