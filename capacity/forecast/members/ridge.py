"""Ridge regression on the calendar with weights that fade into the past, plus a recent error that decays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from capacity.domain import Floats
from capacity.forecast._history import View
from capacity.forecast.members.base import decay, repeat, weighted_level

YEAR_DAYS = 365.25
# A yearly shape is learned from a year and a half on; before that it would be the trend in disguise.
STEPS_FOR_YEAR = 548


@dataclass(frozen=True)
class CalendarRidge:
    """Daily: level, weekday and (from 18 months on) three yearly harmonics; the last weeks' error fades.

    ``half_lives`` in days; ``taus`` the time constants of the fading error.
    """

    half_lives: tuple[float, ...] = (120.0, 1000.0)
    taus: tuple[float, ...] = (60.0, 180.0)
    stems: tuple[str, ...] = ("ridge_",)
    costly: bool = False

    def applies(self, view: View) -> bool:
        return view.freq == "D" and not view.short and len(view) >= 28

    def medians(self, view: View, horizon: int) -> Mapping[str, Floats]:
        n = len(view)
        design = _calendar(np.arange(n + horizon, dtype=float), yearly=n >= STEPS_FOR_YEAR)
        out: dict[str, Floats] = {}
        for half_life in self.half_lives:
            fit = design @ _ridge(design[:n], view.z, half_life)
            recent = weighted_level((view.z - fit[:n])[-28:], 14.0)
            for tau in self.taus:
                out[f"ridge_{half_life:.0f}d_fading_{tau:.0f}d"] = fit[n:] + recent * decay(horizon, tau)
        return out


@dataclass(frozen=True)
class HourOfWeekRidge:
    """Hourly: an hour-of-week profile, shrunk to hour of day, under fading weights; the last hours' error decays."""

    half_life_days: tuple[float, ...] = (7.0, 21.0, 56.0)
    tau_hours: tuple[float, ...] = (12.0, 48.0, 168.0)
    stems: tuple[str, ...] = ("hour_of_week_",)
    costly: bool = False

    def applies(self, view: View) -> bool:
        return view.freq == "h" and view.period == 168

    def medians(self, view: View, horizon: int) -> Mapping[str, Floats]:
        out: dict[str, Floats] = {}
        for half_life in self.half_life_days:
            profile = _profile(view.z, half_life * 24.0)
            error = view.z[-168:] - repeat(profile, 168)
            for tau in self.tau_hours:
                recent = weighted_level(error, tau / 3.0)
                out[f"hour_of_week_{half_life:.0f}d_fading_{tau:.0f}h"] = repeat(profile, horizon) + recent * decay(
                    horizon, tau
                )
        return out


def _calendar(position: Floats, yearly: bool) -> Floats:
    weekday = (position[:, None] % 7 == np.arange(7)).astype(float)
    columns = [np.ones((len(position), 1)), weekday]
    if yearly:
        angle = 2 * np.pi * position[:, None] * np.arange(1, 4) / YEAR_DAYS
        columns += [np.sin(angle), np.cos(angle)]
    return np.hstack(columns)


def _ridge(design: Floats, z: Floats, half_life: float) -> Floats:
    """Coefficients of the weighted ridge; the penalty equals about two days' weight on each but the level."""
    seen = np.isfinite(z)
    weights = 0.5 ** (np.arange(len(z))[::-1][seen] / half_life)
    rows = design[seen]
    centre = float(np.dot(weights, z[seen]) / weights.sum())
    gram = rows.T @ (rows * weights[:, None])
    gram[np.diag_indices_from(gram)] += np.r_[1e-9, np.full(gram.shape[0] - 1, 2.0)]
    coefficients = np.linalg.solve(gram, rows.T @ (weights * (z[seen] - centre)))
    coefficients[0] += centre
    return np.asarray(coefficients, dtype=float)


def _profile(z: Floats, half_life_hours: float) -> Floats:
    """(168,) weighted mean of each hour of the week, shrunk to that of the hour of day; aligned with steps to come."""
    n = len(z) - len(z) % 168
    table = z[len(z) - n :].reshape(-1, 168)
    age = np.arange(table.shape[0])[::-1, None] * 168.0 + np.arange(168)[::-1]
    weights = np.where(np.isfinite(table), 0.5 ** (age / half_life_hours), 0.0)
    sums, mass = (weights * np.nan_to_num(table)).sum(0), weights.sum(0)
    overall = sums.sum() / max(mass.sum(), 1e-12)
    day_sums, day_mass = sums.reshape(7, 24).sum(0), mass.reshape(7, 24).sum(0)
    by_hour = (day_sums + 0.5 * overall) / (day_mass + 0.5)
    # Half a week's weight on the hour of day: one odd Monday does not make all Mondays odd.
    return np.asarray((sums + 0.5 * np.tile(by_hour, 7)) / (mass + 0.5), dtype=float)
