"""The command and the page say the same of one event; and what the pipeline adds to the check."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from capacity import charts, cli, config, plan
from capacity.charts._event import MAX_SERVICES
from capacity.cli._common import _plain
from capacity.config import EventConfig
from capacity.domain import EventFlow, Unit
from capacity.pipeline import commands, events
from capacity.pipeline.findings import findings
from capacity.pipeline.planning import Run
from capacity.report import Checked
from capacity.report.check_page import render_check
from capacity.ui import _tables as tables
from capacity.ui import launch


def page(key: str) -> None:
    from capacity.ui._shell import show

    show(key)


def test_the_command_and_the_page_give_the_same_answer(
    small: config.Config, planned: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (shown,) = planned.plans[0].events
    code = cli.run(["check", "-c", str(small.path), "--event", shown.name, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert code == (0 if shown.go else 1)
    assert said["go"] is shown.go
    assert said["event"] == json.loads(json.dumps(_plain(shown)))
    plan.write(planned.plans[0], tmp_path, {})
    monkeypatch.setenv(launch.PLANS, str(tmp_path))
    monkeypatch.delenv(launch.CONFIG, raising=False)
    app = AppTest.from_function(page, args=("event",), default_timeout=60).run()
    assert not app.exception
    rows = {row["Service"]: row for table in app.dataframe if "Answer" in table.value for row in
            table.value.to_dict("records")}  # fmt: skip
    assert len(rows) == len(said["event"]["verdicts"])
    for verdict in said["event"]["verdicts"]:
        row = rows[f"{verdict['unit']['service']}/{verdict['unit']['region']}"]
        assert row["Answer"] == ("GO" if verdict["go"] else "NO-GO")
        assert (row["Demand P50"], row["Demand P95"]) == (verdict["demand_p50"], verdict["demand_p95"])
        assert (row["Safe now"], row["Safe at maximum"]) == (verdict["safe_now"], verdict["safe_at_group_maximum"])
        assert row["Holds"] == round(verdict["probability_holds"], 2)
        assert row["Why"] == "; ".join(verdict["reasons"])
    remedies = [r["action"] for v in said["event"]["verdicts"] for r in v["remedies"]]
    assert sorted(remedies) == sorted(app.dataframe[0].value["What to do"])
    assert list(tables.verdicts(shown)["Answer"]) == [rows[s]["Answer"] for s in tables.verdicts(shown)["Service"]]


def test_the_files_of_the_command_give_the_same_answer(
    small: config.Config, planned: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shown,) = planned.plans[0].events
    run = ["check", "-c", str(small.path), "-e", shown.name, "--out", str(tmp_path)]
    assert cli.run([*run, "--json"]) == (0 if shown.go else 1)
    said = json.loads(capsys.readouterr().out)
    assert said["files"] == [str(tmp_path / "check.html"), str(tmp_path / "check.xlsx")]
    checked = Checked(small.company, planned.plans[0].as_of, shown, commands.measures(small))
    assert (tmp_path / "check.html").read_text(encoding="utf-8") == render_check(checked)
    assert {u.unit: u.demand_unit for u in planned.plans[0].units} == checked.measures


def test_a_plan_keeps_all_of_a_check(planned: Run, tmp_path: Path) -> None:
    plan.write(planned.plans[0], tmp_path, {})
    assert plan.read(tmp_path).events == planned.plans[0].events
    (shown,) = planned.plans[0].events
    assert [(f.caller.service, f.callee.service) for f in shown.flows] == [("web", "api")]
    assert shown.ramp_minutes == 60
    web = next(v for v in shown.verdicts if v.unit.service == "web")
    assert web.before_p50 < web.before_p95 < web.demand_p95


def test_the_last_occurrence_is_found_in_the_history() -> None:
    days = pd.date_range("2025-06-01", periods=60, freq="D")
    peaks = pd.Series(range(60), index=days, dtype=float)
    past = [(date(2024, 6, 3), date(2024, 6, 4)), (date(2025, 6, 3), date(2025, 6, 5))]
    event = EventConfig(name="x", services=["web"], start="2026-06-03T00:00:00Z", end="2026-06-04T00:00:00Z", past=past)
    found = events.past_peak(event, peaks)
    assert found is not None
    assert (found.day, found.demand) == (date(2025, 6, 5), 4.0)
    assert events.past_peak(event, peaks[peaks.index > "2025-06-10"]) is None


def test_a_review_is_a_finding(planned: Run) -> None:
    base = planned.plans[0]
    row = dict.fromkeys(plan.FRAMES["event_review"]) | {
        "event": "june", "start": pd.Timestamp("2026-06-19", tz="UTC"), "service": "web", "error_frac": 0.2,
        "within_p95": False, "basis": "stored plan", "origin": pd.Timestamp("2026-06-14"), "held": False,
    }  # fmt: skip
    frame = pd.DataFrame([row, row | {"service": "api", "error_frac": 0.1, "within_p95": True, "held": None}])
    found = findings(replace(base, frames={**base.frames, "event_review": frame}))
    (told,) = [f for f in found if f.topic == "event" and "june" in f.text]
    assert told.text == (
        "june of 19 Jun 2026 is over: 1 of 2 peaks were within the P95 said before, the middle error is +15%; "
        "beyond the safe capacity of what ran: web"
    )


# --- pictures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_time_line_and_the_calls_are_drawn(planned: Run, theme: charts.Theme) -> None:
    (shown,) = planned.plans[0].events
    for verdict in shown.verdicts:
        drawn = charts.to_svg(charts.event_timeline(shown, verdict, "req/s", theme), 900)
        assert "demand P95" in drawn
        plan_ = verdict.prescale
        assert ("safe with pre-scaling" in drawn) == (plan_ is not None)
        assert plan_ is None or f"pre-scale to {plan_.instances_to:,}" in drawn
    calls = charts.to_svg(charts.event_calls(shown, theme), 900)
    for service in ("web", "api"):
        assert f">{service}</text>" in calls
    assert "NO-GO" in calls
    assert ">0.4</text>" in calls


def test_many_services_are_counted_and_no_service_is_said(planned: Run) -> None:
    (shown,) = planned.plans[0].events
    many = [replace(shown.verdicts[0], unit=Unit(f"s{i}", "r")) for i in range(MAX_SERVICES + 1)]
    assert "41 services take part" in charts.to_svg(charts.event_calls(replace(shown, verdicts=tuple(many))), 900)
    assert "No service takes part" in charts.to_svg(charts.event_calls(replace(shown, verdicts=(), flows=())), 900)


def test_no_two_boxes_of_the_calls_overlap(planned: Run) -> None:
    from capacity.charts._event import _graph

    (shown,) = planned.plans[0].events
    names = ["a", "b", "c", "d", "e"]
    edges = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d"), ("d", "e"), ("b", "e")]
    verdicts = [replace(shown.verdicts[0], unit=Unit(n, "r")) for n in names]
    flows = [EventFlow(Unit(x, "r"), Unit(y, "r"), 1.0, 5.0, 6.0) for x, y in edges]
    boxes, lines = _graph(verdicts, flows)
    column: dict[str, Any] = dict(zip(boxes["service"], boxes["x"], strict=True))
    assert all(column[x] < column[y] for x, y in edges)
    assert len(lines) == len(edges)
    for _, here in boxes.groupby("x"):
        tops = here.sort_values("top")
        assert (tops["top"].to_numpy()[1:] >= tops["bottom"].to_numpy()[:-1]).all()
