"""Files of load tests: which ones, their lines within bounds, and how a fault in one is told."""

from __future__ import annotations

import glob
import gzip
import io
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from capacity.errors import CorruptDataError, MissingDataError

# A line of NDJSON or CSV is some hundred bytes; one beyond this is no such file.
_LINE_LETTERS = 2**20
# A load test of 5 million requests is about 2 GB of NDJSON; what expands beyond this is no load test.
_BYTES = 64 * 2**30
# A document that is read whole (a summary has some 20 kB).
_DOCUMENT_BYTES = 64 * 2**20


def expand(path: Path) -> list[Path]:
    """The files that ``path`` means, sorted.

    Raises
    ------
    MissingDataError
        There is none.
    """
    found = [path] if path.is_file() else sorted(Path(p) for p in glob.glob(str(path), recursive=True))
    files = [f for f in found if f.is_file()]
    if not files:
        raise MissingDataError(f"load test: {path} names no file; mend 'path' under 'load_tests' in the config")
    return files


def refuse(path: Path, line: int, what: str, mend: str) -> NoReturn:
    """Say what is wrong with a file, where, and how to mend it."""
    where = f"{path}, line {line}" if line else str(path)
    raise CorruptDataError(f"load test: {where}: {what}; {mend}") from None


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Each line of a text file, plain or gzip, with its number from 1: never more than one in memory.

    Raises
    ------
    CorruptDataError
        Not UTF-8, not gzip although it is called so, or a line or the whole too long.
    """
    read = 0
    try:
        with _opened(path) as stream:
            number = 0
            while line := stream.readline(_LINE_LETTERS):
                number += 1
                read += len(line)
                if len(line) >= _LINE_LETTERS:
                    refuse(path, number, f"longer than {_LINE_LETTERS:,} letters", "give the file that the tool wrote")
                if read > _BYTES:
                    refuse(path, number, f"expands to more than {_BYTES:,} bytes", "give a shorter run")
                yield number, line
    except UnicodeDecodeError as error:
        refuse(path, 0, f"not UTF-8 ({error.reason} at byte {error.start})", "give the file as the tool wrote it")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        refuse(path, 0, f"not a whole gzip file ({error})", "copy it again")


def document(path: Path) -> str:
    """The whole text of a small file."""
    parts, size = [], 0
    for number, line in lines(path):
        size += len(line)
        if size > _DOCUMENT_BYTES:
            refuse(path, number, f"more than {_DOCUMENT_BYTES:,} bytes in one document", "is it the right file?")
        parts.append(line)
    return "".join(parts)


def number(path: Path, line: int, name: str, text: object, least: float = 0.0) -> float:
    """``text`` as a finite number of at least ``least``."""
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(text, bool) or not math.isfinite(value) or value < least:
        refuse(path, line, f"{name} is {str(text)[:60]!r}", f"a number of at least {least:g} is allowed")
    return value


def _opened(path: Path) -> io.TextIOBase:
    with path.open("rb") as start:
        zipped = start.read(2) == b"\x1f\x8b"  # k6 zips by the name .gz, others do not name it
    if zipped or path.name.lower().endswith(".gz"):
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")
