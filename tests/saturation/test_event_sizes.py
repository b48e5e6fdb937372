"""The parts of the event check: business figures, the ramp, limits of others, lost regions, and P(holds)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from saturation_makers import TYPES, cost, even, service, tier

from capacity.config import EventConfig, LeadTimes, ServiceConfig
from capacity.domain import EventVerdict, Interval, Unit
from capacity.errors import UsageError
from capacity.saturation import CallGraph, EventInputs, PastPeak, check_event, event_flows, event_inputs
from capacity.saturation.events import probability_within

EAST, WEST = "us-east-1", "us-west-2"
WEB, DB, FAR = Unit("web", EAST), Unit("db", EAST), Unit("web", WEST)
FLAT = np.full(101, 1.0)


def event(**over: Any) -> EventConfig:
    base = {"name": "sale", "start": "2026-11-27T05:00:00Z", "end": "2026-11-28T05:00:00Z"}
    base |= {} if {"business", "target"} & set(over) else {"multiplier": 2.0}
    base |= {} if "business" in over else {"services": ["web"]}
    return EventConfig(**{**base, "ramp_minutes": 60, **over})


def business(**over: Any) -> EventConfig:
    return event(business={"figure": 6000, "unit": "orders", "enters": {"web": 2.0}, **over})


def unit_of(s: ServiceConfig, demand: np.ndarray, each: int = 30, region: str = EAST, **over: Any) -> EventInputs:
    made = event_inputs(Unit(s.name, region), demand, even(each), None, TYPES, s, tier(), cost(), "1")
    return replace(made, **over)


def check(e: EventConfig, units: dict[Unit, EventInputs], *services: ServiceConfig) -> dict[Unit, EventVerdict]:
    graph = CallGraph.from_services(services or [u.service for u in units.values()])
    return {v.unit: v for v in check_event(e, units, graph, LeadTimes(), (), date(2026, 10, 5))}


# --- a business figure -----------------------------------------------------------------------------------------


def test_a_figure_becomes_requests_step_by_step() -> None:
    """6,000 a minute are 100/s; × 2 requests, 30 % from caches, × 1.1: 154/s."""
    s = service("web")
    found = check(business(cache_hit_frac=0.3, retry_factor=1.1), {WEB: unit_of(s, 50 * FLAT)})[WEB]
    assert found.demand_p50 == found.demand_p95 == pytest.approx(154)
    assert (
        "6,000 orders a minute = 100 orders/s; × 2 requests each at web = 200 req/s; caches answer 30%, which leaves "
        "140 req/s; × 1.1 with retries = 154 req/s" in found.reasons
    )


@given(
    st.floats(1, 1e6), st.sampled_from(["second", "minute", "hour"]), st.floats(0.01, 50), st.floats(1, 3),
    st.floats(0, 0.95), st.floats(1, 4),
)  # fmt: skip
def test_the_arithmetic(figure: float, per: str, each: float, retry: float, cached: float, peak: float) -> None:
    e = business(
        figure=figure, per=per, enters={"web": each}, retry_factor=retry, cache_hit_frac=cached, peak_factor=peak
    )
    assert e.business is not None
    seconds = {"second": 1, "minute": 60, "hour": 3600}[per]
    assert e.business.requests("web") == pytest.approx(figure / seconds * peak * each * (1 - cached) * retry)


def test_factors_of_a_service_and_of_a_call_go_before_the_common_ones() -> None:
    web, db = service("web", calls=[{"service": "db", "per_request": 0.5}]), service("db")
    e = business(
        retry_factor=1.5, services={"web": {"cache_hit_frac": 0.5}},
        calls=[{"from": "web", "to": "db", "retry_factor": 1.2}],
    )  # fmt: skip
    units = {WEB: unit_of(web, 60 * FLAT), DB: unit_of(db, 40 * FLAT)}
    found = check(e, units)
    assert found[WEB].demand_p50 == pytest.approx(100)  # 100/s × 2 × .5, no retries
    # All of the 100 call with retries, of which 60 × .5 are in the history without.
    assert found[DB].demand_p50 == pytest.approx(40 + 0.5 * (1.2 * 100 - 60))
    assert any("from web: 0.5 calls a request, × 1.2 with retries = 0.6" in r for r in found[DB].reasons)
    (flow,) = event_flows(e, units, CallGraph.from_services([web, db]))
    assert (flow.caller, flow.callee, flow.p50) == (WEB, DB, pytest.approx(found[DB].demand_p50 - 40))


def test_regions_take_what_is_given_or_what_they_usually_take() -> None:
    s = service("web", regions=[EAST, WEST])
    units = {WEB: unit_of(s, 60 * FLAT), FAR: unit_of(s, 20 * FLAT, region=WEST)}
    usual = check(business(), units, s)
    assert [usual[u].demand_p50 for u in (WEB, FAR)] == pytest.approx([150, 50])
    given_ = check(business(regions={EAST: 0.5, WEST: 0.5}), units, s)
    assert [given_[u].demand_p50 for u in (WEB, FAR)] == pytest.approx([100, 100])
    assert any("25% of it in us-west-2 (its share without the event) = 50 req/s" in r for r in usual[FAR].reasons)


def test_what_is_wrong_in_a_figure_is_said() -> None:
    web = service("web")
    with pytest.raises(ValidationError, match="give one of multiplier, target and business"):
        event(business={"figure": 1, "unit": "orders", "enters": {"web": 1}}, multiplier=2)
    with pytest.raises(ValidationError, match=r"add up to 1\.5"):
        business(regions={EAST: 1.0, WEST: 0.5})
    with pytest.raises(ValidationError, match="allowed: the services of enters"):
        business(services={"webb": {}})
    with pytest.raises(UsageError, match="'web' does not call 'db'; its calls: none"):
        check(business(calls=[{"from": "web", "to": "db"}]), {WEB: unit_of(web, FLAT)})
    with pytest.raises(UsageError, match=r"business\.regions: found 'mars'"):
        check(business(regions={"mars": 1.0}), {WEB: unit_of(web, FLAT)})


@pytest.mark.parametrize(("peak", "said"), [(180.0, "plausible: 1.11× the peak"), (90.0, "caution: 2.2× the peak")])
def test_a_figure_is_held_against_the_last_occurrence(peak: float, said: str) -> None:
    past = PastPeak(date(2025, 11, 28), peak)
    found = check(business(), {WEB: unit_of(service("web"), 50 * FLAT, past_peak=past)})[WEB]
    assert any(r.startswith(said) and "2025-11-28" in r for r in found.reasons)


def test_a_figure_without_a_past_says_so() -> None:
    found = check(business(), {WEB: unit_of(service("web"), 50 * FLAT)})[WEB]
    assert "not held against an earlier peak: no past occurrence is named" in found.reasons


# --- the ramp --------------------------------------------------------------------------------------------------


def scaling(demand: float, each: int = 3, **over: Any) -> EventInputs:
    return unit_of(service("web", autoscaled=True, max_instances_per_zone=99, **over), demand * FLAT, each)


def test_demand_runs_ahead_while_instances_are_on_their_way() -> None:
    """From 210 to 420 in 60 minutes, 216 safe, 10 minutes to scale out: 245 by then, 29 too many.

    What comes keeps the distance until the ramp is over: from 6/3.5 minutes on until as long before the 70th.
    """
    found = check(event(), {WEB: scaling(210)})[WEB]
    assert not found.go
    assert found.safe_at_group_maximum > found.demand_p95  # in the end there would be enough
    assert found.ahead == pytest.approx(210 + 210 / 6 - 216)
    assert found.ahead_minutes == pytest.approx(70 - 2 * 6 / 3.5, abs=0.5)
    assert "the ramp adds 3.5 a minute: 245 after 10 min to scale out, more than the 216 that runs" in found.reasons[0]
    assert found.prescale is not None
    assert (found.prescale.instances_from, found.prescale.instances_to) == (9, 11)  # 245, not the 420 of the end
    assert found.remedies[0].kind == "prescale"


def test_pre_scaling_as_told_is_enough() -> None:
    told = check(event(), {WEB: scaling(210)})[WEB].prescale
    assert told is not None
    zones = {("m6i.xlarge", f"z{i}"): told.instances_to // 3 + (i < told.instances_to % 3) for i in range(3)}
    s = service("web", autoscaled=True, max_instances_per_zone=99)
    later = event_inputs(WEB, 210 * FLAT, zones, None, TYPES, s, tier(), cost(), "1")
    assert check(event(), {WEB: later})[WEB].go


def test_a_slow_group_is_overtaken_later() -> None:
    """100 to 400 over 60 minutes: 216 is enough for 10, but 50 minutes at .1 a minute are 5 instances."""
    assert check(event(multiplier=4.0), {WEB: scaling(100)})[WEB].go
    slow = check(event(multiplier=4.0), {WEB: scaling(100, scale_out_per_minute=0.1)})[WEB]
    assert not slow.go
    assert slow.ahead > 0
    assert any("of which 5 come within the ramp" in r for r in slow.reasons)
    assert slow.prescale is not None
    assert slow.prescale.instances_to < 9 + 9  # not all of it: some come by themselves


def test_a_slower_start_of_a_service_is_its_own() -> None:
    assert check(event(), {WEB: scaling(180)})[WEB].go
    assert not check(event(), {WEB: scaling(180, scale_out_minutes=20)})[WEB].go


# --- limits of others, lost regions ------------------------------------------------------------------------------


def test_a_third_party_s_limit_is_shared_by_all_that_call_it() -> None:
    party = {"name": "card processor", "limit": 700.0, "per_request": 2.0, "source": "contract of 2026",
             "remedy": "ask for more", "lead_time_days": 20}  # fmt: skip
    web = service("web", regions=[EAST, WEST], third_parties=[party])
    shop = service("shop", third_parties=[{**party, "per_request": 1.0}])
    units = {
        WEB: unit_of(web, 100 * FLAT), FAR: unit_of(web, 50 * FLAT, region=WEST),
        Unit("shop", EAST): unit_of(shop, 30 * FLAT),
    }  # fmt: skip
    # 2 × (200 + 100) of the event, and 30 of a service that it does not reach.
    found = check(event(), units, web, shop)
    assert set(found) == {WEB, FAR}
    assert found[WEB].go
    assert (
        "third party card processor: P95 630 req/s is within the limit 700 req/s (contract of 2026)"
        in found[WEB].reasons
    )
    tight = check(event(multiplier=2.5), units, web, shop)
    assert [v.go for v in tight.values()] == [False, False]
    (remedy,) = tight[FAR].remedies
    assert (remedy.kind, remedy.amount, remedy.lead_time_days) == ("limit", pytest.approx(780), 20)
    assert remedy.action == "card processor: ask for more (at least 780 req/s)"
    apart = web.model_copy(update={"third_parties": [web.third_parties[0].model_copy(update={"scope": "region"})]})
    alone = {u: replace(i, service=apart) if u.service == "web" else i for u, i in units.items()}
    assert [v.go for v in check(event(multiplier=2.5), alone, apart, shop).values()] == [True, True]


def test_a_lost_region_s_traffic_must_fit_where_the_service_promises_it() -> None:
    """9 instances serve 324 at the utilisation of a loss, all zones up; 216 with one zone lost."""
    plain = service("web", regions=[EAST, WEST])
    sworn = service("web", regions=[EAST, WEST], failover=[{"from": "any"}])
    for s, east, go in ((plain, 100.0, True), (sworn, 100.0, False), (sworn, 60.0, True)):
        units = {WEB: unit_of(s, east * FLAT, 3), FAR: unit_of(s, 100 * FLAT, 3, region=WEST)}
        found = check(event(), units, s)[WEB]
        assert found.go is go, (s.failover, east)
    assert any("with another region's traffic after its loss P95 320 is within the 324" in r for r in found.reasons)


def test_an_instance_more_may_be_in_the_zone_that_is_lost() -> None:
    tight = unit_of(service("web"), FLAT, 3)
    assert [tight.surviving(n) for n in range(7)] == [0, 0, 1, 2, 2, 3, 4]
    uneven = replace(tight, zone_counts=(5, 2, 2))  # new ones fill the small zones first
    assert [uneven.surviving(n) for n in range(8)] == [0, 1, 2, 3, 4, 5, 6, 6]
    # A group that scales also levels what is there.
    assert [uneven.surviving(n, levelled=True) for n in range(4)] == [2, 2, 3, 4]


# --- P(holds) carries both uncertainties -------------------------------------------------------------------------


@pytest.mark.parametrize("ramp", [0, 30, 60])
@pytest.mark.parametrize("demand", [80.0, 95.0, 110.0])
def test_p_holds_is_what_an_independent_simulation_finds(demand: float, ramp: int) -> None:
    """400,000 futures: demand of a skewed law, capacity from its interval, minute by minute through the ramp."""
    rng = np.random.default_rng(7)
    paths = demand * np.exp(rng.normal(0.0, 0.2, 4000))
    s = service("web", autoscaled=True, max_instances_per_zone=8)
    told = check(event(ramp_minutes=ramp), {WEB: unit_of(s, paths, 3)})[WEB].probability_holds
    factor = np.abs(rng.normal(0.0, 1.0, 400_000)) / 1.2816  # 80 % interval: .8 to 1.25 of the middle
    below = rng.random(400_000) < 0.5
    capacity = np.where(below, 1 - (1 - 0.1 / 0.125) * factor, 1 + (0.1 / 0.08 - 1) * factor)
    base = rng.choice(paths, 400_000)
    held = np.ones(400_000, dtype=bool)
    for minute in range(ramp + 1) if ramp else [0]:
        on, asked = (minute / ramp, max(minute - 10, 0) / ramp) if ramp else (1.0, 0.0)
        safe = np.minimum(216 * capacity + base * asked, 576 * capacity) if ramp > 10 else 216 * capacity
        held &= base * (1 + on) <= safe
    assert told == pytest.approx(held.mean(), abs=0.01)


def test_a_capacity_without_width_and_one_of_nothing() -> None:
    share = np.array([0.5, 1.0, 1.01])
    assert probability_within(share, Interval(10, 10, 10)).tolist() == [1.0, 1.0, 0.0]
    assert probability_within(np.array([0.0, np.inf]), Interval(0, 0, 0)).tolist() == [1.0, 0.0]
    assert probability_within(share, Interval(np.inf, np.inf, np.inf)).tolist() == [1.0, 1.0, 1.0]
