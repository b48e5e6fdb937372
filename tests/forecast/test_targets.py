"""Daily targets on days of 23, 24 and 25 hours, and day shapes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.errors import MissingDataError, UsageError
from capacity.forecast import daily_targets, day_shapes

BERLIN = "Europe/Berlin"


def hours(start: str, count: int, values: object = 1.0) -> pd.Series:
    return pd.Series(values, index=pd.date_range(start, periods=count, freq="h", tz="UTC"), dtype=float)


@pytest.mark.parametrize(("day", "length"), [("2024-03-31", 23), ("2024-10-27", 25), ("2024-06-01", 24)])
def test_days_are_local_and_of_their_own_length(day: str, length: int) -> None:
    begin = pd.Timestamp(day, tz=BERLIN).tz_convert("UTC")
    series = pd.Series(np.arange(length, dtype=float), index=pd.date_range(begin, periods=length, freq="h"))
    out = daily_targets(series, None, BERLIN)
    assert list(out.mean.index) == [pd.Timestamp(day)]
    assert out.mean.index.tz is None
    assert out.mean.iloc[0] == pytest.approx((length - 1) / 2)
    assert out.peak.iloc[0] == length - 1


@pytest.mark.parametrize(
    ("day", "known", "enough"),
    [("2024-03-31", 18, True), ("2024-03-31", 17, False), ("2024-10-27", 19, True), ("2024-10-27", 18, False),
     ("2024-06-01", 18, True), ("2024-06-01", 17, False)],
)  # fmt: skip
def test_three_quarters_of_a_day_are_enough(day: str, known: int, enough: bool) -> None:
    begin = pd.Timestamp(day, tz=BERLIN).tz_convert("UTC")
    series = pd.Series(2.0, index=pd.date_range(begin, periods=known, freq="h"))
    out = daily_targets(series, None, BERLIN)
    assert out.mean.notna().iloc[0] == enough
    assert out.peak.notna().iloc[0] == enough


def test_every_date_in_between_is_there() -> None:
    series = pd.concat([hours("2024-06-01", 24), hours("2024-06-05", 24)])
    out = daily_targets(series, None, "UTC")
    assert len(out.mean) == 5
    assert out.mean.isna().sum() == 3


def test_peak_comes_from_the_measured_peak_and_the_burst_factor() -> None:
    mean = hours("2024-06-01", 24, np.r_[np.ones(23), 5.0])
    peak = hours("2024-06-01", 23, 4.0)  # says nothing of the hour that is highest in the mean
    assert daily_targets(mean, peak, "UTC", 1.5).peak.iloc[0] == pytest.approx(7.5)
    assert daily_targets(mean, peak * 2, "UTC").peak.iloc[0] == pytest.approx(8.0)


@given(
    st.lists(st.floats(0, 1e6), min_size=48, max_size=96),
    st.sampled_from(["UTC", BERLIN, "Asia/Kolkata", "America/Sao_Paulo"]),
)
def test_peak_is_never_below_mean(values: list[float], zone: str) -> None:
    out = daily_targets(hours("2017-10-14", len(values), values), None, zone)
    known = out.mean.notna()
    assert known.any()
    assert (out.peak[known] >= out.mean[known] * (1 - 1e-12)).all()


def test_disorder_and_infinite_values_do_not_matter() -> None:
    series = hours("2024-06-01", 48, np.arange(48))
    messy = pd.concat([series.iloc[::-1], hours("2024-06-01", 5, np.inf)])
    pd.testing.assert_series_equal(daily_targets(series, None, "UTC").mean, daily_targets(messy, None, "UTC").mean)


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(UsageError, match="zone"):
        daily_targets(hours("2024-06-01", 24).tz_localize(None), None, "UTC")
    with pytest.raises(UsageError, match="burst factor"):
        daily_targets(hours("2024-06-01", 24), None, "UTC", 0.9)
    with pytest.raises(MissingDataError):
        daily_targets(hours("2024-06-01", 24, np.nan), None, "UTC")
    with pytest.raises(MissingDataError):
        day_shapes(hours("2024-06-01", 24, np.nan), "UTC")


def test_shapes_have_mean_zero_and_maximum_one_and_know_the_weekday() -> None:
    days = 56
    hour = np.arange(24)
    weekday = 10 + 5 * np.sin(2 * np.pi * (hour - 8) / 24)
    weekend = 10 + 5 * np.sin(2 * np.pi * (hour - 14) / 24)
    index = pd.date_range("2024-06-03", periods=days, freq="D")
    values = np.concatenate([weekend if d.dayofweek >= 5 else weekday for d in index])
    shapes = day_shapes(hours("2024-06-03", days * 24, values), "UTC")
    np.testing.assert_allclose(shapes.bank.mean(axis=1), 0.0, atol=1e-6)
    np.testing.assert_allclose(shapes.bank.max(axis=1), 1.0, atol=1e-6)
    assert all(shapes.bank[shapes.by_weekday[0]].argmax(axis=1) == 14)
    assert all(shapes.bank[shapes.by_weekday[6]].argmax(axis=1) == 20)


@pytest.mark.parametrize("count", [1, 10, 24, 30, 200])
def test_few_or_flat_days_still_give_a_shape(count: int) -> None:
    for values in (np.ones(count), np.arange(count)):
        shapes = day_shapes(hours("2024-06-01", count, values), BERLIN)
        assert np.isfinite(shapes.bank).all()
        assert all(len(w) for w in shapes.by_weekday)
        np.testing.assert_allclose(shapes.bank.max(axis=1), 1.0, atol=1e-6)
        np.testing.assert_allclose(shapes.bank.mean(axis=1), 0.0, atol=1e-6)


def test_a_day_of_23_hours_has_a_shape_of_24() -> None:
    series = hours("2024-03-28", 24 * 6, np.tile(np.arange(24.0), 6))
    shapes = day_shapes(series, BERLIN)
    assert len(shapes.bank) >= 4
    assert np.isfinite(shapes.bank).all()
