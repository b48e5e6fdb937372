"""The report of one plan of each kind, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from capacity.plan import Plan
from capacity.report import render_html, write_report
from tests.factory import known_plan, write_plan_dir
from tests.factory_planned import planned


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
