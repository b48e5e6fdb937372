"""A peak event that is over, drawn: what was said, what came, and what was safe."""

from __future__ import annotations

import pandas as pd
import pytest

from capacity import charts
from capacity.charts._check import KEYS, MAX_ROWS, MOST


def review(*peaks: float, safe: float | None = 180.0) -> pd.DataFrame:
    """A row a peak, each said as 100 (P50) to 130 (P95)."""
    return pd.DataFrame([
        {"service": f"s{i}", "region": "r", "p50": 100.0, "p95": 130.0, "actual": peak, "within_p95": peak <= 130,
         "safe": safe, "held": None if safe is None else peak <= safe}
        for i, peak in enumerate(peaks)
    ])  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_answer_has_a_word_and_a_mark_of_its_own(theme: charts.Theme) -> None:
    drawn = charts.to_svg(charts.event_after(review(110, 150, 200), theme), 900)
    for key in KEYS:
        assert f">{key}</text>" in drawn
    for name in ("s0 · r", "s1 · r", "s2 · r"):
        assert f">{name}</text>" in drawn
    assert "cut at" not in drawn


def test_a_peak_far_off_lies_at_the_edge_and_the_axis_says_so() -> None:
    drawn = charts.to_svg(charts.event_after(review(110, 100 * MOST * 5)), 900)
    assert f"cut at {MOST:.0%}" in drawn


def test_the_furthest_off_come_first_and_the_rest_stay_in_the_table() -> None:
    many = review(*(100.0 + i for i in range(MAX_ROWS + 6)))
    drawn = charts.to_svg(charts.event_after(many), 900)
    assert f">s{MAX_ROWS + 5} · r</text>" in drawn
    assert ">s0 · r</text>" not in drawn


def test_unknown_safe_capacity_and_nothing_said_are_drawn_without_them() -> None:
    assert ">s0 · r</text>" in charts.to_svg(charts.event_after(review(110, safe=None)), 900)
    assert "No peak of this event is known" in charts.to_svg(charts.event_after(review(110).assign(p50=0.0)), 900)
    assert "No peak of this event is known" in charts.to_svg(charts.event_after(review().reindex(columns=["p50"])), 900)
