"""Rows of a plan that several readers want: those of a planning unit, and what all purchases save."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.plan import Plan

_Places = Mapping[tuple[str, str], npt.NDArray[np.intp]]
# Of a shorter frame the names are compared sooner than an index is made.
LONG_ROWS = 10_000
_known: dict[int, tuple[weakref.ref[Any], _Places]] = {}


def rows_of(frame: pd.DataFrame, service: str, region: str) -> pd.DataFrame:
    """Rows of ``frame`` (columns service and region) of one planning unit, in their order; ``frame`` must not change.

    Of long frames they are found by an index, which lives as long as its frame: comparing names row by row is slow.
    """
    if len(frame) < LONG_ROWS:
        return frame[(frame["service"] == service) & (frame["region"] == region)]
    places = _places(frame)
    return frame.iloc[places.get((service, region), np.empty(0, dtype=np.intp))]


def saving_together(plan: Plan) -> tuple[float, bool]:
    """Mean USD over their terms that the purchases save, and whether all together: against buying none of them.

    Else it is the sum of what each saves beside the others, which is less: where one is missing, what is owned or
    another one steps in. Plans of before sizes were told know no more.
    """
    sizes = plan.frame("purchase_sizes")
    whole = sizes[(sizes["offer"] == "") & (sizes["size_frac"] == 1.0)]
    if len(whole):
        return float(whole["saving_mean"].iloc[0]), True
    return float(plan.frame("purchases")["saving_mean"].sum()), False


def _places(frame: pd.DataFrame) -> _Places:
    key = id(frame)
    held = _known.get(key)
    if held is None or held[0]() is not frame:
        found: Any = frame.groupby(["service", "region"], sort=False, observed=True).indices
        held = (weakref.ref(frame, lambda _: _known.pop(key, None)), found)
        _known[key] = held
    return held[1]


__all__ = ["LONG_ROWS", "rows_of", "saving_together"]
