from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saturation_makers import ARM, LARGE, TYPES, XLARGE, cost, even, service, tier

from capacity.domain import InstanceType, Unit
from capacity.errors import MissingDataError, UsageError
from capacity.pipeline.outlook import _without_more
from capacity.saturation import (
    ResourceNeed,
    binding_resource,
    per_instance,
    reference_scale,
    reserved_demand,
    rho_star,
    safe_capacity,
    safe_utilisation,
)

UNIT = Unit("checkout", "us-east-1")
COUNTS = st.dictionaries(
    st.tuples(st.sampled_from(["m6i.large", "m6i.xlarge", "m7g.xlarge"]), st.sampled_from("abcd")),
    st.integers(0, 30),
    min_size=1,
)


def test_by_hand() -> None:
    """9 × 4 vCPU at .7 over .1 vCPU a request; 6 survive at .9."""
    found = safe_capacity(UNIT, even(3), TYPES, service(), tier(), cost())
    assert found.normal.mid == pytest.approx(9 * 4 * 0.7 / 0.1)
    assert found.zone_loss.mid == pytest.approx(6 * 4 * 0.9 / 0.1)
    assert (found.normal.low, found.normal.high) == pytest.approx((9 * 4 * 0.7 / 0.125, 9 * 4 * 0.7 / 0.08))
    assert (found.instances, found.vcpu, found.zones_lost) == (9, 36, 1)
    assert found.utilisation_frac == pytest.approx(0.7)
    assert found.binding is found.zone_loss
    assert found.flags == ("not load-tested",)


def test_the_largest_real_zone_is_the_one_that_is_lost() -> None:
    uneven = {("m6i.xlarge", "a"): 5, ("m6i.xlarge", "b"): 3, ("m6i.xlarge", "c"): 1}
    found = safe_capacity(UNIT, uneven, TYPES, service(), tier(), cost())
    assert found.zone_loss.mid == pytest.approx(4 * 4 * 0.9 / 0.1)
    both = safe_capacity(UNIT, uneven, TYPES, service(), tier(zones_survived=2), cost())
    assert both.zone_loss.mid == pytest.approx(1 * 4 * 0.9 / 0.1)


def test_largest_is_by_what_a_zone_serves_and_not_by_its_instances() -> None:
    mixed = {("m6i.xlarge", "a"): 4, ("m6i.large", "b"): 6, ("m6i.large", "c"): 1}
    found = safe_capacity(UNIT, mixed, TYPES, service(), tier(), cost())
    assert found.zone_loss.mid == pytest.approx(7 * 2 * 0.9 / 0.1)


def test_one_zone_lost_of_one_leaves_nothing_and_says_so() -> None:
    found = safe_capacity(UNIT, even(3, zones="a"), TYPES, service(), tier(), cost())
    assert found.zone_loss.mid == 0
    assert any("leaves nothing" in flag for flag in found.flags)
    survived = safe_capacity(UNIT, even(3, zones="a"), TYPES, service(), tier(zones_survived=0), cost())
    assert survived.binding.mid == pytest.approx(3 * 4 * 0.7 / 0.1)


def test_what_is_fixed_is_taken_off_both_states() -> None:
    free = safe_capacity(UNIT, even(3), TYPES, service(), tier(), cost())
    held = safe_capacity(UNIT, even(3), TYPES, service(), tier(), cost(fixed=5.0))
    assert reserved_demand(cost(fixed=5.0)) == pytest.approx(50)
    assert free.normal.mid - held.normal.mid == pytest.approx(50)
    assert free.zone_loss.mid - held.zone_loss.mid == pytest.approx(50)
    swamped = safe_capacity(UNIT, even(1), TYPES, service(), tier(), cost(fixed=500.0))
    assert (swamped.normal.low, swamped.normal.mid, swamped.zone_loss.mid) == (0, 0, 0)


@given(
    count=st.integers(1, 40),
    kind=st.sampled_from(sorted(TYPES)),
    fixed=st.floats(0, 2),
    slo=st.one_of(st.none(), st.floats(12, 200)),
    scale=st.floats(0.5, 2),
    tested=st.booleans(),
)
def test_a_homogeneous_fleet_is_its_instances_less_the_reserve(
    count: int, kind: str, fixed: float, slo: float | None, scale: float, tested: bool
) -> None:
    over = {"slo_p99_ms": slo, "service_time_ms": 10.0} if slo else {}
    s = service(candidates={"arm_per_core_scale": scale}, load_tested={kind: 33.0} if tested else {}, **over)
    c, running = cost(fixed=fixed), even(count, kind)
    safe, loss = per_instance(TYPES[kind], s, tier(), c, reference_scale(running, TYPES, s))
    reserve = 0.0 if tested else reserved_demand(c)
    found = safe_capacity(UNIT, running, TYPES, s, tier(), c)
    assert found.normal.mid == pytest.approx(max(0.0, 3 * count * safe - reserve))
    assert found.zone_loss.mid == pytest.approx(max(0.0, 2 * count * loss - reserve))


@given(running=COUNTS, key=st.tuples(st.sampled_from(["m6i.large", "m7g.xlarge"]), st.sampled_from("abcd")))
def test_one_instance_more_never_serves_less(running: dict[tuple[str, str], int], key: tuple[str, str]) -> None:
    more = {**running, key: running.get(key, 0) + 1}
    before = safe_capacity(UNIT, running, TYPES, service(), tier(), cost(fixed=1.0))
    after = safe_capacity(UNIT, more, TYPES, service(), tier(), cost(fixed=1.0))
    assert after.normal.mid >= before.normal.mid - 1e-9
    assert after.zone_loss.mid >= before.zone_loss.mid - 1e-9
    for found in (before, after):
        assert found.normal.low <= found.normal.mid <= found.normal.high
        assert found.zone_loss.low <= found.zone_loss.mid <= found.zone_loss.high


@given(running=COUNTS, lost=st.integers(0, 2))
def test_losing_one_zone_more_never_serves_more(running: dict[tuple[str, str], int], lost: int) -> None:
    fewer = safe_capacity(UNIT, running, TYPES, service(), tier(zones_survived=lost), cost())
    more = safe_capacity(UNIT, running, TYPES, service(), tier(zones_survived=lost + 1), cost())
    assert more.zone_loss.mid <= fewer.zone_loss.mid + 1e-9


def test_the_slo_sets_the_utilisation_by_vcpu() -> None:
    s = service(slo_p99_ms=60.0, service_time_ms=10.0, service_time_cv2=2.0)
    assert rho_star(XLARGE, s) == safe_utilisation(4, 10.0, 60.0, 2.0)
    assert rho_star(XLARGE, s) > rho_star(LARGE, s)
    assert rho_star(LARGE, service(max_utilisation_frac=0.55)) == 0.55
    # Zone loss never allows less than rho*.
    safe, loss = per_instance(XLARGE, s, tier(zone_loss_utilisation_frac=0.1), cost())
    assert safe == loss


def test_an_slo_that_an_idle_server_misses_leaves_nothing() -> None:
    s = service(slo_p99_ms=9.0, service_time_ms=10.0)
    assert per_instance(XLARGE, s, tier(), cost()) == (0.0, 0.0)
    found = safe_capacity(UNIT, even(3), TYPES, s, tier(), cost())
    assert found.binding.mid == 0
    assert any("misses the SLO of 9 ms" in flag for flag in found.flags)


def test_a_load_test_overrides_in_both_states_and_has_no_interval() -> None:
    s = service(load_tested={"m6i.xlarge": 25.0})
    assert per_instance(XLARGE, s, tier(), cost()) == (25.0, 25.0)
    found = safe_capacity(UNIT, even(3), TYPES, s, tier(), cost(fixed=9.0))
    assert (found.normal.low, found.normal.mid, found.normal.high) == (225, 225, 225)
    assert found.zone_loss.mid == 150
    assert found.flags == ()


def test_arm_is_scaled_against_the_fleet_that_was_measured() -> None:
    s = service(candidates={"arm_per_core_scale": 1.2})
    on_x86 = per_instance(ARM, s, tier(), cost())[0]
    assert on_x86 == pytest.approx(1.2 * per_instance(XLARGE, s, tier(), cost())[0])
    scale = reference_scale(even(3, "m7g.xlarge"), TYPES, s)
    assert scale == pytest.approx(1.2)
    assert per_instance(ARM, s, tier(), cost(), scale)[0] == pytest.approx(4 * 0.7 / 0.1)
    assert reference_scale({}, TYPES, s) == 1.0
    assert reference_scale({("m6i.xlarge", "a"): 1, ("m7g.xlarge", "b"): 3}, TYPES, s) == pytest.approx(1.15)


def test_flags_of_what_the_figure_leaves_out() -> None:
    seen = safe_capacity(UNIT, even(3), TYPES, service(), tier(), cost(seen=100.0))
    assert any("2.5 times the highest load seen" in flag for flag in seen.flags)
    calm = safe_capacity(UNIT, even(3), TYPES, service(), tier(), cost(seen=200.0))
    assert not any("highest load" in flag for flag in calm.flags)
    burst = safe_capacity(UNIT, even(3, "t3.xlarge"), TYPES, service(), tier(), cost())
    assert any("credits" in flag for flag in burst.flags)
    none = safe_capacity(UNIT, {}, TYPES, service(), tier(), cost())
    assert "no instance runs" in none.flags
    assert (none.normal.mid, none.zone_loss.mid, none.instances, none.utilisation_frac) == (0, 0, 0, 0)


def test_bad_input_is_named() -> None:
    with pytest.raises(MissingDataError, match=r"x9\.huge"):
        safe_capacity(UNIT, {("x9.huge", "a"): 1}, TYPES, service(), tier(), cost())
    with pytest.raises(UsageError, match="usage-priced"):
        safe_capacity(UNIT, {}, TYPES, service(kind="usage_priced"), tier(), cost())


# --- other resources ---------------------------------------------------------------------------------------


def test_the_smallest_of_vcpu_memory_and_network_is_what_an_instance_serves() -> None:
    """4 vCPU at .7 over .1 give 28; (16 × .9 - 2) GiB over .5 give 24.8; 12.5 Gbps over .6 give 20.8."""
    memory = ResourceNeed("memory_gib", 0.5, per_instance=2.0, usable_frac=0.9)
    network = ResourceNeed("network_gbps", 0.6)
    by_need = {(): (28.0, "vcpu"), (memory,): (24.8, "memory_gib"), (memory, network): (12.5 / 0.6, "network_gbps")}
    for needs, (serves, binds) in by_need.items():
        safe, loss = per_instance(XLARGE, service(), tier(), cost(), 1.0, needs)
        assert safe == pytest.approx(serves)
        assert loss == pytest.approx(36.0 if not needs else serves)
        assert binding_resource(XLARGE, service(), tier(), cost(), 1.0, needs) == binds
    tested = service(load_tested={"m6i.xlarge": 25.0})
    assert per_instance(XLARGE, tested, tier(), cost(), 1.0, (memory, network)) == (25.0, 25.0)
    assert binding_resource(XLARGE, tested, tier(), cost(), 1.0, (memory,)) == "load test"


def test_a_resource_too_small_for_what_each_instance_needs_leaves_nothing() -> None:
    need = ResourceNeed("memory_gib", 0.1, per_instance=20.0)
    assert per_instance(XLARGE, service(), tier(), cost(), 1.0, (need,)) == (0.0, 0.0)


@given(count=st.integers(1, 30), per=st.floats(0.01, 2.0), kind=st.sampled_from(["m6i.large", "m6i.xlarge"]))
def test_a_fleet_is_no_more_than_its_memory_at_any_cost_of_vcpu(count: int, per: float, kind: str) -> None:
    need = ResourceNeed("memory_gib", per)
    found = safe_capacity(UNIT, even(count, kind), TYPES, service(), tier(), cost(), (need,))
    each = per_instance(TYPES[kind], service(), tier(), cost(), 1.0, (need,))[0]
    assert found.normal.mid == pytest.approx(3 * count * each)
    assert found.normal.high <= 3 * count * TYPES[kind].memory_gib / per * (1 + 1e-9)
    assert found.normal.low <= found.normal.mid <= found.normal.high


def test_what_is_fixed_in_memory_bounds_the_fleet_between_its_instances() -> None:
    """9 × 16 GiB less 100 fixed, over .2 a unit: 220; two zones hold 96 and nothing is left."""
    need = ResourceNeed("memory_gib", 0.2, fixed=100.0)
    found = safe_capacity(UNIT, even(3), TYPES, service(), tier(), cost(), (need,))
    assert found.normal.mid == pytest.approx((9 * 16 - 100) / 0.2)
    assert found.zone_loss.mid == 0
    assert any(flag.startswith("memory_gib binds: it is enough for 220") for flag in found.flags)
    short = safe_capacity(UNIT, even(3), TYPES, service(), tier(), cost(), (ResourceNeed("memory_gib", 0.0, 500.0),))
    assert "memory_gib: holds 144, needs 500 whatever the demand" in short.flags
    assert short.normal.mid == safe_capacity(UNIT, even(3), TYPES, service(), tier(), cost()).normal.mid


# --- burstable, speed --------------------------------------------------------------------------------------


def test_a_burstable_type_serves_its_baseline() -> None:
    known = replace(TYPES["t3.xlarge"], baseline_frac=0.4)
    assert per_instance(known, service(), tier(), cost()) == pytest.approx((4 * 0.4 / 0.1, 4 * 0.4 / 0.1))
    full = service(candidates={"burstable_baseline_frac": 1.0})
    assert per_instance(known, full, tier(), cost()) == pytest.approx((28.0, 36.0))
    half = service(candidates={"burstable_baseline_frac": 0.5})
    assert per_instance(known, half, tier(), cost()) == pytest.approx((20.0, 20.0))
    fleet = safe_capacity(UNIT, even(3, "t3.xlarge"), {**TYPES, "t3.xlarge": known}, service(), tier(), cost())
    assert fleet.normal.mid == pytest.approx(9 * 16)
    assert not any("credits" in flag for flag in fleet.flags)


def test_measured_speeds_go_before_architecture_and_hardware() -> None:
    fast = replace(ARM, clock_ghz=6.2, ipc_scale=1.0)
    plain = per_instance(XLARGE, service(), tier(), cost())[0]

    def ratio(kind: InstanceType, **candidates: object) -> float:
        return per_instance(kind, service(candidates=candidates), tier(), cost())[0] / plain

    assert ratio(fast) == pytest.approx(1.0)
    assert ratio(fast, arm_per_core_scale=1.1) == pytest.approx(1.1)
    assert ratio(fast, arm_per_core_scale=1.1, performance_scale={"m7g": 1.3}) == pytest.approx(1.3)
    assert ratio(fast, performance_scale={"m7g": 1.3, "m7g.xlarge": 1.4}) == pytest.approx(1.4)
    assert ratio(fast, scale_by="hardware") == pytest.approx(2.0)
    assert ratio(ARM, scale_by="hardware", arm_per_core_scale=1.1) == pytest.approx(1.1)
    measured = service(candidates={"performance_scale": {"m7g": 1.25}})
    assert reference_scale(even(3, "m7g.xlarge"), TYPES, measured) == pytest.approx(1.25)


def test_what_a_lost_zone_leaves_too_little_of_is_flagged() -> None:
    """9 × 16 GiB hold the 120 of a cache that grows with nothing; the 6 that a lost zone leaves hold 96."""
    needs = (ResourceNeed("memory_gib", per_demand=0.0, fixed=120.0),)
    found = safe_capacity(UNIT, even(3), TYPES, service(), tier(zones_survived=1), cost(), needs)
    assert any("with 1 zone(s) lost, memory_gib: holds 96, needs 120" in flag for flag in found.flags)
    enough = safe_capacity(UNIT, even(4), TYPES, service(), tier(zones_survived=1), cost(), needs)
    assert not any("memory_gib" in flag for flag in enough.flags)


@pytest.mark.parametrize(
    ("per_zone", "says"), [(3, "raise what it is short of first (memory_gib: holds 144"), (40, "keep the count")]
)
def test_a_fleet_short_of_a_fixed_resource_is_not_told_to_keep_its_count(per_zone: int, says: str) -> None:
    needs = (ResourceNeed("memory_gib", per_demand=0.5, fixed=200.0),)
    found = safe_capacity(UNIT, even(per_zone), TYPES, service(), tier(), cost(), needs)
    assert says in _without_more(found)
