"""The horizon's maximum, learned from past windows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.forecast._history import History
from capacity.forecast._maxima import _maxima_ahead, _trailing, maxima
from capacity.forecast._quantiles import LEVELS, few
from tests.forecast.simulate import simulate

P90 = int(np.searchsorted(LEVELS, 0.9))


def history(values: np.ndarray, freq: str = "D") -> History:
    return History("s", freq, pd.Timestamp("2024-01-01"), values)  # type: ignore[arg-type]


@given(st.lists(st.one_of(st.floats(-5, 5), st.just(float("nan"))), min_size=1, max_size=40), st.integers(1, 50))
def test_trailing_maximum_is_that_of_the_steps_before(values: list[float], window: int) -> None:
    z = np.array(values)
    expected = pd.Series(z).rolling(window, min_periods=1).max().to_numpy()
    np.testing.assert_array_equal(_trailing(z, window), expected)
    ahead = _maxima_ahead(z, window)
    for t in np.flatnonzero(np.isfinite(ahead)):
        assert ahead[t] == np.nanmax(z[t : t + window])


def test_a_history_shorter_than_the_horizon_claims_nothing() -> None:
    one = maxima([history(np.arange(1.0, 31.0))], 90)[0]
    assert one.independent == 0.0
    assert np.isfinite(one.reference)


def test_nothing_after_the_window_is_seen() -> None:
    y = simulate(np.random.default_rng(1), 400, "D").to_numpy()
    longer = np.concatenate([y, np.full(30, y.max() * 9)])
    before, after = maxima([history(y)], 60)[0], maxima([history(longer[:400])], 60)[0]
    np.testing.assert_array_equal(before.gaps, after.gaps)
    assert before.reference == after.reference


@given(st.floats(1e-3, 1e6))
def test_equivariant_to_scale(factor: float) -> None:
    y = simulate(np.random.default_rng(3), 300, "D").to_numpy()
    a, b = (maxima([history(v)], 60)[0] for v in (y, y * factor))
    scale_a, scale_b = history(y).scale, history(y * factor).scale
    np.testing.assert_allclose(
        scale_b.inverse(b.reference + b.gaps), factor * scale_a.inverse(a.reference + a.gaps), rtol=1e-6
    )


def test_rare_bursts_are_told_from_a_steady_site() -> None:
    rng = np.random.default_rng(5)
    steady = 100 * np.exp(rng.normal(0, 0.03, 700))
    bursts = steady * np.where(rng.random(700) < 0.01, 4.0, 1.0)
    calm, wild = maxima([history(steady), history(bursts)], 60)
    assert calm.gaps[P90] < 0.3
    assert wild.gaps[P90] > 2 * calm.gaps[P90]


def test_p90_holds_nine_times_in_ten() -> None:
    """60 batches of four random walks with weeks; binomial, so within three standard errors."""
    held = []
    for i in range(60):
        whole = [simulate(np.random.default_rng(100 * i + j), 560, "D").to_numpy() for j in range(4)]
        for y, m in zip(whole, maxima([history(y[:500]) for y in whole], 60), strict=True):
            scale = history(y[:500]).scale
            held.append(float(scale.forward(y[500:].max())) <= m.reference + m.gaps[P90])
    error = np.sqrt(0.9 * 0.1 / len(held))
    assert np.mean(held) == pytest.approx(0.9, abs=3 * error)


def test_fewer_horizons_are_less_sure() -> None:
    widths = [few(n) for n in (0.0, 0.5, 1.0, 3.0, 12.0, 100.0)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == pytest.approx(1.0, abs=0.01)
