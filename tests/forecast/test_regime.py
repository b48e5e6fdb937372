"""A jump that has just come to stay, and what only looks like one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.forecast import forecast_batch
from capacity.forecast._history import History
from capacity.forecast._regime import at_present_level, recent_jump
from tests.forecast.simulate import simulate


def hours(n: int, seed: int = 0, noise: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(seed)
    day = 1 + 0.5 * np.sin(2 * np.pi * np.arange(n) / 24)
    return 100 * day * np.exp(rng.normal(0, noise, n))


def jump_of(values: np.ndarray, freq: str = "h") -> tuple[int, float] | None:
    history = History("s", freq, pd.Timestamp("2024-01-01"), values)  # type: ignore[arg-type]
    return recent_jump(history.upto(len(values)))


@given(st.integers(8, 60), st.sampled_from([0.1, 0.5, 2.0, 5.0]))
def test_a_migration_is_found_where_it_happened(hours_ago: int, factor: float) -> None:
    y = hours(336)
    y[-hours_ago:] *= factor
    found = jump_of(y)
    assert found is not None
    assert abs(found[0] - (336 - hours_ago)) <= 2
    scale = History("s", "h", pd.Timestamp("2024-01-01"), y).scale
    moved = scale.forward(y[-hours_ago:]) - scale.forward(hours(336)[-hours_ago:])
    assert found[1] == pytest.approx(float(np.median(moved)), abs=0.1)


def test_steady_series_have_none() -> None:
    assert jump_of(hours(336)) is None
    found = [jump_of(simulate(np.random.default_rng(i), 500, "D").to_numpy(), "D") for i in range(100)]
    assert sum(f is not None for f in found) <= 5


def test_a_site_with_bursts_is_left_alone() -> None:
    y = hours(336)
    y[100:110] *= 4
    y[-8:] *= 4
    assert jump_of(y) is None


def test_a_jump_that_ended_is_none() -> None:
    y = hours(336)
    y[-40:-10] *= 4
    assert jump_of(y) is None


def test_an_old_jump_is_left_to_the_members() -> None:
    y = hours(500)
    y[-200:] *= 4
    assert jump_of(y) is None


def test_the_past_is_moved_to_the_new_level_and_nothing_else() -> None:
    y = hours(336)
    y[-20:] *= 3
    history = History("s", "h", pd.Timestamp("2024-01-01"), y)
    view = history.upto(336)
    moved = at_present_level(view)
    np.testing.assert_array_equal(moved.z[-18:], view.z[-18:])
    assert np.median(moved.z[:300] - view.z[:300]) > 0.8
    calm = History("s", "h", pd.Timestamp("2024-01-01"), hours(336)).upto(336)
    assert at_present_level(calm) is calm


def test_a_forecast_after_a_migration_stays_at_the_new_level() -> None:
    y = hours(336, seed=2)
    y[-12:] *= 0.1
    series = pd.Series(y, index=pd.date_range("2024-01-01", periods=336, freq="h"))
    said = forecast_batch({"s": series}, freq="h", horizon=48, n_paths=100, past_origins=2)["s"]
    assert np.median(said.quantiles[3]) < 25  # 10 is the new level, 100 the old one
