"""The report of one plan of each kind, made once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import vl_convert

from capacity.plan import Plan
from capacity.report import render_html, write_report
from tests.factory import known_plan, write_plan_dir
from tests.factory_planned import planned

DRAW = vl_convert.vegalite_to_svg
DRAWN: dict[str, str] = {}


@pytest.fixture(scope="module", autouse=True)
def drawn_once() -> Iterator[None]:
    """A picture costs a tenth of a second, and the plans of these tests differ in little: the same one is drawn once.

    That it would be drawn the same again is a test of each chart (tests/charts), and of the whole report.
    """

    def remembered(specification: dict[str, Any], **settings: Any) -> str:
        key = json.dumps([specification, settings])
        if key not in DRAWN:
            DRAWN[key] = DRAW(specification, **settings)
        return DRAWN[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vl_convert, "vegalite_to_svg", remembered)
        yield


@pytest.fixture
def drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture is drawn, whether it was before or not."""
    monkeypatch.setattr(vl_convert, "vegalite_to_svg", DRAW)


@pytest.fixture(scope="session")
def company() -> Plan:
    return known_plan()


@pytest.fixture(scope="session")
def page(company: Plan) -> str:
    return render_html(company)


@pytest.fixture(scope="session")
def ugly_report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("ugly")
    write_plan_dir(folder, planned(known_plan(ugly=True), ugly=True))
    write_plan_dir(folder / "scenarios" / "other", known_plan(scenario="<b>other</b>", ugly=True))
    return write_report(folder)
