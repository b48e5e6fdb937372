"""``capacity store``: what it prints and exits with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from capacity import cli
from capacity.store import Store
from tests.store import crash_data
from tests.store.frames import bill, usage


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config whose store has usage in four files and one bill."""
    path = tmp_path / "config.yaml"
    path.write_text(crash_data.CONFIG, encoding="utf-8")
    store = Store(tmp_path / "store")
    for i in range(4):
        store.write("usage", usage([("a", i, i)]))
    store.replace_bill(bill(["1"]))
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert cli.run(["store", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_it_shows_versions_rows_files_and_sizes(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    used, cost = told(capsys, "-c", str(config))["tables"]
    assert (used["name"], used["version"], used["rows"], used["files"]) == ("usage", 3, 4, 4)
    assert (used["oldest_version"], used["versions"], used["retention_days"]) == (0, 4, 400)
    assert used["bytes"] == used["bytes_in_all"] > 0
    assert (cost["rows"], cost["newest"]) == (1, "2026-09-03T00:00:00+00:00")
    assert cli.run(["store", "-c", str(config)]) == 0
    text = capsys.readouterr().out
    assert "every version is kept for 400 days" in text
    assert "2026-01-01 03:00" in text


def test_compact_is_tried_then_done(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tried = told(capsys, "-c", str(config), "--compact", "--dry-run")
    assert tried["dry_run"] is True
    assert tried["tables"][0]["files"] == 4
    assert [c["files_after"] for c in tried["compacted"]] == [1, 1]
    assert cli.run(["store", "-c", str(config), "--compact", "--dry-run"]) == 0
    assert "compact usage: 4 files would become 1" in capsys.readouterr().out
    done = told(capsys, "-c", str(config), "--compact")
    assert [t["files"] for t in done["tables"]] == [1, 1]
    assert cli.run(["store", "-c", str(config), "--compact"]) == 0
    assert "no small files to join" in capsys.readouterr().out


def test_vacuum_is_tried_then_done(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = config.parent / "store" / "usage" / "part-0.parquet"
    left.write_bytes(b"half a file")
    os.utime(left, (0, 0))
    assert told(capsys, "-c", str(config))["tables"][0]["bytes_to_go"] == 11
    assert cli.run(["store", "-c", str(config), "--vacuum", "--dry-run"]) == 0
    assert "vacuum usage: would remove 1 files, 11 bytes" in capsys.readouterr().out
    assert left.exists()
    done = told(capsys, "-c", str(config), "--vacuum")
    assert [v["leftovers"] for v in done["vacuumed"]] == [["part-0.parquet"], []]
    assert not left.exists()
    assert cli.run(["store", "-c", str(config), "--compact", "--vacuum"]) == 0
    assert "every file is needed by a version of the last 400 days" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dry-run"], "--compact or --vacuum"),
        (["--compact", "--as-of", "2026-01-01"], "as it is now"),
        (["--vacuum", "--as-of", "2027-12-31"], "as it is now"),
    ],
)
def test_what_cannot_be_asked(config: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["store", "-c", str(config), *options]) == 2
    assert said in capsys.readouterr().err


def test_an_empty_store(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(crash_data.CONFIG.replace("store: store", "store: elsewhere"), encoding="utf-8")
    assert cli.run(["store", "-c", str(config), "--compact", "--vacuum"]) == 0
    assert "no table yet; run capacity ingest" in capsys.readouterr().out
    assert not (tmp_path / "elsewhere").exists()


def test_a_store_address_with_a_secret_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = crash_data.CONFIG.replace("store: store", "store: s3://key:hunter2@bucket/x")
    config.write_text(text, encoding="utf-8")
    assert cli.run(["store", "-c", str(config)]) == 2
    said = capsys.readouterr().err
    assert "hunter2" not in said
    assert "s3://bucket/prefix" in said


def test_an_as_of_before_the_store_shows_nothing(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "-c", str(config), "--as-of", "2020-01-01")["tables"] == []
