"""A real server and a real browser, both on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from capacity.ui import launch
from tests.factory import make_plan, write_plan_dir
from tests.factory_money import spending
from tests.factory_planned import planned

# make test-full: every page, not only the representative ones.
FULL = os.environ.get("CAPACITY_TEST_PROFILE") == "full"
START_SECONDS = 60
DRAWN_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(plans: Path, log: Path, config: Path | None = None) -> Iterator[str]:
    """The front end over ``plans``, as ``capacity app`` starts it; gives its address."""
    port = free_port()
    with running(launch.command(plans, config, port), port, log, launch.environment(plans, config)) as address:
        yield address


@contextmanager
def running(command: list[str], port: int, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """A server that ``command`` starts on ``port``, until the block ends; gives its address."""
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        _wait_for(address, process, log)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start servers; all end with the test."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(plans: Path, config: Path | None = None) -> str:
            return stack.enter_context(served(plans, tmp_path / "server.log", config))

        yield start


class Reader:
    """One reader's browser window, with a record of every host it asked."""

    def __init__(self, browser: Any, scheme: str, width: int = 1280, height: int = 900) -> None:
        self.context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.faults: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.faults.append(f"dialog {dialog.message}"), dialog.dismiss()))

    def open(self, address: str) -> str:
        """Go to ``address``, wait until all is drawn, and read the page's text."""
        self.page.goto(address)
        return self.settle()

    def settle(self) -> str:
        page = self.page
        # The title first: before the script begins, the page also says that no script is running.
        page.wait_for_selector("[data-testid=stMain] h1", timeout=60_000)
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=60_000)
        page.wait_for_function(
            "() => [...document.querySelectorAll('[data-testid=stVegaLiteChart]')]"
            ".every(c => c.querySelector('canvas, svg.marks, svg'))",
            timeout=60_000,
        )
        return self._still()

    def _still(self) -> str:
        """The page's text once nothing is left to load and two readings half a second apart agree.

        A script that has ended is not a page that is drawn: the parts of the front end that draw cards and tables are
        fetched when they are first needed, with a grey bar in their place.
        """
        page, end = self.page, time.monotonic() + DRAWN_SECONDS
        text = ""
        while time.monotonic() < end:
            page.wait_for_timeout(500)
            before, text = text, str(page.inner_text("[data-testid=stMain]"))
            loading = page.locator("[data-testid=stSkeleton]").count()
            running = page.locator("[data-testid=stApp][data-test-script-state=notRunning]").count() == 0
            if text and text == before and not loading and not running:
                return text
        raise AssertionError(f"the page is not drawn after {DRAWN_SECONDS} s: {text[-500:]}")

    def picture(self, path: Path) -> None:
        """The whole page, however long: the window grows to it, since the page scrolls inside the window."""
        height = self.page.evaluate(
            "() => document.querySelector('[data-testid=stMain]').scrollHeight"
            " + document.querySelector('[data-testid=stMain]').getBoundingClientRect().top"
        )
        size = self.page.viewport_size
        self.page.set_viewport_size({"width": size["width"], "height": max(size["height"], int(height))})
        self.page.wait_for_timeout(700)
        self.page.screenshot(path=str(path))
        self.page.set_viewport_size(size)

    def outside(self) -> list[str]:
        """Addresses asked that are not of this machine."""
        inside = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")
        return [url for url in self.asked if not url.startswith(inside)]


def assert_sound(one: Reader) -> None:
    """Nothing was raised in the server or the page, and nobody outside was asked."""
    assert not one.page.query_selector_all("[data-testid=stException]")
    assert not one.faults
    assert one.outside() == []


def assert_fits(one: Reader) -> None:
    """Nothing makes the page wider than the window."""
    wide = one.page.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]'); return m.scrollWidth - m.clientWidth; }"
    )
    assert wide <= 1


@pytest.fixture(scope="session")
def normal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("normal"))


@pytest.fixture(scope="session")
def ugly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("ugly"), ugly=True)


def written(folder: Path, **kinds: Any) -> Path:
    ugly = bool(kinds.get("ugly"))
    write_plan_dir(folder, spending(planned(make_plan(**kinds), ugly), ugly))
    other = spending(planned(make_plan(scenario="peak-plus-40", **kinds), ugly), ugly)
    write_plan_dir(folder / "scenarios" / "peak-plus-40", other)
    return folder


@pytest.fixture(scope="session")
def address(normal: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The normal plans, served once for the tests that only read."""
    with served(normal, tmp_path_factory.mktemp("server") / "server.log") as found:
        yield found


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("CAPACITY_PICTURES", tmp_path / "pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def reader(chromium: Any) -> Iterator[Callable[..., Reader]]:
    made: list[Reader] = []

    def new(scheme: str = "light", width: int = 1280) -> Reader:
        made.append(Reader(chromium, scheme, width))
        return made[-1]

    yield new
    for one in made:
        one.context.close()
