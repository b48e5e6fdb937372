"""Losing a region: what the others must then carry, from joint paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from capacity import forecast, scenario, words
from capacity.config import ServiceConfig
from capacity.domain import Paths, Unit
from capacity.pipeline.inputs import Inputs
from capacity.pipeline.mix._joint import block_tops, joint_levels, months_of, shared_days
from capacity.pipeline.mix._need import UnitNeed
from capacity.scenario import Scenario

ANY = "any"


def shares_of(service: ServiceConfig, lost: str) -> dict[str, float]:
    """Region -> share of the demand of ``lost`` that moves there; a rule of its own name goes before ``any``."""
    rules = {rule.from_: rule for rule in service.failover}
    rule = rules.get(lost, rules.get(ANY))
    if rule is None or lost not in service.regions:
        return {}
    others = [r for r in service.regions if r != lost]
    return dict(rule.to) if rule.to is not None else {r: 1.0 / len(others) for r in others}


def with_region_loss(inputs: Inputs, needs: Mapping[Unit, UnitNeed], change: Scenario) -> dict[Unit, UnitNeed]:
    """``needs`` with the demand of each block when another region is lost, the worst of these losses.

    Future by future: row i of two regions is one future, so what moves is added to what is there. In a scenario that
    has lost a region already no second one is.
    """
    if scenario.lost_region(change) is not None:
        return dict(needs)
    levels = {t.name: t.service_level for t in inputs.config.tiers}
    services = {s.name: s for s in inputs.config.services}
    out = dict(needs)
    for unit, need in needs.items():
        service = services.get(unit.service)
        if service is None or not service.failover:
            continue
        losses = {lost: shares_of(service, lost).get(unit.region, 0.0) for lost in service.regions}
        moved = {Unit(unit.service, lost): share for lost, share in losses.items() if share > 0 and lost != unit.region}
        arriving = [(needs[u], share) for u, share in sorted(moved.items()) if u in needs]
        out[unit] = _carrying(need, arriving, levels[service.tier])
    return out


def _carrying(need: UnitNeed, arriving: list[tuple[UnitNeed, float]], level: float) -> UnitNeed:
    worst: dict[tuple[str, str], float] = {}
    for other, share in arriving:
        for key, demand in _joint_demand(need, other, share, level).items():
            worst[key] = max(demand, worst.get(key, 0.0))

    def carried(key: tuple[str, str], reserve: float) -> float:
        return worst[key] + reserve if key in worst else 0.0

    blocks = tuple(replace(b, region_loss_demand=carried((b.month, b.block), 0.0)) for b in need.blocks)
    held = tuple(
        replace(b, region_loss_demand=carried((b.month, b.block), need.reserve)) for b in need.requirement.blocks
    )
    return replace(need, blocks=blocks, requirement=replace(need.requirement, blocks=held))


def _joint_demand(need: UnitNeed, other: UnitNeed, share: float, level: float) -> dict[tuple[str, str], float]:
    """(month, block) -> demand with ``share`` of the other region's, at the service level over the month's blocks."""
    days = shared_days([need.days, other.days])
    own, theirs = need.days.get_indexer(days), other.days.get_indexer(days)
    both: Paths = need.hours[:, own] + np.float32(share) * other.hours[:, theirs]
    names: dict[str, list[str]] = {}
    for block in need.blocks:
        names.setdefault(block.month, []).append(block.block)
    out: dict[tuple[str, str], float] = {}
    for month, at in months_of(days):
        if month not in names:
            continue
        inside = np.flatnonzero(words.month_names(need.days) == month)
        groups = forecast.block_of(need.hours[:, inside], need.days[inside], len(names[month]))
        groups = groups[need.days[inside].get_indexer(days[at])]
        present = np.unique(groups)
        tops = block_tops(both[:, at], np.searchsorted(present, groups), np.arange(len(at)), len(present))
        # What is asked is the largest of a month's blocks: the level of the month's largest hour, and no more.
        largest = joint_levels(tops.max(axis=1, keepdims=True), level)[0]
        for b, demand in zip(present, np.minimum(joint_levels(tops, level), largest), strict=True):
            out[month, names[month][int(b)]] = float(demand)
    return out
