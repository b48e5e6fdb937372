"""Anomalies: calibrated on series with known truth, without sight of what came, few when nothing is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import UsageError
from capacity.forecast import anomalies
from capacity.forecast.anomalies import judge
from tests.forecast.simulate import simulate


def family(count: int, freq: str, seed: int) -> dict[str, pd.Series]:
    out = {}
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        steps = int(rng.integers(150, 800)) if freq == "D" else int(rng.integers(400, 1400))
        out[f"s{i:03d}"] = simulate(rng, steps, freq)
    return out


def covered(batch: dict[str, pd.Series], freq: str, level: float) -> np.ndarray:
    """Share of each series' judged points that are within their intervals."""
    judged = judge(batch, freq, level=level)  # type: ignore[arg-type]
    return np.array([float(np.mean((j.value >= j.low) & (j.value <= j.high))) for j in judged])


def steady(days: int = 200, seed: int = 0, noise: float = 0.03) -> pd.Series:
    week = np.resize([1.0, 1.1, 1.1, 1.05, 1.0, 0.6, 0.5], days)
    return pd.Series(
        1000 * week * np.random.default_rng(seed).normal(1, noise, days),
        index=pd.date_range("2026-01-05", periods=days, freq="D"),
    )


@pytest.mark.parametrize(("freq", "count"), [("D", 150), ("h", 40)])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_intervals_cover_what_they_promise(freq: str, count: int, level: float) -> None:
    share = covered(family(count, freq, 5), freq, level)
    error = share.std(ddof=1) / np.sqrt(len(share))
    # The series are fixed, so this either holds or does not; two errors, and what rounding of few points adds.
    assert abs(share.mean() - level) <= 2 * error + 0.001


def test_probabilities_are_frequencies() -> None:
    probability = np.concatenate([j.probability for j in judge(family(150, "D", 11), "D")])
    for p in (0.5, 0.1, 0.02, 0.005):
        error = np.sqrt(p * (1 - p) / len(probability))
        assert abs(float(np.mean(probability <= p)) - p) <= 4 * error, p


def test_real_days_and_hours_are_covered(real_data: Path) -> None:
    for folder, freq in (("daily", "D"), ("hourly", "h")):
        batch = {}
        for path in sorted((real_data / "usage" / folder).glob("*.csv")):
            frame = pd.read_csv(path, parse_dates=["ds"])
            batch[path.stem] = pd.Series(frame["y"].to_numpy(float), index=pd.DatetimeIndex(frame["ds"])).iloc[-2200:]
        # Real series hold real anomalies: blizzards, holidays, outages.
        assert 0.92 <= covered(batch, freq, 0.95).mean() <= 0.97
        assert 0.97 <= covered(batch, freq, 0.99).mean() <= 0.998


def test_when_nothing_is_wrong_the_list_is_short() -> None:
    batch = family(100, "D", 23)
    found = anomalies(batch, "D")
    assert found.judged == 6000
    assert found.outside == pytest.approx(found.outside_expected, abs=30)
    assert len(found.episodes) <= 4


def test_a_doubled_day_in_a_small_company_is_found() -> None:
    hits = false = 0
    for company in range(12):
        batch = {f"s{i}": steady(seed=100 * company + i, noise=0.03 + 0.01 * (i % 4)) for i in range(9)}
        at = batch["s3"].index[-1 - company * 4]
        batch["s3"][at] *= 2
        episodes = anomalies(batch, "D").episodes
        hits += any(e.key == "s3" and e.start <= at <= e.end for e in episodes)
        false += sum(not (e.key == "s3" and e.start <= at <= e.end) for e in episodes)
    assert hits == 12
    assert false <= 12  # one each is allowed for


def test_an_episode_has_its_days_its_size_and_its_bound() -> None:
    series = steady()
    days = series.index[-10:-7]
    series[days] *= 3
    found = anomalies({"spend": series}, "D")
    first = next(e for e in found.episodes if e.start == days[0])
    assert first.end >= days[0]
    assert first.worst.at_most
    assert first.worst.probability == pytest.approx(1 / 127, rel=0.2)
    assert first.points[0].ratio == pytest.approx(3, rel=0.2)
    assert first.excess == pytest.approx(sum(p.value - p.q50 for p in first.points))
    assert first.points[0].low < first.points[0].q50 < first.points[0].high < first.points[0].value


def test_after_a_lasting_shift_the_new_level_is_soon_expected() -> None:
    series = steady(noise=0.02)
    series.iloc[-30:] *= 1.6
    outside = judge({"a": series}, "D")[0]
    late = outside.index >= series.index[-21]
    assert np.count_nonzero(outside.outside[late]) <= 2


def test_a_spike_does_not_make_the_days_after_it_strange() -> None:
    series = steady(noise=0.02)
    series.iloc[-20] *= 4
    found = judge({"a": series}, "D")[0]
    after = found.index > series.index[-20]
    assert np.count_nonzero(found.outside[after]) <= 1


def test_what_is_known_of_is_neither_judged_nor_learned() -> None:
    series = steady()
    calm = anomalies({"a": series}, "D")
    spans = [(series.index[-20], series.index[-18])]
    series[series.index[-20:-17]] *= 5

    @dataclass(frozen=True)
    class Sale:
        spans: list[tuple[pd.Timestamp, pd.Timestamp]]

    assert any(e.start == series.index[-20] for e in anomalies({"a": series}, "D").episodes)
    for kwargs in ({"masks": {"a": spans}}, {"occasions": {"a": [Sale(spans)]}}):
        found = anomalies({"a": series}, "D", **kwargs)  # type: ignore[arg-type]
        assert found.judged == calm.judged - 3
        assert all(e.end < spans[0][0] or e.start > spans[0][1] for e in found.episodes)


@given(st.integers(1, 40), st.floats(0.05, 20.0))
def test_no_point_is_judged_by_what_came_after_it(cut: int, factor: float) -> None:
    whole = steady()
    since = whole.index[-60]
    changed = whole.copy()
    changed.iloc[-cut:] *= factor
    one, other = (judge({"a": s}, "D", since=since)[0] for s in (whole, changed))
    n = len(whole) - cut - (len(whole) - 60)
    for a, b in (
        (one.q50, other.q50),
        (one.low, other.low),
        (one.high, other.high),
        (one.probability, other.probability),
    ):
        np.testing.assert_array_equal(a[:n], b[:n])


@given(st.floats(1e-3, 1e6))
def test_scale_changes_nothing(scale: float) -> None:
    one, other = judge({"a": steady()}, "D")[0], judge({"a": steady() * scale}, "D")[0]
    np.testing.assert_allclose(other.q50, one.q50 * scale, rtol=1e-6)
    np.testing.assert_allclose(other.probability, one.probability, rtol=1e-4)


def test_short_flat_empty_and_broken_series_are_taken() -> None:
    days = pd.date_range("2026-01-01", periods=100, freq="D")
    flat = pd.Series(312.768, index=days)
    flat.iloc[-5] += 1e-6
    batch = {
        "empty": pd.Series(dtype=float, index=pd.DatetimeIndex([])),
        "one": pd.Series([1.0], index=days[:1]),
        "short": steady(9),
        "zero": pd.Series(0.0, index=days),
        "flat": flat,
        "gaps": steady().where(np.arange(200) % 3 > 0),
        "nothing": pd.Series(np.nan, index=days),
    }
    found = anomalies(batch, "D")
    assert not [e for e in found.episodes if e.key != "gaps"]
    assert anomalies({}, "D").episodes == ()


def test_a_fixed_cost_that_jumps_is_seen() -> None:
    series = pd.Series(312.768, index=pd.date_range("2026-01-01", periods=100, freq="D"))
    series.iloc[-5] = 350.0
    assert series.index[-5] in {e.start for e in anomalies({"a": series}, "D").episodes}


def test_wrong_levels_are_refused() -> None:
    with pytest.raises(UsageError, match="level"):
        anomalies({"a": steady()}, "D", level=99)
