"""Charts of commitments: coverage by product, the ladder of purchases, and regret on both sides of what is expected."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest

from capacity import charts
from capacity.charts._commitments import OTHERS
from capacity.charts._price import MAX_PURCHASES
from capacity.plan import FRAMES

THEMES: tuple[charts.Theme, ...] = ("light", "dark")


def purchases(count: int = 3) -> pd.DataFrame:
    rows = [
        {"month": ("2026-12", "2026-10", "2026-11")[i % 3], "hourly_usd": 10.0 / (i + 1),
         "break_even": ("2027-06", None)[i % 2], "regret_q10": 120.0 * i, "regret_q90": 310.0}
        for i in range(count)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(FRAMES["purchases"]))


def named(count: int = 3) -> list[str]:
    return [f"plan {i}" for i in range(count)]


def texts(chart: Any) -> list[str]:
    svg = charts.to_svg(chart, 700)
    ElementTree.fromstring(svg)
    found = re.findall(r">([^<>]+)</text>", svg)
    assert not re.search(r"\b(NaN|None|null|undefined|Infinity)\b", " ".join(found))
    return found


@pytest.mark.parametrize("theme", THEMES)
def test_the_ladder_goes_up_in_the_order_of_buying(theme: charts.Theme) -> None:
    chart = charts.purchase_ladder(purchases(), named(), theme)
    said = texts(chart)
    assert [t for t in said if t.startswith("plan ")] == ["plan 1", "plan 2", "plan 0"]
    assert {"2026-10: +5.00", "2026-12: +10.00, pays off by 2027-06"} <= set(said)
    bars = next(iter(chart.to_dict()["datasets"].values()))
    assert [b["at"] for b in bars[1:]] == [b["to"] for b in bars[:-1]]
    assert bars[-1]["to"] == pytest.approx(10 + 5 + 10 / 3)


def test_many_purchases_end_in_one_rung_that_keeps_the_sum() -> None:
    chart = charts.purchase_ladder(purchases(40), named(40))
    bars = next(iter(chart.to_dict()["datasets"].values()))
    assert len(bars) == MAX_PURCHASES + 1
    assert bars[-1]["name"] == f"{40 - MAX_PURCHASES} {OTHERS}"
    assert bars[-1]["to"] == pytest.approx(sum(10.0 / (i + 1) for i in range(40)))


@pytest.mark.parametrize("theme", THEMES)
def test_regret_is_told_on_its_side_in_words_and_numbers(theme: charts.Theme) -> None:
    said = texts(charts.purchase_regret(purchases(), named(), theme))
    assert {"120", "240", "310"} <= set(said)
    assert any("usage is low" in t for t in said)
    assert any("usage is high" in t for t in said)


def test_coverage_names_each_product_with_its_own_dash_and_shape() -> None:
    rows = [
        {"month": m, "currency": c, "product": p, "coverage_frac": x, "committed": 100.0}
        for m in ("2026-08", "2026-09") for c, p, x in (
            ("USD", "all", 0.3), ("USD", "compute_sp", 0.26), ("USD", "ec2_ri", 0.05), ("EUR", "all", 0.9),
        )
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(FRAMES["commitment_review"]))
    chart = charts.commitment_coverage(frame, "dark", "USD")
    said = texts(chart)
    assert {"all commitments", "Compute Savings Plans", "EC2 Reserved Instances"} <= set(said)
    points = next(iter(chart.to_dict()["datasets"].values()))
    assert max(p["rate"] for p in points) == 0.3


def test_nothing_says_why() -> None:
    none = purchases(0)
    assert "No commitment is worth buying" in " ".join(texts(charts.purchase_ladder(none, [])))
    assert "No commitment is worth buying" in " ".join(texts(charts.purchase_regret(none, [])))
    review = pd.DataFrame(columns=list(FRAMES["commitment_review"]))
    assert "No commitment on a closed month's bill" in texts(charts.commitment_coverage(review))
