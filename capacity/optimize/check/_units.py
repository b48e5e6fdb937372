"""Counts and types of one unit: limits, spot, variety, and what is kept from before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from capacity.optimize.check._plan import Plan, Slack


def within(plan: Plan) -> Iterator[Slack]:
    """No more runs than is provisioned; of a static unit no less; spot is provisioned for its busiest block."""
    for site, block, on_demand, spot in plan.each_block():
        provisioned = [plan.provisioned_counts(site, kind, block.month) for kind in ("on_demand", "spot")]
        text, r = f"{site.name} {block.month} {block.block}", site.requirement
        for kind, there, runs in zip(("on demand", "spot"), provisioned, (on_demand, spot), strict=True):
            yield float((there - runs).min(initial=0.0)), f"{text}: more runs {kind} than is provisioned"
            if not r.autoscaled or r.vertical:
                yield -float(np.abs(there - runs).max(initial=0.0)), f"{text}: static, yet less runs {kind}"
    for site, month, _, spot in plan.each_month():
        off = float(np.abs(spot - plan.most_spot(site, month)).max(initial=0.0))
        yield -off, f"{site.name} {month}: spot is provisioned that never runs"


def minimum(plan: Plan) -> Iterator[Slack]:
    """Instances a zone that run in every block, on demand and as spot."""
    for site, block, on_demand, spot in plan.each_block():
        count, least = float((on_demand + spot).sum()), site.requirement.min_per_zone
        yield count - least, f"{site.name} {block.month} {block.block}: {count:g} < {least}"


def maximum(plan: Plan) -> Iterator[Slack]:
    """On demand as provisioned, and spot in its busiest block."""
    for site, month, on_demand, _ in plan.each_month():
        runs = [plan.running_counts(site, "spot", month, b).sum() for m, b in site.blocks if m == month]
        count, most = float(on_demand.sum() + max(runs)), site.requirement.max_per_zone
        yield most - count, f"{site.name} {month}: {count:g} > {most}"


def spot_share(plan: Plan) -> Iterator[Slack]:
    """What spot is relied on for, less its buffer for interruptions, against its share of each block's demand."""
    for site, block, _, spot in plan.each_block():
        if spot.any():
            served = site.requirement.zones * float(spot @ (site.safe * site.relied_on))
            most = site.requirement.spot_max_frac * block.demand
            text = f"{site.name} {block.month} {block.block}: spot serves {served:g} of at most {most:g}"
            yield (most - served) / max(block.demand, 1e-12) if served > 0 else 0.0, text


def spot_types(plan: Plan) -> Iterator[Slack]:
    """Where any spot runs, how many types it is spread over."""
    for site, block, _, spot in plan.each_block():
        if spot.any():
            types, least = np.count_nonzero(spot), site.requirement.spot_least_types
            yield float(types - least), f"{site.name} {block.month} {block.block}: {types} types of spot, not {least}"


def least_types(plan: Plan) -> Iterator[Slack]:
    """How many types run where there is demand; a vertical unit has one by nature."""
    for site, block, on_demand, spot in plan.each_block():
        if block.demand > 0 and not site.requirement.vertical:
            types, least = np.count_nonzero(on_demand + spot), site.requirement.least_types
            yield float(types - least), f"{site.name} {block.month} {block.block}: {types} types run, not {least}"


def vertical(plan: Plan) -> Iterator[Slack]:
    """One type, at the count a zone that runs today (1 where none runs)."""
    for site, month, counts, _ in plan.each_month():
        r = site.requirement
        if r.vertical:
            total = sum(r.running.values())
            kept = -(-total // r.zones) if total else max(1, r.min_per_zone)
            types = np.count_nonzero(counts)
            text = f"{site.name} {month}: {counts.sum():g} per zone of {types} types, not {kept} of 1"
            yield -abs(float(counts.sum()) - kept) if types <= 1 else -1.0, text


def pinned(plan: Plan) -> Iterator[Slack]:
    """The named months have the named counts, all of them on demand."""
    for site, month, counts, spot in plan.each_month():
        kept = {i: n for (m, i), n in (site.requirement.pinned or {}).items() if m == month}
        if kept:
            wanted = np.array([kept.pop(c.instance_type, 0) for c in site.requirement.candidates], dtype=float)
            off = float(np.abs(counts - wanted).max(initial=0.0)) + sum(kept.values()) + float(spot.sum())
            yield -off, f"{site.name} {month}: differs from the pinned mix"
