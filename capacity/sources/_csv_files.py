"""CSV, plain or gzip: the header, batches of text, and the line of a row."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from capacity.config import BillLimits
from capacity.sources._expanding import Gunzip, LimitError, refuse_columns, refuse_long

# Text that means "no value" in files seen in the wild; the FOCUS specification writes NULL.
NULLS = ("", "NULL", "null", "Null", "(null)", "\\N")
# Bytes of CSV a block; no row may be longer.
_BLOCK_BYTES = 16 * 2**20
# 2,000 names of 255 characters, and room for as many quotes and commas again.
_HEADER_BYTES = 2**20


class HeaderError(Exception):
    """The header is not UTF-8 CSV."""


def _is_gzip(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def header(path: Path, limits: BillLimits) -> list[str]:
    """The first record that is not empty; only the first MiB is looked at."""
    start = _start(path, limits)
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(start)
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        names = next((r for r in reader if r), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise HeaderError(str(error)) from None
    if len(start) == _HEADER_BYTES and sum(map(len, names)) + len(names) >= len(text) - 1:
        raise LimitError(f"the header does not end within {_HEADER_BYTES:,} bytes", "columns")
    refuse_columns(len(names), limits)
    return names


def _start(path: Path, limits: BillLimits) -> bytes:
    if not _is_gzip(path):
        with path.open("rb") as stream:
            return stream.read(_HEADER_BYTES)
    unzipped = Gunzip(path, limits)
    try:
        return unzipped.read(_HEADER_BYTES)
    finally:
        unzipped.close()


def batches(path: Path, columns: Collection[str], limits: BillLimits, rows: int) -> Iterator[pa.RecordBatch]:
    """All values as text, :data:`NULLS` as null; as many rows a batch as 16 MiB hold."""
    from pyarrow import csv as pacsv

    names = header(path, limits)
    source: Any = pa.PythonFile(Gunzip(path, limits), mode="r") if _is_gzip(path) else path
    reader = pacsv.open_csv(
        source,
        read_options=pacsv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=True),
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=[n for n in names if n in columns],
            null_values=list(NULLS),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    with reader:
        for batch in reader:
            for start in range(0, batch.num_rows, rows):
                part = batch.slice(start, rows)
                refuse_long(part, limits)
                yield part


def line(path: Path, row: int) -> int:
    """The line (from 1) on which data row ``row`` (from 0) starts."""
    with _text(path) as stream:
        records = (start for start, record in _records(stream) if record)
        next(records, None)  # the header
        return next((start for i, start in enumerate(records) if i == row), 0)


def wrong_width(path: Path) -> tuple[int, int, int] | None:
    """Line, its number of values and the header's, of the first record that does not fit."""
    with _text(path) as stream:
        width = 0
        for start, record in _records(stream):
            width = width or len(record)
            if record and len(record) != width:
                return start, len(record), width
    return None


def _records(stream: io.TextIOBase) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line on which it starts (a quoted value may hold line ends)."""
    reader = csv.reader(iter(lambda: stream.readline(_BLOCK_BYTES), ""))
    start = 1
    for record in reader:
        yield start, record
        start = reader.line_num + 1


def _text(path: Path) -> io.TextIOBase:
    if _is_gzip(path):
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")
