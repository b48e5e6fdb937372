"""Events of every shape: the command, the plan, the page and the report give one answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from capacity import cli, config, pipeline, plan
from capacity.cli._common import _plain
from capacity.pipeline import commands
from capacity.pipeline.planning import Run
from capacity.report import Checked
from capacity.report.check_page import render_check
from capacity.ui import launch
from tests import company
from tests.report.test_html import Page

AS_OF = company.AS_OF.to_pydatetime()
EVENTS = """\
events:
  - {name: times, start: 2026-09-12T08:00:00Z, end: 2026-09-12T20:00:00Z, services: [web], multiplier: 1.2,
     ramp_minutes: 0}
  - {name: absolute, start: 2026-09-16T08:00:00Z, end: 2026-09-16T20:00:00Z, services: [web], target: 900}
  - name: orders
    start: 2026-09-22T08:00:00Z
    end: 2026-09-22T20:00:00Z
    business:
      figure: 9000
      unit: orders
      enters: {web: 5}
      cache_hit_frac: 0.2
      retry_factor: 1.1
      calls: [{from: web, to: api, retry_factor: 1.3}]
  - {name: as last time, start: 2026-09-25T08:00:00Z, end: 2026-09-25T20:00:00Z, services: [web],
     past: [[2026-06-19, 2026-06-19]]}
  - {name: at a limit, start: 2026-09-29T08:00:00Z, end: 2026-09-29T20:00:00Z, services: [thumbs], multiplier: 4}
  - {name: quiet, start: 2026-10-02T08:00:00Z, end: 2026-10-02T20:00:00Z, services: [thumbs], multiplier: 1.1}
"""
NAMES = ("times", "absolute", "orders", "as last time", "at a limit", "quiet")
PARTY = "    third_parties: [{name: processor, per_request: 0.1, limit: 60, lead_time_days: 30}]\n"


def text() -> str:
    before, rest = company.CONFIG.split("events:\n", 1)
    after = rest[rest.index("budgets:") :]
    made = before.replace("    calls: [", f"{PARTY}    calls: [", 1) + EVENTS + after
    return made.replace("past_origins: 2, paths: 200", "past_origins: 1, paths: 100")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    found = config.load(company.write(tmp_path_factory.mktemp("shapes"), config=text()))
    pipeline.require_complete(pipeline.ingest(found, pipeline.open_store(found), AS_OF))
    return found


@pytest.fixture(scope="module")
def run(settings: config.Config) -> Run:
    return pipeline.run(settings, pipeline.open_store(settings), as_of=AS_OF)


@pytest.fixture(scope="module")
def plan_dir(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    plan.write(run.plans[0], folder, {})
    return folder


def event_page() -> None:
    from capacity.ui._shell import show

    show("event")


def test_all_shapes_are_checked_and_differ(run: Run) -> None:
    found = {e.name: e for e in run.plans[0].events}
    assert tuple(found) == NAMES
    assert {e.go for e in found.values()} == {True, False}
    kinds = {r.kind for e in found.values() for v in e.verdicts for r in v.remedies}
    assert {"prescale", "limit"} <= kinds
    orders = next(v for v in found["orders"].verdicts if v.unit.service == "web")
    assert orders.demand_p50 == pytest.approx(9000 / 60 * 5 * 0.8 * 1.1, rel=0.01)
    assert any(r.startswith("third party processor") for r in orders.reasons)


@pytest.mark.parametrize("name", NAMES)
def test_one_answer_everywhere(
    name: str, run: Run, plan_dir: Path, settings: config.Config, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shown = next(e for e in run.plans[0].events if e.name == name)
    code = cli.run(["check", "-c", str(settings.path), "--event", name, "--json", "--out", str(tmp_path)])
    said = json.loads(capsys.readouterr().out)
    assert code == (0 if shown.go else 1)
    assert said["event"] == json.loads(json.dumps(_plain(shown)))
    html = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert html == render_check(Checked(settings.company, run.plans[0].as_of, shown, commands.measures(settings)))
    told = {row[0]: row[1] for row in Page(html).rows["answers"][1:]}
    monkeypatch.setenv(launch.PLANS, str(plan_dir))
    monkeypatch.delenv(launch.CONFIG, raising=False)
    app = AppTest.from_function(event_page, default_timeout=60)
    app.query_params["event"] = name
    app.run()
    assert not app.exception
    answers = next(t.value for t in app.dataframe if "Answer" in t.value)
    assert dict(zip(answers["Service"].str.replace("/", " · "), answers["Answer"], strict=True)) == told
    assert len(told) == len(shown.verdicts) > 0
