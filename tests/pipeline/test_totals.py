"""The plan's totals and explanations, on the small company."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity import pipeline, plan
from capacity.config import Config
from capacity.domain import QUANTILES
from capacity.pipeline.bill_days import SHARED
from capacity.pipeline.planning import Run
from capacity.pipeline.totals import NO_TEAM, spend_totals, team_of, totals_frame
from tests import company
from tests.factory_forecast import a_forecast

QUANTILE_NAMES = ["q10", "q50", "q90"]


def totals(found: plan.Plan, **where: str) -> pd.DataFrame:
    frame = found.frame("totals")
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return frame


def test_company_spend_is_what_the_plan_says_in_every_scenario(planned: Run) -> None:
    for found in planned.plans:
        rows = totals(found, level="company", measure="spend").set_index("month")
        assert len(found.spend) >= 1
        for month in found.spend:
            # 200 float32 paths, added in another order
            np.testing.assert_allclose(
                rows.loc[month.month, QUANTILE_NAMES].astype(float), (month.q10, month.q50, month.q90), rtol=1e-5
            )
            assert rows.loc[month.month, "unit"] == found.currency


def test_service_spend_is_what_its_own_frame_says(planned: Run) -> None:
    base = planned.plans[0]
    own = base.frame("spend_forecast").set_index(["service", "month"])[QUANTILE_NAMES]
    rows = totals(base, level="service", measure="spend").set_index(["name", "month"])[QUANTILE_NAMES]
    assert set(own.index) <= set(rows.index)
    np.testing.assert_allclose(rows.loc[own.index].astype(float), own.astype(float), rtol=1e-5)


def test_teams_come_between_and_what_is_nobodys_is_a_team_of_its_own(planned: Run, small: Config) -> None:
    base = planned.plans[0]
    assert set(totals(base, level="team")["name"]) == {NO_TEAM, SHARED}
    assert set(totals(base, level="company")["name"]) == {"Small"}
    assert team_of(small, "web") == NO_TEAM
    assert team_of(small, SHARED) == SHARED


def test_the_companys_interval_is_narrower_than_its_services_added(planned: Run) -> None:
    base = planned.plans[0]
    for _, rows in totals(base, measure="spend").groupby("month"):
        width = {level: float((r["q90"] - r["q10"]).sum()) for level, r in rows.groupby("level")}
        assert width["company"] <= width["team"] <= width["service"]


def test_demand_is_of_services_only_and_lies_at_the_level_of_its_forecast(planned: Run) -> None:
    base = planned.plans[0]
    rows = totals(base, measure="demand")
    assert set(rows["level"]) == {"service"}
    assert set(rows["unit"]) == {"1/s"}
    forecast = base.frame("forecast")
    days = forecast[(forecast["service"] == "web") & (forecast["target"] == "mean")].set_index("ts")
    september = float(days.loc["2026-09-01":"2026-09-30", "q50"].mean())
    (mine,) = rows[(rows["name"] == "web") & (rows["month"] == "2026-09")].to_dict("records")
    assert mine["q10"] < mine["q50"] < mine["q90"]
    assert mine["q50"] == pytest.approx(september, rel=0.1)


def test_a_quarter_takes_its_months_and_a_scenarios_money_goes_to_its_service() -> None:
    days = pd.date_range("2026-10-01", periods=92, freq="D")
    paths = np.random.default_rng(1).lognormal(3, 0.1, (200, len(days)))
    history = pd.Series(20.0, index=pd.date_range("2026-08-01", "2026-09-30", freq="D"))
    config = Config.model_construct(company="Co", currency="EUR", services=[])
    spend = {name: a_forecast(name, paths, start="2026-10-01") for name in ("web", "api")}
    found = spend_totals(spend, {"web": history, "api": history}, config)
    plain = totals_frame(found, (), {})
    more = totals_frame(found, (), {("web", "2026-11"): 100.0, ("", "2026-12"): 7.0})
    change = (more.set_index(["name", "month"])["q50"] - plain.set_index(["name", "month"])["q50"]).round(6)
    assert change[change != 0].to_dict() == {
        ("Co", "2026-11"): 100.0, ("Co", "2026-12"): 7.0, ("Co", "2026-Q4"): 107.0,
        (NO_TEAM, "2026-11"): 100.0, (NO_TEAM, "2026-Q4"): 100.0,
        ("web", "2026-11"): 100.0, ("web", "2026-Q4"): 100.0,
    }  # fmt: skip
    quarter = plain[(plain["name"] == "web") & (plain["month"] == "2026-Q4")].iloc[0]
    assert quarter["q50"] == pytest.approx(float(np.quantile(paths.sum(axis=1), 0.5)), rel=1e-5)


def test_a_service_that_is_new_cost_nothing_before_and_one_that_is_billed_later_joins() -> None:
    """The bill begins in July; api's first charge is in November, its last in December; web's end in November."""
    config = Config.model_construct(company="Co", currency="USD", services=[])
    web = pd.Series(1.0, index=pd.date_range("2026-07-01", "2026-11-30"))
    api = pd.Series(1.0, index=pd.date_range("2026-11-11", "2026-12-10"))
    spend = {
        "web": a_forecast("web", np.ones((50, 31)), start="2026-12-01"),
        "api": a_forecast("api", np.ones((50, 21)), start="2026-12-11"),
    }
    frame = totals_frame(spend_totals(spend, {"web": web, "api": api}, config), (), {})
    found = frame[frame["level"] == "company"].set_index("month")["q50"].to_dict()
    assert found == {"2026-12": 62.0, "2026-Q4": 92.0 + 51.0}


def test_a_series_that_ended_long_ago_does_not_stop_the_plan() -> None:
    config = Config.model_construct(company="Co", currency="USD", services=[])
    known = {"web": a_forecast("web", np.ones((50, 31)), start="2026-12-01"),
             "old": a_forecast("old", np.ones((50, 31)), start="2025-12-01")}  # fmt: skip
    history = pd.Series(1.0, index=pd.date_range("2025-07-01", "2026-11-30"))
    found = spend_totals(known, dict.fromkeys(known, history), config)
    assert {t.members for t in found} == {("web",)}


def test_paths_of_spend_have_the_calibrated_total(small: Config) -> None:
    from capacity.pipeline.planning import prepare

    ground = prepare(small, pipeline.open_store(small), as_of=company.AS_OF.to_pydatetime())
    for known in ground.base.spend.values():
        sums = known.paths.sum(axis=1, dtype=float)
        for at in (0.1, 0.5, 0.9):
            wanted = float(known.total[QUANTILES.index(at)])
            assert float(np.quantile(sums, at)) == pytest.approx(wanted, rel=0.02)


# --- explanations ------------------------------------------------------------------------------------------


def test_every_unit_is_explained_in_factors_and_in_words(planned: Run) -> None:
    base = planned.plans[0]
    frame = base.frame("explanation")
    assert list(frame.columns) == list(plan.FRAMES["explanation"])
    assert set(frame["target"]) == {"mean", "peak"}
    product = frame["trend"] * frame["weekly"] * frame["yearly"] * frame["events"]
    np.testing.assert_allclose(product, frame["fitted"], rtol=1e-12)
    rows = frame.groupby(["service", "region", "target"])["ts"].agg(["min", "max", "size"])
    assert (rows["max"] - rows["min"] <= pd.Timedelta(days=400 + 45)).all()
    for unit in base.units:
        assert unit.words[0].split()[0] in ("Grows", "Shrinks", "About", "No")
        assert any("are highest" in w for w in unit.words), "Mondays and Tuesdays were made a quarter higher"
        assert unit.words[-1].startswith("Daily peak: ")
    web = next(u for u in base.units if u.service == "web")
    assert web.words[0].startswith("Grows")


def test_scenarios_carry_the_same_explanation(planned: Run) -> None:
    base, *others = planned.plans
    for other in others:
        assert [u.words for u in other.units] == [u.words for u in base.units]


def test_a_plan_saved_before_still_opens(planned: Run, folder: Path) -> None:
    base = planned.plans[0]
    old = replace(base, frames={k: v for k, v in base.frames.items() if k not in ("explanation", "totals")})
    path = plan.write(old, folder, {})
    document = json.loads(path.read_text(encoding="utf-8"))
    for unit in document["units"]:
        del unit["words"]
    path.write_text(json.dumps(document), encoding="utf-8")
    found = plan.read(folder)
    assert [u.words for u in found.units] == [()] * len(base.units)
    assert found.frame("totals").empty
    assert list(found.frame("explanation").columns) == list(plan.FRAMES["explanation"])


def test_forecasts_say_what_the_history_says(small: Config, folder: Path) -> None:
    known = pipeline.forecast_config(small, pipeline.open_store(small), folder, as_of=company.AS_OF.to_pydatetime())
    assert all(f.words for f in known.values())
    assert known["web/us-east-1|mean"].words[0].startswith("Grows")
