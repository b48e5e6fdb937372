"""Numbers, dates and names as text for a page. Nothing here knows streamlit, and nothing computes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from capacity import words
from capacity.domain import Interval

NEVER = "Not within the horizon"
NONE = "—"

_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:$&@^=])")
# Controls, and what turns the direction of the text after it: a name must not rewrite its neighbours.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]+")
# Zero-width: keeps markdown from making a link, an emoji or an icon of what comes after it.
_JOINER = "\u2060"


def visible(text: str) -> str:
    """``text`` on one line, without characters that nobody sees: for st.text, tables and lists of choices."""
    return " ".join(_UNSEEN.sub(" ", text).split())


def sentence(text: str) -> str:
    """``text`` with a capital at its start."""
    shown = visible(text)
    return shown[:1].upper() + shown[1:]


def plain(text: str) -> str:
    """``text`` for a place that reads markdown, so that it shows as it is: no link, image, icon or style."""
    escaped = _PUNCTUATION.sub(r"\\\1", visible(text))
    return re.sub(r"(\\[:@])|(?i:(www)(?=\\\.))", lambda m: m.group(0) + _JOINER, escaped)


def shorten(text: str, width: int = 40) -> str:
    """``text`` cut in its middle to ``width`` characters: both ends of a long name tell it from others."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 3
    return f"{text[: width - 1 - tail]}…{text[-tail:]}"


def sign(currency: str) -> str:
    """The currency's sign, or its code and a space."""
    return _SIGNS.get(currency, f"{currency} ")


def money(amount: float | Decimal | None, currency: str = "USD") -> str:
    """Whole units: $12,345. Cents below 100."""
    if amount is None or not math.isfinite(amount):
        return NONE
    digits = 2 if 0 < abs(float(amount)) < 100 else 0
    return f"{'−' if amount < 0 else ''}{sign(currency)}{abs(amount):,.{digits}f}"


def money_short(amount: float | Decimal | None, currency: str = "USD") -> str:
    """Three figures that count: $412k, $1.24M."""
    if amount is None or not math.isfinite(amount):
        return NONE
    size = abs(float(amount))
    for limit, suffix in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if size >= limit * 0.9995:
            unit = 1e3 if suffix == "k" else limit
            value = size / unit
            return f"{'−' if amount < 0 else ''}{sign(currency)}{value:,.{_digits(value)}f}{suffix}"
    return money(amount, currency)


def _digits(value: float) -> int:
    return 0 if value >= 99.95 else 1 if value >= 9.995 else 2


def exact(amount: Decimal, currency: str = "USD") -> str:
    """Every digit of a decimal, with at least cents: what an equation over a bill is written in."""
    text = f"{abs(amount):,f}"
    whole, _, part = text.partition(".")
    part = part.rstrip("0").ljust(2, "0")
    return f"{'−' if amount < 0 else ''}{sign(currency)}{whole}.{part}"


def unit_price(amount: Decimal | float | None, currency: str = "USD") -> str:
    """A price per 1,000: three significant figures."""
    if amount is None or not math.isfinite(amount):
        return NONE
    size = abs(float(amount))
    digits = 2 if size >= 1 or size == 0 else min(8, 2 - math.floor(math.log10(size)))
    return f"{sign(currency)}{amount:,.{digits}f}"


def percent(frac: float | None, digits: int = 0) -> str:
    """0.183 as 18%."""
    if frac is None or not math.isfinite(frac):
        return NONE
    text = f"{abs(frac):.{digits}%}"
    return f"−{text}" if frac < 0 and text.strip("0.%") else text


def change(frac: float) -> str:
    """0.09 as +9%. The sign is a plain hyphen: the arrow of a metric reads it."""
    return f"{frac:+.0%}"


def quantity(value: float | None, unit: str = "") -> str:
    """1,234 req/s: as terminal and report write it."""
    return NONE if value is None or not math.isfinite(value) else words.quantity(value, unit)


def interval(value: Interval | None, unit: str = "") -> str:
    """The middle, and the ends with their confidence."""
    if value is None:
        return NONE
    ends = f"{quantity(value.low)} to {quantity(value.high)}, {value.confidence:.0%}"
    return f"{quantity(value.mid, unit)} ({ends})"


def day(value: date | None, never: str = NEVER) -> str:
    """08 Mar 2027; in words where there is no date."""
    return f"{value:%d %b %Y}" if value is not None else never


def moment(value: datetime | None) -> str:
    """24 Nov 2026 06:00 UTC."""
    return f"{value:%d %b %Y %H:%M} UTC" if value is not None else NONE


def age(days: float | None) -> str:
    """An age in words that a meeting uses."""
    if days is None:
        return "no data"
    if days < 1:
        return f"{days * 24:.0f} h"
    return f"{days:.0f} day" if round(days) == 1 else f"{days:.0f} days"


def count(number: int, one: str, many: str = "") -> str:
    """1 service, 3 services."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(names: Sequence[str]) -> str:
    """Names with commas; a dash where there are none."""
    return ", ".join(names) if names else NONE
