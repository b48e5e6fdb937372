"""Charts of whole plans: believable, hostile, empty and large; the same bytes each time; readable ink."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import charts
from capacity.charts import _svg
from capacity.charts._headroom import _percent, _score, cell_colour
from capacity.charts._theme import readable_on
from capacity.plan import Plan, SpendMonth
from tests.factory import HOSTILE, known_plan

PLANS: dict[str, dict[str, Any]] = {
    "company": {},
    "ugly": {"ugly": True},
    "empty": {"services": 0},
    "large": {"services": 300},
}


def plan(name: str) -> Plan:
    return known_plan(**PLANS[name])


def fan(p: Plan, theme: charts.Theme) -> Any:
    future, past = p.frame("forecast"), p.frame("history")
    if p.units:
        u = p.units[0]
        future, past = (f[(f["service"] == u.service) & (f["region"] == u.region)] for f in (future, past))
        future, past = (f[f["target"] == "peak"] for f in (future, past))
    return charts.fan(future, past, [(HOSTILE[0], 900.0), ("far", 1e9)], [("P10", date(2027, 1, 8))], "1/s", theme)


def duration(p: Plan, theme: charts.Theme) -> Any:
    frame = p.frame("blocks")
    one = frame[frame["service"] == frame["service"].iloc[0]] if len(frame) else frame
    return charts.load_duration(one, "1/s", 500.0, theme)


CHARTS: dict[str, Callable[[Plan, charts.Theme], Any]] = {
    "fan": fan,
    "load_duration": duration,
    "headroom_heatmap": lambda p, t: charts.headroom_heatmap(p.frame("headroom"), t, max_rows=12),
    "saturation_curves": lambda p, t: charts.saturation_curves(p.frame("saturation"), t),
    "spend_months": lambda p, t: charts.spend_months(p.spend, t),
    "mix_compare": lambda p, t: charts.mix_compare(p.units, t, 6.0),
    "unit_cost_trend": lambda p, t: charts.unit_cost_trend(p.frame("unit_cost"), None, t),
    "cost_by_month": lambda p, t: charts.cost_stack(p.frame("cost"), t),
    "cost_by_service": lambda p, t: charts.cost_stack(p.frame("cost"), t, "service"),
    "event_bars": lambda p, t: charts.event_bars([v for e in p.events for v in e.verdicts], t),
    "scenario_compare": lambda p, t: charts.scenario_compare({p.scenario: p, HOSTILE[0]: p}, t),
}


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)  # raises unless the file is well-formed
    return [e.text or "" for e in root.iter("{http://www.w3.org/2000/svg}text")]


def ground_texts(svg: str) -> list[tuple[str, str]]:
    """(fill, text) of every text of a picture."""
    root = ElementTree.fromstring(svg)
    return [(e.get("fill", ""), e.text or "") for e in root.iter("{http://www.w3.org/2000/svg}text") if e.text]


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("kind", PLANS)
def test_every_chart_of_every_plan_is_drawn_without_active_content(kind: str, name: str) -> None:
    svg = charts.to_svg(CHARTS[name](plan(kind), "light"), 640)
    assert texts(svg), "a chart always says something, if only that there is nothing"
    tags = {e.tag.split("}")[-1] for e in ElementTree.fromstring(svg).iter()}
    assert not tags & {"script", "image", "a", "foreignObject", "iframe", "use"}
    assert not re.search(r"<[^>]*\bon[a-z]+\s*=", svg.replace("&gt;", "").replace("&lt;", ""))
    words = " ".join(texts(svg))
    assert not re.search(r"\b(NaN|None|null|undefined|Infinity)\b", words)


@pytest.mark.parametrize("name", CHARTS)
def test_the_same_chart_gives_the_same_bytes(name: str) -> None:
    first = charts.to_svg(CHARTS[name](plan("company"), "light"), 640)
    assert charts.to_svg(CHARTS[name](plan("company"), "light"), 640) == first


def test_texts_are_measured_in_the_font_that_the_writer_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a picture is laid out alike whatever fonts a machine has."""

    def laid_out(fonts: str) -> str:
        monkeypatch.setattr(_svg, "PICTURE_FONT", fonts)
        svg = charts.to_svg(CHARTS["headroom_heatmap"](plan("company"), "light"), 640)
        return re.sub(r"\bc[0-9a-f]{10}-", "", svg.replace(fonts, ""))

    assert laid_out(_svg.PICTURE_FONT) == laid_out("Liberation Sans")
    assert laid_out("Liberation Sans") != laid_out("a font of no machine")


def test_pictures_on_one_page_share_no_id() -> None:
    pictures = [charts.to_svg(CHARTS[name](plan("company"), "light"), 640) for name in CHARTS]
    ids = [i for svg in pictures for i in set(re.findall(r'\bid="([^"]+)"', svg))]
    assert len(ids) == len(set(ids))
    for svg in pictures:
        assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= set(re.findall(r'\bid="([^"]+)"', svg))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", [n for n in CHARTS if n != "headroom_heatmap"])
def test_text_is_readable_on_the_themes_ground(name: str, theme: charts.Theme) -> None:
    ground = charts.INKS[theme].ground
    for fill, text in ground_texts(charts.to_svg(CHARTS[name](plan("company"), theme), 640)):
        assert charts.contrast(fill, ground) >= 4.5, f"{text!r} in {fill} on {ground}"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lines_and_marks_stand_out_from_the_ground(theme: charts.Theme) -> None:
    ink = charts.INKS[theme]
    for colour in (*ink.series, ink.line, ink.limit, ink.good, ink.bad, ink.plain, ink.point):
        assert charts.contrast(colour, ink.ground) >= 3.0  # WCAG 2.2, 1.4.11: graphics


@given(st.floats(-3, 2, allow_nan=False))
def test_the_number_in_a_cell_is_readable_on_the_cells_colour(score: float) -> None:
    ground = cell_colour(score)
    assert charts.contrast(readable_on(ground), ground) >= 4.5


@given(st.floats(-2, 1), st.floats(-2, 1), st.floats(0.01, 0.6))
def test_more_headroom_never_scores_less(one: float, other: float, policy: float) -> None:
    low, high = sorted((one, other))
    assert _score(low, policy) <= _score(high, policy)
    assert _score(0.0, policy) == pytest.approx(-1.0)
    assert _score(policy, policy) == 0.0


@pytest.mark.parametrize(("frac", "words"), [(-0.001, "−1"), (0.0, "0"), (0.199, "19"), (0.29, "29"), (-0.1, "−10")])
def test_headroom_is_never_rounded_up(frac: float, words: str) -> None:
    assert _percent(frac) == words


def test_the_heat_map_has_the_worst_unit_first_and_a_number_in_every_cell() -> None:
    frame = plan("company").frame("headroom")
    found = texts(charts.to_svg(charts.headroom_heatmap(frame), 1200))
    worst = frame.groupby(["service", "region"])["headroom_frac"].min().sort_values().index
    names = [charts.unit_label(*key) for key in worst]
    assert [t for t in found if t in names] == names
    numbers = sorted(t for t in found if re.fullmatch(r"−?\d+", t))
    assert numbers == sorted(_percent(h) for h in frame["headroom_frac"])


def test_the_heat_map_keeps_the_worst_rows_where_there_are_too_many() -> None:
    frame = plan("large").frame("headroom")
    worst = frame.groupby(["service", "region"])["headroom_frac"].min().nsmallest(5).index
    found = texts(charts.to_svg(charts.headroom_heatmap(frame, max_rows=5), 1200))
    assert {charts.unit_label(*key) for key in worst} == {t for t in found if "·" in t}


def test_the_fan_names_limits_and_dates_and_does_not_let_a_far_limit_flatten_it() -> None:
    found = texts(charts.to_svg(fan(plan("company"), "light"), 900))
    assert "P10 8 Jan 2027" in found
    assert "↑ above this chart: far: 1,000,000,000 req/s" in found
    assert not any(t.endswith(("G", "M")) for t in found), "the axis stays with demand"


def test_a_long_history_is_thinned_to_what_altair_takes() -> None:
    ts = pd.date_range("2010-01-01", periods=6000, freq="D", tz="UTC")
    history = pd.DataFrame({"ts": ts, "value": range(6000)})
    columns = dict.fromkeys(("q025", "q10", "q50", "q90", "q975"), 5.0)
    svg = charts.to_svg(charts.fan(pd.DataFrame({"ts": ts, **columns}), history), 900)
    assert "median forecast" in texts(svg)


def test_stacked_costs_add_up_to_the_bill_when_services_are_grouped() -> None:
    p = plan("large")
    spec = charts.cost_stack(p.frame("cost"), by="service").to_dict()
    (rows,) = spec["datasets"].values()
    total = p.costs[-1].effective
    assert sum(Decimal(repr(r["usd"])) for r in rows) == pytest.approx(total, abs=Decimal("0.001"))
    assert len({r["group"] for r in rows}) == 21


def test_amounts_of_two_currencies_are_not_put_in_one_bar() -> None:
    one = SpendMonth("2026-10", "USD", 9.0, 10.0, 11.0, None, None)
    found = texts(charts.to_svg(charts.spend_months([one, replace(one, currency="EUR")]), 640))
    assert "2026-10 EUR" in found
    assert "2026-10 USD" in found


@pytest.mark.parametrize("chart", ["unit_cost_trend", "cost_by_month"])
def test_thirteen_months_do_not_run_together_on_half_a_page(chart: str) -> None:
    p = plan("company")
    months = [f"{2025 + i // 12}-{i % 12 + 1:02d}" for i in range(13)]
    frames = {
        name: pd.concat([p.frame(name).query("month == @p.costs[-1].month").assign(month=m) for m in months])
        for name in ("cost", "unit_cost")
    }
    svg = charts.to_svg(CHARTS[chart](replace(p, frames=frames), "light"), 560)
    x = r'translate\(([\d.]+),[\d.]+\)"([^>]*)>\d{4}-\d\d<'
    at = [float(place) for place, look in re.findall(x, svg) if 'opacity="0"' not in look]
    assert len(at) >= 5
    # "2025-01" is 43 pixels wide at 11 points.
    assert min(b - a for a, b in pairwise(at)) >= 43 + 6


def test_amounts_carry_the_plans_own_currency() -> None:
    p = replace(plan("company"), currency="EUR")
    mix = texts(charts.to_svg(charts.mix_compare(p.units, currency=p.currency), 640))
    scenarios = texts(charts.to_svg(charts.scenario_compare({"base": p}), 640))
    assert "EUR over the horizon" in mix
    assert "EUR over the horizon, recommended mix" in scenarios
    assert not [t for t in mix + scenarios if "USD" in t]


def test_prices_far_apart_are_drawn_on_a_log_scale_and_say_so() -> None:
    rows = [("2026-09", s, "USD", Decimal(9), 1.0, Decimal(per)) for s, per in (("a", "0.002"), ("b", "0.9"))]
    columns = ["month", "service", "currency", "effective_cost", "units", "usd_per_1000"]
    svg = charts.to_svg(charts.unit_cost_trend(pd.DataFrame(rows, columns=columns)), 640)
    assert "USD per 1,000 (log scale)" in texts(svg)


def test_a_refused_unit_says_so_in_words() -> None:
    verdicts = [v for e in plan("company").events for v in e.verdicts]
    found = " ".join(texts(charts.to_svg(charts.event_bars(verdicts), 900)))
    assert found.count("NO-GO") == sum(not v.go for v in verdicts) + 1  # and once in the legend


def test_hostile_names_are_shown_as_they_are_and_cannot_turn_their_neighbours_round() -> None:
    found = texts(
        charts.to_svg(charts.scenario_compare({HOSTILE[4]: plan("company"), "a\u202eb": plan("company")}), 900)
    )
    assert HOSTILE[4] in found
    assert "a\ufffdb" in found


def test_png_is_a_picture_of_twice_the_width() -> None:
    png = charts.to_png(charts.spend_months(plan("company").spend), 400)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(png[16:20], "big") == 800
