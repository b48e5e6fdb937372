from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from capacity.domain import Unit
from capacity.errors import UsageError
from capacity.saturation import first_passage, from_probability, headroom, order_by

UNIT = Unit("search", "us-east-1")
DAYS = pd.date_range("2026-10-05", periods=20, freq="D")
PATHS = hnp.arrays(np.float32, st.tuples(st.integers(1, 30), st.just(20)), elements=st.floats(0, 100, width=32))


def staircase() -> np.ndarray:
    """Ten paths; path i passes 50 on day i + 1 (counted from 0) for one day only."""
    out = np.full((10, 20), 10.0, dtype=np.float32)
    out[np.arange(10), np.arange(10) + 1] = 60.0
    return out


def test_dates_by_hand() -> None:
    found = first_passage(UNIT, "safe capacity", 50.0, staircase(), DAYS)
    assert (found.p10, found.p50, found.p90) == (date(2026, 10, 6), date(2026, 10, 10), date(2026, 10, 14))
    np.testing.assert_allclose(found.probability[:4], [0, 0.1, 0.2, 0.3])
    assert found.within_horizon == 1.0  # a path that came back has still passed


def test_not_within_the_horizon() -> None:
    found = first_passage(UNIT, "safe capacity", 60.0, staircase(), DAYS)
    assert (found.p10, found.p50, found.p90, found.within_horizon) == (None, None, None, 0.0)
    assert order_by(found, [("quota", 14)], date(2026, 10, 5)) == ()


def test_a_limit_that_falls_meets_a_flat_demand() -> None:
    limit = np.where(np.arange(20) < 12, 50.0, 5.0)
    flat = np.full((4, 20), 10.0, dtype=np.float32)
    found = first_passage(UNIT, "safe capacity", limit, flat, DAYS)
    assert found.p10 == found.p90 == date(2026, 10, 17)
    assert found.limit == 5.0


@given(paths=PATHS, limit=st.floats(0, 100), higher=st.floats(0, 50))
def test_probability_never_falls_and_dates_are_in_order(paths: np.ndarray, limit: float, higher: float) -> None:
    found = first_passage(UNIT, "x", limit, paths, DAYS)
    assert (np.diff(found.probability) >= 0).all()
    assert found.probability[0] >= 0
    assert found.probability[-1] <= 1
    far = date.max
    assert (found.p10 or far) <= (found.p50 or far) <= (found.p90 or far)
    later = first_passage(UNIT, "x", limit + higher, paths, DAYS)
    assert (later.probability <= found.probability).all()
    for level, day in ((0.1, found.p10), (0.9, found.p90)):
        if day is not None:  # that day and no earlier one
            position = DAYS.get_loc(pd.Timestamp(day))
            assert found.probability[position] >= level - 1e-9
            assert position == 0 or found.probability[position - 1] < level


def test_a_known_probability_gives_the_same_dates_and_never_falls() -> None:
    by_paths = first_passage(UNIT, "safe capacity", 50.0, staircase(), DAYS)
    known = from_probability(UNIT, "safe capacity", 50.0, by_paths.probability, DAYS)
    assert (known.p10, known.p50, known.p90) == (by_paths.p10, by_paths.p50, by_paths.p90)
    wavering = np.where(np.arange(20) % 2, 0.2, 0.6)
    assert from_probability(UNIT, "x", 1.0, wavering, DAYS).probability.tolist() == [0.6] * 20
    with pytest.raises(UsageError, match="outside 0 to 1"):
        from_probability(UNIT, "x", 1.0, wavering * 2, DAYS)
    with pytest.raises(UsageError, match="for 20 days"):
        from_probability(UNIT, "x", 1.0, wavering[:3], DAYS)


def test_headroom_by_hand() -> None:
    paths = np.tile(np.arange(1.0, 21.0, dtype=np.float32), (100, 1))
    paths[:10] *= 2  # a tenth of the futures is twice as high
    found = headroom(paths, 40.0, 0.9, DAYS)
    assert list(found.columns) == ["week_start", "days", "peak_quantile", "safe", "headroom_frac"]
    assert found["week_start"].tolist() == [pd.Timestamp("2026-10-05"), *pd.to_datetime(["2026-10-12", "2026-10-19"])]
    assert found["days"].tolist() == [7, 7, 6]
    assert found["peak_quantile"].tolist() == [7, 14, 20]
    np.testing.assert_allclose(found["headroom_frac"], [1 - 7 / 40, 1 - 14 / 40, 0.5])
    assert headroom(paths, 40.0, 0.91, DAYS)["peak_quantile"].tolist() == [14, 28, 40]


def test_headroom_by_month_and_with_a_capacity_that_changes() -> None:
    days = pd.date_range("2026-10-30", periods=5, freq="D")
    safe = np.array([100.0, 80, 50, 60, 70])
    found = headroom(np.full((3, 5), 40.0, dtype=np.float32), safe, 0.95, days, by="month")
    assert found["month_start"].tolist() == [pd.Timestamp("2026-10-01"), pd.Timestamp("2026-11-01")]
    assert found["safe"].tolist() == [80, 50]
    np.testing.assert_allclose(found["headroom_frac"], [0.5, 0.2])


@given(paths=PATHS, safe=st.floats(1, 100), level=st.floats(0.5, 0.99))
def test_headroom_at_or_above_zero_means_the_service_level_is_kept(
    paths: np.ndarray, safe: float, level: float
) -> None:
    for row in headroom(paths, safe, level, DAYS).itertuples():
        inside = (row.week_start <= DAYS) & (row.week_start + pd.Timedelta(days=7) > DAYS)
        fits = np.mean(paths[:, inside].max(axis=1) <= np.float64(safe))  # not in float32, as a bare float would be
        assert (row.headroom_frac >= 0) == (fits >= level - 1e-9)


def test_headroom_over_nothing_safe() -> None:
    found = headroom(np.full((3, 20), 4.0, dtype=np.float32), 0.0, 0.9, DAYS)
    assert (found["headroom_frac"] == -10).all()
    idle = headroom(np.zeros((3, 20), dtype=np.float32), 0.0, 0.9, DAYS)
    assert (idle["headroom_frac"] == 0).all()


def test_order_by_is_p10_less_lead_time_most_urgent_first() -> None:
    found = first_passage(UNIT, "safe capacity", 50.0, staircase(), DAYS)
    orders = order_by(found, [("scale out", 1), ("quota", 14), ("migrate", 45)], date(2026, 10, 5))
    assert [(o.remedy, o.order_by, o.overdue) for o in orders] == [
        ("migrate", date(2026, 8, 22), True),
        ("quota", date(2026, 9, 22), True),
        ("scale out", date(2026, 10, 5), False),
    ]
    assert {o.needed_by for o in orders} == {date(2026, 10, 6)}


def test_bad_input_is_named() -> None:
    paths = staircase()
    with pytest.raises(UsageError, match="paths have shape"):
        first_passage(UNIT, "x", 1.0, paths[:, :5], DAYS)
    with pytest.raises(UsageError, match="one a day"):
        first_passage(UNIT, "x", np.ones(3), paths, DAYS)
    with pytest.raises(UsageError, match="not a number"):
        first_passage(UNIT, "x", float("nan"), paths, DAYS)
    with pytest.raises(UsageError, match="service level"):
        headroom(paths, 1.0, 95, DAYS)
    paths[0, 0] = np.nan
    with pytest.raises(UsageError, match="not a number"):
        headroom(paths, 1.0, 0.95, DAYS)
