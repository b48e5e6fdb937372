"""Bursts and anomalies of the small company: from files through the store to plan.json and its sentences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity import config, pipeline, plan
from capacity.domain import Unit
from capacity.pipeline import planning
from capacity.pipeline.watch import gravest, known_days, sentence
from tests import company

AS_OF = company.AS_OF.to_pydatetime()
WEB = Unit("web", "us-east-1")
BURST = 1.6
FINE_FROM = company.AS_OF - pd.Timedelta(days=10)


def minute_rows(usage: pd.DataFrame) -> pd.DataFrame:
    """Web's last ten days by the minute: each hour's mean kept, its 20th minute BURST times as high."""
    rows = usage[(usage["service"] == "web") & (usage["metric"] == "requests_per_second")]
    rows = rows[pd.to_datetime(rows["ts"]) >= FINE_FROM]
    shape = np.full(60, (60 - BURST) / 59)
    shape[20] = BURST
    stamps = pd.to_datetime(rows["ts"]).repeat(60).reset_index(drop=True)
    stamps += pd.to_timedelta(np.tile(np.arange(60), len(rows)), unit="min")
    fine = rows.loc[rows.index.repeat(60)].reset_index(drop=True)
    return fine.assign(
        ts=stamps.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        value=np.round(np.outer(rows["value"], shape).ravel(), 6),
        period_seconds=60,
    )


def made(folder: Path, text: str) -> config.Config:
    """The small company with minutes of web, a doubled day of thumbs and a dear day of its bill."""
    path = company.write(folder, config=text)
    usage = pd.read_csv(folder / "usage.csv")
    odd = (usage["service"] == "thumbs") & usage["ts"].str.startswith("2026-08-20")
    usage.loc[odd, "value"] *= 2
    pd.concat([usage, minute_rows(usage)]).to_csv(folder / "usage.csv", index=False)
    bill = pd.read_csv(folder / "bill.csv")
    dear = (bill["ServiceName"] == "AWS Lambda") & bill["ChargePeriodStart"].str.startswith("2026-08-20")
    for column in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"):
        bill.loc[dear, column] = 60.25
    bill.to_csv(folder / "bill.csv", index=False)
    settings = config.load(path)
    pipeline.require_complete(pipeline.ingest(settings, pipeline.open_store(settings), AS_OF))
    return settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    return made(tmp_path_factory.mktemp("watched"), company.CONFIG.replace("    burst_factor: 1.1\n", ""))


@pytest.fixture(scope="module")
def watched(settings: config.Config) -> plan.Plan:
    return pipeline.run(settings, pipeline.open_store(settings), as_of=AS_OF).plans[0]


def unit_of(known: plan.Plan, service: str) -> plan.UnitPlan:
    return next(u for u in known.units if u.service == service)


def test_the_burst_is_learned_and_said(watched: plan.Plan) -> None:
    web = unit_of(watched, "web")
    assert web.burst is not None
    assert web.burst.mid == pytest.approx(BURST, rel=1e-3)
    assert any("busiest 60 s" in f and "1.60" in f and "10 days" in f for f in web.flags)


def test_with_hours_alone_no_burst_is_known_and_that_is_said(watched: plan.Plan) -> None:
    api = unit_of(watched, "api")
    assert api.burst is None
    assert any("a peak inside the hour is not seen" in f for f in api.flags)


def test_peaks_are_measured_of_late_and_made_before(settings: config.Config) -> None:
    ground = planning.prepare(settings, pipeline.open_store(settings), as_of=AS_OF, with_money=False)
    data = ground.data[WEB]
    largest = data.hourly.groupby(data.hourly.index.tz_localize(None).normalize()).max()
    assert (data.peak / largest.reindex(data.peak.index)).to_numpy() == pytest.approx(BURST, rel=1e-3)


def test_a_stated_factor_wins_and_what_is_measured_is_said(tmp_path: Path) -> None:
    settings = made(tmp_path, company.CONFIG)
    ground = planning.prepare(settings, pipeline.open_store(settings), as_of=AS_OF, with_money=False)
    data = ground.data[WEB]
    assert data.burst is not None
    assert (data.burst.low, data.burst.mid, data.burst.high) == (1.1, 1.1, 1.1)
    assert any("burst_factor 1.1 is set; stored points say" in f for f in data.flags)
    largest = data.hourly.groupby(data.hourly.index.tz_localize(None).normalize()).max()
    assert (data.peak / largest.reindex(data.peak.index)).to_numpy() == pytest.approx(1.1)


def test_odd_days_are_listed_with_size_probability_and_money(watched: plan.Plan) -> None:
    frame = watched.frame("anomalies")
    assert list(frame.columns)[:11] == list(plan.FRAMES["anomalies"])
    day = frame[frame["ts"] == pd.Timestamp("2026-08-20")]
    usage = day[(day["frame"] == "usage") & (day["service"] == "thumbs") & (day["target"] == "mean")].iloc[0]
    assert usage["value"] / usage["q50"] == pytest.approx(2, rel=0.1)
    assert 0 < usage["probability"] < 0.002
    assert usage["at_most"]
    assert usage["money"] > 0
    spend = day[(day["frame"] == "spend") & (day["service"] == "thumbs")].iloc[0]
    assert spend["value"] == pytest.approx(60.25, abs=8)
    assert spend["money"] == pytest.approx(spend["value"] - spend["q50"])
    assert ((frame["value"] > frame["high"]) | (frame["value"] < frame["low"])).all()
    assert len(frame) < 15


def test_the_gravest_are_said_once_each(watched: plan.Plan) -> None:
    texts = [f.text for f in watched.findings]
    assert any(t.startswith("spend of thumbs on 20 Aug 2026 was $") and "what was expected" in t for t in texts)
    assert any("demand of thumbs/us-east-1 on 20 Aug 2026" in t for t in texts)
    assert sum("would come by chance" in t for t in texts) == 1
    assert len(gravest(watched.frame("anomalies"))) <= 3


def test_a_plan_of_before_has_no_anomalies_and_opens(watched: plan.Plan, tmp_path: Path) -> None:
    plan.write(watched, tmp_path, {})
    (tmp_path / "anomalies.parquet").unlink()
    document = json.loads((tmp_path / "plan.json").read_text())
    for unit in document["units"]:
        del unit["burst"]
    (tmp_path / "plan.json").write_text(json.dumps(document))
    old = plan.read(tmp_path)
    assert old.frame("anomalies").empty
    assert list(old.frame("anomalies").columns) == list(plan.FRAMES["anomalies"])
    assert all(u.burst is None for u in old.units)


def test_known_days_are_events_as_dated_and_past_with_what_they_reach(small: config.Config) -> None:
    known = known_days(small, pd.Timestamp("2026-03-02"), company.AS_OF.tz_localize(None))
    for service in ("web", "api"):
        days = known[Unit(service, "us-east-1")]
        assert (pd.Timestamp("2026-06-19"), pd.Timestamp("2026-06-19")) in days
        assert (pd.Timestamp("2026-09-18"), pd.Timestamp("2026-09-18")) in days
    assert known[Unit("thumbs", "us-east-1")] == ()


def test_a_sentence_says_size_expectation_rarity_and_money() -> None:
    day = pd.Timestamp("2026-11-03")
    row = {"frame": "spend", "service": "search", "region": "", "target": "total", "ts": day, "value": 412.0,
           "q50": 197.0, "low": 180.0, "high": 214.0, "probability": 1 / 900, "money": 215.0, "start": day, "end": day,
           "at_most": False}  # fmt: skip
    assert sentence(pd.DataFrame([row]), "USD") == (
        "spend of search on 3 Nov 2026 was $412, 2.1× what was expected ($180 to $214); 1 in 900"
    )
