"""Which billing files the store has taken, told by marks in the cost table itself.

A period's mark is a number made from the digests of its files *and* from their sums. It is believed only where the sums
that are read from the store give the same number. So a mark cannot outlive its rows, an ingest that was ended between
two periods is noticed, and every ingest re-adds what it does not read again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from typing import Any

import pyarrow.compute as pc

from capacity.schemas import COST_MONEY
from capacity.sources import BillFile
from capacity.store import _bill, _stream
from capacity.store._bill_write import period_mark
from capacity.store._reports import EXACT, MoneyTotal, amounts


@dataclass(frozen=True)
class Known:
    """What the store holds of one source.

    Attributes
    ----------
    totals
        The sums of each file.
    settled
        Files that are as they were, by at least one of their periods.
    stale
        Billing periods in which something else changed.
    """

    totals: Mapping[str, tuple[MoneyTotal, ...]]
    settled: frozenset[str]
    stale: frozenset[datetime]

    def periods(self, label: str) -> set[datetime]:
        """The billing periods in which the store has rows of a file."""
        return {t.period_start for t in self.totals.get(label, ())}


def known(table: Any | None, source: str, reading: str, files: Sequence[BillFile]) -> Known:
    """Compare the marks of ``source`` with ``files`` and with the rows that are there."""
    if table is None:
        return Known({}, frozenset(), frozenset())
    blocks = _stream.scan(table, "cost", ("file", *_bill.TOTAL_COLUMNS), pc.field("source") == source)
    totals = _bill.totals_by_file(blocks)
    tokens = {f.label: file_token(f, reading, totals[f.label]) for f in files if f.digest and f.label in totals}
    of_period: dict[datetime, set[str]] = {}
    for label in tokens:
        for total in totals[label]:
            of_period.setdefault(total.period_start, set()).add(label)
    sound = {
        period
        for period, labels in of_period.items()
        if _stream.mark(table, period_mark(source, period)) == number(tokens[n] for n in labels)
    }
    settled = frozenset(n for period in sound for n in of_period[period])
    return Known(totals, settled, frozenset(of_period) - sound)


def file_token(file: BillFile, reading: str, totals: Iterable[MoneyTotal]) -> str:
    """Stands for a file's content, how it is read, by which version of the tool, and its sums in every period."""
    parts = [file.label, file.digest, file.complete, reading, metadata.version("capacity"), sums_token(totals)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def sums_token(totals: Iterable[MoneyTotal]) -> str:
    """Stands for rows and sums, however they were added up."""
    parts = [
        [
            t.account_id, t.period_start.timestamp(), t.currency, t.rows,
            [f"{a.normalize(EXACT):f}" for a in amounts(t)], [t.nulls[c] for c in COST_MONEY],
        ]
        for t in _bill.merged(totals)
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def number(tokens: Iterable[str]) -> int:
    """63 bits that stand for a set of tokens; never 0, which marks what is not known."""
    digest = hashlib.sha256("\n".join(sorted(tokens)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1 or 1
