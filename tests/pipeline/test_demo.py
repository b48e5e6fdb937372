"""The demo from nothing, as `make run` does it: the job a planning meeting needs, on the bundled company."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from capacity import cli, plan
from capacity.report import write_check, write_report
from capacity.report.handover import write_handover
from tests.handover.handover_kit import check_all
from tests.report.frozen_event import of_plan
from tests.report.test_printing import HIGH, WIDE, printed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that `capacity demo` wrote, and what it printed; the wheel's, which is checked beside the tests."""
    if "CAPACITY_DEMO" in os.environ:
        out = Path(os.environ["CAPACITY_DEMO"])
        while not out.with_suffix(".done").exists():
            time.sleep(0.5)
        return out, out.with_suffix(".txt").read_text(encoding="utf-8")
    out = tmp_path_factory.mktemp("demo") / "plan"
    with pytest.MonkeyPatch.context() as patch:
        printed = io.StringIO()
        patch.setattr(sys, "stdout", printed)
        patch.setenv("COLUMNS", "120")
        assert cli.run(["demo", "--out", str(out)]) == 0
    return out, printed.getvalue()


def test_it_prints_what_the_meeting_wants_and_how_to_open_the_front_end(made: tuple[Path, str]) -> None:
    out, text = made
    for words in (
        "What needs a decision",
        "P10         P50         P90",
        "order by",
        "running fleet",
        "Cost per 1,000 requests, 2026-09",
        "black-friday-2026",
        "NO-GO",
        "Scenarios side by side",
    ):
        assert words in text
    assert text.rstrip().endswith(f"Open the front end:  capacity app --plans {out}")


def test_it_writes_plan_run_frames_and_report(made: tuple[Path, str]) -> None:
    out, _ = made
    known = plan.read(out)
    assert set(known.frames) == set(plan.FRAMES)
    assert json.loads((out / "plan.json").read_text())["schema"] == plan.SCHEMA
    assert json.loads((out / "run.json").read_text())["config"] == str(out / "demo.yaml")
    assert (out / "report.html").stat().st_size > 100_000
    assert {p.name for p in (out / "scenarios").iterdir()} == {"growth-plus-40", "graviton"}


def test_what_it_finds_is_what_the_company_was_made_with(made: tuple[Path, str]) -> None:
    """The generator fills the orders' disk around the end of December and outgrows recommendations and search."""
    known = plan.read(made[0])
    first = {(u.service, x.metric): x for u in known.units for x in u.limits if x.p10}
    disk = first["orders-db", "disk_used_bytes"]
    assert disk.p10.year == 2026 or disk.p10.month == 1
    assert disk.p90 is not None
    assert ("recommendations", "requests_per_second") in first
    assert ("search", "requests_per_second") in first
    (event,) = known.events
    assert {v.unit.service for v in event.verdicts if not v.go} >= {"recommendations", "checkout"}
    assert any(v.go for v in event.verdicts)


def test_its_bill_adds_up_and_ties_and_its_mix_is_proven(made: tuple[Path, str]) -> None:
    known = plan.read(made[0])
    for month in known.costs:
        assert month.direct + month.shared + month.unallocated == month.effective
        assert month.effective > Decimal(0)
    assert all(t.ties for t in known.tie_outs)
    assert known.mix is not None
    assert known.mix.bound <= known.mix.objective
    assert known.mix.gap_frac < 0.05
    assert known.mix.saving_usd > 0
    assert known.violations == ()


@pytest.mark.e2e
def test_its_report_and_check_print_on_few_sheets_the_first_for_a_director(
    made: tuple[Path, str], chromium: Any, tmp_path: Path
) -> None:
    write_report(made[0], tmp_path)
    write_check(of_plan(plan.read(made[0])), tmp_path)
    for name, most in (("report.html", 30), ("check.html", 10)):
        found = printed(chromium, tmp_path / name)
        assert found.pages < most, name
        assert 0 < found.summary <= HIGH, name
        assert found.right <= WIDE + 1, name
        assert [url for url in found.asked if not url.startswith(("file:", "data:"))] == [], name


def test_its_handover_is_valid_and_says_the_same(made: tuple[Path, str], tmp_path: Path) -> None:
    """Every output is read by what reads it (botocore, promtool, JSON Schema), and its counts are the plan's."""
    known = plan.read(made[0])
    write_handover(known, tmp_path)
    files = {p.name: p.read_text(encoding="utf-8") for p in tmp_path.iterdir()}
    check_all(files, tmp_path)
    groups = json.loads(files["capacity.auto.tfvars.json"])["capacity_groups"].values()
    for unit in known.units:
        mine = [g for g in groups if (g["service"], g["region"]) == (unit.service, unit.region)]
        counts = {name: t["count"] for g in mine for name, t in g["instance_types"].items()}
        assert counts == {line.instance_type: line.instances for line in unit.recommended.get("2026-10", ())}
    gate = json.loads(files["gate.json"])
    assert gate["go"] is all(e.go for e in known.events)
