"""Billing files on S3: listed once, downloaded one at a time, checked, and deleted again."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from capacity.errors import CorruptDataError, DataError, MissingDataError
from capacity.sources._paths import SUFFIXES
from capacity.sources.aws import Access, errors_of
from capacity.sources.bills._shelf import Stored

LIST, GET = "s3:ListBucket", "s3:GetObject"
# A cut connection or a flipped bit: the same object is fetched again before it is given up.
_TRIES = 3
_PIECE_BYTES = 8 * 2**20
# What must stay free on the disk of temporary files beside the one that is fetched.
_SPARE_BYTES = 256 * 2**20


class _TornError(Exception):
    """A download that is not the object."""


class Bucket:
    """All objects below ``s3://bucket/prefix``, or one object.

    Parameters
    ----------
    most_files, most_bytes
        Objects below the prefix, and bytes of one of them, beyond which nothing is read.
    """

    def __init__(self, url: str, access: Access, most_files: int, most_bytes: int) -> None:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        self.bucket: str = bucket
        self.single = key.lower().endswith(SUFFIXES)
        folder = key.rpartition("/")[0] if self.single else key.rstrip("/")
        self.base = f"{folder}/" if folder else ""
        self.name = f"s3://{self.bucket}/{self.base.rstrip('/')}" if not self.single else url
        self._key, self._access, self._most_files, self._most_bytes = key, access, most_files, most_bytes
        self._spool: Path | None = None
        self._lent: dict[Stored, int] = {}

    @property
    def _client(self) -> Any:
        return self._access.client("s3")

    def _errors(self, action: str, where: str) -> Any:
        return errors_of(action, self._access.source, where)

    # --- listing ---------------------------------------------------------------------------------------------

    def listed(self) -> tuple[Stored, ...]:
        prefix = self._key if self.single else self.base
        out: list[Stored] = []
        with self._errors(LIST, self.name):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                out += [self._stored(o) for o in page.get("Contents", ()) if self._wanted(str(o["Key"]))]
                if len(out) > self._most_files:
                    raise DataError(
                        f"source '{self._access.source}': {self.name} holds more than {self._most_files:,} objects; "
                        "name a longer prefix, or raise 'files' in 'limits' of the source"
                    )
        if not any(s.readable and not s.hidden for s in out):
            raise MissingDataError(
                f"source '{self._access.source}': {self.name} holds no object that can be read "
                f"({', '.join(SUFFIXES)}); mend 'path' in the config"
            )
        return tuple(sorted(out, key=lambda s: s.key))

    def _wanted(self, key: str) -> bool:
        return key == self._key if self.single else not key.endswith("/")

    def _stored(self, entry: dict[str, Any]) -> Stored:
        key = str(entry["Key"]).removeprefix(self.base)
        return Stored(key, int(entry["Size"]), entry["LastModified"], str(entry["ETag"]).strip('"'))

    def address(self, stored: Stored) -> str:
        return f"s3://{self.bucket}/{self.base}{stored.key}"

    def digest(self, stored: Stored) -> str:
        """The ETag, which S3 changes with the content, and the size."""
        return f"s3-etag:{stored.version}:{stored.size}"

    # --- reading ---------------------------------------------------------------------------------------------

    def small(self, stored: Stored, most_bytes: int) -> bytes:
        if stored.size > most_bytes:
            raise CorruptDataError(
                f"{self.address(stored)}: {stored.size:,} bytes; a manifest has {most_bytes:,} at most"
            )
        with self.lend(stored) as path:
            return path.read_bytes()

    @contextmanager
    def lend(self, stored: Stored) -> Iterator[Path]:
        path = self._path(stored)
        self._lent[stored] = self._lent.get(stored, 0) + 1
        try:
            if not path.exists():
                self._make_room(stored)
                self._fetch(stored, path)
            yield path
        finally:
            self._lent[stored] -= 1

    def _path(self, stored: Stored) -> Path:
        """Its own name in the spool folder, which only this user can enter and which goes with this object."""
        if self._spool is None:
            self._spool = Path(tempfile.mkdtemp(prefix="capacity-"))
            weakref.finalize(self, shutil.rmtree, self._spool, ignore_errors=True)
        name = hashlib.sha256(f"{stored.key}\n{stored.version}".encode()).hexdigest()[:32]
        suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if stored.key.lower().endswith(s)), "")
        return self._spool / f"{name}{suffix}"

    def _make_room(self, wanted: Stored) -> None:
        """Delete what nobody reads any more, so that one file at a time takes up room."""
        for stored in [s for s, readers in self._lent.items() if not readers]:
            self._path(stored).unlink(missing_ok=True)
            del self._lent[stored]
        if wanted.size > self._most_bytes:
            raise CorruptDataError(
                f"{self.address(wanted)}: the object has {wanted.size:,} bytes; at most {self._most_bytes:,} are read; "
                "if it is to be trusted raise 'file_bytes' in 'limits' of the source"
            )
        free = shutil.disk_usage(self._path(wanted).parent).free
        if wanted.size + _SPARE_BYTES > free:
            raise DataError(
                f"{self.address(wanted)}: {wanted.size:,} bytes, but only {free:,} are free for temporary files; set "
                "TMPDIR to a larger disk"
            )

    def _fetch(self, stored: Stored, path: Path) -> None:
        problem = ""
        for _ in range(_TRIES):
            try:
                return self._download(stored, path)
            except _TornError as error:
                path.unlink(missing_ok=True)
                problem = str(error)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        raise DataError(f"{self.address(stored)}: {problem}, {_TRIES} times; run the ingest again")

    def _download(self, stored: Stored, path: Path) -> None:
        where = self.address(stored)
        answer = self._open(stored, where)
        digest, size = hashlib.md5(usedforsecurity=False), 0
        with closing(answer["Body"]) as body, path.open("wb") as out:
            for piece in self._pieces(body, where):
                size += len(piece)
                if size > stored.size:
                    break  # never more on disk than was announced
                digest.update(piece)
                out.write(piece)
        if size != stored.size:
            raise _TornError(f"{size:,} bytes came of {stored.size:,}")
        if _etag_is_md5(stored.version, answer) and digest.hexdigest() != stored.version:
            raise _TornError("what came is not what its ETag says")

    def _open(self, stored: Stored, where: str) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        with self._errors(GET, where):
            try:
                answer: dict[str, Any] = self._client.get_object(
                    Bucket=self.bucket, Key=self.base + stored.key, IfMatch=f'"{stored.version}"'
                )
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
                if status in (404, 412):
                    raise DataError(
                        f"{where}: it changed or went since the bucket was listed; run the ingest again"
                    ) from None
                raise
        if int(answer["ContentLength"]) != stored.size or str(answer["ETag"]).strip('"') != stored.version:
            answer["Body"].close()
            raise DataError(f"{where}: it changed since the bucket was listed; run the ingest again")
        return answer

    def _pieces(self, body: Any, where: str) -> Iterator[bytes]:
        from botocore import exceptions

        torn = (
            exceptions.HTTPClientError,
            exceptions.IncompleteReadError,
            exceptions.ResponseStreamingError,
            exceptions.FlexibleChecksumError,
        )
        with self._errors(GET, where):
            try:
                yield from body.iter_chunks(_PIECE_BYTES)
            except torn as error:
                raise _TornError(f"it did not come whole ({type(error).__name__})") from None


def _etag_is_md5(etag: str, answer: dict[str, Any]) -> bool:
    """Only of an object that came in one part and is not encrypted with a key of its owner's."""
    own_key = answer.get("SSECustomerAlgorithm") or answer.get("ServerSideEncryption", "AES256") != "AES256"
    return len(etag) == 32 and "-" not in etag and not own_key
