"""Bills: what a billing period holds, told by exact sums and by a fingerprint of its rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import zip_longest
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from capacity.schemas import COST, COST_MONEY, COST_PERIOD_KEY
from capacity.store._delta import sql_text
from capacity.store._reports import EXACT, MoneyTotal, amounts

PeriodKey = tuple[str, str, datetime]  # source, BillingAccountId, BillingPeriodStart
Totals = Mapping[PeriodKey, tuple[MoneyTotal, ...]]
Rows: TypeAlias = Any  # a pyarrow.Table or RecordBatch; pyarrow has no types of its own
Hashes = npt.NDArray[np.uint64]
GROUP = (*COST_PERIOD_KEY, "BillingCurrency")
TOTAL_COLUMNS = tuple(dict.fromkeys((*GROUP, *COST_MONEY)))
# Two odd multipliers of 64 bits (the golden ratio, and MurmurHash3's finaliser) that spread a value's bits.
_SPREAD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC4CEB9FE1A85EC53))


@dataclass(frozen=True)
class Fingerprint:
    """Number of rows and two 64-bit sums of row hashes: equal for equal rows in any order."""

    rows: int = 0
    first: int = 0
    second: int = 0

    def __add__(self, other: Fingerprint) -> Fingerprint:
        mask = 2**64 - 1
        return Fingerprint(
            self.rows + other.rows, (self.first + other.first) & mask, (self.second + other.second) & mask
        )


# --- sums ------------------------------------------------------------------------------------------------------


class Tally:
    """Rows and the four exact sums by (source, account, period, currency), fed block by block."""

    def __init__(self) -> None:
        self._found: dict[tuple[Any, ...], MoneyTotal] = {}

    def add(self, rows: Rows) -> None:
        for total in _totals(rows, GROUP):
            self.include(total)

    def include(self, total: MoneyTotal) -> None:
        key = (total.source, total.account_id, total.period_start, total.currency)
        known = self._found.get(key)
        self._found[key] = total if known is None else _sum(known, total)

    def totals(self) -> tuple[MoneyTotal, ...]:
        """Ordered by source, period, account, currency."""
        return tuple(sorted(self._found.values(), key=_order))


def totals(blocks: Iterable[Rows]) -> tuple[MoneyTotal, ...]:
    """Rows and sums of all ``blocks``."""
    tally = Tally()
    for block in blocks:
        tally.add(block)
    return tally.totals()


def merged(parts: Iterable[MoneyTotal]) -> tuple[MoneyTotal, ...]:
    """One total for all ``parts`` of the same account, period and currency."""
    tally = Tally()
    for part in parts:
        tally.include(part)
    return tally.totals()


def totals_by_file(blocks: Iterable[Rows]) -> dict[str, tuple[MoneyTotal, ...]]:
    """The same for each value of the column ``file``."""
    tallies: dict[str, Tally] = {}
    for block in blocks:
        for file in pc.unique(block["file"]):
            part = block.filter(pc.equal(block["file"], file))
            tallies.setdefault(file.as_py(), Tally()).add(part)
    return {file: tally.totals() for file, tally in tallies.items()}


def _totals(rows: Rows, group: Sequence[str]) -> Iterator[MoneyTotal]:
    table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
    wanted = [*((c, "sum") for c in COST_MONEY), *((c, "count") for c in COST_MONEY), ([], "count_all")]
    grouped = table.select(list(TOTAL_COLUMNS)).group_by(list(group), use_threads=False).aggregate(wanted)
    for row in grouped.to_pylist():
        n = row["count_all"]
        billed, effective, listed, contracted = (row[f"{c}_sum"] or Decimal(0) for c in COST_MONEY)
        source, account, period, currency = (row[c] for c in GROUP)
        nulls = {c: n - row[f"{c}_count"] for c in COST_MONEY}
        yield MoneyTotal(source, account, period, currency, n, billed, effective, listed, contracted, nulls)


def _sum(one: MoneyTotal, other: MoneyTotal) -> MoneyTotal:
    billed, effective, listed, contracted = map(EXACT.add, amounts(one), amounts(other))
    nulls = {c: one.nulls[c] + other.nulls[c] for c in COST_MONEY}
    who = (one.source, one.account_id, one.period_start, one.currency)
    return MoneyTotal(*who, one.rows + other.rows, billed, effective, listed, contracted, nulls)


def _order(total: MoneyTotal) -> tuple[Any, ...]:
    return total.source, total.period_start, total.account_id, total.currency


def by_key(money: Iterable[MoneyTotal]) -> dict[PeriodKey, tuple[MoneyTotal, ...]]:
    """Totals (one a currency) by their period, oldest first."""
    out: dict[PeriodKey, tuple[MoneyTotal, ...]] = {}
    for total in money:
        key = (total.source, total.account_id, total.period_start)
        out[key] = (*out.get(key, ()), total)
    return out


def mismatch(expected: Sequence[MoneyTotal], stored: Sequence[MoneyTotal]) -> str:
    """The first total that does not agree, in words."""
    for want, got in zip_longest(expected, stored):
        if want != got:
            return f"the sums in the store do not agree with the bill: expected {want}, found {got}"
    return "the sums agree"


# --- rows ------------------------------------------------------------------------------------------------------


def fingerprints(batches: Iterable[pa.RecordBatch]) -> dict[PeriodKey, Fingerprint]:
    """The fingerprint of each period, one batch at a time."""
    out: dict[PeriodKey, Fingerprint] = {}
    for batch in batches:
        for key, part in _fingerprints(pa.Table.from_batches([batch])).items():
            out[key] = out.get(key, Fingerprint()) + part
    return out


def content(blocks: Iterable[pa.Table]) -> Fingerprint:
    """One fingerprint of all rows, but for whose and of which file they are."""
    out = Fingerprint()
    for block in blocks:
        for batch in block.drop_columns(["source", "file"]).to_batches():
            first, second = _row_hashes(pa.Table.from_batches([batch]))
            out += Fingerprint(len(first), int(first.sum()), int(second.sum()))
    return out


def _fingerprints(table: pa.Table) -> dict[PeriodKey, Fingerprint]:
    if not table.num_rows:
        return {}
    first, second = _row_hashes(table)
    coded = table.select(list(COST_PERIOD_KEY)).append_column("row", pa.array(np.arange(table.num_rows)))
    groups = coded.group_by(list(COST_PERIOD_KEY), use_threads=False).aggregate([("row", "list")])
    lists = groups["row_list"].combine_chunks()
    order, ends = lists.flatten().to_numpy(), lists.offsets.to_numpy() - lists.offsets[0].as_py()
    out = {}
    for i in range(groups.num_rows):
        source, account, period = (groups[c][i].as_py() for c in COST_PERIOD_KEY)
        rows = order[ends[i] : ends[i + 1]]
        out[(source, account, period)] = Fingerprint(len(rows), int(first[rows].sum()), int(second[rows].sum()))
    return out


def _row_hashes(table: pa.Table) -> tuple[Hashes, Hashes]:
    first = np.zeros(table.num_rows, np.uint64)
    second = np.zeros(table.num_rows, np.uint64)
    for i, name in enumerate(table.column_names):
        value = _value_hashes(table[name]) + np.uint64(i)
        first = _mixed(first * _SPREAD[0] + value)
        second = _mixed(second * _SPREAD[1] + (value ^ _SPREAD[0]))
    return first, second


def _mixed(x: Hashes) -> Hashes:
    x = (x ^ (x >> np.uint64(33))) * _SPREAD[1]
    return x ^ (x >> np.uint64(29))


def _value_hashes(column: pa.ChunkedArray) -> Hashes:
    """A 64-bit hash of each value; hashed once a distinct value."""
    coded = column.dictionary_encode("encode").combine_chunks()
    distinct = coded.dictionary
    if not pa.types.is_string(distinct.type):
        distinct = pc.cast(distinct.cast(pa.int64()) if pa.types.is_timestamp(distinct.type) else distinct, pa.string())
    texts = distinct.to_numpy(zero_copy_only=False).astype(object)
    known: Hashes = pd.util.hash_array(np.where(pd.isna(texts), "\0null", texts), categorize=False)
    out: Hashes = known[coded.indices.to_numpy(zero_copy_only=False)]
    return out


def of_keys(rows: Rows, wanted: Collection[PeriodKey]) -> Rows:
    """The rows of some periods."""
    return rows.filter(covering(wanted)) if wanted else rows.slice(0, 0)


def covering(wanted: Collection[PeriodKey]) -> pc.Expression:
    """The rows of ``wanted`` as a filter of a read."""
    out = None
    for source, period, accounts in _grouped(wanted):
        one = of_period(source, period) & pc.field("BillingAccountId").isin(accounts)
        out = one if out is None else out | one
    return out


def of_period(source: str, period: datetime) -> pc.Expression:
    """All accounts of one period of one source."""
    kind = COST.schema.field("BillingPeriodStart").type
    return (pc.field("source") == source) & (pc.field("BillingPeriodStart") == pa.scalar(period, kind))


def predicate(wanted: Collection[PeriodKey]) -> str:
    """The same as SQL."""
    return " OR ".join(
        f'("source" = {sql_text(source)} AND "BillingPeriodStart" = {sql_text(period.isoformat())} '
        f'AND "BillingAccountId" IN ({", ".join(sql_text(a) for a in accounts)}))'
        for source, period, accounts in _grouped(wanted)
    )


def _grouped(wanted: Collection[PeriodKey]) -> list[tuple[str, datetime, list[str]]]:
    groups: dict[tuple[str, datetime], list[str]] = {}
    for source, account, period in sorted(wanted, key=lambda k: (k[0], k[2], k[1])):
        groups.setdefault((source, period), []).append(account)
    return [(s, p, a) for (s, p), a in groups.items()]
