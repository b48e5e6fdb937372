"""Headroom of what runs and of what is planned, now and by month."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from capacity.config import ServiceConfig, TierConfig
from capacity.domain import InstanceType, Interval, ResourceCost, SafeCapacity, Unit
from capacity.errors import UsageError
from capacity.optimize.service_level import Operation, headroom_by_month
from capacity.saturation import per_instance, safe_capacity

UNIT = Unit("web", "us-east-1")
DAYS = pd.date_range("2026-01-31", periods=2, freq="D")
KIND = InstanceType("m5.large", "m5", 2, 1, 8.0, 10.0, "x86_64", True, False)
SERVICE = ServiceConfig(name="web", tier="gold", regions=["us-east-1"], max_utilisation_frac=0.5)
TIER = TierConfig(
    name="gold", service_level=0.9, min_headroom_frac=0.25, zones_survived=1, zone_loss_utilisation_frac=0.75
)
# One unit of demand keeps .01 vCPU busy: an instance serves 100 within the SLO, 150 while a zone is lost.
COST = ResourceCost("vcpu", Interval(0.009, 0.01, 0.011), 0.0, 1e9, "config")


def running_safe(by_zone: dict[str, int]) -> SafeCapacity:
    running = {("m5.large", zone): n for zone, n in by_zone.items()}
    return safe_capacity(UNIT, running, {"m5.large": KIND}, SERVICE, TIER, COST)


def operation() -> Operation:
    safe, lost = per_instance(KIND, SERVICE, TIER, COST)
    assert (safe, lost) == pytest.approx((100.0, 150.0))
    return Operation(
        UNIT, 0.9, DAYS, np.full((2, 24), "b1"), 3, 1, True, {"m5.large": safe}, {"m5.large": lost}, 0.25
    )  # fmt: skip


def plan(per_zone: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = pd.DataFrame(
        [("web", "us-east-1", m, "b1", "m5.large", per_zone) for m in ("2026-01", "2026-02")],
        columns=["service", "region", "month", "block", "instance_type", "per_zone"],
    )
    return rows, rows.drop(columns="block")


def paths(january: float, february: float) -> np.ndarray:
    """20 futures whose peaks rise by 1 %; the 18th (P90) has what is asked."""
    rise = (1 + 0.01 * (np.arange(20) - 17))[:, None, None]
    hours = np.full((20, 2, 24), 1.0)
    hours[:, 0, 5:6], hours[:, 1, 9:10] = january * rise[:, 0], february * rise[:, 0]
    return np.random.default_rng(0).permutation(hours).astype(np.float32)


def test_headroom_is_the_buffer_to_the_quantile_of_the_months_peak() -> None:
    found = headroom_by_month(operation(), paths(450.0, 600.0), running_safe({"a": 2, "b": 2, "c": 2}), *plan(3), 420.0)
    assert found["month"].tolist() == ["now", "2026-01", "2026-02"]
    assert found["peak_q"].tolist() == pytest.approx([420.0, 450.0, 600.0])
    assert found["headroom_running_frac"].tolist() == pytest.approx([0.3, 0.25, 0.0], abs=1e-6)
    assert found["safe_planned"].tolist()[1:] == pytest.approx([900.0, 900.0])
    assert found["headroom_planned_frac"].tolist()[1:] == pytest.approx([0.5, 1 / 3])
    assert found["holds_running"].tolist() == [True, True, False]
    assert found["holds"].tolist() == [True, True, True]
    assert set(found["policy_frac"]) == {0.25}


def test_uneven_zones_of_what_runs_are_judged_as_they_are() -> None:
    even, uneven = (
        headroom_by_month(operation(), paths(450.0, 450.0), running_safe(zones), *plan(2))
        for zones in ({"a": 2, "b": 2, "c": 2}, {"a": 4, "b": 1, "c": 1})
    )
    assert even["headroom_running_frac"].tolist()[1:] == uneven["headroom_running_frac"].tolist()[1:]
    # Without its largest zone the uneven fleet serves 2 x 150, the even one 4 x 150.
    assert even["survives_running"].tolist()[1:] == [True, True]
    assert uneven["survives_running"].tolist()[1:] == [False, False]
    assert not uneven["holds_running"].any()
    # The plan's zones are alike: it holds beside either.
    assert uneven["holds"].tolist()[1:] == [True, True]


def test_an_unknown_recent_peak_holds_nothing() -> None:
    now = headroom_by_month(operation(), paths(450.0, 450.0), running_safe({"a": 9}), *plan(2)).iloc[0]
    assert np.isnan(now["headroom_running_frac"])
    assert not now["holds"]


def test_nothing_that_runs_has_no_headroom() -> None:
    found = headroom_by_month(operation(), paths(450.0, 450.0), running_safe({}), *plan(2), 10.0)
    assert found["headroom_running_frac"].tolist() == [-np.inf] * 3


def test_a_static_plan_counts_what_the_month_has_provisioned() -> None:
    static = replace(operation(), autoscaled=False)
    found = headroom_by_month(static, paths(450.0, 450.0), running_safe({"a": 9}), *plan(2))
    assert found["safe_planned"].tolist()[1:] == pytest.approx([600.0, 600.0])


def test_no_path_is_refused() -> None:
    with pytest.raises(UsageError, match="no path"):
        headroom_by_month(operation(), [], running_safe({"a": 9}), *plan(2))
