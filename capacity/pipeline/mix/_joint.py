"""Joint paths: hours of several units on one clock, and levels that hold for several loads at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity import words
from capacity.config import zone
from capacity.domain import Floats, Paths
from capacity.forecast.targets import HOURS

Ints = npt.NDArray[np.intp]


def months_of(days: pd.DatetimeIndex) -> list[tuple[str, Ints]]:
    """Calendar months of ``days``, in order, and the positions of their days."""
    names = words.month_names(days)
    return [(str(m), np.flatnonzero(names == m)) for m in dict.fromkeys(names)]


def block_tops(hours: Paths, groups: Ints, at: Ints, blocks: int) -> Paths:
    """(P, B) largest hour of each block in the days ``at``."""
    flat, labels = hours[:, at].reshape(len(hours), -1), groups[at].ravel()
    return np.stack([flat[:, labels == b].max(axis=1) for b in range(blocks)], axis=1)


def joint_levels(tops: Paths, service_level: float) -> Floats:
    """(C,) levels, at one common rank, that at least ``service_level`` of the rows stay within in all columns."""
    ordered = np.sort(tops, axis=0)
    ranks = np.stack([np.searchsorted(o, t, side="left") for o, t in zip(ordered.T, tops.T, strict=True)], axis=1)
    needed = int(np.ceil(service_level * len(tops) - 1e-9))
    kept = tops[np.argsort(ranks.max(axis=1), kind="stable")[:needed]]
    return np.asarray(kept.max(axis=0), dtype=float)


def shared_days(indexes: list[pd.DatetimeIndex]) -> pd.DatetimeIndex:
    """Days that all have, in order."""
    out = indexes[0]
    for other in indexes[1:]:
        out = out[out.isin(other)]
    return out


def on_clock(hours: Paths, days: pd.DatetimeIndex, own: str, wanted: str) -> Paths:
    """(P, D, 24) hours of the days of time zone ``own``, as days and hours of ``wanted``.

    Whole hours of the difference in the middle of the horizon; the first and last hours, of which one side knows
    nothing, are the nearest known day's.
    """
    if own == wanted or not len(days):
        return hours
    noon = days[len(days) // 2] + pd.Timedelta(hours=12)
    ahead = noon.tz_localize(zone(wanted)).tz_convert(zone(own)).tz_localize(None) - noon
    by = round(ahead / pd.Timedelta(hours=1))
    flat = hours.reshape(len(hours), -1)
    at = np.arange(flat.shape[1]) + by
    at = np.where(at < 0, at + HOURS, np.where(at >= flat.shape[1], at - HOURS, at))
    return np.asarray(flat[:, at].reshape(hours.shape))
