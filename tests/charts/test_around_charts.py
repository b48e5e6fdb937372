"""Charts of what stands around a service: its calls, how busy it is, the fan's marks; and prices of other sizes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import cache
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from capacity import charts
from capacity.domain import Interval
from capacity.plan import FRAMES, Plan
from tests.factory import known_plan
from tests.factory_around import around
from tests.factory_planned import planned
from tests.factory_unit import HOSTILE

# Each is made once: the charts only read it.
PLANS: dict[str, Callable[[], Plan]] = {
    "planned": cache(lambda: around(planned(known_plan()))),
    "ugly": cache(lambda: around(planned(known_plan(ugly=True), ugly=True), ugly=True)),
    "older": known_plan,
    "empty": cache(lambda: around(planned(known_plan(services=0)))),
    "one": cache(lambda: around(planned(known_plan(services=1)))),
    "large": cache(lambda: around(planned(known_plan(services=120)))),
}


def of_first(p: Plan, name: str, at: int = 0) -> pd.DataFrame:
    frame = p.frame(name)
    if len(p.units) <= at:
        return frame
    unit = p.units[at]
    return frame[(frame["service"] == unit.service) & (frame["region"] == unit.region)]


def fan(p: Plan, theme: charts.Theme) -> Any:
    future, past = of_first(p, "forecast"), of_first(p, "history")
    future, past = (f[(f["target"] == "peak") & (f["metric"] == "requests_per_second")] for f in (future, past))
    safe = p.units[0].safe_now if p.units else None
    spans = [(HOSTILE[3], date(2026, 11, 27), date(2026, 11, 28)), ("sale", date(2026, 2, 1), date(2026, 2, 3)),
             ("long ago", date(2020, 1, 1), date(2020, 1, 1))]  # fmt: skip
    limits = [("safe capacity", safe.mid)] if safe else []
    before = of_first(p, "past_forecast")
    return charts.fan(future, past, limits, [], "1/s", theme, safe=safe, events=spans, before=before)


def calls(p: Plan, theme: charts.Theme) -> Any:
    unit = p.units[0] if p.units else None
    return charts.calls_around(p.frame("calls"), unit.service if unit else "", unit.region if unit else "", theme)


def weeks(p: Plan, theme: charts.Theme) -> Any:
    rows = of_first(p, "headroom")
    rows = rows if "utilisation_frac" in rows else rows.assign(utilisation_frac=np.nan)
    return charts.utilisation_weeks(rows, 0.5, theme)


CHARTS: dict[str, Callable[[Plan, charts.Theme], Any]] = {
    "fan": fan,
    "calls_around": calls,
    "utilisation_weeks": weeks,
    "headroom_moved": lambda p, t: charts.headroom_moved(p.frame("headroom_curve"), t),
    "coverage_ahead": lambda p, t: charts.coverage_ahead(p.frame("coverage_ahead"), t),
    "purchase_sizes": lambda p, t: charts.purchase_sizes(
        p.frame("purchase_sizes")[p.frame("purchase_sizes")["offer"] == ""], t
    ),
}


def texts(svg: str) -> list[tuple[str, str]]:
    """(fill, text) of every text of a picture; what is only a halo behind a text has none."""
    root = ElementTree.fromstring(svg)
    nodes = [e for e in root.iter("{http://www.w3.org/2000/svg}text") if not e.get("stroke")]
    found = [(e.get("fill", ""), " ".join(e.itertext())) for e in nodes]
    return [(fill, text) for fill, text in found if text]


def said(chart: Any, width: int = 1000) -> list[str]:
    return [text for _, text in texts(charts.to_svg(chart, width))]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("kind", PLANS)
def test_every_chart_is_drawn_and_its_text_is_readable(kind: str, name: str, theme: charts.Theme) -> None:
    svg = charts.to_svg(CHARTS[name](PLANS[kind](), theme), 640)
    assert "<img" not in svg
    assert "<script" not in svg
    found = texts(svg)
    assert found, "a chart always says something, if only that there is nothing"
    assert not re.search(r"\b(NaN|None|NaT|null|undefined|Infinity)\b", " ".join(text for _, text in found))
    for fill, text in found:
        assert charts.contrast(fill, charts.INKS[theme].ground) >= 4.5, text


@pytest.mark.parametrize("name", CHARTS)
def test_a_plan_without_the_frame_says_so_in_words(name: str) -> None:
    assert re.match(r"No|How busy .* is not known", " ".join(said(CHARTS[name](known_plan(services=0), "light"))))


# --- the fan's marks -----------------------------------------------------------------------------------------


def test_the_fan_names_events_the_past_forecast_and_the_interval_of_what_is_safe() -> None:
    words = said(fan(PLANS["planned"](), "light"))
    assert "sale" in words
    assert "long ago" not in words
    assert "forecast of 5 Jul 2026" in words
    assert any(re.search(r"safe capacity: .* \(80%: [\d,.]+ to [\d,.]+\)", w) for w in words)
    # A long name is cut: it must not run over its neighbours.
    assert not any(HOSTILE[3] in w for w in words)
    assert any(w.startswith(HOSTILE[3][:20]) and w.endswith("…") for w in words)


def test_without_marks_the_fan_is_what_it_was() -> None:
    p = PLANS["planned"]()
    future = of_first(p, "forecast").query("target == 'peak'")
    past = of_first(p, "history").query("target == 'peak'")
    plain = charts.to_svg(charts.fan(future, past), 800)
    nothing = pd.DataFrame(columns=list(FRAMES["past_forecast"]))
    point = Interval(1.0, 1.0, 1.0)
    assert charts.to_svg(charts.fan(future, past, safe=point, events=(), before=nothing), 800) == plain


# --- calls ---------------------------------------------------------------------------------------------------


def edges(count: int) -> pd.DataFrame:
    rows = [(f"caller-{k:02d}", "r", "mid", "r", 0.5, 10.0 * k, 0.01 * k) for k in range(count)]
    return pd.DataFrame([*rows, ("mid", "r", "store", "r", 2.0, 40.0, np.nan)], columns=list(FRAMES["calls"]))


def test_callers_stand_with_their_calls_and_their_share() -> None:
    words = said(charts.calls_around(edges(3), "mid", "r"))
    for text in ("caller-02 · r", "mid · r", "store · r", "0.5 a request", "2 a request", "3 call it, it calls 1",
                 "2% of this one's demand", "share not known"):  # fmt: skip
        assert text in words


def test_of_many_callers_the_largest_are_drawn() -> None:
    words = said(charts.calls_around(edges(30), "mid", "r"))
    drawn = [w for w in words if w.startswith("caller-")]
    assert len(drawn) == charts.MAX_SIDE
    assert "caller-29 · r" in drawn
    assert "caller-00 · r" not in drawn


def test_another_region_is_another_unit() -> None:
    assert said(charts.calls_around(edges(3), "mid", "elsewhere"))[0].startswith("Nothing calls")


# --- how busy, sizes, points ---------------------------------------------------------------------------------


def test_weeks_above_what_is_safe_are_told_apart_in_words() -> None:
    rows = pd.DataFrame({"week_start": pd.date_range("2026-10-05", periods=3, freq="7D"),
                         "utilisation_frac": [0.4, 0.6, 0.7]})  # fmt: skip
    spec = charts.utilisation_weeks(rows, 0.65).to_dict()
    values = [v for data in spec["datasets"].values() for v in data if "key" in v]
    assert [v["key"] for v in values] == ["within safe", "within safe", "above safe"]
    assert any("ρ* 65%" in w for w in said(charts.utilisation_weeks(rows, 0.65)))


def test_sizes_are_in_their_order_with_money_beside_them() -> None:
    sizes = PLANS["planned"]().frame("purchase_sizes")
    words = said(charts.purchase_sizes(sizes[sizes["offer"] == ""]))
    places = [words.index(name) for name in ("nothing", "half", "as recommended", "half more", "double")]
    assert places == sorted(places)
    assert {"12,000", "−4,000"} <= set(words)
    assert charts.size_name(3.0) == "3 times"


def test_coverage_to_come_adds_up_to_the_whole() -> None:
    frame = PLANS["planned"]().frame("coverage_ahead")
    spec = charts.coverage_ahead(frame).to_dict()
    rows = [r for data in spec["datasets"].values() for r in data if "to" in r]
    assert len({r["month"] for r in rows}) == charts.MOST_MONTHS
    assert max(r["to"] for r in rows) == pytest.approx(1.0)
    assert {r["name"] for r in rows} == {"owned: Compute Savings Plans", "to buy: EC2 Reserved Instances", "on demand"}
    words = said(charts.coverage_ahead(frame))
    assert words.count("55%") == 6
    assert words.count("25%") == charts.MOST_MONTHS - 6


def test_points_of_headroom_are_against_the_plans_own() -> None:
    points = charts.moved_points(PLANS["planned"]().frame("headroom_curve"))
    assert list(points["level"]) == ["−10 points", "−5 points", "policy", "+5 points", "+10 points"]
    assert list(points["more"]) == ["−6.0%", "−3.0%", "", "+4.0%", "+10.0%"]
