"""How the tool forecasts and optimises, and how long remedies take."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from capacity.config._base import Fraction, Model, Positive


class LeadTimes(Model):
    """Days between deciding and having, by remedy; order-by date = P10 date - lead time."""

    quota: int = Field(14, ge=0)
    scale_out: int = Field(1, ge=0)
    migration: int = Field(45, ge=0)
    commitment: int = Field(7, ge=0)
    procurement: int = Field(30, ge=0)


CommitmentProduct = Literal["compute_sp", "ec2_instance_sp", "standard_ri"]
TermYears = Literal[1, 3]


def _number(key: Any) -> Any:
    """Keys of a mapping are text in a config file."""
    return int(key) if isinstance(key, str) and key.isdigit() else key


Payment = Literal["no_upfront", "partial_upfront", "all_upfront"]


class CommitmentPolicy(Model):
    """Which commitments may be bought, and what a purchase must keep to."""

    products: list[CommitmentProduct] = Field(["compute_sp", "ec2_instance_sp", "standard_ri"], min_length=1)
    terms: list[TermYears] = Field([1, 3], min_length=1, description="years")
    payments: list[Payment] = Field(["no_upfront", "partial_upfront", "all_upfront"], min_length=1)
    max_break_even_months: dict[Annotated[TermYears, BeforeValidator(_number)], Positive] = Field(
        {1: 9.0, 3: 18.0}, description="by term in years: the purchase must have paid for itself by then"
    )
    least_utilisation_frac: Fraction = Field(0.8, description="of a purchase, under the P10 of the forecast")
    risk_weight: Fraction = Field(0.0, description="weight of the worst tenth of futures beside the mean of all")
    least_hourly_usd: float = Field(0.1, ge=0, description="a smaller purchase is not worth a decision")
    largest_new_hourly_usd: Positive | None = Field(None, description="of all purchases together, in any month")
    ladder_months: int = Field(6, ge=1, le=36, description="purchases may be spread over so many first days of months")

    @model_validator(mode="after")
    def _every_term_has_its_limit(self) -> Self:
        missing = [str(t) for t in self.terms if t not in self.max_break_even_months]
        if missing:
            raise ValueError(f"max_break_even_months: no months for the term of {' and '.join(missing)} year(s)")
        return self


class OptimizeConfig(Model):
    time_limit_seconds: float = Field(30.0, gt=0)
    gap_frac: float = Field(0.002, ge=0)
    solver: Literal["highs", "cbc"] = "highs"
    most_types: int | None = Field(2, ge=1, le=2, description="instance types a service may mix; null: as many as pay")
    load_blocks: int = Field(4, ge=1, le=24)
    switching_penalty_frac: float = Field(0.02, ge=0, description="of a type's price, for leaving the running fleet")
    spot_rates: Literal["stored", "catalogue"] = Field(
        "stored", description="where no spot rate is stored: none is taken, or the catalogue's saving with its date"
    )
    why_seconds: float = Field(
        30.0,
        ge=0,
        description="at most, for what requirements cost and again for other plans; 0: neither is looked for",
    )
    why_prices: int = Field(
        12, ge=1, description="requirements that are moved to see what they cost, the dearest first"
    )
    commitments: CommitmentPolicy | None = Field(None, description="what may be bought; nothing where absent")


class ForecastConfig(Model):
    horizon_days: int = Field(182, ge=7, le=730)
    history_days: int = Field(1095, ge=14)
    past_origins: int = Field(4, ge=1, le=24)
    paths: int = Field(1000, ge=50, le=10_000)
    workers: int | None = Field(None, ge=1, description="processes; the number of cores where absent")
    scheduler: str | None = Field(
        None,
        pattern=r"^[a-z]+://[^\s/]+$",
        description="a Dask scheduler, tcp://host:port: its workers forecast instead; needs capacity[cluster]",
    )
    stale_after_days: int = Field(3, ge=0, description="usage older than this at as_of is an error (exit 3)")
