"""The page Fleet plan, and what service, trust and cost pages show of the optimizer's answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from capacity.report import bought, planned
from capacity.ui import launch
from tests.factory import known_plan, make_plan, write_plan_dir
from tests.factory_planned import ALTERNATIVES
from tests.factory_planned import planned as filled
from tests.ui import written

PAGES = ("mix", "service", "trust", "cost", "fleet")
VIEWS = ("Why demand looks so", "Instances and cost")
KINDS: Mapping[str, dict[str, Any]] = {
    "normal": {}, "ugly": {"ugly": True}, "empty": {"services": 0}, "one": {"services": 1}, "many": {"services": 120},
}  # fmt: skip
Draw = Callable[..., AppTest]


def script(key: str) -> None:
    from capacity.ui._shell import show

    show(key)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    root = tmp_path_factory.mktemp("planned")
    for kind, options in KINDS.items():
        write_plan_dir(root / kind, filled(make_plan(**options), ugly=kind == "ugly"))
    return {kind: root / kind for kind in KINDS}


@pytest.fixture
def draw(folders: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch) -> Draw:
    def run(
        key: str, kind: str = "normal", folder: Path | None = None, unit: str = "", is_open: bool = True, **query: str
    ) -> AppTest:
        monkeypatch.setenv(launch.PLANS, str(folder or folders[kind]))
        monkeypatch.delenv(launch.CONFIG, raising=False)
        app = AppTest.from_function(script, args=(key,), default_timeout=60)
        for name, value in {**({"unit": unit} if unit else {}), **query}.items():
            app.query_params[name] = value
        for part in ("mix_headroom", "mix_refused", "mix_prices", "service_kept_out", "fleet_findings"):
            app.session_state[part] = is_open
        return app.run()

    return run


def words(app: AppTest) -> str:
    said = [str(x.value) for kind in (app.header, app.caption, app.text, app.info) for x in kind]
    said += [f"{m.label} {m.value} {m.delta}" for m in app.metric]
    return "\n".join([*said, *written.rows(app)])


def tables(app: AppTest, column: str) -> list[pd.DataFrame]:
    return [d.value for d in app.dataframe if column in d.value.columns]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("key", "view"), [*((key, "") for key in PAGES), *(("service", view) for view in VIEWS)])
def test_every_page_draws_every_kind_of_plan(draw: Draw, key: str, view: str, kind: str) -> None:
    app = draw(key, kind, **({"service_view": view} if view else {}))
    assert not app.exception
    for item in [*app.markdown, *app.caption, *app.header, *app.info]:
        assert "<img" not in str(item.value).replace("\\<", "")
        assert "![](" not in str(item.value)
    for metric in app.metric:
        assert "<" not in f"{metric.label}{metric.value}{metric.delta}".replace("\\<", "")


def test_the_cards_say_what_the_plan_saves_proves_keeps_and_pays(draw: Draw) -> None:
    plan = filled(known_plan())
    assert plan.mix is not None
    cards = {m.label: m for m in draw("mix").metric}
    assert cards["Saving over 7 months"].value == f"${plan.mix.saving_usd / 1e3:,.0f}k"
    assert cards["Proven gap"].value == "0.19%"
    assert cards["Tightest coverage"].value == planned_least()
    assert cards["Cost of P95 over P50"].delta.startswith("9\\.9% more")


def planned_least() -> str:
    """The least margin's share over all units, months and the three coverages, from the frame itself."""
    frame = filled(known_plan()).frame("coverage")
    shares = frame[["coverage_frac", "headroom_coverage_frac", "zone_loss_coverage_frac"]].astype(float).min(axis=1)
    return f"{shares[(shares - frame['required_frac']).idxmin()]:.1%}"


def test_purchases_are_a_table_with_their_use_as_bars(draw: Draw) -> None:
    app = draw("mix")
    (table,) = tables(app, "Commitment")
    assert len(table) == 4
    assert table["Used, P10"].between(0, 1).all()
    assert bought.buying_line(filled(known_plan())) in words(app)
    (refused,) = tables(app, "Why not")
    assert len(refused) == 2


def test_what_is_closed_is_not_drawn(draw: Draw) -> None:
    app = draw("mix", is_open=False)
    for column in ("Least in", "Why not", "Moved by"):
        assert not tables(app, column)
    labels = [part.label for part in app.expander]
    assert "Offers refused (2)" in labels
    assert "All 16 prices, in words" in labels


def test_prices_alternatives_and_total_are_there(draw: Draw) -> None:
    app = draw("mix")
    assert len(tables(app, "Moved by")[0]) == 16
    (families,) = tables(app, "Family")
    assert list(families.columns) == ["Family", bought.THIS_PLAN, *ALTERNATIVES]
    (total,) = tables(app, "Part")
    last = total.iloc[-1]
    assert last["Part"] == "total"
    months = total.columns[1:-1]
    assert last[months].sum() == pytest.approx(last.iloc[-1], abs=0.05)
    assert any("Adds up exactly" in item.value for item in app.markdown)


def test_the_least_headroom_of_many_services_is_counted(draw: Draw) -> None:
    app = draw("mix", "many")
    units = filled(known_plan(services=120)).frame("headroom_months")[["service", "region"]].drop_duplicates()
    assert f"The 16 of {len(units)} services with the least headroom." in words(app)
    assert len(tables(app, "Least in")[0]) == len(units) > 100


def test_what_is_not_known_is_said(draw: Draw, tmp_path: Path) -> None:
    write_plan_dir(tmp_path, make_plan(services=2))
    said = words(draw("mix", folder=tmp_path))
    for text in (bought.NO_CURVE, planned.NO_HEADROOM, bought.NO_PURCHASE, bought.NO_PRICE, bought.NO_ALTERNATIVE,
                 planned.NO_TOTAL):  # fmt: skip
        assert text in said
    assert "This plan chooses no instances" in words(draw("mix", "empty"))


def test_the_service_page_says_why_this_type(draw: Draw) -> None:
    app = draw("service", unit="checkout/us-east-1", service_view="Instances and cost")
    types = next(t for t in tables(app, "Costs more"))
    assert types["Costs more"].iloc[0] == 0
    assert list(types["Costs more"].dropna()) == sorted(types["Costs more"].dropna())
    said = words(app)
    assert "Tightest: " in said
    assert "Load tests" in said
    assert "34 at once: more at once serve less" in said
    other = words(draw("service", unit="media-store/us-east-1", service_view="Instances and cost"))
    assert "Why this type" not in other


def test_the_trust_page_ties_by_service_the_worst_first(draw: Draw) -> None:
    app = draw("trust")
    (ties,) = tables(app, "Rest of its bill")
    assert ties["Result"].iloc[0] == "does not tie"
    judged = ties[ties["Result"] != "not compared"]
    assert f"{(judged['Result'] == 'ties').sum()} of {len(judged)} tie" in words(app)
    (coverage,) = tables(app, "With one instance a zone fewer")
    assert len(coverage) == 14


def test_the_cost_page_leads_to_the_plan_s_total(draw: Draw, tmp_path: Path) -> None:
    assert "the fleet plan's total" in words(draw("cost"))
    write_plan_dir(tmp_path, make_plan(services=2))
    assert "the fleet plan's total" not in words(draw("cost", folder=tmp_path))
