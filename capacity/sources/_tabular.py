"""CSV and Parquet files as blocks of Arrow rows, and the place of a row in its file."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from capacity.errors import CorruptDataError

# Text that means "no value" in files seen in the wild; the FOCUS specification writes NULL.
NULLS = ("", "NULL", "null", "Null", "(null)", "\\N")

# Bytes of CSV a block: large enough to be quick, small enough that a bill never stands in memory as text.
_BLOCK_BYTES = 16 * 2**20
_BLOCK_ROWS = 131_072


@dataclass(frozen=True)
class Block:
    """Rows of a file in their order; ``first_row`` counts data rows from 0."""

    table: pa.Table
    first_row: int


def is_parquet(path: Path) -> bool:
    return path.name.lower().endswith(".parquet")


def header(path: Path) -> list[str]:
    """Column names as the file spells them.

    Raises
    ------
    CorruptDataError
        No header, not UTF-8, not Parquet, or a name given twice.
    """
    names = _parquet_header(path) if is_parquet(path) else _csv_header(path)
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise CorruptDataError(f"{path}:1: column '{twice[0]}' stands twice in the header; rename or remove one")
    return names


def blocks(path: Path, columns: Collection[str]) -> Iterator[Block]:
    """The file's rows, only ``columns``; CSV values as text with :data:`NULLS` as null, Parquet as it is typed.

    Raises
    ------
    CorruptDataError
        Names the file and, where it is known, the line.
    """
    try:
        yield from _parquet_blocks(path, columns) if is_parquet(path) else _csv_blocks(path, columns)
    except pa.ArrowInvalid as error:
        raise CorruptDataError(_malformed(path, error)) from None
    except (OSError, EOFError) as error:
        raise CorruptDataError(f"{path}: cannot be read ({error}); is the file complete?") from None


def place(path: Path, row: int) -> str:
    """Where data row ``row`` (from 0) stands: the line of a CSV file, the row of a Parquet file (both from 1)."""
    if is_parquet(path):
        return f"row {row + 1}"
    return f"line {_line(path, row)}"


def _line(path: Path, row: int) -> int:
    with _text(path) as stream:
        reader = csv.reader(stream)
        records = (start for start, record in _records(reader) if record)
        next(records, None)  # the header
        return next((start for i, start in enumerate(records) if i == row), 0)


def _records(reader: csv._reader) -> Iterator[tuple[int, list[str]]]:  # type: ignore[name-defined,unused-ignore]
    """Each record with the line on which it starts (a quoted value may hold line ends)."""
    start = 1
    for record in reader:
        yield start, record
        start = reader.line_num + 1


def _text(path: Path) -> io.TextIOBase:
    if path.name.lower().endswith(".gz"):
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _csv_header(path: Path) -> list[str]:
    try:
        with _text(path) as stream:
            names = next((r for r in csv.reader(stream) if r), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorruptDataError(f"{path}:1: the header is not UTF-8 CSV ({error}); save the file as UTF-8") from None
    except (OSError, EOFError) as error:
        raise CorruptDataError(f"{path}: cannot be read ({error}); is the file complete?") from None
    if not names:
        raise CorruptDataError(f"{path}:1: empty file; a header line and rows are needed")
    return names


def _parquet_header(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptDataError(f"{path}: not a Parquet file ({error}); is it complete?") from None


def _csv_blocks(path: Path, columns: Collection[str]) -> Iterator[Block]:
    from pyarrow import csv as pacsv

    names = _csv_header(path)
    reader = pacsv.open_csv(
        path,
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
    row = 0
    with reader:
        for batch in reader:
            yield Block(pa.Table.from_batches([batch]), row)
            row += batch.num_rows


def _parquet_blocks(path: Path, columns: Collection[str]) -> Iterator[Block]:
    import pyarrow.parquet as pq

    row = 0
    with pq.ParquetFile(path) as file:
        wanted = [n for n in file.schema_arrow.names if n in columns]
        for batch in file.iter_batches(batch_size=_BLOCK_ROWS, columns=wanted):
            yield Block(pa.Table.from_batches([batch]), row)
            row += batch.num_rows


def _malformed(path: Path, error: pa.ArrowInvalid) -> str:
    text = str(error).splitlines()[0]
    wrong = _wrong_width(path) if not is_parquet(path) and "columns" in text else None
    if wrong:
        return f"{path}:{wrong[0]}: {wrong[1]} values, but the header names {wrong[2]}; is a quote or a comma missing?"
    return f"{path}: malformed: {text}"


def _wrong_width(path: Path) -> tuple[int, int, int] | None:
    """Line, its number of values and the header's, of the first record that does not fit."""
    with _text(path) as stream:
        width = 0
        for line, record in _records(csv.reader(stream)):
            width = width or len(record)
            if record and len(record) != width:
                return line, len(record), width
    return None
