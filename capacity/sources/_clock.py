"""Wall clocks: time stamps without zone become UTC, through the hours that a clock skips and repeats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from capacity.sources._keys import key_codes

Micros = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def localised(wall: Micros, zone: str, later: Mask) -> tuple[Micros, Mask]:
    """Wall-clock microseconds of ``zone`` as UTC, and which of them stood in an hour that the clock skipped.

    Parameters
    ----------
    wall
        Microseconds since 1970-01-01T00:00 on the wall clock.
    later
        Where the clock shows the time twice, True means the second instant. Elsewhere it does not matter.

    Returns
    -------
    UTC microseconds; a skipped time is moved to the first instant that exists.
    """
    naive = pd.DatetimeIndex(wall.view("datetime64[us]"))
    exact = naive.tz_localize(zone, ambiguous=~later, nonexistent="NaT")
    skipped = np.asarray(exact.isna())
    if not skipped.any():
        return _micros(exact), skipped
    moved = naive.tz_localize(zone, ambiguous=~later, nonexistent="shift_forward")
    return _micros(moved), skipped


def second_time(table: pa.Table, key: Sequence[str]) -> Mask:
    """Rows whose ``key`` already stands further up."""
    (codes,) = key_codes([table], key)
    _, first = np.unique(codes, return_index=True)
    out = np.ones(table.num_rows, dtype=bool)
    out[first] = False
    return out


def _micros(index: pd.DatetimeIndex) -> Micros:
    utc = index.tz_convert("UTC").tz_localize(None).to_numpy()
    return utc.astype("datetime64[us]").astype(np.int64)
