"""How numbers, money and days are written in sentences: the same in a terminal, a page and a report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

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


def percent(frac: float, *, signed: bool = False) -> str:
    """A fraction in per cent, to a tenth below 10 %, else whole; with its sign where asked.

    >>> percent(0.0312), percent(0.412), percent(-0.007, signed=True), percent(0.02, signed=True)
    ('3.1%', '41%', '−0.7%', '+2.0%')
    """
    value = abs(100.0 * frac)
    text = f"{value:.1f}" if round(value, 1) < 10 else f"{value:,.0f}"
    nothing = float(text.replace(",", "")) == 0.0
    sign = "" if nothing else "−" if frac < 0 else "+" if signed else ""
    return f"{sign}{text}%"


def times(factor: float) -> str:
    """A multiplier: 2.4×, 0.62×, 1.08×, 12×.

    >>> times(2.41), times(0.617), times(1.08), times(12.3)
    ('2.4×', '0.62×', '1.08×', '12×')
    """
    digits = 2 if factor < 1.5 else 1 if factor < 10 else 0
    return f"{factor:,.{digits}f}×"


def plural(count: int, word: str) -> str:
    """``count`` of a thing whose plural ends in s: 1 day, 3 days."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Names as in a sentence: a, b and c.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def unique(names: Iterable[str]) -> list[str]:
    """``names`` with a number where one is there twice: rows, columns and choices must differ.

    >>> unique(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out


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


def month_names(days: pd.DatetimeIndex) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """YYYY-MM of each of ``days``, on their own clock; what ``strftime`` gives, but each month is written once."""
    import numpy as np

    numbers, at = np.unique(np.asarray(days.year) * 100 + np.asarray(days.month), return_inverse=True)
    names = np.array([f"{number // 100:04d}-{number % 100:02d}" for number in numbers.tolist()], dtype=object)
    out: np.ndarray[tuple[int], np.dtype[np.object_]] = names[at]
    return out
