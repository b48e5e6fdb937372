"""Packaged expectations, free of scale, for calls with one or few series. Sources stand beside each constant."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from capacity.domain import Floats

# All figures: 240 simulated daily and 160 hourly series with known truth (level walk, drift, jumps, weekly, yearly and
# daily shape, autocorrelated heavy-tailed noise; 150 to 900 days, 300 to 1,400 hours; horizons of 30 to 180 days, 48 to
# 168 hours), each forecast alone. tests/forecast/simulate.py is the family.

# Mean absolute error of the combination over the mean absolute seasonal difference, both on the log scale.
# Measured 1.18 and .73.
ERROR_PER_DIFFERENCE: Mapping[str, float] = {"D": 1.2, "h": 0.75}

# Errors over their size: a Student t, wider with the horizon. Fitted degrees of freedom 3.9 and 7.2; hours are given
# heavier tails than the simulation's, because real hours have bursts that it lacks.
DEGREES: Mapping[str, float] = {"D": 4.0, "h": 5.0}
# Mean absolute scaled error at the start and at the end of the horizon. Measured .79 to 1.54, and .8 throughout.
WIDTH: Mapping[str, tuple[float, float]] = {"D": (0.75, 1.55), "h": (0.85, 0.95)}
# Mean absolute error of the horizon's maximum and mean over the pointwise size. Measured 1.25, 1.42, .89, .36; totals
# are given more, because real levels move more than the simulation's.
FUNCTIONAL_WIDTH: Mapping[tuple[str, str], float] = {
    ("peak", "D"): 1.25,
    ("peak", "h"): 1.4,
    ("total", "D"): 1.0,
    ("total", "h"): 0.45,
}


def _student(levels: Floats, degrees: float) -> Floats:
    from scipy.special import gammaln, stdtrit

    mean_abs = (
        2
        * np.sqrt(degrees)
        / (degrees - 1)
        * np.exp(gammaln((degrees + 1) / 2) - gammaln(degrees / 2))
        / np.sqrt(np.pi)
    )
    return np.asarray(stdtrit(degrees, levels) / mean_abs, dtype=float)


def pointwise_quantiles(freq: str, levels: Floats, position: float) -> Floats:
    """Expected quantiles of scaled errors at ``position`` in (0, 1] of the horizon."""
    start, end = WIDTH[freq]
    return _student(levels, DEGREES[freq]) * (start + (end - start) * position)


def functional_quantiles(freq: str, levels: Floats) -> Floats:
    """Expected quantiles of the error of the horizon's maximum or mean over its own size."""
    return _student(levels, DEGREES[freq])
