"""Rows of one planning unit: of long frames by an index that is made once, since comparing names row by row is slow."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

_Places = Mapping[tuple[str, str], npt.NDArray[np.intp]]
# Of a shorter frame the names are compared sooner than an index is made.
LONG_ROWS = 10_000
_known: dict[int, tuple[weakref.ref[Any], _Places]] = {}


def rows_of(frame: pd.DataFrame, service: str, region: str) -> pd.DataFrame:
    """Rows of ``frame`` (columns service and region) of one planning unit, in their order; ``frame`` must not change.

    An index lives as long as its frame.
    """
    if len(frame) < LONG_ROWS:
        return frame[(frame["service"] == service) & (frame["region"] == region)]
    places = _places(frame)
    return frame.iloc[places.get((service, region), np.empty(0, dtype=np.intp))]


def _places(frame: pd.DataFrame) -> _Places:
    key = id(frame)
    held = _known.get(key)
    if held is None or held[0]() is not frame:
        found: Any = frame.groupby(["service", "region"], sort=False, observed=True).indices
        held = (weakref.ref(frame, lambda _: _known.pop(key, None)), found)
        _known[key] = held
    return held[1]


__all__ = ["LONG_ROWS", "rows_of"]
