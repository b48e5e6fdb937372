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
from itertools import chain
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
# How long a page stays as it is: one that was opened, and one whose server may not have heard of the change yet.
OPEN_SECONDS, CHANGE_SECONDS = 0.5, 1.0
TIMEOUT_MS = 30_000  # Playwright's own
# The text of the page once it is drawn and stays as it is for a while, and whether that came to be in time.
STILL = """async ([quiet, limit]) => {
  const begin = Date.now();
  let text = '', since = begin;
  for (;;) {
    const now = Date.now(), seen = document.querySelector('[data-testid=stMain]')?.innerText ?? '';
    const busy = document.querySelector('[data-testid=stSkeleton]')
      || !document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]');
    if (busy || !seen || seen !== text) { text = seen; since = now; }
    else if (now - since >= quiet) return [text, true];
    if (now - begin > limit) return [text, false];
    await new Promise(go => setTimeout(go, 100));
  }
}"""


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
        self.size = {"width": width, "height": height}
        self.context = browser.new_context(color_scheme=scheme, viewport=self.size)
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.faults: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.faults.append(f"dialog {dialog.message}"), dialog.dismiss()))

    def open(self, address: str) -> str:
        """Go to ``address``, wait until all is drawn, and read the page's text."""
        self.page.goto(address)
        return self.settle(OPEN_SECONDS)

    def settle(self, seconds: float = CHANGE_SECONDS) -> str:
        """Wait until all is drawn and has stayed so for ``seconds``, and read the page's text."""
        page = self.page
        # The title first: before the script begins, the page also says that no script is running.
        page.wait_for_selector("[data-testid=stMain] h1", timeout=60_000)
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=60_000)
        page.wait_for_function(
            "() => [...document.querySelectorAll('[data-testid=stVegaLiteChart]')]"
            ".every(c => c.querySelector('canvas, svg.marks, svg'))",
            timeout=60_000,
        )
        return self._still(seconds)

    def _still(self, seconds: float) -> str:
        """The page's text once nothing is left to load and it has not changed for ``seconds``.

        A script that has ended is not a page that is drawn: the parts of the front end that draw cards and tables are
        fetched when they are first needed, with a grey bar in their place.
        """
        text, still = self.page.evaluate(STILL, [seconds * 1000, DRAWN_SECONDS * 1000])
        assert still, f"the page is not drawn after {DRAWN_SECONDS} s: {text[-500:]}"
        return str(text)

    def leave(self) -> None:
        """Forget all that happened in this window, as a new one."""
        self.page.evaluate("() => { try { localStorage.clear(); sessionStorage.clear(); } catch { } }")
        self.page.goto("about:blank")
        self.context.clear_cookies()
        self.page.set_viewport_size(self.size)
        self.page.set_default_timeout(TIMEOUT_MS)
        self.asked, self.faults = [], []

    def picture(self, path: Path) -> None:
        """The whole page, however long: the window grows to it, since the page scrolls inside the window.

        Only where CAPACITY_PICTURES names a folder: nobody else looks at it.
        """
        if "CAPACITY_PICTURES" not in os.environ:
            return
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


def nameless(one: Reader) -> list[str]:
    """Inputs and buttons of the main part that assistive technologies can say nothing of."""
    found = one.page.evaluate(
        "() => [...document.querySelectorAll('[data-testid=stMain] input, [data-testid=stMain] button')]"
        ".filter(e => e.offsetParent && !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby')"
        " && !(e.labels && e.labels.length) && !e.innerText.trim() && !e.title && e.type !== 'hidden')"
        ".map(e => e.outerHTML.slice(0, 200))"
    )
    return list(found)


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


@pytest.fixture(scope="session")
def left(chromium: Any) -> Iterator[dict[tuple[str, int], list[Reader]]]:
    """Windows whose readers have left: a page costs half in one that has drawn a page before."""
    kept: dict[tuple[str, int], list[Reader]] = {}
    yield kept
    for one in chain.from_iterable(kept.values()):
        one.context.close()


@pytest.fixture
def reader(chromium: Any, left: dict[tuple[str, int], list[Reader]]) -> Iterator[Callable[..., Reader]]:
    """A reader's window: nobody's before, as far as its page can tell, and nobody else's during the test."""
    used: list[tuple[tuple[str, int], Reader]] = []

    def new(scheme: str = "light", width: int = 1280) -> Reader:
        look = (scheme, width)
        used.append((look, left[look].pop() if left.get(look) else Reader(chromium, scheme, width)))
        return used[-1][1]

    yield new
    for look, one in used:
        one.leave()
        left.setdefault(look, []).append(one)
