"""Spend against budget, in both themes, with everything and with nothing."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest

from capacity import charts
from capacity.plan import FRAMES


def outlook(**changes: Any) -> pd.DataFrame:
    row: dict[str, Any] = {
        "level": "company", "name": "Co", "period_kind": "month", "currency": "USD", "actual": Decimal("40.5"),
        "q10": 90.0, "q50": 100.0, "q90": 115.0, "run_rate": 99.0, "projected": 101.0, "budget": Decimal(105),
        "p_over": 0.3, "aws_mean": 98.0, "aws_low": 90.0, "aws_high": 130.0, "complete": True, "basis": "b",
    }  # fmt: skip
    later = {"actual": Decimal(0), "budget": None, "p_over": float("nan"), "aws_mean": None, "aws_high": None}
    rows = [{**row, "period": "2026-10", **changes}, {**row, "period": "2026-11", **later}]
    return pd.DataFrame(rows).reindex(columns=list(FRAMES["budget_outlook"]))


def texts(frame: pd.DataFrame, theme: charts.Theme = "light") -> str:
    svg = charts.to_svg(charts.spend_budget(frame, theme), 600)
    ElementTree.fromstring(svg)
    return " ".join(re.findall(r">([^<>]+)</text>", svg))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_billed_forecast_and_allowed_is_named(theme: charts.Theme) -> None:
    said = texts(outlook(), theme)
    for word in (
        "billed to date",
        "forecast (P50)",
        "P10 to P90",
        "budget",
        "AWS's own forecast",
        "P(over) 30%",
        "USD",
    ):
        assert word in said
    assert charts.contrast(charts.INKS[theme].limit, charts.INKS[theme].ground) >= 4.5


def test_the_legend_names_only_what_is_drawn() -> None:
    bare = outlook(actual=Decimal(0), budget=None, p_over=float("nan"), aws_mean=None, aws_high=None)
    said = texts(bare)
    assert "billed" not in said
    assert "budget" not in said
    assert "AWS" not in said


def test_a_part_of_a_period_says_so_and_nothing_says_why() -> None:
    assert "2026-10 (part)" in texts(outlook(complete=False))
    assert "No spend forecast" in texts(outlook().iloc[:0])
