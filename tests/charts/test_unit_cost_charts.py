"""Charts of unit cost: what it was and will be, and which services a journey pays."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from capacity import charts
from capacity.charts._unit_cost import MAX_PARTS, MAX_SERIES, REST
from capacity.plan import FRAMES
from tests.factory import HOSTILE

PAST = [f"2026-{m:02d}" for m in range(1, 10)]
COMING = ["2026-10", "2026-11", "2026-12"]


def groups(names: list[str], per: float = 1000.0) -> pd.DataFrame:
    rows = [
        {"level": "service", "name": n, "driver": "requests", "month": m, "currency": "USD", "per": per,
         "effective_cost": Decimal(1000 * (len(names) - i)),
         "per_1000": None if m == "2026-03" else Decimal(str(2.0 * (i + 1) + 0.01 * k))}
        for i, n in enumerate(names) for k, m in enumerate(PAST)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(FRAMES["unit_cost_groups"]))


def ahead(names: list[str], per: float = 1000.0) -> pd.DataFrame:
    rows = [
        {"name": n, "month": m, "currency": "USD", "q10": 1.8 * (i + 1), "q50": 2.1 * (i + 1), "q90": 2.6 * (i + 1),
         "per": per}
        for i, n in enumerate(names) for m in COMING
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(FRAMES["unit_cost_forecast"]))


def journeys(names: list[str], services: list[str]) -> pd.DataFrame:
    counts = dict.fromkeys(names, 1e6) | {"(not explained)": np.nan}
    rows = [
        {"journey": j, "service": s, "month": m, "currency": "USD", "journeys": counts[j],
         "effective_cost": Decimal(100 * (i + 1) * (k + 1))}
        for i, j in enumerate(counts) for k, s in enumerate(services) for m in ("2026-08", "2026-09")
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(FRAMES["journey_costs"]))


def texts(chart: Any, width: int = 900) -> list[tuple[str, str]]:
    """(fill, text) of every text of the picture."""
    root = ElementTree.fromstring(charts.to_svg(chart, width))
    found = [(e.get("fill", ""), " ".join(e.itertext())) for e in root.iter("{http://www.w3.org/2000/svg}text")]
    return [(fill, text) for fill, text in found if text]


def words(chart: Any) -> str:
    return " | ".join(text for _, text in texts(chart))


NAMES = {"usual": ["gateway", "cart"], "hostile": list(HOSTILE), "many": [f"s{i}" for i in range(40)], "none": []}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", NAMES)
def test_the_outlook_is_drawn_and_read_in_both_themes(kind: str, theme: charts.Theme) -> None:
    names = NAMES[kind]
    chart = charts.unit_cost_outlook(groups(names), ahead(names), None, theme)
    found = texts(chart)
    assert found
    assert not re.search(r"\b(NaN|None|null|undefined|Infinity)\b", words(chart))
    for fill, text in found:
        assert charts.contrast(fill, charts.INKS[theme].ground) >= 4.5, text


def test_the_outlook_takes_those_asked_for_and_at_most_five() -> None:
    known = words(charts.unit_cost_outlook(groups(NAMES["many"]), ahead(NAMES["many"])))
    assert [f"s{i}" in known.split(" | ") for i in range(7)] == [True] * MAX_SERIES + [False, False]
    asked = words(charts.unit_cost_outlook(groups(NAMES["many"]), ahead(NAMES["many"]), ["s9", "s3", "nobody"]))
    assert {"s9", "s3"} <= set(asked.split(" | "))
    assert "s0" not in asked.split(" | ")
    assert "forecast, P10 to P90 →" in asked


def test_the_outlook_speaks_of_as_many_units_as_its_driver_does() -> None:
    chart = charts.unit_cost_outlook(groups(["order"], per=1.0), ahead(["order"], per=1.0))
    assert "USD per 1" in words(chart).split(" | ")
    drawn = [r["value"] for rows in chart.to_dict()["datasets"].values() for r in rows if "value" in r]
    assert max(drawn) == pytest.approx(0.00208)


def test_the_outlook_without_a_forecast_and_without_a_past() -> None:
    nothing = groups(["a"]).iloc[:0]
    assert "forecast" not in words(charts.unit_cost_outlook(groups(["a"]), ahead([])))
    assert "a" in words(charts.unit_cost_outlook(nothing, ahead(["a"]), ["a"])).split(" | ")
    assert "No unit cost" in words(charts.unit_cost_outlook(nothing, ahead([])))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", NAMES)
def test_the_stack_is_drawn_and_read_in_both_themes(kind: str, theme: charts.Theme) -> None:
    chart = charts.journey_stack(journeys(["buy", HOSTILE[0]], NAMES[kind]), None, theme)
    found = texts(chart)
    assert not re.search(r"\b(NaN|None|null|undefined|Infinity)\b", " ".join(t for _, t in found))
    shades = [*charts.INKS[theme].series, charts.INKS[theme].plain, charts.INKS[theme].ground]
    for fill, text in found:
        assert max(charts.contrast(fill, s) for s in shades) >= 4.5, text


def test_the_stack_adds_up_to_what_a_thousand_journeys_cost_and_leaves_out_what_none_explains() -> None:
    frame = journeys(["buy", "look"], ["shop", "pay"])
    chart = charts.journey_stack(frame)
    rows = [r for part in chart.to_dict()["datasets"].values() for r in part if "part" in r]
    assert {(r["journey"], r["part"]): r["value"] for r in rows} == pytest.approx({
        ("buy", "shop"): 0.1, ("buy", "pay"): 0.2, ("look", "shop"): 0.2, ("look", "pay"): 0.4,
    })  # fmt: skip
    assert max(r["to"] for r in rows) == pytest.approx(0.6)
    said = words(chart)
    assert "USD per 1,000 in 2026-09" in said
    assert "(not explained)" not in said
    assert "2026-08" in words(charts.journey_stack(frame, "2026-08"))


def test_small_and_many_services_are_one_rest() -> None:
    rows = [r for part in charts.journey_stack(journeys(["buy"], NAMES["many"])).to_dict()["datasets"].values()
            for r in part if "part" in r]  # fmt: skip
    assert len(rows) == MAX_PARTS + 1
    (rest,) = [r for r in rows if r["part"] == REST]
    assert rest["value"] == pytest.approx(sum(0.1 * (k + 1) for k in range(33)))
    assert rest["at"] == pytest.approx(max(r["at"] for r in rows)), "last in the bar"
