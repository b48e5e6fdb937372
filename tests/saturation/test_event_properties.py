"""More demand never opens the gate, more capacity never shuts it: whatever the event's size and the limits are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from saturation_makers import TYPES, cost, service, tier

from capacity.config import EventConfig, HardLimitConfig, LeadTimes
from capacity.domain import EventVerdict, Quota, Unit
from capacity.saturation import CallGraph, HardLimitInputs, PastPeak, check_event, event_inputs

EAST, WEST = "us-east-1", "us-west-2"
WEB, DB, FAR = Unit("web", EAST), Unit("db", EAST), Unit("web", WEST)
UNITS = (WEB, DB, FAR)
SHAPES = ("multiplier", "target", "business", "learned")


@dataclass(frozen=True)
class Case:
    """All that a check depends on and that a property may move."""

    shape: str
    size: float
    demand: tuple[float, float, float]
    zones: tuple[tuple[int, int, int], ...]
    maximum: tuple[int | None, int | None, int | None]
    autoscaled: tuple[bool, bool, bool]
    free: tuple[float, float]
    calls: float
    ramp: int
    lag: float
    rate: float | None
    party: float
    hard: float
    failover: bool
    retries: float
    lost: int

    def scaled(self, which: int, more: float) -> Case:
        """More demand at one unit. Of an absolute size what it calls has its share more too: it is in the history.

        Else the event would add less to it, for a reason that does not exist.
        """
        demand = [d * more if i == which else d for i, d in enumerate(self.demand)]
        if self.shape in ("target", "business") and which != 1:
            demand[1] += self.calls * (more - 1.0) * self.demand[which]
        return replace(self, demand=tuple(demand))


COUNTS = st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(1, 12))
MAXIMA = st.one_of(st.none(), st.integers(1, 80))
CASES = st.builds(
    Case,
    shape=st.sampled_from(SHAPES),
    size=st.floats(1, 4),
    demand=st.tuples(*[st.floats(1, 400)] * 3),
    zones=st.tuples(COUNTS, COUNTS, COUNTS),
    maximum=st.tuples(MAXIMA, MAXIMA, MAXIMA),
    autoscaled=st.tuples(*[st.booleans()] * 3),
    free=st.tuples(st.floats(0, 300), st.floats(0, 300)),
    calls=st.floats(0, 2),
    ramp=st.integers(0, 120),
    lag=st.floats(1, 60),
    rate=st.one_of(st.none(), st.floats(0.05, 5)),
    party=st.floats(50, 4000),
    hard=st.floats(50, 4000),
    failover=st.booleans(),
    retries=st.floats(1, 2),
    lost=st.integers(0, 2),
)


def event_of(c: Case) -> EventConfig:
    size: dict[str, Any] = {"multiplier": c.size}
    if c.shape == "target":
        size = {"target": 150.0 * c.size}
    elif c.shape == "business":
        # Shares are given: without them more demand in one region takes demand from the other.
        size = {"business": {"figure": 12000 * c.size, "unit": "orders", "enters": {"web": 1.5}, "cache_hit_frac": 0.2,
                             "regions": {EAST: 0.6, WEST: 0.4}, "retry_factor": c.retries,
                             "calls": [{"from": "web", "to": "db", "retry_factor": c.retries}]}}  # fmt: skip
    elif c.shape == "learned":
        size = {"past": [(date(2025, 11, 28), date(2025, 11, 28))]}
    about = {"name": "sale", "services": ["web"], "ramp_minutes": c.ramp}
    return EventConfig(**about, start="2026-11-27T05:00:00Z", end="2026-11-28T05:00:00Z", **size)


def judged(c: Case) -> dict[Unit, EventVerdict]:
    party = {"name": "processor", "per_request": 1.0, "limit": c.party}
    over = {"max_instances_per_zone": 20, "scale_out_minutes": c.lag, "scale_out_per_minute": c.rate}
    web = {**over, "regions": [EAST, WEST], "calls": [{"service": "db", "per_request": c.calls}],
           "third_parties": [party], "failover": [{"from": "any"}] if c.failover else []}  # fmt: skip
    services = [service("web", **web), service("db", **over, third_parties=[party])]
    limit = HardLimitConfig(metric="connections", limit=c.hard, unit="1")
    paths, units = np.linspace(0.8, 1.2, 41), {}
    for i, unit in enumerate(UNITS):
        s = services[unit == DB].model_copy(update={"autoscaled": c.autoscaled[i]})
        running = {("m6i.xlarge", f"z{z}"): n for z, n in enumerate(c.zones[i])}
        limits = [HardLimitInputs(limit, (20.0 + 0.5 * c.demand[i]) * paths, per_demand=0.5)] if unit == DB else []
        made = event_inputs(unit, c.demand[i] * paths, running, c.maximum[i], TYPES, s, tier(zones_survived=c.lost),
                            cost(), "1", limits, usd_per_instance_hour=0.2,
                            past_peak=PastPeak(date(2025, 11, 28), 100.0))  # fmt: skip
        learned = np.full(len(paths), c.size) if c.shape == "learned" else None
        units[unit] = replace(made, multiplier=learned)
    quotas = [
        Quota("1", r, "L-1216C47A", "vCPU", 1000.0, 1000.0 - f) for r, f in zip((EAST, WEST), c.free, strict=True)
    ]
    found = check_event(
        event_of(c), units, CallGraph.from_services(services), LeadTimes(), quotas, date(2026, 10, 5)
    )  # fmt: skip
    return {v.unit: v for v in found}


def never_opens(before: dict[Unit, EventVerdict], after: dict[Unit, EventVerdict]) -> None:
    """``after`` has more demand or less capacity: no unit turns GO, none becomes surer."""
    assert set(before) == set(after) == set(UNITS)
    for unit, verdict in after.items():
        assert not verdict.go or before[unit].go, unit
        assert verdict.probability_holds <= before[unit].probability_holds + 1e-9, unit


@given(CASES, st.floats(1, 3), st.integers(0, 2))
def test_more_demand_never_turns_no_go_into_go(case: Case, more: float, which: int) -> None:
    base = judged(case)
    never_opens(base, judged(case.scaled(which, more)))
    never_opens(base, judged(replace(case, size=case.size * more)))
    if case.shape in ("multiplier", "learned"):
        never_opens(base, judged(replace(case, calls=case.calls * more)))
    never_opens(base, judged(replace(case, retries=case.retries * more)))
    never_opens(base, judged(replace(case, lost=case.lost + 1)))


@given(CASES, st.integers(0, 10), st.floats(0, 100), st.integers(0, 2), st.integers(0, 2))
def test_more_capacity_never_turns_go_into_no_go(case: Case, more: int, vcpu: float, which: int, zone: int) -> None:
    base = judged(case)
    zones = list(case.zones)
    zones[which] = tuple(n + more if z == zone else n for z, n in enumerate(zones[which]))  # pre-scaling, in one zone
    never_opens(judged(replace(case, zones=tuple(zones))), base)
    never_opens(judged(replace(case, free=(case.free[0] + vcpu, case.free[1]))), base)
    never_opens(judged(replace(case, party=case.party + vcpu, hard=case.hard + vcpu)), base)
    never_opens(judged(replace(case, lag=case.lag / (1.0 + more))), base)
    if case.rate is not None:
        never_opens(judged(replace(case, rate=case.rate + more)), base)
        never_opens(judged(replace(case, rate=None)), base)
    if case.maximum[which] is not None:
        maximum = tuple(m + more if i == which and m else m for i, m in enumerate(case.maximum))
        never_opens(judged(replace(case, maximum=maximum)), base)


@given(CASES)
def test_a_verdict_is_consistent_with_its_own_figures(case: Case) -> None:
    for unit, verdict in judged(case).items():
        assert verdict.demand_p50 <= verdict.demand_p95
        assert verdict.safe_now <= verdict.safe_at_group_maximum + 1e-9
        assert 0 <= verdict.probability_holds <= 1
        assert verdict.go == (not verdict.remedies)
        if verdict.go:
            assert verdict.demand_p95 <= verdict.safe_at_group_maximum + 1e-9
            assert verdict.prescale is None
        assert [r.lead_time_days for r in verdict.remedies] == sorted(r.lead_time_days for r in verdict.remedies)
        plan = verdict.prescale
        assert (plan is not None) == any(r.kind == "prescale" for r in verdict.remedies)
        if plan is not None:
            i = UNITS.index(unit)
            assert sum(case.zones[i]) == plan.instances_from < plan.instances_to
            assert plan.at < plan.until
