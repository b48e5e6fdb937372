"""Paths whose maxima agree with the calibrated maximum."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import QUANTILES, SeriesForecast
from capacity.forecast import with_calibrated_peaks


def made(seed: int, width: float) -> SeriesForecast:
    rng = np.random.default_rng(seed)
    paths = (100 + np.arange(60) + rng.normal(0, 12, (400, 60)).cumsum(axis=1) / 4).astype(np.float32)
    quantiles = np.quantile(paths, QUANTILES, axis=0)
    peak = np.quantile(paths.max(axis=1), 0.5) * np.exp(width * np.array([-2, -1.6, -1.3, 0, 1.3, 1.6, 2, 2.3]))
    index = pd.date_range("2026-01-01", periods=60)
    total = np.quantile(paths.sum(axis=1), QUANTILES)
    return SeriesForecast("a", "D", index[0], index, quantiles, paths, peak, total, "m", "", ())


@given(st.integers(0, 50), st.floats(0.001, 0.4))
def test_maxima_are_the_smaller_of_calibrated_and_sampled_rank_by_rank(seed: int, width: float) -> None:
    before = made(seed, width)
    after = with_calibrated_peaks(before)
    was, now = np.sort(before.paths.max(axis=1)), np.sort(after.paths.max(axis=1))
    assert (now <= was * (1 + 1e-5)).all()
    floor = before.quantiles[3].max()  # nothing is drawn below the median
    at = np.quantile(now, QUANTILES)
    assert (at <= np.maximum(np.minimum(np.quantile(was, QUANTILES), before.peak), floor) * 1.02).all()
    assert (after.paths <= before.paths + 1e-3).all()
    below = before.paths < before.quantiles[3]
    np.testing.assert_array_equal(after.paths[below], before.paths[below])


def test_paths_that_are_calm_enough_stay_as_they_are() -> None:
    before = made(1, 3.0)
    high = SeriesForecast(**{**vars(before), "peak": np.full(8, 1e6)})
    np.testing.assert_array_equal(with_calibrated_peaks(high).paths, before.paths)
