"""What a write and an ingest did, in numbers that can be checked against the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal, Inexact

from capacity.schemas import COST_MONEY

# Python adds decimals with 28 digits by default and rounds silently; amounts have up to 38, sums some more.
EXACT = Context(prec=76, traps=[Inexact])


@dataclass(frozen=True)
class MoneyTotal:
    """One (source, account, billing period, currency) of a bill: rows, and the exact sum of each cost column.

    ``nulls`` counts the rows without a value, by column; a column that is null throughout sums to 0.
    """

    source: str
    account_id: str
    period_start: datetime
    currency: str
    rows: int
    billed: Decimal
    effective: Decimal
    list: Decimal
    contracted: Decimal
    nulls: Mapping[str, int]


@dataclass(frozen=True)
class MoneyCheck:
    """One (source, account, billing period, currency): what its files say and what the store holds, both re-added.

    Attributes
    ----------
    files
        The sums of the files that make it up.
    store
        The sums of the rows that were read back from the store.
    before
        What the store held before, where the files are differences to it; None where they are the whole period.
    """

    files: MoneyTotal
    store: MoneyTotal
    before: MoneyTotal | None = None

    def lines(self) -> tuple[tuple[str, Decimal, Decimal, Decimal], ...]:
        """(cost column, sum in the files and before them, sum in the store, difference), in decimal."""
        before = amounts(self.before) if self.before is not None else (Decimal(0),) * len(COST_MONEY)
        expected = map(EXACT.add, before, amounts(self.files))
        found = amounts(self.store)
        return tuple(
            (name, want, got, EXACT.subtract(got, want))
            for name, want, got in zip(COST_MONEY, expected, found, strict=True)
        )

    @property
    def agrees(self) -> bool:
        """Every difference is zero; rows and nulls too where the files are the whole period."""
        alike = (self.files.rows, dict(self.files.nulls)) == (self.store.rows, dict(self.store.nulls))
        return all(not line[3] for line in self.lines()) and (alike or self.before is not None)


def amounts(total: MoneyTotal) -> tuple[Decimal, ...]:
    """The four sums in the order of :data:`capacity.schemas.COST_MONEY`."""
    return total.billed, total.effective, total.list, total.contracted


@dataclass(frozen=True)
class WriteReport:
    """What one write did to one table. ``version`` is the newest after it, None where the table does not exist."""

    table: str
    version: int | None
    rows_read: int
    rows_added: int = 0
    rows_changed: int = 0
    rows_removed: int = 0
    money: tuple[MoneyTotal, ...] = ()
    checks: tuple[MoneyCheck, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether a new version came into being."""
        return bool(self.rows_added or self.rows_changed or self.rows_removed)


@dataclass(frozen=True)
class SourceReport:
    """What came from one source. ``failures`` says what did not, each with where and how to mend it."""

    source: str
    kind: str
    writes: tuple[WriteReport, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...]
    failures: tuple[str, ...]

    @property
    def frames(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(w.table for w in self.writes))

    @property
    def rows_read(self) -> int:
        return sum(w.rows_read for w in self.writes)

    @property
    def rows_changed(self) -> int:
        """Rows added, changed or removed in the store."""
        return sum(w.rows_added + w.rows_changed + w.rows_removed for w in self.writes)

    @property
    def money(self) -> tuple[MoneyTotal, ...]:
        return tuple(m for w in self.writes for m in w.money)

    @property
    def checks(self) -> tuple[MoneyCheck, ...]:
        """File sums against store sums, of every period that came."""
        return tuple(c for w in self.writes for c in w.checks)


@dataclass(frozen=True)
class IngestReport:
    """One ingest over all sources of a config."""

    sources: tuple[SourceReport, ...]
    versions: Mapping[str, int]

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the sources that did not come whole; empty (false) where all is well."""
        return tuple(s.source for s in self.sources if s.failures)

    @property
    def failures(self) -> tuple[str, ...]:
        return tuple(f for s in self.sources for f in s.failures)
