"""The store: one Delta table a canonical frame, in one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC as UTC_ZONE
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import CorruptDataError, MissingDataError, UsageError
from capacity.schemas import COST, TABLES, UTC, Table
from capacity.sources import SeriesKey, without_duplicates
from capacity.store import _bill, _bill_write, _delta, _diff, _stream, _versions
from capacity.store._log import RETENTION_DAYS
from capacity.store._place import Place, place
from capacity.store._reports import WriteReport

# Rows that are hashed or written at a time: a bill is compared without a second copy of it in memory.
_BATCH_ROWS = 131_072
# A pyarrow.compute.Expression, or a sequence of (column, operator, value); pyarrow has no types of its own.
Filters: TypeAlias = Any


class Store:
    """Delta tables in a folder (or below an ``s3://`` prefix); created on the first write.

    Readers see whole versions and never wait. Writers that meet try again. Every version can be read for 400 days.

    Parameters
    ----------
    root
        A folder, or ``s3://bucket/prefix``. S3, or what stands in for it, must be strongly consistent and know
        conditional puts (``If-None-Match``). Credentials, region and endpoint are those of the AWS environment.
    storage_options
        More options of delta-rs for an ``s3://`` store; no credentials.

    Raises
    ------
    UsageError
        A root or an option that cannot be used.
    """

    def __init__(self, root: Path | str, storage_options: Mapping[str, str] | None = None) -> None:
        self.place = place(root, storage_options)
        self.root = str(self.place)

    def _path(self, name: str) -> Place:
        return self.place / _known(name).name

    # --- reading -------------------------------------------------------------------------------------------

    def read(
        self,
        name: str,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        filters: Filters | None = None,
        *,
        coded: bool = False,
    ) -> pa.Table:
        """Rows of table ``name``, in the order of its key where all of the key is read.

        Parameters
        ----------
        version
            An earlier version; the newest where None.
        columns
            Some of the table's columns, in this order.
        filters
            An Arrow expression, or (column, operator, value) triples that must all hold.
        coded
            Text as codes of its distinct values (Arrow dictionaries): half the memory of a large bill.

        Returns
        -------
        pyarrow.Table in the canonical schema; without rows where the table does not exist.

        Raises
        ------
        MissingDataError
            That version does not exist (any more).
        """
        table = _known(name)
        _check_columns(table, columns)
        found = _delta.open_table(self._path(name), version)
        if found is None:
            if version is not None:
                raise MissingDataError(f"{self.root}: no table {name}, so no version {version}; run capacity ingest")
            return table.schema.empty_table().select(list(columns or table.columns))
        try:
            rows = _delta.read(found, name, columns, _expression(filters), coded=coded)
        except CorruptDataError:
            if version is None or not _versions.expired(self._path(name), version):
                raise
            raise MissingDataError(
                f"{self.root}: version {version} of {name} was replaced more than {RETENTION_DAYS} days ago and its "
                "files are gone; read a later one"
            ) from None
        return _diff.in_key_order(table, rows) if set(table.key) <= set(rows.column_names) else rows

    def versions(self, as_of: datetime | None = None) -> dict[str, int]:
        """The newest version of each table, or the newest that was committed at or before ``as_of``.

        The newest ones stood together at one moment during the call. As of a moment each table is as its last commit
        before that moment left it, by the writers' clocks: an ingest that had written some of its tables by then is
        seen with these, and no table with a part of a commit.

        Raises
        ------
        MissingDataError
            ``as_of`` lies before what the log of a table still tells.
        """
        if as_of is not None:
            moment = _versions.checked(as_of)
            return self._each(lambda where: _versions.at(where, moment))
        return _versions.settled(lambda: self._each(_versions.newest), lambda: self.versions(datetime.now(UTC_ZONE)))

    def _each(self, version: Callable[[Place], int | None]) -> dict[str, int]:
        found = ((name, version(self._path(name))) for name in TABLES)
        return {name: number for name, number in found if number is not None}

    def last_point(self, name: str, source: str) -> datetime | None:
        """The newest time stamp of ``source`` in table ``name``; None where it has none."""
        table = _known(name)
        time = _time_column(table)
        if time is None or "source" not in table.columns:
            raise UsageError(f"table {name} has no time stamps by source; ask for usage or prices")
        found = _delta.open_table(self._path(name))
        if found is None:
            return None
        newest = pc.max(_delta.read(found, name, [time], pc.field("source") == source)[time]).as_py()
        return None if newest is None else newest.astimezone(UTC_ZONE)

    def last_points(self, source: str) -> dict[SeriesKey, datetime]:
        """The newest point of each usage series of ``source``, by (service, metric, stat, period)."""
        found = _delta.open_table(self._path("usage"))
        if found is None:
            return {}
        key = ["service", "metric", "stat", "period_seconds"]
        rows = _delta.read(found, "usage", [*key, "ts"], pc.field("source") == source)
        newest = rows.group_by(key).aggregate([("ts", "max")]).to_pylist()
        return {tuple(r[k] for k in key): r["ts_max"].astimezone(UTC_ZONE) for r in newest}

    # --- writing -------------------------------------------------------------------------------------------

    def write(self, name: str, table: pa.Table, added: Callable[[pa.Table], None] | None = None) -> WriteReport:
        """Merge ``table`` by the key: new rows are added, changed ones replaced, the others left alone.

        Writing the same again changes nothing and makes no new version.

        Parameters
        ----------
        added
            Is handed the rows that were new to a table that was there before, once they are stored.

        Raises
        ------
        CorruptDataError
            Not the canonical schema, or two rows of one key that differ.
        DataError
            Other writers were first, again and again.
        """
        known = _known(name)
        if not known.key:
            raise UsageError(f"table {name} has no row key; use replace_bill")
        rows, _ = without_duplicates(_checked(known, table), known.key, f"rows for {name}")
        rows = _diff.in_key_order(known, rows)
        report, new = _delta.with_retries(lambda: self._merge(known, rows, table.num_rows), self._path(name))
        if added is not None and new is not None and new.num_rows:
            added(new)
        return report

    def _merge(self, table: Table, rows: pa.Table, read: int) -> tuple[WriteReport, pa.Table | None]:
        path = self._path(table.name)
        found = _delta.open_table(path)
        if not rows.num_rows:
            return WriteReport(table.name, None if found is None else found.version(), read), None
        if found is None:
            _delta.create(path, rows)
            return WriteReport(table.name, 0, read, rows_added=rows.num_rows), None
        stored = _delta.read(found, table.name, None, _diff.affected(table, rows))
        change = _diff.difference(table, rows, stored)
        if change.changed.num_rows:
            both = pa.concat_tables([change.added, change.changed])
            _delta.merge(found, _diff.in_key_order(table, both), table.key, _owners(table, both))
        elif change:
            _delta.append(found, change.added, _owners(table, change.added))
        counts = {"rows_added": change.added.num_rows, "rows_changed": change.changed.num_rows}
        return WriteReport(table.name, found.version(), read, **counts), change.added

    def replace_bill(self, table: pa.Table) -> WriteReport:
        """Put each (source, BillingAccountId, BillingPeriodStart) of ``table`` in the place of what is stored for it.

        A period with the same rows, in whatever order, is left alone; where all are, there is no new version. After
        the write the stored sums of the four cost columns are compared with the batch's, in decimal.

        Raises
        ------
        CorruptDataError
            Not the canonical schema, or the sums do not agree: then the table is as it was before.
        """
        rows = _checked(COST, table)
        totals = _bill.by_key(_bill.totals([rows]))
        marks = {_bill_write.period_mark(source, period): _bill_write.UNKNOWN for source, _, period in totals}
        delivery = _bill_write.Delivery(
            totals, lambda keys: iter(_bill.of_keys(rows, keys).to_batches(_BATCH_ROWS)), marks
        )
        return replace(_bill_write.put(self._path("cost"), delivery).report, rows_read=rows.num_rows)

    def replace_rows(
        self, name: str, table: pa.Table, by: Mapping[str, str], marks: Mapping[str, int] | None = None
    ) -> WriteReport:
        """Put ``table`` in the place of all rows that have the values of ``by``; the same again makes no new version.

        Parameters
        ----------
        by
            Text columns of the table and a value each; every row of ``table`` must have them.
        marks
            Numbers to record with the rows, by name (:meth:`marks` tells them). Other numbers than those recorded make
            a new version even where the rows are the same.

        Raises
        ------
        CorruptDataError
            Not the canonical schema, rows without the values of ``by``, or two rows of one key that differ.
        """
        known = _known(name)
        rows, _ = without_duplicates(_checked(known, table), known.key, f"rows for {name}")
        rows = _diff.in_key_order(known, rows)
        where = _rows_of(known, by)
        if rows.filter(where).num_rows < rows.num_rows:
            raise CorruptDataError(f"rows for {name}: not all of them have {by}; they would not be replaced next time")
        report = _delta.with_retries(lambda: self._replace_rows(known, rows, by, marks or {}), self._path(name).uri)
        return replace(report, rows_read=table.num_rows)

    def _replace_rows(
        self, table: Table, rows: pa.Table, by: Mapping[str, str], marks: Mapping[str, int]
    ) -> WriteReport:
        found = _delta.open_table(self._path(table.name))
        if found is None:
            if rows.num_rows or marks:
                _stream.create(self._path(table.name), table.name, iter(rows.to_batches()), marks)
            return WriteReport(table.name, 0 if rows.num_rows or marks else None, 0, rows_added=rows.num_rows)
        stored = _diff.in_key_order(table, _delta.read(found, table.name, None, _rows_of(table, by)))
        version = found.version()
        if stored.equals(rows) and all(_stream.mark(found, n) == number for n, number in marks.items()):
            return WriteReport(table.name, version, 0)
        predicate = " AND ".join(f'"{column}" = {_delta.sql_text(value)}' for column, value in by.items())
        _stream.overwrite(found, table.name, iter(rows.to_batches()), predicate, marks)
        return WriteReport(table.name, found.version(), 0, rows_added=rows.num_rows, rows_removed=stored.num_rows)

    def marks(self, name: str, wanted: Iterable[str]) -> dict[str, int]:
        """The numbers last recorded in table ``name`` under the ``wanted`` marks that there are."""
        found = _delta.open_table(self._path(name))
        numbers = {} if found is None else {mark: _stream.mark(found, mark) for mark in wanted}
        return {mark: number for mark, number in numbers.items() if number is not None}


def _rows_of(table: Table, by: Mapping[str, str]) -> pc.Expression:
    _check_columns(table, list(by))
    if not by:
        raise UsageError(f"replace_rows of {table.name}: name at least one column, or every row would go")
    out = None
    for column, value in by.items():
        one = pc.field(column) == value
        out = one if out is None else out & one
    return out


def _known(name: str) -> Table:
    if name not in TABLES:
        raise UsageError(f"no table '{name}'; known: {', '.join(TABLES)}")
    return TABLES[name]


def _check_columns(table: Table, columns: Sequence[str] | None) -> None:
    unknown = [c for c in columns or () if c not in table.columns]
    if unknown:
        raise UsageError(f"table {table.name} has no column {', '.join(unknown)}; known: {', '.join(table.columns)}")


def _checked(table: Table, rows: pa.Table) -> pa.Table:
    """``rows`` if they have exactly the table's columns and types, and no null where none may be."""
    if rows.schema.names != table.schema.names or rows.schema.types != table.schema.types:
        raise CorruptDataError(
            f"rows for {table.name} have the columns {', '.join(f'{f.name} ({f.type})' for f in rows.schema)}; "
            "make them with capacity.schemas.to_arrow"
        )
    nulls = [c for c in table.columns if c not in table.nullable and rows[c].null_count]
    if nulls:
        raise CorruptDataError(f"rows for {table.name} have no value in {', '.join(nulls)}; every row needs one")
    return rows.cast(table.schema)


def _expression(filters: Filters | None) -> pc.Expression | None:
    if isinstance(filters, list | tuple):
        import pyarrow.parquet as pq

        return pq.filters_to_expression(list(filters)) if filters else None
    return filters


def _time_column(table: Table) -> str | None:
    return next((k for k in table.key if table.schema.field(k).type == UTC), None)


def _owners(table: Table, rows: pa.Table) -> list[str]:
    """Who writes: each source of ``rows``, or the table where rows have no source in their key."""
    return list(pc.unique(rows["source"]).to_pylist()) if "source" in table.key else [table.name]
