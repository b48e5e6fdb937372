"""Numbers, dates and names as text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import Interval
from capacity.ui import _format as fmt


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "$0"), (12.345, "$12.35"), (412_345.6, "$412,346"), (-5000, "−$5,000"), (None, "—"), (float("nan"), "—")],
)
def test_money(amount: float | None, text: str) -> None:
    assert fmt.money(amount) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(9_876, "$9,876"), (41_234, "$41.2k"), (412_345, "$412k"), (999_960, "$1.00M"), (1_239_000, "$1.24M"),
     (-2.5e9, "−$2.50B"), (Decimal(250_000), "$250k")],
)  # fmt: skip
def test_money_short_has_three_figures(amount: float, text: str) -> None:
    assert fmt.money_short(amount) == text


def test_other_currencies_show_their_code() -> None:
    assert fmt.money(1000, "CHF") == "CHF 1,000"
    assert fmt.money(1000, "EUR") == "€1,000"


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=10))
def test_exact_keeps_every_digit(amount: Decimal) -> None:
    text = fmt.exact(amount).replace("−", "-").replace("$", "").replace(",", "")
    assert Decimal(text) == amount
    assert len(text.split(".")[1]) >= 2


@pytest.mark.parametrize(("frac", "text"), [(0.183, "18%"), (-0.2, "−20%"), (-0.001, "0%"), (None, "—")])
def test_percent(frac: float | None, text: str) -> None:
    assert fmt.percent(frac) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.4, "1,234 req/s"), (12.34, "12.3 req/s"), (0.5, "0.5 req/s"), (3.0, "3 req/s"), (None, "—")],
)
def test_quantity(value: float | None, text: str) -> None:
    assert fmt.quantity(value, "1/s") == text


def test_unit_price_keeps_three_figures() -> None:
    assert fmt.unit_price(Decimal("0.0029134")) == "$0.00291"
    assert fmt.unit_price(3.14159) == "$3.14"
    assert fmt.unit_price(None) == "—"


def test_interval_says_its_confidence() -> None:
    assert fmt.interval(Interval(10, 20, 30, 0.8), "1/s") == "20 req/s (10 to 30, 80%)"


def test_no_date_is_said_in_words() -> None:
    assert fmt.day(None) == "Not within the horizon"
    assert fmt.day(date(2027, 3, 8)) == "08 Mar 2027"
    assert fmt.moment(datetime(2026, 11, 24, 6, tzinfo=UTC)) == "24 Nov 2026 06:00 UTC"


@pytest.mark.parametrize(("days", "text"), [(0.29, "7 h"), (1.2, "1 day"), (65.25, "65 days"), (None, "no data")])
def test_age(days: float | None, text: str) -> None:
    assert fmt.age(days) == text


@given(st.text(max_size=60))
def test_plain_text_survives_markdown(text: str) -> None:
    """Without the escapes the text is what it was, and nothing that markdown reads is left unescaped."""
    made = fmt.plain(text)
    assert made.replace("\u2060", "").replace("\\\\", "\0").replace("\\", "").replace("\0", "\\") == fmt.visible(
        text
    ).replace("\u2060", "")
    bare = made.replace("\\\\", "")
    for i, char in enumerate(bare):
        if char in "`*_{}[]()<>#+-.!|~:$&@^=":
            assert bare[i - 1] == "\\"


def test_names_cannot_turn_the_text_after_them() -> None:
    assert fmt.visible("a\u202egnp.exe\tb\n\x00c") == "a gnp.exe b c"


@given(st.text(min_size=1, max_size=200), st.integers(5, 60))
def test_shortened_names_keep_both_ends(text: str, width: int) -> None:
    short = fmt.shorten(text, width)
    assert len(short) <= width
    assert short[0] == text[0]
    assert short[-1] == text[-1]
