"""The burst factor on made days with a known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import UsageError
from capacity.forecast import burst_factor, hour_peaks, inside_hours
from capacity.forecast.burst import day_ratios


def minutes(days: int = 10, burst: float = 1.5, start: str = "2026-03-02", seed: int = 0) -> pd.Series:
    """Flat minutes within each hour, one minute of every hour ``burst`` times as high as the hour's mean."""
    index = pd.date_range(start, periods=days * 1440, freq="min", tz="UTC")
    hour = np.repeat(100.0 + 40.0 * np.sin(2 * np.pi * (np.arange(days * 24) % 24) / 24), 60).reshape(-1, 60)
    values = hour * (60.0 - burst) / 59.0 / 1.0
    at = np.random.default_rng(seed).integers(0, 60, len(values))
    values[np.arange(len(values)), at] = hour[:, 0] * burst
    return pd.Series(values.ravel(), index=index)


def hours_of(points: pd.Series) -> pd.Series:
    return points.resample("h").mean()


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_the_factor_is_what_the_minutes_were_made_with() -> None:
    found = burst_factor(inside_hours(minutes(), 60), "UTC", rng())
    assert found is not None
    assert found.resolution_seconds == 60
    assert found.days == 10
    assert found.factor.mid == pytest.approx(1.5)
    assert found.median.low <= found.factor.mid <= found.median.high


def test_counts_are_read_at_their_hourly_rate() -> None:
    inside = inside_hours(minutes() / 60.0, 60, "sum")
    found = burst_factor(inside, "UTC", rng())
    assert found is not None
    assert found.factor.mid == pytest.approx(1.5)
    assert inside["largest"].max() == pytest.approx(minutes().max())


def test_coarse_points_see_less_and_are_lifted_by_what_both_know() -> None:
    fine, old = minutes(6, 2.0, "2026-03-12", 1), minutes(8, 2.0, "2026-03-04", 2)
    coarse = old.resample("5min").mean()
    alone = burst_factor(inside_hours(coarse, 300), "UTC", rng())
    both = burst_factor(pd.concat([inside_hours(fine, 60), inside_hours(coarse, 300)]), "UTC", rng())
    assert alone is not None
    assert both is not None
    assert alone.resolution_seconds == 300
    assert alone.factor.mid < 1.3
    assert (both.resolution_seconds, both.days, both.lifted_days) == (60, 14, 8)
    assert both.lifts[300] > 1.5
    assert both.factor.mid == pytest.approx(2.0, rel=0.02)


def test_the_interval_covers_days_that_differ_and_the_median_is_surer() -> None:
    parts = [
        minutes(1, 1.2 + 0.02 * i, f"{day:%Y-%m-%d}", i)
        for i, day in enumerate(pd.date_range("2026-03-01", periods=30))
    ]
    found = burst_factor(inside_hours(pd.concat(parts), 60), "UTC", rng())
    assert found is not None
    assert found.factor.low < found.median.low <= found.factor.mid <= found.median.high < found.factor.high
    assert found.factor.mid == pytest.approx(1.49, abs=0.02)


def test_outages_gaps_and_empty_nights_make_no_burst() -> None:
    points = minutes(12)
    points.loc["2026-03-05"] = 0.001  # an outage with one stray minute
    points.loc["2026-03-05 10:00"] = 5.0
    points.loc["2026-03-07 08:00":"2026-03-07 19:59"] = np.nan  # half a day is no day
    points.loc[points.index.hour == 3] = 0.0
    points.loc[points.index[(points.index.hour == 3) & (points.index.minute == 7)]] = 1.0
    told = day_ratios(inside_hours(points, 60), "UTC")
    days = set(told[told["period_seconds"] == 60]["day"].dt.day)
    assert days == set(range(2, 14)) - {5, 7}
    assert told["ratio"].max() == pytest.approx(1.5)


@pytest.mark.parametrize("start", ["2026-03-26", "2026-10-22"])
def test_days_of_23_and_25_hours_count_as_whole_days(start: str) -> None:
    told = day_ratios(inside_hours(minutes(7, start=start), 60), "Europe/Berlin")
    assert (told["period_seconds"] == 60).sum() == 7
    assert told[told["period_seconds"] == 60]["ratio"].to_numpy() == pytest.approx(1.5)


def test_two_days_give_no_factor() -> None:
    assert burst_factor(inside_hours(minutes(2), 60), "UTC", rng()) is None
    assert burst_factor(inside_hours(minutes(3), 60).iloc[:0], "UTC", rng()) is None


def test_peaks_are_measured_where_points_are_and_made_elsewhere() -> None:
    points = minutes(20)
    inside = inside_hours(points.iloc[10 * 1440 :], 60)
    hourly = hours_of(points)
    burst = burst_factor(inside, "UTC", rng())
    assert burst is not None
    for as_ratio in (False, True):
        peaks = hour_peaks(hourly, inside, burst, as_ratio=as_ratio)
        assert peaks.index.equals(hourly.index)
        assert (peaks / hourly).to_numpy() == pytest.approx(1.5)


@given(st.floats(1.0, 5.0), st.floats(1e-3, 1e6), st.permutations(range(6)))
def test_scale_and_order_do_not_matter_and_no_factor_is_below_one(burst: float, scale: float, order: list[int]) -> None:
    points = minutes(6, burst)
    days = [points.iloc[i * 1440 : (i + 1) * 1440] for i in order]
    one = burst_factor(inside_hours(points, 60), "UTC", rng())
    other = burst_factor(inside_hours(pd.concat(days) * scale, 60), "UTC", rng())
    assert one is not None
    assert other is not None
    assert other.factor.mid == pytest.approx(one.factor.mid)
    assert 1.0 <= one.factor.low <= one.factor.mid <= one.factor.high


def test_bad_points_are_refused() -> None:
    points = minutes(1)
    with pytest.raises(UsageError, match="zone"):
        inside_hours(points.tz_localize(None), 60)
    with pytest.raises(UsageError, match="divide"):
        inside_hours(points, 420)
