"""The planner alone: every hour once, at a period that CloudWatch still keeps, in calls within the limits."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.sources.aws._cloudwatch_plan import (
    DAY,
    HOUR,
    MAX_POINTS,
    MAX_QUERIES,
    Rule,
    Stretch,
    oldest,
    parts,
    queries_a_call,
    retention_days,
    stretches,
)

NOW = 1_800_000_000 // DAY * DAY + 10 * HOUR + 1234
moments = st.integers(NOW - 3 * DAY, NOW + 3 * DAY)
rules = st.builds(
    Rule,
    period_seconds=st.sampled_from([None, None, 60, 300, 900, 3600, 6 * 3600, DAY]),
    finest_seconds=st.sampled_from([60, 300, 3600]),
    days=st.integers(1, 455),
    overlap_hours=st.integers(0, 48),
)


def hours(spans: Sequence[Stretch]) -> dict[int, int]:
    """Hour -> period; fails where one is there twice."""
    out: dict[int, int] = {}
    for span in spans:
        assert span.start % max(HOUR, span.period) == span.end % max(HOUR, span.period) == 0
        for hour in range(span.start, span.end, HOUR):
            assert hour not in out
            out[hour] = span.period
    return out


@given(rule=rules, now=moments)
def test_a_new_series_is_covered_once_up_to_the_last_whole_hour(rule: Rule, now: int) -> None:
    spans, lost = stretches(rule, {}, now)
    covered = hours(spans)
    end = now // rule.block * rule.block
    first = (end - rule.days * DAY) if lost is None else lost
    assert sorted(covered) == list(range(max(first, 0), end, HOUR))
    for hour, period in covered.items():
        assert now - hour < retention_days(period) * DAY  # still kept when the call is made
        assert period >= rule.finest_seconds
        assert rule.period_seconds is None or period == max(rule.period_seconds, rule.finest_seconds)


@given(rule=rules, now=moments)
def test_by_age_it_is_the_finest_that_is_kept(rule: Rule, now: int) -> None:
    if rule.period_seconds is not None:
        return
    spans, _ = stretches(rule, {}, now)
    for hour, period in hours(spans).items():
        finer = [p for p in (60, 300, 3600) if rule.finest_seconds <= p < period]
        assert all(hour < oldest(p, now) for p in finer)


@given(data=st.data(), rule=rules, ingests=st.lists(st.integers(0, 90 * DAY), min_size=1, max_size=6))
def test_over_many_ingests_no_hour_has_two_periods_and_none_is_left_out(
    data: st.DataObject, rule: Rule, ingests: list[int]
) -> None:
    """Whatever the time between them, and also where the config is changed on the way."""
    stored: dict[int, int] = {}
    now = NOW
    for gap in ingests:
        now += gap
        last: dict[int, int] = {}
        for hour, period in stored.items():  # the newest point of a period that is shorter than an hour is inside it
            point = hour + max(0, HOUR - period)
            last[period] = max(last.get(period, 0), point // period * period)
        before = max(stored, default=None)
        spans, lost = stretches(rule, last, now)
        for hour, period in hours(spans).items():
            assert stored.get(hour, period) == period, "an hour at two periods"
            stored[hour] = period
        end = now // rule.block * rule.block
        if before is not None and lost is None:
            assert all(hour in stored for hour in range(before, end, HOUR)), "a hole"
        if data.draw(st.integers(0, 3)) == 0:
            rule = data.draw(rules)


@given(
    stretch=st.builds(
        lambda start, hours_, period: Stretch(start * HOUR, (start + hours_) * HOUR, period),
        st.integers(0, 1000), st.integers(1, 15 * 24), st.sampled_from([60, 300, 3600]),
    ),
    sizes=st.lists(st.integers(1, 700), max_size=60),
)  # fmt: skip
def test_calls_keep_both_limits_and_parts_lose_no_series(stretch: Stretch, sizes: list[int]) -> None:
    most = queries_a_call(stretch)
    assert 1 <= most <= MAX_QUERIES
    assert most * stretch.steps <= MAX_POINTS
    assert most == MAX_QUERIES or (most + 1) * stretch.steps > MAX_POINTS  # and a call is full
    planned = parts([(n, (stretch,)) for n in sizes])
    assert sorted(i for _, members in planned for i in members) == list(range(len(sizes)))
    for _, members in planned:
        assert len(members) == 1 or sum(sizes[i] for i in members) <= MAX_QUERIES


@pytest.mark.parametrize("finest", [60, 300, 3600])
def test_even_the_longest_history_of_one_metric_fits_into_a_call(finest: int) -> None:
    spans, _ = stretches(Rule(finest_seconds=finest), {}, NOW)
    assert all(s.steps <= MAX_POINTS for s in spans)


@pytest.mark.parametrize(("age", "period"), [(15, 60), (63, 300)])
def test_at_the_border_of_an_age_the_coarser_period_begins(age: int, period: int) -> None:
    """An hour is left for the ingest itself to take: what is kept now must still be kept when the call is made."""
    spans, _ = stretches(Rule(), {}, NOW)
    border = next(s.start for s in spans if s.period == period)
    assert 0 < border - (NOW - age * DAY) <= 2 * HOUR
    assert any(s.end == border and s.period > period for s in spans)


def test_what_is_read_again_is_read_as_it_is_stored() -> None:
    """Stored by the hour, though a minute would do now."""
    at = NOW // HOUR * HOUR
    spans, _ = stretches(Rule(), {3600: at - 5 * HOUR}, NOW)
    assert spans == (Stretch(at - 7 * HOUR, at - 4 * HOUR, 3600), Stretch(at - 4 * HOUR, at, 60))


def test_a_stored_period_that_is_no_longer_kept_is_not_asked_for_again() -> None:
    at = NOW // HOUR * HOUR - 20 * DAY
    spans, lost = stretches(Rule(), {60: at - 60}, NOW)
    assert lost is None
    assert spans[0] == Stretch(at, oldest(60, NOW), 300)
    assert spans[1].period == 60


def test_after_too_long_a_pause_what_is_lost_is_said() -> None:
    spans, lost = stretches(Rule(period_seconds=60), {60: NOW // HOUR * HOUR - 30 * DAY - 60}, NOW)
    assert lost == oldest(60, NOW) == spans[0].start


def test_a_clock_that_was_set_back_asks_for_nothing_new() -> None:
    at = NOW // HOUR * HOUR
    assert stretches(Rule(), {60: at + 10 * HOUR}, NOW) == ((), None)
