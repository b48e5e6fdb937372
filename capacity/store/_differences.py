"""Bills whose files are differences to what came before: each file is applied once, by its content, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from capacity.errors import CorruptDataError, DataError
from capacity.schemas import COST_MONEY
from capacity.sources import BillFile
from capacity.store import _applied, _bill, _bill_write, _corrections, _delta, _fidelity, _spool, _stream
from capacity.store._bill import PeriodKey
from capacity.store._bills import ERRORS, Outcome, Taken, take
from capacity.store._place import Place
from capacity.store._reports import MoneyCheck, MoneyTotal, WriteReport
from capacity.store._spool import Workshop


def _content_mark(source: str, digest: str) -> str:
    return f"capacity:applied:{source}:{digest}"


def _name_mark(source: str, label: str) -> str:
    return f"capacity:name:{source}:{label}"


@dataclass
class Applying:
    """One source whose new files are folded into what the store has of it."""

    source: str
    where: Place
    mode: str
    shop: Workshop
    calculator: _fidelity.Calculator
    outcome: Outcome
    say: Callable[[str], None]

    def apply(self, files: Sequence[BillFile]) -> None:
        """Apply the ``files`` that were not applied before, all in one commit."""
        try:
            table = _delta.open_table(self.where)
            self._check_sums(table)
            new = self._new(table, files)
            taken = self._read(new)
            if taken:
                report = _delta.with_retries(lambda: self._commit(taken), self.where.uri)
                self.outcome.writes.append(replace(report, rows_read=sum(m.rows for t, _ in taken for m in t.totals)))
                self.say(f"{self.source}: cost: {report.rows_added:,} rows new or changed")
            else:
                self._tell(table)
        except ERRORS as error:
            self.outcome.fail(error)

    # --- which files -------------------------------------------------------------------------------------------

    def _check_sums(self, table: Any) -> None:
        """What is stored is what the files applied so far have made."""
        stored = _totals(table, self.source)
        known = None if table is None else _stream.mark(table, _bill_write.differences_mark(self.source))
        if not stored and not known:
            return
        if not known:
            raise DataError(
                f"source '{self.source}': the store has bills of it that were read as whole periods, so differences "
                f"cannot be told from originals; give the source with corrections: {self.mode} another name"
            )
        if known != _applied.number([_applied.sums_token(stored)]):
            raise CorruptDataError(
                f"{self.where}: the sums of source '{self.source}' are not those of the files applied so far; nothing "
                "was changed; go back to an earlier version, or apply all files anew under another name"
            )

    def _new(self, table: Any, files: Sequence[BillFile]) -> list[BillFile]:
        out, seen = [], set[str]()
        for file in files:
            if file.digest in seen or self._is_applied(table, file):
                continue
            if table is not None and _stream.mark(table, _name_mark(self.source, file.label)):
                raise DataError(
                    f"source '{self.source}': {file.label} was applied before with other content; with corrections: "
                    f"{self.mode} a file is a difference, so new ones need new names; nothing was applied"
                )
            seen.add(file.digest)
            out.append(file)
        old = len(files) - len(out)
        if old:
            self.outcome.notes.append(f"{old} files were applied before (or are copies); not applied again")
        self.outcome.files += [f.label for f in files if f not in out]
        return out

    def _is_applied(self, table: Any, file: BillFile) -> bool:
        return table is not None and bool(_stream.mark(table, _content_mark(self.source, file.digest)))

    def _read(self, files: Sequence[BillFile]) -> list[tuple[Taken, _spool.Spool]]:
        """Spool each file; from the first that fails on none, since later ones correct earlier ones."""
        out = []
        for file in files:
            spool, tally = self.shop.spool(), _bill.Tally()
            try:
                self.outcome.notes += take(file, self.source, spool, tally, self.calculator)
            except ERRORS as error:
                self.outcome.fail(error)
                self.outcome.fail(f"source '{self.source}': {file.label} and all files after it were not applied")
                break
            self.say(f"{self.source}: {file.label}: {sum(t.rows for t in tally.totals()):,} rows")
            self.outcome.files.append(file.label)
            if tally.totals():
                out.append((Taken(file, tally.totals()), spool))
        return out

    # --- writing -----------------------------------------------------------------------------------------------

    def _commit(self, taken: Sequence[tuple[Taken, _spool.Spool]]) -> WriteReport:
        table = _delta.open_table(self.where)
        new = [(t, s) for t, s in taken if not self._is_applied(table, t.file)]
        stored = _totals(table, self.source)
        files = _bill.merged(m for t, _ in new for m in t.totals)
        keys = list(_bill.by_key(files))
        before = tuple(m for m in stored if _key(m) in keys)
        if not new:
            return WriteReport("cost", table.version(), 0, money=stored, checks=_bill_write.checks(stored, stored))
        folded = self._fold(table, keys, [s for _, s in new])
        after = _bill.totals(_spool.read(folded.path))
        found = self._checks(files, before, after)
        self._put(table, new, keys, folded.path, stored, after)
        return WriteReport(
            "cost",
            _delta.open_table(self.where).version(),
            0,
            rows_added=sum(m.rows for m in after) - folded.untouched,
            rows_removed=sum(m.rows for m in before) - folded.untouched,
            money=after,
            checks=found,
        )

    def _fold(self, table: Any, keys: Sequence[PeriodKey], spools: Iterable[_spool.Spool]) -> _corrections.Folded:
        folder = self.shop.subfolder()
        before = None
        if table is not None:
            before = folder / "before.parquet"
            _spool.write(before, _stream.scan(table, "cost", None, _bill.covering(keys)))
        paths = [list(s.paths().values()) for s in spools]
        return _corrections.fold(before, paths, self.mode, folder)

    def _checks(
        self, files: Sequence[MoneyTotal], before: Sequence[MoneyTotal], after: Sequence[MoneyTotal]
    ) -> tuple[MoneyCheck, ...]:
        """Before and files must add up to after, in each account, period and currency."""
        old, new = {_group(m): m for m in before}, {_group(m): m for m in after}
        out = tuple(MoneyCheck(m, new.get(_group(m)) or _nothing(m), old.get(_group(m)) or _nothing(m)) for m in files)
        wrong = next((c for c in out if not c.agrees), None)
        if wrong is not None:
            raise CorruptDataError(
                f"source '{self.source}': corrections of {wrong.files.account_id} {wrong.files.period_start:%Y-%m} do "
                f"not add up: {wrong.lines()}; nothing was changed"
            )
        return out

    def _put(
        self,
        table: Any,
        new: Sequence[tuple[Taken, _spool.Spool]],
        keys: Sequence[PeriodKey],
        path: Path,
        stored: Sequence[MoneyTotal],
        after: tuple[MoneyTotal, ...],
    ) -> None:
        whole = (*(m for m in stored if _key(m) not in keys), *after)
        marks = self._marks([t.file for t, _ in new])
        undone: dict[str, int] = dict.fromkeys(marks, _bill_write.UNKNOWN)
        sums = _bill_write.differences_mark(self.source)
        undone[sums] = _bill_write.UNKNOWN if table is None else _stream.mark(table, sums) or _bill_write.UNKNOWN
        marks[sums] = _applied.number([_applied.sums_token(whole)])
        if table is None:
            _stream.create(self.where, "cost", _spool.read(path), marks)
            _bill_write.verify(self.where, _delta.open_table(self.where, 0), after, keys, None, undone)
            return
        version = table.version()
        _stream.overwrite(table, "cost", _spool.read(path), _bill.predicate(keys), marks)
        _bill_write.verify(self.where, table, after, keys, version, undone)

    def _marks(self, files: Iterable[BillFile]) -> dict[str, int]:
        out = {}
        for file in files:
            out[_content_mark(self.source, file.digest)] = 1
            out[_name_mark(self.source, file.label)] = 1
        return out

    def _tell(self, table: Any) -> None:
        stored = _totals(table, self.source)
        if stored:
            checks = _bill_write.checks(stored, stored)
            self.outcome.writes.append(WriteReport("cost", table.version(), 0, money=stored, checks=checks))


def _totals(table: Any, source: str) -> tuple[MoneyTotal, ...]:
    return () if table is None else _bill_write.stored_totals(table, pc.field("source") == source)


def _key(total: MoneyTotal) -> PeriodKey:
    return total.source, total.account_id, total.period_start


def _group(total: MoneyTotal) -> tuple[str, str, datetime, str]:
    return total.source, total.account_id, total.period_start, total.currency


def _nothing(like: MoneyTotal) -> MoneyTotal:
    zero = Decimal(0)
    return replace(
        like, rows=0, billed=zero, effective=zero, list=zero, contracted=zero, nulls=dict.fromkeys(COST_MONEY, 0)
    )
