"""How the tool forecasts and optimises, and how long remedies take."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capacity.config._base import Model


class LeadTimes(Model):
    """Days between deciding and having, by remedy; order-by date = P10 date - lead time."""

    quota: int = Field(14, ge=0)
    scale_out: int = Field(1, ge=0)
    migration: int = Field(45, ge=0)
    commitment: int = Field(7, ge=0)
    procurement: int = Field(30, ge=0)


class OptimizeConfig(Model):
    time_limit_seconds: float = Field(30.0, gt=0)
    gap_frac: float = Field(0.002, ge=0)
    solver: Literal["highs", "cbc"] = "highs"
    most_types: int | None = Field(2, ge=1, le=2, description="instance types a service may mix; null: as many as pay")
    load_blocks: int = Field(4, ge=1, le=24)
    switching_penalty_frac: float = Field(0.02, ge=0, description="of a type's price, for leaving the running fleet")


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
