"""Events and holidays: what was put into simulated demand is found, nothing else is, and nothing looks ahead."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulate import simulate

from capacity import forecast
from capacity.domain import LearnedEffect
from capacity.forecast._history import View, clean
from capacity.forecast.occasions import Effects, Occasion, effects, factor_ahead, unlearned

YEARS = (2022, 2023, 2024)
# The Friday after the fourth Thursday of November.
FRIDAYS = tuple(pd.Timestamp(d) for d in ("2022-11-25", "2023-11-24", "2024-11-29"))


def view_of(series: pd.Series, freq: str = "D") -> View:
    history = clean("k", series, freq)  # type: ignore[arg-type]
    assert history is not None
    return history.upto(len(history))


def days(seed: int, last: str = "2024-10-31") -> pd.Series:
    return simulate(np.random.default_rng(seed), 1100, "D")[:last]


def calm(last: str = "2024-10-31", seed: int = 0) -> pd.Series:
    """A week's shape and two per cent of noise."""
    index = pd.date_range("2022-01-03", last)
    rng = np.random.default_rng(seed)
    return pd.Series(
        100.0 * np.exp(0.2 * np.sin(2 * np.pi * index.dayofweek / 7) + rng.normal(0, 0.02, len(index))), index
    )


def sale(spans: tuple[tuple[pd.Timestamp, pd.Timestamp], ...] | None = None, **over: object) -> Occasion:
    return Occasion("sale", "event", spans or tuple((d, d) for d in FRIDAYS), **over)  # type: ignore[arg-type]


def one(found: Effects, name: str = "sale") -> LearnedEffect:
    (entry,) = [x for x in found.learned if x.name == name]
    return entry


def on_day(year: int, day: int) -> tuple[pd.Timestamp, pd.Timestamp]:
    return (pd.Timestamp(f"{year}-01-01") + pd.Timedelta(days=day),) * 2


def at(found: Effects, view: View, day: pd.Timestamp) -> float:
    return float(found.ahead[(day - view.start).days - len(view)])


def test_nothing_given_is_nothing_done() -> None:
    view = view_of(calm())
    for known in ((), (sale(((pd.Timestamp("2031-01-01"),) * 2,)),)):
        found = effects(view, 30, known)
        assert not found.past.any()
        assert not found.ahead.any()
        assert found.learned == ()
        assert found.past.shape == (len(view),)
        assert found.ahead.shape == (30,)


def test_an_event_of_last_years_is_put_on_this_years_other_date() -> None:
    series = calm()
    series[list(FRIDAYS[:2])] *= 2.4
    view = view_of(series)
    found = effects(view, 60, [sale()])
    entry = one(found)
    assert entry.low < 2.4 < entry.high
    assert entry.multiplier == pytest.approx(2.4, rel=0.05)
    assert (entry.start, entry.end, entry.occurrences, entry.source) == (FRIDAYS[2], FRIDAYS[2], 2, "learned")
    assert at(found, view, FRIDAYS[2]) > 0.7
    assert np.count_nonzero(np.abs(found.ahead) > 0.05) == 1
    # Without its effect the day is as the Fridays around it: never learned as base demand.
    base = view.scale.inverse(view.z - found.past)
    day = (FRIDAYS[1] - view.start).days
    assert base[day] == pytest.approx((series.iloc[day - 7] + series.iloc[day + 7]) / 2, rel=0.1)


def test_multipliers_of_a_known_size_lie_in_their_interval_as_often_as_it_says() -> None:
    inside, off = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        series, size = days(seed), float(np.exp(rng.normal(0.6, 0.4)))
        for day in FRIDAYS[:2]:
            series[day] *= size * np.exp(rng.normal(0, 0.1))
        entry = one(effects(view_of(series), 60, [sale(ramp_steps=1)]))
        inside.append(entry.low <= size * np.exp(rng.normal(0, 0.1)) <= entry.high)
        off.append(np.log(entry.multiplier / size))
    assert 0.65 <= np.mean(inside) <= 0.95  # 80 % of 60: two standard errors are 10 points
    assert abs(np.median(off)) < 0.05


def test_three_days_have_a_shape_of_their_own() -> None:
    series, sizes = calm(), (3.0, 2.0, 1.3)
    spans = tuple((d, d + pd.Timedelta(days=2)) for d in FRIDAYS)
    for first, _ in spans[:2]:
        for offset, size in enumerate(sizes):
            series[first + pd.Timedelta(days=offset)] *= size
    entry = one(effects(view_of(series), 60, [sale(spans)]))
    assert entry.profile == pytest.approx(sizes, rel=0.1)
    assert entry.multiplier == pytest.approx(np.mean(entry.profile))


def test_a_single_day_takes_its_own_weekday_of_a_longer_past() -> None:
    series = calm()
    spans = [(d - pd.Timedelta(days=1), d + pd.Timedelta(days=5)) for d in FRIDAYS[:2]]  # Thursday to Wednesday
    series[list(FRIDAYS[:2])] *= 3.0
    entry = one(effects(view_of(series), 60, [sale((*spans, (FRIDAYS[2], FRIDAYS[2])))]))
    assert entry.multiplier == pytest.approx(3.0, rel=0.1)


def test_days_before_and_after_count_only_where_the_past_says_so() -> None:
    series = calm()
    series[list(FRIDAYS[:2])] *= 2.0
    plain = one(effects(view_of(series), 60, [sale(ramp_steps=1)])).profile
    assert (plain[0], plain[2]) == (1.0, 1.0)
    for day in FRIDAYS[:2]:
        series[day + pd.Timedelta(days=1)] *= 1.5
    after = one(effects(view_of(series), 60, [sale(ramp_steps=1)])).profile
    assert after[0] == 1.0
    assert after[2] == pytest.approx(1.5, rel=0.1)


def test_recent_years_count_more() -> None:
    series = calm()
    series[FRIDAYS[0]] *= 1.5
    series[FRIDAYS[1]] *= 3.0
    assert one(effects(view_of(series), 60, [sale()])).multiplier > 1.05 * np.sqrt(1.5 * 3.0)


def test_years_that_differ_widen_the_interval() -> None:
    def width(sizes: tuple[float, float]) -> float:
        series = calm()
        for day, size in zip(FRIDAYS, sizes, strict=False):
            series[day] *= size
        entry = one(effects(view_of(series), 60, [sale()]))
        return float(np.log(entry.high / entry.low))

    assert width((1.5, 3.5)) > 1.5 * width((2.3, 2.3))


def test_a_given_multiplier_holds_ahead_and_the_past_is_freed_all_the_same() -> None:
    series = calm()
    series[list(FRIDAYS[:2])] *= 3.0
    view = view_of(series)
    found = effects(view, 60, [sale(multiplier=2.0)])
    entry = one(found)
    assert (entry.multiplier, entry.low, entry.high, entry.source) == (2.0, 2.0, 2.0, "given")
    level = float(np.median(series["2024-09-01":][lambda s: s.index.dayofweek == 4]))
    z = view.scale.forward(np.array(level)) + at(found, view, FRIDAYS[2])
    assert float(view.scale.inverse(z)) == pytest.approx(2.0 * level, rel=0.02)
    assert found.past[(FRIDAYS[1] - view.start).days] > 0.8


def test_an_event_never_seen_is_said_and_does_nothing() -> None:
    entry = one(found := effects(view_of(calm()), 60, [sale(((FRIDAYS[2], FRIDAYS[2]),))]))
    assert (entry.multiplier, entry.occurrences) == (1.0, 0)
    assert not found.ahead.any()


def test_holidays_without_an_effect_stay_at_one() -> None:
    sizes = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        known = [
            Occasion(f"h{i}", "holiday", tuple(on_day(y, int(d)) for y in YEARS), ramp_steps=1)
            for i, d in enumerate(rng.choice(np.arange(20, 340, 5), 10, replace=False))
        ]  # fmt: skip
        sizes += [x.multiplier for x in effects(view_of(days(seed)), 366, known).learned]
    off = np.abs(np.log(sizes))
    assert np.mean(off > 0) < 0.06
    assert off.mean() < 0.01


def test_a_holiday_that_halves_demand_is_found_among_others() -> None:
    series = calm()
    known = forecast.holiday_occasions([("DE", None)], date(2022, 1, 1), date(2025, 1, 31), "D")
    for year in (2022, 2023):
        for day in ("12-25", "12-26"):
            series[pd.Timestamp(f"{year}-{day}")] *= 0.5
    found = {x.name: x.multiplier for x in effects(view_of(series), 90, known).learned}
    assert found["Christmas Day"] == pytest.approx(0.5, abs=0.05)
    assert found["Second Day of Christmas"] == pytest.approx(0.5, abs=0.05)
    assert all(abs(m - 1) < 0.02 for name, m in found.items() if "Christmas" not in name)


def test_an_event_owns_its_day_before_a_holiday_does() -> None:
    series = calm()
    series[list(FRIDAYS[:2])] *= 2.0
    spans = tuple((d, d) for d in FRIDAYS)
    found = effects(view_of(series), 60, [Occasion("day off", "holiday", spans, ramp_steps=1), sale(spans)])
    assert one(found).multiplier == pytest.approx(2.0, rel=0.05)
    assert at(found, view_of(series), FRIDAYS[2]) < 0.8  # once, not twice


def test_hours_are_learned_hour_by_hour() -> None:
    index = pd.date_range("2026-03-02", periods=8 * 168, freq="h")
    rng = np.random.default_rng(3)
    series = pd.Series(100 * np.exp(0.4 * np.cos(2 * np.pi * index.hour / 24) + rng.normal(0, 0.03, len(index))), index)
    spans = [(pd.Timestamp(d) + pd.Timedelta(hours=18), pd.Timestamp(d) + pd.Timedelta(hours=21))
             for d in ("2026-03-25", "2026-04-08", "2026-04-29")]  # fmt: skip
    for first, last in spans[:2]:
        series[first:last] *= np.array([1.5, 3.0, 3.0, 1.5])
    entry = one(effects(view_of(series, "h"), 168, [sale(tuple(spans), ramp_steps=2)]))
    assert entry.profile[2:6] == pytest.approx((1.5, 3.0, 3.0, 1.5), rel=0.12)
    assert (entry.start, entry.end) == spans[2]


@given(seed=st.integers(0, 40), factor=st.floats(1e-3, 1e6))
def test_a_series_in_another_unit_has_the_same_multipliers(seed: int, factor: float) -> None:
    series = days(seed)
    series[list(FRIDAYS[:2])] *= 2.0
    a, b = (effects(view_of(series * f), 60, [sale(ramp_steps=1)]) for f in (1.0, factor))
    assert np.allclose(a.past, b.past, atol=1e-8)
    assert np.allclose(a.ahead, b.ahead, atol=1e-8)


@given(seed=st.integers(0, 40), cut=st.integers(500, 1000), junk=st.floats(0.0, 1e4))
def test_what_comes_later_never_changes_an_effect(seed: int, cut: int, junk: float) -> None:
    series = days(seed, "2024-12-31")
    other = series.copy()
    other.iloc[cut:] = junk
    seen = []
    for values in (series, other):
        history = clean("k", values, "D")
        assert history is not None
        seen.append(effects(history.upto(cut), 90, [sale(ramp_steps=1)]))
    assert np.array_equal(seen[0].past, seen[1].past)
    assert np.array_equal(seen[0].ahead, seen[1].ahead)
    assert seen[0].learned == seen[1].learned


@given(shift=st.integers(1, 80))
def test_the_calendar_may_be_moved_by_whole_weeks(shift: int) -> None:
    series = days(7)
    series[list(FRIDAYS[:2])] *= 2.0
    by = pd.Timedelta(days=7 * shift)
    moved = series.copy()
    moved.index = moved.index + by
    a = effects(view_of(series), 60, [sale()])
    b = effects(view_of(moved), 60, [sale(tuple((d + by, d + by) for d in FRIDAYS))])
    assert np.allclose(a.ahead, b.ahead)
    assert one(a).multiplier == pytest.approx(one(b).multiplier)


def test_steps_of_an_event_not_yet_seen_teach_no_error() -> None:
    history = clean("k", calm(), "D")
    assert history is not None
    before = (FRIDAYS[0] - history.start).days
    first = unlearned(history.upto(before - 10), 30, [sale(ramp_steps=1)])
    assert np.flatnonzero(first).tolist() == [9, 10, 11]
    later = (FRIDAYS[1] - history.start).days
    assert not unlearned(history.upto(later - 10), 30, [sale(ramp_steps=1)]).any()
    holiday = Occasion("x", "holiday", ((FRIDAYS[0], FRIDAYS[0]),))
    assert not unlearned(history.upto(before - 10), 30, [holiday]).any()


def test_a_forecast_carries_the_event_and_can_be_had_without() -> None:
    series = calm()
    series[list(FRIDAYS[:2])] *= 2.5
    known = {"plain": (), "sale": (sale(),)}
    found = forecast.forecast_batch(
        {key: series.rename(key) for key in known}, freq="D", horizon=40, n_paths=200, past_origins=2, occasions=known
    )
    day = found["sale"].index.get_loc(FRIDAYS[2])
    factor = factor_ahead(found["sale"], "sale")
    assert factor[day] == pytest.approx(2.5, rel=0.1)
    assert np.count_nonzero(factor != 1.0) == 1
    medians = {key: f.quantiles[3] for key, f in found.items()}
    usual = medians["sale"][[day - 7, day + 7]].mean()
    assert medians["sale"][day] == pytest.approx(2.5 * usual, rel=0.12)
    assert np.median(found["sale"].paths[:, day]) / factor[day] == pytest.approx(usual, rel=0.1)
    assert [x.name for x in found["sale"].learned] == ["sale"]
    assert found["plain"].learned == ()
