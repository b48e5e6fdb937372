from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from saturation_makers import TYPES, fleet

from capacity.errors import CorruptDataError, MissingDataError, UsageError
from capacity.saturation import busy_vcpu, group_maximum, running_most, running_now, running_vcpu

HOURS = pd.date_range("2026-01-01", periods=6, freq="h", tz="UTC")
STEPS = fleet(
    ("2026-01-01T01:00Z", "a", "m6i.xlarge", 2),  # 8 vCPU from 01:00
    ("2026-01-01T01:00Z", "b", "m6i.large", 1),  # and 2 more
    ("2026-01-01T03:30Z", "a", "m6i.xlarge", 5),  # then 20, and zone b is gone
)


def test_running_vcpu_is_a_step_function() -> None:
    out = running_vcpu(STEPS, TYPES, HOURS)
    assert out.tolist() == [10, 10, 10, 10, 20, 20]
    assert out.attrs["before_first"] == 1
    assert "before the first fleet observation" in out.attrs["flags"][0]


def test_no_flag_where_everything_was_observed() -> None:
    out = running_vcpu(STEPS, TYPES, HOURS[1:])
    assert out.attrs == {"before_first": 0, "flags": ()}


def test_busy_vcpu_is_percent_of_what_ran_then() -> None:
    percent = pd.Series([50, 50, np.nan, 100, 100, 100.4], index=HOURS, name="cpu_percent")
    out = busy_vcpu(percent, STEPS, TYPES)
    assert out.name == "busy_vcpu"
    assert out.attrs["before_first"] == 1
    np.testing.assert_allclose(out.to_numpy(), [5, 5, np.nan, 10, 20, 20])


def test_scaling_out_halves_the_percentage_but_not_the_amount() -> None:
    doubled = fleet(("2026-01-01T00:00Z", "a", "m6i.xlarge", 2), ("2026-01-01T03:00Z", "a", "m6i.xlarge", 4))
    percent = pd.Series([60, 60, 60, 30, 30, 30], index=HOURS, dtype=float)
    assert busy_vcpu(percent, doubled, TYPES).nunique() == 1


def test_accounts_add_up_and_are_observed_each_in_its_own_time() -> None:
    both = pd.concat([STEPS, fleet(("2026-01-01T02:10Z", "a", "m6i.xlarge", 10), account="2")])
    assert running_vcpu(both, TYPES, HOURS).tolist() == [50, 50, 50, 50, 60, 60]
    assert running_now(both, pd.Timestamp("2026-01-01T02:00Z")) == {("m6i.xlarge", "a"): 2, ("m6i.large", "b"): 1}
    assert running_now(both, pd.Timestamp("2026-01-01T05:00Z")) == {("m6i.xlarge", "a"): 15}


def test_row_order_does_not_matter() -> None:
    shuffled = STEPS.sample(frac=1, random_state=3)
    pd.testing.assert_series_equal(running_vcpu(shuffled, TYPES, HOURS), running_vcpu(STEPS, TYPES, HOURS))


def test_running_now_never_looks_ahead() -> None:
    assert running_now(STEPS, pd.Timestamp("2026-01-01T00:59Z")) == {}
    assert running_now(STEPS, pd.Timestamp("2026-01-01T01:00Z")) == {("m6i.xlarge", "a"): 2, ("m6i.large", "b"): 1}


def test_running_now_leaves_out_what_was_emptied() -> None:
    emptied = pd.concat([STEPS, fleet(("2026-01-02T00:00Z", "a", "m6i.xlarge", 0))])
    assert running_now(emptied, pd.Timestamp("2026-01-03T00:00Z")) == {}


def test_running_most_is_the_day_shift_of_the_last_week() -> None:
    shifts = fleet(
        ("2026-01-01T08:00Z", "a", "m6i.xlarge", 50),  # longer ago than a week
        ("2026-01-10T08:00Z", "a", "m6i.xlarge", 9),
        ("2026-01-10T22:00Z", "a", "m6i.xlarge", 4),
        ("2026-01-12T08:00Z", "a", "m6i.xlarge", 99),  # not yet
    )
    at = pd.Timestamp("2026-01-11T03:00Z")
    assert running_now(shifts, at) == {("m6i.xlarge", "a"): 4}
    assert running_most(shifts, at) == {("m6i.xlarge", "a"): 9}
    assert running_most(shifts, pd.Timestamp("2026-01-09T00:00Z")) == {("m6i.xlarge", "a"): 50}  # silent for a week


def test_group_maximum_counts_a_group_over_zones_once() -> None:
    rows = [("2026-01-01T00:00Z", z, "m6i.xlarge", 4) for z in "abc"]
    at = pd.Timestamp("2026-01-02T00:00Z")
    assert group_maximum(fleet(*rows, maximum=30), at) == 30
    assert group_maximum(fleet(*rows, maximum=5), at) == 15  # 12 run: these must be three groups of 5
    assert group_maximum(fleet(*rows), at) is None
    assert group_maximum(fleet(*rows, maximum=30), pd.Timestamp("2025-01-01T00:00Z")) is None
    two_accounts = pd.concat([fleet(*rows, maximum=30), fleet(*rows, maximum=20, account="2")])
    assert group_maximum(two_accounts, at) == 50


def test_bad_input_is_named() -> None:
    naive = HOURS.tz_localize(None)
    with pytest.raises(UsageError, match="zone"):
        running_vcpu(STEPS, TYPES, naive)
    with pytest.raises(UsageError, match="zone"):
        running_now(STEPS, pd.Timestamp("2026-01-01"))
    with pytest.raises(UsageError, match="time stamps"):
        busy_vcpu(pd.Series([1.0]), STEPS, TYPES)
    with pytest.raises(MissingDataError, match="no observation"):
        running_vcpu(STEPS.iloc[:0], TYPES, HOURS)
    with pytest.raises(MissingDataError, match=r"x9\.huge"):
        running_vcpu(fleet(("2026-01-01T00:00Z", "a", "x9.huge", 1)), TYPES, HOURS)
    with pytest.raises(CorruptDataError, match="350"):
        busy_vcpu(pd.Series(350.0, index=HOURS), STEPS, TYPES)
    with pytest.raises(CorruptDataError, match="-1"):
        busy_vcpu(pd.Series(-1.0, index=HOURS), STEPS, TYPES)
