"""Hours from paths, blocks cut from hours, and the coverage of what is served."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import SeriesForecast
from capacity.errors import UsageError
from capacity.forecast import DayShapes, block_of, cut_blocks, forecast_batch, hourly_paths, plan_coverage
from capacity.forecast.blocks import _partition, cut_at_levels
from tests.forecast.simulate import simulate

DAYS = pd.date_range("2024-06-20", periods=45, freq="D")  # part of June, all of July, part of August


def hours_of(seed: int, paths: int = 200, days: pd.DatetimeIndex = DAYS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = 2 + np.sin(2 * np.pi * np.arange(24) / 24) + 0.5 * (days.dayofweek.to_numpy()[:, None] < 5)
    level = rng.lognormal(0, 0.3, (paths, 1, 1)) * rng.lognormal(0, 0.1, (paths, len(days), 24))
    return (level * shape).astype(np.float32)


def shapes() -> DayShapes:
    raw = np.random.default_rng(0).random((20, 24))
    raw -= raw.mean(axis=1, keepdims=True)
    return DayShapes((raw / raw.max(axis=1, keepdims=True)).astype(np.float32), tuple(np.arange(20) for _ in range(7)))


@pytest.fixture(scope="module")
def pair() -> tuple[SeriesForecast, SeriesForecast]:
    mean = simulate(np.random.default_rng(0), 27, "D")
    out = forecast_batch({"mean": mean, "peak": mean * 2.5}, freq="D", horizon=40, n_paths=300)
    return out["mean"], out["peak"]


def test_hours_keep_each_days_mean_and_peak(pair: tuple[SeriesForecast, SeriesForecast]) -> None:
    mean, peak = pair
    hours = hourly_paths(mean, peak, shapes(), 1)
    assert hours.shape == (300, 40, 24)
    assert hours.dtype == np.float32
    assert hours.min() >= 0
    np.testing.assert_allclose(hours.mean(axis=2), mean.paths, rtol=1e-4)
    # The peaks of a day are the peaks that were forecast, in the order that goes with the means.
    clipped = np.sort(np.clip(peak.paths, mean.paths.min(axis=0), None), axis=0)
    drawn = np.sort(hours.max(axis=2), axis=0)
    assert np.median(np.abs(drawn / clipped - 1)) < 1e-4
    ranks = np.argsort(np.argsort(hours.max(axis=2)[:, 3])), np.argsort(np.argsort(mean.paths[:, 3]))
    assert np.corrcoef(*ranks)[0, 1] > 0.6
    assert np.array_equal(hours, hourly_paths(mean, peak, shapes(), 1))
    assert not np.array_equal(hours, hourly_paths(mean, peak, shapes(), 2))


def test_a_peak_below_the_mean_is_raised_and_one_of_too_much_is_lowered(
    pair: tuple[SeriesForecast, SeriesForecast],
) -> None:
    mean, peak = pair
    low = hourly_paths(mean, dataclasses.replace(peak, paths=mean.paths * 0.5), shapes(), 1)
    np.testing.assert_allclose(low, np.repeat(mean.paths[:, :, None], 24, axis=2), rtol=1e-5)
    high = hourly_paths(mean, dataclasses.replace(peak, paths=mean.paths * 100), shapes(), 1)
    np.testing.assert_allclose(high.max(axis=2), 24 * mean.paths, rtol=1e-5)
    np.testing.assert_allclose(high.mean(axis=2), mean.paths, rtol=1e-4)


def test_forecasts_that_do_not_match_are_refused(pair: tuple[SeriesForecast, SeriesForecast]) -> None:
    mean, peak = pair
    with pytest.raises(UsageError, match="differ"):
        hourly_paths(mean, dataclasses.replace(peak, paths=peak.paths[:10]), shapes(), 1)


@given(st.integers(0, 10_000), st.integers(1, 6), st.floats(0.5, 1.0), st.booleans(), st.booleans())
def test_joint_coverage_is_reached_and_no_block_can_be_lower(
    seed: int, n_blocks: int, level: float, static: bool, coarse: bool
) -> None:
    hours = hours_of(seed)
    if coarse:  # many paths share their largest hours
        hours = np.round(hours)
    blocks = cut_blocks(hours, DAYS, n_blocks, level, static=static)
    served = {(b.month, b.block): b.demand for b in blocks}
    covered = plan_coverage(hours, DAYS, blocks, served)
    assert list(covered) == ["2024-06", "2024-07", "2024-08"]
    assert min(covered.values()) >= level - 1e-9
    groups = block_of(hours, DAYS, n_blocks)
    for block in blocks:
        inside = DAYS.strftime("%Y-%m") == block.month
        mine = hours[:, inside][:, groups[inside] == int(block.block[1:]) - 1].max(axis=1)
        below = mine[mine < block.demand]
        # plan_coverage lets a demand pass that is a millionth above.
        lower = served | {(block.month, block.block): float(below.max()) * (1 - 2e-6) if len(below) else -1.0}
        assert plan_coverage(hours, DAYS, blocks, lower)[block.month] < level - 1e-9


def test_all_blocks_are_cut_at_one_level() -> None:
    """No block is given up for the others: each covers about as many paths by itself."""
    hours = hours_of(4, paths=1000)
    blocks = cut_blocks(hours, DAYS, 4, 0.9)
    groups = block_of(hours, DAYS, 4)
    july = DAYS.strftime("%Y-%m") == "2024-07"
    alone = [
        float((hours[:, july][:, groups[july] == int(b.block[1:]) - 1].max(axis=1) <= b.demand).mean())
        for b in blocks
        if b.month == "2024-07"
    ]
    assert max(alone) - min(alone) < 0.005
    assert min(alone) > 0.9


@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_several_levels_are_cut_as_each_alone_and_never_fall(seed: int, static: bool, coarse: bool) -> None:
    hours = hours_of(seed, paths=100)
    if coarse:
        hours = np.round(hours)
    levels = (0.5, 0.9, 0.95, 0.99, 1.0)
    found = cut_at_levels(hours, DAYS, 3, levels, static=static)
    for level in levels:
        alone = cut_blocks(hours, DAYS, 3, level, static=static)
        assert [dataclasses.replace(b, demand=0.0) for b in found[level]] == [
            dataclasses.replace(b, demand=0.0) for b in alone
        ]
        assert all(b.demand >= a.demand for a, b in zip(alone, found[level], strict=True))
        assert coarse or found[level] == alone
    demands = np.array([[b.demand for b in found[level]] for level in levels])
    assert (np.diff(demands, axis=0) >= 0).all()


@given(st.integers(0, 10_000), st.booleans(), st.integers(1, 5))
def test_blocks_that_are_known_are_those_that_would_be_found(seed: int, static: bool, count: int) -> None:
    hours = hours_of(seed, paths=60)
    groups = block_of(hours, DAYS, count)
    assert cut_blocks(hours, DAYS, count, 0.9, static=static, groups=groups) == cut_blocks(
        hours, DAYS, count, 0.9, static=static
    )


def test_a_fleet_that_cannot_follow_the_load_is_cut_at_the_quantile_of_the_largest_hour() -> None:
    hours = hours_of(5)
    july = DAYS.strftime("%Y-%m") == "2024-07"
    largest = np.sort(hours[:, july].max(axis=(1, 2)))
    fixed, following = (cut_blocks(hours, DAYS, 4, 0.95, static=s) for s in (True, False))
    top = max(b.demand for b in fixed if b.month == "2024-07")
    assert top == largest[189]
    assert top < max(b.demand for b in following if b.month == "2024-07")


@given(st.integers(0, 10_000), st.integers(1, 8))
def test_blocks_fill_their_months_and_are_named_from_the_highest(seed: int, n_blocks: int) -> None:
    blocks = cut_blocks(hours_of(seed), DAYS, n_blocks, 0.9)
    for month, days in (("2024-06", 11), ("2024-07", 31), ("2024-08", 3)):
        mine = [b for b in blocks if b.month == month]
        assert [b.block for b in mine] == [f"b{i + 1}" for i in range(n_blocks)]
        assert sum(b.hours for b in mine) == 24 * days
        assert all(b.hours > 0 for b in mine)


def test_a_block_is_the_same_hours_of_the_week_all_month() -> None:
    groups = block_of(hours_of(3), DAYS, 4)
    july = np.flatnonzero(DAYS.strftime("%Y-%m") == "2024-07")
    for d in range(7):
        rows = groups[july][DAYS[july].dayofweek == d]
        assert (rows == rows[0]).all()


def test_more_blocks_than_classes_are_not_made() -> None:
    days = DAYS[:1]
    blocks = cut_blocks(hours_of(0, days=days), days, 100, 0.9)
    assert len(blocks) == 24


def test_more_blocks_need_fewer_instance_hours() -> None:
    hours = hours_of(1)
    spent = [sum(b.hours * b.demand for b in cut_blocks(hours, DAYS, n, 0.95)) for n in (1, 2, 4, 8)]
    assert spent == sorted(spent, reverse=True)
    assert spent[2] < 0.9 * spent[0]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(1, 3))
def test_the_partition_is_the_cheapest(need: list[int], groups: int) -> None:
    from itertools import product

    levels, counts = np.array(need, dtype=float), np.arange(1.0, len(need) + 1)
    k = min(groups, len(need))

    def cost(labels: np.ndarray) -> float:
        return sum(counts[labels == g].sum() * levels[labels == g].max() for g in np.unique(labels))

    best = min(cost(np.array(c)) for c in product(range(k), repeat=len(need)))
    assert cost(_partition(levels, counts, groups)) == pytest.approx(best)


def test_coverage_counts_what_is_not_served() -> None:
    hours = hours_of(2)
    blocks = cut_blocks(hours, DAYS, 3, 0.9)
    assert set(plan_coverage(hours, DAYS, blocks, {}).values()) == {0.0}
    plenty = {(b.month, b.block): 1e9 for b in blocks}
    assert set(plan_coverage(hours, DAYS, blocks, plenty).values()) == {1.0}
    short = plenty | {("2024-07", "b1"): 0.0}
    assert plan_coverage(hours, DAYS, blocks, short) == {"2024-06": 1.0, "2024-07": 0.0, "2024-08": 1.0}


def test_wrong_usage_is_named() -> None:
    with pytest.raises(UsageError, match="shape"):
        cut_blocks(hours_of(0)[:, :3], DAYS, 3, 0.9)
    with pytest.raises(UsageError, match="blocks"):
        cut_blocks(hours_of(0), DAYS, 0, 0.9)
    with pytest.raises(UsageError, match="service level"):
        cut_blocks(hours_of(0), DAYS, 3, 0.0)
