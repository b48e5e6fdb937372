"""CSV and Parquet files as blocks of Arrow rows within limits, and the place of a row in its file.

A file is untrusted: its size, what it expands to, its columns, the length of a cell and the size of a block are bounded
before they are in memory. Nothing is unpickled or executed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from capacity.config import BillLimits
from capacity.errors import CorruptDataError
from capacity.sources import _csv_files, _parquet_files
from capacity.sources._expanding import LimitError

# Rows a block: large enough to be quick, small enough that a bill never stands in memory.
BLOCK_ROWS = 131_072


@dataclass(frozen=True)
class Block:
    """Rows of a file in their order; ``first_row`` counts data rows from 0."""

    table: pa.Table
    first_row: int


@dataclass(frozen=True)
class TabularFile:
    """A CSV, gzip or Parquet file on disk.

    Attributes
    ----------
    name
        What messages call it; where it was downloaded, its address.
    limits
        Beyond these it is refused.
    """

    path: Path
    name: str = ""
    limits: BillLimits = field(default_factory=BillLimits)

    @property
    def called(self) -> str:
        return self.name or str(self.path)

    @property
    def is_parquet(self) -> bool:
        return is_parquet(self.path)

    def header(self) -> list[str]:
        """Column names as the file spells them.

        Raises
        ------
        CorruptDataError
            No header, not UTF-8, not Parquet, a name given twice, or beyond a limit.
        """
        with _Errors(self):
            self._refuse_large()
            read = _parquet_files.header if self.is_parquet else _csv_files.header
            names = read(self.path, self.limits)
        if not names:
            raise CorruptDataError(f"{self.called}:1: empty file; a header line and rows are needed")
        twice = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise CorruptDataError(f"{self.called}:1: column '{twice[0]}' stands twice in the header; rename one")
        return names

    def blocks(self, columns: Collection[str]) -> Iterator[Block]:
        """The file's rows, only ``columns``: CSV values as text with :data:`NULLS` as null, Parquet as it is typed.

        Text of Parquet files comes dictionary-encoded.

        Raises
        ------
        CorruptDataError
            Names the file and, where it is known, the line.
        """
        row = 0
        with _Errors(self):
            self._refuse_large()
            read = _parquet_files.batches if self.is_parquet else _csv_files.batches
            for batch in read(self.path, columns, self.limits, BLOCK_ROWS):
                for start in range(0, batch.num_rows, BLOCK_ROWS):
                    part = batch.slice(start, BLOCK_ROWS)
                    yield Block(pa.Table.from_batches([part]), row)
                    row += part.num_rows

    def place(self, row: int) -> str:
        """Where data row ``row`` (from 0) stands: the line of a CSV file, the row of a Parquet file (both from 1)."""
        return f"row {row + 1}" if self.is_parquet else f"line {_csv_files.line(self.path, row)}"

    def _refuse_large(self) -> None:
        size, most = self.path.stat().st_size, self.limits.file_bytes
        if size > most:
            raise LimitError(f"the file has {size:,} bytes; at most {most:,} are read", "file_bytes")


class _Errors:
    """Arrow's and the system's errors as a :class:`CorruptDataError` that names the file."""

    def __init__(self, file: TabularFile) -> None:
        self.file = file

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        name = self.file.called
        if isinstance(error, LimitError):
            raise CorruptDataError(
                f"{name}: {error.what}; if the file is to be trusted raise '{error.limit}' in 'limits' of the source"
            ) from None
        if isinstance(error, _csv_files.HeaderError):
            raise CorruptDataError(f"{name}:1: the header is not UTF-8 CSV ({error}); save the file as UTF-8") from None
        if isinstance(error, pa.ArrowException | UnicodeDecodeError) and not isinstance(error, pa.ArrowCancelled):
            raise CorruptDataError(self._malformed(str(error).splitlines()[0][:300])) from None
        if isinstance(error, OSError | EOFError):
            raise CorruptDataError(f"{name}: cannot be read ({str(error)[:300]}); is the file complete?") from None

    def _malformed(self, text: str) -> str:
        name = self.file.called
        if self.file.is_parquet:
            return f"{name}: not a Parquet file that can be read ({text}); is it complete?"
        wrong = _csv_files.wrong_width(self.file.path) if "columns" in text else None
        if wrong:
            return (
                f"{name}:{wrong[0]}: {wrong[1]} values, but the header names {wrong[2]}; is a quote or comma missing?"
            )
        if "straddl" in text:
            return f"{name}: a row is longer than 16 MiB; is a quote missing?"
        return f"{name}: malformed: {text}"


def is_parquet(path: Path) -> bool:
    return path.name.lower().endswith(".parquet")


def header(path: Path) -> list[str]:
    """Column names of the file at ``path``; see :meth:`TabularFile.header`."""
    return TabularFile(path).header()


def blocks(path: Path, columns: Collection[str]) -> Iterator[Block]:
    """Rows of the file at ``path``, text as plain strings; see :meth:`TabularFile.blocks`."""
    for block in TabularFile(path).blocks(columns):
        yield Block(_parquet_files.plain(block.table), block.first_row)


def place(path: Path, row: int) -> str:
    """Where data row ``row`` of the file at ``path`` stands; see :meth:`TabularFile.place`."""
    return TabularFile(path).place(row)
