"""What a plan, or the running fleet, costs: on demand, spot, commitments owned and bought, unused reservations.

Commitments are applied in the provider's own order (``_pots``), to what runs on demand only. What a capacity
reservation holds is on-demand usage like any other while an instance runs in it; the rest of it is paid at on demand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from capacity.domain import PURCHASE_COLUMNS, Candidate, Floats, Unit, UnitRequirement
from capacity.errors import MissingDataError
from capacity.optimize._fleet import Fleet, Lot, ReservedType, offered_usd_per_hour, running_by_type
from capacity.optimize._pots import Pot, bought_amounts, draw, pots_of, purchase_id

UNUSED = "(commitments unused)"
RESERVED = "(reservations unused)"

SPEND_COLUMNS = ("month", "unit", "service", "region", "on_demand_usd", "spot_usd", "committed_usd", "total_usd")
USE_COLUMNS = ("month", "block", "id", "used_usd", "paid_usd", "unused_usd")


@dataclass(frozen=True)
class Usage:
    """Rows of what may run: (requirement, candidate) pairs, and how many instances by month and block.

    ``instances`` is (rows, months, blocks): the unit's own blocks, zero beyond them; over all zones, on demand.
    ``spot`` is the same of what runs as spot; None where nothing does.
    """

    owners: tuple[UnitRequirement, ...]
    candidates: tuple[Candidate, ...]
    instances: Floats
    spot: Floats | None = None

    @property
    def price(self) -> Floats:
        return np.array([c.usd_per_hour for c in self.candidates], dtype=float)


@dataclass(frozen=True)
class Bill:
    """``spend``, ``use`` (commitment_use) and ``purchases`` as in MixSolution."""

    spend: pd.DataFrame
    use: pd.DataFrame
    purchases: pd.DataFrame

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


def bill(fleet: Fleet, usage: Usage, bought: Mapping[tuple[int, int], float] | None = None) -> Bill:
    """What ``usage`` costs: commitments and reservations applied lot by lot, spot by the unit's own blocks.

    Parameters
    ----------
    fleet
        The problem in order.
    usage
        What runs, on demand and as spot.
    bought
        (offer, month), by position in the fleet -> $/h of a Savings Plan, or instances of an RI.

    Returns
    -------
    Bill
        Frames as in MixSolution. ``used_usd`` is on-demand value that a commitment covered; ``unused_usd`` is what was
        paid for nothing: paid - rate x used for a Savings Plan, paid x the idle share of its instances for an RI.
    """
    bought, usage = bought or {}, _that_runs(usage)
    rows, months = len(usage.owners), len(fleet.problem.months)
    levels = _by_level(fleet, usage)
    books = _Books(np.zeros((rows, months)), np.zeros((rows, months)), np.zeros(months), {})
    pots = pots_of(fleet, usage.owners, usage.candidates, bought)
    kinds = [_rows_of(kind, usage) for kind in fleet.reserved]
    for lot in fleet.lots:
        runs = levels[lot.month][:, lot.level]
        active = [j for j, pot in enumerate(pots) if pot.runs_in(lot)]
        covered, committed = draw([pots[j] for j in active], runs, usage.price)
        books.on_demand[:, lot.month] += lot.hours * np.maximum(runs - covered.sum(axis=0), 0.0) * usage.price
        books.committed[:, lot.month] += lot.hours * committed.sum(axis=0)
        for position, j in enumerate(active):
            used, consumed = float(covered[position] @ usage.price), float(committed[position].sum())
            books.enter(lot, j, used, pots[j].hourly_usd, consumed)
        for kind, mask in zip(fleet.reserved, kinds, strict=True):
            idle = max(fleet.reserved_count(kind, lot) - float(runs[mask].sum()), 0.0)
            books.idle[lot.month] += lot.hours * idle * kind.usd_per_hour
    spend = _spend_frame(fleet, usage, books)
    return Bill(spend, _use_frame(fleet, pots, books), _purchases_frame(fleet, bought))


def _that_runs(usage: Usage) -> Usage:
    """Without the rows of which nothing ever runs: a plan is a few types of many."""
    runs = usage.instances.any(axis=(1, 2))
    if usage.spot is not None:
        runs = runs | usage.spot.any(axis=(1, 2))
    kept = np.flatnonzero(runs)
    return Usage(
        tuple(usage.owners[row] for row in kept),
        tuple(usage.candidates[row] for row in kept),
        usage.instances[kept],
        None if usage.spot is None else usage.spot[kept],
    )


@dataclass(frozen=True)
class _Books:
    """USD: (rows, months) on demand and committed, (months,) of reservations that nothing ran in.

    ``use`` is by (month, level, pot): on-demand value that was covered, paid, unused.
    """

    on_demand: Floats
    committed: Floats
    idle: Floats
    use: dict[tuple[int, int, int], list[float]]

    def enter(self, lot: Lot, j: int, used: float, paid: float, consumed: float) -> None:
        """Pot ``j`` in ``lot``, all in $/h. What is paid and not consumed is unused, to a solver's dust."""
        entry = self.use.setdefault((lot.month, lot.level, j), [0.0, 0.0, 0.0])
        for position, usd_per_hour in enumerate((used, paid, max(paid - consumed, 0.0))):
            entry[position] += usd_per_hour * lot.hours


def _rows_of(kind: ReservedType, usage: Usage) -> npt.NDArray[np.bool_]:
    return np.array([kind.holds(r, c) for r, c in zip(usage.owners, usage.candidates, strict=True)], dtype=bool)


def _spot_usd(fleet: Fleet, usage: Usage) -> Floats:
    """(rows, months) USD of what runs as spot, in the hours of the unit's own blocks."""
    out = np.zeros(usage.instances.shape[:2])
    if usage.spot is None:
        return out
    position = {r.unit: s for s, r in enumerate(fleet.requirements)}
    for row, (owner, c) in enumerate(zip(usage.owners, usage.candidates, strict=True)):
        if c.spot_usd_per_hour is not None and usage.spot[row].any():
            for t, blocks in enumerate(fleet.blocks[position[owner.unit]]):
                hours = np.array([b.hours for b in blocks], dtype=float)
                out[row, t] = float(usage.spot[row, t, : len(blocks)] @ hours) * c.spot_usd_per_hour
    return out


# --- frames ------------------------------------------------------------------------------------------------


def _use_frame(fleet: Fleet, pots: Sequence[Pot], books: _Books) -> pd.DataFrame:
    rows = [
        (fleet.problem.months[t], fleet.level_names[t][b], pots[j].id, *entry)
        for (t, b, j), entry in sorted(books.use.items())
    ]
    frame = pd.DataFrame(rows, columns=list(USE_COLUMNS))
    return frame.astype(dict.fromkeys(USE_COLUMNS[3:], float))


def _spend_frame(fleet: Fleet, usage: Usage, books: _Books) -> pd.DataFrame:
    spot = _spot_usd(fleet, usage)
    index: dict[Unit, list[int]] = {r.unit: [] for r in fleet.requirements}
    for row, owner in enumerate(usage.owners):
        index[owner.unit].append(row)
    rows: list[tuple[object, ...]] = []
    for t, month in enumerate(fleet.problem.months):
        for r in fleet.requirements:
            usd = [float(kind[index[r.unit], t].sum()) for kind in (books.on_demand, spot, books.committed)]
            rows.append((month, str(r.unit), r.unit.service, r.unit.region, *usd, sum(usd)))
        unused = sum(entry[2] for (m, _b, _j), entry in books.use.items() if m == t)
        rows.append((month, UNUSED, "", "", 0.0, 0.0, unused, unused))
        if fleet.reserved:
            idle = float(books.idle[t])
            rows.append((month, RESERVED, "", "", idle, 0.0, 0.0, idle))
    frame = pd.DataFrame(rows, columns=list(SPEND_COLUMNS))
    return frame.astype(dict.fromkeys(SPEND_COLUMNS[4:], float))


def _purchases_frame(fleet: Fleet, bought: Mapping[tuple[int, int], float]) -> pd.DataFrame:
    rows = []
    for purchase, amount in bought_amounts(fleet, bought):
        offer, month = fleet.offers[purchase.offer], fleet.problem.months[purchase.month]
        count = round(amount) if offer.product == "standard_ri" else 0
        hourly_usd = amount * offered_usd_per_hour(fleet, offer)
        rows.append((purchase_id(fleet, purchase), offer.id, month, hourly_usd, count))
    frame = pd.DataFrame(rows, columns=list(PURCHASE_COLUMNS))
    return frame.astype({"hourly_usd": float, "count": "int64"})
