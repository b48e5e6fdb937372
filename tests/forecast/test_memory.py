"""Past origins stay what they were: nothing that comes later changes them, so they are asked once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import SeriesForecast
from capacity.forecast import _memory, _study, forecast_batch
from capacity.forecast._history import clean
from capacity.forecast._memory import FORGET_AFTER_SECONDS, Recall, Told, file_of, forget_old, read, touch, write
from capacity.forecast._study import past_lengths, reach, step_for, study
from capacity.forecast.occasions import Occasion
from tests.forecast.simulate import simulate

DAY = pd.Timedelta(days=1)


def daily(n: int, seed: int = 0) -> pd.Series:
    return simulate(np.random.default_rng(seed), n, "D")


def asked(series: pd.Series, known: dict[str, Told] | None = None, **more: object) -> tuple[_study.Study, Recall]:
    history = clean("s", series, "D")
    assert history is not None
    recall = Recall(known or {}, keeps=True)
    return study(history, 30, 2, anchored=True, recall=recall, **more), recall  # type: ignore[arg-type]


def batch(series: pd.Series, memory: Path | None = None, **more: object) -> SeriesForecast:
    kind = {"freq": "D", "horizon": 30, "n_paths": 60, "past_origins": 2, "anchored": True, **more}
    return forecast_batch({"s": series}, memory=memory, **kind)["s"]  # type: ignore[arg-type]


# --- the grid of origins -----------------------------------------------------------------------------------


@given(st.integers(60, 2000), st.integers(0, 20_000), st.integers(3, 200), st.integers(1, 8))
def test_origins_lie_on_a_grid_and_are_no_fewer_than_without_one(n: int, start: int, horizon: int, count: int) -> None:
    step = step_for(horizon)
    free = [n - step * (k + 1) for k in range(3 * count + 2) if n - step * (k + 1) >= max(14, n // 3)]
    lengths = past_lengths(n, horizon, count, "D", None, start)
    assert list(lengths) == sorted(lengths, reverse=True)
    if len(free) > 1:
        assert len(lengths) >= len(free) - (free[-1] - step < 14)
        assert all((start + m) % step == 0 for m in lengths)
        assert n - 2 * step < lengths[0] <= n - step
        assert n - lengths[-1] <= reach(horizon, count)


@given(st.integers(400, 900), st.integers(0, 20_000), st.integers(1, 29))
def test_a_day_more_leaves_the_origins_where_they_are(n: int, start: int, days: int) -> None:
    before, after = (set(past_lengths(m, 90, 4, "D", None, start)) for m in (n, n + days))
    assert len(after - before) <= 1
    assert len(before - after) <= 2


def test_series_that_end_on_different_days_share_their_origins() -> None:
    series = daily(300)
    a, b = asked(series)[0], asked(series.iloc[5:-3])[0]
    stamps = [[one.history.start + n * DAY for n in one.origins] for one in (a, b)]
    assert set(stamps[0]) & set(stamps[1])


# --- no look-ahead -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1000.0, -1.0, 0.0])
def test_what_comes_later_changes_nothing_that_was_said_not_even_the_scale(factor: float) -> None:
    series = daily(150)
    changed = series.copy()
    changed.iloc[-20:] *= factor
    (_, before), (_, after) = asked(series), asked(changed)
    early = [name for name in before.used if name in after.fresh]
    assert len(early) >= len(before.used) - 2
    for name in early:
        for member, z in before.fresh[name].medians.items():
            np.testing.assert_array_equal(z, after.fresh[name].medians[member])


def test_the_members_see_what_was_known_and_their_word_is_carried_onto_the_scale_of_now() -> None:
    series = daily(150)
    series.iloc[-60:] *= 50.0
    one, _ = asked(series)
    k = next(k for k, n in enumerate(one.origins) if n <= 90)
    naive = one.history.scale.inverse(one.past[one.names.index("seasonal_naive"), k])
    n = one.origins[k]
    np.testing.assert_allclose(naive[:7], series.iloc[n - 7 : n], rtol=1e-5)


# --- remembered ----------------------------------------------------------------------------------------------


def test_a_new_day_asks_about_that_day_only() -> None:
    series = daily(200)
    one, first = asked(series.iloc[:-1])
    two, second = asked(series, first.fresh)
    assert first.fresh
    assert set(second.used) <= set(first.used) or second.fresh
    if one.origins == two.origins:  # the grid has no new origin due on this day
        assert not second.fresh
    assert not np.array_equal(one.final, two.final)


def test_every_day_of_a_month_asks_at_most_about_one_new_origin() -> None:
    series, known = daily(230), {}
    for day in range(30, 0, -6):
        before = set(known)
        _, recall = asked(series.iloc[:-day], known)
        known = {**{k: known[k] for k in recall.used if k in known}, **recall.fresh}
        if before:
            assert len(recall.fresh) <= 3  # a new origin, and Prophet at one that has become whole


def test_what_is_remembered_gives_the_same_forecast_to_the_bit(tmp_path: Path) -> None:
    series = daily(200)
    batch(series.iloc[:-1], tmp_path)
    again, anew = batch(series, tmp_path), batch(series)
    for name in ("quantiles", "paths", "peak", "total"):
        np.testing.assert_array_equal(getattr(again, name), getattr(anew, name))
    assert (again.model, again.reason, again.scores) == (anew.model, anew.reason, anew.scores)


def test_another_past_horizon_or_occasion_is_asked_anew() -> None:
    series = daily(200)
    _, first = asked(series)
    changed = series.copy()
    changed.iloc[0] *= 1.01
    assert len(asked(changed, first.fresh)[1].fresh) == len(first.used)
    fair = Occasion("fair", "event", ((series.index[60], series.index[61]),), multiplier=2.0)
    assert len(asked(series, first.fresh, occasions=(fair,))[1].fresh) == len(first.used)
    history = clean("s", series, "D")
    assert history is not None
    other = Recall(first.fresh, keeps=True)
    study(history, 31, 2, recall=other)
    assert len(other.fresh) == len(other.used)


def test_an_occasion_far_ahead_changes_no_past_origin() -> None:
    series = daily(200)
    _, first = asked(series)
    later = series.index[-1] + 400 * DAY
    assert not asked(series, first.fresh, occasions=(Occasion("fair", "event", ((later, later),)),))[1].fresh


def test_changed_code_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    series = daily(120)
    _, first = asked(series)
    monkeypatch.setattr(_memory, "code_digest", lambda: "another")
    assert len(asked(series, first.fresh)[1].fresh) == len(first.used)


# --- files ---------------------------------------------------------------------------------------------------


def told(*names: str) -> dict[str, Told]:
    return {n: Told({"a": np.arange(3, dtype=np.float32), "b": np.ones(3, dtype=np.float32)}) for n in names}


def test_a_file_gives_back_what_was_written_and_only_that(tmp_path: Path) -> None:
    write(tmp_path, "x|mean", told("one", "two"))
    write(tmp_path, "x|mean", told("two"))
    back = read(tmp_path, "x|mean")
    assert list(back) == ["two"]
    assert list(back["two"].medians) == ["a", "b"]
    np.testing.assert_array_equal(back["two"].medians["a"], [0.0, 1.0, 2.0])
    assert read(tmp_path, "x|peak") == {}
    assert [p.name for p in tmp_path.iterdir()] == [file_of(tmp_path, "x|mean").name]


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_torn_file_is_as_good_as_none(tmp_path: Path, keep: int) -> None:
    series = daily(60)
    whole = batch(series, tmp_path)
    path = file_of(tmp_path, "s")
    path.write_bytes(path.read_bytes()[:keep])
    assert read(tmp_path, "s") == {}
    np.testing.assert_array_equal(batch(series, tmp_path).quantiles, whole.quantiles)
    assert read(tmp_path, "s")


def test_a_folder_that_takes_nothing_costs_only_the_memory(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    np.testing.assert_array_equal(batch(daily(60), blocked / "origins").quantiles, batch(daily(60)).quantiles)


def test_what_is_no_longer_used_goes(tmp_path: Path) -> None:
    series = daily(200)
    batch(series.iloc[:-100], tmp_path)
    early = set(read(tmp_path, "s"))
    batch(series, tmp_path)
    late = set(read(tmp_path, "s"))
    assert late - early
    assert early - late
    write(tmp_path, "gone", told("one"))
    os.utime(file_of(tmp_path, "gone"), (0.0, os.stat(file_of(tmp_path, "s")).st_mtime - FORGET_AFTER_SECONDS - 60))
    forget_old(tmp_path)
    assert read(tmp_path, "gone") == {}
    assert set(read(tmp_path, "s")) == late


def test_a_use_is_noted(tmp_path: Path) -> None:
    write(tmp_path, "s", told("one"))
    os.utime(file_of(tmp_path, "s"), (0.0, 0.0))
    touch(tmp_path, "s")
    assert file_of(tmp_path, "s").stat().st_mtime > 0
    touch(tmp_path, "another")  # no file, no error
