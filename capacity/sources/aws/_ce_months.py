"""Billing months, and the kinds of charge that Cost Explorer tells apart by RECORD_TYPE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

# A month still moves while the next one runs: late usage, taxes, credits.
_OPEN_MONTHS = 2


@dataclass(frozen=True, order=True)
class Month:
    """A billing month (UTC)."""

    year: int
    month: int

    @classmethod
    def of(cls, day: date) -> Month:
        return cls(day.year, day.month)

    def plus(self, months: int) -> Month:
        index = self.year * 12 + self.month - 1 + months
        return Month(index // 12, index % 12 + 1)

    @property
    def first_day(self) -> date:
        return date(self.year, self.month, 1)

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """Exclusive."""
        return self.plus(1).start

    def __str__(self) -> str:
        return f"{self.year}-{self.month:02}"

    def settled_at(self, moment: datetime) -> bool:
        """Whether it is rarely changed any more: neither the current month nor the one before."""
        return self.plus(_OPEN_MONTHS).first_day <= moment.astimezone(UTC).date()


def history(now: datetime, closed: int) -> list[Month]:
    """``closed`` whole months and the days of the current one before today, oldest first."""
    today = now.astimezone(UTC).date()
    current = Month.of(today)
    months = [current.plus(-i) for i in range(closed, 0, -1)]
    return [*months, current] if today > current.first_day else months


def runs(months: Iterable[Month]) -> list[list[Month]]:
    """Months that follow each other, together."""
    out: list[list[Month]] = []
    for month in sorted(months):
        if out and out[-1][-1].plus(1) == month:
            out[-1].append(month)
        else:
            out.append([month])
    return out


def span(months: Sequence[Month], now: datetime) -> dict[str, str]:
    """TimePeriod of consecutive months: the end is exclusive, and today is not over."""
    end = min(months[-1].plus(1).first_day, now.astimezone(UTC).date())
    return {"Start": months[0].first_day.isoformat(), "End": end.isoformat()}


def said(months: Sequence[Month]) -> str:
    """``2026-09``, or ``2026-09 to 2026-11``."""
    return str(months[0]) if len(months) == 1 else f"{months[0]} to {months[-1]}"


@dataclass(frozen=True)
class Kind:
    """Charges that are asked for together and become rows of one FOCUS ChargeCategory.

    Attributes
    ----------
    record_types
        Values of RECORD_TYPE: the line item types of the Cost and Usage Report, and the labels that Cost Explorer
        itself uses. The kind without any takes what no other names.
    """

    name: str
    category: str
    record_types: tuple[str, ...]
    frequency: str | None = None


# A Savings Plan's covered usage and its negation cancel in the billed amount only when they are added; discounts
# belong to the usage they reduce (and are 0 in net amounts). So all of them are one kind.
USAGE = Kind(
    "usage",
    "Usage",
    (
        "Usage", "DiscountedUsage", "SavingsPlanCoveredUsage", "SavingsPlanNegation",
        "Reservation applied usage", "Savings Plan Covered Usage", "Savings Plan Negation",
        "Discount", "BundledDiscount", "Bundled Discount", "EdpDiscount", "Enterprise Discount Program Discount",
        "PrivateRateDiscount", "Private Rate Card Discount", "Private Rate Discount", "RiVolumeDiscount",
        "RI Volume Discount", "SppDiscount", "Solution Provider Program Discount", "Distributor Discount",
    ),
    "Usage-Based",
)  # fmt: skip
# What is billed buys the commitment; what is amortised here is the part of it that nothing used.
COMMITMENT = Kind(
    "commitment fees",
    "Purchase",
    ("RIFee", "SavingsPlanRecurringFee", "Recurring", "Recurring reservation fee", "Savings Plan Recurring Fee"),
    "Recurring",
)
FEE = Kind(
    "fees",
    "Purchase",
    (
        "Fee", "SavingsPlanUpfrontFee", "Savings Plan Upfront Fee", "Upfront", "Upfront reservation fee",
        "Support", "Support fee", "FlatRateSubscription",
    ),
)  # fmt: skip
TAX = Kind("tax", "Tax", ("Tax",))
CREDIT = Kind("credits", "Credit", ("Credit",), "One-Time")
OTHER = Kind("refunds and adjustments", "Adjustment", ())
# Refunds are named so that only what nobody knows is remarked on.
KNOWN_ADJUSTMENTS = ("Refund", "Other", "Other out-of-cycle charges")
KINDS = (USAGE, COMMITMENT, FEE, TAX, CREDIT, OTHER)
_KIND_OF = {record_type: kind for kind in KINDS for record_type in kind.record_types}


def kind_of(record_type: str) -> Kind:
    """The kind that a RECORD_TYPE belongs to."""
    return _KIND_OF.get(record_type, OTHER)
