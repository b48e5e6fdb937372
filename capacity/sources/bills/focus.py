"""Billing files in FOCUS form, 1.0 to 1.4: read tolerantly, amounts exactly.

Tolerated, and noted: ``NULL`` literals, time stamps without zone (UTC), dates as spreadsheets write them where the
billing period says which part is the month, stray columns, odd spelling of headers and of listed values, amounts
such as ``$1,000.00``, provider columns of 1.3 and 1.4, a null ServiceName. Not tolerated: an amount that is not a
decimal number or that has more than 12 decimals, a missing mandatory column (``defaults`` of the source may give
it), a row without billing period, currency, account, BilledCost or EffectiveCost, the same file twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from capacity.config import BillSource
from capacity.errors import CorruptDataError
from capacity.schemas import COST, COST_MONEY, COST_QUANTITY, COST_REQUIRED, COST_TIME
from capacity.sources import _convert
from capacity.sources._amounts import money
from capacity.sources._protocol import Context, SourceInfo
from capacity.sources._tabular import Block, TabularFile
from capacity.sources.bills import _focus_columns, _rows, _tags
from capacity.sources.bills._source import Bills, Translator

_LATE_HOUR = re.compile(r"^(\d{4}-\d\d-\d\d)[T ](2[4-9]|[3-9]\d)(:.*)$")
_SLASHED = re.compile(r"^(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})$")


class FocusFilesSource(Bills):
    """FOCUS bills from CSV, gzip and Parquet files, in a folder or on S3."""

    info: ClassVar[SourceInfo] = SourceInfo(
        kind="focus_files",
        reads=(
            "billing files in FOCUS form, versions 1.0 to 1.4: CSV, .csv.gz or Parquet; a file, a folder, a glob or "
            "s3://bucket/prefix; AWS Data Exports and Azure exports by their manifests, only complete ones"
        ),
        frames=("cost",),
        permissions=("s3:ListBucket", "s3:GetObject"),
        price="from a folder nothing; from S3 $.0050 a 1,000 listings, $.0004 a 1,000 objects, and traffic out of AWS",
        limits="amounts below 1e26 with at most 12 decimals; sizes by 'limits' of the source",
        calls=("s3:ListObjectsV2, one a 1,000 objects", "s3:GetObject, one a new file"),
    )

    def __init__(self, config: BillSource, context: Context) -> None:
        super().__init__(config, context)
        self.corrections, self.check_focus = config.corrections, config.check_focus
        # What other than the files decides what their rows say.
        self.reading = json.dumps([config.defaults, config.excess_decimals], sort_keys=True)
        self._defaults, self._exact = config.defaults, config.excess_decimals == "refuse"

    def translator(self, file: TabularFile, label: str, notes: _convert.Notes) -> Translator:
        return FocusRows(self.name, file, label, self._defaults, notes, self._exact)


@dataclass
class FocusRows:
    """One file on its way to the cost table."""

    source: str
    file: TabularFile
    label: str
    defaults: dict[str, str]
    notes: _convert.Notes
    exact: bool
    month_first: bool | None = None
    given: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.given = self._columns()

    @property
    def columns(self) -> Collection[str]:
        return self.given.values()

    def table(self, block: Block) -> pa.Table:
        rows = block.table.num_rows
        self._look_at_dates(block.table)
        arrays = {"source": pa.repeat(pa.scalar(self.source), rows), "file": pa.repeat(pa.scalar(self.label), rows)}
        for name in _focus_columns.COLUMNS:
            arrays[name] = self._column(name, block)
        _rows.refuse_nulls(arrays, self.file, block.first_row)
        _rows.refuse_odd_period(arrays, self.file, block.first_row)
        return pa.table([arrays[f.name] for f in COST.schema], schema=COST.schema)

    def _columns(self) -> dict[str, str]:
        try:
            columns, unused = _focus_columns.mapped(self.file.header())
        except ValueError as error:
            raise CorruptDataError(f"{self.file.called}:1: {error}") from None
        missing = [c for c in COST_REQUIRED if c not in columns and c not in self.defaults]
        if missing:
            raise CorruptDataError(
                f"{self.file.called}:1: no column {', '.join(missing)}; is this a FOCUS bill? "
                "'defaults' of the source can give a value for every row"
            )
        odd = sorted(f"{f} as {c}" for c, f in columns.items() if f != c)
        if odd:
            self.notes.add(f"read {', '.join(odd)}")
        if unused:
            self.notes.add(f"columns not used: {', '.join(sorted(unused))}")
        return columns

    def _column(self, name: str, block: Block) -> pa.Array:
        kind, given = COST.schema.field(name).type, self.given.get(name)
        if given is not None:
            raw = block.table[given]
        elif name in self.defaults:
            raw = pa.chunked_array([pa.repeat(pa.scalar(self.defaults[name]), block.table.num_rows)])
        else:
            return pa.nulls(block.table.num_rows, kind)
        try:
            return self._converted(name, raw)
        except _convert.BadValueError as error:
            raise _rows.corrupt(self.file, name, block.first_row + error.row, error.value, error.allowed) from None

    def _converted(self, name: str, raw: pa.ChunkedArray) -> pa.Array:
        if name in COST_MONEY:
            return money(raw, name, self.notes, exact=self.exact)
        if name in COST_QUANTITY:
            return money(raw, name, self.notes, exact=False)
        if name in COST_TIME:
            return self._time(name, raw)
        if name == "Tags":
            return _tags.column(raw, self.notes)
        if name in _focus_columns.ALLOWED:
            return self._listed(name, raw)
        if name == "BillingCurrency":
            return _convert.by_unique(raw, str.upper, pa.string(), "a currency")
        array = _convert.text(raw)
        if name == "ServiceName" and array.null_count:
            self.notes.add(f"ServiceName is null: kept as '{_focus_columns.NOT_GIVEN}' ({{n}} rows)", array.null_count)
            return pc.fill_null(array, _focus_columns.NOT_GIVEN)
        return array

    def _listed(self, name: str, raw: pa.ChunkedArray) -> pa.Array:
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

        out = _convert.by_unique(raw, right, pa.string(), f"one of {', '.join(_focus_columns.ALLOWED[name])}")
        for change in sorted(changed):
            self.notes.add(f"{name}: read {change}")
        return out

    def _time(self, name: str, raw: pa.ChunkedArray) -> pa.Array:
        if self.month_first is not None:
            month_first = self.month_first
            raw = pa.chunked_array([_convert.by_unique(raw, lambda v: _iso(v, month_first), pa.string(), "a date")])
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

    def _look_at_dates(self, table: pa.Table) -> None:
        """Dates like 5/1/25: a billing period begins and ends on a first, which tells the month from the day."""
        columns = self.given
        if self.month_first is not None or "BillingPeriodStart" not in columns:
            return
        parts = [
            _SLASHED.match(str(v))
            for c in ("BillingPeriodStart", "BillingPeriodEnd")
            if c in columns
            for v in table[columns[c]].unique().to_pylist()
            if isinstance(v, str)
        ]
        if not parts or None in parts:
            return
        firsts = [{p[i] for p in parts if p} == {"1"} or {p[i] for p in parts if p} == {"01"} for i in (1, 2)]
        if firsts[0] == firsts[1]:
            raise CorruptDataError(
                f"{self.file.called}: column {columns['BillingPeriodStart']}: dates such as {parts[0] and parts[0][0]} "
                "do not say which part is the month; write them as 2026-01-31"
            )
        self.month_first = firsts[1]
        self.notes.add(f"dates with slashes: read as {'month/day' if self.month_first else 'day/month'}/year")


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
