"""What may be bought in a scenario: laid over the config's policy, and obeyed by the plan."""

from __future__ import annotations

import pandas as pd
import pytest

from capacity import catalogue, config, pipeline, scenario, strict_yaml
from capacity.pipeline.planning import Run
from capacity.plan import Plan
from tests import company
from tests.scenario import kit

AS_OF = company.AS_OF.to_pydatetime()
BUY = "commitments: {terms: [1, 3], payments: [no_upfront], max_break_even_months: {1: 9, 3: 18}, ladder_months: 1}"
TEXT = company.CONFIG.replace("why_seconds: 0", f"why_seconds: 0, {BUY}").replace(
    "past_origins: 2, paths: 200", "past_origins: 1, paths: 100"
)
NONE = "name: none\ncommitments: {buy: false}\n"
ONE = "name: one-year\ncommitments: {products: [compute_sp], terms: [1], least_utilisation_frac: 0.5}\n"
LITTLE = "name: little\ncommitments: {largest_new_hourly_usd: 0.2}\n"


def _prices() -> pd.DataFrame:
    """Every type of the catalogue, on demand and under a Compute Savings Plan of either term."""
    known = catalogue.load().prices
    known = known[known["product"] == "on_demand"]
    shares = {"on_demand": 1.0, "compute_sp_1y_no_upfront": 0.72, "compute_sp_3y_no_upfront": 0.5}
    return pd.concat([known.assign(product=p, rate=known["rate"].astype(float) * s) for p, s in shares.items()])


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("bought")
    text = TEXT.replace("scenarios: [more.yaml, arm.yaml]", "scenarios: [more.yaml, what-if/]").replace(
        "  - {kind: focus_files",
        "  - {kind: files, name: prices, frame: prices, path: prices.csv}\n  - {kind: focus_files",
    )
    path = company.write(folder, config=text)
    _prices().to_csv(folder / "prices.csv", index=False)
    (folder / "what-if").mkdir()
    for i, overlay in enumerate((NONE, ONE, LITTLE)):
        (folder / "what-if" / f"{i}.yaml").write_text(overlay, encoding="utf-8")
    settings = config.load(path)
    store = pipeline.open_store(settings)
    pipeline.require_complete(pipeline.ingest(settings, store, AS_OF))
    return pipeline.run(settings, store, scenarios=pipeline.all_scenarios(settings), as_of=AS_OF)


def plan_of(planned: Run, name: str) -> Plan:
    return next(p for p in planned.plans if p.scenario == name)


def test_the_base_buys_for_three_years(planned: Run) -> None:
    bought = plan_of(planned, "base").frame("purchases")
    assert set(bought["term_years"]) == {3}
    assert bought["hourly_usd"].sum() > 0.2


def test_a_plan_that_buys_none_has_no_purchase_and_says_why(planned: Run) -> None:
    plan = plan_of(planned, "none")
    assert plan.frame("purchases").empty
    assert plan.frame("purchase_refusals")["reason"].tolist() == ["the scenario buys none"]


def test_terms_and_products_are_obeyed_and_the_rest_is_the_config_s(planned: Run) -> None:
    bought = plan_of(planned, "one-year").frame("purchases")
    assert set(bought["term_years"]) == {1}
    assert set(bought["product"]) == {"compute_sp"}
    assert set(bought["payment"]) == {"no_upfront"}


def test_no_more_is_bought_than_the_scenario_allows(planned: Run) -> None:
    bought = plan_of(planned, "little").frame("purchases")
    assert 0 < bought["hourly_usd"].sum() <= 0.2 + 1e-6


def test_the_fleet_is_the_base_s_where_only_purchases_change(planned: Run) -> None:
    base, none = plan_of(planned, "base"), plan_of(planned, "none")
    assert base.mix is not None
    assert none.mix is not None
    assert none.mix.recommended_usd == base.mix.recommended_usd


def test_a_scenario_that_says_nothing_of_purchases_looks_for_none(planned: Run) -> None:
    assert plan_of(planned, "more").frame("purchases").empty
    assert plan_of(planned, "more").frame("purchase_refusals").empty


def test_the_comparison_tells_what_each_buys(planned: Run) -> None:
    rows = {r.scenario: r for r in scenario.compare(planned.plans)}
    base = plan_of(planned, "base").frame("purchases")
    assert rows["base"].purchases == len(base)
    assert rows["base"].purchases_save_usd == pytest.approx(base["saving_mean"].sum())
    assert (rows["none"].purchases, rows["none"].purchases_save_usd) == (0, 0.0)
    assert rows["more"].purchases is None
    assert "buys no commitments, which gives up" in rows["none"].sentence


def test_the_overlay_keeps_what_it_does_not_name() -> None:
    settings = config.Config.model_validate(
        strict_yaml.loads(kit.CONFIG + "optimize: {commitments: {risk_weight: 0.3, ladder_months: 2}}\n").data
    )
    made = scenario.Scenario.model_validate({"name": "x", "commitments": {"max_break_even_months": {"1": 6}}})
    policy = scenario.overlay_config(settings, made).optimize.commitments
    assert policy is not None
    assert (policy.risk_weight, policy.ladder_months) == (0.3, 2)
    assert policy.max_break_even_months == {1: 6.0, 3: 18.0}
    assert scenario.overlay_config(settings, scenario.base()).optimize.commitments == settings.optimize.commitments


def test_a_config_without_a_policy_gets_the_usual_one() -> None:
    settings = config.Config.model_validate(strict_yaml.loads(kit.CONFIG).data)
    made = scenario.Scenario.model_validate({"name": "x", "commitments": {"terms": [1]}})
    policy = scenario.overlay_config(settings, made).optimize.commitments
    assert policy == config.CommitmentPolicy(terms=[1])
