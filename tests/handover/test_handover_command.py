"""``capacity handover`` through the real entry point."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capacity import cli
from capacity.cli import handover as command
from capacity.report import handover
from tests.factory import write_plan_dir
from tests.handover.handover_kit import files_of, plan_of


@pytest.fixture(scope="module")
def plan_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handed")
    write_plan_dir(folder, plan_of("small"))
    return folder


def test_it_writes_all_outputs_of_a_plan_that_was_read_back(
    plan_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["handover", str(plan_dir), "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    for file, body in files_of("small").items():
        assert (tmp_path / "out" / file).read_text(encoding="utf-8") == body
        assert f"{file}  (" in text
    assert not list((tmp_path / "out").glob("*.partial"))


def test_only_some_with_choices_as_json(plan_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--only", "terraform", "--only", "prometheus", "--month", "2026-12", "--group-name", "asg-{service}",
                 "--demand-query", 'sum(rate(hits{{app="{service}"}}[5m]))', "--json"]  # fmt: skip
    assert cli.run(["handover", str(plan_dir), "--out", str(tmp_path), *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [Path(p).name for p in found["files"]] == ["capacity.auto.tfvars.json", "capacity_variables.tf",
                                                     "prometheus_rules.yml"]  # fmt: skip
    groups = json.loads((tmp_path / "capacity.auto.tfvars.json").read_text())["capacity_groups"]
    assert {g["month"] for g in groups.values()} == {"2026-12"}
    assert {t["group_name"].split("-")[0] for g in groups.values() for t in g["instance_types"].values()} == {"asg"}
    assert (
        f'sum(rate(hits{{app="{plan_of("small").units[0].service}"}}[5m]))'
        in (tmp_path / "prometheus_rules.yml").read_text()
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--only", "helm"], 2, "--only: found 'helm'; allowed: terraform"),
        (["--month", "2040-01"], 2, "--month: found '2040-01'"),
        (["--group-name", "{x}"], 2, "--group-name: found '{x}'"),
        (["--demand-query", "up"], 2, "--demand-query: found no {service}"),
        (["--as-of", "2020-01-01"], 2, "later than --as-of"),
    ],
)
def test_what_cannot_be_is_refused(
    plan_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert cli.run(["handover", str(plan_dir), "--out", str(tmp_path / "out"), *arguments]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_no_plan_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["handover", str(tmp_path), "--out", str(tmp_path / "out")]) == 3
    assert "no plan.json here" in capsys.readouterr().err


def test_the_commands_default_is_the_packages() -> None:
    assert command._GROUP_NAME == handover.DEFAULT_GROUP_NAME
