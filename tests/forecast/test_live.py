"""Stored forecasts against what came: figures by hand, honest errors, and an alarm that is seldom false."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from capacity import forecast
from capacity.domain import QUANTILE_COLUMNS, QUANTILES
from capacity.forecast import _drift
from capacity.forecast.live import LEADS, coverage_error

SERIES = {"service": "web", "region": "r", "metric": "m", "target": "peak"}
DAY0 = pd.Timestamp("2026-01-01")
LATER = datetime(2030, 1, 1)


def stored(origin: int, medians: list[float], half: float = 10.0, **series: str) -> pd.DataFrame:
    """A forecast from day ``origin``: a normal whose 80 % interval is the median +- ``half``."""
    offsets = half * norm.ppf(QUANTILES) / norm.ppf(0.9)
    frame = pd.DataFrame(np.array(medians)[:, None] + offsets, columns=list(QUANTILE_COLUMNS))
    days = DAY0 + pd.to_timedelta(origin + 1 + np.arange(len(medians)), unit="D")
    return frame.assign(**(SERIES | series), origin_ts=DAY0 + timedelta(days=origin), ts=days)


def came(values: list[float], **series: str) -> pd.DataFrame:
    days = DAY0 + pd.to_timedelta(np.arange(len(values)), unit="D")
    return pd.DataFrame({"ts": days, "value": values}).assign(**(SERIES | series))


def test_figures_by_hand() -> None:
    found = forecast.scores(stored(0, [100, 100, 100, 100]), came([0, 105, 95, 120, 100]), LATER).by_lead
    (row,) = found.to_dict("records")
    assert (row["lead"], row["n"], row["origins"], row["blocks"]) == ("1-7", 4, 1, 1)
    assert row["wape"] == pytest.approx(30 / 420)
    assert row["mape"] == pytest.approx(np.mean([5 / 105, 5 / 95, 20 / 120, 0]))
    assert row["variance_frac"] == row["bias_frac"] == pytest.approx(20 / 400)
    assert (row["c80"], row["c95"]) == (0.75, 0.75)
    assert np.isnan(row["c80_se"])


def test_days_ahead_are_counted_from_the_origin() -> None:
    found = forecast.scores(stored(3, [100.0] * 120), came([100.0] * 200), LATER).by_lead
    assert dict(zip(found["lead"], found["n"], strict=True)) == {
        "1-7": 7,
        "8-30": 23,
        "31-60": 30,
        "61-90": 30,
        "91+": 30,
    }
    assert list(found["lead"]) == [name for name, _ in LEADS]


def test_nothing_later_than_as_of_is_seen() -> None:
    forecasts = pd.concat([stored(o, [100.0] * 30) for o in (0, 7, 14)])
    actual = came([100.0] * 10 + [10_000.0] * 60)
    as_of = (DAY0 + timedelta(days=10, hours=12)).to_pydatetime()
    found = forecast.scores(forecasts, actual, as_of).by_lead
    assert found["n"].sum() == 9 + 2
    assert found["wape"].max() == 0.0
    early = came([100.0] * 10)
    pd.testing.assert_frame_equal(
        found, forecast.scores(forecasts[forecasts["origin_ts"] <= as_of], early, as_of).by_lead
    )


def test_missing_and_masked_days_are_not_scored() -> None:
    actual = came([100.0, 100.0, np.nan, 100.0, 100.0]).drop(index=3)
    assert forecast.scores(stored(0, [100.0] * 4), actual, LATER).by_lead["n"].tolist() == [2]


def test_nothing_in_common_gives_empty_frames() -> None:
    found = forecast.scores(stored(0, [1.0]), came([1.0, 1.0], service="other"), LATER)
    assert found.by_lead.empty
    assert found.pooled.empty
    assert found.alarms.empty


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1e6), st.integers(1, 5))
def test_scores_do_not_depend_on_the_unit_nor_on_the_pieces(seed: int, factor: float, cut: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [stored(int(o), list(rng.uniform(80, 120, 20))) for o in range(0, 42, 7)]
    actual = came(list(rng.uniform(80, 120, 60)))
    whole = forecast.scores(pd.concat(parts), actual, LATER)
    two = [forecast.tally(pd.concat(p), actual, LATER) for p in (parts[:cut], parts[cut:])]
    pieces = forecast.score(forecast.joined(two), LATER)
    pd.testing.assert_frame_equal(whole.by_lead, pieces.by_lead)
    pd.testing.assert_frame_equal(whole.alarms, pieces.alarms)
    scaled = pd.concat(parts)
    scaled[list(QUANTILE_COLUMNS)] *= factor
    other = forecast.scores(scaled, actual.assign(value=actual["value"] * factor), LATER)
    pd.testing.assert_frame_equal(whole.by_lead, other.by_lead, rtol=1e-6)


# --- simulated worlds --------------------------------------------------------------------------------------


def world(
    count: int,
    rho: float,
    *,
    days: int,
    every: int = 7,
    shift: float = 0.0,
    wide: float = 1.0,
    last: int = 0,
    seed: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Weekly forecasts that are exactly calibrated: the law of a log AR(1) given what was known at the origin.

    In the ``last`` days demand is ``shift`` higher and deviates ``wide`` times as far, which no forecast knows.
    """
    rng, sigma, ahead = np.random.default_rng(seed), 0.05, 60
    x = np.empty((count, days))
    x[:, 0] = rng.normal(0, sigma, count)
    for t in range(1, days):
        x[:, t] = rho * x[:, t - 1] + rng.normal(0, sigma * np.sqrt(1 - rho**2), count)
    z = x.copy()
    if last:
        z[:, -last:] = wide * z[:, -last:] + np.log1p(shift)
    names, parts = np.array([f"s{i}" for i in range(count)]), []
    for origin in range(60, days - 1, every):
        h = np.arange(1, min(ahead, days - 1 - origin) + 1)
        centre, spread = rho**h * x[:, [origin]], sigma * np.sqrt(1 - rho ** (2 * h))
        q = 100 * np.exp(centre[:, :, None] + spread[None, :, None] * norm.ppf(QUANTILES))
        frame = pd.DataFrame(q.reshape(-1, len(QUANTILES)), columns=list(QUANTILE_COLUMNS))
        frame["service"], frame["origin_ts"] = np.repeat(names, len(h)), DAY0 + timedelta(days=origin)
        parts.append(frame.assign(ts=np.tile(DAY0 + pd.to_timedelta(origin + h, unit="D"), count)))
    about = {k: v for k, v in SERIES.items() if k != "service"}
    stamps = np.tile(DAY0 + pd.to_timedelta(np.arange(days), unit="D"), count)
    actual = pd.DataFrame({"service": np.repeat(names, days), "ts": stamps, "value": 100 * np.exp(z).ravel()})
    return pd.concat(parts, ignore_index=True).assign(**about), actual.assign(**about)


def ever_ringing(forecasts: pd.DataFrame, actual: pd.DataFrame, days: int) -> dict[str, tuple[int, str]]:
    """Looked at every week of the last quarter: (weeks until the first alarm, what it says) by service."""
    end = DAY0 + timedelta(days=days)
    stages = forecast.tally(forecasts, actual, end.to_pydatetime()).stages
    over = stages["origin_ts"] + pd.to_timedelta(stages["stage"] + 1, unit="D")
    out: dict[str, tuple[int, str]] = {}
    for week in range(14):
        now = end - timedelta(days=7 * (13 - week))
        found = _drift.alarms(stages[over <= now], now.to_pydatetime())
        for row in found[found["alarm"].astype(bool)].to_dict("records"):
            out.setdefault(row["service"], (week, row["says"]))
    return out


@pytest.mark.parametrize("rho", [0.65, 0.9])
def test_false_alarms_of_calibrated_forecasts_are_at_most_5_percent_a_quarter(rho: float) -> None:
    """Measured with 300 series: 0 and .7 %; days of a forecast hang together, and the alarm must not mind."""
    ringing = ever_ringing(*world(150, rho, days=300), days=300)
    assert len(ringing) / 150 <= 0.05


@pytest.mark.parametrize(("shift", "says"), [(0.10, "higher"), (-0.15, "lower")])
def test_a_real_shift_is_found_within_weeks(shift: float, says: str) -> None:
    ringing = ever_ringing(*world(40, 0.65, days=300, shift=shift, last=91), days=300)
    assert len(ringing) >= 38
    assert np.median([week for week, _ in ringing.values()]) <= 5
    assert {word for _, word in ringing.values()} == {says}


def test_errors_twice_as_large_are_found_within_the_quarter() -> None:
    ringing = ever_ringing(*world(40, 0.65, days=300, wide=2.0, last=91), days=300)
    assert len(ringing) >= 36


def test_standard_errors_of_coverage_are_honest() -> None:
    """Of calibrated forecasts with autocorrelated errors, nominal lies within two of its errors nine times in ten."""
    forecasts, actual = world(120, 0.65, days=460)
    found = forecast.scores(forecasts, actual, LATER).by_lead
    for lead in ("1-7", "8-30", "31-60"):
        rows = found[found["lead"] == lead]
        within = (rows["c80"] - 0.8).abs() <= 2 * rows["c80_se"]
        assert within.mean() >= 0.85, (lead, within.mean())
        naive = np.sqrt(0.16 / rows["n"])
        assert (rows["c80_se"] > naive).mean() >= (0.8 if lead != "1-7" else 0.5)
    assert abs(rows["c80"].mean() - 0.8) < 0.03


def test_the_error_of_certain_coverage_is_not_zero() -> None:
    assert coverage_error([7, 7, 7], [7, 7, 7]) > 0.1
    assert np.isnan(coverage_error([5], [7]))


@given(st.lists(st.floats(0, 100), min_size=8, max_size=8), st.floats(-10, 110))
def test_bets_are_bounded_and_mirror_each_other(edges: list[float], y: float) -> None:
    found = _drift.bets(np.array([y]), np.sort(np.array(edges))[None, :])
    assert tuple(found) == _drift.COMPONENTS
    assert found["rank_up"][0] == -found["rank_down"][0]
    assert -1 <= found["rank_up"][0] <= 1
    assert found["above_975"][0] <= found["above_90"][0] <= found["outside_80"][0]


def test_ranks_average_to_one_half_under_calibration() -> None:
    """Exactly: each cell between two quantiles counts with its middle."""
    edges = np.array([0.0, *QUANTILES, 1.0])
    middles = (edges[1:] + edges[:-1]) / 2
    values = np.concatenate([[-1.0], np.arange(7) + 0.5, [99.0]])
    ranks = _drift.bets(values, np.tile(np.arange(8.0), (9, 1)))["rank_up"]
    np.testing.assert_allclose((ranks + 1) / 2, middles)
    assert float((middles * np.diff(edges)).sum()) == pytest.approx(0.5)
