"""CSV and Parquet files of usage, fleet, commitments, quotas and prices.

A bare series file is understood for usage: ``ds,y``, ``ts,value`` or ``series,ts,value`` (series is the service).
Time stamps without zone stand on the wall clock of ``time_zone``. An hour that a clock shows twice in autumn: the
first point of a series is the earlier instant, a second one the later. An hour that it skips in spring: its point
moves to the first instant that exists, and is dropped where that instant has a point of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from capacity.config import FileSource
from capacity.errors import CorruptDataError, DataError
from capacity.schemas import METRIC_UNITS, PURCHASES, STATS, TABLES, UTC, Table
from capacity.sources import _clock, _convert, _paths, _tabular
from capacity.sources._keys import without_duplicates
from capacity.sources._protocol import Batch, Context, SourceInfo

# What bare series files call the columns of usage.
_SERIES_NAMES = {"ts": ("ds",), "value": ("y",), "service": ("series",)}
# Where nothing between two commas is an answer: a commitment that covers all accounts, scopes or regions.
_EMPTY_IS_A_WORD = {"commitments": ("account_id", "scope", "region")}
_ROW = "_row"
_WEEK_MICROS = 7 * 86_400 * 1_000_000


class FilesSource:
    """One canonical frame from files; one batch a file."""

    info: ClassVar[SourceInfo] = SourceInfo(
        kind="files",
        reads="CSV, .csv.gz or Parquet files of one frame: a file, a folder or a glob",
        frames=("usage", "fleet", "commitments", "quotas", "prices"),
        permissions=(),
        price="nothing",
        limits="a file fits in memory",
    )

    def __init__(self, config: FileSource, context: Context) -> None:
        self.name = config.name
        self._config = config
        self._path = context.resolve(config.path)

    def batches(self, since: datetime | None, now: datetime) -> Iterator[Batch]:
        """One batch a file; ``since`` does not matter, the store leaves out what it has.

        Raises
        ------
        MissingDataError
            No file.
        CorruptDataError
            After the last sound file: every file that is not, with line, column and value.
        """
        failures = []
        for file in _paths.expand(self._path, self.name):
            try:
                yield _Reader(self._config, file).batch(_paths.label(file, self._path))
            except DataError as error:
                failures.append(str(error))
        if failures:
            raise CorruptDataError("\n".join(failures))


@dataclass
class _Reader:
    """One file on its way to its canonical table."""

    config: FileSource
    path: Path
    notes: _convert.Notes = field(default_factory=_convert.Notes)
    zoned: dict[str, pa.Array] = field(default_factory=dict)

    @property
    def table(self) -> Table:
        return TABLES[self.config.frame]

    def batch(self, label: str) -> Batch:
        columns = self._columns()
        raw = self._raw(columns)
        arrays = {name: self._column(name, columns.get(name), raw) for name in self.table.columns}
        # The row in the file goes along, so that a message can name the line.
        arrays[_ROW] = pa.array(np.arange(raw.num_rows), pa.int64())
        rows = self._without_nan(pa.table(arrays))
        self._refuse_nulls(rows)
        self._refuse_unlisted(rows)
        final = self._redated(self._unique(self._on_utc(rows)))
        if not final.num_rows:
            self.notes.add("no row")
        return Batch(self.config.frame, final, label, self.notes.lines())

    # --- columns -------------------------------------------------------------------------------------------

    def _columns(self) -> dict[str, str]:
        """Canonical column -> the file's column; what is missing has a default or may be null, else an error."""
        header = _tabular.header(self.path)
        out = {}
        for name in self.table.columns:
            found = self._named(name, header)
            if found is not None:
                out[name] = found
        missing = [n for n in self.table.columns if n not in out and not self._filled(n)]
        if missing:
            raise CorruptDataError(
                f"{self.path}:1: no column {', '.join(missing)} for {self.table.name}; "
                f"the file has {', '.join(header[:20])}; map them with 'columns' or give them in 'defaults'"
            )
        unused = sorted(set(header) - set(out.values()))
        if unused:
            self.notes.add(f"columns not used: {', '.join(unused)}")
        return out

    def _named(self, name: str, header: list[str]) -> str | None:
        if name == "source" and self.config.frame == "usage":
            return None  # says which source of the config it came from, not what a file says
        if name in self.config.columns:
            wanted = self.config.columns[name]
            if wanted not in header:
                raise CorruptDataError(
                    f"{self.path}:1: no column '{wanted}' (for {name}); the file has {', '.join(header[:20])}"
                )
            return wanted
        bare = _SERIES_NAMES.get(name, ()) if self.config.frame == "usage" else ()
        return next((c for c in (name, *bare) if c in header), None)

    def _filled(self, name: str) -> bool:
        by_metric = name == "unit" and self.config.frame == "usage"
        return name in self.config.defaults or name in self.table.nullable or name == "source" or by_metric

    def _raw(self, columns: dict[str, str]) -> pa.Table:
        blocks = [b.table for b in _tabular.blocks(self.path, columns.values())]
        if blocks:
            return pa.concat_tables(blocks)
        return pa.table({name: pa.array([], pa.string()) for name in columns.values()})

    def _column(self, name: str, given: str | None, raw: pa.Table) -> pa.Array:
        if given is None:
            return self._default(name, raw)
        try:
            return self._converted(name, raw[given])
        except _convert.BadValueError as error:
            raise self._corrupt(given, error.row, error.value, error.allowed) from None

    def _default(self, name: str, raw: pa.Table) -> pa.Array:
        kind = self.table.schema.field(name).type
        if name == "source" and (self.config.frame == "usage" or name not in self.config.defaults):
            value: str | int | float = self._source()
        elif name in self.config.defaults:
            value = self.config.defaults[name]
        elif name == "unit":
            return self._units(raw)
        else:
            return pa.nulls(raw.num_rows, kind)
        if isinstance(value, str):
            value = value.replace("{stem}", _paths.stem(self.path))
        try:
            return self._converted(name, pa.chunked_array([pa.repeat(pa.scalar(str(value)), raw.num_rows)]))
        except _convert.BadValueError as error:
            raise CorruptDataError(
                f"source '{self.config.name}': defaults.{name}: found '{value}'; allowed: {error.allowed}"
            ) from None

    def _units(self, raw: pa.Table) -> pa.Array:
        """The unit that a metric of fixed name has."""
        given = self._columns_of("metric")
        metric = self._column("metric", given, raw)
        allowed = f"a unit: give 'unit' in 'defaults' (known without: {', '.join(METRIC_UNITS)})"
        try:
            return _convert.by_unique(metric, _unit, pa.string(), allowed)
        except _convert.BadValueError as error:
            raise self._corrupt(given or "metric", error.row, error.value, error.allowed) from None

    def _columns_of(self, name: str) -> str | None:
        return self._named(name, _tabular.header(self.path))

    def _source(self) -> str:
        weeks = self.config.redate_weeks
        return f"{self.config.name} (re-dated +{weeks} weeks)" if weeks else self.config.name

    def _converted(self, name: str, column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        kind = self.table.schema.field(name).type
        if kind == UTC:
            found = _convert.times(column)
            self.zoned[name] = found.zoned
            return found.micros
        if pa.types.is_float64(kind):
            return _convert.floats(column)
        if pa.types.is_int64(kind):
            return _convert.integers(column)
        words = _convert.text(column)
        return pc.fill_null(words, "") if name in _EMPTY_IS_A_WORD.get(self.config.frame, ()) else words

    # --- rows ----------------------------------------------------------------------------------------------

    def _without_nan(self, rows: pa.Table) -> pa.Table:
        """Usage without the points that have no finite value; elsewhere a number that is none is an error."""
        for name in (f.name for f in self.table.schema if pa.types.is_float64(f.type)):
            finite = pc.fill_null(pc.is_finite(rows[name]), False)
            gone = rows.num_rows - int(pc.sum(finite).as_py() or 0)
            if gone and self.config.frame == "usage":
                self.notes.add(f"{name} missing or not a finite number: dropped ({{n}} rows)", gone)
                rows = rows.filter(finite)
            elif gone:
                self._refuse(rows, name, pc.invert(finite), "a finite number")
        return rows

    def _refuse_nulls(self, rows: pa.Table) -> None:
        for name in self.table.columns:
            if name not in self.table.nullable and rows[name].null_count:
                self._refuse(rows, name, pc.is_null(rows[name]), "a value in every row")

    def _refuse_unlisted(self, rows: pa.Table) -> None:
        listed = {"usage": ("stat", STATS), "fleet": ("purchase", PURCHASES)}.get(self.config.frame)
        if listed:
            name, allowed = listed
            known = pc.is_in(rows[name], value_set=pa.array(allowed))
            self._refuse(rows, name, pc.invert(known), f"one of {', '.join(allowed)}")
        if self.config.frame == "usage":
            self._refuse(rows, "period_seconds", pc.less_equal(rows["period_seconds"], 0), "seconds above 0")
        if self.config.frame == "fleet":
            self._refuse(rows, "count", pc.less(rows["count"], 0), "0 or more")

    def _refuse(self, rows: pa.Table, name: str, bad: pa.ChunkedArray, allowed: str) -> None:
        """Raise for the first bad row, if there is one."""
        if pc.any(bad).as_py():
            at = pc.index(bad, True).as_py()
            raise self._corrupt(name, rows[_ROW][at].as_py(), rows[name][at].as_py(), allowed)

    def _corrupt(self, column: str, row: int, value: object, allowed: str) -> CorruptDataError:
        found = "no value" if value is None else f"'{str(value)[:80]}'"
        where = _tabular.place(self.path, row)
        return CorruptDataError(f"{self.path}: {where}: column {column}: found {found}; allowed: {allowed}")

    # --- time ----------------------------------------------------------------------------------------------

    def _on_utc(self, rows: pa.Table) -> pa.Table:
        for name in (f.name for f in self.table.schema if f.type == UTC):
            zoned = self.zoned[name].take(rows[_ROW].combine_chunks())
            if pc.all(zoned).as_py() is False and self.config.time_zone != "UTC":
                rows = self._off_the_wall(rows, name, zoned.to_numpy(zero_copy_only=False))
        return rows

    def _off_the_wall(self, rows: pa.Table, name: str, zoned: _clock.Mask) -> pa.Table:
        """``rows`` with column ``name`` in UTC where it stood on the wall clock."""
        wall = rows[name].to_numpy()
        key = self.table.key
        later = _clock.second_time(rows, key) if name in key else np.zeros(len(wall), dtype=bool)
        utc, skipped = _clock.localised(wall, self.config.time_zone, later)
        skipped &= ~zoned
        at = rows.column_names.index(name)
        rows = rows.set_column(at, name, pa.array(np.where(zoned, wall, utc)))
        if not skipped.any():
            return rows
        self.notes.add(
            f"{name} in an hour that {self.config.time_zone} skipped: moved to its end ({{n}} rows)", int(skipped.sum())
        )
        return self._without_moved_copies(rows, skipped) if name in key else rows

    def _without_moved_copies(self, rows: pa.Table, moved: _clock.Mask) -> pa.Table:
        """Moved rows give way to rows that stood there already."""
        order = np.argsort(moved, kind="stable")
        taken = _clock.second_time(rows.take(order), self.table.key)
        give_way = np.zeros(len(moved), dtype=bool)
        give_way[order] = taken
        give_way &= moved
        if give_way.any():
            self.notes.add(
                "of these, dropped where that instant has a point of its own ({n} rows)", int(give_way.sum())
            )
        return rows.filter(pa.array(~give_way))

    def _unique(self, rows: pa.Table) -> pa.Table:
        """Each key once, in the canonical schema."""
        places = rows[_ROW].to_numpy()
        kept, gone = without_duplicates(
            rows.select(list(self.table.columns)).cast(self.table.schema),
            self.table.key,
            str(self.path),
            lambda row: _tabular.place(self.path, int(places[row])),
        )
        if gone:
            self.notes.add("identical rows: dropped ({n} rows)", gone)
        return kept

    def _redated(self, rows: pa.Table) -> pa.Table:
        weeks = self.config.redate_weeks
        if not weeks or "ts" not in rows.column_names:
            return rows
        self.notes.add(f"re-dated: every time stamp shifted by +{weeks} weeks")
        shifted = pc.add(rows["ts"].cast(pa.int64()), weeks * _WEEK_MICROS).cast(UTC)
        return rows.set_column(rows.column_names.index("ts"), rows.schema.field("ts"), shifted)


def _unit(metric: str) -> str:
    if metric not in METRIC_UNITS:
        raise ValueError(metric)
    return METRIC_UNITS[metric]
