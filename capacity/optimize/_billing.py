"""What running instances cost under the commitments that are owned: applied in the provider's own order.

Standard RIs first, then EC2 Instance Savings Plans, then Compute Savings Plans; inside a product the highest saving
first; each within its sharing scope. What several rows may use is shared among them pro rata of what is still open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from capacity.domain import Candidate, Commitment, Floats, UnitRequirement
from capacity.errors import MissingDataError
from capacity.optimize._fleet import Fleet, Lot, eligible, running_by_type

UNUSED = "(commitments unused)"

SPEND_COLUMNS = ("month", "unit", "service", "region", "on_demand_usd", "committed_usd", "total_usd")
USE_COLUMNS = ("month", "block", "id", "used_usd", "paid_usd", "unused_usd")


@dataclass(frozen=True)
class Usage:
    """Rows of what may run: (requirement, candidate) pairs, and how many instances by month and block.

    ``instances`` is (rows, months, blocks): the unit's own blocks, zero beyond them.
    """

    owners: tuple[UnitRequirement, ...]
    candidates: tuple[Candidate, ...]
    instances: Floats

    @property
    def price(self) -> Floats:
        return np.array([c.usd_per_hour for c in self.candidates], dtype=float)


@dataclass(frozen=True)
class Bill:
    """``spend`` and ``use`` as in MixSolution; the totals by row stay behind for those who need them."""

    spend: pd.DataFrame
    use: pd.DataFrame

    @property
    def total_usd(self) -> float:
        return float(self.spend["total_usd"].sum())


def usage_rows(fleet: Fleet) -> tuple[tuple[UnitRequirement, ...], tuple[Candidate, ...]]:
    """Every (requirement, candidate) pair, in order."""
    pairs = [(r, c) for r in fleet.requirements for c in r.candidates]
    return tuple(r for r, _ in pairs), tuple(c for _, c in pairs)


def running_usage(fleet: Fleet) -> Usage:
    """The running fleet, taken as running in every hour of every month.

    Raises
    ------
    MissingDataError
        A type that runs has no candidate, and with it no price.
    """
    owners, candidates = usage_rows(fleet)
    unknown = [
        f"{r.unit} runs {t}"
        for r in fleet.requirements
        for t, count in running_by_type(r).items()
        if count and t not in {c.instance_type for c in r.candidates}
    ]
    if unknown:
        raise MissingDataError(
            f"no price for what runs today: {'; '.join(unknown[:10])}. Add its rate to the prices; "
            "a fleet that is only partly priced is no base for a comparison"
        )
    counts = [running_by_type(r).get(c.instance_type, 0) for r, c in zip(owners, candidates, strict=True)]
    flat = np.array(counts, dtype=float).reshape(-1, 1, 1)
    return Usage(owners, candidates, np.broadcast_to(flat, (len(owners), *grid_shape(fleet))).copy())


def grid_shape(fleet: Fleet) -> tuple[int, int]:
    """Months, and the most blocks that a unit has in one."""
    return len(fleet.problem.months), max((len(month) for unit in fleet.blocks for month in unit), default=1)


def _by_level(fleet: Fleet, usage: Usage) -> list[Floats]:
    """Month -> (rows, levels) instances that run on average in each level."""
    unit_of = {r.unit: s for s, r in enumerate(fleet.requirements)}
    out = []
    for t, names in enumerate(fleet.level_names):
        rows = np.zeros((len(usage.owners), len(names)))
        for row, owner in enumerate(usage.owners):
            presence = fleet.presence[unit_of[owner.unit]][t]
            rows[row] = usage.instances[row, t, : len(presence)] @ presence
        out.append(rows)
    return out


def bill(fleet: Fleet, usage: Usage) -> Bill:
    """Apply the commitments to ``usage``, lot by lot.

    ``used_usd`` is on-demand value that a commitment covered; ``unused_usd`` is what was paid for nothing:
    paid - rate x used for a Savings Plan, paid x the idle share of its instances for an RI.
    """
    rows, months = len(usage.owners), len(fleet.problem.months)
    levels = _by_level(fleet, usage)
    on_demand, committed = np.zeros((rows, months)), np.zeros((rows, months))
    use: dict[tuple[int, int, int], list[float]] = {}
    masks = [_mask(c, usage) for c in fleet.commitments]
    for lot in fleet.lots:
        open_instances = levels[lot.month][:, lot.level].copy()
        for k in lot.active:
            covered, consumed_frac = _cover(fleet, k, usage, masks[k], open_instances)
            _book(fleet, k, lot, covered, consumed_frac, usage, committed, use)
            open_instances -= covered
        on_demand[:, lot.month] += lot.hours * open_instances * usage.price
    return Bill(_spend_frame(fleet, usage, on_demand, committed, use), _use_frame(fleet, use))


def _mask(commitment: Commitment, usage: Usage) -> Floats:
    return np.array(
        [
            float(eligible(commitment, r.account_id, r.unit.region, c))
            for r, c in zip(usage.owners, usage.candidates, strict=True)
        ]
    )


def _cover(fleet: Fleet, k: int, usage: Usage, mask: Floats, open_instances: Floats) -> tuple[Floats, float]:
    """Instances of each row that commitment ``k`` covers, and the share of the commitment that this consumes."""
    commitment = fleet.commitments[k]
    can = mask * open_instances
    if commitment.product == "standard_ri":
        wanted, limit = float(can.sum()), float(commitment.count)
    else:
        wanted, limit = (
            float((can * usage.price).sum()),
            commitment.hourly_usd / fleet.problem.committed_rate[commitment.id],
        )
    if wanted <= 0 or limit <= 0:
        return np.zeros_like(can), 0.0
    return can * min(1.0, limit / wanted), min(1.0, wanted / limit)


def _book(
    fleet: Fleet,
    k: int,
    lot: Lot,
    covered: Floats,
    consumed_frac: float,
    usage: Usage,
    committed: Floats,
    use: dict[tuple[int, int, int], list[float]],
) -> None:
    """Enter what commitment ``k`` covered in ``lot``: its cost to those who used it, the rest as unused."""
    paid = fleet.commitments[k].hourly_usd * lot.hours
    value = covered * usage.price
    total = float(value.sum())
    consumed = paid * consumed_frac
    # An RI of a type that costs nothing covers no value; its cost then has no user and counts as unused.
    if total > 0:
        committed[:, lot.month] += consumed * value / total
    else:
        consumed = 0.0
    entry = use.setdefault((lot.month, lot.level, k), [0.0, 0.0, 0.0])
    entry[0] += total * lot.hours
    entry[1] += paid
    entry[2] += paid - consumed


def _use_frame(fleet: Fleet, use: Mapping[tuple[int, int, int], list[float]]) -> pd.DataFrame:
    rows = [
        (fleet.problem.months[t], fleet.level_names[t][b], fleet.commitments[k].id, *entry)
        for (t, b, k), entry in sorted(use.items())
    ]
    frame = pd.DataFrame(rows, columns=list(USE_COLUMNS))
    return frame.astype(dict.fromkeys(USE_COLUMNS[3:], float))


def _spend_frame(
    fleet: Fleet,
    usage: Usage,
    on_demand: Floats,
    committed: Floats,
    use: Mapping[tuple[int, int, int], list[float]],
) -> pd.DataFrame:
    rows = []
    index = {r.unit: [i for i, owner in enumerate(usage.owners) if owner.unit == r.unit] for r in fleet.requirements}
    for t, month in enumerate(fleet.problem.months):
        for r in fleet.requirements:
            od, co = float(on_demand[index[r.unit], t].sum()), float(committed[index[r.unit], t].sum())
            rows.append((month, str(r.unit), r.unit.service, r.unit.region, od, co, od + co))
        unused = sum(entry[2] for (m, _b, _k), entry in use.items() if m == t)
        rows.append((month, UNUSED, "", "", 0.0, unused, unused))
    frame = pd.DataFrame(rows, columns=list(SPEND_COLUMNS))
    return frame.astype(dict.fromkeys(SPEND_COLUMNS[4:], float))
