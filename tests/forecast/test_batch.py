"""What must hold of every forecast, whatever the history."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.domain import QUANTILES, SeriesForecast
from capacity.errors import MissingDataError, UsageError
from capacity.forecast import forecast_batch
from tests.forecast.simulate import simulate

DAY = pd.Timedelta(days=1)


def daily(n: int, seed: int = 0) -> pd.Series:
    return simulate(np.random.default_rng(seed), n, "D")


def one(series: pd.Series, horizon: int = 30, **more: object) -> SeriesForecast:
    return forecast_batch({"s": series}, freq="D", horizon=horizon, n_paths=100, **more)["s"]  # type: ignore[arg-type]


def assert_sound(f: SeriesForecast, signed: bool = False) -> None:
    assert np.isfinite(f.quantiles).all()
    assert np.isfinite(f.paths).all()
    assert f.quantiles.shape == (len(QUANTILES), len(f.index))
    assert (np.diff(f.quantiles, axis=0) >= 0).all()
    for q in (f.peak, f.total):
        assert np.isfinite(q).all()
        assert (np.diff(q) >= 0).all()
    if not signed:
        assert f.quantiles.min() >= 0
        assert f.paths.min() >= 0
        assert f.total.min() >= 0
    assert f.model
    assert f.reason


lively = st.lists(st.floats(0, 1e6), min_size=1, max_size=27)


@given(lively)
def test_any_short_history_gives_a_sound_forecast(values: list[float]) -> None:
    assert_sound(one(pd.Series(values, index=pd.date_range("2024-01-01", periods=len(values), freq="D"))))


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=15, max_size=27))
def test_gaps_and_negative_values_give_a_sound_forecast(values: list[float | None]) -> None:
    series = pd.Series(values, index=pd.date_range("2024-01-01", periods=len(values), freq="D"), dtype=float)
    if series.notna().any():
        assert_sound(one(series), signed=bool((series < 0).any()))


@given(st.integers(0, 10_000), st.integers(-6, 9), st.integers(15, 27))
def test_scale_equivariance(seed: int, power: int, n: int) -> None:
    series = daily(n, seed)
    base, scaled = one(series), one(series * 10.0**power)
    for a, b in ((base.quantiles, scaled.quantiles), (base.peak, scaled.peak), (base.total, scaled.total)):
        np.testing.assert_allclose(a * 10.0**power, b, rtol=1e-6)


@settings(max_examples=4)
@given(st.integers(0, 10_000), st.integers(1, 8))
def test_shift_by_whole_weeks_with_all_members(seed: int, times: int) -> None:
    """Sixty weeks at a time: past origins lie on a calendar grid, ten days apart here, Prophet on some of it."""
    series, weeks = daily(120, seed), 60 * times
    moved = series.set_axis(series.index + pd.Timedelta(weeks=weeks))
    a, b = one(series), one(moved)
    assert ((b.index - a.index) == pd.Timedelta(weeks=weeks)).all()
    # Prophet stops a little short of its optimum, a little elsewhere each time.
    np.testing.assert_allclose(a.quantiles, b.quantiles, rtol=0.02)


@given(st.randoms(use_true_random=False), st.integers(0, 1000))
def test_order_and_duplicates_of_stamps_do_not_matter(random: object, seed: int) -> None:
    series = daily(25, seed)
    twice = pd.concat([series, series * 0.5, series * 1.5])
    places = list(range(len(twice)))
    random.shuffle(places)  # type: ignore[attr-defined]
    late = (series.index[0] + pd.Timedelta(hours=5)) - series.index[0]
    shuffled = twice.iloc[places].set_axis(twice.index[places] + late)
    np.testing.assert_allclose(one(series).quantiles, one(shuffled).quantiles, rtol=1e-9)


def test_stamps_with_a_zone_are_read_as_utc() -> None:
    series = daily(25)
    np.testing.assert_array_equal(one(series).quantiles, one(series.tz_localize("UTC")).quantiles)


@settings(max_examples=3)
@given(st.integers(0, 1000))
def test_no_past_origin_looks_ahead(seed: int) -> None:
    from capacity.forecast._history import clean
    from capacity.forecast._study import study

    series = daily(150, seed)
    before = clean("s", series, "D")
    # The last value is kept, so that the scale of the series, which may know it, is the only thing that moves.
    changed = series.copy()
    changed.iloc[-15:-1] = changed.iloc[-15:-1].to_numpy()[::-1]
    after = clean("s", changed, "D")
    assert before is not None
    assert after is not None
    a, b = study(before, 30, 2), study(after, 30, 2)
    clear = [k for k, n in enumerate(a.origins) if n <= 135]
    assert clear
    for k in clear:
        np.testing.assert_allclose(a.past[:, k], b.past[:, k], rtol=1e-6, atol=1e-9)
    assert not np.allclose(a.final, b.final)


def test_the_horizon_starts_after_each_series_own_last_value() -> None:
    a, b = daily(60), daily(60, 1).iloc[:-9]
    b = pd.concat([b, pd.Series([np.nan, np.nan], index=[b.index[-1] + DAY, b.index[-1] + 2 * DAY])])
    out = forecast_batch({"a": a, "b": b}, freq="D", horizon=7, n_paths=50)
    assert out["a"].index[0] == a.index[-1] + DAY
    assert out["b"].origin == a.index[-1] - 9 * DAY
    assert out["b"].index[0] == a.index[-1] - 8 * DAY


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ([5.0] * 60, "constant"),
        ([0.0] * 60, "constant"),
        ([3.0], "no past origin"),
        ([3.0, 4.0], "no past origin"),
        ([1.0, np.nan, 2.0] * 20, "missing"),
        ([10.0] * 30 + [0.0] * 5 + [10.0, 11.0] * 15, ""),
    ],
)
def test_degenerate_histories(values: list[float], flag: str) -> None:
    f = one(pd.Series(values, index=pd.date_range("2024-01-01", periods=len(values), freq="D")))
    assert_sound(f)
    assert any(flag in x for x in f.flags) or not flag


def test_a_constant_stays_itself() -> None:
    f = one(pd.Series(5.0, index=pd.date_range("2024-01-01", periods=90, freq="D")))
    # No size of error is taken to be below a millionth.
    np.testing.assert_allclose(f.quantiles, 5.0, rtol=1e-4)
    np.testing.assert_allclose(f.total, 150.0, rtol=1e-4)


def test_an_empty_series_does_not_sink_the_others_and_nothing_at_all_is_an_error() -> None:
    nothing = pd.Series([np.nan, np.inf], index=pd.date_range("2024-01-01", periods=2, freq="D"))
    out = forecast_batch({"a": daily(30), "b": nothing, "c": pd.Series(dtype=float)}, freq="D", horizon=7, n_paths=50)
    assert list(out) == ["a"]
    with pytest.raises(MissingDataError, match="no value"):
        forecast_batch({"b": nothing}, freq="D", horizon=7)


def test_explosions_are_capped_and_flagged() -> None:
    series = pd.Series(np.exp(np.arange(90) / 6.0), index=pd.date_range("2024-01-01", periods=90, freq="D"))
    f = one(series, horizon=182)
    assert_sound(f)
    assert f.quantiles.max() <= 10 * series.max() * (1 + 1e-9)
    assert any("capped" in x for x in f.flags)


def test_a_mask_hides_an_outage() -> None:
    series = daily(120)
    out = series.copy()
    out.iloc[60:70] = 0.0
    masked = one(out, masks={"s": [(series.index[60], series.index[69])]})
    gap = series.copy()
    gap.iloc[60:70] = np.nan
    np.testing.assert_array_equal(masked.quantiles, one(gap).quantiles)
    assert_sound(masked)


def test_max_history_forgets_what_is_older_than_it_before_the_oldest_past_origin() -> None:
    series = daily(300)
    changed = series.copy()
    # The oldest of the past origins lies at most nine steps of ten days back, and sees 60 days.
    changed.iloc[: 300 - 60 - 90] *= 7.0
    a, b = one(series, max_history=60, past_origins=2), one(changed, max_history=60, past_origins=2)
    np.testing.assert_array_equal(a.quantiles, b.quantiles)
    assert not np.array_equal(a.quantiles, one(series, past_origins=2).quantiles)


def test_workers_and_order_do_not_matter_and_seeds_do() -> None:
    histories = {f"s{i}": daily(90, i) for i in range(5)}
    alone = forecast_batch(histories, freq="D", horizon=14, n_paths=60, past_origins=2)
    two = forecast_batch(histories, freq="D", horizon=14, n_paths=60, past_origins=2, workers=2)
    other = forecast_batch(histories, freq="D", horizon=14, n_paths=60, past_origins=2, seed=2)
    for key, f in alone.items():
        np.testing.assert_array_equal(f.quantiles, two[key].quantiles)
        np.testing.assert_array_equal(f.paths, two[key].paths)
        np.testing.assert_array_equal(f.peak, two[key].peak)
        assert (f.model, f.reason, f.scores) == (two[key].model, two[key].reason, two[key].scores)
        assert not np.array_equal(f.paths, other[key].paths)


def test_company_changes_the_median_little() -> None:
    histories = {f"s{i}": daily(100, i) for i in range(6)}
    company = forecast_batch(histories, freq="D", horizon=14, n_paths=60, past_origins=2)["s0"].quantiles
    alone = one(histories["s0"], horizon=14, past_origins=2).quantiles
    mid = QUANTILES.index(0.5)
    assert np.median(np.abs(np.log(company[mid] / alone[mid]))) < 0.05


def test_prophet_and_the_naive_are_scored_and_the_result_says_what_was_used() -> None:
    f = one(daily(300), past_origins=3)
    members = {s.member: s for s in f.scores}
    assert {"prophet", "seasonal_naive", "combination"} <= members.keys()
    assert members["prophet"].origins == 3
    assert members["seasonal_naive"].relative_mae == pytest.approx(1.0)
    assert "Prophet" in f.reason
    assert [s.relative_mae for s in f.scores] == sorted(s.relative_mae for s in f.scores)


def test_short_histories_use_robust_members_only() -> None:
    f = one(daily(13))
    names = {s.member for s in f.scores}
    assert not any(n.startswith(("prophet", "ridge", "theta")) for n in names)
    assert any("short history" in x for x in f.flags)


def test_marginals_of_paths_are_the_quantiles() -> None:
    f = forecast_batch({"s": daily(120)}, freq="D", horizon=20, n_paths=2000)["s"]
    drawn = np.quantile(f.paths, QUANTILES[:7], axis=0)
    np.testing.assert_allclose(drawn, f.quantiles[:7], rtol=0.02)


def test_the_global_random_state_is_left_alone_and_nothing_is_written(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    state = np.random.get_state()[1].copy()  # type: ignore[index, union-attr] # noqa: NPY002
    with caplog.at_level(logging.DEBUG):
        one(daily(60))
    assert (np.random.get_state()[1] == state).all()  # type: ignore[index] # noqa: NPY002
    assert capfd.readouterr() == ("", "")
    assert not [r for r in caplog.records if r.name.startswith(("prophet", "cmdstanpy"))]


def test_progress_counts_every_series() -> None:
    seen: list[tuple[int, int, str]] = []
    forecast_batch(
        {f"s{i}": daily(20, i) for i in range(3)},
        freq="D",
        horizon=5,
        n_paths=50,
        progress=lambda done, total, key: seen.append((done, total, key)),
    )
    assert seen == [(1, 3, "s0"), (2, 3, "s1"), (3, 3, "s2")]


@pytest.mark.parametrize("wrong", [{"horizon": 0}, {"freq": "W"}, {"past_origins": 0}, {"n_paths": 0}])
def test_wrong_usage_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        forecast_batch({"s": daily(30)}, **{"freq": "D", "horizon": 7, **wrong})  # type: ignore[arg-type]


def test_an_index_without_stamps_is_refused() -> None:
    with pytest.raises(UsageError, match="DatetimeIndex"):
        forecast_batch({"s": pd.Series([1.0, 2.0])}, freq="D", horizon=7)


def test_hours() -> None:
    series = simulate(np.random.default_rng(3), 24 * 40, "h")
    f = forecast_batch({"s": series}, freq="h", horizon=48, n_paths=50, past_origins=1)["s"]
    assert_sound(f)
    assert f.index[0] == series.index[-1] + pd.Timedelta(hours=1)
    # The shape of the day is learned: the median follows the same hours of the week before.
    week_before = series.iloc[-168 : -168 + 48].to_numpy()
    assert np.corrcoef(np.log(f.quantiles[QUANTILES.index(0.5)]), np.log(week_before))[0, 1] > 0.5


def test_real_series(real_data: object) -> None:
    folder = real_data / "usage" / "cloudwatch_14d"  # type: ignore[operator]
    series = {p.stem: pd.read_csv(p, parse_dates=["ds"]).set_index("ds").y for p in sorted(folder.glob("*.csv"))}
    out = forecast_batch(series, freq="h", horizon=48, n_paths=100, past_origins=1)
    assert set(out) == set(series)
    for f in out.values():
        assert_sound(f)
