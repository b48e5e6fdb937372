"""Small problems for the optimizer's tests, and a plan by trying everything."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from capacity.domain import (
    Candidate,
    Commitment,
    LoadBlock,
    MixProblem,
    MixSolution,
    Quota,
    Unit,
    UnitRequirement,
)

MONTHS = ("2026-01", "2026-02")
HOURS = (744.0, 672.0)
STANDARD = "L-1216C47A"
ACCOUNT, REGION = "1111", "us-east-1"


def candidate(
    name: str, usd: float, safe: float, vcpu: int = 2, zone_loss: float | None = None, code: str = STANDARD
) -> Candidate:
    family = name.split(".")[0]
    return Candidate(name, family, "x86_64", vcpu, code, usd, safe, safe * 1.5 if zone_loss is None else zone_loss)


SMALL = candidate("m5.large", 0.10, 10.0, 2)
LARGE = candidate("m5.xlarge", 0.19, 20.0, 4)
ARM = candidate("m7g.large", 0.08, 9.0, 2)


def unit(
    name: str,
    demands: Sequence[float] | Mapping[str, Sequence[float]],
    candidates: Sequence[Candidate] = (SMALL, LARGE, ARM),
    *,
    months: Sequence[str] = MONTHS[:1],
    month_hours: Sequence[float] = HOURS,
    shares: Sequence[float] | None = None,
    zones: int = 3,
    survived: int = 1,
    autoscaled: bool = True,
    least: int = 1,
    most: int = 50,
    running: Mapping[tuple[str, str], int] | None = None,
    vertical: bool = False,
    pinned: Mapping[tuple[str, str], int] | None = None,
    account: str = ACCOUNT,
    region: str = REGION,
) -> UnitRequirement:
    """``demands`` by block (the same in all months), or by month."""
    by_month = demands if isinstance(demands, Mapping) else dict.fromkeys(months, demands)
    blocks = []
    for month, hours in zip(months, month_hours, strict=False):
        count = len(by_month[month])
        part = shares or [1 / count] * count
        blocks += [
            LoadBlock(month, f"b{k + 1}", hours * part[k], float(demand)) for k, demand in enumerate(by_month[month])
        ]
    return UnitRequirement(
        Unit(name, region), account, zones, survived, autoscaled, least, most, tuple(blocks), tuple(candidates),
        running or {}, vertical, pinned,
    )  # fmt: skip


def problem(
    *requirements: UnitRequirement,
    months: Sequence[str] = MONTHS[:1],
    hours: Sequence[float] | None = None,
    commitments: Iterable[Commitment] = (),
    rates: Mapping[str, float] | None = None,
    quotas: Iterable[Quota] = (),
    penalty: float = 0.0,
) -> MixProblem:
    month_hours = tuple(hours or HOURS[: len(months)])
    return MixProblem(tuple(months), month_hours, requirements, tuple(commitments), rates or {}, tuple(quotas), penalty)


def quota(limit: float, account: str = ACCOUNT, region: str = REGION, code: str = STANDARD) -> Quota:
    return Quota(account, region, code, "vCPU", limit, 0.0)


def commitment(
    name: str,
    product: str,
    scope: str = "",
    hourly: float = 0.1,
    count: int = 0,
    start: datetime = datetime(2025, 1, 1, tzinfo=UTC),
    end: datetime = datetime(2028, 1, 1, tzinfo=UTC),
    account: str = "",
    region: str | None = None,
) -> Commitment:
    where = ("" if product == "compute_sp" else REGION) if region is None else region
    return Commitment(name, account, product, scope, where, hourly, count, start, end)  # type: ignore[arg-type]


# --- trying everything -------------------------------------------------------------------------------------


def cheapest_by_trying(p: MixProblem) -> float | None:
    """Least objective of a one-month problem over all whole plans; None where there is none.

    Blocks must be the same in all units, and commitments shared by all. Covers from which an instance can be taken
    away are left out: they cost no less, as prices are 0 or more and the penalty is below 1.
    """
    per_unit = [_plans(r) for r in p.requirements]
    best = math.inf
    for plans in itertools.product(*per_unit):
        if _within_quotas(p, plans):
            best = min(best, _objective(p, plans))
    return None if math.isinf(best) else best


def number_of_tries(p: MixProblem) -> int:
    return math.prod(max(len(_plans(r)), 1) for r in p.requirements)


def _plans(r: UnitRequirement) -> list[np.ndarray]:
    """Every (types, blocks) array of running counts that meets what is asked of ``r`` alone."""
    if r.autoscaled:
        options = [_covers(r, [b]) for b in r.blocks]
        plans = [np.array(choice).T for choice in itertools.product(*options)]
    else:
        plans = [np.repeat(np.array(c)[:, None], len(r.blocks), axis=1) for c in _covers(r, r.blocks)]
    return [x for x in plans if x.max(axis=1).sum() <= r.max_per_zone]


def _covers(r: UnitRequirement, blocks: Sequence[LoadBlock]) -> list[tuple[int, ...]]:
    def fine(counts: Sequence[int]) -> bool:
        normal = r.zones * sum(n * c.safe for n, c in zip(counts, r.candidates, strict=True))
        lost = (r.zones - r.zones_survived) * sum(n * c.zone_loss for n, c in zip(counts, r.candidates, strict=True))
        need = max(b.demand for b in blocks) * (1 - 1e-9)
        return normal >= need and (lost >= need or not r.zones_survived) and sum(counts) >= r.min_per_zone

    most = [0, *(_most(r, c, max(b.demand for b in blocks)) for c in r.candidates)]
    found = [x for x in itertools.product(*(range(m + 1) for m in most[1:])) if fine(x)]
    return [x for x in found if not any(x[i] and fine([*x[:i], x[i] - 1, *x[i + 1 :]]) for i in range(len(x)))]


def _most(r: UnitRequirement, c: Candidate, demand: float) -> int:
    survivors = r.zones - r.zones_survived
    return max(math.ceil(demand / (r.zones * c.safe)), math.ceil(demand / (survivors * c.zone_loss)), r.min_per_zone)


def _within_quotas(p: MixProblem, plans: Sequence[np.ndarray]) -> bool:
    for q in p.quotas:
        used = 0.0
        for r, plan in zip(p.requirements, plans, strict=True):
            if (r.account_id, r.unit.region) == (q.account_id, q.region):
                vcpu = [c.vcpu if c.quota_code == q.code else 0 for c in r.candidates]
                used += r.zones * float(plan.max(axis=1) @ vcpu)
        if used > q.limit + 1e-9:
            return False
    return True


def _objective(p: MixProblem, plans: Sequence[np.ndarray]) -> float:
    total = sum(c.hourly_usd for c in p.commitments) * p.month_hours[0]
    for r, plan in zip(p.requirements, plans, strict=True):
        for i, c in enumerate(r.candidates):
            runs = sum(n for (name, _), n in r.running.items() if name == c.instance_type)
            for b, block in enumerate(r.blocks):
                left = max(runs - r.zones * plan[i, b], 0)
                total += p.switching_penalty_frac * c.usd_per_hour * block.hours * left
    for b, block in enumerate(p.requirements[0].blocks):
        usd: dict[tuple[str, str], float] = {}
        for r, plan in zip(p.requirements, plans, strict=True):
            for i, c in enumerate(r.candidates):
                key = (c.instance_type, c.family)
                usd[key] = usd.get(key, 0.0) + r.zones * plan[i, b] * c.usd_per_hour
        total += block.hours * _uncovered(p, usd)
    return float(total)


def _uncovered(p: MixProblem, usd: dict[tuple[str, str], float]) -> float:
    order = {"standard_ri": 0, "ec2_instance_sp": 1, "compute_sp": 2}
    prices = {c.instance_type: c.usd_per_hour for r in p.requirements for c in r.candidates}
    for owned in sorted(p.commitments, key=lambda k: order[k.product]):
        if owned.product == "standard_ri":
            left = owned.count * prices.get(owned.scope, 0.0)
        else:
            left = owned.hourly_usd / p.committed_rate[owned.id]
        for key in sorted(usd):
            fits = {"standard_ri": key[0], "ec2_instance_sp": key[1], "compute_sp": ""}[owned.product] == owned.scope
            if fits:
                taken = min(left, usd[key])
                usd[key] -= taken
                left -= taken
    return sum(usd.values())


def pairs(found: MixSolution) -> set[tuple[str, str]]:
    """(unit, instance type) of what a plan runs."""
    frame = found.provisioned
    return set(zip(frame["unit"], frame["instance_type"], strict=True))


def as_running(p: MixProblem, found: MixSolution) -> MixProblem:
    """The plan as what runs: its provisioned counts, one zone like the other."""
    counts: dict[str, dict[tuple[str, str], int]] = {}
    for row in found.provisioned.to_dict("records"):
        for zone in "abc":
            counts.setdefault(row["unit"], {})[row["instance_type"], zone] = int(row["per_zone"])
    return replace(p, requirements=tuple(replace(r, running=counts.get(str(r.unit), {})) for r in p.requirements))
