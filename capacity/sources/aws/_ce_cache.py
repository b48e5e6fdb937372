"""Answers that were paid for, on disk: JSON under gzip, one file a question, written whole or not at all.

No secret is in an answer; it does hold costs and account ids, so the folder is for its owner only. Gzip's checksum
tells a damaged file; such a file is dropped and the question asked again.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from capacity.errors import DataError

Json = dict[str, Any]
# Costs gzip 20 to 1; more effort saves little.
_EFFORT = 3


@dataclass(frozen=True)
class Answer:
    """What came on a question, and when.

    Attributes
    ----------
    state
        What the answer holds for, e.g. the request itself; the caller compares it with what it would ask today.
    groups
        How many groups a period of it holds: what the next one will cost is estimated from it.
    body
        The pages as Cost Explorer sent them; empty where only the head was read.
    """

    state: Json
    asked_at: datetime
    groups: int
    body: list[Json]


class Cache:
    """Answers by the name of their question.

    Parameters
    ----------
    folder
        Made when the first answer is kept.
    source
        For messages.
    """

    def __init__(self, folder: Path, source: str) -> None:
        self.folder, self._source = folder, source
        self._notes: list[str] = []

    def notes(self) -> tuple[str, ...]:
        """What was dropped since the last call."""
        notes, self._notes = tuple(self._notes), []
        return notes

    def path(self, name: str) -> Path:
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:40]}.json.gz"

    def prepare(self) -> None:
        """Make the folder, before anything is paid for.

        Raises
        ------
        DataError
            It cannot be written: every run would pay again.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise DataError(
                f"source '{self._source}': cache {self.folder}: {error.strerror}; "
                "name a folder that can be written with 'cache', or every run would pay again"
            ) from None

    def head(self, name: str) -> Answer | None:
        """The answer kept for ``name`` without its body, which may still turn out to be damaged."""
        return self._read(name, whole=False)

    def get(self, name: str) -> Answer | None:
        """The answer kept for ``name``; a damaged one is dropped."""
        return self._read(name, whole=True)

    def put(self, name: str, state: Mapping[str, Any], asked_at: datetime, body: list[Json], groups: int = 0) -> None:
        """Keep an answer in place of the one before; a crash leaves either."""
        head = {"name": name, "asked_at": asked_at.isoformat(), "state": state, "groups": groups}
        lines = (json.dumps(part, separators=(",", ":")).encode() for part in (head, body))
        data = gzip.compress(b"\n".join(lines), _EFFORT, mtime=0)
        handle, temporary = tempfile.mkstemp(dir=self.folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path(name))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _read(self, name: str, *, whole: bool) -> Answer | None:
        path = self.path(name)
        try:
            with gzip.open(path) as file:
                return _answer(name, file.readline(), file.read() if whole else b"[]")
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zlib.error):
            self._notes.append(f"cache entry {path.name} was damaged: dropped, and asked again")
            path.unlink(missing_ok=True)
            return None


def _answer(name: str, head: bytes, body: bytes) -> Answer:
    """Raises one of several errors where it is not what ``put`` wrote."""
    found = json.loads(head)
    answer = Answer(
        dict(found["state"]), datetime.fromisoformat(found["asked_at"]), int(found["groups"]), json.loads(body)
    )
    pages_are_pages = isinstance(answer.body, list) and all(isinstance(page, dict) for page in answer.body)
    if found["name"] != name or answer.asked_at.tzinfo is None or not pages_are_pages:
        raise ValueError(name)
    return answer
