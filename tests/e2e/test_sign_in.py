"""Sign-in against a real OpenID provider on loopback: strangers see and are sent nothing of the plan."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from capacity import plan as plans
from capacity.ui._shell import PAGES
from tests.e2e.conftest import FULL, Reader, assert_sound, free_port, running
from tests.e2e.oidc import CLIENT, LIES, SECRET, Provider, provided
from tests.e2e.test_accessibility import grave_findings

pytestmark = pytest.mark.e2e

ADA = {"email": "ada@lindenshop.example", "email_verified": True, "name": "Ada Lovelace"}
EVE = {"email": "eve@elsewhere.example", "email_verified": True, "name": "Eve"}
RULES = """\
secrets: secrets.toml
allow:
  domains: [lindenshop.example]
  groups: [planners]
"""
# What is asked of the server without a session, besides every page.
ADDRESSES = (
    "/_stcore/health", "/_stcore/script-health-check", "/_stcore/host-config", "/_stcore/metrics",
    "/_stcore/agent/openapi.json", "/_stcore/agent/interact", "/_stcore/agent/mcp", "/_stcore/stream",
    "/_stcore/upload_file/a/b", "/_stcore/bidi-components/plan.json", "/component/plan/plan.json", "/media/plan.json",
    "/media/../plan.json", "/app/static/plan.json", "/app/static/../plan.json", "/static/../plan.json", "/plan.json",
    "/%2e%2e/plan.json", "/run.json", "/report.html", "/auth/login", "/auth/logout", "/oauth2callback?code=1&state=2",
)  # fmt: skip


@dataclass(frozen=True)
class Guarded:
    """A front end behind a sign-in, its provider, and words that stand in the plan alone."""

    address: str
    provider: Provider
    rules: Path
    words: tuple[str, ...]


@pytest.fixture(scope="module")
def guarded(normal: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder, port = tmp_path_factory.mktemp("sign-in"), free_port()
    rules = folder / "sign-in.yaml"
    rules.write_text(RULES)
    command = [sys.executable, "-m", "capacity", "app", "--plans", str(normal), "--port", str(port)]
    plan = plans.read(normal)
    # Short names, and those that are names of icons too, are no sign of a leak.
    names = {u.unit.service for u in plan.units if len(u.unit.service) > 7 and u.unit.service not in str(PAGES)}
    words = (plan.company, *sorted(names))
    with provided() as provider:
        secrets = folder / "secrets.toml"
        secrets.write_text(
            f'[auth]\nredirect_uri = "http://127.0.0.1:{port}/oauth2callback"\ncookie_secret = "{"c" * 64}"\n'
            f'client_id = "{CLIENT}"\nclient_secret = "{SECRET}"\n'
            f'server_metadata_url = "{provider.address}/.well-known/openid-configuration"\n'
        )
        secrets.chmod(0o600)
        with running([*command, "--sign-in", str(rules)], port, folder / "server.log") as address:
            yield Guarded(address, provider, rules, words)


@dataclass
class Watched:
    """A reader, and all that the server sent them."""

    reader: Reader
    sent: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader.page.on("websocket", lambda socket: socket.on("framereceived", self._keep))

    def _keep(self, payload: Any) -> None:
        self.sent.append(payload if isinstance(payload, bytes) else str(payload).encode())

    def told(self, words: tuple[str, ...]) -> set[str]:
        """Which of ``words`` were sent or stand on the page."""
        everything = b"".join(self.sent) + self.reader.page.content().encode()
        return {w for w in words if w.encode() in everything}


@pytest.fixture
def watch(chromium: Any) -> Iterator[Callable[[], Watched]]:
    """Watched readers, each in a window that nobody ever had."""
    with ExitStack() as stack:

        def new() -> Watched:
            one = Watched(Reader(chromium, "light"))
            stack.callback(one.reader.context.close)
            return one

        yield new


def signed_in(one: Watched, place: Guarded, person: dict[str, Any], lie: str = "") -> str:
    """Click through the door; the text of what comes after it."""
    place.provider.person, place.provider.lie = person, lie
    one.reader.open(place.address)
    with one.reader.page.expect_navigation(url=f"{place.address}/"):  # by way of the provider
        one.reader.page.get_by_role("button", name="Sign in").click()
    return one.reader.settle()


def test_who_asked_for_a_page_comes_to_it_after_signing_in(guarded: Guarded, watch: Callable[[], Watched]) -> None:
    one = watch()
    page = one.reader.page
    guarded.provider.person, guarded.provider.lie = ADA, ""
    asked = f"{guarded.address}/cost?cost_view=Unit+cost"
    one.reader.open(asked)
    # By the provider and the first page back to what was asked for: the address alone is there from the start.
    with page.expect_navigation(url=f"{guarded.address}/"):
        page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(asked)
    assert "Cost to serve" in one.reader.settle()
    # Once: whoever goes to the first page later stays there.
    one.reader.open(guarded.address)
    assert page.url == f"{guarded.address}/"


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example/", "https://evil.example/", "/\\\\evil.example", "/service/../x"]
)
def test_nothing_but_a_page_of_this_server_is_gone_to(
    guarded: Guarded, watch: Callable[[], Watched], elsewhere: str
) -> None:
    one = watch()
    guarded.provider.person, guarded.provider.lie = ADA, ""
    one.reader.open(guarded.address)
    one.reader.page.evaluate("to => sessionStorage.setItem('capacity-asked', to)", elsewhere)
    with one.reader.page.expect_navigation(url=f"{guarded.address}/"):
        one.reader.page.get_by_role("button", name="Sign in").click()
    one.reader.settle()
    assert one.reader.page.url == f"{guarded.address}/"
    assert not [a for a in one.reader.asked if "evil" in a]


def test_a_stranger_sees_and_is_sent_nothing_on_any_page(guarded: Guarded, watch: Callable[[], Watched]) -> None:
    one = watch()
    for info in PAGES if FULL else (PAGES[0], PAGES[-1]):
        text = one.reader.open(f"{guarded.address}/{'' if info.key == 'fleet' else info.key}")
        assert "Sign in" in text
        assert not one.told(guarded.words), info.key
    assert grave_findings(one.reader) == []
    assert sum(map(len, one.sent)) > 1_000  # there was something to look through
    assert_sound(one.reader)


def test_who_is_allowed_sees_the_plan_signs_decisions_and_can_leave(
    guarded: Guarded, watch: Callable[[], Watched]
) -> None:
    one = watch()
    text = signed_in(one, guarded, ADA)
    assert "Needs a decision now" in text
    assert "Ada Lovelace (ada@lindenshop.example)" in text
    assert len(one.told(guarded.words)) > 3  # what a stranger is not told does come this way
    # Files under /media are given to whoever knows their name: there is the page's icon and nothing else.
    files = {url for url in one.reader.asked if url.startswith(f"{guarded.address}/media/")}
    assert [f for f in files if not f.endswith(".png")] == []
    assert leaks(guarded) == []  # nor while somebody reads
    one.reader.page.get_by_role("link", name="Decisions").click()
    one.reader.page.get_by_role("heading", name="Decisions", exact=True).wait_for()
    one.reader.settle()
    assert one.reader.page.get_by_label("Who decides").input_value() == "Ada Lovelace (ada@lindenshop.example)"
    one.reader.page.get_by_role("button", name="Sign out").click()
    one.reader.page.get_by_role("button", name="Sign in").wait_for()
    assert guarded.provider.ended[-1]["client_id"] == CLIENT
    one.sent.clear()
    one.reader.open(f"{guarded.address}/decisions")
    assert not one.told(guarded.words)
    assert_sound(one.reader)


@pytest.mark.parametrize(
    ("person", "said"),
    [
        (EVE, "not among those who may read"),
        ({**ADA, "email_verified": False}, "verified"),
        ({"email": "ada@lindenshop.example.evil.example", "email_verified": True}, "not among those who may read"),
        ({**ADA, "iat": 1_700_000_000}, "too long ago"),
    ],
    ids=["elsewhere", "unverified", "like ours", "long ago"],
)
def test_who_is_not_allowed_is_told_and_sent_nothing(
    guarded: Guarded, watch: Callable[[], Watched], person: dict[str, Any], said: str
) -> None:
    one = watch()
    text = signed_in(one, guarded, person)
    assert said in text
    assert not one.told(guarded.words)
    assert grave_findings(one.reader) == []
    assert one.reader.page.get_by_role("button", name="Sign in").count() == ("long ago" in said)
    one.reader.page.get_by_role("button", name="Sign out").click()
    one.reader.page.get_by_role("button", name="Sign in").wait_for()


def test_a_group_of_the_provider_lets_in_and_a_name_taken_out_is_out_at_once(
    guarded: Guarded, watch: Callable[[], Watched]
) -> None:
    one = watch()
    assert "Needs a decision now" in signed_in(one, guarded, {**EVE, "groups": ["staff", "planners"]})
    try:
        guarded.rules.write_text(RULES.replace("planners", "auditors"))
        one.reader.page.get_by_role("link", name="Peak event").click()
        one.reader.page.get_by_text("not among those who may read").wait_for()
        assert "NO-GO" not in one.reader.settle()
    finally:
        guarded.rules.write_text(RULES)


@pytest.mark.parametrize("lie", LIES if FULL else LIES[:2])
def test_a_token_that_is_not_good_leaves_a_stranger(guarded: Guarded, watch: Callable[[], Watched], lie: str) -> None:
    one = watch()
    assert "Sign in" in signed_in(one, guarded, ADA, lie)
    assert "Ada" not in one.reader.page.content()
    assert not one.told(guarded.words)


def test_a_cookie_of_one_s_own_making_leaves_a_stranger(guarded: Guarded, watch: Callable[[], Watched]) -> None:
    from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

    one = watch()
    claims = '{"is_logged_in": true, "origin": "%s", "email": "ada@lindenshop.example", "email_verified": true}'
    value = create_signed_value("d" * 64, "_streamlit_user", claims % guarded.address).decode()
    one.reader.open(guarded.address)  # its page sets the cookie against forged requests
    one.reader.context.add_cookies([{"name": "_streamlit_user", "value": value, "url": guarded.address}])
    assert "Sign in" in one.reader.open(guarded.address)
    assert not one.told(guarded.words)


def leaks(place: Guarded) -> list[tuple[str, str, str]]:
    """Words of the plan that the server tells whoever asks without a cookie: address, method, word."""
    host, port = place.address.removeprefix("http://").split(":")
    found = []
    for address in (*ADDRESSES, *(f"/{info.key}" for info in PAGES)):
        for method in ("GET", "POST", "OPTIONS"):
            connection = http.client.HTTPConnection(host, int(port), timeout=10)
            connection.request(method, address, body=b"{}", headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read() + str(answer.headers).encode()
            found += [(address, method, w) for w in place.words if w.encode() in text]
            connection.close()
    return found
