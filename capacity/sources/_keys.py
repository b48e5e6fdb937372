"""Rows by their key: integer codes that compare across tables, and duplicates found and judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from capacity.errors import CorruptDataError

Codes = npt.NDArray[np.int64]

# Below the int64 limit: mixed-radix codes are compressed before they could pass it.
_CODE_LIMIT = 2**62


def key_codes(tables: Sequence[pa.Table], columns: Sequence[str]) -> list[Codes]:
    """One code a row, equal exactly where all ``columns`` are equal, over all ``tables`` together.

    Parameters
    ----------
    tables
        Tables that share the types of ``columns``; a null equals a null.
    columns
        The key.

    Returns
    -------
    list of int64 arrays, one a table, one code a row. Codes mean nothing beyond this call.
    """
    rows = [t.num_rows for t in tables]
    codes = np.zeros(sum(rows), dtype=np.int64)
    size = 1
    for column in columns:
        code, n = _column_codes([t[column] for t in tables])
        if size * n >= _CODE_LIMIT:
            codes, size = _compressed(codes)
        codes = codes * n + code
        size *= n
    return np.split(codes, np.cumsum(rows)[:-1])


def _column_codes(parts: Sequence[pa.ChunkedArray]) -> tuple[Codes, int]:
    chunks = [c for p in parts for c in p.chunks]
    whole = pa.chunked_array(chunks, type=parts[0].type).dictionary_encode("encode").combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # an empty chunked array stays chunked
        return np.zeros(0, dtype=np.int64), 1
    return whole.indices.to_numpy(zero_copy_only=False).astype(np.int64), max(1, len(whole.dictionary))


def _compressed(codes: Codes) -> tuple[Codes, int]:
    unique, inverse = np.unique(codes, return_inverse=True)
    return inverse.astype(np.int64), max(1, len(unique))


def without_duplicates(
    table: pa.Table, key: Sequence[str], where: str, place: Callable[[int], str] | None = None
) -> tuple[pa.Table, int]:
    """``table`` with each key once, and how many identical rows were dropped.

    Parameters
    ----------
    place
        Names a row (from 0) for the message, e.g. by its line in the file.

    Raises
    ------
    CorruptDataError
        Two rows share a key and differ elsewhere; names ``where``, the key, both rows and both values.
    """
    if not key or table.num_rows < 2:
        return table, 0
    (codes,) = key_codes([table], key)
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    if len(first) == table.num_rows:
        return table, 0
    original = first[inverse]
    repeated = np.flatnonzero(original != np.arange(table.num_rows))
    rest = [c for c in table.column_names if c not in key]
    different = differing(table.take(repeated), table.take(original[repeated]), rest)
    if different.any():
        at = int(np.flatnonzero(different)[0])
        raise CorruptDataError(
            _conflict(table, key, rest, where, place, (int(original[repeated[at]]), int(repeated[at])))
        )
    return table.take(np.sort(first)), len(repeated)


def differing(one: pa.Table, other: pa.Table, columns: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Rows (aligned) of which any of ``columns`` differs; null equals null, and NaN does not occur."""
    out = np.zeros(one.num_rows, dtype=bool)
    for column in columns:
        a, b = one[column], other[column]
        unequal = pc.fill_null(pc.not_equal(a, b), False)
        one_null = pc.not_equal(pc.is_null(a), pc.is_null(b))
        out |= pc.or_(unequal, one_null).to_numpy()
    return out


def _conflict(
    table: pa.Table,
    key: Sequence[str],
    rest: Sequence[str],
    where: str,
    place: Callable[[int], str] | None,
    rows: tuple[int, int],
) -> str:
    name = place or (lambda row: f"row {row + 1}")
    a, b = (table.slice(r, 1).to_pylist()[0] for r in rows)
    named = ", ".join(f"{k}={_text(a[k])}" for k in key)
    unlike = [c for c in rest if a[c] != b[c]]
    values = "; ".join(
        f"{name(r)} says {', '.join(f'{c}={_text(x[c])}' for c in unlike)}" for r, x in zip(rows, (a, b), strict=True)
    )
    return f"{where}: two rows have the key {named} and differ: {values}; keep one of them"


def _text(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
