"""The explanation: factors that multiply exactly, and sentences that say what a series was made with, and no more."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import QUANTILES, LearnedEffect, LevelShift, SeriesForecast
from capacity.errors import MissingDataError, UsageError
from capacity.forecast import Explanation, explain, explain_batch, forecast_batch
from capacity.forecast.occasions import Occasion

T = pd.Timestamp
WEEK = (0.0, 0.25, 0.05, 0.0, 0.0, -0.35, -0.45)
BLACK_FRIDAYS = ("2024-11-29", "2025-11-28", "2026-11-27")
LABOR_DAYS = ("2024-09-02", "2025-09-01", "2026-09-07")


def shop(
    days: int = 900, *, growth: float = 0.02, week: tuple[float, ...] = WEEK, year: float = 0.2, noise: float = 0.04,
    start: str = "2024-05-01", seed: int = 3, black_friday: float = 2.4,
) -> pd.Series:  # fmt: skip
    """Daily demand with all that a shop has; growth is a fraction a month, the year is highest in early December."""
    rng = np.random.default_rng(seed)
    index = pd.date_range(start, periods=days, freq="D")
    t, errors = np.arange(days), np.zeros(days)
    for i in range(1, days):
        errors[i] = 0.5 * errors[i - 1] + rng.normal(0, noise)
    season = np.array(week)[index.dayofweek] + year * np.cos(2 * np.pi * (index.dayofyear.to_numpy() - 340) / 365.25)
    y = 200.0 * (1 + growth) ** (t / 30.44) * np.exp(season + errors)
    y[index.isin([T(d) for d in BLACK_FRIDAYS])] *= black_friday
    return pd.Series(y, index=index, name="shop")


def holiday(name: str, days: tuple[str, ...], kind: str = "event", **given: float) -> Occasion:
    return Occasion(name, kind, tuple((T(d), T(d)) for d in days), **given)  # type: ignore[arg-type]


def a_forecast(series: pd.Series, ahead: np.ndarray) -> SeriesForecast:
    """A forecast whose every quantile is ``ahead``."""
    origin = series.index[-1]
    return SeriesForecast(
        key="shop", freq="D", origin=origin, index=pd.date_range(origin, periods=len(ahead) + 1, freq="D")[1:],
        quantiles=np.tile(ahead, (len(QUANTILES), 1)), paths=np.tile(ahead, (3, 1)).astype(np.float32),
        peak=np.full(8, ahead.max()), total=np.full(8, ahead.sum()), model="m", reason="r", scores=(),
    )  # fmt: skip


def product(found: Explanation) -> np.ndarray:
    frame = found.frame
    factors = [c for c in frame.columns if c not in ("ts", "actual", "fitted")]
    return frame[factors].to_numpy(float).prod(axis=1)


@pytest.fixture(scope="module")
def told() -> Explanation:
    occasions = (
        holiday("Black Friday", BLACK_FRIDAYS),
        holiday("Labor Day", LABOR_DAYS, "holiday"),
        holiday("Launch", ("2026-11-02",), multiplier=1.7),
        holiday("Fair", ("2026-11-10",)),
    )
    return explain(shop(), "D", 60, occasions=occasions)


def test_the_frame_has_history_and_horizon_and_its_factors_multiply_exactly(told: Explanation) -> None:
    frame = told.frame
    assert list(frame.columns) == ["ts", "actual", "trend", "weekly", "yearly", "events", "fitted"]
    assert len(frame) == 960
    assert frame["actual"].notna().sum() == 900
    assert frame["actual"].iloc[900:].isna().all()
    np.testing.assert_allclose(product(told), frame["fitted"], rtol=1e-12)
    known = frame.iloc[:900]
    assert float(np.median(np.abs(known["fitted"] / known["actual"] - 1))) < 0.05


def test_the_numbers_are_those_the_series_was_made_with(told: Explanation) -> None:
    frame = told.frame.set_index("ts")
    weekday = np.log(frame["weekly"]).groupby(frame.index.dayofweek).mean()
    np.testing.assert_allclose(weekday, np.array(WEEK) - np.mean(WEEK), atol=0.03)
    assert frame.loc["2026-11-27", "events"] == pytest.approx(2.4, rel=0.08)
    assert frame.loc["2025-11-28", "events"] == pytest.approx(2.4, rel=0.08)
    assert frame.loc["2026-11-02", "events"] == pytest.approx(1.7)
    assert frame.loc["2026-11-12", "events"] == 1.0
    assert told.growth is not None
    assert told.growth.low < 0.02 < told.growth.high
    assert told.explained_frac is not None
    assert told.explained_frac > 0.95


def test_the_words_say_so_the_growth_first(told: Explanation) -> None:
    text = "\n".join(told.words)
    assert told.words[0].startswith("Grows ")
    assert "% a month over the last 13 weeks (+" in told.words[0]
    assert "Tuesdays are highest (1.37× the average day), Sundays lowest (0.6" in text
    assert "Black Friday, 27 Nov 2026: 2.4× what is usual" in text
    assert "learned from 2 past occurrences" in text
    assert "Launch, 2 Nov 2026: 1.7× what is usual, as given" in text
    assert "No effect beyond the noise: Labor Day" in text
    assert "No effect known, for want of a past occurrence: Fair" in text
    assert "is the highest month (1.2" in text
    assert "of the variance of the past" in text


def test_a_flat_noise_is_given_no_growth_and_no_shape() -> None:
    for seed in range(3):
        words = explain(shop(growth=0.0, week=(0.0,) * 7, year=0.0, black_friday=1.0, seed=seed), "D", 30).words
        text = "\n".join(words)
        assert words[0].startswith(("About flat", "No growth beyond the noise"))
        assert "No day of the week stands out of the noise" in text
        assert "No time of year stands out in both of the last two years" in text


def test_the_interval_of_growth_holds_the_truth() -> None:
    """The same 80 % over 60 shops, each with a growth of its own, ten months or two years of history."""
    rng, held = np.random.default_rng(1), 0
    for seed in range(60):
        growth = float(rng.normal(0, 0.02))
        series = shop(730 if seed % 2 else 300, growth=growth, year=0.0, seed=seed)
        found = explain(series, "D", 1).growth
        assert found is not None
        held += found.low <= growth <= found.high
    assert held / 60 > 0.8 - 3 * 0.052  # an upper bound would fault a trend that is better than the noise


def test_one_year_does_not_tell_the_season_from_growth() -> None:
    words = explain(shop(300), "D", 30).words
    assert "The time of year cannot be told yet: 300 days are known, 640 are needed" in words
    assert "; part of it may be the time of year" in words[0]


def test_too_little_history_is_said_not_guessed() -> None:
    found = explain(shop(20), "D", 10)
    assert found.words == ("Growth and shapes cannot be told yet: 20 days are known, 28 are needed",)
    assert found.growth is None
    assert found.frame["fitted"].isna().all()
    assert found.frame["actual"].notna().sum() == 20
    assert len(found.frame) == 30


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.full(100, 5.0), "Always 5: nothing to explain"),
        (np.zeros(100), "Always 0: nothing to explain"),
        (np.sin(np.arange(100.0)), "below zero"),
    ],
)
def test_what_no_factor_can_explain_is_left_alone(values: np.ndarray, said: str) -> None:
    found = explain(pd.Series(values, index=pd.date_range("2026-01-01", periods=len(values))), "D", 5)
    assert len(found.words) == 1
    assert said in found.words[0]


def test_demand_that_went_away_has_no_growth_rate() -> None:
    series = shop(300)
    series.iloc[-80:] = 0.0
    assert explain(series, "D", 10).words[0].startswith("The level has fallen to almost nothing")


def test_a_level_shift_is_a_step_of_the_trend_and_not_growth() -> None:
    series = shop(700, growth=0.0, year=0.0)
    series.iloc[640:] *= 1.8
    shift = LevelShift(series.index[640], 1.8, 0.99)
    used = replace(a_forecast(series, np.full(30, 360.0)), shifts=(shift,))
    blind, seeing = explain(series, "D", 30), explain(series, "D", 30, forecast=used)
    assert blind.growth is not None
    assert blind.growth.frac > 0.05
    assert seeing.growth is not None
    assert seeing.growth.low < 0.0 < seeing.growth.high
    trend = seeing.frame["trend"]
    assert trend.iloc[640] / trend.iloc[639] == pytest.approx(1.8, rel=0.1)
    assert "The level is 1.8× what it was since 31 Jan 2026" in seeing.words


def test_the_forecasts_own_effects_are_told_in_place_of_the_fits() -> None:
    day = T("2026-11-27")
    own = LearnedEffect("Black Friday", "event", day, day, 3.1, 2.6, 3.7, 2, "learned")
    used = replace(a_forecast(shop(), np.full(60, 400.0)), learned=(own,))
    text = "\n".join(explain(shop(), "D", 60, occasions=(holiday("Black Friday", BLACK_FRIDAYS),), forecast=used).words)
    assert "Black Friday, 27 Nov 2026: 3.1× what is usual (2.6× to 3.7×), learned from 2 past occurrences" in text
    assert text.count("Black Friday") == 1


def test_what_the_used_forecast_does_differently_is_said() -> None:
    series = shop(700, year=0.0)
    alone = explain(series, "D", 60).frame["fitted"].to_numpy(float)[-60:]
    steeper = alone * 1.05 ** (np.arange(60) / 30.44)
    agreeing = explain(series, "D", 60, forecast=a_forecast(series, alone)).words
    differing = explain(series, "D", 60, forecast=a_forecast(series, steeper)).words
    assert any(w.startswith("The forecast used and Prophet alone agree on the way on: +") for w in agreeing)
    (said,) = [w for w in differing if w.startswith("The forecast used says")]
    numbers = [float(w.strip("%,+")) for w in said.split() if w.startswith("+")]
    assert numbers[0] - numbers[1] == pytest.approx(5.0, abs=0.3)


def test_hours_have_a_day() -> None:
    rng, hours = np.random.default_rng(2), pd.date_range("2026-03-02", periods=24 * 42, freq="h")
    y = 100 * np.exp(0.5 * np.cos(2 * np.pi * (hours.hour.to_numpy() - 15) / 24) + rng.normal(0, 0.1, len(hours)))
    found = explain(pd.Series(y, index=hours, name="h"), "h", 48)
    assert "daily" in found.frame
    np.testing.assert_allclose(product(found), found.frame["fitted"], rtol=1e-12)
    (said,) = [w for w in found.words if w.startswith("The day is highest about")]
    assert re.search(r"about 1[456]:00 \(1\.[67]× its average\) and lowest about 0[234]:00 \(0\.6", said)
    assert "over the last 4 weeks (" in found.words[0]
    assert found.words[0].endswith("a week)")


@given(st.floats(1e-6, 1e9), st.integers(0, 3))
def test_another_unit_changes_the_level_and_nothing_that_is_said(scale: float, seed: int) -> None:
    series = shop(200, seed=seed)
    one, other = explain(series, "D", 14), explain(series * scale, "D", 14)
    np.testing.assert_allclose(other.frame["fitted"], one.frame["fitted"] * scale, rtol=1e-4)
    np.testing.assert_allclose(other.frame["weekly"], one.frame["weekly"], rtol=1e-4)
    assert other.growth is not None
    assert one.growth is not None
    assert other.growth.frac == pytest.approx(one.growth.frac, abs=1e-4)
    assert [w.split(" (")[0][:12] for w in other.words] == [w.split(" (")[0][:12] for w in one.words]


@given(st.lists(st.floats(0, 1e6), min_size=40, max_size=90), st.integers(0, 30))
def test_any_demand_is_explained_in_finite_factors(values: list[float], horizon: int) -> None:
    series = pd.Series(values, index=pd.date_range("2026-01-01", periods=len(values)), name="any")
    found = explain(series, "D", horizon)
    assert found.words
    assert len(found.frame) == len(values) + horizon
    if found.growth is not None or found.frame["fitted"].notna().any():
        parts = found.frame.drop(columns=["ts", "actual"]).to_numpy(float)
        assert np.isfinite(parts).all()
        assert (parts >= 0).all()
        np.testing.assert_allclose(product(found), found.frame["fitted"], rtol=1e-9)


def test_gaps_and_masks_are_not_explained_as_demand() -> None:
    series = shop(300)
    broken = series.copy()
    broken.iloc[200:206] = 0.0
    broken.iloc[100:110] = np.nan
    masked = explain(broken, "D", 7, masks=((series.index[200], series.index[205]),))
    assert masked.frame["actual"].iloc[200:206].isna().all()
    np.testing.assert_allclose(masked.frame["fitted"], explain(series, "D", 7).frame["fitted"], rtol=0.03)


def test_an_occasion_that_is_masked_everywhere_teaches_nothing() -> None:
    hidden = tuple((T(d), T(d)) for d in BLACK_FRIDAYS)
    words = explain(shop(), "D", 60, occasions=(holiday("Black Friday", BLACK_FRIDAYS),), masks=hidden).words
    assert "No effect known, for want of a past occurrence: Black Friday" in words


def test_a_ramp_reaches_the_days_around() -> None:
    series = shop(900, black_friday=1.0, noise=0.02)
    peaks = [T(d) for d in BLACK_FRIDAYS[:2]]
    for peak in peaks:
        for away, share in ((0, 1.0), (1, 0.5)):
            for at in {peak - pd.Timedelta(days=away), peak + pd.Timedelta(days=away)}:
                series[at] *= np.exp(share)
    sale = Occasion("sale", "event", tuple((T(d), T(d)) for d in BLACK_FRIDAYS), None, 1)
    events = explain(series, "D", 60, occasions=(sale,)).frame.set_index("ts")["events"]
    assert events["2026-11-27"] == pytest.approx(np.e, rel=0.1)
    assert events["2026-11-26"] == pytest.approx(np.exp(0.5), rel=0.1)
    assert events["2026-11-28"] == pytest.approx(np.exp(0.5), rel=0.1)
    assert events["2026-11-25"] == 1.0


def test_a_ramp_that_is_not_there_takes_nothing_from_the_event() -> None:
    sale = Occasion("sale", "event", tuple((T(d), T(d)) for d in BLACK_FRIDAYS), None, 1)
    events = explain(shop(), "D", 60, occasions=(sale,)).frame.set_index("ts")["events"]
    assert events["2026-11-27"] == pytest.approx(2.4, rel=0.08)
    assert events["2026-11-26"] == pytest.approx(1.0, abs=0.08)


def test_a_batch_is_each_of_its_series_beside_its_forecast() -> None:
    series = {f"s{i}": shop(120, seed=i) for i in range(3)}
    known = {key: replace(a_forecast(s, np.full(14, 200.0)), key=key) for key, s in series.items()}
    found = dict(explain_batch({**series, "more": shop(50)}, {**known, "absent": known["s0"]}))
    assert list(found) == ["s0", "s1", "s2"]
    for key, one in found.items():
        alone = explain(series[key].rename(key), "D", 14, forecast=known[key])
        assert one.words == alone.words
        pd.testing.assert_frame_equal(one.frame, alone.frame)


def test_it_does_not_touch_the_global_random_state() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - it is the one that must stay as it is
    explain(shop(100), "D", 5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_wrong_use_is_named() -> None:
    with pytest.raises(UsageError, match="freq"):
        explain(shop(50), "W", 5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="horizon"):
        explain(shop(50), "D", -1)
    with pytest.raises(MissingDataError, match="no value"):
        explain(shop(50) * np.nan, "D", 5)


def test_real_series_beside_their_forecast(real_data: Path) -> None:
    file = real_data / "usage" / "daily" / "nyc_taxi.csv"
    series = pd.read_csv(file, parse_dates=["ds"]).set_index("ds")["y"].rename("taxi")
    (known,) = forecast_batch({"taxi": series}, freq="D", horizon=30, past_origins=1).values()
    found = explain(series, "D", 30, forecast=known)
    text = "\n".join(found.words)
    assert "Saturdays are highest" in text
    assert "The forecast used" in text
    np.testing.assert_allclose(product(found), found.frame["fitted"], rtol=1e-12)
