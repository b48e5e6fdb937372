"""What is looked for around a plan: what it realises, what more would cost, what to buy, and why."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest

from capacity import config, pipeline, scenario
from capacity.errors import MissingDataError, UsageError
from capacity.pipeline.load_tests import read_load_tests, with_load_tests
from capacity.pipeline.planning import Run
from capacity.plan import Plan
from tests import company

AS_OF = company.AS_OF.to_pydatetime()
TEXT = company.CONFIG.replace("why_seconds: 0", "why_seconds: 30, commitments: {least_utilisation_frac: 0.5}")
TABLE = "throughput,p99_ms,concurrency,seconds\n50,20,5,60\n100,25,10,60\n150,60,15,60\n160,400,20,60\n"


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = config.load(company.write(tmp_path_factory.mktemp("around"), config=TEXT))
    pipeline.require_complete(pipeline.ingest(settings, pipeline.open_store(settings), AS_OF))
    more = scenario.load(settings.resolve("more.yaml"), settings)
    return pipeline.run(settings, pipeline.open_store(settings), scenarios=[more], as_of=AS_OF)


@pytest.fixture(scope="module")
def plan(planned: Run) -> Plan:
    return planned.plans[0]


def test_the_plan_realises_what_its_tier_promises(plan: Plan) -> None:
    frame = plan.frame("coverage")
    assert len(frame) == 4
    assert (frame["coverage_frac"] >= frame["required_frac"] - 0.02).all()
    # Nothing to spare: one instance a zone fewer breaks the promise, or the unit is at its smallest count.
    assert ((frame["one_fewer_frac"] < frame["required_frac"]) | frame["at_minimum"]).all()


def test_headroom_by_month_is_of_what_runs_and_of_what_is_planned(plan: Plan) -> None:
    frame = plan.frame("headroom_months")
    months = frame[frame["month"] != "now"]
    assert set(frame["month"]) == {"now", *plan.mix.months}  # type: ignore[union-attr]
    expected = 1.0 - months["peak"].astype(float) / months["safe_planned"].astype(float)
    assert months["headroom_planned_frac"].to_numpy(float) == pytest.approx(expected.to_numpy(float))
    assert (months["headroom_planned_frac"] >= months["policy_frac"] - 1e-6).all()


def test_the_price_of_headroom_never_falls(plan: Plan) -> None:
    curve = plan.frame("cost_curve")
    assert list(curve["service_level"]) == [0.5, 0.9, 0.95, 0.99]
    assert curve["cost_usd"].is_monotonic_increasing
    assert (curve["bound_usd"] <= curve["cost_usd"] + 1e-6).all()


def test_requirements_have_prices_and_types_have_reasons(plan: Plan) -> None:
    prices = plan.frame("requirement_prices")
    tried = prices[prices["requirement"] != ""]
    assert (tried["low_usd_per_year"] <= tried["high_usd_per_year"]).all()
    assert tried["requirement"].str.startswith("quota L-1216C47A").any()
    survived = tried[tried["moved"] == "1 zone more"]
    assert (survived["low_usd_per_year"] >= 0).all()
    choice = plan.frame("type_choice")
    for _, rows in choice.groupby(["service", "region"]):
        assert next(iter(rows["chosen"]))
        assert not rows["chosen"].iloc[1:].any()
        assert rows["reason"].str.len().min() > 0


def test_what_to_buy_and_what_was_refused(plan: Plan) -> None:
    bought, refused = plan.frame("purchases"), plan.frame("purchase_refusals")
    # The rate card knows three-year all-upfront RIs alone; every other product is refused by its name.
    assert set(bought["product"]) <= {"standard_ri"}
    assert (bought["saving_mean"] > 0).all()
    assert bought["count"].gt(0).all()
    assert {"compute_sp_1y_no_upfront", "ec2_instance_sp_3y_all_upfront"} <= set(refused["offer"])
    assert refused["reason"].str.contains("no rate is known").any()


def test_a_pool_without_nodes_is_told_with_what_it_leaves_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    pod = "{service: api, cpu_request_vcpu: 0.5, memory_request_gib: 1, demand_per_pod: 20}"
    tier = config.load(company.write(tmp_path_factory.mktemp("tier"))).tiers[0].name
    pool = f"pools: [{{name: nodes, tier: {tier}, regions: [us-east-1], services: [{pod}]}}]\nbudgets:"
    settings = config.load(
        company.write(tmp_path_factory.mktemp("pool"), config=company.CONFIG.replace("budgets:", pool))
    )
    pipeline.require_complete(pipeline.ingest(settings, pipeline.open_store(settings), AS_OF))
    made = pipeline.run(settings, pipeline.open_store(settings), as_of=AS_OF).plans[0]
    assert any("no node of this pool" in f.text and "api/us-east-1: 8 instances" in f.text for f in made.findings)
    assert made.mix is not None
    assert any(note.startswith("pool nodes/us-east-1 (api): ") for note in made.mix.notes)


def test_the_total_is_the_sum_of_its_parts_and_holds_the_mix(plan: Plan) -> None:
    total = plan.frame("plan_total")
    parts, sums = total[total["part"] != "total"], total[total["part"] == "total"]
    for month, amount in zip(sums["month"], sums["amount"], strict=True):
        assert sum(parts.loc[parts["month"] == month, "amount"], Decimal(0)) == amount
    instances = parts[parts["basis"] == "optimizer"]
    spend = plan.frame("spend_plan")["total_usd"].sum()
    assert float(sum(instances["amount"], Decimal(0))) == pytest.approx(spend, abs=0.01 * len(instances))


def test_the_fleet_ties_to_the_bill_service_by_service(plan: Plan) -> None:
    ties = plan.frame("tie_services")
    fleets = ties[ties["ties"].notna()]
    assert {"web", "api"} <= set(fleets["service"])
    assert fleets["ties"].all()


def test_a_scenario_has_its_curve_and_coverage_and_no_second_search(planned: Run) -> None:
    changed = planned.plans[1]
    assert len(changed.frame("coverage"))
    assert len(changed.frame("cost_curve")) == 4
    assert changed.frame("requirement_prices").empty
    assert changed.frame("purchases").empty


# --- load tests ---------------------------------------------------------------------------------------------


def with_test(tmp_path_factory: pytest.TempPathFactory, test: str, table: str = TABLE) -> config.Config:
    folder = tmp_path_factory.mktemp("tested")
    (folder / "steps.csv").write_text(table)
    text = TEXT.replace("    burst_factor: 1.1\n", f"    burst_factor: 1.1\n    load_tests: [{test}]\n")
    return config.load(company.write(folder, config=text))


def test_a_load_test_says_what_an_instance_serves(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = with_test(tmp_path_factory, "{path: steps.csv, kind: table, instance_type: m5.xlarge, slo_p99_ms: 100}")
    found = read_load_tests(settings)
    after = with_load_tests(settings, found)
    # P99 meets 100 ms between the step that serves 150 a second and the one that serves 160.
    assert 150 <= after.service("web").load_tested["m5.xlarge"] <= 160
    assert settings.service("web").load_tested == {}
    assert after.path == settings.path
    row = found.frame().iloc[0]
    assert (row["service"], row["instance_type"]) == ("web", "m5.xlarge")
    assert row["safe_low"] <= row["safe"] <= row["safe_high"]


def test_a_load_test_without_an_slo_and_one_without_a_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    without = with_test(tmp_path_factory, "{path: steps.csv, kind: table, instance_type: m5.xlarge}")
    web = without.service("web").model_copy(update={"slo_p99_ms": None})
    others = [s for s in without.services if s.name != "web"]
    with pytest.raises(UsageError, match="slo_p99_ms"):
        read_load_tests(without.model_copy(update={"services": [web, *others]}))
    absent = with_test(tmp_path_factory, "{path: absent.csv, kind: table, instance_type: m5.xlarge, slo_p99_ms: 100}")
    with pytest.raises(MissingDataError, match=r"absent\.csv"):
        read_load_tests(absent)
    twice = "{path: steps.csv, kind: table, instance_type: m5.xlarge, slo_p99_ms: 100}"
    with pytest.raises(UsageError, match="tested twice"):
        read_load_tests(with_test(tmp_path_factory, f"{twice}, {twice}"))


@pytest.mark.parametrize(
    ("line", "said"),
    [("20,nonsense,40", "steps.csv, line 3"), (None, None)],
)
def test_ingest_reads_load_tests_too_and_names_file_and_line(
    tmp_path_factory: pytest.TempPathFactory, line: str | None, said: str | None
) -> None:
    lines = TABLE.splitlines()
    if line is not None:
        lines[2] = line
    test = "{path: steps.csv, kind: table, instance_type: m5.xlarge, slo_p99_ms: 100}"
    settings = with_test(tmp_path_factory, test, "\n".join(lines) + "\n")
    report = pipeline.ingest(settings, pipeline.open_store(settings), company.AS_OF.to_pydatetime())
    found = report.sources[-1]
    assert found.source == "load test of web on m5.xlarge"
    # The other sources came all the same.
    assert all(s.rows_read > 0 for s in report.sources[:-1])
    if said is None:
        assert not report.failed
        assert any("steady step" in note for note in found.notes)
    else:
        assert report.failed == (found.source,)
        assert said in found.failures[0]


def test_the_frames_of_a_plan_without_a_mix_are_empty_and_whole() -> None:
    from capacity.pipeline.judged import Judged
    from capacity.pipeline.purchases import Purchases
    from capacity.pipeline.reasons import Reasons
    from capacity.plan import FRAMES

    for made in (Judged(), Reasons(), Purchases()):
        for name, frame in vars(made).items():
            if isinstance(frame, pd.DataFrame):
                assert list(frame.columns) == list(FRAMES[name])
                assert frame.empty


def test_more_headroom_costs_more_and_the_plan_stands_at_its_policy(planned: Run, plan: Plan) -> None:
    curve = plan.frame("headroom_curve")
    assert list(curve["moved_frac"]) == [-0.1, -0.05, 0.0, 0.05, 0.1, 0.2]
    assert plan.mix is not None
    own = curve.loc[curve["moved_frac"] == 0.0, "cost_usd"].iloc[0]
    assert own <= plan.mix.recommended_usd + 1e-6
    assert curve["cost_usd"].dropna().is_monotonic_increasing
    assert (curve["bound_usd"] <= curve["cost_usd"] + 1e-6).all()
    # Looked for once, for the base: scenarios are compared by what they are.
    assert planned.plans[1].frame("headroom_curve").empty


def test_other_sizes_go_with_what_is_recommended(plan: Plan) -> None:
    bought, sizes = plan.frame("purchases"), plan.frame("purchase_sizes")
    for row in bought.to_dict("records"):
        own = sizes[(sizes["offer"] == row["offer"]) & (sizes["month"] == row["month"]) & (sizes["size_frac"] == 1.0)]
        assert own["saving_mean"].tolist() == pytest.approx([row["saving_mean"]])
        assert own["utilisation_q10"].tolist() == pytest.approx([row["utilisation_q10"]])
    together = sizes[sizes["offer"] == ""]
    assert len(together) == (5 if len(bought) else 0)
    ahead = plan.frame("coverage_ahead")
    assert ahead["covered_frac"].between(0, 1).all()
    assert (ahead.groupby("month")["covered_frac"].sum() <= 1 + 1e-9).all()
    assert bool(len(bought)) == bool((~ahead["owned"].astype(bool)).any())
