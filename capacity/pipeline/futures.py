"""What a scenario makes of the base paths: growth, launches, events and a lost region, through the call graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from capacity import forecast, saturation, scenario
from capacity.config import Config, EventConfig
from capacity.domain import QUANTILES, Floats, Paths, SeriesForecast, Unit
from capacity.pipeline.base import Base
from capacity.saturation import CallGraph
from capacity.scenario import Scenario

_TARGETS: tuple[Literal["mean", "peak"], ...] = ("mean", "peak")


@dataclass(frozen=True)
class Future:
    """Forecasts of one unit's daily mean and peak under a scenario."""

    mean: SeriesForecast
    peak: SeriesForecast


def futures(base: Base, config: Config, change: Scenario) -> dict[Unit, Future]:
    """The base under ``change``; units of a lost region are gone and their traffic is with the others.

    Only a named service's increment travels to what it calls, and only to callees that the same scenario does not
    set themselves: a growth that names no service is already everybody's.
    """
    out = {unit: Future(base.mean[unit], base.peak[unit]) for unit in base.peak}
    out = _with_growth(out, config, change)
    for event in change.events:
        out = _with_event(out, config, event)
    lost = scenario.lost_region(change)
    return _without_region(out, config, lost) if lost else out


def _with_growth(known: Mapping[Unit, Future], config: Config, change: Scenario) -> dict[Unit, Future]:
    named = {s for g in change.growth for s in (g.services or ())} | {launch.service for launch in change.launches}
    grown: dict[str, dict[Unit, Paths]] = {"mean": {}, "peak": {}}
    increments: dict[str, dict[Unit, Paths]] = {"mean": {}, "peak": {}}
    for target in _TARGETS:
        for unit, future in known.items():
            before: SeriesForecast = getattr(future, target)
            factor = scenario.demand_factor(change, unit, before.index)
            added = scenario.demand_added(change, unit, before.index)
            grown[target][unit] = (before.paths * factor + added).astype(np.float32)
            if unit.service in named:
                increments[target][unit] = grown[target][unit] - before.paths
        for unit, extra in _carried(increments[target], known, config).items():
            if unit.service not in named:
                grown[target][unit] = grown[target][unit] + extra
    return {unit: _rebuilt(future, grown["mean"][unit], grown["peak"][unit]) for unit, future in known.items()}


def _carried(increments: Mapping[Unit, Paths], known: Mapping[Unit, Future], config: Config) -> dict[Unit, Paths]:
    """Increments that arrive at callees, cut to the callee's own horizon."""
    if not increments:
        return {}
    graph = CallGraph.from_services(config.services)
    return {u: x for u, x in graph.propagate(increments).items() if u in known and u not in increments}


def _with_event(known: Mapping[Unit, Future], config: Config, event: EventConfig) -> dict[Unit, Future]:
    """Peak days at the event's height, mean days by the share of the day it lasts."""
    own: dict[str, dict[Unit, Paths]] = {"mean": {}, "peak": {}}
    for unit, future in known.items():
        if unit.service in event.services and (event.regions is None or unit.region in event.regions):
            tz = config.service(unit.service).time_zone
            for target in _TARGETS:
                before: SeriesForecast = getattr(future, target)
                weight = saturation.event_day_weight(before.index, event, tz, target)
                own[target][unit] = _applied(without(before, event.name), weight, event, target)
    out = dict(known)
    for unit in own["peak"]:
        out[unit] = _rebuilt(known[unit], own["mean"][unit], own["peak"][unit])
    increments = {t: {u: p - getattr(known[u], t).paths for u, p in own[t].items()} for t in own}
    peak, mean = (_carried(increments[t], known, config) for t in ("peak", "mean"))
    for unit, extra in peak.items():
        more = mean.get(unit, np.zeros_like(extra))
        out[unit] = _rebuilt(known[unit], known[unit].mean.paths + more, known[unit].peak.paths + extra)
    return out


def without(known: SeriesForecast, event: str) -> Paths:
    """Paths without what was learned of ``event``: a size that is given replaces it, and never adds to it."""
    factor = forecast.factor_ahead(known, event)
    return known.paths if (factor == 1.0).all() else (known.paths / factor).astype(np.float32)


def _applied(paths: Paths, weight: Floats, event: EventConfig, target: str) -> Paths:
    """An absolute target is a peak: it says nothing of the day's mean, which then stays as it is."""
    if event.target is not None and target == "mean":
        return paths
    return saturation.apply_event(paths, weight, event)


def _without_region(known: Mapping[Unit, Future], config: Config, lost: str) -> dict[Unit, Future]:
    out = {unit: future for unit, future in known.items() if unit.region != lost}
    for unit, gone in known.items():
        takers = [Unit(unit.service, r) for r in scenario.failover_target(config.service(unit.service), lost)]
        takers = [t for t in takers if t in out] if unit.region == lost else []
        for taker in takers:
            share = np.float32(1.0 / len(takers))
            mean, peak = out[taker].mean.paths, out[taker].peak.paths
            out[taker] = _rebuilt(out[taker], mean + share * gone.mean.paths, peak + share * gone.peak.paths)
    return out


def _rebuilt(future: Future, mean: Paths, peak: Paths) -> Future:
    """A future with other paths; a forecast whose paths did not change keeps its calibrated quantiles."""
    return Future(_with_paths(future.mean, mean), _with_paths(future.peak, np.maximum(peak, mean)))


def _with_paths(known: SeriesForecast, paths: Paths) -> SeriesForecast:
    if np.array_equal(known.paths, paths):
        return known
    return replace(
        known,
        paths=paths,
        quantiles=_shifted(known.quantiles, known.paths, paths),
        peak=_shifted(known.peak, known.paths.max(axis=1), paths.max(axis=1)),
        total=_shifted(known.total, known.paths.sum(axis=1), paths.sum(axis=1)),
    )


def _shifted(quantiles: Floats, before: Paths, after: Paths) -> Floats:
    """Quantiles of new samples, kept as far beyond the samples' own as calibration had put the old ones.

    So a scenario is as cautious as the base: what grows is never crossed later.
    """
    old, new = np.quantile(before, QUANTILES, axis=0), np.quantile(after, QUANTILES, axis=0)
    ratio = np.divide(new, old, out=np.ones_like(new), where=old > 0)
    shifted = np.where(old > 0, quantiles * ratio, new + (quantiles - old))
    return np.maximum.accumulate(np.maximum(shifted, 0.0), axis=0)
