from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import UsageError
from capacity.saturation import fit_usl, usl_peak, usl_throughput

LEVELS = np.array([1, 2, 4, 8, 12, 16, 24, 32, 48, 64], dtype=float)


def test_the_law_at_one_worker_and_at_its_peak() -> None:
    assert usl_throughput(1.0, 250.0, 0.1, 0.01) == 250.0
    peak = usl_peak(0.03, 0.0005)
    around = usl_throughput(np.array([peak * 0.98, peak, peak * 1.02]), 100.0, 0.03, 0.0005)
    assert around[1] > around[0]
    assert around[1] > around[2]


def test_peak_without_coherency_or_all_serial() -> None:
    assert usl_peak(0.1, 0.0) == math.inf
    assert usl_peak(1.0, 0.1) == 1.0
    with pytest.raises(UsageError, match="negative"):
        usl_peak(-0.1, 0.0)


@given(gamma=st.floats(1, 1e4), alpha=st.floats(0.005, 0.3), beta=st.floats(5e-5, 5e-3))
def test_fit_recovers_an_exact_law(gamma: float, alpha: float, beta: float) -> None:
    fit = fit_usl(LEVELS, usl_throughput(LEVELS, gamma, alpha, beta), confidence=None)
    assert fit.gamma == pytest.approx(gamma, rel=1e-3)
    assert fit.alpha == pytest.approx(alpha, rel=1e-2, abs=1e-4)
    assert fit.beta == pytest.approx(beta, rel=1e-2, abs=1e-6)
    assert fit.tested_max == 64


@pytest.mark.parametrize(("alpha", "beta"), [(0.05, 0.001), (0.1, 0.002)])
def test_fit_recovers_alpha_and_beta_within_a_tenth_at_five_percent_noise(alpha: float, beta: float) -> None:
    """Ten levels on both sides of the knee, each measured forty times (ten seconds each, say)."""
    n = np.repeat(LEVELS, 40)
    errors = []
    for seed in range(20):
        noise = np.exp(np.random.default_rng(seed).normal(0, 0.05, len(n)))
        fit = fit_usl(n, usl_throughput(n, 300.0, alpha, beta) * noise, confidence=None)
        errors.append((abs(fit.alpha / alpha - 1), abs(fit.beta / beta - 1)))
        assert fit.spread_frac == pytest.approx(0.05, rel=0.15)
    assert max(max(e) for e in errors) < 0.10


def test_intervals_hold_about_four_times_in_five() -> None:
    """80 tests of ten levels: .8 within 3 standard errors of .045, for each of the four figures."""
    truth, held = (300.0, 0.05, 0.001, usl_peak(0.05, 0.001)), np.zeros(4)
    for seed in range(80):
        noise = np.exp(np.random.default_rng(seed).normal(0, 0.05, len(LEVELS)))
        fit = fit_usl(LEVELS, usl_throughput(LEVELS, *truth[:3]) * noise)
        sides = (fit.gamma_interval, fit.alpha_interval, fit.beta_interval, fit.peak_interval)
        held += [s is not None and s.low <= v <= s.high for s, v in zip(sides, truth, strict=True)]
    assert np.all(np.abs(held / 80 - 0.8) < 0.135)


def test_intervals_hold_their_middle_and_narrow_with_more_tests() -> None:
    def width(times: int) -> float:
        n = np.repeat(LEVELS, times)
        noise = np.exp(np.random.default_rng(4).normal(0, 0.05, len(n)))
        fit = fit_usl(n, usl_throughput(n, 300.0, 0.05, 0.001) * noise)
        assert fit.alpha_interval is not None
        assert fit.peak_interval is not None
        assert fit.alpha_interval.low <= fit.alpha <= fit.alpha_interval.high
        assert fit.peak_interval.low <= fit.peak <= fit.peak_interval.high
        return fit.alpha_interval.high - fit.alpha_interval.low

    assert width(16) < 0.5 * width(2)


def test_three_levels_fit_but_leave_nothing_to_judge_by() -> None:
    n = np.array([1.0, 8.0, 64.0])
    fit = fit_usl(n, usl_throughput(n, 100.0, 0.05, 0.001))
    assert fit.peak_interval is not None
    assert (fit.peak_interval.low, fit.peak_interval.high) == (1.0, math.inf)
    assert math.isnan(fit.spread_frac)


def test_without_a_knee_the_peak_is_open_ended() -> None:
    noise = np.exp(np.random.default_rng(1).normal(0, 0.02, len(LEVELS)))
    fit = fit_usl(LEVELS, usl_throughput(LEVELS, 100.0, 0.05, 0.0) * noise)
    assert fit.peak_interval is not None
    assert fit.peak_interval.high == math.inf


def test_linear_scaling_has_no_knee() -> None:
    fit = fit_usl(LEVELS, LEVELS * 40)
    assert fit.alpha == pytest.approx(0, abs=1e-3)
    assert fit.peak > 640  # far beyond what was tested


@pytest.mark.parametrize(
    ("n", "x"),
    [([1, 2], [1, 2]), ([1, 2, 2], [1, 2, 2]), ([1, 2, 3], [1, 2]), ([0, 1, 2], [1, 1, 2]), ([1, 2, 3], [1, 0, 2])],
)
def test_tests_that_cannot_be_fitted_are_refused(n: list[float], x: list[float]) -> None:
    with pytest.raises(UsageError, match="fit_usl"):
        fit_usl(n, x)
