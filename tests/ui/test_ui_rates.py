"""Wherever a page shows what a fleet costs, it says of which days the rates are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from capacity.ui import _tables as tables
from capacity.ui import launch
from tests.factory import known_plan

SPAN = "rates of 1 Sep 2026 to 18 Sep 2026"


def script(key: str) -> None:
    from capacity.ui._shell import show

    show(key)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("fleet", f"Money of the fleet is at {SPAN}."),
        ("service", f"Prices: {SPAN}."),
        ("cost", f"Modelled at {SPAN}."),
    ],
)
def test_a_page_with_a_price_says_its_date(
    plans: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, key: str, says: str
) -> None:
    monkeypatch.setenv(launch.PLANS, str(plans("one")))
    monkeypatch.delenv(launch.CONFIG, raising=False)
    app = AppTest.from_function(script, args=(key,), default_timeout=60).run()
    assert not app.exception
    assert says in [c.value for c in app.caption]


def test_scenarios_side_by_side_say_it_each() -> None:
    from capacity.scenario import compare

    plan = known_plan()
    other = known_plan(scenario="more")
    frame = tables.comparison(compare([plan, other]), [plan, other]).set_index("Question")
    assert frame.loc["Prices"].tolist() == [SPAN, SPAN]
