"""Lower bounds: a value that says only "at least" never pulls demand down."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from capacity import forecast
from capacity.forecast import at_limit, days_of, saturated
from capacity.forecast._history import clean
from capacity.forecast.censored import kept_bounds


def weeks(count: int = 30) -> pd.Series:
    index = pd.date_range("2026-01-05", periods=7 * count)
    return pd.Series(100.0 + 30.0 * (index.dayofweek < 5) + np.arange(len(index)) * 0.1, index)


def test_a_bound_below_its_season_is_missing_and_one_above_is_kept() -> None:
    series = weeks()
    day, other = series.index[100], series.index[107]
    series[day], series[other] = 60.0, 200.0
    history = clean("k", series, "D", lower_bounds=[(day, day), (other, other)])
    assert history is not None
    assert np.isnan(history.y[100])
    assert history.y[107] == 200.0
    assert np.isfinite(np.delete(history.y, 100)).all()


def test_masks_hide_whatever_the_value() -> None:
    series = weeks()
    day = series.index[100]
    series[day] = 500.0
    history = clean("k", series, "D", masks=[(day, day)], lower_bounds=[(day, day)])
    assert history is not None
    assert np.isnan(history.y[100])


def test_a_bound_without_an_earlier_season_says_nothing() -> None:
    values = np.arange(1.0, 15.0)
    kept = kept_bounds(values, np.arange(14) < 8, 7)
    assert np.isnan(kept[:7]).all()
    assert np.isnan(kept[7])
    assert kept[8:].tolist() == values[8:].tolist()


@given(
    seed=st.integers(0, 1000),
    cap=st.floats(0.2, 3.0),
    spans=st.lists(st.tuples(st.integers(20, 200), st.integers(0, 10)), min_size=1, max_size=4),
)
def test_bounds_never_pull_a_value_down(seed: int, cap: float, spans: list[tuple[int, int]]) -> None:
    """What is kept of a bound lies at or above the median of its last four kept seasons."""
    series = weeks() * np.exp(np.random.default_rng(seed).normal(0, 0.1, 210))
    bounded = [(series.index[a], series.index[min(a + n, 209)]) for a, n in spans]
    for a, b in bounded:
        series[a:b] = np.minimum(series[a:b], cap * 110.0)
    history = clean("k", series, "D", lower_bounds=bounded)
    assert history is not None
    inside = np.zeros(210, dtype=bool)
    for a, b in bounded:
        inside |= np.asarray((series.index >= a) & (series.index <= b))
    inside = inside[: len(history)]
    for i in np.flatnonzero(inside & np.isfinite(history.y)):
        before = history.y[i - 7 :: -7][:8]
        assert history.y[i] >= np.median(before[np.isfinite(before)][:4])
    assert np.array_equal(history.y[~inside], series.to_numpy()[: len(history)][~inside])


@given(cut=st.integers(60, 200), junk=st.floats(0, 1e4))
def test_what_comes_later_never_changes_what_is_kept(cut: int, junk: float) -> None:
    series = weeks()
    other = series.copy()
    other.iloc[cut:] = junk
    bounds = [(series.index[40], series.index[55]), (series.index[cut - 5], series.index[cut + 5])]
    a, b = (clean("k", s, "D", lower_bounds=bounds) for s in (series, other))
    assert a is not None
    assert b is not None
    assert np.array_equal(a.y[:cut], b.y[:cut], equal_nan=True)


def test_a_throttled_month_does_not_lower_the_forecast() -> None:
    series = weeks(40)
    served = series.copy()
    bound = (series.index[-28], series.index[-1])
    served[bound[0] :] = np.minimum(served[bound[0] :], 80.0)
    run = {"freq": "D", "horizon": 14, "n_paths": 100, "past_origins": 2}
    free = forecast.forecast_batch({"k": series[: bound[0]]}, **run)["k"].quantiles[3]  # type: ignore[arg-type]
    naive, known = (
        forecast.forecast_batch({"k": served}, lower_bounds=bounds, **run)["k"].quantiles[3]  # type: ignore[arg-type]
        for bounds in (None, {"k": [bound]})
    )
    assert naive.mean() < 0.8 * free.mean()
    assert known.mean() > 0.95 * free.mean()


def test_stamps_at_the_top_and_their_days() -> None:
    index = pd.date_range("2026-03-01 22:00", periods=6, freq="h")
    cpu = pd.Series([50.0, 99.0, 98.0, 97.9, np.nan, 100.0], index)
    assert saturated(cpu).tolist() == [index[1], index[2], index[5]]
    assert at_limit(pd.Series([10.0, 9.96, 9.9], index[:3]), 10.0).tolist() == index[:2].tolist()
    days = [pd.Timestamp(d) for d in ("2026-03-01", "2026-03-02", "2026-03-05")]
    stamps = pd.DatetimeIndex([days[2] + pd.Timedelta(hours=3), days[0], days[1], days[1]])
    assert days_of(stamps) == ((days[0], days[1]), (days[2], days[2]))
    assert days_of(stamps[:0]) == ()
