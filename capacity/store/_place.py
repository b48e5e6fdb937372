"""Where tables lie: a folder, or a prefix of an S3 bucket with what a reader needs to reach it.

S3 (or what speaks its protocol) must be strongly consistent and support conditional puts (``If-None-Match: *`` on
PutObject), which decide who commits a version first; Amazon S3, R2 and MinIO do. No lock table is needed. Credentials,
region and endpoint come from the usual AWS environment variables, profile or instance role, never from the config. A
lifecycle rule that aborts incomplete multipart uploads clears what a killed writer began.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from capacity.errors import UsageError

# Amazon S3 User Guide, "General purpose bucket naming rules".
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# delta-rs 1.6 decodes percent signs in some places and not in others, and takes none of the other characters.
_ODD = re.compile(r"[%\[\]^|\x00-\x1f]" if os.sep == "\\" else r"[%\[\]^|\\\x00-\x1f]")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Keys of storage options in which delta-rs would take a credential: they belong into the environment.
_SECRET = re.compile(r"access_key|secret|token|password|credential", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A folder or an ``s3://`` prefix; ``options`` are delta-rs's storage options (never printed)."""

    uri: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.uri

    def __truediv__(self, name: str) -> Place:
        return Place(f"{self.uri.rstrip('/')}/{name}", self.options)

    @property
    def is_local(self) -> bool:
        return "://" not in self.uri

    @property
    def storage_options(self) -> dict[str, str] | None:
        return dict(self.options) or None


def place(root: Path | str, options: Mapping[str, str] | None = None) -> Place:
    """``root`` checked, with ``options`` and what S3 needs beside them.

    Raises
    ------
    UsageError
        A folder that cannot hold a store, another scheme than s3, or an address that is no bucket and prefix. What
        might be a credential in it is not repeated.
    """
    text = str(root)
    _check_options(options or {})
    if "://" in text:
        _check_s3(text)
        return Place(text.rstrip("/"), _s3_options(os.environ) | dict(options or {}))
    odd = sorted(set(_ODD.findall(os.path.abspath(text))))
    if odd:
        raise UsageError(
            f"store {text!r}: a folder with {' '.join(repr(c) for c in odd)} in its path cannot hold the store; "
            "choose another"
        )
    return Place(text, dict(options or {}))


def _s3_options(environ: Mapping[str, str]) -> dict[str, str]:
    """A commit is a put that fails where the version exists; plain HTTP only where the endpoint says so."""
    out = {"aws_conditional_put": "etag"}
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        out["aws_endpoint_url"] = endpoint
        if endpoint.startswith("http://"):
            if urlsplit(endpoint).hostname not in _LOOPBACK and environ.get("AWS_ALLOW_HTTP", "").lower() != "true":
                raise UsageError("AWS_ENDPOINT_URL: plain http is for this machine only; use https://")
            out["aws_allow_http"] = "true"
    return out


def _check_s3(text: str) -> None:
    scheme, rest = text.split("://", 1)
    if "@" in rest.split("/", 1)[0]:
        raise UsageError(
            "store: the address holds a user name or a credential; write s3://bucket/prefix and give credentials by "
            "the AWS environment or profile"
        )
    if "?" in rest or "#" in rest:
        raise UsageError(f"store: found {scheme}://… with a query or a fragment; allowed: s3://bucket/prefix")
    if scheme != "s3":
        raise UsageError(f"store {text}: found {scheme}://; allowed: a folder, or s3://bucket/prefix")
    bucket, _, prefix = rest.partition("/")
    _check_bucket(text, bucket)
    parts = prefix.rstrip("/").split("/") if prefix.rstrip("/") else []
    if any(p in ("", ".", "..") for p in parts) or not re.fullmatch(r"[\w./ !'()*+=,:@&$-]*", prefix):
        raise UsageError(f"store {text}: found the prefix {prefix!r}; allowed: letters, digits and - _ . = between /")


def _check_bucket(text: str, bucket: str) -> None:
    good = _BUCKET.fullmatch(bucket) and ".." not in bucket and not _is_address(bucket)
    if not good:
        raise UsageError(
            f"store {text}: found the bucket {bucket!r}; allowed: 3 to 63 lower-case letters, digits, dots and hyphens"
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check_options(options: Mapping[str, str]) -> None:
    """No credential among ``options``; the message names the option, never its value."""
    for name in options:
        if _SECRET.search(name):
            raise UsageError(f"storage option {name}: credentials come by the AWS environment or profile, not here")


def files(where: Place) -> Any:
    """A pyarrow file system whose root is the folder of ``where``.

    A local folder is read by Arrow itself: through delta-rs's own file system its threads would call into Python,
    which at the end of a process can abort it.
    """
    from pyarrow import fs

    if where.is_local:
        return fs.SubTreeFileSystem(where.uri, fs.LocalFileSystem())
    return fs.PyFileSystem(_handler(where))


def _handler(where: Place) -> Any:
    import pyarrow as pa
    from deltalake.fs import DeltaStorageHandler

    class Handler(DeltaStorageHandler):  # type: ignore[misc]
        """delta-rs's handler, whose output stream takes bytes and no Arrow buffer."""

        def open_output_stream(self, path: str, metadata: Any = None) -> Any:
            return pa.PythonFile(_Bytes(self._handler.open_output_stream(path, metadata)), mode="w")

    return Handler(where.uri, where.storage_options)


class _Bytes:
    """A stream that hands on buffers as bytes."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def write(self, data: Any) -> int:
        return int(self._raw.write(bytes(data)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def local_path(uri: str) -> Path | None:
    """The path of a ``file://`` address or a plain path; None where it is neither."""
    from urllib.request import url2pathname

    parts = urlsplit(uri)
    if len(parts.scheme) > 1 and parts.scheme != "file":
        return None
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else Path(uri)
