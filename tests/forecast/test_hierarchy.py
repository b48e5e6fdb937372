"""Totals from joint paths: they add up at every level, and their intervals hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.domain import QUANTILES, SeriesForecast
from capacity.errors import UsageError
from capacity.forecast import aggregate, with_calibrated_totals
from capacity.forecast._paths import Dependence, latents, own_generator
from tests.factory_forecast import a_forecast

P10, P50, P90 = (QUANTILES.index(q) for q in (0.1, 0.5, 0.9))


def some_forecasts(seed: int, names: int, days: int = 70, n_paths: int = 50) -> dict[str, SeriesForecast]:
    rng = np.random.default_rng(seed)
    out = {}
    for i in range(names):
        paths = rng.lognormal(rng.normal(0, 2), 0.5, (n_paths, days))
        total = np.quantile(paths.sum(axis=1), QUANTILES) * rng.uniform(0.5, 2.0)
        out[f"s{i}"] = a_forecast(f"s{i}", paths, total=total)
    return out


def tree(keys: list[str]) -> dict[str, tuple[str, ...]]:
    """Two teams; a service has one series or two."""
    return {k: ("all", f"team{int(k[1:]) % 2}", f"svc{int(k[1:]) // 2 * 2 + int(k[1:]) % 2}") for k in keys}


@given(st.integers(0, 10_000), st.integers(2, 7), st.randoms())
def test_levels_add_up_and_the_order_of_members_does_not_matter(seed: int, names: int, shuffle: object) -> None:
    known = some_forecasts(seed, names)
    groups = tree(list(known))
    levels = ("company", "team", "service")
    found = aggregate(known, groups, levels=levels, keep=levels)
    by_path = {t.path: t for t in found}
    for total in found:
        children = [t for p, t in by_path.items() if len(p) == len(total.path) + 1 and p[:-1] == total.path]
        if children:
            assert total.paths is not None
            np.testing.assert_allclose(total.paths, sum(t.paths for t in children), rtol=1e-5)  # float32
            for period, sample in total.samples.items():
                np.testing.assert_allclose(sample, sum(t.samples[period] for t in children), rtol=1e-12)
    top = by_path[("all",)]
    plain = sum(with_calibrated_totals(f).paths.astype(float) for f in known.values())
    np.testing.assert_allclose(top.horizon, np.quantile(plain.sum(axis=1), QUANTILES), rtol=1e-9)
    np.testing.assert_allclose(top.quantiles, np.quantile(plain, QUANTILES, axis=0), rtol=1e-9)
    keys = list(known)
    shuffle.shuffle(keys)  # type: ignore[attr-defined]
    again = aggregate({k: known[k] for k in keys}, {k: groups[k] for k in keys}, levels=levels)
    for one, other in zip(found, again, strict=True):
        assert one.path == other.path
        assert one.horizon.tobytes() == other.horizon.tobytes()
        assert {p: v.tobytes() for p, v in one.periods.items()} == {p: v.tobytes() for p, v in other.periods.items()}


@given(st.integers(0, 10_000), st.floats(0.3, 3.0), st.booleans())
def test_calibrated_paths_have_the_calibrated_total_and_their_own_order(seed: int, by: float, sparse: bool) -> None:
    rng = np.random.default_rng(seed)
    paths = rng.lognormal(0, 1, (400, 30)) * (rng.random((400, 1)) > (0.3 if sparse else 0.0))
    sums = paths.sum(axis=1)
    middle = np.median(sums)
    total = np.maximum(middle + (np.quantile(sums, QUANTILES) - middle) * by, 0.0) * by
    before = a_forecast("a", paths, total=total)
    after = with_calibrated_totals(before)
    assert after.paths.dtype == np.float32
    assert float(after.paths.min()) >= 0.0
    mapped = after.paths.sum(axis=1, dtype=float)
    np.testing.assert_allclose(
        np.quantile(mapped, QUANTILES[1:-1]), total[1:-1], rtol=0.05, atol=0.02 * float(total.max())
    )
    order = np.argsort(before.paths.sum(axis=1, dtype=float), kind="stable")
    assert bool((np.diff(mapped[order]) >= -1e-5 * mapped.max()).all())
    np.testing.assert_array_equal(after.quantiles, before.quantiles)


def test_a_series_that_goes_below_zero_is_moved_not_stretched() -> None:
    paths = np.random.default_rng(1).normal(0, 1, (300, 10))
    total = np.quantile(paths.sum(axis=1), QUANTILES) + 100.0
    after = with_calibrated_totals(a_forecast("a", paths, total=total))
    np.testing.assert_allclose(np.quantile(after.paths.sum(axis=1), QUANTILES), total, rtol=0.01)
    np.testing.assert_allclose(np.diff(after.paths, axis=1), np.diff(paths, axis=1), atol=1e-4)


def test_the_companys_80_percent_holds_80_percent_and_added_quantiles_hold_more() -> None:
    """300 repetitions of eight services whose errors share .4 of their variance; the truth is one more future."""
    repetitions, services, days, n_paths = 300, 8, 21, 200
    dependence = Dependence(level=0.4, ar=0.6, common=0.4)
    held = {"joint": 0, "added": 0}
    for rep in range(repetitions):
        futures = _correlated(dependence, services, n_paths + 1, days, rep)
        known = {k: a_forecast(k, f[1:]) for k, f in futures.items()}
        truth = sum(f[0].sum() for f in futures.values())
        (top,) = aggregate(known, dict.fromkeys(known, ("all",)), levels=("company",))
        held["joint"] += top.horizon[P10] <= truth <= top.horizon[P90]
        held["added"] += sum(f.total[P10] for f in known.values()) <= truth <= sum(f.total[P90] for f in known.values())
    error = np.sqrt(0.8 * 0.2 / repetitions)
    assert abs(held["joint"] / repetitions - 0.8) < 3 * error
    assert held["added"] / repetitions > 0.8 + 3 * error


def _correlated(dependence: Dependence, services: int, n_paths: int, days: int, seed: int) -> Mapping[str, np.ndarray]:
    """Service -> (P, H) log-normal demand, latents as the forecasts' own: rows of two services are one future."""
    shared = latents(dependence, n_paths, days, np.random.default_rng(seed))
    out = {}
    for i in range(services):
        own = latents(dependence, n_paths, days, own_generator(seed, f"s{i}"))
        latent = np.sqrt(dependence.common) * shared + np.sqrt(1 - dependence.common) * own
        out[f"s{i}"] = (1.0 + i) * np.exp(0.3 * latent)
    return out


def test_a_totals_calibration_is_carried_to_the_top() -> None:
    """Members whose calibrated totals are twice as wide as their paths say: so is the sum of one such member."""
    paths = np.random.default_rng(3).lognormal(0, 0.3, (1000, 20))
    sums = np.quantile(paths.sum(axis=1), QUANTILES)
    wide = sums[P50] + 2 * (sums - sums[P50])
    found = aggregate({"a": a_forecast("a", paths, total=wide)}, {"a": ("all", "t", "svc")})
    assert [t.level for t in found] == ["company", "team", "service"]
    for total in found:
        np.testing.assert_allclose(total.horizon[[P10, P50, P90]], wide[[P10, P50, P90]], rtol=0.01)


def test_months_and_quarters_are_whole_with_what_is_known() -> None:
    paths = np.ones((10, 80))  # 20 January to 9 April
    one = a_forecast("a", paths, start="2026-01-20")
    groups, levels = {"a": ("all",)}, ("company",)
    (bare,) = aggregate({"a": one}, groups, levels=levels)
    assert sorted(bare.periods) == ["2026-02", "2026-03"]
    (known,) = aggregate({"a": one}, groups, levels=levels, known={"a": {"2026-01": 19.0}})
    assert {p: float(v[P50]) for p, v in known.periods.items()} == {
        "2026-01": 31.0, "2026-02": 28.0, "2026-03": 31.0, "2026-Q1": 90.0,
    }  # fmt: skip
    (rate,) = aggregate({"a": one}, groups, levels=levels, known={"a": {"2026-01": 19.0}}, combine="mean")
    assert {float(v[P50]) for v in rate.periods.values()} == {1.0}
    assert float(rate.horizon[P50]) == 1.0


def test_members_that_start_on_different_days_meet_on_the_common_ones() -> None:
    early, late = a_forecast("a", np.ones((10, 40))), a_forecast("b", np.full((10, 33), 2.0), start="2026-01-08")
    groups = {"a": ("all", "x"), "b": ("all", "y")}
    top, x, y = aggregate({"a": early, "b": late}, groups, levels=("company", "service"))
    assert (len(top.index), len(x.index), len(y.index)) == (33, 40, 33)
    assert top.index[0] == pd.Timestamp("2026-01-08")
    assert "2026-01" in x.periods  # b's January has no known beginning
    assert "2026-01" not in top.periods


def test_what_cannot_be_added_is_refused_by_name() -> None:
    known = some_forecasts(1, 2)
    groups = {"s0": ("all", "t", "web"), "s1": ("all", "t", "disk")}
    with pytest.raises(UsageError, match=r"company 'all'.*s0 in 1/s, s1 in By"):
        aggregate(known, groups, units={"s0": "1/s", "s1": "By"})
    with pytest.raises(UsageError, match="one a level is wanted: company, team, service"):
        aggregate(known, {"s0": ("all",)})
    fewer = {**known, "s1": replace(known["s1"], paths=known["s1"].paths[:10])}
    with pytest.raises(UsageError, match="10 and 50 paths"):
        aggregate(fewer, groups)
    gone = {**known, "s1": replace(known["s1"], index=known["s1"].index - pd.Timedelta(days=400))}
    with pytest.raises(UsageError, match="no step in common"):
        aggregate(gone, groups)


def test_series_without_a_group_are_left_out_and_each_is_read_once() -> None:
    read: list[str] = []

    class OneAtATime(dict[str, SeriesForecast]):
        def __getitem__(self, key: str) -> SeriesForecast:
            read.append(key)
            return super().__getitem__(key)

    known = OneAtATime(some_forecasts(2, 3))
    found = aggregate(known, {"s0": ("all", "t", "a"), "s2": ("all", "t", "b")})
    assert found[0].members == ("s0", "s2")
    assert read == ["s0", "s2"]
