"""A stand-in for AWS: one HTTP server that a real boto3 client talks to, in the services' own wire formats.

What moto does faithfully is handed to moto's server application, in this process. Other operations are answered by
small fakes of this project, registered with :meth:`StandIn.on`: plain dictionaries in and out, put into the wire
format by botocore's own service models. For both, the server throttles, denies, breaks page chains, counts the calls
and writes the bill of Cost Explorer ($0.01 a page).

Access keys name their account: ``AKIA`` or ``ASIA`` and the twelve digits.
"""

from __future__ import annotations

import io
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

import boto3
import cbor2
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

MANAGEMENT = "111111111111"
_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
# Names in a signature -> botocore's names of services.
_SIGNED_AS = {
    "monitoring": "cloudwatch",
    "cost-explorer": "ce",
    "servicequotas": "service-quotas",
    "tagging": "resourcegroupstaggingapi",
}
# What each service calls a throttled call.
_THROTTLED = {"ec2": "RequestLimitExceeded", "s3": "SlowDown", "ce": "LimitExceededException"}
USD_A_PAGE = Decimal("0.01")


class AwsError(Exception):
    """What a fake answers in place of a result."""

    def __init__(self, code: str, message: str = "no") -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True)
class Call:
    """One request as a fake sees it."""

    service: str
    operation: str
    params: Mapping[str, Any]
    account_id: str
    region: str


# A result in botocore's output shape; bytes are a JSON body already written (large answers).
Handler = Callable[[Call], Mapping[str, Any] | bytes]


def page(
    call: Call, key: str, items: Sequence[Any], size: int, token: str = "NextToken", token_out: str | None = None
) -> dict[str, Any]:
    """A page of ``items``; an unknown token, or a page size above ``size``, is refused as the services refuse it."""
    wanted = int(call.params.get("MaxResults") or call.params.get("MaxRecords") or size)
    if wanted > size:
        raise AwsError("ValidationException", f"at most {size} a page")
    given = call.params.get(token)
    if given is not None and not str(given).startswith("page-"):
        raise AwsError("InvalidNextToken", "unknown token")
    first = int(str(given).removeprefix("page-")) if given else 0
    out: dict[str, Any] = {key: list(items[first : first + wanted])}
    if first + wanted < len(items):
        out[token_out or token] = f"page-{first + wanted}"
    return out


def member(account_id: str, name: str, status: str = "ACTIVE") -> dict[str, Any]:
    """An account of the organization."""
    arn = f"arn:aws:organizations::{MANAGEMENT}:account/o-demo/{account_id}"
    return {"Id": account_id, "Arn": arn, "Name": name, "Email": f"{account_id}@example.com", "Status": status}


@dataclass
class StandIn:
    """The server and its switches; make one with :func:`running`.

    Attributes
    ----------
    throttle_frac
        Share of the calls that are throttled, drawn from ``seed``.
    denied
        (account, ``service:Operation``) that are refused; ``*`` as operation for all.
    breaks
        ``service:Operation`` -> how many of its next calls with a page token answer with an internal error.
    members
        The organization's accounts; :func:`member` makes one.
    external_id
        What sts:AssumeRole wants to see, where set.
    roles
        Role names that may be assumed; any where None.
    """

    url: str = ""
    throttle_frac: float = 0.0
    seed: int = 1
    denied: set[tuple[str, str]] = field(default_factory=set)
    breaks: Counter[str] = field(default_factory=Counter)
    external_id: str | None = None
    roles: set[str] | None = None
    members: list[dict[str, Any]] = field(default_factory=list)
    handlers: dict[tuple[str, str], Handler] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    log: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.lock = threading.Lock()
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.on("sts", "AssumeRole", self._assume_role)
        self.on("sts", "GetCallerIdentity", _who)
        # moto knows ListAccounts, but hands over all of them at once; AWS 20 at a time.
        self.on("organizations", "ListAccounts", lambda call: page(call, "Accounts", self.members, 20))

    # --- what tests use ---------------------------------------------------------------------------------------

    def on(self, service: str, operation: str, handler: Handler) -> None:
        """Answer an operation (botocore's name of the service) with ``handler`` in place of moto."""
        self.handlers[service, operation] = handler

    def client(self, service: str, account_id: str = MANAGEMENT, region: str = "us-east-1") -> Any:
        """A client of this server as an account's own user, to seed moto; never throttled or denied."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=f"{self.url}",
            aws_access_key_id=f"SEED{account_id}",
            aws_secret_access_key="seed",
        )

    @property
    def bill_usd(self) -> Decimal:
        """What Cost Explorer's pages have cost."""
        return USD_A_PAGE * sum(n for name, n in self.calls.items() if name.startswith("ce:"))

    # --- the server -------------------------------------------------------------------------------------------

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        if scope is None:
            return self.moto(environ, start)
        account_id = scope["key"][4:16]
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = account_id
        if scope["key"].startswith("SEED"):
            return self.moto(environ, start)
        service = _SIGNED_AS.get(scope["service"], scope["service"])
        body = _body(environ)
        request = Request({**environ, "wsgi.input": io.BytesIO(body)})
        environ["wsgi.input"] = io.BytesIO(body)
        cbor = environ["PATH_INFO"].startswith("/service/")
        operation, match = _operation(service, request)
        params: Mapping[str, Any] = {}
        handler = self.handlers.get((service, operation))
        if handler is not None or service != "s3":
            params = _params(service, operation, request, match) if handler else {}
        call = Call(service, operation, params, account_id, scope["region"])
        has_token = any("token" in k.lower() for k in params) or b"oken" in (request.query_string or b"")
        error = self._refusal(call, has_token)
        if error is None and handler is None:
            return self.moto(environ, start)
        try:
            result: Any = error or (handler(call) if handler else {})
        except AwsError as raised:
            result = raised
        return _response(service, operation, request, result, cbor=cbor)(environ, start)

    def _refusal(self, call: Call, has_token: bool) -> AwsError | None:
        name = f"{call.service}:{call.operation}"
        with self.lock:
            # sts is left alone: botocore gives up on credentials sooner than on calls.
            if call.service != "sts" and self.random.random() < self.throttle_frac:
                self.throttled[name] += 1
                return AwsError(_THROTTLED.get(call.service, "ThrottlingException"), "Rate exceeded")
            for what in (name, f"{call.service}:*", "*"):
                if (call.account_id, what) in self.denied:
                    return AwsError("AccessDenied", f"not allowed: {name} by arn:aws:iam::{call.account_id}:role/x")
            if has_token and self.breaks[name] > 0:
                self.breaks[name] -= 1
                return AwsError("InternalServerError", "try again")
            self.calls[name] += 1
            self.log.append(call)
        return None

    def _assume_role(self, call: Call) -> Mapping[str, Any]:
        account, role = str(call.params["RoleArn"]).split(":")[4], str(call.params["RoleArn"]).split("/")[-1]
        wrong_id = self.external_id is not None and call.params.get("ExternalId") != self.external_id
        if (
            wrong_id
            or (self.roles is not None and role not in self.roles)
            or (account, "sts:AssumeRole") in self.denied
        ):
            raise AwsError("AccessDenied", f"not authorized to perform sts:AssumeRole on {call.params['RoleArn']}")
        return {
            "Credentials": {
                "AccessKeyId": f"ASIA{account}AAAA",
                "SecretAccessKey": "secret",
                "SessionToken": "session-token",
                "Expiration": datetime.now(UTC) + timedelta(hours=1),
            },
            "AssumedRoleUser": {
                "AssumedRoleId": "AROA:capacity",
                "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/c",
            },
        }


def _body(environ: dict[str, Any]) -> bytes:
    """The whole body: it is read here, and once more by moto."""
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        return bytes(stream.read())
    return bytes(stream.read(int(environ.get("CONTENT_LENGTH") or 0)))


def _who(call: Call) -> Mapping[str, Any]:
    return {"Account": call.account_id, "UserId": "AIDA", "Arn": f"arn:aws:iam::{call.account_id}:user/planner"}


def _operation(service: str, request: Request) -> tuple[str, Mapping[str, Any]]:
    target = request.headers.get("X-Amz-Target")
    if target:
        return target.split(".")[-1], {}
    if request.path.startswith("/service/"):  # Smithy RPC v2 with CBOR
        return request.path.rsplit("/", 1)[-1], {}
    action = request.values.get("Action")
    if action:
        return action, {}
    operation, match = get_service_router(service).match(request)
    return str(operation.name), match


def _params(service: str, operation: str, request: Request, match: Mapping[str, Any]) -> Mapping[str, Any]:
    if request.path.startswith("/service/"):
        return cbor2.loads(request.get_data()) if request.get_data() else {}
    model = get_service_model(service)
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)]
    parsed: Mapping[str, Any] = parser(model.operation_model(operation)).parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": request.get_data(),
            "url_path": request.path,
            "url_params": match,
        }
    )
    return parsed


def _response(service: str, operation: str, request: Request, result: Any, *, cbor: bool) -> Response:
    if cbor:
        return _cbor(result)
    model = get_service_model(service)
    protocol = determine_request_protocol(model, request.content_type)
    if isinstance(result, AwsError):
        return _error(protocol, result)
    if isinstance(result, bytes):
        return Response(result, 200, {"Content-Type": request.content_type or "application/json"})
    serializer = get_serializer_class(service, protocol)(operation_model=model.operation_model(operation))
    body = serializer.serialize(result)
    return Response(body["body"], body["status_code"], dict(body["headers"]))


def _error(protocol: str, error: AwsError) -> Response:
    status = 500 if error.code.startswith("Internal") else 503 if error.code == "SlowDown" else 400
    if protocol in ("json", "rest-json"):
        headers = {"x-amzn-errortype": error.code, "Content-Type": "application/json"}
        return Response(json.dumps({"__type": error.code, "message": error.message}), status, headers)
    inner = f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
    if protocol == "ec2":
        inner = f"<Response><Errors>{inner}</Errors><RequestID>r</RequestID></Response>"
    elif protocol == "query":
        inner = f"<ErrorResponse>{inner}<RequestId>r</RequestId></ErrorResponse>"
    return Response(inner, status, {"Content-Type": "text/xml"})


def _cbor(result: Any) -> Response:
    headers = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
    if isinstance(result, AwsError):
        body = {"__type": f"com.amazonaws#{result.code}", "message": result.message}
        return Response(cbor2.dumps(body), 500 if result.code.startswith("Internal") else 400, headers)
    return Response(cbor2.dumps(result, datetime_as_timestamp=True, timezone=UTC), 200, headers)


class _Quiet(WSGIRequestHandler):
    """Does not log every request."""

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@contextmanager
def running(**switches: Any) -> Iterator[StandIn]:
    """A stand-in on a free port of this machine, empty."""
    from moto.moto_api._internal.models import moto_api_backend

    moto_api_backend.reset()
    app = StandIn(**switches)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    app.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield app
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
