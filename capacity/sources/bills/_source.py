"""What all sources of bills share: files found, streamed one by one, and what stands in the way told at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from functools import cached_property
from typing import ClassVar, Protocol

import pyarrow as pa

from capacity.config import BillLimits, BillSource, CurSource
from capacity.errors import CorruptDataError, DataError
from capacity.schemas import COST
from capacity.sources import _parquet_files
from capacity.sources._convert import Notes
from capacity.sources._protocol import Batch, Context, SourceInfo
from capacity.sources._tabular import BLOCK_ROWS, Block, TabularFile
from capacity.sources.aws import Access
from capacity.sources.bills import _exports
from capacity.sources.bills._bucket import Bucket
from capacity.sources.bills._folder import Folder
from capacity.sources.bills._names import plain
from capacity.sources.bills._shelf import Shelf, Stored


class Translator(Protocol):
    """One file's rows on their way to the cost table.

    Attributes
    ----------
    columns
        Those of the file's columns that it needs.
    """

    @property
    def columns(self) -> Collection[str]: ...

    def table(self, block: Block) -> pa.Table:
        """Rows in the canonical schema; raises :class:`CorruptDataError` that names the place."""
        ...


# (source name, file, its label, notes) -> translator; looks at the header only.
MakeTranslator = Callable[[TabularFile, str, Notes], Translator]


class StoredBill:
    """A :class:`capacity.sources.BillFile` on a shelf."""

    def __init__(
        self,
        shelf: Shelf,
        stored: Stored,
        make: MakeTranslator,
        limits: BillLimits,
        complete: bool,
        told: tuple[str, ...],
    ) -> None:
        self.label = stored.key
        self.complete = complete
        self._shelf, self._stored, self._make, self._limits = shelf, stored, make, limits
        self._told, self._notes = told, Notes()

    @cached_property
    def digest(self) -> str:
        return self._shelf.digest(self._stored)

    @property
    def address(self) -> str:
        return self._shelf.address(self._stored)

    def blocks(self) -> Iterator[pa.Table]:
        """Rows in the canonical cost schema, at most 131,072 at a time.

        Raises
        ------
        CorruptDataError
            Names file, line, column and value.
        DataError
            The file changed while it was read.
        """
        self._notes = notes = Notes()
        rows = 0
        with self._shelf.lend(self._stored) as path:
            file = TabularFile(path, self.address, self._limits)
            translator = self._make(file, self.label, notes)
            for block in file.blocks(translator.columns):
                table = translator.table(block)
                rows += table.num_rows
                for start in range(0, table.num_rows, BLOCK_ROWS):
                    yield table.slice(start, BLOCK_ROWS)
        if not rows:
            notes.add("no row")

    def raw(self, columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The file's columns as they are: text of CSV files with nulls for NULL, Parquet as it is typed.

        Parameters
        ----------
        columns
            Only those whose names, without case and signs, are among these; all where None.
        """
        with self._shelf.lend(self._stored) as path:
            file = TabularFile(path, self.address, self._limits)
            header = file.header()
            wanted = header if columns is None else [n for n in header if plain(n) in columns]
            for block in file.blocks(wanted) if wanted else ():
                yield from _parquet_files.plain(block.table).to_batches()

    def notes(self) -> tuple[str, ...]:
        return (*self._told, *self._notes.lines())


class Bills(ABC):
    """A source of bills: subclasses say how a file's rows become cost rows."""

    info: ClassVar[SourceInfo]
    corrections: str = "replace"
    check_focus: bool = False

    def __init__(self, config: BillSource | CurSource, context: Context) -> None:
        self.name = config.name
        self._limits, self._layout = config.limits, config.layout
        self._shelf = _shelf(config, context)

    @abstractmethod
    def translator(self, file: TabularFile, label: str, notes: Notes) -> Translator:
        """What makes cost rows of the file's blocks."""

    def bills(self, now: datetime) -> Iterator[StoredBill]:
        """The files, period by period, then by name; no body is read before a file's ``blocks`` or ``raw``.

        Raises
        ------
        MissingDataError
            No file.
        CorruptDataError
            The same content twice, which would count twice.
        DataError
            After the sound files: what each delivery lacks that is not complete.
        """
        found = _exports.find(self._shelf, self._layout, self.name)
        self._refuse_copies([f for d in found.deliveries if not d.complete for f in d.files])
        for delivery in found.deliveries:
            for i, stored in enumerate(delivery.files):
                told = () if i else delivery.notes
                yield StoredBill(self._shelf, stored, self.translator, self._limits, delivery.complete, told)
        if found.failures:
            raise DataError("\n".join(f"source '{self.name}': {line}" for line in found.failures))

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """One batch a file, whole in memory; the store reads :meth:`bills` instead."""
        for bill in self.bills(now):
            tables = list(bill.blocks())
            table = pa.concat_tables(tables) if tables else COST.schema.empty_table()
            yield Batch("cost", table, bill.label, bill.notes())

    def _refuse_copies(self, files: list[Stored]) -> None:
        """The same bytes under two names would count a bill twice; only files of equal size can be the same.

        Of an export the manifest says which files are its parts, and parts without rows may be the same.
        """
        sizes = Counter(f.size for f in files)
        seen: dict[str, Stored] = {}
        for file in files:
            if sizes[file.size] < 2:
                continue
            digest = self._shelf.digest(file)
            if digest in seen:
                raise CorruptDataError(
                    f"{self._shelf.address(file)}: the same content as {seen[digest].key}; "
                    "remove one, or it counts twice"
                )
            seen[digest] = file


def _shelf(config: BillSource | CurSource, context: Context) -> Shelf:
    limits = config.limits
    if config.path.startswith("s3://"):
        access = Access(context.access(config), config.name)
        return Bucket(config.path, access, limits.files, limits.file_bytes)
    return Folder(context.resolve(config.path), config.name, limits.files)
