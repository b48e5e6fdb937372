"""The waterfall of the bridge: its numbers, its words, and that it is read without colour, in light and in dark."""

from __future__ import annotations

import re
from decimal import Decimal
from xml.etree import ElementTree

import pandas as pd
import pytest

from capacity import charts
from capacity.charts._bridge import KINDS, bridge_waterfall
from capacity.costs import TERMS

CASES = {
    "small terms": (322977, [2117, -2496, -9, 0, 0, 762, 0, -1168]),
    "no term": (1000, [0] * 8),
    "huge terms": (1000, [5_000_000, -2_500_000, 300_000, -900_000, 12, 0, 400_000, -30_000]),
    "below zero": (500, [0, 0, 0, 0, 0, -200, 0, -900]),
    "from nothing": (0, [0, 0, 0, 0, 0, 0, 1234.5, 0]),
}


def frame(
    start: float, terms: list[float], currency: str = "USD", periods: tuple[str, str] = ("a", "b")
) -> pd.DataFrame:
    amounts = [Decimal(str(t)) for t in terms]
    first = Decimal(str(start))
    row = [*periods, currency, first, *amounts, first + sum(amounts)]
    return pd.DataFrame([row], columns=["from_period", "to_period", "currency", "start", *TERMS, "end"])


def texts(svg: str) -> list[tuple[str, str]]:
    root = ElementTree.fromstring(svg)
    return [(e.get("fill", ""), e.text) for e in root.iter("{http://www.w3.org/2000/svg}text") if e.text]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("case", CASES)
def test_every_step_has_its_name_and_its_signed_amount(case: str, theme: charts.Theme) -> None:
    start, terms = CASES[case]
    found = texts(charts.to_svg(bridge_waterfall(frame(start, terms), theme, ("a", "b")), 640))
    words = [t for _, t in found]
    assert {"a", "b", "volume", "list rate", "one-off", *KINDS} <= set(words)
    for change in terms:
        label = "0" if not change else f"{abs(change):,.2f}" if abs(change) < 100 else f"{abs(change):,.0f}"
        signed = label if not change else f"+{label} ▲" if change > 0 else f"−{label} ▼"
        assert signed in words
    assert not re.search(r"\b(NaN|None|null|undefined|Infinity)\b", " ".join(words))
    for fill, text in found:
        assert charts.contrast(fill, charts.INKS[theme].ground) >= 4.5, text


def test_a_scale_that_does_not_begin_at_zero_says_so() -> None:
    def says(case: str) -> bool:
        found = texts(charts.to_svg(bridge_waterfall(frame(*CASES[case])), 640))
        return any("does not begin at zero" in t for _, t in found)

    assert says("small terms")
    assert not says("huge terms")


def test_one_pair_of_periods_and_one_currency_are_drawn() -> None:
    rows = pd.concat([frame(1, [0] * 8), frame(200, [0] * 8, periods=("q1", "q2")), frame(3e6, [0] * 8, "EUR")])

    def drawn(**chosen: object) -> set[str]:
        return {t for _, t in texts(charts.to_svg(bridge_waterfall(rows, "light", **chosen), 640))}  # type: ignore[arg-type]

    assert {"3,000,000", "a", "EUR, effective cost"} <= drawn()
    assert {"200", "q1", "q2"} <= drawn(periods=("q1", "q2"))
    assert {"1.00", "a"} <= drawn(currency="USD")
    assert any("No bridge" in t for t in drawn(periods=("x", "y")))


def test_no_rows_give_a_chart_that_says_so_and_hostile_names_stay_text() -> None:
    assert any("No bridge" in t for _, t in texts(charts.to_svg(bridge_waterfall(frame(1, [0] * 8)[:0]), 640)))
    svg = charts.to_svg(bridge_waterfall(frame(1, [0] * 8), "light", ("<script>x</script>", "b")), 640)
    assert "<script" not in svg
