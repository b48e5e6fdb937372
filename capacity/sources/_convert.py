"""Raw columns as canonical ones: exact decimals, UTC time stamps, numbers; a bad value names its row."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC as UTC_ZONE
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from capacity.schemas import MONEY, UTC

_QUANTUM = Decimal(1).scaleb(-MONEY.scale)
_NAIVE = pa.timestamp("us")
# $10,000.00 as spreadsheets write it: thousands in threes, a point before the decimals.
_GROUPED = re.compile(r"^[-+]?\$?[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?$")


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


def text(column: pa.ChunkedArray) -> pa.Array:
    """Any column as strings; floats in their shortest exact spelling."""
    array = _one(column)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type):
        return array
    if pa.types.is_nested(array.type):
        raise BadValueError(_first(pc.is_valid(array)), array.type, "a plain value, not a list or a map")
    return pc.cast(array, pa.string())


def by_unique(array: pa.Array, convert: Callable[[str], object], kind: pa.DataType, allowed: str) -> pa.Array:
    """``convert`` once a distinct text; a ValueError from it names the first row that holds the text."""
    coded = array.dictionary_encode()
    out = []
    for i, value in enumerate(coded.dictionary.to_pylist()):
        try:
            out.append(convert(value))
        except ValueError:
            raise BadValueError(_first(pc.equal(coded.indices, i)), value, allowed) from None
    return pa.array(out, kind).take(coded.indices)


# --- decimals ----------------------------------------------------------------------------------------------


def money(column: pa.ChunkedArray, name: str, notes: Notes, *, exact: bool) -> pa.Array:
    """``column`` as decimal128(38, 12), never through a float.

    ``exact`` columns refuse a value with more than 12 decimals; others are rounded half to even and noted.
    A float column (Parquet) has no exact amount: its shortest spelling is taken, rounded, and noted.
    """
    array = _one(column)
    if pa.types.is_floating(array.type):
        notes.add(f"{name}: read from binary floating point by its shortest decimal spelling ({{n}} rows)", len(array))
        _refuse_unless_finite(array)
        exact = False
    elif pa.types.is_decimal(array.type) or pa.types.is_integer(array.type):
        try:
            return pc.cast(array, MONEY)
        except pa.ArrowInvalid:
            pass  # more decimals than 12: told apart below
    plain = pc.utf8_trim_whitespace(text(column))
    try:
        return pc.cast(plain, MONEY)
    except pa.ArrowInvalid:
        return _slow_money(plain, name, notes, exact)


def _slow_money(plain: pa.Array, name: str, notes: Notes, exact: bool) -> pa.Array:
    """One distinct text at a time: other spellings, more decimals, and the message for what is neither."""
    coded = plain.dictionary_encode()
    out: list[Decimal | None] = []
    rounded: list[int] = []
    for i, value in enumerate(coded.dictionary.to_pylist()):
        amount = _amount(value)
        if amount is None or not _fits(amount):
            raise BadValueError(_first(pc.equal(coded.indices, i)), value, "a decimal number below 1e26")
        short = _rounded(amount)
        if short != amount:
            if exact:
                raise BadValueError(
                    _first(pc.equal(coded.indices, i)), value, f"at most {MONEY.scale} decimals, to be kept exactly"
                )
            rounded.append(i)
        out.append(short)
    if rounded:
        rows = int(np.isin(coded.indices.to_numpy(zero_copy_only=False), rounded).sum())
        notes.add(f"{name}: rounded half to even to {MONEY.scale} decimals ({{n}} rows)", rows)
    return pa.array(out, MONEY).take(coded.indices)


def _amount(value: str) -> Decimal | None:
    try:
        amount = Decimal(value.replace("_", "x"))  # Decimal takes 1_000, a file may not
    except InvalidOperation:
        if not _GROUPED.match(value) or not any(c.isdigit() for c in value):
            return None
        try:
            amount = Decimal(value.replace("$", "").replace(",", ""))
        except InvalidOperation:
            return None
    return amount if amount.is_finite() else None


def _fits(amount: Decimal) -> bool:
    # adjusted() is the exponent of the leading digit; it also keeps 1e999999999 from being written out.
    return amount == 0 or amount.adjusted() < MONEY.precision - MONEY.scale


def _rounded(amount: Decimal) -> Decimal:
    with localcontext() as context:
        context.prec = 2 * MONEY.precision
        return amount.quantize(_QUANTUM, rounding=ROUND_HALF_EVEN)


def _refuse_unless_finite(array: pa.Array) -> None:
    bad = pc.and_(pc.is_valid(array), pc.invert(pc.is_finite(array)))
    if pc.any(bad).as_py():
        row = _first(bad)
        raise BadValueError(row, array[row].as_py(), "a finite number")


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


def times(column: pa.ChunkedArray) -> Times:
    """``column`` (text, date or timestamp) with and without zone told apart."""
    array = _one(column)
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        zoned = pa.types.is_timestamp(array.type) and array.type.tz is not None
        micros = _to_micros(array)
        return Times(micros, pc.is_valid(micros) if zoned else pa.array(np.zeros(len(micros), bool)))
    plain = pc.utf8_trim_whitespace(text(column))
    return _fast_times(plain) or _slow_times(plain)


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
    array = _one(column)
    if not (pa.types.is_string(array.type) or pa.types.is_dictionary(array.type)):
        return pc.cast(array, pa.float64(), safe=False)
    plain = pc.utf8_trim_whitespace(text(column))
    try:
        return pc.cast(plain, pa.float64())
    except pa.ArrowInvalid:
        return by_unique(plain, float, pa.float64(), "a number")


def integers(column: pa.ChunkedArray) -> pa.Array:
    """``column`` as int64; 3.0 is 3, 3.5 is refused."""
    array = _one(column)
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


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return (
            column.chunk(0)
            if column.num_chunks == 1
            else pa.concat_arrays(column.chunks)
            if column.num_chunks
            else pa.array([], column.type)
        )
    return column


def _first(mask: pa.Array) -> int:
    """Index of the first true."""
    return int(pc.index(pc.fill_null(mask, False), True).as_py())
