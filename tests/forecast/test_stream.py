"""Forecasts one at a time: the same as all at once, and never all in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from capacity.domain import LearnedEffect
from capacity.errors import MissingDataError, UsageError
from capacity.forecast import _study, forecast_batch, forecast_stream, occasions
from capacity.forecast.occasions import Effects, Occasion
from tests.forecast.simulate import simulate


def histories(count: int, days: int = 60) -> dict[str, pd.Series]:
    return {f"s{i}": simulate(np.random.default_rng(i), days, "D") for i in range(count)}


def test_the_stream_gives_what_the_batch_does_in_the_same_order() -> None:
    given = histories(4)
    batch = forecast_batch(given, freq="D", horizon=14, n_paths=60, past_origins=1)
    stream = list(forecast_stream(given, freq="D", horizon=14, n_paths=60, past_origins=1))
    assert [f.key for f in stream] == list(batch)
    for f in stream:
        np.testing.assert_array_equal(f.paths, batch[f.key].paths)
        np.testing.assert_array_equal(f.quantiles, batch[f.key].quantiles)


def test_errors_are_raised_by_the_call_not_by_the_first_taken() -> None:
    with pytest.raises(UsageError, match="horizon"):
        forecast_stream(histories(1), freq="D", horizon=0)
    with pytest.raises(MissingDataError):
        forecast_stream({"s": pd.Series(dtype=float)}, freq="D", horizon=7)


def test_paths_are_drawn_as_they_are_taken() -> None:
    count, paths, horizon = 12, 2000, 90
    one = paths * horizon * 4
    stream = forecast_stream(histories(count), freq="D", horizon=horizon, n_paths=paths, past_origins=1)
    tracemalloc.start()
    try:
        for f in stream:
            assert f.paths.nbytes == one
            assert f.paths.dtype == np.float32
            del f
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Drawing one takes a few arrays of float64; all twelve kept would be twelve of float32 more.
    assert peak < 12 * one


def test_a_study_is_small() -> None:
    """A thousand services' studies of three targets, half a year ahead, have to fit beside everything else."""
    from capacity.forecast._history import clean

    history = clean("s", simulate(np.random.default_rng(1), 730, "D"), "D")
    assert history is not None
    one = _study.study(history, 182, 2)
    size = sum(a.nbytes for a in (one.past, one.truth, one.final, one.level, one.history.y))
    assert one.past.dtype == np.float32
    assert 3000 * size < 2**30


def test_occasions_are_taken_from_the_past_and_put_on_the_horizon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members see the demand without the occasion; the median carries it; what was learned is handed on."""
    index = pd.date_range("2024-01-01", periods=120, freq="D")
    series = pd.Series(100.0, index=index)
    series.iloc[100:103] = 300.0
    ahead = index[-1] + pd.Timedelta(days=10)
    fair = Occasion("fair", "event", ((index[100], index[102]), (ahead, ahead)), multiplier=3.0)
    learned = LearnedEffect("fair", "event", ahead, ahead, 3.0, 2.9, 3.1, 1, "learned")

    def known(view: object, horizon: int, given: object) -> Effects:
        past, coming = np.zeros(len(view)), np.zeros(horizon)  # type: ignore[arg-type]
        high, base = view.scale.forward(np.array([300.0, 100.0]))  # type: ignore[attr-defined]
        for span in given[0].spans:  # type: ignore[index]
            first, last = ((x - view.start).days for x in span)  # type: ignore[attr-defined]
            past[first : last + 1] = high - base
            coming[max(0, first - len(past)) : max(0, last + 1 - len(past))] = high - base
        return Effects(past, coming, (learned,))

    monkeypatch.setattr(occasions, "effects", known)
    f = forecast_batch({"s": series}, freq="D", horizon=20, n_paths=60, past_origins=1, occasions={"s": [fair]})["s"]
    middle = pd.Series(f.quantiles[3], index=f.index)
    np.testing.assert_allclose(middle[ahead], 300.0, rtol=1e-3)
    np.testing.assert_allclose(middle.drop(ahead), 100.0, rtol=1e-3)
    assert f.learned == (learned,)


def test_no_occasion_costs_nothing_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> Effects:
        raise AssertionError("asked for the effects of no occasion")

    monkeypatch.setattr(occasions, "effects", never)
    given = histories(1)
    a = forecast_batch(given, freq="D", horizon=7, n_paths=50, past_origins=1)["s0"]
    b = forecast_batch(given, freq="D", horizon=7, n_paths=50, past_origins=1, occasions={"s0": []})["s0"]
    np.testing.assert_array_equal(a.quantiles, b.quantiles)
    assert a.learned == ()


def test_the_global_random_state_is_left_alone() -> None:
    before = np.random.get_state()  # noqa: NPY002
    list(
        forecast_stream(
            histories(4), freq="D", horizon=14, n_paths=60, past_origins=1, workers=2, workers_kind="threads"
        )
    )
    after = np.random.get_state()  # noqa: NPY002
    assert before[0] == after[0]
    assert (before[1] == after[1]).all()
    assert before[2:] == after[2:]
