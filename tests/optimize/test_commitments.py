"""Commitment levels: the newsvendor's quantile where demand is known, sense where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from capacity.errors import MissingDataError, UsageError
from capacity.optimize import commitment_level, known_demand_level
from capacity.optimize.commitments import commitment_outlook

YEAR = 8760


def _hourly(values: np.ndarray, start: str = "2025-01-06") -> pd.Series:
    return pd.Series(values, index=pd.date_range(start, periods=len(values), freq="h"))


def _cost(demand: np.ndarray, level: float, rate: float) -> float:
    return float(rate * level * len(demand) + np.maximum(demand - level, 0).sum())


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=60), st.floats(0.05, 0.95))
def test_no_level_serves_known_demand_at_less_cost(values: list[float], rate: float) -> None:
    demand = np.array(values)
    level = known_demand_level(demand, rate)
    best = min(_cost(demand, x, rate) for x in [0.0, *values])
    assert _cost(demand, level, rate) == pytest.approx(best, rel=1e-9, abs=1e-9)


@given(st.integers(2, 400), st.floats(0.05, 0.95), st.integers(0, 5))
def test_one_product_with_known_demand_is_the_quantile(count: int, rate: float, seed: int) -> None:
    demand = np.random.default_rng(seed).gamma(3.0, 20.0, count)
    # On the edge between two values both serve at the same cost, and rounding decides which one is named.
    assume(abs(count * rate - round(count * rate)) > 1e-6)
    expected = np.quantile(demand, 1 - rate, method="inverted_cdf")
    assert known_demand_level(demand, rate) == pytest.approx(expected, abs=1e-6)


def test_hours_are_weights() -> None:
    blocks, hours = np.array([10.0, 30.0, 20.0]), np.array([400.0, 44.0, 300.0])
    assert known_demand_level(blocks, 0.6, hours) == known_demand_level(np.repeat(blocks, hours.astype(int)), 0.6)


@pytest.mark.parametrize("rate", [0.3, 0.5, 0.72])
def test_constant_demand_is_met_nearly_whole(rate: float) -> None:
    # Nothing moves but what is allowed for drift: the level stays near, and below for a dear commitment.
    level = commitment_level(_hourly(np.full(YEAR, 100.0)), rate, 365)
    assert 85 < level < 108


def test_a_dearer_commitment_is_smaller() -> None:
    hours = np.arange(YEAR)
    demand = _hourly(100 + 30 * np.sin(hours * 2 * np.pi / 24))
    levels = [commitment_level(demand, rate, 365) for rate in (0.3, 0.5, 0.72, 0.9)]
    assert levels == sorted(levels, reverse=True)


def test_growth_is_carried_on_but_damped() -> None:
    weeks = np.arange(YEAR) / (24 * 7)
    flat, grows = _hourly(np.full(YEAR, 100.0)), _hourly(100 * np.exp(0.01 * (weeks - weeks[-1])))
    level, without = commitment_level(grows, 0.5, 365), commitment_level(flat, 0.5, 365)
    assert without < level < without * np.exp(0.01 * 52)


def test_a_step_and_a_launch_are_not_carried_on_as_growth() -> None:
    flat = np.full(YEAR, 100.0)
    step, launch = flat.copy(), flat.copy()
    step[: YEAR // 2] = 60.0
    launch[:2000] = 1.0
    launch[2000:4000] = np.linspace(1.0, 100.0, 2000)
    level = commitment_level(_hourly(flat), 0.5, 365)
    for demand in (step, launch):
        assert commitment_level(_hourly(demand), 0.5, 365) == pytest.approx(level, rel=0.1)


def test_a_restless_level_is_committed_to_less() -> None:
    months = np.repeat(np.tile([1.0, 1.3, 0.8, 1.1, 0.9], 3), 28 * 24)[-YEAR:]
    calm, restless = _hourly(np.full(YEAR, months[-1])), _hourly(months)
    assert commitment_level(restless, 0.72, 365) < commitment_level(calm, 0.72, 365)


@given(st.integers(0, 99), st.floats(0.2, 0.9), st.sampled_from([30, 365, 1095]))
def test_an_outlook_is_of_the_level_and_adds_up(seed: int, rate: float, days: int) -> None:
    demand = _hourly(np.random.default_rng(seed).gamma(9.0, 10.0, 3000))
    told = commitment_outlook(demand, rate, days)
    assert told.level == commitment_level(demand, rate, days)
    assert 0 < told.utilisation_frac <= 1
    assert 0 < told.coverage_frac <= 1
    # No future saves more than the discount.
    assert max(told.saving_p10_frac, told.saving_p50_frac, told.saving_p90_frac) <= 1 - rate + 1e-9
    if told.break_even_day is not None:
        assert rate * days - 1 <= told.break_even_day <= days


def test_an_outlook_of_what_is_certain() -> None:
    told = commitment_outlook(_hourly(np.full(100, 8.0)), 0.7, 100)
    assert (told.level, told.utilisation_frac, told.coverage_frac) == (8.0, 1.0, 1.0)
    assert told.saving_p10_frac == pytest.approx(0.3)
    assert told.saving_p90_frac == pytest.approx(0.3)
    assert told.break_even_day == 70
    idle = commitment_outlook(_hourly(np.zeros(3000)), 0.7, 100)
    assert (idle.level, idle.utilisation_frac, idle.break_even_day) == (0.0, 0.0, None)


def test_scales_with_its_unit_and_repeats_itself() -> None:
    demand = _hourly(np.random.default_rng(4).gamma(9.0, 10.0, 4000))
    level = commitment_level(demand, 0.6, 365)
    assert commitment_level(demand * 1000, 0.6, 365) == pytest.approx(1000 * level)
    assert commitment_level(demand, 0.6, 365) == level


@pytest.mark.parametrize("count", [1, 5, 100, 168, 500, 3000])
def test_short_histories_give_a_level_within_what_was_seen(count: int) -> None:
    demand = _hourly(np.random.default_rng(2).gamma(9.0, 10.0, count))
    level = commitment_level(demand, 0.6, 365)
    assert 0 <= level <= demand.max() * 1.5


def test_gaps_and_silence_do_not_break_it() -> None:
    demand = _hourly(np.random.default_rng(2).gamma(9.0, 10.0, 3000))
    gappy = demand.copy()
    gappy.iloc[500:900] = np.nan
    gappy = gappy.drop(gappy.index[2000:2300])
    assert commitment_level(gappy, 0.6, 365) == pytest.approx(commitment_level(demand, 0.6, 365), rel=0.1)
    assert commitment_level(demand * 0, 0.6, 365) == 0.0
    ended = demand.copy()
    ended.iloc[-1500:] = 0.0
    assert commitment_level(ended, 0.6, 365) == 0.0


@pytest.mark.parametrize(
    ("demand", "rate", "days", "error"),
    [
        (_hourly(np.ones(10)), 1.0, 365, UsageError),
        (_hourly(np.ones(10)), 0.0, 365, UsageError),
        (_hourly(np.ones(10)), 0.5, 0, UsageError),
        (_hourly(-np.ones(10)), 0.5, 365, UsageError),
        (pd.Series([1.0]), 0.5, 365, UsageError),
        (_hourly(np.full(10, np.nan)), 0.5, 365, MissingDataError),
    ],
)
def test_what_cannot_be_answered_is_refused(demand: pd.Series, rate: float, days: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        commitment_level(demand, rate, days)


@pytest.mark.shared
@pytest.mark.parametrize(("rate", "bar"), [(0.72, 0.015), (0.5, 0.033)])
def test_regret_on_real_demand_is_small_and_below_the_rule_of_thumb(real_data: Path, rate: float, bar: float) -> None:
    frame = pd.read_csv(real_data / "vm_demand" / "vm_demand_hourly.csv.gz", parse_dates=["ts"])
    totals = frame.pivot_table(index="ts", columns="region", values="vms", aggfunc="sum").asfreq("h").fillna(0.0)
    rows = []
    for origin in range(YEAR, len(totals) - YEAR, 28 * 24):
        for region in totals:
            past, year = totals[region].iloc[:origin], totals[region].iloc[origin : origin + YEAR].to_numpy()
            best = _cost(year, float(np.quantile(year, 1 - rate)), rate)
            ours = _cost(year, commitment_level(past, rate, 365), rate)
            thumb = _cost(year, float(np.quantile(past.iloc[-720:], 1 - rate)), rate)
            rows.append((ours / best - 1, thumb / best - 1, 1 - ours / year.sum(), 1 - thumb / year.sum()))
    regret, by_thumb, saving, saving_by_thumb = np.array(rows).T
    assert regret.mean() <= bar
    assert regret.mean() < by_thumb.mean()
    assert saving.min() >= saving_by_thumb.min()
