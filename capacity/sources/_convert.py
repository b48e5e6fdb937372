"""Raw columns as canonical ones: exact decimals, UTC time stamps, numbers; a bad value names its row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC as UTC_ZONE
from datetime import datetime
from decimal import Decimal, InvalidOperation

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from capacity.schemas import UTC

_NAIVE = pa.timestamp("us")


class BadValueError(Exception):
    """A value that cannot be converted: which row (from 0, in the block), what it is and what is allowed."""

    def __init__(self, row: int, value: object, allowed: str) -> None:
        self.row, self.value, self.allowed = row, value, allowed
        super().__init__(f"row {row}: {value!r}: {allowed}")


@dataclass
class Notes:
    """What was tolerated, counted by sentence; ``lines`` gives them in the order they first came."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, sentence: str, rows: int = 0) -> None:
        """``sentence`` may hold ``{n}`` for the number of rows."""
        self.counts[sentence] = self.counts.get(sentence, 0) + rows

    def lines(self) -> tuple[str, ...]:
        return tuple(s.replace("{n}", f"{n:,}") for s, n in self.counts.items())


def text(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Any column as strings; floats in their shortest exact spelling."""
    array = one(column)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type):
        return array
    if pa.types.is_nested(array.type):
        raise BadValueError(first(pc.is_valid(array)), array.type, "a plain value, not a list or a map")
    return pc.cast(array, pa.string())


def coded(column: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    """Any column as a dictionary of the strings that :func:`text` would give."""
    array = one(column)
    if not pa.types.is_dictionary(array.type):
        return text(array).dictionary_encode()
    if pa.types.is_string(array.type.value_type):
        return array
    return pa.DictionaryArray.from_arrays(array.indices, pc.cast(array.dictionary, pa.string()))


def by_unique(
    array: pa.Array | pa.ChunkedArray, convert: Callable[[str], object], kind: pa.DataType, allowed: str
) -> pa.Array:
    """``convert`` once a distinct text; a ValueError from it names the first row that holds the text."""
    words = used(coded(array))
    out = []
    for i, value in enumerate(words.dictionary.to_pylist()):
        try:
            out.append(None if value is None else convert(value))
        except ValueError:
            raise BadValueError(first(pc.equal(words.indices, i)), value, allowed) from None
    return pa.array(out, kind).take(words.indices)


def used(words: pa.DictionaryArray) -> pa.DictionaryArray:
    """``words`` with only the distinct values that some row has."""
    seen = pc.unique(words.indices).drop_null()
    if len(seen) == len(words.dictionary):
        return words
    place = np.zeros(len(words.dictionary), np.int32)
    place[seen.to_numpy()] = np.arange(len(seen), dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(place).take(words.indices), words.dictionary.take(seen))


# --- time --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Times:
    """Time stamps as microseconds since 1970: UTC where ``zoned``, else on a wall clock whose zone is not said."""

    micros: pa.Array
    zoned: pa.Array  # bool

    @property
    def all_zoned(self) -> bool:
        return bool(pc.all(self.zoned).as_py() in (True, None))

    def as_utc(self) -> pa.Array:
        """All as UTC, those without a zone too."""
        return self.micros.cast(_NAIVE).cast(UTC)


def times(column: pa.ChunkedArray | pa.Array) -> Times:
    """``column`` (text, date or timestamp) with and without zone told apart."""
    array = one(column)
    if pa.types.is_dictionary(array.type):
        return _coded_times(array)
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        zoned = pa.types.is_timestamp(array.type) and array.type.tz is not None
        micros = _to_micros(array)
        return Times(micros, pc.is_valid(micros) if zoned else pa.array(np.zeros(len(micros), bool)))
    plain = pc.utf8_trim_whitespace(text(column))
    return _fast_times(plain) or _slow_times(plain)


def _coded_times(array: pa.DictionaryArray) -> Times:
    """Each distinct spelling once."""
    words = used(coded(array))
    try:
        found = times(words.dictionary)
    except BadValueError as error:
        raise BadValueError(first(pc.equal(words.indices, error.row)), error.value, error.allowed) from None
    return Times(found.micros.take(words.indices), found.zoned.take(words.indices))


def _to_micros(array: pa.Array) -> pa.Array:
    try:
        return pc.cast(array, pa.timestamp("us", tz=getattr(array.type, "tz", None))).cast(pa.int64())
    except pa.ArrowInvalid:
        raise BadValueError(0, array.type, "time stamps of whole microseconds") from None


def _fast_times(plain: pa.Array) -> Times | None:
    """All without a zone, or all with one; None where they are mixed or spelt in other ways."""
    for kind, zoned in ((_NAIVE, False), (UTC, True)):
        try:
            micros = pc.cast(plain, kind).cast(pa.int64())
        except pa.ArrowInvalid:
            continue
        return Times(micros, pc.is_valid(micros) if zoned else pa.array(np.zeros(len(micros), bool)))
    return None


def _slow_times(plain: pa.Array) -> Times:
    allowed = "an ISO 8601 time stamp such as 2026-01-31T13:00:00Z"
    micros = by_unique(plain, lambda v: _parsed(v)[0], pa.int64(), allowed)
    zoned = by_unique(plain, lambda v: _parsed(v)[1], pa.bool_(), allowed)
    return Times(micros, zoned)


def _parsed(value: str) -> tuple[int, bool]:
    at = datetime.fromisoformat(value)
    zoned = at.tzinfo is not None
    delta = (at if zoned else at.replace(tzinfo=UTC_ZONE)) - datetime(1970, 1, 1, tzinfo=UTC_ZONE)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds, zoned


# --- numbers -----------------------------------------------------------------------------------------------


def floats(column: pa.ChunkedArray) -> pa.Array:
    """``column`` as float64; NaN stays NaN."""
    array = one(column)
    if not (pa.types.is_string(array.type) or pa.types.is_dictionary(array.type)):
        return pc.cast(array, pa.float64(), safe=False)
    plain = pc.utf8_trim_whitespace(text(column))
    try:
        return pc.cast(plain, pa.float64())
    except pa.ArrowInvalid:
        return by_unique(plain, float, pa.float64(), "a number")


def integers(column: pa.ChunkedArray) -> pa.Array:
    """``column`` as int64; 3.0 is 3, 3.5 is refused."""
    array = one(column)
    if pa.types.is_integer(array.type):
        return pc.cast(array, pa.int64())
    return by_unique(text(column), _integer, pa.int64(), "a whole number")


def _integer(value: str) -> int:
    try:
        number = Decimal(value.strip())
        if number != number.to_integral_value() or number.adjusted() > 17:
            raise ValueError(value)
    except InvalidOperation:
        raise ValueError(value) from None
    return int(number)


def one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """``column`` in one piece."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks > 1 and pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def first(mask: pa.Array) -> int:
    """Index of the first true."""
    return int(pc.index(pc.fill_null(mask, False), True).as_py())
