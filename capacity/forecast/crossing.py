"""First passage: when a forecast first passes a limit."""

from __future__ import annotations

import numpy as np

from capacity.domain import QUANTILES, Floats, Paths, SeriesForecast


def crossing(forecast: SeriesForecast, limit: float, paths: Paths | None = None) -> Floats:
    """P(limit crossed at or before each step).

    The last step is the calibrated distribution of the horizon's maximum. Earlier steps share it out as the paths do:
    the limit is replaced by the one that the paths' maximum passes as often, and the paths that pass that one by each
    step are counted.

    Parameters
    ----------
    forecast
        Whose paths and calibrated ``peak`` say how far to trust the paths.
    limit
        In the unit of the series.
    paths
        (P, H) other futures to judge by the same calibration, such as a scenario's. Where they are higher, the
        probability is nowhere lower; and what changes late in the horizon changes nothing before.

    Returns
    -------
    (H,) probabilities, never falling; the last is 1 - F(limit) with F the distribution behind ``forecast.peak``, where
    the paths are the forecast's own.
    """
    at_end = exceedance(forecast.peak, limit)
    tops = np.sort(forecast.paths.max(axis=1)).astype(float)
    level = stand_in(forecast.peak, tops, limit, at_end)
    share = float((tops >= level).mean())
    own = paths is None
    passed = np.maximum.accumulate((forecast.paths if paths is None else paths) >= level, axis=1).mean(axis=0)
    if share == 0.0 and own:
        passed[-1] = at_end  # beyond what the paths reach: only the calibrated tail knows of it
        return np.asarray(passed, dtype=float)
    scale = at_end / share if share > 0 else 1.0
    return np.asarray(np.clip(passed * (scale if own else max(scale, 1.0)), 0.0, 1.0), dtype=float)


def stand_in(peak: Floats, tops: Floats, limit: float, at_end: float) -> float:
    """The level that the paths' maxima (``tops``, rising) pass as often as the calibrated maximum passes ``limit``.

    Beyond the outermost quantiles of ``peak`` the ratio of paths to calibration there is carried on: a limit that no
    path reaches stays as far away, so that other futures must really grow to reach it.
    """
    for q, beyond in ((-1, limit >= peak[-1]), (0, limit <= peak[0])):
        if beyond:
            return limit * float(np.quantile(tops, QUANTILES[q])) / float(peak[q]) if peak[q] > 0 else limit
    return float(tops[min(len(tops) - 1, max(0, int(np.floor((1.0 - at_end) * len(tops)))))])


def exceedance(quantiles: Floats, limit: float) -> float:
    """P(value > limit) where ``quantiles`` (8,) are at :data:`~capacity.domain.QUANTILES`.

    Between them the quantile function is straight in the normal score; beyond the outermost it goes on with the slope
    of the outermost pair.
    """
    from scipy.special import ndtr, ndtri

    scores = ndtri(np.array(QUANTILES))
    values = np.asarray(quantiles, dtype=float)
    if values[-1] <= values[0]:
        return float(values[0] > limit)
    if limit <= values[0] or limit >= values[-1]:
        pair = (0, 1) if limit <= values[0] else (-2, -1)
        rise = values[pair[1]] - values[pair[0]]
        if rise <= 0:
            return float(limit < values[0]) if limit != values[-1] else 1.0 - QUANTILES[-1]
        anchor = pair[0] if limit <= values[0] else pair[1]
        score = scores[anchor] + (limit - values[anchor]) / rise * (scores[pair[1]] - scores[pair[0]])
        return float(ndtr(-score))
    keep = np.r_[True, np.diff(values) > 0]
    return float(ndtr(-np.interp(limit, values[keep], scores[keep])))
