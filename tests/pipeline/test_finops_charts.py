"""Charts of commitments and waste: what they draw, and that they say so where there is nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import pandas as pd
import pytest

from capacity import charts, plan

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def review() -> pd.DataFrame:
    rows = [
        {"month": month, "currency": "USD", "product": product, "coverage_frac": cover, "utilisation_frac": used,
         "effective_savings_rate_frac": rate}
        for month, cover, used, rate in (("2026-07", 0.3, None, -0.05), ("2026-08", 0.4, 0.9, 0.08))
        for product in ("compute_sp", "all")
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(plan.FRAMES["commitment_review"]))


def waste(**more: Any) -> pd.DataFrame:
    rows = [
        {"kind": kind, "currency": currency, "confidence": sure, "monthly_usd": usd, "in_plan_usd": taken}
        for kind, currency, sure, usd, taken in (
            ("oversized", "USD", "medium", 4000.0, 4000.0), ("oversized", "USD", "high", 500.0, 0.0),
            ("storage", "USD", "low", None, 0.0), ("address", "EUR", "high", 9.0, 0.0),
        )
    ]  # fmt: skip
    return pd.DataFrame([r | more for r in rows], columns=list(plan.FRAMES["waste"]))


@pytest.mark.parametrize("theme", THEMES)
def test_rates_by_month_hold_what_is_known(theme: Literal["light", "dark"]) -> None:
    drawn = charts.commitment_rates(review(), theme).to_dict()
    points = next(iter(drawn["datasets"].values()))
    assert len(points) == 5  # a month without any commitment has no utilisation
    assert {p["key"] for p in points} == {"coverage", "utilisation", "effective savings rate"}
    text = charts.to_svg(charts.commitment_rates(review(), theme), 640)
    assert "effective savings rate" in text
    assert "−20%" in text or "0%" in text


@pytest.mark.parametrize("theme", THEMES)
def test_waste_is_told_by_words_as_well_as_by_colour(theme: Literal["light", "dark"]) -> None:
    text = charts.to_svg(charts.waste_by_kind(waste(), theme), 640)
    assert "oversized fleets" in text
    assert "4,500" in text
    assert "high 500 · medium 4,000 · the plan takes 4,000" in text
    assert "addresses" not in text  # currencies are never added: the one with most money is drawn


def test_nothing_is_said_to_be_nothing() -> None:
    empty = {n: pd.DataFrame(columns=list(plan.FRAMES[n])) for n in ("commitment_review", "waste")}
    assert "No commitment" in charts.to_svg(charts.commitment_rates(empty["commitment_review"]), 640)
    assert "No waste found" in charts.to_svg(charts.waste_by_kind(empty["waste"]), 640)
    assert "No waste found" in charts.to_svg(charts.waste_by_kind(waste(monthly_usd=None)), 640)
    assert "No commitment" in charts.to_svg(charts.commitment_rates(review(), product="rds_ri"), 640)


def test_money_may_be_decimal() -> None:
    assert "12" in charts.to_svg(charts.waste_by_kind(waste(monthly_usd=Decimal(12))), 640)
