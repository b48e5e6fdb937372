"""What the FOCUS rules say of each new billing file, kept in the store's ``findings``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from importlib import metadata
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import CorruptDataError
from capacity.schemas import COST_REQUIRED, FINDINGS
from capacity.sources import BillFile
from capacity.store import _delta, _stream
from capacity.store._bills import ERRORS, Outcome

if TYPE_CHECKING:
    from capacity.quality import FocusReport
    from capacity.store._store import Store

FRAME = "cost"
# The rules keep one core busy, and reading the files some of another.
_AT_ONCE = 2


def judge(
    source: str,
    files: Sequence[BillFile],
    store: Store,
    outcome: Outcome,
    say: Callable[[str], None],
    listed_whole: bool = True,
) -> None:
    """Run the rules over every file that was not judged yet; a fatal finding fails its file.

    It comes after the rows are in the store: the rules take longer than the ingest itself, and what makes a file
    unusable (a column that is not there, an amount that is no number) has already been refused when it was read.
    Findings of files that are not there any more go, where all files could be listed (``listed_whole``).
    """
    marks = _marks(source, files, outcome)
    known = store.marks("findings", (mark for mark, _ in marks.values()))
    judged = {label for label, (mark, number) in marks.items() if known.get(mark) == number}
    new = [f for f in files if f.label in marks and f.label not in judged]
    reading = Lock()
    periods = _newest_periods(source, store) if new else {}
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="rules") as threads:
        for file, report in zip(new, threads.map(lambda f: _judged(f, reading), new), strict=True):
            if isinstance(report, Exception):
                if file.label in outcome.files:  # else it was told when the file was read
                    outcome.fail(report)
            elif report is not None:
                _keep(source, file, report, periods.get(file.label), store, outcome, dict([marks[file.label]]))
                say(f"{source}: {file.label}: judged by the FOCUS rules")
    _tell_again(source, judged - set(outcome.files), store, outcome)
    if listed_whole:
        _drop_others(source, {f.label for f in files}, store)


def _marks(source: str, files: Sequence[BillFile], outcome: Outcome) -> dict[str, tuple[str, int]]:
    """The mark of each file; a file of which nothing can be read has none."""
    out = {}
    for file in files:
        try:
            out[file.label] = _mark(source, file)
        except ERRORS as error:
            if file.label in outcome.files:  # else it was told when the file was read
                outcome.fail(error)
    return out


def _tell_again(source: str, refused: Collection[str], store: Store, outcome: Outcome) -> None:
    """The fatal findings of files that were judged before and are refused again."""
    if not refused:
        return
    filters = [("source", "=", source), ("frame", "=", FRAME), ("severity", "=", "fatal")]
    for row in store.read("findings", filters=filters).to_pylist():
        if row["scope"] in refused:
            shown = f" ({row['example']})" if row["example"] else ""
            outcome.fail(f"source '{source}': {row['scope']}: fatal: {row['rule']}: {row['message']}{shown}")


def _drop_others(source: str, listed: Collection[str], store: Store) -> None:
    """Findings of files that are not there any more; should such a file come back, it is judged again."""
    filters = [("source", "=", source), ("frame", "=", FRAME)]
    for scope in sorted(set(store.read("findings", columns=["scope"], filters=filters)["scope"].to_pylist())):
        if scope not in listed:
            by = {"source": source, "frame": FRAME, "scope": scope}
            store.replace_rows("findings", FINDINGS.schema.empty_table(), by, {_mark_name(source, scope): 0})


def _judged(file: BillFile, reading: Lock) -> FocusReport | Exception | None:
    """What the rules say; None of a file without rows."""
    from capacity.quality import validate_bill

    try:
        batches = _one_at_a_time(file.raw(), reading)
        first = next(batches, None)
        if first is None:
            return None
        # A file that was read has, or was given, every column that it needs.
        return validate_bill(chain([first], batches), defaults=COST_REQUIRED, where=file.label)
    except OverflowError as error:
        return CorruptDataError(f"{file.label}: a date before the year 1 or after 9999 ({error})")
    except ERRORS as error:
        return error


def _one_at_a_time(batches: Iterator[pa.RecordBatch], reading: Lock) -> Iterator[pa.RecordBatch]:
    """Files of one source may share what reads them, so only the judging runs beside each other."""
    while True:
        with reading:
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _newest_periods(source: str, store: Store) -> dict[str, datetime]:
    """The newest billing period of each stored file; the rows are streamed."""
    table = _delta.open_table(store.place / "cost")
    out: dict[str, datetime] = {}
    if table is None:
        return out
    for batch in _stream.scan(table, "cost", ("file", "BillingPeriodStart"), pc.field("source") == source):
        rows = pa.Table.from_batches([batch]).group_by("file").aggregate([("BillingPeriodStart", "max")])
        for row in rows.to_pylist():
            newest = row["BillingPeriodStart_max"]
            out[row["file"]] = max(newest, out.get(row["file"], newest))
    return out


def _keep(
    source: str,
    file: BillFile,
    report: FocusReport,
    period: datetime | None,
    store: Store,
    outcome: Outcome,
    marks: dict[str, int],
) -> None:
    by = {"source": source, "frame": FRAME, "scope": file.label}
    try:
        outcome.writes.append(store.replace_rows("findings", _table(report, by, period), by, marks))
    except ERRORS as error:
        outcome.fail(error)
        return
    outcome.notes.append(report.summary())
    for finding in report.findings:
        if finding.severity == "fatal":
            outcome.fail(f"source '{source}': {file.label}: {finding}")


def _table(report: FocusReport, by: dict[str, str], period: datetime | None) -> pa.Table:
    rows = [
        {
            **by, "rule": f.rule, "severity": f.severity, "column": f.column or None, "rows": f.rows, "of": f.of,
            "example": "; ".join(f.examples) or None, "message": f.message, "ts": period,
        }
        for f in report.findings
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=FINDINGS.schema)


def _mark(source: str, file: BillFile) -> tuple[str, int]:
    """Stands for the content and for the rules, which may change with the tool."""
    digest = hashlib.sha256(f"{file.digest}\n{metadata.version('capacity')}".encode()).digest()
    return _mark_name(source, file.label), int.from_bytes(digest[:8], "big") >> 1


def _mark_name(source: str, label: str) -> str:
    return f"capacity:focus:{source}:{label}"
