"""Billing files in FOCUS form, 1.0 to 1.4: read tolerantly, amounts exactly.

Tolerated, and noted: ``NULL`` literals, time stamps without zone (UTC), dates as spreadsheets write them where the
billing period says which part is the month, stray columns, odd spelling of headers and of listed values, amounts
such as ``$1,000.00``, provider columns of 1.3 and 1.4, a null ServiceName. Not tolerated: an amount that is not a
decimal number or that has more than 12 decimals, a missing mandatory column (``defaults`` of the source may give
it), a row without billing period, currency, account, BilledCost or EffectiveCost, the same file twice.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from capacity.config import BillSource
from capacity.errors import CorruptDataError
from capacity.schemas import COST, COST_MONEY, COST_QUANTITY, COST_REQUIRED, COST_TIME
from capacity.sources import _convert, _focus_columns, _paths, _tabular
from capacity.sources._protocol import Batch, Context, SourceInfo

_LATE_HOUR = re.compile(r"^(\d{4}-\d\d-\d\d)[T ](2[4-9]|[3-9]\d)(:.*)$")
_SLASHED = re.compile(r"^(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})$")


class FocusFilesSource:
    """FOCUS bills from CSV, gzip and Parquet files; one batch a file, all of it or an error."""

    info: ClassVar[SourceInfo] = SourceInfo(
        kind="focus_files",
        reads="billing files in FOCUS form, versions 1.0 to 1.4: CSV, .csv.gz or Parquet, a file, a folder or a glob",
        frames=("cost",),
        permissions=(),
        price="nothing",
        limits="amounts below 1e26 with at most 12 decimals; the folder must hold whole billing periods",
    )

    def __init__(self, config: BillSource, context: Context) -> None:
        self.name = config.name
        self._path = context.resolve(config.path)
        self._defaults = config.defaults

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """One batch a file, files in the order of their names; ``since`` does not matter, a bill is read whole.

        Raises
        ------
        MissingDataError
            No file.
        CorruptDataError
            Names file, line, column and value.
        """
        files = _paths.expand(self._path, self.name)
        _refuse_copies(files)
        for file in files:
            yield _Reader(self.name, file, self._defaults).batch(_paths.label(file, self._path))


def _refuse_copies(files: Sequence[Path]) -> None:
    """The same bytes under two names would count a bill twice."""
    if len(files) < 2:
        return
    seen: dict[str, Path] = {}
    for file in files:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest in seen:
            raise CorruptDataError(f"{file}: the same content as {seen[digest].name}; remove one, or it counts twice")
        seen[digest] = file


@dataclass
class _Reader:
    """One file on its way to the cost table."""

    source: str
    path: Path
    defaults: dict[str, str]
    notes: _convert.Notes = field(default_factory=_convert.Notes)
    month_first: bool | None = None

    def batch(self, label: str) -> Batch:
        columns = self._columns()
        tables = [self._canonical(block, columns, label) for block in _tabular.blocks(self.path, columns.values())]
        table = pa.concat_tables(tables) if tables else COST.schema.empty_table()
        if not table.num_rows:
            self.notes.add("no row")
        return Batch("cost", table, label, self.notes.lines())

    def _columns(self) -> dict[str, str]:
        try:
            columns, unused = _focus_columns.mapped(_tabular.header(self.path))
        except ValueError as error:
            raise CorruptDataError(f"{self.path}:1: {error}") from None
        missing = [c for c in COST_REQUIRED if c not in columns and c not in self.defaults]
        if missing:
            raise CorruptDataError(
                f"{self.path}:1: no column {', '.join(missing)}; is this a FOCUS bill? "
                "'defaults' of the source can give a value for every row"
            )
        odd = sorted(f"{f} as {c}" for c, f in columns.items() if f != c)
        if odd:
            self.notes.add(f"read {', '.join(odd)}")
        if unused:
            self.notes.add(f"columns not used: {', '.join(sorted(unused))}")
        return columns

    def _canonical(self, block: _tabular.Block, columns: dict[str, str], label: str) -> pa.Table:
        rows = block.table.num_rows
        self._look_at_dates(block.table, columns)
        arrays = {"source": pa.repeat(pa.scalar(self.source), rows), "file": pa.repeat(pa.scalar(label), rows)}
        for name in _focus_columns.COLUMNS:
            arrays[name] = self._column(name, columns.get(name), block)
        self._refuse_nulls(arrays, block)
        self._refuse_odd_period(arrays, block)
        return pa.table([arrays[f.name] for f in COST.schema], schema=COST.schema)

    def _column(self, name: str, given: str | None, block: _tabular.Block) -> pa.Array:
        kind = COST.schema.field(name).type
        if given is not None:
            raw = block.table[given]
        elif name in self.defaults:
            raw = pa.chunked_array([pa.repeat(pa.scalar(self.defaults[name]), block.table.num_rows)])
        else:
            return pa.nulls(block.table.num_rows, kind)
        try:
            return self._converted(name, raw)
        except _convert.BadValueError as error:
            raise self._corrupt(name, block.first_row + error.row, error.value, error.allowed) from None

    def _converted(self, name: str, raw: pa.ChunkedArray) -> pa.Array:
        if name in COST_MONEY:
            return _convert.money(raw, name, self.notes, exact=True)
        if name in COST_QUANTITY:
            return _convert.money(raw, name, self.notes, exact=False)
        if name in COST_TIME:
            return self._time(name, raw)
        if name == "Tags":
            return _tags(raw, self.notes)
        array = _convert.text(raw)
        if name in _focus_columns.ALLOWED:
            return self._listed(name, array)
        if name == "ServiceName" and array.null_count:
            self.notes.add(f"ServiceName is null: kept as '{_focus_columns.NOT_GIVEN}' ({{n}} rows)", array.null_count)
            return pc.fill_null(array, _focus_columns.NOT_GIVEN)
        return pc.utf8_upper(array) if name == "BillingCurrency" else array

    def _listed(self, name: str, array: pa.Array) -> pa.Array:
        spellings = _focus_columns.spelling(name)
        changed: set[str] = set()

        def right(value: str) -> str:
            found = spellings.get(_focus_columns.plain(value).replace("-", ""))
            if found is None:
                if name in _focus_columns.STRICT:
                    raise ValueError(value)
                self.notes.add(f"{name}: '{value[:60]}' is no value that FOCUS lists; kept")
                return value
            if found != value:
                changed.add(f"'{value}' as '{found}'")
            return found

        out = _convert.by_unique(array, right, pa.string(), f"one of {', '.join(_focus_columns.ALLOWED[name])}")
        for change in sorted(changed):
            self.notes.add(f"{name}: read {change}")
        return out

    def _time(self, name: str, raw: pa.ChunkedArray) -> pa.Array:
        if self.month_first is not None:
            month_first = self.month_first
            raw = pa.chunked_array(
                [_convert.by_unique(_convert.text(raw), lambda v: _iso(v, month_first), pa.string(), "a date")]
            )
        found = self._times(name, raw)
        if not found.all_zoned:
            self.notes.add("time stamps without zone: taken as UTC")
        return found.as_utc()

    def _times(self, name: str, raw: pa.ChunkedArray) -> _convert.Times:
        try:
            return _convert.times(raw)
        except _convert.BadValueError:
            plain = _convert.text(raw)
            rolled = _convert.by_unique(plain, _rolled, pa.string(), "a time stamp")
            if rolled.equals(plain):
                raise
            found = _convert.times(pa.chunked_array([rolled]))
            self.notes.add(f"{name}: hours from 24 on read as the following day")
            return found

    def _look_at_dates(self, table: pa.Table, columns: dict[str, str]) -> None:
        """Dates like 5/1/25: a billing period begins and ends on a first, which tells the month from the day."""
        if self.month_first is not None or "BillingPeriodStart" not in columns:
            return
        parts = [
            _SLASHED.match(str(v))
            for c in ("BillingPeriodStart", "BillingPeriodEnd")
            for v in table[columns[c]].unique().to_pylist()
            if c in columns and isinstance(v, str)
        ]
        if not parts or None in parts:
            return
        firsts = [{p[i] for p in parts if p} == {"1"} or {p[i] for p in parts if p} == {"01"} for i in (1, 2)]
        if firsts[0] == firsts[1]:
            raise CorruptDataError(
                f"{self.path}: column {columns['BillingPeriodStart']}: dates such as {parts[0] and parts[0][0]} do not "
                "say which part is the month; write them as 2026-01-31"
            )
        self.month_first = firsts[1]
        self.notes.add(f"dates with slashes: read as {'month/day' if self.month_first else 'day/month'}/year")

    def _refuse_nulls(self, arrays: dict[str, pa.Array], block: _tabular.Block) -> None:
        for name in COST_REQUIRED:
            if arrays[name].null_count:
                row = pc.index(pc.is_null(arrays[name]), True).as_py()
                raise self._corrupt(name, block.first_row + row, None, "a value in every row")

    def _refuse_odd_period(self, arrays: dict[str, pa.Array], block: _tabular.Block) -> None:
        odd = pc.less_equal(arrays["BillingPeriodEnd"], arrays["BillingPeriodStart"])
        if pc.any(odd).as_py():
            row = pc.index(odd, True).as_py()
            value = arrays["BillingPeriodEnd"][row].as_py().isoformat()
            raise self._corrupt("BillingPeriodEnd", block.first_row + row, value, "an end after BillingPeriodStart")

    def _corrupt(self, column: str, row: int, value: object, allowed: str) -> CorruptDataError:
        found = "no value" if value is None else f"'{str(value)[:80]}'"
        where = _tabular.place(self.path, row)
        return CorruptDataError(f"{self.path}: {where}: column {column}: found {found}; allowed: {allowed}")


def _iso(value: str, month_first: bool) -> str:
    found = _SLASHED.match(value.strip())
    if not found:
        return value
    first, second, year = (int(g) for g in found.groups())
    month, day = (first, second) if month_first else (second, first)
    return f"{year if year > 99 else 2000 + year:04d}-{month:02d}-{day:02d}"


def _rolled(value: str) -> str:
    """``2023-02-01T30:00:00Z`` as ``2023-02-02T06:00:00Z``: ends of intervals are written so, also by FOCUS itself."""
    found = _LATE_HOUR.match(value.strip())
    if not found:
        return value
    days, hour = divmod(int(found[2]), 24)
    return f"{date.fromisoformat(found[1]) + timedelta(days=days)}T{hour:02d}{found[3]}"


def _tags(raw: pa.ChunkedArray, notes: _convert.Notes) -> pa.Array:
    """Tags as JSON text; a Parquet map or struct is written out, keys sorted, and missing braces are set."""
    if pa.types.is_nested(raw.type):
        return pa.array([None if v is None else _json(v) for v in raw.to_pylist()], pa.string())
    array = _convert.text(raw)

    def braced(value: str) -> str:
        bare = value.strip()
        if bare.startswith('"') and not bare.startswith("{"):
            notes.add("Tags without braces: set")
            return "{" + bare + "}"
        return value

    return _convert.by_unique(array, braced, pa.string(), "JSON")


def _json(value: Any) -> str:
    return json.dumps(dict(value), sort_keys=True, ensure_ascii=False)
