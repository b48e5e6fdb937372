"""Charts of what a plan knows of itself: parts of demand, promises, totals; hostile, empty, readable."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest

from capacity import charts
from capacity.charts._promise import MAX_ROWS
from capacity.plan import FRAMES, Plan
from tests.factory import HOSTILE, known_plan
from tests.factory_known import knowing

PLANS: dict[str, Callable[[], Plan]] = {
    "known": lambda: knowing(known_plan()),
    "ugly": lambda: knowing(known_plan(ugly=True)),
    "older": known_plan,
    "large": lambda: knowing(known_plan(services=120)),
}


def parts(p: Plan, theme: charts.Theme) -> Any:
    rows = p.frame("explanation")
    return charts.decomposition(rows.groupby(["service", "region", "target"]).head(160).head(160), "1/s", theme)


def totals(p: Plan, theme: charts.Theme) -> Any:
    rows = p.frame("totals")
    return charts.spend_totals(rows[(rows["level"] == "service") & (rows["month"] == "2026-Q4")], theme)


CHARTS: dict[str, Callable[[Plan, charts.Theme], Any]] = {
    "decomposition": parts,
    "promises": lambda p, t: charts.promises(p.frame("promise"), t),
    "spend_totals": totals,
}


def texts(svg: str) -> list[tuple[str, str]]:
    """(fill, text) of every text of a picture."""
    root = ElementTree.fromstring(svg)
    return [(e.get("fill", ""), e.text) for e in root.iter("{http://www.w3.org/2000/svg}text") if e.text]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("kind", PLANS)
def test_every_chart_is_drawn_and_its_text_is_readable(kind: str, name: str, theme: charts.Theme) -> None:
    found = texts(charts.to_svg(CHARTS[name](PLANS[kind](), theme), 640))
    assert found, "a chart always says something, if only that there is nothing"
    words = " ".join(text for _, text in found)
    assert not re.search(r"\b(NaN|None|NaT|null|undefined|Infinity)\b", words)
    for fill, text in found:
        assert charts.contrast(fill, charts.INKS[theme].ground) >= 4.5, text


def test_only_parts_that_move_have_a_strip() -> None:
    rows = knowing(known_plan()).frame("explanation").head(160)
    whole = [t for _, t in texts(charts.to_svg(charts.decomposition(rows), 900))]
    assert [t.split(",")[0] for t in whole if t.startswith("× ")] == [
        "× day of the week", "× time of the year", "× events and holidays",
    ]  # fmt: skip
    assert "× events and holidays, from 1.00 to 1.60" in whole
    assert "measured until 4 Oct 2026" in whole
    flat = [t for _, t in texts(charts.to_svg(charts.decomposition(rows.assign(events=1.0, yearly=1.0)), 900))]
    assert [t.split(",")[0] for t in flat if t.startswith("× ")] == ["× day of the week"]


def test_strips_lie_below_each_other_however_high_a_page_makes_the_picture() -> None:
    spec = charts.decomposition(knowing(known_plan()).frame("explanation").head(160)).to_dict()
    spans = {tuple(end["expr"] for end in e["y"]["scale"]["range"])
             for layer in spec["layer"] if "scale" in (e := layer["encoding"]).get("y", {})}  # fmt: skip
    ends = sorted(tuple(float(end.removeprefix("height * ")) for end in reversed(span)) for span in spans)
    assert len(ends) == 4
    assert ends[0][0] == 0.0
    assert ends[-1][1] == pytest.approx(1.0)
    assert all(above[1] < below[0] for above, below in pairwise(ends))


def test_what_fell_outside_has_a_mark_of_its_own_and_stands_first() -> None:
    p = knowing(known_plan())
    spec = charts.promises(p.frame("promise")).to_dict()
    rows = next(rows for rows in spec["datasets"].values() if "row" in rows[0])
    assert len(rows) <= MAX_ROWS
    assert [r["off"] for r in rows] == sorted((r["off"] for r in rows), reverse=True)
    assert {r["key"] for r in rows} == {"within the interval", "outside it", "may still change"}
    assert spec["layer"][-1]["encoding"]["shape"]["field"] == "key"


def test_two_measures_of_one_unit_do_not_share_a_line() -> None:
    row = knowing(known_plan()).frame("promise").head(1)
    both = pd.concat([row, row.assign(metric="connections")], ignore_index=True)
    rows = next(iter(r for r in charts.promises(both).to_dict()["datasets"].values() if "row" in r[0]))
    assert len({r["row"] for r in rows}) == 2


def test_a_promise_far_off_is_cut_and_said() -> None:
    row = knowing(known_plan()).frame("promise").head(1)
    found = [t for _, t in texts(charts.to_svg(charts.promises(row.assign(actual=9000.0)), 900))]
    assert any("cut at 300%" in t for t in found)


def test_a_frame_without_rows_says_so_in_words() -> None:
    for chart, name in ((charts.decomposition, "explanation"), (charts.promises, "promise"),
                        (charts.spend_totals, "totals")):  # fmt: skip
        svg = charts.to_svg(chart(pd.DataFrame(columns=list(FRAMES[name]))), 640)
        assert re.search(r"(No|Nothing) ", " ".join(t for _, t in texts(svg)))


def test_a_hostile_name_is_a_label() -> None:
    rows = knowing(known_plan()).frame("totals").head(1).assign(name=HOSTILE[0])
    svg = charts.to_svg(charts.spend_totals(rows), 1200)
    assert "<img" not in svg
    assert "<script" not in svg
