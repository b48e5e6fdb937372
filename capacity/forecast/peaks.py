"""Paths whose largest values are as the calibrated maximum says: what capacity is bought for.

Sample paths have calibrated days, and their largest values follow from an assumed dependence; the maximum of the
horizon is calibrated in its own right, from what past maxima were. Where the paths' maxima are the larger of the two,
each path is drawn towards the median until its maximum is the calibrated one of its rank. Where they are the smaller
(far in the tail, where the calibrated maximum rests on a handful of errors) the paths stay as they are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from capacity.domain import QUANTILES, Floats, SeriesForecast


def with_calibrated_peaks(forecast: SeriesForecast) -> SeriesForecast:
    """``forecast`` with paths whose maxima do not exceed the calibrated maximum of their rank.

    Quantiles, peak and total are as they were. A path keeps its rank, its shape and what lies below the median.
    """
    paths = forecast.paths.astype(float)
    tops = paths.max(axis=1)
    ranks = np.argsort(np.argsort(tops, kind="stable"), kind="stable")
    allowed = _quantile_function(forecast.peak, (ranks + 0.5) / len(tops))
    middle = forecast.quantiles[QUANTILES.index(0.5)]
    above = paths - middle
    room = np.maximum(allowed[:, None] - middle, 0.0)
    ratio = np.divide(room, above, out=np.ones_like(above), where=above > 0)
    share = np.minimum(ratio.min(axis=1), 1.0)[:, None]
    drawn = np.where(above > 0, middle + share * above, paths)
    return replace(forecast, paths=drawn.astype(np.float32))


def _quantile_function(quantiles: Floats, levels: Floats) -> Floats:
    """Values at ``levels`` of the distribution given at :data:`QUANTILES`, straight in the normal score between."""
    from scipy.special import ndtri

    values: Floats = np.interp(ndtri(levels), ndtri(np.array(QUANTILES)), quantiles)
    return values
