"""Dated events: how large they are, said in one of four ways."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from capacity.config._base import Model, Name, Positive

SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}


class RequestFactors(Model):
    """What becomes of requests on their way: caches answer some, the others are tried more than once."""

    retry_factor: float = Field(1.0, ge=1, description="requests sent for each that is wanted")
    cache_hit_frac: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="share that a cache answers before")

    @property
    def factor(self) -> float:
        """Requests that arrive for each that is wanted."""
        return (1.0 - self.cache_hit_frac) * self.retry_factor


class EdgeFactors(RequestFactors):
    """Of the calls from one service to another, during the event: beside the ``per_request`` of the call graph."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    from_: Name = Field(alias="from")
    to: Name


class BusinessFigure(RequestFactors):
    """What the business expects at the peak (40,000 orders a minute), and how many requests that makes where.

    The factors hold at every service of ``enters`` but those that ``services`` names; calls from one service to
    another have factors of their own in ``calls``, and none where they are not named.
    """

    figure: Positive
    unit: Name = Field(description="of what, in the plural: orders, sessions, tickets")
    per: Literal["second", "minute", "hour"] = "minute"
    peak_factor: float = Field(1.0, ge=1, description="the busiest moment of that minute or hour, over its mean")
    enters: dict[Name, Positive] = Field(
        min_length=1, description="service -> requests that one of them makes there, before caches and retries"
    )
    regions: dict[Name, Positive] | None = Field(
        None, description="region -> share of all; as the forecast without the event is spread where absent"
    )
    services: dict[Name, RequestFactors] = Field({}, description="factors of one service of `enters`, in place of ours")
    calls: list[EdgeFactors] = []

    @property
    def per_second(self) -> float:
        """The figure in its unit a second, at the busiest moment."""
        return self.figure * self.peak_factor / SECONDS[self.per]

    def factors(self, service: str) -> RequestFactors:
        """Caches and retries on the way to ``service``."""
        return self.services.get(service, self)

    def requests(self, service: str) -> float:
        """Requests a second that arrive at ``service``, in all regions together."""
        return self.per_second * self.enters[service] * self.factors(service).factor

    @model_validator(mode="after")
    def _refers(self) -> Self:
        unknown = [n for n in self.services if n not in self.enters]
        if unknown:
            raise ValueError(
                f"services: found '{unknown[0]}'; allowed: the services of enters ({', '.join(self.enters)})"
            )
        if self.regions is not None and abs(sum(self.regions.values()) - 1.0) > 1e-6:
            raise ValueError(f"regions: the shares add up to {sum(self.regions.values()):g}; they must be 1 together")
        edges = [(c.from_, c.to) for c in self.calls]
        twice = sorted({e for e in edges if edges.count(e) > 1})
        if twice:
            raise ValueError(f"calls: {twice[0][0]} to {twice[0][1]} is given twice")
        return self


class EventConfig(Model):
    """A dated event: a multiplier on the forecast without it, an absolute peak, or what it did the times before.

    The absolute peak is a target in requests, or a business figure that is turned into requests.
    """

    name: Name
    start: datetime
    end: datetime
    services: list[Name] = Field(
        min_length=1, description="where it enters; the call graph carries it on. Those of business where absent"
    )
    regions: list[str] | None = None
    multiplier: Positive | None = Field(None, description="learned from `past` where no size is given")
    target: Positive | None = Field(None, description="absolute peak demand of each named service and region")
    business: BusinessFigure | None = Field(None, description="a figure of the business, turned into requests")
    ramp_minutes: int = Field(60, ge=0, description="from normal to full")
    past: list[tuple[date, date]] = Field(
        [], description="earlier occurrences, first and last local day: never learned as base demand"
    )

    @property
    def is_learned(self) -> bool:
        """Whether its size comes from its past occurrences."""
        return self.multiplier is None and self.target is None and self.business is None

    @model_validator(mode="before")
    @classmethod
    def _enters(cls, given: Any) -> Any:
        """A business figure says itself where it enters."""
        if isinstance(given, dict) and "services" not in given and isinstance(given.get("business"), dict):
            enters = given["business"].get("enters")
            return {**given, "services": list(enters)} if isinstance(enters, dict) and enters else given
        return given

    @model_validator(mode="after")
    def _shape(self) -> Self:
        if self.multiplier is not None and self.target is not None:
            raise ValueError("give one of multiplier and target, not both")
        if self.business is not None:
            self._business_alone(self.business)
        if self.is_learned and not self.past:
            raise ValueError(
                "give exactly one of multiplier and target, or past dates to learn the multiplier from; "
                "or a business figure"
            )
        for first, last in self.past:
            if last < first:
                raise ValueError(f"past: {last} is before {first}; give the first day, then the last")
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("start and end need a zone, e.g. 2026-11-27T00:00:00Z")
        if self.end <= self.start:
            raise ValueError("end must be after start")
        return self

    def _business_alone(self, business: BusinessFigure) -> None:
        if self.multiplier is not None or self.target is not None:
            raise ValueError("give one of multiplier, target and business, not two")
        if set(self.services) != set(business.enters):
            raise ValueError(
                f"services: found {', '.join(self.services)}; allowed: those of business.enters "
                f"({', '.join(business.enters)}), or leave services out"
            )


class ThirdPartyConfig(Model):
    """What somebody else lets us ask of them: a payment provider's rate limit.

    Services that name the same third party share its limit.
    """

    name: Name
    per_request: Positive = Field(1.0, description="requests to it for each request that the service gets")
    limit: Positive
    unit: str = "1/s"
    scope: Literal["all", "region"] = Field("all", description="the limit is for all regions together, or for each")
    remedy: str = "ask for a higher limit"
    lead_time_days: int = Field(30, ge=0)
    source: str = Field("", description="where the limit is written: a contract, a page, a date")
