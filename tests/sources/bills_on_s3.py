"""S3 over HTTP for a real boto3 client: moto's server, and a proxy before it that cuts or spoils objects."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from capacity.config import AwsAccess

_NUMBERS = itertools.count(1)
ACCOUNT = "123456789012"  # moto's own


@dataclass
class S3:
    """A bucket of its own on a running server."""

    endpoint: str
    bucket: str
    client: Any

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=key)

    def written_at(self, key: str, moment: datetime) -> None:
        """Set when ``key`` was written, in the server's own memory: it runs in this process."""
        from moto.backends import get_backend

        backend: Any = get_backend("s3")[ACCOUNT]["aws"]
        backend.buckets[self.bucket].keys[key].last_modified = moment

    def url(self, prefix: str = "") -> str:
        return f"s3://{self.bucket}/{prefix}".rstrip("/")

    def access(self, endpoint: str | None = None) -> AwsAccess:
        return AwsAccess(regions=["us-east-1"], endpoint_url=endpoint or self.endpoint)


@contextmanager
def server() -> Iterator[str]:
    """moto's server on a free port; its address."""
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        yield f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    finally:
        running.stop()


def bucket(endpoint: str) -> S3:
    """A new bucket."""
    import boto3

    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    name = f"bills-{next(_NUMBERS)}"
    client.create_bucket(Bucket=name)
    return S3(endpoint, name, client)


def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The AWS chain ends in the environment."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@dataclass
class Proxy:
    """Passes everything on, and spoils the first ``times`` answers to a GET of an object.

    ``how``: ``cut`` ends the connection half way, ``flip`` changes one byte and takes S3's checksums off the answer.
    """

    upstream: str
    how: str
    times: int
    gets: list[str] = field(default_factory=list)
    url: str = ""

    def spoils(self, path: str) -> bool:
        if "list-type" in path:
            return False
        self.gets.append(path)
        return len(self.gets) <= self.times


@contextmanager
def spoiling(upstream: str, how: str, times: int) -> Iterator[Proxy]:
    """A :class:`Proxy` before the server at ``upstream``."""
    proxy = Proxy(upstream, how, times)

    class Handler(_Handler):
        state = proxy

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{running.server_address[1]}"
    try:
        yield proxy
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: Proxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        connection = HTTPConnection(self.state.upstream.removeprefix("http://"))
        connection.request("GET", self.path, headers=dict(self.headers))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        spoilt = answer.status == 200 and self.state.spoils(self.path)
        flip = spoilt and self.state.how == "flip"
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            checksum = name.lower().startswith("x-amz-checksum")
            if name.lower() not in ("connection", "transfer-encoding", "content-length") and not (flip and checksum):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if flip:
            body = body[:-2] + bytes([body[-2] ^ 1]) + body[-1:]
        self.wfile.write(body[: len(body) // 2] if spoilt and not flip else body)
        self.close_connection = spoilt

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""
