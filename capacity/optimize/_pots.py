"""Commitments as pots that usage draws on, in the provider's own order.

Standard RIs first, then EC2 Instance Savings Plans, then Compute Savings Plans; inside a product the highest saving
first, whichever plan gives it; an account's own before what is shared. What several rows may use is shared among them
pro rata of what is still open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capacity.domain import Candidate, Floats, UnitRequirement
from capacity.optimize._fleet import (
    PRODUCT_ORDER,
    Fleet,
    Lot,
    Purchase,
    eligible,
    offered_rate,
    offered_usd_per_hour,
)

Rates = tuple[tuple[float, npt.NDArray[np.int64]], ...]

# Bought amounts below this ($/h, or instances) are a solver's dust.
_DUST = 1e-9


@dataclass(frozen=True)
class Pot:
    """A commitment that is owned or bought, seen from the rows of usage.

    Attributes
    ----------
    holds
        What it can give: instances of an RI, $/h of commitment of a Savings Plan.
    hourly_usd
        What it costs an hour, used or not.
    rates
        (rate, positions of the rows that it may cover at that rate): what one on-demand dollar of them takes. Of an RI
        the rate only sorts.
    position
        Of the commitment, or of the purchase where ``bought``.
    """

    id: str
    product: str
    account_id: str
    holds: float
    hourly_usd: float
    rates: Rates
    position: int
    bought: bool

    @property
    def counts_instances(self) -> bool:
        return self.product == "standard_ri"

    def runs_in(self, lot: Lot) -> bool:
        return self.position in (lot.bought if self.bought else lot.active)


def bought_amounts(fleet: Fleet, bought: Mapping[tuple[int, int], float]) -> list[tuple[Purchase, float]]:
    """The purchases that were made, with $/h of a Savings Plan or instances of an RI, in the order of the fleet's."""
    amounts = [(p, float(bought.get((p.offer, p.month), 0.0))) for p in fleet.purchases]
    return [(p, amount) for p, amount in amounts if amount > _DUST]


def purchase_id(fleet: Fleet, purchase: Purchase) -> str:
    """A purchase of month m under offer o is called "o@m"."""
    return f"{fleet.offers[purchase.offer].id}@{fleet.problem.months[purchase.month]}"


def pots_of(
    fleet: Fleet,
    owners: Sequence[UnitRequirement],
    candidates: Sequence[Candidate],
    bought: Mapping[tuple[int, int], float],
) -> list[Pot]:
    """What is owned, in the fleet's order, then what was bought."""
    rows = list(zip(owners, candidates, strict=True))
    pots = []
    for k, owned in enumerate(fleet.commitments):
        is_ri = owned.product == "standard_ri"
        # An RI that is owned is paid whole, so it saves all of on demand.
        rate = fleet.problem.committed_rate.get(owned.id, 0.0) if is_ri else fleet.problem.committed_rate[owned.id]
        fits = _by_rate([rate if eligible(owned, r.account_id, r.unit.region, c) else None for r, c in rows])
        holds = float(owned.count) if is_ri else owned.hourly_usd
        pots.append(Pot(owned.id, owned.product, owned.account_id, holds, owned.hourly_usd, fits, k, False))
    made = bought_amounts(fleet, bought)
    offered = {o: _by_rate([offered_rate(fleet.offers[o], r, c) for r, c in rows]) for o in {p.offer for p, _ in made}}
    for purchase, amount in made:
        offer, position = fleet.offers[purchase.offer], fleet.purchases.index(purchase)
        usd, name = amount * offered_usd_per_hour(fleet, offer), purchase_id(fleet, purchase)
        rates = offered[purchase.offer]
        pots.append(Pot(name, offer.product, offer.account_id, amount, usd, rates, position, True))
    return pots


def _by_rate(rates: Sequence[float | None]) -> Rates:
    rows: dict[float, list[int]] = {}
    for row, rate in enumerate(rates):
        if rate is not None:
            rows.setdefault(float(rate), []).append(row)
    return tuple((rate, np.array(found, dtype=np.int64)) for rate, found in sorted(rows.items()))


def draw(pots: Sequence[Pot], running: Floats, price: Floats) -> tuple[Floats, Floats]:
    """Apply ``pots`` to what runs.

    Parameters
    ----------
    pots
        Those that are active, in any order.
    running
        (rows,) instances.
    price
        (rows,) on-demand $/h of one instance.

    Returns
    -------
    covered, committed
        (pots, rows) instances that each covers, and $/h of its cost that each row uses.
    """
    covered, committed = np.zeros((len(pots), len(running))), np.zeros((len(pots), len(running)))
    left, remaining = running.astype(float).copy(), [p.holds for p in pots]
    for j, rate, rows in in_order(pots):
        pot, can = pots[j], left[rows]
        takes = np.ones(len(rows)) if pot.counts_instances else price[rows] * rate
        wanted = float(can @ takes)
        if wanted <= 0 or remaining[j] <= 0:
            continue
        given = can * min(1.0, remaining[j] / wanted)
        remaining[j] = max(remaining[j] - wanted, 0.0)
        left[rows] = np.maximum(can - given, 0.0)
        covered[j, rows] += given
        if not pot.counts_instances:
            committed[j, rows] += given * price[rows] * rate
    for j, pot in enumerate(pots):
        value = covered[j] * price
        # An RI of a type that costs nothing covers no value; its cost then has no user and counts as unused.
        if pot.counts_instances and value.sum() > 0:
            committed[j] = pot.hourly_usd * (covered[j].sum() / pot.holds) * value / value.sum()
    return covered, committed


def in_order(pots: Sequence[Pot]) -> list[tuple[int, float, npt.NDArray[np.int64]]]:
    """(pot, rate, rows): product by product, the lowest rate first, an account's own before what is shared."""

    def order(j: int, rate: float) -> tuple[int, float, bool, bool, str]:
        # Equal in product, rate and scope: what is owned first, then by name.
        return PRODUCT_ORDER[pots[j].product], rate, pots[j].account_id == "", pots[j].bought, pots[j].id

    steps = [(j, rate, rows) for j, pot in enumerate(pots) for rate, rows in pot.rates]
    return sorted(steps, key=lambda step: order(step[0], step[1]))
