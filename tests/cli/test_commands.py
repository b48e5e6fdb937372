"""Every command through the real entry point: what it prints, writes and exits with."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity import cli, plan
from capacity.cli._app import build
from tests import company

COMMANDS = tuple(build().commands)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = company.write(tmp_path_factory.mktemp("cli"))
    assert cli.run(["ingest", "-c", str(path), "--as-of", "2026-09-01"]) == 0
    return path


@pytest.fixture(scope="module")
def plans(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plans")
    assert cli.run(["plan", "-c", str(config), "-s", "more", "--out", str(out), "--progress", str(out / "steps")]) == 0
    return out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_json_and_as_of(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "--json" in text
    assert "--as-of" in text


def test_the_commands_are_those_promised() -> None:
    promised = (
        "demo ingest forecast plan check cost commitments backtest report handover decide app sources catalog store "
        "doctor"
    )
    assert promised.split() == list(COMMANDS)


def test_the_help_lists_all_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {c} " in text for c in COMMANDS)
    assert "Exit codes: 0 fine" in text


def test_ingest_is_safe_to_repeat(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["ingest", "-c", str(config), "--as-of", "2026-09-01"]) == 0
    text = capsys.readouterr().out
    assert "0 changed" in text
    assert cli.run(["ingest", "-c", str(config), "--as-of", "2026-09-01", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [s["source"] for s in report["sources"]] == ["usage", "fleet", "quotas", "bill"]


def test_a_failing_source_exits_3_and_the_others_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = company.write(tmp_path)
    (tmp_path / "bill.csv").unlink()
    assert cli.run(["ingest", "-c", str(path), "--as-of", "2026-09-01"]) == 3
    text = capsys.readouterr().out
    assert "bill (focus_files): FAILED" in text
    assert "usage (files): ok" in text


def test_plan_writes_what_it_promises(plans: Path) -> None:
    for folder in (plans, plans / "scenarios" / "more"):
        found = plan.read(folder)
        assert set(found.frames) == set(plan.FRAMES)
        assert json.loads((folder / "run.json").read_text())["seconds_total"] > 0
    assert (plans / "report.html").stat().st_size > 10_000
    assert not list(plans.glob(".partial*"))
    steps = [json.loads(line) for line in (plans / "steps").read_text().splitlines()]
    assert {"stage", "done", "total"} == set(steps[0])
    assert any(s["stage"].startswith("plan more") for s in steps)


def test_plan_prints_findings_or_json(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["plan", "-c", str(config), "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for words in ("What needs a decision", "Instance mix", "Cost to serve, 2026-08", "sale, 2026-09-18", "written:"):
        assert words in text
    assert cli.run(["plan", "-c", str(config), "--out", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["mix"]["termination"] == "optimal"
    assert document["findings"]


def test_report_writes_html_and_workbook(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["report", str(plans)]) == 0
    assert (plans / "report.xlsx").is_file()
    assert cli.run(["report", str(plans), "--as-of", "2020-01-01"]) == 2
    assert "later than --as-of" in capsys.readouterr().err


def test_check_is_a_gate(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "-c", str(config), "--event", "sale"]) == 1
    text = capsys.readouterr().out
    assert "NO-GO" in text
    assert "web/us-east-1" in text
    assert cli.run(["check", "-c", str(config), "--event", "sale", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["go"] is False
    assert cli.run(["check", "-c", str(config), "--event", "party"]) == 2
    assert "found 'party'; allowed: sale" in capsys.readouterr().err


def test_cost_adds_up_and_bridges(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["cost", "-c", str(config), "--from", "2026-06", "--to", "2026-08"]) == 0
    assert "Bridge, 2026-06 to 2026-08" in capsys.readouterr().out
    assert cli.run(["cost", "-c", str(config), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    for row in document["bridge"]:
        terms = (
            "volume",
            "efficiency",
            "mix",
            "list_rate",
            "negotiated_rate",
            "commitment_rate",
            "new_and_ended",
            "one_off",
        )

        assert Decimal(row["start"]) + sum(Decimal(row[t]) for t in terms) == Decimal(row["end"])
    assert cli.run(["cost", "-c", str(config), "--from", "2020-01"]) == 2
    assert "allowed: a closed month of the bill: 2026-06" in capsys.readouterr().err


def test_backtest_scores_beside_naive(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["backtest", "-c", str(config), "--origins", "1", "--horizon", "20", "--json"]
    assert cli.run(arguments) == 0
    rows = pd.DataFrame(json.loads(capsys.readouterr().out))
    assert {"capacity", "seasonal_naive"} <= set(rows["who"])


def test_forecast_of_a_config(config: Path, tmp_path: Path) -> None:
    assert cli.run(["forecast", "-c", str(config), "--out", str(tmp_path)]) == 0
    found = pd.read_csv(tmp_path / "forecast.csv")
    assert "web/us-east-1|peak" in set(found["series"])


def test_store_sources_catalog_and_doctor(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["store", "-c", str(config), "--json"]) == 0
    tables = {t["name"]: t for t in json.loads(capsys.readouterr().out)["tables"]}
    assert tables["usage"]["rows"] > 20_000
    assert cli.run(["sources", "--json"]) == 0
    infos = {i["kind"]: i for i in json.loads(capsys.readouterr().out)}
    assert "cloudwatch:GetMetricData" in infos["cloudwatch"]["permissions"]
    assert any("$0.01" in call for call in infos["cost_explorer"]["calls"])
    assert cli.run(["catalog", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["types"] == 1080
    assert cli.run(["catalog", "m99.huge"]) == 2
    assert cli.run(["doctor", "-c", str(config)]) == 0
    assert "FAIL" not in capsys.readouterr().out


def test_app_says_its_command(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["app", "--plans", str(plans), "--json"]) == 0
    command = json.loads(capsys.readouterr().out)["command"]
    assert "streamlit" in command
    assert any("127.0.0.1" in c for c in command)


# --- without a config --------------------------------------------------------------------------------------


def usage_csv(folder: Path, days: int = 200) -> Path:
    t = np.arange(days)
    value = 100 + t / 10 + 20 * (t % 7 == 2) + np.random.default_rng(1).normal(0, 3, days)
    frame = pd.DataFrame({"series": "a", "ts": pd.date_range("2026-01-01", periods=days), "value": value})
    path = folder / "usage.csv"
    pd.concat([frame, frame.assign(series="b", value=5.0)]).to_csv(path, index=False)
    return path


def test_forecast_of_any_csv_writes_the_three_files(tmp_path: Path) -> None:
    usage = usage_csv(tmp_path)
    (tmp_path / "limits.csv").write_text("series,limit\na,135\nb,6\n")
    out = tmp_path / "out"
    arguments = ["forecast", "--usage", str(usage), "--limits", str(tmp_path / "limits.csv"), "--horizon", "30"]
    assert cli.run([*arguments, "--out", str(out)]) == 0
    forecast = pd.read_csv(out / "forecast.csv")
    assert list(forecast.columns) == ["series", "ts", "q025", "q10", "q50", "q90", "q975"]
    assert forecast.groupby("series").size().to_dict() == {"a": 30, "b": 30}
    assert (np.diff(forecast.iloc[:, 2:].to_numpy(float), axis=1) >= -1e-9).all()
    summary = pd.read_csv(out / "summary.csv")
    quantiles = [f"{what}_{q}" for what in ("peak", "total") for q in ("q10", "q50", "q90")]
    assert list(summary.columns) == ["series", "model", *quantiles]
    saturation = pd.read_csv(out / "saturation.csv")
    for _, rows in saturation.groupby("series"):
        assert (np.diff(rows["probability"]) >= 0).all()
        assert rows["probability"].between(0, 1).all()


def test_a_future_window_multiplies_and_a_past_one_is_masked(tmp_path: Path) -> None:
    usage = usage_csv(tmp_path)
    (tmp_path / "events.csv").write_text(
        "series,start,end,multiplier\na,2026-07-25,2026-07-26,3\nb,2026-03-01,2026-03-02,\n"
    )
    plain, event = tmp_path / "plain", tmp_path / "event"
    base = ["forecast", "--usage", str(usage), "--horizon", "30"]
    assert cli.run([*base, "--out", str(plain)]) == 0
    assert cli.run([*base, "--events", str(tmp_path / "events.csv"), "--out", str(event)]) == 0
    was, now = (pd.read_csv(p / "forecast.csv").set_index(["series", "ts"])["q50"] for p in (plain, event))
    ratio = (now / was).unstack("series")["a"]
    assert ratio[["2026-07-25", "2026-07-26"]].tolist() == pytest.approx([3, 3])
    assert ratio["2026-07-24"] == pytest.approx(1)


def test_commitments_from_a_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hours = pd.date_range("2026-01-01", periods=24 * 60, freq="h")
    demand = 50 + 10 * np.sin(np.arange(len(hours)) / 24 * 2 * np.pi)
    path = tmp_path / "demand.csv"
    pd.DataFrame({"series": "r", "ts": hours, "value": demand}).to_csv(path, index=False)
    arguments = ["commitments", "--demand", str(path), "--term-days", "365", "--out", str(tmp_path), "--rate"]
    assert cli.run([*arguments, "0.7"]) == 0
    level = pd.read_csv(tmp_path / "commitment.csv").set_index("series")["level"]["r"]
    assert demand.min() <= level <= demand.max()
    assert "r: commit to" in capsys.readouterr().out
    outlook = pd.read_csv(tmp_path / "commitment_outlook.csv").set_index("series").loc["r"]
    assert outlook["level"] == level
    assert 0 < outlook["coverage_frac"] < outlook["utilisation_frac"] <= 1
    assert 0 < outlook["saving_p50_frac"] < 0.3
    assert 365 * 0.7 <= outlook["break_even_day"] <= 365
    assert cli.run([*arguments, "0.7", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["level"] == level
    assert cli.run([*arguments, "1.7"]) == 2
    assert "found 1.7; allowed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("series,ts\na,2026-01-01\n", "columns missing: value; found: series, ts"),
        ("series,ts,value\na,yesterday,1\n", "row 2: ts: found 'yesterday'; allowed: an ISO time stamp"),
        (
            "series,ts,value\na,2026-01-01,1\na,2026-01-02,lots\n",
            "row 3: value: found 'lots'; allowed: a finite number",
        ),
        ("series,ts,value\na,2026-01-01,inf\n", "row 2: value: found"),
        ("series,ts,value\n", "no row"),
        ("", "not a CSV file"),
    ],
)
def test_bad_csv_is_told_with_row_and_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    assert cli.run(["forecast", "--usage", str(path), "--out", str(tmp_path / "out")]) == 3
    err = capsys.readouterr().err
    assert says in err
    assert str(path) in err
    assert "Traceback" not in err


# --- exit codes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["plan"],
        ["forecast"],
        ["forecast", "--usage", "nowhere.csv"],
        ["plan", "-c", "nowhere.yaml"],
        ["forecast", "--usage", "x", "-c", "y"],
        ["check", "-c", "nowhere.yaml"],
        ["backtest", "-c", "x", "--origins", "0"],
        ["catalog", "--as-of"],
    ],
)
def test_wrong_usage_exits_2_without_a_traceback(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "Traceback" not in err


def test_a_wrong_as_of_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["plan", "-c", str(config), "--as-of", "tomorrow"]) == 2
    assert "found 'tomorrow'; allowed: an ISO date or time" in capsys.readouterr().err


def test_stale_data_exits_3(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["plan", "-c", str(config), "--out", str(tmp_path), "--as-of", "2026-12-01"]) == 3
    assert "before the moment asked about" in capsys.readouterr().err


def test_no_plan_exits_4_and_writes_nothing(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = company.CONFIG.replace(
        "    burst_factor: 1.1\n", "    max_instances_per_zone: 1\n    candidates: {max_vcpu: 2}\n"
    )
    path = company.write(tmp_path, config=text)
    assert cli.run(["ingest", "-c", str(path), "--as-of", "2026-09-01"]) == 0
    assert cli.run(["plan", "-c", str(path), "--out", str(tmp_path / "out")]) == 4
    assert "web/us-east-1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_fault_of_the_tool_exits_70(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from capacity import catalogue

    def broken() -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(catalogue, "load", broken)
    assert cli.run(["catalog"]) == 70
    err = capsys.readouterr().err
    assert "fault of the tool: ZeroDivisionError: oops" in err
    assert "Traceback" not in err
