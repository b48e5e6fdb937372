"""Bills: what a billing period holds, told by exact sums and by a fingerprint of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from capacity.schemas import COST, COST_MONEY, COST_PERIOD_KEY
from capacity.store._delta import sql_text
from capacity.store._reports import MoneyTotal

PeriodKey = tuple[str, str, datetime]  # source, BillingAccountId, BillingPeriodStart
Totals = Mapping[PeriodKey, tuple[MoneyTotal, ...]]
Hashes = npt.NDArray[np.uint64]
GROUP = (*COST_PERIOD_KEY, "BillingCurrency")
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


def totals(table: pa.Table) -> tuple[MoneyTotal, ...]:
    """Rows and the four exact sums by (source, account, period, currency), in that order."""
    grouped = table.select([*GROUP, *COST_MONEY]).group_by(list(GROUP), use_threads=False)
    wanted = [*((c, "sum") for c in COST_MONEY), *((c, "count") for c in COST_MONEY), ([], "count_all")]
    rows = grouped.aggregate(wanted).to_pylist()
    return tuple(sorted((_total(r) for r in rows), key=lambda t: (t.source, t.period_start, t.account_id, t.currency)))


def _total(row: Mapping[str, Any]) -> MoneyTotal:
    n = row["count_all"]
    billed, effective, listed, contracted = (row[f"{c}_sum"] or Decimal(0) for c in COST_MONEY)
    source, account, period, currency = (row[c] for c in GROUP)
    nulls = {c: n - row[f"{c}_count"] for c in COST_MONEY}
    return MoneyTotal(source, account, period, currency, n, billed, effective, listed, contracted, nulls)


def by_key(money: Iterable[MoneyTotal]) -> Totals:
    """Totals (one a currency) by their period, oldest first."""
    out: dict[PeriodKey, tuple[MoneyTotal, ...]] = {}
    for total in money:
        key = (total.source, total.account_id, total.period_start)
        out[key] = (*out.get(key, ()), total)
    return out


def keys(table: pa.Table) -> list[PeriodKey]:
    """The periods of ``table``."""
    rows = table.select(list(COST_PERIOD_KEY)).group_by(list(COST_PERIOD_KEY)).aggregate([]).to_pylist()
    return sorted((tuple(r[c] for c in COST_PERIOD_KEY) for r in rows), key=lambda k: (k[0], k[2], k[1]))


def same_in_order(batches: Iterable[pa.RecordBatch], table: pa.Table) -> bool:
    """Whether ``batches`` hold exactly the rows of ``table`` in its order; ends at the first that differs."""
    at = 0
    for batch in batches:
        part = table.slice(at, batch.num_rows)
        if part.num_rows != batch.num_rows or not pa.Table.from_batches([batch]).cast(part.schema).equals(part):
            return False
        at += batch.num_rows
    return bool(at == table.num_rows)


def fingerprints(batches: Iterable[pa.RecordBatch]) -> dict[PeriodKey, Fingerprint]:
    """The fingerprint of each period, one batch at a time."""
    out: dict[PeriodKey, Fingerprint] = {}
    for batch in batches:
        for key, part in _fingerprints(pa.Table.from_batches([batch])).items():
            out[key] = out.get(key, Fingerprint()) + part
    return out


def _fingerprints(table: pa.Table) -> dict[PeriodKey, Fingerprint]:
    if not table.num_rows:
        return {}
    first, second = _row_hashes(table)
    coded = table.select(list(COST_PERIOD_KEY)).append_column("row", pa.array(np.arange(table.num_rows)))
    groups = coded.group_by(list(COST_PERIOD_KEY)).aggregate([("row", "list")])
    out = {}
    for i in range(groups.num_rows):
        source, account, period = (groups[c][i].as_py() for c in COST_PERIOD_KEY)
        rows = np.asarray(groups["row_list"][i].as_py())
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


def by_period(tables: Iterable[pa.Table]) -> list[pa.Table]:
    """The rows of all ``tables`` by billing period, oldest first; what holds one period only is not copied."""
    parts: dict[datetime, list[pa.Table]] = {}
    for table in tables:
        starts = table["BillingPeriodStart"].unique()
        for start in starts:
            one = table if len(starts) == 1 else table.filter(pc.equal(table["BillingPeriodStart"], start))
            parts.setdefault(start.as_py(), []).append(one)
    return [pa.concat_tables(parts[start]) for start in sorted(parts)]


def covering(wanted: Sequence[PeriodKey]) -> pc.Expression:
    """The rows of ``keys`` as a filter of a read."""
    kind = COST.schema.field("BillingPeriodStart").type
    out = None
    for source, period, accounts in _grouped(wanted):
        one = (
            (pc.field("source") == source)
            & (pc.field("BillingPeriodStart") == pa.scalar(period, kind))
            & pc.field("BillingAccountId").isin(accounts)
        )
        out = one if out is None else out | one
    return out


def predicate(wanted: Sequence[PeriodKey]) -> str:
    """The same as SQL."""
    return " OR ".join(
        f'("source" = {sql_text(source)} AND "BillingPeriodStart" = {sql_text(period.isoformat())} '
        f'AND "BillingAccountId" IN ({", ".join(sql_text(a) for a in accounts)}))'
        for source, period, accounts in _grouped(wanted)
    )


def _grouped(wanted: Sequence[PeriodKey]) -> list[tuple[str, datetime, list[str]]]:
    groups: dict[tuple[str, datetime], list[str]] = {}
    for source, account, period in sorted(wanted, key=lambda k: (k[0], k[2], k[1])):
        groups.setdefault((source, period), []).append(account)
    return [(s, p, a) for (s, p), a in groups.items()]


def mismatch(expected: Sequence[MoneyTotal], stored: Sequence[MoneyTotal]) -> str:
    """The first total that does not agree, in words."""
    for want, got in zip_longest(expected, stored):
        if want != got:
            return f"the sums in the store do not agree with the bill: expected {want}, found {got}"
    return "the sums agree"
