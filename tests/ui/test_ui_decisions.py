"""The page Decisions and `capacity decide`: the same files, beside the plan."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from capacity import cli, decisions
from capacity import plan as plans
from capacity.report import decided, write_report
from capacity.ui import launch
from tests.factory import make_plan, write_plan_dir

KINDS: Mapping[str, dict[str, Any]] = {"normal": {}, "ugly": {"ugly": True}, "empty": {"services": 0}}
Draw = Callable[[Path], AppTest]


def script() -> None:
    from capacity.ui._shell import show

    show("decisions")


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> Draw:
    def run(folder: Path) -> AppTest:
        monkeypatch.setenv(launch.PLANS, str(folder))
        monkeypatch.delenv(launch.CONFIG, raising=False)
        return AppTest.from_function(script, default_timeout=60).run()

    return run


def _folder(tmp_path: Path, kind: str = "normal") -> Path:
    write_plan_dir(tmp_path / kind, make_plan(**KINDS[kind]))
    return tmp_path / kind


def test_a_decision_made_on_the_page_is_kept_and_shown(tmp_path: Path, draw: Draw) -> None:
    folder = _folder(tmp_path)
    app = draw(folder)
    asked = decided.to_decide(plans.read(folder))
    app.text_input(key="decision_author").input("Ada")
    app.text_area(key="decision_reason").input("the quota is free")
    app.button[0].click().run()
    assert not app.exception
    (made,) = decisions.read(folder)
    assert (made.author, made.status, made.finding) == ("Ada", "proposed", asked[0].text)
    shown = [d.value for d in app.dataframe if "Reason" in d.value.columns]
    assert shown[0]["Reason"].tolist() == ["the quota is free"]


def test_a_decision_without_a_reason_is_refused_in_words(tmp_path: Path, draw: Draw) -> None:
    folder = _folder(tmp_path)
    app = draw(folder)
    app.text_input(key="decision_author").input("Ada")
    app.button[0].click().run()
    assert not app.exception
    assert any("reason" in t.value for t in app.text)
    assert decisions.read(folder) == ()


@pytest.mark.parametrize("kind", ["ugly", "empty"])
def test_ugly_and_empty_plans_are_drawn(tmp_path: Path, draw: Draw, kind: str) -> None:
    app = draw(_folder(tmp_path, kind))
    assert not app.exception
    assert not app.error


def test_the_command_lists_records_and_the_report_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _folder(tmp_path)
    assert cli.run(["decide", str(folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {r["status"] for r in rows} == {"open"}
    options = ["--about", "1", "--status", "approved", "--author", "Bea", "--reason", "=cheap & <b>safe</b>"]
    assert cli.run(["decide", str(folder), *options]) == 0
    capsys.readouterr()
    assert cli.run(["decide", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["status"] == "approved"
    page, _ = write_report(folder)
    text = page.read_text(encoding="utf-8")
    assert "=cheap &amp; &lt;b&gt;safe&lt;/b&gt;" in text
    assert (folder / "order-dates.ics").read_bytes().startswith(b"BEGIN:VCALENDAR\r\n")


def test_a_decision_of_the_page_is_in_report_and_workbook(tmp_path: Path, draw: Draw) -> None:
    folder = _folder(tmp_path)
    app = draw(folder)
    assert any("Not written yet." in c.value for c in app.caption)
    app.button(key="write_report").click().run()
    assert any(t.value.endswith("with every decision.") for t in app.text)
    app.text_input(key="decision_author").input("Ada Byron")
    app.text_area(key="decision_reason").input("the quota is free")
    for name in ("report.html", "report.xlsx"):  # written a minute before
        os.utime(folder / name, (time.time() - 60, time.time() - 60))
    next(b for b in app.button if b.label == "Record").click().run()
    assert any(t.value.endswith("1 decision since, write them again.") for t in app.text)
    app.button(key="write_report").click().run()
    assert not app.exception
    assert any(t.value.endswith("with every decision.") for t in app.text)
    assert "the quota is free" in (folder / "report.html").read_text(encoding="utf-8")
    with zipfile.ZipFile(folder / "report.xlsx") as book:
        words = " ".join(book.read(n).decode() for n in book.namelist() if n.endswith(".xml"))
    assert "the quota is free" in words
    assert "Ada Byron" in words


def test_a_report_that_cannot_be_written_is_said(tmp_path: Path, draw: Draw) -> None:
    folder = _folder(tmp_path)
    app = draw(folder)
    (folder / "report.html.partial").mkdir()  # where the report is written first
    app.button(key="write_report").click().run()
    assert not app.exception
    assert any("The report was not written" in e.value for e in app.error)


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _folder(tmp_path)
    assert cli.run(["decide", str(folder), "--about", "999", "--author", "A", "--reason", "b"]) == 2
    assert "allowed: 1 to" in capsys.readouterr().err
    assert cli.run(["decide", str(folder), "--about", "1", "--status", "maybe", "--author", "A", "--reason", "b"]) == 2
    assert "allowed: proposed, approved, rejected" in capsys.readouterr().err
    assert cli.run(["decide", str(folder), "--author", "A"]) == 2
    assert cli.run(["decide", str(tmp_path / "nowhere")]) == 3
