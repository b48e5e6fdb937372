"""How large an event is where it enters: a multiplier, an absolute peak, a business figure, or what was learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from capacity.config import BusinessFigure, EventConfig
from capacity.domain import Floats, Unit
from capacity.errors import UsageError
from capacity.saturation._event_inputs import EventInputs
from capacity.saturation.callgraph import CallGraph
from capacity.words import number, percent, times

# A given size is held against the last occurrence's peak: beyond these shares of it, somebody should look again.
PLAUSIBLE_FROM, PLAUSIBLE_TO = 0.8, 2.0


@dataclass(frozen=True, eq=False)
class Sized:
    """What an event adds where it enters, (P,) by unit, and the arithmetic behind it in words."""

    increments: Mapping[Unit, Floats]
    arithmetic: Mapping[Unit, str]


def with_event_factors(graph: CallGraph, event: EventConfig) -> CallGraph:
    """``graph`` with the event's own factors (retries, caches) on the calls that it names.

    Raises
    ------
    UsageError
        It names a call that the services do not make.
    """
    edges = {(c.from_, c.to): c.factor for c in event.business.calls} if event.business is not None else {}
    known = {(a, b) for a, to in graph.calls.items() for b in to}
    for a, b in edges:
        if (a, b) not in known:
            makes = ", ".join(sorted(graph.calls.get(a, {}))) or "none"
            raise UsageError(f"event '{event.name}': business.calls: '{a}' does not call '{b}'; its calls: {makes}")
    calls = {a: {b: n * edges.get((a, b), 1.0) for b, n in to.items()} for a, to in graph.calls.items()}
    return CallGraph(graph.regions, calls)


def on_usual_calls(
    event: EventConfig, inputs: Mapping[Unit, EventInputs], graph: CallGraph
) -> dict[tuple[Unit, str], Floats]:
    """(caller, called service) -> (P,) what the event's factors do to the calls that there are without it.

    Retries and caches do not tell old customers from new ones: calls become factor × (usual + added), of which the
    usual ones are in the callee's history without the factor. ``graph`` has the factors in already.
    """
    out = {}
    for edge in event.business.calls if event.business is not None else ():
        usual = graph.calls[edge.from_][edge.to] / edge.factor
        for unit, own in inputs.items():
            if unit.service == edge.from_:
                out[unit, edge.to] = usual * (edge.factor - 1.0) * own.baseline
    return out


def entering(event: EventConfig, inputs: Mapping[Unit, EventInputs], graph: CallGraph) -> Sized:
    """What the event adds where it enters.

    A business figure is split over regions as its config says, else as the middle of the forecast without the event.
    """
    paths = len(next(iter(inputs.values())).baseline)
    own: dict[Unit, Floats] = {}
    words: dict[Unit, str] = {}
    for service in event.services:
        units = [
            Unit(service, region)
            for region in graph.regions.get(service, ())
            if event.regions is None or region in event.regions
        ]
        shares = _shares(event, service, units, inputs) if event.business is not None else {}
        for unit in units:
            base = inputs[unit].baseline if unit in inputs else np.zeros(paths)
            if event.business is not None:
                own[unit] = event.business.requests(service) * shares[unit] - base
                words[unit] = _arithmetic(event.business, unit, shares[unit])
            else:
                own[unit] = increment(event, base, inputs[unit].multiplier if unit in inputs else None)
    return Sized(own, words)


def increment(event: EventConfig, baseline: Floats, learned: Floats | None) -> Floats:
    """(P,) what a multiplier, given or learned, or a target adds to ``baseline``."""
    if event.target is not None:
        return event.target - baseline
    multiplier = learned if event.multiplier is None else event.multiplier
    return baseline * ((1.0 if multiplier is None else multiplier) - 1.0)


def _shares(
    event: EventConfig, service: str, units: list[Unit], inputs: Mapping[Unit, EventInputs]
) -> dict[Unit, float]:
    given = event.business.regions if event.business is not None else None
    if given is not None:
        unknown = sorted(set(given) - {u.region for u in units})
        if unknown:
            raise UsageError(
                f"event '{event.name}': business.regions: found '{unknown[0]}', where {service} takes no part; "
                f"allowed: {', '.join(u.region for u in units) or 'none'}"
            )
        return {u: given.get(u.region, 0.0) for u in units}
    middle = {u: float(np.median(inputs[u].baseline)) if u in inputs else 0.0 for u in units}
    total = sum(middle.values())
    return {u: m / total if total > 0 else 1.0 / len(units) for u, m in middle.items()}


def _arithmetic(business: BusinessFigure, unit: Unit, share: float) -> str:
    """40,000 orders a minute = 667 orders/s; × 9 requests each = 6,000 req/s; …"""
    mean = business.per_second / business.peak_factor
    steps = [f"{number(business.figure)} {business.unit} a {business.per}"]
    if business.per != "second":
        steps[0] += f" = {number(mean)} {business.unit}/s"
    if business.peak_factor != 1.0:
        steps.append(f"× {business.peak_factor:g} for its busiest moment = {number(business.per_second)}/s")
    each, factors = business.enters[unit.service], business.factors(unit.service)
    rate = business.per_second * each
    steps.append(f"× {each:g} requests each at {unit.service} = {number(rate)} req/s")
    if factors.cache_hit_frac > 0:
        rate *= 1.0 - factors.cache_hit_frac
        steps.append(f"caches answer {percent(factors.cache_hit_frac)}, which leaves {number(rate)} req/s")
    if factors.retry_factor > 1:
        rate *= factors.retry_factor
        steps.append(f"× {factors.retry_factor:g} with retries = {number(rate)} req/s")
    if share < 1.0:
        how = "as given" if business.regions is not None else "its share without the event"
        steps.append(f"{percent(share)} of it in {unit.region} ({how}) = {number(rate * share)} req/s")
    return "; ".join(steps)


def edge_words(event: EventConfig, graph: CallGraph, unit: Unit, callers: list[Unit]) -> list[str]:
    """The factors on the calls that bring the event to ``unit``; ``graph`` has them in already."""
    business = event.business
    out = []
    for edge in business.calls if business is not None else ():
        if edge.to != unit.service or edge.from_ not in {c.service for c in callers}:
            continue
        with_factors = graph.calls[edge.from_][edge.to]
        plain = f"{with_factors / edge.factor:.3g}" if edge.factor > 0 else "0"
        steps = [f"{plain} calls a request"]
        steps += [f"{percent(edge.cache_hit_frac)} of them answered by a cache"] if edge.cache_hit_frac > 0 else []
        steps += [f"× {edge.retry_factor:g} with retries"] if edge.retry_factor > 1 else []
        out.append(f"from {edge.from_}: {', '.join(steps)} = {with_factors:.3g} for each request more")
    return out


def plausibility(event: EventConfig, inputs: EventInputs, demand_p50: float) -> list[str]:
    """A size that was given against the last occurrence's peak."""
    if event.is_learned or inputs.service.name not in event.services:
        return []
    past = inputs.past_peak
    if past is None or past.demand <= 0:
        known = "the history holds none of its past days" if event.past else "no past occurrence is named"
        return [f"not held against an earlier peak: {known}"] if event.business is not None else []
    ratio = demand_p50 / past.demand
    said = f"{times(ratio)} the peak of {number(past.demand)} on {past.day:%Y-%m-%d}, its last occurrence"
    if PLAUSIBLE_FROM <= ratio <= PLAUSIBLE_TO:
        return [f"plausible: {said}"]
    return [f"caution: {said}; is the size right?"]
