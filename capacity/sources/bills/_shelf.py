"""Where billing files lie: a folder of this machine or a prefix on S3; both list, and lend one file at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from capacity.sources._paths import SUFFIXES


@dataclass(frozen=True)
class Stored:
    """A file or an object, as it was when it was listed.

    Attributes
    ----------
    key
        Its path below the shelf, with slashes.
    size
        Bytes.
    modified
        When it was written last, with zone; None where that says nothing of its delivery (a copied folder).
    version
        Changes with its content: the ETag, or the modification time of a local file.
    """

    key: str
    size: int
    modified: datetime | None
    version: str

    @property
    def readable(self) -> bool:
        return self.key.lower().endswith(SUFFIXES)

    @property
    def hidden(self) -> bool:
        """A marker that other tools leave."""
        return any(part.startswith((".", "_")) for part in self.key.split("/"))


class Shelf(Protocol):
    """A place with files.

    Attributes
    ----------
    name
        What messages call it: the path, or ``s3://bucket/prefix``.
    bucket
        Of S3; None on this machine, where manifests keep the addresses of the bucket they were copied from.
    base
        What comes before a file's key in its bucket; empty, or it ends with a slash.
    single
        One file was named, not a place with files below.
    """

    @property
    def name(self) -> str: ...
    @property
    def bucket(self) -> str | None: ...
    @property
    def base(self) -> str: ...
    @property
    def single(self) -> bool: ...

    def listed(self) -> Sequence[Stored]:
        """Everything below, by key.

        Raises
        ------
        MissingDataError
            Nothing there.
        DataError
            Too many files, a link that leads out, or it cannot be listed.
        """
        ...

    def address(self, stored: Stored) -> str:
        """What messages call a file."""
        ...

    def small(self, stored: Stored, most_bytes: int) -> bytes:
        """The content of a manifest.

        Raises
        ------
        CorruptDataError
            Larger than ``most_bytes``, or it changed since it was listed.
        """
        ...

    def lend(self, stored: Stored) -> AbstractContextManager[Path]:
        """The file on this machine's disk while the context is open, as it was when it was listed.

        Raises
        ------
        DataError
            It changed or went since.
        """
        ...

    def digest(self, stored: Stored) -> str:
        """Tells contents apart without reading an object's body over the network."""
        ...
