"""The price of headroom is told in the plan's own money: owned commitments applied, chosen by the plan's prices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from capacity import catalogue, optimize
from capacity.pipeline.judged import Judged, _as_the_plan, judge
from capacity.pipeline.mix import Mix, solve_mix
from capacity.pipeline.planning import Ground
from capacity.pipeline.purchases import purchases
from tests import company
from tests.optimize.makers import candidate, problem, unit
from tests.pipeline import mix_kit

# What all tiers promise; no level that is priced anyway.
LEVEL = 0.93
# Never the cheapest on demand; far below all others under its plan.
FAMILY, ITS_RATE, RATE = "c6i", 0.35, 0.8
BUY = "commitments: {products: [ec2_instance_sp], terms: [1], payments: [no_upfront], max_break_even_months: {1: 12}}"
OWNED_USD_PER_HOUR = 0.4


def _text(*, buys: bool) -> str:
    text = mix_kit.with_source(mix_kit.with_source(company.CONFIG, "prices"), "commitments")
    for level in ("0.95", "0.9"):
        text = text.replace(f"service_level: {level},", f"service_level: {LEVEL},")
    return text.replace("why_seconds: 0", f"why_seconds: 5{', ' + BUY if buys else ''}")


def _prices(folder: Path) -> None:
    known = catalogue.load().prices
    known = known[known["product"] == "on_demand"]
    usd = known["rate"].astype(float)
    share = known["instance_type"].str.startswith(f"{FAMILY}.").map({True: ITS_RATE, False: RATE})
    family = known.assign(product="ec2_instance_sp_1y_no_upfront", rate=usd * share)
    compute = known.assign(product="compute_sp_1y_no_upfront", rate=usd * 0.7)
    pd.concat([known, family, compute]).to_csv(folder / "prices.csv", index=False)


def _commitments(folder: Path) -> None:
    pd.DataFrame(
        {
            "id": ["sp-1"], "account_id": ["1"], "product": ["compute_sp"], "scope": [""], "region": [""],
            "sharing": ["organization"], "hourly_usd": [OWNED_USD_PER_HOUR], "count": [1],
            "start": ["2026-03-01T00:00:00Z"], "end": ["2027-03-01T00:00:00Z"],
        }
    ).to_csv(folder / "commitments.csv", index=False)  # fmt: skip


def _judged(folder: Path, *, buys: bool) -> tuple[Ground, Mix, Judged]:
    ground = mix_kit.ground_of(folder, _text(buys=buys), _prices, _commitments)
    mix = solve_mix(ground.inputs, mix_kit.needs_of(ground), seed=1)
    mix, _ = purchases(mix, ground.inputs)
    assert mix is not None
    assert mix.problem.commitments
    return ground, mix, judge(mix, ground.data, ground.inputs.config, 1, around=True)


@pytest.fixture(scope="module", params=[False, True], ids=["on demand", "with purchases in mind"])
def judged(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Ground, Mix, Judged]:
    found = _judged(tmp_path_factory.mktemp("curve"), buys=request.param)
    assert (found[1].asked_as is not None) == request.param
    return found


def test_the_point_at_the_plans_own_level_is_the_plan(judged: tuple[Ground, Mix, Judged]) -> None:
    _, mix, found = judged
    cost = float(mix.solution.spend["total_usd"].sum())
    curve, points = found.cost_curve, found.headroom_curve
    assert list(curve["service_level"]) == [0.5, 0.9, LEVEL, 0.95, 0.99]
    own = curve[curve["service_level"] == LEVEL]
    assert own["cost_usd"].tolist() == [cost]
    assert own["plan_of_level"].tolist() == [LEVEL]
    assert own["status"].str.contains("the plan itself").all()
    assert points.loc[points["moved_frac"] == 0.0, "cost_usd"].tolist() == [cost]


def test_what_is_owned_is_paid_and_used_at_every_level(judged: tuple[Ground, Mix, Judged]) -> None:
    _, mix, found = judged
    hours = sum(mix.problem.month_hours)
    assert found.cost_curve["committed_usd"].to_numpy(float) == pytest.approx(OWNED_USD_PER_HOUR * hours)
    parts = found.cost_curve[["on_demand_usd", "spot_usd", "committed_usd"]].sum(axis=1)
    assert parts.to_numpy(float) == pytest.approx(found.cost_curve["cost_usd"].to_numpy(float))


def test_levels_rise_through_the_plans_own_and_none_is_below_what_is_proven(
    judged: tuple[Ground, Mix, Judged],
) -> None:
    """Were levels chosen by on-demand prices, one with purchases in mind could stand above the next."""
    for frame in (judged[2].cost_curve, judged[2].headroom_curve):
        assert frame["cost_usd"].is_monotonic_increasing
        assert (frame["bound_usd"] <= frame["cost_usd"] * (1 + 1e-9)).all()


def test_a_level_is_chosen_by_the_plans_prices_and_billed_at_its_own() -> None:
    """x1 is dearer on demand and cheaper with what is to be bought; both types are at hand."""
    kinds = (candidate("m5.large", 0.10, 10.0), candidate("x1.large", 0.12, 10.0))
    plain = problem(unit("web", [90.0], kinds), penalty=0.0)
    seen = problem(unit("web", [90.0], (kinds[0], replace(kinds[1], usd_per_hour=0.06))), penalty=0.0)
    mix = Mix({}, plain, optimize.solve(plain), pd.DataFrame(), asked_as=seen)
    higher = problem(unit("web", [120.0], kinds), penalty=0.0)
    found = _as_the_plan(mix, optimize.solve, 0.002)(higher)
    cheapest = optimize.solve(higher)
    assert set(found.running["instance_type"]) == {"x1.large"}
    assert set(cheapest.running["instance_type"]) == {"m5.large"}
    assert found.status.objective == pytest.approx(1.2 * cheapest.status.objective)
    assert found.status.bound == pytest.approx(cheapest.status.bound)
    assert _as_the_plan(replace(mix, asked_as=None), optimize.solve, 0.002) is optimize.solve
