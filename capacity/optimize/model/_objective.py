"""What a plan costs over the horizon, in USD."""

from __future__ import annotations

from capacity.optimize._fleet import running_by_type
from capacity.optimize.model._commitments import purchase_costs
from capacity.optimize.model._words import MixModel, Row, autoscales


def define_switching_penalty(model: MixModel) -> None:
    """leave >= running - Z r, at ``switching_penalty_frac`` of the price of the type that is left."""
    share = model.fleet.problem.switching_penalty_frac
    for s, requirement in enumerate(model.fleet.requirements):
        runs = running_by_type(requirement)
        for i, candidate in model.allowed(s):
            count = runs.get(candidate.instance_type, 0)
            price = share * candidate.usd_per_hour
            if not count or price <= 0:
                continue
            for t, blocks in enumerate(model.fleet.blocks[s]):
                for b in model.blocks_that_decide(s, t):
                    span = blocks[b].hours if autoscales(requirement) else sum(block.hours for block in blocks)
                    leave = model.variable("x", len(model.leave), float(count), integer=False)
                    model.leave[s, i, t, b] = leave
                    terms = {leave: 1.0 / count, model.running[s, i, t, b]: requirement.zones / count}
                    model.add(Row("switching", requirement.unit, t, b, scale=float(count)), terms, ">=", 1.0)
                    model.objective[leave] = price * span


def define_objective(model: MixModel) -> None:
    """On demand less what is covered, spot, commitments owned and bought, reserved and idle, and the penalty."""
    import pulp

    fleet = model.fleet
    for (s, i, t, b), r in model.running.items():
        requirement = fleet.requirements[s]
        usd = fleet.blocks[s][t][b].hours * requirement.zones * requirement.candidates[i].usd_per_hour
        model.objective[r] = model.objective.get(r, 0.0) + usd
    for (s, i, t, b), p in model.spot.items():
        requirement = fleet.requirements[s]
        price = requirement.candidates[i].spot_usd_per_hour or 0.0
        usd = fleet.blocks[s][t][b].hours * requirement.zones * price
        model.objective[p] = model.objective.get(p, 0.0) + usd
    for (_g, _k, position), cover in (*model.cover.items(), *model.cover_bought.items()):
        model.objective[cover] = -fleet.lots[position].hours
    for (z, position), idle in model.idle.items():
        model.objective[idle] = fleet.lots[position].hours * fleet.reserved[z].usd_per_hour
    model.objective.update(purchase_costs(model))
    model.constant_usd = sum(lot.hours * fleet.commitments[k].hourly_usd for lot in fleet.lots for k in lot.active)
    model.lp.setObjective(pulp.LpAffineExpression(model.objective, constant=model.constant_usd))
