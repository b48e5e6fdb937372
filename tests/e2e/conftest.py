"""A real server and a real browser, both on loopback."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from capacity.ui import launch

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
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        process = subprocess.Popen(
            launch.command(plans, config, port), env=launch.environment(plans, config), stdout=out, stderr=out
        )
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
            if text == before and not loading and not running:
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
