"""The pages of money: cost to serve, budget, commitments and waste, over plans with the review's frames and without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from capacity.costs import TERMS
from capacity.plan import Plan
from capacity.ui import _budget, _commitments, _frames, _moved, _unit_cost, _waste, _whose, launch
from tests.factory import known_plan, write_plan_dir
from tests.factory_money import JOURNEYS, NEWEST, POOLS, spending
from tests.factory_planned import planned

KINDS = ("normal", "ugly", "empty", "many")
# Frames that no page of money reads, and that take long to write.
HEAVY = ("forecast", "history", "saturation", "blocks", "headroom", "running", "type_choice", "coverage")
# Every view of every page: page, the key that says which view is open, the view.
VIEWS = (
    ("cost", "cost_view", "Overview"), ("cost", "cost_view", "What moved"), ("cost", "cost_view", "Unit cost"),
    ("cost", "cost_view", "Whose cost"), ("cost", "cost_view", "Invoices and discounts"),
    ("budget", "budget_view", "Against budget"), ("budget", "budget_view", "How good it was"),
    ("commitments", "commitments_view", "What they did"), ("commitments", "commitments_view", "What to buy"),
    ("commitments", "commitments_view", "Beside AWS's advice"), ("waste", "", ""),
)  # fmt: skip
Draw = Callable[..., AppTest]


def script(key: str) -> None:
    from capacity.ui._shell import show

    show(key)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    root = tmp_path_factory.mktemp("money")
    made = {
        "normal": plan(),
        "ugly": spending(planned(known_plan(ugly=True), True), True),
        "empty": spending(known_plan(services=0)),
        "many": spending(planned(known_plan()), services=300),
        "normal/scenarios/peak-plus-40": plan("peak-plus-40"),
    }
    for name, one in made.items():
        write_plan_dir(root / name, without(one, *HEAVY))
    return {kind: root / kind for kind in KINDS}


def without(one: Plan, *names: str) -> Plan:
    return replace(one, frames={n: f for n, f in one.frames.items() if n not in names})


@pytest.fixture
def draw(folders: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch) -> Draw:
    def run(key: str, kind: str = "normal", folder: Path | None = None, **query: str) -> AppTest:
        monkeypatch.setenv(launch.PLANS, str(folder or folders[kind]))
        monkeypatch.delenv(launch.CONFIG, raising=False)
        app = AppTest.from_function(script, args=(key,), default_timeout=60)
        for name, value in query.items():
            if name:
                app.query_params[name] = value
        return app.run()

    return run


def words(app: AppTest) -> str:
    said = [str(x.value) for kind in (app.header, app.caption, app.text, app.info) for x in kind]
    said += [f"{m.label} {m.value} {m.delta}" for m in app.metric]
    # What is not markdown comes escaped where markdown is read.
    return "\n".join(said).replace("\\", "").replace("\u2060", "")


def tables(app: AppTest, column: str) -> list[pd.DataFrame]:
    return [d.value for d in app.dataframe if column in d.value.columns]


def plan(scenario: str = "base") -> Plan:
    return spending(planned(known_plan(scenario=scenario)))


# What grows with services; other views are the same for many as for a dozen.
GROWS = ("What moved", "Unit cost", "Whose cost", "Against budget", "How good it was", "")


@pytest.mark.parametrize(
    ("key", "state", "view", "kind"), [(*v, k) for v in VIEWS for k in KINDS if k != "many" or v[2] in GROWS]
)
def test_every_view_draws_every_kind_of_plan(draw: Draw, key: str, state: str, view: str, kind: str) -> None:
    app = draw(key, kind, **{state: view})
    assert not app.exception
    for item in [*app.markdown, *app.caption, *app.header, *app.info]:
        assert "<img" not in str(item.value).replace("\\<", "")
        assert "![](" not in str(item.value)
    for metric in app.metric:
        assert "<" not in f"{metric.label}{metric.value}{metric.delta}".replace("\\<", "")


@pytest.mark.parametrize(("key", "state", "view"), VIEWS)
def test_an_older_plan_shows_what_it_has(draw: Draw, tmp_path: Path, key: str, state: str, view: str) -> None:
    folder = tmp_path
    write_plan_dir(folder, without(known_plan(services=1), *HEAVY))
    app = draw(key, folder=folder, **{state: view})
    assert not app.exception
    wanted = {
        "Overview": _moved.NO_BRIDGE, "What moved": _moved.NO_BRIDGE, "Unit cost": _unit_cost.NO_GROUPS,
        "Whose cost": _whose.NO_POOLS, "Against budget": _budget.NO_OUTLOOK, "What they did": _commitments.NO_REVIEW,
        "Beside AWS's advice": _commitments.NO_AWS, "": _waste.NO_WASTE,
    }  # fmt: skip
    assert wanted.get(view, "") in words(app)


# --- cost to serve ---------------------------------------------------------------------------------------------


def test_the_bridge_adds_up_and_goes_down_to_skus(draw: Draw) -> None:
    app = draw("cost", cost_view="What moved")
    assert any("Adds up exactly" in m.value for m in app.markdown)
    rows = _moved.pairs(plan())[f"2026-08 to {NEWEST} (USD)"].rows
    (parts,) = tables(app, "Mostly")
    change = sum(rows["end"]) - sum(rows["start"])
    assert parts["Change"].sum() == pytest.approx(float(change), abs=0.05)
    assert list(parts["Change"].abs()) == sorted(parts["Change"].abs(), reverse=True)
    app.selectbox(key="bridge_of").select("search").run()
    assert not app.exception
    (skus,) = tables(app, "SKU")
    assert set(skus["Of"]) == {"search"}
    assert len(skus) == 2
    app.selectbox(key="bridge_term").select("Efficiency").run()
    (skus,) = tables(app, "SKU")
    assert list(skus["Efficiency"].abs()) == sorted(skus["Efficiency"].abs(), reverse=True)
    app.selectbox(key="bridge_pair").select("2026-Q2 to 2026-Q3 (USD)").run()
    assert not app.exception


def test_a_bridge_that_does_not_add_up_says_so(draw: Draw, tmp_path: Path) -> None:
    made = plan()
    rows = made.frames["bridge"].copy()
    rows["end"] = [end + Decimal("0.000000000001") * (i == 0) for i, end in enumerate(rows["end"])]
    write_plan_dir(tmp_path, without(replace(made, frames={**made.frames, "bridge": rows}), *HEAVY))
    app = draw("cost", folder=tmp_path, cost_view="What moved")
    assert any("Does not add up" in m.value for m in app.markdown)


def test_sums_of_the_bridge_are_exact() -> None:
    rows = plan().frames["bridge"]
    sums = _moved.by(rows, "from_period")
    for row in sums.to_dict("records"):
        assert row["start"] + sum(row[t] for t in TERMS) == row["end"]
        assert row["change"] == row["end"] - row["start"]


def test_unit_cost_by_level_driver_and_journey(draw: Draw) -> None:
    app = draw("cost", cost_view="Unit cost", unit_level="Services")
    (costs,) = tables(app, "Marginal")
    assert list(costs["Cost"]) == sorted(costs["Cost"], reverse=True)
    assert (costs["Low"] < costs["Marginal"]).all()
    assert (costs["Marginal"] < costs["Long run"]).all()
    assert "per 1,000 request" in words(app)
    (journeys,) = tables(app, "Of the service")
    assert {*JOURNEYS, _unit_cost.NOT_EXPLAINED} == set(journeys["Journey"])
    assert "is explained by no journey" in words(app)
    app.selectbox(key="unit_level").select("Journeys").run()
    assert set(tables(app, "Marginal")[0]["Name"]) == set(JOURNEYS)


def test_pools_are_checked_part_by_part(draw: Draw) -> None:
    app = draw("cost", cost_view="Whose cost", pool=POOLS[1])
    assert "100.0% of the pool: $6,000.00 in all" in words(app)
    (parts,) = tables(app, "Which is")
    assert parts["Cost"].sum() == pytest.approx(6000, abs=0.1)
    assert parts["To"].iloc[0] == POOLS[0]
    assert "Took nothing: old rule that takes nothing" in words(app)
    (rules,) = tables(app, "Rule")
    assert list(rules["Cost"]) == sorted(rules["Cost"], reverse=True)


def test_an_invoice_that_does_not_tie_comes_first(draw: Draw) -> None:
    app = draw("cost", cost_view="Invoices and discounts")
    assert any("1 of 6 do not tie" in m.value for m in app.markdown)
    (invoices,) = tables(app, "Invoice")
    assert invoices["Result"].iloc[0] == "does not tie"
    assert list(invoices["Month"].iloc[1:]) == sorted(invoices["Month"].iloc[1:], reverse=True)
    assert "$7,500 off $250,000 at list price, 3.0%" in words(app)


# --- budget, commitments, waste --------------------------------------------------------------------------------


def test_budgets_of_company_team_and_service_by_period(draw: Draw) -> None:
    app = draw("budget")
    cards = {m.label: m for m in app.metric}
    assert cards["Budget of 2026-10"].delta == "10% chance to pass it"
    assert cards["Was off, 3 months ahead"].delta.startswith("grade run")
    (budgets,) = tables(app, "P50 over by")
    assert set(budgets["Of"]) == {"Company", "team shop"}
    assert list(budgets["P50 over by"]) == sorted(budgets["P50 over by"], reverse=True)
    (periods,) = tables(app, "Projected")
    assert list(periods["Period"]) == sorted(periods["Period"])
    assert "AWS's against ours" in periods.columns
    (closed,) = tables(app, "Came to")
    assert list(closed["Over by"]) == [2500, -1500]
    assert "without tax, credits, refunds" in words(app)
    app.selectbox(key="budget_level").select("Service").run()
    app.selectbox(key="budget_name").select("search").run()
    app.selectbox(key="budget_periods").select("Quarters").run()
    assert not app.exception
    (periods,) = tables(app, "Projected")
    assert list(periods["Period"]) == ["2026-Q4", "2027-Q1"]
    assert "none is set" in words(app)


def test_a_forecast_that_has_lost_says_so(draw: Draw) -> None:
    app = draw("budget", budget_view="How good it was")
    (record,) = tables(app, "Beats it")
    assert list(record["Beats it"]).count("NO") == sum(i % 4 == 3 for i in range(len(record)))
    card = {m.label: m for m in draw("budget", budget_level="Service", budget_name="search").metric}
    assert "LOST to last month" in card["Was off, 3 months ahead"].delta


def test_what_to_buy_in_three_futures(draw: Draw) -> None:
    app = draw("commitments", commitments_view="What to buy")
    purchases = plan().frame("purchases")
    (expected,) = tables(app, "Pays off by")
    assert sorted(expected["Saves"]) == sorted(float(v) for v in purchases["saving_mean"])
    assert "Regret" not in expected.columns
    app.radio(key="future").set_value("Low (P10)").run()
    (low,) = tables(app, "Pays off by")
    assert sorted(low["Saves"]) == sorted(float(v) for v in purchases["saving_q10"])
    assert sorted(low["Regret"]) == sorted(float(v) for v in purchases["regret_q10"])
    (scenarios,) = tables(app, "Scenario")
    assert list(scenarios["Scenario"]) == ["base", "peak-plus-40"]
    (asked,) = tables(draw("commitments", commitments_view="Beside AWS's advice"), "Why they differ")
    assert asked["Ours less AWS's"].iloc[0] == pytest.approx(-0.7)


def test_commitments_tell_the_newest_month_then_what_ends(draw: Draw) -> None:
    app = draw("commitments")
    cards = {m.label: m for m in app.metric}
    assert cards[f"Coverage in {NEWEST}"].value == "32.0%"
    assert cards["End within 120 days"].delta == "\\$3,208 a month more then"
    (products,) = tables(app, "Committed")
    assert products["Product"].iloc[0] == "All commitments"
    assert "in 57 days" in tables(app, "Days left")[0]["In words"].iloc[0]


def test_waste_is_never_added_to_what_the_plan_saves(draw: Draw) -> None:
    app = draw("waste")
    frame = plan().frame("waste")
    cards = {m.label: m for m in app.metric}
    left = float(frame["monthly_usd"].sum() - frame["in_plan_usd"].sum())
    assert cards["Left to take"].value == f"${left:,.0f}"
    assert "never add the two" in words(app)
    (found,) = tables(app, "Evidence")
    assert list(found["Waste"]) == sorted(found["Waste"], reverse=True)
    app.multiselect(key="waste_kind").select("Storage").run()
    (found,) = tables(app, "Evidence")
    assert set(found["Kind"]) == {"Storage"}
    assert "Carbon in 2026-09" in words(app)


# --- pieces ------------------------------------------------------------------------------------------------------


def test_names_that_look_alike_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    offered: list[list[str]] = []

    def pick(label: str, options: list[str], **_: Any) -> str:
        offered.append(options)
        return options[1]

    monkeypatch.setattr("streamlit.selectbox", pick)
    assert _frames.choice("Name", ["a\tb", "a b"], "key") == "a b"
    assert offered == [["a b", "a b (2)"]]


def test_sums_keep_every_digit_and_skip_what_is_not_there() -> None:
    amounts = [Decimal("123456789012345678901234.000000000001"), None, float("nan"), Decimal("0.000000000001")]
    assert _frames.total(amounts) == Decimal("123456789012345678901234.000000000002")
