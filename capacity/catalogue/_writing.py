"""Writing a catalogue: whole or not at all, and readable at every moment of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import pandas as pd

from capacity.catalogue import _format
from capacity.catalogue._files import BEFORE, Catalogue, load, read
from capacity.catalogue._format import CSV, SPECIFICATIONS, YAML, About
from capacity.errors import CorruptDataError, MissingDataError

_HEAD = """\
# Where the figures of catalogue.csv come from. Rates: {region}, Linux, shared tenancy, USD an hour, effective over the
# term. An absent rate is absent, never guessed. Written by `capacity catalog refresh`.
"""


def write(folder: Path, frame: pd.DataFrame, about: About) -> Catalogue:
    """Put a catalogue into ``folder`` and return it as :func:`load` reads it; other files there are left alone.

    The description comes last, by rename, and names the SHA-256 of its csv; the csv before it is kept until then. A
    reader sees the one catalogue or the other, wherever a writer is stopped.

    Raises
    ------
    CorruptDataError
        ``frame`` and ``about`` are no catalogue; nothing is written.
    """
    text = frame.to_csv(index=False, lineterminator="\n").encode()
    description = _yaml(about, hashlib.sha256(text).hexdigest()).encode()
    parsed, _ = _format.parse_about(description, YAML)
    _format.parse_frame(text, parsed, CSV)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(MissingDataError, CorruptDataError):  # nothing to keep
        _replace(folder / BEFORE, read(folder)[0])
    _replace(folder / CSV, text)
    _replace(folder / YAML, description)
    (folder / BEFORE).unlink(missing_ok=True)
    return load(folder)


def _replace(target: Path, text: bytes) -> None:
    partial = target.with_name(f"{target.name}.partial")
    with partial.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)


def _yaml(about: About, digest: str) -> str:
    lines = [
        _HEAD.format(region=about.region),
        f"region: {about.region}\n",
        f"sha256: {_quoted(digest)}\n",
        "columns:\n",
    ]
    names = [SPECIFICATIONS, *(n for n in about.columns if n != SPECIFICATIONS)]
    for name in names:
        column = about.columns[name]
        lines += [f"  {name}:\n", f"    source: {_quoted(column.source)}\n"]
        lines += [f"    date: {_quoted(column.date.isoformat())}\n"] if column.date else []
    return "".join(lines)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
