"""A block of an AWS report: its columns by their CUR 2.0 names, and which of its lines are of which type."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from capacity.schemas import MONEY
from capacity.sources import _convert
from capacity.sources._amounts import money
from capacity.sources._keys import key_codes
from capacity.sources._tabular import Block, TabularFile
from capacity.sources.bills import _cur_rules, _rows, _tags

_TEXT = pa.string()
_HAVE_COMMITMENT = (
    _cur_rules.COVERED, _cur_rules.RESERVED, _cur_rules.NEGATION, _cur_rules.PLAN_FEE, _cur_rules.PLAN_UPFRONT,
    _cur_rules.RESERVATION_FEE, _cur_rules.FEE,
)  # fmt: skip


class Lines:
    """Lines of a report; every array has one value a line."""

    def __init__(
        self, block: Block, given: Mapping[str, str], tags: Sequence[str], file: TabularFile, notes: _convert.Notes
    ) -> None:
        self.rows, self.first_row = block.table.num_rows, block.first_row
        self._table, self._given, self._tag_columns, self._file, self._notes = block.table, given, tags, file, notes
        self._amounts: dict[str, pa.Array] = {}

    # --- columns ---------------------------------------------------------------------------------------------

    def text(self, *names: str) -> pa.Array:
        """The first of the columns ``names`` that has a value; null where none has."""
        found = [self._empty_as_null(n) for n in names if n in self._given]
        return pc.coalesce(*found) if found else pa.nulls(self.rows, _TEXT)

    def _empty_as_null(self, name: str) -> pa.Array:
        array = _convert.text(self._table[self._given[name]])
        return pc.if_else(pc.equal(array, ""), pa.scalar(None, _TEXT), array)

    def amount(self, *names: str, exact: bool = False) -> pa.Array:
        """The first of the decimal columns ``names`` that has a value; null where none has."""
        found = [self._money(n, exact) for n in names if n in self._given]
        return pc.coalesce(*found) if found else pa.nulls(self.rows, MONEY)

    def _money(self, name: str, exact: bool) -> pa.Array:
        """Converted once, as it is asked for first."""
        if name not in self._amounts:
            try:
                raw = self._table[self._given[name]]
                self._amounts[name] = money(raw, self._given[name], self._notes, exact=exact)
            except _convert.BadValueError as error:
                raise self.corrupt(name, error.row, error.value, error.allowed) from None
        return self._amounts[name]

    def times(self) -> dict[str, pa.Array]:
        """The four time columns, UTC; a line without dates of its own has those of its billing period."""
        out = {}
        for name, columns in _cur_rules.TIMES.items():
            found = [self._time(c) for c in columns if c in self._given]
            out[name] = pc.coalesce(*found)
        return out

    def _time(self, name: str) -> pa.Array:
        column = _convert.one(self._table[self._given[name]])
        if pa.types.is_string(column.type):
            column = pc.if_else(pc.equal(column, ""), pa.scalar(None, _TEXT), column)
        try:
            return _convert.times(column).as_utc()
        except _convert.BadValueError as error:
            raise self.corrupt(name, error.row, error.value, error.allowed) from None

    def corrupt(self, name: str, row: int, value: object, allowed: str) -> Exception:
        """The error for line ``row`` of this block."""
        return _rows.corrupt(self._file, self._given.get(name, name), self.first_row + row, value, allowed)

    # --- types -----------------------------------------------------------------------------------------------

    @cached_property
    def kinds(self) -> pa.Array:
        """The line item type of each line."""
        found = self.text(_cur_rules.TYPE)
        if found.null_count:
            raise self.corrupt(_cur_rules.TYPE, _convert.first(pc.is_null(found)), None, "a line item type")
        return found

    @cached_property
    def kinds_present(self) -> list[str]:
        return sorted(pc.unique(self.kinds).to_pylist())

    def of(self, *kinds: str) -> pa.Array:
        """Lines of one of these types."""
        return pc.is_in(self.kinds, value_set=pa.array(kinds))

    def is_category(self, category: str) -> pa.Array:
        """Lines of this ChargeCategory."""
        return self.of(*(k for k in self.kinds_present if _cur_rules.charge(k)[0] == category), "")

    def by_kind(self, value: Callable[[str], str]) -> pa.Array:
        return _convert.by_unique(self.kinds, value, _TEXT, "a line item type")

    @cached_property
    def is_use(self) -> pa.Array:
        """Lines that say what was consumed."""
        return self.of(_cur_rules.USAGE, _cur_rules.COVERED, _cur_rules.RESERVED)

    def where(self, mask: pa.Array, value: pa.Array | pa.Scalar) -> pa.Array:
        """``value`` on these lines, null on the others."""
        return pc.if_else(mask, value, pa.scalar(None, value.type))

    # --- commitments -----------------------------------------------------------------------------------------

    @cached_property
    def plan(self) -> pa.Array:
        """The Savings Plan of lines that belong to one."""
        return self.where(self.of(*_HAVE_COMMITMENT), self.text(_cur_rules.PLAN_ID))

    @cached_property
    def reservation(self) -> pa.Array:
        """The reservation of lines that belong to one, and to no Savings Plan."""
        mine = pc.and_(self.of(*_HAVE_COMMITMENT), pc.is_null(self.plan))
        return self.where(mine, self.text(_cur_rules.RESERVATION_ID))

    @cached_property
    def commitment(self) -> pa.Array:
        return pc.coalesce(self.plan, self.reservation)

    @cached_property
    def has_normalised(self) -> pa.Array:
        """Lines of reservations of flexible size, which are counted in normalised units."""
        fee = self.amount(_cur_rules.RESERVED_NORMALISED)
        use = self.amount(_cur_rules.NORMALISED_AMOUNT)
        counted = pc.if_else(self.of(_cur_rules.RESERVED), use, fee)
        return pc.fill_null(pc.greater(counted, pa.scalar(0, MONEY)), False)

    # --- maps ------------------------------------------------------------------------------------------------

    def with_product(self, array: pa.Array, key: str) -> pa.Array:
        """``array``, and where it is null what CUR 2.0's map ``product`` has under ``key``."""
        if _cur_rules.PRODUCT not in self._given or not array.null_count:
            return array
        column = _convert.one(self._table[self._given[_cur_rules.PRODUCT]])
        if pa.types.is_map(column.type):
            return pc.coalesce(array, _map_values(column, key))
        return pc.coalesce(array, _convert.by_unique(column, lambda v: _json_value(v, key), _TEXT, "JSON"))

    def tags(self) -> pa.Array:
        """Tags as JSON, from CUR 2.0's map or from a column for each tag; null where a line has none."""
        if _cur_rules.TAGS in self._given:
            found = _tags.column(self._table[self._given[_cur_rules.TAGS]], self._notes, _own_keys)
            return pc.if_else(pc.equal(found, "{}"), pa.scalar(None, _TEXT), found)
        if not self._tag_columns:
            return pa.nulls(self.rows, _TEXT)
        words = [pc.fill_null(_convert.text(self._table[n]), "") for n in self._tag_columns]
        keys = [_cur_rules.tag_key(_without_prefix(n)) for n in self._tag_columns]
        (codes,) = key_codes(
            [pa.table(words, names=[str(i) for i in range(len(words))])], [str(i) for i in range(len(words))]
        )
        _, first, place = np.unique(codes, return_index=True, return_inverse=True)
        distinct = zip(*(w.take(pa.array(first)).to_pylist() for w in words), strict=True)
        texts = [_tags.write(found) if (found := _present(keys, row)) else None for row in distinct]
        return pa.array(texts, _TEXT).take(pa.array(place))


def _present(keys: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    return {k: v for k, v in zip(keys, row, strict=True) if v}


def _without_prefix(name: str) -> str:
    return next(name[len(p) :] for p in _cur_rules.TAG_COLUMNS if name.startswith(p))


def _own_keys(pairs: Mapping[str, Any]) -> Mapping[str, Any]:
    return {_cur_rules.tag_key(k): v for k, v in pairs.items() if v not in (None, "")}


def _map_values(column: pa.MapArray, key: str) -> pa.Array:
    """What each row of a map has under ``key``."""
    keys, items = _convert.coded(column.keys), _convert.text(column.items)
    code = keys.dictionary.to_pylist().index(key) if key in keys.dictionary.to_pylist() else -1
    offsets = np.asarray(column.offsets)
    at = np.flatnonzero(np.asarray(pc.fill_null(keys.indices, -2)) == code) if code >= 0 else np.zeros(0, np.int64)
    inside = at[(at >= offsets[0]) & (at < offsets[-1])]
    place = np.full(len(column), -1, np.int64)
    place[np.searchsorted(offsets, inside, side="right") - 1] = inside
    found = items.take(pa.array(place, mask=place < 0))
    return pc.if_else(pc.equal(found, ""), pa.scalar(None, _TEXT), found)


def _json_value(text: str, key: str) -> str | None:
    try:
        found = json.loads(text).get(key)
    except (ValueError, RecursionError, AttributeError):
        return None
    return found if isinstance(found, str) and found else None
