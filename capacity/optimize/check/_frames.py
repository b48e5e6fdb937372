"""The frames agree with the problem: known names, whole counts, and derived columns that follow from the counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from capacity.domain import Candidate
from capacity.optimize.check._plan import ON_DEMAND, SPOT, Plan, Site, Slack, agree, near


def frames_agree(plan: Plan) -> Iterator[Slack]:
    """Known units, months, blocks and allowed types; whole counts; the derived columns follow from the counts."""
    for frame, name, keys in (
        (plan.provisioned, "provisioned", ["unit", "month", "purchase", "instance_type"]),
        (plan.running, "running", ["unit", "month", "block", "purchase", "instance_type"]),
    ):
        missing = [k for k in (*keys, "per_zone", "instances") if k not in frame]
        yield agree(not missing, f"{name} has no column {', '.join(missing)}")
        if missing:
            continue
        yield agree(not frame.duplicated(keys).any(), f"{name} has repeated rows")
        for row in frame.to_dict("records"):
            where = f"{name}: {row['unit']} {row['month']} {row['instance_type']}"
            site = plan.by_unit.get(row["unit"])
            candidate = None if site is None else site.by_type.get(row["instance_type"], (0, None))[1]
            known = candidate is not None and candidate.allowed and row["month"] in plan.problem.months
            yield agree(known, f"{where} is not in the problem")
            if site is not None and candidate is not None:
                yield from _counts(site, candidate, row, where)
                yield from _derived(site, candidate, row, where)


def _counts(site: Site, candidate: Candidate, row: dict[Any, Any], where: str) -> Iterator[Slack]:
    per_zone, instances = row["per_zone"], row["instances"]
    whole = per_zone == int(per_zone) and per_zone >= 0 and instances == per_zone * site.requirement.zones
    yield agree(whole, f"{where}: {per_zone} per zone, {instances} instances")
    bought = row["purchase"] == ON_DEMAND or (row["purchase"] == SPOT and site.takes_spot(candidate))
    yield agree(bought, f"{where}: is not to be had as {row['purchase']}")


def _derived(site: Site, candidate: Candidate, row: dict[Any, Any], where: str) -> Iterator[Slack]:
    spot = candidate.spot_usd_per_hour
    price = candidate.usd_per_hour if row["purchase"] != SPOT or spot is None else spot
    an_hour = row["instances"] * price
    if "block" not in row:
        yield near(row["vcpu"], row["instances"] * candidate.vcpu, f"{where}: vcpu")
        yield near(row["usd_per_hour"], an_hour, f"{where}: usd_per_hour")
        return
    block = site.blocks.get((row["month"], row["block"]))
    yield agree(block is not None, f"{where} {row['block']}: no such block")
    if block is not None:
        yield near(row["hours"], block.hours, f"{where}: hours")
        yield near(row["usd"], an_hour * block.hours, f"{where}: usd")
