"""How numbers, money and days are written in sentences: the same in a terminal, a page and a report."""

from __future__ import annotations

import math
from datetime import date

# How units of the canonical frames are said; "1" counts things and needs no word.
SPOKEN = {"1/s": "req/s", "1": "", "By": "bytes"}
_BYTES = ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if not math.isfinite(value):
        return "unlimited"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def quantity(value: float, measure: str) -> str:
    """A number with its unit: 888 req/s, 17.6 TB, 48 vCPU.

    >>> quantity(17_592_186_044_416, "By"), quantity(888.4, "1/s"), quantity(2000, "1")
    ('17.6 TB', '888 req/s', '2,000')
    """
    if measure == "By":
        for factor, name in _BYTES:
            if abs(value) >= factor:
                return f"{number(value / factor)} {name}"
    return f"{number(value)} {SPOKEN.get(measure, measure)}".strip()


def usd(value: float) -> str:
    """Whole dollars, a minus sign that is one."""
    return f"{'−' if value < 0 else ''}${abs(value):,.0f}"


def money(value: float, currency: str) -> str:
    """A whole amount: $1,234 or EUR 1,234.

    >>> money(-1234.4, "USD"), money(1234.4, "EUR")
    ('−$1,234', 'EUR 1,234')
    """
    return usd(value) if currency == "USD" else f"{'−' if value < 0 else ''}{currency} {abs(value):,.0f}"


def price(value: float, currency: str) -> str:
    """A small amount to three digits: $0.0412 or EUR 0.0412."""
    return f"{'$' if currency == 'USD' else currency + ' '}{number(value)}"


def day(value: date | None, none: str = "–") -> str:
    """12 Jan 2027."""
    return f"{value.day} {value:%b %Y}" if value else none
