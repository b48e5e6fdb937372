"""What the spend forecast said at past origins: variance, grades, and how wide intervals should have been."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.costs import Owner, PastMonth, backtest, scored, widths
from capacity.costs.spend_past import WIDEST, Spread, past_months
from capacity.domain import PastMedians
from tests.factory_forecast import a_forecast

END = pd.Timestamp("2026-09-30")
HORIZON = 120
ORIGINS = tuple(END - pd.Timedelta(days=n) for n in (61, 122, 183))


def owner(name: str, known: pd.Series, said: float, spread: float = 0.05, team: str = "t") -> Owner:
    """An owner whose forecasts, now and at each past origin, say ``said`` every day."""
    level = said * (1.0 + spread * np.random.default_rng(1).standard_normal((400, 1)))
    ahead = a_forecast(name, np.repeat(level, HORIZON, axis=1), start="2026-10-01")
    medians = np.full((len(ORIGINS), HORIZON), said, np.float32)
    return Owner(name, team, known, replace(ahead, past=PastMedians(ORIGINS, medians)))


def steady(value: float, first: str = "2025-10-01") -> pd.Series:
    days = pd.date_range(first, END, freq="D")
    return pd.Series(value, index=days)


def test_whole_months_after_each_origin_with_what_last_month_had_cost() -> None:
    found = past_months([owner("a", steady(10.0), 12.0)])
    by_origin = {o: [m for m in found if m.origin == o] for o in ORIGINS}
    assert ORIGINS[0] == pd.Timestamp("2026-07-31")
    first = by_origin[ORIGINS[0]]
    assert [(m.month, m.ahead) for m in first] == [("2026-08", 1), ("2026-09", 2)]
    assert first[0].said == pytest.approx(31 * 12.0)
    assert first[0].came == pytest.approx(310.0)
    # The origin is the last day of July: July is the last whole month.
    assert first[0].naive == pytest.approx(310.0)
    # 120 days from 31 March reach to 29 July: July was not forecast whole then.
    assert [m.month for m in by_origin[ORIGINS[2]]] == ["2026-04", "2026-05", "2026-06"]


def test_what_a_past_origin_says_is_blind_to_what_came_later() -> None:
    known = steady(10.0)
    later = known.copy()
    later[later.index > ORIGINS[1]] *= 5.0
    one, other = (past_months([owner("a", k, 12.0)]) for k in (known, later))
    for a, b in zip(one, other, strict=True):
        if a.origin == ORIGINS[1]:
            assert (a.said, a.naive) == (b.said, b.naive)
            assert b.came == pytest.approx(5.0 * a.came)


def test_a_member_without_a_forecast_yet_is_taken_at_its_last_four_weeks_and_a_newcomer_only_in_what_came() -> None:
    young = owner("young", steady(4.0, "2026-05-01"), 5.0)
    none = PastMedians((), np.zeros((0, HORIZON), np.float32))
    young = replace(young, ahead=replace(young.ahead, past=none))
    found = past_months([owner("a", steady(10.0), 12.0), young])
    at = {(m.origin, m.month): m for m in found}
    assert at[ORIGINS[0], "2026-08"].said == pytest.approx(31 * (12.0 + 4.0))
    before = at[ORIGINS[2], "2026-05"]  # it was not there on 31 March
    assert before.said == pytest.approx(31 * 12.0)
    assert before.came == pytest.approx(31 * 14.0)


def test_a_group_most_of_whose_spend_had_no_forecast_is_not_judged() -> None:
    none = PastMedians((), np.zeros((0, HORIZON), np.float32))
    large = owner("large", steady(100.0), 100.0)
    large = replace(large, ahead=replace(large.ahead, past=none))
    assert past_months([owner("a", steady(10.0), 12.0), large]) == ()


def _months(errors: list[float]) -> list[tuple[PastMonth, float]]:
    """A month an origin, each so many half widths off."""
    start = pd.Timestamp("2024-01-31")
    origins = [start + pd.offsets.MonthEnd(n) for n in range(len(errors))]
    return [
        (PastMonth(o, f"{o + pd.Timedelta(days=1):%Y-%m}", 1, 1.0, 1.0, 1.0), e)
        for o, e in zip(origins, errors, strict=True)
    ]


def test_widths_follow_what_was_missed_and_are_never_below_one() -> None:
    # Half widths of 80 % that are right: normal errors of 1/1.28.
    fair = list(np.abs(np.random.default_rng(3).normal(0, 1 / 1.2816, 60)))
    twice = [2.0 * x for x in fair]
    found = widths({("team", "fair"): _months(fair), ("service", "short"): _months(twice), ("company", "c"): []})
    assert found.of("team", "fair", 1) == pytest.approx(1.0, abs=0.1)
    assert found.of("service", "short", 1) == pytest.approx(2.0, rel=0.12)
    assert found.of("company", "c", 1) == 1.0
    assert found.of("team", "never heard of", 1) == 1.0
    assert widths({("team", "x"): _months([0.0] * 9)}).of("team", "x", 1) == 1.0


@given(st.lists(st.floats(0.0, 4.0), max_size=20))
def test_widths_are_bounded_and_little_evidence_moves_them_little(errors: list[float]) -> None:
    factor = widths({("service", "a"): _months(errors)}).of("service", "a", 1)
    assert 1.0 <= factor <= WIDEST
    if len(errors) == 1:
        assert factor <= 1.0 + 0.5 * max(0.0, 1.61 * errors[0] - 1.0) + 1e-9


def test_scores_are_in_half_widths() -> None:
    paths = np.repeat(10.0 * (1 + 0.1 * np.random.default_rng(2).standard_normal((4000, 1))), 90, axis=1)
    spread = Spread.of(paths, np.median(paths, axis=0))
    month = PastMonth(pd.Timestamp("2026-06-30"), "2026-07", 1, 310.0, 310.0 * (1 + 0.12816), 310.0)
    assert spread.score(month) == pytest.approx(1.0, abs=0.06)
    assert spread.score(month._replace(came=310.0)) == pytest.approx(0.0, abs=0.02)


def test_the_backtest_says_where_the_forecast_has_lost() -> None:
    groups = {("service", "lost"): [owner("lost", steady(10.0), 12.0)], ("service", "won"): [_growing()]}
    rows = {(r.name, r.horizon_months): r for r in backtest(scored(groups))}
    lost, won = rows["lost", 3], rows["won", 3]
    assert (lost.origins, lost.months, lost.grade, lost.beats_naive) == (3, 8, "crawl", False)
    assert lost.variance_frac == pytest.approx(2 / 12)
    # Half of the months have a day more or less than the last one had.
    assert lost.naive_variance_frac == pytest.approx(np.mean([0, 1 / 31, 0, 1 / 31, 0, 1 / 31, 0, 1 / 31]), rel=0.1)
    assert "it has LOST to 'same as last month', which would have erred 1.6%" in lost.words
    assert (won.grade, won.beats_naive) == ("run", True)
    assert "LOST" not in won.words


def _growing() -> Owner:
    """Spend that grows by the day, foreseen exactly."""
    days = pd.date_range("2025-10-01", END + pd.Timedelta(days=HORIZON), freq="D")
    truth = pd.Series(10.0 * 1.004 ** np.arange(len(days)), index=days)
    rows = [truth.loc[o + pd.Timedelta(days=1) :].iloc[:HORIZON].to_numpy(np.float32) for o in ORIGINS]
    one = owner("won", truth.loc[:END], 10.0)
    return replace(one, ahead=replace(one.ahead, past=PastMedians(ORIGINS, np.array(rows))))


def test_coverage_of_an_origin_uses_only_months_that_were_over() -> None:
    """The first months judged have no older ones to learn a width from: they are held to the plain interval."""
    rows = backtest(scored({("service", "a"): [owner("a", steady(10.0), 12.0, spread=0.06)]}))
    (one,) = [r for r in rows if r.horizon_months == 3]
    # A miss of two half widths: the oldest origin's three are missed; the later ones are held to a wider interval.
    assert one.coverage80_frac is not None
    assert one.coverage80_frac < 0.5
    assert rows[0].horizon_months == 1


def test_a_bill_too_short_says_so() -> None:
    short = owner("a", steady(10.0, "2026-09-01"), 10.0)
    (row,) = backtest(scored({("company", "c"): [short]}))
    assert (row.grade, row.months, row.beats_naive) == ("too short", 0, None)
    assert "too short to judge" in row.words
