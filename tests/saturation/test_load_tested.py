from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.errors import MissingDataError, UsageError
from capacity.saturation import usl_peak, usl_throughput
from capacity.saturation.load_test import NOT_REACHED, from_load_test

LEVELS = np.array([1, 2, 4, 8, 12, 16, 24, 32, 48, 64], dtype=float)
ALPHA, BETA = 0.05, 0.001


def steps(users: np.ndarray, rate: np.ndarray, p99: np.ndarray, errors: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame(
        {"concurrency": users, "throughput": rate, "p99_ms": p99, "error_frac": errors, "requests": 20_000}
    )


def company(instances: int = 1, top: float = 64.0) -> pd.DataFrame:
    """A service that follows the law: its P99 is three times the mean latency N/X, in ms."""
    users = LEVELS[top >= LEVELS]
    rate = np.asarray(usl_throughput(users, 100.0, ALPHA, BETA))
    return steps(users * instances, rate * instances, 3000.0 * users / rate)


@pytest.mark.parametrize("slo", [45.0, 60.0, 85.0, 100.0])
def test_the_safe_throughput_lies_where_p99_meets_the_slo(slo: float) -> None:
    told = from_load_test(company(), slo_p99_ms=slo)
    users = np.linspace(1, 64, 100_000)
    rate = np.asarray(usl_throughput(users, 100.0, ALPHA, BETA))
    true = float(rate[3000.0 * users / rate <= slo].max())
    assert told.limit_reached
    assert told.safe.mid == pytest.approx(true, rel=0.02)
    assert told.safe.low <= true <= told.safe.high
    assert told.basis == "load_test"
    assert "bracket" in told.trust


def test_the_law_and_its_knee_come_along() -> None:
    told = from_load_test(company(), slo_p99_ms=100.0)
    assert told.usl is not None
    assert told.usl.alpha == pytest.approx(ALPHA, rel=0.02)
    assert told.knee == pytest.approx(usl_peak(ALPHA, BETA), rel=0.02)


def test_several_instances_share_the_load() -> None:
    one, four = from_load_test(company(), 100.0), from_load_test(company(4), 100.0, instances=4)
    assert four.safe.mid == pytest.approx(one.safe.mid)
    assert four.knee == pytest.approx(one.knee)
    assert four.tested_max == pytest.approx(one.tested_max)


def test_where_no_step_breaks_it_the_limit_was_not_reached() -> None:
    told = from_load_test(company(top=8), slo_p99_ms=100.0)
    assert not told.limit_reached
    assert NOT_REACHED in told.flags
    assert any(NOT_REACHED in w for w in told.words)
    assert told.safe.mid == told.tested_max
    assert told.safe.high <= 1.5 * told.tested_max + 1e-9


def test_to_go_beyond_what_was_tested_is_asked_for_and_flagged() -> None:
    told = from_load_test(company(top=8), slo_p99_ms=100.0, extrapolate=True)
    assert told.tested_max < told.safe.mid <= 1.5 * told.tested_max + 1e-9
    assert any("modelled beyond the largest tested load" in f for f in told.flags)


def test_errors_break_a_step_as_the_slo_does() -> None:
    frame = company()
    frame.loc[4:, "error_frac"] = 0.2
    told = from_load_test(frame, slo_p99_ms=1e6)
    assert told.limit_reached
    assert told.safe.mid == pytest.approx(frame["throughput"][3])


def test_the_knee_bounds_what_is_safe() -> None:
    """With an SLO that nothing breaks, users beyond the knee add nothing."""
    told = from_load_test(company(), slo_p99_ms=1e6, extrapolate=True)
    most = usl_throughput(usl_peak(ALPHA, BETA), 100.0, ALPHA, BETA)
    assert told.safe.mid <= most * 1.01


def test_no_step_holds() -> None:
    told = from_load_test(company(), slo_p99_ms=1.0)
    assert told.safe.mid == 0.0
    assert "not to be used" in told.trust
    assert any("test lighter loads" in f for f in told.flags)


def test_without_users_there_is_no_law_but_a_limit() -> None:
    frame = company().assign(concurrency=math.nan)
    told = from_load_test(frame.iloc[:7], slo_p99_ms=60.0)
    assert told.usl is None
    assert told.knee is None
    assert told.safe.mid == pytest.approx(from_load_test(company(), 60.0).safe.mid, rel=1e-6)
    assert any("no scalability law" in f for f in told.flags)


def test_few_requests_are_flagged() -> None:
    told = from_load_test(company().assign(requests=120), slo_p99_ms=100.0)
    assert any("rests on 120 requests" in f for f in told.flags)


@settings(max_examples=12)
@given(slo=st.floats(31, 400), more=st.floats(0, 200), noise=st.integers(0, 10_000))
def test_it_is_ordered_and_grows_with_the_slo(slo: float, more: float, noise: int) -> None:
    frame = company()
    frame["throughput"] *= np.exp(np.random.default_rng(noise).normal(0, 0.02, len(frame)))
    told, looser = from_load_test(frame, slo), from_load_test(frame, slo + more)
    assert told.safe.low <= told.safe.mid <= told.safe.high
    assert looser.safe.mid >= told.safe.mid - 1e-9 * told.safe.mid
    assert told.safe.mid <= told.tested_max * 1.0000001


@pytest.mark.parametrize("p99", [math.nan, 30_000.0])
@pytest.mark.parametrize("known_users", [True, False])
def test_a_load_at_which_nothing_was_served_is_the_limit(p99: float, known_users: bool) -> None:
    good = company(top=4)
    assert not from_load_test(good, 1000.0).limit_reached
    collapsed = steps(np.array([8.0]), np.array([0.0]), np.array([p99]), errors=1.0)
    all_steps = pd.concat([good, collapsed], ignore_index=True)
    if not known_users:
        all_steps = all_steps.assign(concurrency=math.nan)
    found = from_load_test(all_steps, 1000.0)
    best = float(good["throughput"].max())
    assert found.limit_reached
    assert found.safe.mid <= best
    assert found.safe.high == pytest.approx(best)
    assert any("nothing was served" in flag for flag in found.flags)


def test_what_cannot_be_concluded_is_refused() -> None:
    with pytest.raises(MissingDataError, match="no step"):
        from_load_test(company().assign(p99_ms=math.nan), 100.0)
    with pytest.raises(UsageError, match="SLO"):
        from_load_test(company(), 0.0)
    with pytest.raises(UsageError, match="instances"):
        from_load_test(company(), 100.0, instances=0)
