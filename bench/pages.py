"""Whole pages in a headless Chromium: the first one, a change of page, a filter, a comparison, and eight readers.

    python -m bench.pages [PLANS ...]

PLANS are folders of plans; without one the demo company is planned, and made into a company of 300 services
(bench.larger). Seconds are medians of ten, with the range, from the click until everything is drawn: the title, every
table, every chart. The server is a process of its own, its memory that of its process at the end.

Eight browsers share this machine's cores with the server, which eight readers' machines do not: so the CPU seconds of
each page are told of both sides (bench.page_costs), and the same readers again without browsers.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.larger import enlarge
from bench.page_costs import Received, cpu_seconds, sessions
from capacity.ui import launch

RUNS = 10
SESSIONS, CLICKS = 8, 10
# Seconds that a reader looks at a page before the next: in a meeting, and by readers who only click.
LOOKS = {"who look for 3 to 8 s": (3.0, 8.0), "who look for half a second to 2 s": (0.5, 2.0)}
SETTLE_SECONDS = 1.0
SERVICES = 300
TITLES = ("Service", "Fleet plan", "Scenarios", "Cost to serve", "Budget", "Commitments", "Waste", "Peak event",
          "Decisions", "Trust", "Fleet")  # fmt: skip
# Nothing left to draw: the script has ended, no part of the page is still fetched, every chart has its picture.
DRAWN = """(title) => {
  if (!document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]')) return false;
  const main = document.querySelector('[data-testid=stMain]');
  const heading = main && main.querySelector('h1');
  if (!heading || (title && heading.textContent.trim() !== title)) return false;
  if (document.querySelector('[data-testid=stSkeleton]')) return false;
  if (main.querySelector('[data-stale=true]')) return false;
  return [...main.querySelectorAll('[data-testid=stVegaLiteChart]')]
    .every(c => c.querySelector('canvas, svg.marks, svg'));
}"""


def main(folders: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as tmp:
        for name, plans in _companies([Path(f) for f in folders], Path(tmp)):
            with _served(plans) as (address, pid):
                print(f"\n{name}", flush=True)
                asyncio.run(_measured(address, pid))
                print(f"  memory of the server {_mib(pid):>30.0f} MiB", flush=True)


def _companies(folders: Sequence[Path], tmp: Path) -> Iterator[tuple[str, Path]]:
    if folders:
        yield from ((f.name, f) for f in folders)
        return
    demo = tmp / "demo"
    command = [sys.executable, "-m", "capacity", "demo", "--out", str(demo)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield "the demo company", demo
    count = enlarge(demo, tmp / "many", SERVICES)
    yield f"a company of {count} services", tmp / "many"


@contextmanager
def _served(plans: Path) -> Iterator[tuple[str, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(launch.command(plans, None, port), env=launch.environment(plans, None),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        _wait(address)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait()


def _wait(address: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise SystemExit("the server did not start")


def _mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


async def _measured(address: str, server: int) -> None:
    from playwright.async_api import async_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        _line("first page, cold", [await _first(browser, address)])
        _line("first page", [await _first(browser, address) for _ in range(RUNS)])
        await _changes(browser, address)
        await _filters(browser, address)
        await _costs(browser, address, server)
        await _readers(browser, address)
        await browser.close()
    for words, look in LOOKS.items():
        found = await sessions(address, SESSIONS, CLICKS, TITLES, look)
        print(f"  {SESSIONS} sessions without browsers, {words}: {_spread(found)}", flush=True)


async def _timed(page: Any, act: Callable[[], Awaitable[Any]], title: str = "", until: str = "") -> float:
    began = time.perf_counter()
    await act()
    if until:
        await page.wait_for_function(until, timeout=60_000)
    await page.wait_for_function(DRAWN, arg=title, timeout=60_000)
    return time.perf_counter() - began


async def _first(browser: Any, address: str) -> float:
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    seconds = await _timed(page, lambda: page.goto(address), "Fleet")
    await context.close()
    return seconds


async def _opened(browser: Any, address: str) -> Any:
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    await _timed(page, lambda: page.goto(address), "Fleet")
    return page


async def _changes(browser: Any, address: str) -> None:
    """Every page in turn by the navigation; the comparison is the page Scenarios."""
    page = await _opened(browser, address)
    found: dict[str, list[float]] = {title: [] for title in TITLES}
    for _ in range(RUNS + 1):
        for title in TITLES:
            found[title].append(await _change(page, title))
    for title in TITLES:
        _line(f"to {title}" + (", two or more plans compared" if title == "Scenarios" else ""), found[title][1:])
    _line("a change of page, all", [s for title in TITLES for s in found[title][1:]])
    await page.context.close()


async def _change(page: Any, title: str) -> float:
    link = page.get_by_role("link", name=title, exact=True)
    return await _timed(page, lambda: link.first.click(), title)


async def _filters(browser: Any, address: str) -> None:
    seconds = []
    for _ in range(RUNS):
        page = await _opened(browser, address)
        await page.get_by_role("combobox", name="Tier").click()
        option = page.get_by_role("option").first
        await option.wait_for()
        until = "() => location.search.includes('tier=')"
        seconds.append(await _timed(page, option.click, "Fleet", until))
        await page.context.close()
    _line("a filter", seconds)


async def _costs(browser: Any, address: str, server: int) -> None:
    """CPU seconds of each change of page on both sides, a second after it as well, and what travels for it."""
    page = await _opened(browser, address)
    received = Received(page)
    await page.reload()
    await page.wait_for_function(DRAWN, arg="Fleet", timeout=60_000)
    print(f"  {'CPU seconds of a change of page':<34} server    page  browser   kB  messages", flush=True)
    for title in TITLES:
        rows = [await _cost(page, title, server, received) for _ in range(RUNS)]
        mine, its, browsers, size, messages = (statistics.median(column) for column in zip(*rows, strict=True))
        print(
            f"  to {title:<31} {mine:>6.2f}  {its:>6.2f}  {browsers:>7.2f} {size / 1e3:>4.0f} {messages:>9.0f}",
            flush=True,
        )
    await page.context.close()


async def _cost(page: Any, title: str, server: int, received: Received) -> tuple[float, float, float, int, int]:
    """From another page, which is as far as from any, to ``title``."""
    await _change(page, "Decisions" if title != "Decisions" else "Waste")
    await asyncio.sleep(SETTLE_SECONDS)
    before, mine = cpu_seconds(os.getpid()), sum(cpu_seconds(server).values())
    size, messages = received.size, received.messages
    await _change(page, title)
    await asyncio.sleep(SETTLE_SECONDS)
    after = cpu_seconds(os.getpid())
    spent = sum(cpu_seconds(server).values()) - mine
    pages, browsers = (after[kind] - before[kind] for kind in ("pages", "browser"))
    return spent, pages, browsers, received.size - size, received.messages - messages


def _spread(seconds: Sequence[float]) -> str:
    every = sorted(seconds)
    median, p95 = statistics.median(every), every[int(0.95 * (len(every) - 1))]
    return f"median {median:.2f} s, p95 {p95:.2f} s of {len(every)} changes"


async def _readers(browser: Any, address: str) -> None:
    """Several readers at once, each from page to page."""
    pages = [await _opened(browser, address) for _ in range(SESSIONS)]
    for words, look in LOOKS.items():
        found = await asyncio.gather(*(_reader(page, number, look) for number, page in enumerate(pages)))
        errors = sum([await page.locator("[data-testid=stException]").count() for page in pages])
        told = f"{_spread([s for one in found for s in one])}, {errors} errors"
        print(f"  {SESSIONS} readers at once, {words}: {told}", flush=True)


async def _reader(page: Any, seed: int, look: tuple[float, float]) -> list[float]:
    chosen = random.Random(seed)
    out, now = [], ""
    for _ in range(CLICKS):
        await asyncio.sleep(chosen.uniform(*look))
        now = chosen.choice([t for t in TITLES if t != now])
        out.append(await _change(page, now))
    return out


def _line(name: str, seconds: Sequence[float]) -> None:
    print(f"  {name:<46} {statistics.median(seconds):>6.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
