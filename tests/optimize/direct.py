"""The direct model solved to its end and written as a plan's frames, and the same answer by trying everything.

For tests only: no start, no cuts, no time limit, so for small problems.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from capacity.domain import LoadBlock, MixProblem, UnitRequirement
from capacity.optimize import check
from capacity.optimize._billing import Usage, bill, grid_shape, usage_rows
from capacity.optimize._fleet import Fleet, fleet_of, running_by_type
from capacity.optimize._highs import load, matrix_of, quiet
from capacity.optimize.model import MixModel, build_model


@dataclass
class Direct:
    """An optimal plan: its model with values, its frames, and what it costs by the bill (penalty included)."""

    model: MixModel
    values: dict[Any, float]
    optimum: float
    cost: float
    provisioned: pd.DataFrame
    running: pd.DataFrame
    commitment_use: pd.DataFrame
    spend: pd.DataFrame
    purchases: pd.DataFrame

    def check(self, problem: MixProblem) -> dict[str, float]:
        """Family -> worst slack; refuses a wrong plan."""
        frames = (self.provisioned, self.running, self.commitment_use, self.spend, self.purchases)
        return {c.name: c.worst_slack for c in check(problem, *frames)}


def solve_direct(problem: MixProblem) -> Direct | None:
    """The optimum of the direct model; None where there is no plan."""
    import highspy

    model = build_model(fleet_of(problem))
    matrix, solver = matrix_of(model.lp), quiet(seed=1)
    solver.setOptionValue("mip_rel_gap", 0.0)
    solver.setOptionValue("mip_abs_gap", 0.0)
    load(solver, matrix, relaxed=False)
    solver.run()
    if solver.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
        return None
    assert solver.getModelStatus() in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kModelEmpty)
    found = solver.getSolution().col_value
    values = {v: float(x) for v, x in zip(matrix.variables, found, strict=True)}
    return _written(model, values, float(solver.getInfo().objective_function_value))


def _written(model: MixModel, values: dict[Any, float], optimum: float) -> Direct:
    fleet = model.fleet
    offsets = np.cumsum([0, *(len(r.candidates) for r in fleet.requirements)])
    shape = (int(offsets[-1]), *grid_shape(fleet))
    on_demand, spot, provisioned = np.zeros(shape), np.zeros(shape), np.zeros(shape[:2])
    for counts, variables in ((on_demand, model.running), (spot, model.spot)):
        for (s, i, t, b), v in variables.items():
            counts[offsets[s] + i, t, b] = round(values[v])
    for (s, i, t), v in model.provisioned.items():
        provisioned[offsets[s] + i, t] = round(values[v])
    owners, candidates = usage_rows(fleet)
    zones = np.array([r.zones for r in owners], dtype=float).reshape(-1, 1, 1)
    bought = {
        key: round(values[v]) if fleet.offers[key[0]].product == "standard_ri" else values[v]
        for key, v in model.purchases.items()
    }
    billed = bill(fleet, Usage(owners, candidates, on_demand * zones, spot * zones), bought)
    cost = billed.total_usd + _penalty(fleet, on_demand)
    frames = (_provisioned(fleet, provisioned, spot), _running(fleet, on_demand, spot))
    return Direct(model, values, optimum, cost, *frames, billed.use, billed.spend, billed.purchases)


def _penalty(fleet: Fleet, on_demand: np.ndarray) -> float:
    row, total = 0, 0.0
    for s, r in enumerate(fleet.requirements):
        for c in r.candidates:
            runs = running_by_type(r).get(c.instance_type, 0)
            for t, blocks in enumerate(fleet.blocks[s]):
                for b, block in enumerate(blocks):
                    left = max(runs - r.zones * on_demand[row, t, b], 0)
                    total += fleet.problem.switching_penalty_frac * c.usd_per_hour * block.hours * left
            row += 1
    return total


def _provisioned(fleet: Fleet, on_demand: np.ndarray, spot: np.ndarray) -> pd.DataFrame:
    owners, candidates = usage_rows(fleet)
    rows = []
    for kind, counts in (("on_demand", on_demand), ("spot", spot.max(axis=2))):
        for row, t in np.argwhere(counts > 0):
            r, c, count = owners[row], candidates[row], int(counts[row, t])
            price = c.usd_per_hour if kind == "on_demand" else c.spot_usd_per_hour or 0.0
            total = count * r.zones
            where = (str(r.unit), r.unit.service, r.unit.region, fleet.problem.months[t], kind, c.instance_type)
            rows.append((*where, count, total, total * c.vcpu, total * price))
    columns = ["unit", "service", "region", "month", "purchase", "instance_type", "per_zone", "instances", "vcpu"]
    return pd.DataFrame(rows, columns=[*columns, "usd_per_hour"])


def _running(fleet: Fleet, on_demand: np.ndarray, spot: np.ndarray) -> pd.DataFrame:
    owners, candidates = usage_rows(fleet)
    rows = []
    for kind, counts in (("on_demand", on_demand), ("spot", spot)):
        for row, t, b in np.argwhere(counts > 0):
            r, c, count = owners[row], candidates[row], int(counts[row, t, b])
            block = fleet.blocks[fleet.position(r.unit)][t][b]
            price = c.usd_per_hour if kind == "on_demand" else c.spot_usd_per_hour or 0.0
            total = count * r.zones
            where = (str(r.unit), r.unit.service, r.unit.region, block.month, block.block, kind, c.instance_type)
            rows.append((*where, count, total, block.hours, total * price * block.hours))
    columns = ["unit", "service", "region", "month", "block", "purchase", "instance_type", "per_zone", "instances"]
    return pd.DataFrame(rows, columns=[*columns, "hours", "usd"])


# --- trying everything -------------------------------------------------------------------------------------

# On demand and spot per zone in one block, and a whole plan of a unit: provisioned, and (on demand, spot) by block.
Block = tuple[tuple[int, ...], tuple[int, ...]]
Whole = tuple[tuple[int, ...], tuple[Block, ...]]


def cheapest_of_all(p: MixProblem) -> float | None:
    """Least cost of a one-month problem (no owned commitments, at most one offer, blocks alike in all units)."""
    # Where an instance is reserved or bought, running it may cost nothing more, and save a switch or use a purchase.
    thin = sum(map(bool, (p.reservations, p.offers, p.switching_penalty_frac))) <= 1
    best = math.inf
    for plans in itertools.product(*(list(_plans(p, r, thin)) for r in p.requirements)):
        if _inside_quotas(p, plans):
            best = min(best, _cost(p, plans))
    return None if math.isinf(best) else best


def _plans(p: MixProblem, r: UnitRequirement, thin: bool) -> Iterator[Whole]:
    blocks = sorted(r.blocks, key=lambda b: b.block)
    options = [_options(p, r, b) for b in blocks]
    lost = max(b.region_loss_demand for b in blocks) * (1 - 1e-9)

    def emergency(n: Sequence[int]) -> bool:
        return r.zones * sum(k * c.zone_loss for k, c in zip(n, r.candidates, strict=True)) >= lost

    if r.autoscaled:
        chosen = itertools.product(*(_thinned(o) if thin else o for o in options))
    else:
        common = [x for x in options[0] if emergency(x[0]) and all(x in o for o in options[1:])]
        chosen = iter((x,) * len(blocks) for x in (_thinned(common) if thin else common))
    for plan in chosen:
        least = [int(n) for n in np.max([on_demand for on_demand, _ in plan], axis=0)]
        most = [max(_most(p, r, i), n) if lost and r.autoscaled else n for i, n in enumerate(least)]
        for n in itertools.product(*(range(a, b + 1) for a, b in zip(least, most, strict=True))):
            if sum(n) + max(sum(s) for _, s in plan) <= r.max_per_zone and emergency(n):
                yield n, plan


def _thinned(options: list[Block]) -> list[Block]:
    """Without those that run more of everything than another: they cost no less."""
    flat = [np.array([*a, *b]) for a, b in options]
    return [x for k, x in enumerate(options) if not any((y <= flat[k]).all() and (y < flat[k]).any() for y in flat)]


def _most(p: MixProblem, r: UnitRequirement, i: int) -> int:
    c, left = r.candidates[i], r.zones - r.zones_survived
    needs = [1.0, r.min_per_zone, *(h.count / r.zones for h in p.reservations if h.instance_type == c.instance_type)]
    for b in r.blocks:
        pairs = [(b.demand, c.safe, c.zone_loss), (b.region_loss_demand, c.zone_loss, 0.0)]
        pairs += [(need, *c.further.get(name, (0.0, 0.0))) for name, need in b.further.items()]
        for need, normal, lost in pairs:
            needs += [need / (r.zones * normal)] if normal else []
            needs += [need / (left * lost)] if lost and left > 0 else []
    return math.ceil(max(needs))


def _options(p: MixProblem, r: UnitRequirement, b: LoadBlock) -> list[Block]:
    most = [_most(p, r, i) for i in range(len(r.candidates))]
    spot = [
        0 if c.spot_usd_per_hour is None else math.floor(
            r.spot_max_frac * b.demand / (r.zones * c.safe * (1 - c.spot_buffer_frac)) + 1e-9
        )
        for c in r.candidates
    ]  # fmt: skip
    counts = itertools.product(*(range(m + 1) for m in most))
    spots = list(itertools.product(*(range(m + 1) for m in spot)))
    return [(x, y) for x in counts for y in spots if _meets(r, b, x, y)]


def _meets(r: UnitRequirement, b: LoadBlock, on_demand: Sequence[int], spot: Sequence[int]) -> bool:
    kinds = list(zip(r.candidates, on_demand, spot, strict=True))
    trusted = [n + s * (1 - c.spot_buffer_frac) for c, n, s in kinds]
    left = r.zones - r.zones_survived

    def holds(zones: int, each: list[float], need: float) -> bool:
        return zones * sum(x * e for x, e in zip(trusted, each, strict=True)) >= need * (1 - 1e-9)

    fine = holds(r.zones, [c.safe for c in r.candidates], b.demand)
    fine &= not r.zones_survived or holds(left, [c.zone_loss for c in r.candidates], b.demand)
    for name, need in b.further.items():
        fine &= holds(r.zones, [c.further.get(name, (0.0, 0.0))[0] for c in r.candidates], need)
        fine &= not r.zones_survived or holds(left, [c.further.get(name, (0.0, 0.0))[1] for c in r.candidates], need)
    served = r.zones * sum(s * (1 - c.spot_buffer_frac) * c.safe for c, _, s in kinds)
    fine &= served <= r.spot_max_frac * b.demand * (1 + 1e-9) + 1e-12
    fine &= not any(spot) or sum(s > 0 for s in spot) >= r.spot_least_types
    fine &= b.demand <= 0 or sum(n + s > 0 for _, n, s in kinds) >= r.least_types
    return fine and sum(on_demand) + sum(spot) >= r.min_per_zone


def _inside_quotas(p: MixProblem, plans: Sequence[Whole]) -> bool:
    for q in p.quotas:
        used, runs = 0.0, {}
        for r, (n, blocks) in zip(p.requirements, plans, strict=True):
            for i, c in enumerate(r.candidates):
                on_demand, spot = r.zones * n[i], r.zones * max(s[i] for _, s in blocks)
                used += c.vcpu * (on_demand * (c.quota_code == q.code) + spot * (c.spot_quota_code == q.code))
                runs[c] = runs.get(c, 0) + on_demand
        for c, count in runs.items():
            held = sum(h.count for h in p.reservations if h.instance_type == c.instance_type)
            used += c.vcpu * max(held - count, 0) * (c.quota_code == q.code)
        if used > q.limit + 1e-9:
            return False
    return True


def _cost(p: MixProblem, plans: Sequence[Whole]) -> float:
    hours = [b.hours for b in sorted(p.requirements[0].blocks, key=lambda b: b.block)]
    total, by_type = 0.0, []
    for b, h in enumerate(hours):
        runs: dict[Any, int] = {}
        for r, (_, blocks) in zip(p.requirements, plans, strict=True):
            for c, n, s in zip(r.candidates, *blocks[b], strict=True):
                runs[c] = runs.get(c, 0) + r.zones * n
                total += h * r.zones * (n * c.usd_per_hour + s * (c.spot_usd_per_hour or 0.0))
                left = max(running_by_type(r).get(c.instance_type, 0) - r.zones * n, 0)
                total += p.switching_penalty_frac * h * c.usd_per_hour * left
        for c, count in runs.items():
            held = sum(x.count for x in p.reservations if x.instance_type == c.instance_type)
            total += h * c.usd_per_hour * max(held - count, 0)
        by_type.append(runs)
    return total - max([0.0, *(_saved(p, q, hours, by_type) for q in _amounts(p, by_type))])


def _amounts(p: MixProblem, by_type: list[dict[Any, int]]) -> list[float]:
    """Where the cost of a purchase can turn: whole instances, or what fills a type of a block."""
    if not p.offers:
        return []
    offer, out = p.offers[0], set()
    for runs in by_type:
        if offer.product == "standard_ri":
            out |= set(range(1, 1 + sum(n for c, n in runs.items() if c.instance_type == offer.scope)))
            continue
        takes = sorted((offer.rate[c.instance_type], c.usd_per_hour * n) for c, n in runs.items() if _fits(offer, c))
        out |= set(itertools.accumulate(rate * usd for rate, usd in takes))
    return sorted(float(x) for x in out)


def _fits(offer: Any, c: Any) -> bool:
    return c.instance_type in offer.rate and offer.scope in ("", c.family, c.instance_type)


def _saved(p: MixProblem, amount: float, hours: list[float], by_type: list[dict[Any, int]]) -> float:
    offer, saved = p.offers[0], 0.0
    for h, runs in zip(hours, by_type, strict=True):
        left = amount
        for rate, usd, n in sorted(
            (offer.rate[c.instance_type], c.usd_per_hour, n) for c, n in runs.items() if _fits(offer, c)
        ):
            if offer.product == "standard_ri":
                saved += h * (min(n, amount) * usd - amount * rate * usd)
            else:
                used = min(left, rate * usd * n)
                saved, left = saved + h * used / rate, left - used
        saved -= 0.0 if offer.product == "standard_ri" else h * amount
    return saved
