"""Bills as whole periods: files in, spooled and re-added one by one, and each billing period replaced as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC as UTC_ZONE
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import CapacityError, CorruptDataError, DataError
from capacity.schemas import COST
from capacity.sources import BillFile
from capacity.store import _applied, _bill, _bill_write, _delta, _fidelity, _gone, _stream
from capacity.store._place import Place
from capacity.store._reports import MoneyTotal, WriteReport
from capacity.store._spool import Spool

# How the manifests of AWS and Azure exports write the billing period into the path of a file.
_PERIOD = re.compile(r"(?:BILLING_PERIOD=(?P<dashed>\d{4}-\d\d)|(?P<run>\d{8})-\d{8})(?:/|$)")
# A month in a message, as 2026-09 or as the beginning of 20260901-20261001.
_MONTH = re.compile(r"(?<!\d)(\d{4})-?(0[1-9]|1[0-2])(?!\d\d\d)(?:01-\d{8})?")
ERRORS = (CapacityError, OSError, pa.ArrowException)


@dataclass(frozen=True)
class Taken:
    """A file that was read whole: what it is, and its sums in every period."""

    file: BillFile
    totals: tuple[MoneyTotal, ...]

    @property
    def periods(self) -> set[datetime]:
        return {t.period_start for t in self.totals}


@dataclass
class Outcome:
    """What comes of one source's bills; grows as files are read and periods written."""

    writes: list[WriteReport] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def fail(self, error: Exception | str) -> None:
        """Each line as an entry of its own; indented lines belong to the one before."""
        for line in str(error).splitlines() or [type(error).__name__]:
            if line[:1].isspace() and self.failures:
                self.failures[-1] += f"\n{line}"
            else:
                self.failures.append(line)


def take(
    file: BillFile,
    source: str,
    spool: Spool,
    tally: _bill.Tally,
    calculator: _fidelity.Calculator,
    only: Collection[datetime] | None = None,
) -> tuple[str, ...]:
    """Read ``file`` into ``spool`` (``only`` some billing periods of it), add up all of it, compare with its own sums.

    Returns
    -------
    Its notes.

    Raises
    ------
    CorruptDataError
        The file cannot be read whole, or the sums differ.
    """
    try:
        for block in file.blocks():
            _refuse_others(block, source)
            tally.add(block)
            spool.add(block if only is None else _of_periods(block, only))
    except OverflowError as error:
        raise CorruptDataError(f"{file.label}: a date before the year 1 or after 9999 ({error})") from None
    notes = _fidelity.check(file, tally.totals(), calculator)
    return tuple(f"{file.label}: {note}" for note in (*file.notes(), *notes))


def _refuse_others(block: pa.Table, source: str) -> None:
    """Rows under another name would replace that source's bills."""
    other = [n for n in block["source"].unique().to_pylist() if n != source]
    if other:
        raise CorruptDataError(f"rows of source '{other[0]}' came from source '{source}'; nothing of them was kept")


def _of_periods(block: pa.Table, periods: Collection[datetime]) -> pa.Table:
    kind = COST.schema.field("BillingPeriodStart").type
    return block.filter(pc.is_in(block["BillingPeriodStart"], value_set=pa.array(sorted(periods), kind)))


@dataclass
class Replacing:
    """One source whose files of a billing period are that period.

    Files are handed to :meth:`read`, then :meth:`finish` writes each period of which nothing is missing.
    """

    source: str
    where: Place
    spool: Spool
    calculator: _fidelity.Calculator
    outcome: Outcome
    say: Callable[[str], None]
    reading: str = ""
    taken: dict[str, Taken] = field(default_factory=dict)
    blocked: set[datetime] = field(default_factory=set)
    all_blocked: bool = False
    lacking: frozenset[datetime] | None = None
    stored: Mapping[str, tuple[MoneyTotal, ...]] = field(default_factory=dict)
    listed: frozenset[str] = frozenset()

    def read(self, file: BillFile, only: Collection[datetime] | None = None) -> bool:
        """Take in one file; where it fails its periods are left as they are. Whether it was taken."""
        tally = _bill.Tally()
        try:
            self._refuse_copy(file)
            self.outcome.notes += take(file, self.source, self.spool, tally, self.calculator, only)
            self._refuse_twin(file, tally.totals())
        except ERRORS as error:
            self._block(file, {t.period_start for t in tally.totals()}, error)
            return False
        self.say(f"{self.source}: {file.label}: {sum(t.rows for t in tally.totals()):,} rows")
        self.taken[file.label] = Taken(file, tally.totals())
        self.outcome.files.append(file.label)
        return True

    def _refuse_copy(self, file: BillFile) -> None:
        """The same content under two names would count a bill twice; files without rows may be alike."""
        twin = next((t for t in self.taken.values() if file.digest and t.file.digest == file.digest and t.totals), None)
        if twin is not None:
            raise CorruptDataError(
                f"{file.label}: the same content as {twin.file.label}; remove one, or it counts twice"
            )

    def _refuse_twin(self, file: BillFile, totals: tuple[MoneyTotal, ...]) -> None:
        """The same rows in another form (packed, or as Parquet) would count twice too; a manifest is believed."""
        if not (file.digest and totals) or file.complete:
            return
        alike = [t for t in self.taken.values() if t.totals == totals and t.file.digest and not t.file.complete]
        own = _bill.content(file.blocks()) if alike else None
        for other in alike:
            if _bill.content(other.file.blocks()) == own:
                raise CorruptDataError(
                    f"{file.label}: the same rows as {other.file.label}; remove one, or they count twice"
                )

    def _block(self, file: BillFile, begun: set[datetime], error: Exception) -> None:
        self.outcome.fail(error)
        own = periods_named(file)
        if own:
            self.blocked |= own | begun
        else:
            self.all_blocked = True

    def lack(self, error: Exception) -> None:
        """Not all files could be listed: periods that the error names stay, and in the others what does not come."""
        self.outcome.fail(error)
        named = {f"{y}-{m}" for y, m in _MONTH.findall(str(error))}
        self.lacking = frozenset(datetime.strptime(n, "%Y-%m").replace(tzinfo=UTC_ZONE) for n in named)

    # --- writing -----------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Write every period that came whole, oldest first; one that fails does not stop the others."""
        if self.all_blocked:
            self.outcome.fail(f"source '{self.source}': no bill was replaced, because not all of it could be read")
            return
        waiting: dict[str, int] = {}
        kept = self._kept()
        outdated = self._outdated(kept)
        failed = len(self.outcome.failures)
        for period in self.spool.periods:
            if period in kept:
                self.outcome.fail(f"source '{self.source}': {period:%Y-%m} was left as it is, because {kept[period]}")
                continue
            try:
                self._write(period, waiting, outdated)
            except ERRORS as error:
                self.outcome.fail(error)
        # Last, and only where all came in: until then the marks tell that a file is to be read again.
        rest = [k for k in outdated if k[2] not in self.spool.periods]
        if rest and len(self.outcome.failures) == failed:
            self._remove(rest)

    def _kept(self) -> dict[datetime, str]:
        """The periods that are left as they are, and why."""
        read = {label: t.totals for label, t in self.taken.items()}
        robbed = {} if self.lacking is not None else _gone.robbed(self.stored, read, self.listed)
        out = {
            period: f"{file} is not there any more, and account {account} would lose its rows; put it back, or use "
            "an export with a manifest, which says what is whole"
            for period, (file, account) in robbed.items()
            if not self._is_whole(period)
        }
        return out | dict.fromkeys({*self.blocked, *(self.lacking or ())}, "not all of it came")

    def _outdated(self, kept: Collection[datetime]) -> list[_bill.PeriodKey]:
        if self.lacking is not None:
            return []
        read = {label: t.totals for label, t in self.taken.items()}
        return _gone.outdated(self.stored, read, self.listed, kept)

    def _remove(self, outdated: Sequence[_bill.PeriodKey]) -> None:
        """Rows that their files do not have any more, in billing periods of which nothing came."""
        try:
            self.outcome.writes.append(_bill_write.remove(self.where, outdated))
        except ERRORS as error:
            self.outcome.fail(error)
        else:
            self._note_gone(outdated)

    def _note_gone(self, keys: Sequence[_bill.PeriodKey]) -> None:
        if keys:
            names = _gone.named(f"account {k[1]} of {k[2]:%Y-%m-%dT%H:%MZ}" for k in keys)
            self.outcome.notes.append(f"{names}: its files do not have it any more; its rows are gone from the store")

    def _write(self, period: datetime, waiting: dict[str, int], outdated: Collection[_bill.PeriodKey]) -> None:
        delivery = replace(self._delivery(period), outdated=outdated)
        put = _bill_write.put(self.where, delivery, waiting)
        # A period that is the same from other files makes no version of its own; its mark goes with the next one.
        if put.report.changed:
            waiting.clear()
        else:
            waiting.update(delivery.marks)
        rows = sum(t.rows for t in put.report.money)
        self.outcome.writes.append(replace(put.report, rows_read=rows))
        self._note_stayed(period, put.stayed)
        self._note_gone([k for k in outdated if k[2] == period])
        self.say(f"{self.source}: cost {period:%Y-%m}: {put.report.rows_added:,} rows new or changed")

    def _delivery(self, period: datetime) -> _bill_write.Delivery:
        of = [t for t in self.taken.values() if period in t.periods]
        totals = _bill.by_key(_bill.merged(m for t in of for m in t.totals if m.period_start == period))
        known = all(t.file.digest for t in of)
        tokens = [_applied.file_token(t.file, self.reading, t.totals) for t in of] if known else []
        mark = _applied.number(tokens) if known else _bill_write.UNKNOWN

        def rows(keys: Collection[_bill.PeriodKey]) -> Iterator[pa.RecordBatch]:
            accounts = {k[1] for k in keys}
            return self.spool.batches(period, None if len(accounts) == len(totals) else accounts)

        marks = {_bill_write.period_mark(self.source, period): mark}
        return _bill_write.Delivery(totals, rows, marks, self._is_whole(period))

    def _is_whole(self, period: datetime) -> bool:
        return self.lacking is None and all(t.file.complete for t in self.taken.values() if period in t.periods)

    def _note_stayed(self, period: datetime, stayed: tuple[_bill.PeriodKey, ...]) -> None:
        if not stayed:
            return
        names = _gone.named(sorted(k[1] for k in stayed))
        self.outcome.notes.append(
            f"{period:%Y-%m}: account {names} is in the store but did not come again; kept, "
            "since nothing says that the period came whole"
        )


def periods_named(file: BillFile) -> set[datetime] | None:
    """The only billing periods that ``file`` can hold, where its delivery says so."""
    found = _PERIOD.search(file.label) if file.complete else None
    if not found:
        return None
    month = found["dashed"] or f"{found['run'][:4]}-{found['run'][4:6]}"
    try:
        return {datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC_ZONE)}
    except ValueError:
        return None


def replace_periods(run: Replacing, files: list[BillFile]) -> None:
    """Read the files that are new, and those that share a billing period with one; tell of the others."""
    table = _delta.open_table(run.where)
    if table is not None and _stream.mark(table, _bill_write.differences_mark(run.source)):
        raise DataError(
            f"source '{run.source}': the store has bills of it that were put together from differences (corrections: "
            "ledger or delta); its files are no whole periods; give the source another name to read it as such"
        )
    known = _applied.known(table, run.source, run.reading, files)
    run.stored, run.listed = known.totals, frozenset(f.label for f in files)
    note = None if run.lacking is not None else _gone.unlisted(run.stored, run.listed)
    run.outcome.notes += [note] if note else []
    settled = [f for f in files if f.label in known.settled]
    for file in files:
        if file.label not in known.settled:
            run.read(file)
    touched = known.stale | set(run.spool.periods)
    again = [f for f in settled if known.periods(f.label) & touched]
    for file in again:
        run.read(file, only=touched)
    _tell_settled(run, known, settled, again, touched, table)


def _tell_settled(
    run: Replacing,
    known: _applied.Known,
    settled: Sequence[BillFile],
    again: Sequence[BillFile],
    touched: Collection[datetime],
    table: Any,
) -> None:
    """The sums of what was not read again, which the marks have compared with the files'."""
    money = _bill.merged(t for f in settled for t in known.totals[f.label] if t.period_start not in touched)
    if money:
        report = WriteReport("cost", table.version(), 0, money=money, checks=_bill_write.checks(money, money))
        run.outcome.writes.append(report)
    kept = [f.label for f in settled if f not in again]
    if kept:
        run.outcome.files += kept
        run.outcome.notes.append(f"{len(kept)} files are as they were when they were last read; not read again")
        run.say(f"{run.source}: {len(kept)} files are known and unchanged")
