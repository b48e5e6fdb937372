from __future__ import annotations

import pytest

from capacity.domain import InstanceType
from capacity.errors import UsageError
from capacity.saturation.performance import performance_scale


def kind(name: str, clock: float = 3.0, ipc: float = 1.0) -> InstanceType:
    family = name.split(".")[0]
    return InstanceType(name, family, 4, 2, 16.0, 10.0, "x86_64", True, False, clock_ghz=clock, ipc_scale=ipc)


OLD, NEW = kind("m5.xlarge", 3.1, 1.0), kind("m7a.xlarge", 3.7, 1.95)


def test_by_clock_and_ipc_where_nothing_was_measured() -> None:
    scale, basis = performance_scale(NEW, OLD, {})
    assert (scale, basis) == (pytest.approx(3.7 * 1.95 / 3.1), "hardware")
    back, _ = performance_scale(OLD, NEW, {})
    assert scale * back == pytest.approx(1.0)


def test_the_type_goes_before_the_family_and_both_before_the_hardware() -> None:
    assert performance_scale(NEW, OLD, {"m7a": 1.6, "m7a.xlarge": 1.5}) == (1.5, "measured")
    assert performance_scale(NEW, OLD, {"m7a": 1.6}) == (1.6, "measured")


def test_a_measured_reference_is_taken_off() -> None:
    assert performance_scale(NEW, OLD, {"m7a": 1.8, "m5": 0.9}) == (pytest.approx(2.0), "measured")


@pytest.mark.parametrize(("clock", "ipc"), [(0.0, 1.2), (3.0, 0.0)])
def test_what_is_unknown_is_a_vcpu(clock: float, ipc: float) -> None:
    assert performance_scale(kind("x.large", clock, ipc), OLD, {}) == (1.0, "unknown")
    assert performance_scale(OLD, kind("x.large", clock, ipc), {}) == (1.0, "unknown")


def test_a_type_against_itself_is_one() -> None:
    same = kind("x.large", 0.0, 0.0)
    assert performance_scale(same, same, {})[0] == 1.0
    assert performance_scale(NEW, NEW, {"m7a": 1.7}) == (1.0, "measured")


def test_a_scale_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="above 0"):
        performance_scale(NEW, OLD, {"m7a": 0.0})
