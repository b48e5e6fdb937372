"""The pages show what a plan knows of its own forecasts, and say in words what an older one does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from capacity import plan as plans_module
from capacity.report import known
from capacity.ui import _shown, launch
from tests.factory import known_plan, make_plan, write_plan_dir
from tests.factory_known import OCCASIONS, WORDS, knowing

PAGES = ("service", "trust", "budget")
Draw = Callable[[str, bool], AppTest]


def script(key: str) -> None:
    from capacity.ui._shell import show

    show(key)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[bool, Path]:
    """A plan with all frames (True), one with hostile names beside it (False)."""
    root = tmp_path_factory.mktemp("known")
    for kind in (True, False):
        write_plan_dir(root / str(kind), knowing(make_plan(ugly=not kind)))
    return {kind: root / str(kind) for kind in (True, False)}


@pytest.fixture
def draw(folders: Mapping[bool, Path], monkeypatch: pytest.MonkeyPatch) -> Draw:
    # A plan is read with all frames that stand beside it.
    monkeypatch.setattr(plans_module, "FRAMES", {**plans_module.FRAMES, "occasions": OCCASIONS})

    def run(key: str, well_named: bool) -> AppTest:
        monkeypatch.setenv(launch.PLANS, str(folders[well_named]))
        monkeypatch.delenv(launch.CONFIG, raising=False)
        app = AppTest.from_function(script, args=(key,), default_timeout=60)
        app.query_params["unit"] = str(known_plan().units[0].unit)
        app.query_params["budget_view"] = "Spend to come"
        app.query_params["service_view"] = "Why demand looks so"
        return app.run()

    return run


def words(app: AppTest) -> str:
    return "\n".join(str(x.value) for kind in (app.header, app.caption, app.text) for x in kind)


def tables(app: AppTest, column: str) -> list[pd.DataFrame]:
    return [d.value for d in app.dataframe if column in d.value.columns]


@pytest.mark.parametrize("well_named", [True, False])
@pytest.mark.parametrize("key", PAGES)
def test_every_page_draws_what_is_known(draw: Draw, key: str, well_named: bool) -> None:
    app = draw(key, well_named)
    assert not app.exception
    for item in [*app.caption, *app.header]:
        assert "<img" not in str(item.value).replace("\\<", "")


def test_the_service_page_says_why_and_what_moved_it(draw: Draw) -> None:
    app = draw("service", True)
    assert f"• {WORDS[0]}" in words(app)
    (occasions,) = tables(app, "Occasion")
    assert list(occasions["Occasion"]) == ["black-friday", "level shift", "sale"]
    assert list(occasions["Times normal"])[:2] == [1.62, 1.18]
    app.radio(key="parts").set_value("Daily peak").run()
    assert not app.exception


def test_the_trust_page_holds_promises_against_what_came(draw: Draw) -> None:
    app = draw("trust", True)
    plan = knowing(known_plan())
    assert known.kept(plan) in words(app)
    (promises,) = tables(app, "Result")
    assert len(promises) == len(plan.frame("promise"))
    (odd,) = tables(app, "Chance")
    assert odd["Chance"].iloc[0] == "1 in 16,670"


def test_the_budget_page_shows_totals_models_and_what_is_apart(draw: Draw) -> None:
    app = draw("budget", True)
    assert app.selectbox(key="total_period").value == "2027-Q1"
    (models,) = tables(app, "Follows")
    assert set(models["Follows"]) == {"demand", "its own past"}
    (apart,) = tables(app, "Assumption")
    assert list(apart["Part"]) == ["one off", "tax"]
    app.radio(key="total_level").set_value("Services").run()
    assert not app.exception


def test_an_older_plan_says_what_it_does_not_know(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_plan_dir(tmp_path, make_plan(services=2))
    monkeypatch.setenv(launch.PLANS, str(tmp_path))
    said = {}
    for key in PAGES:
        app = AppTest.from_function(script, args=(key,), default_timeout=60)
        app.query_params["budget_view"] = "Spend to come"
        app.query_params["service_view"] = "Why demand looks so"
        said[key] = words(app.run())
    assert "Not explained: there is too little history" in said["service"]
    assert "Nothing stored yet to look back on" in said["trust"]
    assert "No totals: this plan forecasts no spend" in said["budget"]


def test_a_table_keeps_numbers_as_numbers() -> None:
    frame = _shown.frame_of(known.anomalies(knowing(known_plan(services=1))))
    assert pd.api.types.is_float_dtype(frame["Times P50"])
    assert frame["It was"].iloc[0] == "689 USD"
    assert frame["Above P50, USD"].isna().sum() == len(frame) / 2
