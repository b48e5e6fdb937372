"""What pages show around services: stakes, past forecasts, calls, reasons, other sizes; and plans without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from capacity.ui import _around, _mix, launch
from capacity.ui import _sources as sources
from capacity.ui import _tables as tables
from tests.factory import known_plan, write_plan_dir
from tests.factory_around import around
from tests.factory_planned import planned

PAGES = ("fleet", "service", "mix", "commitments", "trust", "event")
DEMAND, INSTANCES = "Why demand looks so", "Instances and cost"
KINDS: Mapping[str, dict[str, Any]] = {
    "normal": {}, "ugly": {"ugly": True}, "empty": {"services": 0}, "one": {"services": 1}, "many": {"services": 300},
}  # fmt: skip
Draw = Callable[..., AppTest]


def script(key: str) -> None:
    from capacity.ui._shell import show

    show(key)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    root = tmp_path_factory.mktemp("around")
    for kind, options in KINDS.items():
        ugly = kind == "ugly"
        write_plan_dir(root / kind, around(planned(known_plan(**options), ugly=ugly), ugly=ugly))
    return {kind: root / kind for kind in KINDS}


@pytest.fixture
def draw(folders: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch) -> Draw:
    def run(key: str, kind: str = "normal", **query: str) -> AppTest:
        monkeypatch.setenv(launch.PLANS, str(folders[kind]))
        monkeypatch.delenv(launch.CONFIG, raising=False)
        app = AppTest.from_function(script, args=(key,), default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    return run


def words(app: AppTest) -> str:
    said = [str(x.value) for kind in (app.header, app.caption, app.text, app.info) for x in kind]
    said += [f"{m.label} {m.value} {m.delta} {m.help}" for m in app.metric]
    return "\n".join(said)


def table(app: AppTest, column: str) -> pd.DataFrame:
    found: pd.DataFrame = next(d.value for d in app.dataframe if column in d.value.columns)
    return found


@pytest.mark.parametrize(
    ("key", "view"), [*((key, "") for key in PAGES), *(("service", view) for view in (DEMAND, INSTANCES))]
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_page_draws_every_kind_of_plan(draw: Draw, key: str, view: str, kind: str) -> None:
    app = draw(key, kind, **({"service_view": view} if view else {}))
    assert not app.exception
    assert len(app.title) == 1


# --- fleet ---------------------------------------------------------------------------------------------------


def test_what_needs_a_decision_is_ranked_by_risk_times_money(draw: Draw) -> None:
    frame = table(draw("fleet"), "Risk × money")
    assert len(frame) > 3
    due = frame[frame["Status"] == "Due"]
    assert due["Risk × money"].is_monotonic_decreasing
    assert frame["In a quarter"].between(0, 1).all()
    stakes = around(planned(known_plan())).frame("at_stake")
    known = {f"{r['service']}/{r['region']}, {r['limit_name']}": r["money"] for r in stakes.to_dict("records")}
    for row in frame.to_dict("records"):
        assert row["At stake"] == pytest.approx(known[f"{row['Service']}, {row['Limit']}"])


def test_overdue_comes_before_any_money() -> None:
    plan = around(known_plan())
    least = plan.frame("at_stake").sort_values("weighed").iloc[0]
    units = [
        replace(u, limits=tuple(replace(x, overdue=(u.service, x.name) == (least["service"], least["limit_name"]))
                                for x in u.limits))
        for u in plan.units
    ]  # fmt: skip
    frame = tables.decisions(units, plan.frame("at_stake"))
    assert frame["Status"].iloc[0] == "Overdue"
    assert frame["Service"].iloc[0].startswith(least["service"])


def test_a_plan_without_stakes_keeps_its_order_and_has_no_empty_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = known_plan()
    frame = tables.decisions(older.units, older.frame("at_stake"))
    assert frame["At stake"].isna().all()
    due = frame[frame["Status"] == "Due"]
    assert due["Chance"].is_monotonic_decreasing
    write_plan_dir(tmp_path, older)
    monkeypatch.setenv(launch.PLANS, str(tmp_path))
    app = AppTest.from_function(script, args=("fleet",), default_timeout=60).run()
    assert not app.exception
    assert "At stake" not in table(app, "Remedy").columns


def test_figures_say_their_source_moment_and_age(draw: Draw) -> None:
    # Without what keeps markdown from reading it.
    said = words(draw("fleet")).replace("\\", "").replace("\u2060", "")
    assert "usage from prometheus to 04 Oct 2026 23:00 UTC, 7 h old" in said
    assert "bill from aws-bill to 30 Sep 2026 23:00 UTC, 4 days old" in said
    plan = known_plan()
    assert "stale" in sources.said(plan, "fleet")
    assert sources.said(plan, "quotas") == "As of 05 Oct 2026 06:00 UTC"
    two = replace(plan, freshness=(*plan.freshness, replace(plan.freshness[0], source="other", age_days=3.0)))
    assert "from 2 sources, the oldest other," in sources.said(two, "usage")
    assert "without any point, stale" in sources.said(known_plan(ugly=True), "usage")


# --- service -------------------------------------------------------------------------------------------------


def test_a_service_shows_what_was_forecast_and_what_came(draw: Draw) -> None:
    said = words(draw("service", unit="checkout/us-east-1"))
    assert "Forecast of 5 Jul 2026 (a plan of that day): its median was off by 10% on average" in said
    assert "more came than was said" in said
    assert "days lay within its 80% interval" in said


def test_limits_say_their_chance_within_a_quarter(draw: Draw) -> None:
    frame = table(draw("service", unit="checkout/us-east-1"), "Kind")
    stakes = around(planned(known_plan())).frame("at_stake")
    own = stakes[(stakes["service"] == "checkout") & (stakes["region"] == "us-east-1")]
    assert frame["In a quarter"].tolist() == pytest.approx(own["probability"].round(2).tolist())
    assert (frame["In a quarter"] <= frame["Chance"]).all()


def test_why_it_may_be_so_busy_and_what_else_bounds_it(draw: Draw) -> None:
    assert "The P99 wait must keep within 120 ms." in words(
        draw("service", unit="checkout/us-east-1", service_view=INSTANCES)
    )
    assert "is memory, not its vCPU" in words(draw("service", unit="search/us-east-1", service_view=INSTANCES))
    # A service that is priced by use has nothing to keep free.
    assert _around.NO_FLEET in words(draw("service", unit="media-store/us-east-1", service_view=INSTANCES))


def test_calls_around_a_service_are_counted(draw: Draw) -> None:
    plan = around(planned(known_plan()))
    last = plan.units[-1].unit
    said = words(draw("service", unit=str(last), service_view=DEMAND))
    assert "The 8 of 10 that call it with the most demand." in said
    assert "10 callers together explain" in said
    assert _around.NO_CALLS in words(draw("service", "one", service_view=DEMAND))


# --- fleet plan, commitments, trust --------------------------------------------------------------------------


def test_points_of_headroom_have_their_price_in_words(draw: Draw) -> None:
    said = words(draw("mix"))
    assert "5 points more headroom for every service cost $" in said
    assert "20 points more headroom for every service: no plan exists." in said
    assert _mix.NO_POINTS in words(draw("mix", "empty"))


def test_other_sizes_of_one_purchase_are_chosen(draw: Draw) -> None:
    app = draw("commitments", commitments_view="What to buy")
    assert "Buying what is recommended ($5 an hour) saves $12,000 in the middle future" in words(app)
    box = next(b for b in app.selectbox if b.label == "Which purchase")
    assert len(box.options) == 1 + len(planned(known_plan()).frame("purchases"))
    box.set_value(box.options[1]).run()
    assert not app.exception
    assert "Buying half ($2.5 an hour)" in words(app)


def test_coverage_to_come_is_said_and_cut_to_what_is_read(draw: Draw) -> None:
    said = words(draw("commitments", commitments_view="What to buy"))
    assert (
        "Of the usage of 2026-11, at on-demand prices, 30% is covered by what is owned and 25% by what is to be" in said
    )
    assert "45% stays on demand" in said
    assert "The first 24 of 36 months." in said


def test_trust_scores_each_forecast_and_tells_focus_from_the_rest(draw: Draw) -> None:
    app = draw("trust")
    frame = table(app, "Off by")
    assert frame["Off by"].is_monotonic_decreasing
    assert frame["Off by"].between(0.09, 0.11).all()
    said = words(app)
    assert "the middle one was off by 10%; " in said
    assert "days lay within their 80% intervals." in said
    assert "FOCUS rules broken 0" in said
    assert "No rule of FOCUS that is run is broken" in said
