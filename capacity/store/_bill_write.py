"""Bills into the cost table: a period is compared, replaced, read back, and put back where the sums do not agree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC as UTC_ZONE
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import CorruptDataError
from capacity.store import _bill, _delta, _stream
from capacity.store._bill import PeriodKey, Totals
from capacity.store._place import Place
from capacity.store._reports import MoneyCheck, MoneyTotal, WriteReport

# What a period is marked with whose files are not known, so that they are read again next time.
UNKNOWN = 0


@dataclass(frozen=True)
class Delivery:
    """What is to stand for whole (source, account, period)s.

    Attributes
    ----------
    totals
        Its exact sums, by period.
    rows
        Gives the rows of some of the periods, as often as it is asked.
    marks
        Numbers that are recorded with the data.
    whole
        Accounts of the same source and billing period that do not come are gone. Otherwise they stay.
    outdated
        Accounts of it that are gone in any case.
    """

    totals: Totals
    rows: Callable[[Collection[PeriodKey]], Iterator[pa.RecordBatch]]
    marks: Mapping[str, int] = field(default_factory=dict)
    whole: bool = False
    outdated: Collection[PeriodKey] = ()


@dataclass(frozen=True)
class Put:
    """What came of a delivery; ``stayed`` are periods of the store that it did not bring and that were kept."""

    report: WriteReport
    stayed: tuple[PeriodKey, ...] = ()


def period_mark(source: str, period: datetime) -> str:
    """The mark of one billing period of one source: which files it was made from."""
    return f"capacity:bill:{source}:{period.astimezone(UTC_ZONE):%Y-%m-%dT%H:%M:%SZ}"


def differences_mark(source: str) -> str:
    """Set where a source's files are differences: stands for all of its sums after the last one."""
    return f"capacity:differences:{source}"


def put(where: Place, delivery: Delivery, waiting: Mapping[str, int] | None = None) -> Put:
    """Put ``delivery`` in the place of what is stored for its periods.

    ``waiting`` are marks of other periods that found no version of their own; they are recorded too if no other writer
    comes in between.

    A period with the same rows, in whatever order, is left alone; where all are, there is no new version. After the
    write the rows are read back and their sums compared in decimal.

    Raises
    ------
    CorruptDataError
        The sums do not agree: then the table holds what it held before.
    DataError
        Other writers were first, again and again.
    """
    first = iter([replace(delivery, marks={**(waiting or {}), **delivery.marks})])
    return _delta.with_retries(lambda: _put(where, next(first, delivery)), where.uri)


def _put(where: Place, delivery: Delivery) -> Put:
    found = _delta.open_table(where)
    money = tuple(t for k in delivery.totals for t in delivery.totals[k])
    if not money:
        return Put(WriteReport("cost", None if found is None else found.version(), 0))
    new, undone = list(delivery.totals), dict.fromkeys(delivery.marks, UNKNOWN)
    if found is None:
        _stream.create(where, "cost", delivery.rows(new), delivery.marks)
        stored = verify(where, _delta.open_table(where, 0), money, new, None, undone)
        return Put(_report(0, money, stored, added=new, removed=(), before={}))
    before = _bill.by_key(stored_totals(found, _periods_of(new)))
    others = [k for k in before if k not in delivery.totals]
    gone = [k for k in others if delivery.whole or k in delivery.outdated]
    changed = _changed(found, delivery, before)
    stayed = tuple(k for k in others if k not in gone)
    if not changed and not gone:
        return Put(_report(found.version(), money, money, (), (), before), stayed)
    version = found.version()
    _stream.overwrite(found, "cost", delivery.rows(changed), _bill.predicate([*changed, *gone]), delivery.marks)
    expected = tuple(t for k in changed for t in delivery.totals[k])
    stored = verify(where, found, expected, [*changed, *gone], version, undone)
    alike = tuple(t for k in new if k not in changed for t in delivery.totals[k])
    stored = _bill.merged((*stored, *alike))
    return Put(_report(found.version(), money, stored, changed, [*changed, *gone], before), stayed)


def remove(where: Place, keys: Collection[PeriodKey]) -> WriteReport:
    """Take the rows of ``keys`` out; what their periods were made from is then not known.

    Raises
    ------
    CorruptDataError
        They are still there; the table is as it was.
    DataError
        Other writers were first, again and again.
    """
    return _delta.with_retries(lambda: _remove(where, keys), where.uri)


def _remove(where: Place, keys: Collection[PeriodKey]) -> WriteReport:
    found = _delta.open_table(where)
    before = () if found is None else stored_totals(found, _bill.covering(keys))
    if not before:
        return WriteReport("cost", None if found is None else found.version(), 0)
    version, marks = found.version(), {period_mark(source, period): UNKNOWN for source, _, period in keys}
    _stream.overwrite(found, "cost", iter(()), _bill.predicate(keys), marks)
    verify(where, found, (), keys, version, marks)
    return WriteReport("cost", found.version(), 0, rows_removed=sum(t.rows for t in before))


def _report(
    version: int,
    money: tuple[MoneyTotal, ...],
    stored: tuple[MoneyTotal, ...],
    added: Sequence[PeriodKey],
    removed: Sequence[PeriodKey],
    before: Totals,
) -> WriteReport:
    files = _bill.by_key(money)
    return WriteReport(
        "cost",
        version,
        0,
        rows_added=sum(t.rows for k in added for t in files[k]),
        rows_removed=sum(t.rows for k in removed for t in before.get(k, ())),
        money=money,
        checks=checks(money, stored),
    )


def checks(files: tuple[MoneyTotal, ...], stored: tuple[MoneyTotal, ...]) -> tuple[MoneyCheck, ...]:
    """Each total of the files beside that of the store."""
    of_store = {(t.source, t.account_id, t.period_start, t.currency): t for t in stored}
    return tuple(MoneyCheck(t, of_store[(t.source, t.account_id, t.period_start, t.currency)]) for t in files)


def _changed(found: Any, delivery: Delivery, before: Totals) -> list[PeriodKey]:
    """The periods whose rows are not those stored: told by their sums, else by the fingerprint of their rows."""
    new = delivery.totals
    alike = [k for k in new if before.get(k) == new[k]]
    if not alike:
        return list(new)
    old = _bill.fingerprints(_stream.scan(found, "cost", None, _bill.covering(alike)))
    now = _bill.fingerprints(delivery.rows(alike))
    return [k for k in new if k not in alike or old[k] != now[k]]


def _periods_of(keys: Collection[PeriodKey]) -> pc.Expression:
    out = None
    for source, period in sorted({(k[0], k[2]) for k in keys}):
        one = _bill.of_period(source, period)
        out = one if out is None else out | one
    return out


def stored_totals(table: Any, filters: pc.Expression) -> tuple[MoneyTotal, ...]:
    """The sums of the rows that an open cost table holds."""
    return _bill.totals(_stream.scan(table, "cost", _bill.TOTAL_COLUMNS, filters))


def verify(
    where: Place,
    written: Any,
    expected: tuple[MoneyTotal, ...],
    keys: Collection[PeriodKey],
    before: int | None,
    undone: Mapping[str, int],
) -> tuple[MoneyTotal, ...]:
    """Read back what was written for ``keys``; where the sums differ put version ``before`` of them back.

    ``undone`` are the numbers that the marks then get.

    Raises
    ------
    CorruptDataError
        They differ; the table is as it was.
    """
    stored = stored_totals(written, _bill.covering(keys))
    if stored == _bill.merged(expected):
        return stored
    _undo(where, written, keys, before, undone)
    raise CorruptDataError(f"{where}: {_bill.mismatch(_bill.merged(expected), stored)}; nothing was changed")


def _undo(
    where: Place, written: Any, keys: Collection[PeriodKey], before: int | None, marks: Mapping[str, int]
) -> None:
    """The rows of ``keys`` as they were; other rows and writers are not touched."""
    old: Iterator[pa.RecordBatch] = iter(())
    if before is not None:
        old = _stream.scan(_delta.open_table(where, before), "cost", None, _bill.covering(keys))
    _stream.overwrite(written, "cost", old, _bill.predicate(keys), marks)
