"""AWS clients and their errors: what failed, where, and how to mend it, without any secret."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from capacity.errors import DataError

# Tries a call before giving up; adaptive mode slows down by itself while it is throttled (botocore's retry modes).
_MAX_ATTEMPTS = 10
_CONNECT_SECONDS = 10
_READ_SECONDS = 60

_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")
_WHO = (
    "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "ExpiredToken",
    "ExpiredTokenException", "IncompleteSignature", "InvalidSignatureException", "RequestExpired",
)  # fmt: skip


class AwsPlace(Protocol):
    """What says where to call."""

    @property
    def region(self) -> str: ...
    @property
    def profile(self) -> str | None: ...
    @property
    def endpoint_url(self) -> str | None: ...


def client(service: str, source: str, where: AwsPlace) -> Any:
    """A boto3 client with adaptive retries; credentials come from the usual AWS chain only."""
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "adaptive", "max_attempts": _MAX_ATTEMPTS},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        user_agent_extra="capacity",
    )
    with errors_of(service, source, where):
        session = boto3.Session(profile_name=where.profile, region_name=where.region)
        return session.client(service, endpoint_url=where.endpoint_url, config=config)


@contextmanager
def errors_of(action: str, source: str, where: AwsPlace) -> Iterator[None]:
    """Turn botocore's errors into a :class:`DataError`; the service's message may quote a request and stays out."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        raise DataError(f"source '{source}': {action} in {where.region}: {code}; {_mend(code, action)}") from None
    except BotoCoreError as error:
        kind = type(error).__name__
        raise DataError(f"source '{source}': {action} in {where.region}: {kind}; {_mend_local(kind, where)}") from None


def _mend(code: str, action: str) -> str:
    if code in _DENIED:
        return f"allow {action} for the role or user that runs this"
    if code in _WHO:
        return "the credentials are not valid (any more); refresh them, and check the clock of this machine"
    if "Throttl" in code or code in ("RequestLimitExceeded", "TooManyRequestsException", "LimitExceededException"):
        return f"still throttled after {_MAX_ATTEMPTS} tries; run the ingest again later, or less often"
    return "see what this code means for that call, then run the ingest again"


def _mend_local(kind: str, where: AwsPlace) -> str:
    if "Credentials" in kind or "Token" in kind or kind.startswith("SSO"):
        return "no usable AWS credentials; log in, set AWS_PROFILE, or give 'profile' in the config"
    if kind == "ProfileNotFound":
        return f"no profile '{where.profile}' in the AWS config files; name one that is there"
    if "Timeout" in kind or "Connection" in kind or "Endpoint" in kind or kind == "SSLError":
        return "the endpoint does not answer; check region, endpoint_url and the network"
    return "check the AWS settings of this machine"
