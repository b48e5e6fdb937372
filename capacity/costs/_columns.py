"""Columns as whole-number codes of their distinct values, and several of them as one group number.

A bill of millions of rows has few distinct values a column. Work per distinct value, then per code, is what keeps
200 rules over 5,000,000 rows within seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.int32]
Groups = npt.NDArray[np.int64]
_WIDEST = 2**62  # products of cardinalities stay inside int64
_DENSE = 2**20  # keys below this are grouped by a table that stays in the processor's cache
_WORTH_THREADS = 200_000  # rows
_THREADS = 2


@dataclass(frozen=True)
class Coded:
    """A column as codes: 0 is null, code c > 0 stands for ``distinct[c - 1]``."""

    codes: Codes
    distinct: pa.Array

    @property
    def cardinality(self) -> int:
        return len(self.distinct) + 1

    def code_of(self, value: str) -> int:
        """The code of ``value``, or -1 where the column never has it."""
        found = pc.index(self.distinct, pa.scalar(value, self.distinct.type)).as_py()
        return int(found) + 1 if found >= 0 else -1

    def take(self, rows: Groups) -> pa.Array:
        """The values at ``rows``, nulls as null."""
        codes = self.codes[rows]
        return self.distinct.take(pa.array(codes - 1, mask=codes == 0))


def column_or_null(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Column ``name`` of ``table``; all null where a bill does not have it."""
    if name in table.column_names:
        return table.column(name)
    return pa.chunked_array([pa.nulls(table.num_rows, pa.string())])


def encode(column: pa.ChunkedArray) -> Coded:
    """Codes of a column of any type; dictionary columns keep their dictionary."""
    coded = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    if not coded.num_chunks:
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        return Coded(np.zeros(0, np.int32), pa.array([], kind))
    codes, at = np.empty(len(column), np.int32), 0
    for chunk in coded.chunks:  # in place: a copy of a large bill's columns is memory that the bill itself needs
        indices = pc.fill_null(chunk.indices.cast(pa.int32()), -1).to_numpy(zero_copy_only=False)
        np.add(indices, 1, out=codes[at : at + len(chunk)])
        at += len(chunk)
    return Coded(codes, coded.chunk(0).dictionary)


def encode_month(column: pa.ChunkedArray) -> Coded:
    """UTC month (YYYY-MM) of a column of time stamps."""
    return months_of(encode(column))


def months_of(stamps: Coded) -> Coded:
    """UTC month (YYYY-MM) of encoded time stamps."""
    micros = stamps.distinct.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    months, place = np.unique(micros.view("M8[us]").astype("M8[M]"), return_inverse=True)
    codes = np.concatenate([[0], place + 1]).astype(np.int32)[stamps.codes]
    return Coded(codes, pa.array([str(m) for m in months], pa.string()))


class CodedTable:
    """A table whose columns are encoded once, as they are asked for first; a column it lacks is all null."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._coded: dict[str, Coded] = {}

    def column(self, name: str) -> Coded:
        """Codes of column ``name``."""
        if name not in self._coded:
            self._coded[name] = encode(column_or_null(self.table, name))
        return self._coded[name]

    def month(self, name: str) -> Coded:
        """Codes of the UTC month of column ``name``."""
        key = f"{name} month"
        if key not in self._coded:
            self._coded[key] = months_of(self.column(name))
        return self._coded[key]

    def prepare(self, names: Iterable[str]) -> None:
        """Encode columns side by side: Arrow works outside Python's lock."""
        wanted = [n for n in dict.fromkeys(names) if n not in self._coded]
        if self.table.num_rows < _WORTH_THREADS:
            return  # a thread costs more than it saves; they are encoded as they are asked for
        with ThreadPoolExecutor(max_workers=_THREADS) as pool:
            self._coded |= zip(wanted, pool.map(lambda n: encode(column_or_null(self.table, n)), wanted), strict=True)


@dataclass(frozen=True)
class Grouping:
    """Rows grouped by several columns: the group of each row, and one row that stands for each group."""

    group: Groups
    first_row: Groups

    @property
    def count(self) -> int:
        return len(self.first_row)


def group_rows(columns: Sequence[tuple[Codes, int]], rows: int) -> Grouping:
    """Group by columns given as (codes, cardinality). Groups are numbered by first appearance."""
    key, width = np.zeros(rows, np.int64), 1
    for codes, cardinality in columns:
        if width * cardinality >= _WIDEST:
            key, found = pd.factorize(key)
            width = len(found)
        key = key * cardinality + codes
        width *= cardinality
    if width <= _DENSE:
        return _group_dense(key, width, rows)
    group, found = pd.factorize(key)
    first = np.empty(len(found), np.int64)
    first[group[::-1]] = np.arange(rows - 1, -1, -1)
    return Grouping(group.astype(np.int64, copy=False), first)


def _group_dense(key: Groups, width: int, rows: int) -> Grouping:
    """The same for keys below ``width``, by looking up instead of hashing."""
    first = np.full(width, rows, np.int64)
    first[key[::-1]] = np.arange(rows - 1, -1, -1)
    found = np.flatnonzero(first < rows)
    order = found[np.argsort(first[found], kind="stable")]
    number = np.zeros(width, np.int64)
    number[order] = np.arange(len(order))
    return Grouping(number[key], first[order])
