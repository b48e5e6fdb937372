"""Budgets: what may be spent in a month, a quarter or a year, by the company, a team or a service."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from capacity.config._base import Model, Name, did_you_mean
from capacity.errors import UsageError

PeriodKind = Literal["month", "quarter", "year"]
BudgetLevel = Literal["company", "team", "service"]


class BudgetConfig(Model):
    """One amount for one period; of the company where neither a team nor a service is named."""

    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")] | None = None
    quarter: Annotated[str, Field(pattern=r"^(FY)?\d{4}-Q[1-4]$")] | None = None
    year: Annotated[str, Field(pattern=r"^(FY)?\d{4}$")] | None = None
    team: Name | None = None
    service: Name | None = None
    amount: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = Field(None, description="the company's")
    includes: Literal["running", "all"] = Field(
        "running", description="running: without tax, credits, refunds and one-off purchases; all: with them"
    )

    @model_validator(mode="after")
    def _one_period_of_one(self) -> Self:
        if sum(x is not None for x in (self.month, self.quarter, self.year)) != 1:
            raise ValueError("give exactly one of month (2026-10), quarter (2026-Q4) and year (2027)")
        if self.team is not None and self.service is not None:
            raise ValueError("give a team or a service, not both; with neither it is the company's budget")
        return self

    @property
    def period_kind(self) -> PeriodKind:
        return "month" if self.month is not None else "quarter" if self.quarter is not None else "year"

    @property
    def period(self) -> str:
        """2026-10, 2026-Q4 or 2027; FY2027-Q3 or FY2027 where the fiscal year is not the calendar's."""
        return self.month or self.quarter or self.year or ""

    @property
    def level(self) -> BudgetLevel:
        return "team" if self.team is not None else "service" if self.service is not None else "company"

    @property
    def name(self) -> str:
        """The team or service; empty for the company."""
        return self.team or self.service or ""


def _checked(budgets: list[BudgetConfig], info: ValidationInfo) -> list[BudgetConfig]:
    """No two budgets for the same thing, no team or service that is not there, no other currency."""
    known = info.data
    faults = [*_twice(budgets), *_unknown(budgets, known), *_foreign(budgets, known), *_elsewhen(budgets, known)]
    if faults:
        # Raised inside a validator its places are joined to that of the list: each fault is told with its own line.
        raise ValidationError.from_exception_data("budgets", faults)
    return budgets


Budgets = Annotated[list[BudgetConfig], AfterValidator(_checked)]


def _fault(at: tuple[int | str, ...], text: str, found: object) -> InitErrorDetails:
    error = PydanticCustomError("value_error", "{error}", {"error": text})
    return InitErrorDetails(type=error, loc=at, input=found)


def _twice(budgets: list[BudgetConfig]) -> Iterator[InitErrorDetails]:
    first: dict[tuple[str, str, str], BudgetConfig] = {}
    for i, budget in enumerate(budgets):
        known = first.setdefault((budget.level, budget.name, budget.period), budget)
        if known is not budget:
            whose = f"{budget.level} '{budget.name}'" if budget.name else "the company"
            text = (
                f"a second budget of {whose} for {budget.period}: {known.amount} is given before, {budget.amount} "
                "here; keep one of them"
            )
            yield _fault((i,), text, budget.period)


def _unknown(budgets: list[BudgetConfig], known: dict[str, Any]) -> Iterator[InitErrorDetails]:
    services = known.get("services")
    if services is None:
        return  # they have faults of their own
    names: dict[str, list[str]] = {
        "service": [s.name for s in services], "team": sorted({s.team for s in services if s.team})
    }  # fmt: skip
    for i, budget in enumerate(budgets):
        if budget.level == "company" or budget.name in names[budget.level]:
            continue
        allowed = names[budget.level]
        near = did_you_mean(budget.name, allowed) if allowed else f"; no service names a {budget.level}"
        yield _fault((i, budget.level), f"no {budget.level} is called '{budget.name}'{near}", budget.name)


def _elsewhen(budgets: list[BudgetConfig], known: dict[str, Any]) -> Iterator[InitErrorDetails]:
    """Quarters and years of another calendar than the company's."""
    fiscal = known.get("fiscal_year")
    for i, budget in enumerate(budgets):
        try:
            if fiscal is not None:
                fiscal.calendar.months_of(budget.period)
        except UsageError as error:
            yield _fault((i, budget.period_kind), str(error).removeprefix("period: "), budget.period)


def _foreign(budgets: list[BudgetConfig], known: dict[str, Any]) -> Iterator[InitErrorDetails]:
    own = known.get("currency")
    for i, budget in enumerate(budgets):
        if own is not None and budget.currency not in (None, own):
            text = (
                f"found {budget.currency}; spend is forecast in the company's currency, {own}, and amounts in "
                f"different currencies are never compared: give the budget in {own}"
            )
            yield _fault((i, "currency"), text, budget.currency)
