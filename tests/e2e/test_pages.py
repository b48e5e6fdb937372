"""All pages in a real browser, served as ``capacity app`` serves them.

Pictures are taken where CAPACITY_PICTURES names a folder.
"""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import company
from tests.e2e.conftest import FULL, Reader, assert_fits, assert_sound, nameless, written

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]

# address, and what a reader must find there
PAGES = {
    "": ("Fleet", "Needs a decision now", "Headroom by week", "Stale data", "against budget"),
    "service": ("Service", "Peak demand against capacity", "What this rests on", "Instances: now and recommended"),
    "mix": ("Fleet plan", "Price of headroom", "What to buy", "What each requirement costs", "Adds up exactly"),
    "scenarios": ("Scenarios", "What differs", "Side by side", "more than base over the horizon"),
    "cost": ("Cost to serve", "Adds up exactly", "What moved the bill", "Unallocated spend", "Ties in 2026-09"),
    "budget": ("Budget", "spend against budget", "chance to pass it", "Run rate, 28 days"),
    "commitments": ("Commitments", "Effective savings rate in 2026-09", "What ends soon"),
    "waste": ("Waste", "Who takes it", "never add the two"),
    "event": ("Peak event", "NO-GO", "What to do, by date", "Why not"),
    "trust": ("Trust", "HiGHS", "Freshness of the data", "worst slack"),
}
AXIS_LABEL = "[data-testid=stVegaLiteChart] svg .role-axis-label text"
# Read in every run; all pages in the full profile.
READ = tuple(PAGES) if FULL else ("", "service", "scenarios", "cost")
DARK = ("", "service", "mix") if FULL else ("service",)
# A whole plan with two scenarios: of the demo company nearly two minutes of CPU, beside all other tests.
PLAN_SECONDS = 900 if FULL else 240


def test_what_a_reader_must_find_in_light_and_dark_and_all_inputs_have_names(
    reader: Callable[..., Reader], address: str, pictures: Path
) -> None:
    for scheme, pages in (("light", READ), ("dark", DARK)):
        one = reader(scheme)
        for page in pages:
            text = one.open(f"{address}/{page}")
            for wanted in (*PAGES[page], "Lindenshop", "as of 05 Oct 2026 06:00 UTC", "scenario base"):
                assert wanted in text, (page, wanted)
            assert nameless(one) == [], page
            assert_sound(one)
            assert_fits(one)
            one.picture(pictures / f"{page or 'fleet'}-{scheme}.png")


def test_charts_follow_the_reader_s_theme(reader: Callable[..., Reader], address: str) -> None:
    """Labels of charts are dark on light ground and light on dark ground, on the first visit too."""
    for scheme, bright in (("light", False), ("dark", True)):
        one = reader(scheme)
        one.open(address)
        # On a busy machine a chart is drawn after the script has ended.
        one.page.wait_for_selector(AXIS_LABEL, state="attached", timeout=60_000)
        fills = one.page.evaluate(
            f"() => [...document.querySelectorAll('{AXIS_LABEL}')].map(t => getComputedStyle(t).fill)"
        )
        levels = [sum(int(n) for n in fill[4:-1].split(",")) / 3 for fill in fills if fill.startswith("rgb(")]
        assert levels
        assert all((level > 127) == bright for level in levels)


def test_hostile_names_do_nothing(
    serve: Callable[..., str], reader: Callable[..., Reader], ugly: Path, pictures: Path
) -> None:
    address = serve(ugly)
    one = reader("dark")
    for page in READ:
        text = one.open(f"{address}/{page}")
        assert "</script><img src=http://evil.example/x onerror=alert(1)>" in text, page
        assert_sound(one)
        assert_fits(one)
        assert not one.page.query_selector_all(
            "[data-testid=stMain] img[src*=evil], [data-testid=stMain] a[href*=evil]"
        )
        one.picture(pictures / f"{page or 'fleet'}-ugly.png")


def test_pages_change_by_the_navigation_and_a_filter_narrows(reader: Callable[..., Reader], address: str) -> None:
    one = reader()
    assert "of 15" in one.open(address)
    one.page.get_by_role("combobox", name="Region").click()
    one.page.get_by_role("option", name="eu-west-1").click()
    one.page.get_by_text("of 3", exact=False).first.wait_for()
    assert "region=eu-west-1" in one.page.url
    one.page.keyboard.press("Escape")  # an open list hides the rest of the page from assistive technologies
    one.page.get_by_role("link", name="Peak event").click()
    one.page.get_by_role("heading", name="Peak event").wait_for()
    assert "NO-GO" in one.settle()
    assert_sound(one)


def test_the_bill_and_the_plan_s_total_lead_to_each_other(reader: Callable[..., Reader], address: str) -> None:
    one = reader()
    one.open(f"{address}/cost")
    one.page.get_by_role("link", name="All money of the coming months by part").click()
    one.page.get_by_role("heading", name="The plan's total").wait_for()
    one.settle()
    one.page.get_by_role("link", name="The bill of closed months").click()
    one.page.get_by_role("heading", name="Cost by service").wait_for()
    assert_sound(one)


def test_a_link_reopens_the_same_comparison(reader: Callable[..., Reader], address: str) -> None:
    first = reader()
    first.open(f"{address}/scenarios")
    link = first.page.url
    assert "compare=base" in link
    assert "compare=peak-plus-40" in link
    assert "costs $" in reader().open(link)


def test_run_button_tells_how_a_job_failed_and_keeps_the_plan(
    serve: Callable[..., str], reader: Callable[..., Reader], tmp_path: Path, pictures: Path
) -> None:
    """A real job of the real command line: a config without any data ends with exit code 3, in words."""
    plans = written(tmp_path / "plans")
    before = (plans / "plan.json").read_bytes()
    config = tmp_path / "capacity.yaml"
    config.write_text(
        "version: 1\ncompany: Lindenshop\nstore: store\ntiers:\n  - name: critical\n"
        "services:\n  - name: checkout\n    tier: critical\n    regions: [us-east-1]\n"
    )
    one = reader()
    one.open(f"{serve(plans, config)}/scenarios")
    one.page.get_by_role("button", name="Run plan").click()
    one.page.get_by_text("The plan failed").wait_for(timeout=60_000)
    text = one.settle()
    assert "Data is missing, stale, corrupt or only partly ingested" in text
    assert "exit code 3" in text
    assert "Lindenshop" in text
    one.picture(pictures / "run-failed.png")
    assert_sound(one)
    assert (plans / "plan.json").read_bytes() == before


@dataclass(frozen=True)
class Planned:
    """A company whose data is in its store: its config, its name, and a scenario of its own."""

    config: Path
    company: str
    scenario: str


@pytest.fixture
def ingested(tmp_path: Path) -> Planned:
    """The small company, which is planned in seconds; in the full profile the demo company, which takes a minute."""
    made = Planned(demo_config(tmp_path), "Tidewater Outfitters", "graviton") if FULL else small_company(tmp_path)
    command = [sys.executable, "-m", "capacity", "ingest", "-c", str(made.config)]
    subprocess.run(command, check=True, capture_output=True)
    return made


def small_company(folder: Path) -> Planned:
    # What requirements cost and other plans are looked for as well, so that there is something to cancel.
    config = company.CONFIG.replace("why_seconds: 0", "why_seconds: 4").replace(
        "company: Small", "company: Harbour Books"
    )
    return Planned(company.write(folder, config=config), "Harbour Books", "arm")


def demo_config(tmp_path: Path) -> Path:
    text = (ROOT / "configs" / "demo.yaml").read_text(encoding="utf-8")
    text = text.replace("../fixtures/", f"{ROOT}/fixtures/").replace("- scenarios/", f"- {ROOT}/configs/scenarios/")
    path = tmp_path / "demo.yaml"
    path.write_text(re.sub(r"(?m)^store: \S+", f"store: {tmp_path}/store", text), encoding="utf-8")
    return path


@pytest.mark.timeout(PLAN_SECONDS + 240)
def test_run_button_shows_progress_cancels_and_plans(
    serve: Callable[..., str], reader: Callable[..., Reader], tmp_path: Path, ingested: Planned, pictures: Path
) -> None:
    """The whole job on a company's data, cancelled once and let through once; the old plan stays until then."""
    plans = written(tmp_path / "plans")
    before = (plans / "plan.json").read_bytes()
    one = reader()
    one.open(f"{serve(plans, ingested.config)}/scenarios")
    one.page.get_by_role("button", name="Run plan").click()
    one.page.get_by_text("Planning: ").wait_for(timeout=60_000)
    one.page.wait_for_timeout(1500)
    one.page.screenshot(path=str(pictures / "run-progress.png"))
    one.page.get_by_role("button", name="Cancel").click()
    one.page.get_by_text("Cancelled. The plan that was there is unchanged.").wait_for(timeout=30_000)
    assert (plans / "plan.json").read_bytes() == before
    one.page.get_by_role("button", name="Run plan").click()
    one.page.get_by_text(re.compile("The plan is ready|The plan failed")).first.wait_for(timeout=PLAN_SECONDS * 1000)
    text = one.settle()
    assert "The plan is ready" in text, text[:1500]
    assert ingested.company in text
    assert ingested.scenario in text
    assert_sound(one)
    assert (plans / "plan.json").read_bytes() != before


def test_a_foreign_host_is_refused(address: str) -> None:
    """DNS rebinding: the page's socket does not answer to a name that the server does not know."""
    host, port = address.removeprefix("http://").split(":")
    answers = {}
    for name in ("evil.example", f"{host}:{port}"):
        headers = {"Host": name, "Origin": f"http://{name}", "Upgrade": "websocket", "Connection": "Upgrade",
                   "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}  # fmt: skip
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.request("GET", "/_stcore/stream", headers=headers)
        answers[name] = connection.getresponse().status
        connection.close()
    assert answers == {"evil.example": 403, f"{host}:{port}": 101}
