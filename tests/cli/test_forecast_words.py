"""`capacity forecast` says what a history says: one sentence in the table, all of them with --json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity import cli


@pytest.fixture
def usage(tmp_path: Path) -> Path:
    days = pd.date_range("2026-01-01", periods=150, freq="D")
    t = np.arange(len(days))
    value = 100 * 1.06 ** (t / 30.44) * np.where(days.dayofweek == 1, 1.5, 1.0)
    value = value * np.exp(np.random.default_rng(1).normal(0, 0.02, len(t)))
    frame = pd.DataFrame({"series": "web", "ts": days, "value": value})
    path = tmp_path / "usage.csv"
    pd.concat([frame, frame.assign(series="queue", value=5.0)]).to_csv(path, index=False)
    return path


def test_json_has_all_words_and_the_table_the_first(
    usage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    command = ["forecast", "--usage", str(usage), "--horizon", "30", "--out", str(tmp_path / "out")]
    assert cli.run([*command, "--json"]) == 0
    found = {row["series"]: row["words"] for row in json.loads(capsys.readouterr().out)}
    assert found["queue"] == ["Always 5: nothing to explain"]
    assert found["web"][0].startswith("Grows ")
    assert "a month over the last 13 weeks" in found["web"][0]
    assert any(w.startswith("Tuesdays are highest (1.4") for w in found["web"])
    assert cli.run(command) == 0
    printed = capsys.readouterr().out
    assert found["web"][0] in printed
    assert found["web"][1] not in printed
