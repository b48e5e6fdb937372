"""Tags as JSON text: written out from maps and structs once a distinct row, and text set right."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from capacity.sources._convert import Notes, by_unique, coded, one

Pairs = Mapping[str, Any]
# What becomes of a row's pairs before they are written.
Change = Callable[[Pairs], Pairs]


def column(raw: pa.ChunkedArray | pa.Array, notes: Notes, change: Change = dict) -> pa.Array:
    """``raw`` (JSON text, a map or a struct) as JSON text with sorted keys; null stays null."""
    array = one(raw)
    if pa.types.is_map(array.type):
        return _from_map(array, change)
    if pa.types.is_nested(array.type):
        return pa.array([None if v is None else write(change(dict(v))) for v in array.to_pylist()], pa.string())
    return by_unique(array, lambda v: _braced(v, notes, change), pa.string(), "JSON")


def write(pairs: Pairs) -> str:
    """``pairs`` as JSON with sorted keys."""
    return json.dumps(dict(pairs), sort_keys=True, ensure_ascii=False, default=str)


def _braced(value: str, notes: Notes, change: Change) -> str:
    bare = value.strip()
    if bare.startswith('"'):
        notes.add("Tags without braces: set")
        bare = "{" + bare + "}"
    elif change is dict:
        return value
    try:
        pairs = json.loads(bare)
    except (ValueError, RecursionError):
        return bare
    return write(change(pairs)) if change is not dict and isinstance(pairs, dict) else bare


def _from_map(array: pa.MapArray, change: Change) -> pa.Array:
    """Rows with the same pairs in the same order are written once."""
    keys, items = coded(array.keys), coded(array.items)
    key_words, item_words = keys.dictionary.to_pylist(), items.dictionary.to_pylist()
    # One code a pair: the key's, and the value's with 0 for null.
    values = np.asarray(pc.fill_null(items.indices, -1)).astype(np.int64) + 1
    pairs = np.asarray(keys.indices).astype(np.int64) * (len(item_words) + 1) + values
    offsets = np.asarray(array.offsets)
    known: dict[bytes, int] = {}
    texts: list[str] = []
    rows = np.empty(len(array), np.int32)
    for row in range(len(array)):
        part = pairs[offsets[row] : offsets[row + 1]]
        code = known.setdefault(part.tobytes(), len(texts))
        if code == len(texts):
            words = ((key_words[p // (len(item_words) + 1)], p % (len(item_words) + 1)) for p in part.tolist())
            texts.append(write(change({k: item_words[v - 1] if v else None for k, v in words})))
        rows[row] = code
    out = pa.array(texts, pa.string()).take(pa.array(rows))
    return pc.if_else(pc.is_valid(array), out, pa.scalar(None, pa.string())) if array.null_count else out
