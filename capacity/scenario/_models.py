"""What a scenario can say: the models of its YAML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from capacity.config import (
    CommitmentPolicy,
    CommitmentProduct,
    EventConfig,
    Fraction,
    Model,
    Name,
    Payment,
    Positive,
    TermYears,
)

BASE = "base"
# What a plan's folder and every message can carry: a note that fills more than a screen is a document.
MOST_NOTE = 4_000

Names = Annotated[list[Name], Field(min_length=1)]


class Part(Model):
    """Base of all parts: no number is infinite, whatever the file says."""

    model_config = ConfigDict(allow_inf_nan=False)


class Growth(Part):
    """Demand times ``multiplier``, reached linearly between two dates (at once where ``reached`` is absent)."""

    services: Names | None = Field(None, description="all where absent")
    regions: Names | None = Field(None, description="all where absent")
    multiplier: Positive = Field(description="1.4: 40 % more than the forecast")
    from_: date | None = Field(None, alias="from", description="from here it rises; the plan's first day where absent")
    reached: date | None = Field(None, description="here it is whole; at once where absent")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ and self.reached and self.reached < self.from_:
            raise ValueError(f"reached: found {self.reached}; allowed: {self.from_} (from) or later")
        return self


class Launch(Part):
    """Demand that is new from a day on, in the service's own demand unit."""

    service: Name
    region: str
    from_: date = Field(alias="from", description="the first day of the new demand")
    add: Positive = Field(description="in the service's own demand unit, on top of the forecast")


class Efficiency(Part):
    """Resource per unit of demand times ``factor`` (0.85 = 15 % less CPU a request), for the whole horizon."""

    services: Names | None = Field(None, description="all where absent")
    factor: Positive = Field(description="0.85: 15 % less CPU a request")


class PriceChange(Part):
    """The list price of a product times ``multiplier``."""

    product: Literal["on_demand"] = "on_demand"
    families: Names | None = Field(None, description="instance families, as m6g; all where absent")
    multiplier: Positive = Field(description="0.97: 3 % cheaper")


class Failure(Part):
    """A region that is gone (its traffic moves to the service's other regions), or more zones lost at once."""

    region: str | None = Field(None, description="gone for the whole horizon")
    zones: int | None = Field(None, ge=0, le=3, description="so many zones lost at once must be survived")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.region is None) == (self.zones is None):
            raise ValueError("give exactly one of region and zones")
        return self


class Migration(Part):
    """Which instance types may serve these services instead."""

    services: Names | None = Field(None, description="all where absent")
    architectures: Annotated[list[Literal["x86_64", "arm64"]], Field(min_length=1)] | None = Field(
        None, description="as configured where absent"
    )
    allow_families: Names | None = Field(None, description="only these; as configured where absent")
    deny_families: list[str] | None = Field(None, description="never these; as configured where absent; []: none")


class TierOverlay(Part):
    """What a tier is promised in this scenario; what is absent stays as configured."""

    name: Name
    service_level: Annotated[float, Field(ge=0.5, lt=1)] | None = Field(None, description="share of futures that fit")
    zones_survived: Annotated[int, Field(ge=0, le=3)] | None = None
    min_headroom_frac: Annotated[float, Field(ge=0, lt=0.9)] | None = None
    zone_loss_utilisation_frac: Fraction | None = Field(None, description="utilisation allowed while a zone is lost")
    spot_max_frac: Fraction | None = Field(None, description="share of the demand of any hour that spot may serve")


class Policy(Part):
    """Promises by tier."""

    tiers: list[TierOverlay] = Field(min_length=1)

    @field_validator("tiers")
    @classmethod
    def _once(cls, given: list[TierOverlay]) -> list[TierOverlay]:
        _refuse_twice("tier", [t.name for t in given])
        return given


def _number(key: Any) -> Any:
    """Keys of a mapping are text in a file."""
    return int(key) if isinstance(key, str) and key.isdigit() else key


class Commitments(Part):
    """What may be bought, over the config's ``optimize: commitments``; what is absent stays as configured there."""

    buy: bool = Field(True, description="false: nothing is bought, and no other key is given")
    products: Annotated[list[CommitmentProduct], Field(min_length=1)] | None = None
    terms: Annotated[list[TermYears], Field(min_length=1)] | None = Field(None, description="years")
    payments: Annotated[list[Payment], Field(min_length=1)] | None = None
    max_break_even_months: dict[Annotated[TermYears, BeforeValidator(_number)], Positive] | None = Field(
        None, description="by term in years; merged into the config's"
    )
    least_utilisation_frac: Fraction | None = Field(None, description="of a purchase, under the P10 of the forecast")
    risk_weight: Fraction | None = Field(None, description="weight of the worst tenth of futures beside the mean")
    least_hourly_usd: Annotated[float, Field(ge=0)] | None = Field(None, description="a smaller one is not bought")
    largest_new_hourly_usd: Positive | None = Field(None, description="of all purchases together, in any month")
    ladder_months: Annotated[int, Field(ge=1, le=36)] | None = Field(
        None, description="purchases may be spread over so many first days of months"
    )

    @model_validator(mode="after")
    def _nothing_or_rules(self) -> Self:
        rules = sorted(self.model_fields_set - {"buy"})
        if not self.buy and rules:
            raise ValueError(f"buy: false buys nothing, so {', '.join(rules)} would say nothing; leave one of them out")
        return self

    def overlay(self, policy: CommitmentPolicy | None) -> dict[str, Any] | None:
        """``policy`` (the defaults where the config has none) with what is given here; None where none is bought."""
        if not self.buy:
            return None
        was = (policy or CommitmentPolicy()).model_dump()
        given = self.model_dump(exclude_none=True, exclude={"buy"})
        months = was["max_break_even_months"] | given.get("max_break_even_months", {})
        return was | given | {"max_break_even_months": months}


class Scenario(Model):
    """One overlay. The empty one is the base."""

    name: Name
    description: str = Field("", description="what if, in one sentence")
    author: str = Field("", description="who wrote or changed it last")
    note: str = Field("", max_length=MOST_NOTE, description="anything that a reader should know; changes nothing")
    growth: tuple[Growth, ...] = ()
    events: tuple[EventConfig, ...] = ()
    launches: tuple[Launch, ...] = ()
    efficiency: tuple[Efficiency, ...] = ()
    prices: tuple[PriceChange, ...] = ()
    failure: Failure | None = None
    migration: tuple[Migration, ...] = ()
    policy: Policy | None = None
    commitments: Commitments | None = None

    @field_validator("events")
    @classmethod
    def _sizes_are_given(cls, events: tuple[EventConfig, ...]) -> tuple[EventConfig, ...]:
        _refuse_twice("event", [e.name for e in events])
        for event in events:
            if event.business is not None:
                raise ValueError(
                    f"event '{event.name}': a business figure is for the config's events, whose check turns it into "
                    "requests; give a scenario's event a multiplier or target"
                )
            if event.is_learned:
                raise ValueError(
                    f"event '{event.name}': a scenario never learns: give multiplier or target, or put the event "
                    "into the config, whose base forecast then carries it"
                )
            if not all(math.isfinite(size) for size in (event.multiplier, event.target) if size is not None):
                raise ValueError(f"event '{event.name}': its multiplier or target must be a finite number")
        return events


def base() -> Scenario:
    """The scenario that changes nothing."""
    return Scenario(name=BASE, description="as configured")


def _refuse_twice(kind: str, names: Sequence[str]) -> None:
    twice = sorted({n for n in names if list(names).count(n) > 1})
    if twice:
        raise ValueError(f"{kind} '{twice[0]}' is given twice; put both into one entry")
