"""Waste: the fleets of a plan by the saturation model, and what the newest closed month of the bill shows."""

from __future__ import annotations

import pandas as pd

from capacity.costs.waste import (
    HOURS_A_MONTH,
    NOBODY,
    Waste,
    bill_waste,
    fleet_waste,
    unused_commitments,
    waste_frame,
)
from capacity.pipeline.finops.waste_fleets import Ground, fleet_of
from capacity.pipeline.outlook import by_type
from capacity.pipeline.parts import Parts


def coming_waste(parts: Parts) -> dict[str, pd.DataFrame]:
    """Frame waste: fleets under this plan, and the bill's findings beside them."""
    ground = Ground(parts)
    found: list[Waste] = []
    for unit, need in sorted(parts.needs.items()):
        found += fleet_waste(fleet_of(ground, unit, need))
    found += _without_demand(ground)
    if parts.money.newest:
        found += bill_waste(parts.inputs.cost, parts.money.newest)
        if "commitment_review" in parts.past:
            found += unused_commitments(parts.past["commitment_review"], parts.money.newest)
    return {"waste": waste_frame(found)}


def _without_demand(ground: Ground) -> list[Waste]:
    """Fleets that the plan has no need of because four weeks showed no demand at all."""
    parts, out = ground.parts, []
    pooled = {(p.service, r) for pool in parts.inputs.config.pools for p in pool.services for r in pool.regions}
    for unit, data in sorted(parts.data.items()):
        idle = data.running and data.service.kind != "usage_priced" and data.peak_recent <= 0
        if unit in parts.needs or not idle or (unit.service, unit.region) in pooled:
            continue
        prices, counts = ground.prices(unit.region), by_type(data.running)
        usd = HOURS_A_MONTH * sum(c * prices.get(n, 0.0) for n, c in counts.items())
        what = " + ".join(f"{c} × {n}" for n, c in counts.items())
        out.append(
            Waste(
                kind="idle",
                service=unit.service,
                region=unit.region,
                what=what,
                monthly_usd=usd if set(counts) <= set(prices) else None,
                currency=parts.inputs.config.currency,
                confidence="medium",
                reason="no demand at all in four weeks",
                taken_by=NOBODY,
                evidence=f"{what} run; the demand of four weeks is 0; at list price",
            )
        )
    return out
