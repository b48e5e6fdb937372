"""Invoices entered by hand, and exchange rates with their dates."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from capacity.config._base import Model, Name

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class InvoiceConfig(Model):
    """What an invoice says in all: the bill of its month, or of one billing account of it, is held to it."""

    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="billing month, YYYY-MM")]
    amount: Decimal
    currency: Currency | None = Field(None, description="the company's where absent")
    account: Name | None = Field(None, description="BillingAccountId; all accounts where absent")
    tolerance: Annotated[Decimal, Field(ge=0)] = Field(
        Decimal("0.01"), description="invoices round each line to cents; a difference up to this still ties"
    )
    number: str = Field("", description="the invoice's own number, shown beside it")


class ExchangeRate(Model):
    """``rate`` units of ``to`` are one unit of ``from``, as of a day, from a source."""

    from_currency: Currency = Field(alias="from")
    to_currency: Currency = Field(alias="to")
    rate: Annotated[Decimal, Field(gt=0)]
    as_of: date
    source: Name = Field(description="who says so: a central bank, the invoice, the treasury")

    @model_validator(mode="after")
    def _two(self) -> Self:
        if self.from_currency == self.to_currency:
            raise ValueError(f"from and to are both {self.to_currency}; a currency needs no rate to itself")
        return self
