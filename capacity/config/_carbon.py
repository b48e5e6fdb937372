"""Carbon beside money: off unless asked for, and only from figures that have a source."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Self

from pydantic import Field, model_validator

from capacity.config._base import Model, Name, Positive

_Source = Annotated[str, Field(min_length=3, max_length=400, description="who says so, and where")]


class GridFactor(Model):
    """What a kilowatt-hour of a region's grid emits (location-based)."""

    g_per_kwh: float = Field(ge=0, le=3000, description="grams of CO2 equivalent")
    source: _Source
    as_of: date


class PowerUsage(Model):
    """Power usage effectiveness: all power of a data centre over that of its machines."""

    value: Annotated[float, Field(ge=1, le=3)]
    source: _Source
    as_of: date


class CarbonConfig(Model):
    """Energy and emissions of instances in use. Nothing is shown unless it is enabled."""

    enabled: bool = False
    power: str | None = Field(
        None, description="CSV file: instance_type, idle_watts, max_watts, source, as_of (YYYY-MM-DD)"
    )
    pue: PowerUsage | None = Field(None, description="of all regions that have none of their own")
    regional_pue: dict[Name, PowerUsage] = {}
    grid: dict[Name, GridFactor] = Field({}, description="by region")
    largest_watts: Positive = Field(20_000, description="a figure beyond this is a misread one")

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.enabled:
            lacking = [n for n, v in (("power", self.power), ("pue", self.pue), ("grid", self.grid)) if not v]
            if lacking:
                raise ValueError(
                    f"enabled: found true, but no {' and no '.join(lacking)}; give them with their sources: nothing is "
                    "assumed"
                )
        return self
