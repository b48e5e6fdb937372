"""Amounts as exact decimals: text, decimals, integers, and binary floats by their shortest spelling."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from capacity.schemas import MONEY
from capacity.sources._convert import BadValueError, Notes, coded, first, one, text

_QUANTUM = Decimal(1).scaleb(-MONEY.scale)
# $10,000.00 as spreadsheets write it: thousands in threes, a point before the decimals.
_GROUPED = re.compile(r"^[-+]?\$?[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?$")
_ALLOWED = "a decimal number below 1e26"

# A decimal of at most 15 digits survives the way through a double and back (IEEE 754 binary64).
_SAFE_DIGITS = 1e15
# Room for what a double may say: 26 digits before the point, 40 behind it.
_WIDE = pa.decimal256(76, 40)
_INT64_MAX = 9.2e18


def money(column: pa.ChunkedArray | pa.Array, name: str, notes: Notes, *, exact: bool) -> pa.Array:
    """``column`` as decimal128(38, 12).

    ``exact`` columns refuse a value with more than 12 decimals; others are rounded half to even and noted.
    A float column (Parquet) has no exact amount: its shortest spelling is taken, rounded, and noted.
    """
    array = one(column)
    if pa.types.is_floating(array.type):
        notes.add(f"{name}: read from binary floating point by its shortest decimal spelling ({{n}} rows)", len(array))
        return _from_floats(array, name, notes)
    if pa.types.is_decimal(array.type) or pa.types.is_integer(array.type):
        try:
            return pc.cast(array, MONEY)
        except pa.ArrowInvalid:
            pass  # more decimals than 12: told apart below
    if pa.types.is_dictionary(array.type):
        return _from_words(coded(array), name, notes, exact)
    plain = pc.utf8_trim_whitespace(text(array))
    try:
        return pc.cast(plain, MONEY)
    except pa.ArrowInvalid:
        return _from_words(plain.dictionary_encode(), name, notes, exact)


def _from_words(words: pa.DictionaryArray, name: str, notes: Notes, exact: bool) -> pa.Array:
    """Each distinct text once."""
    plain = pc.utf8_trim_whitespace(words.dictionary)
    try:
        return pc.cast(plain, MONEY).take(words.indices)
    except pa.ArrowInvalid:
        return _slow(plain, words.indices, name, notes, exact)


def _slow(words: pa.Array, indices: pa.Array, name: str, notes: Notes, exact: bool) -> pa.Array:
    """Other spellings, more decimals, and the message for what is neither."""
    out: list[Decimal | None] = []
    rounded: list[int] = []
    for i, value in enumerate(words.to_pylist()):
        amount = None if value is None else _amount(value)
        short = None if amount is None or not _fits(amount) else _rounded(amount)
        problem = None
        if value is not None and short is None:
            problem = _ALLOWED
        elif short != amount:
            rounded.append(i)
            problem = (
                f"at most {MONEY.scale} decimals, to be kept exactly ('excess_decimals: round' rounds them)"
                if exact
                else None
            )
        if problem:
            _refuse(indices, i, value, problem)
        out.append(short)
    rows = int(np.isin(indices.to_numpy(zero_copy_only=False), rounded).sum()) if rounded else 0
    if rows:
        notes.add(f"{name}: rounded half to even to {MONEY.scale} decimals ({{n}} rows)", rows)
    return pa.array(out, MONEY).take(indices)


def _refuse(indices: pa.Array, word: int, value: object, allowed: str) -> None:
    """Raise for the first row that has ``word``; a dictionary may hold words that no row has."""
    at = pc.equal(indices, word)
    if pc.any(at).as_py():
        raise BadValueError(first(at), value, allowed)


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


# --- binary floats -------------------------------------------------------------------------------------------


def _from_floats(array: pa.Array, name: str, notes: Notes) -> pa.Array:
    _refuse_unless_finite(array)
    if not pa.types.is_float64(array.type):  # a float32 spells itself shorter than the double it widens to
        return _spelt(array, name, notes)
    values = pc.fill_null(array, 0.0).to_numpy(zero_copy_only=False)
    units, done = _units(values)
    if not done.all():
        left = pa.array(~done)
        rest = _spelt(array.filter(left), name, notes)
        return pc.replace_with_mask(_decimals(units, array), left, rest)
    return _decimals(units, array)


def _units(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Units of 1e-12 of each value, and for which values they are sure to be those of its shortest spelling.

    A whole number n of at most 15 digits with n / 10^k equal to the double is the only decimal of so few digits that
    reads as this double, so it is the shortest.
    """
    units = np.zeros(len(values), np.int64)
    done = np.zeros(len(values), bool)
    size = np.abs(values)
    for decimals in (12, 6):
        scale = 10.0**decimals
        whole = np.rint(values * scale)
        fits = ~done & (size * scale < _SAFE_DIGITS) & (size * 10.0**12 < _INT64_MAX) & (whole / scale == values)
        units[fits] = whole[fits].astype(np.int64) * 10 ** (12 - decimals)
        done |= fits
        if done.all():
            break
    return units, done


def _decimals(units: npt.NDArray[np.int64], like: pa.Array) -> pa.Array:
    """Units of 1e-12 as decimal128(38, 12), null where ``like`` is: 16 bytes, little-endian, two's complement."""
    halves = np.empty((len(units), 2), np.int64)
    halves[:, 0] = units
    halves[:, 1] = units >> 63  # the sign, all over the upper half
    out = pa.Array.from_buffers(MONEY, len(units), [None, pa.py_buffer(halves)])
    return pc.if_else(pc.is_valid(like), out, pa.scalar(None, MONEY)) if like.null_count else out


def _spelt(array: pa.Array, name: str, notes: Notes) -> pa.Array:
    """By its text: more digits, or larger than units of 1e-12 hold."""
    words = pc.cast(array, pa.string())
    try:
        wide = pc.cast(words, _WIDE)
        short = pc.round(wide, MONEY.scale, "half_to_even")
        changed = int(pc.sum(pc.not_equal(wide, short), min_count=0).as_py() or 0)
        out = pc.cast(short, MONEY)
    except pa.ArrowInvalid:
        return _slow(words.dictionary_encode().dictionary, words.dictionary_encode().indices, name, notes, False)
    if changed:
        notes.add(f"{name}: rounded half to even to {MONEY.scale} decimals ({{n}} rows)", changed)
    return out


def _refuse_unless_finite(array: pa.Array) -> None:
    bad = pc.and_(pc.is_valid(array), pc.invert(pc.is_finite(array)))
    if pc.any(bad).as_py():
        row = first(bad)
        raise BadValueError(row, array[row].as_py(), "a finite number")
