"""Calls and their errors: what failed, where, and how to mend it, without any secret; pages without a paginator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from capacity.errors import CapacityError, DataError

# Tries a call before giving up; adaptive mode slows down by itself while it is throttled (botocore's retry modes).
MAX_ATTEMPTS = 10

_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "Forbidden", "403")
_WHO = (
    "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "ExpiredToken",
    "ExpiredTokenException", "IncompleteSignature", "InvalidSignatureException", "RequestExpired", "AuthFailure",
)  # fmt: skip
_BUSY = ("RequestLimitExceeded", "TooManyRequestsException", "LimitExceededException", "SlowDown")


@contextmanager
def errors_of(action: str, source: str, where: str) -> Iterator[None]:
    """Turn botocore's errors into a :class:`DataError`; the service's message may quote a request and stays out.

    Parameters
    ----------
    action
        The IAM action, e.g. ``ec2:DescribeInstances``.
    where
        Account and region, as :attr:`Place.label` says them.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        if error.operation_name == "AssumeRole":  # made by botocore on the way to the call
            action = "sts:AssumeRole"
        raise DataError(f"source '{source}': {where}: {action}: {code}; {_mend(code, action)}") from None
    except BotoCoreError as error:
        kind = type(error).__name__
        raise DataError(f"source '{source}': {where}: {action}: {kind}; {_mend_local(kind)}") from None
    except ResponseParserError:  # no BotoCoreError: something else than AWS answers
        raise DataError(
            f"source '{source}': {where}: {action}: the answer is not AWS's; "
            "is there a proxy in the way, and does endpoint_url lead to AWS?"
        ) from None


def pages(
    call: Callable[..., Mapping[str, Any]],
    request: Mapping[str, Any],
    token_in: str = "NextToken",  # noqa: S107 - the name of a field
    token_out: str | None = None,
) -> Iterator[Mapping[str, Any]]:
    """Every page of an operation that botocore has no paginator for.

    Raises
    ------
    DataError
        The same token came twice: the pages would never end.
    """
    seen: set[str] = set()
    token: str | None = None
    while True:
        page = call(**request, **({} if token is None else {token_in: token}))
        yield page
        token = page.get(token_out or token_in) or None
        if token is None:
            return
        if token in seen:
            raise DataError("the same page came twice; run the ingest again")
        seen.add(token)


@dataclass
class Failures:
    """What failed of a source, one line a part; the rest goes on."""

    lines: list[str] = field(default_factory=list)

    def add(self, error: CapacityError | str) -> None:
        self.lines += str(error).splitlines()

    def raise_if_any(self) -> None:
        """Raise a :class:`DataError` with every line, once the sound parts have been handed over."""
        if self.lines:
            raise DataError("\n".join(self.lines))


def _mend(code: str, action: str) -> str:
    if code in _DENIED:
        return f"allow {action} for the role or user that runs this"
    if code in _WHO:
        return "the credentials are not valid (any more); refresh them, and check the clock of this machine"
    if "Throttl" in code or code in _BUSY:
        return f"still throttled after {MAX_ATTEMPTS} tries; run the ingest again later, or less often"
    if code == "OptInRequired" or "OptIn" in code:
        return "the account has not enabled this region or service; leave it out with 'regions' or 'accounts'"
    return "see what this code means for that call, then run the ingest again"


def _mend_local(kind: str) -> str:
    if kind == "ProfileNotFound":
        return "no such profile in the AWS config files; name one that is there"
    if "Credential" in kind or "Token" in kind or kind.startswith("SSO"):
        return "no usable AWS credentials; log in, set AWS_PROFILE, or give 'profile' in the config"
    if "Timeout" in kind or "Connection" in kind or "Endpoint" in kind or kind == "SSLError":
        return "the endpoint does not answer; check region, endpoint_url and the network"
    return "check the AWS settings of this machine"
