"""The wheel alone: it carries the demo company, and works without the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        str(folder),
        str(ROOT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("capacity-*.whl")
    return built


def test_it_carries_the_demo_and_nothing_that_is_not_its_own(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for needed in (
        "capacity/data/catalogue.csv",
        "capacity/data/demo/configs/demo.yaml",
        "capacity/data/demo/fixtures/data/usage.parquet",
        "capacity/data/demo/fixtures/data/bill/2026-09.parquet",
        "capacity/report/templates/report.html.j2",
        "capacity/ui/_app.py",
    ):
        assert needed in names
    assert not [n for n in names if n.startswith(("tests/", "fixtures/", "bench/"))]
    assert wheel.stat().st_size < 6_000_000


def test_it_finds_its_demo_and_its_front_end_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Its own files come first on the path; the libraries are this environment's."""
    target = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    code = (
        "import pathlib, capacity; from capacity import pipeline;"
        "c = pipeline.demo_config(pathlib.Path('out'));"
        "print(capacity.__file__); print(c.resolve(c.sources[0].path).is_file(), len(pipeline.all_scenarios(c)))"
    )
    env = {**os.environ, "PYTHONPATH": str(target)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    where, found = done.stdout.splitlines()
    assert Path(where).is_relative_to(target)
    assert found.startswith("True ")
    app = subprocess.run(
        [sys.executable, "-m", "capacity", "app", "--json"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert str(target / "capacity" / "ui" / "_app.py") in app.stdout


def test_every_dependency_is_pinned_and_says_why() -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert not re.search(r"https?:|@|--index", constraints)
    pinned = {re.split(r"[=\[ ;]", line)[0].lower().replace("_", "-") for line in constraints.splitlines()}
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    for line in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
        name = re.split(r"[>=\[<]", line)[0].lower().replace("_", "-")
        assert name in pinned, name
        assert re.search(rf'"{re.escape(line)}",\s+# \w', text), f"{line}: no reason beside it"
