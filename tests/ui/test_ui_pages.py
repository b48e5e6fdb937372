"""Every page over plans that are normal, ugly, empty, large and absent: it draws, and says what it must."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from capacity.ui import launch
from tests.factory import make_plan, write_plan_dir
from tests.ui import written

PAGES = ("fleet", "service", "mix", "scenarios", "cost", "event", "trust")
Plans = Callable[[str], Path]


def script(key: str) -> None:
    from capacity.ui._shell import show

    show(key)


@pytest.fixture
def draw(plans: Plans, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    def run(key: str, kind: str = "normal", folder: Path | None = None, **query: Any) -> AppTest:
        monkeypatch.setenv(launch.PLANS, str(folder or plans(kind)))
        monkeypatch.delenv(launch.CONFIG, raising=False)
        app = AppTest.from_function(script, args=(key,), default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    return run


def words(app: AppTest) -> str:
    """All that a page says, one piece a line."""
    kinds = (app.title, app.header, app.caption, app.text, app.info, app.warning, app.error, app.success, app.code)
    said = [str(item.value) for items in kinds for item in items]
    said += [str(getattr(item.proto, "title", "")) for items in (app.warning, app.error) for item in items]
    said += [f"{m.label} {m.value} {m.delta}" for m in app.metric]
    return "\n".join([*said, *written.rows(app)])


@pytest.mark.parametrize("key", PAGES)
@pytest.mark.parametrize("kind", ["normal", "ugly", "empty", "many", "one"])
def test_every_page_draws_every_kind_of_plan(draw: Callable[..., AppTest], key: str, kind: str) -> None:
    app = draw(key, kind)
    assert not app.exception
    assert len(app.title) == 1
    assert "as of 05 Oct 2026 06:00 UTC" in words(app)
    assert "scenario base" in words(app)


@pytest.mark.parametrize("key", PAGES)
def test_every_page_says_that_data_is_stale(draw: Callable[..., AppTest], key: str) -> None:
    said = words(draw(key))
    assert "Stale data: 1 of 3 sources" in said
    assert "65 days" in said


@pytest.mark.parametrize("key", PAGES)
def test_no_plan_names_the_command_that_makes_one(draw: Callable[..., AppTest], key: str, tmp_path: Path) -> None:
    app = draw(key, folder=tmp_path)
    assert not app.exception
    assert f"capacity plan -c CONFIG --out {tmp_path}" in words(app)


@pytest.mark.parametrize("key", PAGES)
def test_a_broken_plan_is_said_not_shown(draw: Callable[..., AppTest], key: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"schema": "capacity.plan/0"}')
    app = draw(key, folder=tmp_path)
    assert not app.exception
    assert "This plan cannot be read" in words(app)
    assert "capacity.plan/1" in words(app)


@pytest.mark.parametrize("key", PAGES)
def test_names_from_data_never_pass_markdown(draw: Callable[..., AppTest], key: str) -> None:
    """What markdown would turn into a tag or an image comes escaped, or as text."""
    app = draw(key, "ugly")
    read_as_markdown = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success, *app.header]
    for item in read_as_markdown:
        assert "![](" not in str(item.value)
        assert "<img" not in str(item.value).replace("\\<", "")
    for metric in app.metric:
        assert "<" not in f"{metric.label}{metric.value}{metric.delta}".replace("\\<", "")


# --- fleet -------------------------------------------------------------------------------------------------


def test_fleet_counts_what_the_plan_says(draw: Callable[..., AppTest], plans: Plans) -> None:
    from capacity import plan

    made = plan.read(plans("normal"))
    full = sum(any(x.p50 for x in u.limits) for u in made.units)
    app = draw("fleet")
    assert app.metric[0].value == f"{full} of {len(made.units)}"
    first = min(x.p10 for u in made.units for x in u.limits if x.p10)
    assert app.metric[1].value == f"{first:%d %b %Y}"
    assert app.metric[2].label == "Spend Oct to Dec, P50"
    assert "against budget" in app.metric[2].delta
    assert "payments/us-east-1" in set(app.dataframe[0].value["Service"])
    assert "The recommended plan violates 3 policies" in words(app)


def test_fleet_filters_narrow_the_table_and_the_count(draw: Callable[..., AppTest]) -> None:
    app = draw("fleet")
    everything = len(app.dataframe[0].value)
    app.multiselect(key="region").select("eu-west-1").run()
    assert not app.exception
    names = list(app.dataframe[0].value["Service"])
    assert 0 < len(names) < everything
    assert all(name.endswith("/eu-west-1") for name in names)
    assert app.metric[0].value.endswith("of 3")


def test_fleet_filters_come_back_from_the_address(draw: Callable[..., AppTest]) -> None:
    app = draw("fleet", region="eu-west-1")
    assert app.multiselect(key="region").value == ["eu-west-1"]
    assert app.metric[0].value.endswith("of 3")


def test_scenario_is_chosen_for_every_page(draw: Callable[..., AppTest]) -> None:
    app = draw("fleet")
    before = app.metric[0].value
    app.selectbox(key="scenario").select("peak-plus-40").run()
    assert "scenario peak-plus-40" in words(app)
    assert app.metric[0].value != before


# --- service -----------------------------------------------------------------------------------------------


def test_service_shows_the_unit_that_is_chosen(draw: Callable[..., AppTest]) -> None:
    app = draw("service", unit="payments/us-east-1")
    said = words(app)
    (limits,) = (d.value for d in app.dataframe if "Status" in d.value.columns)
    assert "Overdue" in set(limits["Status"])
    assert "order overdue" in said
    assert "weighted median of 9 members" in said
    assert "of a seasonal naive forecast's" in said
    assert "Running fleet kept:" in said
    app.selectbox(key="unit").select("media-store/us-east-1").run()
    assert not app.exception
    assert "Priced by use" in words(app)
    assert "safe capacity not known" in words(app)


# --- cost, event, trust ------------------------------------------------------------------------------------


def test_cost_shows_an_exact_equation_for_the_month(draw: Callable[..., AppTest], plans: Plans) -> None:
    from capacity import plan

    app = draw("cost")
    month = plan.read(plans("normal")).costs[-1]
    assert f"=  ${month.effective.normalize():,f} bill" in words(app)
    assert any("Adds up exactly" in item.value for item in app.markdown)
    assert app.dataframe[0].value["Total"].sum() == pytest.approx(float(month.effective), abs=1e-6)
    app.selectbox(key="bill_month").select("2026-04 (USD)").run()
    assert not app.exception
    assert f"{app.metric[0].value}" == f"${plan.read(plans('normal')).costs[0].effective:,.0f}"


def test_event_answers_no_go_with_remedies(draw: Callable[..., AppTest], plans: Plans) -> None:
    from capacity import plan

    verdicts = plan.read(plans("normal")).events[0].verdicts
    failing = [v for v in verdicts if not v.go]
    assert failing
    app = draw("event")
    assert "NO-GO" in words(app)
    assert f"{len(failing)} services of {len(verdicts)} will not hold" in words(app)
    assert set(app.dataframe[0].value["What to do"]) == {r.action for v in failing for r in v.remedies}
    assert set(app.dataframe[1].value["Answer"][: len(failing)]) == {"NO-GO"}


def test_trust_shows_gap_checks_and_provenance(draw: Callable[..., AppTest]) -> None:
    said = words(draw("trust"))
    for wanted in ("0.19%", "HiGHS 1.16.0", "worst slack", "sha256:5f2d0a9c1be47f10", "cost 6, fleet 9", "Seed"):
        assert wanted in said


# --- scenarios ---------------------------------------------------------------------------------------------


def test_scenarios_compare_and_say_what_differs(draw: Callable[..., AppTest]) -> None:
    app = draw("scenarios")
    assert app.multiselect(key="compare").value == ["base", "peak-plus-40"]
    assert "more than base over the horizon" in words(app)
    assert list(app.dataframe[0].value.columns) == ["Question", "base", "peak-plus-40"]


def test_a_link_reopens_the_same_comparison(draw: Callable[..., AppTest]) -> None:
    app = draw("scenarios", compare=["peak-plus-40", "base"])
    assert list(app.dataframe[0].value.columns) == ["Question", "peak-plus-40", "base"]
    assert app.query_params["compare"] == ["peak-plus-40", "base"]


def test_scenarios_go_by_their_own_name_not_their_folder_s(
    draw: Callable[..., AppTest], plans: Plans, tmp_path: Path
) -> None:
    write_plan_dir(tmp_path, make_plan(services=2))
    write_plan_dir(tmp_path / "scenarios" / "Peak--40--", make_plan(services=2, scenario="Peak +40 %"))
    app = draw("scenarios", folder=tmp_path)
    assert app.multiselect(key="compare").value == ["base", "Peak +40 %"]
    assert list(app.dataframe[0].value.columns) == ["Question", "base", "Peak +40 %"]


def test_plans_of_different_moments_are_not_compared_in_silence(draw: Callable[..., AppTest], tmp_path: Path) -> None:
    write_plan_dir(tmp_path, make_plan(services=2))
    older = replace(make_plan(services=2, scenario="old"), as_of=datetime(2026, 9, 1, tzinfo=UTC))
    write_plan_dir(tmp_path / "scenarios" / "old", older)
    assert "not as of the same moment" in words(draw("scenarios", folder=tmp_path))


def test_a_plan_that_is_made_anew_is_read_anew(draw: Callable[..., AppTest], tmp_path: Path) -> None:
    write_plan_dir(tmp_path, make_plan(services=2))
    app = draw("fleet", folder=tmp_path)
    assert app.metric[0].value.endswith("of 3")
    write_plan_dir(tmp_path, make_plan(services=5))
    app.run()
    assert app.metric[0].value.endswith("of 6")


def test_one_scenario_is_no_comparison(draw: Callable[..., AppTest]) -> None:
    app = draw("scenarios", compare=["base"])
    assert not app.exception
    assert "Choose at least two scenarios" in words(app)


def test_a_config_that_is_wrong_is_said_with_its_line(
    draw: Callable[..., AppTest], tmp_path: Path, plans: Plans
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("version: 1\ncompany: Lindenshop\nservicess: []\n")
    (tmp_path / "run.json").write_text(json.dumps({"config": str(config)}))
    app = draw("scenarios", folder=tmp_path)
    assert not app.exception
    assert "did you mean 'services'" in words(app)
    assert f"{config}:3" in words(app)
    assert app.button[0].disabled


def test_a_run_that_cannot_start_says_why(draw: Callable[..., AppTest]) -> None:
    app = draw("scenarios")  # run.json names a config that is not there
    assert "config.yaml" in words(app)
