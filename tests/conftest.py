"""What all tests share: Hypothesis profiles and the folder of real data."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]

# As `capacity app` starts the front end: else each page that is drawn in a test process leaves threads behind that look
# after files for as long as it runs.
os.environ.setdefault("STREAMLIT_SERVER_FILE_WATCHER_TYPE", "none")

# "quick" for every change, "full" for the counts that are promised (make test-full).
settings.register_profile("quick", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("CAPACITY_TEST_PROFILE", "quick"))

# The tests of a file share fixtures that take seconds, and the files of some folders share one that their conftest.py
# makes once a process: each such group goes to one test process, so that nothing is made twice. Those in the browser
# are one group too: half of their time is waited for, and two of them side by side would leave a core idle.
TOGETHER = {
    "tests/e2e": ("accessibility", "addresses", "asks_nobody", "every_page", "pages", "scenario_editor", "sign_in"),
    "tests/report": ("browser", "calendar", "check_report", "html", "known", "planned_report", "printing",
                     "report_rates", "since", "workbook"),
    "tests/pipeline": ("bill_days", "budget_frames", "event_same_answer", "known_dates", "plan_rates", "planning",
                       "tied_totals", "totals", "unit_frames", "watch"),
}  # fmt: skip
# Groups that take longest, the longest first; what is short comes last, so that all test processes end together.
LONGEST = (
    "tests/e2e",
    "tests/report",
    "tests/pipeline",
    "tests/pipeline/test_demo.py",
    "tests/store/test_fidelity.py",
    "tests/cli/test_commands.py",
    "tests/forecast/test_driver.py",
    "tests/pipeline/test_data_quality.py",
    "tests/store/test_crash.py",
    "tests/aws/test_cost_explorer_price.py",
    "tests/real/test_real_recordings.py",
    "tests/store/test_corrections.py",
    "tests/optimize/test_columns.py",
    "tests/optimize/test_near.py",
    "tests/ui/test_ui_pages.py",
    "tests/ui/test_ui_decisions.py",
    "tests/quality/test_focus_reports.py",
    "tests/pipeline/test_review_golden.py",
    "tests/charts/test_charts.py",
    "tests/pipeline/test_live_promises.py",
    "tests/forecast/test_workers.py",
    "tests/forecast/test_map_backend.py",
)


def group_of(nodeid: str) -> str:
    """The group of tests that a test belongs to: its file, or the folder that shares a fixture."""
    file = nodeid.split("::")[0]
    folder, _, name = file.rpartition("/test_")
    return folder if name.removesuffix(".py") in TOGETHER.get(folder, ()) else file


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest groups first; the demo's after them where it is made elsewhere meanwhile."""
    order = {name: position for position, name in enumerate(LONGEST)}
    if "CAPACITY_DEMO" in os.environ:
        order["tests/pipeline/test_demo.py"] = len(LONGEST)
    items.sort(key=lambda item: order.get(group_of(item.nodeid), len(LONGEST) + 1))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is loaded stays, and is not looked through for rubbish again and again: a twentieth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Groups by :func:`group_of`, in the order of the tests.

    The groups that pytest-xdist makes of its own marker need a node's name that can be changed, which pytest 9.2 no
    longer has: with it every test is a group of its own, and all that is made for a file is made in every process.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return Groups(config, log)


# The test runner's own.
MAIN = sys.modules["__main__"]


@pytest.fixture(autouse=True)
def _main_module() -> Iterator[None]:
    """Streamlit's page tests put their page in the place of the main module, which processes that start then run."""
    yield
    sys.modules["__main__"] = MAIN


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
