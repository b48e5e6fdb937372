"""A small CloudWatch over HTTP for a real boto3 client, in the service's own wire formats.

CloudWatch speaks Smithy RPC v2 with CBOR and AWS JSON 1.0; which of them botocore chooses depends on its version, so
both are served. It knows GetMetricData only, paginates, and refuses what the service refuses: more than 500 queries,
more than 100,800 points, an unknown token. It can throttle calls, deny them, and answer single metrics with another
status.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cbor2

TARGET = "GraniteServiceVersion20100801.GetMetricData"
PATH = "/service/GraniteServiceVersion20100801/operation/GetMetricData"
Value = Callable[[float], float | None]


@dataclass
class FakeCloudWatch:
    """``metrics`` maps (metric name, stat) to its value at a time; ``log`` holds every request that was let through."""

    metrics: dict[tuple[str, str], Value] = field(default_factory=dict)
    statuses: dict[str, list[str]] = field(default_factory=dict)  # metric name -> statuses of its next answers
    page_points: int = 1000
    throttle_calls: frozenset[int] = frozenset()
    always: str | None = None  # an error code for every call
    log: list[dict[str, Any]] = field(default_factory=list)
    calls: int = 0
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    pages: dict[str, tuple[dict[str, Any], int]] = field(default_factory=dict)

    def answer(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """HTTP status and body."""
        with self.lock:
            self.calls += 1
            if self.always:
                return 400, {"__type": f"com.amazonaws.cloudwatch#{self.always}", "message": "no, by arn:aws:iam::1:me"}
            if self.calls in self.throttle_calls:
                return 400, {"__type": "com.amazonaws.cloudwatch#ThrottlingException", "message": "Rate exceeded"}
            fault = self._fault(request)
            if fault:
                return 400, {"__type": "com.amazonaws.cloudwatch#ValidationError", "message": fault}
            self.log.append(request)
            return 200, self._page(request)

    def _fault(self, request: dict[str, Any]) -> str | None:
        queries = request["MetricDataQueries"]
        if len(queries) > 500:
            return f"{len(queries)} queries"
        points = sum((at(request["EndTime"]) - at(request["StartTime"])) / q["MetricStat"]["Period"] for q in queries)
        if points > 100_800:
            return f"{points} points"
        if request.get("NextToken") not in (None, *self.pages):
            return "unknown token"
        return None

    def _page(self, request: dict[str, Any]) -> dict[str, Any]:
        """All points in the order query by query, cut into pages."""
        first = self.pages[request["NextToken"]][1] if "NextToken" in request else 0
        flat = [(q["Id"], t, v) for q in request["MetricDataQueries"] for t, v in self._points(q, request)]
        part = flat[first : first + self.page_points]
        more = first + self.page_points < len(flat)
        unfinished = flat[first + self.page_points][0] if more else None
        results = []
        for query in request["MetricDataQueries"]:
            mine = [(t, v) for i, t, v in part if i == query["Id"]]
            status = "PartialData" if query["Id"] == unfinished else "Complete"
            results.append(
                {
                    "Id": query["Id"],
                    "Label": "x",
                    "Timestamps": [t for t, _ in mine],
                    "Values": [v for _, v in mine],
                    "StatusCode": self._status(query, status, more),
                }
            )
        body: dict[str, Any] = {"MetricDataResults": results, "Messages": []}
        if more:
            token = f"token-{len(self.pages)}"
            self.pages[token] = (request, first + self.page_points)
            body["NextToken"] = token
        return body

    def _status(self, query: dict[str, Any], status: str, more: bool) -> str:
        queue = self.statuses.get(query["MetricStat"]["Metric"]["MetricName"], [])
        return queue.pop(0) if queue and not more else status

    def _points(self, query: dict[str, Any], request: dict[str, Any]) -> Iterator[tuple[float, float]]:
        stat = query["MetricStat"]
        value = self.metrics.get((stat["Metric"]["MetricName"], stat["Stat"]))
        now, end = at(request["StartTime"]), at(request["EndTime"])
        assert now % stat["Period"] == 0
        while value is not None and now < end:
            found = value(now)
            if found is not None:
                yield now, found
            now += stat["Period"]


def at(value: Any) -> float:
    """Seconds since 1970 of a time stamp in either format."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).timestamp()
    return float(value.value if isinstance(value, cbor2.CBORTag) else value)


def _tagged(body: dict[str, Any]) -> dict[str, Any]:
    """Time stamps as CBOR writes them."""
    results = [
        r | {"Timestamps": [cbor2.CBORTag(1, t) for t in r["Timestamps"]]} for r in body.get("MetricDataResults", [])
    ]
    return body | {"MetricDataResults": results} if results else body


@contextmanager
def serving(fake: FakeCloudWatch) -> Iterator[FakeCloudWatch]:
    """``fake`` behind a real socket; its ``url`` is set."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == PATH and self.headers.get("smithy-protocol") == "rpc-v2-cbor":
                status, body = fake.answer(cbor2.loads(raw))
                self._send(status, cbor2.dumps(_tagged(body)), {"smithy-protocol": "rpc-v2-cbor"}, "application/cbor")
            elif self.path == "/" and self.headers.get("X-Amz-Target") == TARGET:
                status, body = fake.answer(json.loads(raw))
                self._send(status, json.dumps(body).encode(), {}, "application/x-amz-json-1.0")
            else:
                self._send(404, b"{}", {}, "application/x-amz-json-1.0")

        def _send(self, status: int, data: bytes, headers: dict[str, str], kind: str) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Type": kind, "Content-Length": str(len(data))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
