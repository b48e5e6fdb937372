"""Coverage on a simulated family with known truth, and the parts that make it."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from capacity.domain import QUANTILES
from capacity.forecast import forecast_batch
from capacity.forecast._choice import weighted_median
from capacity.forecast._paths import EXPECTED_COMMON, Dependence, estimate, latents
from capacity.forecast._quantiles import LEVELS, blend, corrected
from tests.forecast.simulate import simulate

LOW, MID, HIGH = QUANTILES.index(0.1), QUANTILES.index(0.5), QUANTILES.index(0.9)
FULL = os.environ.get("CAPACITY_TEST_PROFILE") == "full"


@pytest.mark.timeout(900)
def test_coverage_on_series_with_known_truth() -> None:
    count, horizon = (150, 60) if FULL else (20, 60)
    rng = np.random.default_rng(5)
    truth = {f"s{i}": simulate(rng, int(rng.integers(240, 420)) + horizon, "D") for i in range(count)}
    said = forecast_batch(
        {k: s.iloc[:-horizon] for k, s in truth.items()}, freq="D", horizon=horizon, n_paths=100, past_origins=1
    )
    inside, peak, total, better = [], [], [], []
    for key, f in said.items():
        y = truth[key].iloc[-horizon:].to_numpy()
        inside.append(np.mean((y >= f.quantiles[LOW]) & (y <= f.quantiles[HIGH])))
        peak.append(y.max() <= f.peak[HIGH])
        total.append(f.total[LOW] <= y.sum() <= f.total[HIGH])
        naive = np.resize(truth[key].iloc[-horizon - 7 : -horizon].to_numpy(), horizon)
        better.append(np.log(np.abs(y - f.quantiles[MID]).mean() / np.abs(y - naive).mean()))
    # Standard errors of shares over series: the steps of one hang together, its maximum and total are one draw each.
    of_steps, of_one = 0.3 / np.sqrt(count), 0.4 / np.sqrt(count)
    assert abs(np.mean(inside) - 0.8) < 3 * of_steps
    assert np.mean(peak) > 0.9 - 3 * of_one
    assert np.mean(total) > 0.8 - 3.5 * of_one
    assert np.mean(better) < 0.0


def test_peak_is_not_the_maximum_of_pointwise_quantiles() -> None:
    series = simulate(np.random.default_rng(1), 300, "D")
    f = forecast_batch({"s": series}, freq="D", horizon=60, n_paths=400, past_origins=1)["s"]
    assert f.peak[MID] > f.quantiles[MID].max()
    assert f.total[HIGH] < f.quantiles[HIGH].sum()


@given(
    arrays(float, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=st.floats(-50, 50)),
    st.integers(0, 99),
)
def test_weighted_median_lies_within_and_equals_the_median_under_equal_weights(values: np.ndarray, seed: int) -> None:
    weights = np.random.default_rng(seed).random(len(values)) + 1e-3
    out = weighted_median(values, weights)
    assert (out >= values.min(axis=0) - 1e-12).all()
    assert (out <= values.max(axis=0) + 1e-12).all()
    np.testing.assert_allclose(weighted_median(values, np.ones(len(values))), np.median(values, axis=0), atol=1e-9)


def test_weighted_median_follows_the_weight() -> None:
    values = np.array([[0.0], [1.0], [10.0]])
    assert weighted_median(values, np.array([1.0, 1.0, 50.0]))[0] > 9.0


@given(st.floats(1, 1e4))
def test_finite_sample_correction_widens_and_stays_within_bounds(independent: float) -> None:
    moved = corrected(LEVELS, independent)
    assert (moved[LEVELS < 0.5] <= LEVELS[LEVELS < 0.5]).all()
    assert (moved[LEVELS > 0.5] >= LEVELS[LEVELS > 0.5]).all()
    assert (np.diff(moved) > 0).all()
    assert moved.min() > 0
    assert moved.max() < 1


def test_without_any_error_the_expectation_stands_and_with_many_it_hardly_counts() -> None:
    expected = np.linspace(-3, 3, len(LEVELS))
    nothing = blend([np.full((4, 10), np.nan)], expected, 10.0)[0]
    np.testing.assert_array_equal(nothing, expected)
    rng = np.random.default_rng(0)
    many = blend([rng.normal(0, 0.1, (30, 50)) for _ in range(200)], expected, 10.0)[0]
    at = int(np.searchsorted(LEVELS, 0.9))
    assert many[at] == pytest.approx(0.128, abs=0.06)


def test_dependence_is_recovered() -> None:
    rng = np.random.default_rng(2)
    true = Dependence(level=0.5, ar=0.6)
    errors = [latents(true, 12, 60, rng) for _ in range(60)]
    found = estimate(errors, [list(range(i * 1000, i * 1000 + 12)) for i in range(60)])
    assert found.level == pytest.approx(0.5, abs=0.12)
    assert found.ar == pytest.approx(0.6, abs=0.15)
    assert found.common == EXPECTED_COMMON  # no two at the same time: what is usual is expected


def test_what_series_have_in_common_is_found_and_kept_in_their_rows() -> None:
    rng = np.random.default_rng(4)
    together = latents(Dependence(), 12, 60, rng)
    errors = [0.8 * together + 0.6 * latents(Dependence(), 12, 60, rng) for _ in range(20)]
    found = estimate(errors, [list(range(12))] * 20)
    assert 0.25 < found.common < 0.64  # .64 is true; few origins shrink it
    shocks = np.cumsum(rng.normal(0, 0.05, 250))
    histories = {
        f"s{i}": pd.Series(
            100 * np.exp(shocks + rng.normal(0, 0.01, 250)), index=pd.date_range("2023-01-02", periods=250, freq="D")
        )
        for i in range(4)
    }
    out = forecast_batch(histories, freq="D", horizon=30, n_paths=400, past_origins=2)
    sums = [f.paths.astype(float).sum(axis=1) for f in out.values()]
    assert np.corrcoef(sums[0], sums[1])[0, 1] > 0.2


def test_paths_keep_their_level() -> None:
    f = forecast_batch(
        {"s": simulate(np.random.default_rng(8), 300, "D")}, freq="D", horizon=40, n_paths=800, past_origins=1
    )["s"]
    centred = np.log(f.paths.astype(float) + 1e-9) - np.log(np.median(f.paths, axis=0) + 1e-9)
    near = np.mean([np.corrcoef(centred[:, h], centred[:, h + 1])[0, 1] for h in range(39)])
    far = np.corrcoef(centred[:, 0], centred[:, 39])[0, 1]
    assert near > 0.4
    assert 0.05 < far < near


@pytest.mark.parametrize("horizon", [47, 65, 90])
def test_a_constant_series_has_a_constant_total(horizon: int) -> None:
    given = {
        f"s{n}": pd.Series(9.5 * i, index=pd.date_range("2026-01-01", periods=n, freq="D"))
        for i, n in enumerate((30, 90, 91), 1)
    }
    for i, said in enumerate(forecast_batch(given, freq="D", horizon=horizon, past_origins=2, n_paths=50).values(), 1):
        np.testing.assert_allclose(said.total, 9.5 * i * horizon, rtol=1e-3)
        np.testing.assert_allclose(said.peak, 9.5 * i, rtol=1e-3)
