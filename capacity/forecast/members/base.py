"""What every member is: a way to make medians of the future from what is known at one origin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from capacity.domain import Floats
from capacity.forecast._history import View


class Member(Protocol):
    """One family of forecasts.

    A family gives one or several medians from one fit (Prophet's trend may go on, damp, or stand still). What it
    gives at past origins is scored; intervals and sample paths are made from those errors, for whatever combination
    of members is used, so a member needs none of its own.
    """

    @property
    def stems(self) -> tuple[str, ...]:
        """What the names of its medians begin with; the medians of one member are a family."""
        ...

    @property
    def costly(self) -> bool:
        """Whether a fit takes tens of milliseconds: then it is scored at fewer past origins."""
        ...

    def applies(self, view: View) -> bool:
        """Whether this history is enough for it."""
        ...

    def medians(self, view: View, horizon: int) -> Mapping[str, Floats]:
        """Name -> (horizon,) medians on the modelled scale; finite."""
        ...


def repeat(season: Floats, horizon: int) -> Floats:
    """One season, over and over, ``horizon`` steps long."""
    return np.resize(season, horizon)


def weighted_level(z: Floats, half_life: float) -> float:
    """Mean of ``z`` with weights that halve every ``half_life`` steps back; NaN skipped; 0 where nothing is seen."""
    seen = np.isfinite(z)
    if not seen.any():
        return 0.0
    weights = 0.5 ** (np.arange(len(z))[::-1][seen] / half_life)
    return float(np.dot(weights, z[seen]) / weights.sum())


def decay(horizon: int, tau: float) -> Floats:
    """(horizon,) exp(-step / tau): how a level's deviation fades."""
    return np.exp(-np.arange(1, horizon + 1) / tau)


def column_medians(z: Floats, period: int, seasons: int) -> Floats:
    """(period,) median of the last ``seasons`` seasons, aligned with the steps to come; NaN where none is seen."""
    rows = min(seasons, len(z) // period)
    table = z[len(z) - rows * period :].reshape(rows, period)
    out = np.full(period, np.nan)
    some = np.isfinite(table).any(axis=0)
    out[some] = np.nanmedian(table[:, some], axis=0)
    return out
