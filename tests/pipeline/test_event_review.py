"""After an event: what was said of it before, against what came."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from capacity import cli, config, pipeline
from capacity.domain import Unit
from capacity.errors import UsageError
from capacity.pipeline import commands, event_review
from capacity.pipeline.demand import gather
from capacity.pipeline.inputs import read_inputs
from capacity.plan import FRAMES
from tests import company

AS_OF = company.AS_OF.to_pydatetime()
WEB = Unit("web", "us-east-1")
JUNE = (
    "events:\n"
    "  - {name: june, start: 2026-06-19T00:00:00Z, end: 2026-06-20T00:00:00Z, services: [web], multiplier: 2.5}\n"
)
BEFORE = datetime(2026, 6, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    text = company.CONFIG.replace("events:\n", JUNE).replace(
        "past_origins: 2, paths: 200", "past_origins: 1, paths: 100"
    )
    found = config.load(company.write(tmp_path_factory.mktemp("june"), config=text))
    pipeline.require_complete(pipeline.ingest(found, pipeline.open_store(found), AS_OF))
    return found


@pytest.fixture(scope="module")
def again(settings: config.Config) -> pd.DataFrame:
    """Before any forecast was stored."""
    return commands.review(settings, pipeline.open_store(settings), "june", as_of=AS_OF)


@pytest.fixture(scope="module")
def stored(again: pd.DataFrame, settings: config.Config, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """After a forecast was stored four days before the event."""
    store = pipeline.open_store(settings)
    apart = event_review.before_it(settings, settings.events[0])
    pipeline.forecast_config(apart, store, tmp_path_factory.mktemp("out"), as_of=BEFORE)
    return commands.review(settings, store, "june", as_of=AS_OF)


def row_of(frame: pd.DataFrame, unit: Unit = WEB) -> pd.Series:
    (found,) = frame[(frame["service"] == unit.service) & (frame["region"] == unit.region)].to_dict("records")
    return pd.Series(found)


def test_without_a_stored_plan_the_check_is_made_again_as_of_the_day_before(again: pd.DataFrame) -> None:
    assert list(again.columns) == list(FRAMES["event_review"])
    assert list(again["service"]) == ["web", "api"]
    web = row_of(again)
    assert (web["basis"], web["origin"]) == ("made again", pd.Timestamp("2026-06-18"))
    assert web["multiplier"] == pytest.approx(2.5, rel=0.01)
    assert web["multiplier_realised"] == pytest.approx(3.0, rel=0.12)  # the data has three times
    assert web["error_frac"] == pytest.approx(web["actual"] / web["p50"] - 1)
    assert web["error_frac"] == pytest.approx(3.0 / 2.5 - 1, abs=0.1)
    assert not web["said_go"]
    assert web["held"] is False  # peaks of 1,400 on what serves some 400
    assert "above the P50 said before" in web["words"]


def test_a_stored_plan_is_what_it_is_held_to(stored: pd.DataFrame, again: pd.DataFrame) -> None:
    web, other = row_of(stored), row_of(again)
    assert (web["basis"], web["origin"]) == ("stored plan", pd.Timestamp("2026-06-14"))
    assert web["actual"] == other["actual"]
    assert web["p50"] == pytest.approx(other["p50"], rel=0.1)
    assert web["multiplier_realised"] == pytest.approx(3.0, rel=0.15)


def test_the_frame_of_a_plan_holds_events_with_a_stored_forecast(stored: pd.DataFrame, settings: config.Config) -> None:
    store = pipeline.open_store(settings)
    inputs = read_inputs(settings, store, AS_OF, {k: v for k, v in store.versions().items() if k != "forecast"})
    found = event_review.reviews(store, inputs, gather(inputs)[0])
    pd.testing.assert_frame_equal(found, stored)
    assert [e.name for e in event_review.over(inputs)] == ["june"]


def test_the_command_tells_it_and_exits_0(
    stored: pd.DataFrame, settings: config.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["check", "-c", str(settings.path), "-e", "june"]) == 0
    text = capsys.readouterr().out
    assert "is over" in text
    assert "stored plan of 2026-06-14" in text
    assert cli.run(["check", "-c", str(settings.path), "-e", "june", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["over"] is True
    assert document["review"][0]["actual"] == stored["actual"].iloc[0]


def test_the_command_writes_what_came_as_a_page_and_a_sheet(
    stored: pd.DataFrame, settings: config.Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["check", "-c", str(settings.path), "-e", "june", "--out", str(tmp_path)]) == 0
    assert f"written: {tmp_path / 'check.xlsx'}" in capsys.readouterr().out
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    for words in ("Peak event, afterwards", "stored plan of 14 Jun 2026", f"{stored['actual'].iloc[0]:,.0f}"):
        assert words in page


def test_an_event_that_is_not_over_has_no_review(settings: config.Config) -> None:
    store = pipeline.open_store(settings)
    with pytest.raises(UsageError, match="is not over"):
        commands.review(settings, store, "sale", as_of=AS_OF)
    with pytest.raises(UsageError, match="allowed: june, sale"):
        commands.review(settings, store, "party", as_of=AS_OF)


def test_its_own_days_are_no_past_of_the_forecast_before_it(settings: config.Config) -> None:
    """Next year's event names this one among its past: the forecast of before must not know it."""
    june = settings.events[0]
    assert [e.past for e in event_review.before_it(settings, june).events] == [[], []]
    assert settings.events[1].past  # the sale of September names 19 June
