"""What is at stake: chance within a quarter, money of the quarter's demand, and the order that both give."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest

from capacity.pipeline.planning import Run
from capacity.pipeline.stakes import QUARTER_DAYS, at_stake
from capacity.plan import FRAMES, Plan
from tests.factory import known_plan


@pytest.fixture
def plan() -> Plan:
    return known_plan()


def test_every_limit_has_its_row_and_the_most_comes_first(plan: Plan) -> None:
    frame = at_stake(plan)
    assert tuple(frame.columns) == FRAMES["at_stake"]
    limits = {(u.service, u.region, x.name) for u in plan.units for x in u.limits}
    assert set(frame[["service", "region", "limit_name"]].itertuples(index=False, name=None)) == limits
    assert frame["weighed"].is_monotonic_decreasing
    assert frame["weighed"].to_numpy() == pytest.approx((frame["probability"] * frame["money"]).to_numpy())


def test_the_chance_is_that_of_the_curve_at_the_quarters_end(plan: Plan) -> None:
    frame = at_stake(plan)
    last = plan.horizon_start + timedelta(days=QUARTER_DAYS - 1)
    assert set(frame["last_day"]) == {last}
    curves = plan.frame("saturation")
    for row in frame.to_dict("records"):
        mine = curves[(curves["service"] == row["service"]) & (curves["region"] == row["region"])
                      & (curves["limit_name"] == row["limit_name"])]  # fmt: skip
        at = mine.loc[mine["ts"] == pd.Timestamp(last, tz="UTC"), "probability"]
        assert row["probability"] == pytest.approx(at.iloc[0])
    # The horizon goes on: by its end the chance is no less.
    assert all(r["probability"] <= 1 for r in frame.to_dict("records"))


def test_money_of_all_regions_is_the_unit_cost_times_the_demand(plan: Plan) -> None:
    frame = at_stake(plan).drop_duplicates(["service", "region"])
    unit_cost = plan.frame("unit_cost")
    month = unit_cost["month"].max()
    name = "checkout"  # in two regions
    cost = float(
        unit_cost.loc[(unit_cost["service"] == name) & (unit_cost["month"] == month), "effective_cost"].iloc[0]
    )
    last = pd.Timestamp(frame["last_day"].iloc[0], tz="UTC")

    def total(of: str, column: str, within: pd.Series) -> float:
        rows = plan.frame(of)
        return float(rows.loc[(rows["service"] == name) & (rows["target"] == "mean") & within, column].sum())

    ahead = total("forecast", "q50", plan.frame("forecast")["ts"] <= last)
    behind = total("history", "value", plan.frame("history")["ts"].dt.strftime("%Y-%m") == month)
    assert len(frame[frame["service"] == name]) == 2
    assert frame.loc[frame["service"] == name, "money"].sum() == pytest.approx(cost * ahead / behind)


def test_twice_the_bill_is_twice_the_stake(plan: Plan) -> None:
    dearer = plan.frame("unit_cost").assign(effective_cost=lambda f: f["effective_cost"].map(lambda x: x * Decimal(2)))
    doubled = at_stake(replace(plan, frames={**plan.frames, "unit_cost": dearer}))
    assert doubled["money"].sum() == pytest.approx(2 * at_stake(plan)["money"].sum())


def test_without_a_bill_there_is_chance_and_no_money(plan: Plan) -> None:
    bare = at_stake(replace(plan, frames={**plan.frames, "unit_cost": plan.frame("unit_cost").iloc[:0]}))
    assert bare["money"].isna().all()
    assert bare["weighed"].isna().all()
    assert bare["probability"].is_monotonic_decreasing


@pytest.mark.parametrize("made", [{"services": 0}, {"services": 1}, {"ugly": True}])
def test_odd_plans_have_stakes_too(made: dict[str, int]) -> None:
    plan = known_plan(**made)  # type: ignore[arg-type]
    assert len(at_stake(plan)) == sum(len(u.limits) for u in plan.units)


def test_a_real_plan_carries_them(planned: Run) -> None:
    for plan in planned.plans:
        pd.testing.assert_frame_equal(plan.frame("at_stake"), at_stake(plan), check_dtype=False)
        assert plan.frame("at_stake")["money"].notna().any()
