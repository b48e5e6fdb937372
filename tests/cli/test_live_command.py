"""``capacity backtest --live``: nothing stored, nothing come in yet, and scores when it has."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from capacity import cli
from tests import company


def hold_back(folder: Path) -> dict[str, str]:
    """Cut usage at 20 July and the bill at the end of June; returns the whole files."""
    whole = {name: (folder / name).read_text() for name in ("usage.csv", "bill.csv")}
    for name, column, before in (("usage.csv", "ts", "2026-07-20"), ("bill.csv", "ChargePeriodStart", "2026-07-01")):
        frame = pd.read_csv(folder / name, dtype=str)
        frame[frame[column] < before].to_csv(folder / name, index=False)
    return whole


def test_forecasts_are_scored_when_their_days_come_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(company.write(tmp_path))
    whole = hold_back(tmp_path)
    early, live = ["--as-of", "2026-07-20"], ["backtest", "-c", path, "--live"]
    assert cli.run(["ingest", "-c", path, *early]) == 0
    capsys.readouterr()
    assert cli.run([*live, *early]) == 3
    assert "run `capacity plan -c" in capsys.readouterr().err
    assert cli.run(["forecast", "-c", path, "--out", str(tmp_path / "out"), *early]) == 0
    capsys.readouterr()
    assert cli.run([*live, *early]) == 3
    assert "no day of any has come in" in capsys.readouterr().err

    for name, text in whole.items():
        (tmp_path / name).write_text(text)
    assert cli.run(["ingest", "-c", path]) == 0
    capsys.readouterr()
    assert cli.run(live) == 0
    text = capsys.readouterr().out
    for words in ("Forecasts stored from 1 days (2026-07-19)", "in the 80 %", "web/us-east-1", "31-60", "Drift:"):
        assert words in text, words
    assert cli.run([*live, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"pooled", "by_lead", "months", "grades", "alarms", "origins", "first_origin", "last_origin"} == set(found)
    rows = pd.DataFrame(found["by_lead"])
    web = rows[(rows["service"] == "web") & (rows["target"] == "mean")].set_index("lead")["n"]
    assert web.to_dict() == {"1-7": 7, "8-30": 23, "31-60": 13}
    assert len(found["alarms"]) == 6


def test_a_store_that_takes_no_forecast_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(company.write(tmp_path))
    assert cli.run(["ingest", "-c", path]) == 0
    (tmp_path / "store" / "forecast").write_text("no folder")
    capsys.readouterr()
    assert cli.run(["forecast", "-c", path, "--out", str(tmp_path / "out"), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)
    assert said.err.startswith("note: the forecast was not kept")
