"""Calls, the reasons of ρ*, and the forecast of before, of a real plan; and what is said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import config, pipeline
from capacity.config import ServiceConfig
from capacity.pipeline.planning import Run
from capacity.pipeline.priced import headroom_words, sizes_words
from capacity.pipeline.said_before import AGAIN, STORED, accuracy, accuracy_words, against
from capacity.pipeline.surroundings import explained, why
from capacity.plan import Plan
from tests import company
from tests.factory import known_plan
from tests.factory_around import around
from tests.factory_planned import planned as with_purchases


@pytest.fixture(scope="module")
def plan(planned: Run) -> Plan:
    return planned.plans[0]


# --- a real plan ---------------------------------------------------------------------------------------------


def test_calls_are_those_of_the_config_with_the_demand_that_they_make(plan: Plan) -> None:
    frame = plan.frame("calls")
    assert frame[["caller", "callee", "per_request"]].to_numpy().tolist() == [["web", "api", 0.4]]
    history = plan.frame("history")
    means = history[history["target"] == "mean"].sort_values("ts").groupby("service")["value"]
    recent = means.apply(lambda v: v.tail(28).mean())
    assert frame["demand"].iloc[0] == pytest.approx(0.4 * recent["web"])
    assert frame["share_frac"].iloc[0] == pytest.approx(0.4 * recent["web"] / recent["api"])


def test_utilisation_has_its_reasons(plan: Plan) -> None:
    frame = plan.frame("utilisation").set_index("service")
    assert set(frame.index) == {"web", "api"}
    assert frame["rho_star"].tolist() == pytest.approx([0.6, 0.6])
    assert frame["words"].str.contains("max_utilisation_frac").all()
    assert frame["binds"].eq("vcpu").all()
    weeks = plan.frame("headroom")
    # At the safe capacity the fleet is as busy as it may be, and never less busy with more demand.
    assert (weeks["utilisation_frac"].le(0.6) == weeks["headroom_frac"].ge(0)).all()
    web = weeks[weeks["service"] == "web"].sort_values("peak_quantile")
    assert web["utilisation_frac"].is_monotonic_increasing


def test_what_was_said_before_is_made_again_on_the_first_plan(plan: Plan) -> None:
    frame = plan.frame("past_forecast")
    assert set(frame["service"]) == {"web", "api", "thumbs"}
    assert set(frame["basis"]) == {AGAIN}
    assert frame["q10"].isna().all()
    assert frame["q50"].gt(0).all()
    last = plan.frame("history")["ts"].max()
    assert (pd.to_datetime(frame["ts"]) <= last).all()
    assert (frame["ts"] > frame["origin_ts"]).all()
    scored = accuracy(plan)
    assert len(scored) == 3
    assert scored["error_frac"].between(0, 1).all()


def test_a_later_plan_shows_what_the_stored_one_said(tmp_path: Path) -> None:
    later = company.AS_OF + pd.Timedelta(days=40)
    settings = config.load(company.write(tmp_path, end=later))
    store = pipeline.open_store(settings)
    pipeline.require_complete(pipeline.ingest(settings, store, later.to_pydatetime()))
    first = pipeline.run(settings, store, as_of=company.AS_OF.to_pydatetime()).plans[0]
    again = pipeline.run(settings, store, as_of=later.to_pydatetime()).plans[0]
    frame = again.frame("past_forecast")
    assert set(frame["basis"]) == {STORED}
    assert frame.groupby("service").size().tolist() == [40, 40, 40]
    said = first.frame("forecast")
    said = said[(said["target"] == "peak") & (said["metric"] == "requests_per_second")]
    both = frame.assign(ts=pd.to_datetime(frame["ts"])).merge(said, on=["service", "region", "ts"])
    assert len(both) == 120
    for q in ("q10", "q50", "q90"):  # what is stored is calibrated, the plan's own are of 200 paths
        assert both[f"{q}_x"].to_numpy(float) == pytest.approx(both[f"{q}_y"].to_numpy(float), rel=0.02)
    scored = accuracy(again)
    assert scored["within_frac"].between(0.5, 1).all()
    assert scored["days"].tolist() == [40, 40, 40]


# --- why -----------------------------------------------------------------------------------------------------


def service(**more: object) -> ServiceConfig:
    return ServiceConfig(name="web", tier="t", regions=["r"], **more)  # type: ignore[arg-type]


def test_the_promise_parallelism_and_bursts_are_named() -> None:
    text = why(service(slo_p99_ms=120, service_time_ms=22, arrival_cv2=2), ["c5.2xlarge"], [8], 0.84)
    for part in ("120 ms", "98 ms to wait", "works on 8 requests", "burstier than usual (squared variation 2)", "84%"):
        assert part in text
    assert "steadier" in why(service(slo_p99_ms=120, service_time_ms=22, arrival_cv2=0.5), ["a"], [2, 8], 0.8)
    assert "2 to 8 requests" in why(service(slo_p99_ms=120, service_time_ms=22), ["a"], [2, 8], 0.8)


def test_a_load_test_and_a_given_limit_are_told_apart() -> None:
    assert "load tests" in why(service(load_tested={"c5.large": 90}), ["c5.large"], [2], 0.7)
    assert "max_utilisation_frac" in why(service(load_tested={"c5.large": 90}), ["c5.large", "m5.large"], [2], 0.7)


def test_callers_explain_what_they_bring() -> None:
    rows = pd.DataFrame({"share_frac": [0.5, 0.25, np.nan]})
    assert explained(rows) == "2 callers together explain 75% of its demand."
    assert explained(rows.head(1)) == "One caller explains 50% of its demand."
    assert "from outside" in explained(rows.tail(1))


# --- before --------------------------------------------------------------------------------------------------


def frames(came: list[float], said: list[float], width: float | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    days = pd.date_range("2026-07-01", periods=len(came), freq="D")
    low, high = (np.nan, np.nan) if width is None else (1 - width, 1 + width)
    past = pd.DataFrame({"origin_ts": pd.Timestamp("2026-06-30"), "ts": days, "q50": said, "basis": STORED})
    past = past.assign(q10=past["q50"] * low, q90=past["q50"] * high)
    return past, pd.DataFrame({"ts": days.tz_localize("UTC"), "value": came})


amounts = st.lists(st.floats(1, 1e6), min_size=2, max_size=30)


@given(amounts, st.floats(0.5, 2.0))
def test_a_forecast_that_is_off_by_a_share_is_said_to_be(came: list[float], factor: float) -> None:
    held = against(*frames(came, [x * factor for x in came], None))
    assert held is not None
    assert held.error_frac == pytest.approx(abs(1 - factor), abs=1e-9)
    assert held.bias_frac == pytest.approx(1 - factor, abs=1e-9)
    assert held.within_frac is None
    assert held.days == len(came)


def test_days_within_the_interval_are_counted() -> None:
    held = against(*frames([100, 100, 100, 100], [100, 95, 50, 200], 0.1))
    assert held is not None
    assert held.within_frac == 0.5
    assert "50% of days lay within its 80% interval" in held.words
    assert "Forecast of 30 Jun 2026 (a plan of that day)" in held.words


def test_all_services_are_said_in_one_sentence() -> None:
    found = pd.DataFrame({"error_frac": [0.2, 0.1, 0.05], "days": [10, 30, 60], "within_frac": [0.5, 0.9, np.nan]})
    said = "Of 3 services the middle one was off by 10%; 80% of 40 days lay within their 80% intervals."
    assert accuracy_words(found) == said
    assert accuracy_words(found.tail(1)) == "Of 1 service the middle one was off by 5.0%."
    assert accuracy_words(found.iloc[:0]) == ""


def test_without_a_shared_day_nothing_is_said() -> None:
    past, history = frames([1.0, 2.0], [1.0, 2.0], None)
    assert against(past.iloc[:0], history) is None
    assert against(past, history.iloc[:0]) is None
    assert against(past, history.assign(value=0.0)) is None


# --- prices in words -----------------------------------------------------------------------------------------


def test_points_of_headroom_are_said_with_their_direction() -> None:
    made = around(known_plan())
    said = headroom_words(made)
    assert len(said) == 5
    assert said[0].startswith("10 points fewer headroom for every service save $")
    assert "(−6.0%)" in said[0]
    assert said[2].startswith("5 points more headroom for every service cost $")
    assert said[4] == "20 points more headroom for every service: no plan exists."
    assert headroom_words(known_plan()) == ()


def test_sizes_are_said_but_for_nothing() -> None:
    made = around(with_purchases(known_plan()))
    rows = made.frame("purchase_sizes")
    said = sizes_words(rows[rows["offer"] == ""], "USD")
    assert len(said) == 4
    assert said[1].startswith("Buying what is recommended ($5 an hour) saves $12,000 in the middle future")
    assert "loses $4,000 in the middle future, loses $8,000 at P10" in said[3]
    near = rows[rows["offer"] == ""].assign(utilisation_q10=0.9951, utilisation_q90=0.9993)
    assert all(text.endswith("; 100% of it is used.") for text in sizes_words(near, "USD"))
