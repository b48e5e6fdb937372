"""The server asks no other host for anything, also where it listens on every interface and a foreign page knocks."""

from __future__ import annotations

import http.client
import os
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.conftest import Reader, free_port, running

pytestmark = pytest.mark.e2e


class Proxy(ThreadingHTTPServer):
    """Where a process is sent that asks any other host; knows what was asked, and answers nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Refusing)

    @property
    def settings(self) -> dict[str, str]:
        address = f"http://127.0.0.1:{self.server_port}"
        names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
        return {**dict.fromkeys(names, address), "no_proxy": "", "NO_PROXY": ""}


class _Refusing(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_error(403)

    do_CONNECT = do_GET  # noqa: N815 - the standard library's own name

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    server = Proxy()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


def knock(address: str, origin: str) -> int:
    """Ask for the page's connection as a page of ``origin`` would."""
    host = address.removeprefix("http://")
    headers = {"Host": host, "Origin": origin, "Upgrade": "websocket", "Connection": "Upgrade",
               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}  # fmt: skip
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request("GET", "/_stcore/stream", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_server_asks_no_other_host(
    proxy: Proxy, normal: Path, reader: Callable[..., Reader], tmp_path: Path
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "capacity", "app", "--plans", str(normal), "--port", str(port)]
    with running(
        [*command, "--address", "0.0.0.0"], port, tmp_path / "log", {**os.environ, **proxy.settings}
    ) as address:
        assert "Needs a decision now" in reader().open(address)
        assert knock(address, "http://evil.example") == 403
        assert knock(address, address) == 101
    assert proxy.asked == []
    assert "everybody who reaches this machine" in (tmp_path / "log").read_text()
    # Whoever does ask is noticed.
    asking = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy.settings["http_proxy"]}))
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        asking.open("http://other.example/", timeout=10)
    refused.value.close()
    assert proxy.asked == ["http://other.example/"]
