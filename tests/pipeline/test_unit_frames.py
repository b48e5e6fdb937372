"""Unit cost on the demo company, whose generator knows the truth, and under plans of a small one."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from capacity import config, costs, scenario
from capacity.config import BillSource, Config, DriverConfig, JourneyConfig
from capacity.pipeline import drivers, money
from capacity.pipeline.finops.ground import Past
from capacity.pipeline.finops.tie import tie_frames
from capacity.pipeline.finops.unit_ahead import COLUMNS, unit_ahead_frames
from capacity.pipeline.finops.unit_cost import unit_frames
from capacity.pipeline.inputs import Inputs, _series
from capacity.pipeline.planning import Run
from capacity.plan import FRAMES
from capacity.sources import Context, build
from tests.factory_forecast import a_forecast

ROOT = Path(__file__).resolve().parents[2]
AS_OF = datetime(2026, 10, 5, 12, tzinfo=UTC)
# Money of one request more, as the generator has it (fixtures/company/bill_other.py), at 98 % of the list price: bytes
# between zones, units of a load balancer; of everybody's requests, gateway bytes and logs.
ZONES, BALANCER = 6e-6 * 0.01 * 0.98, 0.008 * 0.98 / 3600 / 45
SHARED = (2.6e-6 * 0.045 + 0.45e-6 * 0.5) * 0.98
TRUTH = {
    "auth": ZONES + BALANCER,
    "checkout": ZONES + BALANCER,
    "payments": ZONES + BALANCER,
    "catalog": ZONES + BALANCER,
    "gateway": ZONES + BALANCER + 21e-6 * 0.05 * 0.98,
    "cart": ZONES + BALANCER + 0.7 * 6.25e-7 * 0.98,
    "orders-db": ZONES,
    "reporting": ZONES,
    "thumbnails": (2e-7 + 0.12 * 0.0000166667) * 0.98,
}


def made(**known: Any) -> Inputs:
    """Inputs of what is given, and of nothing else."""
    lacking = {f.name: None for f in fields(Inputs) if f.default is MISSING and f.default_factory is MISSING}
    return Inputs(**(lacking | known))


@pytest.fixture(scope="module")
def demo() -> Past:
    """The demo company's bill and demand, without a store."""
    settings = config.load(ROOT / "configs" / "demo.yaml")
    data = ROOT / "fixtures" / "data"
    source = build(BillSource(kind="focus_files", name="bill", path=str(data / "bill" / "*.parquet")), Context(Path))
    usage = pq.read_table(data / "usage.parquet")
    wanted = pc.and_(
        pc.is_in(usage["metric"], pa.array(["requests_per_second", "disk_used_bytes"])),
        pc.and_(
            pc.equal(usage["stat"], "avg"), pc.greater_equal(usage["ts"], pa.scalar(datetime(2025, 9, 1, tzinfo=UTC)))
        ),
    )
    series, periods = _series(usage.filter(wanted).to_pandas())
    inputs = made(
        config=settings, as_of=AS_OF, cost=pa.concat_tables([b.table for b in source.batches(None, AS_OF)]),
        usage=series, periods=periods,
    )  # fmt: skip
    return Past(inputs=inputs, data={}, money=money.cost_to_serve(inputs))


@pytest.fixture(scope="module")
def frames(demo: Past) -> dict[str, pd.DataFrame]:
    return unit_frames(demo)


def row(frame: pd.DataFrame, **where: str) -> dict[str, Any]:
    for column, value in where.items():
        frame = frame[frame[column] == value]
    (found,) = frame.to_dict("records")
    return found


def test_frames_have_the_promised_columns(frames: dict[str, pd.DataFrame]) -> None:
    assert set(frames) == {"unit_cost", "unit_cost_groups", "journey_costs"}
    for name in ("unit_cost_groups", "journey_costs"):
        assert tuple(frames[name].columns) == FRAMES[name]
    assert set(FRAMES["unit_cost"]) <= set(frames["unit_cost"].columns)


def test_units_are_those_that_the_plan_counts(demo: Past) -> None:
    key = ["month", "service", "units", "coverage_frac"]
    both = demo.money.unit_cost[key].merge(drivers.own_units(demo.inputs), on=key[:2], suffixes=("", "_mine"))
    assert len(both) == len(demo.money.unit_cost)
    np.testing.assert_allclose(both["units"], both["units_mine"])
    np.testing.assert_allclose(both["coverage_frac"], both["coverage_frac_mine"])


def test_a_bill_that_begins_inside_a_month_is_told_and_that_month_has_no_unit_cost(demo: Past) -> None:
    assert demo.money.partial == {}
    cost = demo.inputs.cost
    cut = cost.filter(pc.greater_equal(cost["ChargePeriodStart"], pa.scalar(datetime(2026, 7, 16, tzinfo=UTC))))
    inputs = replace(demo.inputs, cost=cut)
    past = Past(inputs=inputs, data={}, money=money.cost_to_serve(inputs))
    assert past.money.months == demo.money.months[-3:]
    notes = tie_frames(past)["review_notes"]
    said = notes.loc[notes["topic"] == "months", "words"].tolist()
    assert len(said) == 1
    assert said[0].startswith("2026-07: the bill of bill begins on 16 Jul 2026: the month is not whole")
    found = unit_frames(past)
    for name, column in (("unit_cost", "usd_per_1000"), ("unit_cost_groups", "per_1000")):
        first = found[name][found[name]["month"] == "2026-07"]
        assert len(first)
        assert first[column].isna().all(), name
        assert first["flags"].str.contains("the bill of bill begins on 16 Jul 2026").all(), name
        assert found[name][column].notna().any(), name


def test_the_unit_cost_itself_is_as_it_was(demo: Past, frames: dict[str, pd.DataFrame]) -> None:
    before, now = demo.money.unit_cost, frames["unit_cost"]
    for column in ("month", "service", "effective_cost", "units", "usd_per_1000", "average_per_1000"):
        pd.testing.assert_series_equal(before[column], now[column])
    assert set(now["marginal_basis"]) == {"days"}
    assert set(before["marginal_basis"]) == {"months"}


@pytest.mark.parametrize("service", sorted(TRUTH))
def test_the_margin_is_what_the_generator_charges_for_a_request(service: str, frames: dict[str, pd.DataFrame]) -> None:
    line = row(frames["unit_cost"], service=service, month="2026-09")
    truth = 1000 * (TRUTH[service] + SHARED)
    assert line["marginal_per_1000"] == pytest.approx(truth, rel=0.005)
    assert line["long_run_per_1000"] > line["marginal_per_1000"], "over months the fleet follows demand"
    assert line["fixed_share_frac"] == pytest.approx(
        1 - line["marginal_per_1000"] / float(line["usd_per_1000"]), abs=0.02
    )


def test_golden_figures_of_the_last_month(frames: dict[str, pd.DataFrame]) -> None:
    groups = frames["unit_cost_groups"]
    company = row(groups, level="company", driver="orders", month="2026-09")
    assert company["effective_cost"] == Decimal("316033.536186668554")
    assert company["per_1000"] == Decimal("0.202751398")
    assert (company["unit"], company["per"]) == ("order", 1)
    journey = row(groups, level="journey", name="order", month="2026-09")
    assert journey["per_1000"] == Decimal("0.048088242")
    assert journey["marginal_per_1000"] == pytest.approx(0.005298, rel=0.01)
    assert journey["marginal_basis"] == "days"
    stored = row(groups, level="service", driver="stored", month="2026-09")
    assert stored["per_1000"] == Decimal("955.728326441")
    assert stored["marginal_basis"] == "months"
    assert "do not move but for their trend" in stored["flags"]
    assert set(groups["level"]) == set(costs.UNIT_LEVELS)
    assert set(groups.loc[groups["level"] == "team", "driver"]) == {"requests", "orders"}


def test_journeys_and_the_rest_are_the_whole_cost_of_services(demo: Past, frames: dict[str, pd.DataFrame]) -> None:
    assert demo.money.allocation is not None
    for line in demo.money.allocation.service_costs().to_dict("records"):
        found = frames["journey_costs"]
        mine = found[(found["service"] == line["service"]) & (found["month"] == line["month"])]
        assert costs.exact_sum(mine["effective_cost"]) == line["EffectiveCost"]
    last = frames["journey_costs"]
    last = last[last["month"] == "2026-09"].set_index(["journey", "service"])
    assert last.loc[("order", "orders-db"), "requests_per_journey"] == pytest.approx(
        4 + 0.5 * 2 + (1.2 + 0.25 * 0.35) * 0.5
    )
    assert last.loc[("order", "checkout"), "share_frac"] == 1.0
    assert last.loc[(costs.NOT_EXPLAINED, "search"), "share_frac"] == pytest.approx(0.417, abs=0.001)
    assert ("order", "search") not in last.index


def test_a_journey_of_every_request_is_flagged_beside_another(demo: Past) -> None:
    everything = JourneyConfig(name="page", enters={"gateway": 1.0})
    settings = demo.inputs.config.model_copy(update={"journeys": [*demo.inputs.config.journeys, everything]})
    found = unit_frames(replace(demo, inputs=replace(demo.inputs, config=settings)))
    over = row(found["journey_costs"], journey="page", service="checkout", month="2026-09")
    assert over["flags"].startswith("journeys make 200% of the requests")
    assert over["share_frac"] == pytest.approx(0.5, abs=0.01)
    page = row(found["unit_cost_groups"], level="journey", name="page", month="2026-09")
    assert "more of its services)" in page["flags"]


def test_a_company_without_drivers_and_journeys_has_its_services_teams_and_tiers(demo: Past) -> None:
    settings = demo.inputs.config.model_copy(update={"journeys": [], "drivers": []})
    found = unit_frames(replace(demo, inputs=replace(demo.inputs, config=settings)))
    assert found["journey_costs"].empty
    assert set(found["unit_cost_groups"]["level"]) == {"tier", "team", "service"}


# --- coming months -----------------------------------------------------------------------------------------


def parts(change: scenario.Scenario | None = None, **more: Any) -> Any:
    """A fleet of 100 requests/s and functions that it calls twice a request, all forecast from October."""
    settings = Config.model_validate(
        {
            "version": 1,
            "company": "Co",
            "tiers": [{"name": "t"}],
            "services": [
                {"name": n, "tier": "t", "team": "one", "kind": k, "regions": ["r"], "calls": c}
                for n, k, c in (
                    ("shop", "fleet", [{"service": "fn", "per_request": 2}]), ("fn", "usage_priced", []),
                )
            ],
            "drivers": [{"name": "visits", "unit": "visit", "metric": "requests_per_second", "services": ["shop"]}],
            "journeys": [{"name": "visit", "driver": "visits", "enters": {"shop": 1}}],
        }
    )  # fmt: skip
    rng = np.random.default_rng(1)
    size = np.exp(rng.normal(0, 0.1, (400, 1)))
    rates = {"shop": 100.0, "fn": 200.0}
    base = {
        money.Unit(s, "r"): a_forecast(s, size * np.full((400, 92), r), start="2026-10-01") for s, r in rates.items()
    }
    driven = replace(
        a_forecast("fn", size * np.full((400, 92), 86.4), start="2026-10-01"), model="driver: fixed + rate x units"
    )
    plain = a_forecast("shop", rng.permutation(size) * np.full((400, 92), 864.0), start="2026-10-01")
    before = pd.date_range("2026-09-01", "2026-09-30", freq="D")
    frame = pd.DataFrame(
        [("2026-09", "USD", s, k, Decimal(a)) for s, k, a in
         (("shop", "direct", "100"), ("shop", "shared", "25"), ("fn", "direct", "10"))],
        columns=["month", "currency", "service", "kind", "EffectiveCost"],
    )  # fmt: skip
    known = {u: SimpleNamespace(mean=f) for u, f in base.items()}
    columns = ["service", "currency", "marginal_basis", "marginal_per_1000"]
    past = {"unit_cost": pd.DataFrame([("fn", "USD", "days", 0.005)], columns=columns)}
    found = {
        "inputs": SimpleNamespace(config=settings), "change": change or scenario.base(), "known": known,
        "data": {u: SimpleNamespace(mean=pd.Series(1.0, before), service=settings.service(u.service)) for u in base},
        "base": SimpleNamespace(mean=base, spend={"shop": plain, "fn": driven}),
        "spend_history": {s: pd.Series(1.0, before) for s in rates},
        "money": SimpleNamespace(allocation=SimpleNamespace(frame=frame), months=("2026-09",)),
        "added": {}, "past": past,
    }  # fmt: skip
    return SimpleNamespace(**(found | more))


def ahead(given: Any, **where: str) -> dict[str, Any]:
    return row(unit_ahead_frames(given)["unit_cost_forecast"], month="2026-11", **where)


def test_a_unit_cost_whose_spend_follows_demand_is_sure_and_another_is_not() -> None:
    frame = unit_ahead_frames(parts())["unit_cost_forecast"]
    assert tuple(frame.columns) == COLUMNS == FRAMES["unit_cost_forecast"]
    assert set(frame["month"]) == {"2026-10", "2026-11", "2026-12"}
    fn = ahead(parts(), level="service", name="fn")
    assert (fn["q10"], fn["q50"], fn["q90"]) == pytest.approx((0.005, 0.005, 0.005), rel=0.01)
    assert fn["basis"] == "spend follows demand, future by future; no shared cost"
    shop = ahead(parts(), level="service", name="shop")
    assert shop["q50"] == pytest.approx(0.125, rel=0.02), "with a quarter more of shared cost"
    assert shop["q10"] < 0.93 * shop["q50"] < 1.08 * shop["q50"] < 1.2 * shop["q90"]
    assert shop["basis"].startswith("spend and demand are drawn apart; shared cost at 25% of direct")


def test_groups_and_journeys_add_their_services_future_by_future() -> None:
    given = parts()
    journey = ahead(given, level="journey", name="visit")
    company = ahead(given, level="company", driver="visits")
    assert [journey[q] for q in ("q10", "q50", "q90")] == pytest.approx([company[q] for q in ("q10", "q50", "q90")])
    assert journey["basis"].startswith("spend of 1 of 2 services follows demand")
    team = ahead(given, level="team", driver="requests")
    assert team["q50"] == pytest.approx(journey["q50"] / 3, rel=1e-4)


def test_a_scenario_brings_its_instances_money_and_its_demand() -> None:
    twice = {u: SimpleNamespace(mean=replace(f.mean, paths=2 * f.mean.paths, total=2 * f.mean.total))
             for u, f in parts().known.items()}  # fmt: skip
    change = scenario.base().model_copy(update={"name": "twice"})
    given = parts(change, known=twice, added={("shop", "2026-11"): 864.0 * 30})
    fn = ahead(given, level="service", name="fn")
    assert fn["q50"] == pytest.approx(0.005, rel=1e-3), "a request more costs what the margin says"
    assert fn["basis"].endswith("with what the scenario's demand adds at the margin")
    assert fn["scenario"] == "twice"
    shop = ahead(given, level="service", name="shop")
    assert shop["q50"] == pytest.approx((0.125 + 0.1) / 2, rel=0.03)
    assert shop["basis"].endswith("with what the scenario's instances add")
    unknown = ahead(parts(change, known=twice, past={}), level="service", name="fn")
    assert unknown["q50"] == pytest.approx(0.0025, rel=1e-3)
    assert unknown["basis"].endswith("what the scenario's demand adds is not known")


def test_a_driver_of_another_metric_has_no_forecast() -> None:
    given = parts()
    users = DriverConfig(name="users", unit="user", metric="active_users", month="mean")
    given.inputs.config = given.inputs.config.model_copy(update={"drivers": [users], "journeys": []})
    assert set(unit_ahead_frames(given)["unit_cost_forecast"]["driver"]) == {"requests"}


def test_every_plan_has_the_frames(planned: Run) -> None:
    for plan in planned.plans:
        for name in ("unit_cost_groups", "journey_costs", "unit_cost_forecast"):
            assert tuple(plan.frame(name).columns[: len(FRAMES[name])]) == FRAMES[name]
        forecast = plan.frame("unit_cost_forecast")
        assert set(forecast["level"]) >= {"tier", "service"}
        assert (forecast["q10"] <= forecast["q50"]).all()
        assert (forecast["q50"] <= forecast["q90"]).all()
        assert set(forecast["scenario"]) == {plan.scenario}


def test_a_bill_without_usage_has_costs_and_no_unit_cost(demo: Past) -> None:
    blind = replace(demo.inputs, usage={}, periods={})
    found = unit_frames(replace(demo, inputs=blind, money=demo.money))
    groups = found["unit_cost_groups"]
    assert groups["per_1000"].isna().all()
    assert set(groups["flags"].str.split(";").str[0]) == {"no driver units in this month"}
    assert set(found["journey_costs"]["journey"]) == {costs.NOT_EXPLAINED}
    assert found["unit_cost"]["marginal_per_1000"].isna().all()
