"""First passage agrees with the calibrated peak and never falls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import QUANTILES, SeriesForecast
from capacity.forecast import crossing, exceedance, forecast_batch
from tests.forecast.simulate import simulate


@pytest.fixture(scope="module")
def forecast() -> SeriesForecast:
    return forecast_batch({"s": simulate(np.random.default_rng(0), 27, "D")}, freq="D", horizon=60)["s"]


@given(st.floats(0.2, 5.0))
def test_it_never_falls_and_ends_at_the_calibrated_peak(forecast: SeriesForecast, factor: float) -> None:
    limit = factor * forecast.peak[3]
    p = crossing(forecast, limit)
    assert p.shape == (60,)
    assert (np.diff(p) >= 0).all()
    assert p[0] >= 0
    assert p[-1] == pytest.approx(exceedance(forecast.peak, limit), abs=1e-12)


@pytest.mark.parametrize("i", range(len(QUANTILES)))
def test_at_a_quantile_of_the_peak_it_is_what_the_quantile_says(forecast: SeriesForecast, i: int) -> None:
    assert crossing(forecast, forecast.peak[i])[-1] == pytest.approx(1 - QUANTILES[i], abs=1e-9)


@given(st.floats(0, 1e3), st.floats(0, 1e3))
def test_a_higher_limit_is_crossed_less_often(forecast: SeriesForecast, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert exceedance(forecast.peak, low) >= exceedance(forecast.peak, high)


def test_a_constant_crosses_what_lies_below_it() -> None:
    flat = np.full(len(QUANTILES), 5.0)
    assert exceedance(flat, 4.9) == 1.0
    assert exceedance(flat, 5.0) == 0.0
