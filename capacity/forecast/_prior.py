"""Packaged expectations, free of scale, for calls with one or few series. Sources stand beside each constant."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from capacity.domain import Floats

# Past mean absolute error over the mean absolute seasonal difference, both on the log scale.
ERROR_PER_DIFFERENCE: Mapping[str, float] = {"D": 1.1, "h": 0.9}

# Errors over their size: a Student t of these degrees of freedom with mean absolute value 1, wider with the horizon.
DEGREES = {"D": 4.0, "h": 3.5}
# Width at the start and at the end of the horizon, as a multiple.
WIDTH = {"D": (0.8, 1.15), "h": (0.85, 1.1)}
# Width of the error of the horizon's maximum and mean, as a multiple of the pointwise size.
FUNCTIONAL_WIDTH = {("peak", "D"): 1.1, ("peak", "h"): 1.0, ("total", "D"): 0.9, ("total", "h"): 0.6}


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
