"""The store: one Delta table a canonical frame, in one folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC as UTC_ZONE
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import CorruptDataError, MissingDataError, UsageError
from capacity.schemas import COST, COST_MONEY, TABLES, UTC, Table
from capacity.sources import SeriesKey, without_duplicates
from capacity.store import _bill, _delta, _diff
from capacity.store._reports import MoneyTotal, WriteReport

# Rows that are hashed at a time: a bill is compared without a second copy of it in memory.
_BATCH_ROWS = 131_072
# A pyarrow.compute.Expression, or a sequence of (column, operator, value); pyarrow has no types of its own.
Filters: TypeAlias = Any


class Store:
    """Delta tables in a folder (or below an ``s3://`` prefix); created on the first write.

    Readers see whole versions and never wait. Writers that meet try again. Every version can be read for 400 days.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = str(root)
        if "%" in self.root and "://" not in self.root:
            # delta-rs 1.6 decodes percent signs in some places and not in others.
            raise UsageError(f"store {self.root}: a folder with % in its name cannot hold the store; choose another")

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{_known(name).name}"

    # --- reading -------------------------------------------------------------------------------------------

    def read(
        self,
        name: str,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        filters: Filters | None = None,
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
        rows = _delta.read(found, name, columns, _expression(filters))
        return _diff.in_key_order(table, rows) if set(table.key) <= set(rows.column_names) else rows

    def versions(self, as_of: datetime | None = None) -> dict[str, int]:
        """The newest version of each table, or the newest that was committed at or before ``as_of``."""
        out = {}
        for name in TABLES:
            table = _delta.open_table(self._path(name))
            version = None if table is None else _version_at(table, as_of)
            if version is not None:
                out[name] = version
        return out

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

    def write(self, name: str, table: pa.Table) -> WriteReport:
        """Merge ``table`` by the key: new rows are added, changed ones replaced, the others left alone.

        Writing the same again changes nothing and makes no new version.

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
        return _delta.with_retries(lambda: self._merge(known, rows, table.num_rows), self._path(name))

    def _merge(self, table: Table, rows: pa.Table, read: int) -> WriteReport:
        path = self._path(table.name)
        found = _delta.open_table(path)
        if not rows.num_rows:
            return WriteReport(table.name, None if found is None else found.version(), read)
        if found is None:
            _delta.create(path, rows)
            return WriteReport(table.name, 0, read, rows_added=rows.num_rows)
        stored = _delta.read(found, table.name, None, _diff.affected(table, rows))
        change = _diff.difference(table, rows, stored)
        if change.changed.num_rows:
            both = pa.concat_tables([change.added, change.changed])
            _delta.merge(found, _diff.in_key_order(table, both), table.key, _owners(table, both))
        elif change:
            _delta.append(found, change.added, _owners(table, change.added))
        return WriteReport(
            table.name,
            found.version(),
            read,
            rows_added=change.added.num_rows,
            rows_changed=change.changed.num_rows,
        )

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
        money = _bill.totals(rows)
        report = _delta.with_retries(lambda: self._replace(rows, money), self._path("cost"))
        return replace(report, rows_read=rows.num_rows, money=money)

    def _replace(self, rows: pa.Table, money: tuple[MoneyTotal, ...]) -> WriteReport:
        path = self._path("cost")
        found = _delta.open_table(path)
        if not rows.num_rows:
            return WriteReport("cost", None if found is None else found.version(), 0)
        wanted = _bill.keys(rows)
        if found is None:
            _delta.create(path, rows)
            self._verify(_delta.open_table(path, 0), rows, wanted, None)
            return WriteReport("cost", 0, 0, rows_added=rows.num_rows)
        version = found.version()
        stored = _bill.by_key(self._stored_totals(found, wanted))
        changed = _changed(found, rows, stored, _bill.by_key(money))
        if not changed:
            return WriteReport("cost", version, 0)
        fresh = rows if len(changed) == len(wanted) else rows.filter(_bill.covering(changed))
        _delta.replace(found, fresh, _bill.predicate(changed))
        self._verify(found, fresh, changed, version)
        removed = sum(t.rows for k in changed for t in stored.get(k, ()))
        return WriteReport("cost", found.version(), 0, rows_added=fresh.num_rows, rows_removed=removed)

    def _stored_totals(self, table: Any, keys: list[_bill.PeriodKey]) -> tuple[MoneyTotal, ...]:
        columns = [*dict.fromkeys((*_bill.GROUP, *COST_MONEY))]
        return _bill.totals(_delta.read(table, "cost", columns, _bill.covering(keys)))

    def _verify(self, written: Any, rows: pa.Table, keys: list[_bill.PeriodKey], before: int | None) -> None:
        """Compare the sums just written with the batch's; where they differ put version ``before`` of them back."""
        stored = self._stored_totals(written, keys)
        expected = _bill.totals(rows)
        if stored == expected:
            return
        old = COST.schema.empty_table()
        if before is not None:
            old = _delta.read(_delta.open_table(self._path("cost"), before), "cost", None, _bill.covering(keys))
        _delta.undo(written, old, _bill.predicate(keys))
        raise CorruptDataError(f"{self._path('cost')}: {_bill.mismatch(expected, stored)}; nothing was changed")


def _changed(found: Any, rows: pa.Table, stored: _bill.Totals, new: _bill.Totals) -> list[_bill.PeriodKey]:
    """The periods whose rows are not those stored: told by their sums, else row by row, else in any order."""
    changed = [k for k in new if stored.get(k) != new[k]]
    alike = [k for k in new if stored.get(k) == new[k]]
    if not alike:
        return changed
    same = rows.filter(_bill.covering(alike)) if changed else rows
    if _bill.same_in_order(_delta.batches(found, "cost", _bill.covering(alike)), same):
        return changed
    before = _bill.fingerprints(_delta.batches(found, "cost", _bill.covering(alike)))
    after = _bill.fingerprints(same.to_batches(_BATCH_ROWS))
    return [k for k in new if k in changed or before[k] != after[k]]


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


def _version_at(table: object, as_of: datetime | None) -> int | None:
    if as_of is None:
        return int(table.version())  # type: ignore[attr-defined]
    if as_of.tzinfo is None:
        raise UsageError(f"as_of {as_of} has no zone; write it as 2026-01-31T00:00:00Z")
    limit = as_of.timestamp() * 1000
    commits = [c for c in table.history() if c["timestamp"] <= limit]  # type: ignore[attr-defined]
    return max((int(c["version"]) for c in commits), default=None)
