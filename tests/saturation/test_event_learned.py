"""The check of an event whose size was learned."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
from saturation_makers import TYPES, cost, even, service, tier

from capacity.config import CallConfig, EventConfig, LeadTimes
from capacity.domain import EventVerdict, LearnedEffect, Unit
from capacity.saturation import CallGraph, EventInputs, check_event, event_inputs

EAST = "us-east-1"
WEB, DB = Unit("web", EAST), Unit("db", EAST)
PATHS = np.linspace(80.0, 120.0, 201)
DAY = pd.Timestamp("2026-11-27")
EVENT = EventConfig(
    name="sale", services=["web"], start="2026-11-27T05:00:00Z", end="2026-11-28T05:00:00Z",
    past=[(date(2025, 11, 28), date(2025, 11, 28))],
)  # fmt: skip


def effect(times: float, occurrences: int = 2) -> LearnedEffect:
    return LearnedEffect("sale", "event", DAY, DAY, times, 0.9 * times, 1.1 * times, occurrences, "learned")


def known(unit: Unit, times: float | None, occurrences: int = 2) -> EventInputs:
    made = event_inputs(unit, PATHS, even(3), None, TYPES, service(unit.service), tier(), cost(), "1")
    if times is None:
        return made
    drawn = np.full(len(PATHS), times) if occurrences else None
    return replace(made, learned=effect(times, occurrences), multiplier=drawn)


def verdicts(given: dict[Unit, EventInputs], per_request: float = 0.0) -> dict[Unit, EventVerdict]:
    calls = [CallConfig(service="db", per_request=per_request)] if per_request else []
    graph = CallGraph.from_services([service("web", calls=calls), service("db")])
    return {v.unit: v for v in check_event(EVENT, given, graph, LeadTimes(), (), date(2026, 10, 5))}


def test_the_learned_multiplier_is_used_and_told() -> None:
    (found,) = verdicts({WEB: known(WEB, 2.0)}).values()
    assert found.demand_p50 == 200.0
    assert found.multiplier == 2.0
    assert "multiplier 2.0× learned from 2 earlier occurrences (80 %: 1.8× to 2.2×)" in found.reasons


def test_an_event_never_seen_is_a_caution() -> None:
    for inputs in (known(WEB, None), known(WEB, 1.0, occurrences=0)):
        (found,) = verdicts({WEB: inputs}).values()
        assert found.multiplier == 1.0
        assert any(r.startswith("caution: no earlier occurrence was seen") for r in found.reasons)


def test_a_called_service_takes_the_larger_of_its_own_past_and_what_reaches_it() -> None:
    # web adds 100 at the median; at half a call a request 50 reach db.
    for own, expected in ((1.2, 150.0), (3.0, 300.0), (None, 150.0)):
        found = verdicts({WEB: known(WEB, 2.0), DB: known(DB, own)}, per_request=0.5)
        assert found[DB].demand_p50 == expected, own
        assert found[DB].propagated_from == (str(WEB),)
