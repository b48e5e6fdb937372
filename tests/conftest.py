"""What all tests share: Hypothesis profiles and the folder of real data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]

# "quick" for every change, "full" for the counts that are promised (make test-full).
settings.register_profile("quick", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("CAPACITY_TEST_PROFILE", "quick"))

# A file's tests share fixtures that take seconds, and some files share them with others: each group goes to one test
# process, so that nothing is made twice. By folder, the fixture that several files share; else a file is a group.
GROUPS = (("tests/", "chromium", "browser"), ("tests/pipeline/", "small", "small company"))
# Groups that take longest, the longest first; what is short comes last, so that all test processes end together.
LONGEST = (
    "browser",
    "small company",
    "tests/pipeline/test_demo.py",
    "tests/ui/test_ui_pages.py",
    "tests/optimize/test_solve.py",
    "tests/charts/test_charts.py",
    "tests/cli/test_commands.py",
    "tests/forecast/test_driver.py",
    "tests/store/test_fidelity.py",
    "tests/store/test_crash.py",
    "tests/ui/test_ui_mix.py",
    "tests/real/test_real_recordings.py",
    "dask",
)


def pytest_configure(config: pytest.Config) -> None:
    """The marker is pytest-xdist's; without it, in one process, it means nothing."""
    config.addinivalue_line("markers", "xdist_group(name): tests of one name go to one test process")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name each test's group for ``pytest -n 2 --dist loadgroup``, and put the longest groups first."""
    order = {name: position for position, name in enumerate(LONGEST)}
    position: dict[str, int] = {}
    for item in items:
        name = _group(item)
        position[item.nodeid] = order.get(name, len(order))
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(name))
    items.sort(key=lambda item: position[item.nodeid])


def _group(item: pytest.Item) -> str:
    given = item.get_closest_marker("xdist_group")
    if given is not None:
        return str(given.args[0])
    used = getattr(item, "fixturenames", ())
    shared = (name for folder, fixture, name in GROUPS if fixture in used and item.nodeid.startswith(folder))
    return next(shared, item.nodeid.split("::")[0])


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real series, bills and the catalogue; named by CAPACITY_REAL_DATA."""
    folder = Path(os.environ.get("CAPACITY_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; point CAPACITY_REAL_DATA at it")
    return folder


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium of the system; one a test process, as Playwright's driver wants it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install .[dev]")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium on this machine: apt-get install chromium (make test does, as root on Debian)")
    quiet = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync")  # fmt: skip
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(quiet))
        yield browser
        browser.close()
