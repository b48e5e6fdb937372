"""When the company's year begins."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from capacity.config._base import Model
from capacity.fiscal import Calendar


class FiscalYear(Model):
    """The fiscal calendar: quarters and years of totals, budgets and bridges are its."""

    starts: int = Field(1, ge=1, le=12, description="first month of the year; 1 is the calendar year")
    named_by: Literal["end", "start"] = Field(
        "end", description="FY2027 is the year that ends in 2027, or the one that starts in it"
    )

    @property
    def calendar(self) -> Calendar:
        return Calendar(self.starts, self.named_by)
