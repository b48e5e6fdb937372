"""What a batch would change: rows compared with the stored ones by key."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from capacity.schemas import UTC, Table
from capacity.sources import differing, key_codes


@dataclass(frozen=True)
class Difference:
    """Rows of a batch that the store does not have, and those that it has with another value."""

    added: pa.Table
    changed: pa.Table

    def __bool__(self) -> bool:
        return bool(self.added.num_rows or self.changed.num_rows)


def affected(table: Table, rows: pa.Table) -> pc.Expression | None:
    """A filter for the stored rows that ``rows`` may meet: their sources, and their span of time."""
    out = None
    if "source" in table.key:
        out = pc.field("source").isin(pc.unique(rows["source"]).to_pylist())
    time = next((k for k in table.key if table.schema.field(k).type == UTC), None)
    if time is not None:
        span = pc.min_max(rows[time])
        within = (pc.field(time) >= span["min"]) & (pc.field(time) <= span["max"])
        out = within if out is None else out & within
    return out


def difference(table: Table, rows: pa.Table, stored: pa.Table) -> Difference:
    """``rows`` (each key once) against ``stored``."""
    new, old = key_codes([rows, stored], table.key)
    order = np.argsort(old, kind="stable")
    if not len(old):
        return Difference(rows, rows.slice(0, 0))
    at = np.minimum(np.searchsorted(old, new, sorter=order), len(old) - 1)
    match = order[at]
    known = old[match] == new
    rest = [c for c in table.columns if c not in table.key]
    both = np.flatnonzero(known)
    unlike = differing(rows.take(both).select(rest), stored.take(match[both]).select(rest), rest)
    return Difference(rows.filter(pa.array(~known)), rows.take(both[unlike]))


def in_key_order(table: Table, rows: pa.Table) -> pa.Table:
    """``rows`` sorted by the key; as they are where the table has none."""
    if not table.key or rows.num_rows < 2:
        return rows
    ranks = [_ranks(rows[k]) for k in reversed(table.key)]
    order = np.lexsort(ranks)
    return rows if (np.diff(order) == 1).all() else rows.take(order)


def _ranks(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Integers in the order of the values; strings are ranked by their distinct values only."""
    if column.type == UTC:
        at: npt.NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
        return at
    coded = column.dictionary_encode("encode").combine_chunks()
    rank = np.empty(len(coded.dictionary), np.int64)
    rank[pc.sort_indices(coded.dictionary).to_numpy()] = np.arange(len(rank))
    out: npt.NDArray[np.int64] = rank[coded.indices.to_numpy(zero_copy_only=False)]
    return out
