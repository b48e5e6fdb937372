"""The main job on real recordings: usage, bill, instance types and rates; skipped where they are not there."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from capacity import cli, plan

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def planned(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> plan.Plan:
    """Ingested and planned by the commands, as a user would."""
    folder = tmp_path_factory.mktemp("real")
    for name in ("real.yaml", "fleet.csv"):
        shutil.copy(HERE / name, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPACITY_REAL_DATA", str(real_data))
        config = str(folder / "real.yaml")
        assert cli.run(["ingest", "-c", config]) == 0
        assert cli.run(["plan", "-c", config, "--out", str(folder / "plan")]) == 0
    return plan.read(folder / "plan")


def test_every_recording_becomes_a_unit_of_the_plan(planned: plan.Plan) -> None:
    assert {u.service for u in planned.units} == {"web", "rides", "bikes", "meters"}
    assert all(u.forecast_model and u.forecast_reason for u in planned.units)
    web = next(u for u in planned.units if u.service == "web")
    assert web.demand_metric == "busy_vcpu"
    assert web.cost_basis.endswith("demand is vCPU itself")


def test_the_recordings_are_re_dated_by_whole_weeks_and_say_so(planned: plan.Plan) -> None:
    sources = {f.source for f in planned.freshness if f.frame == "usage"}
    assert any("re-dated +533 weeks" in s for s in sources)
    assert max(u.last_point for u in planned.units).year == 2024


def test_the_plan_is_proven_and_its_prices_are_the_catalogues(planned: plan.Plan) -> None:
    assert planned.mix is not None
    assert planned.mix.termination == "optimal"
    assert planned.mix.bound <= planned.mix.objective + 1e-6
    assert planned.mix.gap_frac < 0.1
    assert planned.mix.checks
    assert {u.service for u in planned.units if u.recommended} == {"web", "rides", "bikes"}


def test_the_real_bill_adds_up_to_the_last_decimal(planned: plan.Plan, real_data: Path) -> None:
    with (real_data / "cost" / "focus" / "focus_1.0_sample_1000.csv").open(encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["ChargePeriodStart"].startswith("2024-09")]
    total = sum((Decimal(r["EffectiveCost"]) for r in rows), Decimal(0))
    (month,) = [m for m in planned.costs if m.month == "2024-09"]
    assert month.effective == month.direct + month.shared + month.unallocated == total


def test_the_forecast_command_runs_under_the_scorer(real_data: Path, tmp_path: Path) -> None:
    scorer = real_data.parent / "bench" / "score_forecasts.py"
    if not scorer.is_file():
        pytest.skip(f"no scorer at {scorer}")
    options = " ".join(f"--{name} {{{name}}}" for name in ("usage", "limits", "freq", "horizon", "out"))
    command = f"{sys.executable} -m capacity forecast {options}"
    scores_file = tmp_path / "scores.csv"
    arguments = ["--freq", "D", "--horizon", "30", "--origins", "1", "--command", command, "--out", str(scores_file)]
    done = subprocess.run(
        [sys.executable, str(scorer), str(real_data / "usage" / "daily"), *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with scores_file.open(encoding="utf-8") as file:
        scores = list(csv.DictReader(file))
    assert len(scores) == 8
    assert all(r["bad"] == "0" for r in scores)
