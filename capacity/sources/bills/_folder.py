"""Billing files in a folder of this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from capacity.errors import CorruptDataError, DataError, MissingDataError
from capacity.sources import _paths
from capacity.sources.bills._shelf import Stored


class Folder:
    """A file, a glob, or a folder and all below it.

    A link inside a folder that leads out of it is refused: whoever may put a file there could otherwise have any file
    of this machine read as a bill.
    """

    bucket = None
    base = ""

    def __init__(self, path: Path, source: str, most_files: int) -> None:
        self.name = str(path)
        self.single = path.is_file()
        self._path, self._source, self._most = path, source, most_files
        self._root = _paths.fixed(path)
        self._known: dict[Stored, str] = {}

    def listed(self) -> tuple[Stored, ...]:
        found = self._found()
        if len(found) > self._most:
            raise DataError(
                f"source '{self._source}': {self.name} holds more than {self._most:,} files; name a smaller folder, or "
                "raise 'files' in 'limits' of the source"
            )
        out = tuple(self._stored(p) for p in found)
        if not any(s.readable and not s.hidden for s in out):
            raise MissingDataError(_paths.nothing(self._path, self._source))
        return out

    def _found(self) -> list[Path]:
        if self._path.is_dir():
            found = [p for p in sorted(self._path.rglob("*")) if p.is_file()]
        else:
            found = _paths.expand(self._path, self._source)
        if not self.single:
            for path in found:
                self._refuse_link(path)
        return found

    def _refuse_link(self, path: Path) -> None:
        if not path.resolve().is_relative_to(self._root.resolve()):
            raise CorruptDataError(
                f"source '{self._source}': {path} is a link that leads out of {self._root}; put the file itself there, "
                "or name it in 'path'"
            )

    def _stored(self, path: Path) -> Stored:
        state = path.stat()
        return Stored(_paths.label(path, self._path), state.st_size, None, f"{state.st_mtime_ns}-{state.st_ino}")

    def address(self, stored: Stored) -> str:
        return str(self._root / stored.key)

    def small(self, stored: Stored, most_bytes: int) -> bytes:
        if stored.size > most_bytes:
            raise CorruptDataError(
                f"{self.address(stored)}: {stored.size:,} bytes; a manifest has {most_bytes:,} at most"
            )
        with self.lend(stored) as path:
            return path.read_bytes()

    @contextmanager
    def lend(self, stored: Stored) -> Iterator[Path]:
        path = self._root / stored.key
        self._refuse_changed(path, stored)
        yield path
        self._refuse_changed(path, stored)

    def _refuse_changed(self, path: Path, stored: Stored) -> None:
        try:
            now = self._stored(path)
        except OSError:
            raise DataError(f"{path}: it was there and is gone; run the ingest again") from None
        if (now.size, now.version) != (stored.size, stored.version):
            raise DataError(f"{path}: it changed while it was read; run the ingest again once it is written")

    def digest(self, stored: Stored) -> str:
        """SHA-256 of the bytes, read once."""
        if stored not in self._known:
            with self.lend(stored) as path, path.open("rb") as stream:
                self._known[stored] = hashlib.file_digest(stream, "sha256").hexdigest()
        return self._known[stored]
