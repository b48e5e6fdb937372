"""Tags of a bill: a JSON map of text to text, read once per distinct string."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from capacity.costs._columns import Coded, Codes


def parse_tags(text: str | None) -> dict[str, str] | None:
    """Tags of one Tags value; None where it is not a JSON map. A tag without a value is "true", as FOCUS says."""
    if text is None or text == "":
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {k: v if type(v) is str else _as_text(v) for k, v in found.items()}


def _as_text(value: Any) -> str:
    if value is None:
        return "true"
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True)
class TagColumns:
    """The wanted tags as columns over the *codes* of Tags, and which codes could not be read."""

    columns: dict[str, Coded]
    malformed: Codes


def tag_columns(tags: Coded, wanted: Collection[str]) -> TagColumns:
    """One :class:`Coded` a wanted tag: its ``codes`` are indexed by the code of Tags (0: no tags)."""
    index: dict[str, dict[str, int]] = {t: {} for t in wanted}
    codes = {t: np.zeros(tags.cardinality, np.int32) for t in wanted}
    malformed = []
    for code, text in enumerate(tags.distinct.to_pylist(), start=1):
        found = parse_tags(text)
        if found is None:
            malformed.append(code)
            continue
        for tag in wanted:
            value = found.get(tag)
            if value is not None:
                codes[tag][code] = index[tag].setdefault(value, len(index[tag]) + 1)
    columns = {t: Coded(codes[t], pa.array(list(index[t]), pa.string())) for t in wanted}
    return TagColumns(columns, np.array(malformed, np.int32))
