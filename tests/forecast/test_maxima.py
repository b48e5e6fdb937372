"""The horizon's maximum, learned from past windows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.forecast import crossing, forecast_batch
from capacity.forecast._history import History
from capacity.forecast._maxima import Maxima, _maxima_ahead, _trailing, maxima
from capacity.forecast._quantiles import LEVELS, few
from capacity.forecast.occasions import Occasion
from tests.forecast.simulate import simulate

P90 = int(np.searchsorted(LEVELS, 0.9))


def history(values: np.ndarray, freq: str = "D") -> History:
    return History("s", freq, pd.Timestamp("2024-01-01"), values)  # type: ignore[arg-type]


def of(*histories: History, horizon: int = 60) -> list[Maxima]:
    return maxima([h.scale.forward(h.y) for h in histories], histories[0].freq, horizon)


@given(st.lists(st.one_of(st.floats(-5, 5), st.just(float("nan"))), min_size=1, max_size=40), st.integers(1, 50))
def test_trailing_maximum_is_that_of_the_steps_before(values: list[float], window: int) -> None:
    z = np.array(values)
    expected = pd.Series(z).rolling(window, min_periods=1).max().to_numpy()
    np.testing.assert_array_equal(_trailing(z, window), expected)
    ahead = _maxima_ahead(z, window)
    for t in np.flatnonzero(np.isfinite(ahead)):
        assert ahead[t] == np.nanmax(z[t : t + window])


def test_a_history_shorter_than_the_horizon_claims_nothing() -> None:
    one = of(history(np.arange(1.0, 31.0)), horizon=90)[0]
    assert one.independent == 0.0
    assert np.isfinite(one.reference)


def test_nothing_after_the_window_is_seen() -> None:
    y = simulate(np.random.default_rng(1), 400, "D").to_numpy()
    longer = np.concatenate([y, np.full(30, y.max() * 9)])
    before, after = of(history(y))[0], of(history(longer[:400]))[0]
    np.testing.assert_array_equal(before.gaps, after.gaps)
    assert before.reference == after.reference


@given(st.floats(1e-3, 1e6))
def test_equivariant_to_scale(factor: float) -> None:
    y = simulate(np.random.default_rng(3), 300, "D").to_numpy()
    a, b = (of(history(v))[0] for v in (y, y * factor))
    scale_a, scale_b = history(y).scale, history(y * factor).scale
    np.testing.assert_allclose(
        scale_b.inverse(b.reference + b.gaps), factor * scale_a.inverse(a.reference + a.gaps), rtol=1e-6
    )


def test_rare_bursts_are_told_from_a_steady_site() -> None:
    rng = np.random.default_rng(5)
    steady = 100 * np.exp(rng.normal(0, 0.03, 700))
    bursts = steady * np.where(rng.random(700) < 0.01, 4.0, 1.0)
    calm, wild = of(history(steady), history(bursts))
    assert calm.gaps[P90] < 0.3
    assert wild.gaps[P90] > 2 * calm.gaps[P90]


def test_p90_holds_nine_times_in_ten() -> None:
    """60 batches of four random walks with weeks; binomial, so within three standard errors."""
    held = []
    for i in range(60):
        whole = [simulate(np.random.default_rng(100 * i + j), 560, "D").to_numpy() for j in range(4)]
        for y, m in zip(whole, of(*(history(y[:500]) for y in whole)), strict=True):
            scale = history(y[:500]).scale
            held.append(float(scale.forward(y[500:].max())) <= m.reference + m.gaps[P90])
    error = np.sqrt(0.9 * 0.1 / len(held))
    assert np.mean(held) == pytest.approx(0.9, abs=3 * error)


def test_fewer_horizons_are_less_sure() -> None:
    widths = [few(n) for n in (0.0, 0.5, 1.0, 3.0, 12.0, 100.0)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(("end", "horizon", "crossed"), [("Fri", 2, False), ("Sun", 1, True), ("Thu", 1, True)])
def test_a_short_horizon_is_held_against_its_own_weekdays(end: str, horizon: int, crossed: bool) -> None:
    index = pd.date_range("2024-01-01", periods=300, freq="D")
    index = index[: int(np.flatnonzero(index.day_name().str[:3] == end)[-1]) + 1]
    noise = np.exp(np.random.default_rng(0).normal(0, 0.03, len(index)))
    series = pd.Series(np.where(index.dayofweek < 5, 100.0, 40.0) * noise, index=index)
    said = forecast_batch({"s": series}, freq="D", horizon=horizon, n_paths=100, past_origins=2)["s"]
    assert (crossing(said, 70.0)[-1] > 0.9) == crossed
    assert (crossing(said, 70.0)[-1] < 0.1) == (not crossed)


def test_the_maximum_knows_of_an_event_that_comes_and_forgets_one_that_does_not() -> None:
    series = pd.Series(100.0, index=pd.date_range("2023-01-02", periods=800, freq="D"))
    series *= np.exp(np.random.default_rng(1).normal(0, 0.05, 800))
    past = [series.index[i] for i in (200, 565)]
    series[past] *= 3.0
    last = series.index[-1]
    coming = last + pd.Timedelta(days=10)
    with_event = Occasion("fair", "event", tuple((d, d) for d in (*past, coming)))
    gone = Occasion("fair", "event", tuple((d, d) for d in past))
    a, b = (
        forecast_batch({"s": series}, freq="D", horizon=28, n_paths=200, past_origins=2, occasions={"s": [o]})["s"]
        for o in (with_event, gone)
    )
    assert a.peak[3] >= a.quantiles[3].max() > 200
    assert crossing(a, 200.0)[-1] > 0.85
    assert b.peak[6] < 180
    assert crossing(b, 200.0)[-1] < 0.05


@pytest.mark.parametrize("factor", [5.0, 0.2])
def test_after_a_jump_no_day_contradicts_the_maximum(factor: float) -> None:
    series = pd.Series(100.0, index=pd.date_range("2023-01-02", periods=300, freq="D"))
    series *= np.exp(np.random.default_rng(2).normal(0, 0.08, 300))
    series.iloc[-21:] *= factor
    said = forecast_batch({"s": series}, freq="D", horizon=28, n_paths=200, past_origins=2)["s"]
    assert said.quantiles[3] == pytest.approx(100 * factor, rel=0.25)
    assert said.peak[3] >= said.quantiles[3].max()
    assert said.total[1] < 2800 * factor < said.total[5]


@pytest.mark.parametrize("shape", ["straight", "slowing", "noisy", "weekly"])
def test_what_only_climbs_is_dated_by_its_trend(shape: str) -> None:
    """A disk that fills: past windows rose by more on the log scale than coming ones will."""
    days = np.arange(900.0)
    y = {
        "straight": 2.0 + days / 100.0,
        "slowing": 2.0 + 9.0 * (days / 900.0) ** 0.8,
        "noisy": 2.0 + days / 100.0 + np.random.default_rng(4).normal(0, 0.05, 900),
        "weekly": 2.0 + days / 100.0 + 0.1 * (days % 7 == 2),
    }[shape]
    known = pd.Series(y[:720], index=pd.date_range("2024-01-01", periods=720))
    flat = {f"other {i}": simulate(np.random.default_rng(i), 720, "D") for i in range(6)}
    other = {k: pd.Series(v.to_numpy(), index=known.index) for k, v in flat.items()}
    one = forecast_batch({"disk": known, **other}, freq="D", horizon=180, n_paths=500, seed=3)["disk"]
    limit = float(y[:810].max())
    chance = crossing(one, limit)
    true_day = int(np.argmax(y[720:] >= limit))
    p10, p50 = (int(np.argmax(chance >= p)) for p in (0.1, 0.5))
    assert abs(p50 - true_day) <= 25
    assert p10 <= true_day
    # The maximum is the last value, so that its middle is that day's.
    assert one.peak[3] == pytest.approx(one.quantiles[3].max(), rel=0.02)


def test_a_season_does_not_climb() -> None:
    y = 100 + 30 * np.sin(2 * np.pi * np.arange(900) / 365.25) + np.random.default_rng(2).normal(0, 5, 900)
    assert of(history(y), horizon=90)[0].climbing == 0.0
    assert of(history(2.0 + np.arange(900) / 100.0), horizon=90)[0].climbing == 1.0
