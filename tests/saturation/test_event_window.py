from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.config import EventConfig
from capacity.errors import UsageError
from capacity.saturation import apply_event, event_day_factor, event_day_weight, event_factor, event_weight

HOURS = pd.date_range("2026-11-27T00:00Z", periods=12, freq="h")


def event(**over: Any) -> EventConfig:
    base = {"name": "sale", "services": ["web"], "start": "2026-11-27T04:00:00Z", "end": "2026-11-27T07:00:00Z"}
    base |= {} if "target" in over else {"multiplier": 3.0}
    return EventConfig(**{**base, "ramp_minutes": 120, **over})


def test_linear_ramps_before_and_after() -> None:
    np.testing.assert_allclose(event_weight(HOURS, event()), [0, 0, 0.25, 0.75, 1, 1, 1, 0.75, 0.25, 0, 0, 0])
    np.testing.assert_allclose(event_weight(HOURS, event(), "peak"), [0, 0, 0.5, 1, 1, 1, 1, 1, 0.5, 0, 0, 0])
    np.testing.assert_allclose(event_factor(HOURS, event())[[1, 2, 3, 4]], [1, 1.5, 2.5, 3])


def test_no_ramp_is_a_box() -> None:
    np.testing.assert_allclose(event_weight(HOURS, event(ramp_minutes=0)), [0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(event_weight(HOURS, event(ramp_minutes=0), "peak"), [0] * 4 + [1] * 3 + [0] * 5)


def test_an_event_inside_an_hour() -> None:
    short = event(start="2026-11-27T04:15:00Z", end="2026-11-27T04:45:00Z", ramp_minutes=0)
    assert event_weight(HOURS, short)[4] == pytest.approx(0.5)
    assert event_weight(HOURS, short, "peak")[4] == 1
    assert event_weight(HOURS, short).sum() == pytest.approx(0.5)


@given(
    start=st.integers(-100, 700), minutes=st.integers(1, 600), ramp=st.integers(0, 300), multiplier=st.floats(0.1, 20)
)
def test_area_bounds_and_factor(start: int, minutes: int, ramp: int, multiplier: float) -> None:
    at = HOURS[0] + pd.Timedelta(minutes=start)
    e = event(start=at, end=at + pd.Timedelta(minutes=minutes), ramp_minutes=ramp, multiplier=multiplier)
    hours = pd.date_range(HOURS[0] - pd.Timedelta(days=1), periods=72, freq="h")
    mean, peak = event_weight(hours, e), event_weight(hours, e, "peak")
    assert mean.sum() == pytest.approx((minutes + ramp) / 60)  # a trapezoid
    assert (mean <= peak + 1e-9).all()
    assert (mean >= -1e-12).all()
    assert peak.max() == 1
    np.testing.assert_allclose(event_factor(hours, e), 1 + (multiplier - 1) * mean)


def test_local_days_take_the_largest_hour_or_the_mean() -> None:
    e = event(start="2026-11-27T03:00:00-05:00", end="2026-11-28T00:00:00-05:00", ramp_minutes=0)
    days = pd.date_range("2026-11-26", periods=3, freq="D")
    np.testing.assert_allclose(event_day_weight(days, e, "America/New_York"), [0, 1, 0])
    np.testing.assert_allclose(event_day_weight(days, e, "America/New_York", "mean"), [0, 21 / 24, 0])
    np.testing.assert_allclose(event_day_weight(days, e, "UTC", "mean"), [0, 16 / 24, 5 / 24])
    np.testing.assert_allclose(event_day_factor(days, e, "America/New_York"), [1, 3, 1])


def test_days_of_23_and_25_hours_are_as_long_as_they_are() -> None:
    e = event(start="2026-03-28T00:00:00Z", end="2026-03-29T11:00:00Z", ramp_minutes=0)
    spring = event_day_weight(pd.DatetimeIndex(["2026-03-29"]), e, "Europe/Berlin", "mean")
    assert spring[0] == pytest.approx(12 / 23)
    e = event(start="2026-10-24T00:00:00Z", end="2026-10-25T11:00:00Z", ramp_minutes=0)
    autumn = event_day_weight(pd.DatetimeIndex(["2026-10-25"]), e, "Europe/Berlin", "mean")
    assert autumn[0] == pytest.approx(13 / 25)


def test_a_midnight_that_does_not_exist() -> None:
    e = event(start="2024-09-07T00:00:00Z", end="2024-09-10T00:00:00Z")  # Chile's clocks jump at midnight on the 8th
    assert event_day_weight(pd.DatetimeIndex(["2024-09-08"]), e, "America/Santiago")[0] == 1


def test_apply_multiplier_and_target() -> None:
    paths = np.array([[10.0, 20.0, 30.0]], dtype=np.float32)
    weight = np.array([0.0, 0.5, 1.0])
    np.testing.assert_allclose(apply_event(paths, weight, event()), [[10, 40, 90]])
    np.testing.assert_allclose(apply_event(paths, weight, event(target=100.0)), [[10, 60, 100]])
    assert apply_event(paths, weight, event()).dtype == np.float32
    np.testing.assert_array_equal(paths, [[10, 20, 30]])


def test_no_days_no_weight() -> None:
    assert event_day_weight(HOURS[:0].tz_localize(None), event(), "UTC").shape == (0,)


def test_bad_input_is_named() -> None:
    with pytest.raises(UsageError, match="without a time zone"):
        event_weight(HOURS.tz_localize(None), event())
    with pytest.raises(UsageError, match="with a time zone"):
        event_day_weight(HOURS, event(), "UTC")
    with pytest.raises(UsageError, match="absolute target"):
        event_factor(HOURS, event(target=5.0))
    with pytest.raises(UsageError, match="do not fit"):
        apply_event(np.ones((2, 3), dtype=np.float32), np.ones(4), event())
