"""Loads and commitments that no solver can tell from nothing.

Rows of the model are divided by what is asked for or held, and HiGHS takes no coefficient above 1e15. Counts are whole,
so a load of 1e-45 asks for what one of a millionth of an instance does, and is raised to that: one instance of a type
that holds any of it. A Savings Plan of 1e-45 $/h covers and costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from capacity.domain import Commitment, LoadBlock, UnitRequirement

# Of what the smallest type holds: far below one instance, and far above what a solver's tolerances make of a row.
_LEAST_FRAC = 1e-6
# $/h of a Savings Plan below which it is none: 1,000 of them cost less than a cent in ten years, and the checker, whose
# tolerance is 1e-6 of a month's dollars, sees none of it. AWS sells none below .001 (CreateSavingsPlan).
_LEAST_USD = 1e-10


def without_tiny_loads(r: UnitRequirement) -> UnitRequirement:
    """``r`` with every load and need above 0 at least a millionth of what the smallest of its types holds of it.

    The same plans serve it: one instance a zone of any type that serves some of a load serves the raised one too, and
    a spot instance, of which less than a millionth would have to be relied on, is too large for either.
    """
    demand = _least(x for c in r.candidates for x in (c.safe, c.zone_loss))
    names = sorted({name for b in r.blocks for name in b.further})
    further = {name: _least(x for c in r.candidates for x in c.further.get(name, (0.0, 0.0))) for name in names}
    blocks = tuple(_raised(b, demand, further) for b in r.blocks)
    return r if blocks == r.blocks else replace(r, blocks=blocks)


def without_tiny_amount(c: Commitment) -> Commitment:
    """``c``, or a Savings Plan of nothing where its $/h are all but that. An RI covers whole instances at any price."""
    if c.product == "standard_ri" or not 0 < c.hourly_usd < _LEAST_USD:
        return c
    return replace(c, hourly_usd=0.0)


def _least(holds: Iterable[float]) -> float:
    """0 where nothing holds any: then nothing serves the load, however small."""
    return _LEAST_FRAC * min((x for x in holds if x > 0), default=0.0)


def _raised(b: LoadBlock, demand: float, further: dict[str, float]) -> LoadBlock:
    lost, needs = b.region_loss_demand, b.further
    return replace(
        b,
        demand=max(b.demand, demand) if b.demand > 0 else b.demand,
        region_loss_demand=max(lost, demand) if lost > 0 else lost,
        further={name: max(x, further[name]) if x > 0 else x for name, x in needs.items()},
    )
