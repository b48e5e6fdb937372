"""Prophet, fitted once by maximum a posteriori on the modelled scale, read in four ways.

The seasonal parts are Prophet's own; its trend may go on, damp, or stand still, because a straight line on a log scale
is the part of Prophet that goes wrong over a long horizon. Prophet's own intervals are not used, so nothing is drawn
from the global random state.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from capacity.domain import Floats
from capacity.forecast._history import View, step_of
from capacity.forecast.members.base import decay, weighted_level

PROPHET = "prophet"
# Longest history a fit looks at: three years of days, eight weeks of hours.
LONGEST = {"D": 1095, "h": 1344}
# Steps after which a damped trend has lost all but 1/e of its slope, and a level error of its size.
DAMPING = {"D": 60.0, "h": 168.0}
FADING = {"D": 60.0, "h": 48.0}
# What the recent error is averaged over (half-life, in steps).
RECENT = {"D": 7.0, "h": 12.0}
# Twice the days of a year less a season: with less, the yearly part would be the trend in disguise.
DAYS_FOR_YEAR = 640


@dataclass(frozen=True)
class ProphetMap:
    """Prophet 1.5, linear growth with its default priors, additive on the log scale."""

    stems: tuple[str, ...] = (PROPHET,)
    costly: bool = True

    def applies(self, view: View) -> bool:
        long_enough = len(view) >= (28 if view.freq == "D" else 336)
        return long_enough and int(view.seen[-LONGEST[view.freq] :].sum()) >= len(view.z[-LONGEST[view.freq] :]) // 4

    def medians(self, view: View, horizon: int) -> Mapping[str, Floats]:
        z = view.z[-LONGEST[view.freq] :]
        n = len(z)
        if float(np.ptp(z[np.isfinite(z)])) < 1e-9:
            return {PROPHET: np.full(horizon, float(np.nanmedian(z)))}  # nothing to fit on a constant
        start = view.start + (len(view) - n) * step_of(view.freq)
        trend, season = _fit(pd.date_range(start, periods=n + horizon, freq=view.freq), z, view.freq)
        ahead, here = trend[n:] - trend[n - 1], float(trend[n - 1])
        damped = ahead * _damping(horizon, DAMPING[view.freq])
        recent = weighted_level((z - trend[:n] - season[:n])[-4 * view.period :], RECENT[view.freq])
        fading = recent * decay(horizon, FADING[view.freq])
        return {
            PROPHET: trend[n:] + season[n:],
            "prophet_damped": here + damped + season[n:],
            "prophet_damped_fading": here + damped + season[n:] + fading,
            "prophet_flat_fading": here + season[n:] + fading,
        }


def _damping(horizon: int, tau: float) -> Floats:
    """(horizon,) what is left of a straight line's rise when its slope fades with time constant ``tau``."""
    steps = np.arange(1, horizon + 1)
    return np.asarray(np.cumsum(np.exp(-steps / tau)) / steps, dtype=float)


def _fit(stamps: pd.DatetimeIndex, z: Floats, freq: str) -> tuple[Floats, Floats]:
    """Trend and the sum of the seasonal parts over all ``stamps``; fitted on the first ``len(z)``."""
    silence()
    from capacity.forecast._map_backend import by_numpy
    from capacity.forecast._prophet import Prophet

    silence()  # its import turns its own messages on again
    model: Any = Prophet(
        uncertainty_samples=0,
        yearly_seasonality=6 if freq == "D" and len(z) >= DAYS_FOR_YEAR else False,
        weekly_seasonality=True,
        daily_seasonality=freq == "h",
    )
    by_numpy(model).fit(pd.DataFrame({"ds": stamps[: len(z)], "y": z}).dropna())
    return _parts(model, stamps)


def _parts(model: Any, stamps: pd.DatetimeIndex) -> tuple[Floats, Floats]:
    """Trend and additive seasons of a fitted ``model``, as its ``predict`` gives them, in half the time.

    Prophet's ``predict`` makes a table of every component anew; the two sums need only its features.
    """
    frame = model.setup_dataframe(pd.DataFrame({"ds": stamps}))
    features = [
        model.make_seasonality_features(frame["ds"], part["period"], part["fourier_order"], name)
        for name, part in model.seasonalities.items()
    ]
    seasons = np.hstack(features) @ model.params["beta"][0] * model.y_scale
    return np.asarray(model.predict_trend(frame), dtype=float), np.asarray(seasons, dtype=float)


def silence() -> None:
    """Keep Prophet and CmdStan from writing to the log at every fit; their errors still raise."""
    logging.getLogger("cmdstanpy").disabled = True
    for name in ("prophet", "prophet.plot", "prophet.models", "prophet.forecaster"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def default_paths(history: pd.Series, ahead: pd.DatetimeIndex, n_paths: int) -> Floats:
    """(P, H) sample paths of Prophet with its defaults, as a yardstick. ``history`` on a zone-less index.

    Prophet draws from the global random state; it is put back as it was.
    """
    silence()
    from capacity.forecast._prophet import Prophet

    silence()  # its import turns its own messages on again
    model: Any = Prophet(uncertainty_samples=n_paths)
    model.fit(pd.DataFrame({"ds": history.index, "y": history.to_numpy(dtype=float)}).dropna())
    state = np.random.get_state()  # noqa: NPY002 - Prophet knows no other
    try:
        np.random.seed(0)  # noqa: NPY002
        paths = model.predictive_samples(pd.DataFrame({"ds": ahead}))["yhat"]
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return np.asarray(paths, dtype=float).T
