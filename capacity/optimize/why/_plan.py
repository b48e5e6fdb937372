"""A plan's frames as counts again, and what they cost when some of them are changed and all else is kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from capacity.domain import Floats, MixProblem, MixSolution, Unit
from capacity.optimize._billing import Bill, Usage, bill, grid_shape, usage_rows
from capacity.optimize._fleet import Fleet, fleet_of, running_by_type

HOURS_OF_A_YEAR = 8760.0

# (unit, month, block, purchase, instance type) -> instances per zone.
Counts = Mapping[tuple[str, str, str, str, str], int]


def per_year(problem: MixProblem) -> float:
    """What turns USD of the horizon into USD a year."""
    return HOURS_OF_A_YEAR / sum(problem.month_hours)


def counts_of(solution: MixSolution) -> dict[tuple[str, str, str, str, str], int]:
    """What runs, per zone."""
    frame = solution.running
    purchase = frame["purchase"] if "purchase" in frame else ["on_demand"] * len(frame)
    keys = zip(frame["unit"], frame["month"], frame["block"], purchase, frame["instance_type"], strict=True)
    return dict(zip(keys, (int(n) for n in frame["per_zone"]), strict=True))


def bought_of(fleet: Fleet, solution: MixSolution) -> dict[tuple[int, int], float]:
    """(offer, month), by position -> $/h of a Savings Plan or instances of an RI, as the plan buys them."""
    offers = {o.id: (k, o) for k, o in enumerate(fleet.offers)}
    out = {}
    for row in solution.purchases.to_dict("records"):
        k, offer = offers[str(row["offer"])]
        amount = row["count"] if offer.product == "standard_ri" else row["hourly_usd"]
        out[k, fleet.problem.months.index(str(row["month"]))] = float(amount)
    return out


def usage_of(fleet: Fleet, counts: Counts, without: Collection[Unit] = ()) -> Usage:
    """``counts`` as the rows that are billed."""
    owners, candidates = usage_rows(fleet)
    on_demand = np.zeros((len(owners), *grid_shape(fleet)))
    spot = np.zeros_like(on_demand)
    block_at = {
        (str(r.unit), b.month, b.block): (t, k)
        for s, r in enumerate(fleet.requirements)
        for t, blocks in enumerate(fleet.blocks[s])
        for k, b in enumerate(blocks)
    }
    row_at = {(str(r.unit), c.instance_type): row for row, (r, c) in enumerate(zip(owners, candidates, strict=True))}
    left_out = {str(u) for u in without}
    for (unit, month, block, purchase, kind), n in counts.items():
        if unit not in left_out:
            row, (t, k) = row_at[unit, kind], block_at[unit, month, block]
            (spot if purchase == "spot" else on_demand)[row, t, k] += n * owners[row].zones
    return Usage(owners, candidates, on_demand, spot)


def billed(
    fleet: Fleet, counts: Counts, bought: Mapping[tuple[int, int], float], without: Collection[Unit] = ()
) -> Bill:
    """The bill (USD by lot) of counts and purchases, ``without`` some units."""
    return bill(fleet, usage_of(fleet, counts, without), bought)


def penalty_usd(fleet: Fleet, counts: Counts, unit: Unit) -> float:
    """The switching penalty of one unit: what runs today and no longer runs on demand, at its share of the price."""
    r = fleet.requirements[fleet.position(unit)]
    price = {c.instance_type: c.usd_per_hour for c in r.candidates if c.allowed}
    total = 0.0
    for kind, running in running_by_type(r).items():
        for b in r.blocks:
            left = running - r.zones * counts.get((str(unit), b.month, b.block, "on_demand", kind), 0)
            total += max(left, 0) * price.get(kind, 0.0) * b.hours
    return total * fleet.problem.switching_penalty_frac


def planned_usd(problem: MixProblem, solution: MixSolution) -> float:
    """Spend and switching penalty over the horizon."""
    total = float(solution.spend["total_usd"].sum())
    if problem.switching_penalty_frac > 0:
        fleet, counts = fleet_of(problem), counts_of(solution)
        total += sum(penalty_usd(fleet, counts, r.unit) for r in fleet.requirements if r.running)
    return total


def rows_of(fleet: Fleet, counts: Counts) -> npt.NDArray[np.int64]:
    """(rows, months, blocks) what runs on demand a zone, rows as in ``usage_rows``."""
    usage = usage_of(fleet, counts)
    zones = np.array([r.zones for r in usage.owners], dtype=float)[:, None, None]
    out: npt.NDArray[np.int64] = np.rint(usage.instances / zones).astype(np.int64)
    return out


def vcpu_by_type(problem: MixProblem, solution: MixSolution) -> dict[tuple[str, str, str], float]:
    """(unit, month, type) -> vCPU provisioned, on demand and as spot."""
    frame = solution.provisioned
    out: dict[tuple[str, str, str], float] = {}
    rows = zip(frame["unit"], frame["month"], frame["instance_type"], frame["vcpu"], strict=True)
    for unit, month, kind, vcpu in rows:
        out[unit, month, kind] = out.get((unit, month, kind), 0.0) + float(vcpu)
    return out


class QuotaUse:
    """What a plan uses of each quota, by unit."""

    def __init__(self, fleet: Fleet, solution: MixSolution) -> None:
        problem = fleet.problem
        kinds = {(str(r.unit), c.instance_type): (r, c) for r in fleet.requirements for c in r.candidates}
        month = {m: t for t, m in enumerate(problem.months)}
        at: dict[tuple[str, str, str], list[int]] = {}
        for q, quota in enumerate(problem.quotas):
            at.setdefault((quota.account_id, quota.region, quota.code), []).append(q)
        self.total = np.zeros((len(problem.quotas), len(problem.months)))
        self.own: dict[str, Floats] = {}
        frame = solution.provisioned
        purchase = frame["purchase"] if "purchase" in frame else ["on_demand"] * len(frame)
        rows = zip(frame["unit"], frame["month"], frame["instance_type"], purchase, frame["vcpu"], strict=True)
        for unit, m, kind, bought, vcpu in rows:
            r, c = kinds[unit, kind]
            code = c.spot_quota_code if bought == "spot" else c.quota_code
            for q in at.get((r.account_id, r.unit.region, code), ()):
                self.own.setdefault(unit, np.zeros_like(self.total))[q, month[m]] += vcpu
                self.total[q, month[m]] += vcpu

    def without(self, unit: Unit) -> Floats:
        """(quotas,) the most vCPU of a month that all others use of each."""
        others = self.total - self.own.get(str(unit), 0.0)
        out: Floats = others.max(axis=1, initial=0.0)
        return out
