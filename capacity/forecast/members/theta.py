"""The Theta method on the deseasonalised log scale (Assimakopoulos and Nikolopoulos 2000), drift damped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.forecast._history import View
from capacity.forecast.members.base import repeat

ALPHAS = (0.03, 0.08, 0.2, 0.4, 0.7)
# The drift goes on for about this many seasons.
DAMPING_SEASONS = 8.0
# Steps of the past that the season and the level are taken from, in seasons.
SEASONS_USED = 26
# Smoothing constants of levels that are given beside the one that one-step errors choose: those errors favour a level
# too slow or too quick for a horizon of many seasons.
GIVEN_ALPHAS = (0.1, 0.3)


@dataclass(frozen=True)
class Theta:
    """Simple exponential smoothing, alone and plus half the regression's drift; the season by detrended medians."""

    stems: tuple[str, ...] = ("theta", "level_")
    costly: bool = False

    def applies(self, view: View) -> bool:
        return not view.short and len(view) >= 3 * view.period

    def medians(self, view: View, horizon: int) -> Mapping[str, Floats]:
        m = view.period
        z = view.filled[-SEASONS_USED * m :]
        season = _season(z, m)
        flat = z - np.resize(np.roll(season, len(z) % m), len(z))
        level = _smoothed(flat)
        slope = float(np.polyfit(np.arange(len(flat)), flat, 1)[0]) / 2.0
        phi = np.exp(-1.0 / (DAMPING_SEASONS * m))
        drift = slope * np.cumsum(phi ** np.arange(1, horizon + 1))
        ahead = repeat(season, horizon)
        given = {f"level_{alpha:.1f}_and_season": _filter(flat, alpha)[0] + ahead for alpha in GIVEN_ALPHAS}
        return {"theta": level + drift + ahead, "level_and_season": level + ahead, **given}


def _season(z: Floats, m: int) -> Floats:
    """(m,) median deviation from the moving mean of a season, centred; aligned with the steps to come."""
    total = np.cumsum(np.r_[0.0, z])
    mean = (total[m:] - total[:-m]) / m
    middle = z[m // 2 : m // 2 + len(mean)] - mean
    rows = len(middle) // m
    table = middle[len(middle) - rows * m :].reshape(rows, m)
    season = np.median(table, axis=0)
    # The last centred value lies m - 1 - m // 2 steps before the origin: turn the columns to the steps to come.
    season = np.roll(season, -(m - 1 - m // 2))
    return np.asarray(season - season.mean(), dtype=float)


def _smoothed(z: Floats) -> float:
    """The last level of exponential smoothing, its constant chosen by one-step errors."""
    best, answer = np.inf, float(z[-1])
    for alpha in ALPHAS:
        level, errors = _filter(z, alpha)
        cost = float(np.mean(np.abs(errors[len(errors) // 4 :]))) if len(errors) else 0.0
        if cost < best:
            best, answer = cost, level
    return answer


def _filter(z: Floats, alpha: float) -> tuple[float, Floats]:
    from scipy.signal import lfilter

    start = float(np.median(z[: max(1, len(z) // 8)]))
    levels, _ = lfilter([alpha], [1.0, alpha - 1.0], z, zi=[(1.0 - alpha) * start])
    return float(levels[-1]), z[1:] - levels[:-1]
