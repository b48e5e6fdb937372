"""Folders of plans as the pipeline leaves them, written once a session."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.factory import make_plan, write_plan_dir

KINDS = {
    "normal": {},
    "ugly": {"ugly": True},
    "empty": {"services": 0},
    "many": {"services": 300},
    "one": {"services": 1},
}


@pytest.fixture(scope="session", autouse=True)
def installed() -> Iterator[None]:
    """Each page that is drawn looks through all installed packages for components, half its time: once is enough."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="session")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of the plans of one kind: the base and the scenario peak-plus-40."""
    root = tmp_path_factory.mktemp("plans")

    def folder(kind: str) -> Path:
        path = root / kind
        if not path.exists():
            write_plan_dir(path, make_plan(**KINDS[kind]))  # type: ignore[arg-type]
            scenario = make_plan(scenario="peak-plus-40", **KINDS[kind])  # type: ignore[arg-type]
            write_plan_dir(path / "scenarios" / "peak-plus-40", scenario)
            (path / "run.json").write_text(json.dumps({"config": str(root / "config.yaml")}))
        return path

    return folder
