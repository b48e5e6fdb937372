"""Charts of what the optimizer says: prices, purchases, headroom and coverage by month, alternatives, totals."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from capacity import charts
from capacity.charts._planned import LOST, MAX_MONTHS, MAX_PARTS
from capacity.charts._price import MAX_PRICES, NAME_LETTERS
from capacity.plan import FRAMES, Plan
from capacity.report import bought
from capacity.report import planned as tables
from tests.factory import HOSTILE, known_plan
from tests.factory_planned import planned

PLANS: dict[str, Callable[[], Plan]] = {
    "planned": lambda: planned(known_plan()),
    "ugly": lambda: planned(known_plan(ugly=True), ugly=True),
    "older": known_plan,
    "empty": lambda: planned(known_plan(services=0)),
    "one": lambda: planned(known_plan(services=1)),
    "large": lambda: planned(known_plan(services=120)),
}


def coverage(p: Plan, theme: charts.Theme) -> Any:
    rows = p.frame("coverage")
    first = rows["service"].iloc[0] if len(rows) else ""
    return charts.coverage_months(rows[rows["service"] == first].drop_duplicates("month"), theme)


CHARTS: dict[str, Callable[[Plan, charts.Theme], Any]] = {
    "headroom_price": lambda p, t: charts.headroom_price(p.frame("cost_curve"), t),
    "requirement_prices": lambda p, t: charts.requirement_prices(p.frame("requirement_prices"), t),
    "purchase_savings": lambda p, t: charts.purchase_savings(
        p.frame("purchases"), list(p.frame("purchases")["offer"]), t
    ),
    "headroom_months": lambda p, t: charts.headroom_months(p.frame("headroom_months"), t),
    "coverage_months": coverage,
    "fleet_shapes": lambda p, t: charts.fleet_shapes(bought.shapes(p), t),
    "plan_total": lambda p, t: charts.plan_total(tables.total_parts(p), t),
}
# Their cells have a ground of their own.
ON_CELLS = ("headroom_months",)


def texts(svg: str) -> list[tuple[str, str]]:
    """(fill, text) of every text of a picture; a text of several lines is one."""
    root = ElementTree.fromstring(svg)
    found = [(e.get("fill", ""), " ".join(e.itertext())) for e in root.iter("{http://www.w3.org/2000/svg}text")]
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
    words = " ".join(text for _, text in found)
    assert not re.search(r"\b(NaN|None|NaT|null|undefined|Infinity)\b", words)
    if name not in ON_CELLS:
        for fill, text in found:
            assert charts.contrast(fill, charts.INKS[theme].ground) >= 4.5, text


@pytest.mark.parametrize("name", CHARTS)
def test_a_plan_without_the_frame_says_so_in_words(name: str) -> None:
    assert re.match(r"No ", " ".join(said(CHARTS[name](known_plan(services=0), "light"))))


def test_the_price_of_headroom_tells_each_level_and_how_much_more_it_costs_than_the_first() -> None:
    curve = pd.DataFrame([(0.5, 1000.0, 990.0, ""), (0.95, 1100.0, np.nan, ""), (0.99, np.nan, np.nan, ""),
                          (0.9, 1050.0, 1060.0, "")], columns=list(FRAMES["cost_curve"]))  # fmt: skip
    points = charts.price_points(curve)
    assert list(points["level"]) == ["P50", "P90", "P95"]
    assert list(points["more"]) == ["", "+5.0%", "+10.0%"]
    assert (points["bound"] <= points["cost"]).all()
    assert not any("this plan" in word for word in said(charts.headroom_price(curve)))
    words = said(charts.headroom_price(curve, plan_cost=1120.0))
    for text in ("1,000", "1,050", "+10.0%", "P95", "this plan 1,120"):
        assert any(text in word for word in words)


def test_one_level_alone_is_a_point() -> None:
    curve = pd.DataFrame([(0.95, 1100.0, 1090.0, "")], columns=list(FRAMES["cost_curve"]))
    assert "1,100" in said(charts.headroom_price(curve))


def price(requirement: str, low: float, high: float, service: str = "search") -> tuple[object, ...]:
    return (requirement, service, "us-east-1", "1 more", low, high, "")


def test_the_dearest_requirements_come_first_and_what_saves_is_told_by_its_sign() -> None:
    frame = pd.DataFrame(
        [
            price("a", 10, 12),
            price("b", -300, -290),
            price("c", 100, 100),
            price("d", np.inf, np.inf),
            price("e", -1, 2),
            price("", 900, 901),
        ],
        columns=list(FRAMES["requirement_prices"]),
    )
    rows = next(r for r in charts.requirement_prices(frame).to_dict()["datasets"].values() if "key" in r[0])
    assert [r["label"].split(": ")[1] for r in rows] == ["b", "c", "a", "e"]
    assert [r["key"] for r in rows] == ["saves", "costs more", "costs more", "not told apart from nothing"]
    assert [r["said"] for r in rows] == ["−300 to −290", "100", "10 to 12", "−1 to 2"]


def test_long_and_equal_names_of_requirements_keep_rows_of_their_own() -> None:
    frame = pd.DataFrame([price("x" * 200, i, i + 1) for i in range(40)], columns=list(FRAMES["requirement_prices"]))
    rows = next(r for r in charts.requirement_prices(frame).to_dict()["datasets"].values() if "key" in r[0])
    assert len({r["label"] for r in rows}) == len(rows) == MAX_PRICES
    assert max(len(r["label"]) for r in rows) <= NAME_LETTERS + len(" (40)")


def test_headroom_by_month_has_what_runs_left_of_what_is_planned_and_the_least_first() -> None:
    frame = planned(known_plan()).frame("headroom_months")
    spec = charts.headroom_months(frame).to_dict()
    x = spec["layer"][0]["encoding"]["x"]
    columns = x["scale"]["domain"]
    assert columns[0] == "what runs|now"
    assert columns[columns.index("|") + 1] == "as planned|2026-10"
    cells = next(r for r in spec["datasets"].values() if "score" in r[0])
    assert {c["column"] for c in cells} <= set(columns)
    least: dict[str, float] = {}
    for c in cells:
        least[c["unit"]] = min(least.get(c["unit"], 9.0), c["headroom"])
    order = list(dict.fromkeys(c["unit"] for c in cells))
    assert [least[u] for u in order] == sorted(least.values())
    words = said(charts.headroom_months(frame))
    assert {"what runs", "as planned", "now"} <= set(words)


def test_a_fleet_that_does_not_survive_is_marked_and_a_legend_says_so() -> None:
    frame = planned(known_plan()).frame("headroom_months")
    assert LOST in said(charts.headroom_months(frame))
    cells = next(r for r in charts.headroom_months(frame).to_dict()["datasets"].values() if r and "lost" in r[0])
    falls = [v is not None and not pd.isna(v) and not v for v in frame["survives_running"]]
    assert sum(c["lost"] for c in cells) == sum(falls) > 0
    assert all(c["column"].startswith("what runs|") for c in cells if c["lost"])
    old = frame.drop(columns=["survives_running", "survives_planned"])
    assert LOST not in said(charts.headroom_months(old))


def test_headroom_of_many_months_and_services_is_cut_to_a_page() -> None:
    months = [f"{2026 + k // 12}-{k % 12 + 1:02d}" for k in range(36)]
    rows = [(f"s{i}", "r", m, 1.0, 2.0, 0.5, 2.0, 0.5, 0.2, True, True, True, True) for i in range(90) for m in months]
    frame = pd.DataFrame(rows, columns=list(FRAMES["headroom_months"]))
    cells = next(
        r for r in charts.headroom_months(frame, max_rows=16).to_dict()["datasets"].values() if "score" in r[0]
    )
    assert len(cells) == 16 * 2 * MAX_MONTHS


def test_a_saving_without_a_mean_is_still_drawn_and_a_loss_has_its_sign() -> None:
    rows = planned(known_plan()).frame("purchases").assign(saving_mean=np.nan, saving_q10=-50.0, saving_q90=120.0)
    assert "−50 to 120" in said(charts.purchase_savings(rows, ["same"] * len(rows)))


def test_families_beyond_the_colours_are_one_and_nothing_is_lost() -> None:
    shapes = pd.DataFrame(
        [("plan", f"f{i}.large", 30 - i) for i in range(20)], columns=["name", "instance_type", "instances"]
    )
    counts = charts.family_counts(shapes)
    assert len(counts) == MAX_PARTS + 1
    assert counts["instances"].sum() == shapes["instances"].sum()
    assert counts["family"].iloc[-1] == f"other families ({20 - MAX_PARTS})"


def test_the_total_above_a_bar_is_the_sum_of_its_parts_also_below_zero() -> None:
    rows = [("2026-10", "instances", 1000.0), ("2026-10", "credits", -250.0), ("2026-11", "credits", -40.0)]
    frame = pd.DataFrame(rows, columns=["month", "part", "amount"])
    words = said(charts.plan_total(frame))
    assert "750" in words
    assert "−40" in words


def test_a_hostile_name_is_a_label() -> None:
    frame = planned(known_plan()).frame("plan_total").assign(part=HOSTILE[0])
    svg = charts.to_svg(charts.plan_total(frame), 900)
    assert "<img" not in svg
