"""Forecasts kept by plans and held to what came: through the whole pipeline, on the small company."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity import config, pipeline, plan
from capacity.domain import QUANTILE_COLUMNS
from capacity.errors import MissingDataError
from capacity.pipeline import findings
from capacity.pipeline.planning import prepare
from capacity.pipeline.promised import LEAST_DAYS
from capacity.pipeline.promises import COMPANY, local_days, promise_rows, rounded, utc_days
from capacity.schemas import check_frame
from capacity.store import Store
from tests import company
from tests.factory import make_plan

EARLY, LATE = datetime(2026, 7, 20, tzinfo=UTC), company.AS_OF.to_pydatetime()


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    """A company that planned on 20 July with what it knew, and has had its data up to September since."""
    folder = tmp_path_factory.mktemp("lived")
    text = company.CONFIG.replace("horizon_days: 45", "horizon_days: 40")
    path = company.write(folder, config=text)
    whole = {name: (folder / name).read_text() for name in ("usage.csv", "bill.csv")}
    for name, column, before in (("usage.csv", "ts", "2026-07-20"), ("bill.csv", "ChargePeriodStart", "2026-07-01")):
        frame = pd.read_csv(folder / name, dtype=str)
        frame[frame[column] < before].to_csv(folder / name, index=False)
    settings = config.load(path)
    store = pipeline.open_store(settings)
    pipeline.require_complete(pipeline.ingest(settings, store, EARLY))
    pipeline.run(settings, store, as_of=EARLY)
    for name, content in whole.items():
        (folder / name).write_text(content)
    pipeline.require_complete(pipeline.ingest(settings, store, LATE))
    return settings


def test_every_promise_of_a_plan_is_stored_once(lived: config.Config) -> None:
    store = pipeline.open_store(lived)
    found = store.read("forecast").to_pandas()
    check_frame("forecast", found, "the store")
    early = found[found["origin_ts"] < pd.Timestamp(EARLY)]
    targets = set(map(tuple, early[["metric", "target"]].drop_duplicates().to_numpy()))
    assert targets >= {("requests_per_second", t) for t in ("mean", "peak", "month_mean", "month_peak", "horizon_peak")}
    assert targets >= {("effective_cost", t) for t in ("total", "month_total")}
    assert {"web", "api", "thumbs", COMPANY} <= set(early["service"])
    peaks = early[(early["service"] == "web") & (early["target"] == "peak")]
    assert len(peaks) == 40
    assert (peaks["ts"] - peaks["origin_ts"]).dt.days.tolist() == list(range(1, 41))


def test_the_same_plan_again_stores_nothing_and_gives_the_same_bytes(lived: config.Config) -> None:
    store = pipeline.open_store(lived)
    first = pipeline.run(lived, store, as_of=LATE)
    version = store.versions()["forecast"]
    again = pipeline.run(lived, store, as_of=LATE)
    assert plan.to_json(again.plans[0]) == plan.to_json(first.plans[0])
    assert store.versions()["forecast"] == version
    assert "forecast" not in first.plans[0].provenance.store_versions
    assert "notes" not in first.about
    pd.testing.assert_frame_equal(again.plans[0].frame("promise"), first.plans[0].frame("promise"))


def test_last_quarters_promise_stands_beside_what_came(lived: config.Config) -> None:
    found = pipeline.run(lived, pipeline.open_store(lived), as_of=LATE).plans[0]
    frame = found.frame("promise")
    assert list(frame.columns) == list(plan.FRAMES["promise"])
    assert (frame["origin_ts"] <= pd.Timestamp(LATE).tz_localize(None) - pd.Timedelta(days=LEAST_DAYS)).all()
    usage = company.usage_frame()
    web = usage[(usage["service"] == "web") & (usage["metric"] == "requests_per_second")]
    by_day = web.groupby(web["ts"].str[:10])["value"].max() * 1.1  # burst_factor of the config
    span = by_day[(by_day.index >= "2026-07-20") & (by_day.index <= "2026-08-28")]
    row = frame[(frame["service"] == "web") & (frame["target"] == "horizon_peak")].iloc[0]
    assert row["month"] == "2026-07-20/2026-08-28"
    assert row["actual"] == pytest.approx(span.max())
    assert row["covered"] == (row["q10"] <= span.max() <= row["q90"])
    assert row["error_frac"] == pytest.approx(span.max() / row["q50"] - 1)
    august = web[web["ts"].str.startswith("2026-08")]["value"].mean()
    mean = frame[(frame["service"] == "web") & (frame["target"] == "mean")].set_index("month")["actual"]
    assert set(mean.index) == {"2026-07"}  # the horizon ends before August does
    assert mean["2026-07"] != pytest.approx(august)
    spend = frame[(frame["service"] == COMPANY) & (frame["month"] == "2026-07")].iloc[0]
    bill = company.bill_frame(usage)
    july = bill[bill["ChargePeriodStart"].str.startswith("2026-07") & (bill["ChargeCategory"] != "Tax")]
    assert spend["actual"] == pytest.approx(july["EffectiveCost"].astype(float).sum())
    texts = [f.text for f in found.findings if "promised" in f.text]
    assert len(texts) == 2
    assert any("the plan of 20 Jul 2026 promised" in t and "req/s; it was" in t for t in texts)
    assert any("promised a spend of" in t and "FinOps grade" in t for t in texts)


def test_an_earlier_moment_sees_no_later_forecast(lived: config.Config) -> None:
    store = pipeline.open_store(lived)
    pipeline.run(lived, store, as_of=LATE)
    early = pipeline.backtest_live(lived, store, as_of=datetime(2026, 8, 10, tzinfo=UTC))
    assert early.last <= pd.Timestamp("2026-07-20")
    assert early.by_lead["n"].sum() < pipeline.backtest_live(lived, store, as_of=LATE).by_lead["n"].sum()
    with pytest.raises(MissingDataError, match="no forecast was stored before 2026-06-01"):
        pipeline.backtest_live(lived, store, as_of=datetime(2026, 6, 1, tzinfo=UTC))


def test_live_scores_agree_with_a_count_by_hand(lived: config.Config) -> None:
    store = pipeline.open_store(lived)
    found = pipeline.backtest_live(lived, store, as_of=LATE)
    stored = store.read("forecast", filters=[("service", "=", "web"), ("target", "=", "mean")]).to_pandas()
    usage = company.usage_frame()
    web = usage[(usage["service"] == "web") & (usage["metric"] == "requests_per_second")]
    actual = web.groupby(web["ts"].str[:10])["value"].mean()
    week = stored[(stored["ts"] - stored["origin_ts"]).dt.days.le(7) & (stored["ts"] < pd.Timestamp(LATE))]
    came = actual.loc[week["ts"].dt.strftime("%Y-%m-%d")].to_numpy()
    row = found.by_lead[(found.by_lead["service"] == "web") & (found.by_lead["target"] == "mean")].iloc[0]
    assert (row["lead"], row["n"]) == ("1-7", 7)
    assert row["wape"] == pytest.approx(np.abs(came - week["q50"]).sum() / came.sum())
    assert row["c80"] == pytest.approx(np.mean((came >= week["q10"]) & (came <= week["q90"])))
    assert set(found.months["month"]) >= {"2026-07"}
    assert set(found.grades["grade"]) <= {"run", "walk", "crawl", "below crawl"}
    assert json.loads(found.by_lead.to_json(orient="records"))


def test_a_store_that_takes_no_forecast_ends_no_plan(lived: config.Config, tmp_path: Path) -> None:
    shutil.copytree(Path(pipeline.open_store(lived).root), tmp_path / "store")
    shutil.rmtree(tmp_path / "store" / "forecast")
    (tmp_path / "store" / "forecast").write_text("no folder")
    company.write(tmp_path)
    result = pipeline.run(config.load(tmp_path / "small.yaml"), Store(tmp_path / "store"), as_of=LATE)
    assert any("will not be scored" in note for note in result.about["notes"])
    assert result.plans[0].frame("promise").empty


def test_promised_months_are_those_of_the_plan(lived: config.Config) -> None:
    """The very numbers that the plan shows for a month's spend are those it is held to."""
    ground = prepare(lived, pipeline.open_store(lived), as_of=LATE)
    rows = promise_rows(ground.base, ground.data, ground.spend, lived)
    shown = {m.month: m for m in pipeline.run(lived, pipeline.open_store(lived), as_of=LATE).plans[0].spend}
    kept = rows[(rows["service"] == COMPANY) & (rows["target"] == "month_total")]
    assert len(kept) == len(shown) > 0
    for row in kept.to_dict("records"):
        month = shown[f"{row['ts']:%Y-%m}"]
        assert (row["q10"], row["q50"], row["q90"]) == pytest.approx((month.q10, month.q50, month.q90))


def test_rounding_keeps_four_digits_and_the_order() -> None:
    values = np.sort(np.random.default_rng(1).lognormal(3, 4, (1000, len(QUANTILE_COLUMNS))), axis=1)
    kept = rounded(values)
    assert (np.abs(kept / values - 1) < 1 / 4000).all()
    assert (np.diff(kept, axis=1) >= 0).all()
    assert (rounded(kept) == kept).all()


@pytest.mark.parametrize("name", ["UTC", "America/New_York", "Africa/Cairo", "America/Havana", "Pacific/Kiritimati"])
def test_local_days_come_back_whatever_the_clock_does(name: str) -> None:
    days = pd.date_range("2026-01-01", "2027-01-01")
    assert (local_days(utc_days(days, name), name) == days).all()


def test_a_plan_without_promises_has_no_such_finding() -> None:
    old = make_plan(services=3)
    assert old.frame("promise").empty
    assert not [f for f in findings.findings(old) if "promised" in f.text]
