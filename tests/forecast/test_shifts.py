"""Lasting jumps: found in series of known truth, and not where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import LevelShift
from capacity.forecast._history import clean
from capacity.forecast.shifts import level_shifts

DAYS = 800


def steady(seed: int, *, walk: float = 0.008, year: float = 0.1) -> np.ndarray:
    """(DAYS,) log level: walk, drift, year, week, noise, six odd days and an outage, but no jump."""
    rng, t = np.random.default_rng(seed), np.arange(DAYS)
    out = np.cumsum(rng.normal(0, walk, DAYS)) + rng.normal(0, 0.0008) * t
    out += year * np.sin(2 * np.pi * (t / 365.25 + rng.random())) + np.resize(0.2 * rng.normal(0, 1, 7), DAYS)
    out += rng.standard_t(4, DAYS) * 0.04
    out[rng.integers(0, DAYS, 6)] += rng.normal(0, 0.8, 6)
    down = rng.integers(100, 700)
    out[down : down + rng.integers(1, 4)] -= 4.0
    return out


def found_in(log_level: np.ndarray, freq: str = "D") -> tuple[LevelShift, ...]:
    series = pd.Series(np.exp(5.0 + log_level), pd.date_range("2024-01-01", periods=len(log_level), freq=freq))
    history = clean("k", series, freq)  # type: ignore[arg-type]
    assert history is not None
    return level_shifts(history.upto(len(history)))


def test_ordinary_series_have_no_jump() -> None:
    """Fewer than one in fifty tells one, and then of series whose level walks as far by itself."""
    told = [bool(found_in(steady(seed, walk=0.002 + 0.018 * (seed % 10) / 10, year=0.25 * (seed % 7) / 7)))
            for seed in range(150)]  # fmt: skip
    assert np.mean(told) <= 0.02


@pytest.mark.parametrize("ratio", [1.8, 0.5])
def test_a_jump_is_found_with_its_date_and_size(ratio: float) -> None:
    hits, dates, sizes = [], [], []
    for seed in range(40):
        level, at = steady(seed), 150 + 14 * seed
        level[at:] += np.log(ratio)
        near = [s for s in found_in(level) if abs((s.at - pd.Timestamp("2024-01-01")).days - at) <= 3]
        hits.append(bool(near))
        dates += [(near[0].at - pd.Timestamp("2024-01-01")).days - at] if near else []
        sizes += [near[0].ratio / ratio] if near else []
    assert np.mean(hits) >= 0.85
    assert np.mean(np.abs(dates)) <= 0.5
    assert np.median(sizes) == pytest.approx(1.0, abs=0.05)


def test_what_is_no_jump_is_not_one() -> None:
    base, t = steady(3, walk=0.002, year=0.0), np.arange(DAYS)
    cases = {
        "a ramp over three months": 0.6 * np.clip((t - 300) / 90, 0, 1),
        "growth": 0.002 * t,
        "ten days": np.where((t >= 300) & (t < 310), 1.0, 0.0),
        "six weeks": np.where((t >= 300) & (t < 342), 1.0, 0.0),
        "every year's season": np.where((t % 365 >= 120) & (t % 365 < 240), 0.6, 0.0),
        "only a week ago": np.where(t >= DAYS - 7, 1.0, 0.0),
        "a week's own shape": np.resize([0, 0, 0, 0, 0, -1.5, -1.5], DAYS),
    }
    assert {name: found_in(base + what) for name, what in cases.items()} == dict.fromkeys(cases, ())


def test_two_jumps_are_told_oldest_first() -> None:
    level = steady(5, walk=0.003)
    level[300:] += np.log(2)
    level[550:] += np.log(1.7)
    assert [round(s.ratio, 1) for s in found_in(level)] == [2.0, 1.7]


def test_hours_are_looked_at_as_days() -> None:
    rng, hours = np.random.default_rng(1), np.arange(24 * 120)
    level = 0.5 * np.cos(2 * np.pi * hours / 24) + rng.normal(0, 0.05, len(hours))
    level[24 * 70 :] += np.log(1.8)
    (shift,) = found_in(level, "h")
    assert shift.at == pd.Timestamp("2024-01-01") + pd.Timedelta(days=70)
    assert shift.ratio == pytest.approx(1.8, abs=0.1)
    assert shift.probability > 0.9


@pytest.mark.parametrize("count", [1, 5, 30, 69])
def test_short_histories_tell_none(count: int) -> None:
    assert found_in(np.where(np.arange(count) > count // 2, 2.0, 0.0)) == ()


@given(seed=st.integers(0, 30), factor=st.floats(1e-3, 1e6))
def test_the_unit_does_not_matter(seed: int, factor: float) -> None:
    level = steady(seed)
    level[400:] += np.log(2)
    a, b = found_in(level), found_in(level + np.log(factor))
    assert [s.at for s in a] == [s.at for s in b]
    assert [s.ratio for s in a] == pytest.approx([s.ratio for s in b])


@given(st.lists(st.one_of(st.just(np.nan), st.floats(0, 1e9)), min_size=2, max_size=300))
def test_any_series_has_an_answer(values: list[float]) -> None:
    history = clean("k", pd.Series(values, pd.date_range("2024-01-01", periods=len(values)), dtype=float), "D")
    for shift in level_shifts(history.upto(len(history))) if history else ():
        assert np.isfinite(shift.ratio)
        assert shift.ratio > 0
        assert 0.8 <= shift.probability <= 1
