"""A plan whose rates make another mix better: the mix that is kept, what is bought for it, and what is said of both."""

from __future__ import annotations

import pandas as pd
import pytest

from capacity import catalogue, config, pipeline
from capacity.pipeline.planning import Run
from capacity.plan import Plan
from tests import company

AS_OF = company.AS_OF.to_pydatetime()
BUY = "commitments: {products: [ec2_instance_sp], terms: [1], payments: [no_upfront], max_break_even_months: {1: 12}}"
TEXT = company.CONFIG.replace("why_seconds: 0", f"why_seconds: 2, {BUY}").replace(
    "past_origins: 2, paths: 200", "past_origins: 1, paths: 100"
)
# Never the cheapest on demand; far below all others under its plan.
FAMILY, ITS_RATE, RATE = "c6i", 0.35, 0.8


def _prices() -> pd.DataFrame:
    known = catalogue.load().prices
    known = known[known["product"] == "on_demand"]
    usd = known["rate"].astype(float)
    share = known["instance_type"].str.startswith(f"{FAMILY}.").map({True: ITS_RATE, False: RATE})
    return pd.concat([known, known.assign(product="ec2_instance_sp_1y_no_upfront", rate=usd * share)])


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("together")
    text = TEXT.replace("scenarios: [more.yaml, arm.yaml]", "scenarios: [more.yaml]").replace(
        "  - {kind: focus_files",
        "  - {kind: files, name: prices, frame: prices, path: prices.csv}\n  - {kind: focus_files",
    )
    path = company.write(folder, config=text)
    _prices().to_csv(folder / "prices.csv", index=False)
    settings = config.load(path)
    store = pipeline.open_store(settings)
    pipeline.require_complete(pipeline.ingest(settings, store, AS_OF))
    return pipeline.run(settings, store, scenarios=pipeline.all_scenarios(settings), as_of=AS_OF)


@pytest.fixture(scope="module")
def plan(planned: Run) -> Plan:
    return planned.plans[0]


def _value_by_family(plan: Plan) -> pd.Series:
    mix = plan.frame("mix")
    running = mix[mix["instances"] > 0]
    return (
        (running["instances"] * running["usd_per_hour"]).groupby(running["instance_type"].str.split(".").str[0]).sum()
    )


def test_the_mix_is_the_one_that_is_cheapest_with_what_is_bought_for_it(plan: Plan) -> None:
    bought = plan.frame("purchases")
    assert set(bought["scope"]) == {FAMILY}
    assert _value_by_family(plan).idxmax() == FAMILY


def test_what_it_saves_is_said_and_its_proof_is_of_the_fleet_on_demand(plan: Plan) -> None:
    assert plan.mix is not None
    (said,) = (n for n in plan.mix.notes if "with purchases" in n)
    assert said.startswith("the mix is chosen for what it costs with purchases: until")
    assert plan.mix.termination == "chosen for its cost with purchases"
    assert any("it is chosen for its cost with purchases" in f.text for f in plan.findings)
    assert plan.mix.bound <= plan.mix.objective
    assert plan.mix.checks


def test_what_explains_it_is_worked_out_at_the_prices_that_it_was_chosen_by(plan: Plan) -> None:
    alternatives, types = plan.frame("alternatives"), plan.frame("type_choice")
    # At on-demand prices there would be plans that cost a tenth less than the one that is recommended.
    assert (alternatives["extra_frac"] > -0.01).all()
    assert (types["extra_frac"] > -0.01).all()
    assert all(u.why.count("with commitments to buy") == 1 for u in plan.units if u.recommended)


def test_a_scenario_is_chosen_by_the_prices_of_its_base(planned: Run) -> None:
    """Half again as much of web: it costs more, where at on-demand prices other types would have made it cheaper."""
    base, more = planned.plans
    assert more.scenario == "more"
    assert set(_value_by_family(more).index) == set(_value_by_family(base).index)
    assert more.mix is not None
    assert base.mix is not None
    assert more.mix.recommended_usd > base.mix.recommended_usd
    assert "with purchases" in more.mix.termination
