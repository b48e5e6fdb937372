"""One definition of a table for both readers: words in the HTML, numbers in the workbook."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from capacity.charts import visible
from capacity.words import day, quantity

# long is text of a sentence or more, status one word; quantity holds (number, unit); exact is a Decimal told to its
# last digit; cents is money of which cents count; per is a price of 1,000 units.
Kind = Literal[
    "text", "long", "status", "money", "cents", "exact", "per", "percent", "percent1", "ratio", "number", "quantity",
    "date", "month",
]  # fmt: skip
TEXTS: frozenset[str] = frozenset({"text", "long", "status"})
NUMERIC: frozenset[str] = frozenset(
    {"money", "cents", "exact", "per", "percent", "percent1", "ratio", "number", "quantity"}
)
NONE = "–"
# What an amount of nothing reads as where nothing has a meaning of its own.
NEVER = "not in horizon"


@dataclass(frozen=True)
class Column:
    """A heading, what stands below it, and what None reads as; ``only`` one reader may need it."""

    head: str
    kind: Kind = "text"
    none: str = NONE
    only: Literal["page", "sheet"] | None = None

    @property
    def numeric(self) -> bool:
        return self.kind in NUMERIC


@dataclass(frozen=True)
class Table:
    """Raw values by row. ``total`` is a last row that sums; ``note`` stands below."""

    name: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Any, ...]]
    total: tuple[Any, ...] | None = None
    note: str = ""

    def for_reader(self, reader: Literal["page", "sheet"]) -> Table:
        """The columns that concern ``reader``: paper is narrow, a sheet is not."""
        keep = [i for i, c in enumerate(self.columns) if c.only in (None, reader)]

        def chosen(row: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(row[i] for i in keep)

        total = None if self.total is None else chosen(self.total)
        return replace(self, columns=chosen(self.columns), rows=[chosen(r) for r in self.rows], total=total)

    def first(self, most: int, book: str = "report.xlsx") -> Table:
        """The first ``most`` rows, with a note of how many the workbook ``book`` has beside them."""
        left = len(self.rows) - most
        if left <= 0:
            return self
        more = f"{left:,} more row{'s' if left > 1 else ''} in {book}."
        return replace(self, rows=self.rows[:most], note=f"{more} {self.note}".strip())

    def cells(self, row: Sequence[Any]) -> list[tuple[str, str]]:
        """``row`` as a reader sees it: each cell's words and its CSS classes."""
        return [(text, _classes(column, text)) for text, column in zip(self.words(row), self.columns, strict=True)]

    def words(self, row: Sequence[Any]) -> list[str]:
        """``row`` as a reader sees it."""
        return [say(value, column.kind, column.none) for value, column in zip(row, self.columns, strict=True)]


# Words that stand out, beside their column's own look.
_TONES = {
    "overdue": "alarm",
    "fatal": "alarm",
    "error": "alarm",
    "NO-GO": "alarm",
    "stale": "alarm",
    "does not tie": "alarm",
    "GO": "fine",
}


def _classes(column: Column, text: str) -> str:
    tone = _TONES.get(text, "") if column.kind == "status" else ""
    found = [column.kind, "n" if column.numeric else "", "none" if text == column.none else "", tone]
    return " ".join(c for c in found if c)


def missing(value: Any) -> bool:
    """None, NaN, NaT and infinities: nothing that can be told as a number."""
    return value is None or bool(value != value) or (isinstance(value, float) and math.isinf(value))


def say(value: Any, kind: Kind, none: str = NONE) -> str:
    """``value`` in words; ``none`` where there is none."""
    if kind == "quantity":
        return none if value is None or missing(value[0]) else quantity(float(value[0]), visible(value[1]))
    if missing(value):
        return none
    if kind in TEXTS:
        return visible(value) or none
    if kind == "date":
        return day(value, none)
    return _number(value, kind)


def _number(value: Any, kind: Kind) -> str:
    match kind:
        case "money":
            return money(value)
        case "cents":
            return _signed(value, f"{abs(value):,.2f}")
        case "exact":
            return exact(value)
        case "per":
            return per_thousand(value)
        case "percent":
            return percent(float(value))
        case "percent1":
            return percent(float(value), 1)
        case "ratio":
            return _signed(value, f"{abs(value):,.2f}")
        case "number":
            whole = float(value) == int(value) or abs(value) >= 1000
            return _signed(value, f"{abs(value):,.0f}" if whole else f"{abs(value):,.3g}")
        case _:
            return visible(value)


def money(value: float | Decimal) -> str:
    """Whole units of the currency, thousands apart; cents below 100."""
    digits = 2 if 0.005 <= abs(float(value)) < 100 else 0
    return _signed(value, f"{abs(value):,.{digits}f}")


def exact(value: Decimal) -> str:
    """Every digit of a decimal, and at least cents."""
    whole, _, part = f"{abs(value):,f}".partition(".")
    return _signed(value, f"{whole}.{part.rstrip('0').ljust(2, '0')}")


def per_thousand(value: float | Decimal) -> str:
    """A price with three significant digits: 0.00358, 1.24."""
    size = abs(float(value))
    digits = 2 if size >= 1 or size == 0 else min(9, 2 - math.floor(math.log10(size)))
    return _signed(value, f"{size:,.{digits}f}")


def percent(value: float, digits: int = 0) -> str:
    """.183 as 18%."""
    return _signed(round(value, digits + 2), f"{abs(value) * 100:,.{digits}f}%")


def sentence(text: str) -> str:
    """``text`` with a capital first letter and a full stop."""
    shown = visible(text).strip()
    return f"{shown[:1].upper()}{shown[1:]}{'' if shown.endswith(('.', '!', '?')) else '.'}" if shown else ""


def moment(value: datetime | None) -> str:
    """5 Oct 2026 06:00 UTC."""
    return NONE if value is None else f"{day(value.date())} {value:%H:%M} UTC"


def _signed(value: float | Decimal, text: str) -> str:
    """``text``, which has no sign, with a true minus where ``value`` has one and does not round to nothing."""
    return f"−{text}" if value < 0 and any(c in "123456789" for c in text) else text
