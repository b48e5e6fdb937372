"""What cost is divided by: drivers beside each service's own demand, and the journeys of customers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from capacity.config._base import Fraction, Model, Name, Positive, did_you_mean

if TYPE_CHECKING:
    from capacity.config._config import Config


class DriverConfig(Model):
    """A usage metric that cost is divided by: orders, active users, GB stored.

    Each named service's cost is divided by its own units; the cost of the company, its teams and tiers by all of them.
    """

    name: Name
    unit: Name = Field(description="one of them, in a word: order, user, GB")
    metric: Name = Field(description="of the usage data; a rate (orders_per_second) is counted over its time")
    stat: Literal["avg", "sum", "max"] = "avg"
    scale: Positive = Field(1, description="how much of the metric is one unit: 1073741824 bytes are a GiB")
    services: list[Name] | None = Field(None, description="whose metric it is; all that have it where absent")
    month: Literal["sum", "mean"] = Field(
        "sum", description="sum: counts of the month; mean: the month's average level, as of users or of GB stored"
    )
    company_wide: bool = Field(True, description="false: it says nothing of the company, its teams and tiers")
    per: Positive = Field(1000, description="how many of them a page and a report speak of: 1000 requests, 1 order")


class JourneyConfig(Model):
    """What a customer does, as requests at the services where it enters; the call graph carries them on."""

    name: Name
    enters: dict[Name, Annotated[float, Field(gt=0)]] = Field(
        min_length=1, description="service -> requests that one journey makes there itself"
    )
    stops_at: list[Name] = Field(
        [], description="services whose usual calls are not followed, as `enters` says what this journey asks of others"
    )
    driver: Name | None = Field(
        None, description="a driver that counts the journeys; absent: the demand of the first service of `enters`"
    )
    share_frac: Fraction = Field(1.0, description="how much of that count is this journey")
    per: Positive = Field(1000, description="how many of them a page and a report speak of")

    @model_validator(mode="after")
    def _counts(self) -> Self:
        if self.share_frac == 0:
            raise ValueError("share_frac: found 0; a journey that nobody makes has no cost: leave it out")
        return self


def unit_problems(config: Config) -> list[str]:
    """Names of drivers and journeys that are given twice or refer to nothing."""
    services = [s.name for s in config.services]
    drivers, journeys = [d.name for d in config.drivers], [j.name for j in config.journeys]
    out = [*_repeated("driver", drivers), *_repeated("journey", journeys)]
    for d in config.drivers:
        out += _unknown(f"drivers '{d.name}': services", d.services or [], services)
    for j in config.journeys:
        out += _unknown(f"journeys '{j.name}': enters", list(j.enters), services)
        out += _unknown(f"journeys '{j.name}': stops_at", j.stops_at, services)
        out += _unknown(f"journeys '{j.name}': driver", [j.driver] if j.driver else [], drivers)
    return out


def _repeated(kind: str, names: Sequence[str]) -> list[str]:
    return [f"{kind} '{n}' is given twice" for n in sorted({n for n in names if list(names).count(n) > 1})]


def _unknown(where: str, names: Sequence[str], known: Sequence[str]) -> list[str]:
    if not known:
        return [f"{where} names '{n}', but none is defined" for n in names]
    return [f"{where} names '{n}', which is not defined{did_you_mean(n, known)}" for n in names if n not in known]
